//! An index over all cached records: their orders, and the records whose entry went. Pure.

use std::collections::BTreeSet;

use super::cache::CacheIndex;
use super::observed::ReadRecord;
use super::steps::step;
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::issuance::answers::Answers;
use crate::policy::order_index::OrderIndex;
use crate::record::Presented;

/// The index of the cached records.
#[derive(Debug)]
pub(super) struct RecordIndex {
    pub(super) orders: OrderIndex,
    /// The records that are marked as orphaned.
    pub(super) orphaned: BTreeSet<ObjectRef>,
    /// The answers to challenges by http-01 that the records present to CAs.
    pub(super) answers: Answers,
    /// The time by which orders are recent.
    pub(super) now: Time,
}

impl Default for RecordIndex {
    fn default() -> RecordIndex {
        RecordIndex {
            orders: OrderIndex::default(),
            orphaned: BTreeSet::new(),
            answers: Answers::default(),
            now: Time::from_unix(0),
        }
    }
}

impl CacheIndex<ReadRecord> for RecordIndex {
    fn added(&mut self, at: &ObjectRef, record: &ReadRecord) {
        self.answers.replace(&[], presented(record));
        self.count(at, record);
    }

    fn removed(&mut self, at: &ObjectRef, record: &ReadRecord) {
        self.answers.replace(presented(record), &[]);
        self.uncount(at, record);
    }

    // An answer that both records present is given all the time.
    fn replaced(&mut self, at: &ObjectRef, before: &ReadRecord, record: &ReadRecord) {
        self.answers.replace(presented(before), presented(record));
        self.uncount(at, before);
        self.count(at, record);
    }
}

fn presented(record: &ReadRecord) -> &[Presented] {
    record.as_ref().ok().and_then(|record| record.body.in_flight.as_ref()).map_or(&[], |pending| &pending.published)
}

impl RecordIndex {
    fn count(&mut self, at: &ObjectRef, record: &ReadRecord) {
        step();
        let Ok(record) = record else { return };
        self.orders.add(&record.body, self.now);
        if record.body.orphaned.is_some() {
            self.orphaned.insert(at.clone());
        }
    }

    fn uncount(&mut self, at: &ObjectRef, record: &ReadRecord) {
        step();
        let Ok(record) = record else { return };
        self.orders.remove(&record.body);
        self.orphaned.remove(at);
    }
}
