//! The gates before DNS servers, shared by all workers: who goes in holds a permit and says how it went.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::decide::gate::{Barred, Gates, Lane, Passage};
use crate::time;

/// Guards the gates.
#[derive(Debug)]
pub struct GateKeeper {
    gates: Mutex<Gates>,
    most: usize,
}

impl GateKeeper {
    /// Gates for so many workers: one of them is never at the server where the others are.
    pub fn new(workers: usize) -> GateKeeper {
        GateKeeper { gates: Mutex::default(), most: workers.saturating_sub(1).max(1) }
    }

    /// Whether somebody may go in now.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, lane: &Lane) -> Result<(), Barred> {
        self.lock().admits(lane, self.most, time::now())
    }

    /// Goes in, `further` when the same attempt is at the server already.
    ///
    /// # Errors
    /// Why not.
    pub fn enter(&self, lane: &Lane, further: bool) -> Result<Permit<'_>, Barred> {
        self.lock().enter(lane, self.most, further, time::now())?;
        Ok(Permit { keeper: self, lane: lane.clone(), further, passage: Cell::new(Passage::Unknown) })
    }

    /// The lock guards counts only; what a panicking thread left is put right when its permit is dropped.
    fn lock(&self) -> MutexGuard<'_, Gates> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody is at a server; dropped when they come out.
#[derive(Debug)]
pub struct Permit<'k> {
    keeper: &'k GateKeeper,
    lane: Lane,
    further: bool,
    passage: Cell<Passage>,
}

impl Permit<'_> {
    /// Where.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// How it went. What went badly once stays so.
    pub fn went(&self, passage: Passage) {
        if self.passage.get() != Passage::Bad {
            self.passage.set(passage);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.keeper.lock().leave(&self.lane, self.further, self.passage.get(), time::now());
    }
}
