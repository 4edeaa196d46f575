//! The loop: handles events, reconciles the certificates that they affect, hands out jobs.

use std::collections::BTreeSet;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::control::Controller;
use super::dry_run;
use super::gather::ReconcilePass;
use super::messages::ControllerEvent;
use super::options::ExitStatus;
use super::secret_cache::Affected;
use super::sources::ConfigHealth;
use super::state::pause_until;
use crate::base::limits::{
    CHANGES_ROUND, CHANGES_ROUND_MAX, POLL_INTERVAL, SHUTDOWN, SHUTDOWN_PATIENCE, STATUS_FINISH,
};
use crate::base::liveness;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Deadline, Stopwatch, Time};
use crate::policy::retention::RetentionStep;
use crate::record;
use crate::server::snapshot::Snapshot;

/// Takes the waiting messages of a queue, as many as fit into one round: a sender that fills the queue as fast as it is read delays nothing
/// else.
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
    /// Runs the loop to its end.
    ///
    /// # Errors
    /// When a thread can not be started.
    pub(super) fn run(mut self) -> Result<ExitStatus, String> {
        self.start()?;
        while !self.context.stop.is_set() {
            let now = time::now();
            if self.pass(now)? {
                let end = self.exit_status();
                self.give_back(&BTreeSet::new(), STATUS_FINISH);
                return Ok(end);
            }
            let pause = self.pause(now);
            liveness::beat_within(pause);
            match self.events.recv_timeout(pause) {
                Ok(woken) => self.handle_event(woken)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(ExitStatus::Broken),
            }
            // Events that came meanwhile are reconciled together.
            let (more, stop) = (self.events.clone(), self.context.stop.clone());
            at_once(&more, &stop, |woken| self.handle_event(woken))?;
        }
        Ok(self.shut_down())
    }

    /// Starts the watches, or lists the records where nothing is watched.
    pub(super) fn start(&mut self) -> Result<(), String> {
        if self.state.is_watching() {
            self.state.watch(time::now())?;
        } else if self.may_list {
            self.state.secrets.find_records(time::now());
        }
        Ok(())
    }

    /// One pass: reads what is due, reconciles what changed, hands out jobs. Returns whether a single pass has ended.
    pub(super) fn pass(&mut self, now: Time) -> Result<bool, String> {
        if now < self.last_pass {
            self.read_again = now;
            self.state.clock_set_back();
            self.add_all_now();
        }
        self.last_pass = now;
        self.state.set_time(now);
        self.state.secrets.note_feed();
        if self.read_again <= now {
            self.resync(now)?;
        }
        for late in self.queue.observe(|at, version| self.state.secrets.has_version(at, version), now) {
            self.state.secrets.invalidate(&late);
        }
        let leads = self.context.leader.leading();
        if leads && !self.led {
            // The last leader may have left anything half done.
            self.context.accounts.invalidate_all();
            self.add_all_now();
        }
        self.led = leads;
        self.merge_wishes(now)?;
        // A replica that stands by only keeps its caches up to date.
        if leads && !self.state.waits_for_caches() {
            self.reconcile_changed(now);
            self.dispatch();
            self.show_objects(now);
            let waits = !self.context.acting.holds() && self.acting_by.left().is_some();
            let is_shown = self.state.objects.unshown.is_empty();
            return Ok(self.once() && self.working() == 0 && !waits && is_shown);
        }
        Ok(false)
    }

    /// The pause until something is due: a certificate, a parked job whose circuit opens, what people are shown, statuses
    /// without a place, a poll.
    pub(super) fn pause(&mut self, now: Time) -> std::time::Duration {
        let leads = self.led;
        let settled = self.state.objects.settling.next();
        let due = if leads { self.queue.due(now).into_iter().chain(self.opens()).min() } else { None };
        let show = self.show(now);
        let tell = self.status_writer.due().filter(|_| leads).map(|left| now + left);
        // The statuses without a place are looked at again when some are written.
        let room = (leads && !self.state.objects.unshown.is_empty()).then(|| now + Duration::from_secs(1));
        let all = due.into_iter().chain(show).chain(tell).chain(settled).chain(room).chain([self.read_again]);
        pause_until(all.min(), now)
    }

    /// Reconciles all certificates again, also those that back off.
    pub(super) fn add_all_now(&mut self) {
        self.state.affected(&Affected::All).iter().for_each(|secret| self.queue.add_now(secret));
    }

    /// Publishes the state of the work. Returns when to come back, where that is too soon.
    fn show(&mut self, now: Time) -> Option<Time> {
        let running = self.working();
        let publisher = self.publisher.as_ref()?;
        publisher.ready(|| self.state.not_ready());
        let mut publisher = self.publisher.take()?;
        let again = publisher.publish(now, || {
            let ordering = self.queue.ordering().cloned().collect();
            let parked = self.parked().map(|(secret, parked)| (secret.clone(), parked)).collect();
            Snapshot { queued: self.queue.queued(), running, ..self.state.snapshot(ordering, parked, now) }
        });
        self.publisher = Some(publisher);
        again
    }

    /// Reads the source objects that no watch shows, and tries again what was not allowed.
    fn resync(&mut self, now: Time) -> Result<(), String> {
        self.read_again = now + POLL_INTERVAL;
        let read = self.state.poll_sources();
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

    /// Drops what nobody wants any more, and finds the records whose entry went or came back.
    fn note_gone(&mut self, now: Time) {
        for order in self.queue.retain(|secret| self.state.is_wanted(secret)) {
            self.state.release(&order);
        }
        for (at, step) in self.state.orphaned_records(self.queue.worked_on(), self.plan.forget_after, now) {
            if !self.releasing.contains(&at) && !self.orphaned.iter().any(|(waiting, _)| *waiting == at) {
                if self.plan.dry_run {
                    dry_run::tell_fate(&at, step);
                }
                self.orphaned.push((at, step));
            }
        }
    }

    /// Reconciles the certificates that changed or are due.
    fn reconcile_changed(&mut self, now: Time) {
        let all = std::mem::take(&mut self.all_changed);
        if all {
            self.note_gone(now);
        }
        let mut taken = self.queue.take(now);
        // These come again once their wishes have settled, or the first list of their cluster is complete or has failed.
        taken.retain(|secret| !self.state.objects.settling.holds(secret) && !self.state.waits_for_cluster(secret));
        if taken.is_empty() {
            return;
        }
        // Their orders are decided anew, and must not count against themselves.
        for order in taken.iter().filter_map(|secret| self.queue.take_order(secret)) {
            self.state.release(&order);
        }
        let (watch, mut pass) = (Stopwatch::start(), ReconcilePass::new(now));
        self.status_writer.change();
        let secrets = self.state.quota_order(&taken, now);
        let entries = secrets.len();
        for secret in secrets {
            // Each may have to be read, from a server that does not answer.
            if self.context.stop.is_set() {
                return;
            }
            liveness::beat();
            let result = self.state.reconcile(&secret, &mut pass);
            if let Some(job) = result.job.as_ref().filter(|_| self.plan.dry_run) {
                dry_run::tell(&mut self.state.log_dedup, job);
            }
            if result.is_back && !self.plan.dry_run {
                let record = record::reference(&secret, &self.context.namespace);
                if !self.releasing.contains(&record) {
                    self.orphaned.push((record, RetentionStep::Reclaim));
                }
            }
            if let Some(circuit) = self.queue.newly_asked(&secret, result.asked.as_deref()) {
                self.context.circuits.allow_trial(&circuit);
            }
            if let Some(order) = self.queue.set_result(secret.clone(), result) {
                self.state.release(&order);
            }
            self.tell_parked(&secret);
        }
        // Without watches every pass is over all certificates.
        if all && self.state.is_watching() {
            event!(info, "checked", entries = entries, milliseconds = watch.elapsed().as_millis());
        }
        self.change_proved &= self.queue.has_changes();
    }

    /// Handles an event.
    pub(super) fn handle_event(&mut self, woken: ControllerEvent) -> Result<(), String> {
        match woken {
            ControllerEvent::Done(done) => self.handle_result(*done),
            ControllerEvent::Change(change) => {
                let waited = self.state.waits_for_caches();
                let affected = self.state.handle_event(*change, time::now())?;
                // Refused entries were read without the records that tell which of them were accepted once.
                if waited && self.state.rebuild_again && !self.state.waits_for_caches() {
                    self.read_again = self.last_pass;
                }
                self.all_changed |= affected == Affected::All;
                for secret in self.state.affected(&affected) {
                    match &affected {
                        // Other replicas write records, and so does this one: a failure is still waited out.
                        Affected::Object(at) if record::is_one(at) => self.queue.add([secret]),
                        _ => self.queue.add_now(&secret),
                    }
                }
            }
            // Only the leader tells about the sources.
            ControllerEvent::Lead => self.state.watch(time::now())?,
            ControllerEvent::Stop => {}
        }
        Ok(())
    }

    /// The exit status of a single pass.
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

    /// Lets cert-manager's objects go: no status says any more that an order is under way, and the Lease is free.
    fn give_back(&mut self, ordered: &BTreeSet<ObjectRef>, within: Duration) {
        self.finish_objects(ordered, within, time::now());
        if let Some(held) = self.cert_manager.take() {
            held.release();
        }
    }

    /// Hands out no more jobs; those under way get a while to end at a point from which they can be continued.
    fn shut_down(mut self) -> ExitStatus {
        let once = self.once();
        let mut busy = self.working();
        let ordered: BTreeSet<ObjectRef> = self.queue.ordering().cloned().collect();
        self.workers.close();
        let (patience, deadline) = (Deadline::after(SHUTDOWN_PATIENCE), Deadline::after(SHUTDOWN));
        let mut cut = false;
        while let Some(left) = deadline.left().filter(|_| busy > 0) {
            match self.events.recv_timeout(patience.left().unwrap_or(left)) {
                Ok(ControllerEvent::Done(_)) => busy -= 1,
                Ok(ControllerEvent::Stop | ControllerEvent::Lead | ControllerEvent::Change(_)) => {}
                Err(RecvTimeoutError::Timeout) if !cut => {
                    // Time is left to write the records: the orders are continued by their URL.
                    self.context.clients.shut_down();
                    cut = true;
                }
                Err(_) => break,
            }
        }
        self.give_back(&ordered, deadline.at_most(STATUS_FINISH).unwrap_or_default());
        // The next leader starts at once.
        if let Some(candidacy) = self.election.take().filter(|_| busy == 0) {
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
