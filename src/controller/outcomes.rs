//! Handles the results of the workers.

use super::control::Controller;
use super::messages::WorkResult;
use crate::base::limits::POLL_INTERVAL;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::time::{self, Time};
use crate::issuance::AttemptError;
use crate::policy::backoff::Stage;
use crate::policy::circuit::Unavailable;
use crate::record;
use crate::worker::{Outcome, Task};

impl Controller<'_> {
    /// Handles the result of a work item.
    pub(super) fn handle_result(&mut self, done: WorkResult) {
        let now = time::now();
        let (outcome, mut job) = match done {
            WorkResult::Job(outcome, job) => (outcome, job),
            WorkResult::Told(result) => return self.status_writer.done(result),
            WorkResult::Form(secret, form) => {
                if self.state.form_read(secret, form) {
                    self.read_again = now;
                }
                return;
            }
            WorkResult::Forgotten(at, result) => return self.handle_released(&at, result, now),
        };
        let secret = &outcome.secret;
        self.state.objects.unshown.extend(job.wanted.shown_by());
        // An entry that went meanwhile: now its item and its record can go, too.
        self.all_changed |= !self.state.is_wanted(secret);
        if let Some(answered) = answered(&outcome, &job.task) {
            self.queue.note_answer(&job.peer, answered);
        }
        let record = record::reference(secret, &self.context.namespace);
        if let Err(AttemptError { barred: Some(barred), dns_target: Some(dns_target), error, .. }) = &outcome.result {
            if let Unavailable::Open(until) = barred {
                event!(info, "put-off", secret = secret, state = "Parked", until = until, error = error);
            }
            // A write of the job before it was turned away is no change by others.
            let mut unseen = Vec::new();
            if let Some(version) = self.context.store.take_written(&record) {
                job.basis.record.clone_from(&version);
                match self.state.secrets.is_watched_object(&record)
                    && !self.state.secrets.has_version(&record, &version)
                {
                    true => unseen.push((record, version)),
                    false => self.state.secrets.invalidate(&record),
                }
            }
            self.status_writer.change();
            return self.queue.park(job, (**dns_target).clone(), unseen, now);
        }
        let entry = &job.wanted.entry;
        for (at, held) in entry.secrets.iter().zip(outcome.found.iter().flatten()) {
            self.state.secrets.found(at, held.clone(), now);
        }
        if doubts_record(&outcome) {
            self.state.secrets.invalidate(&record);
        }
        let mut unseen = Vec::new();
        for at in entry.secrets.iter().chain([&record]) {
            match (self.state.secrets.is_watched_object(at), self.context.store.take_written(at)) {
                (true, Some(version)) => unseen.push((at.clone(), version)),
                (true, None) => {}
                (false, _) => self.state.secrets.invalidate(at),
            }
        }
        unseen.retain(|(at, version)| !self.state.secrets.has_version(at, version));
        // A single pass serves each certificate once, and ends with a look at all.
        let rest = (!self.once() && outcome.result.is_err()).then_some(now + POLL_INTERVAL);
        if let Some(order) = self.queue.finish(secret, unseen, rest, now) {
            self.state.release(&order);
        }
        let dns_target = outcome.result.as_ref().err().and_then(|failed| failed.dns_target.as_deref().cloned());
        self.queue.failed_at(&job, dns_target);
        self.change_proved |= self.tell(&outcome, &job.task);
        if outcome.result.is_err_and(|failed| failed.limit.is_some()) {
            // The limit may concern others, too, whose jobs wait.
            self.add_all();
        }
    }

    fn handle_released(&mut self, at: &ObjectRef, result: Result<(), AttemptError>, now: Time) {
        self.releasing.remove(at);
        self.all_changed = true;
        // Nothing waits until a watch shows this write.
        self.context.store.take_written(at);
        self.state.secrets.invalidate(at);
        match result {
            // Without a watch the cached record would be found to be orphaned again and again. A failed read is harmless.
            Ok(()) => drop(self.state.secrets.read_record(at, now)),
            Err(failed) => event!(warn, "not-forgotten", record = at, error = failed.error),
        }
    }

    /// Says how a job ended, where the worker did not. Returns whether the job proved that changed certificates can be made.
    fn tell(&mut self, outcome: &Outcome, task: &Task) -> bool {
        match &outcome.result {
            Ok(()) => {
                outcome.found.is_none() && matches!(task, Task::Issue { finding, .. } if finding.reason.is_change())
            }
            // The clock is reported once for all.
            Err(failed) if failed.stage == Stage::Clock => false,
            Err(failed) if failed.uncounted => {
                event!(info, "put-off", secret = outcome.secret, stage = failed.stage, error = failed.error);
                false
            }
            Err(failed) => {
                self.probe_failed |= matches!(task, Task::Probe);
                // Other failures were said where they were written into the record, or probed.
                if matches!(task, Task::Restore { .. } | Task::Tidy | Task::Revoke | Task::Cascade | Task::Window(_)) {
                    event!(warn, "not-done", secret = outcome.secret, stage = failed.stage, error = failed.error);
                }
                false
            }
        }
    }
}

/// True where the record may be another one than a watch shows: somebody else's write was met, or the answer to one of ours was lost. A watch
/// whose connection died shows nothing for minutes, and the same conflict would come again and again.
fn doubts_record(outcome: &Outcome) -> bool {
    outcome.found.is_some() || matches!(&outcome.result, Err(failed) if failed.stage == Stage::Store)
}

/// Tells whether the CA of an attempt answered; `None` where no answer was due.
fn answered(outcome: &Outcome, task: &Task) -> Option<bool> {
    if !matches!(task, Task::Issue { .. }) {
        return None;
    }
    match &outcome.result {
        Ok(()) => outcome.found.is_none().then_some(true),
        Err(failed) if failed.silent => Some(false),
        Err(failed) if failed.uncounted => None,
        Err(failed) => match failed.stage {
            Stage::Account | Stage::Order | Stage::Validation | Stage::Finalize | Stage::Download => Some(true),
            Stage::Clock | Stage::Zone | Stage::Publish | Stage::Propagation | Stage::Reach | Stage::Store => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::backoff::RetryClass;

    #[test]
    fn a_record_is_read_again_after_a_write_that_failed() {
        let outcome = |result, found| Outcome { secret: ObjectRef::new("ns", "web"), result, found };
        let failed = |stage| Err(AttemptError::new(stage, RetryClass::Transient, "no answer in time".to_owned()));
        assert!(doubts_record(&outcome(failed(Stage::Store), None)), "what was written is not known");
        assert!(doubts_record(&outcome(Err(AttemptError::busy("a conflict".to_owned())), None)));
        assert!(doubts_record(&outcome(Ok(()), Some(Vec::new()))), "the Secrets are not what the watch shows");
        assert!(!doubts_record(&outcome(failed(Stage::Order), None)));
        assert!(!doubts_record(&outcome(Ok(()), None)));
    }
}
