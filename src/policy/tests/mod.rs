mod ca;
mod certificate;
mod csr;
mod revocation;
mod secret;
mod waits;
mod wishes;

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
use crate::policy::revocation::RevocationRequest;
use crate::policy::secret_state::{Owner, PairState, Present};
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
    certificate: Option<String>,
    revocations: Vec<RevocationRequest>,
    renewal: Option<RenewalWish>,
    now: Time,
}

fn entry(yaml: &str) -> Entry {
    Entry::read(&node::read(yaml).unwrap(), &Namespaces::new("team", &["b".to_owned()])).unwrap()
}

pub(super) fn facts(names: &[&str], age_days: u32, left_days: u32, serial: &str) -> CertificateFacts {
    let facts = CertificateFacts::example(names, NOW - DAY * age_days, NOW + DAY * left_days);
    CertificateFacts { serial: serial.into(), public_key: [1; 32], fingerprint: sha256(serial.as_bytes()), ..facts }
}

pub(super) fn present(pair: PairState) -> Present {
    Present { directory: Some(PEBBLE.into()), key_type: Some("ecdsa-p256".into()), ..Present::example(pair) }
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
        renewal_mark: None,
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
        certificate: None,
        revocations: Vec::new(),
        renewal: None,
        now: NOW,
    }
}

impl Case {
    fn decide(&self) -> Evaluation {
        self.with_input(evaluate)
    }

    fn with_input<T>(&self, of: impl FnOnce(&EvaluationInput<'_>) -> T) -> T {
        let of_names = [(self.entry.order_names(), self.orders.clone())].into();
        let orders = [(self.directory.url().into(), of_names)].into();
        of(&EvaluationInput {
            revocations: &self.revocations,
            certificate: self.certificate.as_deref(),
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
            secret_type: TYPE_TLS,
            of_objects: self.of_objects,
            renewal: self.renewal.as_ref(),
            now: self.now,
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

fn mismatch() -> PairState {
    PairState::Mismatch(facts(&["a.test", "*.a.test"], 10, 80, "01").into())
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
                p.pair = mismatch();
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
                p.pair = mismatch();
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
        ("key of another", case().with(|p| p.pair = mismatch()), "Restore KeyMismatch Copy"),
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

#[test]
fn who_wrote_what_is_wrong_is_named() {
    let written = |change: fn(&mut Present)| {
        case().with(change).with(|p| p.writer = Some("\"kubectl-edit\" at noon".into())).decide().decision
    };
    let Decision::Restore { finding, .. } = written(|p| p.pair = mismatch()) else { panic!("it is restored") };
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
