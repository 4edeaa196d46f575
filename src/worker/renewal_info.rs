//! Asks the CA when it wants a certificate to be renewed, and remembers the answer.

use super::{Attempt, clock};
use crate::acme::error::AcmeError;
use crate::base::limits::RATE_LIMIT_WAIT;
use crate::base::log::event;
use crate::base::sanitize::one_line;
use crate::base::shared_str::SharedStr;
use crate::base::time;
use crate::issuance::AttemptError;
use crate::issuance::claim::Claim;
use crate::policy::renewal_window::{RenewalWindow, answered, next_question};

/// The question for one certificate.
#[derive(Clone, Debug)]
pub struct RenewalInfoRequest {
    /// The serial number of the certificate in hexadecimal.
    pub serial: SharedStr,
    /// What it is asked by (RFC 9773 section 4.1).
    pub cert_id: SharedStr,
    /// The last answer.
    pub before: Option<RenewalWindow>,
}

impl Attempt<'_> {
    /// Asks. That it is not answered is no failure of the certificate: it is renewed at the usual time then.
    pub(super) fn fetch_renewal_info(&self, question: &RenewalInfoRequest) -> Result<(), AttemptError> {
        let (secret, questions, now) = (self.entry().main_secret(), &self.context.renewal_schedule, time::now());
        let ca = self.context.clients.client(&self.context.store, self.wanted)?;
        let RenewalInfoRequest { serial, cert_id, before } = question;
        if questions.is_closed(ca.directory_url(), now) {
            // Since this question was queued.
            return Ok(());
        }
        let (window, next) = match ca.renewal_info(cert_id) {
            Ok(None) => {
                questions.answered(secret, next_question(None, now));
                return Ok(());
            }
            Ok(Some(answer)) => {
                let suggested = answer.body.suggested_window;
                let explanation = answer.body.explanation_url.map(|url| one_line(&url));
                let window = answered(before.as_ref(), serial, (suggested.start, suggested.end), explanation, now);
                if window.is_none() {
                    event!(warn, "window-ignored", secret = secret, start = suggested.start, end = suggested.end);
                }
                (window.or_else(|| before.clone()), next_question(answer.retry_after, now))
            }
            Err(AcmeError::Problem { status: 429 | 503, retry_after, .. }) => {
                let until = next_question(Some(retry_after.unwrap_or(now + RATE_LIMIT_WAIT)), now);
                questions.close(ca.directory_url(), until);
                event!(
                    info,
                    "window-unknown",
                    secret = secret,
                    error = "the CA wants no such questions",
                    until = until
                );
                (before.clone(), until)
            }
            Err(e @ (AcmeError::Problem { status: 500.., .. } | AcmeError::Network(_) | AcmeError::Stopped)) => {
                let retry_after = if let AcmeError::Problem { retry_after, .. } = &e { *retry_after } else { None };
                let again = questions.failed(secret, retry_after, now);
                event!(debug, "window-unknown", secret = secret, error = e, again = again);
                return Ok(());
            }
            Err(e @ (AcmeError::Problem { .. } | AcmeError::Unusable { .. })) => {
                event!(info, "window-unknown", secret = secret, error = e);
                (before.clone(), next_question(None, now))
            }
        };
        // Found out before it is remembered: by a clock that is ahead the next question would be due long after the certificate's end.
        clock::check(Some(&ca))?;
        questions.answered(secret, next);
        let remember_next = !self.context.runs_on;
        if window == *before && !remember_next {
            return Ok(());
        }
        if let Some(window) = window.as_ref().filter(|w| Some(*w) != before.as_ref()) {
            let why = window.explanation.as_deref().unwrap_or("none");
            event!(info, "window", secret = secret, start = window.start, end = window.end, explanation = why);
        }
        let mut claim = Claim::open(&self.context.store, secret, &self.context.namespace)?;
        claim.record.body.window = window;
        claim.record.body.next_question = remember_next.then_some(next);
        claim.save()
    }
}
