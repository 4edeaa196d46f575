//! The Certificates of Gardener's cert-management in one namespace of another cluster. Pure.
//!
//! Untrusted: the cluster with its objects. A Certificate gives names, the name of a Secret beside it, the name of an issuer, and options of the
//! certificate. The issuer is one of the key `issuers` at home; no Issuer of the other cluster is read.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::hosts::sentence;
use super::super::kept::{self, Kept};
use super::super::wish::{ObjectKey, ObjectWishes, WishProblem, WishReason, WishSettings};
use super::super::{AcceptedSpec, Desired, ParserFactory, Source, SourceEvent, SourceObject, SourceRef};
use super::certificate::{GardenerCertificateFacts, is_of_class, key};
use crate::base::name::{ClusterName, ObjectRef};
use crate::base::time::Time;
use crate::cert_manager::status::{SeenResource, StateFields};
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::store::Store;

/// The Certificates of a namespace of another cluster.
#[derive(Debug)]
pub struct GardenerElsewhere {
    target: WatchTarget,
    /// The class of the Certificates that are served.
    class: String,
    certificates: Kept<GardenerCertificateFacts>,
    /// The versions and the statuses.
    seen: Kept<Option<SeenResource>>,
    ages: Ages,
}

impl GardenerElsewhere {
    /// The Certificates that `selector` selects in a namespace of a cluster.
    pub fn new(cluster: &ClusterName, namespace: &str, selector: Selector, class: &str) -> GardenerElsewhere {
        let (resource, namespace) = (Resource::GARDENER_CERTIFICATES, namespace.to_owned());
        GardenerElsewhere {
            target: WatchTarget { resource, namespace, selector, cluster: cluster.clone() },
            class: class.to_owned(),
            certificates: Kept::default(),
            seen: Kept::default(),
            ages: Ages::default(),
        }
    }

    fn facts(&self, object: &ObjectKey) -> Option<&Arc<GardenerCertificateFacts>> {
        self.certificates.get(&object.at).filter(|_| object.kind == self.target.resource.text_kind())
    }

    /// Why a Certificate is not served, however sound it is.
    fn hindrance(&self, at: &ObjectRef, settings: &WishSettings) -> Option<WishProblem> {
        let place = at.place();
        // Without a line of the namespace nothing is served, and the rules say so.
        let most = *settings.most.get(&*place)?;
        (!self.ages.is_among(at, most)).then(|| WishProblem {
            reason: WishReason::Refused,
            place: "spec".to_owned(),
            sentence: sentence(&format!(
                "the namespace {place} has {} Certificates, and of them the {most} oldest are served (`maxCertificates` of its line in the key \
                 `namespaces`)",
                self.ages.order.len()
            )),
        })
    }
}

impl Source for GardenerElsewhere {
    fn targets(&self) -> Vec<WatchTarget> {
        vec![self.target.clone()]
    }

    fn parser(&self, target: &WatchTarget) -> ParserFactory {
        let class = self.class.clone();
        kept::parser_in(
            &target.cluster,
            target.resource,
            move |object| is_of_class(&class, object),
            |source, object| (GardenerCertificateFacts::read(source, object), SeenResource::read(object)),
        )
    }

    fn apply(&mut self, _: &WatchTarget, event: SourceEvent) -> bool {
        kept::apply_pair(&mut self.certificates, &mut self.seen, event)
    }

    fn poll(&mut self, _: &WatchTarget, _: &Store) {}

    fn has_synced(&self) -> bool {
        self.certificates.has_synced()
    }

    fn not_ready(&self) -> Option<String> {
        None
    }

    fn objects(&self) -> Vec<SourceObject> {
        Vec::new()
    }

    /// Before the first list nobody knows whether an object is gone.
    fn owns(&self, source: &str) -> bool {
        let is_ours = |source: SourceRef| {
            source.kind() == self.target.resource.text_kind() && source.namespace() == self.target.namespace
        };
        self.has_synced() && SourceRef::parse(source).is_some_and(is_ours)
    }

    fn add_to(&self, _: &mut Desired, _: &dyn Fn(&ObjectRef) -> Option<AcceptedSpec>) {}

    fn has_wishes(&self) -> bool {
        true
    }

    fn take_changed(&mut self) -> BTreeSet<ObjectKey> {
        let mut changed = self.certificates.take_changed();
        changed.append(&mut self.ages.note(&changed, |at| self.certificates.get(at).map(|facts| facts.created())));
        changed.iter().map(key).collect()
    }

    fn take_seen(&mut self) -> BTreeSet<ObjectKey> {
        self.seen.take_changed().iter().map(key).collect()
    }

    fn all_seen(&self) -> Vec<ObjectKey> {
        self.seen.iter().map(|(at, _)| key(at)).collect()
    }

    fn seen(&self, object: &ObjectKey) -> Option<Arc<SeenResource>> {
        self.facts(object)?;
        (**self.seen.get(&object.at)?).clone().map(Arc::new)
    }

    fn status_fields(&self, object: &ObjectKey) -> Option<StateFields> {
        Some(self.facts(object)?.status_fields_elsewhere())
    }

    fn wishing(&self) -> Vec<ObjectKey> {
        self.certificates.iter().map(|(at, _)| key(at)).collect()
    }

    fn wishes_of(&self, object: &ObjectKey, settings: &WishSettings) -> Option<ObjectWishes> {
        Some(self.facts(object)?.wishes_elsewhere(self.hindrance(&object.at, settings)))
    }
}

/// The age of an object: the second of its creation, and its name.
type Age = (i64, ObjectRef);

/// The objects of a namespace by age. Whoever makes many objects there must not delay anybody, so that the oldest ones are found without a look
/// at all of them.
#[derive(Debug, Default)]
struct Ages {
    created: BTreeMap<ObjectRef, i64>,
    order: BTreeSet<Age>,
    /// The number of objects that was asked for last, and the first object beyond it.
    border: RefCell<Option<(usize, Option<Age>)>>,
}

impl Ages {
    /// Notes objects that are new, different or gone. Returns those that are now among the oldest, or not any more, because of that.
    fn note(
        &mut self,
        changed: &BTreeSet<ObjectRef>,
        created: impl Fn(&ObjectRef) -> Option<Option<Time>>,
    ) -> BTreeSet<ObjectRef> {
        for at in changed {
            if let Some(before) = self.created.remove(at) {
                self.order.remove(&(before, at.clone()));
            }
            if let Some(created) = created(at) {
                let created = created.map_or(i64::MAX, Time::unix);
                self.created.insert(at.clone(), created);
                self.order.insert((created, at.clone()));
            }
        }
        let Some((most, before)) = self.border.take() else { return BTreeSet::new() };
        let now = self.order.iter().nth(most).cloned();
        let moved = match (&before, &now) {
            (None, None) => BTreeSet::new(),
            (Some(one), None) | (None, Some(one)) => {
                self.order.range(one.clone()..).map(|(_, at)| at.clone()).collect()
            }
            (Some(one), Some(other)) => {
                let (first, last) = (one.min(other).clone(), one.max(other).clone());
                self.order.range(first..last).map(|(_, at)| at.clone()).collect()
            }
        };
        self.border.replace(Some((most, now)));
        moved
    }

    /// Tells whether an object is among so many oldest ones.
    fn is_among(&self, at: &ObjectRef, most: usize) -> bool {
        let mut border = self.border.borrow_mut();
        if border.as_ref().is_none_or(|(known, _)| *known != most) {
            *border = Some((most, self.order.iter().nth(most).cloned()));
        }
        let first_beyond = border.as_ref().and_then(|(_, first)| first.as_ref());
        let age = self.created.get(at).map(|created| (*created, at.clone()));
        first_beyond.is_none_or(|first| age.is_some_and(|age| age < *first))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    struct World(GardenerElsewhere, WishSettings);

    impl World {
        fn new(most: usize) -> World {
            let settings = WishSettings { most: [("edge:t".to_owned(), most)].into(), ..WishSettings::default() };
            World(GardenerElsewhere::new(&ClusterName::new("edge"), "t", Selector::All, "gardencert"), settings)
        }

        fn see(&mut self, name: &str, created: &str, spec: &Value) {
            let metadata = json!({
                "namespace": "t", "name": name, "uid": name, "resourceVersion": "1", "generation": 1,
                "creationTimestamp": format!("2026-01-01T00:00:{created}Z"),
            });
            let parsed = (self.0.parser(&self.0.target).0)()(&json!({"metadata": metadata, "spec": spec}));
            let target = self.0.target.clone();
            self.0.apply(&target, SourceEvent::Present(parsed));
        }

        fn plain(&mut self, name: &str, created: &str) {
            self.see(name, created, &json!({"dnsNames": ["x.a.test"]}));
        }

        fn gone(&mut self, name: &str) {
            let target = self.0.target.clone();
            self.0.apply(&target, SourceEvent::Gone(at(name)));
        }

        fn changed(&mut self) -> Vec<String> {
            self.0.take_changed().iter().map(|object| object.at.name.to_string()).collect()
        }

        fn wishes(&self, name: &str) -> ObjectWishes {
            self.0.wishes_of(&key(&at(name)), &self.1).unwrap()
        }

        /// The names of those that are served.
        fn served(&self) -> Vec<String> {
            let is_served = |object: &ObjectKey| {
                let wishes = self.wishes(&object.at.name);
                wishes.wishes[0].options.resource.as_ref().unwrap().issuer == Ok(None)
            };
            self.0.wishing().into_iter().filter(is_served).map(|object| object.at.name.to_string()).collect()
        }
    }

    fn at(name: &str) -> ObjectRef {
        ObjectRef { cluster: ClusterName::new("edge"), ..ObjectRef::new("t", name) }
    }

    #[test]
    fn an_object_wishes_a_secret_beside_it_and_an_issuer_by_its_name() {
        let mut world = World::new(9);
        world.see("w", "00", &json!({"dnsNames": ["x.a.test"], "secretName": "s", "issuerRef": {"name": "le"}}));
        world.changed();
        let ObjectWishes { source, wishes, problems } = world.wishes("w");
        assert_eq!(&*source, "Certificate.cert.gardener.cloud edge:t/w");
        assert_eq!((SourceRef::parse(&source).unwrap().object(), problems.len()), (&at("w"), 0));
        let [wish] = &wishes[..] else { panic!("{wishes:?}") };
        assert_eq!((&wish.secret, wish.options.issuer.as_deref()), (&at("s"), Some("le")));
        assert_eq!(wish.names.values().collect::<Vec<_>>(), [&BTreeSet::from(["edge:t".to_owned()])]);
        for (issuer, part) in [
            (json!({"name": "le", "namespace": "own"}), "by its name alone"),
            (json!({"name": "https://ca.test"}), "https://ca.test"),
        ] {
            world.see("w", "00", &json!({"dnsNames": ["x.a.test"], "issuerRef": issuer}));
            let wishes = world.wishes("w").wishes;
            let refused = wishes[0].options.resource.as_ref().unwrap().issuer.clone().unwrap_err();
            assert!(refused.sentence.contains(part) && refused.reason == WishReason::Refused, "{refused:?}");
        }
    }

    #[test]
    fn the_oldest_ones_are_served_and_only_those_change_that_come_or_go() {
        let mut world = World::new(2);
        for (name, created) in [("d", "04"), ("b", "02"), ("c", "03"), ("e", "05")] {
            world.plain(name, created);
        }
        assert_eq!(world.changed(), ["b", "c", "d", "e"]);
        assert_eq!(world.served(), ["b", "c"]);
        let refused = world.wishes("d").wishes[0].options.resource.as_ref().unwrap().issuer.clone().unwrap_err();
        assert!(refused.sentence.contains("edge:t has 4 Certificates, and of them the 2 oldest"), "{refused:?}");
        world.plain("a", "01");
        assert_eq!((world.changed(), world.served()), (words("a c"), words("a b")));
        world.gone("e");
        assert_eq!((world.changed(), world.served()), (words("e"), words("a b")));
        world.gone("b");
        assert_eq!((world.changed(), world.served()), (words("b c"), words("a c")));
        world.gone("a");
        assert_eq!((world.changed(), world.served()), (words("a d"), words("c d")));
        // Of equal age the first by name; an object that is made anew is young.
        world.gone("c");
        world.plain("c", "04");
        world.plain("f", "04");
        world.changed();
        assert_eq!(world.served(), ["c", "d"]);
        world.1.most.insert("edge:t".to_owned(), 1);
        assert_eq!(world.served(), ["c"]);
        world.1.most.clear();
        assert_eq!(world.served(), ["c", "d", "f"], "the rules refuse a namespace without a line");
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn nothing_is_known_to_be_gone_before_the_first_list_and_nothing_of_other_places() {
        let mut world = World::new(2);
        let own = "Certificate.cert.gardener.cloud edge:t/w";
        assert!(!world.0.owns(own));
        let target = world.0.target.clone();
        world.0.apply(&target, SourceEvent::Listing);
        world.0.apply(&target, SourceEvent::Listed);
        assert!(world.0.owns(own));
        assert!(!world.0.owns("Certificate.cert.gardener.cloud edge:u/w") && !world.0.owns("Certificate edge:t/w"));
        assert_eq!(target.to_string(), "edge:t/certificates");
    }
}
