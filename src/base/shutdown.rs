//! A stop signal that every pause waits on, so that shutdown is prompt.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::base::liveness;
use crate::base::time::Deadline;

/// The signal, shared by all threads. Once set, it stays set.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<(Mutex<bool>, Condvar)>);

impl Shutdown {
    /// A stop signal that is not set.
    pub fn new() -> Shutdown {
        Shutdown::default()
    }

    /// Sets the signal and wakes every waiter.
    pub fn set(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Tells whether the signal was set.
    pub fn is_set(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pauses for `d`, or until the signal is set. Returns whether it is set.
    pub fn wait(&self, d: Duration) -> bool {
        liveness::beat_within(d);
        let deadline = Deadline::after(d);
        let mut set = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*set {
            let Some(left) = deadline.left() else {
                return false;
            };
            set = self.0.1.wait_timeout(set, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Stopwatch;

    #[test]
    fn a_wait_ends_as_soon_as_the_signal_is_set() {
        let stop = Shutdown::new();
        assert!(!stop.wait(Duration::from_millis(1)));
        let (other, watch) = (stop.clone(), Stopwatch::start());
        let waiter = std::thread::spawn(move || other.wait(Duration::from_secs(3600)));
        stop.set();
        assert!(waiter.join().unwrap());
        assert!(stop.is_set() && watch.elapsed() < Duration::from_secs(60));
    }
}
