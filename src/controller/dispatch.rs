//! Hands out work to the workers, and says which jobs are parked.

use std::collections::BTreeSet;

use super::capacity::Capacity;
use super::control::Controller;
use super::messages::WorkItem;
use super::status_writer::StatusContents;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::issuance::Context;
use crate::policy::circuit::{DnsTarget, Unavailable};
use crate::status::state::Parked;
use crate::worker::{Job, JobPeer};

/// Why a job may not pass a circuit now.
fn unavailable(context: &Context, circuit: &DnsTarget, job: &Job) -> Option<Unavailable> {
    let none = SharedStr::new("");
    let ca = if let JobPeer::Ca(directory) = &job.peer { directory } else { &none };
    context.circuits.admits(circuit, ca).err()
}

impl Controller<'_> {
    /// Hands out as much work as the capacity allows.
    pub(super) fn dispatch(&mut self) {
        while let Some(item) = self.next() {
            let busy = self.working() - 1;
            if !self.workers.send(item, busy) {
                return;
            }
        }
    }

    /// The next work item, if the capacity allows one.
    fn next(&mut self) -> Option<WorkItem> {
        let has_slot = self.others() < self.plan.workers;
        if has_slot && let Some(secret) = self.state.form_to_read() {
            return Some(WorkItem::ReadForm(secret));
        }
        // All other work changes something.
        if self.plan.dry_run {
            return None;
        }
        if has_slot {
            if let Some((at, fate)) = self.orphaned.pop() {
                self.releasing.insert(at.clone());
                return Some(WorkItem::Forget(at, fate));
            }
            if let Some(state) = self.tell_state() {
                return Some(WorkItem::Tell(state));
            }
        }
        let capacity = Capacity { workers: self.plan.workers, others: self.others() };
        let context = &self.context;
        let job = self.queue.start(self.change_proved, capacity, |circuit, job| unavailable(context, circuit, job))?;
        self.state.objects.unshown.extend(job.wanted.shown_by());
        Some(WorkItem::Do(job))
    }

    /// The jobs that wait for a peer.
    pub(super) fn parked(&self) -> impl Iterator<Item = (&ObjectRef, Parked)> {
        self.queue.parked(|circuit, job| unavailable(&self.context, circuit, job))
    }

    /// The peer that the job of a certificate waits for.
    pub(super) fn parked_for(&self, secret: &ObjectRef) -> Option<Parked> {
        self.queue.parked_one(secret, |circuit, job| unavailable(&self.context, circuit, job))
    }

    /// When the first circuit opens that jobs wait for.
    pub(super) fn opens(&self) -> Option<Time> {
        self.queue.opens(|circuit, job| unavailable(&self.context, circuit, job))
    }

    /// Says that the job of a certificate that was just reconciled is parked, when that is new.
    pub(super) fn tell_parked(&mut self, secret: &ObjectRef) {
        let parked = self.queue.parked_one(secret, |circuit, job| unavailable(&self.context, circuit, job));
        let Some(Parked { why, until }) = parked else { return };
        if self.state.log_dedup.changed("parked", &why) {
            let until = until.map_or_else(|| "unknown".to_owned(), |until| until.to_string());
            event!(info, "put-off", secret = secret, state = "Parked", until = until, error = why);
        }
    }

    /// The contents of the status ConfigMap, when that is to be written.
    fn tell_state(&mut self) -> Option<Box<StatusContents>> {
        let is_due = self.status_writer.due().is_some_and(|left| left.is_zero());
        if !is_due {
            return None;
        }
        let ordering: BTreeSet<ObjectRef> = self.queue.ordering().cloned().collect();
        let parked = self.parked().map(|(secret, parked)| (secret.clone(), parked)).collect();
        let report = self.state.report(&ordering, &parked);
        let all = self.state.desired.wanted.len() + self.state.orphans().count();
        self.status_writer.write(report, all)
    }
}
