//! Renewals that the object of a certificate asks for.

use super::*;

fn wished(renewal: RenewalWish) -> Case {
    let mut case = Case { renewal: Some(renewal), ..case() };
    case.entry = entry("{secret: web, domains: [a.test]}");
    case
}

fn mark(mark: &str) -> RenewalWish {
    RenewalWish::Mark(mark.into())
}

/// The reason of the order, or the time until which nothing is done.
fn decided(case: &Case) -> String {
    match case.decide().decision {
        Decision::Issue { finding, counted, .. } => format!("{} counted={counted}", finding.reason),
        Decision::Keep { until } => format!("keep until {until}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_mark_is_served_by_the_certificate_that_is_stored_with_it_and_by_no_other() {
    let usual = decided(&Case { renewal: None, ..wished(mark("u 1")) });
    assert!(usual.starts_with("keep until"), "{usual}");
    let stored = |served: Option<&str>| {
        let mut case = wished(mark("u 2"));
        case.record.stored.as_mut().unwrap().renewal_mark = served.map(Into::into);
        case
    };
    for (served, expected) in
        [(None, "RenewalRequested counted=true"), (Some("u 1"), "RenewalRequested counted=true"), (Some("u 2"), &usual)]
    {
        assert_eq!(decided(&stored(served)), expected, "{served:?}");
    }
    // The mark of another certificate than the held one says nothing.
    let mut other = stored(Some("u 2"));
    other.record.stored.as_mut().unwrap().serial = "99".into();
    assert_eq!(decided(&other), "RenewalRequested counted=true");
    let mut none = stored(None);
    none.record.stored = None;
    assert_eq!(decided(&none), "RenewalRequested counted=true", "taken over from another program");
    // Asked for by an object it is bound as ever, and a renewal is no repair.
    let capped = Case { orders: vec![NOW - DAY; 4], ..stored(None) };
    assert!(decided(&capped).starts_with("Wait") && decided(&capped).contains("Capped"), "{}", decided(&capped));
    let mut missing = stored(None);
    missing.secrets = vec![SecretState::Missing];
    assert!(decided(&missing).starts_with("Restore"), "{}", decided(&missing));
}

#[test]
fn a_certificate_that_is_older_than_the_object_wants_is_renewed_from_that_time_on() {
    let usual = decided(&Case { renewal: None, ..wished(mark("u 1")) });
    let after = |at: Time| decided(&wished(RenewalWish::After(at)));
    // It was stored a day ago, and is valid for ten.
    for (at, expected) in [
        (NOW - 2 * DAY, usual.clone()),
        (NOW - DAY, usual.clone()),
        (NOW - DAY / 2, "RenewalRequested counted=true".to_owned()),
        (NOW, "RenewalRequested counted=true".to_owned()),
        (NOW + DAY, format!("keep until {}", NOW + DAY)),
        (NOW + 3650 * DAY, usual),
    ] {
        assert_eq!(after(at), expected, "{at}");
    }
    // What another program stored is as old as its certificate.
    let of_others = |at: Time| {
        let mut case = wished(RenewalWish::After(at));
        case.record.stored = None;
        decided(&case)
    };
    assert_eq!(of_others(NOW - 9 * DAY), "RenewalRequested counted=true");
    assert!(of_others(NOW - 11 * DAY).starts_with("keep"), "{}", of_others(NOW - 11 * DAY));
}

#[test]
fn a_wish_is_told_and_a_mark_is_stored_with_its_certificate() {
    let after = RenewalWish::After(NOW);
    assert_eq!((mark("u 1").mark(), after.mark()), (Some(&"u 1".into()), None));
    assert_eq!(mark("u 1").to_string(), "the object asks for a renewal");
    assert_eq!(after.to_string(), format!("the object asks for a certificate that was made after {NOW}"));
}
