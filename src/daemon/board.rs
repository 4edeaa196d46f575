//! Whose turn it is: which certificates have to be looked at, which jobs wait, which are being done. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::world::Verdict;
use crate::decide::Reason;
use crate::decide::gate::Lane;
use crate::limits::SHOWN_WITHIN;
use crate::name::ObjectRef;
use crate::time::Time;
use crate::word::Word;
use crate::work::{Job, Task};

/// All certificates that were looked at or have to be.
#[derive(Debug, Default)]
pub(super) struct Board {
    places: BTreeMap<ObjectRef, Place>,
    marked: BTreeSet<ObjectRef>,
    /// What certificates were worked on, each in a way: a single pass does that once.
    served: HashMap<ObjectRef, Vec<u8>>,
}

/// One certificate.
#[derive(Debug, Default)]
struct Place {
    verdict: Verdict,
    busy: bool,
    /// Its job failed, and not every failure leaves a wait in the record: until when it is left alone.
    resting: Option<Time>,
    /// What we wrote and the watch has not shown. Until then what is known is old.
    unseen: Option<Box<Unseen>>,
    /// The DNS server that its job was turned away from.
    barred: Option<Box<Lane>>,
}

/// Objects that were written, with their versions, and when.
#[derive(Debug)]
struct Unseen {
    writes: Vec<(ObjectRef, String)>,
    since: Time,
}

impl Place {
    fn is_away(&self, now: Time) -> bool {
        self.busy || self.unseen.is_some() || self.resting.is_some_and(|until| until > now)
    }
}

/// How urgent a job is; less is more.
fn rank(task: &Task) -> u8 {
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
fn way(task: &Task) -> u8 {
    match task {
        Task::Issue { .. } => 0,
        Task::Restore { .. } => 1,
        Task::Tidy => 2,
        Task::Probe => 3,
        Task::Window(_) => 4,
    }
}

fn is_change(job: &Job) -> bool {
    matches!(&job.task, Task::Issue { finding, .. } if finding.reason.is_change())
}

impl Board {
    /// Certificates have to be looked at.
    pub(super) fn mark(&mut self, secrets: impl IntoIterator<Item = ObjectRef>) {
        self.marked.extend(secrets);
    }

    /// Something that a certificate depends on was changed by others: it is not left alone any longer.
    pub(super) fn wake(&mut self, secret: &ObjectRef) {
        if let Some(place) = self.places.get_mut(secret) {
            place.resting = None;
        }
        self.marked.insert(secret.clone());
    }

    /// Those that have to be looked at now, and are not being worked on.
    pub(super) fn take(&mut self, now: Time) -> Vec<ObjectRef> {
        let is_due = |place: &Place| place.verdict.due.is_some_and(|due| due <= now);
        self.marked.extend(self.places.iter().filter(|(_, place)| is_due(place)).map(|(secret, _)| secret.clone()));
        let is_away = |secret: &ObjectRef| self.places.get(secret).is_some_and(|place| place.is_away(now));
        let (away, taken): (Vec<_>, Vec<_>) = std::mem::take(&mut self.marked).into_iter().partition(is_away);
        self.marked.extend(away);
        taken
    }

    /// What was found out about a certificate. With `once` it is not worked on twice in one way.
    pub(super) fn put(&mut self, secret: ObjectRef, mut verdict: Verdict, once: bool) {
        let served = |job: &Job| self.served.get(&secret).is_some_and(|ways| ways.contains(&way(&job.task)));
        verdict.job = verdict.job.filter(|job| !once || !served(job));
        let place = self.places.entry(secret).or_default();
        (place.verdict, place.barred, place.resting) = (verdict, None, None);
    }

    /// Nobody wants these any more, unless they are being worked on.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&ObjectRef) -> bool) {
        self.places.retain(|secret, place| place.busy || is_wanted(secret));
        self.marked.retain(|secret| is_wanted(secret));
    }

    /// The orders that wait to be made or are being made: directory, and whether it is a renewal. Without those of `taken`, which are
    /// decided anew.
    pub(super) fn orders<'b>(&'b self, taken: &'b HashSet<&ObjectRef>) -> impl Iterator<Item = &'b (Word, bool)> {
        let places = self.places.iter().filter(|(secret, _)| !taken.contains(secret));
        places.filter_map(|(_, place)| place.verdict.order.as_deref())
    }

    /// How many are being worked on.
    pub(super) fn busy(&self) -> usize {
        self.worked_on().count()
    }

    /// Those that are being worked on.
    pub(super) fn worked_on(&self) -> impl Iterator<Item = &ObjectRef> {
        self.places.iter().filter(|(_, place)| place.busy).map(|(secret, _)| secret)
    }

    /// Those that are being ordered.
    pub(super) fn ordering(&self) -> impl Iterator<Item = &ObjectRef> {
        self.places.iter().filter(|(_, place)| place.busy && place.verdict.order.is_some()).map(|(secret, _)| secret)
    }

    /// How many jobs wait.
    pub(super) fn queued(&self) -> usize {
        self.places.values().filter(|place| place.verdict.job.is_some()).count()
    }

    /// The most urgent job that may be started now, which from then on is being done. Changes queue behind everything else, and one of
    /// them goes first: the others follow when it is stored (`proved`), so that a mistyped directory costs one attempt and not one for each
    /// certificate.
    pub(super) fn start(&mut self, proved: bool, admits: impl Fn(&Lane) -> bool) -> Option<Box<Job>> {
        let idle = self.busy() == 0;
        let jobs = || self.places.values().filter_map(|place| place.verdict.job.as_ref());
        let others = jobs().any(|job| matches!(job.task, Task::Issue { .. }) && !is_change(job));
        let waits = self.places.values().any(|place| place.verdict.change_waits);
        let changes = proved || (idle && !others && !waits);
        let may_start = |place: &&mut Place| {
            let job = place.verdict.job.as_ref().filter(|job| changes || !is_change(job));
            job.is_some() && !place.busy && place.barred.as_deref().is_none_or(&admits)
        };
        let ranked = |place: &&mut Place| place.verdict.job.as_ref().map(|job| rank(&job.task));
        let place = self.places.values_mut().filter(may_start).min_by_key(ranked)?;
        let job = place.verdict.job.take()?;
        place.busy = true;
        self.served.entry(job.wanted.entry.main_secret().clone()).or_default().push(way(&job.task));
        Some(job)
    }

    /// A job is done. What was written and is not shown yet has to be seen before the certificate is looked at again.
    pub(super) fn done(&mut self, secret: &ObjectRef, unseen: Vec<(ObjectRef, String)>, rest: Option<Time>, now: Time) {
        let Some(place) = self.places.get_mut(secret) else { return };
        (place.busy, place.resting, place.verdict.order) = (false, rest, None);
        place.unseen = (!unseen.is_empty()).then(|| Box::new(Unseen { writes: unseen, since: now }));
        self.marked.insert(secret.clone());
    }

    /// A DNS server turned a job away, which waits here, and not in a worker, until the gate lets it in.
    pub(super) fn bar(&mut self, job: Box<Job>, lane: Lane) {
        if let Some(place) = self.places.get_mut(job.wanted.entry.main_secret()) {
            self.served.entry(job.wanted.entry.main_secret().clone()).or_default().retain(|w| *w != way(&job.task));
            (place.busy, place.barred, place.verdict.job) = (false, Some(Box::new(lane)), Some(job));
        }
    }

    /// Looks which writes are shown by now. Returns those that are not although they should be.
    pub(super) fn settle(&mut self, shows: impl Fn(&ObjectRef, &str) -> bool, now: Time) -> Vec<ObjectRef> {
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
        let due = |place: &Place| match (place.busy, place.unseen.is_none(), place.resting) {
            (true, ..) => None,
            (_, false, _) => Some(now),
            (_, _, Some(until)) if until > now => Some(until),
            _ => place.verdict.due,
        };
        self.places.values().filter_map(due).min()
    }

    /// Whether any change is wanted or being made.
    pub(super) fn has_changes(&self) -> bool {
        let wants = |p: &Place| p.verdict.change_waits || p.verdict.job.as_deref().is_some_and(is_change);
        self.places.values().any(|place| place.busy || wants(place))
    }

    /// Whether everything that was looked at is as it should be: could not be found out, is not.
    pub(super) fn found(&self) -> (bool, bool) {
        let any = |is: fn(&Verdict) -> bool| self.places.values().any(|place| is(&place.verdict));
        (any(|v| v.unknown), any(|v| v.unsound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::entry::Entry;
    use crate::config::node;
    use crate::decide::{Finding, Source};
    use crate::sources::Wanted;
    use std::sync::Arc;
    use std::time::Duration;

    fn at(name: &str) -> ObjectRef {
        ObjectRef::parse(name, "t").unwrap()
    }

    fn now() -> Time {
        Time::from_unix(1_800_000_000)
    }

    fn verdict(name: &str, task: Task) -> Verdict {
        let entry =
            Entry::read(&node::read(&format!("{{secret: {name}, domains: [a.test]}}")).unwrap(), &"t".into()).unwrap();
        let wanted = Arc::new(Wanted::new(Arc::new(entry), Vec::new().into(), None, "".into()));
        Verdict { job: Some(Box::new(Job::new(wanted, task))), ..Verdict::default() }
    }

    fn issue(reason: Reason) -> Task {
        Task::Issue { finding: Finding { reason, detail: String::new() }, targets: vec![0], counted: true }
    }

    fn board(jobs: &[(&str, Reason)]) -> Board {
        let mut board = Board::default();
        for (name, reason) in jobs {
            board.put(at(name), verdict(name, issue(*reason)), false);
        }
        board
    }

    fn started(board: &mut Board, proved: bool) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(job) = board.start(proved, |_| true) {
            names.push(job.wanted.entry.main_secret().name.to_string());
        }
        names
    }

    #[test]
    fn what_is_broken_goes_before_what_is_due() {
        let mut board = board(&[("due", Reason::RenewalDue), ("broken", Reason::Expired)]);
        board.put(at("tidy"), verdict("tidy", Task::Tidy), false);
        let finding = Finding { reason: Reason::SecretMissing, detail: String::new() };
        let lost = Task::Restore { finding, source: Source::Copy, targets: vec![0] };
        board.put(at("lost"), verdict("lost", lost), false);
        assert_eq!(started(&mut board, false), ["lost", "tidy", "broken", "due"]);
    }

    #[test]
    fn one_change_goes_first_and_the_others_follow_when_it_is_proved() {
        use Reason::{DirectoryChanged, KeyTypeChanged, RenewalDue};
        let changes = [("b", DirectoryChanged), ("a", KeyTypeChanged), ("c", DirectoryChanged)];
        let mut all = board(&changes);
        assert_eq!(started(&mut all, false), ["a"], "while it is worked on the others wait");
        let waits = Verdict { change_waits: true, ..Verdict::default() };
        all.done(&at("a"), Vec::new(), None, now());
        all.put(at("a"), waits, false);
        assert!(started(&mut all, false).is_empty(), "the first one failed and waits");
        assert_eq!(started(&mut all, true), ["b", "c"]);
        let with_due = [("b", DirectoryChanged), ("z", RenewalDue)];
        assert_eq!(started(&mut board(&with_due), false), ["z"]);
        assert_eq!(started(&mut board(&with_due), true), ["z", "b"]);
    }

    #[test]
    fn a_certificate_is_looked_at_again_when_what_was_written_is_shown() {
        let (mut board, later) = (board(&[("a", Reason::Expired)]), now() + SHOWN_WITHIN);
        assert_eq!(started(&mut board, false), ["a"]);
        board.mark([at("a")]);
        assert!(board.take(now()).is_empty(), "it is being worked on");
        board.done(&at("a"), vec![(at("a"), "7".to_owned())], None, now());
        assert!(board.take(now()).is_empty(), "what is known is old");
        assert_eq!(board.settle(|_, version| version == "6", now()), []);
        assert!(board.take(now()).is_empty());
        assert_eq!(board.settle(|_, version| version == "7", now()), []);
        assert_eq!(board.take(now()), [at("a")]);
        board.done(&at("a"), vec![(at("a"), "8".to_owned())], None, now());
        assert_eq!(board.settle(|_, _| false, later), [at("a")], "it is read instead");
        assert_eq!(board.take(later), [at("a")]);
    }

    #[test]
    fn what_failed_rests_until_something_else_changes() {
        let mut board = board(&[("a", Reason::Expired)]);
        started(&mut board, false);
        board.done(&at("a"), Vec::new(), Some(now() + Duration::from_secs(30)), now());
        assert!(board.take(now()).is_empty() && board.due(now()) == Some(now() + Duration::from_secs(30)));
        board.wake(&at("a"));
        assert_eq!(board.take(now()), [at("a")]);
    }

    #[test]
    fn a_single_pass_works_on_each_once_in_each_way() {
        let mut board = board(&[("a", Reason::Expired)]);
        started(&mut board, false);
        board.done(&at("a"), Vec::new(), None, now());
        board.put(at("a"), verdict("a", issue(Reason::Expired)), true);
        assert!(started(&mut board, false).is_empty());
        board.put(at("a"), verdict("a", Task::Tidy), true);
        assert_eq!(started(&mut board, false), ["a"]);
    }
}
