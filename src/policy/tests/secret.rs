//! The state of a Secret: who owns it, what its pair is worth, and what people ask of it.

use super::*;
use crate::base::name::ObjectRef;
use crate::base::secret::Secret;
use crate::kube::object::SecretObject;
use crate::policy::secret_state::{FaultyPart, faulty_part, owner_mark};

const PLACE: &str = "team/web";

fn secret(place: &str, data: &[(&str, &str)]) -> SecretObject {
    let mut secret = SecretObject::new(ObjectRef::parse_anywhere(place, "").unwrap(), TYPE_TLS);
    let value = |text: &str| Secret::new(text.as_bytes().to_vec());
    secret.data = data.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect();
    secret
}

fn present(secret: &SecretObject) -> Present {
    match SecretState::of(Some(secret), "one") {
        SecretState::Present(present) => *present,
        SecretState::Missing => panic!("it is there"),
    }
}

#[test]
fn a_mark_names_the_instance_the_cluster_and_the_secret() {
    for (place, expected) in [(PLACE, "one team/web"), ("edge:team/web", "one/edge team/web")] {
        assert_eq!(owner_mark("one", &ObjectRef::parse_anywhere(place, "").unwrap()), expected);
    }
}

#[test]
fn the_owner_is_told_by_the_marks() {
    let another = |words: &str| Owner::Another(words.to_owned());
    let (certificate, key) = ([("tls.crt", "x"), ("tls.key", "")], [("tls.crt", ""), ("tls.key", "x")]);
    let mark = "notariat/owner";
    for (what, place, data, marks, expected) in [
        ("ours", PLACE, &[][..], &[(mark, "one team/web")][..], Owner::Us),
        ("ours in another cluster", "edge:team/web", &[], &[(mark, "one/edge team/web")], Owner::Us),
        ("another instance", PLACE, &[], &[(mark, "two team/web")], another("the notariat instance \"two\"")),
        (
            "of another cluster",
            "edge:team/web",
            &[],
            &[(mark, "one team/web")],
            another("the notariat instance \"one\""),
        ),
        ("no mark of ours", PLACE, &[], &[(mark, "one")], another("the notariat instance \"one\"")),
        ("a copy", PLACE, &[], &[(mark, "one team/api")], another("a replicator (it is a copy of team/api)")),
        ("empty", PLACE, &[("tls.crt", ""), ("tls.key", "")], &[], Owner::Empty),
        ("without data", PLACE, &[], &[], Owner::Empty),
        ("a certificate alone", PLACE, &certificate, &[], Owner::Nobody),
        ("a key alone", PLACE, &key, &[], Owner::Nobody),
        ("kube-lego", PLACE, &certificate, &[("kubernetes.io/tls-acme", "true")], Owner::KubeLego),
        (
            "cert-manager",
            PLACE,
            &certificate,
            &[("cert-manager.io/certificate-name", "c"), ("kubernetes.io/tls-acme", "true")],
            Owner::CertManager("c".into()),
        ),
    ] {
        let mut secret = secret(place, data);
        secret.annotations = marks.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(present(&secret).owner, expected, "{what}");
    }
    let mut secret = secret(PLACE, &[]);
    secret.controller = Some("Widget w".to_owned());
    assert_eq!(present(&secret).owner, another("the controller Widget w"));
    secret.labels.insert("cert.gardener.cloud/certificate".to_owned(), "c".to_owned());
    assert_eq!(present(&secret).owner, another("Gardener's cert-management"));
}

#[test]
fn a_pair_is_sound_where_the_key_fits_and_otherwise_its_fault_is_told() {
    let [one, other] = [1, 2].map(|_| rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap());
    let (chain, key, foreign) = (one.cert.pem(), one.signing_key.serialize_pem(), other.signing_key.serialize_pem());
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (what, data, expected, part) in [
        ("whole", &[("tls.crt", &*chain), ("tls.key", &*key)][..], "sound", None),
        ("another key", &[("tls.crt", &chain), ("tls.key", &foreign)], "mismatch", None),
        ("no key", &[("tls.crt", &chain)], "tls.key is missing or empty", Some(FaultyPart::Missing)),
        ("nothing", &[], "tls.crt and tls.key is missing or empty", Some(FaultyPart::Missing)),
        ("no chain", &[("tls.crt", "x"), ("tls.key", &key)], "tls.crt: ", Some(FaultyPart::Certificate)),
        (
            "garbage",
            &[("tls.crt", &chain), ("tls.key", "x")],
            "tls.key is no private key in PEM",
            Some(FaultyPart::Key),
        ),
        ("encrypted", &[("tls.crt", &chain), ("tls.key", &encrypted)], "tls.key is encrypted: ", Some(FaultyPart::Key)),
    ] {
        let found = match present(&secret(PLACE, data)).pair {
            PairState::Sound(_) => "sound".to_owned(),
            PairState::Mismatch(_) => "mismatch".to_owned(),
            PairState::Broken(fault) | PairState::Keyless(_, fault) => fault,
            PairState::Unchecked(_) => "unchecked".to_owned(),
        };
        assert!(found.starts_with(expected), "{what}: {found}");
        assert!(part.is_none_or(|part| faulty_part(&found) == part), "{what}: {found}");
    }
}

#[test]
fn a_request_counts_until_it_is_served_and_for_the_certificate_that_it_names() {
    let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
    let mut secret = secret(PLACE, &[("tls.crt", &made.cert.pem()), ("tls.key", &made.signing_key.serialize_pem())]);
    let mut asked = |renew: &str, renewed: Option<&str>| {
        secret.annotations.insert("notariat/renew".to_owned(), renew.to_owned());
        secret.annotations.remove("notariat/renewed");
        secret.annotations.extend(renewed.map(|text| ("notariat/renewed".to_owned(), text.to_owned())));
        present(&secret).renewal_asked
    };
    for (renew, renewed, expected) in
        [("", None, None), ("1", None, Some("1")), ("2", Some("1"), Some("2")), ("2", Some("2"), None)]
    {
        assert_eq!(asked(renew, renewed).as_deref(), expected, "{renew} {renewed:?}");
    }
    let serial = present(&secret).pair.facts().unwrap().serial.clone();
    for (value, expected) in [(format!("superseded {serial}"), Some("superseded")), ("superseded 99".to_owned(), None)]
    {
        secret.annotations.insert("notariat/revoke".to_owned(), value);
        assert_eq!(present(&secret).revocation_asked.as_deref(), expected);
    }
}

#[test]
fn a_secret_goes_with_the_object_that_it_names_where_it_is_ours() {
    let mut state = SecretState::Present(Box::new(Present {
        cascade: Some("u".into()),
        ..Present::example(PairState::Sound(facts(&["a.test"], 10, 80, "01").into()))
    }));
    assert!(
        !state.cascades_otherwise(Some("u")) && state.cascades_otherwise(Some("v")) && state.cascades_otherwise(None)
    );
    assert!(state.is_certificate() && !SecretState::Missing.is_certificate());
    assert_eq!(state.facts_mut().map(|facts| facts.serial.clone()), Some("01".into()));
    let SecretState::Present(present) = &mut state else { panic!("it is there") };
    (present.owner, present.kind) = (Owner::Nobody, "Opaque".into());
    assert!(!state.cascades_otherwise(Some("v")) && !state.is_certificate());
}
