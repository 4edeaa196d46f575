//! The kinds of objects that Gardener's documentation shows, with all fields that its examples have: each leads to its Secret, or to the
//! sentence that says why not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::gardener::Place;
use crate::csr::Made;

const ISSUERS: [(&str, &str); 4] = [
    (
        "issuer-staging",
        "acme: {server: '{ca}', email: admin@site.test, autoRegistration: true, \
         privateKeySecretRef: {name: issuer-staging-secret, namespace: '{own}'}}",
    ),
    ("issuer-ca", "ca: {privateKeySecretRef: {name: issuer-ca-secret, namespace: '{own}'}}"),
    ("issuer-selfsigned", "selfSigned: {}"),
    (
        "issuer-restricted",
        "acme: {server: '{ca}', email: admin@site.test, autoRegistration: true, domains: {include: [sub1.a.site.test], \
         exclude: [private.sub1.a.site.test]}}, requestsPerDayQuota: 50",
    ),
];

#[test]
fn each_documented_object_leads_to_its_secret_or_to_a_sentence() {
    let place = Place::new();
    for (name, spec) in ISSUERS {
        place.tenants.apply(&format!(
            "apiVersion: cert.gardener.cloud/v1alpha1\nkind: Issuer\nmetadata: {{namespace: '{{own}}', name: {name}}}\nspec: {{{spec}}}\n"
        ));
    }
    let made = Made::p256();
    let with_names = STANDARD.encode(made.csr("/CN=cert3.a.site.test", "DNS:cert3.a.site.test"));
    // As the documented one it has a common name and no other names.
    let without = STANDARD.encode(std::fs::read("tests/vectors/csr/cn-alone.pem").unwrap());
    for (name, spec) in [
        (
            "cert-simple",
            "commonName: cert1.a.site.test, dnsNames: [cert1.other.a.site.test], issuerRef: {name: issuer-staging}, \
             secretRef: {name: cert-simple-secret, namespace: '{a}'}, secretLabels: {key1: value1}, followCNAME: true",
        ),
        (
            "cert-wildcard",
            "commonName: '*.cert2.a.site.test', issuerRef: {name: issuer-staging}, \
             secretRef: {name: cert-wildcard-secret, namespace: '{a}'}",
        ),
        (
            "cert-csr",
            &format!(
                "csr: {with_names}, issuerRef: {{name: issuer-staging}}, secretRef: {{name: cert-csr-secret, namespace: '{{a}}'}}"
            ),
        ),
        ("cert-csr-of-a-name", &format!("csr: {without}, issuerRef: {{name: issuer-staging}}, secretName: of-a-name")),
        (
            "cert-with-keystores",
            "commonName: cert5.a.site.test, secretRef: {name: cert5, namespace: '{a}'}, keystores: {jks: {create: true, \
             passwordSecretRef: {secretName: keystore-secret, key: password}}, pkcs12: {create: true, passwordSecretRef: \
             {secretName: keystore-secret, key: password}}}, issuerRef: {name: issuer-staging}",
        ),
        ("cert-selfsigned", "commonName: ca1.a.site.test, isCA: true, issuerRef: {name: issuer-selfsigned}"),
        ("cert-ca", "commonName: cert6.a.site.test, issuerRef: {name: issuer-ca}, secretName: cert-ca"),
        ("cert-restricted", "commonName: x.sub1.a.site.test, secretName: cert-restricted"),
        (
            "cert-private",
            "commonName: private.sub1.a.site.test, secretName: cert-private, issuerRef: {name: issuer-restricted}",
        ),
    ] {
        place.certificate("{a}", name, spec);
    }
    let daemon = place.daemon(&[]);
    for (secret, names) in [
        ("cert-simple-secret", &["cert1.a", "cert1.other.a"][..]),
        ("cert-wildcard-secret", &["*.cert2.a"]),
        ("cert-csr-secret", &["cert3.a"]),
        ("cert-restricted", &["x.sub1.a"]),
    ] {
        place.tenants.until_issued(&daemon, "{a}", secret, names);
    }
    let labels = place.get("{a}", "secret", "cert-simple-secret")["metadata"]["labels"].clone();
    assert_eq!(labels["key1"], "value1", "{labels}");
    let (certificate, issuer) = ("certificate.cert.gardener.cloud", "issuer.cert.gardener.cloud");
    for (namespace, kind, name, state, part) in [
        ("{a}", certificate, "cert-csr-of-a-name", "Error", "subjectAltName"),
        ("{a}", certificate, "cert-with-keystores", "Error", "keystores"),
        ("{a}", certificate, "cert-selfsigned", "Waiting", "is no ACME Issuer"),
        ("{a}", certificate, "cert-ca", "Waiting", "is no ACME Issuer"),
        ("{a}", certificate, "cert-private", "Error", "is not for the issuer"),
        ("{a}", certificate, "cert-simple", "Ready", "certificate valid from"),
        ("{own}", issuer, "issuer-staging", "Ready", "account"),
        ("{own}", issuer, "issuer-restricted", "Ready", "account"),
        ("{own}", issuer, "issuer-ca", "Error", "no ACME Issuer"),
        ("{own}", issuer, "issuer-selfsigned", "Error", "no ACME Issuer"),
    ] {
        let mut last = String::new();
        daemon.until(name, || {
            let status = place.get(namespace, kind, name)["status"].clone();
            last = status.to_string();
            let message = status["message"].as_str().unwrap_or_default();
            status["state"] == state && message.contains(part)
        });
        assert!(last.contains("\"Ready\""), "{last}");
    }
    assert_eq!(place.tenants.orders(), 4, "{}", daemon.log());
    daemon.kill();
}
