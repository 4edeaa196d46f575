//! The key `defaults`: its valid fields, and how entries take them. Pure.

use std::collections::BTreeSet;

use super::csr;
use super::entry::{self, Entry, InvalidEntry};
use super::fields;
use super::metadata::Metadata;
use super::namespaces::Namespaces;
use super::node::YamlNode;
use super::table::ENTRY;
use crate::base::limits::{DEFAULTS_ADDED_OCTETS_MAX, FAULTS_SHOWN_MAX, FIELDS_MAX};

/// The labels and annotations of `defaults`, which entries share.
#[derive(Clone, Debug, Default)]
pub(super) struct EntryDefaults {
    pub(super) labels: Metadata,
    pub(super) annotations: Metadata,
}

/// Takes labels and annotations out of valid `defaults`, sharing the maps of `before` where they are equal.
pub(super) fn take_shared(defaults: &mut YamlNode, namespaces: &Namespaces, before: &EntryDefaults) -> EntryDefaults {
    let YamlNode::Map(pairs) = defaults else { return EntryDefaults::default() };
    let is_shared = |(key, _): &mut (YamlNode, YamlNode)| matches!(key.text(), Some("labels" | "annotations"));
    let taken = pairs.extract_if(.., is_shared).collect();
    // Their faults were reported with the defaults.
    Entry::read(&sample(taken), namespaces).map_or_else(
        |_| EntryDefaults::default(),
        |entry| EntryDefaults {
            labels: entry.labels.shared_with(&before.labels),
            annotations: entry.annotations.shared_with(&before.annotations),
        },
    )
}

/// The entry with the labels and annotations of `defaults`. An `item` without its own shares their map; another one
/// gets a map of its own, whose octets count as `added`.
pub(super) fn with_shared(
    entry: Entry,
    item: &YamlNode,
    shared: &EntryDefaults,
    place: &str,
    added: &mut usize,
) -> Result<Entry, InvalidEntry> {
    let mut layered = |field: &str, own: Metadata, shared: &Metadata| match item.get(field) {
        _ if shared.is_empty() => own,
        None => shared.clone(),
        Some(YamlNode::Map(_)) if own.is_empty() => shared.clone(),
        Some(YamlNode::Map(_)) => {
            let nodes = shared.len().saturating_mul(2).saturating_mul(size_of::<YamlNode>());
            *added = added.saturating_add(shared.octets()).saturating_add(nodes);
            if *added > DEFAULTS_ADDED_OCTETS_MAX { own } else { shared.with(&own) }
        }
        // An empty field takes nothing from the defaults.
        Some(_) => own,
    };
    let (labels, annotations) = (entry.labels.clone(), entry.annotations.clone());
    let labels = layered("labels", labels, &shared.labels);
    let annotations = layered("annotations", annotations, &shared.annotations);
    let is_own = |now: &Metadata, shared: &Metadata| !now.is_empty() && now != shared;
    let faults = match is_own(&labels, &shared.labels) || is_own(&annotations, &shared.annotations) {
        true => entry::metadata_faults(&labels, &annotations),
        false => Vec::new(),
    };
    if faults.is_empty() {
        return Ok(Entry { labels, annotations, ..entry });
    }
    Err(InvalidEntry { place: place.to_owned(), secret: entry.secrets.into_iter().next(), faults })
}

/// An entry with a name and a Secret of no meaning, and with the valid `defaults`.
pub(super) fn template(defaults: &YamlNode, shared: &EntryDefaults, namespaces: &Namespaces) -> Option<Entry> {
    let entry = Entry::read(&merged(&sample(Vec::new()), defaults, &mut 0), namespaces).ok()?;
    Some(Entry { labels: shared.labels.clone(), annotations: shared.annotations.clone(), ..entry })
}

/// The fields of an entry that every entry needs, and more.
fn sample(more: Vec<(YamlNode, YamlNode)>) -> YamlNode {
    let text = |text: &str| YamlNode::Text(text.to_owned());
    let own = [(text("secret"), text("sample")), (text("domains"), YamlNode::List(vec![text("sample.example")]))];
    YamlNode::Map(own.into_iter().chain(more).collect())
}

/// The defaults without the fields that have a fault. A fault is reported once, not for each entry.
pub(super) fn sound_defaults(node: YamlNode, namespaces: &Namespaces, faults: &mut Vec<String>) -> YamlNode {
    let text = |text: &str| YamlNode::Text(text.to_owned());
    let YamlNode::Map(mut pairs) = node else {
        faults.push(format!("key `defaults`: is {}; it must be a mapping", node.kind()));
        return YamlNode::Null;
    };
    if pairs.len() > FIELDS_MAX {
        faults.push(format!("key `defaults`: has {} fields; {FIELDS_MAX} are possible", pairs.len()));
        return YamlNode::Null;
    }
    for own in ENTRY.iter().filter(|row| row.is_own()).map(|row| row.name) {
        let all = pairs.len();
        pairs.retain(|(key, _)| *key != text(own));
        if pairs.len() < all {
            faults.push(format!("key `defaults`: {own}: can not be a default: each entry needs its own"));
        }
    }
    let mut defaults = YamlNode::Map(pairs);
    let found = Entry::read(&merged(&sample(Vec::new()), &defaults, &mut 0), namespaces).err().unwrap_or_default();
    let faulty: BTreeSet<&str> = found.iter().filter_map(|fault| fault.field.split(['.', '[']).next()).collect();
    let is_faulty = |key: &str| faulty.contains(fields::shown(key).split(['.', '[']).next().unwrap_or_default());
    if let YamlNode::Map(pairs) = &mut defaults {
        pairs.retain(|(key, _)| !matches!(key, YamlNode::Text(key) if is_faulty(key)));
    }
    faults.extend(found.iter().take(FAULTS_SHOWN_MAX).map(|fault| format!("key `defaults`: {fault}")));
    defaults
}

/// The entry with the fields of `defaults` that it leaves out, and that may stand beside its CSR: mappings merge by key, lists and values replace. Their
/// octets are added to `added`.
pub(super) fn merged(item: &YamlNode, defaults: &YamlNode, added: &mut usize) -> YamlNode {
    let (YamlNode::Map(own), YamlNode::Map(defaults)) = (item, defaults) else { return item.clone() };
    let mut all = own.clone();
    for (key, default) in defaults {
        match all.iter_mut().find(|(k, _)| k == key) {
            Some((_, value)) if matches!((&*value, default), (YamlNode::Map(_), YamlNode::Map(_))) => {
                *value = merged(value, default, added);
            }
            Some(_) => {}
            None if csr::is_given(item) && key.text().is_some_and(|key| csr::OF_OWN_KEYS.contains(&key)) => {}
            None => {
                *added = added.saturating_add(key.octets()).saturating_add(default.octets());
                all.push((key.clone(), default.clone()));
            }
        }
    }
    YamlNode::Map(all)
}
