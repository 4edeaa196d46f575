//! Own writes that no watch has shown yet: until then what is known of a certificate is old. Pure.

use std::collections::BTreeMap;

use crate::base::limits::SHOWN_WITHIN;
use crate::base::name::ObjectRef;
use crate::base::time::Time;

/// The writes that are awaited, by the certificate that they are for.
#[derive(Debug, Default)]
pub(super) struct Expectations(BTreeMap<ObjectRef, Expected>);

/// Written objects with their versions, and when they were written.
#[derive(Debug)]
struct Expected {
    writes: Vec<(ObjectRef, String)>,
    since: Time,
}

impl Expectations {
    /// Expects a watch to show these versions. Returns whether there are any.
    pub(super) fn expect(&mut self, secret: &ObjectRef, writes: Vec<(ObjectRef, String)>, now: Time) -> bool {
        if writes.is_empty() {
            self.0.remove(secret);
            return false;
        }
        self.0.insert(secret.clone(), Expected { writes, since: now });
        true
    }

    /// Tells whether nothing is awaited.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops what is awaited for certificates that nobody wants.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&ObjectRef) -> bool) {
        self.0.retain(|secret, _| is_wanted(secret));
    }

    /// Drops the writes that are shown by now, and those that are overdue. Returns the certificates for which none is left, and the objects
    /// that are overdue.
    pub(super) fn observe(
        &mut self,
        shows: impl Fn(&ObjectRef, &str) -> bool,
        now: Time,
    ) -> (Vec<ObjectRef>, Vec<ObjectRef>) {
        let (mut settled, mut late) = (Vec::new(), Vec::new());
        self.0.retain(|secret, expected| {
            expected.writes.retain(|(at, version)| !shows(at, version));
            if expected.since + SHOWN_WITHIN <= now || now < expected.since {
                late.extend(expected.writes.drain(..).map(|(at, _)| at));
            }
            if expected.writes.is_empty() {
                settled.push(secret.clone());
            }
            !expected.writes.is_empty()
        });
        (settled, late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix(1_800_000_000);

    #[test]
    fn a_write_is_awaited_until_it_is_shown_or_overdue() {
        let at = |name: &str| ObjectRef::new("t", name);
        let written = || vec![(at("web"), "7".to_owned()), (at("record"), "8".to_owned())];
        let mut expectations = Expectations::default();
        assert!(!expectations.expect(&at("web"), Vec::new(), NOW) && expectations.is_empty());
        assert!(expectations.expect(&at("web"), written(), NOW));
        assert_eq!(expectations.observe(|_, version| version == "7", NOW), (vec![], vec![]), "one of two");
        assert_eq!(expectations.observe(|_, version| version == "8", NOW), (vec![at("web")], vec![]));
        assert!(expectations.is_empty());
        for late in [NOW + SHOWN_WITHIN, Time::from_unix(NOW.unix() - 1)] {
            expectations.expect(&at("web"), written(), NOW);
            let (settled, overdue) = expectations.observe(|_, _| false, late);
            assert_eq!((settled, overdue), (vec![at("web")], vec![at("web"), at("record")]), "{late}");
        }
        expectations.expect(&at("web"), written(), NOW);
        expectations.retain(|_| false);
        assert!(expectations.is_empty());
    }
}
