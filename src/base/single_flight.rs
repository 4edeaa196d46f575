//! One user of a resource at a time, without a lock held over input and output: a user takes its turn, works, and gives
//! the turn back. Others wait with heartbeats and a bound.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::liveness;
use crate::base::shutdown::Shutdown;
use crate::base::time::Deadline;

/// The turns, one for each resource named by a `K`.
#[derive(Debug)]
pub struct SingleFlight<K: Ord> {
    /// The lock guards the set only; no input or output happens under it.
    taken: Mutex<BTreeSet<K>>,
    given_back: Condvar,
}

impl<K: Ord> Default for SingleFlight<K> {
    fn default() -> SingleFlight<K> {
        SingleFlight { taken: Mutex::default(), given_back: Condvar::new() }
    }
}

impl<K: Ord + Clone> SingleFlight<K> {
    /// Takes the turn for `of`. `None` when the turn is not free `within` the time, or the program stops.
    pub fn take(&self, of: &K, within: Duration, stop: &Shutdown) -> Option<FlightTurn<'_, K>> {
        let deadline = Deadline::after(within);
        let mut taken = self.taken();
        while taken.contains(of) {
            let left = deadline.left().filter(|_| !stop.is_set())?;
            liveness::beat_within(left);
            // A short wait: a stop does not wake this condition variable.
            let moment = left.min(Duration::from_millis(200));
            taken = self.given_back.wait_timeout(taken, moment).unwrap_or_else(PoisonError::into_inner).0;
        }
        taken.insert(of.clone());
        Some(FlightTurn { turns: self, of: of.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeSet<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn, given back on drop, also by a panic.
#[derive(Debug)]
#[must_use]
pub struct FlightTurn<'t, K: Ord + Clone> {
    turns: &'t SingleFlight<K>,
    of: K,
}

impl<K: Ord + Clone> Drop for FlightTurn<'_, K> {
    fn drop(&mut self) {
        self.turns.taken().remove(&self.of);
        self.turns.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn one_at_a_time_for_each_thing_and_nobody_waits_for_another() {
        let (turns, stop, inside) = (SingleFlight::default(), Shutdown::new(), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _turn = turns.take(&"a", Duration::from_secs(60), &stop).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        let held = turns.take(&"a", Duration::ZERO, &stop).unwrap();
        assert!(turns.take(&"b", Duration::ZERO, &stop).is_some(), "another thing");
        assert!(turns.take(&"a", Duration::from_millis(1), &stop).is_none(), "bounded");
        stop.set();
        assert!(turns.take(&"a", Duration::from_secs(3600), &stop).is_none(), "the program stops");
        drop(held);
        assert!(turns.take(&"a", Duration::ZERO, &stop).is_some());
    }
}
