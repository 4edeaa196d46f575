//! The loop: takes note of what happened, decides about what that concerns, hands out jobs.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::board::Board;
use super::configs::Overall;
use super::election::Candidacy;
use super::objects::News;
use super::showing::Showing;
use super::telling::{State, Telling};
use super::world::{World, pause_until};
use super::{Done, End, Errand, Pass, Plan, Wake, rehearsal};
use crate::decide::attempts::Stage;
use crate::decide::fate::Fate;
use crate::decide::gate::Barred;
use crate::issue::{Context, Failed};
use crate::limits::{POLL_INTERVAL, SHUTDOWN, SHUTDOWN_PATIENCE};
use crate::log::event;
use crate::name::ObjectRef;
use crate::pulse;
use crate::record;
use crate::serve::snapshot::Snapshot;
use crate::time::{self, Deadline, Stopwatch, Time};
use crate::work::{Outcome, Task};

pub(super) struct Loop<'p> {
    pub(super) world: World,
    pub(super) context: Arc<Context>,
    pub(super) plan: &'p Plan,
    pub(super) errands: Sender<Errand>,
    pub(super) woken: Receiver<Wake>,
    pub(super) board: Board,
    /// Records whose entry went or came back, and what is to be done to each; and those to which it is being done.
    pub(super) gone: Vec<(ObjectRef, Fate)>,
    pub(super) forgetting: HashSet<ObjectRef>,
    /// Certificates may have come or gone.
    pub(super) all_changed: bool,
    /// Whether all records may be listed.
    pub(super) may_list: bool,
    /// A change was stored: the others of its kind may follow.
    pub(super) change_proved: bool,
    /// A zone would not take an UPDATE.
    pub(super) probe_failed: bool,
    /// When the sources are read again that nothing tells us about.
    pub(super) read_again: Time,
    /// When it was looked last.
    pub(super) looked: Time,
    pub(super) overall: Overall,
    /// Whether this replica led when that was looked at last.
    pub(super) led: bool,
    /// Our part in the election, where there is one.
    pub(super) candidacy: Option<Candidacy>,
    /// The ConfigMap that shows the state.
    pub(super) telling: Telling,
    /// What the port shows, where there is one.
    pub(super) showing: Option<Showing>,
}

impl Loop<'_> {
    fn once(&self) -> bool {
        self.plan.pass != Pass::Forever
    }

    pub(super) fn run(mut self) -> Result<End, String> {
        if self.world.is_watching() {
            self.world.follow(time::now())?;
        } else if self.may_list {
            self.world.objects.find_records(time::now());
        }
        while !self.context.stop.is_set() {
            let now = time::now();
            if now < self.looked {
                self.read_again = now;
                self.world.clock_set_back();
                self.world.concerned(&News::All).iter().for_each(|secret| self.board.wake(secret));
            }
            self.looked = now;
            if self.read_again <= now {
                self.read(now)?;
            }
            for late in self.board.settle(|at, version| self.world.objects.shows(at, version), now) {
                self.world.objects.doubt(&late);
            }
            let leads = self.context.lead.leading();
            if leads && !self.led {
                // Who led before may have left anything half done.
                self.world.concerned(&News::All).iter().for_each(|secret| self.board.wake(secret));
            }
            self.led = leads;
            if leads && !self.world.is_blind() {
                self.decide(now);
                self.start();
                if self.once() && self.board.busy() == 0 && self.forgetting.is_empty() {
                    return Ok(self.end());
                }
            }
            // Whoever stands by only keeps what it knows up to date.
            let due = if leads { self.board.due(now) } else { None };
            let show = self.show(leads, now);
            let tell = self.telling.due().filter(|_| leads).map(|left| now + left);
            let wake = due.into_iter().chain(show).chain(tell).chain([self.read_again]).min();
            let pause = pause_until(wake, now);
            pulse::beat_within(pause);
            match self.woken.recv_timeout(pause) {
                Ok(woken) => self.take(woken)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(End::Broken),
            }
            // What came meanwhile is decided about together.
            while let Ok(woken) = self.woken.try_recv() {
                self.take(woken)?;
            }
        }
        Ok(self.wind_down())
    }

    /// Shows what has changed. Returns when to come back, where that is too soon.
    fn show(&mut self, leads: bool, now: Time) -> Option<Time> {
        let showing = self.showing.as_mut()?;
        showing.ready(|| self.world.lacks());
        showing.publish(now, || {
            let ordering = self.board.ordering().cloned().collect();
            let snapshot = self.world.snapshot(ordering, now);
            let (queued, running) = (self.board.queued(), self.board.busy() + self.forgetting.len());
            // Whoever stands by does not know what the other one does.
            let certificates = if leads { snapshot.certificates } else { Vec::new() };
            Snapshot { certificates, queued, running, ..snapshot }
        })
    }

    /// Reads what no watch tells.
    fn read(&mut self, now: Time) -> Result<(), String> {
        self.read_again = now + POLL_INTERVAL;
        let read = self.world.read_configs();
        self.all_changed |= self.world.fates_are_due(now);
        if self.world.is_watching() {
            if read {
                self.world.follow(now)?;
                self.mark_all();
            }
            return self.world.follow_again(now);
        }
        self.overall = self.world.wish();
        self.mark_all();
        Ok(())
    }

    fn mark_all(&mut self) {
        self.all_changed = true;
        self.board.mark(self.world.concerned(&News::All));
    }

    fn decide(&mut self, now: Time) {
        let all = std::mem::take(&mut self.all_changed);
        if all {
            self.board.retain(|secret| self.world.is_wanted(secret));
            for (at, fate) in self.world.gone(self.board.worked_on(), self.plan.forget_after, now) {
                if !self.forgetting.contains(&at) && !self.gone.iter().any(|(waiting, _)| *waiting == at) {
                    if self.plan.dry_run {
                        rehearsal::tell_fate(&at, fate);
                    }
                    self.gone.push((at, fate));
                }
            }
        }
        let taken = self.board.take(now);
        if taken.is_empty() {
            return;
        }
        let set: HashSet<&ObjectRef> = taken.iter().collect();
        let watch = Stopwatch::start();
        let mut look = self.world.look(self.board.orders(&set), now);
        self.telling.change();
        let secrets = self.world.in_turn(&taken, now);
        let entries = secrets.len();
        for secret in secrets {
            // Each may have to be read, from a server that does not answer.
            if self.context.stop.is_set() {
                return;
            }
            pulse::beat();
            let verdict = self.world.decide(&secret, &mut look);
            if let Some(job) = verdict.job.as_ref().filter(|_| self.plan.dry_run) {
                rehearsal::tell(&mut self.world.said, job);
            }
            let record = record::reference(&secret, &self.context.namespace);
            if verdict.is_back && !self.plan.dry_run && !self.forgetting.contains(&record) {
                self.gone.push((record, Fate::Reclaim));
            }
            self.board.put(secret, verdict, self.once());
        }
        // Without watches everything is looked at again and again.
        if all && self.world.is_watching() {
            event!(info, "checked", entries = entries, milliseconds = watch.elapsed().as_millis());
        }
        self.change_proved &= self.board.has_changes();
    }

    /// Hands out as many jobs as there are idle workers.
    fn start(&mut self) {
        if self.plan.dry_run {
            return;
        }
        while self.working() < self.plan.workers {
            let gates = &self.context.gates;
            let errand = match self.gone.pop() {
                Some((at, fate)) => {
                    self.forgetting.insert(at.clone());
                    Errand::Forget(at, fate)
                }
                None => match self.board.start(self.change_proved, |lane| gates.admits(lane).is_ok()) {
                    Some(job) => Errand::Do(job),
                    None => match self.tell_state() {
                        Some(state) => Errand::Tell(state),
                        None => return,
                    },
                },
            };
            // There is a place in the queue for each worker, so this does not fail while the workers live.
            if self.errands.try_send(errand).is_err() {
                return;
            }
        }
    }

    /// How many errands are under way.
    fn working(&self) -> usize {
        self.board.busy() + self.forgetting.len() + usize::from(self.telling.busy)
    }

    /// What the ConfigMap is to say that shows the state, when that is to be written.
    fn tell_state(&mut self) -> Option<Box<State>> {
        let is_due = self.telling.due().is_some_and(|left| left.is_zero());
        if !is_due {
            return None;
        }
        let (now, none) = (time::now(), HashSet::new());
        let mut look = self.world.look(self.board.orders(&none), now);
        let ordering: BTreeSet<ObjectRef> = self.board.ordering().cloned().collect();
        let report = self.world.report(&ordering, &mut look);
        // A look that was broken off says nothing.
        let whole = !self.context.stop.is_set();
        whole
            .then(|| self.telling.write(report, self.world.wishes.wanted.len() + self.world.orphans().count()))
            .flatten()
    }

    /// Takes note of what happened.
    fn take(&mut self, woken: Wake) -> Result<(), String> {
        match woken {
            Wake::Done(done) => self.finish(*done),
            Wake::Change(change) => {
                let news = self.world.note(*change, time::now())?;
                self.all_changed |= news == News::All;
                for secret in self.world.concerned(&news) {
                    match &news {
                        // Other replicas write records, and so do we.
                        News::Object(at) if record::is_one(at) => self.board.mark([secret]),
                        _ => self.board.wake(&secret),
                    }
                }
            }
            // What concerns the ConfigMaps is told by who leads.
            Wake::Lead => self.world.follow(time::now())?,
            Wake::Stop => {}
        }
        Ok(())
    }

    fn finish(&mut self, done: Done) {
        let now = time::now();
        let (outcome, mut job) = match done {
            Done::Job(outcome, job) => (outcome, job),
            Done::Told(result) => return self.telling.done(result),
            Done::Forgotten(at, result) => {
                self.forgetting.remove(&at);
                self.all_changed = true;
                // Nobody waits until it is shown.
                self.context.store.take_written(&at);
                self.world.objects.doubt(&at);
                match result {
                    // Where no watch shows it, it would be found to be left once more, and again. A failure is no reason to wait.
                    Ok(()) => drop(self.world.objects.read_record(&at, now)),
                    Err(failed) => event!(warn, "not-forgotten", record = at, error = failed.error),
                }
                return;
            }
        };
        let secret = &outcome.secret;
        // Its entry went meanwhile: now its place and its record can go, too.
        self.all_changed |= !self.world.is_wanted(secret);
        let record = record::reference(secret, &self.context.namespace);
        if let Err(Failed { barred: Some(barred), error, .. }) = &outcome.result {
            let (lane, why) = &**barred;
            if let Barred::Closed(_) = why {
                event!(info, "put-off", secret = secret, error = error);
            }
            // What it wrote before it was turned away is no change by others.
            if let Some(version) = self.context.store.take_written(&record) {
                job.basis.record = version;
            }
            return self.board.bar(job, lane.clone());
        }
        let entry = &job.wanted.entry;
        for (at, held) in entry.secrets.iter().zip(outcome.found.iter().flatten()) {
            self.world.objects.found(at, held.clone(), now);
        }
        if outcome.found.is_some() {
            self.world.objects.doubt(&record);
        }
        let mut unseen = Vec::new();
        for at in entry.secrets.iter().chain([&record]) {
            match (self.world.objects.is_shown(at), self.context.store.take_written(at)) {
                (true, Some(version)) => unseen.push((at.clone(), version)),
                (true, None) => {}
                (false, _) => self.world.objects.doubt(at),
            }
        }
        unseen.retain(|(at, version)| !self.world.objects.shows(at, version));
        // A single pass serves each certificate once, and ends with a look at all.
        let rest = (!self.once() && outcome.result.is_err()).then_some(now + POLL_INTERVAL);
        self.board.done(secret, unseen, rest, now);
        self.change_proved |= self.tell(&outcome, &job.task);
        if outcome.result.is_err_and(|failed| failed.limit.is_some()) {
            // It may be for others, too, whose jobs wait.
            self.mark_all();
        }
    }

    /// Says how a job went where nobody else did. Returns whether it proved that changed certificates can be made.
    fn tell(&mut self, outcome: &Outcome, task: &Task) -> bool {
        match &outcome.result {
            Ok(()) => {
                outcome.found.is_none() && matches!(task, Task::Issue { finding, .. } if finding.reason.is_change())
            }
            // Said once for all.
            Err(failed) if failed.stage == Stage::Clock => false,
            Err(failed) if failed.uncounted => {
                event!(info, "put-off", secret = outcome.secret, stage = failed.stage, error = failed.error);
                false
            }
            Err(failed) => {
                self.probe_failed |= matches!(task, Task::Probe);
                // The others were said where they were written into the record, or probed.
                if matches!(task, Task::Restore { .. } | Task::Tidy | Task::Window(_)) {
                    event!(warn, "not-done", secret = outcome.secret, stage = failed.stage, error = failed.error);
                }
                false
            }
        }
    }

    /// How a single pass ends.
    fn end(&self) -> End {
        let (unknown, unsound) = self.board.found();
        let Overall { unreadable, .. } = self.overall;
        match (unreadable, unknown || self.overall.unknown, unsound || self.overall.unsound || self.probe_failed) {
            (true, false, _) => End::Unreadable,
            (_, true, _) => End::Unknown,
            (false, false, true) => End::Unsound,
            (false, false, false) => End::Good,
        }
    }

    /// No new jobs; those under way get a while to end at a point from which they can be continued.
    fn wind_down(self) -> End {
        let once = self.once();
        let mut busy = self.working();
        drop(self.errands);
        let (patience, deadline) = (Deadline::after(SHUTDOWN_PATIENCE), Deadline::after(SHUTDOWN));
        let mut cut = false;
        while let Some(left) = deadline.left().filter(|_| busy > 0) {
            match self.woken.recv_timeout(patience.left().unwrap_or(left)) {
                Ok(Wake::Done(_)) => busy -= 1,
                Ok(Wake::Stop | Wake::Lead | Wake::Change(_)) => {}
                Err(RecvTimeoutError::Timeout) if !cut => {
                    // Then there is time left to write the records: the orders are continued by their URL.
                    self.context.cas.shut_down();
                    cut = true;
                }
                Err(_) => break,
            }
        }
        // Whoever takes it begins at once.
        if let Some(candidacy) = self.candidacy.filter(|_| busy == 0) {
            candidacy.release();
        }
        if once { End::Unknown } else { End::Good }
    }
}
