//! The one reader of manifests, for `check -f`, `role -f` and `dns-policy -f`: a file -> its ConfigMaps, Roles and TSIG keys, with
//! what is wrong with the objects themselves.
//!
//! A manifest is one or several documents, each an object or a List. The namespace of a ConfigMap is its own, else that of `-namespace`,
//! else kubectl's `default`; one of its own that is not that of `-namespace` is a fault, as for kubectl. The ConfigMaps of one namespace are those of one notariat. Tested by tests/it/manifests.rs: the three
//! commands read the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize as _;
use serde_json::Value;

use crate::base::limits::{CONFIG_MAP_OCTETS_MAX, MANIFEST_OCTETS_MAX};
use crate::base::name::ObjectRef;
use crate::config::fields::{FieldError, MapReader};
use crate::config::node::{self, YamlNode};
use crate::config::table::{FieldTable, unread};
use crate::config::{Data, bounds, data};
use crate::tools::tsig_secret::{self, TsigSecrets};

/// The ConfigMaps and Roles of a manifest.
#[derive(Debug, Default)]
pub struct Manifest {
    /// The ConfigMaps in the order of the manifest.
    pub config_maps: Vec<ConfigMap>,
    /// The Roles and ClusterRoles.
    pub roles: Vec<Role>,
    /// The TSIG keys of the Secrets.
    pub secrets: TsigSecrets,
}

/// The fields of the object.
const CONFIG_MAP: FieldTable = &[
    unread("apiVersion"),
    unread("kind"),
    unread("metadata"),
    unread("data"),
    unread("binaryData"),
    unread("immutable"),
];

/// The data of ConfigMaps.
pub type ConfigMaps = BTreeMap<ObjectRef, Data>;

/// A ConfigMap.
#[derive(Debug)]
pub struct ConfigMap {
    /// Namespace and name of the object.
    pub at: ObjectRef,
    /// The data of the ConfigMap.
    pub data: Data,
    /// Faults of the object besides its contents, a sentence each.
    pub faults: Vec<String>,
}

/// A Role or a ClusterRole.
#[derive(Debug)]
pub struct Role {
    /// The name; empty where there is none.
    pub name: String,
    /// The namespace in the object's metadata.
    pub namespace: Option<String>,
    /// True if the object is a ClusterRole.
    pub is_cluster: bool,
    /// The items of `rules`.
    pub rules: Vec<Value>,
}

/// The namespace of an object without one, where the command line has none either: kubectl's default.
const NAMESPACE: &str = "default";

/// Reads the manifest that `flag` names (`-` is standard input). `namespace` is that of the command line.
///
/// # Errors
/// One sentence with the flag and the file, when the file can not be read, is larger than [`MANIFEST_OCTETS_MAX`], or is not YAML.
pub fn open(flag: &str, file: &Path, namespace: Option<&str>) -> Result<Manifest, String> {
    let told = |e: String| format!("-{flag} {}: {e}", file.display());
    let mut octets = Vec::new();
    let mut source: Box<dyn std::io::Read> = match file.as_os_str().as_encoded_bytes() {
        b"-" => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(file).map_err(|e| told(e.to_string()))?),
    };
    source.by_ref().take(MANIFEST_OCTETS_MAX + 1).read_to_end(&mut octets).map_err(|e| told(e.to_string()))?;
    if octets.len() as u64 > MANIFEST_OCTETS_MAX {
        return Err(told("is larger than any ConfigMap".to_owned()));
    }
    let text = String::from_utf8(octets).map_err(|e| told(data::encoding(e.as_bytes())))?;
    read(&text, namespace).map_err(told)
}

/// Reads all documents of a text, and the items of Lists. Other objects are skipped.
///
/// # Errors
/// When the text is larger than a manifest may be, or is not YAML.
pub fn read(text: &str, namespace: Option<&str>) -> Result<Manifest, String> {
    bounds::check_manifest(text)?;
    let mut found = Manifest::default();
    for document in serde_yaml::Deserializer::from_str(text) {
        let object = YamlNode::deserialize(document).map_err(|e| node::sentence(text, &e))?;
        found.add(&object, namespace);
    }
    let mut seen = BTreeSet::new();
    for config_map in &mut found.config_maps {
        if !seen.insert(&config_map.at) {
            config_map.faults.push("stands here twice; `kubectl apply` would leave the last, so remove one".to_owned());
        }
    }
    Ok(found)
}

impl Manifest {
    /// The ConfigMaps by namespace, for a command that refuses faulty objects.
    ///
    /// # Errors
    /// A line for each fault of an object, or that there is no ConfigMap.
    pub fn by_namespace(self) -> Result<BTreeMap<String, ConfigMaps>, String> {
        let faults = |map: &ConfigMap| {
            let at = map.at.clone();
            map.faults.iter().map(move |fault| format!("ConfigMap {at}: {fault}")).collect::<Vec<_>>()
        };
        let faults: Vec<String> = self.config_maps.iter().flat_map(faults).collect();
        if !faults.is_empty() {
            return Err(faults.join("\nnotariat: "));
        }
        let mut found = BTreeMap::<String, ConfigMaps>::new();
        for ConfigMap { at, data, .. } in self.config_maps {
            found.entry(at.namespace.to_string()).or_default().insert(at, data);
        }
        if found.is_empty() { Err("has no ConfigMap".to_owned()) } else { Ok(found) }
    }

    /// Adds an object, or those of a List. As for kubectl, the items of a `ConfigMapList` need no kind and no version of their own.
    fn add(&mut self, object: &YamlNode, namespace: Option<&str>) {
        let kind = word(object, "kind");
        match (kind.and_then(|kind| kind.strip_suffix("List")), object.get("items"), kind) {
            (Some(of), Some(YamlNode::List(items)), _) => {
                for item in items {
                    match item {
                        YamlNode::Map(pairs) if !of.is_empty() && item.get("kind").is_none() => {
                            let mut pairs = pairs.clone();
                            pairs.push((YamlNode::Text("kind".to_owned()), YamlNode::Text(of.to_owned())));
                            if let (None, Some(version)) = (item.get("apiVersion"), object.get("apiVersion")) {
                                pairs.push((YamlNode::Text("apiVersion".to_owned()), version.clone()));
                            }
                            self.add(&YamlNode::Map(pairs), namespace);
                        }
                        item => self.add(item, namespace),
                    }
                }
            }
            (_, _, Some("ConfigMap")) => self.config_maps.push(config_map(object, namespace)),
            (_, _, Some("Secret")) => {
                let metadata = object.get("metadata").unwrap_or(&YamlNode::Null);
                let namespace = word(metadata, "namespace").or(namespace).unwrap_or(NAMESPACE);
                let at = word(metadata, "name").and_then(|name| ObjectRef::parse(name, namespace).ok());
                self.secrets.extend(at.map(|at| (at.clone(), tsig_secret::read(object, &at))));
            }
            (_, _, Some(kind @ ("Role" | "ClusterRole"))) => {
                let metadata = object.get("metadata").unwrap_or(&YamlNode::Null);
                let rules = object.get("rules").map(value);
                self.roles.push(Role {
                    name: word(metadata, "name").unwrap_or_default().to_owned(),
                    namespace: word(metadata, "namespace").map(str::to_owned),
                    is_cluster: kind == "ClusterRole",
                    rules: rules.and_then(|rules| rules.as_array().cloned()).unwrap_or_default(),
                });
            }
            (_, _, Some(_) | None) => {}
        }
    }
}

fn config_map(object: &YamlNode, namespace: Option<&str>) -> ConfigMap {
    let mut faults = Vec::new();
    let mut fault = |field: &str, sentence: String| faults.push(FieldError { field: field.to_owned(), sentence });
    if word(object, "apiVersion") != Some("v1") {
        fault("apiVersion", "must be v1".to_owned());
    }
    let metadata = object.get("metadata").unwrap_or(&YamlNode::Null);
    let own = word(metadata, "namespace");
    if let (Some(own), Some(given)) = (own, namespace.filter(|given| own.is_some_and(|own| own != *given))) {
        let sentence =
            format!("is {own}, and -namespace says {given}: kubectl refuses that, so correct one of the two");
        fault("metadata.namespace", sentence);
    }
    let namespace = own.or(namespace).unwrap_or(NAMESPACE);
    let name = word(metadata, "name").unwrap_or_default();
    let at = ObjectRef::parse(name, namespace).unwrap_or_else(|e| {
        match metadata.get("name") {
            None => fault("metadata.name", "is missing".to_owned()),
            Some(YamlNode::Text(name)) => fault("metadata.name", format!("{name:?} {e}")),
            Some(other) => fault("metadata.name", format!("is {}; put quotes around it", other.kind())),
        }
        ObjectRef::new(namespace, "?")
    });
    let mut data = Data::from(object.get("data").map(|data| texts(data, &mut faults)).unwrap_or_default());
    if let Some(YamlNode::Map(pairs)) = object.get("binaryData") {
        for (key, value) in pairs {
            let key = if let YamlNode::Text(key) = key { key } else { key.kind() };
            let YamlNode::Text(value) = value else {
                let sentence = format!("is {}; it must be base64", value.kind());
                faults.push(FieldError { field: format!("binaryData.{key}"), sentence });
                continue;
            };
            let folded: String = value.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            match STANDARD.decode(folded) {
                Ok(octets) => data.add_binary(key.to_owned(), &octets),
                Err(_) => {
                    let sentence = "is not base64".to_owned();
                    faults.push(FieldError { field: format!("binaryData.{key}"), sentence });
                }
            }
        }
    }
    let mut fields = MapReader::of(object, CONFIG_MAP, "", &mut faults);
    for row in CONFIG_MAP {
        fields.take(row.name);
    }
    fields.finish(&mut faults);
    ConfigMap { at, data, faults: faults.iter().map(FieldError::to_string).collect() }
}

/// The data of a ConfigMap: a mapping from keys to texts.
fn texts(data: &YamlNode, faults: &mut Vec<FieldError>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let pairs = match data {
        YamlNode::Map(pairs) => pairs.as_slice(),
        YamlNode::Null => &[],
        other => {
            let sentence = format!("is {}; it must be a mapping (`certificates: |` and text below it)", other.kind());
            faults.push(FieldError { field: "data".to_owned(), sentence });
            &[]
        }
    };
    for (key, value) in pairs {
        let mut fault = |key: &str, sentence| faults.push(FieldError { field: format!("data.{key}"), sentence });
        match (key, value) {
            (YamlNode::Text(key), _) if found.contains_key(key) => {
                fault(key, "stands here twice; YAML would take the last, so remove one".to_owned());
            }
            (YamlNode::Text(key), YamlNode::Text(text)) => drop(found.insert(key.clone(), text.clone())),
            // Kubernetes takes it as an empty text.
            (YamlNode::Text(key), YamlNode::Null) => drop(found.insert(key.clone(), String::new())),
            (YamlNode::Text(key), other) => {
                fault(
                    key,
                    format!("is {}; it must be text: write `{key}: |` and indent what is below it", other.kind()),
                );
            }
            (other, _) => fault("", format!("has a key that is {}; put quotes around it", other.kind())),
        }
    }
    let octets: usize = found.values().map(String::len).sum();
    if octets > CONFIG_MAP_OCTETS_MAX {
        let sentence = format!(
            "has {octets} octets; Kubernetes allows {CONFIG_MAP_OCTETS_MAX}: use several ConfigMaps (-config takes several names)"
        );
        faults.push(FieldError { field: "data".to_owned(), sentence });
    }
    found
}

fn word<'n>(node: &'n YamlNode, field: &str) -> Option<&'n str> {
    match node.get(field) {
        Some(YamlNode::Text(text)) => Some(text),
        Some(_) | None => None,
    }
}

/// The node as JSON, the form in which rules are read.
fn value(node: &YamlNode) -> Value {
    match node {
        YamlNode::Null => Value::Null,
        YamlNode::Bool(b) => Value::from(*b),
        YamlNode::Integer(n) => Value::from(*n),
        YamlNode::Number(text) | YamlNode::Text(text) => Value::from(text.as_str()),
        YamlNode::List(items) => items.iter().map(value).collect(),
        YamlNode::Map(pairs) => pairs
            .iter()
            .filter_map(
                |(key, item)| if let YamlNode::Text(key) = key { Some((key.clone(), value(item))) } else { None },
            )
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_maps_are_found_in_a_manifest() {
        let object = |namespace: &str, name: &str| {
            format!(
                "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}{namespace}}}, data: {{certificates: '[]'}}}}"
            )
        };
        let of = |namespace: &str, name: &str| object(&format!(", namespace: {namespace}"), name);
        let list =
            |kind: &str, items: &[String]| format!("apiVersion: v1\nkind: {kind}\nitems: [{}]\n", items.join(", "));
        let found = |text: &str, namespace: Option<&str>| {
            let found = read(text, namespace)?.by_namespace()?;
            Ok::<_, String>(
                found.values().flat_map(BTreeMap::keys).map(ToString::to_string).collect::<Vec<_>>().join(" "),
            )
        };
        let bare = "{metadata: {name: x, namespace: a}}".to_owned();
        let example = include_str!("../../deploy/example.yaml");
        for (text, namespace, expected) in [
            (example, Some("team"), Ok("team/notariat")),
            (&of("b", "x"), Some("b"), Ok("b/x")),
            (example, None, Ok("default/notariat")),
            (&of("a", "x"), None, Ok("a/x")),
            (&of("a", "x"), Some("b"), Err("ConfigMap a/x: metadata.namespace: is a, and -namespace says b: kubectl")),
            (&object("", "x"), None, Ok("default/x")),
            (&(of("a", "x") + "\n---\n" + &of("a", "y")), None, Ok("a/x a/y")),
            (&(of("a", "x") + "\n---\n---\n" + &of("b", "y")), None, Ok("a/x b/y")),
            (&list("List", &[of("a", "x"), object("", "y")]), None, Ok("a/x default/y")),
            (
                &list("List", &[list("List", &[of("a", "x")]).replace('\n', ", ")].map(|list| format!("{{{list}}}"))),
                None,
                Ok("a/x"),
            ),
            (&list("ConfigMapList", &[of("a", "x"), bare.replace('x', "y")]), None, Ok("a/x a/y")),
            (&list("SecretList", std::slice::from_ref(&bare)), None, Err("has no ConfigMap")),
            (&list("List", &[bare]), None, Err("has no ConfigMap")),
            (&(of("a", "x") + "\n---\n" + &of("a", "x")), None, Err("ConfigMap a/x: stands here twice")),
            ("kind: Secret\nmetadata: {name: x}", Some("a"), Err("has no ConfigMap")),
            ("", Some("a"), Err("has no ConfigMap")),
            ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}", Some("a"), Ok("a/x")),
            ("kind: ConfigMap\nmetadata: {name: x}", Some("a"), Err("ConfigMap a/x: apiVersion: must be v1")),
            ("apiVersion: v1\nkind: ConfigMap", Some("a"), Err("metadata.name: is missing")),
            ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: X}\ndata: {}", Some("a"), Err("\"X\" is not a name")),
            (
                &of("a", "x").replace("'[]'", "[]"),
                None,
                Err("ConfigMap a/x: data.certificates: is a list; it must be text"),
            ),
            ("kind: [", Some("a"), Err("is not YAML")),
        ] {
            match (found(text, namespace), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(e), Err(part)) => assert!(e.contains(part), "{text}: {e}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
