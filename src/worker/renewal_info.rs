//! Asks a CA for renewal information (RFC 9773) and writes the answer into the record.

use super::attempt::Attempt;
use super::claim::Claim;
use super::clock;
use super::job::RenewalInfoRequest;
use crate::acme::error::AcmeError;
use crate::base::limits::RATE_LIMIT_WAIT;
use crate::base::log::event;
use crate::base::sanitize::one_line;
use crate::base::time::{self, Time};
use crate::cert::facts::CertificateFacts;
use crate::issuance::{AttemptError, Context};
use crate::policy::renewal_window::{RenewalWindow, answered, next_question};
use crate::sources::CertificateSpec;

/// The part of an answer that the record keeps.
struct RenewalAnswer {
    window: Option<RenewalWindow>,
    /// When the CA may be asked again; kept where the program does not run on.
    next_question: Option<Time>,
}

/// Asks the CA and writes a changed answer into the record. A certificate without an answer is renewed at the usual time.
///
/// # Errors
/// When the clock is in doubt, or the record cannot be read or written.
pub(super) fn refresh(
    context: &Context,
    wanted: &CertificateSpec,
    request: &RenewalInfoRequest,
) -> Result<(), AttemptError> {
    let Some(info) = ask(context, wanted, request)? else { return Ok(()) };
    let mut claim = Claim::open(&context.store, wanted.entry.main_secret(), &context.namespace)?;
    (claim.record.body.window, claim.record.body.next_question) = (info.window, info.next_question);
    claim.save()
}

impl Attempt<'_> {
    /// Asks about a certificate that was just stored, so that the window is written together with the result of the attempt. A single pass
    /// asks when it comes to the certificate again.
    pub(super) fn fetch_renewal_info(&mut self, facts: &CertificateFacts) {
        let Some(cert_id) = facts.cert_id.clone().filter(|_| self.context.runs_on) else { return };
        let request = RenewalInfoRequest { serial: facts.serial.clone(), cert_id, before: None };
        // Without an answer the controller asks again.
        if let Ok(Some(info)) = ask(self.context, self.wanted, &request) {
            let body = &mut self.claim.record.body;
            (body.window, body.next_question) = (info.window, info.next_question);
        }
    }
}

/// Asks the CA. Returns what the record has to keep; `None` where nothing changes.
fn ask(
    context: &Context,
    wanted: &CertificateSpec,
    request: &RenewalInfoRequest,
) -> Result<Option<RenewalAnswer>, AttemptError> {
    let (secret, questions, now) = (wanted.entry.main_secret(), &context.renewal_schedule, time::now());
    let ca = context.clients.client(&context.store, wanted)?;
    let RenewalInfoRequest { serial, cert_id, before } = request;
    if questions.is_closed(ca.directory_url(), now) {
        // Since this question was queued.
        return Ok(None);
    }
    let (window, next) = match ca.renewal_info(cert_id) {
        Ok(None) => {
            questions.answered(secret, next_question(None, now));
            return Ok(None);
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
            event!(info, "window-unknown", secret = secret, error = "the CA wants no such questions", until = until);
            (before.clone(), until)
        }
        Err(e @ (AcmeError::Problem { status: 500.., .. } | AcmeError::Network(_) | AcmeError::Stopped)) => {
            let retry_after = if let AcmeError::Problem { retry_after, .. } = &e { *retry_after } else { None };
            let again = questions.failed(secret, retry_after, now);
            event!(debug, "window-unknown", secret = secret, error = e, again = again);
            return Ok(None);
        }
        Err(e @ (AcmeError::Problem { .. } | AcmeError::Unusable { .. })) => {
            event!(info, "window-unknown", secret = secret, error = e);
            (before.clone(), next_question(None, now))
        }
    };
    // Checked before the answer is kept: with a clock that is ahead the next question would be due long after the certificate's end.
    clock::check(Some(&ca))?;
    questions.answered(secret, next);
    let remember_next = !context.runs_on;
    if window == *before && !remember_next {
        return Ok(None);
    }
    if let Some(window) = window.as_ref().filter(|w| Some(*w) != before.as_ref()) {
        let why = window.explanation.as_deref().unwrap_or("none");
        event!(info, "window", secret = secret, start = window.start, end = window.end, explanation = why);
    }
    Ok(Some(RenewalAnswer { window, next_question: remember_next.then_some(next) }))
}
