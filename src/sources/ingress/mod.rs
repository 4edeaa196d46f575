//! Ingresses as a source: the items of `spec.tls`, and with `-ingress-all` every host of `spec.rules` below some zones. Pure.
//!
//! Untrusted: anybody writes an Ingress who may create one. Each text is checked again, because API servers check different things, and one
//! bad item never stops another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::annotations::Annotations;
use super::annotations::keys::{INGRESS_CLASS, LEGO_SOLVER, PASSTHROUGH, SOLVER};
use super::draft::{Claims, Draft};
use super::hosts::{HostList, quoted, text, texts};
use super::kept::{self, Kept};
use super::wish::{ObjectKey, ObjectWishes, WishReason, WishSettings};
use super::{AcceptedSpec, Desired, ParserFactory, Source, SourceEvent, SourceObject, SourceRef};
use crate::base::limits::{NAMES_SHOWN_MAX, OBJECT_HOSTS_MAX, OBJECT_ITEMS_MAX};
use crate::base::name::{ClusterName, Domain, ObjectRef};
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::store::Store;

/// The beginning of the name of a Secret for a wildcard, whose `*` no name may have.
const WILDCARD_PREFIX: &str = "wild--card.";

/// The longest value of a label.
const LABEL_VALUE_MAX: usize = 63;

/// An Ingress, as far as it says what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressFacts {
    /// The Ingress.
    pub source: SourceRef,
    annotations: Annotations,
    /// The class: of the spec, else of the annotation; empty for none.
    class: Box<str>,
    items: Box<[TlsItem]>,
    /// Items beyond the bound, which were not read.
    items_beyond: usize,
    /// The hosts of the rules, where an item needs them or `-ingress-all`.
    rules: HostList,
}

/// An item of `spec.tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TlsItem {
    secret: Option<Box<str>>,
    hosts: HostList,
}

impl IngressFacts {
    /// Reads an Ingress. `all` says whether every host counts, as with `-ingress-all`.
    pub fn read(source: &SourceRef, object: &Value, all: bool) -> IngressFacts {
        let field = |name: &str| object.get("spec").and_then(|spec| spec.get(name));
        let annotations = Annotations::read(object.get("metadata").unwrap_or(&Value::Null));
        let list = |name: &str| field(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let tls = list("tls");
        // Nothing but the Secrets counts of an Ingress that asks for nothing.
        let asks = all || !annotations.is_empty();
        let mut room = OBJECT_HOSTS_MAX;
        let read_item = |item: &Value| TlsItem {
            secret: text(item.get("secretName")),
            hosts: HostList::read(texts(item.get("hosts").filter(|_| asks)), &mut room),
        };
        let items: Box<[TlsItem]> = tls.iter().take(OBJECT_ITEMS_MAX).map(read_item).collect();
        let rules = match all || (asks && items.iter().any(|item| item.hosts.is_empty())) {
            true => {
                let hosts = list("rules").iter().filter_map(|rule| rule.get("host").and_then(Value::as_str));
                HostList::read(hosts.filter(|host| !host.is_empty()).map(Some), &mut { OBJECT_HOSTS_MAX })
            }
            false => HostList::default(),
        };
        let class = text(field("ingressClassName"))
            .or_else(|| annotations.get(INGRESS_CLASS).map(|class| class.to_ascii_lowercase().into()))
            .unwrap_or_default();
        let items_beyond = tls.len() - items.len();
        IngressFacts { source: source.clone(), annotations, class, items, items_beyond, rules }
    }

    /// The certificates that the Ingress wants.
    pub fn wishes(&self, settings: &WishSettings) -> ObjectWishes {
        let mut draft = Draft::new(&self.source, &self.annotations, settings);
        let is_wanted = draft.is_wanted(true);
        let is_served = settings.ingress_classes.is_empty() || settings.ingress_classes.contains(&*self.class);
        if is_wanted && is_served {
            self.items(&mut draft);
            draft.apply_names();
        } else if is_wanted {
            let class = if self.class.is_empty() { "none".to_owned() } else { quoted(&self.class) };
            let sentence = format!("the class of the Ingress is {class}, which -ingress-class does not list");
            draft.problem(WishReason::Skipped, "", &sentence);
        }
        if is_served && !self.annotations.ignores_all() && !self.is_for_others() {
            self.all_hosts(&mut draft, settings);
        }
        draft.finish()
    }

    /// The Secrets that the items name.
    fn named(&self) -> impl Iterator<Item = ObjectRef> {
        let named = self.items.iter().filter_map(|item| item.secret.as_deref());
        named.map(|name| ObjectRef::new(self.source.namespace(), name))
    }

    /// Tells whether the hosts need no certificate: TLS ends behind the controller, or the Ingress answers challenges of another program.
    fn is_for_others(&self) -> bool {
        PASSTHROUGH.iter().any(|key| self.annotations.is_true(key))
            || [SOLVER, LEGO_SOLVER].iter().any(|key| self.annotations.get(key).is_some())
    }

    /// The wishes of `spec.tls`.
    fn items(&self, draft: &mut Draft<'_>) {
        let mut without_secret = Vec::new();
        for (i, item) in self.items.iter().enumerate() {
            let place = format!("spec.tls[{i}]");
            let Some(secret) = &item.secret else {
                match item.hosts.is_empty() {
                    true => draft.problem(WishReason::Invalid, &place, "the item has neither a Secret nor hosts"),
                    false => without_secret.push(place),
                }
                continue;
            };
            let Some(secret) = draft.secret(secret, &place) else { continue };
            let claims = match item.hosts.is_empty() {
                true => draft.own(&self.rule_hosts()),
                false => draft.own(item.hosts.names()),
            };
            let fault = if item.hosts.is_empty() { self.rules.fault() } else { item.hosts.fault() };
            if let Some(fault) = fault {
                draft.problem(WishReason::Invalid, &place, &fault);
            }
            draft.want(&secret, &place, claims);
        }
        if let [first, others @ ..] = &without_secret[..] {
            let shown: Vec<&str> = without_secret.iter().take(NAMES_SHOWN_MAX).map(String::as_str).collect();
            let sentence = match others.len() {
                0 => "the item names no Secret: its hosts have the default certificate of the Ingress controller"
                    .to_owned(),
                _ => format!(
                    "{} items ({}) name no Secret: their hosts have the default certificate of the Ingress controller",
                    without_secret.len(),
                    shown.join(", ")
                ),
            };
            draft.problem(WishReason::Skipped, first, &sentence);
        }
        if self.items_beyond > 0 {
            let sentence =
                format!("{} more items are not read: an Ingress may have {OBJECT_ITEMS_MAX}", self.items_beyond);
            draft.problem(WishReason::Invalid, "spec.tls", &sentence);
        }
    }

    /// The hosts of the rules that no item lists: those of an item without hosts.
    fn rule_hosts(&self) -> Vec<Domain> {
        let listed: BTreeSet<&Domain> = self.items.iter().flat_map(|item| item.hosts.names()).collect();
        self.rules.names().iter().filter(|host| !listed.contains(host)).cloned().collect()
    }

    /// The wishes of `-ingress-all`: each host below its zones that no wish has.
    fn all_hosts(&self, draft: &mut Draft<'_>, settings: &WishSettings) {
        if settings.ingress_all.is_empty() {
            return;
        }
        if let Some(fault) = self.rules.fault() {
            draft.problem(WishReason::Invalid, "spec.rules", &fault);
        }
        let is_below = |host: &&Domain| settings.ingress_all.iter().any(|zone| host.base().is_within(zone.base()));
        let wanted: BTreeSet<&Domain> = draft.wishes.iter().flat_map(|wish| wish.names.keys()).collect();
        let is_new = |host: &&Domain| !wanted.contains(host);
        let hosts: Vec<&Domain> = self.rules.names().iter().filter(is_below).filter(is_new).collect();
        for host in hosts {
            let item = self.items.iter().enumerate().find(|(_, item)| item.hosts.names().contains(host));
            let listed = item.and_then(|(i, item)| Some((i, item.secret.as_deref()?)));
            match listed.filter(|_| settings.secret_namespace.is_none()) {
                Some((i, secret)) => {
                    let place = format!("spec.tls[{i}]");
                    if let Some(secret) = draft.secret(secret, &place) {
                        let claims = draft.own(std::slice::from_ref(host));
                        draft.want(&secret, &place, claims);
                    }
                }
                None => self.host_secret(draft, host, settings),
            }
        }
    }

    /// The wish for the Secret that is named after a host, or after the wildcard that the host is folded into.
    fn host_secret(&self, draft: &mut Draft<'_>, host: &Domain, settings: &WishSettings) {
        let place = "spec.rules";
        let name = if settings.wildcards { folded(host, settings) } else { host.clone() };
        let text = match name.is_wildcard() {
            true => format!("{WILDCARD_PREFIX}{}", name.base()),
            false => name.to_string(),
        };
        if self.annotations.ignores(&text) {
            return;
        }
        let namespace = settings.secret_namespace.as_deref().unwrap_or(self.source.namespace());
        let secret = match ObjectRef::parse(&text, namespace) {
            Ok(secret) => secret,
            Err(e) => return draft.problem(WishReason::Invalid, place, &format!("{} {e}", quoted(&text))),
        };
        let claims: Claims = draft.own(std::slice::from_ref(&name));
        draft.want(&secret, place, claims);
        let Some(label) = &settings.secret_host_label else { return };
        if text.len() > LABEL_VALUE_MAX {
            let sentence = format!(
                "{} has {} characters, and the value of the label {label} may have {LABEL_VALUE_MAX}: the Secret has no such label",
                quoted(&text),
                text.len()
            );
            draft.problem(WishReason::Invalid, place, &sentence);
        } else if let Some(wish) = draft.wishes.iter_mut().find(|wish| wish.secret == secret) {
            wish.options.labels = BTreeMap::from([(label.clone(), text)]);
        }
    }
}

/// The wildcard that covers a host, or the host itself where the wildcard would be at or above the apex of a zone.
fn folded(host: &Domain, settings: &WishSettings) -> Domain {
    let wildcard = host.base().parent().and_then(|parent| Domain::parse(&format!("*.{parent}")).ok());
    let is_at_apex = |wildcard: &Domain| {
        let mut zones = settings.zones.iter().chain(&settings.ingress_all);
        zones.any(|zone| zone.base().is_within(wildcard.base()))
    };
    wildcard.filter(|wildcard| !host.is_wildcard() && !is_at_apex(wildcard)).unwrap_or_else(|| host.clone())
}

/// The Ingresses of a cluster.
#[derive(Debug)]
pub struct IngressSource {
    target: WatchTarget,
    /// True if every host counts, as with `-ingress-all`.
    all: bool,
    ingresses: Kept<IngressFacts>,
}

impl IngressSource {
    /// The Ingresses that `selector` selects in all namespaces.
    pub fn new(selector: Selector, all: bool) -> IngressSource {
        let target = WatchTarget {
            resource: Resource::INGRESSES,
            namespace: String::new(),
            selector,
            cluster: ClusterName::HOME,
        };
        IngressSource { target, all, ingresses: Kept::default() }
    }

    /// The wishes of all Ingresses, by namespace and name.
    pub fn wishes(&self, settings: &WishSettings) -> Vec<ObjectWishes> {
        self.ingresses.iter().map(|(_, facts)| facts.wishes(settings)).collect()
    }
}

fn key(at: &ObjectRef) -> ObjectKey {
    ObjectKey::of(Resource::INGRESSES, at)
}

impl Source for IngressSource {
    fn targets(&self) -> Vec<WatchTarget> {
        vec![self.target.clone()]
    }

    fn parser(&self, _: &WatchTarget) -> ParserFactory {
        let all = self.all;
        kept::parser(Resource::INGRESSES, move |source, object| IngressFacts::read(source, object, all))
    }

    fn apply(&mut self, _: &WatchTarget, event: SourceEvent) -> bool {
        self.ingresses.apply(event)
    }

    fn poll(&mut self, _: &WatchTarget, _: &Store) {}

    fn has_synced(&self) -> bool {
        self.ingresses.has_synced()
    }

    fn not_ready(&self) -> Option<String> {
        None
    }

    fn objects(&self) -> Vec<SourceObject> {
        Vec::new()
    }

    fn owns(&self, source: &str) -> bool {
        SourceRef::parse(source).is_some_and(|source| source.kind() == Resource::INGRESSES.kind)
    }

    fn add_to(&self, _: &mut Desired, _: &dyn Fn(&ObjectRef) -> Option<AcceptedSpec>) {}

    fn has_wishes(&self) -> bool {
        true
    }

    fn take_changed(&mut self) -> BTreeSet<ObjectKey> {
        self.ingresses.take_changed().iter().map(key).collect()
    }

    fn wishing(&self) -> Vec<ObjectKey> {
        self.ingresses.iter().map(|(at, _)| key(at)).collect()
    }

    fn named(&self) -> Vec<ObjectRef> {
        self.ingresses.iter().flat_map(|(_, facts)| facts.named()).collect()
    }

    fn wishes_of(&self, object: &ObjectKey, settings: &WishSettings) -> Option<ObjectWishes> {
        let facts = self.ingresses.get(&object.at).filter(|_| object.kind == Resource::INGRESSES.kind)?;
        Some(facts.wishes(settings))
    }
}

#[cfg(test)]
mod tests;
