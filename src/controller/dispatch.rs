//! Hands out jobs to the workers, and says what is parked.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::control_loop::Controller;
use super::queue::Capacity;
use super::status_writer::StatusContents;
use super::{ControllerEvent, WorkItem, work};
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::base::time;
use crate::issuance::Context;
use crate::policy::circuit::{DnsTarget, Unavailable};
use crate::status::row::Parked;
use crate::worker::{Job, JobPeer};

/// The worker threads: started when there is something to do for them, and never more than there are places.
#[derive(Debug)]
pub(super) struct Workers {
    context: Arc<Context>,
    errands: Sender<WorkItem>,
    queue: Receiver<WorkItem>,
    wake: Sender<ControllerEvent>,
    threads: usize,
}

impl Workers {
    /// No thread runs yet.
    pub(super) fn new(context: Arc<Context>, workers: usize, wake: Sender<ControllerEvent>) -> Workers {
        let (errands, queue) = bounded(Capacity::threads(workers));
        Workers { context, errands, queue, wake, threads: 0 }
    }

    /// Gives an errand to an idle worker, of which there is one more where `busy` errands are under way. Returns whether one took it.
    fn send(&mut self, errand: WorkItem, busy: usize) -> bool {
        if busy >= self.threads {
            let (context, queue, wake) = (self.context.clone(), self.queue.clone(), self.wake.clone());
            let name = format!("worker-{}", self.threads);
            match thread::Builder::new().name(name).spawn(move || work(&context, &queue, &wake)) {
                Ok(_) => self.threads += 1,
                Err(e) if self.threads == 0 => {
                    event!(error, "no-worker", error = e);
                    return false;
                }
                // Then it waits for one of those that there are.
                Err(e) => event!(warn, "no-worker", error = e),
            }
        }
        // There is room for as many as there may be threads.
        self.errands.try_send(errand).is_ok()
    }
}

/// Why a job may not go to the servers of a circuit now.
pub(super) fn barred(context: &Context, lane: &DnsTarget, job: &Job) -> Option<Unavailable> {
    let none = SharedStr::new("");
    let ca = if let JobPeer::Ca(directory) = &job.peer { directory } else { &none };
    context.circuits.admits(lane, ca).err()
}

impl Controller<'_> {
    /// Hands out as many jobs as there are places.
    pub(super) fn dispatch(&mut self) {
        while let Some(errand) = self.next() {
            let busy = self.working() - 1;
            if !self.workers.send(errand, busy) {
                return;
            }
        }
    }

    /// What is to be done next, if there is a place for it.
    fn next(&mut self) -> Option<WorkItem> {
        let has_place = self.others() < self.plan.workers;
        if has_place && let Some(secret) = self.state.form_to_read() {
            return Some(WorkItem::ReadForm(secret));
        }
        // The rest changes something.
        if self.plan.dry_run {
            return None;
        }
        if has_place {
            if let Some((at, fate)) = self.orphaned.pop() {
                self.releasing.insert(at.clone());
                return Some(WorkItem::Forget(at, fate));
            }
            if let Some(state) = self.tell_state() {
                return Some(WorkItem::Tell(state));
            }
        }
        let places = Capacity { workers: self.plan.workers, others: self.others() };
        let context = &self.context;
        let job = self.queue.start(self.change_proved, places, |lane, job| barred(context, lane, job))?;
        Some(WorkItem::Do(job))
    }

    /// Errands under way that are for no certificate.
    fn others(&self) -> usize {
        self.releasing.len() + self.state.forms_being_read() + usize::from(self.status_writer.busy)
    }

    /// How many errands are under way.
    pub(super) fn working(&self) -> usize {
        self.queue.busy() + self.others()
    }

    /// The jobs that wait for a peer.
    pub(super) fn parked(&self) -> impl Iterator<Item = (&ObjectRef, Parked)> {
        self.queue.parked(|lane, job| barred(&self.context, lane, job))
    }

    /// Says that a certificate that was just decided about is parked, when that is news.
    pub(super) fn tell_parked(&mut self, secret: &ObjectRef) {
        let parked = self.queue.parked_one(secret, |lane, job| barred(&self.context, lane, job));
        let Some(Parked { why, until }) = parked else { return };
        if self.state.log_dedup.changed("parked", &why) {
            let until = until.map_or_else(|| "unknown".to_owned(), |until| until.to_string());
            event!(info, "put-off", secret = secret, state = "Parked", until = until, error = why);
        }
    }

    /// What the ConfigMap is to say that shows the state, when that is to be written.
    fn tell_state(&mut self) -> Option<Box<StatusContents>> {
        let is_due = self.status_writer.due().is_some_and(|left| left.is_zero());
        if !is_due {
            return None;
        }
        let (now, none) = (time::now(), HashSet::new());
        let mut look = self.state.begin_pass(self.queue.orders(&none), now);
        let ordering: BTreeSet<ObjectRef> = self.queue.ordering().cloned().collect();
        let parked = self.parked().map(|(secret, parked)| (secret.clone(), parked)).collect();
        let report = self.state.report(&ordering, &parked, |secret| self.queue.order_of(secret), &mut look);
        // A look that was broken off says nothing.
        let whole = !self.context.stop.is_set();
        let all = self.state.desired.wanted.len() + self.state.orphans().count();
        whole.then(|| self.status_writer.write(report, all)).flatten()
    }
}
