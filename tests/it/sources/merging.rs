//! Several objects, and the configuration, that want one Secret.

use crate::support::tenants::Tenants;

const ACME: &str = "kubernetes.io/tls-acme: 'true'";

#[test]
fn one_secret_of_several_ingresses_has_the_names_of_all_and_one_that_is_refused_delays_none() {
    let tenants = Tenants::new();
    tenants.config(&[
        (
            "namespaces",
            "{a}: {domains: [a.site.test]}\n{b}: {domains: [b.site.test]}\n{own}: {domains: [own.site.test]}",
        ),
        ("certificates", "- {secret: [alone, '{own}/copy'], domains: [x18.own.site.test, '*.w.own.site.test']}"),
    ]);
    // Rules 14, 15, 16.
    tenants.ingress("{a}", "j", ACME, "[{secretName: s, hosts: [y.a.site.test]}]");
    tenants.ingress("{a}", "i", ACME, "[{secretName: s, hosts: [x.a.site.test]}]");
    tenants.ingress("{a}", "evil", ACME, "[{secretName: s, hosts: [evil.b.site.test, '*.b.site.test']}]");
    let p384 = "kubernetes.io/tls-acme: 'true', notariat/key-type: ecdsa-p384";
    tenants.ingress("{a}", "k1", p384, "[{secretName: keys, hosts: [x.k.a.site.test]}]");
    let p256 = "kubernetes.io/tls-acme: 'true', notariat/key-type: ecdsa-p256";
    tenants.ingress("{a}", "k2", p256, "[{secretName: keys, hosts: [y.k.a.site.test]}]");
    // Rule 18.
    tenants.ingress("{own}", "silent", ACME, "[{secretName: alone, hosts: [x18.own.site.test, p.w.own.site.test]}]");
    tenants.ingress("{own}", "loud", ACME, "[{secretName: copy, hosts: [y18.own.site.test]}]");
    let daemon = tenants.daemon(&["-sources", "config,ingress"]);
    tenants.until_issued(&daemon, "{a}", "s", &["x.a", "y.a"]);
    tenants.until_issued(&daemon, "{a}", "keys", &["x.k.a", "y.k.a"]);
    tenants.until_issued(&daemon, "{own}", "alone", &["*.w.own", "x18.own"]);
    tenants.until_issued(&daemon, "{own}", "copy", &["*.w.own", "x18.own"]);
    tenants.until_told("{a}", "evil", "Warning Refused spec.tls[0]: ", "evil.b.site.test");
    tenants.until_told("{a}", "k2", "Warning Conflict spec.tls[0]: Ingress {a}/k1 fills the same Secret", "key type");
    tenants.until_told("{own}", "loud", "Warning Conflict spec.tls[0]: ", "lacks y18.own.site.test");
    assert_eq!(tenants.events("{own}", "silent"), [""; 0]);
    let key_type = || {
        tenants.kubectl(&[
            "-n",
            "{a}",
            "get",
            "secret",
            "keys",
            "-o",
            r"jsonpath={.metadata.annotations.notariat/key-type}",
        ])
    };
    assert_eq!(key_type(), "ecdsa-p384");
    assert_eq!(tenants.orders(), 3);
    // Created again, the first object is younger than the second one, and still the first.
    tenants.kubectl(&["-n", "{a}", "delete", "ingress", "k1"]);
    tenants.ingress("{a}", "k1", p384, "[{secretName: keys, hosts: [x.k.a.site.test]}]");
    // Grow now: another object adds a name.
    tenants.ingress("{a}", "l", ACME, "[{secretName: s, hosts: [z.a.site.test]}]");
    tenants.until_issued(&daemon, "{a}", "s", &["x.a", "y.a", "z.a"]);
    assert_eq!((key_type().as_str(), tenants.orders()), ("ecdsa-p384", 4));
    daemon.kill();
}
