//! When the API server is asked, and when again: one rate for all threads, the pauses that the server asks for, back-off. Pure; times are
//! since the client was made.

use std::time::Duration;

use crate::base::limits::{API_BURST, API_PAUSE_MAX, API_PAUSE_MIN, API_RATE, API_RETRY_FIRST, API_TRIES};
use crate::base::retry::{Backoff, jitter};

/// The pace of one client.
#[derive(Debug)]
pub struct RateLimiter {
    /// When [`API_BURST`] requests may be sent at once again.
    rested: Duration,
    /// Until when nobody asks, because the server said so.
    closed: Duration,
    /// The last request was done or refused. Else each gets one try: nobody needs several to learn that there is no server.
    well: bool,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// With an answer of this status, and the time to wait that it asks for.
    Answered(u16, Option<Duration>),
    /// Without one.
    Silent,
}

impl Default for RateLimiter {
    fn default() -> RateLimiter {
        RateLimiter { rested: Duration::ZERO, closed: Duration::ZERO, well: true }
    }
}

impl RateLimiter {
    /// How long nobody asks any more.
    pub fn closed_for(&self, now: Duration) -> Duration {
        self.closed.saturating_sub(now)
    }

    /// Takes a place for one request. Returns how long to wait for it.
    pub fn enter(&mut self, now: Duration) -> Duration {
        let each = Duration::from_secs(1) / API_RATE;
        self.rested = self.rested.max(now) + each;
        self.rested.saturating_sub(now + each * API_BURST)
    }

    /// Takes note of how the try number `made` (from 1) ended. Returns the pause before the next one, which is at most `left`; `None`:
    /// there is none. `seed` differs from one to the next, so that not all come back at the same moment.
    pub fn again(&mut self, ended: CallEnd, made: u32, now: Duration, left: Duration, seed: &str) -> Option<Duration> {
        let (for_all, asked) = match ended {
            // Nobody may ask at once after a 429, whatever it says or leaves out.
            CallEnd::Answered(429, asked) => (true, asked.unwrap_or_default().max(API_PAUSE_MIN)),
            CallEnd::Answered(503, Some(asked)) => (true, asked),
            // These may be about one object: a webhook that does not answer makes a 500.
            CallEnd::Answered(500 | 502 | 503 | 504, asked) => (false, asked.unwrap_or_default()),
            CallEnd::Silent => (false, Duration::ZERO),
            CallEnd::Answered(..) => {
                self.well = true;
                return None;
            }
        };
        let backoff = Backoff::doubling(API_RETRY_FIRST, API_PAUSE_MAX);
        let pause = asked.min(API_PAUSE_MAX) + jitter(backoff.wait(made), seed);
        if for_all {
            self.closed = self.closed.max(now + pause);
        }
        self.well &= made < API_TRIES && pause <= left;
        self.well.then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const LEFT: Duration = Duration::from_secs(20);

    fn seconds(s: u64) -> Option<Duration> {
        Some(Duration::from_secs(s))
    }

    #[test]
    fn each_answer_has_its_pause() {
        let answered = CallEnd::Answered;
        for (ended, least, most, for_all) in [
            (answered(200, None), None, 0, false),
            (answered(401, None), None, 0, false),
            (answered(403, seconds(1)), None, 0, false),
            (answered(409, None), None, 0, false),
            (answered(501, None), None, 0, false),
            (answered(429, None), seconds(1), 1, true),
            (answered(429, seconds(0)), seconds(1), 1, true),
            (answered(429, seconds(7)), seconds(7), 7, true),
            (answered(500, None), seconds(0), 0, false),
            (answered(500, seconds(2)), seconds(2), 2, false),
            (answered(502, None), seconds(0), 0, false),
            (answered(503, None), seconds(0), 0, false),
            (answered(503, seconds(3)), seconds(3), 3, true),
            (answered(504, None), seconds(0), 0, false),
            (CallEnd::Silent, seconds(0), 0, false),
        ] {
            let mut pace = RateLimiter::default();
            let pause = pace.again(ended, 1, NOW, LEFT, "seed");
            let most = Duration::from_secs(most) + API_RETRY_FIRST;
            assert!(pause >= least && pause.is_none_or(|p| p <= most), "{ended:?}: {pause:?}");
            assert_eq!(pause.is_some(), least.is_some(), "{ended:?}");
            let closed = if for_all { pause.unwrap() } else { Duration::ZERO };
            assert_eq!(pace.closed_for(NOW), closed, "{ended:?}");
            assert_eq!(pace.closed_for(NOW + closed), Duration::ZERO, "{ended:?}");
        }
    }

    #[test]
    fn a_pause_that_is_too_long_for_one_call_is_kept_by_all() {
        let mut pace = RateLimiter::default();
        assert_eq!(pace.again(CallEnd::Answered(429, seconds(60)), 1, NOW, LEFT, "s"), None);
        assert!(pace.closed_for(NOW) >= Duration::from_secs(60));
        pace.again(CallEnd::Answered(429, None), 1, NOW, LEFT, "s");
        assert!(pace.closed_for(NOW) >= Duration::from_secs(60), "a shorter one takes nothing back");
        // A year is a mistake of whoever says so.
        pace.again(CallEnd::Answered(429, Some(Duration::MAX)), 1, NOW, LEFT, "s");
        assert!(pace.closed_for(NOW) <= API_PAUSE_MAX + API_RETRY_FIRST);
    }

    #[test]
    fn pauses_double_with_jitter_and_end() {
        let pauses = |seed: &str| {
            let mut pace = RateLimiter::default();
            let pause = |made| pace.again(CallEnd::Silent, made, NOW, LEFT, &format!("{seed} {made}"));
            (1..=API_TRIES).map(pause).collect::<Vec<_>>()
        };
        for seed in 0..50 {
            let pauses = pauses(&seed.to_string());
            for (steps, pause) in (0..).zip(&pauses[..pauses.len() - 1]) {
                assert!(pause.is_some_and(|p| p < API_RETRY_FIRST * 2u32.pow(steps)), "{pauses:?}");
            }
            assert_eq!(pauses.last(), Some(&None));
        }
        assert_ne!(pauses("a"), pauses("b"));
    }

    #[test]
    fn while_there_is_no_answer_that_counts_each_request_gets_one_try() {
        let mut pace = RateLimiter::default();
        let try_one = |pace: &mut RateLimiter, ended, made| pace.again(ended, made, NOW, LEFT, "s").is_some();
        assert!(!try_one(&mut pace, CallEnd::Silent, API_TRIES));
        assert!(!try_one(&mut pace, CallEnd::Answered(503, None), 1));
        assert!(!try_one(&mut pace, CallEnd::Answered(404, None), 1));
        assert!(try_one(&mut pace, CallEnd::Silent, 1), "a refusal is an answer");
    }

    #[test]
    fn a_burst_goes_at_once_and_then_the_rate_holds() {
        let mut pace = RateLimiter::default();
        let waits =
            |pace: &mut RateLimiter, now| (0..API_BURST + API_RATE).map(|_| pace.enter(now)).collect::<Vec<_>>();
        for start in [NOW, NOW + Duration::from_secs(600)] {
            let waits = waits(&mut pace, start);
            let (burst, later) = waits.split_at(usize::try_from(API_BURST).unwrap());
            assert!(burst.iter().all(Duration::is_zero));
            assert_eq!(later.last(), Some(&Duration::from_secs(1)), "so many within the next second");
            assert!(later.is_sorted_by(|a, b| a < b));
        }
        let mut pace = RateLimiter::default();
        waits(&mut pace, NOW);
        assert_eq!(pace.enter(NOW + Duration::from_secs(2)), Duration::ZERO, "some of it is back");
    }
}
