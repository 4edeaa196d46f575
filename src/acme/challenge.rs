//! The outcome of a challenge, read from the CA's answers (RFC 8555 sections 7.1.6 and 8.2). Pure.

use std::fmt;
use std::time::Duration;

use super::wire::{AcmeStatus, Authorization, Challenge, Problem};
use crate::base::limits::CHALLENGE_AGAIN;
use crate::base::name::Domain;

/// The outcome of a challenge so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeOutcome {
    /// The CA accepted the response.
    Passed,
    /// The CA has not decided yet.
    Waiting,
    /// A try failed, and the CA tries again only after another response (section 8.2).
    Tried(Problem),
    /// The challenge is invalid; the CA's words, which may be missing.
    Failed(Problem),
}

/// The outcome by the challenge itself. `retries`: the CA gave a Retry-After, so it tries again by itself.
pub fn of_challenge(challenge: &Challenge, retries: bool) -> ChallengeOutcome {
    match (&challenge.status, &challenge.error) {
        (Some(AcmeStatus::Valid), _) => ChallengeOutcome::Passed,
        (Some(AcmeStatus::Invalid), error) => ChallengeOutcome::Failed(error.clone().unwrap_or_default()),
        (Some(AcmeStatus::Pending), Some(problem)) if !retries => ChallengeOutcome::Tried(problem.clone()),
        _ => ChallengeOutcome::Waiting,
    }
}

/// The outcome by the authorization of the challenge at `url`.
pub fn of_authorization(authorization: &Authorization, url: &str, retries: bool) -> ChallengeOutcome {
    let challenge = challenge_at(authorization, url);
    let problem = || challenge.and_then(|c| c.error.clone()).unwrap_or_default();
    match authorization.status {
        AcmeStatus::Valid => ChallengeOutcome::Passed,
        AcmeStatus::Pending => challenge.map_or(ChallengeOutcome::Waiting, |c| of_challenge(c, retries)),
        // Section 7.1.6: no other state leads back to pending.
        _ => ChallengeOutcome::Failed(problem()),
    }
}

/// The outcome by a refusal (`malformed`) of a response, and by the authorization where that could be read. The answer
/// to an earlier response may have been lost, the challenge may have ended, or the CA does not take the request.
pub fn of_refusal(refusal: Problem, authorization: Option<&Authorization>, url: &str) -> ChallengeOutcome {
    let is_pending =
        |a: &Authorization| challenge_at(a, url).is_none_or(|c| matches!(c.status, None | Some(AcmeStatus::Pending)));
    match authorization.map(|a| of_authorization(a, url, true)) {
        None => ChallengeOutcome::Tried(refusal),
        Some(ChallengeOutcome::Waiting) if authorization.is_none_or(is_pending) => ChallengeOutcome::Tried(refusal),
        Some(outcome) => outcome,
    }
}

fn challenge_at<'a>(authorization: &'a Authorization, url: &str) -> Option<&'a Challenge> {
    authorization.challenges.iter().find(|c| c.url == url)
}

/// A challenge under validation.
#[derive(Clone, Debug)]
pub struct ChallengeAttempt {
    /// The name.
    pub name: Domain,
    /// The URL of the authorization.
    pub authorization: String,
    /// The URL of the challenge.
    pub challenge: String,
    /// The number of further responses.
    repeated: usize,
    /// The moment of the next response, since the begin of the wait.
    again_at: Option<Duration>,
    last: ChallengeOutcome,
}

impl ChallengeAttempt {
    /// A challenge before its first response.
    pub fn new(name: Domain, authorization: String, challenge: String) -> ChallengeAttempt {
        ChallengeAttempt {
            name,
            authorization,
            challenge,
            repeated: 0,
            again_at: None,
            last: ChallengeOutcome::Waiting,
        }
    }

    /// Tells whether the CA accepted the response.
    pub fn is_passed(&self) -> bool {
        self.last == ChallengeOutcome::Passed
    }

    /// The moment of the next response, since the begin of the wait.
    pub fn again_at(&self) -> Option<Duration> {
        self.again_at
    }

    /// Notes that another response is sent now.
    pub fn repeat(&mut self) {
        (self.again_at, self.repeated) = (None, self.repeated.saturating_add(1));
    }

    /// Notes the outcome at `now` since the begin of the wait. The pauses before further responses grow; after the last
    /// one a failed try is final.
    ///
    /// # Errors
    /// The end of the challenge, with the CA's words.
    pub fn note(&mut self, outcome: ChallengeOutcome, now: Duration) -> Result<(), ChallengeEnd> {
        self.last = outcome;
        match &self.last {
            ChallengeOutcome::Failed(problem) => {
                return Err(ChallengeEnd { is_over: true, problem: Box::new(problem.clone()) });
            }
            ChallengeOutcome::Tried(problem) if self.again_at.is_none() => match CHALLENGE_AGAIN.get(self.repeated) {
                Some(pause) => self.again_at = Some(now.saturating_add(*pause)),
                None => return Err(ChallengeEnd { is_over: false, problem: Box::new(problem.clone()) }),
            },
            ChallengeOutcome::Tried(_) => {}
            ChallengeOutcome::Waiting | ChallengeOutcome::Passed => self.again_at = None,
        }
        Ok(())
    }
}

/// The name and the last outcome.
impl fmt::Display for ChallengeAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.last {
            ChallengeOutcome::Passed => write!(f, "{} is valid", self.name),
            ChallengeOutcome::Waiting => write!(f, "{} is pending", self.name),
            ChallengeOutcome::Tried(problem) => write!(f, "{} is pending ({problem})", self.name),
            ChallengeOutcome::Failed(problem) => write!(f, "{} is invalid ({problem})", self.name),
        }
    }
}

/// The final failure of a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeEnd {
    /// The challenge and its order are invalid. Otherwise another response may be sent later.
    pub is_over: bool,
    /// The CA's words.
    pub problem: Box<Problem>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        Problem { detail: "no TXT".to_owned(), ..Problem::default() }
    }

    fn authorization(status: &str, challenge: &str) -> Authorization {
        let challenge = challenge.replacen('{', r#"{"url":"u","#, 1);
        let json = format!(
            r#"{{"status":"{status}","identifier":{{"type":"dns","value":"a.test"}},"challenges":[{{"type":"http-01"}},{challenge}]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn each_answer_of_a_ca_means_one_thing() {
        use ChallengeOutcome::{Failed, Passed, Tried, Waiting};
        for (json, retries, expected) in [
            (r#"{"status":"valid"}"#, false, Passed),
            (r#"{"status":"pending"}"#, false, Waiting),
            (r#"{"status":"processing"}"#, false, Waiting),
            (r#"{"status":"processing","error":{"detail":"no TXT"}}"#, false, Waiting),
            (r#"{"status":"thinking"}"#, false, Waiting),
            ("{}", false, Waiting),
            (r#"{"status":"pending","error":{"detail":"no TXT"}}"#, false, Tried(problem())),
            (r#"{"status":"pending","error":{"detail":"no TXT"}}"#, true, Waiting),
            (r#"{"status":"pending","error":"odd"}"#, false, Waiting),
            (r#"{"status":"invalid","error":{"detail":"no TXT"}}"#, true, Failed(problem())),
            (r#"{"status":"invalid"}"#, false, Failed(Problem::default())),
        ] {
            assert_eq!(of_challenge(&serde_json::from_str(json).unwrap(), retries), expected, "{json}");
        }
        for (status, challenge, expected) in [
            ("valid", r#"{"status":"pending"}"#, Passed),
            ("pending", r#"{"status":"pending"}"#, Waiting),
            ("pending", r#"{"status":"invalid","error":{"detail":"no TXT"}}"#, Failed(problem())),
            ("pending", r#"{"status":"pending","error":{"detail":"no TXT"}}"#, Tried(problem())),
            ("invalid", r#"{"status":"invalid","error":{"detail":"no TXT"}}"#, Failed(problem())),
            ("deactivated", r#"{"status":"pending"}"#, Failed(Problem::default())),
            ("expired", r#"{"status":"valid"}"#, Failed(Problem::default())),
            ("revoked", r#"{"status":"valid"}"#, Failed(Problem::default())),
            ("thinking", r#"{"status":"pending"}"#, Failed(Problem::default())),
        ] {
            let found = of_authorization(&authorization(status, challenge), "u", false);
            assert_eq!(found, expected, "{status} {challenge}");
        }
        // What a `malformed` means stands in the authorization.
        for (status, challenge, expected) in [
            ("valid", r#"{"status":"valid"}"#, Passed),
            ("pending", r#"{"status":"processing"}"#, Waiting),
            ("pending", r#"{"status":"pending"}"#, Tried(problem())),
            ("invalid", r#"{"status":"invalid","error":{"detail":"no TXT"}}"#, Failed(problem())),
        ] {
            let found = of_refusal(problem(), Some(&authorization(status, challenge)), "u");
            assert_eq!(found, expected, "{status} {challenge}");
        }
        assert_eq!(of_refusal(problem(), None, "u"), Tried(problem()));
    }

    #[test]
    fn a_try_that_failed_is_told_again_after_growing_pauses_and_then_fails() {
        let mut trial = ChallengeAttempt::new("a.test".parse().unwrap(), String::new(), String::new());
        let (tried, mut now) = (|| ChallengeOutcome::Tried(problem()), Duration::ZERO);
        for pause in CHALLENGE_AGAIN {
            trial.note(tried(), now).unwrap();
            assert_eq!(trial.again_at(), Some(now + pause));
            trial.note(tried(), now + pause / 2).unwrap();
            assert_eq!(trial.again_at(), Some(now + pause), "a look at it changes nothing");
            now += pause;
            trial.repeat();
            assert_eq!(trial.again_at(), None);
        }
        assert_eq!(trial.note(tried(), now), Err(ChallengeEnd { is_over: false, problem: Box::new(problem()) }));
        assert_eq!(trial.to_string(), "a.test is pending (no TXT)");
        assert!(CHALLENGE_AGAIN.is_sorted());

        let mut trial = ChallengeAttempt::new("a.test".parse().unwrap(), String::new(), String::new());
        trial.note(tried(), now).unwrap();
        trial.note(ChallengeOutcome::Waiting, now).unwrap();
        assert_eq!(trial.again_at(), None, "the CA is at it");
        trial.note(ChallengeOutcome::Passed, now).unwrap();
        assert!(trial.is_passed());
        let over = trial.note(ChallengeOutcome::Failed(problem()), now);
        assert_eq!(over, Err(ChallengeEnd { is_over: true, problem: Box::new(problem()) }));
    }
}
