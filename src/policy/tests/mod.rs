mod ca;

use std::time::Duration;

use super::ca_limits::RateLimitBlock;
use super::*;
use crate::base::name::Domain;
use crate::base::shared_str::SharedStr;
use crate::cert::facts::{CertificateFacts, sha256};
use crate::config::entry::Entry;
use crate::config::namespaces::Namespaces;
use crate::config::node;
use crate::kube::object::TYPE_TLS;
use crate::policy::secret_state::{Owner, Present};
use crate::record::{History, Issued, RecordData};

const NOW: Time = Time::from_unix(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const PEBBLE: &str = "https://ca.example/dir";
const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
const PRODUCTION: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// A world in which nothing is to be done; each test changes what it is about.
struct Case {
    entry: Entry,
    secrets: Vec<SecretState>,
    record: RecordData,
    copy: Option<CertificateFacts>,
    directory: Directory,
    orders: Vec<Time>,
    closed: Option<RateLimitBlock>,
    week_is_full: Option<Time>,
    profile: Option<&'static str>,
    of_objects: bool,
}

fn entry(yaml: &str) -> Entry {
    Entry::read(&node::read(yaml).unwrap(), &Namespaces::new("team", &["b".to_owned()])).unwrap()
}

fn facts(names: &[&str], age_days: u32, left_days: u32, serial: &str) -> CertificateFacts {
    CertificateFacts {
        names: names.iter().map(|n| Domain::parse(n).unwrap()).collect(),
        not_before: NOW - DAY * age_days,
        not_after: NOW + DAY * left_days,
        serial: serial.into(),
        public_key: [1; 32],
        issuer: "Some CA".into(),
        fingerprint: sha256(serial.as_bytes()),
        cert_id: None,
        links: crate::cert::facts::Links::Whole,
    }
}

fn present(pair: PairState) -> Present {
    Present {
        kind: TYPE_TLS.into(),
        owner: Owner::Us,
        pair,
        directory: Some(PEBBLE.into()),
        key_type: Some("ecdsa-p256".into()),
        profile: None,
        renewal_asked: None,
        revocation_asked: None,
        writer: None,
    }
}

fn case() -> Case {
    let mut record = RecordData::default();
    let directory = PEBBLE.into();
    record.stored = Some(Issued {
        serial: "01".into(),
        at: NOW - DAY,
        directory,
        key_type: "ecdsa-p256".into(),
        profile: None,
        account: None,
        cert_id: None,
    });
    let pair = PairState::Sound(facts(&["a.test", "*.a.test"], 10, 80, "01").into());
    Case {
        entry: entry("{secret: web, domains: [a.test, www.a.test]}"),
        secrets: vec![SecretState::Present(Box::new(present(pair)))],
        record,
        copy: Some(facts(&["a.test", "*.a.test"], 10, 80, "01")),
        directory: Directory::new(PEBBLE, true),
        orders: Vec::new(),
        closed: None,
        week_is_full: None,
        profile: None,
        of_objects: false,
    }
}

impl Case {
    fn decide(&self) -> Evaluation {
        let of_names = [(self.entry.order_names(), self.orders.clone())].into();
        let orders = [(self.directory.url().into(), of_names)].into();
        evaluate(&EvaluationInput {
            entry: &self.entry,
            secrets: &self.secrets,
            record: &self.record,
            copy: self.copy.as_ref(),
            directory: &self.directory,
            profile: self.profile,
            inputs: "inputs",
            orders: &orders,
            closed: self.closed.as_ref(),
            week_is_full: self.week_is_full,
            of_objects: self.of_objects,
            now: NOW,
        })
    }

    fn with(mut self, change: impl FnOnce(&mut Present)) -> Case {
        let SecretState::Present(present) = &mut self.secrets[0] else { panic!("a Secret") };
        change(present);
        self
    }

    fn pair(self, facts: CertificateFacts) -> Case {
        self.with(|p| p.pair = PairState::Sound(facts.into()))
    }

    fn word(&self) -> String {
        match self.decide().decision {
            Decision::Keep { .. } => "Keep".to_owned(),
            Decision::Wait { finding, waiting, .. } => format!("Wait {waiting} {}", finding.reason),
            Decision::Refuse { finding } => format!("Refuse {}", finding.reason),
            Decision::Restore { finding, source, .. } => format!("Restore {} {source:?}", finding.reason),
            Decision::Issue { finding, counted, .. } => {
                format!("Issue {}{}", finding.reason, if counted { "" } else { " uncounted" })
            }
        }
    }
}

fn without_copy(case: Case) -> Case {
    Case { copy: None, ..case }
}

#[test]
fn each_check_finds_its_fault_and_what_follows_is_decided() {
    let aged = |age, left| facts(&["a.test", "*.a.test"], age, left, "01");
    let rows: Vec<(&str, Case, &str)> = vec![
        ("all is well", case(), "Keep"),
        ("missing, with a copy", Case { secrets: vec![SecretState::Missing], ..case() }, "Restore SecretMissing Copy"),
        (
            "missing, without a copy",
            Case { secrets: vec![SecretState::Missing], copy: None, ..case() },
            "Issue SecretMissing",
        ),
        (
            "missing, with a copy that expired",
            Case { secrets: vec![SecretState::Missing], copy: Some(aged(90, 0)), ..case() },
            "Issue SecretMissing",
        ),
        (
            "missing, with a copy for other names",
            Case { secrets: vec![SecretState::Missing], copy: Some(facts(&["b.test"], 1, 89, "01")), ..case() },
            "Issue SecretMissing",
        ),
        ("another type", case().with(|p| p.kind = "Opaque".into()), "Refuse WrongType"),
        (
            "another type, broken and foreign",
            case().with(|p| {
                p.kind = "Opaque".into();
                p.owner = Owner::Another("x".into());
                p.pair = PairState::Mismatch;
            }),
            "Refuse WrongType",
        ),
        ("foreign", case().with(|p| p.owner = Owner::Another("cert-manager".into())), "Refuse OwnedByAnother"),
        (
            "foreign and due",
            case().pair(aged(62, 28)).with(|p| p.owner = Owner::Another("x".into())),
            "Refuse OwnedByAnother",
        ),
        (
            "foreign and a tenth of its life overdue",
            case().pair(aged(70, 20)).with(|p| p.owner = Owner::Another("x".into())),
            "Issue RenewalDue uncounted",
        ),
        (
            "foreign and broken",
            case().with(|p| {
                p.owner = Owner::Another("x".into());
                p.pair = PairState::Mismatch;
            }),
            "Refuse OwnedByAnother",
        ),
        (
            "foreign, to be adopted",
            Case { entry: entry("{secret: web, domains: [a.test], adopt: true}"), ..case() }
                .with(|p| p.owner = Owner::Another("x".into())),
            "Keep",
        ),
        ("made by hand", case().with(|p| (p.owner, p.directory, p.key_type) = (Owner::Nobody, None, None)), "Keep"),
        ("broken, with a copy", case().with(|p| p.pair = PairState::Broken("x".into())), "Restore Unparsable Copy"),
        (
            "broken, without a copy",
            Case { copy: None, ..case() }.with(|p| p.pair = PairState::Broken("x".into())),
            "Issue Unparsable",
        ),
        ("key of another", case().with(|p| p.pair = PairState::Mismatch), "Restore KeyMismatch Copy"),
        ("a name is missing", without_copy(case().pair(facts(&["a.test"], 10, 80, "01"))), "Issue NameMissing"),
        (
            "what we stored had the names: somebody overwrote it",
            case().pair(facts(&["a.test"], 10, 80, "01")),
            "Restore NameMissing Copy",
        ),
        ("more names than wanted", case().pair(facts(&["a.test", "*.a.test", "b.test"], 10, 80, "01")), "Keep"),
        ("expired", case().pair(aged(90, 0)), "Issue Expired"),
        ("expired and a name missing", without_copy(case().pair(facts(&["b.test"], 90, 0, "01"))), "Issue NameMissing"),
        (
            "not valid for six minutes",
            Case { record: RecordData::default(), ..case() }.pair(later(360)),
            "Issue NotYetValid",
        ),
        ("not valid for four minutes", Case { record: RecordData::default(), ..case() }.pair(later(240)), "Keep"),
        ("not valid yet, but we stored it", case().pair(later(360)), "Keep"),
        (
            "another directory",
            Case { directory: Directory::new("https://other.example/dir", true), ..case() },
            "Issue DirectoryChanged",
        ),
        (
            "another directory by default",
            Case { directory: Directory::new("https://other.example/dir", false), ..case() },
            "Keep",
        ),
        (
            "the same directory, written otherwise",
            Case { directory: Directory::new("HTTPS://CA.example:443/dir/", true), ..case() },
            "Keep",
        ),
        (
            "another kind of key",
            Case { entry: entry("{secret: web, domains: [a.test], keyType: ecdsa-p384}"), ..case() },
            "Issue KeyTypeChanged",
        ),
        ("due", case().pair(aged(62, 28)), "Issue RenewalDue uncounted"),
        (
            "due, not what we stored last",
            Case { record: RecordData::default(), ..case() }.pair(aged(62, 28)),
            "Issue RenewalDue",
        ),
        ("asked for", case().with(|p| p.renewal_asked = Some("now".into())), "Issue RenewalRequested"),
        ("a key that can not be read", case().with(|p| p.pair = PairState::Unchecked(aged(10, 80).into())), "Keep"),
    ];
    for (what, case, expected) in rows {
        assert_eq!(case.word(), expected, "{what}");
    }
}

fn later(seconds: u64) -> CertificateFacts {
    let mut facts = facts(&["a.test", "*.a.test"], 0, 90, "01");
    facts.not_before = NOW + Duration::from_secs(seconds);
    facts
}

#[test]
fn a_certificate_that_browsers_trust_is_never_replaced_by_one_for_tests() {
    let staging = |explicit| Directory::new(STAGING, explicit);
    let secrets = |directory: Option<&str>, issuer: &str, age, left| {
        let mut f = facts(&["a.test", "*.a.test"], age, left, "01");
        f.issuer = issuer.into();
        let directory = directory.map(SharedStr::from);
        case().pair(f).with(|p| p.directory = directory)
    };
    for (what, case, expected) in [
        ("-acme was lost", Case { directory: staging(false), ..secrets(Some(PRODUCTION), "R10", 10, 80) }, "Keep"),
        (
            "-acme was lost, and it is due",
            Case { directory: staging(false), ..secrets(Some(PRODUCTION), "R10", 62, 28) },
            "Refuse RenewalDue",
        ),
        (
            "staging was asked for",
            Case { directory: staging(true), ..secrets(Some(PRODUCTION), "R10", 10, 80) },
            "Refuse DirectoryChanged",
        ),
        ("unmarked and due", Case { directory: staging(true), ..secrets(None, "R10", 62, 28) }, "Refuse RenewalDue"),
        ("it expired", Case { directory: staging(true), ..secrets(Some(PRODUCTION), "R10", 90, 0) }, "Issue Expired"),
        (
            "staging follows staging",
            Case { directory: staging(true), ..secrets(Some(STAGING), "(STAGING) X", 62, 28) },
            "Issue RenewalDue uncounted",
        ),
        (
            "staging, unmarked",
            Case { directory: staging(false), ..secrets(None, "(STAGING) X", 62, 28) },
            "Issue RenewalDue uncounted",
        ),
        (
            "to production",
            Case { directory: Directory::new(PRODUCTION, true), ..secrets(Some(STAGING), "(STAGING) X", 10, 80) },
            "Issue DirectoryChanged",
        ),
        (
            "to production, unmarked",
            Case { directory: Directory::new(PRODUCTION, true), ..secrets(None, "(STAGING) X", 10, 80) },
            "Issue DirectoryChanged",
        ),
    ] {
        assert_eq!(case.word(), expected, "{what}");
    }
    let asked = Case { directory: staging(true), ..secrets(Some(PRODUCTION), "R10", 10, 80) }
        .with(|p| p.renewal_asked = Some("1".into()));
    assert_eq!(asked.word(), "Issue DirectoryChanged", "somebody asked for this Secret");
    for (url, expected) in [
        (STAGING, true),
        (PRODUCTION, false),
        ("https://dv.acme-v02.test-api.pki.goog/directory", true),
        ("https://ca.lab.test/dir", false),
        ("https://127.0.0.1:14000/dir", false),
        ("https://stg.ca.example/dir", true),
    ] {
        assert_eq!(Directory::new(url, true).is_staging(), expected, "{url}");
    }
}

fn failed(next: Time, inputs: &str) -> RecordData {
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
    let other_names = Case { entry: entry("{secret: web, domains: [b.test]}"), ..missing(failed(soon, "inputs")) };
    assert_eq!(other_names.word(), "Issue SecretMissing", "another name set was never tried");
    let restorable = Case { copy: case().copy, ..missing(failed(soon, "inputs")) };
    assert_eq!(restorable.word(), "Restore SecretMissing Copy", "a restore needs no CA");
}

#[test]
fn the_cap_holds_over_all_entries_and_only_regular_renewals_pass() {
    let orders: Vec<Time> = (1..=4).map(|n| NOW - DAY * n).collect();
    let expired = Case { orders: orders.clone(), ..case() }.pair(facts(&["a.test", "*.a.test"], 90, 0, "01"));
    let Decision::Wait { waiting: WaitReason::Capped, until, .. } = expired.decide().decision else {
        panic!("{}", expired.word())
    };
    assert_eq!(until, NOW - DAY * 4 + DAY * 7);
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
        let mut pending = PendingOrder::new("", NOW, &names, PEBBLE, (case.entry.key_type, None));
        pending.order = order.map(str::to_owned);
        case.record.in_flight = Some(Box::new(pending));
        case
    };
    for (what, case, expected) in [
        ("due", full().pair(facts(&["a.test", "*.a.test"], 62, 28, "01")), "Issue RenewalDue uncounted"),
        ("valid", full(), "Keep"),
        ("expired", full().pair(facts(&["a.test", "*.a.test"], 90, 0, "01")), "Wait NamespaceCapped Expired"),
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
    let due = full().pair(facts(&["a.test"], 62, 28, "01"));
    assert!(matches!(due.decide().decision, Decision::Issue { names: Some(names), .. } if names.len() == 1));
}

#[test]
fn a_request_in_the_record_overrides_the_cap_for_one_order() {
    let orders: Vec<Time> = (1..=4).map(|n| NOW - DAY * n).collect();
    for (asked, last, word) in [
        (None, NOW - DAY, "Wait Capped SecretMissing"),
        (Some(format!("{NOW}")), NOW - DAY, "Wait Capped SecretMissing"),
        (Some(format!("{NOW} force")), NOW - DAY, "Issue SecretMissing"),
        (Some(format!("{} force", NOW - DAY * 2)), NOW - DAY, "Wait Capped SecretMissing"),
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
        let mut w = case().with(|p| p.pair = PairState::Mismatch);
        w.record.restores = restores;
        w
    };
    assert_eq!(broken(vec![NOW - minute, NOW - 2 * minute]).word(), "Restore KeyMismatch Copy");
    let contested = broken(vec![NOW - minute, NOW - 2 * minute, NOW - 3 * minute]);
    let Decision::Wait { waiting: WaitReason::Contested, until, .. } = contested.decide().decision else {
        panic!("{}", contested.word())
    };
    assert_eq!(until, NOW + 19 * minute);
    assert_eq!(broken(vec![NOW - 61 * minute, NOW - 2 * minute, NOW - 3 * minute]).word(), "Restore KeyMismatch Copy");
    assert_eq!(
        broken(vec![NOW - 20 * minute, NOW - 21 * minute, NOW - 22 * minute]).word(),
        "Wait Contested KeyMismatch"
    );
}

#[test]
fn who_wrote_what_is_wrong_is_named() {
    let written = |change: fn(&mut Present)| {
        case().with(change).with(|p| p.writer = Some("\"kubectl-edit\" at noon".into())).decide().decision
    };
    let Decision::Restore { finding, .. } = written(|p| p.pair = PairState::Mismatch) else { panic!("it is restored") };
    assert_eq!(finding.detail, "its key does not belong to its certificate; last written by \"kubectl-edit\" at noon");
    let Decision::Issue { finding, .. } = written(|p| p.renewal_asked = Some("now".into())) else {
        panic!("asked for")
    };
    assert!(!finding.detail.contains("kubectl"), "nothing is wrong with what it holds: {}", finding.detail);
}

#[test]
fn several_secrets_hold_one_certificate() {
    let both = |a: SecretState, b: SecretState| Case {
        entry: entry("{secret: [web, b/web], domains: [a.test]}"),
        secrets: vec![a, b],
        ..case()
    };
    let holds = |serial, left| {
        SecretState::Present(Box::new(present(PairState::Sound(facts(&["a.test"], 10, left, serial).into()))))
    };
    let foreign = || {
        let mut p = present(PairState::Sound(facts(&["a.test"], 10, 80, "09").into()));
        p.owner = Owner::Another("x".into());
        SecretState::Present(Box::new(p))
    };
    assert_eq!(both(holds("01", 80), holds("01", 80)).word(), "Keep");
    let Decision::Restore { source, targets, .. } = both(SecretState::Missing, holds("01", 80)).decide().decision
    else {
        panic!()
    };
    assert_eq!((source, targets), (RestoreFrom::Sibling(1), vec![0]));
    let Decision::Restore { source, targets, .. } = both(holds("01", 80), holds("02", 70)).decide().decision else {
        panic!()
    };
    assert_eq!((source, targets), (RestoreFrom::Sibling(0), vec![1]), "the one that lasts longer");
    let Decision::Issue { targets, .. } = both(holds("01", 5), holds("01", 5)).decide().decision else { panic!() };
    assert_eq!(targets, [0, 1]);
    let judgement = both(SecretState::Missing, foreign()).decide();
    assert_eq!(judgement.refused.len(), 1);
    let Decision::Restore { targets, source: RestoreFrom::Copy, .. } = judgement.decision else { panic!() };
    assert_eq!(targets, [0], "a Secret that is not ours is left alone, the other served");
    assert_eq!(both(foreign(), foreign()).word(), "Refuse OwnedByAnother");
    let mut asked = present(PairState::Sound(facts(&["a.test"], 10, 80, "01").into()));
    asked.renewal_asked = Some("please".into());
    let case = both(holds("01", 80), SecretState::Present(Box::new(asked)));
    assert_eq!(case.word(), "Issue RenewalRequested", "asked for at one of them, it is for both");
}

#[test]
fn what_a_person_should_know_is_said_besides_the_decision() {
    let unchecked = case().with(|p| p.pair = PairState::Unchecked(facts(&["a.test", "*.a.test"], 10, 80, "01").into()));
    assert!(unchecked.decide().warnings[0].contains("can not be read here"));
    let early = Case { entry: entry("{secret: web, domains: [a.test], renewBefore: 60d}"), ..case() };
    assert!(early.decide().warnings[0].contains("renewBefore is two thirds"), "{:?}", early.decide().warnings);
    assert_eq!(early.word(), "Keep");
    assert!(case().decide().warnings.is_empty());
}
