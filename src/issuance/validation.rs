//! Has a CA look at the challenges of an order, and finds out what became of them.
//!
//! The order is looked at, and tells that all is well (one look, as a rule). That something is wrong stands in other places: in the
//! answer to the challenge, or in the authorization, while the order stays `pending` for good at some CAs.

use std::time::Duration;

use super::order::OrderRun;
use super::{AttemptError, of_acme};
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

/// Why there is no answer about the order.
pub(super) enum ValidationFailure {
    /// The CA refused a challenge and looks no further, so that the values can go. `is_over`: no attempt can go on with the order.
    Refused { failed: AttemptError, is_over: bool },
    /// What became of it is not known: the CA may be looking yet.
    Unknown(AttemptError),
}

impl From<AttemptError> for ValidationFailure {
    fn from(failed: AttemptError) -> ValidationFailure {
        ValidationFailure::Unknown(failed)
    }
}

/// The challenges of an order that are being proved.
struct ValidationRun<'r> {
    run: &'r OrderRun<'r>,
    account: &'r Account,
    list: Vec<ChallengeAttempt>,
    watch: Stopwatch,
}

impl OrderRun<'_> {
    /// Tells the CA that the challenges can be looked at, until the order leaves `pending`.
    ///
    /// # Errors
    /// The CA's words where it refuses a challenge; else what kept us from knowing.
    pub(super) fn validate(
        &self,
        account: &Account,
        url: &str,
        trials: Vec<ChallengeAttempt>,
    ) -> Result<AcmeResponse<Order>, ValidationFailure> {
        let mut trials = ValidationRun { run: self, account, list: trials, watch: Stopwatch::start() };
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

    /// The failure of an order that is invalid. The reasons stand in the authorizations (RFC 8555 section 7.1.4).
    pub(super) fn why_invalid(&self, account: &Account, order: &Order, problem: Problem) -> AttemptError {
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
    /// How long to wait: `pause`, or less where a challenge is to be told again before.
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
        self.run.context.leader.check()?;
        let outcome = match self.run.ca.respond_to_challenge(self.account, &self.list[index].challenge) {
            Ok(answer) => of_challenge(&answer.body, answer.retry_after.is_some()),
            Err(AcmeError::Problem { problem, .. }) if problem.word() == "malformed" => {
                let url = &self.list[index].authorization;
                let authorization = self.run.ca.authorization(self.account, url).ok();
                of_refusal(*problem, authorization.as_ref().map(|answer| &answer.body))
            }
            Err(e) => return Err(of_acme(Stage::Order, &e).into()),
        };
        self.note(index, outcome)
    }

    /// Looks at the authorizations of those that have not passed.
    fn look(&mut self) -> Result<(), ValidationFailure> {
        for index in 0..self.list.len() {
            let ChallengeAttempt { authorization, .. } = &self.list[index];
            // One that can not be read now says nothing: the order tells.
            if !self.list[index].is_passed()
                && let Ok(answer) = self.run.ca.authorization(self.account, authorization)
            {
                let retries = answer.retry_after.is_some();
                self.note(index, of_authorization(&answer.body, retries))?;
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
    let error = format!("the CA did not find the challenge answered: {words}");
    AttemptError { not_validated, ..AttemptError::new(Stage::Validation, severity, error) }
}
