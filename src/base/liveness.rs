//! Heartbeats of the threads that the program cannot do without. Each thread states by when it checks in again;
//! `/livez` fails when one is late.
//!
//! A thread that waits for a CA, a DNS server or the API server is not late: every exchange and every pause has a bound
//! of its own and ends with a new heartbeat. A late thread therefore means an internal fault, which only a restart
//! repairs.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::base::limits::PULSE_GRACE;
use crate::base::time::Stopwatch;

/// The heartbeat of one thread.
#[derive(Debug)]
struct Heartbeat {
    name: &'static str,
    /// The moment from which the thread is overdue, in milliseconds on [`clock`].
    due: AtomicU64,
}

/// The heartbeats of all registered threads: one for each worker, and two more.
static PULSES: Mutex<Vec<Arc<Heartbeat>>> = Mutex::new(Vec::new());

thread_local! {
    static OWN: RefCell<Option<Arc<Heartbeat>>> = const { RefCell::new(None) };
}

/// Monotonic time since the first call.
fn clock() -> Duration {
    static SINCE: OnceLock<Stopwatch> = OnceLock::new();
    SINCE.get_or_init(Stopwatch::start).elapsed()
}

/// Registers this thread. The other functions do nothing in a thread that is not registered.
pub fn begin(name: &'static str) {
    let pulse = Arc::new(Heartbeat { name, due: AtomicU64::new(u64::MAX) });
    PULSES.lock().unwrap_or_else(PoisonError::into_inner).push(pulse.clone());
    OWN.with_borrow_mut(|own| *own = Some(pulse));
    beat();
}

/// Checks in: the next heartbeat follows within the grace time.
pub fn beat() {
    beat_within(Duration::ZERO);
}

/// Checks in before a pause of up to `pause`.
pub fn beat_within(pause: Duration) {
    show(|| due_after(clock(), pause));
}

/// Suspends the deadline of this thread while it waits for work.
pub fn rest() {
    show(|| u64::MAX);
}

fn show(due: impl FnOnce() -> u64) {
    OWN.with_borrow(|own| {
        if let Some(pulse) = own {
            pulse.due.store(due(), Ordering::Relaxed);
        }
    });
}

/// The name of a thread that is overdue.
pub fn overdue() -> Option<&'static str> {
    let pulses = PULSES.lock().unwrap_or_else(PoisonError::into_inner);
    overdue_at(&pulses, clock())
}

fn due_after(now: Duration, pause: Duration) -> u64 {
    u64::try_from((now + pause + PULSE_GRACE).as_millis()).unwrap_or(u64::MAX)
}

fn overdue_at(pulses: &[Arc<Heartbeat>], now: Duration) -> Option<&'static str> {
    let is_overdue = |pulse: &&Arc<Heartbeat>| u128::from(pulse.due.load(Ordering::Relaxed)) < now.as_millis();
    pulses.iter().find(is_overdue).map(|pulse| pulse.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_overdue_when_its_time_and_the_grace_are_over_and_not_while_it_rests() {
        let start = Duration::from_secs(1_000);
        let pulse = |name, due| Arc::new(Heartbeat { name, due: AtomicU64::new(due) });
        let pulses = [
            pulse("rests", u64::MAX),
            pulse("pauses", due_after(start, Duration::from_secs(600))),
            pulse("works", due_after(start, Duration::ZERO)),
        ];
        let at = |secs| overdue_at(&pulses, start + Duration::from_secs(secs));
        let grace = PULSE_GRACE.as_secs();
        assert_eq!((at(0), at(grace)), (None, None));
        assert_eq!(at(grace + 1), Some("works"));
        assert_eq!(overdue_at(&pulses[..2], start + Duration::from_secs(grace + 1)), None);
        assert_eq!(overdue_at(&pulses[..2], start + Duration::from_secs(grace + 601)), Some("pauses"));
        assert_eq!(overdue_at(&pulses[..1], start * 1_000_000), None);
    }

    #[test]
    fn a_thread_that_never_began_is_not_missed_and_one_that_began_is_known_by_its_own_signs() {
        beat();
        let own = std::thread::spawn(|| {
            begin("test");
            beat_within(Duration::from_secs(3_600));
            let due = OWN.with_borrow(|own| own.as_ref().map(|pulse| pulse.due.load(Ordering::Relaxed)));
            rest();
            (due, OWN.with_borrow(|own| own.as_ref().map(|pulse| pulse.due.load(Ordering::Relaxed))))
        });
        let (paused, rested) = own.join().unwrap();
        assert!(paused > Some(3_600_000) && paused < rested && rested == Some(u64::MAX));
        assert_eq!(overdue(), None);
    }
}
