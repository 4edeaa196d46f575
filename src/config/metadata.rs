//! The labels and annotations that a user may put on a certificate's Secret.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use ring::digest::{SHA256, digest};
use serde::{Serialize, Serializer};

use crate::base::limits::{ANNOTATIONS_OCTETS_MAX, LABELS_MAX};
use crate::base::name::DnsName;
use crate::cert::facts::hex;

/// Labels or annotations. The entries that take those of `defaults` share one map, and the hash of it.
#[derive(Clone, Default)]
pub struct Metadata(Arc<Shared>);

#[derive(Default)]
struct Shared {
    map: BTreeMap<String, String>,
    hash: OnceLock<String>,
}

impl Metadata {
    /// Tells whether the map is empty.
    pub fn is_empty(&self) -> bool {
        self.map().is_empty()
    }

    fn map(&self) -> &BTreeMap<String, String> {
        &self.0.map
    }

    /// This map, overlaid with `own`.
    pub(super) fn with(&self, own: &Metadata) -> Metadata {
        let mut all = self.map().clone();
        all.extend(own.map().clone());
        all.into()
    }

    /// `known` where it is equal, so that equal maps share memory.
    pub(super) fn shared_with(self, known: &Metadata) -> Metadata {
        if self == *known { known.clone() } else { self }
    }

    /// The octets of all keys and values, as Kubernetes counts them.
    pub(super) fn octets(&self) -> usize {
        self.iter().fold(0, |sum, (key, value)| sum.saturating_add(key.len()).saturating_add(value.len()))
    }

    /// SHA-256 of the map as JSON, in hexadecimal; empty for an empty map. Computed once for each map.
    pub fn hash(&self) -> &str {
        self.0.hash.get_or_init(|| if self.is_empty() { String::new() } else { hash(&serde_json::json!(self.map())) })
    }
}

/// The [`Metadata::hash`] of a map in a record.
pub fn hash(map: &serde_json::Value) -> String {
    hex(digest(&SHA256, map.to_string().as_bytes()).as_ref())
}

impl From<BTreeMap<String, String>> for Metadata {
    fn from(map: BTreeMap<String, String>) -> Metadata {
        Metadata(Arc::new(Shared { map, hash: OnceLock::new() }))
    }
}

impl Deref for Metadata {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &BTreeMap<String, String> {
        self.map()
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Metadata) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.map() == other.map()
    }
}

impl Eq for Metadata {}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map().fmt(f)
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.map().serialize(s)
    }
}

/// Checks all labels of a Secret together.
///
/// # Errors
/// The rest of a sentence that begins with the field.
pub(super) fn check_labels(labels: &Metadata) -> Result<(), String> {
    match labels.len() {
        count if count > LABELS_MAX => Err(format!("has {count} labels; {LABELS_MAX} are possible")),
        _ => Ok(()),
    }
}

/// Checks all annotations of a Secret together.
///
/// # Errors
/// The rest of a sentence that begins with the field.
pub(super) fn check_annotations(annotations: &Metadata) -> Result<(), String> {
    match annotations.octets() {
        octets if octets > ANNOTATIONS_OCTETS_MAX => Err(format!(
            "has {octets} octets in all keys and values; {ANNOTATIONS_OCTETS_MAX} are possible, because Kubernetes takes 256 KiB with those of others"
        )),
        _ => Ok(()),
    }
}

/// The prefix of our own annotations.
pub const PREFIX: &str = "notariat/";

/// Metadata that would make another program own or prune the Secret, or that we write ourselves.
const RESERVED: &[(&str, &str)] = &[
    ("app.kubernetes.io/managed-by", "notariat sets it itself"),
    ("app.kubernetes.io/component", "notariat sets it itself"),
    ("app.kubernetes.io/instance", "Argo CD would take the Secret for its own and prune it"),
    ("argocd.argoproj.io/tracking-id", "Argo CD would take the Secret for its own and prune it"),
    ("kustomize.toolkit.fluxcd.io/name", "Flux would take the Secret for its own and prune it"),
    ("kustomize.toolkit.fluxcd.io/namespace", "Flux would take the Secret for its own and prune it"),
    ("helm.toolkit.fluxcd.io/name", "Flux would take the Secret for its own and prune it"),
    ("helm.toolkit.fluxcd.io/namespace", "Flux would take the Secret for its own and prune it"),
    ("cert-manager.io/certificate-name", "cert-manager would take the Secret for its own"),
    ("cert.gardener.cloud/certificate", "Gardener would take the Secret for its own"),
];

/// The keys that may not be set, besides those that begin with [`PREFIX`].
pub fn reserved() -> impl Iterator<Item = &'static str> {
    RESERVED.iter().map(|(key, _)| *key)
}

/// Checks a label's key and value (Kubernetes: key `[prefix/]name`, value of at most 63 characters).
///
/// # Errors
/// The rest of a sentence that begins with the value.
pub fn check_label(key: &str, value: &str) -> Result<(), String> {
    check_key(key)?;
    if value.is_empty() || is_word(value, 63) {
        return Ok(());
    }
    Err("is not a label value Kubernetes allows: at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit".to_owned())
}

/// Checks an annotation's key; its value may be anything of at most 32 KiB.
///
/// # Errors
/// The rest of a sentence that begins with the value.
pub fn check_annotation(key: &str, value: &str) -> Result<(), String> {
    check_key(key)?;
    if value.len() > 32 * 1024 {
        return Err("is longer than 32 KiB".to_owned());
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), String> {
    if key.starts_with(PREFIX) {
        return Err(format!("can not be set: `{PREFIX}` is notariat's own prefix"));
    }
    if let Some((_, why)) = RESERVED.iter().find(|(reserved, _)| *reserved == key) {
        return Err(format!("can not be set: {why}"));
    }
    let (prefix, name) = key.split_once('/').map_or((None, key), |(p, n)| (Some(p), n));
    if prefix.is_some_and(|p| DnsName::parse(p).is_err()) || !is_word(name, 63) {
        return Err("belongs to a key that Kubernetes does not allow (`name` or `prefix/name`)".to_owned());
    }
    Ok(())
}

fn is_word(text: &str, max: usize) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= max
        && edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
