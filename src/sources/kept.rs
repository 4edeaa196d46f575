//! The objects of one kind as their watch showed them, in the compact form that decisions need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::{Parsed, ParserFactory, SourceEvent, SourceRef};
use crate::base::name::ObjectRef;
use crate::kube::resource::Resource;

/// An object as the thread of its watch read it.
#[derive(Debug)]
pub struct ReadObject<F> {
    at: ObjectRef,
    /// The facts; `None` for an object that is being deleted, which counts as absent.
    pub facts: Option<F>,
}

/// Makes the parser for objects of a kind. `read` makes the facts of an object that is not being deleted.
pub fn parser<F: Send + 'static>(
    resource: Resource,
    read: impl Fn(&SourceRef, &Value) -> F + Send + Sync + 'static,
) -> ParserFactory {
    let read = Arc::new(read);
    ParserFactory(Arc::new(move || {
        let read = read.clone();
        Box::new(move |object| Box::new(read_object(resource, object, &*read)) as Parsed)
    }))
}

/// Reads one object; `None` when it has no name.
pub fn read_object<F>(
    resource: Resource,
    object: &Value,
    read: impl Fn(&SourceRef, &Value) -> F,
) -> Option<ReadObject<F>> {
    let metadata = object.get("metadata")?;
    let text = |field: &str| metadata.get(field).and_then(Value::as_str);
    let at = ObjectRef::new(text("namespace").unwrap_or_default(), text("name")?);
    let lives = metadata.get("deletionTimestamp").is_none_or(Value::is_null);
    let facts = lives.then(|| read(&SourceRef::new(resource.kind, &at, text("uid")), object));
    Some(ReadObject { at, facts })
}

/// The facts of all objects of a kind.
#[derive(Debug)]
pub struct Kept<F> {
    objects: BTreeMap<ObjectRef, KeptObject<F>>,
    has_synced: bool,
    /// The objects whose facts changed since they were taken last.
    changed: BTreeSet<ObjectRef>,
}

#[derive(Debug)]
struct KeptObject<F> {
    facts: Arc<F>,
    /// Whether the list that goes on has shown it.
    listed: bool,
}

impl<F> Default for Kept<F> {
    fn default() -> Kept<F> {
        Kept { objects: BTreeMap::new(), has_synced: false, changed: BTreeSet::new() }
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
                false
            }
            SourceEvent::Listed => {
                let is_gone = |object: &KeptObject<F>| !object.listed;
                let gone = self.objects.iter().filter(|(_, object)| is_gone(object)).map(|(at, _)| at.clone());
                let gone: Vec<ObjectRef> = gone.collect();
                self.objects.retain(|_, object| !is_gone(object));
                let first = !std::mem::replace(&mut self.has_synced, true);
                let lost = !gone.is_empty();
                self.changed.extend(gone);
                first || lost
            }
        }
    }

    fn set(&mut self, read: ReadObject<F>) -> bool {
        let Some(facts) = read.facts else { return self.remove(read.at) };
        match self.objects.get_mut(&read.at) {
            Some(object) if *object.facts == facts => {
                object.listed = true;
                false
            }
            _ => {
                self.changed.insert(read.at.clone());
                self.objects.insert(read.at, KeptObject { facts: Arc::new(facts), listed: true });
                true
            }
        }
    }
}

impl<F> Kept<F> {
    fn remove(&mut self, at: ObjectRef) -> bool {
        let existed = self.objects.remove(&at).is_some();
        if existed {
            self.changed.insert(at);
        }
        existed
    }

    /// Takes the objects whose facts changed since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<ObjectRef> {
        std::mem::take(&mut self.changed)
    }

    /// Whether a list was complete once.
    pub fn has_synced(&self) -> bool {
        self.has_synced
    }

    /// The facts of all objects, by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectRef, &Arc<F>)> {
        self.objects.iter().map(|(at, object)| (at, &object.facts))
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
