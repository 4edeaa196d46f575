use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::json;

/// Day 20 of the 90 days of all certificates here.
const NOW: Time = Time::from_unix(1_800_000_000);

fn day(number: i64) -> Time {
    Time::from_unix(NOW.unix() + (number - 20) * 86_400)
}

fn vector(file: &str) -> String {
    std::fs::read_to_string(format!("tests/vectors/{file}.pem")).unwrap()
}

/// A Secret: certificate, key, annotations.
struct Made {
    chain: String,
    key: String,
    annotations: BTreeMap<String, String>,
}

/// A Secret as notariat writes it for the Certificate `team/web` of the ClusterIssuer `le`.
fn made(key: &KeyPair, names: &[&str], common_name: &str) -> Made {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    if !common_name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, common_name);
    }
    params.not_before = ::time::OffsetDateTime::from_unix_timestamp(day(0).unix()).unwrap();
    params.not_after = ::time::OffsetDateTime::from_unix_timestamp(day(90).unix()).unwrap();
    let marks = [
        ("certificate-name", "web"),
        ("issuer-name", "le"),
        ("issuer-kind", "ClusterIssuer"),
        ("issuer-group", "cert-manager.io"),
    ];
    let annotations = marks.map(|(mark, value)| (format!("cert-manager.io/{mark}"), value.to_owned()));
    Made { chain: params.self_signed(key).unwrap().pem(), key: key.serialize_pem(), annotations: annotations.into() }
}

fn ecdsa() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn rsa() -> KeyPair {
    KeyPair::from_pem(&vector("keys/rsa2048-pkcs8")).unwrap()
}

/// The Certificate `team/web` with further fields of the spec. It asks for ECDSA.
fn certificate(more: &Value) -> Value {
    let mut spec = json!({"secretName": "web", "dnsNames": ["a.test", "www.a.test"],
        "issuerRef": {"name": "le", "kind": "ClusterIssuer"}, "privateKey": {"algorithm": "ECDSA"}});
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    json!({"metadata": {"namespace": "team", "name": "web"}, "spec": spec})
}

fn judge(certificate: &Value, made: &Made, request: Option<&Value>) -> Option<Reissue> {
    let held =
        ReturnedSecret { annotations: &made.annotations, chain: made.chain.as_bytes(), key: made.key.as_bytes() };
    reissue(certificate, Some(held), request, NOW)
}

/// `Kept`, or the word and the sentence.
fn words(found: Option<Reissue>) -> String {
    found.map_or_else(|| "Kept".to_owned(), |reissue| format!("{}: {}", reissue.word, reissue.why))
}

const NAMES: [&str; 2] = ["a.test", "www.a.test"];

#[test]
fn a_secret_as_notariat_writes_it_is_kept_while_the_certificate_asks_for_what_it_holds() {
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    for (key, names, common_name, more, expected) in [
        (ecdsa(), &NAMES[..], "", json!({}), "Kept"),
        (ecdsa(), &NAMES, "www.a.test", json!({}), "Kept"),
        (ecdsa(), &NAMES, "", json!({"dnsNames": ["www.a.test"], "commonName": "a.test"}), "Kept"),
        (ecdsa(), &NAMES, "", json!({"privateKey": {"algorithm": "ECDSA", "size": 256}}), "Kept"),
        (p384, &NAMES, "", json!({"privateKey": {"algorithm": "ECDSA", "size": 384}}), "Kept"),
        (rsa(), &NAMES, "", json!({"privateKey": null}), "Kept"),
        (rsa(), &NAMES, "", json!({"privateKey": {"size": 2048}}), "Kept"),
        (
            ecdsa(),
            &NAMES,
            "",
            json!({"issuerRef": {"name": "le", "kind": "ClusterIssuer", "group": "cert-manager.io"}}),
            "Kept",
        ),
        (
            ecdsa(),
            &NAMES,
            "",
            json!({"privateKey": null}),
            "SecretMismatch: its key is ECDSA 256, and the Certificate asks for RSA 2048, cert-manager's default",
        ),
        (
            rsa(),
            &NAMES,
            "",
            json!({"privateKey": {"algorithm": "RSA", "size": 3072}}),
            "SecretMismatch: its key is RSA 2048, and the Certificate asks for RSA 3072",
        ),
        (
            ecdsa(),
            &NAMES,
            "",
            json!({"privateKey": {"algorithm": "Ed25519"}}),
            "SecretMismatch: its key is ECDSA 256, and the Certificate asks for one of another kind",
        ),
        (
            ecdsa(),
            &NAMES,
            "",
            json!({"issuerRef": {"name": "other", "kind": "ClusterIssuer"}}),
            "IncorrectIssuer: the Secret was made by the ClusterIssuer \"le\"",
        ),
        (
            ecdsa(),
            &NAMES,
            "",
            json!({"issuerRef": {"name": "le"}}),
            "IncorrectIssuer: the Secret was made by the ClusterIssuer \"le\"",
        ),
        (
            ecdsa(),
            &NAMES,
            "",
            json!({"issuerRef": {"name": "le", "kind": "ClusterIssuer", "group": "awspca.io"}}),
            "IncorrectIssuer: the Secret was made by the ClusterIssuer \"le\"",
        ),
        // Names are compared as they are written, and more names are as wrong as fewer.
        (ecdsa(), &NAMES[..1], "", json!({}), "SecretMismatch: its certificate lacks www.a.test"),
        (
            ecdsa(),
            &NAMES,
            "",
            json!({"dnsNames": ["a.test"]}),
            "SecretMismatch: its certificate is also for www.a.test",
        ),
        (
            ecdsa(),
            &NAMES,
            "",
            json!({"dnsNames": ["A.test", "www.a.test"]}),
            "SecretMismatch: its certificate lacks A.test and is also for a.test",
        ),
    ] {
        let (held, object) = (made(&key, names, common_name), certificate(&more));
        assert_eq!(words(judge(&object, &held, None)), expected, "{more}");
    }
}

#[test]
fn what_is_missing_broken_or_of_another_certificate_is_ordered_anew() {
    let sound = || made(&ecdsa(), &NAMES, "");
    let with = |change: &dyn Fn(&mut Made)| {
        let mut held = sound();
        change(&mut held);
        words(judge(&certificate(&json!({})), &held, None))
    };
    assert_eq!(with(&|_| {}), "Kept");
    assert_eq!(words(reissue(&certificate(&json!({})), None, None, NOW)), "DoesNotExist: the Secret does not exist");
    for (found, word) in [
        (with(&|held| held.key.clear()), "MissingData"),
        (with(&|held| held.chain.clear()), "MissingData"),
        (with(&|held| held.chain = "x".to_owned()), "InvalidCertificate"),
        (with(&|held| held.key = "x".to_owned()), "InvalidKeyPair"),
        (with(&|held| held.key = ecdsa().serialize_pem()), "InvalidKeyPair"),
        (
            with(&|held| drop(held.annotations.insert("cert-manager.io/certificate-name".into(), "x".into()))),
            "IncorrectCertificate",
        ),
        // The annotation is compared only where it is.
        (with(&|held| drop(held.annotations.remove("cert-manager.io/certificate-name"))), "Kept"),
        (with(&|held| drop(held.annotations.remove("cert-manager.io/issuer-kind"))), "IncorrectIssuer"),
        (with(&|held| drop(held.annotations.remove("cert-manager.io/issuer-name"))), "IncorrectIssuer"),
        (with(&|held| drop(held.annotations.remove("cert-manager.io/issuer-group"))), "Kept"),
        (with(&|held| held.annotations.clear()), "IncorrectIssuer"),
    ] {
        assert!(found.starts_with(word), "{found} {word}");
    }
    // Without annotations a Certificate of an Issuer is left alone.
    let mut bare = sound();
    bare.annotations.clear();
    let of_issuer = certificate(&json!({"issuerRef": {"name": "le"}}));
    assert_eq!(words(judge(&of_issuer, &bare, None)), "Kept");
    let mut issuing = certificate(&json!({}));
    issuing["status"] = json!({"conditions": [{"type": "Issuing", "status": "True"}]});
    assert!(words(judge(&issuing, &sound(), None)).starts_with("Issuing: "));
    issuing["status"]["conditions"][0]["status"] = json!("False");
    assert_eq!(words(judge(&issuing, &sound(), None)), "Kept");
}

#[test]
fn a_request_of_the_present_revision_is_compared_with_key_and_spec() {
    let key = KeyPair::from_pem(&vector("keys/rsa2048-pkcs8")).unwrap();
    let held = made(&key, &NAMES, "");
    // The CSR of OpenSSL for that key and these names.
    let csr = STANDARD.encode(vector("csr/rsa2048"));
    let request = |more: Value| {
        let mut spec = json!({"request": csr, "issuerRef": {"name": "le", "kind": "ClusterIssuer"}, "usages": ["server auth"], "duration": "2160h0m0s"});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        json!({"spec": spec})
    };
    let base = json!({"privateKey": null, "usages": ["server auth"], "duration": "2160h"});
    let object = certificate(&base);
    let other = STANDARD.encode(vector("csr/p256"));
    for (request, expected) in [
        (request(json!({})), "Kept"),
        (request(json!({"duration": null})), "Kept"),
        (request(json!({"request": "AAAA"})), "Kept"),
        (
            request(json!({"request": other})),
            "SecretMismatch: the CertificateRequest of its revision is for another key",
        ),
        (
            request(json!({"duration": "24h0m0s"})),
            "RequestChanged: the CertificateRequest of its revision has another value of duration",
        ),
        (
            request(json!({"usages": []})),
            "RequestChanged: the CertificateRequest of its revision has another value of usages",
        ),
        (
            request(json!({"isCA": true})),
            "RequestChanged: the CertificateRequest of its revision has another value of isCA",
        ),
        (
            request(json!({"issuerRef": {"name": "le", "kind": "ClusterIssuer", "group": "cert-manager.io"}})),
            "RequestChanged: the CertificateRequest of its revision has another value of issuerRef",
        ),
    ] {
        assert_eq!(words(judge(&object, &held, Some(&request))), expected, "{request}");
    }
    let mut fewer = base.clone();
    fewer["dnsNames"] = json!(["a.test"]);
    let found = words(judge(&certificate(&fewer), &held, Some(&request(json!({})))));
    assert_eq!(
        found,
        "RequestChanged: by the CertificateRequest of its revision its certificate is also for www.a.test"
    );
}

#[test]
fn a_certificate_is_due_by_the_rules_of_cert_manager() {
    for (more, due) in [
        (json!({}), 60),
        (json!({"renewBefore": "240h"}), 80),
        (json!({"renewBefore": "240h", "renewBeforePercentage": 50}), 80),
        (json!({"renewBeforePercentage": 50}), 45),
        // What is not shorter than the lifetime does not count.
        (json!({"renewBefore": "2160h"}), 60),
        (json!({"renewBeforePercentage": 100}), 60),
        (json!({"renewBefore": "80d"}), 60),
    ] {
        let (held, object) = (made(&ecdsa(), &NAMES, ""), certificate(&more));
        let held =
            ReturnedSecret { annotations: &held.annotations, chain: held.chain.as_bytes(), key: held.key.as_bytes() };
        assert_eq!(reissue(&object, Some(held), None, day(due) - Duration::from_secs(1)), None, "{more}");
        let found = reissue(&object, Some(held), None, day(due)).unwrap();
        assert_eq!(
            (found.word, found.why),
            ("Renewing", format!("its certificate is due since {}", day(due))),
            "{more}"
        );
    }
}
