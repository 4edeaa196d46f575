//! Responds to the challenges of an order and polls until the CA has decided (RFC 8555 section 7.5.1).
//!
//! The order is polled, usually once: it leaves `pending` when all authorizations are valid. A failure shows in the response to the challenge
//! or in the authorization, while the order stays `pending` for good at some CAs. So these are read, too, when the order takes long.

use std::time::Duration;

use super::error::{AttemptError, of_acme};
use super::order::Orders;
use super::solver::ChallengeRequest;
use super::solver::http01::hint_of_ca;
use crate::acme::challenge::{
    ChallengeAttempt, ChallengeEnd, ChallengeOutcome, of_authorization, of_challenge, of_refusal,
};
use crate::acme::client::{Account, AcmeResponse};
use crate::acme::error::AcmeError;
use crate::acme::poll::Phase;
use crate::acme::requests::next_pause;
use crate::acme::wire::{AcmeStatus, Order, Problem};
use crate::base::limits::{AUTHORIZATIONS_FIRST, POLL_IN_ALL};
use crate::base::log::event;
use crate::base::name::{DnsName, Domain};
use crate::base::sanitize::one_line;
use crate::base::time::{self, Stopwatch};
use crate::policy::backoff::{RetryClass, Stage};

/// Why the order did not leave `pending`.
pub enum ValidationFailure {
    /// The CA refused a challenge and validates no further, so that the values can be removed.
    Refused {
        /// The failure, in the CA's words.
        failed: AttemptError,
        /// No later attempt can use the order.
        is_over: bool,
    },
    /// The result is not known. The CA may still be validating.
    Unknown(AttemptError),
}

impl From<AttemptError> for ValidationFailure {
    fn from(failed: AttemptError) -> ValidationFailure {
        ValidationFailure::Unknown(failed)
    }
}

/// The challenges of an order that the CA validates.
struct ValidationRun<'r> {
    run: &'r Orders<'r>,
    account: &'r Account,
    list: Vec<ChallengeAttempt>,
    watch: Stopwatch,
}

impl Orders<'_> {
    /// Responds to the challenges and polls until the order leaves `pending`. Returns the order.
    ///
    /// # Errors
    /// The refusal of a challenge, or why the result is not known.
    pub fn validate(
        &self,
        account: &Account,
        url: &str,
        challenges: Vec<ChallengeRequest>,
    ) -> Result<AcmeResponse<Order>, ValidationFailure> {
        let attempt = |c: ChallengeRequest| ChallengeAttempt::new(c.name, c.authorization, c.url);
        let list = challenges.into_iter().map(attempt).collect();
        let mut trials = ValidationRun { run: self, account, list, watch: Stopwatch::start() };
        for index in 0..trials.list.len() {
            trials.tell(index)?;
        }
        event!(debug, "answered", secret = self.wanted.entry.main_secret(), challenges = trials.list.len());
        trials.watch = Stopwatch::start();
        let mut pause = self.ca.first_pause(Phase::Validation);
        let (mut looks, mut authorizations_at) = (0, AUTHORIZATIONS_FIRST);
        loop {
            if self.context.stop.wait(trials.until_next(pause)) {
                return Err(of_acme(Stage::Validation, &AcmeError::Stopped).into());
            }
            trials.tell_again()?;
            let order = self.ca.order(account, url).map_err(|e| of_acme(Stage::Validation, &e))?;
            looks += 1;
            let waited = trials.watch.elapsed();
            if order.body.status != AcmeStatus::Pending {
                self.ca.learn_pace(Phase::Validation, looks, waited);
                return Ok(order);
            }
            if waited >= authorizations_at {
                trials.look()?;
                authorizations_at = waited * 2;
            }
            if waited >= POLL_IN_ALL {
                trials.look()?;
                return Err(trials.undecided().into());
            }
            pause = next_pause(pause, order.retry_after);
        }
    }

    /// The failure of an invalid order. The reasons stand in the authorizations (RFC 8555 section 7.1.4).
    pub fn why_invalid(&self, account: &Account, order: &Order, problem: Problem) -> AttemptError {
        let mut reasons = Vec::new();
        for url in &order.authorizations {
            let Ok(authorization) = self.ca.authorization(account, url) else {
                continue;
            };
            let authorization = authorization.body;
            let failed = authorization.challenges.iter().filter(|c| c.status == Some(AcmeStatus::Invalid));
            for problem in failed.filter_map(|c| c.error.as_ref()) {
                reasons.push((authorization.name(), authorization.identifier.value.clone(), problem.clone()));
            }
        }
        if reasons.is_empty() {
            return not_answered(RetryClass::Validation, Vec::new(), &problem.to_string());
        }
        let is_policy = reasons.iter().any(|(_, _, problem)| problem.word() == "caa");
        let severity = if is_policy { RetryClass::Policy } else { RetryClass::Validation };
        let bases = reasons.iter().filter_map(|(_, base, _)| DnsName::parse(base).ok()).collect();
        let words: Vec<String> =
            reasons.iter().map(|(name, _, problem)| format!("{}: {problem}", one_line(name))).collect();
        not_answered(severity, bases, &words.join("; "))
    }
}

impl ValidationRun<'_> {
    /// The time to wait: `pause`, or less where a challenge is due for another response before.
    fn until_next(&self, pause: Duration) -> Duration {
        let again = self.list.iter().filter_map(ChallengeAttempt::again_at).min();
        again.map_or(pause, |at| at.saturating_sub(self.watch.elapsed()).min(pause))
    }

    fn tell_again(&mut self) -> Result<(), ValidationFailure> {
        for index in 0..self.list.len() {
            if self.list[index].again_at().is_some_and(|at| at <= self.watch.elapsed()) {
                self.list[index].repeat();
                self.tell(index)?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, index: usize) -> Result<(), ValidationFailure> {
        self.run.context.check_acting(self.run.wanted)?;
        let outcome = match self.run.ca.respond_to_challenge(self.account, &self.list[index].challenge) {
            Ok(answer) => of_challenge(&answer.body, answer.retry_after.is_some()),
            Err(AcmeError::Problem { problem, .. }) if problem.word() == "malformed" => {
                let url = &self.list[index].authorization;
                let authorization = self.run.ca.authorization(self.account, url).ok();
                of_refusal(*problem, authorization.as_ref().map(|answer| &answer.body), &self.list[index].challenge)
            }
            Err(e) => return Err(of_acme(Stage::Order, &e).into()),
        };
        self.note(index, outcome)
    }

    /// Reads the authorizations of the challenges that have not passed.
    fn look(&mut self) -> Result<(), ValidationFailure> {
        for index in 0..self.list.len() {
            let ChallengeAttempt { authorization, .. } = &self.list[index];
            // An authorization that cannot be read now proves nothing. The order decides.
            if !self.list[index].is_passed()
                && let Ok(answer) = self.run.ca.authorization(self.account, authorization)
            {
                let retries = answer.retry_after.is_some();
                self.note(index, of_authorization(&answer.body, &self.list[index].challenge, retries))?;
            }
        }
        Ok(())
    }

    fn note(&mut self, index: usize, outcome: ChallengeOutcome) -> Result<(), ValidationFailure> {
        let now = self.watch.elapsed();
        let trial = &mut self.list[index];
        trial.note(outcome, now).map_err(|ChallengeEnd { is_over, problem }| {
            let severity = if problem.word() == "caa" { RetryClass::Policy } else { RetryClass::Validation };
            let failed = not_answered(severity, vec![base(&trial.name)], &format!("{}: {problem}", trial.name));
            ValidationFailure::Refused { failed, is_over }
        })
    }

    fn undecided(&self) -> AttemptError {
        let states: Vec<String> = self.list.iter().map(ChallengeAttempt::to_string).collect();
        let error = format!("the CA did not decide within {}: {}", time::human(POLL_IN_ALL), states.join("; "));
        AttemptError::new(Stage::Validation, RetryClass::Transient, error)
    }
}

fn base(name: &Domain) -> DnsName {
    name.base().clone()
}

fn not_answered(severity: RetryClass, not_validated: Vec<DnsName>, words: &str) -> AttemptError {
    let hint = hint_of_ca(words).map(|hint| format!("; {hint}")).unwrap_or_default();
    let error = format!("the CA did not find the challenge answered: {words}{hint}");
    AttemptError { not_validated, ..AttemptError::new(Stage::Validation, severity, error) }
}
