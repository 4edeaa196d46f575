//! Tenants who try for what is not theirs: each try is refused with an Event, costs no order, and delays nobody.

use crate::support::tenants::Tenants;

const ACME: &str = "kubernetes.io/tls-acme: 'true'";

#[test]
fn a_tenant_gets_no_name_wildcard_or_secret_of_another_one() {
    let tenants = Tenants::new();
    let site = &tenants.cluster.site;
    // Rules 26 and 29: `a` has the whole zone, of which a part is for `b`.
    tenants.config(&[("namespaces", "{a}: {domains: [site.test], wildcards: true}\n{b}: {domains: [b.site.test]}")]);
    for (name, host) in [
        ("exact", "b.site.test"),
        ("below", "login.b.site.test"),
        ("star", "'*.b.site.test'"),
        ("above", "'*.site.test'"),
        ("zone", "elsewhere.test"),
        ("case", "x.b.site.test"),
    ] {
        tenants.ingress("{a}", name, ACME, &format!("[{{secretName: {name}, hosts: [{host}]}}]"));
    }
    // By annotations: no key, server, account, email or namespace can be named.
    let pretends = "kubernetes.io/tls-acme: 'true', notariat/domains: login.b.site.test";
    tenants.ingress("{a}", "pretends", pretends, "[{secretName: pretends, hosts: [mine.site.test]}]");
    let elsewhere = "kubernetes.io/tls-acme: 'true', notariat/secret: '{b}/victim', notariat/email: evil@evil.test, \
                     notariat/tsigSecretName: tsigkey, notariat/server: 192.0.2.1, cert.gardener.cloud/secret-namespace: '{b}'";
    tenants.ingress("{a}", "elsewhere", elsewhere, "[{secretName: elsewhere, hosts: [ok.site.test]}]");
    // A namespace that has no line.
    tenants.ingress("{own}", "lineless", ACME, "[{secretName: lineless, hosts: [own.site.test]}]");
    tenants.ingress("{b}", "victim", ACME, "[{secretName: victim, hosts: [login.b.site.test]}]");
    let daemon = tenants.daemon(&["-sources", "config,ingress"]);
    tenants.until_issued(&daemon, "{b}", "victim", &["login.b"]);
    tenants.until_issued(&daemon, "{a}", "elsewhere", &["ok"]);
    for (object, part) in [
        ("exact", "b.site.test"),
        ("below", "login.b.site.test"),
        ("star", "*.b.site.test"),
        ("above", "covers b.site.test"),
        ("zone", "elsewhere.test is in no range of the namespace {a}"),
        ("case", "x.b.site.test"),
        ("pretends", "login.b.site.test"),
    ] {
        tenants.until_told("{a}", object, "Warning Refused ", part);
        assert!(
            !tenants.events("{a}", object).join("\n").contains(&tenants.b),
            "no tenant reads the name of another one"
        );
        assert_eq!(tenants.names("{a}", object), None, "{object}");
    }
    tenants.until_told("{own}", "lineless", "Warning Refused ", "has no line in the key `namespaces`");
    assert_eq!(tenants.orders(), 2, "{:#?}", site.pebble.request_lines());
    daemon.kill();
}
