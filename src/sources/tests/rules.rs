//! The rules for what objects want, by their numbers; those of merging, policy, Secrets and time are in `served`.

use serde_json::{Value, json};

use super::support::*;
use crate::sources::Source;
use crate::sources::gateway::GatewaySource;
use crate::sources::wish::WishSettings;

const ACME: &str = "k/tls-acme: true";

fn with(change: impl FnOnce(&mut WishSettings)) -> WishSettings {
    let mut settings = settings();
    change(&mut settings);
    settings
}

fn all() -> WishSettings {
    with(|s| s.ingress_all = vec![domain("a.test")])
}

fn changed(mut object: Value, pointer: &str, field: &str, value: Value) -> Value {
    object.pointer_mut(pointer).unwrap()[field] = value;
    object
}

/// The host `label.….a.test` of some length.
fn of_length(length: usize) -> String {
    let mut name = "x".to_owned();
    while name.len() + ".a.test".len() < length {
        let rest = length - ".a.test".len() - name.len() - 1;
        name = format!("{}.{name}", "y".repeat(rest.clamp(1, 60)));
    }
    format!("{name}.a.test")
}

#[test]
fn ingresses_want_what_the_rules_say() {
    let plain = settings();
    let tls = |items: &str| ingress(ACME, items, "");
    let rules = |items: &str, rules: &str| ingress(ACME, items, rules);
    let lines = |lines: &str| ingress(lines, "s:x", "");
    let class = |s: &str| with(|settings| settings.ingress_classes = s.split(',').map(str::to_owned).collect());
    let spec_class = |object: Value| changed(object, "/spec", "ingressClassName", json!("nginx"));
    let label = |settings: &mut WishSettings| settings.secret_host_label = Some("host".to_owned());
    let long_host = of_length(70);
    let labelless = format!("{long_host}: {}; Invalid spec.rules", long_host.trim_end_matches(".a.test"));
    let table: Vec<(u32, Value, WishSettings, &str)> = vec![
        (1, tls("s:x"), plain.clone(), "s: x"),
        (2, ingress("k/tls-acme: True", "s:x", ""), plain.clone(), "s: x"),
        (
            2,
            ingress("k/tls-acme: yes", "s:x", ""),
            plain.clone(),
            "Invalid metadata.annotations[kubernetes.io/tls-acme]",
        ),
        (2, ingress("k/tls-acme:", "s:x", ""), plain.clone(), "none"),
        (2, ingress("k/tls-acme: false", "s:x", ""), plain.clone(), "none"),
        (3, tls("s:y,x,x"), plain.clone(), "s: x,y"),
        (3, tls("s:x,y"), plain.clone(), "s: x,y"),
        (4, tls("- s:x"), plain.clone(), "s: x; Invalid spec.tls[0]"),
        (5, tls(":x :y s:x"), plain.clone(), "s: x; Skipped spec.tls[0]"),
        (6, rules("s:", "x,y"), plain.clone(), "s: x,y"),
        (7, rules("s: r:y", "x,y"), plain.clone(), "s: x; r: y"),
        (7, rules("s: :y", "x,y"), plain.clone(), "s: x; Skipped spec.tls[1]"),
        (8, rules("s:", "_"), plain.clone(), "Invalid spec.tls[0]"),
        (8, rules("s:", ""), plain.clone(), "Invalid spec.tls[0]"),
        (9, rules("s:x", "x,z"), plain.clone(), "s: x"),
        (10, tls("s:=10.0.0.1,x"), plain.clone(), "s: x; Invalid spec.tls[0]"),
        (10, tls("s:=10.0.0.1"), plain.clone(), "Invalid spec.tls[0]"),
        (11, tls(&format!("s:{}", "l".repeat(64))), plain.clone(), "Invalid spec.tls[0]"),
        (11, tls("s:xn--a.test"), plain.clone(), "Invalid spec.tls[0]"),
        (11, tls("s:=localhost"), plain.clone(), "Invalid spec.tls[0]"),
        (12, tls("Bad_Name/x:x s:y"), plain.clone(), "s: y; Invalid spec.tls[0]"),
        (12, tls("kube-system/s:x s:y"), plain.clone(), "s: y; Invalid spec.tls[0]"),
        (12, tls(&format!("{}:x s:y", "n".repeat(254))), plain.clone(), "s: y; Invalid spec.tls[0]"),
        (13, tls("s:x s:y"), plain.clone(), "s: x,y"),
        (15, tls("s:evil.b.test,x"), plain.clone(), "s: evil.b.test,x"),
        (23, lines("c/cluster-issuer: other"), plain.clone(), "Skipped"),
        (23, lines("c/cluster-issuer: prod"), plain.clone(), "s: x"),
        (23, lines("c/issuer: prod"), plain.clone(), "s: x"),
        (24, lines("k/tls-acme: true\nc/cluster-issuer: other"), plain.clone(), "Skipped"),
        (24, lines("k/tls-acme: true\nc/cluster-issuer: prod"), plain.clone(), "s: x"),
        (27, tls("s:xa.test"), plain.clone(), "s: xa.test"),
        (28, tls("s:*.a.test"), plain.clone(), "s: *.a.test"),
        (33, tls("s:y"), plain.clone(), "s: y"),
        (34, lines(""), plain.clone(), "none"),
        (35, spec_class(ingress("k/tls-acme: true\nk/ingress.class: other", "s:x", "")), class("nginx"), "s: x"),
        (35, spec_class(ingress("k/tls-acme: true\nk/ingress.class: nginx", "s:x", "")), class("other"), "Skipped"),
        (35, ingress("k/tls-acme: true\nk/ingress.class: NGINX", "s:x", ""), class("nginx"), "s: x"),
        (36, tls("s:x"), class("nginx"), "Skipped"),
        (36, tls("s:x"), class("nginx,"), "s: x"),
        (36, lines(""), class("nginx"), "none"),
        (37, ingress("k/tls-acme-challenge-endpoints: true", "", "x"), all(), "none"),
        (
            37,
            changed(ingress("", "", "x"), "/metadata", "labels", json!({"acme.cert-manager.io/http01-solver": "true"})),
            all(),
            "none",
        ),
        (38, ingress("k/tls-acme: true\nnginx.ingress.kubernetes.io/canary: true", "s:x", "x"), plain.clone(), "s: x"),
        (39, ingress("", "", "x,y"), all(), "x.a.test: x; y.a.test: y"),
        (39, ingress("", "", "x,y"), plain.clone(), "none"),
        (39, ingress("", "s:x r:z", "x,y,z.b.test"), all(), "s: x; y.a.test: y"),
        (39, ingress("k/tls-acme: true", "s:z.b.test", "x"), all(), "s: z.b.test; x.a.test: x"),
        (39, ingress("", "", &long_host), with(|s| (*s = all(), label(s)).0), &labelless),
        (39, ingress("", "", &of_length(244)), with(|s| (*s = all(), s.wildcards = true).0), "Invalid spec.rules"),
        (53, ingress("nginx.ingress.kubernetes.io/ssl-passthrough: true", "", "x"), all(), "none"),
        (53, ingress("nginx.ingress.kubernetes.io/ssl-passthrough: false", "", "x"), all(), "x.a.test: x"),
    ];
    let mut wrong = Vec::new();
    for (rule, object, settings, expected) in table {
        let found = of_ingress(&object, &settings);
        let text = shown(&found);
        // Nobody but the object's own namespace vouches for its names.
        let mut by = found.wishes.iter().flat_map(|wish| wish.names.values()).flatten();
        if text != expected || !by.all(|namespace| namespace == "t") {
            wrong.push(format!("rule {rule}: {text:?} instead of {expected:?}: {object}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn gateways_want_what_the_rules_say() {
    const MANAGED: &str = "g/purpose: managed";
    let g = |listeners: &str| gateway(MANAGED, listeners);
    let http = |at: &str, parents: &str, hosts: &str| route("HTTPRoute", at, parents, hosts);
    let two = "one https host=x secret=s\ntwo https host=y secret=r";
    let not_ready = ["Accepted", "False", "NoReadyListeners"];
    let forbidden = ["Accepted", "False", "NotAllowedByListeners"];
    let vetoed = |condition| with_condition(http("t/r", "g", "x"), "parent", condition, 2);
    let set = |from: &str| {
        let mut gateway = g("l http");
        if !from.is_empty() {
            gateway["spec"]["allowedListeners"] = json!({"namespaces": {"from": from}});
        }
        gateway
    };
    let child = || listener_set("t", "", "l https host=x secret=s");
    let table: Vec<(u32, Vec<Value>, Option<&str>, &str)> = vec![
        (34, vec![gateway("", "l https host=x secret=s")], None, "none"),
        (23, vec![gateway("c/cluster-issuer: other", "l https host=x secret=s")], None, "Skipped"),
        (23, vec![gateway("c/cluster-issuer: prod", "l https host=x secret=s")], None, "s: x"),
        (24, vec![gateway("k/tls-acme: true", "l https host=x secret=s")], None, "none"),
        (40, vec![g("l https host=x secret=s")], None, "s: x"),
        (40, vec![g("l tls host=x secret=s")], None, "s: x"),
        (40, vec![g("l passthrough host=x secret=s")], None, "none"),
        (40, vec![g("l http host=x secret=s")], None, "none"),
        (41, vec![g("l https secret=s"), http("t/r", "g", "x,y")], None, "s: x,y"),
        (41, vec![g("l https secret=s"), http("t/r", "g", "x"), http("t/q", "g", "y")], None, "s: x,y"),
        (41, vec![g("l https secret=s")], None, "Invalid spec.listeners[0]"),
        (41, vec![g("l https secret=s"), http("t/r", "g", "")], None, "Invalid spec.listeners[0]"),
        // The wildcard covers x, so that no order names x while the wildcard is permitted; p.q lies two labels below.
        (42, vec![g("l https host=*.a.test secret=s"), http("t/r", "g", "x,p.q")], None, "s: *.a.test,p.q,x"),
        (
            43,
            vec![g(&two.replace("host=x ", "").replace("host=y ", "")), http("t/r", "g#one", "x")],
            None,
            "s: x; Invalid spec.listeners[1]",
        ),
        (43, vec![g(two), http("t/r", "g#one", "y")], None, "s: x; r: y"),
        (44, vec![g("l https host=*.a.test secret=s"), http("u/r", "t/g", "p.q")], None, "s: *.a.test"),
        (44, vec![g("l https host=*.a.test secret=s from=All"), http("u/r", "t/g", "p.q")], None, "s: *.a.test,p.q"),
        (44, vec![g("l https host=*.a.test secret=s from=Selector"), http("u/r", "t/g", "p.q")], None, "s: *.a.test"),
        (
            44,
            vec![g("l https host=*.a.test secret=s from=Selector"), http("u/r", "t/g", "p.q"), labelled("u")],
            None,
            "s: *.a.test,p.q",
        ),
        // Every kind of the protocol where the list of kinds is empty.
        (44, vec![g("l https secret=s kinds="), http("t/r", "g", "x")], None, "s: x"),
        (44, vec![g("l https secret=s kinds="), route("GRPCRoute", "t/r", "g", "x")], None, "s: x"),
        (44, vec![g("l https secret=s kinds="), route("TLSRoute", "t/r", "g", "x")], None, "Invalid spec.listeners[0]"),
        (45, vec![g("l https secret=s"), vetoed(not_ready)], None, "s: x"),
        (45, vec![g("l https secret=s"), vetoed(forbidden)], None, "Invalid spec.listeners[0]"),
        (46, vec![g("l https host=x secret=s,r")], None, "Invalid spec.listeners[0]"),
        (46, vec![g("l https host=x secret=other/s")], None, "Refused spec.listeners[0]"),
        (47, vec![set(""), child()], Some("t"), "none"),
        (47, vec![set("None"), child()], Some("t"), "none"),
        (47, vec![set("Same"), child()], Some("t"), "s: x"),
        (47, vec![child()], Some("t"), "none"),
    ];
    let mut wrong = Vec::new();
    for (rule, objects, set, expected) in table {
        let text = shown(&of_gateway(&objects, set, &settings()));
        if text != expected {
            wrong.push(format!("rule {rule}: {text:?} instead of {expected:?}: {objects:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn services_want_what_the_rules_say() {
    let names = "g/secretname: s\ng/dnsnames: x.a.test";
    for (rule, object, expected) in [
        (48, service(names, "LoadBalancer"), "s: x"),
        (48, service(names, "ClusterIP"), "Skipped metadata.annotations[cert.gardener.cloud/secretname]"),
        (
            48,
            service("g/secretname: s\ng/dnsnames: *", "LoadBalancer"),
            "Invalid metadata.annotations[cert.gardener.cloud/dnsnames]; Invalid metadata.annotations[cert.gardener.cloud/secretname]",
        ),
        (
            48,
            service("g/secretname: s\ndns.gardener.cloud/dnsnames: *", "LoadBalancer"),
            "Invalid metadata.annotations[cert.gardener.cloud/secretname]",
        ),
        (
            49,
            service(&format!("{names}\ng/secret-namespace: kube-system"), "LoadBalancer"),
            "Refused metadata.annotations[cert.gardener.cloud/secret-namespace]",
        ),
        (49, service(&format!("{names}\ng/secret-namespace: t"), "LoadBalancer"), "s: x"),
        (34, service("g/dnsnames: x.a.test", "LoadBalancer"), "none"),
    ] {
        assert_eq!(shown(&of_service(&object, &settings())), expected, "rule {rule}: {object}");
    }
}

#[test]
fn each_kind_names_its_secrets_whether_it_asks_or_not() {
    use crate::kube::resource::Selector;
    use crate::sources::SourceEvent;
    use crate::sources::ingress::IngressSource;
    use crate::sources::service::ServiceSource;
    fn named(mut source: impl Source, objects: &[Value]) -> Vec<String> {
        for object in objects {
            let kind = object["kind"].as_str();
            let target =
                source.targets().into_iter().find(|t| kind.is_none_or(|kind| kind == t.resource.kind)).unwrap();
            let parsed = (source.parser(&target).0)()(object);
            source.apply(&target, SourceEvent::Present(parsed));
        }
        source.named().iter().map(ToString::to_string).collect()
    }
    for lines in ["", "theirs: 1", ACME, "n/ignore: true", "n/certificate: false"] {
        let ingress = ingress(lines, "s:x :y r:z q:", "x");
        assert_eq!(named(IngressSource::new(Selector::All, false), &[ingress]), ["t/s", "t/r", "t/q"], "{lines}");
        let listeners = "a https host=x secret=s,other/r,q\nb http secret=p\nc passthrough secret=o";
        let objects = [gateway(lines, listeners), listener_set("u", lines, "l https secret=s")];
        let of_gateways = ["t/s", "other/r", "t/q", "t/p", "t/o", "u/s"];
        assert_eq!(named(GatewaySource::new(Selector::All), &objects), of_gateways, "{lines}");
    }
    for type_ in ["LoadBalancer", "ClusterIP"] {
        let service = service("n/secret: s\ng/secretname: r\nn/ignore: true", type_);
        assert_eq!(named(ServiceSource::new(Selector::All), &[service]), ["t/s", "t/r"]);
    }
    assert_eq!(named(ServiceSource::new(Selector::All), &[service("", "LoadBalancer")]), [""; 0]);
}
