//! The circuits before DNS servers, shared by all workers: who goes in holds a permit and says how it went. A permit surrounds what is said
//! to the server and nothing else: never a request to a CA or to the API server.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::liveness;
use crate::base::shared_str::SharedStr;
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Deadline};
use crate::policy::circuit::{Admission, CallResult, CircuitSet, DnsTarget, Unavailable};

/// Guards the circuits.
#[derive(Debug)]
pub struct Circuits {
    /// The lock guards counts only, and no input or output is done under it. What a panicking thread left is put right when its permit is
    /// dropped.
    gates: Mutex<CircuitSet>,
    /// Somebody came out.
    left: Condvar,
    most: usize,
}

impl Circuits {
    /// Circuits for so many attempts at a CA: one of them is never at the server where the others are.
    pub fn new(workers: usize) -> Circuits {
        Circuits { gates: Mutex::default(), left: Condvar::new(), most: workers.saturating_sub(1).max(1) }
    }

    /// Whether an attempt for `ca` may go in now.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, lane: &DnsTarget, ca: &SharedStr) -> Result<(), Unavailable> {
        self.lock().admits(lane, ca, Admission { most: self.most, ..Admission::default() }, time::now())
    }

    /// Holds the right to the first try after a failure, where there was one.
    ///
    /// # Errors
    /// Why the attempt may not go in.
    pub fn reserve(&self, lane: &DnsTarget) -> Result<Option<TrialCall<'_>>, Unavailable> {
        let held = self.lock().reserve(lane, time::now())?;
        Ok(held.then(|| TrialCall { keeper: self, lane: lane.clone() }))
    }

    /// Goes in. `permits` and `trials` are those that the same attempt holds.
    ///
    /// # Errors
    /// Why not.
    pub fn enter(
        &self,
        lane: &DnsTarget,
        ca: &SharedStr,
        permits: &[Slot<'_>],
        trials: &[TrialCall<'_>],
    ) -> Result<Slot<'_>, Unavailable> {
        let further = permits.iter().any(|p| p.lane.server == lane.server);
        let has_trial = trials.iter().any(|t| t.lane == *lane);
        self.lock().enter(lane, ca, Admission { most: self.most, further, has_trial }, time::now())?;
        Ok(Slot { keeper: self, lane: lane.clone(), ca: ca.clone(), further, passage: Cell::new(CallResult::Unknown) })
    }

    /// Goes in to several servers, all or none: who held one while waiting for another could wait for ever. Waits `within` for a place, and
    /// never for a circuit to open.
    ///
    /// # Errors
    /// Which one may not be entered, and why.
    pub fn enter_all<'k>(
        &'k self,
        lanes: &[DnsTarget],
        ca: &SharedStr,
        trials: &[TrialCall<'_>],
        within: Duration,
        stop: &Shutdown,
    ) -> Result<Vec<Slot<'k>>, (DnsTarget, Unavailable)> {
        let deadline = Deadline::after(within);
        loop {
            let mut permits: Vec<Slot<'k>> = Vec::with_capacity(lanes.len());
            let barred = lanes.iter().find_map(|lane| match self.enter(lane, ca, &permits, trials) {
                Ok(permit) => {
                    permits.push(permit);
                    None
                }
                Err(barred) => Some((lane.clone(), barred)),
            });
            let Some((lane, barred)) = barred else { return Ok(permits) };
            drop(permits);
            let left = deadline.left().filter(|_| barred == Unavailable::Full && !stop.is_set());
            let Some(left) = left else { return Err((lane, barred)) };
            liveness::beat_within(left);
            let gates = self.lock();
            // A moment at most: who came out between the two looks woke nobody.
            let moment = left.min(Duration::from_millis(100));
            drop(self.left.wait_timeout(gates, moment).unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn lock(&self) -> MutexGuard<'_, CircuitSet> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to the first try after a failure; given back when dropped.
#[derive(Debug)]
pub struct TrialCall<'k> {
    keeper: &'k Circuits,
    lane: DnsTarget,
}

impl Drop for TrialCall<'_> {
    fn drop(&mut self) {
        self.keeper.lock().release(&self.lane);
    }
}

/// Somebody is at a server; dropped when they come out.
#[derive(Debug)]
pub struct Slot<'k> {
    keeper: &'k Circuits,
    lane: DnsTarget,
    ca: SharedStr,
    further: bool,
    passage: Cell<CallResult>,
}

impl Slot<'_> {
    /// Where.
    pub fn lane(&self) -> &DnsTarget {
        &self.lane
    }

    /// How it went. What went badly once stays so.
    pub fn went(&self, passage: CallResult) {
        if self.passage.get() != CallResult::Bad {
            self.passage.set(passage);
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.keeper.lock().leave(&self.lane, &self.ca, self.further, self.passage.get(), time::now());
        self.keeper.left.notify_all();
    }
}
