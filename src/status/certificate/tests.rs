use std::time::Duration;

use super::*;
use crate::config;
use crate::policy::backoff::RetryClass;
use crate::policy::renewal::RenewalCause;
use crate::policy::secret_state::{Owner, PairState, Present};
use crate::policy::{Directory, EvaluationInput, evaluate, unready};
use crate::sources::{Desired, config_map};
use crate::status::report::Progress;

const NOW: Time = Time::from_unix(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const CA: &str = "https://acme-v02.api.letsencrypt.org/directory";

fn wanted(yaml: &str) -> CertificateSpec {
    let config = config::read(&[("certificates".to_owned(), yaml.to_owned())].into(), &"team".into()).unwrap();
    let mut desired = Desired::default();
    config_map::add(&mut desired, &ObjectRef::parse("team/c", "").unwrap(), &config, |_| None);
    (**desired.wanted.values().next().unwrap()).clone()
}

fn facts(names: &[&str], from_days: u32, to_days: u32) -> CertificateFacts {
    let facts = CertificateFacts::example(names, NOW - DAY * from_days, NOW + DAY * to_days);
    CertificateFacts { issuer: "R11\x1b[2J".into(), ..facts }
}

fn present(facts: CertificateFacts) -> Present {
    Present { directory: Some(CA.into()), ..Present::example(PairState::Sound(facts.into())) }
}

fn holds(facts: CertificateFacts) -> Vec<SecretState> {
    vec![SecretState::Present(Box::new(present(facts)))]
}

fn failed(body: &mut RecordData, wanted: &CertificateSpec, stage: Stage, severity: RetryClass) {
    let history = body.history_mut(&wanted.entry.order_names(), CA, NOW - DAY);
    (history.failures, history.stage, history.severity) = (4, Some(stage), Some(severity));
    history.error = Some("no TXT\nrecord".to_owned());
    history.next_attempt = Some(NOW + Duration::from_secs(3600));
}

fn row(wanted: &CertificateSpec, held: &[SecretState], body: &RecordData) -> CertificateStatus {
    let directory = Directory::new(CA, true);
    let input = EvaluationInput {
        revocations: &[],
        certificate: None,
        entry: &wanted.entry,
        secrets: held,
        record: body,
        copy: None,
        directory: &directory,
        profile: None,
        inputs: "",
        orders: &Default::default(),
        closed: None,
        week_is_full: None,
        secret_type: "kubernetes.io/tls",
        of_objects: false,
        renewal: None,
        now: NOW,
    };
    let unready = unready(&input);
    CertificateStatus::of(wanted, held, body, CA, &evaluate(&input), unready, NOW)
}

#[test]
fn what_some_clients_will_not_like_is_said_of_what_somebody_else_stored() {
    use crate::cert::facts::Links;
    let both = wanted("- {secret: web, domains: [a.test]}");
    for (links, owner, said) in [
        (Links::Whole, Owner::Nobody, None),
        (Links::Alone, Owner::Nobody, Some("team/web: `tls.crt` holds the leaf alone: clients that do not know")),
        (Links::Broken, Owner::Nobody, Some("team/web: in `tls.crt` a certificate is followed by another one")),
        (Links::Alone, Owner::Us, None),
    ] {
        let facts = CertificateFacts { links, ..facts(&["a.test"], 10, 80) };
        let row =
            row(&both, &[SecretState::Present(Box::new(Present { owner, ..present(facts) }))], &RecordData::default());
        assert_eq!((row.state, row.failure.is_none()), (CertificateState::Valid, true));
        let found = row.finding.as_deref();
        assert_eq!(found.is_some(), said.is_some(), "{links:?}: {found:?}");
        assert!(said.is_none_or(|said| found.is_some_and(|found| found.starts_with(said))), "{links:?}: {found:?}");
    }
}

#[test]
fn names_that_are_not_wanted_any_more_are_named_until_a_renewal_drops_them() {
    let held = ["a.test", "api.a.test", "x.w.test", "*.y.test"];
    let many: Vec<String> = (0..8).map(|n| format!("n{n}.test")).chain(["a.test".to_owned()]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (domains, held, said) in [
        ("a.test, api.a.test, x.w.test, '*.y.test'", &held[..], None),
        ("a.test, '*.a.test'", &["a.test", "*.a.test", "api.a.test"], None),
        ("a.test, x.w.test, y.test", &held[..3], Some("NameMissing")),
        ("a.test", &held, Some("renewal drops api.a.test, x.w.test, *.y.test; `notariat renew team/web` has that now")),
        (
            "a.test",
            &many,
            Some("renewal drops n0.test, n1.test, n2.test, n3.test, n4.test and 3 more; `notariat renew"),
        ),
    ] {
        let wanted = wanted(&format!("- {{secret: web, domains: [{domains}]}}"));
        let row = row(&wanted, &holds(facts(held, 10, 80)), &RecordData::default());
        let found = row.finding.as_deref();
        assert_eq!(found.is_some(), said.is_some(), "{domains}: {found:?}");
        assert!(said.is_none_or(|said| found.is_some_and(|found| found.starts_with(said))), "{domains}: {found:?}");
    }
}

#[test]
fn a_cause_is_shown_as_far_as_the_record_keeps_it() {
    let both = wanted("- {secret: web, domains: [a.test]}");
    let mut fails = RecordData::default();
    failed(&mut fails, &both, Stage::Publish, RetryClass::Transient);
    let long = "word ".repeat(ERROR_KEPT_OCTETS / 5 - 1) + "cure";
    fails.histories[0].error = Some(long.clone());
    let row = row(&both, &[SecretState::Missing], &fails);
    assert_eq!(row.failure.map(|failure| failure.error), Some(long));
}

#[test]
fn the_state_says_what_was_decided() {
    let both = wanted("- {secret: web, domains: [a.test, b.test]}");
    let (all, some) = (["a.test", "b.test"], ["a.test"]);
    let mut fails = RecordData::default();
    failed(&mut fails, &both, Stage::Validation, RetryClass::Validation);
    let mut under_way = RecordData::default();
    let way = (both.entry.key_word(), None);
    under_way.in_flight = Some(Box::new(crate::record::PendingOrder::new("host/1", NOW, &both.entry.domains, CA, way)));
    let mut left = under_way.clone();
    left.in_flight.as_mut().unwrap().holder.clear();
    let none = RecordData::default();
    let wrong = vec![SecretState::Present(Box::new(Present { kind: "Opaque".into(), ..present(facts(&all, 10, 80)) }))];
    for (held, body, state) in [
        (holds(facts(&all, 10, 80)), &none, CertificateState::Valid),
        (holds(facts(&all, 10, 80)), &fails, CertificateState::Valid),
        (holds(facts(&all, 80, 10)), &none, CertificateState::Waiting),
        (holds(facts(&all, 80, 10)), &under_way, CertificateState::Issuing),
        (holds(facts(&all, 80, 10)), &left, CertificateState::Waiting),
        (holds(facts(&all, 80, 10)), &fails, CertificateState::BackingOff),
        (vec![SecretState::Missing], &none, CertificateState::Waiting),
        (vec![SecretState::Missing], &fails, CertificateState::BackingOff),
        (holds(facts(&some, 10, 80)), &fails, CertificateState::Partial),
        (holds(facts(&some, 80, 10)), &fails, CertificateState::Partial),
        (wrong, &none, CertificateState::Refused),
    ] {
        assert_eq!(row(&both, &held, body).state, state, "{held:?} {body:?}");
    }
    let two = wanted("- {secret: [web, more], domains: [a.test]}");
    let foreign = Present { owner: Owner::Another("cert-manager".to_owned()), ..present(facts(&["a.test"], 10, 80)) };
    let held = [holds(facts(&["a.test"], 10, 80)), vec![SecretState::Present(Box::new(foreign))]].concat();
    let found = row(&two, &held, &none);
    assert_eq!(found.state, CertificateState::Refused, "one of two is left alone");
    assert!(found.finding.unwrap().starts_with("team/more: OwnedByAnother"));
}

#[test]
fn why_it_is_renewed_then() {
    let web = wanted("- {secret: web, domains: [a.test]}");
    let set = wanted("- {secret: web, domains: [a.test], renewBefore: 480h}");
    let held = holds(facts(&["a.test"], 10, 80));
    let mut windowed = RecordData::default();
    windowed.window = Some(crate::policy::renewal_window::RenewalWindow {
        serial: "01".into(),
        start: NOW + DAY,
        end: NOW + DAY * 2,
        first_start: NOW + DAY,
        moved_to_past: false,
        explanation: None,
    });
    let none = RecordData::default();
    for (wanted, body, why) in [
        (&web, &none, RenewalTrigger::Due(RenewalCause::Lifetime)),
        (&set, &none, RenewalTrigger::Due(RenewalCause::RenewBefore)),
        (&web, &windowed, RenewalTrigger::Due(RenewalCause::Window)),
    ] {
        assert_eq!(row(wanted, &held, body).renewal.unwrap().1, why);
    }
    let asked = Present { renewal_asked: Some("now".into()), ..present(facts(&["a.test"], 10, 80)) };
    let found = row(&web, &[SecretState::Present(Box::new(asked))], &none);
    assert_eq!((found.renewal, found.state), (Some((NOW, RenewalTrigger::Asked)), CertificateState::Waiting));
    assert_eq!(row(&web, &[SecretState::Missing], &none).renewal, None);
}

#[test]
fn a_failure_stands_with_its_stage_and_the_attempts_that_are_left() {
    let web = wanted("- {secret: web, domains: [a.test]}");
    let mut body = RecordData::default();
    failed(&mut body, &web, Stage::Publish, RetryClass::Transient);
    let found = row(&web, &holds(facts(&["a.test"], 89, 1)), &body);
    let failure = found.failure.as_ref().unwrap();
    assert_eq!((failure.stage, failure.error.as_str()), (Some(Stage::Publish), "no TXT record"));
    assert_eq!(found.next_attempt, Some(NOW + Duration::from_secs(3600)));
    // The first of them in an hour, the next 19 and 36 minutes later, then every 36 minutes of the other 22 hours.
    assert_eq!(found.attempts_left, Some(39));
    assert_eq!(found.issuer.as_deref(), Some("R11 [2J"), "nothing moves the cursor");
    assert_eq!(row(&web, &[SecretState::Missing], &body).attempts_left, None, "nothing that could expire");
    assert!(row(&web, &holds(facts(&["a.test"], 10, 80)), &body).failure.is_none(), "it is well by now");
}

#[test]
fn a_first_issuance_is_as_far_as_there_are_certificates() {
    let web = wanted("- {secret: web, domains: [a.test]}");
    let there = Arc::new(row(&web, &holds(facts(&["a.test"], 10, 80)), &RecordData::default()));
    let first = Arc::new(row(&web, &[SecretState::Missing], &RecordData::default()));
    let rows = |stored: usize, missing: usize| [vec![there.clone(); stored], vec![first.clone(); missing]].concat();
    let progress = |rows: &[Arc<CertificateStatus>], per_day| Progress::of(rows, |_| None, |_| per_day, NOW);
    let hours = |n: u32| Some(NOW + Duration::from_secs(3600) * n);
    assert_eq!(progress(&rows(3, 0), None), None);
    assert_eq!(progress(&[], None), None);
    for (stored, missing, per_day, until) in
        [(120, 280, None, hours(3)), (1, 2, None, None), (0, 300, Some(150), hours(24)), (0, 1, None, None)]
    {
        let found = progress(&rows(stored, missing), per_day);
        assert_eq!(found, Some(Progress { stored, total: stored + missing, until }), "{stored} {missing}");
    }
}

#[test]
fn a_certificate_is_ready_while_its_secrets_serve_what_is_wanted_now() {
    let web = wanted("- {secret: web, domains: [a.test]}");
    let none = RecordData::default();
    let with = |change: fn(&mut Present)| {
        let mut held = present(facts(&["a.test"], 10, 80));
        change(&mut held);
        vec![SecretState::Present(Box::new(held))]
    };
    for (held, reason, is_ready) in [
        (holds(facts(&["a.test"], 10, 80)), None, true),
        (holds(facts(&["a.test", "b.test"], 10, 80)), None, true),
        (holds(facts(&["a.test"], 80, 10)), None, true),
        (with(|held| held.renewal_asked = Some("now".into())), None, true),
        (with(|held| held.revocation_asked = Some("keyCompromise".into())), Some(Reason::Revoked), false),
        (with(|held| held.kind = "Opaque".into()), Some(Reason::WrongType), false),
        (with(|held| held.owner = Owner::Another("x".to_owned())), Some(Reason::OwnedByAnother), false),
        (
            with(|held| held.pair = PairState::Mismatch(facts(&["a.test"], 10, 80).into())),
            Some(Reason::KeyMismatch),
            false,
        ),
        (with(|held| held.pair = PairState::Broken("no PEM".to_owned())), Some(Reason::Unparsable), false),
        (with(|held| held.directory = Some("https://other.test/dir".into())), Some(Reason::DirectoryChanged), false),
        (holds(facts(&["b.test"], 10, 80)), Some(Reason::NameMissing), false),
        (holds(facts(&["a.test"], 90, 0)), Some(Reason::Expired), false),
        (vec![SecretState::Missing], Some(Reason::SecretMissing), false),
    ] {
        let found = row(&web, &held, &none);
        assert_eq!((found.unready, found.is_ready(NOW)), (reason, is_ready), "{held:?}");
    }
    let ends = row(&web, &holds(facts(&["a.test"], 10, 80)), &none);
    assert!(!ends.is_ready(NOW + DAY * 80), "the time goes on between two decisions");
}
