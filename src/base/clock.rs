//! Whether this machine's clock can be trusted, by what peers say that the time is. Pure but for the age of what they said.
//!
//! A clock that is hours off makes certificates look expired and waits look over. While it is in doubt nothing is ordered and nothing is
//! written into a record. What a wrong clock wrote earlier does not count either: [`happened`] and [`holds`] say so.

use std::fmt;
use std::time::Duration;

use crate::base::limits::CLOCK_OFFSET_MAX;
use crate::base::time::{Stopwatch, Time, human};

/// What a peer said that the time is.
#[derive(Clone, Copy, Debug)]
pub struct PeerTime {
    there: Time,
    since: Stopwatch,
}

impl PeerTime {
    /// A peer said it just now.
    pub fn now(there: Time) -> PeerTime {
        PeerTime { there, since: Stopwatch::start() }
    }

    /// The peer's clock minus ours in seconds. Follows our clock when it is set.
    pub fn offset(&self, now: Time) -> i64 {
        (self.there + self.since.elapsed()).unix().saturating_sub(now.unix())
    }

    /// How long ago it was said.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

/// This machine's clock differs from another one by so much that one of them is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDoubt {
    /// The other clock minus ours, in seconds.
    pub offset: i64,
}

/// Whether an offset in seconds leaves room for trust.
pub fn doubt(offset: i64) -> Option<ClockDoubt> {
    (offset.unsigned_abs() > CLOCK_OFFSET_MAX.as_secs()).then_some(ClockDoubt { offset })
}

/// How far our clock is from the other one: `3h behind`, `2d ahead of`.
impl fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = if self.offset > 0 { "behind" } else { "ahead of" };
        write!(f, "{} {which}", human(Duration::from_secs(self.offset.unsigned_abs())))
    }
}

/// Whether a moment that stands somewhere as past can be: only a clock that was ahead writes a later one.
pub fn happened(at: Time, now: Time) -> bool {
    at <= now + CLOCK_OFFSET_MAX
}

/// Whether a wait that stands somewhere holds still. One that ends later than `longest` from now was written by a clock that was ahead.
pub fn holds(until: Time, longest: Duration, now: Time) -> bool {
    until > now && until <= now + longest + CLOCK_OFFSET_MAX
}

/// What is said where the clock is before 1970. Libraries for TLS can not work with such a time.
pub const BEFORE_1970: &str = "this machine's clock is before 1970: set it (NTP)";

/// Whether certificates can be judged by this time at all.
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
