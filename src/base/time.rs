//! Wall time and deadlines: the only file that reads a clock.
//!
//! [`Time`] is for validity, TSIG and records; [`Deadline`] is monotonic and for waiting. The two are never mixed: a step of the
//! wall clock must not stretch or cut a wait.

use std::fmt;
use std::num::NonZeroI64;
use std::ops::{Add, Sub};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

/// A moment of wall time in whole seconds since 1970-01-01T00:00:00Z; may be negative. An `Option<Time>` is as large as a `Time`: there are
/// a dozen of them for each certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(from = "i64", into = "i64")]
pub struct Time(NonZeroI64);

impl Time {
    /// The moment `seconds` after 1970-01-01T00:00:00Z. `i64::MAX` counts as one second less.
    pub const fn from_unix(seconds: i64) -> Time {
        // Moments from 1970 on are kept one second later, in the same order, so that none of them is zero and the last arm is never taken.
        match NonZeroI64::new(if seconds < 0 { seconds } else { seconds.saturating_add(1) }) {
            Some(kept) => Time(kept),
            None => Time(NonZeroI64::MIN),
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub const fn unix(self) -> i64 {
        let kept = self.0.get();
        if kept < 0 { kept } else { kept - 1 }
    }

    /// Reads `2026-11-22T10:00:00Z` (RFC 3339). A fraction of a second is dropped.
    pub fn parse_rfc3339(text: &str) -> Option<Time> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(|t| Time::from_unix(t.unix_timestamp()))
    }

    /// Reads the date of an HTTP header, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
    pub fn parse_http_date(text: &str) -> Option<Time> {
        OffsetDateTime::parse(text.trim(), &Rfc2822).ok().map(|t| Time::from_unix(t.unix_timestamp()))
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_secs(u64::try_from(self.unix().saturating_sub(earlier.unix())).unwrap_or(0))
    }

    /// The distance between the two moments, whichever comes first.
    pub fn distance(self, other: Time) -> Duration {
        Duration::from_secs(self.unix().abs_diff(other.unix()))
    }
}

impl From<i64> for Time {
    fn from(seconds: i64) -> Time {
        Time::from_unix(seconds)
    }
}

impl From<Time> for i64 {
    fn from(time: Time) -> i64 {
        time.unix()
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Time({})", self.unix())
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, d: Duration) -> Time {
        Time::from_unix(self.unix().saturating_add(i64::try_from(d.as_secs()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, d: Duration) -> Time {
        Time::from_unix(self.unix().saturating_sub(i64::try_from(d.as_secs()).unwrap_or(i64::MAX)))
    }
}

/// RFC 3339 in UTC, for logs, errors and records.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match OffsetDateTime::from_unix_timestamp(self.unix()).ok().and_then(|t| t.format(&Rfc3339).ok()) {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} s since 1970", self.unix()),
        }
    }
}

/// The wall time now.
pub fn now() -> Time {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(d) => Time::from_unix(i64::try_from(d.as_secs()).unwrap_or(i64::MAX)),
        Err(e) => Time::from_unix(i64::try_from(e.duration().as_secs()).map_or(i64::MIN, |s| -s)),
    }
}

/// The time left until `at` begins; zero where it has begun.
pub fn until(at: Time) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(u64::try_from(at.unix()).unwrap_or_default()).saturating_sub(now)
}

/// The wall time now with milliseconds, RFC 3339 in UTC: for logs. A clock before 1970 shows that year.
pub fn now_text() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = Time::from_unix(i64::try_from(now.as_secs()).unwrap_or(i64::MAX)).to_string();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), now.subsec_millis())
}

/// A point of monotonic time after which waiting ends.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline `d` from now.
    pub fn after(d: Duration) -> Deadline {
        Deadline(Instant::now() + d)
    }

    /// The time left, or `None` when the deadline has passed.
    pub fn left(self) -> Option<Duration> {
        self.0.checked_duration_since(Instant::now()).filter(|d| !d.is_zero())
    }

    /// The time left, `d` at most: an inner timeout never outlives the outer one.
    pub fn at_most(self, d: Duration) -> Option<Duration> {
        self.left().map(|left| left.min(d))
    }

    /// The earlier of this deadline and `d` from now.
    pub fn sooner(self, d: Duration) -> Deadline {
        Deadline(self.0.min(Instant::now() + d))
    }
}

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A duration for people: `45s`, `12m`, `5h`, `63d`, rounded down to the largest unit of which there are two or more.
pub fn human(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..120 => format!("{s}s"),
        120..7_200 => format!("{}m", s / 60),
        7_200..172_800 => format!("{}h", s / 3_600),
        _ => format!("{}d", s / 86_400),
    }
}

/// A duration as configuration fields have it, in the largest unit that divides it: `36h`, `2d`, `90s`.
pub fn duration_text(d: Duration) -> String {
    let s = d.as_secs();
    match [(86_400, 'd'), (3_600, 'h'), (60, 'm')].into_iter().find(|(unit, _)| s.is_multiple_of(*unit)) {
        Some((unit, letter)) => format!("{}{letter}", s / unit),
        None => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_keeps_its_seconds_and_its_order_and_leaves_room_for_none() {
        let seconds = [i64::MIN, -2, -1, 0, 1, 2, i64::MAX - 1];
        let times = seconds.map(Time::from_unix);
        assert_eq!(times.map(Time::unix), seconds);
        assert!(times.is_sorted() && times.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Time::from_unix(i64::MAX), Time::from_unix(i64::MAX - 1));
        assert_eq!(size_of::<Option<Time>>(), size_of::<i64>());
        let json = serde_json::to_string(&times[1..6]).unwrap();
        assert_eq!(json, "[-2,-1,0,1,2]");
        assert_eq!(serde_json::from_str::<Vec<Time>>(&json).unwrap(), times[1..6]);
    }

    #[test]
    fn dates_of_rfc_9110_and_rfc_3339_are_read_and_written() {
        let t = Time::from_unix(784_111_777);
        assert_eq!(Time::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(t));
        assert_eq!(Time::parse_rfc3339("1994-11-06T08:49:37Z"), Some(t));
        assert_eq!(Time::parse_rfc3339("1994-11-06T09:49:37.123456+01:00"), Some(t));
        assert_eq!(t.to_string(), "1994-11-06T08:49:37Z");
        for wrong in ["", "yesterday", "1994-11-06", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(Time::parse_http_date(wrong), None, "{wrong}");
            assert_eq!(Time::parse_rfc3339(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_far_out_saturate_and_still_print() {
        let end = Time::from_unix(i64::MAX) + Duration::from_secs(1);
        assert_eq!(end.unix(), i64::MAX - 1);
        assert_eq!(end.to_string(), "9223372036854775806 s since 1970");
        assert_eq!(Time::from_unix(5).since(Time::from_unix(9)), Duration::ZERO);
        assert_eq!(Time::from_unix(5).distance(Time::from_unix(9)), Duration::from_secs(4));
    }

    #[test]
    fn durations_read_as_people_say_them() {
        for (secs, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (7_776_000, "90d"),
        ] {
            assert_eq!(human(Duration::from_secs(secs)), text);
        }
    }

    #[test]
    fn a_passed_deadline_has_nothing_left() {
        assert!(Deadline::after(Duration::ZERO).left().is_none());
        let hour = Deadline::after(Duration::from_secs(3600));
        assert_eq!(hour.at_most(Duration::from_secs(1)), Some(Duration::from_secs(1)));
        assert!(hour.sooner(Duration::ZERO).left().is_none());
    }
}
