//! Decides which Events are sent and with which count: an occurrence that repeats is counted up, and a subject with many Events has a budget.
//! Pure; what is remembered is bounded and may be lost.

use super::events::{EventSeries, NewEvent, name};
use super::resource::Resource;
use crate::base::limits::{EVENT_BURST, EVENT_OBJECTS_MAX, EVENT_REFILL, EVENT_SERIES_MAX};
use crate::base::name::ObjectRef;
use crate::base::time::Time;

/// The Events of late, and how many more may be sent.
#[derive(Debug, Default)]
pub struct Correlator {
    /// The least recent first.
    series: Vec<EventSeries>,
    /// The buckets that are not full.
    buckets: Vec<TokenBucket>,
}

/// The Events that a subject may still have. Warnings have a bucket of their own, so that a thousand certificates that are issued do not
/// hide the one that is not.
#[derive(Debug)]
struct TokenBucket {
    subject: (Resource, ObjectRef),
    is_warning: bool,
    left: u32,
    /// When it last grew.
    at: Time,
}

impl TokenBucket {
    fn refill(&mut self, now: Time) {
        // After the clock was set back the bucket grows from then on.
        self.at = self.at.min(now);
        let earned = u32::try_from(now.since(self.at).as_secs() / EVENT_REFILL.as_secs()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(earned).min(EVENT_BURST);
        self.at = self.at + EVENT_REFILL.saturating_mul(earned);
    }
}

impl Correlator {
    /// Takes a token for an Event. Returns whether there was one.
    pub fn admits(&mut self, event: &NewEvent, now: Time) -> bool {
        self.buckets.iter_mut().for_each(|bucket| bucket.refill(now));
        self.buckets.retain(|bucket| bucket.left < EVENT_BURST);
        let (subject, is_warning) = ((event.subject.resource, event.subject.at.clone()), event.reason.is_warning());
        let full = self.buckets.len() >= EVENT_OBJECTS_MAX;
        let known = self.buckets.iter_mut().find(|b| b.subject == subject && b.is_warning == is_warning);
        match known {
            Some(bucket) if bucket.left == 0 => false,
            Some(bucket) => {
                bucket.left -= 1;
                true
            }
            None if full => false,
            None => {
                self.buckets.push(TokenBucket { subject, is_warning, left: EVENT_BURST - 1, at: now });
                true
            }
        }
    }

    /// The series of an occurrence: a new one with the count 1, or an earlier one counted up, with the text of this occurrence. Occurrences
    /// of one related object with the same reason are a series; without a related object the text tells them apart.
    pub fn count(&mut self, event: &NewEvent, now: Time, unique: u64) -> EventSeries {
        let same = |series: &EventSeries| {
            let NewEvent { reason, subject, related, text } = &series.last;
            let about = *subject == event.subject && *reason == event.reason && *related == event.related;
            about && (related.is_some() || *text == event.text)
        };
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
    fn an_object_has_a_burst_and_then_one_at_a_time() {
        let mut correlator = Correlator::default();
        let (issued, failed) = (event(Issued, None, ""), event(OrderFailed, None, ""));
        let mut admitted = |event: &NewEvent, now: Time| (0..100).filter(|_| correlator.admits(event, now)).count();
        assert_eq!(admitted(&issued, NOW), 25);
        assert_eq!(admitted(&failed, NOW), 25, "what warns is not hidden by what does not");
        let later = |refills: u32| NOW + EVENT_REFILL * refills;
        assert_eq!(admitted(&issued, later(1) - std::time::Duration::from_secs(1)), 0);
        assert_eq!(admitted(&issued, later(1)), 1);
        assert_eq!(admitted(&issued, later(4)), 3);
        assert_eq!(admitted(&issued, NOW), 0, "the clock was set back");
        assert_eq!(admitted(&issued, later(1)), 1);
        assert_eq!(admitted(&issued, later(1000)), 25);
        let mut other = Correlator::default();
        let object = |n: usize| {
            let subject = ObjectReference::new(Resource::CONFIG_MAPS, &ObjectRef::new("t", &format!("c{n}")));
            NewEvent { subject, ..issued.clone() }
        };
        assert_eq!((0..1000).filter(|n| other.admits(&object(*n), NOW)).count(), EVENT_OBJECTS_MAX);
        assert!(other.admits(&object(1000), later(1)), "those that are full again are forgotten");
    }
}
