use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::capacity::Capacity;
use super::gather::ReconcilePass;
use super::messages::WorkResult;
use super::observed::{InformerEvent, ObjectEvent, RecordSummary};
use super::state::ControllerState;
use super::*;
use crate::base::limits::{POLL_INTERVAL, READ_AGAIN, TABLE_KEPT_MIN};
use crate::base::name::{ClusterName, ObjectRef};
use crate::base::time::Time;
use crate::cli::Arguments;
use crate::cli::values::{CommandLine, read};
use crate::config::entry::Entry;
use crate::config::node;
use crate::issuance::AttemptError;
use crate::kube::resource::{Selector, WatchTarget};
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::ca_limits::Quota;
use crate::policy::circuit::{DnsTarget, Unavailable};
use crate::policy::retention::RetentionStep;
use crate::policy::secret_state::{Owner, PairState, Present, SecretState};
use crate::record::{self, AcceptedSpec, Orphaned, RecordData};
use crate::sources::ingress::IngressSource;
use crate::sources::wish::ObjectKey;
use crate::sources::{CertificateSpec, Desired, Parsed, ParserFactory, Source, SourceEvent, SourceObject, SourceRef};
use crate::start;
use crate::status::certificate::Subject;
use crate::store::{LockMode, Store};
use crate::worker::{Job, Outcome};

const CA: &str = "https://ca.test/dir";

/// A folder with a ConfigMap, which goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, count: usize) -> Folder {
        let path = std::env::temp_dir().join(format!("notariat-controller-{name}-{count}-{}", std::process::id()));
        let config_map = path.join("ns/configmaps/certs");
        fs::create_dir_all(&config_map).unwrap();
        let entries: String = (0..count).map(|n| format!("- {{secret: s{n}, domains: [n{n}.test]}}\n")).collect();
        fs::write(config_map.join("certificates"), if count == 0 { "[]".to_owned() } else { entries }).unwrap();
        Folder(path)
    }

    fn open(&self) -> (Arc<Context>, Options) {
        let path = self.0.to_str().unwrap();
        let flags = ["-local", path, "-namespace", "ns", "-config", "certs", "-acme", CA, "-dry-run"];
        let Ok(CommandLine::Run(command, values)) = read(flags.map(Into::into).to_vec(), |_| None) else {
            panic!("{flags:?}")
        };
        let arguments = Arguments::read(command, &values).unwrap();
        let (context, options) = start::build_for(&arguments, LockMode::Beside).ok().unwrap();
        (Arc::new(context), options)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn controller<'p>(context: &Arc<Context>, options: &'p Options, more: Vec<Box<dyn Source>>) -> Controller<'p> {
    controller_with(StatusTable::complete(), context, options, more)
}

fn controller_with<'p>(
    statuses: StatusTable,
    context: &Arc<Context>,
    options: &'p Options,
    more: Vec<Box<dyn Source>>,
) -> Controller<'p> {
    let now = time::now();
    let (wake, events) = bounded(CHANGES_WAITING_MAX);
    let mut sources = registry::all(&options.config_maps, &context.namespaces);
    sources.extend(more);
    let state = ControllerState::new(context.clone(), sources, options, Some(statuses), None, now);
    let mut controller =
        Controller::new(state, options, Workers::new(context.clone(), options.workers, wake), events, now);
    controller.start().unwrap();
    controller
}

const ONE: Capacity = Capacity { workers: 1, others: 0 };

/// The steps of the loop from a changed Secret over its job to the changed record, and of what is shown meanwhile.
fn steps_of_one_certificate(count: usize) -> u64 {
    let folder = Folder::new("steps", count);
    let (context, options) = folder.open();
    let mut controller = controller(&context, &options, Vec::new());
    let now = time::now();
    controller.pass(now).unwrap();
    assert_eq!(controller.queue.queued(), count);
    let secret = ObjectRef::new("ns", "s1");
    let before = steps::count();
    controller.queue.add_now(&secret);
    controller.pass(now).unwrap();
    let job = controller.queue.start(false, ONE, |_, _| None).unwrap();
    let at = job.wanted.entry.main_secret().clone();
    let outcome = Outcome { secret: at.clone(), result: Ok(()), found: None };
    controller.handle_result(WorkResult::Job(outcome, job));
    let record = record::reference(&at, "ns");
    let summary = Box::new(RecordSummary { body: ordered(now), ..RecordSummary::default() });
    controller.state.secrets.records.read(record, "7", Some(Ok(summary)), now + READ_AGAIN);
    controller.pass(now).unwrap();
    controller.pause(now);
    controller.state.snapshot([].into(), [].into(), now);
    steps::count() - before
}

fn ordered(at: Time) -> RecordData {
    let mut record = RecordData::default();
    let names = [crate::base::name::Domain::parse("n1.test").unwrap()];
    record.history_mut(&names, CA, at).orders.push(at);
    record
}

#[test]
fn an_event_costs_the_same_whatever_the_number_of_certificates() {
    let (few, many) = (steps_of_one_certificate(100), steps_of_one_certificate(3_000));
    assert!(few > 5, "{few}: they are counted");
    assert_eq!(few, many);
}

/// A source of another kind: each Lease wants a certificate.
#[derive(Debug, Default)]
struct LeaseSource {
    wanted: Vec<(String, String)>,
    polled: bool,
}

impl Source for LeaseSource {
    fn targets(&self) -> Vec<WatchTarget> {
        let (resource, namespace) = (Resource::LEASES, "ns".to_owned());
        vec![WatchTarget {
            resource,
            namespace,
            selector: Selector::Name("desired".to_owned()),
            cluster: ClusterName::HOME,
        }]
    }

    fn parser(&self, _: &WatchTarget) -> ParserFactory {
        let parse = |object: &Value| -> Parsed {
            let text = |field: &str| object["spec"][field].as_str().unwrap().to_owned();
            Box::new((text("secret"), text("domain")))
        };
        ParserFactory(Arc::new(move || Box::new(parse)))
    }

    fn apply(&mut self, _: &WatchTarget, event: SourceEvent) -> bool {
        let SourceEvent::Present(parsed) = event else { return false };
        self.wanted.push(*parsed.downcast().unwrap());
        true
    }

    fn poll(&mut self, _: &WatchTarget, _: &Store) {
        self.polled = true;
    }

    fn has_synced(&self) -> bool {
        self.polled
    }

    fn not_ready(&self) -> Option<String> {
        (!self.polled).then(|| "the Leases were not read yet".to_owned())
    }

    fn objects(&self) -> Vec<SourceObject> {
        Vec::new()
    }

    fn owns(&self, source: &str) -> bool {
        source.starts_with("Lease ")
    }

    fn add_to(&self, desired: &mut Desired, _: &dyn Fn(&ObjectRef) -> Option<AcceptedSpec>) {
        let source = SourceRef::new("Lease", &ObjectRef::new("ns", "desired"), Some("uid-1"));
        for (secret, domain) in &self.wanted {
            let entry = node::read(&format!("{{secret: {secret}, domains: [{domain}]}}")).unwrap();
            let entry = Entry::read(&entry, &"ns".into()).unwrap();
            desired.add(CertificateSpec::new(Arc::new(entry), Vec::new().into(), None, source.clone()));
        }
    }
}

#[test]
fn a_source_of_another_kind_needs_nothing_but_itself() {
    let folder = Folder::new("source", 1);
    let (context, options) = folder.open();
    let source = LeaseSource { wanted: vec![("lease-a".to_owned(), "a.test".to_owned())], polled: false };
    let target = source.targets().remove(0);
    let parser = source.parser(&target);
    let mut controller = controller(&context, &options, vec![Box::new(source)]);
    assert_eq!(controller.state.not_ready().as_deref(), Some("ConfigMap ns/certs: it was not read yet"));
    let mut now = time::now();
    controller.pass(now).unwrap();
    assert_eq!(controller.state.not_ready(), None);
    let held = |controller: &Controller<'_>| {
        let all = controller.state.statuses.as_ref().unwrap().all();
        all.iter().map(|status| format!("{} {}", status.secrets()[0].name, status.state)).collect::<Vec<_>>()
    };
    assert_eq!(held(&controller), ["lease-a Waiting", "s0 Waiting"]);
    let parsed = (parser.0)()(&json!({"spec": {"secret": "lease-b", "domain": "b.test"}}));
    assert!(controller.state.sources.apply(&target, SourceEvent::Present(parsed)));
    now = now + POLL_INTERVAL;
    controller.pass(now).unwrap();
    assert_eq!(held(&controller), ["lease-a Waiting", "lease-b Waiting", "s0 Waiting"]);
    let wanted = &controller.state.desired.wanted[&ObjectRef::new("ns", "lease-b")];
    assert_eq!((&*wanted.source, wanted.source.uid()), ("Lease ns/desired", Some("uid-1")));
    assert_eq!((controller.queue.queued(), controller.state.sources.own("Lease ns/x")), (3, true));
}

#[test]
fn what_is_made_anew_and_did_not_change_is_kept_once() {
    let folder = Folder::new("once", 2);
    let (context, options) = folder.open();
    let mut controller = controller(&context, &options, Vec::new());
    controller.pass(time::now()).unwrap();
    controller.state.rebuild_desired();
    let secret = ObjectRef::new("ns", "s1");
    let status = controller.state.statuses.as_ref().unwrap().get(&secret).unwrap();
    let wanted = &controller.state.desired.wanted[&secret];
    assert!(matches!(&status.subject, Subject::Wanted(entry) if Arc::ptr_eq(entry, &wanted.entry)));
    assert!(Arc::ptr_eq(&status.objects, &wanted.objects));
}

#[test]
fn the_status_for_an_object_is_made_again_where_it_is_not_kept() {
    let folder = Folder::new("on-demand", 0);
    let config = folder.0.join("ns/configmaps/certs");
    fs::write(config.join("namespaces"), "ns: {domains: [a.test]}").unwrap();
    fs::write(config.join("defaults"), "{email: a@a.test, tsigSecretName: key, dns: {server: '192.0.2.1'}}").unwrap();
    let (context, options) = folder.open();
    let object = ObjectKey::of(Resource::INGRESSES, &ObjectRef::new("ns", "web"));
    let status = |statuses| {
        let mut source = IngressSource::new(Selector::All, false);
        let target = source.targets().remove(0);
        let metadata =
            json!({"namespace": "ns", "name": "web", "uid": "u", "annotations": {"kubernetes.io/tls-acme": "true"}});
        let ingress = json!({"metadata": metadata, "spec": {"tls": [{"secretName": "s", "hosts": ["x.a.test"]}]}});
        let parsed = (source.parser(&target).0)()(&ingress);
        for event in [SourceEvent::Listing, SourceEvent::Present(parsed), SourceEvent::Listed] {
            source.apply(&target, event);
        }
        let mut controller = controller_with(statuses, &context, &options, vec![Box::new(source)]);
        let now = time::now();
        controller.pass(now).unwrap();
        let state = &mut controller.state;
        let kept = state.statuses.as_ref().unwrap().all().len();
        (kept, state.status_of(&object, &mut ReconcilePass::new(now)))
    };
    let (kept, made_again) = (status(StatusTable::complete()), status(StatusTable::of_most_urgent(0)));
    assert_eq!((kept.0, made_again.0), (1, 0));
    assert!(kept.1.is_some() && kept.1 == made_again.1, "{:?}", made_again.1);
}

fn started(controller: &mut Controller<'_>) -> Box<Job> {
    controller.queue.start(false, ONE, |_, _| None).unwrap()
}

fn failed(job: &Job, change: impl FnOnce(&mut AttemptError)) -> Outcome {
    let mut failed = AttemptError::new(Stage::Order, RetryClass::Transient, "no".to_owned());
    change(&mut failed);
    Outcome { secret: job.wanted.entry.main_secret().clone(), result: Err(failed), found: None }
}

#[test]
fn the_result_of_a_job_ends_its_order_and_says_when_it_is_tried_again() {
    let folder = Folder::new("outcomes", 2);
    let (context, options) = folder.open();
    let mut controller = controller(&context, &options, Vec::new());
    let now = time::now();
    controller.pass(now).unwrap();
    let reserved = |controller: &Controller<'_>| {
        let log = controller.state.secrets.records.index.orders.log(CA).unwrap();
        let quota = |orders| Quota { orders, window: Duration::from_secs(60), renewals: true };
        (1..).find(|orders| log.exhausted(&[quota(*orders)], false, now).is_none()).unwrap() - 1
    };
    assert_eq!(reserved(&controller), 2);
    let job = started(&mut controller);
    let (outcome, secret) = (failed(&job, |failed| failed.silent = true), job.wanted.entry.main_secret().clone());
    controller.handle_result(WorkResult::Job(outcome, job));
    assert_eq!((reserved(&controller), controller.queue.busy()), (1, 0));
    assert!(controller.queue.take(now).is_empty(), "it backs off");
    assert_eq!(controller.queue.take(now + 2 * POLL_INTERVAL), [secret, ObjectRef::new("ns", "s1")]);

    let mut job = started(&mut controller);
    let circuit = DnsTarget { server: "127.0.0.1:53".parse().unwrap(), zone: "n1.test".parse().unwrap(), key: None };
    let outcome = failed(&job, |failed| {
        failed.barred = Some(Unavailable::Open(now + POLL_INTERVAL));
        failed.dns_target = Some(Box::new(circuit.clone()));
    });
    job.inputs = "kept".to_owned();
    controller.handle_result(WorkResult::Job(outcome, job));
    assert_eq!((controller.queue.queued(), controller.queue.busy()), (1, 0), "it waits in the queue");
    let closed = |at: &DnsTarget, _: &Job| (*at == circuit).then_some(Unavailable::Open(now + POLL_INTERVAL));
    assert_eq!(controller.queue.opens(closed), Some(now + POLL_INTERVAL));
    assert!(controller.queue.start(false, ONE, closed).is_none());
    assert_eq!(started(&mut controller).inputs, "kept");

    let at = ObjectRef::new("ns", "notariat-record.ns.gone");
    controller.releasing.insert(at.clone());
    controller.all_changed = false;
    controller.handle_result(WorkResult::Forgotten(at, Ok(())));
    assert!(controller.releasing.is_empty() && controller.all_changed);
}

#[test]
fn a_record_whose_entry_went_is_found_and_shown() {
    let folder = Folder::new("orphans", 0);
    let (context, options) = folder.open();
    let mut controller = controller(&context, &options, Vec::new());
    let now = time::now();
    let at = ObjectRef::new("ns", "notariat-record.ns.gone");
    let put = |controller: &mut Controller<'_>, orphaned: Option<Orphaned>| {
        let mut body = RecordData::default();
        body.orphaned = orphaned;
        let accepted =
            super::observed::AcceptedSummary { fingerprint: [0; 16], source: Some("ConfigMap ns/certs".into()) };
        let summary = Box::new(RecordSummary { body, accepted: Some(accepted), copy: None });
        controller.state.secrets.records.read(at.clone(), "1", Some(Ok(summary)), now + READ_AGAIN);
    };
    put(&mut controller, None);
    controller.pass(now).unwrap();
    let (record, orphaned) = match &controller.orphaned[..] {
        [(record, RetentionStep::Orphan(orphaned))] => (record.clone(), *orphaned),
        other => panic!("{other:?}"),
    };
    assert_eq!((record, controller.state.orphans().count()), (at.clone(), 0));
    put(&mut controller, Some(orphaned));
    assert_eq!(controller.state.snapshot([].into(), [].into(), now).orphaned, 1);
    assert_eq!(controller.state.report(&[].into(), &[].into()).rows[0].secrets(), [ObjectRef::new("ns", "gone")]);
    put(&mut controller, None);
    assert_eq!(controller.state.orphans().count(), 0);
}

#[test]
fn an_outage_ends_with_the_return_of_the_last_watch_that_was_lost() {
    let folder = Folder::new("outage", 0);
    let (context, options) = folder.open();
    let mut controller = controller(&context, &options, Vec::new());
    let mut ends = |watch, seen| controller.state.note_lost(&InformerEvent { watch, seen });
    let lost = || ObjectEvent::Lost("connection refused".to_owned());
    assert!(!ends(1, ObjectEvent::Found), "it was not lost");
    assert!(!ends(1, lost()) && !ends(2, lost()) && !ends(3, lost()));
    assert!(!ends(2, ObjectEvent::Listing) && !ends(2, ObjectEvent::Listed));
    assert!(!ends(4, ObjectEvent::Listed) && !ends(1, ObjectEvent::Found));
    assert!(ends(3, ObjectEvent::Absent));
    assert!(!ends(3, ObjectEvent::Listed), "it ends once");
}

#[test]
fn what_was_read_of_a_secret_counts_until_it_is_doubted() {
    let folder = Folder::new("cache", 1);
    let (context, options) = folder.open();
    let mut controller = controller(&context, &options, Vec::new());
    let (secrets, now, at) = (&mut controller.state.secrets, time::now(), ObjectRef::new("ns", "s0"));
    assert_eq!(secrets.held(&at, now).unwrap().0, SecretState::Missing);
    let broken = Present::example(PairState::Broken("no PEM".to_owned()));
    let present = SecretState::Present(Box::new(Present { owner: Owner::Nobody, ..broken }));
    secrets.found(&at, present.clone(), now);
    assert_eq!(secrets.held(&at, now).unwrap().0, present);
    secrets.invalidate(&at);
    assert_eq!(secrets.held(&at, now).unwrap().0, SecretState::Missing, "it is read again");
    secrets.found(&at, present.clone(), now);
    secrets.invalidate_readings();
    assert_eq!(secrets.held(&at, now).unwrap().0, SecretState::Missing);
    let unreadable = folder.0.join("ns/secrets/s0");
    fs::create_dir_all(&unreadable).unwrap();
    fs::write(unreadable.join("annotations.json"), "{").unwrap();
    assert!(secrets.held(&at, now + READ_AGAIN).is_err(), "a failed read is never \"missing\"");
}

#[test]
fn objects_are_in_the_table_of_their_kind_until_nobody_wants_them() {
    let folder = Folder::new("tables", 1);
    // The name of its record is a hash.
    let long = "l".repeat(250);
    let entries = format!("- {{secret: s0, domains: [n0.test]}}\n- {{secret: {long}, domains: [l.test]}}\n");
    fs::write(folder.0.join("ns/configmaps/certs/certificates"), entries).unwrap();
    let (context, options) = folder.open();
    let mut controller = controller(&context, &options, Vec::new());
    controller.pass(time::now()).unwrap();
    assert_eq!(controller.state.secrets.sizes(), (2, 2));
    for number in 0..TABLE_KEPT_MIN {
        let secret = ObjectRef::new("ns", &format!("unwanted-{number}"));
        controller.state.secrets.invalidate(&record::reference(&secret, "ns"));
        controller.state.secrets.invalidate(&secret);
    }
    assert_eq!(controller.state.secrets.sizes(), (2 + TABLE_KEPT_MIN, 2 + TABLE_KEPT_MIN));
    let record = record::reference(&ObjectRef::new("ns", "s0"), "ns");
    controller.state.secrets.invalidate(&ObjectRef::new("tenant", &record.name));
    assert_eq!(controller.state.secrets.sizes(), (3 + TABLE_KEPT_MIN, 2 + TABLE_KEPT_MIN), "no record of ours");
    controller.state.rebuild_desired();
    assert_eq!(controller.state.secrets.sizes(), (2, 2));
}
