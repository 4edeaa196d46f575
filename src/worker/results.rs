//! Writes the result of an attempt into the record: the certificate, or the failure and the time of the next attempt.

use super::attempt::Attempt;
use crate::base::limits::ERROR_KEPT_OCTETS;
use crate::base::log::event;
use crate::base::metrics;
use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::base::time;
use crate::cert::bundle::CheckedBundle;
use crate::issuance::AttemptError;
use crate::kube::events::EventReason;
use crate::policy::backoff::{Stage, next_attempt};
use crate::policy::{Reason, RenewalWish, Violation};
use crate::record::{Issued, PairBackup};
use crate::store::Origin;

impl Attempt<'_> {
    /// Notes the stored certificate and empties the order in flight. The caller writes the record.
    pub(super) fn succeeded(&mut self, bundle: &CheckedBundle, finding: &Violation) {
        let now = time::now();
        let (facts, directory) = (bundle.facts(), self.directory.url().to_owned());
        let account = self.claim.record.body.in_flight.as_ref().and_then(|f| f.account.clone()).unwrap_or_default();
        let order = self.claim.record.body.in_flight.as_ref().and_then(|f| f.order.clone()).unwrap_or_default();
        let history = self.claim.record.body.history_mut(&self.entry().order_names(), &directory, now);
        (history.failures, history.stage, history.error, history.next_attempt) = (0, None, None, None);
        self.record_result(bundle);
        self.context.renewal_schedule.ask_soon(self.entry().main_secret(), now);
        (self.claim.record.body.window, self.claim.record.body.next_question) = (None, None);
        self.claim.record.body.in_flight = None;
        self.claim.record.next_key = None;
        metrics::issued();
        let names: Vec<String> = facts.names.iter().map(ToString::to_string).collect();
        event!(
            info,
            "issued",
            secret = self.entry().main_secret(),
            names = names.join(","),
            serial = facts.serial,
            not_after = facts.not_after,
            issuer = facts.issuer,
            directory = directory,
            account = account,
            order = order,
            reason = finding.reason
        );
        let replaced = [Reason::Expired, Reason::Revoked, Reason::RenewalDue, Reason::RenewalRequested];
        let word = if replaced.contains(&finding.reason) { EventReason::Renewed } else { EventReason::Issued };
        let text = format!(
            "a certificate that is valid until {} is stored: {finding}; it is for {}",
            facts.not_after,
            names.join(", ")
        );
        self.tell(word, self.entry().main_secret(), text);
    }

    /// Notes the stored certificate, which the pending order gave.
    pub(super) fn record_result(&mut self, bundle: &CheckedBundle) {
        let Origin { directory, key_type, profile } = self.origin();
        let account = self.claim.record.body.in_flight.as_ref().and_then(|f| f.account.clone());
        let (serial, cert_id) = (bundle.facts().serial.clone(), bundle.facts().cert_id.clone());
        self.claim.record.body.stored = Some(Issued {
            serial,
            at: time::now(),
            directory: SharedStr::intern(&directory),
            key_type: SharedStr::intern(&key_type),
            profile: profile.as_deref().map(SharedStr::intern),
            account: account.as_deref().map(SharedStr::intern),
            cert_id,
            renewal_mark: self.wanted.renewal.as_ref().and_then(RenewalWish::mark).cloned(),
        });
        let copy = || PairBackup { chain: bundle.chain().to_vec(), key: bundle.key().cloned() };
        self.claim.record.copy = self.entry().keep_copy.then(copy);
    }

    /// Writes the failure into the record and releases the claim. Returns the failure, also where the record cannot be written.
    pub(super) fn failed(&mut self, failed: AttemptError) -> AttemptError {
        let taken = self.claim.record.body.in_flight.as_ref().is_some_and(|f| f.holder == self.context.holder);
        if failed.uncounted && !taken {
            // Nothing was begun.
            return failed;
        }
        if failed.stage == Stage::Clock {
            // Every time that would be written is in doubt.
            return AttemptError { uncounted: true, ..failed };
        }
        let uncounted = failed.uncounted || self.context.stop.is_set();
        let now = time::now();
        let seed = self.entry().main_secret().to_string();
        self.uncount();
        if let Some(flight) = &mut self.claim.record.body.in_flight {
            flight.holder = String::new();
        } else {
            self.claim.record.next_key = None;
        }
        if !uncounted {
            let (names, directory) = (self.entry().order_names(), self.directory.url());
            let history = self.claim.record.body.history_mut(&names, directory, now);
            history.failures = history.failures.saturating_add(1);
            (history.stage, history.severity) = (Some(failed.stage), Some(failed.severity));
            history.error = Some(failed.error.chars().take(ERROR_KEPT_OCTETS).collect());
            history.limited = failed.limit.is_some();
            history.inputs = self.job.inputs.clone();
            let next =
                next_attempt(now, failed.severity, history.failures, self.job.short_lived, failed.retry_after, &seed);
            history.wait(now, next);
            metrics::failed(failed.stage.name());
            event!(
                error,
                "failed",
                secret = seed,
                stage = failed.stage,
                error = failed.error,
                attempt = history.failures,
                next_attempt = next
            );
            let text = format!("{}; next attempt at {next}", failed.error);
            self.tell(event_reason(failed.stage), self.entry().main_secret(), text);
        }
        if let Err(e) = self.claim.save() {
            event!(warn, "record-not-written", secret = seed, error = e.error);
        }
        AttemptError { uncounted, ..failed }
    }

    /// Notes the accepted form of the entry. Returns whether the record changed.
    pub(super) fn accept(&mut self) -> bool {
        let accepted = self.wanted.accepted();
        let changed = self.claim.record.body.accepted.as_deref() != Some(&accepted) && !self.wanted.last_accepted;
        if changed {
            self.claim.record.body.accepted = Some(Box::new(accepted));
        }
        let is_back = self.claim.record.body.orphaned.take().is_some();
        if is_back {
            event!(info, "wanted-again", secret = self.entry().main_secret());
        }
        is_back || changed
    }

    /// Publishes a Kubernetes Event about a Secret.
    pub(super) fn tell(&self, reason: EventReason, secret: &ObjectRef, text: String) {
        self.context.publish(reason, self.wanted, secret, text);
    }
}

/// The reason of the Kubernetes Event for a failure.
fn event_reason(stage: Stage) -> EventReason {
    match stage {
        Stage::Store => EventReason::StoreFailed,
        Stage::Publish => EventReason::UpdateRefused,
        Stage::Propagation => EventReason::NotPropagated,
        Stage::Validation => EventReason::ValidationFailed,
        Stage::Reach => EventReason::NotReached,
        Stage::Clock | Stage::Zone | Stage::Account | Stage::Order | Stage::Finalize | Stage::Download => {
            EventReason::OrderFailed
        }
    }
}
