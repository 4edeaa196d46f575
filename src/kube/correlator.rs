//! Decides which Events are sent and with which count: an occurrence that repeats is counted up, and a subject has a budget for each reason.
//! Pure; what is remembered is bounded and may be lost.

use super::events::{EventReason, EventSeries, NewEvent, name};
use super::resource::Resource;
use crate::base::limits::{EVENT_BUDGETS_MAX, EVENT_BURST, EVENT_FIRSTS, EVENT_REFILL, EVENT_SERIES_MAX};
use crate::base::name::ObjectRef;
use crate::base::time::Time;

/// The Events of late, and how many more may be sent.
#[derive(Debug, Default)]
pub struct Correlator {
    /// The least recent first.
    series: Vec<EventSeries>,
    /// The budgets that are not full, the least recently used first.
    buckets: Vec<TokenBucket>,
}

/// The Events of one reason that a subject may still have. No reason takes from another: forty certificates that are issued hide none that
/// fails, and forty that fail hide no refusal.
#[derive(Debug)]
struct TokenBucket {
    subject: (Resource, ObjectRef),
    reason: EventReason,
    left: u32,
    /// When it last grew.
    at: Time,
}

impl TokenBucket {
    fn refill(&mut self, now: Time) {
        // After the clock was set back the bucket grows from then on.
        self.at = self.at.min(now);
        let earned =
            u32::try_from(now.since(self.at).as_secs().checked_div(EVENT_REFILL.as_secs()).unwrap_or_default())
                .unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(earned).min(EVENT_BURST);
        self.at = self.at + EVENT_REFILL.saturating_mul(earned);
    }
}

impl Correlator {
    /// Takes a token for an Event. Returns whether there was one. The last [`EVENT_FIRSTS`] are for what was not told yet, so that attempts
    /// that fail again and again hide no new failure.
    pub fn admits(&mut self, event: &NewEvent, now: Time) -> bool {
        self.buckets.iter_mut().for_each(|bucket| bucket.refill(now));
        self.buckets.retain(|bucket| bucket.left < EVENT_BURST);
        let (subject, reason) = ((event.subject.resource, event.subject.at.clone()), event.reason);
        let same = |bucket: &TokenBucket| bucket.subject == subject && bucket.reason == reason;
        let known = self.buckets.iter().position(same).map(|place| self.buckets.remove(place));
        let mut bucket = known.unwrap_or(TokenBucket { subject, reason, left: EVENT_BURST, at: now });
        let is_repeated = self.series.iter().any(|series| series.last.is_about_the_same(event));
        let admitted = bucket.left > if is_repeated { EVENT_FIRSTS } else { 0 };
        bucket.left = bucket.left.saturating_sub(u32::from(admitted));
        if self.buckets.len() >= EVENT_BUDGETS_MAX {
            self.buckets.remove(0);
        }
        self.buckets.push(bucket);
        admitted
    }

    /// The series of an occurrence: a new one with the count 1, or an earlier one counted up, with the text of this occurrence. Occurrences
    /// of one related object with the same reason are a series; without a related object the text tells them apart.
    pub fn count(&mut self, event: &NewEvent, now: Time, unique: u64) -> EventSeries {
        let same = |series: &EventSeries| series.last.subject == event.subject && series.last.is_about_the_same(event);
        let mut series = match self.series.iter().position(same) {
            Some(place) => self.series.remove(place),
            None => {
                if self.series.len() >= EVENT_SERIES_MAX {
                    self.series.remove(0);
                }
                let name = name(&event.subject.at.name, unique);
                EventSeries { name, last: event.clone(), count: 0, first_time: now, last_time: now }
            }
        };
        series.count = series.count.saturating_add(1);
        (series.last_time, series.last) = (now, event.clone());
        self.series.push(series.clone());
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::events::EventReason::{self, Contested, Issued, OrderFailed, Refused};
    use crate::kube::metadata::ObjectReference;

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn event(reason: EventReason, secret: Option<&str>, text: &str) -> NewEvent {
        let object = |resource, name: &str| ObjectReference::new(resource, &ObjectRef::new("team", name));
        let subject = object(Resource::CONFIG_MAPS, "certs");
        NewEvent { reason, subject, related: secret.map(|name| object(Resource::SECRETS, name)), text: text.to_owned() }
    }

    #[test]
    fn what_repeats_is_counted_up_with_the_words_of_now() {
        let mut correlator = Correlator::default();
        let mut unique = 0;
        let mut count = |mut event: NewEvent, uid: &str| {
            unique += 1;
            event.subject.uid = Some(uid.to_owned());
            let series = correlator.count(&event, NOW + EVENT_REFILL * unique, unique.into());
            assert_eq!(series.last, event);
            (
                series.name.trim_start_matches("certs.").trim_start_matches('0').to_owned(),
                series.count,
                series.last_time > series.first_time,
            )
        };
        for (event, uid, name, times) in [
            (event(OrderFailed, Some("a"), "attempt 1"), "u", "1", 1),
            (event(OrderFailed, Some("a"), "attempt 2"), "u", "1", 2),
            (event(OrderFailed, Some("b"), "attempt 1"), "u", "3", 1),
            (event(Contested, Some("a"), "attempt 1"), "u", "4", 1),
            (event(OrderFailed, Some("a"), "attempt 3"), "u", "1", 3),
            (event(OrderFailed, Some("a"), "attempt 3"), "made again", "6", 1),
            (event(Refused, None, "entry 1"), "u", "7", 1),
            (event(Refused, None, "entry 2"), "u", "8", 1),
            (event(Refused, None, "entry 1"), "u", "7", 2),
        ] {
            assert_eq!(count(event.clone(), uid), (name.to_owned(), times, times > 1), "{event:?}");
        }
    }

    #[test]
    fn the_least_recent_is_forgotten_when_there_are_too_many() {
        let mut correlator = Correlator::default();
        let mut count = |n: usize| correlator.count(&event(Issued, Some(&format!("s{n}")), ""), NOW, 1).count;
        assert_eq!((0..EVENT_SERIES_MAX).map(&mut count).max(), Some(1));
        assert_eq!(count(0), 2, "the most recent by now");
        assert_eq!(count(EVENT_SERIES_MAX), 1);
        assert_eq!((count(0), count(1)), (3, 1));
        assert_eq!(correlator.series.len(), EVENT_SERIES_MAX);
    }

    #[test]
    fn an_object_has_a_burst_of_each_reason_and_then_one_at_a_time() {
        let mut correlator = Correlator::default();
        let (issued, failed) = (event(Issued, None, ""), event(OrderFailed, None, ""));
        let mut admitted = |event: &NewEvent, now: Time| (0..100).filter(|_| correlator.admits(event, now)).count();
        assert_eq!(admitted(&issued, NOW), 25);
        assert_eq!(admitted(&failed, NOW), 25, "what fails is not hidden by what does not");
        assert_eq!(admitted(&event(Refused, None, ""), NOW), 25, "nor by what fails in another way");
        let later = |refills: u32| NOW + EVENT_REFILL * refills;
        assert_eq!(admitted(&issued, later(1) - std::time::Duration::from_secs(1)), 0);
        assert_eq!(admitted(&issued, later(1)), 1);
        assert_eq!(admitted(&issued, later(4)), 3);
        assert_eq!(admitted(&issued, NOW), 0, "the clock was set back");
        assert_eq!(admitted(&issued, later(1)), 1);
        assert_eq!(admitted(&issued, later(1000)), 25);
    }

    #[test]
    fn each_of_many_objects_has_a_budget_and_the_oldest_are_forgotten() {
        let mut correlator = Correlator::default();
        let object = |n: usize| {
            let subject = ObjectReference::new(Resource::CONFIG_MAPS, &ObjectRef::new("t", &format!("c{n}")));
            NewEvent { subject, ..event(Issued, None, "") }
        };
        assert_eq!(
            (0..3 * EVENT_BUDGETS_MAX).filter(|n| correlator.admits(&object(*n), NOW)).count(),
            3 * EVENT_BUDGETS_MAX
        );
        assert_eq!(correlator.buckets.len(), EVENT_BUDGETS_MAX);
        assert!(correlator.admits(&object(0), NOW + EVENT_REFILL));
        assert_eq!(correlator.buckets.len(), 1, "those that are full again are forgotten");
    }

    #[test]
    fn what_repeats_leaves_room_for_what_is_new() {
        let mut correlator = Correlator::default();
        let mut publish = |secret: &str| {
            let event = event(OrderFailed, Some(secret), "no");
            let admitted = correlator.admits(&event, NOW);
            if admitted {
                correlator.count(&event, NOW, 1);
            }
            admitted
        };
        let repeated = (0..100).filter(|_| publish("a")).count();
        let new = (0..100).filter(|n| publish(&format!("new-{n}"))).count();
        assert_eq!((repeated, new), (15, 10), "the first of all is new, too");
    }
}
