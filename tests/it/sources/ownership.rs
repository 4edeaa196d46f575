//! Secrets that exist: whose they are, and what an Ingress may do to them.

use crate::support::tenants::Tenants;
use crate::support::x509;

const ACME: &str = "kubernetes.io/tls-acme: 'true'";

#[test]
fn an_ingress_takes_no_secret_that_somebody_else_made() {
    let tenants = Tenants::new();
    let namespace = tenants.cluster.namespace.clone();
    let soon = |secret: &str, from: i64, days: i64| {
        tenants.cluster.tls(secret, &x509::make(&[&format!("{secret}.site.test")], "somebody", from, days));
    };
    let mark = |secret: &str, what: &str| drop(tenants.cluster.kubectl(&["annotate", "secret", secret, what]));
    // Rules 20, 21, 22: unowned; to be adopted; of kube-lego; Opaque; of cert-manager, in time and overdue.
    for (secret, from, days) in [
        ("plain", -1, 80),
        ("broken", -90, -1),
        ("adopted", -1, 80),
        ("lego", -1, 80),
        ("manager", -1, 80),
        ("overdue", -89, 1),
    ] {
        soon(secret, from, days);
    }
    mark("lego", "kubernetes.io/tls-acme=true");
    mark("manager", "cert-manager.io/certificate-name=manager");
    mark("overdue", "cert-manager.io/certificate-name=overdue");
    tenants.cluster.kubectl(&["create", "secret", "generic", "opaque", "--from-literal=cert=x"]);
    // Rule 52: the certificates of clients' CAs stay beside the pair.
    let before = |secret: &str| tenants.cluster.get(secret, r"{.data.tls\.crt}");
    let held: Vec<String> = ["plain", "broken", "adopted", "lego", "manager"].map(before).to_vec();
    tenants.config(&[("namespaces", "{own}: {domains: [site.test], certificatesPerWeek: 100}")]);
    for secret in ["plain", "broken", "lego", "manager", "overdue", "opaque", "fresh"] {
        tenants.ingress("{own}", secret, ACME, &format!("[{{secretName: {secret}, hosts: [{secret}.site.test]}}]"));
    }
    let adopt = "kubernetes.io/tls-acme: 'true', notariat/adopt: 'true'";
    tenants.ingress("{own}", "adopted", adopt, "[{secretName: adopted, hosts: [adopted.site.test]}]");
    let daemon = tenants.daemon(&["-sources", "config,ingress"]);
    tenants.until_issued(&daemon, "{own}", "fresh", &["fresh"]);
    daemon.until("the overdue one is taken", || {
        tenants.cluster.get("overdue", r"{.metadata.annotations.notariat/owner}").contains("overdue")
    });
    for (object, part) in [
        ("plain", "notariat/adopt"),
        ("broken", "notariat/adopt"),
        ("manager", "it belongs to cert-manager"),
        ("opaque", "its type is Opaque"),
    ] {
        tenants.until_told("{own}", object, &format!("Warning NotOurs Secret {namespace}/{object}: "), part);
    }
    assert_eq!(["plain", "broken", "adopted", "lego", "manager"].map(before).to_vec(), held);
    assert_eq!(tenants.orders(), 2, "for the fresh one and the overdue one");

    tenants.cluster.kubectl(&["patch", "secret", "fresh", "-p", r#"{"data": {"ca.crt": "eA=="}}"#]);
    let fresh = before("fresh");
    tenants.cluster.kubectl(&["annotate", "secret", "fresh", "notariat/renew=1"]);
    daemon.until("it is renewed", || before("fresh") != fresh);
    assert_eq!(tenants.cluster.get("fresh", r"{.data.ca\.crt}"), "eA==");
    // What is adopted and what was kube-lego's is kept up to date from now on: a further name is ordered.
    for (name, annotations) in [("adopted", adopt), ("lego", ACME)] {
        let tls = format!("[{{secretName: {name}, hosts: [{name}.site.test, more.{name}.site.test]}}]");
        tenants.ingress("{own}", name, annotations, &tls);
        tenants.until_issued(&daemon, "{own}", name, &[name, &format!("more.{name}")]);
    }
    daemon.kill();
}
