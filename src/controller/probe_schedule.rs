//! When a certificate's zones are probed: once a day, spread over an hour, so that no server meets all at once. Pure.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use crate::base::limits::{PROBE_EVERY, PROBE_SPREAD};
use crate::base::name::ObjectRef;
use crate::base::time::Time;

/// The first moment of a probe after `last`. The first of all is within an hour after the start.
pub(super) fn next_probe(secret: &ObjectRef, started: Time, last: Time) -> Time {
    let mut hasher = DefaultHasher::new();
    secret.hash(&mut hasher);
    let first = started + Duration::from_secs(hasher.finish() % PROBE_SPREAD.as_secs());
    if last < first {
        return first;
    }
    let days = last.since(first).as_secs() / PROBE_EVERY.as_secs() + 1;
    first + Duration::from_secs(days * PROBE_EVERY.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_due_once_a_day_and_not_all_in_one_minute() {
        let (start, mut minutes) = (Time::from_unix(1_800_000_000), std::collections::BTreeSet::new());
        for i in 0..100 {
            let secret = ObjectRef::parse(&format!("s{i}"), "ns").unwrap();
            let first = next_probe(&secret, start, start - Duration::from_secs(1));
            assert!(first.since(start) < PROBE_SPREAD, "{first}");
            let late = first + Duration::from_secs(30);
            assert_eq!(
                next_probe(&secret, start, late),
                first + PROBE_EVERY,
                "a probe that comes late does not move the next"
            );
            assert_eq!(next_probe(&secret, start, first + PROBE_EVERY), first + 2 * PROBE_EVERY);
            minutes.insert(first.since(start).as_secs() / 60);
        }
        assert!(minutes.len() > 30, "{minutes:?}");
    }

    #[test]
    fn a_clock_that_steps_does_no_harm() {
        let (secret, start) = (ObjectRef::parse("s", "ns").unwrap(), Time::from_unix(1_800_000_000));
        let back = start - Duration::from_secs(86_400);
        assert_eq!(next_probe(&secret, start, back), next_probe(&secret, start, start - Duration::from_secs(1)));
        let ahead = start + Duration::from_secs(30 * 86_400);
        assert!(next_probe(&secret, start, ahead) > ahead);
    }
}
