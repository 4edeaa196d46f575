//! An index over all cached records: their orders, and the records whose entry went. Pure.

use std::collections::BTreeSet;

use super::cache::CacheIndex;
use super::observed::ReadRecord;
use super::steps::step;
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::policy::order_index::OrderIndex;

/// The index of the cached records.
#[derive(Debug)]
pub(super) struct RecordIndex {
    pub(super) orders: OrderIndex,
    /// The records that are marked as orphaned.
    pub(super) orphaned: BTreeSet<ObjectRef>,
    /// The time by which orders are recent.
    pub(super) now: Time,
}

impl Default for RecordIndex {
    fn default() -> RecordIndex {
        RecordIndex { orders: OrderIndex::default(), orphaned: BTreeSet::new(), now: Time::from_unix(0) }
    }
}

impl CacheIndex<ReadRecord> for RecordIndex {
    fn added(&mut self, at: &ObjectRef, record: &ReadRecord) {
        step();
        let Ok(record) = record else { return };
        self.orders.add(&record.body, self.now);
        if record.body.orphaned.is_some() {
            self.orphaned.insert(at.clone());
        }
    }

    fn removed(&mut self, at: &ObjectRef, record: &ReadRecord) {
        step();
        let Ok(record) = record else { return };
        self.orders.remove(&record.body);
        self.orphaned.remove(at);
    }
}
