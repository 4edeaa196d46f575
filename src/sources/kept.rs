//! The objects of one kind as their watch showed them, in the compact form that decisions need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::{Parsed, ParserFactory, SourceEvent, SourceRef};
use crate::base::name::{ClusterName, ObjectRef};
use crate::kube::resource::Resource;

/// An object as the thread of its watch read it.
#[derive(Debug)]
pub struct ReadObject<F> {
    at: ObjectRef,
    /// The facts; `None` for an object that is being deleted or none of ours, which counts as absent.
    pub facts: Option<F>,
}

/// Makes the parser for objects of a kind. `read` makes the facts of an object that is not being deleted.
pub fn parser<F: Send + 'static>(
    resource: Resource,
    read: impl Fn(&SourceRef, &Value) -> F + Send + Sync + 'static,
) -> ParserFactory {
    parser_of(resource, |_| true, read)
}

/// Makes the parser for those objects of a kind that are `ours`; the others count as absent.
pub fn parser_of<F: Send + 'static>(
    resource: Resource,
    ours: impl Fn(&Value) -> bool + Send + Sync + 'static,
    read: impl Fn(&SourceRef, &Value) -> F + Send + Sync + 'static,
) -> ParserFactory {
    parser_in(&ClusterName::HOME, resource, ours, read)
}

/// Makes the same for objects of a cluster.
pub fn parser_in<F: Send + 'static>(
    cluster: &ClusterName,
    resource: Resource,
    ours: impl Fn(&Value) -> bool + Send + Sync + 'static,
    read: impl Fn(&SourceRef, &Value) -> F + Send + Sync + 'static,
) -> ParserFactory {
    let cluster = cluster.clone();
    let both = Arc::new((ours, read));
    ParserFactory(Arc::new(move || {
        let (both, cluster) = (both.clone(), cluster.clone());
        Box::new(move |object| {
            let (ours, read) = &*both;
            let read = read_in(&cluster, resource, object, read);
            Box::new(read.map(|read| ReadObject { facts: read.facts.filter(|_| ours(object)), ..read })) as Parsed
        })
    }))
}

/// Reads one object at home; `None` when it has no name.
pub fn read_object<F>(
    resource: Resource,
    object: &Value,
    read: impl Fn(&SourceRef, &Value) -> F,
) -> Option<ReadObject<F>> {
    read_in(&ClusterName::HOME, resource, object, read)
}

fn read_in<F>(
    cluster: &ClusterName,
    resource: Resource,
    object: &Value,
    read: impl Fn(&SourceRef, &Value) -> F,
) -> Option<ReadObject<F>> {
    let metadata = object.get("metadata")?;
    let text = |field: &str| metadata.get(field).and_then(Value::as_str);
    let at = ObjectRef::new(text("namespace").unwrap_or_default(), text("name")?);
    let at = ObjectRef { cluster: cluster.clone(), ..at };
    let lives = metadata.get("deletionTimestamp").is_none_or(Value::is_null);
    let facts = lives.then(|| read(&SourceRef::new(resource.text_kind(), &at, text("uid")), object));
    Some(ReadObject { at, facts })
}

impl<A, B> ReadObject<(A, B)> {
    fn split(self) -> (ReadObject<A>, ReadObject<B>) {
        let (first, second) = self.facts.unzip();
        (ReadObject { at: self.at.clone(), facts: first }, ReadObject { at: self.at, facts: second })
    }
}

/// Applies what a watch saw of objects whose facts are pairs. Returns what [`Kept::apply`] does for the first of them.
pub fn apply_pair<A, B>(first: &mut Kept<A>, second: &mut Kept<B>, event: SourceEvent) -> bool
where
    A: PartialEq + 'static,
    B: PartialEq + 'static,
{
    match event {
        SourceEvent::Present(parsed) => match parsed.downcast::<Option<ReadObject<(A, B)>>>() {
            Ok(read) => read.is_some_and(|read| {
                let (of_first, of_second) = read.split();
                second.set(of_second);
                first.set(of_first)
            }),
            Err(_) => false,
        },
        SourceEvent::Gone(at) => {
            second.remove(at.clone());
            first.remove(at)
        }
        SourceEvent::Listing => {
            second.apply(SourceEvent::Listing);
            first.apply(SourceEvent::Listing)
        }
        SourceEvent::Listed => {
            second.apply(SourceEvent::Listed);
            first.apply(SourceEvent::Listed)
        }
    }
}

/// The facts of all objects of a kind.
#[derive(Debug)]
pub struct Kept<F> {
    objects: BTreeMap<ObjectRef, KeptObject<F>>,
    has_synced: bool,
    /// The first list goes on. All of its objects changed, which is noted at its end: there may be 10,000.
    is_first: bool,
    /// The objects whose facts changed since they were taken last.
    changed: BTreeSet<ObjectRef>,
    /// Takes a part that does not count as a change over from new facts, where nothing else differs; `None` where everything counts.
    take_over: Option<TakeOver<F>>,
    /// With `take_over` the objects of which anything changed since they were taken last.
    touched: BTreeSet<ObjectRef>,
}

/// Takes a part over from new facts, and gives them back where something else differs.
pub type TakeOver<F> = fn(&mut F, F) -> Result<(), F>;

#[derive(Debug)]
struct KeptObject<F> {
    facts: Arc<F>,
    /// True if the list that goes on has shown it.
    listed: bool,
}

impl<F> Default for Kept<F> {
    fn default() -> Kept<F> {
        let (objects, changed, touched) = Default::default();
        Kept { objects, has_synced: false, is_first: false, changed, take_over: None, touched }
    }
}

impl<F> Kept<F> {
    /// Facts of which a part changes without an effect on what is wanted. That part alone is replaced then: the others stay where they are,
    /// shared with what was made of them.
    pub fn with_part(take_over: TakeOver<F>) -> Kept<F> {
        Kept { take_over: Some(take_over), ..Kept::default() }
    }

    /// Notes that an object is new, different, or gone.
    fn note(&mut self, at: &ObjectRef, is_alike: bool) {
        if self.is_first {
            return;
        }
        if self.take_over.is_some() {
            self.touched.insert(at.clone());
        }
        if !is_alike {
            self.changed.insert(at.clone());
        }
    }
}

impl<F: PartialEq + 'static> Kept<F> {
    /// Applies what a watch saw. Returns whether the facts changed, or whether all are known for the first time.
    pub fn apply(&mut self, event: SourceEvent) -> bool {
        match event {
            SourceEvent::Present(parsed) => match parsed.downcast::<Option<ReadObject<F>>>() {
                Ok(read) => read.is_some_and(|read| self.set(read)),
                Err(_) => false,
            },
            SourceEvent::Gone(at) => self.remove(at),
            SourceEvent::Listing => {
                self.objects.values_mut().for_each(|object| object.listed = false);
                self.is_first = !self.has_synced;
                false
            }
            SourceEvent::Listed => {
                let is_gone = |object: &KeptObject<F>| !object.listed;
                let gone = self.objects.iter().filter(|(_, object)| is_gone(object)).map(|(at, _)| at.clone());
                let gone: Vec<ObjectRef> = gone.collect();
                // Made anew, because a map that grows in order is half empty; there may be 10,000 objects.
                let objects = std::mem::take(&mut self.objects).into_iter();
                self.objects = objects.filter(|(_, object)| !is_gone(object)).collect();
                let first = !std::mem::replace(&mut self.has_synced, true);
                if std::mem::take(&mut self.is_first) {
                    self.changed.append(&mut self.objects.keys().cloned().collect());
                    if self.take_over.is_some() {
                        self.touched.append(&mut self.objects.keys().cloned().collect());
                    }
                }
                gone.iter().for_each(|at| self.note(at, false));
                first || !gone.is_empty()
            }
        }
    }

    fn set(&mut self, read: ReadObject<F>) -> bool {
        let Some(mut facts) = read.facts else { return self.remove(read.at) };
        if let Some(object) = self.objects.get_mut(&read.at) {
            object.listed = true;
            if *object.facts == facts {
                return false;
            }
            // Nobody keeps facts while an event is applied.
            if let Some((take_over, own)) = self.take_over.zip(Arc::get_mut(&mut object.facts)) {
                match take_over(own, facts) {
                    Ok(()) => {
                        self.note(&read.at, true);
                        return false;
                    }
                    Err(others) => facts = others,
                }
            }
        }
        self.note(&read.at, false);
        self.objects.insert(read.at, KeptObject { facts: Arc::new(facts), listed: true });
        true
    }
}

impl<F> Kept<F> {
    fn remove(&mut self, at: ObjectRef) -> bool {
        let existed = self.objects.remove(&at).is_some();
        if existed {
            self.note(&at, false);
        }
        existed
    }

    /// Takes the objects whose facts changed since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<ObjectRef> {
        std::mem::take(&mut self.changed)
    }

    /// Takes the objects of which anything changed since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<ObjectRef> {
        std::mem::take(&mut self.touched)
    }

    /// Tells whether a list was complete once.
    pub fn has_synced(&self) -> bool {
        self.has_synced
    }

    /// The facts of all objects, by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectRef, &Arc<F>)> {
        self.objects.iter().map(|(at, object)| (at, &object.facts))
    }

    /// The name of one object, as it is kept, and its facts.
    pub fn get_key_value(&self, at: &ObjectRef) -> Option<(&ObjectRef, &Arc<F>)> {
        self.objects.get_key_value(at).map(|(at, object)| (at, &object.facts))
    }

    /// The facts of one object.
    pub fn get(&self, at: &ObjectRef) -> Option<&Arc<F>> {
        self.objects.get(at).map(|object| &object.facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(name: &str, value: u64, extra: Value) -> SourceEvent {
        let mut object = json!({"metadata": {"namespace": "t", "name": name, "uid": "u"}, "value": value});
        object["metadata"].as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let factory = parser(Resource::INGRESSES, |source, object| (source.to_string(), object["value"].as_u64()));
        SourceEvent::Present((factory.0)()(&object))
    }

    fn state(kept: &Kept<(String, Option<u64>)>) -> Vec<(String, u64)> {
        kept.iter().map(|(at, facts)| (at.name.to_string(), facts.1.unwrap())).collect()
    }

    #[test]
    fn the_objects_of_the_first_list_changed_when_it_is_complete() {
        let mut kept = Kept::<(String, Option<u64>)>::with_part(|_, new| Err(new));
        let [a, b] = ["a", "b"].map(|name| ObjectRef::new("t", name));
        kept.apply(SourceEvent::Listing);
        kept.apply(event("a", 1, json!({})));
        kept.apply(event("b", 1, json!({})));
        kept.apply(event("c", 1, json!({})));
        kept.apply(SourceEvent::Gone(ObjectRef::new("t", "c")));
        assert_eq!((kept.take_changed(), kept.take_touched()), ([].into(), [].into()));
        // A list that broke off begins anew; what it does not show any more is gone.
        kept.apply(SourceEvent::Listing);
        kept.apply(event("a", 1, json!({})));
        kept.apply(SourceEvent::Listed);
        assert_eq!((kept.take_changed(), kept.take_touched()), ([a.clone(), b.clone()].into(), [a, b.clone()].into()));
        kept.apply(SourceEvent::Listing);
        kept.apply(event("b", 2, json!({})));
        assert_eq!(kept.take_changed(), [b.clone()].into(), "a later list is noted as it goes");
        assert_eq!(kept.take_touched(), [b].into());
    }

    #[test]
    fn a_part_that_does_not_count_touches_an_object_and_changes_nothing() {
        let mut kept =
            Kept::<(String, Option<u64>)>::with_part(|own, new| match own.1.map(|n| n % 10) == new.1.map(|n| n % 10) {
                true => {
                    own.1 = new.1;
                    Ok(())
                }
                false => Err(new),
            });
        let a: BTreeSet<ObjectRef> = [ObjectRef::new("t", "a")].into();
        for (value, is_change, is_touched) in
            [(1, true, true), (11, false, true), (11, false, false), (12, true, true), (22, false, true)]
        {
            assert_eq!(kept.apply(event("a", value, json!({}))), is_change, "{value}");
            let expected = |is: bool| if is { a.clone() } else { BTreeSet::new() };
            assert_eq!((kept.take_changed(), kept.take_touched()), (expected(is_change), expected(is_touched)));
            assert_eq!(state(&kept), [("a".to_owned(), value)], "the facts are the last ones all the same");
        }
        assert!(kept.apply(SourceEvent::Gone(ObjectRef::new("t", "a"))));
        assert_eq!((kept.take_changed(), kept.take_touched()), (a.clone(), a.clone()));
        kept.apply(event("a", 1, json!({})));
        kept.take_changed();
        kept.take_touched();
        kept.apply(SourceEvent::Listing);
        kept.apply(SourceEvent::Listed);
        assert_eq!((kept.take_changed(), kept.take_touched()), (a.clone(), a), "a list without it");
    }

    #[test]
    fn facts_follow_the_watch_and_only_changes_count() {
        let mut kept = Kept::default();
        assert!(!kept.has_synced() && !kept.apply(SourceEvent::Listing));
        assert!(kept.apply(event("a", 1, json!({}))) && kept.apply(event("b", 2, json!({}))));
        assert!(kept.apply(SourceEvent::Listed), "the first complete list is news");
        assert!(kept.has_synced());
        assert!(!kept.apply(event("a", 1, json!({"resourceVersion": "9"}))), "nothing that is read changed");
        assert!(kept.apply(event("a", 3, json!({}))));
        assert_eq!(state(&kept), [("a".to_owned(), 3), ("b".to_owned(), 2)]);
        assert_eq!(kept.get(&ObjectRef::new("t", "a")).unwrap().0, "Ingress t/a");
        assert!(kept.apply(SourceEvent::Gone(ObjectRef::new("t", "b"))));
        assert_eq!(kept.take_changed(), [ObjectRef::new("t", "a"), ObjectRef::new("t", "b")].into());
        assert!(!kept.apply(SourceEvent::Gone(ObjectRef::new("t", "b"))));
        assert_eq!((state(&kept), kept.take_changed().len()), (vec![("a".to_owned(), 3)], 0));
    }

    #[test]
    fn an_object_that_a_new_list_does_not_show_is_gone() {
        // Rule 50: a list that is not complete takes nothing away.
        let mut kept = Kept::default();
        kept.apply(event("a", 1, json!({})));
        kept.apply(event("b", 2, json!({})));
        kept.apply(SourceEvent::Listed);
        assert!(!kept.apply(SourceEvent::Listing));
        assert_eq!(state(&kept).len(), 2, "the last objects hold until the list is complete");
        assert!(!kept.apply(event("b", 2, json!({}))));
        kept.take_changed();
        assert!(kept.apply(SourceEvent::Listed));
        assert_eq!((state(&kept), kept.take_changed()), (vec![("b".to_owned(), 2)], [ObjectRef::new("t", "a")].into()));
        kept.apply(SourceEvent::Listing);
        kept.apply(event("b", 2, json!({})));
        assert!(!kept.apply(SourceEvent::Listed), "the same objects");
    }

    #[test]
    fn an_object_that_is_being_deleted_is_absent() {
        let mut kept = Kept::default();
        let deleted = || json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert!(!kept.apply(event("a", 1, deleted())));
        assert!(kept.apply(event("a", 1, json!({"deletionTimestamp": null}))));
        assert!(kept.apply(event("a", 1, deleted())));
        assert!(state(&kept).is_empty());
    }

    #[test]
    fn an_object_without_a_name_is_nothing() {
        let mut kept = Kept::<u8>::default();
        let factory = parser(Resource::INGRESSES, |_, _| 1_u8);
        for object in [json!(null), json!([]), json!({}), json!({"metadata": {}}), json!({"metadata": {"name": 1}})] {
            assert!(!kept.apply(SourceEvent::Present((factory.0)()(&object))));
        }
        assert!(!kept.apply(SourceEvent::Present(Box::new("of another source"))));
        assert_eq!(kept.iter().count(), 0);
    }
}
