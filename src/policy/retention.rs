//! The retention of a record whose entry was removed, or returned. Pure.
//!
//! An entry can be removed by mistake: an emptied key, a missing file, a rollback. Copy, key and history are kept for a
//! while, so that a returning entry finds them.

use std::time::Duration;

use crate::base::limits::{FORGET_AFTER_MAX, TIDY_FIRST, TIDY_INTERVAL};
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
    /// The Secret stays for good, whatever `-prune` says.
    KeepSecret,
    /// The Secret is deleted, where the record still says this and the Secret is as notariat stored it.
    Prune(Orphaned),
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
            // What was decided about the Secret stays, also where the times are written anew.
            let secret = body.orphaned.map(|orphaned| orphaned.secret).unwrap_or_default();
            Some(RetentionStep::Orphan(Orphaned { since: now, until: now + forget_after, secret }))
        }
    }
}

/// The time of the next try to withdraw what a record says is left behind, after one at `last`. The pauses grow with the age of what is
/// left, from [`TIDY_FIRST`] to [`TIDY_INTERVAL`]: a server that was away for seconds leaves nothing for longer than a minute.
pub fn next_clean_up(last: Time, body: &RecordData) -> Time {
    let newest = body.leftovers.iter().map(|left| left.since).max();
    last + newest.map_or(TIDY_INTERVAL, |since| last.since(since).clamp(TIDY_FIRST, TIDY_INTERVAL))
}

/// A mark of a wrong clock does not count: it would forget at once, or never.
fn is_credible(orphaned: Orphaned, now: Time) -> bool {
    orphaned.since <= now && orphaned.until <= now + FORGET_AFTER_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{LeftBehind, OrphanedSecret, PendingOrder, Presented};

    const NOW: Time = Time::from_unix(1_800_000_000);
    const WEEK: Duration = Duration::from_secs(7 * 86_400);

    fn fate_of(orphaned: Option<(i64, i64)>, claimed: RecordOwner, forget_after: Duration) -> Option<RetentionStep> {
        let at = |offset: i64| Time::from_unix(NOW.unix() + offset);
        let orphaned = orphaned.map(|(since, until)| Orphaned {
            since: at(since),
            until: at(until),
            secret: OrphanedSecret::Open,
        });
        let mut body = RecordData::default();
        body.orphaned = orphaned;
        fate(&body, claimed, forget_after, NOW)
    }

    #[test]
    fn what_goes_is_kept_for_a_while_and_found_again() {
        let fresh =
            Some(RetentionStep::Orphan(Orphaned { since: NOW, until: NOW + WEEK, secret: OrphanedSecret::Open }));
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
        let mut body = RecordData::default();
        body.orphaned = Some(Orphaned { since: NOW + WEEK, until: NOW + WEEK, secret: OrphanedSecret::Kept });
        let anew = Orphaned { since: NOW, until: NOW + WEEK, secret: OrphanedSecret::Kept };
        assert_eq!(
            fate(&body, RecordOwner::Gone, WEEK, NOW),
            Some(RetentionStep::Orphan(anew)),
            "what is kept stays so"
        );
    }

    fn left(since: Time) -> LeftBehind {
        let text =
            r#"{"since": 0, "zone": "a.test", "server": "ns", "address": "192.0.2.1:53", "key": "ns/k", "values": []}"#;
        LeftBehind { since, ..serde_json::from_str(text).unwrap() }
    }

    #[test]
    fn what_is_published_is_withdrawn_while_the_rest_is_kept() {
        let kept = Orphaned { since: NOW - WEEK, until: NOW + WEEK, secret: OrphanedSecret::Kept };
        let pending = |published: Vec<Presented>| {
            let pending = PendingOrder::new("", NOW, &[], "https://ca.test/dir", ("", None));
            Some(Box::new(PendingOrder { published, ..pending }))
        };
        let withdraw = Some(RetentionStep::Orphan(kept));
        for (what, leftovers, in_flight, expected) in [
            ("left behind", vec![left(NOW)], None, withdraw),
            ("of an order", vec![], pending(vec![left(NOW).published]), withdraw),
            ("an order without values", vec![], pending(vec![]), None),
            ("nothing", vec![], None, None),
        ] {
            let mut body = RecordData::default();
            (body.orphaned, body.leftovers, body.in_flight) = (Some(kept), leftovers, in_flight);
            assert_eq!(fate(&body, RecordOwner::Gone, WEEK, NOW), expected, "{what}");
        }
    }

    #[test]
    fn what_is_left_behind_is_withdrawn_after_one_minute_then_two_then_four_up_to_ten() {
        let mut body = RecordData::default();
        let pause = |body: &RecordData, age: u64| {
            let last = NOW + Duration::from_secs(age);
            next_clean_up(last, body).since(last).as_secs()
        };
        assert_eq!(pause(&body, 0), 600, "nothing is left behind, and something else is not as it should be");
        body.leftovers.push(left(NOW));
        let (mut age, mut pauses) = (0, Vec::new());
        for _ in 0..6 {
            pauses.push(pause(&body, age));
            age += pauses[pauses.len() - 1];
        }
        assert_eq!(pauses, [60, 60, 120, 240, 480, 600]);
        body.leftovers.push(left(NOW + Duration::from_secs(age)));
        assert_eq!(pause(&body, age), 60, "what is new counts");
        assert_eq!(pause(&body, 0), 60, "a clock that was ahead wrote it");
    }
}
