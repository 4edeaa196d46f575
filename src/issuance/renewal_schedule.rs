//! When the CA is asked for renewal information (RFC 9773): by its Retry-After, spread over an hour after the start, never while it
//! wants to be left alone. Kept in memory; the record keeps what was answered.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::clock::holds;
use crate::base::limits::{QUESTION_KEPT, QUESTIONS_KEPT_MAX, QUESTIONS_KEPT_MIN, QUESTIONS_SPREAD, WAIT_MAX};
use crate::base::name::ObjectRef;
use crate::base::retry::jitter;
use crate::base::time::{self, Time};
use crate::policy::renewal_window::next_question_after_failure;

/// The questions of all certificates.
#[derive(Debug)]
pub struct RenewalInfoSchedule {
    started: Time,
    /// Whether the first ones are spread: a single pass has no later.
    spread: bool,
    state: Mutex<ScheduleState>,
}

#[derive(Debug, Default)]
struct ScheduleState {
    /// By a hash of the Secret, for there may be many.
    next: HashMap<u64, NextRequest>,
    /// Directories that want to be left alone, until when.
    closed: HashMap<String, Time>,
    /// How many questions there may be before those of certificates that are gone are looked for.
    prune_at: usize,
}

impl ScheduleState {
    /// Keeps a question, and forgets those that nobody asked for so long that their certificates must be gone. A question that is forgotten
    /// too early is asked at once.
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
    /// Nothing was asked yet.
    pub fn new(started: Time, spread: bool) -> RenewalInfoSchedule {
        RenewalInfoSchedule { started, spread, state: Mutex::default() }
    }

    /// When the question for a certificate at a directory may be asked. `remembered` is what the record says.
    pub fn next(&self, secret: &ObjectRef, directory: &str, remembered: Option<Time>, now: Time) -> Time {
        let state = self.state();
        let first = match self.spread {
            true => self.started + jitter(QUESTIONS_SPREAD, &secret.to_string()),
            false => self.started,
        };
        let next = state.next.get(&hash(secret)).map_or(first, |question| question.at);
        let closed = state.closed.get(directory).copied().unwrap_or(next);
        // What a clock that was ahead has noted would keep the question from being asked for ever.
        let counts = |at: &Time| *at <= now || holds(*at, WAIT_MAX, now);
        let waits = [Some(next), Some(closed), remembered].into_iter().flatten();
        waits.filter(counts).max().unwrap_or(now)
    }

    /// A certificate was stored: its window is asked for at once.
    pub fn ask_soon(&self, secret: &ObjectRef, now: Time) {
        self.state().put(secret, NextRequest { at: now, failures: 0 }, now);
    }

    /// It was answered, or will not be: not before `at`.
    pub fn answered(&self, secret: &ObjectRef, at: Time) {
        self.state().put(secret, NextRequest { at, failures: 0 }, time::now());
    }

    /// It was not answered, which will pass.
    pub fn failed(&self, secret: &ObjectRef, retry_after: Option<Time>, now: Time) -> Time {
        let mut state = self.state();
        let failures = state.next.get(&hash(secret)).map_or(0, |q| q.failures).saturating_add(1);
        let at = next_question_after_failure(failures, retry_after, now);
        state.put(secret, NextRequest { at, failures }, now);
        at
    }

    /// The CA wants no questions until then.
    pub fn close(&self, directory: &str, until: Time) {
        let (mut state, now) = (self.state(), time::now());
        state.closed.retain(|_, until| *until > now);
        state.closed.insert(directory.to_owned(), until);
    }

    /// Whether the CA wants no questions now.
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
        // All at one moment: there is a bound whatever the time.
        for i in 0..3 * u32::try_from(QUESTIONS_KEPT_MAX).unwrap() {
            questions.ask_soon(&ObjectRef::new("ns", &format!("t{i}")), start + Duration::from_secs(u64::from(i)));
        }
        let kept = questions.state().next.len();
        assert!(kept <= QUESTIONS_KEPT_MAX + 1, "{kept}");
    }
}
