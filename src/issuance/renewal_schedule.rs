//! The schedule of questions for renewal information (RFC 9773): by the CA's Retry-After, spread over an hour after the start, and none while
//! the CA refuses them. Kept in memory; the record keeps the answers.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::clock::holds;
use crate::base::limits::{QUESTION_KEPT, QUESTIONS_KEPT_MAX, QUESTIONS_KEPT_MIN, QUESTIONS_SPREAD, WAIT_MAX};
use crate::base::name::ObjectRef;
use crate::base::retry::jitter;
use crate::base::time::{self, Time};
use crate::policy::renewal_window::next_question_after_failure;

/// The times of the next questions.
#[derive(Debug)]
pub struct RenewalInfoSchedule {
    started: Time,
    /// The first questions are spread over time. A single pass asks at once.
    spread: bool,
    state: Mutex<ScheduleState>,
}

#[derive(Debug, Default)]
struct ScheduleState {
    /// The next question by a hash of the Secret, to save memory.
    next: HashMap<u64, NextRequest>,
    /// Directories that refuse questions, and until when.
    closed: HashMap<String, Time>,
    /// The number of questions from which those of deleted certificates are searched.
    prune_at: usize,
}

impl ScheduleState {
    /// Keeps a question, and drops questions so old that their certificates must be deleted. A question that is dropped too early is asked
    /// at once.
    fn put(&mut self, secret: &ObjectRef, question: NextRequest, now: Time) {
        self.next.insert(hash(secret), question);
        if self.next.len() <= self.prune_at.max(QUESTIONS_KEPT_MIN) {
            return;
        }
        self.next.retain(|_, question| question.at + QUESTION_KEPT > now);
        if self.next.len() > QUESTIONS_KEPT_MAX {
            let mut times: Vec<Time> = self.next.values().map(|question| question.at).collect();
            let (_, middle, _) = times.select_nth_unstable(QUESTIONS_KEPT_MAX / 2);
            let middle = *middle;
            self.next.retain(|_, question| question.at > middle);
        }
        self.prune_at = (2 * self.next.len()).min(QUESTIONS_KEPT_MAX);
    }
}

#[derive(Clone, Copy, Debug)]
struct NextRequest {
    at: Time,
    failures: u32,
}

impl RenewalInfoSchedule {
    /// A schedule without questions.
    pub fn new(started: Time, spread: bool) -> RenewalInfoSchedule {
        RenewalInfoSchedule { started, spread, state: Mutex::default() }
    }

    /// The time from which a certificate's question may be asked. `remembered` is the time in the record.
    pub fn next(&self, secret: &ObjectRef, directory: &str, remembered: Option<Time>, now: Time) -> Time {
        let state = self.state();
        let first = match self.spread {
            true => self.started + jitter(QUESTIONS_SPREAD, &secret.to_string()),
            false => self.started,
        };
        let next = state.next.get(&hash(secret)).map_or(first, |question| question.at);
        let closed = state.closed.get(directory).copied().unwrap_or(next);
        // A time that was written while the clock was ahead does not count, or the question would never be asked.
        let counts = |at: &Time| *at <= now || holds(*at, WAIT_MAX, now);
        let waits = [Some(next), Some(closed), remembered].into_iter().flatten();
        waits.filter(counts).max().unwrap_or(now)
    }

    /// Asks at once, because a certificate was stored.
    pub fn ask_soon(&self, secret: &ObjectRef, now: Time) {
        self.state().put(secret, NextRequest { at: now, failures: 0 }, now);
    }

    /// Notes an answer or a final refusal. The next question comes at `at`.
    pub fn answered(&self, secret: &ObjectRef, at: Time) {
        self.state().put(secret, NextRequest { at, failures: 0 }, time::now());
    }

    /// Notes a failed question. Returns the time of the next one.
    pub fn failed(&self, secret: &ObjectRef, retry_after: Option<Time>, now: Time) -> Time {
        let mut state = self.state();
        let failures = state.next.get(&hash(secret)).map_or(0, |q| q.failures).saturating_add(1);
        let at = next_question_after_failure(failures, retry_after, now);
        state.put(secret, NextRequest { at, failures }, now);
        at
    }

    /// Stops questions to a CA until the given time.
    pub fn close(&self, directory: &str, until: Time) {
        let (mut state, now) = (self.state(), time::now());
        state.closed.retain(|_, until| *until > now);
        state.closed.insert(directory.to_owned(), until);
    }

    /// Tells whether a CA refuses questions now.
    pub fn is_closed(&self, directory: &str, now: Time) -> bool {
        self.state().closed.get(directory).is_some_and(|until| *until > now)
    }

    fn state(&self) -> MutexGuard<'_, ScheduleState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(secret: &ObjectRef) -> u64 {
    let mut hasher = DefaultHasher::new();
    secret.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn questions_are_spread_at_first_and_a_closed_directory_is_left_alone() {
        let (start, directory) = (Time::from_unix(1_800_000_000), "https://ca/dir");
        let secret = |i: u32| ObjectRef::parse(&format!("s{i}"), "ns").unwrap();
        let questions = RenewalInfoSchedule::new(start, true);
        let first: std::collections::BTreeSet<u64> =
            (0..100).map(|i| questions.next(&secret(i), directory, None, start).since(start).as_secs() / 60).collect();
        assert!(first.len() > 30 && first.iter().all(|minute| *minute <= 60), "{first:?}");
        assert_eq!(RenewalInfoSchedule::new(start, false).next(&secret(1), directory, None, start), start);

        questions.ask_soon(&secret(1), start);
        assert_eq!(questions.next(&secret(1), directory, None, start), start);
        assert_eq!(
            questions.next(&secret(1), directory, Some(start + Duration::from_secs(9)), start),
            start + Duration::from_secs(9)
        );
        assert_eq!(questions.failed(&secret(1), None, start), start + Duration::from_secs(60));
        assert_eq!(questions.failed(&secret(1), None, start), start + Duration::from_secs(120));
        questions.close(directory, start + Duration::from_secs(7200));
        assert_eq!(questions.next(&secret(1), directory, None, start), start + Duration::from_secs(7200));
        assert!(questions.next(&secret(1), "https://other/dir", None, start) < start + Duration::from_secs(7200));
    }
    #[test]
    fn a_hundred_thousand_certificates_that_come_and_go_leave_no_questions_behind() {
        let start = time::now() - Duration::from_secs(100_000 * 600);
        let questions = RenewalInfoSchedule::new(start, true);
        for i in 0..100_000_u32 {
            let (secret, now) =
                (ObjectRef::new("ns", &format!("s{i}")), start + Duration::from_secs(600 * u64::from(i)));
            match i % 3 {
                0 => questions.ask_soon(&secret, now),
                1 => drop(questions.failed(&secret, None, now)),
                _ => questions.answered(&secret, now + Duration::from_secs(21_600)),
            }
            questions.close(&format!("https://ca{i}/dir"), now + Duration::from_secs(600));
        }
        let state = questions.state();
        assert!(state.next.len() <= 2 * QUESTIONS_KEPT_MIN, "{}", state.next.len());
        assert!(state.closed.len() <= 1, "{}", state.closed.len());
        drop(state);
        // The bound holds although all questions are of the same time.
        for i in 0..3 * u32::try_from(QUESTIONS_KEPT_MAX).unwrap() {
            questions.ask_soon(&ObjectRef::new("ns", &format!("t{i}")), start + Duration::from_secs(u64::from(i)));
        }
        let kept = questions.state().next.len();
        assert!(kept <= QUESTIONS_KEPT_MAX + 1, "{kept}");
    }
}
