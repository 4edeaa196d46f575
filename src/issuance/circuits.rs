//! The circuit breakers of DNS servers, shared by all workers. A worker holds a slot while it talks to the server and reports the result. A slot
//! is never held over a request to a CA or to the API server.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::liveness;
use crate::base::shared_str::SharedStr;
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Deadline};
use crate::policy::circuit::{Admission, CallResult, CircuitSet, DnsTarget, Unavailable};

/// The circuits of all DNS servers.
#[derive(Debug)]
pub struct Circuits {
    /// The lock guards counts only. No I/O is done under it. The slot of a thread that panics is released when it is dropped.
    circuits: Mutex<CircuitSet>,
    /// Signals that a slot was released.
    left: Condvar,
    most: usize,
}

impl Circuits {
    /// Circuits for `workers` attempts at each CA. A DNS server admits all but one of them.
    pub fn new(workers: usize) -> Circuits {
        Circuits { circuits: Mutex::default(), left: Condvar::new(), most: workers.saturating_sub(1).max(1) }
    }

    /// Checks whether a server would admit an attempt for `ca` now.
    ///
    /// # Errors
    /// Why it would not.
    pub fn admits(&self, dns_target: &DnsTarget, ca: &SharedStr) -> Result<(), Unavailable> {
        self.lock().admits(dns_target, ca, Admission { most: self.most, ..Admission::default() }, time::now())
    }

    /// Reserves the first call after a failure; `None` where the circuit is closed.
    ///
    /// # Errors
    /// Why the server admits nobody.
    pub fn reserve(&self, dns_target: &DnsTarget) -> Result<Option<TrialCall<'_>>, Unavailable> {
        let held = self.lock().reserve(dns_target, time::now())?;
        Ok(held.then(|| TrialCall { keeper: self, dns_target: dns_target.clone() }))
    }

    /// Ends the pause after failures: one call may be tried now, because a person asks for it.
    pub fn allow_trial(&self, dns_target: &DnsTarget) {
        self.lock().allow_trial(dns_target, time::now());
    }

    /// Takes a slot. `permits` and `trials` are those that the same attempt holds.
    ///
    /// # Errors
    /// Why the server admits nobody.
    pub fn enter(
        &self,
        dns_target: &DnsTarget,
        ca: &SharedStr,
        permits: &[Slot<'_>],
        trials: &[TrialCall<'_>],
    ) -> Result<Slot<'_>, Unavailable> {
        let further = permits.iter().any(|p| p.dns_target.server == dns_target.server);
        let has_trial = trials.iter().any(|t| t.dns_target == *dns_target);
        self.lock().enter(dns_target, ca, Admission { most: self.most, further, has_trial }, time::now())?;
        Ok(Slot {
            keeper: self,
            dns_target: dns_target.clone(),
            ca: ca.clone(),
            further,
            passage: Cell::new(CallResult::Unknown),
        })
    }

    /// Takes slots at several servers, all or none: two attempts that each hold one and wait for the other would deadlock. Waits `within` for
    /// slots, and never for a circuit to close.
    ///
    /// # Errors
    /// The server that admits nobody, and why.
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
            let barred = lanes.iter().find_map(|dns_target| match self.enter(dns_target, ca, &permits, trials) {
                Ok(permit) => {
                    permits.push(permit);
                    None
                }
                Err(barred) => Some((dns_target.clone(), barred)),
            });
            let Some((dns_target, barred)) = barred else { return Ok(permits) };
            drop(permits);
            let left = deadline.left().filter(|_| barred == Unavailable::Full && !stop.is_set());
            let Some(left) = left else { return Err((dns_target, barred)) };
            liveness::beat_within(left);
            let circuits = self.lock();
            // A short wait: a slot that was released before the wait began sent no signal.
            let moment = left.min(Duration::from_millis(100));
            drop(self.left.wait_timeout(circuits, moment).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The servers that failed since their last verified answer, with the number of failures in a row.
    pub fn failing(&self) -> Vec<(DnsTarget, u32)> {
        self.lock().failing()
    }

    fn lock(&self) -> MutexGuard<'_, CircuitSet> {
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reserved first call after a failure; released when dropped.
#[derive(Debug)]
pub struct TrialCall<'k> {
    keeper: &'k Circuits,
    dns_target: DnsTarget,
}

impl Drop for TrialCall<'_> {
    fn drop(&mut self) {
        self.keeper.lock().release(&self.dns_target);
    }
}

/// A slot at a server; released when dropped.
#[derive(Debug)]
pub struct Slot<'k> {
    keeper: &'k Circuits,
    dns_target: DnsTarget,
    ca: SharedStr,
    further: bool,
    passage: Cell<CallResult>,
}

impl Slot<'_> {
    /// The server, zone and key.
    pub fn dns_target(&self) -> &DnsTarget {
        &self.dns_target
    }

    /// Reports the result of the calls. A failure is final.
    pub fn went(&self, passage: CallResult) {
        if self.passage.get() != CallResult::Bad {
            self.passage.set(passage);
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.keeper.lock().leave(&self.dns_target, &self.ca, self.further, self.passage.get(), time::now());
        self.keeper.left.notify_all();
    }
}
