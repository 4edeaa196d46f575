//! The work queue: certificates that are to be reconciled, and their jobs, which wait or are under way. Pure.

mod parked;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::capacity::Capacity;
use super::expectations::Expectations;
use super::queue_index::{CHANGE, Position, QueueIndex, QueueItem};
use super::reconcile::ReconcileResult;
use super::steps::step;
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::policy::circuit::{DnsTarget, Unavailable};
use crate::policy::order_index::ReservedOrder;
use crate::sources::CertificateSpec;
use crate::worker::{Job, JobPeer, Task};

/// All certificates that were reconciled or are to be.
#[derive(Debug, Default)]
pub(super) struct WorkQueue {
    items: BTreeMap<ObjectRef, QueueItem>,
    index: QueueIndex,
    /// The certificates that are to be reconciled now.
    changed: BTreeSet<ObjectRef>,
    expectations: Expectations,
    /// The kinds of tasks that were done for each certificate in a single pass, which does each kind once. `None` in a daemon.
    attempted: Option<HashMap<ObjectRef, Vec<u8>>>,
    /// The number of jobs so far, which gives their age.
    jobs: u64,
    /// CAs that did not answer the last request.
    silent: HashSet<JobPeer>,
}

/// The kind of a task. A single pass does each kind once for a certificate.
fn task_kind(task: &Task) -> u8 {
    match task {
        Task::Issue { .. } => 0,
        Task::Restore { .. } => 1,
        Task::Tidy => 2,
        Task::Probe => 3,
        Task::Window(_) => 4,
        Task::Cascade => 5,
        Task::Revoke => 6,
    }
}

impl WorkQueue {
    /// An empty queue. With `once` each kind of task is done once for a certificate.
    pub(super) fn new(once: bool) -> WorkQueue {
        WorkQueue { attempted: once.then(HashMap::new), ..WorkQueue::default() }
    }

    /// Changes an item and keeps the index up to date. `None`: there is no such item.
    fn update<R>(&mut self, secret: &ObjectRef, change: impl FnOnce(&mut QueueItem) -> R) -> Option<R> {
        let item = self.items.get_mut(secret)?;
        self.index.remove(secret, item);
        let result = change(item);
        if item.changed && !item.is_away() {
            item.changed = false;
            self.changed.insert(secret.clone());
        }
        self.index.add(secret, item);
        Some(result)
    }

    /// Certificates are to be reconciled, once nothing keeps them away.
    pub(super) fn add(&mut self, secrets: impl IntoIterator<Item = ObjectRef>) {
        for secret in secrets {
            if self.update(&secret, |item| item.changed = true).is_none() {
                self.changed.insert(secret);
            }
        }
    }

    /// A certificate is to be reconciled now, also after a failure: something that it depends on was changed by others.
    pub(super) fn add_now(&mut self, secret: &ObjectRef) {
        self.update(secret, |item| item.backoff_until = None);
        self.add([secret.clone()]);
    }

    /// Takes the certificates that are to be reconciled now.
    pub(super) fn take(&mut self, now: Time) -> Vec<ObjectRef> {
        while let Some(secret) = self.index.first_due(now) {
            self.update(&secret, |item| match item.backoff_until.take() {
                // The end of a back-off; the next turn of this loop looks at the due time.
                Some(_) => {}
                None => (item.result.due, item.changed) = (None, true),
            });
        }
        std::mem::take(&mut self.changed).into_iter().inspect(|_| step()).collect()
    }

    /// Sets the result of a certificate. The circuit that its job waits for stays, unless something else is wanted now. Returns the order that
    /// was reserved before.
    pub(super) fn set_result(&mut self, secret: ObjectRef, mut result: ReconcileResult) -> Option<Box<ReservedOrder>> {
        let kinds = self.attempted.as_ref().and_then(|attempted| attempted.get(&secret));
        result.job = result.job.filter(|job| !kinds.is_some_and(|kinds| kinds.contains(&task_kind(&job.task))));
        if !self.items.contains_key(&secret) {
            let item = QueueItem::default();
            self.index.add(&secret, &item);
            self.items.insert(secret.clone(), item);
        }
        let next_age = self.jobs + 1;
        let (released, is_new) = self.update(&secret, |item| {
            let mut is_new = false;
            if let Some(job) = &result.job {
                let is_as_then = |known: &CertificateSpec| {
                    known.fingerprint == job.wanted.fingerprint && known.zones == job.wanted.zones
                };
                item.circuit = item.circuit.take().filter(|circuit| is_as_then(&circuit.1));
                if item.result.job.is_none() {
                    (item.age, is_new) = (next_age, true);
                }
            }
            let before = std::mem::replace(&mut item.result, result);
            item.backoff_until = None;
            (before.order, is_new)
        })?;
        if is_new {
            self.jobs = next_age;
        }
        released
    }

    /// The circuit that a certificate met last, when a person asks for an attempt (`asked`) and has not asked so before.
    pub(super) fn newly_asked(&self, secret: &ObjectRef, asked: Option<&str>) -> Option<DnsTarget> {
        let item = self.items.get(secret).filter(|item| asked.is_some() && item.result.asked.as_deref() != asked)?;
        item.circuit.as_deref().map(|(circuit, _)| circuit.clone())
    }

    /// Drops certificates that nobody wants, unless their job is under way. Returns the orders that were reserved for them.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&ObjectRef) -> bool) -> Vec<ReservedOrder> {
        let (mut released, index) = (Vec::new(), &mut self.index);
        self.items.retain(|secret, item| {
            let stays = item.busy.is_some() || is_wanted(secret);
            if !stays {
                index.remove(secret, item);
                released.extend(item.result.order.take().map(|order| *order));
            }
            stays
        });
        self.changed.retain(&is_wanted);
        let items = &self.items;
        self.expectations.retain(|secret| items.contains_key(secret));
        released
    }

    /// Drops the job of a certificate that waits: something else is wanted now, and it is reconciled later. Returns the order that was reserved
    /// for the job.
    pub(super) fn drop_job(&mut self, secret: &ObjectRef) -> Option<Box<ReservedOrder>> {
        self.update(secret, |item| {
            if item.busy.is_some() {
                return None;
            }
            item.result.job = None;
            item.result.order.take()
        })?
    }

    /// Takes the order that is reserved for a certificate, which is decided anew.
    pub(super) fn take_order(&mut self, secret: &ObjectRef) -> Option<Box<ReservedOrder>> {
        self.items.get_mut(secret)?.result.order.take()
    }

    /// The number of jobs under way.
    pub(super) fn busy(&self) -> usize {
        self.index.busy().count()
    }

    /// The certificates whose jobs are under way.
    pub(super) fn worked_on(&self) -> impl Iterator<Item = &ObjectRef> {
        self.index.busy()
    }

    /// The certificates that are being ordered.
    pub(super) fn ordering(&self) -> impl Iterator<Item = &ObjectRef> {
        self.index.busy().filter(|secret| self.items.get(*secret).is_some_and(|item| item.result.order.is_some()))
    }

    /// The number of waiting jobs.
    pub(super) fn queued(&self) -> usize {
        self.index.queued
    }

    /// Starts the most urgent job that may: its peer has a free slot, and `unavailable` lets it through the circuit that it met last. Changes
    /// come after everything else, and one goes first: the others follow when that is stored (`proved`), so that a mistyped directory costs
    /// one attempt and not one for each certificate.
    pub(super) fn start(
        &mut self,
        proved: bool,
        capacity: Capacity,
        unavailable: impl Fn(&DnsTarget, &Job) -> Option<Unavailable>,
    ) -> Option<Box<Job>> {
        let all = self.busy();
        let changes = proved || (all == 0 && self.index.orders == 0 && self.index.changes_back_off == 0);
        let mut first: Option<(Position, &ObjectRef)> = None;
        for ((peer, circuit), jobs) in self.index.groups() {
            let after_changes = || jobs.range((CHANGE + 1, None, 0)..).next();
            let candidate = match jobs.first_key_value() {
                Some(((CHANGE, ..), _)) if !changes => after_changes(),
                candidate => candidate,
            };
            let Some((position, secret)) =
                candidate.filter(|(position, _)| first.is_none_or(|(best, _)| **position < best))
            else {
                continue;
            };
            let Some(job) = self.items.get(secret).and_then(QueueItem::waiting) else { continue };
            let has_slot = capacity.admit(self.index.running(peer), all, self.silent.contains(peer));
            if has_slot && circuit.as_ref().is_none_or(|circuit| unavailable(circuit, job).is_none()) {
                first = Some((*position, secret));
            }
        }
        let secret = first?.1.clone();
        let job = self.update(&secret, |item| {
            let job = item.result.job.take()?;
            item.busy = Some(Box::new(job.peer.clone()));
            Some(job)
        })??;
        if let Some(attempted) = &mut self.attempted {
            attempted.entry(secret).or_default().push(task_kind(&job.task));
        }
        Some(job)
    }

    /// Notes whether a peer answered: one that did not gets one job at a time.
    pub(super) fn note_answer(&mut self, peer: &JobPeer, answered: bool) {
        if answered {
            self.silent.remove(peer);
        } else {
            self.silent.insert(peer.clone());
        }
    }

    /// Notes the circuit at which the attempt of a job failed; `None` where it failed elsewhere.
    pub(super) fn failed_at(&mut self, job: &Job, circuit: Option<DnsTarget>) {
        let circuit = circuit.map(|circuit| Box::new((circuit, job.wanted.clone())));
        self.update(job.wanted.entry.main_secret(), |item| item.circuit = circuit);
    }

    /// Ends a job. The certificate is reconciled after `backoff_until`, and once a watch has shown `written`. Returns the order that was
    /// reserved for the job.
    pub(super) fn finish(
        &mut self,
        secret: &ObjectRef,
        written: Vec<(ObjectRef, String)>,
        backoff_until: Option<Time>,
        now: Time,
    ) -> Option<Box<ReservedOrder>> {
        let expects = self.items.contains_key(secret) && self.expectations.expect(secret, written, now);
        self.update(secret, |item| {
            (item.busy, item.backoff_until, item.expects, item.changed) = (None, backoff_until, expects, true);
            item.result.order.take()
        })?
    }

    /// Puts a job back that a DNS server turned away: it waits here, and not in a worker, until its circuit opens. What it wrote before is no
    /// change by others when a watch shows it.
    pub(super) fn park(&mut self, job: Box<Job>, circuit: DnsTarget, written: Vec<(ObjectRef, String)>, now: Time) {
        let secret = job.wanted.entry.main_secret().clone();
        if let Some(kinds) = self.attempted.as_mut().and_then(|attempted| attempted.get_mut(&secret)) {
            kinds.retain(|kind| *kind != task_kind(&job.task));
        }
        let expects = self.items.contains_key(&secret) && self.expectations.expect(&secret, written, now);
        self.update(&secret, |item| {
            item.circuit = Some(Box::new((circuit, job.wanted.clone())));
            (item.busy, item.expects, item.result.job) = (None, expects, Some(job));
        });
    }

    /// Drops the expected writes that watches show by now. Returns the objects that they do not show although they should.
    pub(super) fn observe(&mut self, shows: impl Fn(&ObjectRef, &str) -> bool, now: Time) -> Vec<ObjectRef> {
        let (settled, late) = self.expectations.observe(shows, now);
        for secret in settled {
            self.update(&secret, |item| item.expects = false);
        }
        late
    }

    /// When something is to be looked at, at the latest.
    pub(super) fn due(&self, now: Time) -> Option<Time> {
        let awaited = (!self.expectations.is_empty()).then_some(now);
        awaited.into_iter().chain(self.index.next_due()).min()
    }

    /// Tells whether any change is wanted or being made.
    pub(super) fn has_changes(&self) -> bool {
        self.busy() > 0 || self.index.changes > 0 || self.index.changes_back_off > 0
    }

    /// Tells whether any certificate could not be read, and whether any is not as it should be.
    pub(super) fn found(&self) -> (bool, bool) {
        let any = |is: fn(&ReconcileResult) -> bool| self.items.values().any(|item| is(&item.result));
        (any(|result| result.unknown), any(|result| result.unsound))
    }
}

#[cfg(test)]
mod tests;
