//! Gateways and ListenerSets as a source: one certificate for each Secret that their listeners name, for the host names of the listeners and
//! of the routes that attach to them. Pure.
//!
//! The wishes follow from the specs alone, because some controllers accept a route only when the Secret exists. The status can only veto.

pub mod listener;
pub mod namespaces;
pub mod reference;
pub mod route;

use std::collections::{BTreeMap, BTreeSet};

use self::listener::{GatewayFacts, GatewayListener, ListenerProtocol};
use self::namespaces::NamespaceLabels;
use self::reference::RouteKind;
use self::route::RouteFacts;
use super::annotations::OptIn;
use super::annotations::keys::CM_IGNORED_LISTENERS;
use super::draft::{Claims, Draft};
use super::hosts::quoted;
use super::kept::{self, Kept};
use super::wish::{ObjectKey, ObjectWishes, WishReason, WishSettings};
use super::{AcceptedSpec, Desired, ParserFactory, Source, SourceEvent, SourceObject, SourceRef};
use crate::base::limits::{OBJECT_HOSTS_MAX, OBJECT_ITEMS_MAX};
use crate::base::name::{ClusterName, ObjectRef};
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::store::Store;

/// The objects of the Gateway API.
#[derive(Debug)]
pub struct GatewaySource {
    selector: Selector,
    gateways: Kept<GatewayFacts>,
    sets: Kept<GatewayFacts>,
    http: Kept<RouteFacts>,
    grpc: Kept<RouteFacts>,
    tls: Kept<RouteFacts>,
    namespaces: Kept<NamespaceLabels>,
    /// The Gateways and ListenerSets that each route attached to last.
    attached: BTreeMap<(RouteKind, ObjectRef), Vec<ObjectKey>>,
    /// The Gateways and ListenerSets whose wishes may have changed.
    changed: BTreeSet<ObjectKey>,
}

impl GatewaySource {
    /// The Gateways that `selector` selects in all namespaces, with everything that attaches to them.
    pub fn new(selector: Selector) -> GatewaySource {
        GatewaySource {
            selector,
            gateways: Kept::default(),
            sets: Kept::default(),
            http: Kept::default(),
            grpc: Kept::default(),
            tls: Kept::default(),
            namespaces: Kept::default(),
            attached: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }

    fn routes(&self, kind: RouteKind) -> &Kept<RouteFacts> {
        match kind {
            RouteKind::Http => &self.http,
            RouteKind::Grpc => &self.grpc,
            RouteKind::Tls => &self.tls,
        }
    }

    fn labels(&self, namespace: &str) -> Option<&NamespaceLabels> {
        self.namespaces.get(&ObjectRef::new("", namespace)).map(|labels| &**labels)
    }

    /// The wishes of a Gateway.
    fn gateway(&self, facts: &GatewayFacts, settings: &WishSettings) -> ObjectWishes {
        let mut draft = Draft::new(&facts.source, &facts.annotations, settings);
        if draft.is_wanted(false) {
            self.listeners(&mut draft, facts);
        }
        draft.finish()
    }

    /// The wishes of a ListenerSet. It inherits the opt-in and the issuer of its Gateway, which must live and allow it.
    fn set(&self, facts: &GatewayFacts, settings: &WishSettings) -> ObjectWishes {
        let mut draft = Draft::new(&facts.source, &facts.annotations, settings);
        let parent = facts.parent.as_ref().and_then(|at| self.gateways.get(at)).filter(|parent| {
            let namespace = facts.source.namespace();
            let own = parent.source.namespace();
            parent.allowed_listeners.allows(namespace, own, self.labels(namespace)) && !facts.is_vetoed
        });
        let Some(parent) = parent else { return draft.finish() };
        let asks = |facts: &GatewayFacts| facts.annotations.opt_in(false, settings);
        let is_asked = asks(parent) == OptIn::Yes && !parent.annotations.ignores_all();
        let inherits = asks(facts) == OptIn::No && !facts.annotations.declines() && is_asked;
        if draft.is_wanted(false) || inherits {
            self.listeners(&mut draft, facts);
        }
        let mut wishes = draft.finish();
        // What is wrong with the annotations of the Gateway is told there.
        let inherited = parent.annotations.options(settings, &mut Vec::new()).issuer;
        for wish in wishes.wishes.iter_mut().filter(|wish| wish.options.issuer.is_none()) {
            wish.options.issuer.clone_from(&inherited);
        }
        wishes
    }

    fn listeners(&self, draft: &mut Draft<'_>, facts: &GatewayFacts) {
        for (i, listener) in facts.listeners.iter().enumerate() {
            let is_ignored = facts.annotations.lists(CM_IGNORED_LISTENERS, &listener.name);
            if listener.protocol != ListenerProtocol::Other && !is_ignored {
                self.listener(draft, facts, listener, &format!("spec.listeners[{i}]"));
            }
        }
        if facts.beyond > 0 {
            let sentence = format!("{} more listeners are not read: {OBJECT_ITEMS_MAX} are possible", facts.beyond);
            draft.problem(WishReason::Invalid, "spec.listeners", &sentence);
        }
        draft.apply_names();
    }

    fn listener(&self, draft: &mut Draft<'_>, facts: &GatewayFacts, listener: &GatewayListener, place: &str) {
        if listener.is_vetoed {
            let sentence = "the controller of the Gateway says that the listener is in conflict with another one";
            return draft.problem(WishReason::Skipped, place, sentence);
        }
        let reference = match &listener.certificates[..] {
            [reference] => reference,
            [] => {
                return draft.problem(WishReason::Skipped, place, "the listener names no Secret in `certificateRefs`");
            }
            _ => {
                let sentence = "the listener names several certificates: notariat fills the Secret of a single one";
                return draft.problem(WishReason::Invalid, place, sentence);
            }
        };
        if !reference.is_secret {
            let sentence = "the certificate of the listener is in no Secret, so that notariat can not make it";
            return draft.problem(WishReason::Invalid, place, sentence);
        }
        if let Some(namespace) = &reference.namespace {
            let sentence = format!(
                "the Secret of the listener is in the namespace {}: an object gets Secrets of its own namespace only, because a ReferenceGrant permits reading and not writing",
                quoted(namespace)
            );
            return draft.problem(WishReason::Refused, place, &sentence);
        }
        let Some(secret) = draft.secret(&reference.name, place) else { return };
        if let Some(fault) = listener.hostname.fault() {
            return draft.problem(WishReason::Invalid, place, &fault);
        }
        let own = draft.own(listener.hostname.names());
        draft.want(&secret, place, own);
        self.route_names(draft, facts, listener, &secret, place);
    }

    /// Adds the names of the routes that attach to a listener. The namespace of the route and that of the listener vouch for each.
    fn route_names(
        &self,
        draft: &mut Draft<'_>,
        facts: &GatewayFacts,
        listener: &GatewayListener,
        secret: &ObjectRef,
        place: &str,
    ) {
        // Each namespace has a bound of its own, so that none can use up that of others.
        let mut read: BTreeMap<&str, usize> = BTreeMap::new();
        let mut beyond: BTreeMap<&str, usize> = BTreeMap::new();
        for kind in RouteKind::ALL {
            for route in self.routes(kind).iter().map(|(_, route)| route) {
                let namespace = route.namespace();
                let names = route.names_at(kind, &facts.source, listener, || self.labels(namespace));
                if names.is_empty() {
                    continue;
                }
                let by = BTreeSet::from([namespace.to_owned(), facts.source.namespace().to_owned()]);
                for name in names {
                    let count = read.entry(namespace).or_default();
                    if *count < OBJECT_HOSTS_MAX {
                        *count += 1;
                        draft.want(secret, place, Claims::from([(name, by.clone())]));
                    } else {
                        *beyond.entry(namespace).or_default() += 1;
                    }
                }
            }
        }
        for (namespace, count) in beyond {
            let sentence = format!(
                "{count} more host names of routes of the namespace {namespace} are beyond the bound and were not read"
            );
            draft.problem(WishReason::Invalid, place, &sentence);
        }
    }

    /// Marks the Gateways and ListenerSets that changed routes attach to, or did before.
    fn mark_parents(&mut self, kind: RouteKind) {
        let routes = match kind {
            RouteKind::Http => &mut self.http,
            RouteKind::Grpc => &mut self.grpc,
            RouteKind::Tls => &mut self.tls,
        };
        for at in routes.take_changed() {
            let key = |parent: &route::RouteParent| ObjectKey { kind: parent.kind, at: parent.at.clone() };
            let parents: Option<Vec<ObjectKey>> = routes.get(&at).map(|route| route.parents.iter().map(key).collect());
            self.changed.extend(parents.iter().flatten().cloned());
            let before = match parents {
                Some(parents) => self.attached.insert((kind, at), parents),
                None => self.attached.remove(&(kind, at)),
            };
            self.changed.extend(before.into_iter().flatten());
        }
    }

    /// Marks changed Gateways with their ListenerSets, and changed ListenerSets.
    fn mark_owners(&mut self) {
        let gateways = self.gateways.take_changed();
        let is_child = |set: &GatewayFacts| set.parent.as_ref().is_some_and(|parent| gateways.contains(parent));
        self.changed.extend(self.sets.iter().filter(|(_, set)| is_child(set)).map(|(at, _)| set_key(at)));
        self.changed.extend(gateways.iter().map(gateway_key));
        self.changed.extend(self.sets.take_changed().iter().map(set_key));
    }

    /// Marks everything that labels of namespaces decide about.
    fn mark_selecting(&mut self) {
        if self.namespaces.take_changed().is_empty() {
            return;
        }
        let selects = |facts: &GatewayFacts| facts.listeners.iter().any(|l| l.allowed_routes.needs_labels());
        for (at, gateway) in self.gateways.iter() {
            if selects(gateway) {
                self.changed.insert(gateway_key(at));
            }
        }
        for (at, set) in self.sets.iter() {
            let parent = set.parent.as_ref().and_then(|at| self.gateways.get(at));
            if selects(set) || parent.is_some_and(|parent| parent.allowed_listeners.needs_labels()) {
                self.changed.insert(set_key(at));
            }
        }
    }
}

fn gateway_key(at: &ObjectRef) -> ObjectKey {
    ObjectKey::of(Resource::GATEWAYS, at)
}

fn set_key(at: &ObjectRef) -> ObjectKey {
    ObjectKey::of(Resource::LISTENER_SETS, at)
}

impl Source for GatewaySource {
    fn targets(&self) -> Vec<WatchTarget> {
        let target = |resource: Resource| WatchTarget {
            resource,
            namespace: String::new(),
            selector: Selector::All,
            cluster: ClusterName::HOME,
        };
        let gateways = WatchTarget { selector: self.selector.clone(), ..target(Resource::GATEWAYS) };
        let others = [Resource::LISTENER_SETS, Resource::NAMESPACES].into_iter();
        let others = others.chain(RouteKind::ALL.map(RouteKind::resource)).map(target);
        std::iter::once(gateways).chain(others).collect()
    }

    fn parser(&self, target: &WatchTarget) -> ParserFactory {
        let resource = target.resource;
        if RouteKind::ALL.iter().any(|kind| kind.resource() == resource) {
            return kept::parser(resource, RouteFacts::read);
        }
        match resource {
            Resource::NAMESPACES => kept::parser(resource, |_, object| NamespaceLabels::read(object)),
            _ => kept::parser(resource, GatewayFacts::read),
        }
    }

    fn apply(&mut self, target: &WatchTarget, event: SourceEvent) -> bool {
        let changed = match target.resource {
            Resource::GATEWAYS => self.gateways.apply(event),
            Resource::LISTENER_SETS => self.sets.apply(event),
            Resource::HTTP_ROUTES => self.http.apply(event),
            Resource::GRPC_ROUTES => self.grpc.apply(event),
            Resource::TLS_ROUTES => self.tls.apply(event),
            Resource::NAMESPACES => self.namespaces.apply(event),
            _ => false,
        };
        RouteKind::ALL.into_iter().for_each(|kind| self.mark_parents(kind));
        self.mark_owners();
        self.mark_selecting();
        changed
    }

    fn poll(&mut self, _: &WatchTarget, _: &Store) {}

    fn has_synced(&self) -> bool {
        let routes = RouteKind::ALL.iter().all(|kind| self.routes(*kind).has_synced());
        routes && self.gateways.has_synced() && self.sets.has_synced() && self.namespaces.has_synced()
    }

    fn not_ready(&self) -> Option<String> {
        None
    }

    fn objects(&self) -> Vec<SourceObject> {
        Vec::new()
    }

    fn owns(&self, source: &str) -> bool {
        let kinds = [Resource::GATEWAYS.kind, Resource::LISTENER_SETS.kind];
        SourceRef::parse(source).is_some_and(|source| kinds.contains(&source.kind()))
    }

    fn add_to(&self, _: &mut Desired, _: &dyn Fn(&ObjectRef) -> Option<AcceptedSpec>) {}

    fn has_wishes(&self) -> bool {
        true
    }

    fn take_changed(&mut self) -> BTreeSet<ObjectKey> {
        std::mem::take(&mut self.changed)
    }

    fn wishing(&self) -> Vec<ObjectKey> {
        let gateways = self.gateways.iter().map(|(at, _)| gateway_key(at));
        gateways.chain(self.sets.iter().map(|(at, _)| set_key(at))).collect()
    }

    fn named(&self) -> Vec<ObjectRef> {
        let all = self.gateways.iter().chain(self.sets.iter());
        all.flat_map(|(_, facts)| facts.named()).collect()
    }

    fn wishes_of(&self, object: &ObjectKey, settings: &WishSettings) -> Option<ObjectWishes> {
        match Resource::of_kind(object.kind)? {
            Resource::GATEWAYS => self.gateways.get(&object.at).map(|facts| self.gateway(facts, settings)),
            Resource::LISTENER_SETS => self.sets.get(&object.at).map(|facts| self.set(facts, settings)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
