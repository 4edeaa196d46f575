//! Whose Secret may be filled for a Certificate of cert-manager, and what a key of another type means there.

use super::*;

fn judged(owner: Owner, certificate: Option<&str>) -> String {
    let mut case = case().with(|p| (p.owner, p.directory, p.key_type) = (owner, None, None));
    case.of_objects = true;
    case.certificate = certificate.map(str::to_owned);
    match case.decide().decision {
        Decision::Keep { .. } => "Keep".to_owned(),
        Decision::Refuse { finding } => finding.detail,
        other => format!("{other:?}"),
    }
}

#[test]
fn a_secret_that_was_made_for_the_certificate_or_is_empty_is_taken() {
    let theirs = |name: &str| Owner::CertManager(name.into());
    for (owner, certificate, expected) in [
        (theirs("web"), Some("web"), "Keep"),
        (theirs("other"), Some("web"), "it belongs to cert-manager (Certificate \"other\")"),
        (theirs("web"), None, "it belongs to cert-manager (Certificate \"web\")"),
        (Owner::Empty, Some("web"), "Keep"),
        (Owner::Empty, None, "nothing says that it was made for this: "),
        (
            Owner::Nobody,
            Some("web"),
            "it holds a certificate or a key, and nothing says that it was made for this Certificate",
        ),
        (Owner::Nobody, None, "set the annotation `notariat/adopt: \"true\"`"),
        (Owner::Us, Some("web"), "Keep"),
        (Owner::Another("the controller x".to_owned()), Some("web"), "it belongs to the controller x"),
    ] {
        let found = judged(owner.clone(), certificate);
        assert!(found.contains(expected), "{owner:?} {certificate:?}: {found}");
    }
}

#[test]
fn a_key_of_another_type_stays_where_the_type_is_kept() {
    let rsa = || case().with(|p| p.key_type = Some("rsa-2048".into()));
    assert_eq!(rsa().word(), "Issue KeyTypeChanged");
    let mut kept = rsa();
    kept.entry = entry("{secret: web, domains: [a.test, www.a.test], keepKeyType: true}");
    assert_eq!(kept.word(), "Keep");
}

#[test]
fn a_certificate_is_ready_until_it_does_not_serve_and_while_a_renewal_is_due() {
    let aged = |age, left| case().pair(facts(&["a.test", "*.a.test"], age, left, "01"));
    for (what, case, reason) in [
        ("valid", case(), None),
        ("due", aged(62, 28), None),
        ("renewal asked for", case().with(|p| p.renewal_asked = Some("1".into())), None),
        ("expired", aged(90, 0), Some(Reason::Expired)),
        ("another key", case().with(|p| p.pair = mismatch()), Some(Reason::KeyMismatch)),
        ("missing", Case { secrets: vec![SecretState::Missing], ..case() }, Some(Reason::SecretMissing)),
    ] {
        assert_eq!(case.with_input(unready).map(|violation| violation.reason), reason, "{what}");
    }
}
