//! How an attempt is written into the record: what it gave, or how it failed and when the next one may be.

use super::Attempt;
use crate::base::limits::ERROR_KEPT_OCTETS;
use crate::base::log::event;
use crate::base::metrics;
use crate::base::shared_str::SharedStr;
use crate::base::time;
use crate::cert::bundle::CheckedBundle;
use crate::issuance::AttemptError;
use crate::issuance::claim::Claim;
use crate::kube::events::EventReason;
use crate::policy::backoff::{Stage, next_attempt};
use crate::policy::{Reason, Violation};
use crate::record::{Issued, PairBackup};
use crate::store::Origin;

impl Attempt<'_> {
    pub(super) fn succeeded(&self, claim: &mut Claim<'_>, bundle: &CheckedBundle, finding: &Violation) {
        let now = time::now();
        let (facts, directory) = (bundle.facts(), self.directory.url());
        let account = claim.record.body.in_flight.as_ref().and_then(|f| f.account.clone()).unwrap_or_default();
        let order = claim.record.body.in_flight.as_ref().and_then(|f| f.order.clone()).unwrap_or_default();
        let history = claim.record.body.history_mut(&self.entry().order_names(), directory, now);
        (history.failures, history.stage, history.error, history.next_attempt) = (0, None, None, None);
        self.record_result(claim, bundle);
        self.context.renewal_schedule.ask_soon(self.entry().main_secret(), now);
        (claim.record.body.window, claim.record.body.next_question) = (None, None);
        claim.record.body.in_flight = None;
        claim.record.next_key = None;
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

    /// Remembers what was stored. What is in flight ordered it.
    pub(super) fn record_result(&self, claim: &mut Claim<'_>, bundle: &CheckedBundle) {
        let Origin { directory, key_type, profile } = self.origin();
        let account = claim.record.body.in_flight.as_ref().and_then(|f| f.account.clone());
        let (serial, cert_id) = (bundle.facts().serial.clone(), bundle.facts().cert_id.clone());
        claim.record.body.stored = Some(Issued {
            serial,
            at: time::now(),
            directory: SharedStr::intern(&directory),
            key_type: SharedStr::intern(&key_type),
            profile: profile.as_deref().map(SharedStr::intern),
            account: account.as_deref().map(SharedStr::intern),
            cert_id,
        });
        let copy = || PairBackup { chain: bundle.chain().to_vec(), key: bundle.key().clone() };
        claim.record.copy = self.entry().keep_copy.then(copy);
    }

    /// Writes the failure into the record and gives the claim back. That this may fail as well changes nothing for the caller.
    pub(super) fn failed(&self, claim: &mut Claim<'_>, failed: AttemptError) -> AttemptError {
        let taken = claim.record.body.in_flight.as_ref().is_some_and(|f| f.holder == self.context.holder);
        if failed.barred.is_some() && !taken {
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
        if let Some(flight) = &mut claim.record.body.in_flight {
            flight.holder = String::new();
        } else {
            claim.record.next_key = None;
        }
        if !uncounted {
            let (names, directory) = (self.entry().order_names(), self.directory.url());
            let history = claim.record.body.history_mut(&names, directory, now);
            history.failures = history.failures.saturating_add(1);
            (history.stage, history.severity) = (Some(failed.stage), Some(failed.severity));
            history.error = Some(failed.error.chars().take(ERROR_KEPT_OCTETS).collect());
            history.limited = failed.limit.is_some();
            history.inputs = self.job.inputs.clone();
            let next =
                next_attempt(now, failed.severity, history.failures, self.job.short_lived, failed.retry_after, &seed);
            history.next_attempt = Some(next);
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
        if let Err(e) = claim.save() {
            event!(warn, "record-not-written", secret = seed, error = e.error);
        }
        AttemptError { uncounted, ..failed }
    }
}

/// The word for a failure in what users of the cluster are told.
fn event_reason(stage: Stage) -> EventReason {
    match stage {
        Stage::Store => EventReason::StoreFailed,
        Stage::Publish => EventReason::UpdateRefused,
        Stage::Propagation => EventReason::NotPropagated,
        Stage::Validation => EventReason::ValidationFailed,
        Stage::Clock | Stage::Zone | Stage::Account | Stage::Order | Stage::Finalize | Stage::Download => {
            EventReason::OrderFailed
        }
    }
}
