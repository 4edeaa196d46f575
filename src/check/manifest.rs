//! A manifest of Kubernetes objects -> its ConfigMaps and Roles, with what is wrong with the objects themselves. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize as _;
use serde_json::Value;

use crate::config::Data;
use crate::config::bounds;
use crate::config::fields::{Fault, Fields};
use crate::config::node::{self, Node};
use crate::limits::CONFIG_MAP_OCTETS_MAX;
use crate::name::ObjectRef;

/// What a manifest has of what concerns us.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) config_maps: Vec<ConfigMap>,
    pub(super) roles: Vec<Role>,
}

/// A ConfigMap.
#[derive(Debug)]
pub(super) struct ConfigMap {
    pub(super) at: ObjectRef,
    /// Its data.
    pub(super) data: Data,
    /// What is wrong besides the contents, a sentence each.
    pub(super) faults: Vec<String>,
}

/// A Role or a ClusterRole.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) is_cluster: bool,
    pub(super) rules: Vec<Value>,
}

/// The namespace of an object that says none, where the command line says none either: kubectl's.
const NAMESPACE: &str = "default";

/// Reads all documents, and the items of Lists. ConfigMaps are in `namespace`, else in their own. Other objects are passed over.
///
/// # Errors
/// When it is not YAML.
pub(super) fn read(text: &str, namespace: Option<&str>) -> Result<Manifest, String> {
    bounds::check_manifest(text)?;
    let mut found = Manifest::default();
    for document in serde_yaml::Deserializer::from_str(text) {
        let object = Node::deserialize(document).map_err(|e| node::sentence(text, &e))?;
        let is_list = word(&object, "kind").is_some_and(|kind| kind.ends_with("List"));
        match object.get("items").filter(|_| is_list) {
            Some(Node::List(items)) => items.iter().for_each(|item| found.add(item, namespace)),
            Some(_) | None => found.add(&object, namespace),
        }
    }
    Ok(found)
}

impl Manifest {
    fn add(&mut self, object: &Node, namespace: Option<&str>) {
        match word(object, "kind") {
            Some("ConfigMap") => self.config_maps.push(config_map(object, namespace)),
            Some(kind @ ("Role" | "ClusterRole")) => {
                let metadata = object.get("metadata").unwrap_or(&Node::Null);
                let rules = object.get("rules").map(value);
                self.roles.push(Role {
                    name: word(metadata, "name").unwrap_or_default().to_owned(),
                    namespace: word(metadata, "namespace").map(str::to_owned),
                    is_cluster: kind == "ClusterRole",
                    rules: rules.and_then(|rules| rules.as_array().cloned()).unwrap_or_default(),
                });
            }
            Some(_) | None => {}
        }
    }
}

fn config_map(object: &Node, namespace: Option<&str>) -> ConfigMap {
    let mut faults = Vec::new();
    let mut fault = |field: &str, sentence: String| faults.push(Fault { field: field.to_owned(), sentence });
    if word(object, "apiVersion") != Some("v1") {
        fault("apiVersion", "must be v1".to_owned());
    }
    let metadata = object.get("metadata").unwrap_or(&Node::Null);
    let namespace = namespace.or(word(metadata, "namespace")).unwrap_or(NAMESPACE);
    let name = word(metadata, "name").unwrap_or_default();
    let at = ObjectRef::parse(name, namespace).unwrap_or_else(|e| {
        match metadata.get("name") {
            None => fault("metadata.name", "is missing".to_owned()),
            Some(Node::Text(name)) => fault("metadata.name", format!("{name:?} {e}")),
            Some(other) => fault("metadata.name", format!("is {}; put quotes around it", other.kind())),
        }
        ObjectRef::new(namespace, "?")
    });
    let mut data = Data::from(object.get("data").map(|data| texts(data, &mut faults)).unwrap_or_default());
    if let Some(Node::Map(pairs)) = object.get("binaryData") {
        for (key, value) in pairs {
            let key = if let Node::Text(key) = key { key } else { key.kind() };
            let Node::Text(value) = value else {
                let sentence = format!("is {}; it must be base64", value.kind());
                faults.push(Fault { field: format!("binaryData.{key}"), sentence });
                continue;
            };
            let folded: String = value.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            match STANDARD.decode(folded) {
                Ok(octets) => data.add_binary(key.to_owned(), &octets),
                Err(_) => {
                    let sentence = "is not base64".to_owned();
                    faults.push(Fault { field: format!("binaryData.{key}"), sentence });
                }
            }
        }
    }
    let mut fields = Fields::of(object, "", &mut faults);
    for field in ["apiVersion", "kind", "metadata", "data", "binaryData", "immutable"] {
        fields.take(field);
    }
    fields.finish(&mut faults);
    ConfigMap { at, data, faults: faults.iter().map(Fault::to_string).collect() }
}

/// The data of a ConfigMap: a mapping from keys to texts.
fn texts(data: &Node, faults: &mut Vec<Fault>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let pairs = match data {
        Node::Map(pairs) => pairs.as_slice(),
        Node::Null => &[],
        other => {
            let sentence = format!("is {}; it must be a mapping (`certificates: |` and text below it)", other.kind());
            faults.push(Fault { field: "data".to_owned(), sentence });
            &[]
        }
    };
    for (key, value) in pairs {
        let mut fault = |key: &str, sentence| faults.push(Fault { field: format!("data.{key}"), sentence });
        match (key, value) {
            (Node::Text(key), _) if found.contains_key(key) => {
                fault(key, "stands here twice; YAML would take the last, so remove one".to_owned());
            }
            (Node::Text(key), Node::Text(text)) => drop(found.insert(key.clone(), text.clone())),
            // Kubernetes takes it as an empty text.
            (Node::Text(key), Node::Null) => drop(found.insert(key.clone(), String::new())),
            (Node::Text(key), other) => {
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
        faults.push(Fault { field: "data".to_owned(), sentence });
    }
    found
}

fn word<'n>(node: &'n Node, field: &str) -> Option<&'n str> {
    match node.get(field) {
        Some(Node::Text(text)) => Some(text),
        Some(_) | None => None,
    }
}

/// The same as JSON, in which rules are read.
fn value(node: &Node) -> Value {
    match node {
        Node::Null => Value::Null,
        Node::Bool(b) => Value::from(*b),
        Node::Integer(n) => Value::from(*n),
        Node::Number(text) | Node::Text(text) => Value::from(text.as_str()),
        Node::List(items) => items.iter().map(value).collect(),
        Node::Map(pairs) => pairs
            .iter()
            .filter_map(|(key, item)| if let Node::Text(key) = key { Some((key.clone(), value(item))) } else { None })
            .collect(),
    }
}
