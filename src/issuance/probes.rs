//! The last probe of each zone and its result.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::base::limits::PROBE_EVERY;
use crate::base::name::DnsName;
use crate::base::time::Time;
use crate::dns::tsig_secret::TsigSecret;

/// The last probe of a zone with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The start.
    pub at: Time,
    /// The result; `None` until the first probe has ended.
    pub result: Option<Result<(), String>>,
}

/// The last probes by zone and Secret of the key.
#[derive(Debug, Default)]
pub struct Probes(Mutex<BTreeMap<(DnsName, TsigSecret), Probe>>);

impl Probes {
    /// The zones, and whether the last probe succeeded with each key of the zone.
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

    /// Tells whether the zone was not probed with this key lately.
    pub(super) fn is_due(&self, zone: &DnsName, key: &TsigSecret, now: Time) -> bool {
        let probes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        is_due(probes.get(&(zone.clone(), key.clone())), now)
    }

    /// Starts a probe of a zone that is due. Returns whether it is due: many certificates share a zone.
    pub(super) fn begin(&self, zone: &DnsName, key: &TsigSecret, now: Time) -> bool {
        let mut probes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (zone.clone(), key.clone());
        let due = is_due(probes.get(&place), now);
        if due {
            // Zones that no certificate uses any more are dropped.
            probes.retain(|_, last| last.at + PROBE_EVERY + Duration::from_secs(3 * 3600) > now);
            let result = probes.remove(&place).and_then(|last| last.result);
            probes.insert(place, Probe { at: now, result });
        }
        due
    }

    /// Notes the result. Returns whether it differs from the one before.
    pub(super) fn end(&self, zone: &DnsName, key: &TsigSecret, at: Time, result: Result<(), String>) -> bool {
        let mut probes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = Some(result);
        let last = probes.insert((zone.clone(), key.clone()), Probe { at, result: result.clone() });
        last.is_none_or(|last| last.result != result)
    }
}

/// Tells whether a probe is due. Half of the interval is enough, because the jobs of a zone's certificates come at different times each day.
fn is_due(last: Option<&Probe>, now: Time) -> bool {
    last.is_none_or(|last| last.at + PROBE_EVERY / 2 <= now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::ObjectRef;

    #[test]
    fn a_zone_and_key_are_probed_once_a_day_however_many_certificates_share_them() {
        let (probes, zone, now) = (Probes::default(), "a.test".parse().unwrap(), Time::from_unix(1_800_000_000));
        let key = |name: &str| TsigSecret::from(ObjectRef::parse(name, "ns").unwrap());
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
