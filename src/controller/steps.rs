//! Counts the certificates, records and jobs that the loop looks at, so that a test can show that an event costs the same whatever their
//! number. Nothing but the test counts.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local!(static STEPS: Cell<u64> = const { Cell::new(0) });

/// Counts one step.
#[cfg(not(test))]
pub(super) const fn step() {}

/// Counts one step.
#[cfg(test)]
pub(super) fn step() {
    STEPS.set(STEPS.get() + 1);
}

/// The steps of this thread so far.
#[cfg(test)]
pub(super) fn count() -> u64 {
    STEPS.get()
}
