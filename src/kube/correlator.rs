//! Which Events are sent and under which count: what repeats is counted up instead of told again, and an object that has much to tell
//! is heard less often. Pure; what is remembered is bounded and may be lost.

use super::events::{EventObject, NewEvent, name};
use crate::base::limits::{EVENT_BURST, EVENT_OBJECTS_MAX, EVENT_REFILL, EVENT_SERIES_MAX};
use crate::base::name::ObjectRef;
use crate::base::time::Time;

/// What was told, and what may still be.
#[derive(Debug, Default)]
pub struct Correlator {
    /// The least recent first.
    told: Vec<EventObject>,
    /// Those that are not full.
    budgets: Vec<TokenBucket>,
}

/// How many Events an object may still have: those that warn apart from the others, so that a thousand certificates that are issued do
/// not hide the one that is not.
#[derive(Debug)]
struct TokenBucket {
    config_map: ObjectRef,
    is_warning: bool,
    left: u32,
    /// When it last grew.
    at: Time,
}

impl TokenBucket {
    fn refill(&mut self, now: Time) {
        // After the clock was set back it grows from then on.
        self.at = self.at.min(now);
        let earned = u32::try_from(now.since(self.at).as_secs() / EVENT_REFILL.as_secs()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(earned).min(EVENT_BURST);
        self.at = self.at + EVENT_REFILL.saturating_mul(earned);
    }
}

impl Correlator {
    /// Whether one more Event of this kind may be sent; it is taken for sent.
    pub fn admits(&mut self, notice: &NewEvent, now: Time) -> bool {
        self.budgets.iter_mut().for_each(|budget| budget.refill(now));
        self.budgets.retain(|budget| budget.left < EVENT_BURST);
        let (config_map, is_warning) = (&notice.config_map, notice.reason.is_warning());
        let full = self.budgets.len() >= EVENT_OBJECTS_MAX;
        let known = self.budgets.iter_mut().find(|b| b.config_map == *config_map && b.is_warning == is_warning);
        match known {
            Some(budget) if budget.left == 0 => false,
            Some(budget) => {
                budget.left -= 1;
                true
            }
            None if full => false,
            None => {
                let (config_map, left) = (config_map.clone(), EVENT_BURST - 1);
                self.budgets.push(TokenBucket { config_map, is_warning, left, at: now });
                true
            }
        }
    }

    /// The Event of a notice about the ConfigMap with this uid: a new one with the count 1, or an earlier one counted up, with the
    /// words of now. Of one Secret whatever has the same reason is one series; without a Secret the words tell them apart.
    pub fn count(&mut self, notice: &NewEvent, uid: Option<String>, now: Time, unique: u64) -> EventObject {
        let same = |told: &EventObject| {
            let NewEvent { reason, config_map, secret, text } = &told.notice;
            let about = told.uid == uid && *config_map == notice.config_map && *reason == notice.reason;
            about && *secret == notice.secret && (secret.is_some() || *text == notice.text)
        };
        let mut event = match self.told.iter().position(same) {
            Some(place) => self.told.remove(place),
            None => {
                if self.told.len() >= EVENT_SERIES_MAX {
                    self.told.remove(0);
                }
                let name = name(&notice.config_map.name, unique);
                EventObject { name, uid, notice: notice.clone(), count: 0, first: now, last: now }
            }
        };
        event.count = event.count.saturating_add(1);
        (event.last, event.notice) = (now, notice.clone());
        self.told.push(event.clone());
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::events::EventReason::{self, Contested, Issued, OrderFailed, Refused};

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn notice(reason: EventReason, secret: Option<&str>, text: &str) -> NewEvent {
        let object = |name: &str| ObjectRef::parse(name, "team").unwrap();
        NewEvent { reason, config_map: object("certs"), secret: secret.map(object), text: text.to_owned() }
    }

    #[test]
    fn what_repeats_is_counted_up_with_the_words_of_now() {
        let mut correlator = Correlator::default();
        let mut unique = 0;
        let mut count = |notice: &NewEvent, uid: &str| {
            unique += 1;
            let event = correlator.count(notice, Some(uid.to_owned()), NOW + EVENT_REFILL * unique, unique.into());
            assert_eq!(event.notice, *notice);
            (
                event.name.trim_start_matches("certs.").trim_start_matches('0').to_owned(),
                event.count,
                event.last > event.first,
            )
        };
        for (notice, uid, name, times) in [
            (notice(OrderFailed, Some("a"), "attempt 1"), "u", "1", 1),
            (notice(OrderFailed, Some("a"), "attempt 2"), "u", "1", 2),
            (notice(OrderFailed, Some("b"), "attempt 1"), "u", "3", 1),
            (notice(Contested, Some("a"), "attempt 1"), "u", "4", 1),
            (notice(OrderFailed, Some("a"), "attempt 3"), "u", "1", 3),
            (notice(OrderFailed, Some("a"), "attempt 3"), "made again", "6", 1),
            (notice(Refused, None, "entry 1"), "u", "7", 1),
            (notice(Refused, None, "entry 2"), "u", "8", 1),
            (notice(Refused, None, "entry 1"), "u", "7", 2),
        ] {
            assert_eq!(count(&notice, uid), (name.to_owned(), times, times > 1), "{notice:?}");
        }
    }

    #[test]
    fn the_least_recent_is_forgotten_when_there_are_too_many() {
        let mut correlator = Correlator::default();
        let mut count = |n: usize| correlator.count(&notice(Issued, Some(&format!("s{n}")), ""), None, NOW, 1).count;
        assert_eq!((0..EVENT_SERIES_MAX).map(&mut count).max(), Some(1));
        assert_eq!(count(0), 2, "the most recent by now");
        assert_eq!(count(EVENT_SERIES_MAX), 1);
        assert_eq!((count(0), count(1)), (3, 1));
        assert_eq!(correlator.told.len(), EVENT_SERIES_MAX);
    }

    #[test]
    fn an_object_has_a_burst_and_then_one_at_a_time() {
        let mut correlator = Correlator::default();
        let (issued, failed) = (notice(Issued, None, ""), notice(OrderFailed, None, ""));
        let mut admitted = |notice: &NewEvent, now: Time| (0..100).filter(|_| correlator.admits(notice, now)).count();
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
        let object =
            |n: usize| NewEvent { config_map: ObjectRef::parse(&format!("c{n}"), "t").unwrap(), ..issued.clone() };
        assert_eq!((0..1000).filter(|n| other.admits(&object(*n), NOW)).count(), EVENT_OBJECTS_MAX);
        assert!(other.admits(&object(1000), later(1)), "those that are full again are forgotten");
    }
}
