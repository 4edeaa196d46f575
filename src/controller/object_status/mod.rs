//! Writes the status of objects, on a thread of its own: the loop says what is known, the thread writes where that differs from what stands
//! in the object. A dead webhook or a slow API server delays no certificate.

mod issuers;
mod put;
mod revocations;
mod show;
mod showing;
mod slots;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::base::limits::{LOOK_AT_ALL, STATUS_REQUEST, TARGET_REQUEST};
use crate::base::log::event;
use crate::base::name::ClusterName;
use crate::base::shared_str::SharedStr;
use crate::base::time::{self, Deadline, Stopwatch};
use crate::issuance::Context;
use crate::kube::client::KubeClient;
use crate::kube::rate_limit::RequestRate;
use crate::sources::wish::ObjectKey;
use put::StatusPutter;
use slots::{PutEnd, StatusRoom, StatusSlots, StatusWrite, WriteEnd};

pub(super) use issuers::IssuerAccounts;
pub(super) use showing::{Showing, not_acting};

/// The loop's side of the writers of statuses: one for each cluster, so that one that is away delays no other.
pub(super) struct ObjectStatusWriter {
    home: ClusterStatusWriter,
    others: BTreeMap<ClusterName, ClusterStatusWriter>,
}

/// The same of one cluster.
struct ClusterStatusWriter {
    shared: Arc<WriterShared>,
    wake: Sender<()>,
    ended: Receiver<()>,
}

struct WriterShared {
    /// The lock guards this table alone and is held over no I/O.
    slots: Mutex<StatusSlots>,
    age: Stopwatch,
    /// Set when the program stops: what is left is written at once.
    last: Mutex<Option<Deadline>>,
}

impl WriterShared {
    fn slots(&self) -> MutexGuard<'_, StatusSlots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> Option<Deadline> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ObjectStatusWriter {
    /// Starts the threads: one for home, and one for each other cluster of `others`.
    ///
    /// # Errors
    /// When one can not be started.
    pub(super) fn start(
        context: &Arc<Context>,
        home: &KubeClient,
        others: impl Fn(&ClusterName) -> bool,
    ) -> Result<ObjectStatusWriter, String> {
        // Statuses have a rate of their own: many of them delay no certificate.
        let rated = |client: &KubeClient| client.clone().with_rate(RequestRate::default());
        let home = ClusterStatusWriter::start(context, rated(home).with_timeout(STATUS_REQUEST))?;
        let others = context.store.others().filter(|(name, _)| others(name));
        let others = others.filter_map(|(name, cluster)| Some((name, cluster.client.as_deref()?)));
        let start = |(name, client): (&ClusterName, &KubeClient)| {
            Ok((name.clone(), ClusterStatusWriter::start(context, rated(client).with_timeout(TARGET_REQUEST))?))
        };
        Ok(ObjectStatusWriter { home, others: others.map(start).collect::<Result<_, String>>()? })
    }

    /// The writer for the cluster of an object. An object of a cluster without a writer has none.
    fn of(&self, object: &ObjectKey) -> Option<&ClusterStatusWriter> {
        match object.at.cluster.is_home() {
            true => Some(&self.home),
            false => self.others.get(&object.at.cluster),
        }
    }

    /// The room for further writes, by cluster.
    fn room(&self) -> BTreeMap<ClusterName, StatusRoom> {
        let all = self.others.iter().map(|(name, writer)| (name.clone(), writer));
        all.chain([(ClusterName::HOME, &self.home)])
            .map(|(name, writer)| (name, writer.shared.slots().room()))
            .collect()
    }

    /// Tells whether a write of an object waits.
    fn waits(&self, object: &ObjectKey) -> bool {
        self.of(object).is_some_and(|writer| writer.shared.slots().waits(object))
    }

    /// Has a status written, where it differs.
    fn put(&self, write: StatusWrite) -> PutEnd {
        self.of(&write.object).map_or(PutEnd::Needless, |writer| writer.put(write))
    }

    /// Forgets an object that is gone.
    fn forget(&self, object: &ObjectKey) {
        self.of(object).into_iter().for_each(|writer| writer.shared.slots().forget(object));
    }

    /// Forgets what is to be written in a namespace of home.
    fn clear(&self, namespace: &SharedStr) {
        self.home.shared.slots().clear(namespace);
    }

    /// Tries again at once what a cluster did not take while it was away.
    pub(super) fn retry(&self, cluster: &ClusterName) {
        if let Some(writer) = self.others.get(cluster) {
            writer.shared.slots().retry();
            writer.wake.try_send(()).ok();
        }
    }

    /// Writes what is left, for so long at most.
    pub(super) fn finish(self, within: Duration) {
        let deadline = Deadline::after(within);
        let ended: Vec<Receiver<()>> =
            std::iter::once(self.home).chain(self.others.into_values()).map(|writer| writer.finish(within)).collect();
        // Nothing is ever sent: a channel closes when its thread ends.
        for ended in ended {
            ended.recv_timeout(deadline.left().unwrap_or_default()).ok();
        }
    }
}

impl ClusterStatusWriter {
    fn start(context: &Arc<Context>, client: KubeClient) -> Result<ClusterStatusWriter, String> {
        let (wake, woken) = bounded(1);
        let (end, ended) = bounded::<()>(0);
        let shared =
            Arc::new(WriterShared { slots: Mutex::default(), age: Stopwatch::start(), last: Mutex::default() });
        let mut putter = StatusPutter::new(client, context.clone());
        let of_thread = shared.clone();
        let run = move || {
            let _end = end;
            of_thread.run(&woken, &mut putter);
        };
        let spawned = thread::Builder::new().name("statuses".to_owned()).spawn(run);
        spawned.map_err(|e| format!("the thread that writes statuses can not be started: {e}"))?;
        Ok(ClusterStatusWriter { shared, wake, ended })
    }

    fn put(&self, write: StatusWrite) -> PutEnd {
        let end = self.shared.slots().put(write, time::now());
        // A full channel wakes it as well.
        self.wake.try_send(()).ok();
        end
    }

    /// Has the thread write what is left. Returns a channel that closes when it ends.
    fn finish(self, within: Duration) -> Receiver<()> {
        *self.shared.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Deadline::after(within));
        self.ended
    }
}

impl WriterShared {
    fn run(&self, woken: &Receiver<()>, putter: &mut StatusPutter) {
        loop {
            let last = self.last();
            if last.is_some_and(|last| last.left().is_none() || self.slots().is_idle()) {
                return;
            }
            let taken = self.slots().take(self.age.elapsed(), last.is_some());
            let Some(write) = taken else {
                let pause = self.slots().next_in(self.age.elapsed()).unwrap_or(LOOK_AT_ALL);
                match woken.recv_timeout(pause) {
                    Err(RecvTimeoutError::Disconnected) if self.last().is_none() => return,
                    Ok(()) | Err(_) => continue,
                }
            };
            let put = std::panic::AssertUnwindSafe(|| putter.put(&write));
            let end = std::panic::catch_unwind(put).unwrap_or_else(|_| {
                let error = "a fault inside notariat; please report it with the lines before";
                event!(error, "status-not-written", object = write.object, error = error);
                WriteEnd::Refused
            });
            let (object, is_written) = (write.object.clone(), matches!(end, WriteEnd::Written { .. }));
            self.slots().done(write, end, self.age.elapsed());
            if self.last().is_some() && !is_written {
                // There is no time to try again.
                self.slots().forget(&object);
            }
        }
    }
}
