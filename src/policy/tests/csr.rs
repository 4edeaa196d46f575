//! Certificates for the key of a CSR.

use std::sync::Arc;

use super::*;
use crate::record::ToRevoke;

/// An entry with a CSR of tests/vectors/csr for `*.a.test` and `a.test`.
fn csr_entry(file: &str) -> Entry {
    let pem = std::fs::read_to_string(format!("tests/vectors/csr/{file}.pem")).unwrap();
    entry(&format!("{{secret: web, csr: \"{}\"}}", pem.replace('\n', "\\n")))
}

/// A Secret with the certificate of the CSR and no key, and its copy in the record.
pub(super) fn held() -> Case {
    let entry = csr_entry("p256");
    let (key, word) = (*entry.csr.as_ref().unwrap().public_key(), entry.key_word().to_owned());
    let mut case = case();
    (case.record.stored.as_mut().unwrap().key_type, case.entry) = (word.as_str().into(), entry);
    case.copy.as_mut().unwrap().public_key = key;
    let facts = CertificateFacts { public_key: key, ..facts(&["a.test", "*.a.test"], 10, 80, "01") };
    case.pair(facts).with(|p| p.key_type = Some(word.as_str().into()))
}

fn other_key(facts: &CertificateFacts) -> CertificateFacts {
    CertificateFacts { public_key: [9; 32], ..facts.clone() }
}

/// The case with the facts of its certificate changed.
fn with_facts(case: Case, change: impl FnOnce(&mut CertificateFacts)) -> Case {
    let mut facts = facts_of(&case.secrets[0]).unwrap().clone();
    change(&mut facts);
    case.pair(facts)
}

fn compromised(case: Case, done: bool) -> Case {
    let mut record = case.record.clone();
    record.add_compromised(case.entry.csr.as_ref().unwrap().public_key());
    record.to_revoke =
        vec![ToRevoke { serial: "01".into(), certificate: String::new(), reason: 1, done, of_objects: false }];
    Case { record, ..case }
}

#[test]
fn a_certificate_of_a_csr_is_kept_renewed_restored_and_issued_anew() {
    let missing = |case: Case| Case { secrets: vec![SecretState::Missing], ..case };
    let copy_of_another = || Case { copy: held().copy.as_ref().map(other_key), ..held() };
    let foreign = || with_facts(held(), |f| f.public_key = [9; 32]);
    let own = || Case { entry: case().entry, ..held() };
    let rows: Vec<(&str, Case, &str)> = vec![
        ("all is well", held(), "Keep"),
        (
            "due",
            with_facts(held(), |f| (f.not_before, f.not_after) = (NOW - DAY * 62, NOW + DAY * 28)),
            "Issue RenewalDue uncounted",
        ),
        ("missing", missing(held()), "Restore SecretMissing Copy"),
        ("missing, and the copy is of another key", missing(copy_of_another()), "Issue SecretMissing"),
        ("missing, without a copy", missing(without_copy(held())), "Issue SecretMissing"),
        ("another CSR for the same key", Case { entry: csr_entry("p256-again"), ..held() }, "Issue KeyTypeChanged"),
        ("somebody put the certificate of another key there", foreign(), "Restore KeyMismatch Copy"),
        (
            "taken over, for another key",
            without_copy(foreign().with(|p| (p.owner, p.key_type) = (Owner::Nobody, None))),
            "Issue KeyMismatch",
        ),
        ("taken over, for the key of the CSR", held().with(|p| (p.owner, p.key_type) = (Owner::Nobody, None)), "Keep"),
        (
            "ordered with a key made here before",
            held().with(|p| p.key_type = Some("rsa-2048".into())),
            "Issue KeyTypeChanged",
        ),
        ("ordered with a CSR before", own(), "Issue KeyTypeChanged"),
        ("a copy without a key serves no entry that needs one", missing(own()), "Issue SecretMissing"),
        ("compromised, and not revoked yet", compromised(held(), false), "Issue Revoked"),
        ("compromised and revoked", compromised(held(), true), "Refuse Revoked"),
        ("compromised, revoked and missing", missing(compromised(held(), true)), "Refuse SecretMissing"),
    ];
    for (what, case, expected) in rows {
        assert_eq!(case.word(), expected, "{what}");
    }
}

/// The names of an order are exactly those of the CSR, so that those held cannot be renewed alone.
#[test]
fn the_names_of_a_csr_are_never_ordered_in_parts() {
    let failing = |case: Case| {
        let mut case =
            with_facts(without_copy(case), |f| (f.names, f.not_after) = (vec!["a.test".parse().unwrap()], NOW + DAY));
        let history = case.record.history_mut(&case.entry.order_names(), PEBBLE, NOW);
        (history.failures, history.next_attempt, history.inputs) = (3, Some(NOW + DAY), "inputs".into());
        case
    };
    let parts = |case: Case| matches!(case.decide().decision, Decision::Issue { names: Some(_), .. });
    assert!(parts(failing(case())), "without a CSR they are");
    assert_eq!(failing(held()).word(), "Wait BackingOff NameMissing");
}

/// A key beside the certificate of a CSR is not ours, and is told.
#[test]
fn a_key_beside_the_certificate_of_a_csr_is_no_fault() {
    let (entry, facts) = (held().entry, facts_of(&held().secrets[0]).cloned().map(Arc::new).unwrap());
    let missing = "tls.key is missing or empty".to_owned();
    for (pair, expected) in [
        (PairState::Keyless(facts.clone(), missing.clone()), PairState::Sound(facts.clone())),
        (
            PairState::Keyless(facts.clone(), "tls.key is no private key in PEM".to_owned()),
            PairState::Unchecked(facts.clone()),
        ),
        (PairState::Mismatch(facts.clone()), PairState::Unchecked(facts.clone())),
        (PairState::Sound(facts.clone()), PairState::Sound(facts.clone())),
        (PairState::Broken("x".to_owned()), PairState::Broken("x".to_owned())),
    ] {
        let state = SecretState::Present(Box::new(present(pair)));
        let plain = state.clone().seen_by(&case().entry);
        assert_eq!(plain, state, "another entry sees what is there");
        let SecretState::Present(seen) = state.seen_by(&entry) else { panic!("a Secret") };
        assert_eq!(seen.pair, expected);
        let warnings = held().with(|p| p.pair = seen.pair.clone()).decide().warnings;
        assert_eq!(!warnings.is_empty(), matches!(expected, PairState::Unchecked(_)), "{warnings:?}");
        assert!(warnings.iter().all(|w| w.contains("the key in team/web is not known to be that of the csr")));
    }
    let keyless = case().with(|p| p.pair = PairState::Keyless(facts.clone(), missing));
    assert_eq!(keyless.word(), "Restore Unparsable Copy");
}
