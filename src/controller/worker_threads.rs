//! The worker threads: started when there is something to do for them, and never more than the capacity allows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::capacity::Capacity;
use super::messages::{ControllerEvent, WorkItem, WorkResult};
use super::{accepted_specs, status_writer};
use crate::base::liveness;
use crate::base::log::event;
use crate::issuance::{AttemptError, Context};
use crate::worker::{release_record, run, settle_panic};

/// The worker threads and their queue.
#[derive(Debug)]
pub(super) struct Workers {
    context: Arc<Context>,
    items: Sender<WorkItem>,
    queue: Receiver<WorkItem>,
    wake: Sender<ControllerEvent>,
    threads: usize,
}

impl Workers {
    /// No thread runs yet.
    pub(super) fn new(context: Arc<Context>, workers: usize, wake: Sender<ControllerEvent>) -> Workers {
        let (items, queue) = bounded(Capacity::threads(workers));
        Workers { context, items, queue, wake, threads: 0 }
    }

    /// Gives out no more items: each worker ends with the item that it has.
    pub(super) fn close(&mut self) {
        self.items = bounded(0).0;
    }

    /// Gives an item to an idle worker, and starts one more where `busy` items are under way. Returns whether a worker takes it.
    pub(super) fn send(&mut self, item: WorkItem, busy: usize) -> bool {
        if busy >= self.threads {
            let (context, queue, wake) = (self.context.clone(), self.queue.clone(), self.wake.clone());
            let name = format!("worker-{}", self.threads);
            match thread::Builder::new().name(name).spawn(move || work(&context, &queue, &wake)) {
                Ok(_) => self.threads += 1,
                Err(e) if self.threads == 0 => {
                    event!(error, "no-worker", error = e);
                    return false;
                }
                // The item waits for a worker that runs.
                Err(e) => event!(warn, "no-worker", error = e),
            }
        }
        // The queue has room for as many items as there may be threads.
        self.items.try_send(item).is_ok()
    }
}

/// A worker: does one item after the other until the loop drops the queue. A panic of a library fails the item and nothing else.
fn work(context: &Context, queue: &Receiver<WorkItem>, wake: &Sender<ControllerEvent>) {
    liveness::begin("worker");
    liveness::rest();
    for item in queue {
        liveness::beat();
        let done = match item {
            WorkItem::Do(job) => {
                let outcome = catch_unwind(AssertUnwindSafe(|| run(context, &job))).unwrap_or_else(|_| {
                    event!(error, "panicked", secret = job.wanted.entry.main_secret());
                    settle_panic(context, &job)
                });
                WorkResult::Job(outcome, job)
            }
            WorkItem::Forget(at, step) => {
                let forgotten = catch_unwind(AssertUnwindSafe(|| release_record(context, &at, step)));
                let result = forgotten.unwrap_or_else(|_| Err(AttemptError::internal()));
                WorkResult::Forgotten(at, result)
            }
            WorkItem::Tell(contents) => {
                let told = catch_unwind(AssertUnwindSafe(|| status_writer::put(context, *contents)));
                WorkResult::Told(told.unwrap_or_else(|_| Err(AttemptError::internal().error)))
            }
            WorkItem::ReadForm(secret) => {
                let read = catch_unwind(AssertUnwindSafe(|| accepted_specs::read(context, &secret)));
                WorkResult::Form(secret, read.unwrap_or_else(|_| Err(AttemptError::internal().error)))
            }
        };
        if wake.send(ControllerEvent::Done(Box::new(done))).is_err() {
            return;
        }
        liveness::rest();
    }
}
