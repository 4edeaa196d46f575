//! Parses a ConfigMap into entries, each valid or refused with its own sentences. Pure.
//!
//! Untrusted: the text of anybody who may edit the ConfigMap. [`bounds`] measures the text before the parser sees it.
//! The time of each later step is linear in the text. A bad entry never stops another one; a document that is not YAML,
//! or bad `defaults` or `zones`, make the whole ConfigMap unreadable, and the last accepted one stays in force.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::string_slice))]

pub mod bounds;
pub mod challenge;
mod csr;
pub mod data;
mod defaults;
pub mod dns;
mod domain_filter;
pub mod entry;
pub mod fields;
pub mod http;
pub mod issuers;
pub mod metadata;
pub mod name_policy;
pub mod namespaces;
pub mod node;
pub mod table;
mod zones;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::base::limits::{
    DEFAULTS_ADDED_OCTETS_MAX, ENTRIES_COMPARED_MAX, ENTRIES_MAX, FAULTS_OCTETS_MAX, FAULTS_SHOWN_MAX, NAMES_SHOWN_MAX,
};
pub use crate::dns::zone_policy::ZoneRule;
pub use data::Data;
use defaults::{EntryDefaults, merged, sound_defaults, take_shared, with_shared};
use entry::Entry;
pub use entry::InvalidEntry;
use fields::FieldError;
use issuers::Issuers;
use name_policy::NamePolicy;
use namespaces::Namespaces;
use node::YamlNode;
use table::KEY_NAMES;

/// The configuration in one ConfigMap.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The entries in the order of the ConfigMap, good and bad.
    pub entries: Vec<Result<Arc<Entry>, Box<InvalidEntry>>>,
    /// The issuers that entries may name.
    pub issuers: Issuers,
    /// The rules of the key `zones`.
    pub zones: Vec<ZoneRule>,
    /// The names that the objects of each namespace may have.
    pub policy: NamePolicy,
    /// Possible mistakes, a sentence each.
    pub warnings: Vec<String>,
    /// The keys with lists of entries, each with the number of its entries.
    lists: Vec<(String, usize)>,
    /// An entry that has nothing but the defaults: what the wishes of objects leave out is taken of it.
    pub template: Option<Arc<Entry>>,
    /// Labels and annotations of `defaults`.
    shared: EntryDefaults,
}

impl Config {
    /// The place of one of [`Config::entries`] in the ConfigMap: `certificates entry 1`.
    pub fn place(&self, index: usize) -> String {
        let mut left = index;
        for (key, entries) in &self.lists {
            if left < *entries {
                return place(key, left);
            }
            left = left.saturating_sub(*entries);
        }
        format!("entry {}", index.saturating_add(1))
    }
}

/// The place of the entry at `index` of a key's list.
fn place(key: &str, index: usize) -> String {
    format!("{key} entry {}", index.saturating_add(1))
}

/// The fault for which a ConfigMap is refused as a whole: a sentence that begins with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidConfig(pub String);

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A ConfigMap with all its faults, for `check`.
#[derive(Debug)]
pub struct Inspected {
    /// The configuration, as far as it can be read.
    pub config: Config,
    /// The faults for which the ConfigMap is refused as a whole: a sentence each that begins with its key.
    pub faults: Vec<String>,
    /// The place of each of [`Config::entries`], and its fields with the defaults.
    pub items: Vec<(String, YamlNode)>,
}

/// Reads the data of a ConfigMap. Names without a namespace are in notariat's own.
///
/// # Errors
/// When a key does not scan as YAML, or `defaults`, `issuers` or `zones` have a fault: all of them, in one text.
pub fn read(data: &Data, namespaces: &Namespaces) -> Result<Config, InvalidConfig> {
    read_after(data, namespaces, &Config::default())
}

/// Like [`read`], after an earlier version: equal entries share their memory, because there may be 10,000 of them.
///
/// # Errors
/// The errors of [`read`].
pub fn read_after(data: &Data, namespaces: &Namespaces, before: &Config) -> Result<Config, InvalidConfig> {
    let (config, faults) = all(data, namespaces, before, &mut |_, _| {});
    if faults.is_empty() { Ok(config) } else { Err(InvalidConfig(faults.join("; "))) }
}

/// Reads the data of a ConfigMap, and keeps the written form beside the parsed one.
pub fn inspect(data: &Data, namespaces: &Namespaces) -> Inspected {
    let mut items = Vec::new();
    let (config, faults) = all(data, namespaces, &Config::default(), &mut |place, whole| items.push((place, whole)));
    Inspected { config, faults, items }
}

/// Continues after every fault. `each` gets the place and the fields, with the defaults, of each entry in turn.
fn all(
    data: &Data,
    namespaces: &Namespaces,
    before: &Config,
    each: &mut dyn FnMut(String, YamlNode),
) -> (Config, Vec<String>) {
    let mut known = before.entries.iter().filter_map(|entry| entry.as_ref().ok());
    let mut faults = Vec::new();
    let mut config = Config::default();
    if let Err(fault) = bounds::check(bounds::texts(&data.texts, is_known)) {
        return (config, vec![fault]);
    }
    let defaults = document(data, "defaults", &mut faults);
    let zones = document(data, "zones", &mut faults);
    let issuers = document(data, "issuers", &mut faults);
    let policy = document(data, name_policy::KEY, &mut faults);

    // An issuer with a fault of its own is not reported as missing.
    let scans = !faults.iter().any(|fault| fault.starts_with("key `issuers`"));
    let written: Option<BTreeSet<String>> = match &issuers {
        Some(YamlNode::Map(items)) => Some(items.iter().filter_map(|(key, _)| key.text()).map(str::to_owned).collect()),
        Some(_) | None => None,
    };
    let is_mapping_or_missing = issuers.is_none();
    let is_written = |name: &str| match &written {
        Some(names) => names.contains(name),
        None => !is_mapping_or_missing || !scans,
    };
    let mut defaults = defaults.map_or(YamlNode::Null, |node| sound_defaults(node, namespaces, &mut faults));
    config.shared = take_shared(&mut defaults, namespaces, &before.shared);
    config.issuers = issuers::read(issuers.as_ref(), namespaces, &mut faults);
    config.zones = zones::read(zones.as_ref(), namespaces, &mut faults);
    config.template = defaults::template(&defaults, &config.shared, namespaces).map(Arc::new);
    config.policy = name_policy::read(policy.as_ref(), &config.issuers, &is_written, &mut faults);
    config.warnings.extend(name_policy::not_served(&config.policy, namespaces));
    config.warnings.extend(name_policy::without_effect(&config.policy));
    // These trees may be large and are not needed any more.
    drop((issuers, zones, policy));
    let (mut last, mut added, mut shown) = (None, 0, 0);
    // One key after the other: the tree of a large one takes many times the memory of its text.
    for key in data.texts.keys().filter(|key| is_list(key)) {
        match document(data, key, &mut faults) {
            None => {}
            Some(YamlNode::List(items)) if config.entries.len().saturating_add(items.len()) > ENTRIES_MAX => {
                faults.push(format!(
                    "key `{key}`: with it there are {} entries; a ConfigMap may have {ENTRIES_MAX}: give some to another one",
                    config.entries.len().saturating_add(items.len())
                ));
            }
            Some(YamlNode::List(items)) => {
                config.lists.push((key.clone(), items.len()));
                // Each tree goes when it is read: `each` may keep one of its own.
                for (i, item) in items.into_iter().enumerate() {
                    let place = place(key, i);
                    let whole = merged(&item, &defaults, &mut added);
                    let entry = read_entry(&place, &whole, &config.issuers, &is_written, namespaces);
                    let entry = entry.and_then(|entry| with_shared(entry, &item, &config.shared, &place, &mut added));
                    if added > DEFAULTS_ADDED_OCTETS_MAX {
                        faults.push(format!(
                            "key `defaults`: adds more than {DEFAULTS_ADDED_OCTETS_MAX} octets to the entries up to {place}; write long lists into the entries that need them"
                        ));
                        return (config, faults);
                    }
                    let entry = entry.map_err(|refused| bounded(refused, &mut shown));
                    let entry = entry.map(|entry| {
                        known_again(&mut known, &entry).unwrap_or_else(|| Arc::new(alike(entry, last.as_ref())))
                    });
                    // Kept aside: among many refused entries, a search for the last good one would be repeated.
                    last = entry.as_ref().ok().cloned().or(last);
                    config.entries.push(entry.map_err(Box::new));
                    each(place, whole);
                }
            }
            Some(other) => {
                let kind = other.kind();
                faults.push(format!(
                    "key `{key}`: is {kind}; it must be a list of entries, each beginning with `- secret: …`"
                ));
            }
        }
    }
    for (key, fault) in &data.unreadable {
        match resembled(key) {
            Some(_) => faults.push(format!("key `{key}` {fault}")),
            None => config.warnings.push(format!("{} (it {fault})", ignored(key))),
        }
    }
    // An entry under an unknown key would be taken for a removed one.
    for key in data.texts.keys().filter(|key| !is_known(key)) {
        match resembled(key) {
            Some(near) => faults.push(format!("{}; did you mean `{near}`?", none_of(key))),
            None => config.warnings.push(ignored(key)),
        }
    }
    (config, faults)
}

fn is_known(key: &str) -> bool {
    is_list(key) || KEY_NAMES.contains(&key)
}

/// The known key that this one equals or resembles: `Certificates`, `certificate`, `certs`, `certificates.yaml`.
fn resembled(key: &str) -> Option<&'static str> {
    let lower = key.to_ascii_lowercase();
    let start = lower.split(|c: char| !c.is_ascii_alphanumeric()).find(|part| !part.is_empty())?;
    let stem = start.trim_end_matches('s');
    let near = |known: &&str| {
        let is_close =
            start.len().div_ceil(2) <= known.len() && fields::distance(known, start) <= known.len().div_euclid(4);
        is_close || (stem.len() >= KEY_STEM_MIN && known.starts_with(stem))
    };
    KEY_NAMES.into_iter().find(near)
}

/// The letters at the start of a known key that suffice: `cert`, `zone`.
const KEY_STEM_MIN: usize = 4;

fn none_of(key: &str) -> String {
    format!(
        "key `{key}` is none of {}",
        KEY_NAMES.join(", ").replacen("certificates", "certificates, certificates-*", 1)
    )
}

fn ignored(key: &str) -> String {
    format!("{} and is ignored", none_of(key))
}

/// The refused entry with a bounded number of faults. `shown` counts the octets of all before.
fn bounded(mut refused: InvalidEntry, shown: &mut usize) -> InvalidEntry {
    let more = refused.faults.len().saturating_sub(FAULTS_SHOWN_MAX);
    if more > 0 {
        refused.faults.truncate(FAULTS_SHOWN_MAX);
        let sentence = format!("and {more} more faults");
        refused.faults.push(FieldError { field: String::new(), sentence });
    }
    for fault in &refused.faults {
        *shown = shown.saturating_add(fault.field.len()).saturating_add(fault.sentence.len());
    }
    if *shown > FAULTS_OCTETS_MAX {
        let sentence = "has a fault; it is said in full when those before it are mended".to_owned();
        refused.faults = vec![FieldError { field: String::new(), sentence }];
    }
    refused
}

/// One key as a tree; `None` where the key is empty or has a fault.
fn document(data: &Data, key: &str, faults: &mut Vec<String>) -> Option<YamlNode> {
    let text = data.texts.get(key)?;
    if data::is_utf_16(text.as_bytes()) {
        faults.push(format!("key `{key}`: {}", data::encoding(text.as_bytes())));
        return None;
    }
    // Editors on Windows put a byte order mark before the text.
    match node::read(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        Ok(YamlNode::Null) => None,
        Ok(node) => Some(node),
        Err(sentence) => {
            faults.push(format!("key `{key}`: {sentence}"));
            None
        }
    }
}

/// The entry, sharing the `dns` settings of the previous one where they are equal: settings are large and mostly come
/// from `defaults`.
fn alike(entry: Entry, last: Option<&Arc<Entry>>) -> Entry {
    match last.filter(|last| last.dns == entry.dns) {
        Some(last) => Entry { dns: last.dns.clone(), ..entry },
        None => entry,
    }
}

/// The known entry that equals this one, among the next few: entries come and go, but rarely change places.
fn known_again<'a>(known: &mut (impl Iterator<Item = &'a Arc<Entry>> + Clone), entry: &Entry) -> Option<Arc<Entry>> {
    let at = known.clone().take(ENTRIES_COMPARED_MAX).position(|known| **known == *entry)?;
    known.nth(at).cloned()
}

fn is_list(key: &str) -> bool {
    key == "certificates" || key.starts_with("certificates-")
}

fn read_entry(
    place: &str,
    whole: &YamlNode,
    issuers: &Issuers,
    is_written: &impl Fn(&str) -> bool,
    namespaces: &Namespaces,
) -> Result<Entry, InvalidEntry> {
    let entry = Entry::read(whole, namespaces);
    let mut more = issuer_faults(whole, entry.as_ref().ok(), issuers, is_written);
    more.extend(entry.iter().flat_map(|entry| issuers::input_faults(entry, issuers)));
    let faults = match entry {
        Ok(entry) if more.is_empty() => return Ok(entry),
        Ok(_) => more,
        Err(faults) => [faults, more].concat(),
    };
    Err(InvalidEntry { place: place.to_owned(), secret: entry::main_secret_of(whole, namespaces), faults })
}

/// The faults of an entry's issuer: not defined, or not for one of the names.
fn issuer_faults(
    whole: &YamlNode,
    entry: Option<&Entry>,
    issuers: &Issuers,
    is_written: &impl Fn(&str) -> bool,
) -> Vec<FieldError> {
    let Some(YamlNode::Text(name)) = whole.get("issuer") else { return Vec::new() };
    let fault = |field: &str, sentence| FieldError { field: field.to_owned(), sentence };
    let Some(issuer) = issuers.get(name) else {
        let known = issuers.keys().take(2 * NAMES_SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        let unknown = || fault("issuer", format!("{name:?} is not in the key `issuers`; there are {known}"));
        return if is_written(name) { Vec::new() } else { vec![unknown()] };
    };
    let outside =
        |domain| fault("domains", format!("{domain} is not for the issuer {name}, which serves {}", issuer.domains));
    let domains = entry.into_iter().flat_map(|entry| &entry.domains);
    domains.filter(|domain| !issuer.domains.holds(domain)).take(FAULTS_SHOWN_MAX + 1).map(outside).collect()
}

/// Reads the rules of a key `zones`, also from a record.
///
/// # Errors
/// Every fault.
pub fn zones_of(node: &YamlNode, namespaces: &Namespaces) -> Result<Vec<ZoneRule>, InvalidConfig> {
    let mut faults = Vec::new();
    let rules = zones::read(Some(node), namespaces, &mut faults);
    if faults.is_empty() { Ok(rules) } else { Err(InvalidConfig(faults.join("; "))) }
}

#[cfg(test)]
mod tests;
