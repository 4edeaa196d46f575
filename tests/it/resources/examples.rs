//! The examples of cert-manager's documentation (cert-manager.io/docs, as of 2026), with the names, servers and keys of this site in the place of
//! theirs: each leads to its Secret, or to its sentence.

use super::place::Place;
use crate::support::run::Daemon;

/// configuration/acme/dns01/rfc2136, with the algorithm of the site's key; configuration/acme: one by http01, with an external account, with an
/// account that exists, with several solvers; configuration/ca and configuration/selfsigned.
const ISSUERS: &str = "
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: example-issuer, namespace: '{a}'}
spec:
  acme:
    server: '{ca}'
    email: user@site.test
    privateKeySecretRef: {name: example-issuer-account-key}
    solvers:
    - dns01:
        rfc2136:
          nameserver: '{server}'
          tsigKeyName: notariat.key
          tsigAlgorithm: HMACSHA256
          tsigSecretSecretRef: {name: tsig-secret, key: tsig-secret-key}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: letsencrypt-staging}
spec:
  acme:
    email: user@site.test
    server: '{ca}'
    privateKeySecretRef: {name: example-issuer-account-key}
    solvers:
    - http01: {ingress: {ingressClassName: nginx}}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: my-acme-server-with-eab}
spec:
  acme:
    email: user@site.test
    server: '{ca}'
    externalAccountBinding: {keyID: my-keyID-1, keySecretRef: {name: eab-secret, key: secret}}
    privateKeySecretRef: {name: example-issuer-account-key}
    solvers:
    - http01: {ingress: {ingressClassName: nginx}}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: my-acme-server-with-existing-acme-account}
spec:
  acme:
    email: user@site.test
    disableAccountKeyGeneration: true
    privateKeySecretRef: {name: example-issuer-account-key}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: all-together}
spec:
  acme:
    email: user@site.test
    server: '{ca}'
    privateKeySecretRef: {name: all-together-account-key}
    solvers:
    - http01: {ingress: {ingressClassName: nginx}}
      selector: {matchLabels: {use-http01-solver: 'true'}}
    - dns01: {cloudflare: {email: user@site.test, apiKeySecretRef: {name: cloudflare-apikey-secret, key: apikey}}}
      selector: {dnsNames: [a.a.site.test, b.a.site.test]}
    - dns01: {rfc2136: {nameserver: '{server}', tsigKeyName: notariat.key, tsigAlgorithm: HMACSHA256, tsigSecretSecretRef: {name: tsig, key: secret}}}
      selector: {dnsZones: [test.a.site.test]}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: ca-issuer, namespace: '{a}'}
spec: {ca: {secretName: ca-key-pair}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: selfsigned-issuer, namespace: '{a}'}
spec: {selfSigned: {}}
";

/// usage/certificate: the one with all options, that of an ACME CA (tutorials/acme), output formats, name constraints, and a key that is
/// rotated; each with the issuers above.
const CERTIFICATES: &str = "
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: all-options, namespace: '{a}'}
spec:
  secretName: all-options-tls
  secretTemplate:
    annotations: {my-secret-annotation-1: foo, my-secret-annotation-2: bar}
    labels: {my-secret-label: foo}
  privateKey: {algorithm: RSA, encoding: PKCS1, size: 2048, rotationPolicy: Always}
  duration: 2160h
  renewBefore: 360h
  isCA: false
  usages: [server auth, client auth]
  subject: {organizations: [cert-manager]}
  commonName: example.a.site.test
  dnsNames: [example.a.site.test, www.example.a.site.test]
  uris: ['spiffe://cluster.local/ns/sandbox/sa/example']
  ipAddresses: [192.168.0.5]
  issuerRef: {name: ca-issuer, kind: Issuer, group: cert-manager.io}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: example-com, namespace: '{a}'}
spec:
  secretName: example-com-tls
  secretTemplate:
    annotations: {my-secret-annotation-1: foo, my-secret-annotation-2: bar}
    labels: {my-secret-label: foo}
  privateKey: {algorithm: RSA, encoding: PKCS1, size: 2048}
  duration: 2160h
  renewBefore: 360h
  isCA: false
  usages: [server auth, client auth]
  subject: {organizations: [jetstack]}
  commonName: example.a.site.test
  dnsNames: [example.a.site.test, www.example.a.site.test]
  issuerRef: {name: example-issuer, kind: Issuer, group: cert-manager.io}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: acme-crt, namespace: '{a}'}
spec:
  secretName: acme-crt-secret
  dnsNames: [example2.a.site.test, foo.example2.a.site.test]
  issuerRef: {name: letsencrypt-staging, kind: ClusterIssuer, group: cert-manager.io}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: my-cert, namespace: '{a}'}
spec:
  secretName: my-cert-tls
  dnsNames: [my.a.site.test]
  additionalOutputFormats: [{type: CombinedPEM}, {type: DER}]
  issuerRef: {name: example-issuer}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: ca-cert-example, namespace: '{a}'}
spec:
  secretName: example-ca-key-pair
  isCA: true
  issuerRef: {name: selfsigned, kind: ClusterIssuer}
  commonName: example1.a.site.test
  dnsNames: [example1.a.site.test]
  nameConstraints: {critical: true, permitted: {dnsDomains: [example1.a.site.test], ipRanges: ['10.10.0.0/16']}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: rotated, namespace: '{a}'}
spec:
  secretName: rotated-tls
  dnsNames: ['*.test.a.site.test', test.a.site.test]
  privateKey: {rotationPolicy: Always, algorithm: ECDSA}
  issuerRef: {name: all-together, kind: ClusterIssuer}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: by-provider, namespace: '{a}'}
spec: {secretName: by-provider-tls, dnsNames: [b.a.site.test], issuerRef: {name: all-together, kind: ClusterIssuer}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: by-nobody, namespace: '{a}'}
spec: {secretName: by-nobody-tls, dnsNames: [c.a.site.test], issuerRef: {name: all-together, kind: ClusterIssuer}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: no-server, namespace: '{a}'}
spec: {secretName: no-server-tls, dnsNames: [d.a.site.test], issuerRef: {name: my-acme-server-with-existing-acme-account, kind: ClusterIssuer}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: selfsigned-cert, namespace: '{a}'}
spec: {secretName: selfsigned-cert-tls, dnsNames: [e.a.site.test], issuerRef: {name: selfsigned-issuer}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: for-server, namespace: '{a}'}
spec:
  secretName: for-server-tls
  dnsNames: [foo.a.site.test]
  duration: 24h
  renewBefore: 12h
  privateKey: {rotationPolicy: Always, algorithm: RSA, encoding: PKCS1, size: 2048}
  keystores: {pkcs12: {create: true, passwordSecretRef: {name: pkcs12-password, key: password}}}
  issuerRef: {name: example-issuer, kind: Issuer}
";

#[test]
fn the_examples_of_cert_managers_documentation_lead_to_their_secrets_or_to_their_sentences() {
    let place = Place::new();
    let key = place.tenants.cluster.site.key.secret_text();
    let text = format!("--from-literal=tsig-secret-key={}", key.rsplit(':').next().unwrap());
    place.kubectl(&["-n", "{a}", "create", "secret", "generic", "tsig-secret", &text]);
    place.apply(ISSUERS);
    place.apply(CERTIFICATES);
    let daemon: Daemon = place.daemon("{a}: {domains: [a.site.test], wildcards: true, ownIssuers: ['{ca}']}", &[]);
    place.tenants.until_issued(&daemon, "{a}", "example-com-tls", &["example.a", "www.example.a"]);
    // A name under the wildcard of the same Certificate is not ordered; the zone itself is.
    place.tenants.until_issued(&daemon, "{a}", "rotated-tls", &["*.test.a", "test.a"]);
    let secret = place.get("{a}", "secret", "example-com-tls");
    let metadata = &secret["metadata"];
    let (annotations, labels) = (&metadata["annotations"], &metadata["labels"]);
    assert_eq!(
        (&annotations["my-secret-annotation-1"], &annotations["my-secret-annotation-2"]),
        (&"foo".into(), &"bar".into())
    );
    assert_eq!((&labels["my-secret-label"], &annotations["notariat/key-type"]), (&"foo".into(), &"rsa-2048".into()));
    for (name, start, part) in [
        ("example-com", "Normal Skipped ", "duration has no effect"),
        ("example-com", "Normal Skipped ", "subject has no effect"),
        ("example-com", "Normal Skipped ", "encoding has no effect"),
        ("all-options", "Normal Skipped ", "the Issuer \"ca-issuer\" is not an ACME issuer"),
        ("acme-crt", "Warning Refused ", "is proved by HTTP-01, and this notariat answers no such challenge"),
        ("my-cert", "Warning Refused ", "additionalOutputFormats"),
        ("ca-cert-example", "Warning Invalid ", "isCA"),
        ("by-provider", "Warning Refused ", "at the provider \"cloudflare\""),
        ("by-nobody", "Warning Refused ", "c.a.site.test has no solver"),
        ("no-server", "Normal Skipped ", "is not an ACME issuer"),
        ("selfsigned-cert", "Normal Skipped ", "is not an ACME issuer"),
        ("for-server", "Warning Refused ", "keystores"),
    ] {
        place.tenants.until_told("{a}", name, start, part);
    }
    assert_eq!(place.tenants.orders(), 2, "{}", daemon.log());
    daemon.kill();
}
