//! The waits of an order: after a failure, at the cap, for the week of a namespace, and between restores.

use super::*;

pub(super) fn failed(next: Time, inputs: &str) -> RecordData {
    let case = case();
    let mut record = case.record;
    let history = record.history_mut(&case.entry.order_names(), PEBBLE, NOW);
    *history = History { next_attempt: Some(next), inputs: inputs.to_owned(), ..history.clone() };
    record
}

#[test]
fn after_a_failure_it_waits_until_the_time_comes_or_something_changes() {
    let missing = |record| Case { secrets: vec![SecretState::Missing], copy: None, record, ..case() };
    let soon = NOW + DAY;
    assert_eq!(missing(failed(soon, "inputs")).word(), "Wait BackingOff SecretMissing");
    assert_eq!(missing(failed(NOW, "inputs")).word(), "Issue SecretMissing");
    assert_eq!(missing(failed(soon, "other inputs")).word(), "Issue SecretMissing", "the entry or its key changed");
    for (ahead, word) in [(300, "Wait BackingOff SecretMissing"), (301, "Issue SecretMissing")] {
        let mut record = failed(soon, "inputs");
        record.histories[0].last_attempt = NOW + Duration::from_secs(ahead);
        assert_eq!(missing(record).word(), word, "a clock that was {ahead} s ahead wrote it");
    }
    // The clock stepped by 66 minutes within the attempt, which failed, and was set back.
    let mut record = failed(NOW, "inputs");
    let ahead = NOW + Duration::from_secs(66 * 60);
    record.histories[0].wait(ahead, ahead + Duration::from_secs(60));
    assert_eq!(missing(record).word(), "Issue SecretMissing", "its attempt began by the right clock");
    let other_names = Case { entry: entry("{secret: web, domains: [b.test]}"), ..missing(failed(soon, "inputs")) };
    assert_eq!(other_names.word(), "Issue SecretMissing", "another name set was never tried");
    let restorable = Case { copy: case().copy, ..missing(failed(soon, "inputs")) };
    assert_eq!(restorable.word(), "Restore SecretMissing Copy", "a restore needs no CA");
}

#[test]
fn the_cap_holds_over_all_entries_and_only_regular_renewals_pass() {
    let orders: Vec<Time> = (1..=4).map(|n| NOW - DAY * n).collect();
    let expired =
        |serial| Case { orders: orders.clone(), ..case() }.pair(facts(&["a.test", "*.a.test"], 90, 0, serial));
    let foreign = expired("02");
    let Decision::Wait { waiting: WaitReason::Capped, until, .. } = foreign.decide().decision else {
        panic!("{}", foreign.word())
    };
    assert_eq!(until, NOW - DAY * 4 + DAY * 7);
    for (days, word) in [(30, "Issue Expired uncounted"), (29, "Wait Capped Expired")] {
        let mut ours = expired("01");
        ours.record.stored.as_mut().unwrap().at = NOW - DAY * days;
        assert_eq!(ours.word(), word, "stored {days} days ago: to a clock that is ahead all have expired");
    }
    let due = Case { orders: orders.clone(), ..case() }.pair(facts(&["a.test", "*.a.test"], 62, 28, "01"));
    assert_eq!(due.word(), "Issue RenewalDue uncounted");
    let foreign_serial =
        Case { record: RecordData::default(), orders, ..case() }.pair(facts(&["a.test", "*.a.test"], 62, 28, "02"));
    assert_eq!(foreign_serial.word(), "Wait Capped RenewalDue", "a second writer can not make us order for ever");
}

/// A namespace that had its orders of this week gets no new one. What it has is renewed, and what was counted goes on.
#[test]
fn a_namespace_whose_week_is_full_waits_and_its_renewals_do_not() {
    let until = NOW + DAY * 2;
    let full = || Case { week_is_full: Some(until), copy: None, ..case() };
    let missing = || Case { secrets: vec![SecretState::Missing], ..full() };
    let Decision::Wait { waiting: WaitReason::NamespaceCapped, until: waits, finding } = missing().decide().decision
    else {
        panic!("{}", missing().word())
    };
    assert!(waits == until && finding.detail.contains("`certificatesPerWeek` allows"), "{finding}");
    let with_history = |failures| {
        let mut case = missing();
        let names = case.entry.order_names();
        case.record.history_mut(&names, PEBBLE, NOW - DAY).failures = failures;
        case
    };
    let pending = |order: Option<&str>| {
        let mut case = missing();
        let names = case.entry.order_names();
        let mut pending = PendingOrder::new("", NOW, &names, PEBBLE, (case.entry.key_word(), None));
        pending.order = order.map(str::to_owned);
        case.record.in_flight = Some(Box::new(pending));
        case
    };
    for (what, case, expected) in [
        ("due", full().pair(facts(&["a.test", "*.a.test"], 62, 28, "01")), "Issue RenewalDue uncounted"),
        ("valid", full(), "Keep"),
        ("expired", full().pair(facts(&["a.test", "*.a.test"], 90, 0, "02")), "Wait NamespaceCapped Expired"),
        ("asked for", full().with(|p| p.renewal_asked = Some("1".into())), "Wait NamespaceCapped RenewalRequested"),
        ("forced", full().with(|p| p.renewal_asked = Some("1 force".into())), "Wait NamespaceCapped RenewalRequested"),
        ("a name more", full().pair(facts(&["a.test"], 10, 80, "01")), "Wait NamespaceCapped NameMissing"),
        ("ordered before", with_history(0), "Wait NamespaceCapped SecretMissing"),
        ("tried before, and counted then", with_history(1), "Issue SecretMissing"),
        ("claimed, and counted then", pending(None), "Issue SecretMissing"),
        ("ordered, and counted then", pending(Some("https://ca.example/order/1")), "Issue SecretMissing"),
        ("room", Case { week_is_full: None, ..missing() }, "Issue SecretMissing"),
    ] {
        assert_eq!(case.word(), expected, "{what}");
    }
    // A due certificate with a name more is renewed with the names that it has.
    let mut due = full().pair(facts(&["a.test"], 62, 28, "01"));
    assert!(matches!(due.decide().decision, Decision::Issue { names: Some(names), .. } if names.len() == 1));
    // From the second on at which it is due.
    let at = due.with_input(|input| renewal_time_of(input, facts_of(&input.secrets[0]).unwrap()).at);
    for (now, is_partial) in [(at - Duration::from_secs(1), false), (at, true)] {
        due.now = now;
        let is = matches!(due.decide().decision, Decision::Issue { names: Some(_), .. });
        assert_eq!(is, is_partial, "{now}, due at {at}");
        let whole = Case { now, ..full().pair(facts(&["a.test", "*.a.test"], 62, 28, "01")) };
        assert_eq!(whole.word() == "Issue RenewalDue uncounted", is_partial, "{now}, due at {at}");
    }
}

#[test]
fn a_request_in_the_record_overrides_the_cap_for_one_order() {
    let orders: Vec<Time> = (1..=4).map(|n| NOW - DAY * n).collect();
    for (asked, last, word) in [
        (None, NOW - DAY, "Wait Capped SecretMissing"),
        (Some(format!("{NOW}")), NOW - DAY, "Wait Capped SecretMissing"),
        (Some(format!("{NOW} force")), NOW - DAY, "Issue SecretMissing"),
        (Some(format!("{} force", NOW - DAY * 2)), NOW - DAY, "Wait Capped SecretMissing"),
        (Some(format!("{} force", NOW - DAY)), NOW - DAY, "Wait Capped SecretMissing"),
        (Some(format!("{} force", NOW + DAY)), NOW - DAY, "Wait Capped SecretMissing"),
        (Some("now force".to_owned()), NOW - DAY, "Wait Capped SecretMissing"),
    ] {
        let mut case = Case { secrets: vec![SecretState::Missing], copy: None, orders: orders.clone(), ..case() };
        assert_eq!(orders.iter().max(), Some(&last));
        case.record.asked = asked.clone();
        assert_eq!(case.word(), word, "{asked:?}");
    }
}

#[test]
fn an_order_that_was_counted_is_fetched_whatever_the_cap_says() {
    for (counted, order, names, word) in [
        (true, true, "*.a.test", "Issue Expired"),
        (false, true, "*.a.test", "Wait Capped Expired"),
        (true, false, "*.a.test", "Wait Capped Expired"),
        (true, true, "b.test", "Wait Capped Expired"),
    ] {
        let mut case = Case { orders: (1..=4).map(|n| NOW - DAY * n).collect(), ..case() };
        case.entry = entry("{secret: web, domains: ['*.a.test']}");
        case.record.in_flight = Some(Box::new(PendingOrder {
            holder: String::new(),
            at: NOW - DAY,
            directory: PEBBLE.to_owned(),
            names: vec![Domain::parse(names).unwrap()],
            key_type: "ecdsa-p256".to_owned(),
            profile: None,
            account: None,
            order: order.then(|| "https://ca.example/order/1".to_owned()),
            counted,
            published: Vec::new(),
        }));
        assert_eq!(case.pair(facts(&["*.a.test"], 90, 0, "01")).word(), word, "{counted} {order} {names}");
    }
}

#[test]
fn a_secret_that_somebody_keeps_breaking_is_restored_more_slowly() {
    let minute = Duration::from_secs(60);
    let broken = |restores: Vec<Time>| {
        let mut w = case().with(|p| p.pair = mismatch());
        w.record.restores = restores;
        w
    };
    assert_eq!(broken(vec![NOW - minute, NOW - 2 * minute]).word(), "Restore KeyMismatch Copy");
    let contested = broken(vec![NOW - minute, NOW - 2 * minute, NOW - 3 * minute]);
    let Decision::Wait { waiting: WaitReason::Contested, until, .. } = contested.decide().decision else {
        panic!("{}", contested.word())
    };
    assert_eq!(until, NOW + 19 * minute);
    assert_eq!(broken(vec![NOW - 60 * minute, NOW - 2 * minute, NOW - 3 * minute]).word(), "Restore KeyMismatch Copy");
    assert_eq!(
        broken(vec![NOW - 59 * minute, NOW - 2 * minute, NOW - 3 * minute]).word(),
        "Wait Contested KeyMismatch"
    );
    assert_eq!(
        broken(vec![NOW - 20 * minute, NOW - 21 * minute, NOW - 22 * minute]).word(),
        "Wait Contested KeyMismatch"
    );
}
