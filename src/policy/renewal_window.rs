//! The renewal window after an answer with renewal information, and the time of the next request (RFC 9773). Pure.

use std::time::Duration;

use crate::base::retry::Backoff;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
pub use crate::record::RenewalWindow;

/// The window after an answer: `None` when the answer has no usable one.
pub fn answered(
    before: Option<&RenewalWindow>,
    serial: &str,
    (start, end): (Time, Time),
    explanation: Option<String>,
    now: Time,
) -> Option<RenewalWindow> {
    // RFC 9773 section 4.2.
    if end <= start {
        return None;
    }
    let serial = SharedStr::new(serial);
    Some(match before.filter(|before| before.serial == serial) {
        None => RenewalWindow { serial, start, end, first_start: start, moved_to_past: false, explanation },
        Some(before) => RenewalWindow {
            moved_to_past: end <= now && (before.moved_to_past || before.end > now),
            first_start: before.first_start,
            serial,
            start,
            end,
            explanation,
        },
    })
}

/// The shortest and the longest wait between two requests (RFC 9773 section 4.3.2 wants such bounds).
const ASKED_AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(86_400));
/// The wait after an answer without Retry-After, or after an unusable one (RFC 9773 section 4.3.3).
const ASKED_AGAIN_DEFAULT: Duration = Duration::from_secs(6 * 3600);

/// The time of the next request after an answer or a lasting error.
pub fn next_question(retry_after: Option<Time>, now: Time) -> Time {
    let wait = retry_after.map_or(ASKED_AGAIN_DEFAULT, |at| at.since(now));
    now + wait.clamp(ASKED_AGAIN.0, ASKED_AGAIN.1)
}

/// The time of the next request after the `failures`-th temporary failure in a row: 1, 2, 4 … minutes, at most as after
/// a lasting error.
pub fn next_question_after_failure(failures: u32, retry_after: Option<Time>, now: Time) -> Time {
    let wait = Backoff::doubling(ASKED_AGAIN.0, ASKED_AGAIN_DEFAULT).wait(failures);
    (now + wait).max(retry_after.map_or(now, |at| at.min(now + ASKED_AGAIN.1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn hours(n: i64) -> Time {
        Time::from_unix(NOW.unix() + n * 3600)
    }

    #[test]
    fn a_window_that_moves_into_the_past_after_its_first_answer_is_a_revocation() {
        let ask =
            |before: Option<&RenewalWindow>, from, to| answered(before, "01", (hours(from), hours(to)), None, NOW);
        let first = ask(None, 100, 120).unwrap();
        assert!(!first.moved_to_past);
        assert_eq!(ask(None, 10, 10), None, "it ends before it starts");
        assert_eq!(ask(None, 10, 9), None);
        let moved = ask(Some(&first), -2, -1).unwrap();
        assert!(moved.moved_to_past && moved.first_start == hours(100));
        assert!(ask(Some(&moved), -3, -2).unwrap().moved_to_past, "and stays one");
        assert!(!ask(Some(&moved), 100, 120).unwrap().moved_to_past, "until the CA takes it back");
        assert!(!ask(Some(&first), -2, 3).unwrap().moved_to_past, "it is due, and that is all");
        let past = ask(None, -20, -10).unwrap();
        assert!(!past.moved_to_past, "the first answer is no move");
        assert!(!ask(Some(&past), -20, -9).unwrap().moved_to_past, "from past to past is none either");
        let just_past = ask(None, -20, 0).unwrap();
        assert!(!ask(Some(&just_past), -20, -9).unwrap().moved_to_past, "nor where it ended in this second");
        let other = RenewalWindow { serial: "02".into(), ..first };
        assert!(!ask(Some(&other), -2, -1).unwrap().moved_to_past, "of another certificate");
    }

    #[test]
    fn a_window_that_always_began_before_the_certificate_is_stale() {
        let window = |first_start, start| RenewalWindow {
            serial: "".into(),
            start: hours(start),
            end: hours(start + 10),
            first_start: hours(first_start),
            moved_to_past: false,
            explanation: None,
        };
        for (first_start, start, stale) in
            [(-5, -5, true), (0, -1, true), (1, -5, false), (-5, 1, false), (3, 3, false)]
        {
            assert_eq!(window(first_start, start).is_stale(NOW), stale, "{first_start} {start}");
        }
    }

    #[test]
    fn the_ca_says_when_to_ask_again_within_bounds() {
        for (asked, expected) in
            [(None, 21_600), (Some(0), 60), (Some(59), 60), (Some(3600), 3600), (Some(1_000_000), 86_400)]
        {
            let at = asked.map(|s| NOW + Duration::from_secs(s));
            assert_eq!(next_question(at, NOW).since(NOW).as_secs(), expected, "{asked:?}");
        }
        for (failures, expected) in
            [(0, 60), (1, 60), (2, 120), (3, 240), (9, 15_360), (10, 21_600), (u32::MAX, 21_600)]
        {
            assert_eq!(next_question_after_failure(failures, None, NOW).since(NOW).as_secs(), expected, "{failures}");
        }
        assert_eq!(next_question_after_failure(1, Some(hours(5)), NOW), hours(5));
    }
}
