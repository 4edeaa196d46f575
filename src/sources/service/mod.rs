//! Services of type LoadBalancer as a source: `notariat/secret` or Gardener's `cert.gardener.cloud/secretname`, and names by annotations.
//! Pure.
//!
//! Untrusted: anybody writes a Service who may create one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::annotations::keys::{GARDENER_SECRET, PUBLISHED_NAMES, SECRET, SECRET_NAMESPACE};
use super::annotations::{Annotations, list, place};
use super::draft::{Claims, Draft};
use super::hosts::{HostList, quoted};
use super::kept::{self, Kept};
use super::wish::{ObjectKey, ObjectWishes, WishReason, WishSettings};
use super::{AcceptedSpec, Desired, ParserFactory, Source, SourceEvent, SourceObject, SourceRef};
use crate::base::limits::OBJECT_HOSTS_MAX;
use crate::base::name::{ClusterName, ObjectRef};
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::store::Store;

/// A Service, as far as it says what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    source: SourceRef,
    annotations: Annotations,
    is_load_balancer: bool,
}

impl ServiceFacts {
    /// Reads a Service.
    pub fn read(source: &SourceRef, object: &Value) -> ServiceFacts {
        let type_ = object.get("spec").and_then(|spec| spec.get("type")).and_then(Value::as_str);
        ServiceFacts {
            source: source.clone(),
            annotations: Annotations::read(object.get("metadata").unwrap_or(&Value::Null)),
            is_load_balancer: type_ == Some("LoadBalancer"),
        }
    }

    /// The certificate that the Service wants.
    pub fn wishes(&self, settings: &WishSettings) -> ObjectWishes {
        let mut draft = Draft::new(&self.source, &self.annotations, settings);
        let named = [SECRET, GARDENER_SECRET].into_iter().find_map(|key| Some((key, self.annotations.get(key)?)));
        match named {
            Some((key, secret)) if !self.annotations.ignores_all() && !self.annotations.declines() => {
                self.wish(&mut draft, key, secret);
            }
            _ => {}
        }
        draft.finish()
    }

    /// The Secrets that annotations name.
    fn named(&self) -> impl Iterator<Item = ObjectRef> {
        let names = [SECRET, GARDENER_SECRET].into_iter().filter_map(|key| self.annotations.get(key));
        names.map(|name| ObjectRef::new(self.source.namespace(), name))
    }

    fn wish(&self, draft: &mut Draft<'_>, key: &str, secret: &str) {
        let at = place(key);
        if !self.is_load_balancer {
            return draft.problem(WishReason::Skipped, &at, "the Service is not of type LoadBalancer");
        }
        draft.problems(self.annotations.faults(true));
        let own = self.source.namespace();
        if let Some(other) =
            self.annotations.get(SECRET_NAMESPACE).filter(|other| key == GARDENER_SECRET && *other != own)
        {
            let sentence = format!("a Service gets a Secret of its own namespace only, and not of {}", quoted(other));
            return draft.problem(WishReason::Refused, &place(SECRET_NAMESPACE), &sentence);
        }
        let Some(secret) = draft.secret(secret, &at) else { return };
        draft.want(&secret, &at, Claims::new());
        // Without a name of its own the certificate has those that Gardener publishes in DNS, unless they stand for all names of a zone.
        let published = self.annotations.get(PUBLISHED_NAMES).filter(|names| !matches!(*names, "*" | "all"));
        if let Some(published) = published.filter(|_| !self.annotations.gives_all_names()) {
            let names = HostList::read(list(published).map(Some), &mut { OBJECT_HOSTS_MAX });
            if let Some(fault) = names.fault() {
                draft.problem(WishReason::Invalid, &place(PUBLISHED_NAMES), &fault);
            }
            let claims = draft.own(names.names());
            draft.want(&secret, &at, claims);
        }
        draft.apply_names();
    }
}

/// The Services of a cluster.
#[derive(Debug)]
pub struct ServiceSource {
    target: WatchTarget,
    services: Kept<ServiceFacts>,
}

impl ServiceSource {
    /// The Services that `selector` selects in all namespaces.
    pub fn new(selector: Selector) -> ServiceSource {
        let target = WatchTarget {
            resource: Resource::SERVICES,
            namespace: String::new(),
            selector,
            cluster: ClusterName::HOME,
        };
        ServiceSource { target, services: Kept::default() }
    }
}

fn key(at: &ObjectRef) -> ObjectKey {
    ObjectKey::of(Resource::SERVICES, at)
}

impl Source for ServiceSource {
    fn targets(&self) -> Vec<WatchTarget> {
        vec![self.target.clone()]
    }

    fn parser(&self, _: &WatchTarget) -> ParserFactory {
        kept::parser(Resource::SERVICES, ServiceFacts::read)
    }

    fn apply(&mut self, _: &WatchTarget, event: SourceEvent) -> bool {
        self.services.apply(event)
    }

    fn poll(&mut self, _: &WatchTarget, _: &Store) {}

    fn has_synced(&self) -> bool {
        self.services.has_synced()
    }

    fn not_ready(&self) -> Option<String> {
        None
    }

    fn objects(&self) -> Vec<SourceObject> {
        Vec::new()
    }

    fn owns(&self, source: &str) -> bool {
        SourceRef::parse(source).is_some_and(|source| source.kind() == Resource::SERVICES.kind)
    }

    fn add_to(&self, _: &mut Desired, _: &dyn Fn(&ObjectRef) -> Option<AcceptedSpec>) {}

    fn has_wishes(&self) -> bool {
        true
    }

    fn take_changed(&mut self) -> BTreeSet<ObjectKey> {
        self.services.take_changed().iter().map(key).collect()
    }

    fn wishing(&self) -> Vec<ObjectKey> {
        self.services.iter().map(|(at, _)| key(at)).collect()
    }

    fn named(&self) -> Vec<ObjectRef> {
        self.services.iter().flat_map(|(_, facts)| facts.named()).collect()
    }

    fn wishes_of(&self, object: &ObjectKey, settings: &WishSettings) -> Option<ObjectWishes> {
        let facts = self.services.get(&object.at).filter(|_| object.kind == Resource::SERVICES.kind)?;
        Some(facts.wishes(settings))
    }
}

#[cfg(test)]
mod tests;
