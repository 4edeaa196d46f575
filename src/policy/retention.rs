//! The retention of a record whose entry was removed, or returned. Pure.
//!
//! An entry can be removed by mistake: an emptied key, a missing file, a rollback. Copy, key and history are kept for a
//! while, so that a returning entry finds them.

use std::time::Duration;

use crate::base::limits::FORGET_AFTER_MAX;
use crate::base::time::Time;
use crate::record::{Orphaned, RecordData};

/// The next step for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionStep {
    /// No entry wants the certificate: published values are withdrawn, the rest is kept for a while.
    Orphan(Orphaned),
    /// The certificate is wanted again.
    Reclaim,
    /// The entry did not return in time: the record is emptied.
    Forget,
}

/// The relation of the entries to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOwner {
    /// An entry wants the certificate.
    Wanted,
    /// The entry was in one of our ConfigMaps and was removed.
    Gone,
    /// The record was emptied before and names no entry.
    Emptied,
}

/// The next step for a record, if any.
pub fn fate(body: &RecordData, claimed: RecordOwner, forget_after: Duration, now: Time) -> Option<RetentionStep> {
    let published = !body.leftovers.is_empty() || body.in_flight.as_ref().is_some_and(|f| !f.published.is_empty());
    match (claimed, body.orphaned) {
        (RecordOwner::Wanted, Some(_)) => Some(RetentionStep::Reclaim),
        (RecordOwner::Wanted, None) => None,
        (RecordOwner::Emptied, _) => (!body.leftovers.is_empty()).then_some(RetentionStep::Forget),
        (RecordOwner::Gone, Some(orphaned)) if is_credible(orphaned, now) => match (orphaned.until <= now, published) {
            (true, _) => Some(RetentionStep::Forget),
            (false, true) => Some(RetentionStep::Orphan(orphaned)),
            (false, false) => None,
        },
        (RecordOwner::Gone, Some(_) | None) if forget_after.is_zero() => Some(RetentionStep::Forget),
        (RecordOwner::Gone, Some(_) | None) => {
            Some(RetentionStep::Orphan(Orphaned { since: now, until: now + forget_after }))
        }
    }
}

/// A mark of a wrong clock does not count: it would forget at once, or never.
fn is_credible(orphaned: Orphaned, now: Time) -> bool {
    orphaned.since <= now && orphaned.until <= now + FORGET_AFTER_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix(1_800_000_000);
    const WEEK: Duration = Duration::from_secs(7 * 86_400);

    fn fate_of(orphaned: Option<(i64, i64)>, claimed: RecordOwner, forget_after: Duration) -> Option<RetentionStep> {
        let at = |offset: i64| Time::from_unix(NOW.unix() + offset);
        let orphaned = orphaned.map(|(since, until)| Orphaned { since: at(since), until: at(until) });
        let mut body = RecordData::default();
        body.orphaned = orphaned;
        fate(&body, claimed, forget_after, NOW)
    }

    #[test]
    fn what_goes_is_kept_for_a_while_and_found_again() {
        let fresh = Some(RetentionStep::Orphan(Orphaned { since: NOW, until: NOW + WEEK }));
        for (orphaned, claimed, expected) in [
            (None, RecordOwner::Wanted, None),
            (None, RecordOwner::Gone, fresh),
            (None, RecordOwner::Emptied, None),
            (Some((-10, 10)), RecordOwner::Gone, None),
            (Some((-10, 10)), RecordOwner::Wanted, Some(RetentionStep::Reclaim)),
            (Some((-10, 0)), RecordOwner::Gone, Some(RetentionStep::Forget)),
            (Some((-10, 0)), RecordOwner::Wanted, Some(RetentionStep::Reclaim)),
            // By a clock that was ahead.
            (Some((10, 20)), RecordOwner::Gone, fresh),
            (Some((-10, 1_000_000_000)), RecordOwner::Gone, fresh),
        ] {
            assert_eq!(fate_of(orphaned, claimed, WEEK), expected, "{orphaned:?} {claimed:?}");
        }
        assert_eq!(fate_of(None, RecordOwner::Gone, Duration::ZERO), Some(RetentionStep::Forget));
    }
}
