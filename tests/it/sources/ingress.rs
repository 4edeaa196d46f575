//! The items of an Ingress: what leads to a certificate, and what is said of the rest.

use crate::support::tenants::Tenants;

const ACME: &str = "kubernetes.io/tls-acme: 'true'";

#[test]
fn each_item_of_an_ingress_is_served_or_says_why_not() {
    let tenants = Tenants::new();
    let issuers = "lab: {directory: '{ca}', caSecretName: roots, replaces: [letsencrypt-prod]}\nother: {directory: '{ca}', caSecretName: roots}";
    let roots = format!("--from-file=ca.crt={}", tenants.cluster.site.pebble.ca_file().display());
    tenants.cluster.kubectl(&["create", "secret", "generic", "roots", &roots]);
    tenants.config(&[
        ("issuers", issuers),
        (
            "namespaces",
            "{a}: {domains: [a.site.test], issuers: [lab]}\n{b}: {domains: [b.site.test], wildcards: true, certificatesPerWeek: 100}",
        ),
    ]);
    // Rules 1, 2, 3, 4, 5, 10, 11.
    tenants.ingress("{a}", "one", ACME, "[{secretName: one, hosts: [x1.a.site.test]}]");
    tenants.ingress("{a}", "two", "kubernetes.io/tls-acme: 'yes'", "[{secretName: two, hosts: [x2.a.site.test]}]");
    tenants.ingress(
        "{a}",
        "three",
        ACME,
        "[{secretName: three, hosts: [y3.a.site.test, x3.a.site.test, x3.a.site.test]}]",
    );
    tenants.ingress("{a}", "four", ACME, "[{}, {secretName: four, hosts: [x4.a.site.test]}]");
    tenants.ingress(
        "{a}",
        "five",
        ACME,
        "[{hosts: [w.a.site.test]}, {hosts: [v.a.site.test]}, {secretName: five, hosts: [x5.a.site.test]}]",
    );
    tenants.ingress("{a}", "ten", ACME, "[{secretName: ten, hosts: [10.0.0.1, x10.a.site.test, localhost]}]");
    // Rules 6 and 7: the hosts of the rules that no item lists.
    tenants.apply(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {namespace: '{a}', name: seven, annotations: {kubernetes.io/tls-acme: 'True'}}\n\
         spec:\n  tls: [{secretName: seven}, {secretName: eight, hosts: [y7.a.site.test]}]\n  rules: [{host: x7.a.site.test, http: &h {paths: [{path: /, \
         pathType: Prefix, backend: {service: {name: x, port: {number: 80}}}}]}}, {host: y7.a.site.test, http: *h}]",
    );
    // Rule 13.
    tenants.ingress(
        "{a}",
        "thirteen",
        ACME,
        "[{secretName: thirteen, hosts: [x13.a.site.test]}, {secretName: thirteen, hosts: [y13.a.site.test]}]",
    );
    // Rules 23, 24, 25: mapped and unmapped issuers of cert-manager, and an issuer that is not in the line.
    let mapped = "cert-manager.io/cluster-issuer: letsencrypt-prod";
    tenants.ingress("{a}", "mapped", mapped, "[{secretName: mapped, hosts: [x23.a.site.test]}]");
    let unmapped = "kubernetes.io/tls-acme: 'true', cert-manager.io/cluster-issuer: elsewhere";
    tenants.ingress("{a}", "unmapped", unmapped, "[{secretName: unmapped, hosts: [x24.a.site.test]}]");
    let other = "notariat/certificate: 'true', notariat/issuer: other";
    tenants.ingress("{a}", "other", other, "[{secretName: other, hosts: [x25.a.site.test]}]");
    // Rules 27 and 28.
    tenants.ingress("{a}", "outside", ACME, "[{secretName: outside, hosts: [xa.site.test, x27.a.site.test]}]");
    tenants.ingress("{a}", "star", ACME, "[{secretName: star, hosts: ['*.w.a.site.test']}]");
    tenants.ingress("{b}", "star", ACME, "[{secretName: star, hosts: ['*.b.site.test']}]");
    let daemon = tenants.daemon(&["-sources", "config,ingress"]);
    for (namespace, secret, names) in [
        ("{a}", "one", &["x1.a"][..]),
        ("{a}", "three", &["x3.a", "y3.a"]),
        ("{a}", "four", &["x4.a"]),
        ("{a}", "five", &["x5.a"]),
        ("{a}", "ten", &["x10.a"]),
        ("{a}", "seven", &["x7.a"]),
        ("{a}", "eight", &["y7.a"]),
        ("{a}", "thirteen", &["x13.a", "y13.a"]),
        ("{a}", "mapped", &["x23.a"]),
        ("{a}", "outside", &["x27.a"]),
        ("{b}", "star", &["*.b"]),
    ] {
        tenants.until_issued(&daemon, namespace, secret, names);
    }
    for (object, start, part) in [
        ("one", "Normal Issued ", "it is for x1.a.site.test"),
        ("two", "Warning Invalid metadata.annotations[kubernetes.io/tls-acme]: ", "counts as nothing"),
        ("four", "Warning Invalid spec.tls[0]: ", ""),
        ("five", "Normal Skipped spec.tls[0]: ", "spec.tls[1]"),
        ("ten", "Warning Invalid spec.tls[0]: ", "10.0.0.1"),
        ("ten", "Warning Invalid spec.tls[0]: ", "localhost"),
        ("unmapped", "Normal Skipped ", "elsewhere"),
        ("other", "Warning Refused spec.tls[0]: ", "the issuer other is not for the namespace {a}"),
        ("outside", "Warning Refused spec.tls[0]: ", "xa.site.test"),
        ("star", "Warning Refused spec.tls[0]: ", "wildcards: true"),
    ] {
        tenants.until_told("{a}", object, start, part);
    }
    for secret in ["two", "unmapped", "other", "star"] {
        assert_eq!(tenants.names("{a}", secret), None, "{secret}");
    }
    assert_eq!(tenants.orders(), 11, "{:#?}", tenants.cluster.site.pebble.request_lines());
    // The order of hosts means nothing.
    tenants.ingress("{a}", "three", ACME, "[{secretName: three, hosts: [x3.a.site.test, y3.a.site.test]}]");
    tenants.ingress("{a}", "last", ACME, "[{secretName: last, hosts: [last.a.site.test]}]");
    tenants.until_issued(&daemon, "{a}", "last", &["last.a"]);
    assert_eq!(tenants.orders(), 12);
    daemon.kill();
}
