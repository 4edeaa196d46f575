//! The statuses that are to be written, one place for each object, and when each may be written. Pure: `now` is the time since one start.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use crate::base::limits::{STATUS_RETRY, STATUS_WRITE_PAUSE, STATUS_WRITES_WAITING_MAX};
use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::cert_manager::status::{
    CertificateVerdict, IssuerVerdict, LastWriter, ResourceStatus, ResourceVersion, SeenResource, StateVerdict,
};
use crate::sources::wish::ObjectKey;

/// The knowledge about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ObjectVerdict {
    /// About a Certificate of cert-manager.
    Certificate(Box<CertificateVerdict>),
    /// About an Issuer or a ClusterIssuer of cert-manager.
    Issuer(Box<IssuerVerdict>),
    /// About an object of another kind, whose status is a state with fields.
    State(Box<StateVerdict>),
}

impl ObjectVerdict {
    /// The status to write over what was `seen`; `None` where nothing differs.
    pub(super) fn next(&self, seen: &SeenResource, now: Time) -> Option<ResourceStatus> {
        match self {
            ObjectVerdict::Certificate(verdict) => verdict.next(seen, now),
            ObjectVerdict::Issuer(verdict) => verdict.next(seen, now),
            ObjectVerdict::State(verdict) => verdict.next(seen, now),
        }
    }
}

/// A write of a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatusWrite {
    /// The object.
    pub(super) object: ObjectKey,
    /// The version to write over.
    pub(super) seen: Arc<SeenResource>,
    /// The knowledge about the object.
    pub(super) verdict: ObjectVerdict,
    /// A Secret whose renewal is asked for first, and the mark of the request. Boxed: most writes are without.
    pub(super) renewal: Option<Box<(ObjectRef, String)>>,
}

/// The use of a write that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PutEnd {
    /// The object is as it should be.
    Needless,
    /// The write waits, in the place of another one or in a place of its own.
    Waits,
    /// cert-manager wrote over the condition Ready since the last write. Nothing is written over that.
    Overwritten,
}

/// The numbers of further writes that may wait: of objects without a condition Ready, and of others. Each write takes memory, and 10,000
/// objects may change at once; those without a place are looked at again when there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatusRoom {
    firsts: usize,
    others: usize,
}

impl StatusRoom {
    fn of(&mut self, seen: &SeenResource) -> &mut usize {
        if seen.status.ready.is_none() { &mut self.firsts } else { &mut self.others }
    }

    /// Tells whether a write over what was `seen` may wait.
    pub(super) fn admits(&mut self, seen: &SeenResource) -> bool {
        *self.of(seen) > 0
    }

    /// Counts a write that waits.
    pub(super) fn count(&mut self, seen: &SeenResource) {
        let left = self.of(seen);
        *left = left.saturating_sub(1);
    }
}

/// The end of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WriteEnd {
    /// Version `over` was replaced by this one.
    Written { over: ResourceVersion, stored: Arc<SeenResource> },
    /// The object needs no write: it is as it should be, or it is gone or another one, or others write faster.
    Dropped,
    /// The object is not written for the moment.
    Later,
    /// The object is not written before it changes, or the longest pause is over.
    Refused,
}

/// The statuses to write.
#[derive(Debug, Default)]
pub(super) struct StatusSlots {
    slots: BTreeMap<ObjectKey, StatusSlot>,
    /// The last writes of objects about which nothing else is to be remembered. There may be 10,000: hashes stand for the names.
    written: HashMap<HashedName, LastWrite>,
    hasher: RandomState,
}

/// The hashes of a namespace and of an object in it.
type HashedName = (u64, u64);

#[derive(Debug, Default)]
struct StatusSlot {
    /// The next write.
    pending: Option<Box<StatusWrite>>,
    /// The write of this moment is under way.
    is_busy: bool,
    /// The last write.
    last: Option<LastWrite>,
    /// The version that it replaced and what was stored, until a watch shows something else.
    unseen: Option<Box<(ResourceVersion, Arc<SeenResource>)>>,
    /// The version that a watch showed while the write of this moment was under way: mostly its own, before its answer.
    shown: Option<ResourceVersion>,
    /// When the next write may be sent.
    not_before: Duration,
    /// Failures in a row.
    failures: u32,
}

/// The last write of an object.
#[derive(Clone, Copy, Debug)]
struct LastWrite {
    /// The hash of the uid.
    uid: u64,
    /// The hash of the condition Ready.
    ready: u64,
}

impl StatusSlot {
    /// Tells whether nothing is to be written, under way, or waited for.
    fn is_idle(&self) -> bool {
        self.pending.is_none() && !self.is_busy && self.unseen.is_none()
    }
}

fn hashed(hasher: &RandomState, object: &ObjectKey) -> HashedName {
    (hasher.hash_one(&object.at.namespace), hasher.hash_one(object))
}

impl StatusSlots {
    /// The facts about what was stored that tell another writer.
    fn write_of(&self, stored: &SeenResource) -> LastWrite {
        let ready = stored.status.ready.as_deref();
        let text = ready.map(|c| format!("{:?} {} {:?} {:?} {}", c.status, c.reason, c.since, c.generation, c.message));
        LastWrite { uid: self.hasher.hash_one(&*stored.version.uid), ready: self.hasher.hash_one(text) }
    }

    /// The room for further writes. A write that failed does not count: it may wait for half an hour.
    pub(super) fn room(&self) -> StatusRoom {
        let mut room = StatusRoom { firsts: STATUS_WRITES_WAITING_MAX, others: STATUS_WRITES_WAITING_MAX };
        let waiting = self.slots.values().filter(|slot| slot.failures == 0);
        waiting.filter_map(|slot| slot.pending.as_deref()).for_each(|write| room.count(&write.seen));
        room
    }

    /// Tells whether a write of an object waits.
    pub(super) fn waits(&self, object: &ObjectKey) -> bool {
        self.slots.get(object).is_some_and(|slot| slot.pending.is_some())
    }

    /// Puts what is known about an object, in the place of what was known before.
    pub(super) fn put(&mut self, mut write: StatusWrite, wall: Time) -> PutEnd {
        let (object, name) = (write.object.clone(), hashed(&self.hasher, &write.object));
        let mut slot = self.slots.remove(&object).unwrap_or_default();
        slot.last = slot.last.or_else(|| self.written.remove(&name));
        if slot.last.is_some_and(|last| last.uid != self.write_of(&write.seen).uid) {
            // Another object of the same name has its own pace.
            slot = StatusSlot { is_busy: slot.is_busy, ..StatusSlot::default() };
        }
        slot.unseen = slot.unseen.filter(|shown| shown.0 == write.seen.version);
        if let Some(shown) = &slot.unseen {
            write.seen = shown.1.clone();
        }
        slot.shown = slot.is_busy.then(|| write.seen.version.clone());
        let is_theirs = write.seen.ready_by == LastWriter::CertManager;
        let is_overwritten = is_theirs && slot.last.is_some_and(|last| last.ready != self.write_of(&write.seen).ready);
        if is_overwritten {
            (slot.last, slot.unseen) = (None, None);
        }
        let differs = write.renewal.is_some() || write.verdict.next(&write.seen, wall).is_some();
        let is_same = slot.pending.as_deref().is_some_and(|before| before.verdict == write.verdict);
        if !is_same && slot.failures > 0 {
            // Something else is to be written; it may be taken.
            (slot.failures, slot.not_before) = (0, Duration::ZERO);
        }
        slot.pending = (differs && !is_overwritten).then(|| Box::new(write));
        let end = match (is_overwritten, differs) {
            (true, _) => PutEnd::Overwritten,
            (false, true) => PutEnd::Waits,
            (false, false) => PutEnd::Needless,
        };
        match slot.is_idle() && slot.not_before.is_zero() {
            true => drop(slot.last.map(|last| self.written.insert(name, last))),
            false => drop(self.slots.insert(object, slot)),
        }
        end
    }

    /// Forgets an object.
    pub(super) fn forget(&mut self, object: &ObjectKey) {
        self.slots.remove(object);
        self.written.remove(&hashed(&self.hasher, object));
    }

    /// Forgets what is to be written in a namespace.
    pub(super) fn clear(&mut self, namespace: &SharedStr) {
        let hash = self.hasher.hash_one(namespace);
        self.slots.retain(|object, _| object.at.namespace != *namespace);
        self.written.retain(|(of, _), _| *of != hash);
    }

    /// The next write that may be sent, objects without a condition Ready first.
    pub(super) fn take(&mut self, now: Duration, at_once: bool) -> Option<StatusWrite> {
        self.put_to_rest(now);
        let waiting = self.slots.iter_mut().filter(|(_, slot)| !slot.is_busy);
        let due = waiting.filter_map(|(_, slot)| {
            let write = slot.pending.as_deref()?;
            let rank = (write.seen.status.ready.is_some(), slot.not_before);
            (at_once || slot.not_before <= now).then_some((rank, slot))
        });
        let (_, slot) = due.min_by_key(|(rank, _)| *rank)?;
        (slot.is_busy, slot.shown) = (true, None);
        slot.pending.take().map(|write| *write)
    }

    /// Keeps of objects that are as they should be, and may be written again, the last write alone.
    fn put_to_rest(&mut self, now: Duration) {
        let StatusSlots { slots, written, hasher } = self;
        slots.retain(|object, slot| {
            let rests = slot.is_idle() && slot.not_before <= now;
            written.extend(slot.last.filter(|_| rests).map(|last| (hashed(hasher, object), last)));
            !rests
        });
    }

    /// How long until the next write may be sent; `None` where nothing is to be written.
    pub(super) fn next_in(&self, now: Duration) -> Option<Duration> {
        let waiting = self.slots.values().filter(|slot| slot.pending.is_some() && !slot.is_busy);
        waiting.map(|slot| slot.not_before.saturating_sub(now)).min()
    }

    /// Ends the pauses after failures: the API server is back.
    pub(super) fn retry(&mut self) {
        for slot in self.slots.values_mut().filter(|slot| slot.failures > 0) {
            (slot.failures, slot.not_before) = (0, Duration::ZERO);
        }
    }

    /// Tells whether nothing is to be written and no write is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.slots.values().all(|slot| slot.pending.is_none() && !slot.is_busy)
    }

    /// Notes the end of a write.
    pub(super) fn done(&mut self, write: StatusWrite, end: WriteEnd, now: Duration) {
        let last = match &end {
            WriteEnd::Written { stored, .. } => Some(self.write_of(stored)),
            WriteEnd::Dropped | WriteEnd::Later | WriteEnd::Refused => None,
        };
        // The object may be gone meanwhile.
        let Some(slot) = self.slots.get_mut(&write.object) else { return };
        slot.is_busy = false;
        let failed = match &end {
            WriteEnd::Written { .. } | WriteEnd::Dropped => 0,
            WriteEnd::Later => slot.failures.saturating_add(1),
            WriteEnd::Refused => u32::MAX,
        };
        slot.failures = failed;
        slot.not_before = now + if failed == 0 { STATUS_WRITE_PAUSE } else { pause(failed) };
        slot.last = last.or(slot.last);
        match end {
            WriteEnd::Written { over, stored } => {
                if let Some(next) = slot.pending.as_deref_mut().filter(|next| next.seen.version == over) {
                    next.seen = stored.clone();
                }
                // No watch shows a version again after another one.
                let is_seen = slot.shown.take().is_some_and(|shown| shown != over);
                slot.unseen = (!is_seen).then(|| Box::new((over, stored)));
            }
            WriteEnd::Dropped => slot.not_before = slot.not_before.min(now),
            WriteEnd::Later | WriteEnd::Refused => {
                slot.pending.get_or_insert_with(|| Box::new(write));
            }
        }
    }
}

/// The pause after so many failures.
pub(super) fn pause(failures: u32) -> Duration {
    let [first, longest] = STATUS_RETRY;
    first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert_manager::status::{IssuerReason, ReadyReason, ReadyVerdict};
    use serde_json::{Value, json};

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn seen(version: &str, status: &Value) -> SeenResource {
        let metadata = json!({"uid": "u", "resourceVersion": version, "generation": 1});
        SeenResource::read(&json!({"metadata": metadata, "status": status})).unwrap()
    }

    fn verdict(message: &str) -> ObjectVerdict {
        let ready = ReadyVerdict { reason: ReadyReason::DoesNotExist, message: message.to_owned().into() };
        ObjectVerdict::Certificate(Box::new(CertificateVerdict {
            generation: 1,
            ready,
            issuing: None,
            validity: None,
            renewal: None,
            is_ours: false,
            failure: None,
        }))
    }

    fn write(name: &str, seen: &SeenResource, verdict: ObjectVerdict) -> StatusWrite {
        let object = ObjectKey { kind: "Certificate", at: ObjectRef::new("team", name) };
        StatusWrite { object, seen: Arc::new(seen.clone()), verdict, renewal: None }
    }

    /// Writes as an API server does, and notes it.
    fn store(slots: &mut StatusSlots, taken: StatusWrite, version: &str, now: Duration) -> SeenResource {
        let status = taken.verdict.next(&taken.seen, NOW).unwrap().to_json();
        let stored = seen(version, &status);
        let over = taken.seen.version.clone();
        slots.done(taken, WriteEnd::Written { over, stored: Arc::new(stored.clone()) }, now);
        stored
    }

    #[test]
    fn an_object_is_written_at_once_and_then_every_five_seconds_with_what_is_known_last() {
        let (mut slots, fresh) = (StatusSlots::default(), seen("1", &Value::Null));
        slots.put(write("a", &fresh, verdict("1")), NOW);
        let first = slots.take(at(0), false).unwrap();
        assert!(slots.take(at(0), false).is_none() && !slots.is_idle(), "it is under way");
        slots.put(write("a", &fresh, verdict("2")), NOW);
        assert!(slots.take(at(0), false).is_none(), "one at a time");
        store(&mut slots, first, "2", at(1));
        assert_eq!((slots.take(at(5), false), slots.next_in(at(2))), (None, Some(at(4))));
        // The watch is late: what was stored counts.
        slots.put(write("a", &fresh, verdict("3")), NOW);
        let second = slots.take(at(6), false).unwrap();
        assert_eq!((&*second.seen.version.version, &second.verdict), ("2", &verdict("3")));
        let stored = store(&mut slots, second, "3", at(6));
        slots.put(write("a", &stored, verdict("3")), NOW);
        assert!(slots.is_idle() && slots.next_in(at(6)).is_none(), "nothing differs");
        slots.put(write("a", &stored, verdict("4")), NOW);
        assert!(slots.take(at(7), false).is_none() && slots.take(at(7), true).is_some(), "at the end nothing waits");
    }

    #[test]
    fn of_an_object_that_is_as_it_should_be_nothing_is_kept() {
        let (mut slots, fresh) = (StatusSlots::default(), seen("1", &Value::Null));
        let status = verdict("1").next(&fresh, NOW).unwrap().to_json();
        assert_eq!(slots.put(write("a", &seen("2", &status), verdict("1")), NOW), PutEnd::Needless);
        assert!(slots.slots.is_empty());
        // One that was written is known, so that another writer is noticed.
        slots.put(write("a", &fresh, verdict("1")), NOW);
        let taken = slots.take(at(0), false).unwrap();
        let stored = store(&mut slots, taken, "2", at(0));
        slots.put(write("a", &stored, verdict("1")), NOW);
        assert_eq!((slots.slots.len(), slots.written.len()), (1, 0), "its pause is not over");
        assert!(slots.take(at(5), false).is_none());
        let kept = |slots: &StatusSlots| (slots.slots.len(), slots.written.len());
        assert_eq!(kept(&slots), (0, 1));
        slots.put(write("a", &stored, verdict("1")), NOW);
        assert_eq!(kept(&slots), (0, 1), "it is looked at all the time");
        let theirs = SeenResource { ready_by: LastWriter::CertManager, ..fresh.clone() };
        assert_eq!(slots.put(write("a", &theirs, verdict("1")), NOW), PutEnd::Overwritten);
        assert_eq!(kept(&slots), (0, 0), "said once");
    }

    #[test]
    fn an_answer_that_comes_after_its_watch_leaves_nothing() {
        for (shown_first, is_kept) in [("2", false), ("1", true), ("7", false)] {
            let (mut slots, fresh) = (StatusSlots::default(), seen("1", &Value::Null));
            slots.put(write("a", &fresh, verdict("1")), NOW);
            let taken = slots.take(at(0), false).unwrap();
            let status = verdict("1").next(&fresh, NOW).unwrap().to_json();
            slots.put(write("a", &seen(shown_first, &status), verdict("1")), NOW);
            store(&mut slots, taken, "2", at(0));
            assert!(slots.take(at(5), false).is_none());
            assert_eq!((slots.slots.len() == 1, slots.written.len() == 1), (is_kept, !is_kept), "{shown_first}");
        }
    }

    #[test]
    fn so_many_writes_wait_and_those_of_objects_that_show_nothing_have_places_of_their_own() {
        let mut slots = StatusSlots::default();
        let shown = seen("1", &json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        let (first, others) = (seen("1", &Value::Null), STATUS_WRITES_WAITING_MAX);
        let names: Vec<String> = (0..others).map(|n| n.to_string()).collect();
        for name in &names {
            assert!(slots.room().admits(&shown) && slots.room().admits(&first));
            assert_eq!(slots.put(write(name, &shown, verdict("x")), NOW), PutEnd::Waits);
        }
        assert!(!slots.room().admits(&shown) && slots.room().admits(&first));
        slots.put(write("new", &first, verdict("x")), NOW);
        assert_eq!(slots.room(), StatusRoom { firsts: others - 1, others: 0 });
        assert!(
            slots.waits(&write("0", &shown, verdict("x")).object)
                && !slots.waits(&write("z", &shown, verdict("x")).object)
        );
        // One is under way, one failed and waits longer.
        let new = slots.take(at(0), false).unwrap();
        let failed = slots.take(at(0), false).unwrap();
        assert_eq!(slots.room(), StatusRoom { firsts: others, others: 1 });
        slots.done(failed, WriteEnd::Later, at(0));
        store(&mut slots, new, "2", at(0));
        assert_eq!(slots.room(), StatusRoom { firsts: others, others: 1 });
    }

    #[test]
    fn what_is_forgotten_of_a_namespace_is_also_what_was_written_there() {
        let (mut slots, fresh) = (StatusSlots::default(), seen("1", &Value::Null));
        let theirs = SeenResource { ready_by: LastWriter::CertManager, ..fresh.clone() };
        for (forget, is_known) in [
            ((|slots, _| slots.clear(&"team".into())) as fn(&mut StatusSlots, &ObjectKey), false),
            (|slots, object| slots.forget(object), false),
            (|slots, _| slots.clear(&"other".into()), true),
        ] {
            slots.put(write("a", &fresh, verdict("1")), NOW);
            let taken = slots.take(at(0), false).unwrap();
            let object = taken.object.clone();
            let stored = store(&mut slots, taken, "2", at(0));
            slots.put(write("a", &stored, verdict("1")), NOW);
            slots.take(at(5), false);
            assert_eq!((slots.slots.len(), slots.written.len()), (0, 1));
            forget(&mut slots, &object);
            assert_eq!(slots.written.len(), usize::from(is_known));
            let end = slots.put(write("a", &theirs, verdict("1")), NOW);
            assert_eq!(end == PutEnd::Overwritten, is_known);
            slots.forget(&object);
        }
    }

    #[test]
    fn objects_that_show_nothing_yet_go_first() {
        let mut slots = StatusSlots::default();
        let shown = seen("1", &json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        for (name, seen) in [("a", &shown), ("b", &seen("1", &Value::Null)), ("c", &shown)] {
            slots.put(write(name, seen, verdict("x")), NOW);
        }
        let order: Vec<String> =
            std::iter::from_fn(|| slots.take(at(0), false)).map(|write| write.object.at.name.to_string()).collect();
        assert_eq!(order, ["b", "a", "c"]);
    }

    #[test]
    fn failures_wait_longer_each_time_unless_something_else_is_to_be_written() {
        let (mut slots, fresh) = (StatusSlots::default(), seen("1", &Value::Null));
        slots.put(write("a", &fresh, verdict("1")), NOW);
        let mut now = at(0);
        for wait in [60, 120, 240, 480, 960, 1800, 1800] {
            let taken = slots.take(now, false).unwrap();
            slots.done(taken, WriteEnd::Later, now);
            slots.put(write("a", &fresh, verdict("1")), NOW);
            assert_eq!(slots.next_in(now), Some(at(wait)));
            now += at(wait);
        }
        let taken = slots.take(now, false).unwrap();
        slots.done(taken, WriteEnd::Refused, now);
        assert_eq!(slots.next_in(now), Some(at(1800)));
        slots.put(write("a", &fresh, verdict("2")), NOW);
        assert_eq!(slots.next_in(now), Some(at(0)));
        let taken = slots.take(now, false).unwrap();
        slots.forget(&taken.object);
        slots.done(taken, WriteEnd::Later, now);
        assert!(slots.is_idle(), "it is gone");
    }

    #[test]
    fn another_object_of_the_same_name_has_its_own_pace() {
        let (mut slots, fresh) = (StatusSlots::default(), seen("1", &Value::Null));
        slots.put(write("a", &fresh, verdict("1")), NOW);
        let taken = slots.take(at(0), false).unwrap();
        store(&mut slots, taken, "2", at(0));
        let mut other = seen("9", &Value::Null);
        other.version.uid = "v".into();
        slots.put(write("a", &other, verdict("1")), NOW);
        assert_eq!(*slots.take(at(1), false).unwrap().seen, other);
    }

    #[test]
    fn only_cert_manager_over_our_own_write_counts_as_overwritten_and_only_once() {
        let mut slots = StatusSlots::default();
        let theirs = |version: &str, message: &str, by| SeenResource {
            ready_by: by,
            ..seen(version, &json!({"conditions": [{"type": "Ready", "status": "False", "message": message}]}))
        };
        use LastWriter::{Another, CertManager};
        let is_overwritten = |slots: &mut StatusSlots, seen: &SeenResource| {
            slots.put(write("a", seen, verdict("1")), NOW) == PutEnd::Overwritten
        };
        assert!(!is_overwritten(&mut slots, &theirs("1", "old", CertManager)), "before our first write");
        let taken = slots.take(at(0), false).unwrap();
        let stored = store(&mut slots, taken, "2", at(0));
        // The fields of Ready that did not change may still be theirs.
        let same = SeenResource { ready_by: CertManager, ..stored.clone() };
        assert!(!is_overwritten(&mut slots, &same));
        assert!(!is_overwritten(&mut slots, &theirs("3", "new", Another)), "a person");
        assert!(is_overwritten(&mut slots, &theirs("4", "new", CertManager)));
        assert!(slots.is_idle(), "nothing is written over them");
        assert!(!is_overwritten(&mut slots, &theirs("5", "newer", CertManager)));
    }

    #[test]
    fn a_server_that_is_back_is_asked_at_once() {
        let (mut slots, fresh) = (StatusSlots::default(), seen("1", &Value::Null));
        slots.put(write("a", &fresh, verdict("1")), NOW);
        let taken = slots.take(at(0), false).unwrap();
        slots.done(taken, WriteEnd::Later, at(0));
        assert_eq!(slots.next_in(at(0)), Some(at(60)));
        slots.retry();
        assert_eq!(slots.next_in(at(0)), Some(at(0)));
        let taken = slots.take(at(0), false).unwrap();
        store(&mut slots, taken, "2", at(0));
        let paced = slots.slots.values().next().map(|slot| slot.not_before);
        slots.retry();
        assert_eq!(slots.slots.values().next().map(|slot| slot.not_before), paced, "a write keeps its pace");
    }

    #[test]
    fn an_issuer_is_written_as_well() {
        let mut slots = StatusSlots::default();
        let reason = IssuerReason::AccountRegistered;
        let verdict = ObjectVerdict::Issuer(Box::new(IssuerVerdict {
            generation: 1,
            reason,
            message: "m".to_owned(),
            account: None,
        }));
        slots.put(write("a", &seen("1", &Value::Null), verdict), NOW);
        assert!(slots.take(at(0), false).is_some());
    }
}
