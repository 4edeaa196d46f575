//! The solver of each name, and the Secrets of a ClusterIssuer in the cluster resource namespace.

use notariat_lab::{Pebble, Port};

use super::place::{LINES, Place, UPDATE};
use crate::support::Site;
use crate::support::cluster::Cluster;

#[test]
fn each_name_is_proved_by_the_solver_that_cert_manager_would_choose() {
    let place = Place::new();
    // A solver whose key does not exist, for names that others serve better.
    let wrong = UPDATE.replace("name: tsig,", "name: nowhere,");
    let with = |solver: &str, selector: &str| solver.replace("{selector}", &format!("selector: {{{selector}}}, "));
    let solvers = [
        with(&wrong, "dnsNames: [other.site.test], dnsZones: [site.test]"),
        with(UPDATE, "dnsZones: [a.site.test]"),
        with(&wrong, "dnsZones: [site.test]"),
        with("{{selector}http01: {ingress: {}}}", "dnsZones: [web.a.site.test]"),
        with("{{selector}dns01: {route53: {region: x}}}", "dnsNames: [aws.a.site.test]"),
        with(UPDATE, "matchLabels: {labelled: 'yes'}, dnsNames: [labelled.b.site.test]"),
    ];
    let solvers: Vec<&str> = solvers.iter().map(String::as_str).collect();
    place.cluster_issuer("lab", &solvers, "");
    place.certificate("{a}", "zone", &["x.a", "y.a"], "");
    place.certificate("{a}", "wild", &["*.web.a"], "");
    place.certificate("{a}", "http", &["web.a"], "");
    place.certificate("{a}", "aws", &["aws.a"], "");
    place.certificate("{b}", "wrong", &["x.b"], "");
    place.certificate("{b}", "labelled", &["labelled.b"], "");
    place.kubectl(&["-n", "{b}", "label", "certificate", "labelled", "labelled=yes"]);
    // The tenant's Secret of that name is no Secret of the ClusterIssuer.
    place.kubectl(&["-n", "{b}", "create", "secret", "generic", "nowhere", "--from-literal=secret=AAAA"]);
    let daemon = place.daemon(LINES, &[]);
    place.tenants.until_issued(&daemon, "{a}", "zone", &["x.a", "y.a"]);
    place.tenants.until_issued(&daemon, "{a}", "wild", &["*.web.a"]);
    place.tenants.until_issued(&daemon, "{b}", "labelled", &["labelled.b"]);
    place.tenants.until_told("{a}", "http", "Warning Refused ", "-http-listen");
    place.tenants.until_told("{a}", "aws", "Warning Refused ", "route53");
    let nowhere = format!("the Secret {}/nowhere with the TSIG key does not exist", place.resources);
    daemon.until_it_says(&nowhere);
    assert_eq!(place.tenants.orders(), 3, "{}", daemon.log());
    daemon.kill();
}

#[test]
fn a_name_with_an_http_solver_is_proved_by_the_responder() {
    let port = Port::new();
    let site = Site::with_ca(Pebble::setup().http_port(port.number()));
    let place = Place::on(Cluster::alone(site));
    place.cluster_issuer("lab", &["{http01: {ingress: {ingressClassName: any}}}"], "");
    place.certificate("{a}", "web", &["www"], "");
    let at = format!("127.0.0.1:{}", port.number());
    let defaults = format!("{{http: {{via: '{at}'}}}}");
    place.tenants.config(&[("namespaces", "{a}: {domains: [site.test]}"), ("defaults", &defaults)]);
    let daemon = place.start(&["-http-listen", &at]);
    place.tenants.until_issued(&daemon, "{a}", "web", &["www"]);
    assert_eq!((place.tenants.orders(), place.tenants.cluster.site.dns.updates()), (1, 0), "{}", daemon.log());
    daemon.kill();
}
