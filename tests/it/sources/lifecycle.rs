//! Objects that come, change and go: what is ordered then, and what is not.

use std::time::Duration;

use crate::support::tenants::Tenants;

const ACME: &str = "kubernetes.io/tls-acme: 'true'";

/// Waits until an Ingress that comes now has its certificate: everything before it was decided about.
fn passes(tenants: &Tenants, daemon: &crate::support::run::Daemon, name: &str) {
    tenants.ingress("{a}", name, ACME, &format!("[{{secretName: {name}, hosts: [{name}.a.site.test]}}]"));
    tenants.until_issued(daemon, "{a}", name, &[&format!("{name}.a")]);
}

#[test]
fn what_goes_and_comes_back_costs_no_order_and_what_changes_costs_one() {
    let tenants = Tenants::new();
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test], certificatesPerWeek: 100}")]);
    let web = |hosts: &str| tenants.ingress("{a}", "web", ACME, &format!("[{{secretName: web, hosts: [{hosts}]}}]"));
    let daemon = tenants.daemon(&["-sources", "config,ingress"]);
    daemon.until_it_says("leading lease=");
    // Rule 32: created, and edited five times within two seconds.
    for n in 1..=6 {
        let hosts: Vec<String> = (1..=n).map(|n| format!("x{n}.a.site.test")).collect();
        web(&hosts.join(", "));
    }
    tenants.until_issued(&daemon, "{a}", "web", &["x1.a", "x2.a", "x3.a", "x4.a", "x5.a", "x6.a"]);
    assert_eq!(tenants.orders(), 1);
    let serial = || tenants.kubectl(&["-n", "{a}", "get", "secret", "web", "-o", r"jsonpath={.data.tls\.crt}"]);
    let first = serial();
    // Rule 31: deleted and created again, with and without its Secret.
    tenants.kubectl(&["-n", "{a}", "delete", "ingress", "web"]);
    web("x1.a.site.test, x2.a.site.test");
    passes(&tenants, &daemon, "p1");
    tenants.kubectl(&["-n", "{a}", "delete", "ingress", "web"]);
    tenants.kubectl(&["-n", "{a}", "delete", "secret", "web"]);
    passes(&tenants, &daemon, "p2");
    assert_eq!(tenants.names("{a}", "web"), None, "nobody wants it");
    web("x1.a.site.test, x2.a.site.test");
    daemon.until("it is restored", || tenants.names("{a}", "web").is_some());
    assert_eq!(serial(), first);
    // Rule 33: a host that went costs nothing now, and the renewal is smaller.
    web("x2.a.site.test");
    passes(&tenants, &daemon, "p3");
    assert_eq!((serial() == first, tenants.orders()), (true, 4), "three of them are for the others");
    tenants.kubectl(&["-n", "{a}", "annotate", "secret", "web", "notariat/renew=1"]);
    tenants.until_issued(&daemon, "{a}", "web", &["x2.a"]);
    // Rule 34: without the annotation nothing is renewed, and the Secret stays.
    tenants.kubectl(&["-n", "{a}", "annotate", "ingress", "web", "kubernetes.io/tls-acme-"]);
    passes(&tenants, &daemon, "p4");
    tenants.kubectl(&["-n", "{a}", "annotate", "--overwrite", "secret", "web", "notariat/renew=2"]);
    passes(&tenants, &daemon, "p5");
    assert_eq!(tenants.names("{a}", "web").unwrap(), ["x2.a.site.test"]);
    assert_eq!(tenants.orders(), 7);
    // Rule 30: an object that is being deleted is absent.
    let finalizers = r#"{"metadata": {"finalizers": ["test/waits"]}}"#;
    tenants.ingress("{a}", "late", "x: z", "[{secretName: late, hosts: [late.a.site.test]}]");
    tenants.kubectl(&["-n", "{a}", "patch", "ingress", "late", "--type=merge", "-p", finalizers]);
    tenants.kubectl(&["-n", "{a}", "delete", "ingress", "late", "--wait=false"]);
    tenants.kubectl(&["-n", "{a}", "annotate", "ingress", "late", "kubernetes.io/tls-acme=true"]);
    passes(&tenants, &daemon, "p6");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(tenants.names("{a}", "late"), None);
    tenants.kubectl(&[
        "-n",
        "{a}",
        "patch",
        "ingress",
        "late",
        "--type=merge",
        "-p",
        r#"{"metadata": {"finalizers": null}}"#,
    ]);
    daemon.kill();
}
