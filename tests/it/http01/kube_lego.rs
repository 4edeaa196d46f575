//! Ingresses of kube-lego without a TSIG key: its own examples behind nginx, and the rule that chooses the way of each name.

use notariat_lab::process::Server;
use notariat_lab::{Hmac, Key, NameServer, Pebble, Place, Port, Resolver, Scratch, Software, Zone};

use super::fronts::ROUTE;
use super::nginx;
use crate::sources::seeds::Documentation;
use crate::support::cluster::Cluster;
use crate::support::run::notariat;
use crate::support::tenants::Tenants;
use crate::support::{Run, Site};
use notariat_lab::Kube;

const ACME: &str = "kubernetes.io/tls-acme: 'true'";

/// The examples, with the name server of somebody else: nobody here has a key for it.
fn site(front: &Port) -> Site {
    let zone = ["echo", "mysql", "phpmyadmin", "postgres"]
        .iter()
        .fold(Zone::new("example.com"), |zone, host| zone.line(&format!("{host} A 127.0.0.1")));
    let dns = NameServer::setup(Software::Bind).zone(zone).start();
    let resolver = Resolver::setup().forward("example.com", dns.addr()).start();
    let pebble = Pebble::setup().dns_server(resolver.addr()).http_port(front.number()).start();
    Site { store: Scratch::new("store"), dns, resolver, pebble, key: Key::new("of.nobody", Hmac::Sha256) }
}

#[test]
fn the_examples_of_kube_lego_lead_to_their_secrets_behind_nginx_without_any_key() {
    let (front, responder, files) = (Port::new(), Port::new(), Scratch::new("front"));
    let at = format!("127.0.0.1:{}", responder.number());
    let route = ROUTE.replace("127.0.0.1:8089", &at);
    let servers = format!(
        "server {{ listen 127.0.0.1:{}; {route} location / {{ return 200 'the backend of the Ingress'; }} }}",
        front.number()
    );
    let nginx = Server::start("nginx", &nginx(&Place::Host, &files, &servers), &files.join("log"));
    let _nginx = nginx.until_it_listens(&Place::Host, &format!("127.0.0.1:{}", front.number()));

    let namespaces = [("default", "{a}"), ("echoserver", "{b}"), ("kube-lego", "{own}")];
    let text = include_str!("../../vectors/seeds/kube-lego.yaml");
    let text = format!("# flags: -http-listen {at}\n{text}");
    let mut documentation = Documentation::at(&text, site(&front), &namespaces);
    let tenants = &documentation.tenants;
    tenants.kubectl(&["-n", "{own}", "delete", "secret", "tsigkey"]);
    let defaults = format!("{{email: admin@example.com, http: {{via: '127.0.0.1:{}'}}}}", front.number());
    tenants.config(&[
        ("namespaces", "{a}: {domains: [example.com]}\n{b}: {domains: [echo.example.com]}"),
        ("defaults", &defaults),
    ]);
    documentation.leads_to_its_secrets("config,ingress");

    let tenants = &documentation.tenants;
    let Site { pebble, dns, .. } = &tenants.cluster.site;
    assert_eq!(dns.updates(), 0);
    // Three certificates of 2, 1 and 1 names: 2d + 5 requests each, of which two are polls. More polls only while Pebble validates.
    let lines = pebble.request_lines();
    let count = |kind: &str| lines.iter().filter(|line| line.contains(kind)).count();
    let asked = ["/order-plz", "/authZ/", "/chalZ/", "/finalize-order/", "/certZ/"].map(count);
    assert_eq!(asked, [3, 4, 4, 3, 3], "{lines:#?}");
    assert!((6..=12).contains(&count("/my-order/")), "{lines:#?}");
}

/// The output of a command of notariat about the ConfigMap of the tenants.
fn printed(tenants: &Tenants, words: &[&str]) -> String {
    let allowed = format!("-allow-namespaces={},{}", tenants.a, tenants.b);
    let cluster = &tenants.cluster;
    let command = cluster.command(&cluster.service_account(), &[allowed.as_str()]);
    Run::of(notariat().args(words).args(command.get_args())).stdout
}

#[test]
fn the_configuration_chooses_the_way_of_each_name_of_an_ingress() {
    let port = Port::new();
    let at = format!("127.0.0.1:{}", port.number());
    let site = Site::with_ca(Pebble::setup().http_port(port.number()));
    let tenants = Tenants::on(Cluster::at(Kube::shared(), site));
    let defaults =
        format!("{{email: a@site.test, http: {{via: '{at}'}}, dns: {{server: '{{server}}', propagation: primary}}}}");
    let namespaces = "{a}: {domains: [site.test], wildcards: true}";
    tenants.config(&[("namespaces", namespaces), ("defaults", &defaults)]);
    tenants.ingress("{a}", "web", ACME, "[{secretName: web, hosts: [www.site.test, '*.a.site.test']}]");
    let other = "notariat/certificate: 'true'";
    tenants.ingress("{a}", "other", other, "[{secretName: other, hosts: [b.site.test]}]");

    // No key at all: http-01, and no way for a wildcard and for the Ingress that did not come from kube-lego.
    let flags = ["-sources", "config,ingress", "-http-listen", &at];
    let daemon = tenants.daemon(&flags);
    tenants.until_issued(&daemon, "{a}", "web", &["www"]);
    tenants.until_told("{a}", "web", "Warning Refused ", "*.a.site.test is a wildcard, which only dns-01 proves");
    daemon.until_it_says("no TSIG key is configured for the zone site.test");
    assert_eq!(tenants.cluster.site.dns.updates(), 0);
    let explained = printed(&tenants, &["explain", "www.site.test"]);
    let expected =
        "proved by dns-01 by default; by http-01 for an Ingress with kubernetes.io/tls-acme where -http-listen is set";
    assert!(explained.contains(expected), "{explained}");
    let status: serde_json::Value = serde_json::from_str(&printed(&tenants, &["status", "-o", "json"])).unwrap();
    let rows = status["certificates"].as_array().unwrap();
    let web = rows.iter().find(|row| row["secret"] == tenants.filled("{a}/web")).unwrap();
    assert_eq!(web["challenges"], serde_json::json!(["http-01"]), "{status:#}");

    // A zone with a key: the same Ingress is proved by DNS, wildcard included, because the configuration changed.
    let zones = "[{zone: site.test, server: '{server}', tsigSecretName: tsigkey}]";
    tenants.config(&[("namespaces", namespaces), ("defaults", &defaults), ("zones", zones)]);
    tenants.until_issued(&daemon, "{a}", "web", &["*.a", "www"]);
    tenants.until_issued(&daemon, "{a}", "other", &["b"]);
    let updates = tenants.cluster.site.dns.updates();
    assert_eq!(updates, 4, "one UPDATE to add and one to remove for each of two certificates");
    let explained = printed(&tenants, &["explain", "www.site.test"]);
    assert!(explained.contains("; proved by dns-01 by default\n"), "{explained}");

    // An explicit word decides before the key.
    let said = zones.replace("}]", "}, {zone: www.site.test, challenge: http-01}]");
    tenants.config(&[("namespaces", namespaces), ("defaults", &defaults), ("zones", &said)]);
    tenants.kubectl(&["-n", "{a}", "annotate", "secret", "other", "notariat/renew=now"]);
    tenants.ingress("{a}", "web", ACME, "[{secretName: web, hosts: [www.site.test]}]");
    tenants.kubectl(&["-n", "{a}", "annotate", "secret", "web", "notariat/renew=now"]);
    tenants.until_issued(&daemon, "{a}", "web", &["www"]);
    daemon.until("the other one is renewed", || tenants.orders() == 5);
    daemon.until("by DNS", || tenants.cluster.site.dns.updates() == updates + 2);
    let explained = printed(&tenants, &["explain", "www.site.test"]);
    assert!(explained.contains("; proved by http-01 as the zone www.site.test in `zones` says\n"), "{explained}");
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(tenants.cluster.site.dns.updates(), updates + 2, "nothing more was published for the Ingress");

    // Without the responder there is no way but DNS.
    let daemon = tenants.daemon(&flags[..2]);
    tenants.ingress("{a}", "web", ACME, "[{secretName: web, hosts: [www.site.test, d.site.test]}]");
    daemon.until_it_says("http-01 is wanted and -http-listen is not set");
    tenants.config(&[("namespaces", namespaces), ("defaults", &defaults), ("zones", zones)]);
    tenants.until_issued(&daemon, "{a}", "web", &["d", "www"]);
    assert_eq!(daemon.terminate(), 0);
}
