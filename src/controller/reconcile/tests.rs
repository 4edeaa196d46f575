use std::time::Duration;

use super::*;
use crate::base::name::{Domain, ObjectRef};
use crate::config;
use crate::controller::observed::AcceptedSummary;
use crate::kube::metadata::{ObjectReference, OwnerReference};
use crate::kube::resource::Resource;
use crate::policy::ca_limits::RateLimitBlock;
use crate::policy::order_index::OrderIndex;
use crate::policy::secret_state::{Owner, PairState, Present};
use crate::policy::{Reason, WaitReason};
use crate::record::{Orphaned, OrphanedSecret, PendingOrder, RecordData};
use crate::sources::{Desired, config_map};
use crate::status::evaluate::{Facts, evaluate};
use crate::status::state::CertificateState;

const NOW: Time = Time::from_unix(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const CA: &str = "https://ca.test/dir";

/// Facts that stand in memory.
struct Known {
    held: SecretState,
    record: RecordData,
    limit: Option<RateLimitBlock>,
    unreadable: bool,
    orders: OrderIndex,
}

impl Facts for Known {
    fn secret(&mut self, _: &ObjectRef) -> Result<SecretState, String> {
        if self.unreadable { Err("no answer".to_owned()) } else { Ok(self.held.clone()) }
    }

    fn read_record(&mut self, _: &ObjectRef) -> Result<(), String> {
        Ok(())
    }

    fn record(&self, _: &ObjectRef) -> (&RecordData, Option<&CertificateFacts>) {
        (&self.record, None)
    }

    fn dependencies(&mut self, _: &CertificateSpec, _: &[SecretState]) -> Result<String, String> {
        Ok("as then".to_owned())
    }

    fn directory(&self, _: &CertificateSpec) -> Directory {
        Directory::new(CA, true)
    }

    fn rate_limit(&mut self, _: &CertificateSpec, _: &str, _: &[Domain]) -> Option<RateLimitBlock> {
        self.limit.clone()
    }

    fn orders(&self) -> &OrderIndex {
        &self.orders
    }
}

fn wanted() -> Arc<CertificateSpec> {
    let yaml = "[{secret: web, domains: [a.test]}]";
    let config = config::read(&[("certificates".to_owned(), yaml.to_owned())].into(), &"team".into()).unwrap();
    let mut desired = Desired::default();
    config_map::add(&mut desired, &ObjectRef::new("team", "c"), &config, |_| None);
    desired.wanted.into_values().next().unwrap()
}

fn facts(to_days: u32) -> CertificateFacts {
    let facts = CertificateFacts::example(&["a.test"], NOW - DAY * (90 - to_days), NOW + DAY * to_days);
    CertificateFacts { cert_id: Some("a.b".into()), ..facts }
}

fn holds(to_days: u32, change: impl FnOnce(&mut Present)) -> SecretState {
    let pair = PairState::Sound(facts(to_days).into());
    let mut present = Present { directory: Some(CA.into()), ..Present::example(pair) };
    change(&mut present);
    SecretState::Present(Box::new(present))
}

/// The times of an input: clean-up, probe, renewal information.
type Times = (Option<Time>, Option<Time>, Option<Time>);

fn reconciled(held: SecretState, record: RecordData, accepted: bool, times: Times) -> (ReconcileResult, Vec<Note>) {
    reconciled_as(wanted(), held, record, accepted, times)
}

fn reconciled_as(
    wanted: Arc<CertificateSpec>,
    held: SecretState,
    record: RecordData,
    accepted: bool,
    times: Times,
) -> (ReconcileResult, Vec<Note>) {
    let summary = RecordSummary {
        body: record.clone(),
        accepted: accepted
            .then(|| AcceptedSummary { fingerprint: wanted.fingerprint, source: Some("ConfigMap team/c".into()) }),
        copy: None,
    };
    let mut known = Known { held, record, limit: None, unreadable: false, orders: OrderIndex::default() };
    reconcile(ReconcileInput {
        wanted: &wanted,
        evaluated: evaluate(&mut known, &wanted, NOW).unwrap(),
        record: &summary,
        version: "7",
        next_clean_up: times.0,
        next_probe: times.1,
        next_renewal_info: times.2,
        now: NOW,
    })
}

fn in_flight() -> RecordData {
    let (wanted, mut record) = (wanted(), RecordData::default());
    let flight = PendingOrder::new("host/1", NOW, &wanted.entry.domains, CA, (wanted.entry.key_word(), None));
    record.in_flight = Some(Box::new(flight));
    record
}

fn failed() -> RecordData {
    let mut record = RecordData::default();
    let history = record.history_mut(&wanted().entry.order_names(), CA, NOW - DAY);
    (history.failures, history.next_attempt, history.inputs) = (2, Some(NOW + DAY), "as then".to_owned());
    record
}

fn kind(task: &Task) -> &'static str {
    match task {
        Task::Issue { .. } => "issue",
        Task::Restore { .. } => "restore",
        Task::Tidy => "tidy",
        Task::Revoke => "revoke",
        Task::Cascade => "cascade",
        Task::Window(_) => "window",
        Task::Probe => "probe",
    }
}

#[test]
fn what_is_done_about_a_certificate() {
    let (now, later, never) = (Some(NOW), Some(NOW + DAY), (None, None, None));
    let valid = || holds(80, |_| {});
    let mut orphaned = RecordData::default();
    orphaned.orphaned = Some(Orphaned { since: NOW - DAY, until: NOW + DAY, secret: OrphanedSecret::Open });
    let ca = JobPeer::Ca(CA.into());
    for (name, held, record, accepted, times, task, peer) in [
        ("missing", SecretState::Missing, RecordData::default(), true, never, Some("issue"), Some(ca.clone())),
        ("due", holds(10, |_| {}), RecordData::default(), true, never, Some("issue"), Some(ca.clone())),
        ("valid", valid(), RecordData::default(), true, never, None, None),
        ("not accepted", valid(), RecordData::default(), false, never, Some("tidy"), Some(JobPeer::Dns)),
        ("back", valid(), orphaned.clone(), true, never, Some("tidy"), Some(JobPeer::Dns)),
        ("order left", valid(), in_flight(), true, never, Some("tidy"), Some(JobPeer::Dns)),
        ("order left, tried lately", valid(), in_flight(), true, (later, None, None), None, None),
        ("question", valid(), RecordData::default(), true, (None, now, now), Some("window"), Some(ca.clone())),
        ("question later", valid(), RecordData::default(), true, (None, now, later), Some("probe"), Some(JobPeer::Dns)),
        ("probe later", valid(), RecordData::default(), true, (None, later, None), None, None),
        ("failed lately", SecretState::Missing, failed(), true, (None, now, now), None, None),
        ("foreign", holds(80, |p| p.kind = "Opaque".into()), RecordData::default(), true, (None, now, now), None, None),
    ] {
        let (result, _) = reconciled(held, record, accepted, times);
        let job = result.job.as_deref();
        assert_eq!(job.map(|job| kind(&job.task)), task, "{name}");
        assert_eq!(job.map(|job| job.peer.clone()), peer, "{name}");
        assert_eq!(result.order.is_some(), task == Some("issue"), "{name}: only an order counts against a quota");
        assert!(job.is_none_or(|job| job.basis.record == "7" && job.basis.held.len() == 1), "{name}");
    }
    let (result, _) = reconciled(SecretState::Missing, orphaned, true, never);
    assert!(result.job.is_some() && !result.is_back, "the job says so in the record");
    let (mut record, held) = (failed(), SecretState::Missing);
    record.orphaned = Some(Orphaned { since: NOW - DAY, until: NOW + DAY, secret: OrphanedSecret::Open });
    assert!(reconciled(held, record, true, never).0.is_back, "no job says so in the record");
}

#[test]
fn an_owner_is_set_once_in_a_while_and_removed_at_once() {
    let owner = |uid: &str| {
        let object = ObjectReference::new(Resource::INGRESSES, &ObjectRef::new("team", "web"));
        OwnerReference::to(&ObjectReference { uid: Some(uid.to_owned()), ..object }).map(Box::new)
    };
    let held = |uid: Option<&str>, by: Owner| holds(80, |p| (p.cascade, p.owner) = (uid.map(Into::into), by));
    let (rested, lately) = (Some(NOW), Some(NOW + DAY));
    for (name, cascade, held, next, task) in [
        ("set", owner("a"), held(None, Owner::Us), rested, true),
        ("set, and lost again", owner("a"), held(None, Owner::Us), lately, false),
        ("is set", owner("a"), held(Some("a"), Owner::Us), rested, false),
        ("another", owner("b"), held(Some("a"), Owner::Us), rested, true),
        ("not any more", None, held(Some("a"), Owner::Us), lately, true),
        ("never", None, held(None, Owner::Us), rested, false),
        ("of somebody else", None, held(Some("a"), Owner::Nobody), rested, false),
        ("missing", owner("a"), SecretState::Missing, rested, false),
    ] {
        let mut spec = (*wanted()).clone();
        spec.cascade = cascade;
        let found = reconciled_as(Arc::new(spec), held, RecordData::default(), true, (next, None, None)).0.job;
        let found = found.is_some_and(|job| matches!(job.task, Task::Cascade) && job.peer == JobPeer::Store);
        assert_eq!(found, task, "{name}");
    }
}

#[test]
fn what_is_said_and_when_it_is_looked_at_again() {
    let (next, never) = (NOW + DAY, (None, None, None));
    let reasons = |notes: &[Note]| {
        let reason = |note: &Note| match note {
            Note::Valid(_) => "valid".to_owned(),
            Note::LeftAlone(secret, violation) => format!("{secret} {}", violation.reason),
            Note::Waiting(violation, waiting, _) => format!("{waiting} {}", violation.reason),
            Note::Refused(violation) => format!("refused {}", violation.reason),
            Note::Warning(_) => "warning".to_owned(),
            Note::Unread(_) => "unread".to_owned(),
        };
        notes.iter().map(reason).collect::<Vec<_>>()
    };
    let (result, notes) = reconciled(holds(80, |_| {}), RecordData::default(), true, never);
    let [Note::Valid(renewal)] = &*notes else { panic!("{notes:?}") };
    assert_eq!((result.due, result.unsound), (Some(*renewal), false));
    for (times, due) in [
        ((Some(next), None, None), None),
        ((None, Some(next), None), Some(next)),
        ((None, None, Some(next)), Some(next)),
        ((None, Some(next + DAY), Some(next)), Some(next)),
    ] {
        let (result, _) = reconciled(holds(80, |_| {}), RecordData::default(), true, times);
        assert_eq!(result.due, due.or(Some(*renewal)), "{times:?}");
    }
    let (result, _) = reconciled(holds(80, |_| {}), in_flight(), true, (Some(next), None, None));
    assert_eq!(result.due, Some(next), "then the record is cleaned up");
    let (result, notes) = reconciled(SecretState::Missing, failed(), true, never);
    assert_eq!((reasons(&notes), result.due), (vec!["BackingOff SecretMissing".to_owned()], Some(next)));
    assert!(result.unsound && !result.change_waits);
    let other = holds(80, |p| p.directory = Some("https://other.test/dir".into()));
    let (result, notes) = reconciled(other, failed(), true, never);
    assert_eq!(reasons(&notes), ["BackingOff DirectoryChanged"]);
    assert!(result.change_waits, "the other changes wait for it");
    let (result, notes) = reconciled(holds(80, |p| p.kind = "Opaque".into()), RecordData::default(), true, never);
    assert_eq!(reasons(&notes), ["team/web WrongType"], "said once");
    assert!(result.unsound);
}

#[test]
fn an_evaluation_gathers_limits_and_says_what_it_could_not_read() {
    let wanted = wanted();
    let limit = RateLimitBlock {
        scope: crate::policy::ca_limits::Scope::Account,
        since: Some(NOW),
        until: NOW + DAY,
        said: "no".to_owned(),
    };
    let mut known = Known {
        held: SecretState::Missing,
        record: RecordData::default(),
        limit: Some(limit),
        unreadable: false,
        orders: OrderIndex::default(),
    };
    let evaluated = evaluate(&mut known, &wanted, NOW).unwrap();
    let Decision::Wait { finding, waiting: WaitReason::RateLimited, .. } = &evaluated.evaluation.decision else {
        panic!("{:?}", evaluated.evaluation)
    };
    assert_eq!((finding.reason, evaluated.dependencies), (Reason::SecretMissing, None));
    assert_eq!(evaluated.status.state, CertificateState::RateLimited);
    assert_eq!(evaluated.status.unready, Some(Reason::SecretMissing));
    (known.limit, known.record) = (None, failed());
    let evaluated = evaluate(&mut known, &wanted, NOW).unwrap();
    assert_eq!(evaluated.dependencies.as_deref(), Some("as then"), "a change of a key would end the wait");
    known.unreadable = true;
    assert_eq!(evaluate(&mut known, &wanted, NOW).unwrap_err(), "no answer");
}

/// The order that is decided counts for the namespace of a certificate that objects want, unless it is a regular renewal.
#[test]
fn a_decided_order_counts_for_its_namespace() {
    let limited = |orders_per_week| {
        let mut wanted = wanted();
        Arc::make_mut(&mut wanted).orders_per_week = orders_per_week;
        wanted
    };
    let stored = |record: &mut RecordData| {
        record.stored = Some(crate::record::Issued {
            serial: "01".into(),
            at: NOW - DAY * 62,
            directory: CA.into(),
            key_type: "ecdsa-p256".into(),
            profile: None,
            account: None,
            cert_id: None,
            renewal_mark: None,
        });
    };
    for (orders_per_week, held, made, expected) in [
        (None, SecretState::Missing, 9, "counts for none"),
        (Some(2), SecretState::Missing, 1, "counts for team"),
        (Some(2), SecretState::Missing, 2, "waits"),
        (Some(0), SecretState::Missing, 0, "waits"),
        (Some(2), holds(28, |_| ()), 9, "counts for none"),
    ] {
        let mut orders = OrderIndex::default();
        let (mut other, mut record) = (RecordData::default(), RecordData::default());
        (0..made).for_each(|_| other.count_for_namespace("team", NOW - DAY));
        orders.add(&other, NOW);
        stored(&mut record);
        let mut known = Known { held, record, limit: None, unreadable: false, orders };
        let evaluated = evaluate(&mut known, &limited(orders_per_week), NOW).unwrap();
        let found = match (&evaluated.evaluation.decision, &evaluated.order) {
            (Decision::Wait { waiting: WaitReason::NamespaceCapped, .. }, None) => "waits".to_owned(),
            (Decision::Issue { .. }, Some(order)) => {
                format!("counts for {}", order.namespace.as_deref().unwrap_or("none"))
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{orders_per_week:?} {made}");
    }
}
