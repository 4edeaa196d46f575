//! The probe: a signed UPDATE that deletes a value nobody ever wrote. It tests key, clock, policy and reachability without moving the
//! serial, long before a renewal needs them. (One of prerequisites only would not: BIND and Knot answer NOERROR for names that the key
//! may not write.) Tested by tests/it/probes.rs.

use std::collections::BTreeMap;
use std::slice;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::circuits::Slot;
use super::dns01::{Dns01Solver, ZoneUpdate};
use super::{AttemptError, Context};
use crate::base::limits::PROBE_EVERY;
use crate::base::log::event;
use crate::base::name::{DnsName, ObjectRef};
use crate::base::time::{self, Time};
use crate::dns::zone::ChallengeLocation;
use crate::policy::backoff::{RetryClass, Stage};
use crate::record::Presented;
use crate::sources::CertificateSpec;

/// How the last probe of a zone with a key went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// When it began.
    pub at: Time,
    /// What came of it; none until the first one has ended.
    pub result: Option<Result<(), String>>,
}

/// The last probes by zone and Secret of the key.
#[derive(Debug, Default)]
pub struct Probes(Mutex<BTreeMap<(DnsName, ObjectRef), Probe>>);

impl Probes {
    /// How the last ones went, a zone each; well where it was with each of its keys.
    pub fn results(&self) -> Vec<(DnsName, bool)> {
        let probes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut zones = BTreeMap::new();
        for ((zone, _), probe) in probes.iter() {
            if let Some(result) = &probe.result {
                *zones.entry(zone.clone()).or_insert(true) &= result.is_ok();
            }
        }
        zones.into_iter().collect()
    }

    /// Whether the zone was not probed with this key lately.
    fn is_due(&self, zone: &DnsName, key: &ObjectRef, now: Time) -> bool {
        let probes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        is_due(probes.get(&(zone.clone(), key.clone())), now)
    }

    /// Whether it is this caller's turn to probe the zone: many certificates share one. Remembers that it began.
    fn begin(&self, zone: &DnsName, key: &ObjectRef, now: Time) -> bool {
        let mut probes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (zone.clone(), key.clone());
        let due = is_due(probes.get(&place), now);
        if due {
            // A zone that nobody wants any more is forgotten.
            probes.retain(|_, last| last.at + PROBE_EVERY + Duration::from_secs(3 * 3600) > now);
            let result = probes.remove(&place).and_then(|last| last.result);
            probes.insert(place, Probe { at: now, result });
        }
        due
    }

    /// Remembers the result. Returns whether it was another one before.
    fn end(&self, zone: &DnsName, key: &ObjectRef, at: Time, result: Result<(), String>) -> bool {
        let mut probes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = Some(result);
        let last = probes.insert((zone.clone(), key.clone()), Probe { at, result: result.clone() });
        last.is_none_or(|last| last.result != result)
    }
}

/// Some of a zone's certificates come a little earlier the next day than others did.
fn is_due(last: Option<&Probe>, now: Time) -> bool {
    last.is_none_or(|last| last.at + PROBE_EVERY / 2 <= now)
}

/// Probes the zones of a certificate that were not probed lately.
///
/// # Errors
/// When a name has no zone, or a zone would not take an UPDATE. Both were said in the log.
pub fn probe(context: &Context, wanted: &CertificateSpec) -> Result<(), AttemptError> {
    let names = wanted.entry.order_names();
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
    let (Presented { zone, key, .. }, at) = (&batch.published.clone(), time::now());
    let done = batch.delete(&context.dns, permits, wanted.entry.dns.transport);
    let changed = context.probes.end(zone, key, at, done.as_ref().map(|_| ()).map_err(String::clone));
    match &done {
        Ok((server, tsig)) if changed => event!(info, "probed", zone = zone, server = server, key = tsig),
        Ok((server, tsig)) => event!(debug, "probed", zone = zone, server = server, key = tsig),
        Err(error) => event!(warn, "probe-failed", zone = zone, key_secret = key, error = error),
    }
    done.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_and_key_are_probed_once_a_day_however_many_certificates_share_them() {
        let (probes, zone, now) = (Probes::default(), "a.test".parse().unwrap(), Time::from_unix(1_800_000_000));
        let key = |name: &str| ObjectRef::parse(name, "ns").unwrap();
        assert!(probes.begin(&zone, &key("k"), now));
        assert!(!probes.begin(&zone, &key("k"), now + Duration::from_secs(3600)), "another certificate");
        assert!(probes.begin(&zone, &key("other"), now), "another key");
        assert!(probes.end(&zone, &key("k"), now, Ok(())));
        let next = now + PROBE_EVERY - Duration::from_secs(3599);
        assert!(probes.begin(&zone, &key("k"), next));
        assert!(!probes.end(&zone, &key("k"), next, Ok(())), "as it was");
        assert!(probes.end(&zone, &key("k"), next, Err("no".to_owned())));
        assert_eq!(probes.0.lock().unwrap().len(), 2);
        assert!(probes.begin(&zone, &key("k"), next + PROBE_EVERY));
        assert_eq!(probes.0.lock().unwrap().len(), 1, "nobody asked for the other one");
    }
}
