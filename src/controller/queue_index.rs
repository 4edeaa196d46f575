//! The items of the work queue and the orders in which they are looked for: by time, by peer and urgency, by what runs. Each change of an item
//! costs a few look-ups, whatever the number of items. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::reconcile::ReconcileResult;
use super::steps::step;
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::policy::Reason;
use crate::policy::circuit::DnsTarget;
use crate::policy::secret_state::SecretState;
use crate::sources::CertificateSpec;
use crate::worker::{Job, JobPeer, Task};

/// One certificate in the queue.
#[derive(Debug, Default)]
pub(super) struct QueueItem {
    pub(super) result: ReconcileResult,
    /// The peer of its job, while that is under way.
    pub(super) busy: Option<Box<JobPeer>>,
    /// Until when it is left alone: its job failed, and not every failure leaves a wait in the record.
    pub(super) backoff_until: Option<Time>,
    /// True if a watch is still to show what its job wrote.
    pub(super) expects: bool,
    /// True if it is to be reconciled once it may be.
    pub(super) changed: bool,
    /// The circuit that its last attempt failed at or was turned away from, and what was wanted then. Decisions keep it; a change of what is
    /// wanted drops it.
    pub(super) circuit: Option<Box<(DnsTarget, Arc<CertificateSpec>)>>,
    /// The number of its job: less is older.
    pub(super) age: u64,
}

impl QueueItem {
    /// Tells whether it must not be reconciled now.
    pub(super) fn is_away(&self) -> bool {
        self.busy.is_some() || self.expects || self.backoff_until.is_some()
    }

    /// The job that waits.
    pub(super) fn waiting(&self) -> Option<&Job> {
        self.result.job.as_deref().filter(|_| self.busy.is_none())
    }

    /// When it is to be looked at by itself.
    fn due(&self) -> Option<Time> {
        match self.busy.is_some() || self.expects {
            true => None,
            false => self.backoff_until.or(self.result.due),
        }
    }

    /// The group of its waiting job. A circuit concerns only attempts.
    pub(super) fn group(&self) -> Option<Group> {
        let job = self.waiting()?;
        let circuit = self.circuit.as_deref().filter(|_| matches!(job.task, Task::Issue { .. }));
        Some((job.peer.clone(), circuit.map(|(circuit, _)| circuit.clone())))
    }

    /// The position of its job: the more urgent first, of those what expires first or does not exist, of those what waits longest.
    pub(super) fn position(&self) -> Option<Position> {
        let job = self.result.job.as_deref()?;
        let expires = job.basis.held.iter().map(|held| SecretState::facts(held).map(|f| f.not_after)).min();
        Some((priority(&job.task), expires.flatten(), self.age))
    }
}

/// Jobs that wait for the same peer and the same circuit.
pub(super) type Group = (JobPeer, Option<DnsTarget>);

/// Urgency, expiry, age.
pub(super) type Position = (u8, Option<Time>, u64);

/// The priority of changes.
pub(super) const CHANGE: u8 = 4;

/// The priority of a task; less is more urgent.
fn priority(task: &Task) -> u8 {
    match task {
        Task::Restore { .. } => 0,
        Task::Tidy | Task::Revoke | Task::Cascade => 1,
        Task::Window(_) => 5,
        Task::Probe => 6,
        Task::Issue { finding, .. } if finding.reason.is_change() => CHANGE,
        Task::Issue { finding, .. } if matches!(finding.reason, Reason::RenewalDue | Reason::RenewalRequested) => 3,
        Task::Issue { .. } => 2,
    }
}

/// The orders in which items are looked for.
#[derive(Debug, Default)]
pub(super) struct QueueIndex {
    timers: BTreeSet<(Time, ObjectRef)>,
    groups: HashMap<Group, BTreeMap<Position, ObjectRef>>,
    running: HashMap<JobPeer, BTreeSet<ObjectRef>>,
    /// Waiting jobs.
    pub(super) queued: usize,
    /// Waiting orders that are no changes.
    pub(super) orders: usize,
    /// Waiting changes.
    pub(super) changes: usize,
    /// Certificates whose change failed and waits for its time.
    pub(super) changes_back_off: usize,
}

impl QueueIndex {
    /// Adds an item.
    pub(super) fn add(&mut self, secret: &ObjectRef, item: &QueueItem) {
        step();
        if let Some(due) = item.due() {
            self.timers.insert((due, secret.clone()));
        }
        if let Some(peer) = &item.busy {
            self.running.entry((**peer).clone()).or_default().insert(secret.clone());
        }
        if let (Some(group), Some(position)) = (item.group(), item.position()) {
            self.groups.entry(group).or_default().insert(position, secret.clone());
        }
        self.count(item, 1);
    }

    /// Removes an item, which is as it was added.
    pub(super) fn remove(&mut self, secret: &ObjectRef, item: &QueueItem) {
        step();
        if let Some(due) = item.due() {
            self.timers.remove(&(due, secret.clone()));
        }
        if let Some(peer) = &item.busy
            && let Some(of_peer) = self.running.get_mut(peer)
        {
            of_peer.remove(secret);
            if of_peer.is_empty() {
                self.running.remove(peer);
            }
        }
        if let (Some(group), Some(position)) = (item.group(), item.position())
            && let Some(jobs) = self.groups.get_mut(&group)
        {
            jobs.remove(&position);
            if jobs.is_empty() {
                self.groups.remove(&group);
            }
        }
        self.count(item, -1);
    }

    fn count(&mut self, item: &QueueItem, by: isize) {
        let position = item.waiting().and_then(|_| item.position());
        let is_order = matches!(item.waiting().map(|job| &job.task), Some(Task::Issue { .. }));
        let is_change = position.is_some_and(|(priority, ..)| priority == CHANGE);
        for (tally, counts) in [
            (&mut self.queued, position.is_some()),
            (&mut self.orders, is_order && !is_change),
            (&mut self.changes, is_change),
            (&mut self.changes_back_off, item.result.change_waits),
        ] {
            *tally = tally.saturating_add_signed(if counts { by } else { 0 });
        }
    }

    /// The first item that is due by `now`.
    pub(super) fn first_due(&self, now: Time) -> Option<ObjectRef> {
        self.timers.first().filter(|(due, _)| *due <= now).map(|(_, secret)| secret.clone())
    }

    /// When the next item is due.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Jobs under way for a peer.
    pub(super) fn running(&self, peer: &JobPeer) -> usize {
        self.running.get(peer).map_or(0, BTreeSet::len)
    }

    /// The certificates whose jobs are under way.
    pub(super) fn busy(&self) -> impl Iterator<Item = &ObjectRef> {
        self.running.values().flatten().inspect(|_| step())
    }

    /// The groups of waiting jobs, each in the order of its jobs.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&Group, &BTreeMap<Position, ObjectRef>)> {
        self.groups.iter().inspect(|_| step())
    }
}
