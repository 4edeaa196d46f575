//! Revocations that objects ask for.

use super::*;
use crate::base::limits::TIDY_INTERVAL;
use crate::base::name::ObjectRef;
use crate::policy::revocation::{RevocationState, state_of};
use crate::record::{ObjectRevocation, RevocationEnd};

/// The certificate of `case` was stored a day ago.
fn request(uid: &str, before: Time, renew: bool) -> RevocationRequest {
    RevocationRequest { at: ObjectRef::new("t", uid), uid: uid.into(), before, renew }
}

fn begun(uid: &str, serial: &str, alone: bool, end: Option<Option<&str>>) -> ObjectRevocation {
    let end = end.map(|error| RevocationEnd { at: NOW - DAY, error: error.map(Into::into) });
    ObjectRevocation {
        uid: uid.into(),
        object: format!("t/{uid}").into(),
        serial: serial.into(),
        alone,
        tried: None,
        end,
    }
}

fn asked(requests: &[RevocationRequest], begun: &[ObjectRevocation]) -> Case {
    let mut case = Case { revocations: requests.to_vec(), ..case() };
    case.record.revocations = begun.to_vec();
    case
}

/// The decision, and whether the certificate is revoked now as it is.
fn decided(case: &Case) -> String {
    let revokes = case.decide().revocation.is_some_and(|at| at <= NOW);
    format!("{}{}", case.word(), if revokes { ", revoke" } else { "" })
}

const APPLIED: Option<Option<&str>> = Some(None);

#[test]
fn a_request_concerns_the_certificate_that_is_held_once() {
    let (renew, alone) = (|uid| request(uid, NOW, true), |uid| request(uid, NOW, false));
    let early = |renew| request("u", NOW - DAY * 2, renew);
    let rows: Vec<(&str, Case, &str)> = vec![
        ("nobody asks", asked(&[], &[]), "Keep"),
        ("replaced, then revoked", asked(&[renew("u")], &[]), "Issue Revoked"),
        ("revoked as it is", asked(&[alone("u")], &[]), "Keep, revoke"),
        ("one of several wants another certificate", asked(&[alone("u"), renew("v")], &[]), "Issue Revoked"),
        ("obtained after the qualifying date", asked(&[early(true)], &[]), "Keep"),
        ("obtained after the qualifying date, alone", asked(&[early(false)], &[]), "Keep"),
        ("begun, and the order failed", asked(&[renew("u")], &[begun("u", "01", false, None)]), "Issue Revoked"),
        ("begun, and the CA was away", asked(&[alone("u")], &[begun("u", "01", true, None)]), "Keep, revoke"),
        // One order for each object, whatever its date.
        ("replaced, and not revoked yet", asked(&[renew("u")], &[begun("u", "00", false, None)]), "Keep"),
        ("done", asked(&[renew("u")], &[begun("u", "00", false, APPLIED)]), "Keep"),
        ("refused by the CA", asked(&[alone("u")], &[begun("u", "01", true, Some(Some("no")))]), "Keep"),
        ("another object", asked(&[renew("u"), renew("v")], &[begun("u", "00", false, APPLIED)]), "Issue Revoked"),
        // What has not begun stops with its object, and nothing is undone.
        ("gone before it was replaced", asked(&[], &[begun("u", "01", false, None)]), "Keep"),
        ("gone before it was revoked", asked(&[], &[begun("u", "01", true, None)]), "Keep"),
        ("gone when it was done", asked(&[], &[begun("u", "01", true, APPLIED)]), "Refuse Revoked"),
        ("put back", asked(&[], &[begun("u", "01", false, APPLIED)]), "Issue Revoked"),
    ];
    for (what, case, expected) in rows {
        assert_eq!(decided(&case), expected, "{what}");
    }
    let mut waits = asked(&[alone("u")], &[begun("u", "01", true, None)]);
    waits.record.revocations[0].tried = Some(NOW);
    let tried = |mut begun: ObjectRevocation| {
        begun.tried = Some(NOW + TIDY_INTERVAL);
        begun
    };
    waits.record.revocations.push(tried(begun("v", "00", true, None)));
    waits.record.revocations.push(tried(begun("w", "01", true, APPLIED)));
    assert_eq!(waits.decide().revocation, Some(NOW + TIDY_INTERVAL), "the CA is not asked again at once");
}

#[test]
fn a_certificate_that_was_revoked_alone_stays_until_somebody_asks_for_another_one() {
    let revoked = || asked(&[request("u", NOW, false)], &[begun("u", "01", true, APPLIED)]);
    let aged = |age, left| facts(&["a.test", "*.a.test"], age, left, "01");
    let with_copy = |secrets| Case { secrets, ..revoked() };
    let rows: Vec<(&str, Case, &str)> = vec![
        ("revoked", revoked(), "Refuse Revoked"),
        ("due", revoked().pair(aged(80, 10)), "Refuse Revoked"),
        ("expired", revoked().pair(aged(91, 0)), "Refuse Revoked"),
        ("a renewal is asked for", revoked().with(|p| p.renewal_asked = Some("1".into())), "Issue Revoked"),
        ("the Certificate asks", Case { renewal: Some(RenewalWish::After(NOW)), ..revoked() }, "Issue Revoked"),
        (
            "the Certificate asked",
            Case { renewal: Some(RenewalWish::After(NOW - DAY * 2)), ..revoked() },
            "Refuse Revoked",
        ),
        ("`notariat revoke`", revoked().with(|p| p.revocation_asked = Some("superseded".into())), "Issue Revoked"),
        ("another name is wanted", revoked().pair(facts(&["b.test"], 10, 80, "01")), "Issue NameMissing"),
        ("another key is wanted", revoked().with(|p| p.key_type = Some("ecdsa-p384".into())), "Issue KeyTypeChanged"),
        // The copy of the record is the same certificate.
        ("deleted", with_copy(vec![SecretState::Missing]), "Issue SecretMissing"),
        ("broken", revoked().with(|p| p.pair = mismatch()), "Issue KeyMismatch"),
        ("another certificate", revoked().pair(facts(&["a.test", "*.a.test"], 10, 80, "02")), "Keep"),
    ];
    for (what, case, expected) in rows {
        assert_eq!(decided(&case), expected, "{what}");
    }
    let mut moved = revoked();
    moved.record.window = Some(crate::record::RenewalWindow {
        serial: "01".into(),
        start: NOW - DAY * 2,
        end: NOW - DAY,
        first_start: NOW + DAY,
        moved_to_past: true,
        explanation: None,
    });
    assert_eq!(decided(&moved), "Refuse Revoked", "the CA moves the renewal of what it revoked");
}

#[test]
fn the_certificate_of_others_is_not_revoked() {
    let foreign = || facts(&["a.test", "*.a.test"], 10, 80, "ff").into();
    for (pair, is_due) in [
        // Whoever has the key may revoke the certificate (RFC 8555 section 7.6).
        (PairState::Sound(foreign()), true),
        (PairState::Unchecked(foreign()), false),
        (PairState::Mismatch(foreign()), false),
        (PairState::Keyless(foreign(), "tls.key is missing or empty".to_owned()), false),
        (PairState::Unchecked(facts(&["a.test", "*.a.test"], 10, 80, "01").into()), true),
    ] {
        let case = asked(&[request("u", NOW, false)], &[]).with(|p| p.pair = pair.clone());
        let state = state_of(&case.revocations[0], &case.record, &case.secrets[0]);
        assert_eq!(state == RevocationState::Due, is_due, "{pair:?}");
        assert!(is_due || case.decide().revocation.is_none(), "{pair:?}");
    }
    // Beside the certificate of a CSR no key proves anything, so that the record alone does.
    for (serial, expected) in [("01", "Keep, revoke"), ("02", "Keep")] {
        let mut case = Case { revocations: vec![request("u", NOW, false)], ..super::csr::held() };
        case.record.stored.as_mut().unwrap().serial = serial.into();
        assert_eq!(decided(&case), expected, "the record has the serial number {serial}");
    }
    let empty = RecordData::default();
    let missing = state_of(&request("u", NOW, false), &empty, &SecretState::Missing);
    assert_eq!(missing, RevocationState::Nothing("holds no certificate".to_owned()));
}
