//! When a certificate's zones are probed: once a day, spread over an hour, so that no server meets all at once. Pure.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use crate::limits::{PROBE_EVERY, PROBE_SPREAD};
use crate::name::ObjectRef;
use crate::time::Time;

/// Whether a probe began to be due after `last` and not after `now`. The first one is due within the hour after the start.
pub(super) fn is_due(secret: &ObjectRef, started: Time, last: Time, now: Time) -> bool {
    let mut hasher = DefaultHasher::new();
    secret.hash(&mut hasher);
    let first = started + Duration::from_secs(hasher.finish() % PROBE_SPREAD.as_secs());
    let days = now.since(first).as_secs() / PROBE_EVERY.as_secs();
    let latest = first + Duration::from_secs(days * PROBE_EVERY.as_secs());
    last < latest && latest <= now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_due_once_a_day_and_not_all_in_one_minute() {
        let start = Time::from_unix(1_800_000_000);
        let at = |minutes: u64| start + Duration::from_secs(minutes * 60);
        let mut minutes = std::collections::BTreeSet::new();
        for i in 0..100 {
            let secret = ObjectRef::parse(&format!("s{i}"), "ns").unwrap();
            let due: Vec<u64> = (1..3 * 24 * 60).filter(|m| is_due(&secret, start, at(m - 1), at(*m))).collect();
            assert_eq!(due.len(), 3, "{secret} {due:?}");
            assert!(due[0] <= 60 && due[1] == due[0] + 24 * 60 && due[2] == due[1] + 24 * 60, "{due:?}");
            minutes.insert(due[0]);
        }
        assert!(minutes.len() > 30, "{minutes:?}");
    }

    #[test]
    fn a_pass_that_comes_late_still_probes_and_a_clock_that_steps_back_does_no_harm() {
        let (secret, start) = (ObjectRef::parse("s", "ns").unwrap(), Time::from_unix(1_800_000_000));
        assert!(is_due(&secret, start, start, start + Duration::from_secs(3 * 86_400)));
        assert!(!is_due(&secret, start, start, start - Duration::from_secs(86_400)));
    }
}
