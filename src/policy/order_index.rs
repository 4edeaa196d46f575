//! The orders of all certificates, as their records tell, kept up to date record by record: a decision about one certificate must not cost
//! a look at 10,000 records. Pure.

use std::collections::HashMap;
use std::time::Duration;

use super::backoff::Stage;
use super::ca_limits::{OrderLog, Quota, exhausted, insert, remove};
use crate::base::clock::happened;
use crate::base::limits::CAP_WINDOW;
use crate::base::name::Domain;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::record::{History, RecordData};

/// The times of orders that count against the cap, by directory and name set.
pub type Orders = HashMap<SharedStr, HashMap<Vec<Domain>, Vec<Time>>>;

/// Orders by directory, for the cap of each name set and for the quotas, and by namespace.
#[derive(Clone, Debug, Default)]
pub struct OrderIndex {
    counted: Orders,
    logs: HashMap<SharedStr, OrderLog>,
    namespaces: HashMap<SharedStr, NamespaceLog>,
}

/// The orders of one namespace.
#[derive(Clone, Debug, Default)]
struct NamespaceLog {
    /// The times, sorted.
    made: Vec<Time>,
    /// The orders that wait or are being made.
    reserved: usize,
}

/// An order that waits or is being made, and counts as made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedOrder {
    /// The directory.
    pub directory: SharedStr,
    /// True if the CA takes the order for a renewal.
    pub renewal: bool,
    /// The namespace for which it counts.
    pub namespace: Option<SharedStr>,
}

const DAY: Duration = Duration::from_secs(86_400);

impl OrderIndex {
    /// The times of orders that count against the cap, by directory and name set.
    pub fn counted(&self) -> &Orders {
        &self.counted
    }

    /// The orders of one directory within the last day.
    pub fn log(&self, directory: &str) -> Option<&OrderLog> {
        self.logs.get(directory)
    }

    /// The time until which a namespace has used up its orders of a week; `None` while there is room.
    pub fn week_is_full(&self, namespace: &SharedStr, orders_per_week: u32, now: Time) -> Option<Time> {
        let quota = Quota { orders: orders_per_week as usize, window: CAP_WINDOW, renewals: false };
        let (made, reserved) =
            self.namespaces.get(namespace).map_or((&[][..], 0), |log| (log.made.as_slice(), log.reserved));
        exhausted(&quota, made, reserved, now)
    }

    /// Counts an order that waits or is being made.
    pub fn reserve(&mut self, order: &ReservedOrder) {
        self.logs.entry(order.directory.clone()).or_default().reserve(order.renewal);
        if let Some(namespace) = &order.namespace {
            self.namespaces.entry(namespace.clone()).or_default().reserved += 1;
        }
    }

    /// Counts an order of [`OrderIndex::reserve`] no longer.
    pub fn release(&mut self, order: &ReservedOrder) {
        if let Some(log) = self.logs.get_mut(&order.directory) {
            log.release(order.renewal);
        }
        if let Some(namespace) = &order.namespace {
            self.change_namespace(namespace, |log| log.reserved = log.reserved.saturating_sub(1));
        }
    }

    /// Changes the log of a namespace, and drops it when it is empty.
    fn change_namespace(&mut self, namespace: &SharedStr, change: impl FnOnce(&mut NamespaceLog)) {
        let Some(log) = self.namespaces.get_mut(namespace) else { return };
        change(log);
        if log.made.is_empty() && log.reserved == 0 {
            self.namespaces.remove(namespace);
        }
    }

    /// Adds the orders of a record.
    pub fn add(&mut self, record: &RecordData, now: Time) {
        for history in &record.histories {
            let counts = |at: &&Time| **at + CAP_WINDOW > now && happened(**at, now);
            let mut recent = history.orders.iter().filter(counts).peekable();
            if recent.peek().is_some() {
                self.times_of(history).extend(recent);
            }
        }
        if let Some(orders) = &record.namespace_orders {
            let log = self.namespaces.entry(orders.namespace.clone()).or_default();
            orders.at.iter().for_each(|at| insert(&mut log.made, *at));
        }
        for_each_order(record, |directory, at, kind| {
            if at + DAY <= now || !happened(at, now) {
                return;
            }
            let log = self.logs.entry(directory.clone()).or_default();
            log.prune(now);
            match kind {
                OrderKind::Issued => log.add_to_all(at),
                OrderKind::Counted => log.add_to_first(at),
                OrderKind::Failed => log.add(at, false),
            }
        });
    }

    /// Removes the orders of a record that [`OrderIndex::add`] added.
    pub fn remove(&mut self, record: &RecordData) {
        for history in record.histories.iter().filter(|history| !history.orders.is_empty()) {
            let Some(of) = self.counted.get_mut(&history.directory) else { continue };
            let Some(times) = of.get_mut(history.names.as_slice()) else { continue };
            for at in &history.orders {
                if let Some(place) = times.iter().position(|time| time == at) {
                    times.swap_remove(place);
                }
            }
            if times.is_empty() {
                of.remove(history.names.as_slice());
            }
        }
        if let Some(orders) = &record.namespace_orders {
            self.change_namespace(&orders.namespace, |log| orders.at.iter().for_each(|at| remove(&mut log.made, *at)));
        }
        for_each_order(record, |directory, at, kind| {
            let Some(log) = self.logs.get_mut(directory) else { return };
            if !matches!(kind, OrderKind::Counted) {
                log.remove_from_all(at);
            }
            if !matches!(kind, OrderKind::Issued) {
                log.remove_from_first(at);
            }
        });
    }

    fn times_of(&mut self, history: &History) -> &mut Vec<Time> {
        let of: &mut HashMap<Vec<Domain>, Vec<Time>> = self.counted.entry(history.directory.clone()).or_default();
        of.entry(history.names.clone()).or_default()
    }
}

/// The outcome of an order, as the record tells it.
enum OrderKind {
    /// The order gave the certificate that was stored last, and may have been a renewal.
    Issued,
    /// The order counted against the cap, which regular renewals do not.
    Counted,
    /// The attempt failed after the order was made.
    Failed,
}

fn for_each_order(record: &RecordData, mut each: impl FnMut(&SharedStr, Time, OrderKind)) {
    if let Some(stored) = &record.stored {
        each(&stored.directory, stored.at, OrderKind::Issued);
    }
    for history in &record.histories {
        history.orders.iter().for_each(|at| each(&history.directory, *at, OrderKind::Counted));
        // A failure at an earlier stage made no order.
        let ordered = matches!(history.stage, Some(Stage::Validation | Stage::Finalize | Stage::Download));
        if history.failures > 0 && ordered {
            each(&history.directory, history.last_attempt, OrderKind::Failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Issued;

    const NOW: Time = Time::from_unix(1_800_000_000);
    const CA: &str = "https://ca.test/dir";

    fn record(orders: &[Time], failed: Option<Time>) -> RecordData {
        let mut record = RecordData::default();
        let history = record.history_mut(&[Domain::parse("a.test").unwrap()], CA, failed.unwrap_or(NOW));
        history.orders = orders.to_vec();
        if failed.is_some() {
            (history.failures, history.stage) = (1, Some(Stage::Validation));
        }
        record
    }

    #[test]
    fn removing_the_records_leaves_what_the_others_tell() {
        let hour = Duration::from_secs(3600);
        let (one, two) = (record(&[NOW - hour, NOW - 2 * hour], None), record(&[NOW - hour], Some(NOW - hour / 2)));
        let old = record(&[NOW - 300 * hour], Some(NOW - 30 * hour));
        let mut index = OrderIndex::default();
        for record in [&one, &two, &old] {
            index.add(record, NOW);
        }
        let counted =
            |index: &OrderIndex| index.counted().values().flat_map(HashMap::values).map(Vec::len).sum::<usize>();
        let until = |index: &OrderIndex, orders: usize| {
            let quota = Quota { orders, window: DAY, renewals: false };
            index.log(CA).and_then(|log| log.exhausted(&[quota], false, NOW))
        };
        assert_eq!((counted(&index), until(&index, 4), until(&index, 5)), (3, Some(NOW + 22 * hour), None));
        index.remove(&one);
        assert_eq!((counted(&index), until(&index, 2), until(&index, 3)), (1, Some(NOW + 23 * hour), None));
        let reserved = ReservedOrder { directory: CA.into(), renewal: false, namespace: None };
        index.reserve(&reserved);
        assert_eq!(until(&index, 3), Some(NOW + 23 * hour), "an order that waits counts as made");
        index.release(&reserved);
        index.remove(&two);
        index.remove(&old);
        assert_eq!((counted(&index), until(&index, 1)), (0, None));
        assert!(index.counted().values().all(HashMap::is_empty), "nothing is left in memory");
    }

    /// How many orders of the last day count: against quotas with renewals, and against those without.
    fn made(index: &OrderIndex) -> (usize, usize) {
        let made = |renewals| {
            let has_room = |orders: &usize| {
                let quota = Quota { orders: *orders, window: DAY, renewals };
                index.log(CA).is_none_or(|log| log.exhausted(&[quota], false, NOW).is_none())
            };
            (1..).find(has_room).map_or(0, |orders: usize| orders - 1)
        };
        (made(true), made(false))
    }

    #[test]
    fn an_order_counts_by_what_became_of_it_until_its_record_goes() {
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
        let ended_at = |stage, failures| {
            let mut record = record(&[], Some(NOW - hour));
            (record.histories[0].stage, record.histories[0].failures) = (Some(stage), failures);
            record
        };
        let mut stored = RecordData::default();
        stored.stored = Some(Issued {
            serial: "01".into(),
            at: NOW - hour,
            directory: CA.into(),
            key_type: "ecdsa-p256".into(),
            profile: None,
            account: None,
            cert_id: None,
            renewal_mark: None,
        });
        for (what, record, counts, stays) in [
            ("stored", stored, (1, 0), true),
            ("counted", record(&[NOW - hour], None), (0, 1), true),
            ("refused by a validation", ended_at(Stage::Validation, 1), (1, 1), true),
            ("failed before there was an order", ended_at(Stage::Zone, 1), (0, 0), false),
            ("validated in the end", ended_at(Stage::Validation, 0), (0, 0), false),
            ("within the day", record(&[NOW - DAY + second], None), (0, 1), true),
            ("a day ago", record(&[NOW - DAY], None), (0, 0), false),
            ("by a clock that was ahead", record(&[NOW + 2 * hour], None), (0, 0), false),
        ] {
            let mut index = OrderIndex::default();
            index.add(&record, NOW);
            assert_eq!((made(&index), index.log(CA).is_some()), (counts, stays), "{what}");
            index.remove(&record);
            assert_eq!(made(&index), (0, 0), "{what}");
        }
        let week = record(&[NOW - CAP_WINDOW, NOW - CAP_WINDOW + second, NOW - hour, NOW + 2 * hour], None);
        let mut index = OrderIndex::default();
        [&week, &record(&[NOW - 2 * hour], None)].into_iter().for_each(|record| index.add(record, NOW));
        let counted = |index: &OrderIndex| {
            index.counted().values().flat_map(HashMap::values).flatten().copied().collect::<Vec<_>>()
        };
        assert_eq!(counted(&index), [NOW - CAP_WINDOW + second, NOW - hour, NOW - 2 * hour]);
        index.remove(&record(&[NOW - hour], None));
        assert_eq!(counted(&index), [NOW - CAP_WINDOW + second, NOW - 2 * hour]);
    }

    /// The 21st order waits, whatever its names, until the first one is a week old. What waits or is being made counts as made.
    #[test]
    fn a_namespace_has_its_orders_of_a_week() {
        let hour = Duration::from_secs(3600);
        let of = |namespace: &str, hours: &[u32]| {
            let mut record = RecordData::default();
            hours.iter().for_each(|hours| record.count_for_namespace(namespace, NOW - hour * *hours));
            record
        };
        let (old, many, other) = (of("a", &[200]), of("a", &[100, 30, 20]), of("b", &[1]));
        let mut index = OrderIndex::default();
        for record in [&old, &many, &other] {
            index.add(record, NOW);
        }
        let full = |index: &OrderIndex, namespace: &str, orders| index.week_is_full(&namespace.into(), orders, NOW);
        assert_eq!((full(&index, "a", 4), full(&index, "a", 3)), (None, Some(NOW + 68 * hour)));
        assert_eq!((full(&index, "a", 1), full(&index, "a", 0)), (Some(NOW + 148 * hour), Some(NOW + 168 * hour)));
        assert_eq!(
            (full(&index, "b", 2), full(&index, "c", 1), full(&index, "c", 0)),
            (None, None, Some(NOW + 168 * hour))
        );
        let reserved = ReservedOrder { directory: CA.into(), renewal: false, namespace: Some("a".into()) };
        index.reserve(&reserved);
        assert_eq!(
            (full(&index, "a", 4), full(&index, "a", 5), full(&index, "b", 2)),
            (Some(NOW + 68 * hour), None, None)
        );
        index.release(&reserved);
        assert_eq!((full(&index, "a", 4), full(&index, "a", 3)), (None, Some(NOW + 68 * hour)), "what was made stays");
        [&many, &old, &other].into_iter().for_each(|record| index.remove(record));
        assert!(index.namespaces.is_empty(), "nothing is left in memory");
    }
}
