//! The controller's loop over a clock of its own: evaluates a certificate when something is due, and carries the
//! decision out.
//!
//! Code of `controller`, `worker` and `issuance` that cannot be called from here is repeated, each time with the place
//! that it mirrors.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashSet};
use std::time::Duration;

use notariat::base::name::ObjectRef;
use notariat::base::time::Time;
use notariat::issuance::rate_limits::RateLimits;
use notariat::issuance::renewal_schedule::RenewalInfoSchedule;
use notariat::policy::Directory;
use notariat::policy::circuit::CircuitSet;

use crate::around::Learned;
use crate::ca::{Ca, DIRECTORY};
use crate::state::{Certificate, Tally};
use crate::trouble::{Rng, Trouble};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    Look(usize),
    /// The first in the queue for the quota may go.
    Quota,
    Revoke(usize),
    Delete(usize),
    Overwrite(usize),
}

pub struct Simulation {
    pub now: Time,
    pub rng: Rng,
    pub certificates: Vec<Certificate>,
    pub ca: Ca,
    pub trouble: Option<Trouble>,
    pub tally: Tally,
    pub directory: Directory,
    pub orders_per_day: Option<u32>,
    pub account: ObjectRef,
    pub holder: String,
    pub limits: RateLimits,
    pub learned: Learned,
    pub kept_gates: Vec<u8>,
    pub gates: CircuitSet,
    pub questions: RenewalInfoSchedule,
    /// An order of the attempt under way that is not in the record yet.
    pub unsaved: Option<u64>,
    /// The serial numbers of certificates that were stored; kept with trouble only.
    pub stored: HashSet<String>,
    down_until: Time,
    heap: BinaryHeap<Reverse<(Time, Event)>>,
    workers: Vec<Time>,
    /// The certificates that wait for the quota, in the order of a pass.
    pub rationed: BTreeSet<((bool, Option<Time>), usize)>,
    /// The time at which the first of these may go.
    pub quota_at: Time,
}

impl Simulation {
    pub fn new(now: Time, seed: u64) -> Simulation {
        Simulation {
            now,
            rng: Rng::new(seed),
            certificates: Vec::new(),
            ca: Ca::new(),
            trouble: None,
            tally: Tally::default(),
            directory: Directory::new(DIRECTORY, true),
            orders_per_day: None,
            account: ObjectRef::new("notariat", "notariat-acme-0"),
            holder: "pod-0/1".to_owned(),
            limits: RateLimits::default(),
            learned: Learned::default(),
            kept_gates: b"[]".to_vec(),
            gates: CircuitSet::default(),
            questions: RenewalInfoSchedule::new(now, true),
            unsaved: None,
            stored: HashSet::new(),
            down_until: now,
            heap: BinaryHeap::new(),
            workers: vec![now; notariat::base::limits::WORKERS_DEFAULT],
            rationed: BTreeSet::new(),
            quota_at: now,
        }
    }

    pub fn at(&mut self, time: Time, event: Event) {
        self.heap.push(Reverse((time, event)));
    }

    /// Schedules the next evaluation of a certificate, in place of the one before.
    pub fn look_at(&mut self, i: usize, time: Time) {
        self.certificates[i].next = time;
        self.at(time, Event::Look(i));
    }

    /// Lets the time pass.
    pub fn run(&mut self, until: Time) {
        while let Some(Reverse((time, event))) = self.heap.pop() {
            if time >= until {
                break;
            }
            self.now = self.now.max(time);
            match event {
                Event::Look(i) if self.certificates[i].next == time => {
                    self.look(i);
                }
                Event::Look(_) => {}
                Event::Quota if self.is_down() => {}
                Event::Quota => self.serve_rationed(),
                Event::Revoke(i) => self.ca.revoke(i, self.now),
                Event::Delete(i) => self.delete(i),
                Event::Overwrite(i) => self.overwrite(i),
            }
        }
        self.now = until;
        let expired = |c: &&Certificate| c.enemy.is_none() && c.facts().is_some_and(|f| f.not_after <= until);
        self.tally.expired += self.certificates.iter().filter(expired).count() as u64;
    }

    /// The time at which a worker is free; the worker is then busy for as long as an attempt takes.
    pub fn slot(&mut self) -> Time {
        let took = self.rng.within(Duration::from_secs(10), Duration::from_secs(40));
        let worker = self.workers.iter_mut().min().expect("there are workers");
        let slot = (*worker).max(self.now);
        *worker = slot + took;
        slot
    }

    /// Drops the queue of a process that has ended.
    pub fn forget_queue(&mut self, start: Time) {
        self.rationed.clear();
        self.workers.fill(start);
        self.down_until = start;
        self.certificates.iter_mut().for_each(|c| c.reserved = false);
    }

    pub fn is_down(&self) -> bool {
        self.now < self.down_until
    }
}
