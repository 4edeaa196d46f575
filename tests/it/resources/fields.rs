//! Each field that is refused, and each that changes nothing.

use super::place::{LINES, Place, UPDATE};

/// More fields of the spec, and what the refusal says.
const REFUSED: [(&str, &str); 13] = [
    ("keystores: {jks: {create: true, passwordSecretRef: {name: p, key: k}}}", "keystores"),
    ("additionalOutputFormats: [{type: CombinedPEM}]", "additionalOutputFormats"),
    ("ipAddresses: ['192.0.2.1']", "ipAddresses"),
    ("uris: ['spiffe://a']", "uris"),
    ("emailAddresses: ['a@site.test']", "emailAddresses"),
    ("otherNames: [{oid: 1.2.3, utf8Value: a}]", "otherNames"),
    ("literalSubject: 'CN=a'", "literalSubject"),
    ("nameConstraints: {critical: true}", "nameConstraints"),
    ("renewal: {policy: Disabled}", "renewal"),
    ("usages: [code signing]", "code signing"),
    ("privateKey: {algorithm: Ed25519}", "Ed25519"),
    ("privateKey: {algorithm: ECDSA, size: 521}", "521 bits"),
    ("secretTemplate: {annotations: {cert-manager.io/certificate-name: x}}", "secretTemplate"),
];

#[test]
fn each_field_that_can_not_be_honoured_is_refused_and_each_without_effect_is_said_once() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    for (number, (field, _)) in REFUSED.iter().enumerate() {
        place.certificate("{a}", &format!("r{number}"), &[&format!("r{number}.a")], &format!(", {field}"));
    }
    place.certificate("{a}", "ca", &["ca.a"], ", isCA: true");
    let without_effect = ", duration: 2160h, subject: {organizations: [x]}, encodeUsagesInRequest: true, signatureAlgorithm: SHA256WithRSA, \
                          revisionHistoryLimit: 1, somethingNew: {a: 1}, usages: [digital signature, key encipherment, server auth], \
                          privateKey: {encoding: PKCS1, algorithm: ECDSA, size: 384}, renewBefore: 240h, \
                          secretTemplate: {labels: {team: x}, annotations: {note: why, cert-manager.io/allow-direct-injection: 'true'}}";
    place.certificate("{a}", "quiet", &["n.a"], without_effect);
    let daemon = place.daemon(LINES, &[]);
    place.tenants.until_issued(&daemon, "{a}", "quiet", &["n.a"]);
    for (number, (field, part)) in REFUSED.iter().enumerate() {
        place.tenants.until_told("{a}", &format!("r{number}"), "Warning Refused ", part);
        assert!(place.tenants.names("{a}", &format!("r{number}")).is_none(), "{field}");
    }
    place.tenants.until_told("{a}", "ca", "Warning Invalid ", "isCA");
    assert_eq!(place.tenants.orders(), 1, "{}", daemon.log());
    for field in ["duration", "subject", "encodeUsagesInRequest", "signatureAlgorithm", "revisionHistoryLimit"] {
        place.tenants.until_told("{a}", "quiet", "Normal Skipped ", &format!("{field} has no effect"));
    }
    place.tenants.until_told("{a}", "quiet", "Normal Skipped ", "somethingNew");
    assert_eq!(place.tenants.events("{a}", "quiet").iter().filter(|event| event.contains(" Skipped ")).count(), 7);
    let secret = place.get("{a}", "secret", "quiet");
    let (annotations, labels) = (&secret["metadata"]["annotations"], &secret["metadata"]["labels"]);
    assert_eq!((&annotations["note"], &labels["team"]), (&"why".into(), &"x".into()));
    assert_eq!(annotations["notariat/key-type"], "ecdsa-p384", "{annotations}");

    // A field that is refused later leaves the certificate as it was accepted.
    place.certificate("{a}", "quiet", &["n.a"], ", keystores: {jks: {create: true}}");
    place.tenants.until_told("{a}", "quiet", "Warning Refused ", "keystores");
    place.kubectl(&["-n", "{a}", "annotate", "secret", "quiet", "notariat/renew=1"]);
    daemon.until("it is renewed as it was", || place.tenants.orders() == 2);
    daemon.until("it is stored", || {
        place.get("{a}", "secret", "quiet")["metadata"]["annotations"]["notariat/renewed"] == "1"
    });
    let secret = place.get("{a}", "secret", "quiet");
    assert_eq!(secret["metadata"]["annotations"]["notariat/key-type"], "ecdsa-p384");
    daemon.kill();
}
