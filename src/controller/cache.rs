//! Facts of objects as they were seen last, each with what vouches for it: a watch, or a reading that holds for a while. Pure.

use std::collections::HashMap;

use crate::base::limits::TABLE_KEPT_MIN;
use crate::base::name::ObjectRef;
use crate::base::time::Time;

/// Facts of one kind, by the object that they are of.
#[derive(Debug)]
pub(super) struct Cache<T> {
    // Boxed, because a table has up to twice the places that it needs.
    slots: HashMap<ObjectRef, Box<CacheEntry<T>>>,
    /// How many there may be before those are looked for that nobody wants.
    prune_at: usize,
}

/// Facts of one object.
#[derive(Debug)]
pub(super) struct CacheEntry<T> {
    /// What it holds; `None` when it does not exist.
    pub(super) fact: Option<T>,
    /// Its resourceVersion.
    pub(super) version: Box<str>,
    vouched: Freshness,
}

impl<T> CacheEntry<T> {
    /// Until when it counts, where no watch vouches for it.
    pub(super) fn until(&self) -> Option<Time> {
        match self.vouched {
            Freshness::Watch(..) => None,
            Freshness::Until(until) => Some(until),
        }
    }
}

const STALE: Freshness = Freshness::Until(Time::from_unix(0));

/// What says that a fact still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// The watch of this number, since its list of this number.
    Watch(usize, u32),
    /// It was read, and counts until then.
    Until(Time),
}

impl<T> Default for Cache<T> {
    fn default() -> Cache<T> {
        Cache { slots: HashMap::new(), prune_at: 0 }
    }
}

impl<T> Cache<T> {
    /// Puts what was seen in its place. Returns whether it is news: another version than before.
    pub(super) fn put(&mut self, at: ObjectRef, version: &str, fact: Option<T>, vouched: Freshness) -> bool {
        let known =
            self.slots.get(&at).is_some_and(|slot| *slot.version == *version && slot.fact.is_some() == fact.is_some());
        self.slots.insert(at, Box::new(CacheEntry { fact, version: version.into(), vouched }));
        !known
    }

    /// Puts what was just read in its place, to count until then.
    pub(super) fn read(&mut self, at: ObjectRef, version: &str, fact: Option<T>, until: Time) -> &CacheEntry<T> {
        let slot = Box::new(CacheEntry { fact, version: version.into(), vouched: Freshness::Until(until) });
        self.slots.entry(at).insert_entry(slot).into_mut()
    }

    /// What is known of an object does not count any more, and neither does that nothing is known.
    pub(super) fn invalidate(&mut self, at: &ObjectRef) {
        let slot = self.slots.entry(at.clone());
        slot.or_insert_with(|| Box::new(CacheEntry { fact: None, version: "".into(), vouched: STALE })).vouched = STALE;
    }

    /// What was read does not count any more; what watches vouch for does.
    pub(super) fn invalidate_readings(&mut self) {
        self.slots.values_mut().filter(|slot| slot.until().is_some()).for_each(|slot| slot.vouched = STALE);
    }

    /// Whether something was seen once that may not count any more.
    pub(super) fn is_stale(&self, at: &ObjectRef, now: Time) -> bool {
        self.slots.contains_key(at) && self.get(at, now).is_none()
    }

    /// What is known of an object, where it still counts.
    pub(super) fn get(&self, at: &ObjectRef, now: Time) -> Option<&CacheEntry<T>> {
        self.slots.get(at).map(|slot| &**slot).filter(|slot| match slot.vouched {
            Freshness::Watch(..) => true,
            Freshness::Until(until) => now <= until,
        })
    }

    /// An object is not known any more, or is known to be gone where a watch says so.
    pub(super) fn remove(&mut self, at: &ObjectRef) -> bool {
        self.slots.remove(at).is_some()
    }

    /// A watch has read its list of this number: what it knew and did not find again is gone. Returns which.
    pub(super) fn replace(&mut self, watch: usize, list: u32) -> Vec<ObjectRef> {
        let gone = |slot: &CacheEntry<T>| matches!(slot.vouched, Freshness::Watch(w, l) if w == watch && l != list);
        let swept: Vec<ObjectRef> =
            self.slots.iter().filter(|(_, slot)| gone(slot)).map(|(at, _)| at.clone()).collect();
        for at in &swept {
            self.slots.remove(at);
        }
        swept
    }

    /// Forgets what was read of objects that are not wanted. What watches vouch for stays. Takes its time only when there is twice as much
    /// as after the last time.
    pub(super) fn prune(&mut self, mut is_wanted: impl FnMut(&ObjectRef, Option<&T>) -> bool) {
        if self.slots.len() <= self.prune_at.max(TABLE_KEPT_MIN) {
            return;
        }
        self.slots.retain(|at, slot| slot.until().is_none() || is_wanted(at, slot.fact.as_ref()));
        self.prune_at = 2 * self.slots.len();
    }

    /// A watch is at its end: nothing vouches for what it knew.
    pub(super) fn drop_watch(&mut self, watch: usize) {
        self.slots.retain(|_, slot| !matches!(slot.vouched, Freshness::Watch(w, _) if w == watch));
    }

    /// All that is known, true or not any more.
    pub(super) fn facts(&self) -> impl Iterator<Item = (&ObjectRef, &T)> {
        self.slots.iter().filter_map(|(at, slot)| Some((at, slot.fact.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(name: &str) -> ObjectRef {
        ObjectRef::parse(name, "team").unwrap()
    }

    #[test]
    fn what_a_new_list_does_not_show_is_gone_and_others_stay() {
        let (mut shelf, now) = (Cache::default(), Time::from_unix(1_800_000_000));
        for name in ["a", "b"] {
            assert!(shelf.put(at(name), "1", Some(name.to_owned()), Freshness::Watch(7, 1)));
        }
        shelf.put(at("c"), "1", Some("c".to_owned()), Freshness::Watch(8, 1));
        shelf.put(at("d"), "1", Some("d".to_owned()), Freshness::Until(now));
        assert!(!shelf.put(at("a"), "1", Some("a".to_owned()), Freshness::Watch(7, 2)), "the same version is no news");
        assert_eq!(shelf.replace(7, 2), [at("b")]);
        let known = |shelf: &Cache<String>, name: &str, now: Time| shelf.get(&at(name), now).is_some();
        assert!(["a", "c", "d"].iter().all(|name| known(&shelf, name, now)) && !known(&shelf, "b", now));
        assert!(!known(&shelf, "d", now + std::time::Duration::from_secs(1)), "what was only read ages");
        shelf.invalidate_readings();
        assert!(known(&shelf, "a", now) && !known(&shelf, "d", now) && shelf.is_stale(&at("d"), now));
    }

    #[test]
    fn without_its_watch_nothing_is_known() {
        let (mut shelf, now) = (Cache::default(), Time::from_unix(1_800_000_000));
        shelf.put(at("a"), "1", Some(1), Freshness::Watch(7, 1));
        shelf.put(at("b"), "", None, Freshness::Until(now));
        assert!(shelf.get(&at("b"), now).unwrap().fact.is_none());
        assert!(shelf.put(at("b"), "", Some(2), Freshness::Until(now)), "it exists now");
        shelf.drop_watch(7);
        assert!(shelf.get(&at("a"), now).is_none());
        assert_eq!(shelf.facts().count(), 1);
    }
    #[test]
    fn a_hundred_thousand_objects_that_were_read_once_are_forgotten_and_wanted_ones_stay_in_doubt() {
        let (mut shelf, now) = (Cache::default(), Time::from_unix(1_800_000_000));
        shelf.put(at("watched"), "1", Some(0), Freshness::Watch(7, 1));
        shelf.invalidate(&at("wanted"));
        for i in 0..100_000 {
            shelf.read(at(&format!("s{i}")), "1", Some(i), now);
            shelf.invalidate(&at(&format!("t{i}")));
            shelf.prune(|at, _| at.name == "wanted");
        }
        assert!(shelf.slots.len() <= TABLE_KEPT_MIN + 2, "{}", shelf.slots.len());
        assert!(shelf.get(&at("watched"), now).is_some());
        assert!(shelf.is_stale(&at("wanted"), now), "else it would count as missing");
    }
}
