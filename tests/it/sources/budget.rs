//! The bounds of the wishes of a namespace: its orders of a week, the names of one certificate, and the configuration that is read first.

use std::time::Duration;

use crate::support::tenants::Tenants;

const ACME: &str = "kubernetes.io/tls-acme: 'true'";

#[test]
fn a_namespace_waits_after_its_orders_of_the_week_and_another_one_does_not() {
    let tenants = Tenants::new();
    let ingress = |namespace: &str, name: &str, zone: &str| {
        let tls = format!("[{{secretName: {name}, hosts: [{name}.{zone}.site.test]}}]");
        tenants.ingress(namespace, name, ACME, &tls);
    };
    ingress("{a}", "one", "a");
    // Rule 19: nothing is decided, and nothing said, while no ConfigMap was read.
    let daemon = tenants.daemon(&["-sources", "config,ingress"]);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!((tenants.orders(), tenants.events("{a}", "one").len()), (0, 0), "{}", daemon.log());
    let lines = "{a}: {domains: [a.site.test], certificatesPerWeek: 2}\n{b}: {domains: [b.site.test]}";
    tenants.config(&[("namespaces", lines)]);
    tenants.until_issued(&daemon, "{a}", "one", &["one.a"]);
    ingress("{a}", "two", "a");
    tenants.until_issued(&daemon, "{a}", "two", &["two.a"]);
    // Rule 51.
    ingress("{a}", "three", "a");
    tenants.until_told("{a}", "three", "Warning Waiting ", "2");
    ingress("{b}", "other", "b");
    tenants.until_issued(&daemon, "{b}", "other", &["other.b"]);
    assert_eq!(daemon.terminate(), 0);
    let daemon = tenants.daemon(&["-sources", "config,ingress"]);
    ingress("{b}", "last", "b");
    tenants.until_issued(&daemon, "{b}", "last", &["last.b"]);
    assert_eq!((tenants.orders(), tenants.names("{a}", "three")), (4, None), "a restart forgets no order");
    daemon.kill();
}

#[test]
fn a_certificate_has_a_hundred_names_and_one_event_speaks_of_the_rest() {
    let tenants = Tenants::new();
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test]}")]);
    // Rule 17: the names that are held stay, though they are the last ones of the alphabet.
    tenants.ingress("{a}", "many", ACME, "[{secretName: many, hosts: [z1.a.site.test, z2.a.site.test]}]");
    let daemon = tenants.daemon(&["-sources", "config,ingress"]);
    tenants.until_issued(&daemon, "{a}", "many", &["z1.a", "z2.a"]);
    let hosts: Vec<String> = (100..200).map(|n| format!("h{n}.a.site.test")).collect();
    let tls = format!("[{{secretName: many, hosts: [{}, z1.a.site.test, z2.a.site.test]}}]", hosts.join(", "));
    tenants.ingress("{a}", "many", ACME, &tls);
    tenants.until_told("{a}", "many", "Warning Refused ", "100");
    let issued = || tenants.names("{a}", "many").is_some_and(|names| names.len() == 100);
    daemon.until("a hundred names are certified", issued);
    let names = tenants.names("{a}", "many").unwrap();
    assert_eq!(names[97..], ["h197.a.site.test", "z1.a.site.test", "z2.a.site.test"]);
    let refused = tenants.events("{a}", "many").into_iter().filter(|event| event.starts_with("Warning Refused"));
    // A busy machine may make the CA give up on one of so many names: that order is placed again.
    let failures = daemon.log().matches("failed secret=").count();
    assert_eq!((refused.count(), tenants.orders()), (1, 2 + failures), "{}", daemon.log());
    daemon.kill();
}
