//! Why an attempt failed, and what that means for the next one.

use std::time::Duration;

use crate::acme::error::AcmeError;
use crate::base::limits::{RATE_LIMIT_WAIT, RETRY_AFTER_MAX};
use crate::base::name::DnsName;
use crate::base::time::{self, Time};
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::ca_limits::{Scope, scope_of};
use crate::policy::circuit::{DnsTarget, Unavailable};

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptError {
    /// The step that failed.
    pub stage: Stage,
    /// How soon another attempt makes sense.
    pub severity: RetryClass,
    /// One sentence for the operator.
    pub error: String,
    /// Until when the CA asked us to wait.
    pub retry_after: Option<Time>,
    /// The failure is not counted: another instance works on the certificate, or the program stops.
    pub uncounted: bool,
    /// The circuit of the DNS server that failed, or that admitted nobody.
    pub dns_target: Option<Box<DnsTarget>>,
    /// Why the circuit admitted nobody.
    pub barred: Option<Unavailable>,
    /// The CA did not answer.
    pub silent: bool,
    /// The rate limit that the CA announced.
    pub limit: Option<Box<RateLimit>>,
    /// The names whose validation failed.
    pub not_validated: Vec<DnsName>,
}

impl AttemptError {
    /// A failure of a step.
    pub fn new(stage: Stage, severity: RetryClass, error: String) -> AttemptError {
        AttemptError {
            stage,
            severity,
            error,
            retry_after: None,
            uncounted: false,
            dns_target: None,
            barred: None,
            silent: false,
            limit: None,
            not_validated: Vec::new(),
        }
    }

    /// A panic of a library.
    pub fn internal() -> AttemptError {
        let sentence = "a fault inside notariat; please report it with the lines before".to_owned();
        AttemptError::new(Stage::Order, RetryClass::Transient, sentence)
    }

    /// The circuit of a DNS server admits nobody now.
    pub fn barred(dns_target: DnsTarget, barred: Unavailable) -> AttemptError {
        let error = barred.sentence(&dns_target);
        AttemptError {
            uncounted: true,
            dns_target: Some(Box::new(dns_target)),
            barred: Some(barred),
            ..AttemptError::new(Stage::Publish, RetryClass::Transient, error)
        }
    }

    /// Another instance or worker holds what this one needs. Not counted.
    pub fn busy(error: String) -> AttemptError {
        AttemptError { uncounted: true, ..AttemptError::new(Stage::Store, RetryClass::Transient, error) }
    }
}

/// Errors that repeat until an operator changes something (RFC 8555 section 6.7). `unauthorized` means a deactivated account or an order
/// of another account.
const POLICY: [&str; 11] = [
    "rejectedIdentifier",
    "unsupportedIdentifier",
    "badCSR",
    "badPublicKey",
    "caa",
    "invalidProfile",
    "invalidContact",
    "unsupportedContact",
    "externalAccountRequired",
    "userActionRequired",
    "unauthorized",
];

/// The failure of a step for an error of the CA, with the class of its retry and the rate limit that it announces.
pub fn of_acme(stage: Stage, error: &AcmeError) -> AttemptError {
    let severity = match error {
        AcmeError::Problem { problem, .. } if POLICY.contains(&problem.word()) => RetryClass::Policy,
        AcmeError::Problem { .. } | AcmeError::Network(_) | AcmeError::Unusable { .. } | AcmeError::Stopped => {
            RetryClass::Transient
        }
    };
    let retry_after = match error {
        // RFC 8555 section 6.6; without a time the CA's limits are counted in hours.
        AcmeError::Problem { retry_after, problem, .. } if problem.word() == "rateLimited" => {
            Some(retry_after.unwrap_or(time::now() + RATE_LIMIT_WAIT))
        }
        AcmeError::Problem { retry_after, .. } => *retry_after,
        AcmeError::Network(_) | AcmeError::Unusable { .. } | AcmeError::Stopped => None,
    };
    let retry_after = retry_after.map(|at| at.min(time::now() + RETRY_AFTER_MAX));
    let uncounted = *error == AcmeError::Stopped;
    let silent = matches!(error, AcmeError::Network(_));
    AttemptError {
        retry_after,
        uncounted,
        silent,
        limit: limit_of(error),
        ..AttemptError::new(stage, severity, error.to_string())
    }
}

/// The rate limit that an error of the CA announces. Without a Retry-After it ends after an hour, and after a minute for status 503.
fn limit_of(error: &AcmeError) -> Option<Box<RateLimit>> {
    let AcmeError::Problem { status, problem, retry_after, .. } = error else { return None };
    let scope = scope_of(*status, &problem.to_string())?;
    let passing = *status == 503;
    let wait = if passing { Duration::from_secs(60) } else { RATE_LIMIT_WAIT };
    let until = retry_after.unwrap_or(time::now() + wait).min(time::now() + RETRY_AFTER_MAX);
    Some(Box::new(RateLimit { scope, until, passing }))
}

/// A rate limit that a CA announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The orders that it applies to.
    pub scope: Scope,
    /// When it ends.
    pub until: Time,
    /// The CA is overloaded (status 503): the limit is not kept across restarts.
    pub passing: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::wire::Problem;

    /// The words of RFC 8555 section 6.7 and of draft-ietf-acme-profiles.
    #[test]
    fn an_error_that_stays_until_somebody_acts_waits_a_day() {
        let severity = |word: &str| {
            let problem = Problem { kind: format!("urn:ietf:params:acme:error:{word}"), ..Problem::default() };
            let (what, problem) = ("newOrder", Box::new(problem));
            of_acme(Stage::Order, &AcmeError::Problem { what, status: 400, problem, retry_after: None }).severity
        };
        for word in ["rejectedIdentifier", "badCSR", "badPublicKey", "caa", "invalidProfile", "unauthorized"] {
            assert_eq!(severity(word), RetryClass::Policy, "{word}");
        }
        for word in ["serverInternal", "malformed", "rateLimited", "connection", "dns", ""] {
            assert_eq!(severity(word), RetryClass::Transient, "{word}");
        }
    }
}
