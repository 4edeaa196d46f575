//! Waits after failures, and the cap on orders of one name set. Pure; the counts are in the record.

use std::time::Duration;

use crate::base::clock::happened;
use crate::base::limits::CAP_WINDOW;
use crate::base::retry::{Backoff, jitter};
use crate::base::time::Time;
pub use crate::record::{RetryClass, Stage};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The time of the next attempt after the `failures`-th failure in a row (from 1). `short_lived`: the certificate lives
/// less than ten days, so six hours would be too long. `not_before` is the CA's Retry-After.
pub fn next_attempt(
    now: Time,
    severity: RetryClass,
    failures: u32,
    short_lived: bool,
    not_before: Option<Time>,
    seed: &str,
) -> Time {
    let wait = wait(severity, failures, short_lived);
    // Up to a fifth longer, so that attempts which failed together do not return together.
    let at = now + wait + jitter(wait / 5, &format!("{seed} {failures}"));
    not_before.map_or(at, |asked| asked.max(at))
}

/// The least wait after the `failures`-th failure in a row.
fn wait(severity: RetryClass, failures: u32, short_lived: bool) -> Duration {
    let (first, factor, max) = match severity {
        RetryClass::Transient => (MINUTE, 2, 30 * MINUTE),
        RetryClass::Validation => (MINUTE, 10, if short_lived { 2 * HOUR } else { 6 * HOUR }),
        RetryClass::Policy => (DAY, 1, DAY),
    };
    Backoff { first, factor, max }.wait(failures)
}

/// The number of failures after which waits do not grow any more.
const STEADY: u32 = 6;

/// The number of attempts before `end` when the next one, after `failures` in a row, is at `next` and all fail in the
/// same way after the longest waits.
pub fn attempts_left(next: Time, severity: RetryClass, failures: u32, short_lived: bool, end: Time) -> u32 {
    let (mut at, mut left) = (next, 0);
    while at < end && left < STEADY {
        left += 1;
        at = at + wait(severity, failures.saturating_add(left), short_lived) * 6 / 5;
    }
    let longest = wait(severity, u32::MAX, short_lived) * 6 / 5;
    left + u32::try_from(end.since(at).as_secs().div_ceil(longest.as_secs())).unwrap_or(u32::MAX - STEADY)
}

/// Certificates of one exact name set that may be ordered at one directory within [`CAP_WINDOW`]. Let's Encrypt allows
/// 5 without exceptions; one is left for a person.
pub const CAP_ORDERS: usize = 4;

/// The time before which no order may be made, given the times of earlier orders. `None`: the cap is not reached.
pub fn capped(orders: &[Time], now: Time) -> Option<Time> {
    let mut recent: Vec<Time> = orders.iter().copied().filter(|t| *t + CAP_WINDOW > now && happened(*t, now)).collect();
    recent.sort();
    let over = recent.len().checked_sub(CAP_ORDERS)?;
    Some(recent[over] + CAP_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix(1_800_000_000);

    #[test]
    fn waits_grow_as_designed_and_are_up_to_a_fifth_longer() {
        use RetryClass::{Policy, Transient, Validation};
        for (severity, short, minutes) in [
            (Transient, false, &[1, 2, 4, 8, 16, 30, 30, 30][..]),
            (Validation, false, &[1, 10, 100, 360, 360]),
            (Validation, true, &[1, 10, 100, 120, 120]),
            (Policy, false, &[1440, 1440]),
        ] {
            for (i, minutes) in minutes.iter().enumerate() {
                let failures = u32::try_from(i + 1).unwrap();
                for seed in ["a", "b", "c"] {
                    let wait = next_attempt(NOW, severity, failures, short, None, seed).since(NOW);
                    let least = MINUTE * *minutes;
                    assert!((least..=least + least / 5).contains(&wait), "{severity:?} {failures}: {wait:?}");
                }
            }
        }
        assert_eq!(
            next_attempt(NOW, Transient, u32::MAX, false, None, "x").since(NOW).as_secs() / 60 / 30,
            1,
            "no overflow"
        );
    }

    #[test]
    fn the_attempts_before_the_expiry_are_counted() {
        use RetryClass::{Policy, Transient, Validation};
        for (severity, failures, short, hours, left) in [
            (Transient, 1, false, 0, 0),
            (Transient, 9, false, 1, 2),
            // Every 36 minutes at worst.
            (Transient, 9, false, 24, 40),
            // 1, 3.4, 8.2, 17.8, 37 minutes, then every 36.
            (Transient, 1, false, 1, 5),
            (Validation, 5, false, 72, 10),
            (Validation, 5, true, 72, 30),
            // 10 and 100 minutes come first, a fifth longer.
            (Validation, 1, false, 8, 3),
            (Policy, 1, false, 240, 9),
        ] {
            let end = NOW + HOUR * hours;
            assert_eq!(attempts_left(NOW, severity, failures, short, end), left, "{severity:?} {failures} {hours}");
        }
        let for_ever = attempts_left(NOW, Transient, u32::MAX, false, Time::from_unix(i64::MAX));
        assert_eq!(for_ever, u32::MAX, "no overflow");
    }

    #[test]
    fn the_ca_may_ask_for_longer_and_never_for_shorter() {
        let asked = |d| next_attempt(NOW, RetryClass::Transient, 1, false, Some(NOW + d), "x");
        assert_eq!(asked(34 * HOUR), NOW + 34 * HOUR);
        assert!(asked(Duration::ZERO) >= NOW + MINUTE);
    }

    #[test]
    fn the_fifth_order_within_a_week_waits_for_the_first_to_leave_it() {
        let day = |n: u32| NOW - DAY * n;
        assert_eq!(capped(&[], NOW), None);
        assert_eq!(capped(&[day(1), day(2), day(3)], NOW), None);
        assert_eq!(capped(&[day(1), day(2), day(3), day(8)], NOW), None);
        assert_eq!(capped(&[day(3), day(1), day(2), day(4)], NOW), Some(day(4) + CAP_WINDOW));
        assert_eq!(capped(&[day(5), day(1), day(2), day(3), day(4)], NOW), Some(day(4) + CAP_WINDOW));
        assert_eq!(capped(&[day(7), day(1), day(2), day(3)], NOW), None, "seven days to the second");
        assert_eq!(capped(&[NOW + DAY * 300; 9], NOW), None, "a clock that was ahead wrote them");
    }
}
