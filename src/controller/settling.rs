//! Secrets whose wishes changed a moment ago. Nothing is decided about them until the wishes have stayed as they are for a while. Pure.

use std::collections::BTreeMap;

use crate::base::limits::{WISHES_SETTLE, WISHES_SETTLE_MAX};
use crate::base::name::ObjectRef;
use crate::base::time::Time;

/// The Secrets, each with the time of the first change and of the last one.
#[derive(Debug, Default)]
pub(super) struct Settling(BTreeMap<ObjectRef, (Time, Time)>);

fn due((first, last): (Time, Time)) -> Time {
    (first + WISHES_SETTLE_MAX).min(last + WISHES_SETTLE)
}

impl Settling {
    /// Notes a change.
    pub(super) fn note(&mut self, secret: &ObjectRef, now: Time) {
        self.0.entry(secret.clone()).or_insert((now, now)).1 = now;
    }

    /// Tells whether the wishes for a Secret have not settled.
    pub(super) fn holds(&self, secret: &ObjectRef) -> bool {
        self.0.contains_key(secret)
    }

    /// Takes the Secrets whose wishes have settled by `now`. After the clock was set back all have.
    pub(super) fn take(&mut self, now: Time) -> Vec<ObjectRef> {
        let mut settled = Vec::new();
        self.0.retain(|secret, times| {
            let is_due = due(*times) <= now || times.0 > now;
            if is_due {
                settled.push(secret.clone());
            }
            !is_due
        });
        settled
    }

    /// When the next ones settle.
    pub(super) fn next(&self) -> Option<Time> {
        self.0.values().copied().map(due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn changes_settle_after_a_rest_and_at_last_whatever_happens() {
        // Rule 32: an object that is created, and edited five times within two seconds.
        let at = |seconds: u64| Time::from_unix(1_800_000_000) + Duration::from_secs(seconds);
        let (a, b) = (ObjectRef::new("t", "a"), ObjectRef::new("t", "b"));
        let mut settling = Settling::default();
        settling.note(&a, at(0));
        settling.note(&b, at(1));
        assert_eq!((settling.next(), settling.take(at(2))), (Some(at(3)), vec![]));
        assert!(settling.holds(&a));
        assert_eq!(settling.take(at(3)), std::slice::from_ref(&a));
        for second in 2..11 {
            settling.note(&b, at(second));
            assert_eq!(settling.take(at(second)), [], "{second}");
        }
        settling.note(&b, at(11));
        assert_eq!(settling.take(at(11)), std::slice::from_ref(&b), "ten seconds after the first change");
        assert!(!settling.holds(&a) && settling.next().is_none());
        settling.note(&a, at(100));
        assert_eq!(settling.take(at(50)), [a], "the clock was set back");
    }
}
