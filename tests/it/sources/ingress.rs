//! Ingresses as a source.

use crate::support::tenants::Tenants;

#[test]
fn an_ingress_gets_its_certificate_and_keeps_it() {
    let tenants = Tenants::new();
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test]}")]);
    tenants.ingress("{a}", "shop", "kubernetes.io/tls-acme: 'true'", "[{secretName: s, hosts: [x.a.site.test]}]");
    let daemon = tenants.daemon(&["-sources", "config,ingress"]);
    tenants.until_issued(&daemon, "{a}", "s", &["x.a"]);
    tenants.until_told("{a}", "shop", "Normal Issued ", "x.a.site.test");
    let orders = tenants.orders();
    assert_eq!(orders, 1, "{:#?}", tenants.cluster.site.pebble.request_lines());
    daemon.kill();
}
