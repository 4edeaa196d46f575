//! Waits before the next try: exponential backoff, and jitter that is drawn from a text. Pure.

use std::time::Duration;

use ring::digest::{SHA256, digest};

/// Waits that grow by a factor from `first` to `max`.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The factor by which each further wait is longer.
    pub factor: u32,
    /// The longest wait.
    pub max: Duration,
}

impl Backoff {
    /// Waits that double.
    pub const fn doubling(first: Duration, max: Duration) -> Backoff {
        Backoff { first, factor: 2, max }
    }

    /// The wait after the `failures`-th failure in a row, counted from 1.
    pub fn wait(&self, failures: u32) -> Duration {
        let factor = self.factor.saturating_pow(failures.saturating_sub(1));
        self.first.saturating_mul(factor).min(self.max)
    }

    /// The wait that follows a wait of `pause`.
    pub fn after(&self, pause: Duration) -> Duration {
        pause.saturating_mul(self.factor).min(self.max)
    }
}

/// A share of `most`, drawn from a hash of `seed`: the same seed gives the same share.
pub fn jitter(most: Duration, seed: &str) -> Duration {
    let hash = digest(&SHA256, seed.as_bytes());
    let head = u64::from_be_bytes(hash.as_ref()[..8].try_into().expect("SHA-256 has 32 octets"));
    let millis = (most.as_millis() * u128::from(head)) >> 64;
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_grow_to_their_bound() {
        let tenfold = Backoff { first: SECOND, factor: 10, max: 120 * SECOND };
        let same = Backoff { first: 7 * SECOND, factor: 1, max: 7 * SECOND };
        for (backoff, waits) in [
            (Backoff::doubling(SECOND, 30 * SECOND), [1, 1, 2, 4, 8, 16, 30, 30]),
            (tenfold, [1, 1, 10, 100, 120, 120, 120, 120]),
            (same, [7; 8]),
        ] {
            let found: Vec<u64> = (0..8).map(|failures| backoff.wait(failures).as_secs()).collect();
            assert_eq!(found, waits, "{backoff:?}");
            assert_eq!(backoff.wait(u32::MAX), backoff.max, "no overflow");
            assert_eq!(backoff.after(Duration::MAX), backoff.max, "no overflow");
            for failures in 1..8 {
                assert_eq!(backoff.after(backoff.wait(failures)), backoff.wait(failures + 1), "{backoff:?}");
            }
        }
    }

    #[test]
    fn a_seed_gives_one_share_and_seeds_differ() {
        let hour = 3600 * SECOND;
        assert_eq!(jitter(hour, "a"), jitter(hour, "a"));
        assert_eq!(jitter(Duration::ZERO, "a"), Duration::ZERO);
        let shares: Vec<u64> = (0..400).map(|n| jitter(hour, &n.to_string()).as_secs() / 360).collect();
        for tenth in 0..10 {
            let count = shares.iter().filter(|share| **share == tenth).count();
            assert!((15..=70).contains(&count), "{count} of 400 fall into tenth {tenth}");
        }
    }
}
