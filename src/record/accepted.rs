//! The accepted form of an entry, and the fingerprints that tell whether the wanted certificate changed. Pure.

use serde::{Deserialize, Serialize};

use crate::base::shared_str::SharedStr;
use crate::cert::facts::{hex, sha256};
use crate::config::ZoneRule;
use crate::config::entry::Entry;
use crate::config::issuers::Issuer;
use crate::config::metadata::{self, Metadata};
use crate::config::namespaces::Namespaces;
use crate::config::node::YamlNode;

/// The last accepted form of an entry, in the format of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    entry: serde_json::Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    zones: Vec<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<serde_json::Value>,
    /// The object that wanted the certificate. Only an instance that reads this object may treat the entry as deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SharedStr>,
}

/// An accepted entry with the zones and the issuer that it used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedSpec {
    /// The entry.
    pub entry: Entry,
    /// The zones of its ConfigMap.
    pub zones: Vec<ZoneRule>,
    /// The issuer that it names.
    pub issuer: Option<Issuer>,
}

/// Hashes of the parts that the entries of a ConfigMap share, computed once.
#[derive(Clone, Debug)]
pub struct SharedPrints {
    zones: String,
}

impl SharedPrints {
    /// The hash of the zones.
    pub fn of(zones: &[ZoneRule]) -> SharedPrints {
        let zones: Vec<serde_json::Value> = zones.iter().map(json).collect();
        SharedPrints { zones: hex(&digest_of(&[&serde_json::Value::from(zones).to_string()])) }
    }

    /// The hash of an issuer.
    pub fn issuer(issuer: &Issuer) -> String {
        hex(&digest_of(&[&json(issuer).to_string()]))
    }

    /// The [`Accepted::fingerprint`] of an entry with these zones and the issuer of this hash.
    pub fn fingerprint(&self, entry: &Entry, issuer: &str) -> Fingerprint {
        let (labels, annotations) = (entry.labels.hash(), entry.annotations.hash());
        let plain = Entry { labels: Metadata::default(), annotations: Metadata::default(), ..entry.clone() };
        digest_of(&[&plain.form().to_string(), &self.zones, issuer, labels, annotations])
    }
}

impl Accepted {
    /// The accepted form of an entry.
    pub fn new(entry: &Entry, zones: &[ZoneRule], issuer: Option<&Issuer>, source: &str) -> Accepted {
        let (zones, issuer) = (zones.iter().map(json).collect(), issuer.map(json));
        Accepted { entry: entry.form(), zones, issuer, source: Some(SharedStr::new(source)) }
    }

    /// Parses the form with the checks of the configuration; `None` where they refuse it now: newer rules, or a namespace that is not allowed
    /// any more.
    pub fn read(&self, namespaces: &Namespaces) -> Option<AcceptedSpec> {
        let node = |value: &serde_json::Value| serde_json::from_value::<YamlNode>(value.clone()).ok();
        let mut fields = self.entry.clone();
        // The one field that no configuration has.
        let http_without_key = fields.as_object_mut().and_then(|fields| fields.remove("httpWithoutKey")).is_some();
        let entry = Entry { http_without_key, ..Entry::read(&node(&fields)?, namespaces).ok()? };
        let zones =
            crate::config::zones_of(&YamlNode::List(self.zones.iter().filter_map(node).collect()), namespaces).ok()?;
        let issuer = match (&entry.issuer, &self.issuer) {
            (Some(name), Some(value)) => Some(Issuer::read(name, &node(value)?, namespaces).ok()?),
            (Some(_), None) => return None,
            (None, _) => None,
        };
        Some(AcceptedSpec { entry, zones, issuer })
    }

    /// A hash that changes with the wanted certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut entry = self.entry.clone();
        let mut hash = |field: &str| {
            let taken = entry.as_object_mut().and_then(|entry| entry.remove(field));
            taken.map(|map| metadata::hash(&map)).unwrap_or_default()
        };
        let (labels, annotations) = (hash("labels"), hash("annotations"));
        let zones = hex(&digest_of(&[&serde_json::Value::from(self.zones.clone()).to_string()]));
        let issuer = self.issuer.as_ref().map(|issuer| hex(&digest_of(&[&issuer.to_string()]))).unwrap_or_default();
        digest_of(&[&entry.to_string(), &zones, &issuer, &labels, &annotations])
    }
}

fn json(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).expect("entries and rules are plain data with text keys")
}

/// The first half of a SHA-256.
pub type Fingerprint = [u8; 16];

/// A hash over the parts, in 32 hexadecimal digits.
pub fn fingerprint(parts: &[&str]) -> String {
    hex(&digest_of(parts))
}

fn digest_of(parts: &[&str]) -> Fingerprint {
    let mut text = String::new();
    for part in parts {
        text.push_str(&format!("{} {part} ", part.len()));
    }
    *sha256(text.as_bytes()).first_chunk().expect("SHA-256 has 32 octets")
}
