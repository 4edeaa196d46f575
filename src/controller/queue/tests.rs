use super::*;
use crate::base::limits::SHOWN_WITHIN;
use crate::base::shared_str::SharedStr;
use crate::config::entry::Entry;
use crate::config::node;
use crate::policy::Reason;
use crate::policy::{RestoreFrom, Violation};
use crate::sources::CertificateSpec;
use std::sync::Arc;
use std::time::Duration;

fn at(name: &str) -> ObjectRef {
    ObjectRef::parse(name, "t").unwrap()
}

fn now() -> Time {
    Time::from_unix(1_800_000_000)
}

fn verdict(name: &str, task: Task) -> ReconcileResult {
    let entry =
        Entry::read(&node::read(&format!("{{secret: {name}, domains: [a.test]}}")).unwrap(), &"t".into()).unwrap();
    let wanted = Arc::new(CertificateSpec::new(Arc::new(entry), Vec::new().into(), None, "".into()));
    ReconcileResult { job: Some(Box::new(Job::new(wanted, task))), ..ReconcileResult::default() }
}

fn issue(reason: Reason) -> Task {
    Task::Issue { finding: Violation { reason, detail: String::new() }, targets: vec![0], counted: true }
}

fn queue(jobs: &[(&str, Reason)]) -> WorkQueue {
    let mut queue = WorkQueue::new(false);
    for (name, reason) in jobs {
        queue.set_result(at(name), verdict(name, issue(*reason)));
    }
    queue
}

const ROOM: Capacity = Capacity { workers: 100, others: 0 };

fn started(queue: &mut WorkQueue, proved: bool) -> Vec<String> {
    started_in(queue, proved, ROOM)
}

fn started_in(queue: &mut WorkQueue, proved: bool, places: Capacity) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(job) = queue.start(proved, places, |_, _| None) {
        names.push(job.wanted.entry.main_secret().name.to_string());
    }
    names
}

#[test]
fn what_is_broken_goes_before_what_is_due() {
    let mut queue = queue(&[("due", Reason::RenewalDue), ("broken", Reason::Expired)]);
    queue.set_result(at("tidy"), verdict("tidy", Task::Tidy));
    let finding = Violation { reason: Reason::SecretMissing, detail: String::new() };
    let lost = Task::Restore { finding, source: RestoreFrom::Copy, targets: vec![0] };
    queue.set_result(at("lost"), verdict("lost", lost));
    assert_eq!(started(&mut queue, false), ["lost", "tidy", "broken", "due"]);
}

#[test]
fn one_change_goes_first_and_the_others_follow_when_it_is_proved() {
    use Reason::{DirectoryChanged, KeyTypeChanged, RenewalDue};
    let changes = [("b", DirectoryChanged), ("a", KeyTypeChanged), ("c", DirectoryChanged)];
    let mut all = queue(&changes);
    assert_eq!(started(&mut all, false), ["b"], "while it is worked on the others wait");
    let waits = ReconcileResult { change_waits: true, ..ReconcileResult::default() };
    all.finish(&at("b"), Vec::new(), None, now());
    all.set_result(at("b"), waits);
    assert!(started(&mut all, false).is_empty(), "the first one failed and waits");
    assert_eq!(started(&mut all, true), ["a", "c"]);
    let with_due = [("b", DirectoryChanged), ("z", RenewalDue)];
    assert_eq!(started(&mut queue(&with_due), false), ["z"]);
    assert_eq!(started(&mut queue(&with_due), true), ["z", "b"]);
}

#[test]
fn a_certificate_is_looked_at_again_when_what_was_written_is_shown() {
    let (mut queue, later) = (queue(&[("a", Reason::Expired)]), now() + SHOWN_WITHIN);
    assert_eq!(started(&mut queue, false), ["a"]);
    queue.add([at("a")]);
    assert!(queue.take(now()).is_empty(), "it is being worked on");
    queue.finish(&at("a"), vec![(at("a"), "7".to_owned())], None, now());
    assert!(queue.take(now()).is_empty(), "what is known is old");
    assert_eq!(queue.observe(|_, version| version == "6", now()), []);
    assert!(queue.take(now()).is_empty());
    assert_eq!(queue.observe(|_, version| version == "7", now()), []);
    assert_eq!(queue.take(now()), [at("a")]);
    queue.finish(&at("a"), vec![(at("a"), "8".to_owned())], None, now());
    assert_eq!(queue.observe(|_, _| false, later), [at("a")], "it is read instead");
    assert_eq!(queue.take(later), [at("a")]);
}

#[test]
fn what_failed_rests_until_something_else_changes() {
    let mut queue = queue(&[("a", Reason::Expired)]);
    started(&mut queue, false);
    queue.finish(&at("a"), Vec::new(), Some(now() + Duration::from_secs(30)), now());
    assert!(queue.take(now()).is_empty() && queue.due(now()) == Some(now() + Duration::from_secs(30)));
    queue.add_now(&at("a"));
    assert_eq!(queue.take(now()), [at("a")]);
}

#[test]
fn a_new_request_names_the_circuit_that_the_certificate_met() {
    let mut queue = queue(&[("a", Reason::SecretMissing)]);
    let job = queue.start(false, ROOM, |_, _| None).unwrap();
    let circuit = DnsTarget { server: "127.0.0.1:53".parse().unwrap(), zone: "a.test".parse().unwrap(), key: None };
    assert_eq!(queue.newly_asked(&at("a"), Some("1")), None, "it met none");
    queue.park(job, circuit.clone(), Vec::new(), now());
    for (asked, is_new) in [(None, false), (Some("1"), true), (Some("1"), false), (Some("2"), true), (None, false)] {
        assert_eq!(queue.newly_asked(&at("a"), asked), is_new.then(|| circuit.clone()), "{asked:?}");
        let result = verdict("a", issue(Reason::SecretMissing));
        queue.set_result(at("a"), ReconcileResult { asked: asked.map(str::to_owned), ..result });
    }
    assert_eq!(queue.newly_asked(&at("b"), Some("1")), None, "nobody knows it");
}

#[test]
fn a_single_pass_works_on_each_once_in_each_way() {
    let mut queue = WorkQueue::new(true);
    queue.set_result(at("a"), verdict("a", issue(Reason::Expired)));
    started(&mut queue, false);
    queue.finish(&at("a"), Vec::new(), None, now());
    queue.set_result(at("a"), verdict("a", issue(Reason::Expired)));
    assert!(started(&mut queue, false).is_empty());
    queue.set_result(at("a"), verdict("a", Task::Tidy));
    assert_eq!(started(&mut queue, false), ["a"]);
}

#[test]
fn a_daemon_remembers_nothing_of_what_it_did() {
    let mut queue = WorkQueue::new(false);
    let job = verdict("a", Task::Tidy).job.unwrap();
    for _ in 0..100_000 {
        queue.set_result(at("a"), ReconcileResult { job: Some(job.clone()), ..ReconcileResult::default() });
        queue.start(false, ROOM, |_, _| None).unwrap();
        queue.finish(&at("a"), Vec::new(), None, now());
    }
    assert!(queue.attempted.is_none() && queue.silent.is_empty() && queue.items.len() == 1);
}

fn of(name: &str, ca: &str) -> (ObjectRef, ReconcileResult) {
    let mut verdict = verdict(name, issue(Reason::SecretMissing));
    verdict.job.as_mut().unwrap().peer = JobPeer::Ca(SharedStr::new(ca));
    (at(name), verdict)
}

#[test]
fn no_ca_waits_behind_another_and_one_alone_gets_all_its_places() {
    let (mut queue, two) = (WorkQueue::new(false), Capacity { workers: 2, others: 0 });
    let hung = ["a", "b", "c", "d", "e", "f"];
    for ca in ["h1", "h2", "h3", "h4"] {
        hung.map(|name| of(&format!("{name}-{ca}"), ca))
            .into_iter()
            .for_each(|(at, job)| drop(queue.set_result(at, job)));
    }
    let first = started_in(&mut queue, false, two);
    assert_eq!(first.len(), 8 - 1, "two places each, and of the last two one for each CA that has none: {first:?}");
    let (at, job) = of("good", "good");
    queue.set_result(at, job);
    assert_eq!(started_in(&mut queue, false, two), ["good"], "the last thread is for who has none");
    let mut alone = WorkQueue::new(false);
    hung.map(|name| of(name, "h")).into_iter().for_each(|(at, job)| drop(alone.set_result(at, job)));
    assert_eq!(started_in(&mut alone, false, two), ["a", "b"]);
}

#[test]
fn a_ca_that_did_not_answer_gets_one_place_and_says_so() {
    let (mut queue, two, ca) =
        (WorkQueue::new(false), Capacity { workers: 2, others: 0 }, JobPeer::Ca(SharedStr::new("h")));
    for name in ["a", "b", "c"] {
        let (at, job) = of(name, "h");
        queue.set_result(at, job);
    }
    queue.note_answer(&ca, false);
    assert_eq!(started_in(&mut queue, false, two), ["a"]);
    let parked: Vec<_> =
        queue.parked(|_, _| None).map(|(secret, parked)| (secret.name.to_string(), parked.why)).collect();
    assert_eq!(parked.len(), 2);
    assert!(parked[0].1.contains("the CA h did not answer"), "{parked:?}");
    queue.note_answer(&ca, true);
    assert_eq!(started_in(&mut queue, false, two), ["b"]);
    assert_eq!(queue.parked(|_, _| None).count(), 0);
}

#[test]
fn what_expires_first_goes_first_and_then_what_waits_longest() {
    let mut queue = queue(&[("z", Reason::SecretMissing), ("a", Reason::SecretMissing)]);
    assert_eq!(started_in(&mut queue, false, Capacity { workers: 1, others: 0 }), ["z"], "not by name");
}

/// The hot loop of the first version: a decision cleared what a job waited for.
#[test]
fn a_job_that_was_turned_away_stays_parked_whatever_is_decided_until_its_circuit_opens() {
    let mut queue = queue(&[("a", Reason::Expired)]);
    let dns_target = DnsTarget { server: "127.0.0.1:53".parse().unwrap(), zone: "a.test".parse().unwrap(), key: None };
    let job = queue.start(false, ROOM, |_, _| None).unwrap();
    queue.park(job, dns_target.clone(), vec![(at("a"), "7".to_owned())], now());
    let until = now() + Duration::from_secs(60);
    let closed = |_: &DnsTarget, _: &Job| Some(Unavailable::Open(until));
    assert!(queue.start(false, ROOM, closed).is_none());
    queue.add([at("a")]);
    assert!(queue.take(now()).is_empty(), "its own writes are no news until they are shown");
    queue.observe(|_, version| version == "7", now());
    for _ in 0..3 {
        queue.add_now(&at("a"));
        assert_eq!(queue.take(now()), [at("a")]);
        queue.set_result(at("a"), verdict("a", issue(Reason::Expired)));
        assert!(queue.start(false, ROOM, closed).is_none());
    }
    let parked: Vec<_> = queue.parked(closed).map(|(_, parked)| parked).collect();
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].until, Some(until));
    assert!(parked[0].why.contains("127.0.0.1:53 of the zone a.test failed lately"), "{parked:?}");
    // Something else is wanted: its circuit is another one, perhaps.
    let entry = node::read("{secret: a, domains: [b.test]}").unwrap();
    let entry = Entry::read(&entry, &"t".into()).unwrap();
    let wanted = Arc::new(CertificateSpec::new(Arc::new(entry), Vec::new().into(), None, "".into()));
    let other =
        ReconcileResult { job: Some(Box::new(Job::new(wanted, issue(Reason::Expired)))), ..ReconcileResult::default() };
    queue.set_result(at("a"), other);
    assert!(queue.start(false, ROOM, closed).is_some());
}
