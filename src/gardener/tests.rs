use serde_json::{Value, json};

use super::*;
use crate::base::name::{Domain, ObjectRef};
use crate::base::time::Time;
use crate::config::entry::KeyType;
use crate::config::issuers::DomainFilter;
use crate::policy::RenewalWish;

fn certificate(spec: Value) -> Result<GardenerCertificate, String> {
    GardenerCertificate::read(&json!({"metadata": {"namespace": "t", "name": "c"}, "spec": spec}))
}

#[test]
fn names_and_secret_are_those_of_the_object() {
    for (spec, expected) in [
        (json!({"commonName": "b.test", "dnsNames": ["a.test", "b.test"], "secretName": "s"}), "t/s a.test b.test"),
        (json!({"dnsNames": ["*.a.test"], "secretRef": {"name": "s", "namespace": "t"}}), "t/s *.a.test"),
        // Gardener makes a name up and writes it into the spec, which is never written here.
        (json!({"commonName": "a.test"}), "t/c a.test"),
        (json!({"commonName": "A.Test.", "secretName": "s", "secretRef": {"name": "s"}}), "t/s a.test"),
        (json!({"secretName": "s"}), "! it has no DNS name"),
        (json!({"commonName": "not a name"}), "! the name"),
        (json!({"commonName": "a.test", "secretName": "u/s"}), "! the name of its Secret"),
    ] {
        let found = match certificate(spec.clone()) {
            Ok(found) => {
                let names: Vec<String> = found.domains.iter().map(ToString::to_string).collect();
                format!("{} {}", found.secret, names.join(" "))
            }
            Err(why) => format!("! {why}"),
        };
        assert!(found == expected || (expected.starts_with('!') && found.starts_with(expected)), "{spec}: {found}");
    }
}

#[test]
fn each_field_is_honoured_without_effect_or_refused() {
    for (field, value, class) in [
        ("secretLabels", json!({"a": "b"}), ""),
        ("renewBefore", json!("720h"), ""),
        ("preferredChain", json!("Root X"), ""),
        ("issuerRef", json!({"name": "i"}), ""),
        ("renew", json!(true), "without"),
        ("renew", json!(false), ""),
        ("ensureRenewedAfter", json!("2026-01-31T12:00:00Z"), ""),
        ("ensureRenewedAfter", json!("tomorrow"), "without"),
        ("followCNAME", json!(true), "without"),
        ("somethingNew", json!(1), "without"),
        ("isCA", json!(false), ""),
        ("isCA", json!(true), "refused"),
        ("duration", json!("90d"), "refused"),
        ("keystores", json!({"jks": {"create": true}}), "refused"),
        ("emailAddresses", json!(["a@a.test"]), "refused"),
        ("ipAddresses", json!(["192.0.2.1"]), "refused"),
        ("uris", json!(["spiffe://a"]), "refused"),
        ("privateKey", json!({"algorithm": "RSA", "size": 3072}), ""),
        ("privateKey", json!({"algorithm": "ECDSA", "size": 521}), "refused"),
        ("privateKey", json!({"algorithm": "Ed25519"}), "refused"),
        ("secretRef", json!({"name": "s", "namespace": "kube-system"}), "refused"),
        ("secretRef", json!({"name": "other"}), "refused"),
    ] {
        let mut spec = json!({"commonName": "a.test", "secretName": "s"});
        spec[field] = value.clone();
        let found = certificate(spec).unwrap();
        let classes = [("without", found.without_effect.len()), ("refused", found.refused.len())];
        for (name, count) in classes {
            assert_eq!(count, usize::from(name == class), "{field}: {value}: {found:?}");
        }
    }
}

#[test]
fn a_renewal_is_asked_for_once_for_each_generation_or_by_a_time() {
    let renewal = |spec: Value, uid: &str, generation: i64| {
        let metadata = json!({"namespace": "t", "name": "c", "uid": uid, "generation": generation});
        let mut spec = spec;
        spec["commonName"] = json!("a.test");
        GardenerCertificate::read(&json!({"metadata": metadata, "spec": spec})).unwrap().renewal
    };
    let asked = |uid, generation| renewal(json!({"renew": true}), uid, generation);
    assert_eq!((asked("u", 1), renewal(json!({"renew": false}), "u", 1)), (asked("u", 1), None));
    assert!(asked("u", 1) != asked("u", 2) && asked("u", 1) != asked("v", 1));
    let time = "2026-01-31T12:00:00Z";
    let after = RenewalWish::After(Time::parse_rfc3339(time).unwrap());
    assert_eq!(renewal(json!({"ensureRenewedAfter": time}), "u", 1), Some(after));
    assert_eq!(renewal(json!({"ensureRenewedAfter": time, "renew": true}), "u", 1), asked("u", 1));
    assert_eq!(renewal(json!({"ensureRenewedAfter": null}), "u", 1), None);
}

#[test]
fn a_csr_gives_all_names_or_is_refused() {
    let encoded = |name: &str| {
        use base64::Engine as _;
        let pem = std::fs::read(format!("tests/vectors/csr/{name}.pem")).unwrap();
        base64::engine::general_purpose::STANDARD.encode(pem)
    };
    let sound = certificate(json!({"csr": encoded("p256"), "secretName": "s"})).unwrap();
    let csr = sound.csr.clone().unwrap();
    assert_eq!((sound.domains.as_slice(), sound.refused.len(), sound.key_type), (csr.names(), 0, None));
    let shown: Vec<String> = sound.common_name.iter().chain(&sound.dns_names).cloned().collect();
    assert_eq!(shown.len(), csr.names().len(), "{shown:?}");
    let with_subject = certificate(json!({"csr": encoded("rsa2048")})).unwrap();
    let shown = (with_subject.common_name.as_deref(), with_subject.dns_names.as_slice());
    assert_eq!(shown, (Some("www.a.test"), &["a.test".to_owned()][..]));
    // A line is broken where `base64` breaks it.
    let broken = encoded("p256").as_bytes().chunks(76).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
    assert_eq!(certificate(json!({"csr": broken})).unwrap().csr, Some(csr));
    for (spec, part) in [
        (json!({"csr": encoded("p256"), "commonName": "a.test"}), "leave out commonName"),
        (json!({"csr": encoded("p256"), "dnsNames": ["a.test"]}), "leave out commonName"),
        (json!({"csr": encoded("ip")}), "an IP address"),
        (json!({"csr": encoded("covered")}), "a wildcard that covers it"),
        (json!({"csr": encoded("rsa1024")}), "RSA key of 1024 bits"),
        (json!({"csr": encoded("cn-alone")}), "subjectAltName"),
        (json!({"csr": "bm90IGEgQ1NS"}), "holds no CSR"),
        (json!({"csr": "%"}), "is not the base64"),
    ] {
        let found = certificate(spec).unwrap();
        assert!(found.refused.iter().any(|why| why.starts_with("csr: it ") && why.contains(part)), "{part}: {found:?}");
    }
    let beside = certificate(json!({"csr": encoded("p256"), "privateKey": {"algorithm": "Ed25519"}})).unwrap();
    assert_eq!((beside.refused.len(), beside.without_effect.len()), (0, 1), "{beside:?}");
}

#[test]
fn keys_are_those_that_are_asked_for() {
    for (key, expected) in [
        (json!(null), None),
        (json!({"algorithm": "ECDSA"}), Some(KeyType::EcdsaP256)),
        (json!({"algorithm": "ECDSA", "size": 384}), Some(KeyType::EcdsaP384)),
        (json!({"algorithm": "RSA"}), Some(KeyType::Rsa2048)),
        (json!({"size": 4096}), Some(KeyType::Rsa4096)),
    ] {
        let found = certificate(json!({"commonName": "a.test", "privateKey": key})).unwrap();
        assert_eq!((found.key_type, found.refused.len()), (expected, 0), "{key}");
    }
}

fn issuer(acme: Value) -> Result<GardenerIssuer, String> {
    GardenerIssuer::read(
        &json!({"metadata": {"namespace": "own", "name": "i"}, "spec": {"acme": acme, "requestsPerDayQuota": 7}}),
    )
}

#[test]
fn an_issuer_gives_the_settings_of_orders() {
    let found = issuer(json!({
        "server": "https://ca.test/dir", "email": "A@a.test", "privateKeySecretRef": {"name": "k", "namespace": "own"},
        "externalAccountBinding": {"keyID": "kid-1", "keySecretRef": {"name": "e"}},
        "domains": {"include": ["a.test", "*.b.test"], "exclude": ["x.a.test"]}, "precheckNameservers": ["192.0.2.1"],
    }));
    let GardenerIssuer { issuer, without_effect } = found.unwrap();
    assert_eq!((issuer.directory.as_str(), issuer.email.as_deref()), ("https://ca.test/dir", Some("a@a.test")));
    let secret = issuer.account_secret.map(|at| at.to_string());
    assert_eq!((secret.as_deref(), issuer.account_secret_key.as_deref()), (Some("own/k"), Some("privateKey")));
    assert!(!issuer.account_secret_optional && issuer.orders_per_day == Some(7) && without_effect.len() == 1);
    let binding = issuer.eab_secret.map(|at| at.to_string());
    assert_eq!((binding.as_deref(), issuer.eab_key_id.as_deref()), (Some("own/e"), Some("kid-1")));
    for (name, is_held) in [("y.a.test", true), ("x.a.test", false), ("b.test", true), ("c.test", false)] {
        assert_eq!(issuer.domains.holds(&Domain::parse(name).unwrap()), is_held, "{name}");
    }
}

#[test]
fn an_issuer_that_can_not_serve_says_why() {
    let sound = json!({"server": "https://ca.test/dir", "email": "a@a.test", "autoRegistration": true});
    assert!(issuer(sound.clone()).is_ok());
    for (field, value, part) in [
        ("server", json!("http://127.0.0.1/dir"), "is not an https URL"),
        ("server", json!("https://user:hunter2@ca.test/dir"), "server that"),
        ("email", json!("nobody"), "an email that"),
        ("autoRegistration", json!(false), "neither privateKeySecretRef nor autoRegistration"),
        ("skipDNSChallengeValidation", json!(true), "skipDNSChallengeValidation"),
        ("privateKeySecretRef", json!({"name": "k", "namespace": "kube-system"}), "of another namespace"),
        ("domains", json!({"include": ["not a zone"]}), "the domain range"),
    ] {
        let mut acme = sound.clone();
        acme[field] = value;
        let why = issuer(acme).unwrap_err();
        assert!(why.contains(part) && !why.contains("hunter2"), "{field}: {why}");
    }
    let other = GardenerIssuer::read(&json!({"metadata": {"name": "i"}, "spec": {"selfSigned": {}}}));
    assert!(other.unwrap_err().contains("no ACME Issuer"));
}

#[test]
fn the_issuer_with_the_longest_ranges_for_all_names_is_the_best() {
    let ranges = |include: &str, exclude: &str| DomainFilter {
        include: include.split_whitespace().map(|zone| zone.parse().unwrap()).collect(),
        exclude: exclude.split_whitespace().map(|zone| zone.parse().unwrap()).collect(),
    };
    let all = [
        ("all", ranges("", "")),
        ("long", ranges("x.a.test", "")),
        ("short", ranges("a.test", "")),
        ("tie", ranges("a.test", "")),
        ("without", ranges("test", "a.test")),
        ("two", ranges("a.test b.test", "")),
    ]
    .map(|(name, ranges)| (ObjectRef::new("own", name), ranges));
    for (names, expected) in [
        ("y.a.test", Some("short")),
        ("y.x.a.test", Some("long")),
        // Gardener would take `long` for its score and refuse the other name.
        ("y.x.a.test y.a.test", Some("short")),
        ("y.a.test y.b.test", Some("two")),
        ("*.a.test", Some("short")),
        ("y.c.test", Some("without")),
        ("y.example", None),
    ] {
        let names: Vec<Domain> = names.split_whitespace().map(|name| Domain::parse(name).unwrap()).collect();
        let found = best(all.iter().map(|(at, ranges)| (at, ranges)), &names);
        assert_eq!(found.map(|at| at.name.as_str()), expected, "{names:?}");
    }
}

fn revocation(namespace: &str, spec: Value) -> Result<GardenerRevocation, String> {
    let metadata = json!({"namespace": namespace, "name": "r", "creationTimestamp": "2026-11-29T12:00:00Z"});
    GardenerRevocation::read(&json!({"metadata": metadata, "spec": spec}), "admin")
}

#[test]
fn a_revocation_names_a_certificate_of_its_own_namespace_unless_it_is_an_administrators() {
    let reference = |namespace: &str| json!({"certificateRef": {"namespace": namespace, "name": "c"}});
    for (namespace, spec, expected) in [
        ("t", reference("t"), "t/c"),
        ("t", json!({"certificateRef": {"name": "c"}}), "t/c"),
        ("admin", reference("t"), "t/c"),
        ("admin", reference("admin"), "admin/c"),
        (
            "t",
            reference("u"),
            r#"! certificateRef.namespace "u": a CertificateRevocation names a Certificate of its own"#,
        ),
        ("t", reference("admin"), r#"! certificateRef.namespace "admin""#),
        ("t", json!({"certificateRef": {"name": "u/c"}}), "! certificateRef.name"),
        ("t", json!({}), "! certificateRef names no Certificate"),
        (
            "t",
            json!({"certificateRef": {"name": "c"}, "qualifyingDate": "soon"}),
            r#"! qualifyingDate "soon" is no time"#,
        ),
    ] {
        let found = match revocation(namespace, spec.clone()) {
            Ok(found) => found.certificate.to_string(),
            Err(why) => format!("! {why}"),
        };
        assert!(found == expected || (expected.starts_with('!') && found.starts_with(expected)), "{spec}: {found}");
    }
}

#[test]
fn the_qualifying_date_is_never_later_than_the_object() {
    for (date, renew, expected) in [
        (Value::Null, Value::Null, "2026-11-29T12:00:00Z false"),
        (json!("2026-11-01T00:00:00Z"), json!(true), "2026-11-01T00:00:00Z true"),
        (json!("2099-01-01T00:00:00Z"), json!(false), "2026-11-29T12:00:00Z false"),
    ] {
        let spec = json!({"certificateRef": {"name": "c"}, "qualifyingDate": date, "renew": renew, "typo": 1});
        let found = revocation("t", spec).unwrap();
        assert_eq!(
            (format!("{} {}", found.before, found.renew), found.without_effect),
            (expected.to_owned(), vec!["typo".to_owned()])
        );
    }
}
