//! Whose turn it is: which certificates have to be looked at, which jobs wait, which are being done. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::state::ReconcileResult;
use crate::base::limits::{SHOWN_WITHIN, WORKERS_FACTOR};
use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::policy::Reason;
use crate::policy::circuit::{DnsTarget, Unavailable};
use crate::policy::secret_state::SecretState;
use crate::sources::CertificateSpec;
use crate::status::row::Parked;
use crate::worker::{Job, JobPeer, Task};

/// All certificates that were looked at or have to be.
#[derive(Debug, Default)]
pub(super) struct WorkQueue {
    places: BTreeMap<ObjectRef, QueueItem>,
    marked: BTreeSet<ObjectRef>,
    /// What certificates were worked on, each in a way, in a single pass: it does that once. None where there is more than one pass.
    served: Option<HashMap<ObjectRef, Vec<u8>>>,
    /// Jobs that were put here so far: the age of one is its number.
    jobs: u64,
    /// CAs that did not answer the last request.
    silent: HashSet<JobPeer>,
}

/// One certificate.
#[derive(Debug, Default)]
struct QueueItem {
    verdict: ReconcileResult,
    /// The peer of its job, while that is under way.
    busy: Option<JobPeer>,
    /// Its job failed, and not every failure leaves a wait in the record: until when it is left alone.
    resting: Option<Time>,
    /// What we wrote and the watch has not shown. Until then what is known is old.
    unseen: Option<Box<UnseenWrites>>,
    /// The circuit that its last attempt failed at or was turned away from, and what was wanted then. It outlives decisions: only a change of
    /// what is wanted makes it worth nothing.
    lane: Option<Box<(DnsTarget, Arc<CertificateSpec>)>>,
    /// The number of its job.
    age: u64,
}

/// What may be under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    /// Jobs for one peer.
    pub(super) workers: usize,
    /// Jobs in all, beside those of the board.
    pub(super) others: usize,
}

impl Capacity {
    /// Threads, at the most.
    pub(super) const fn threads(workers: usize) -> usize {
        workers * WORKERS_FACTOR
    }

    /// Whether another job for a peer that has `running` of `all` may start. The last places are for peers that have none: one that hangs, or
    /// several, never keep another one waiting.
    fn admit(self, running: usize, all: usize, is_silent: bool) -> bool {
        let own = if is_silent { 1 } else { self.workers };
        let threads = Capacity::threads(self.workers);
        let all = all + self.others;
        running < own && all < if running == 0 { threads } else { threads - self.workers }
    }
}

/// Objects that were written, with their versions, and when.
#[derive(Debug)]
struct UnseenWrites {
    writes: Vec<(ObjectRef, String)>,
    since: Time,
}

impl QueueItem {
    fn is_away(&self, now: Time) -> bool {
        self.busy.is_some() || self.unseen.is_some() || self.resting.is_some_and(|until| until > now)
    }

    /// The circuit that its job waits for, if that job goes there.
    fn waits_at(&self, barred: impl Fn(&DnsTarget, &Job) -> Option<Unavailable>) -> Option<(&DnsTarget, Unavailable)> {
        let job = self.verdict.job.as_deref().filter(|job| matches!(job.task, Task::Issue { .. }))?;
        let (lane, _) = self.lane.as_deref()?;
        barred(lane, job).map(|barred| (lane, barred))
    }
}

/// How urgent a job is; less is more.
fn priority(task: &Task) -> u8 {
    match task {
        Task::Restore { .. } => 0,
        Task::Tidy => 1,
        Task::Window(_) => 5,
        Task::Probe => 6,
        Task::Issue { finding, .. } if finding.reason.is_change() => 4,
        Task::Issue { finding, .. } if matches!(finding.reason, Reason::RenewalDue | Reason::RenewalRequested) => 3,
        Task::Issue { .. } => 2,
    }
}

/// With a single pass each certificate is worked on once in each way.
fn task_kind(task: &Task) -> u8 {
    match task {
        Task::Issue { .. } => 0,
        Task::Restore { .. } => 1,
        Task::Tidy => 2,
        Task::Probe => 3,
        Task::Window(_) => 4,
    }
}

/// What goes first: the more urgent, of that what expires first or is not there at all, of that what waits longest.
fn position(place: &QueueItem) -> impl Ord + use<> {
    let job = place.verdict.job.as_deref();
    let expires =
        job.and_then(|job| job.basis.held.iter().map(|held| SecretState::facts(held).map(|f| f.not_after)).min());
    (job.map(|job| priority(&job.task)), expires.flatten(), place.age)
}

fn is_change(job: &Job) -> bool {
    matches!(&job.task, Task::Issue { finding, .. } if finding.reason.is_change())
}

impl WorkQueue {
    /// Nothing is known yet. With `once` each certificate is worked on once in each way.
    pub(super) fn new(once: bool) -> WorkQueue {
        WorkQueue { served: once.then(HashMap::new), ..WorkQueue::default() }
    }

    /// Certificates have to be looked at.
    pub(super) fn add(&mut self, secrets: impl IntoIterator<Item = ObjectRef>) {
        self.marked.extend(secrets);
    }

    /// Something that a certificate depends on was changed by others: it is not left alone any longer.
    pub(super) fn add_now(&mut self, secret: &ObjectRef) {
        if let Some(place) = self.places.get_mut(secret) {
            place.resting = None;
        }
        self.marked.insert(secret.clone());
    }

    /// Those that have to be looked at now, and are not being worked on.
    pub(super) fn take(&mut self, now: Time) -> Vec<ObjectRef> {
        let is_due = |place: &QueueItem| place.verdict.due.is_some_and(|due| due <= now);
        self.marked.extend(self.places.iter().filter(|(_, place)| is_due(place)).map(|(secret, _)| secret.clone()));
        let is_away = |secret: &ObjectRef| self.places.get(secret).is_some_and(|place| place.is_away(now));
        let (away, taken): (Vec<_>, Vec<_>) = std::mem::take(&mut self.marked).into_iter().partition(is_away);
        self.marked.extend(away);
        taken
    }

    /// What was found out about a certificate. What its job waits for stays as it is, unless something else is wanted now.
    pub(super) fn set_result(&mut self, secret: ObjectRef, mut verdict: ReconcileResult) {
        let ways = self.served.as_ref().and_then(|served| served.get(&secret));
        verdict.job = verdict.job.filter(|job| !ways.is_some_and(|ways| ways.contains(&task_kind(&job.task))));
        let place = self.places.entry(secret).or_default();
        if let Some(job) = &verdict.job {
            let is_as_then = |known: &CertificateSpec| {
                known.fingerprint == job.wanted.fingerprint && known.zones == job.wanted.zones
            };
            place.lane = place.lane.take().filter(|lane| is_as_then(&lane.1));
            if place.verdict.job.is_none() {
                self.jobs += 1;
                place.age = self.jobs;
            }
        }
        (place.verdict, place.resting) = (verdict, None);
    }

    /// Nobody wants these any more, unless they are being worked on.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&ObjectRef) -> bool) {
        self.places.retain(|secret, place| place.busy.is_some() || is_wanted(secret));
        self.marked.retain(|secret| is_wanted(secret));
    }

    /// The orders that wait to be made or are being made: directory, and whether it is a renewal. Without those of `taken`, which are
    /// decided anew.
    pub(super) fn orders<'b>(&'b self, taken: &'b HashSet<&ObjectRef>) -> impl Iterator<Item = &'b (SharedStr, bool)> {
        let places = self.places.iter().filter(|(secret, _)| !taken.contains(secret));
        places.filter_map(|(_, place)| place.verdict.order.as_deref())
    }

    /// The order of a certificate that waits to be made or is being made.
    pub(super) fn order_of(&self, secret: &ObjectRef) -> Option<&(SharedStr, bool)> {
        self.places.get(secret)?.verdict.order.as_deref()
    }

    /// The jobs that wait for a peer, which `barred` tells of DNS servers.
    pub(super) fn parked<'b>(
        &'b self,
        barred: impl Fn(&DnsTarget, &Job) -> Option<Unavailable> + 'b,
    ) -> impl Iterator<Item = (&'b ObjectRef, Parked)> {
        let running = self.running();
        self.places.iter().filter_map(move |(secret, place)| Some((secret, self.waits(place, &running, &barred)?)))
    }

    /// What the job of one certificate waits for.
    pub(super) fn parked_one(
        &self,
        secret: &ObjectRef,
        barred: impl Fn(&DnsTarget, &Job) -> Option<Unavailable>,
    ) -> Option<Parked> {
        let place = self.places.get(secret).filter(|place| place.verdict.job.is_some())?;
        self.waits(place, &self.running(), barred)
    }

    fn waits(
        &self,
        place: &QueueItem,
        running: &HashMap<JobPeer, usize>,
        barred: impl Fn(&DnsTarget, &Job) -> Option<Unavailable>,
    ) -> Option<Parked> {
        let job = place.verdict.job.as_deref().filter(|_| place.busy.is_none())?;
        if let Some((lane, barred)) = place.waits_at(&barred) {
            return Some(Parked { why: barred.sentence(lane), until: barred.until() });
        }
        let waits = self.silent.contains(&job.peer) && running.contains_key(&job.peer);
        let why = || format!("{} did not answer; one certificate at a time asks it", job.peer);
        waits.then(|| Parked { why: why(), until: None })
    }

    /// How many jobs for each peer are under way.
    fn running(&self) -> HashMap<JobPeer, usize> {
        let mut running = HashMap::new();
        for peer in self.places.values().filter_map(|place| place.busy.as_ref()) {
            *running.entry(peer.clone()).or_insert(0) += 1;
        }
        running
    }

    /// How many are being worked on.
    pub(super) fn busy(&self) -> usize {
        self.worked_on().count()
    }

    /// Those that are being worked on.
    pub(super) fn worked_on(&self) -> impl Iterator<Item = &ObjectRef> {
        self.places.iter().filter(|(_, place)| place.busy.is_some()).map(|(secret, _)| secret)
    }

    /// Those that are being ordered.
    pub(super) fn ordering(&self) -> impl Iterator<Item = &ObjectRef> {
        self.places
            .iter()
            .filter(|(_, place)| place.busy.is_some() && place.verdict.order.is_some())
            .map(|(secret, _)| secret)
    }

    /// How many jobs wait.
    pub(super) fn queued(&self) -> usize {
        self.places.values().filter(|place| place.verdict.job.is_some()).count()
    }

    /// The most urgent job that may be started now, which from then on is under way: its peer has a place for it, and the circuit that it
    /// met last lets it in, as `barred` tells. Changes queue behind everything else, and one of them goes first: the others follow when it
    /// is stored (`proved`), so that a mistyped directory costs one attempt and not one for each certificate.
    pub(super) fn start(
        &mut self,
        proved: bool,
        places: Capacity,
        barred: impl Fn(&DnsTarget, &Job) -> Option<Unavailable>,
    ) -> Option<Box<Job>> {
        let running = self.running();
        let all: usize = running.values().sum();
        let jobs = || self.places.values().filter_map(|place| place.verdict.job.as_ref());
        let others = jobs().any(|job| matches!(job.task, Task::Issue { .. }) && !is_change(job));
        let waits = self.places.values().any(|place| place.verdict.change_waits);
        let changes = proved || (all == 0 && !others && !waits);
        let silent = &self.silent;
        let may_start = |place: &&mut QueueItem| {
            let Some(job) = place.verdict.job.as_ref().filter(|job| changes || !is_change(job)) else { return false };
            let running = running.get(&job.peer).copied().unwrap_or(0);
            place.busy.is_none()
                && places.admit(running, all, silent.contains(&job.peer))
                && place.waits_at(&barred).is_none()
        };
        let place = self.places.values_mut().filter(may_start).min_by_key(|place| position(place))?;
        let job = place.verdict.job.take()?;
        place.busy = Some(job.peer.clone());
        if let Some(served) = &mut self.served {
            served.entry(job.wanted.entry.main_secret().clone()).or_default().push(task_kind(&job.task));
        }
        Some(job)
    }

    /// A peer answered, or did not: one that did not gets one job at a time.
    pub(super) fn note_answer(&mut self, peer: &JobPeer, answered: bool) {
        if answered {
            self.silent.remove(peer);
        } else {
            self.silent.insert(peer.clone());
        }
    }

    /// The attempt of a job failed at this circuit, or elsewhere.
    pub(super) fn failed_at(&mut self, job: &Job, lane: Option<DnsTarget>) {
        if let Some(place) = self.places.get_mut(job.wanted.entry.main_secret()) {
            place.lane = lane.map(|lane| Box::new((lane, job.wanted.clone())));
        }
    }

    /// A job is done. What was written and is not shown yet has to be seen before the certificate is looked at again.
    pub(super) fn finish(
        &mut self,
        secret: &ObjectRef,
        unseen: Vec<(ObjectRef, String)>,
        rest: Option<Time>,
        now: Time,
    ) {
        let Some(place) = self.places.get_mut(secret) else { return };
        (place.busy, place.resting, place.verdict.order) = (None, rest, None);
        place.unseen = (!unseen.is_empty()).then(|| Box::new(UnseenWrites { writes: unseen, since: now }));
        self.marked.insert(secret.clone());
    }

    /// A DNS server turned a job away, which waits here, and not in a worker, until its circuit lets it in. What the job wrote before is
    /// no news when a watch shows it.
    pub(super) fn park(&mut self, job: Box<Job>, lane: DnsTarget, unseen: Vec<(ObjectRef, String)>, now: Time) {
        let secret = job.wanted.entry.main_secret();
        if let Some(place) = self.places.get_mut(secret) {
            if let Some(ways) = self.served.as_mut().and_then(|served| served.get_mut(secret)) {
                ways.retain(|w| *w != task_kind(&job.task));
            }
            place.unseen = (!unseen.is_empty()).then(|| Box::new(UnseenWrites { writes: unseen, since: now }));
            place.lane = Some(Box::new((lane, job.wanted.clone())));
            (place.busy, place.verdict.job) = (None, Some(job));
        }
    }

    /// Looks which writes are shown by now. Returns those that are not although they should be.
    pub(super) fn observe(&mut self, shows: impl Fn(&ObjectRef, &str) -> bool, now: Time) -> Vec<ObjectRef> {
        let mut late = Vec::new();
        for place in self.places.values_mut() {
            let Some(unseen) = &mut place.unseen else { continue };
            unseen.writes.retain(|(at, version)| !shows(at, version));
            let is_late = unseen.since + SHOWN_WITHIN <= now || now < unseen.since;
            if is_late {
                late.extend(unseen.writes.drain(..).map(|(at, _)| at));
            }
            if unseen.writes.is_empty() {
                place.unseen = None;
            }
        }
        late
    }

    /// When something has to be looked at, at the latest.
    pub(super) fn due(&self, now: Time) -> Option<Time> {
        let due = |place: &QueueItem| match (place.busy.is_some(), place.unseen.is_none(), place.resting) {
            (true, ..) => None,
            (_, false, _) => Some(now),
            (_, _, Some(until)) if until > now => Some(until),
            _ => place.verdict.due,
        };
        self.places.values().filter_map(due).min()
    }

    /// Whether any change is wanted or being made.
    pub(super) fn has_changes(&self) -> bool {
        let wants = |p: &QueueItem| p.verdict.change_waits || p.verdict.job.as_deref().is_some_and(is_change);
        self.places.values().any(|place| place.busy.is_some() || wants(place))
    }

    /// Whether everything that was looked at is as it should be: could not be found out, is not.
    pub(super) fn found(&self) -> (bool, bool) {
        let any = |is: fn(&ReconcileResult) -> bool| self.places.values().any(|place| is(&place.verdict));
        (any(|v| v.unknown), any(|v| v.unsound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::entry::Entry;
    use crate::config::node;
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
        assert!(board.served.is_none() && board.silent.is_empty() && board.places.len() == 1);
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
                .for_each(|(at, job)| board.set_result(at, job));
        }
        let first = started_in(&mut board, false, two);
        assert_eq!(first.len(), 8 - 1, "two places each, and of the last two one for each CA that has none: {first:?}");
        let (at, job) = of("good", "good");
        board.set_result(at, job);
        assert_eq!(started_in(&mut board, false, two), ["good"], "the last thread is for who has none");
        let mut alone = WorkQueue::new(false);
        hung.map(|name| of(name, "h")).into_iter().for_each(|(at, job)| alone.set_result(at, job));
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
        let closed = |_: &DnsTarget, _: &Job| Some(Unavailable::Open(until));
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
        let other = ReconcileResult {
            job: Some(Box::new(Job::new(wanted, issue(Reason::Expired)))),
            ..ReconcileResult::default()
        };
        board.set_result(at("a"), other);
        assert!(board.start(false, ROOM, closed).is_some());
    }
}
