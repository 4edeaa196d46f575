//! Decisions about the limits, windows and profiles of CAs, and about requests of people.

use super::*;
use crate::policy::ca_limits::Scope;
use crate::policy::renewal_window::RenewalWindow;
use crate::policy::tests::waits::failed;

fn window(serial: &str, start: Time, moved_to_past: bool) -> RenewalWindow {
    let end = start + DAY;
    RenewalWindow { serial: serial.into(), start, end, first_start: NOW + DAY, moved_to_past, explanation: None }
}

fn with_window(window: RenewalWindow) -> Case {
    let mut case = case();
    case.record.window = Some(window);
    case
}

#[test]
fn the_window_of_the_ca_moves_the_renewal_and_one_in_the_past_is_a_revocation() {
    for (what, window, expected) in [
        ("later than the usual time", window("01", NOW + DAY * 40, false), "Keep"),
        ("now", window("01", NOW - DAY * 2, false), "Issue RenewalDue"),
        ("moved into the past", window("01", NOW - DAY * 2, true), "Issue Revoked"),
        ("of another certificate", window("02", NOW - DAY * 2, true), "Keep"),
    ] {
        assert_eq!(with_window(window).word(), expected, "{what}");
    }
    let asked = case().with(|p| p.revocation_asked = Some("superseded".into()));
    assert_eq!(asked.word(), "Issue Revoked");
}

#[test]
fn a_profile_counts_only_for_what_we_ordered() {
    let ordered = |profile: Option<&str>| case().with(|p| p.profile = profile.map(SharedStr::from));
    for (secrets, wanted, expected) in [
        (None, None, "Keep"),
        (Some("short"), Some("short"), "Keep"),
        (None, Some("short"), "Issue ProfileChanged"),
        (Some("short"), None, "Issue ProfileChanged"),
        (Some("short"), Some("long"), "Issue ProfileChanged"),
    ] {
        let case = Case { profile: wanted, ..ordered(secrets) };
        assert_eq!(case.word(), expected, "{secrets:?} {wanted:?}");
    }
    let foreign = Case { profile: Some("short"), ..ordered(None).with(|p| p.directory = None) };
    assert_eq!(foreign.word(), "Keep");
}

fn closed() -> Option<RateLimitBlock> {
    Some(RateLimitBlock {
        scope: Scope::Account,
        since: Some(NOW),
        until: NOW + DAY,
        said: "too many new orders".to_owned(),
    })
}

#[test]
fn a_closed_gate_makes_orders_wait_and_restores_not() {
    let missing = Case { secrets: vec![SecretState::Missing], copy: None, closed: closed(), ..case() };
    let Decision::Wait { waiting: WaitReason::RateLimited, until, finding } = missing.decide().decision else {
        panic!("{}", missing.word())
    };
    assert_eq!(until, NOW + DAY);
    assert!(finding.detail.contains("too many new orders"), "{finding}");
    assert_eq!(Case { copy: case().copy, ..missing }.word(), "Restore SecretMissing Copy");
}

#[test]
fn renew_clears_a_wait_but_no_gate_and_only_with_force_the_cap() {
    let orders: Vec<Time> = (1..=4).map(|n| NOW - DAY * n).collect();
    let asked = |how: &str| case().with(|p| p.renewal_asked = Some(how.into()));
    for (how, orders, closed, expected) in [
        ("now", Vec::new(), None, "Issue RenewalRequested"),
        ("now", orders.clone(), None, "Wait Capped RenewalRequested"),
        ("now force", orders.clone(), None, "Issue RenewalRequested"),
        ("now force", orders, closed(), "Wait RateLimited RenewalRequested"),
    ] {
        let case = Case { orders, closed, ..asked(how) };
        assert_eq!(case.word(), expected, "{how}");
    }
}

/// A certificate for a.test that is wanted for b.test, too, where both together fail.
fn broken_name(left_days: u32, record: RecordData) -> Case {
    let secrets = facts(&["a.test", "www.a.test"], 90 - left_days, left_days, "01");
    let entry = entry("{secret: web, domains: [a.test, b.test]}");
    Case { entry, record, ..case() }.pair(secrets)
}

#[test]
fn held_names_are_renewed_alone_when_a_new_name_fails_and_it_is_time() {
    let record = || {
        let mut record = failed(NOW + DAY, "inputs");
        record.histories[0].names = ["a.test", "b.test"].map(|n| Domain::parse(n).unwrap()).to_vec();
        record
    };
    assert_eq!(broken_name(20, RecordData::default()).word(), "Issue NameMissing", "all of them are tried first");
    assert_eq!(broken_name(60, record()).word(), "Wait BackingOff NameMissing", "it is not yet time");
    let Decision::Issue { names, counted: true, .. } = broken_name(20, record()).decide().decision else {
        panic!("{}", broken_name(20, record()).word())
    };
    assert_eq!(names, Some(vec![Domain::parse("a.test").unwrap()]));
    let mut both = record();
    let alone = History { names: names.unwrap(), ..both.histories[0].clone() };
    both.histories.push(alone);
    assert_eq!(broken_name(20, both).word(), "Wait BackingOff NameMissing", "they fail alone as well");
    let closed = Case { closed: closed(), ..broken_name(20, record()) };
    assert_eq!(closed.word(), "Wait BackingOff NameMissing");
    let nothing_held =
        Case { entry: entry("{secret: web, domains: [b.test, c.test]}"), ..broken_name(20, RecordData::default()) };
    assert_eq!(nothing_held.word(), "Issue NameMissing");
}

#[test]
fn what_somebody_puts_into_one_secret_does_not_spread_to_the_others() {
    let holds = |serial: &str, left_days, owner: Owner, directory: Option<&str>| {
        let mut present = present(PairState::Sound(facts(&["a.test"], 10, left_days, serial).into()));
        (present.owner, present.directory) = (owner, directory.map(SharedStr::from));
        SecretState::Present(Box::new(present))
    };
    let both = |a: SecretState, b: SecretState| Case {
        entry: entry("{secret: [web, b/web], domains: [a.test]}"),
        secrets: vec![a, b],
        record: RecordData::default(),
        ..case()
    };
    let ours = || holds("07", 80, Owner::Us, Some(PEBBLE));
    for (theirs, what) in [
        (holds("09", 36_500, Owner::Nobody, None), "self-signed for a hundred years"),
        (holds("09", 85, Owner::Us, None), "without a directory"),
    ] {
        let Decision::Restore { source: RestoreFrom::Sibling(0), targets, .. } = both(ours(), theirs).decide().decision
        else {
            panic!("{what}")
        };
        assert_eq!(targets, [1], "{what}");
    }
    let mut stored = both(holds("01", 60, Owner::Us, None), ours());
    stored.record = case().record;
    let Decision::Restore { source: RestoreFrom::Sibling(0), .. } = stored.decide().decision else { panic!() };

    let mut asked = present(PairState::Sound(facts(&["a.test"], 10, 80, "07").into()));
    asked.revocation_asked = Some("superseded".into());
    let one_asks = both(ours(), SecretState::Present(Box::new(asked)));
    assert_eq!(one_asks.word(), "Issue Revoked", "asked for at one of them, it is for both");
}
