//! When each zone was probed last, and with which result.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::base::limits::PROBE_EVERY;
use crate::base::name::{DnsName, ObjectRef};
use crate::base::time::Time;

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
    pub(super) fn is_due(&self, zone: &DnsName, key: &ObjectRef, now: Time) -> bool {
        let probes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        is_due(probes.get(&(zone.clone(), key.clone())), now)
    }

    /// Whether it is this caller's turn to probe the zone: many certificates share one. Remembers that it began.
    pub(super) fn begin(&self, zone: &DnsName, key: &ObjectRef, now: Time) -> bool {
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
    pub(super) fn end(&self, zone: &DnsName, key: &ObjectRef, at: Time, result: Result<(), String>) -> bool {
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
