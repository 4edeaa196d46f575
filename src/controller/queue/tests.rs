use super::*;
use crate::base::limits::SHOWN_WITHIN;
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

fn board(jobs: &[(&str, Reason)]) -> WorkQueue {
    let mut board = WorkQueue::new(false);
    for (name, reason) in jobs {
        board.set_result(at(name), verdict(name, issue(*reason)));
    }
    board
}

const ROOM: Capacity = Capacity { workers: 100, others: 0 };

fn started(board: &mut WorkQueue, proved: bool) -> Vec<String> {
    started_in(board, proved, ROOM)
}

fn started_in(board: &mut WorkQueue, proved: bool, places: Capacity) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(job) = board.start(proved, places, |_, _| None) {
        names.push(job.wanted.entry.main_secret().name.to_string());
    }
    names
}

#[test]
fn what_is_broken_goes_before_what_is_due() {
    let mut board = board(&[("due", Reason::RenewalDue), ("broken", Reason::Expired)]);
    board.set_result(at("tidy"), verdict("tidy", Task::Tidy));
    let finding = Violation { reason: Reason::SecretMissing, detail: String::new() };
    let lost = Task::Restore { finding, source: RestoreFrom::Copy, targets: vec![0] };
    board.set_result(at("lost"), verdict("lost", lost));
    assert_eq!(started(&mut board, false), ["lost", "tidy", "broken", "due"]);
}

#[test]
fn one_change_goes_first_and_the_others_follow_when_it_is_proved() {
    use Reason::{DirectoryChanged, KeyTypeChanged, RenewalDue};
    let changes = [("b", DirectoryChanged), ("a", KeyTypeChanged), ("c", DirectoryChanged)];
    let mut all = board(&changes);
    assert_eq!(started(&mut all, false), ["b"], "while it is worked on the others wait");
    let waits = ReconcileResult { change_waits: true, ..ReconcileResult::default() };
    all.finish(&at("b"), Vec::new(), None, now());
    all.set_result(at("b"), waits);
    assert!(started(&mut all, false).is_empty(), "the first one failed and waits");
    assert_eq!(started(&mut all, true), ["a", "c"]);
    let with_due = [("b", DirectoryChanged), ("z", RenewalDue)];
    assert_eq!(started(&mut board(&with_due), false), ["z"]);
    assert_eq!(started(&mut board(&with_due), true), ["z", "b"]);
}

#[test]
fn a_certificate_is_looked_at_again_when_what_was_written_is_shown() {
    let (mut board, later) = (board(&[("a", Reason::Expired)]), now() + SHOWN_WITHIN);
    assert_eq!(started(&mut board, false), ["a"]);
    board.add([at("a")]);
    assert!(board.take(now()).is_empty(), "it is being worked on");
    board.finish(&at("a"), vec![(at("a"), "7".to_owned())], None, now());
    assert!(board.take(now()).is_empty(), "what is known is old");
    assert_eq!(board.observe(|_, version| version == "6", now()), []);
    assert!(board.take(now()).is_empty());
    assert_eq!(board.observe(|_, version| version == "7", now()), []);
    assert_eq!(board.take(now()), [at("a")]);
    board.finish(&at("a"), vec![(at("a"), "8".to_owned())], None, now());
    assert_eq!(board.observe(|_, _| false, later), [at("a")], "it is read instead");
    assert_eq!(board.take(later), [at("a")]);
}

#[test]
fn what_failed_rests_until_something_else_changes() {
    let mut board = board(&[("a", Reason::Expired)]);
    started(&mut board, false);
    board.finish(&at("a"), Vec::new(), Some(now() + Duration::from_secs(30)), now());
    assert!(board.take(now()).is_empty() && board.due(now()) == Some(now() + Duration::from_secs(30)));
    board.add_now(&at("a"));
    assert_eq!(board.take(now()), [at("a")]);
}

#[test]
fn a_single_pass_works_on_each_once_in_each_way() {
    let mut board = WorkQueue::new(true);
    board.set_result(at("a"), verdict("a", issue(Reason::Expired)));
    started(&mut board, false);
    board.finish(&at("a"), Vec::new(), None, now());
    board.set_result(at("a"), verdict("a", issue(Reason::Expired)));
    assert!(started(&mut board, false).is_empty());
    board.set_result(at("a"), verdict("a", Task::Tidy));
    assert_eq!(started(&mut board, false), ["a"]);
}

#[test]
fn a_daemon_remembers_nothing_of_what_it_did() {
    let mut board = WorkQueue::new(false);
    let job = verdict("a", Task::Tidy).job.unwrap();
    for _ in 0..100_000 {
        board.set_result(at("a"), ReconcileResult { job: Some(job.clone()), ..ReconcileResult::default() });
        board.start(false, ROOM, |_, _| None).unwrap();
        board.finish(&at("a"), Vec::new(), None, now());
    }
    assert!(board.attempted.is_none() && board.silent.is_empty() && board.items.len() == 1);
}

fn of(name: &str, ca: &str) -> (ObjectRef, ReconcileResult) {
    let mut verdict = verdict(name, issue(Reason::SecretMissing));
    verdict.job.as_mut().unwrap().peer = JobPeer::Ca(SharedStr::new(ca));
    (at(name), verdict)
}

#[test]
fn no_ca_waits_behind_another_and_one_alone_gets_all_its_places() {
    let (mut board, two) = (WorkQueue::new(false), Capacity { workers: 2, others: 0 });
    let hung = ["a", "b", "c", "d", "e", "f"];
    for ca in ["h1", "h2", "h3", "h4"] {
        hung.map(|name| of(&format!("{name}-{ca}"), ca))
            .into_iter()
            .for_each(|(at, job)| drop(board.set_result(at, job)));
    }
    let first = started_in(&mut board, false, two);
    assert_eq!(first.len(), 8 - 1, "two places each, and of the last two one for each CA that has none: {first:?}");
    let (at, job) = of("good", "good");
    board.set_result(at, job);
    assert_eq!(started_in(&mut board, false, two), ["good"], "the last thread is for who has none");
    let mut alone = WorkQueue::new(false);
    hung.map(|name| of(name, "h")).into_iter().for_each(|(at, job)| drop(alone.set_result(at, job)));
    assert_eq!(started_in(&mut alone, false, two), ["a", "b"]);
}

#[test]
fn a_ca_that_did_not_answer_gets_one_place_and_says_so() {
    let (mut board, two, ca) =
        (WorkQueue::new(false), Capacity { workers: 2, others: 0 }, JobPeer::Ca(SharedStr::new("h")));
    for name in ["a", "b", "c"] {
        let (at, job) = of(name, "h");
        board.set_result(at, job);
    }
    board.note_answer(&ca, false);
    assert_eq!(started_in(&mut board, false, two), ["a"]);
    let parked: Vec<_> =
        board.parked(|_, _| None).map(|(secret, parked)| (secret.name.to_string(), parked.why)).collect();
    assert_eq!(parked.len(), 2);
    assert!(parked[0].1.contains("the CA h did not answer"), "{parked:?}");
    board.note_answer(&ca, true);
    assert_eq!(started_in(&mut board, false, two), ["b"]);
    assert_eq!(board.parked(|_, _| None).count(), 0);
}

#[test]
fn what_expires_first_goes_first_and_then_what_waits_longest() {
    let mut board = board(&[("z", Reason::SecretMissing), ("a", Reason::SecretMissing)]);
    assert_eq!(started_in(&mut board, false, Capacity { workers: 1, others: 0 }), ["z"], "not by name");
}

/// The hot loop of the first version: a decision cleared what a job waited for.
#[test]
fn a_job_that_was_turned_away_stays_parked_whatever_is_decided_until_its_circuit_opens() {
    let mut board = board(&[("a", Reason::Expired)]);
    let lane = DnsTarget { server: "127.0.0.1:53".parse().unwrap(), zone: "a.test".parse().unwrap(), key: None };
    let job = board.start(false, ROOM, |_, _| None).unwrap();
    board.park(job, lane.clone(), vec![(at("a"), "7".to_owned())], now());
    let until = now() + Duration::from_secs(60);
    let closed = |_: &DnsTarget, _: &Job| Some(Unavailable::Closed(until));
    assert!(board.start(false, ROOM, closed).is_none());
    board.add([at("a")]);
    assert!(board.take(now()).is_empty(), "its own writes are no news until they are shown");
    board.observe(|_, version| version == "7", now());
    for _ in 0..3 {
        board.add_now(&at("a"));
        assert_eq!(board.take(now()), [at("a")]);
        board.set_result(at("a"), verdict("a", issue(Reason::Expired)));
        assert!(board.start(false, ROOM, closed).is_none());
    }
    let parked: Vec<_> = board.parked(closed).map(|(_, parked)| parked).collect();
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].until, Some(until));
    assert!(parked[0].why.contains("127.0.0.1:53 of the zone a.test failed lately"), "{parked:?}");
    // Something else is wanted: its circuit is another one, perhaps.
    let entry = node::read("{secret: a, domains: [b.test]}").unwrap();
    let entry = Entry::read(&entry, &"t".into()).unwrap();
    let wanted = Arc::new(CertificateSpec::new(Arc::new(entry), Vec::new().into(), None, "".into()));
    let other =
        ReconcileResult { job: Some(Box::new(Job::new(wanted, issue(Reason::Expired)))), ..ReconcileResult::default() };
    board.set_result(at("a"), other);
    assert!(board.start(false, ROOM, closed).is_some());
}
