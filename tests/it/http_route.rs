//! `notariat http-route`: the API server takes what it prints, and the order of a configuration does not matter.

use notariat_lab::{Kube, Scratch};
use serde_json::{Value, json};

use crate::gateway_api::with_crds;
use crate::support::Run;
use crate::support::run::notariat;

/// A ConfigMap with 40 hosts that are proved by http-01, some of them named twice, and others that are not.
fn config_map(namespace: &str, is_reversed: bool) -> String {
    let host = |n: usize| format!("h{n:02}.site.test");
    let entry = |n: usize| format!("{{secret: s{n}, domains: [{}, {}]}}", host(2 * n), host((2 * n + 1) % 40));
    let mut entries: Vec<String> = (0..20).map(entry).collect();
    entries.push("{secret: twice, domains: [h00.site.test, h39.site.test]}".to_owned());
    entries.push("{secret: dns, domains: [dns.site.test], challenge: dns-01, tsigSecretName: key}".to_owned());
    entries.push("{secret: wild, domains: ['*.wild.site.test', x.wild.site.test], tsigSecretName: key}".to_owned());
    entries.push("{secret: zone, domains: [www.inside.test], challenge: dns-01, tsigSecretName: key}".to_owned());
    if is_reversed {
        entries.reverse();
    }
    let data = json!({"defaults": "challenge: http-01", "certificates": format!("[{}]", entries.join(", "))});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notariat", "namespace": namespace}, "data": data})
        .to_string()
}

/// The output for a ConfigMap.
#[track_caller]
fn printed(namespace: &str, is_reversed: bool, more: &[&str]) -> String {
    let scratch = Scratch::new("route");
    let file = scratch.join("config.yaml");
    std::fs::write(&file, config_map(namespace, is_reversed)).unwrap();
    let run = Run::of(notariat().args(["http-route", "-f"]).arg(&file).args(more)).ends(0);
    assert_eq!(run.log, "");
    run.stdout
}

#[test]
fn the_api_server_takes_the_ingress_and_the_routes_of_forty_hosts() {
    let kube = Kube::shared();
    with_crds(kube);
    let namespace = kube.namespace();
    let all: Vec<String> = (0..40).map(|n| format!("h{n:02}.site.test")).collect();
    let get = |kind: &str| -> Vec<Value> {
        let found = kube.kubectl(&["get", "-n", &namespace, kind, "-o", "json"]);
        serde_json::from_str::<Value>(&found).unwrap()["items"].as_array().unwrap().clone()
    };

    let ingress = printed(&namespace, false, &["-ingress-class", "nginx"]);
    assert_eq!(ingress, printed(&namespace, true, &["-ingress-class", "nginx"]), "the order does not matter");
    kube.kubectl_stdin(&["apply", "-f", "-"], &ingress);
    let ours = get("ingresses");
    assert_eq!((ours.len(), &ours[0]["spec"]["ingressClassName"]), (1, &"nginx".into()));
    let rules = ours[0]["spec"]["rules"].as_array().unwrap();
    assert_eq!(rules.iter().map(|rule| rule["host"].as_str().unwrap()).collect::<Vec<_>>(), all);
    // Another instance of this namespace, of another class.
    let flags = ["-lease-name", "second", "-path-type", "ImplementationSpecific"];
    kube.kubectl_stdin(&["apply", "-f", "-"], &printed(&namespace, false, &flags));
    let names: Vec<Value> = get("ingresses").into_iter().map(|ingress| ingress["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["notariat-acme", "second-acme"]);

    let routes = printed(&namespace, false, &["-gateway", "edge/public/http"]);
    assert_eq!(routes, printed(&namespace, true, &["-gateway", "edge/public/http"]), "the order does not matter");
    kube.kubectl_stdin(&["apply", "-f", "-"], &routes);
    let ours = get("httproutes.gateway.networking.k8s.io");
    let hosts = |route: &Value| -> Vec<String> {
        route["spec"]["hostnames"].as_array().unwrap().iter().map(|host| host.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ours.iter().map(|route| hosts(route).len()).collect::<Vec<_>>(), [16, 16, 8]);
    assert_eq!(ours.iter().flat_map(hosts).collect::<Vec<_>>(), all);
    for route in &ours {
        assert_eq!(route["spec"]["parentRefs"][0]["sectionName"], "http", "{route}");
    }
}

#[test]
fn a_configuration_without_http_01_has_no_route() {
    let scratch = Scratch::new("route");
    let file = scratch.join("config.yaml");
    std::fs::write(&file, config_map("team", false).replace("http-01", "dns-01")).unwrap();
    let run = Run::of(notariat().args(["http-route", "-f"]).arg(&file)).ends(1);
    assert!(run.log.contains("no name is proved by http-01: set `challenge: http-01`"), "{}", run.log);
    assert!(run.stdout.is_empty());
}

#[test]
fn check_asks_for_a_key_only_where_a_name_is_proved_by_dns_01() {
    let scratch = Scratch::new("route");
    let file = scratch.join("config.yaml");
    let check = |domains: &str, code| {
        let entry = format!("[{{secret: web, domains: [{domains}], email: a@site.test, challenge: http-01}}]");
        let metadata = json!({"name": "notariat", "namespace": "team"});
        let data = json!({"certificates": entry});
        let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
        std::fs::write(&file, config_map.to_string()).unwrap();
        Run::of(notariat().args(["check", "-f"]).arg(&file)).ends(code).stdout
    };
    check("www.site.test", 0);
    assert!(check("www.site.test, '*.wild.site.test'", 1).contains("tsigSecretName: is missing"));
}
