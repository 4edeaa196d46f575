//! Kinds that may not be read, that do not exist yet, and that turn empty.

use crate::support::tenants::Tenants;

const ACME: &str = "kubernetes.io/tls-acme: 'true'";

#[test]
fn a_source_that_may_not_be_read_stops_alone_and_its_last_objects_hold() {
    let tenants = Tenants::new();
    let entry = "- {secret: entry, domains: [entry.site.test]}";
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test]}"), ("certificates", entry)]);
    tenants.ingress("{a}", "web", ACME, "[{secretName: web, hosts: [x.a.site.test]}]");
    tenants.kubectl(&["delete", "clusterrolebinding", "notariat-sources-{own}"]);
    let daemon = tenants.daemon(&["-sources", "config,ingress"]);
    daemon.until_it_says("source-denied what=/ingresses");
    tenants.until_issued(&daemon, "{own}", "entry", &["entry"]);
    assert_eq!((tenants.names("{a}", "web"), daemon.log().matches("source-denied").count()), (None, 1));
    daemon.kill();

    tenants.apply(crate::support::tenants::RIGHTS);
    let daemon = tenants.daemon(&["-sources", "config,ingress"]);
    tenants.until_issued(&daemon, "{a}", "web", &["x.a"]);
    tenants.kubectl(&["delete", "clusterrolebinding", "notariat-sources-{own}"]);
    // The watch that is open goes on until it ends; then it is refused. What it showed last holds.
    tenants.kubectl(&["-n", "{a}", "annotate", "secret", "web", "notariat/renew=1"]);
    daemon.until("it is renewed", || daemon.log().matches("issued secret=").count() == 2);
    daemon.kill();
}
