//! The probe: a signed UPDATE that deletes a value that was never written. The probe tests key, clock, policy and reachability long before a
//! renewal needs them, and does not change the serial. An UPDATE of prerequisites only would not do: BIND and Knot answer NOERROR for names
//! that the key may not write. Tested by tests/it/probes.rs.

use std::slice;

use super::circuits::Slot;
use super::context::Context;
use super::error::AttemptError;
use super::solver::dns01::Dns01Solver;
use super::solver::dns01::zone_update::ZoneUpdate;
use crate::base::challenge_type::ChallengeType;
use crate::base::log::event;
use crate::base::time;
use crate::dns::zone::ChallengeLocation;
use crate::policy::backoff::{RetryClass, Stage};
use crate::record::PresentedTxt;
use crate::sources::CertificateSpec;

/// Probes the zones of a certificate that were not probed lately.
///
/// # Errors
/// When a name has no zone, or a zone refuses the UPDATE. Both are logged.
pub fn probe(context: &Context, wanted: &CertificateSpec) -> Result<(), AttemptError> {
    let mut names = wanted.entry.order_names();
    names.retain(|name| wanted.challenge_of(name) == ChallengeType::Dns01);
    let is_due = |target: &ChallengeLocation| context.probes.is_due(&target.zone, &target.key, time::now());
    let places = Dns01Solver::find_some(context, wanted, &names, &is_due).inspect_err(|failed| {
        if failed.barred.is_none() {
            event!(warn, "probe-failed", secret = wanted.entry.main_secret(), error = failed.error);
        }
    })?;
    let mut result = Ok(());
    for batch in places.probes() {
        let (zone, key) = (&batch.published.zone, &batch.published.key);
        let permits = places.enter(slice::from_ref(&batch))?;
        if context.probes.begin(zone, key, time::now())
            && let Err(error) = probe_zone(context, wanted, batch, &permits)
        {
            result = Err(AttemptError::new(Stage::Publish, RetryClass::Transient, error));
        }
    }
    result
}

fn probe_zone(
    context: &Context,
    wanted: &CertificateSpec,
    mut batch: ZoneUpdate,
    permits: &[Slot<'_>],
) -> Result<(), String> {
    let (PresentedTxt { zone, key, .. }, at) = (&batch.published.clone(), time::now());
    let done = batch.delete(&context.dns, permits, wanted.entry.dns.transport);
    let changed = context.probes.end(zone, key, at, done.as_ref().map(|_| ()).map_err(String::clone));
    match &done {
        Ok((server, tsig)) if changed => event!(info, "probed", zone = zone, server = server, key = tsig),
        Ok((server, tsig)) => event!(debug, "probed", zone = zone, server = server, key = tsig),
        Err(error) => event!(warn, "probe-failed", zone = zone, key_secret = key, error = error),
    }
    done.map(|_| ())
}
