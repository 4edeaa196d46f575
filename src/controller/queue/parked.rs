//! The jobs that wait for a peer. Pure.

use std::collections::BTreeMap;

use super::WorkQueue;
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::controller::queue_index::{Group, Position};
use crate::policy::circuit::{DnsTarget, Unavailable};
use crate::status::state::Parked;
use crate::worker::Job;

impl WorkQueue {
    /// The waiting jobs that a peer keeps from starting. `unavailable` tells why a circuit does.
    pub(in crate::controller) fn parked<'q>(
        &'q self,
        unavailable: impl Fn(&DnsTarget, &Job) -> Option<Unavailable> + 'q,
    ) -> impl Iterator<Item = (&'q ObjectRef, Parked)> {
        let groups =
            self.index.groups().filter_map(move |(group, jobs)| Some((self.park_of(group, jobs, &unavailable)?, jobs)));
        groups.flat_map(|(parked, jobs)| jobs.values().map(move |secret| (secret, parked.clone())))
    }

    /// When the first circuit opens that jobs wait for.
    pub(in crate::controller) fn opens(
        &self,
        unavailable: impl Fn(&DnsTarget, &Job) -> Option<Unavailable>,
    ) -> Option<Time> {
        let until =
            |(group, jobs): (&Group, &BTreeMap<Position, ObjectRef>)| self.park_of(group, jobs, &unavailable)?.until;
        self.index.groups().filter_map(until).min()
    }

    /// The peer that the job of one certificate waits for.
    pub(in crate::controller) fn parked_one(
        &self,
        secret: &ObjectRef,
        unavailable: impl Fn(&DnsTarget, &Job) -> Option<Unavailable>,
    ) -> Option<Parked> {
        let item = self.items.get(secret)?;
        self.park_of_job(&item.group()?, item.waiting()?, unavailable)
    }

    fn park_of(
        &self,
        group: &Group,
        jobs: &BTreeMap<Position, ObjectRef>,
        unavailable: impl Fn(&DnsTarget, &Job) -> Option<Unavailable>,
    ) -> Option<Parked> {
        let job = self.items.get(jobs.values().next()?)?.waiting()?;
        self.park_of_job(group, job, unavailable)
    }

    /// Circuits look at nothing of a job but its peer, so that all jobs of a group wait or none.
    fn park_of_job(
        &self,
        (peer, circuit): &Group,
        job: &Job,
        unavailable: impl Fn(&DnsTarget, &Job) -> Option<Unavailable>,
    ) -> Option<Parked> {
        if let Some(circuit) = circuit
            && let Some(unavailable) = unavailable(circuit, job)
        {
            return Some(Parked { why: unavailable.sentence(circuit), until: unavailable.until() });
        }
        let waits = self.silent.contains(peer) && self.index.running(peer) > 0;
        let why = || format!("{peer} did not answer; one certificate at a time asks it");
        waits.then(|| Parked { why: why(), until: None })
    }
}
