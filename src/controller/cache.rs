//! Facts of objects as they were seen last, each with what keeps it fresh: a watch, or a reading that counts for a while. Pure.

use std::collections::HashMap;

use crate::base::limits::TABLE_KEPT_MIN;
use crate::base::name::ObjectRef;
use crate::base::time::Time;

/// Facts of one kind, by their object, with an index over all of them.
#[derive(Debug)]
pub(super) struct Cache<T, I = NoIndex> {
    // Boxed, because a table has up to twice the places that it needs.
    entries: HashMap<ObjectRef, Box<CacheEntry<T>>>,
    /// The number of entries above which those are looked for that nobody wants.
    prune_at: usize,
    pub(super) index: I,
}

/// An index over the facts of a cache, which is told of each change.
pub(super) trait CacheIndex<T> {
    /// A fact was added.
    fn added(&mut self, at: &ObjectRef, fact: &T);

    /// A fact was removed, or is about to be replaced.
    fn removed(&mut self, at: &ObjectRef, fact: &T);

    /// A fact takes the place of another one.
    fn replaced(&mut self, at: &ObjectRef, before: &T, fact: &T) {
        self.removed(at, before);
        self.added(at, fact);
    }
}

/// No index.
#[derive(Debug, Default)]
pub(super) struct NoIndex;

impl<T> CacheIndex<T> for NoIndex {
    fn added(&mut self, _: &ObjectRef, _: &T) {}
    fn removed(&mut self, _: &ObjectRef, _: &T) {}
}

/// The facts of one object.
#[derive(Debug)]
pub(super) struct CacheEntry<T> {
    /// The fact; `None` when the object does not exist.
    pub(super) fact: Option<T>,
    /// The resourceVersion of the object.
    pub(super) version: Box<str>,
    freshness: Freshness,
}

impl<T> CacheEntry<T> {
    /// Until when it counts, where no watch keeps it fresh.
    pub(super) fn until(&self) -> Option<Time> {
        match self.freshness {
            Freshness::Watch(..) => None,
            Freshness::Until(until) => Some(until),
        }
    }
}

const STALE: Freshness = Freshness::Until(Time::from_unix(0));

/// The reason why a fact still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// The watch of this number, since its list of this number.
    Watch(usize, u32),
    /// A reading, which counts until then.
    Until(Time),
}

impl<T, I: Default> Default for Cache<T, I> {
    fn default() -> Cache<T, I> {
        Cache { entries: HashMap::new(), prune_at: 0, index: I::default() }
    }
}

impl<T, I: CacheIndex<T>> Cache<T, I> {
    fn insert(&mut self, at: ObjectRef, entry: CacheEntry<T>) {
        let before = self.entries.remove(&at);
        match (before.as_ref().and_then(|entry| entry.fact.as_ref()), &entry.fact) {
            (Some(before), Some(fact)) => self.index.replaced(&at, before, fact),
            (Some(before), None) => self.index.removed(&at, before),
            (None, Some(fact)) => self.index.added(&at, fact),
            (None, None) => {}
        }
        self.entries.insert(at, Box::new(entry));
    }

    /// Puts what a watch saw. Returns whether that is a change: another version than before.
    pub(super) fn put(&mut self, at: ObjectRef, version: &str, fact: Option<T>, freshness: Freshness) -> bool {
        let is_known = self
            .entries
            .get(&at)
            .is_some_and(|entry| *entry.version == *version && entry.fact.is_some() == fact.is_some());
        self.insert(at, CacheEntry { fact, version: version.into(), freshness });
        !is_known
    }

    /// Puts what was just read, to count until then.
    pub(super) fn read(&mut self, at: ObjectRef, version: &str, fact: Option<T>, until: Time) {
        self.insert(at, CacheEntry { fact, version: version.into(), freshness: Freshness::Until(until) });
    }

    /// Marks the entry stale: neither a value nor "absent" may be used until the object is read again.
    pub(super) fn invalidate(&mut self, at: &ObjectRef) {
        let stale = || Box::new(CacheEntry { fact: None, version: "".into(), freshness: STALE });
        self.entries.entry(at.clone()).or_insert_with(stale).freshness = STALE;
    }

    /// Marks everything stale that was read; what watches show stays.
    pub(super) fn invalidate_readings(&mut self) {
        self.entries.values_mut().filter(|entry| entry.until().is_some()).for_each(|entry| entry.freshness = STALE);
    }

    /// Tells whether there is an entry that does not count any more.
    pub(super) fn is_stale(&self, at: &ObjectRef, now: Time) -> bool {
        self.entries.contains_key(at) && self.get(at, now).is_none()
    }

    /// The entry of an object, where it still counts.
    pub(super) fn get(&self, at: &ObjectRef, now: Time) -> Option<&CacheEntry<T>> {
        self.entries.get(at).map(|entry| &**entry).filter(|entry| match entry.freshness {
            Freshness::Watch(..) => true,
            Freshness::Until(until) => now <= until,
        })
    }

    /// Removes an entry: the object is unknown, or does not exist where a watch shows it. Returns whether there was one.
    pub(super) fn remove(&mut self, at: &ObjectRef) -> bool {
        let removed = self.entries.remove(at);
        if let Some(fact) = removed.as_ref().and_then(|entry| entry.fact.as_ref()) {
            self.index.removed(at, fact);
        }
        removed.is_some()
    }

    /// Replaces what a watch knew by its list of this number: objects that it did not find again do not exist. Returns those.
    pub(super) fn replace(&mut self, watch: usize, list: u32) -> Vec<ObjectRef> {
        self.remove_all(|_, entry| matches!(entry.freshness, Freshness::Watch(w, l) if w == watch && l != list))
    }

    /// Drops readings of objects that nobody wants. Looks at the entries only when there are twice as many as after the last time.
    pub(super) fn prune(&mut self, mut is_wanted: impl FnMut(&ObjectRef, Option<&T>) -> bool) {
        if self.entries.len() <= self.prune_at.max(TABLE_KEPT_MIN) {
            return;
        }
        self.remove_all(|at, entry| entry.until().is_some() && !is_wanted(at, entry.fact.as_ref()));
        self.prune_at = 2 * self.entries.len();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Drops what a watch showed that ended.
    pub(super) fn drop_watch(&mut self, watch: usize) {
        self.remove_all(|_, entry| matches!(entry.freshness, Freshness::Watch(w, _) if w == watch));
    }

    fn remove_all(&mut self, mut is_gone: impl FnMut(&ObjectRef, &CacheEntry<T>) -> bool) -> Vec<ObjectRef> {
        let gone = self.entries.iter().filter(|(at, entry)| is_gone(at, entry)).map(|(at, _)| at.clone());
        let gone: Vec<ObjectRef> = gone.collect();
        for at in &gone {
            self.remove(at);
        }
        gone
    }

    /// All facts, also stale ones.
    pub(super) fn facts(&self) -> impl Iterator<Item = (&ObjectRef, &T)> {
        self.entries.iter().filter_map(|(at, entry)| Some((at, entry.fact.as_ref()?)))
    }

    /// The fact of an object, also a stale one.
    pub(super) fn fact(&self, at: &ObjectRef) -> Option<&T> {
        self.entries.get(at)?.fact.as_ref()
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
        let (mut cache, now) = (Cache::<_>::default(), Time::from_unix(1_800_000_000));
        for name in ["a", "b"] {
            assert!(cache.put(at(name), "1", Some(name.to_owned()), Freshness::Watch(7, 1)));
        }
        cache.put(at("c"), "1", Some("c".to_owned()), Freshness::Watch(8, 1));
        cache.put(at("d"), "1", Some("d".to_owned()), Freshness::Until(now));
        assert!(!cache.put(at("a"), "1", Some("a".to_owned()), Freshness::Watch(7, 2)), "the same version is no news");
        assert_eq!(cache.replace(7, 2), [at("b")]);
        let known = |cache: &Cache<String>, name: &str, now: Time| cache.get(&at(name), now).is_some();
        assert!(["a", "c", "d"].iter().all(|name| known(&cache, name, now)) && !known(&cache, "b", now));
        assert!(!known(&cache, "d", now + std::time::Duration::from_secs(1)), "what was only read ages");
        cache.invalidate_readings();
        assert!(known(&cache, "a", now) && !known(&cache, "d", now) && cache.is_stale(&at("d"), now));
    }

    #[test]
    fn without_its_watch_nothing_is_known() {
        let (mut cache, now) = (Cache::<_>::default(), Time::from_unix(1_800_000_000));
        cache.put(at("a"), "1", Some(1), Freshness::Watch(7, 1));
        cache.put(at("b"), "", None, Freshness::Until(now));
        assert!(cache.get(&at("b"), now).unwrap().fact.is_none());
        assert!(cache.put(at("b"), "", Some(2), Freshness::Until(now)), "it exists now");
        cache.drop_watch(7);
        assert!(cache.get(&at("a"), now).is_none());
        assert_eq!(cache.facts().count(), 1);
    }
    #[test]
    fn a_hundred_thousand_objects_that_were_read_once_are_forgotten_and_wanted_ones_stay_in_doubt() {
        let (mut cache, now) = (Cache::<_>::default(), Time::from_unix(1_800_000_000));
        cache.put(at("watched"), "1", Some(0), Freshness::Watch(7, 1));
        cache.invalidate(&at("wanted"));
        for i in 0..100_000 {
            cache.read(at(&format!("s{i}")), "1", Some(i), now);
            cache.invalidate(&at(&format!("t{i}")));
            cache.prune(|at, _| at.name == "wanted");
        }
        assert!(cache.entries.len() <= TABLE_KEPT_MIN + 2, "{}", cache.entries.len());
        assert!(cache.get(&at("watched"), now).is_some());
        assert!(cache.is_stale(&at("wanted"), now), "else it would count as missing");
    }

    /// Sums the facts, and fails when it is told of one twice.
    #[derive(Debug, Default)]
    struct Known(std::collections::BTreeMap<String, i32>);

    impl CacheIndex<i32> for Known {
        fn added(&mut self, at: &ObjectRef, fact: &i32) {
            assert_eq!(self.0.insert(at.name.to_string(), *fact), None);
        }

        fn removed(&mut self, at: &ObjectRef, fact: &i32) {
            assert_eq!(self.0.remove(&*at.name), Some(*fact));
        }
    }

    #[test]
    fn the_index_is_told_of_each_change() {
        let (mut cache, now) = (Cache::<i32, Known>::default(), Time::from_unix(1_800_000_000));
        let known = |cache: &Cache<i32, Known>| cache.index.0.values().copied().collect::<Vec<_>>();
        cache.put(at("a"), "1", Some(1), Freshness::Watch(7, 1));
        cache.put(at("a"), "2", Some(2), Freshness::Watch(7, 1));
        cache.read(at("b"), "1", Some(3), now);
        cache.invalidate(&at("b"));
        cache.invalidate(&at("c"));
        assert_eq!(known(&cache), [2, 3], "stale facts still count");
        cache.read(at("b"), "", None, now);
        assert_eq!(known(&cache), [2]);
        cache.read(at("b"), "2", Some(4), now);
        assert_eq!(cache.replace(7, 2), [at("a")]);
        assert_eq!(known(&cache), [4]);
        cache.put(at("a"), "3", Some(5), Freshness::Watch(7, 2));
        cache.drop_watch(7);
        assert!(cache.remove(&at("b")) && !cache.remove(&at("b")));
        assert!(known(&cache).is_empty());
    }
}
