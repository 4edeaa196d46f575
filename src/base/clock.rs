//! Doubt about this machine's clock, measured against the clocks of peers. Pure, except for the age of a measurement.
//!
//! A clock that is hours off makes certificates look expired and waits look over. While the clock is in doubt, nothing
//! is ordered and no record is written. Times that a wrong clock wrote earlier do not count either: see [`happened`]
//! and [`holds`].

use std::fmt;
use std::time::Duration;

use crate::base::limits::CLOCK_OFFSET_MAX;
use crate::base::time::{Stopwatch, Time, human};

/// The wall time of a peer and the moment at which it was received.
#[derive(Clone, Copy, Debug)]
pub struct PeerTime {
    there: Time,
    since: Stopwatch,
}

impl PeerTime {
    /// Takes the wall time that a peer has just sent.
    pub fn now(there: Time) -> PeerTime {
        PeerTime { there, since: Stopwatch::start() }
    }

    /// The peer's clock minus ours, in seconds. The result changes when our clock is set.
    pub fn offset(&self, now: Time) -> i64 {
        (self.there + self.since.elapsed()).unix().saturating_sub(now.unix())
    }

    /// The time since the peer sent its wall time.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

/// A difference between two clocks, shown as a phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDoubt {
    /// The other clock minus ours, in seconds.
    pub offset: i64,
}

/// The doubt that an offset in seconds raises: `None` up to [`CLOCK_OFFSET_MAX`].
pub fn doubt(offset: i64) -> Option<ClockDoubt> {
    (offset.unsigned_abs() > CLOCK_OFFSET_MAX.as_secs()).then_some(ClockDoubt { offset })
}

/// The position of our clock relative to the other one: `3h behind`, `2d ahead of`.
impl fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = if self.offset > 0 { "behind" } else { "ahead of" };
        write!(f, "{} {which}", human(Duration::from_secs(self.offset.unsigned_abs())))
    }
}

/// Tells whether `at`, written as a past moment, is credible. Only a clock that was ahead writes a later moment.
pub fn happened(at: Time, now: Time) -> bool {
    at <= now + CLOCK_OFFSET_MAX
}

/// Tells whether a wait until `until` is still in force. A wait that ends more than `longest` from now was written by a clock
/// that was ahead, and does not count.
pub fn holds(until: Time, longest: Duration, now: Time) -> bool {
    until > now && until <= now + longest + CLOCK_OFFSET_MAX
}

/// The sentence for a clock before 1970. TLS libraries cannot work with such a time.
pub const BEFORE_1970: &str = "this machine's clock is before 1970: set it (NTP)";

/// Tells whether certificates can be validated at this time at all.
pub fn is_usable(now: Time) -> bool {
    now >= Time::from_unix(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn more_than_an_hour_is_in_doubt_whichever_way() {
        for (offset, said) in [
            (0, None),
            (3600, None),
            (-3600, None),
            (10_800, Some("3h behind")),
            (-31_536_000, Some("365d ahead of")),
            (i64::MIN, Some("106751991167300d ahead of")),
        ] {
            assert_eq!(doubt(offset).map(|doubt| doubt.to_string()).as_deref(), said);
        }
    }

    #[test]
    fn what_was_seen_follows_our_clock_when_it_is_set() {
        let seen = PeerTime::now(NOW);
        assert_eq!(seen.offset(NOW), 0);
        assert_eq!(seen.offset(NOW + 24 * HOUR), -86_400);
        assert_eq!(seen.offset(Time::from_unix(i64::MIN)), i64::MAX, "no overflow");
    }

    #[test]
    fn times_that_only_a_wrong_clock_can_have_written_do_not_count() {
        assert!(happened(NOW, NOW) && happened(NOW + HOUR, NOW) && !happened(NOW + 2 * HOUR, NOW));
        assert!(holds(NOW + HOUR, HOUR, NOW) && holds(NOW + 2 * HOUR, HOUR, NOW));
        assert!(!holds(NOW + 3 * HOUR, HOUR, NOW), "longer than anything waits");
        assert!(!holds(NOW, HOUR, NOW), "it is over");
        assert!(is_usable(NOW) && !is_usable(Time::from_unix(-1)));
    }
}
