//! The loop: takes note of what happened, decides about what that concerns, hands out jobs.

use std::collections::HashSet;
use std::sync::Arc;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::config_maps::ConfigHealth;
use super::dispatch::{Workers, barred};
use super::election::ElectionHandle;
use super::queue::WorkQueue;
use super::secret_cache::Affected;
use super::state::{ControllerState, pause_until};
use super::status_snapshot::SnapshotPublisher;
use super::status_writer::StatusWriter;
use super::{ControllerEvent, ExitStatus, Options, RunMode, dry_run};
use crate::base::limits::{CHANGES_ROUND, CHANGES_ROUND_MAX, POLL_INTERVAL, SHUTDOWN, SHUTDOWN_PATIENCE};
use crate::base::liveness;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Deadline, Stopwatch, Time};
use crate::issuance::Context;
use crate::policy::retention::RetentionStep;
use crate::record;
use crate::server::snapshot::Snapshot;

pub(super) struct Controller<'p> {
    pub(super) state: ControllerState,
    pub(super) context: Arc<Context>,
    pub(super) plan: &'p Options,
    pub(super) workers: Workers,
    pub(super) events: Receiver<ControllerEvent>,
    pub(super) queue: WorkQueue,
    /// Records whose entry went or came back, and what is to be done to each; and those to which it is being done.
    pub(super) orphaned: Vec<(ObjectRef, RetentionStep)>,
    pub(super) releasing: HashSet<ObjectRef>,
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
    pub(super) last_pass: Time,
    pub(super) config_health: ConfigHealth,
    /// Whether this replica led when that was looked at last.
    pub(super) led: bool,
    /// Our part in the election, where there is one.
    pub(super) election: Option<ElectionHandle>,
    /// The ConfigMap that shows the state.
    pub(super) status_writer: StatusWriter,
    /// What the port shows, where there is one.
    pub(super) publisher: Option<SnapshotPublisher>,
}

/// Takes what waits in a queue, as much as fits into one round: who fills the queue as fast as it is read delays nothing else.
fn at_once<T>(
    queue: &Receiver<T>,
    stop: &Shutdown,
    mut take: impl FnMut(T) -> Result<(), String>,
) -> Result<(), String> {
    let round = Deadline::after(CHANGES_ROUND);
    for waiting in queue.try_iter().take(CHANGES_ROUND_MAX) {
        take(waiting)?;
        if stop.is_set() || round.left().is_none() {
            break;
        }
    }
    Ok(())
}

impl Controller<'_> {
    pub(super) fn once(&self) -> bool {
        self.plan.pass != RunMode::Forever
    }

    pub(super) fn run(mut self) -> Result<ExitStatus, String> {
        if self.state.is_watching() {
            self.state.watch(time::now())?;
        } else if self.may_list {
            self.state.secrets.find_records(time::now());
        }
        while !self.context.stop.is_set() {
            let now = time::now();
            if now < self.last_pass {
                self.read_again = now;
                self.state.clock_set_back();
                self.state.affected(&Affected::All).iter().for_each(|secret| self.queue.add_now(secret));
            }
            self.last_pass = now;
            if self.read_again <= now {
                self.resync(now)?;
            }
            for late in self.queue.observe(|at, version| self.state.secrets.has_version(at, version), now) {
                self.state.secrets.invalidate(&late);
            }
            let leads = self.context.leader.leading();
            if leads && !self.led {
                // Who led before may have left anything half done.
                self.context.accounts.invalidate_all();
                self.state.affected(&Affected::All).iter().for_each(|secret| self.queue.add_now(secret));
            }
            self.led = leads;
            if leads && !self.state.waits_for_caches() {
                self.reconcile_changed(now);
                self.dispatch();
                if self.once() && self.working() == 0 {
                    return Ok(self.exit_status());
                }
            }
            // Whoever stands by only keeps what it knows up to date.
            // A parked job goes on when its circuit opens.
            let opens = || self.parked().filter_map(|(_, parked)| parked.until).min();
            let due = if leads { self.queue.due(now).into_iter().chain(opens()).min() } else { None };
            let show = self.show(leads, now);
            let tell = self.status_writer.due().filter(|_| leads).map(|left| now + left);
            let wake = due.into_iter().chain(show).chain(tell).chain([self.read_again]).min();
            let pause = pause_until(wake, now);
            liveness::beat_within(pause);
            match self.events.recv_timeout(pause) {
                Ok(woken) => self.handle_event(woken)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(ExitStatus::Broken),
            }
            // What came meanwhile is decided about together.
            let (more, stop) = (self.events.clone(), self.context.stop.clone());
            at_once(&more, &stop, |woken| self.handle_event(woken))?;
        }
        Ok(self.shut_down())
    }

    /// Shows what has changed. Returns when to come back, where that is too soon.
    fn show(&mut self, leads: bool, now: Time) -> Option<Time> {
        let running = self.working();
        let showing = self.publisher.as_mut()?;
        showing.ready(|| self.state.not_ready());
        showing.publish(now, || {
            let ordering = self.queue.ordering().cloned().collect();
            let parked = self.queue.parked(|lane, job| barred(&self.context, lane, job));
            let parked = parked.map(|(secret, parked)| (secret.clone(), parked)).collect();
            let snapshot = self.state.snapshot(ordering, parked, now);
            let queued = self.queue.queued();
            // Whoever stands by does not know what the other one does.
            let certificates = if leads { snapshot.certificates } else { Vec::new() };
            Snapshot { certificates, queued, running, ..snapshot }
        })
    }

    /// Reads what no watch tells.
    fn resync(&mut self, now: Time) -> Result<(), String> {
        self.read_again = now + POLL_INTERVAL;
        let read = self.state.read_configs();
        self.all_changed |= self.state.fates_are_due(now);
        if self.state.is_watching() {
            if read {
                self.state.watch(now)?;
                self.add_all();
            }
            return self.state.retry_watches(now);
        }
        self.config_health = self.state.rebuild_desired();
        self.add_all();
        Ok(())
    }

    pub(super) fn add_all(&mut self) {
        self.all_changed = true;
        self.queue.add(self.state.affected(&Affected::All));
    }

    fn reconcile_changed(&mut self, now: Time) {
        let all = std::mem::take(&mut self.all_changed);
        if all {
            self.queue.retain(|secret| self.state.is_wanted(secret));
            for (at, fate) in self.state.orphaned_records(self.queue.worked_on(), self.plan.forget_after, now) {
                if !self.releasing.contains(&at) && !self.orphaned.iter().any(|(waiting, _)| *waiting == at) {
                    if self.plan.dry_run {
                        dry_run::tell_fate(&at, fate);
                    }
                    self.orphaned.push((at, fate));
                }
            }
        }
        let taken = self.queue.take(now);
        if taken.is_empty() {
            return;
        }
        let set: HashSet<&ObjectRef> = taken.iter().collect();
        let watch = Stopwatch::start();
        let mut look = self.state.begin_pass(self.queue.orders(&set), now);
        self.status_writer.change();
        let secrets = self.state.quota_order(&taken, now);
        let entries = secrets.len();
        for secret in secrets {
            // Each may have to be read, from a server that does not answer.
            if self.context.stop.is_set() {
                return;
            }
            liveness::beat();
            let verdict = self.state.reconcile(&secret, &mut look);
            if let Some(job) = verdict.job.as_ref().filter(|_| self.plan.dry_run) {
                dry_run::tell(&mut self.state.log_dedup, job);
            }
            let record = record::reference(&secret, &self.context.namespace);
            if verdict.is_back && !self.plan.dry_run && !self.releasing.contains(&record) {
                self.orphaned.push((record, RetentionStep::Reclaim));
            }
            self.queue.set_result(secret.clone(), verdict);
            self.tell_parked(&secret);
        }
        // Without watches everything is looked at again and again.
        if all && self.state.is_watching() {
            event!(info, "checked", entries = entries, milliseconds = watch.elapsed().as_millis());
        }
        self.change_proved &= self.queue.has_changes();
    }

    /// Takes note of what happened.
    fn handle_event(&mut self, woken: ControllerEvent) -> Result<(), String> {
        match woken {
            ControllerEvent::Done(done) => self.handle_result(*done),
            ControllerEvent::Change(change) => {
                let news = self.state.handle_event(*change, time::now())?;
                self.all_changed |= news == Affected::All;
                for secret in self.state.affected(&news) {
                    match &news {
                        // Other replicas write records, and so do we.
                        Affected::Object(at) if record::is_one(at) => self.queue.add([secret]),
                        _ => self.queue.add_now(&secret),
                    }
                }
            }
            // What concerns the ConfigMaps is told by who leads.
            ControllerEvent::Lead => self.state.watch(time::now())?,
            ControllerEvent::Stop => {}
        }
        Ok(())
    }

    /// How a single pass ends.
    fn exit_status(&self) -> ExitStatus {
        let (unknown, unsound) = self.queue.found();
        let ConfigHealth { unreadable, .. } = self.config_health;
        match (
            unreadable,
            unknown || self.config_health.unknown,
            unsound || self.config_health.unsound || self.probe_failed,
        ) {
            (true, false, _) => ExitStatus::Unreadable,
            (_, true, _) => ExitStatus::Unknown,
            (false, false, true) => ExitStatus::Unsound,
            (false, false, false) => ExitStatus::Good,
        }
    }

    /// No new jobs; those under way get a while to end at a point from which they can be continued.
    fn shut_down(self) -> ExitStatus {
        let once = self.once();
        let mut busy = self.working();
        drop(self.workers);
        let (patience, deadline) = (Deadline::after(SHUTDOWN_PATIENCE), Deadline::after(SHUTDOWN));
        let mut cut = false;
        while let Some(left) = deadline.left().filter(|_| busy > 0) {
            match self.events.recv_timeout(patience.left().unwrap_or(left)) {
                Ok(ControllerEvent::Done(_)) => busy -= 1,
                Ok(ControllerEvent::Stop | ControllerEvent::Lead | ControllerEvent::Change(_)) => {}
                Err(RecvTimeoutError::Timeout) if !cut => {
                    // Then there is time left to write the records: the orders are continued by their URL.
                    self.context.clients.shut_down();
                    cut = true;
                }
                Err(_) => break,
            }
        }
        // Whoever takes it begins at once.
        if let Some(candidacy) = self.election.filter(|_| busy == 0) {
            candidacy.release();
        }
        if once { ExitStatus::Unknown } else { ExitStatus::Good }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use crossbeam_channel::bounded;

    use super::*;

    /// A queue that somebody fills as fast as it is read.
    fn flooded() -> Receiver<()> {
        let (fill, queue) = bounded(100);
        thread::spawn(move || while fill.send(()).is_ok() {});
        while !queue.is_full() {
            thread::sleep(Duration::from_millis(1));
        }
        queue
    }

    #[test]
    fn a_flood_of_changes_ends_with_the_round() {
        let (mut taken, stop) = (0, Shutdown::new());
        let count = |()| {
            taken += 1;
            assert!(taken <= CHANGES_ROUND_MAX, "a round has an end");
            Ok(())
        };
        at_once(&flooded(), &stop, count).unwrap();

        let (mut taken, watch) = (0, Stopwatch::start());
        let slow = |()| {
            taken += 1;
            thread::sleep(CHANGES_ROUND / 4);
            Ok(())
        };
        at_once(&flooded(), &stop, slow).unwrap();
        assert!(taken <= 4 && watch.elapsed() < CHANGES_ROUND * 10, "{taken} in {:?}", watch.elapsed());

        let mut taken = 0;
        let stopped = |()| {
            taken += 1;
            stop.set();
            Ok(())
        };
        at_once(&flooded(), &stop, stopped).unwrap();
        assert_eq!(taken, 1);
    }
}
