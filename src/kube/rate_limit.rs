//! When requests are sent, and when again: one token bucket for all threads, the pauses that the server asks for, backoff. Pure; times are
//! since the client was made.

use std::time::Duration;

use crate::base::limits::{
    API_BURST_DEFAULT, API_PAUSE_MAX, API_PAUSE_MIN, API_QPS_DEFAULT, API_RETRY_FIRST, API_TRIES,
};
use crate::base::retry::{Backoff, jitter};

/// How many requests a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate {
    /// Requests in a second; not 0.
    pub qps: u32,
    /// Requests at once after a rest; not 0.
    pub burst: u32,
}

impl Default for RequestRate {
    fn default() -> RequestRate {
        RequestRate { qps: API_QPS_DEFAULT, burst: API_BURST_DEFAULT }
    }
}

/// The rate limiter of one client.
#[derive(Debug)]
pub struct RateLimiter {
    /// The time in which one token comes back.
    refill: Duration,
    /// The time in which an empty bucket fills.
    capacity: Duration,
    /// When the bucket is full again.
    full_at: Duration,
    /// Until when no request is sent, because the server said so.
    closed: Duration,
    /// The last request was done or refused. Otherwise each request gets one try: one is enough to learn that there is no server.
    well: bool,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// With an answer of this status, and the time to wait that it asks for.
    Answered(u16, Option<Duration>),
    /// Without an answer.
    Silent,
}

impl RateLimiter {
    /// A limiter with a full bucket of `burst` tokens, which come back at `qps` a second.
    pub fn new(rate: RequestRate) -> RateLimiter {
        let refill = Duration::from_secs(1).checked_div(rate.qps).unwrap_or(Duration::from_secs(1));
        let capacity = refill.saturating_mul(rate.burst.max(1));
        RateLimiter { refill, capacity, full_at: Duration::ZERO, closed: Duration::ZERO, well: true }
    }

    /// How long no request may be sent.
    pub fn closed_for(&self, now: Duration) -> Duration {
        self.closed.saturating_sub(now)
    }

    /// Takes a token for one request. Returns how long to wait for the token.
    pub fn enter(&mut self, now: Duration) -> Duration {
        self.full_at = self.full_at.max(now).saturating_add(self.refill);
        self.full_at.saturating_sub(now.saturating_add(self.capacity))
    }

    /// Notes how the try number `made` (from 1) ended. Returns the pause before the next one, which is at most `left`; `None` when there is
    /// no next one. `seed` differs from request to request, so that they do not all come back at the same moment.
    pub fn again(&mut self, ended: CallEnd, made: u32, now: Duration, left: Duration, seed: &str) -> Option<Duration> {
        let (for_all, asked) = match ended {
            // After a 429 no request is sent at once, whatever the answer says or leaves out.
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
        let pause = asked.min(API_PAUSE_MAX).saturating_add(jitter(backoff.wait(made), seed));
        if for_all {
            self.closed = self.closed.max(now.saturating_add(pause));
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
            let mut limiter = RateLimiter::new(RequestRate::default());
            let pause = limiter.again(ended, 1, NOW, LEFT, "seed");
            let most = Duration::from_secs(most) + API_RETRY_FIRST;
            assert!(pause >= least && pause.is_none_or(|p| p <= most), "{ended:?}: {pause:?}");
            assert_eq!(pause.is_some(), least.is_some(), "{ended:?}");
            let closed = if for_all { pause.unwrap() } else { Duration::ZERO };
            assert_eq!(limiter.closed_for(NOW), closed, "{ended:?}");
            assert_eq!(limiter.closed_for(NOW + closed), Duration::ZERO, "{ended:?}");
        }
    }

    #[test]
    fn a_pause_that_is_too_long_for_one_call_is_kept_by_all() {
        let mut limiter = RateLimiter::new(RequestRate::default());
        assert_eq!(limiter.again(CallEnd::Answered(429, seconds(60)), 1, NOW, LEFT, "s"), None);
        assert!(limiter.closed_for(NOW) >= Duration::from_secs(60));
        limiter.again(CallEnd::Answered(429, None), 1, NOW, LEFT, "s");
        assert!(limiter.closed_for(NOW) >= Duration::from_secs(60), "a shorter one takes nothing back");
        // A year is a mistake of whoever says so.
        limiter.again(CallEnd::Answered(429, Some(Duration::MAX)), 1, NOW, LEFT, "s");
        assert!(limiter.closed_for(NOW) <= API_PAUSE_MAX + API_RETRY_FIRST);
    }

    #[test]
    fn pauses_double_with_jitter_and_end() {
        let pauses = |seed: &str| {
            let mut limiter = RateLimiter::new(RequestRate::default());
            let pause = |made| limiter.again(CallEnd::Silent, made, NOW, LEFT, &format!("{seed} {made}"));
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
        let mut limiter = RateLimiter::new(RequestRate::default());
        let try_one = |limiter: &mut RateLimiter, ended, made| limiter.again(ended, made, NOW, LEFT, "s").is_some();
        assert!(!try_one(&mut limiter, CallEnd::Silent, API_TRIES));
        assert!(!try_one(&mut limiter, CallEnd::Answered(503, None), 1));
        assert!(!try_one(&mut limiter, CallEnd::Answered(404, None), 1));
        assert!(try_one(&mut limiter, CallEnd::Silent, 1), "a refusal is an answer");
    }

    #[test]
    fn a_burst_goes_at_once_and_then_the_rate_holds() {
        for (qps, burst) in [(50, 100), (1, 1), (1, 10), (7, 3), (200, 400), (1000, 1), (1000, 10_000)] {
            let mut limiter = RateLimiter::new(RequestRate { qps, burst });
            for start in [NOW, NOW + Duration::from_secs(100_000)] {
                let at_once = (0..burst).filter(|_| limiter.enter(start).is_zero()).count();
                assert_eq!(at_once, usize::try_from(burst).unwrap(), "{qps} {burst}");
                let later: Vec<Duration> = (0..qps).map(|_| limiter.enter(start)).collect();
                assert!(!later[0].is_zero() && later.is_sorted_by(|a, b| a < b), "{qps} {burst}");
                // A token comes back in a whole number of nanoseconds.
                let second = later[later.len() - 1] + Duration::from_nanos(qps.into());
                assert!(
                    later[later.len() - 1] <= Duration::from_secs(1) && second >= Duration::from_secs(1),
                    "{qps} {burst}"
                );
            }
            let refilled = NOW + Duration::from_secs(200_000);
            for _ in 0..burst {
                limiter.enter(refilled);
            }
            let second = refilled + Duration::from_secs(1);
            let at_once = (0..burst).take_while(|_| limiter.enter(second).is_zero()).count();
            assert_eq!(at_once, usize::try_from(qps.min(burst)).unwrap(), "{qps} {burst}: what came back in a second");
        }
    }
}
