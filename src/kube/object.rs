//! Secrets and ConfigMaps as they travel: the fields that are used, and everything else kept as it came.
//!
//! Only what we know is changed when an object is written back; labels, annotations, data and fields of others survive.
//! Untrusted: contents, which anybody with access to the namespace writes. The shape comes from the API server.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroize as _;

use super::managed_fields::last_writer;
use crate::base::name::ObjectRef;
use crate::base::secret::Secret;
use crate::config::Data;

/// The type of a Secret that holds a certificate.
pub const TYPE_TLS: &str = "kubernetes.io/tls";

/// The kinds of object that are read and written, as their paths name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// core/v1 Secret
    Secrets,
    /// core/v1 ConfigMap
    ConfigMaps,
    /// core/v1 Event
    Events,
    /// coordination.k8s.io/v1 Lease
    Leases,
}

impl Resource {
    /// The plural in paths and Roles.
    pub const fn plural(self) -> &'static str {
        match self {
            Resource::Secrets => "secrets",
            Resource::ConfigMaps => "configmaps",
            Resource::Events => "events",
            Resource::Leases => "leases",
        }
    }

    /// The API group in Roles; empty for core.
    pub const fn group(self) -> &'static str {
        match self {
            Resource::Secrets | Resource::ConfigMaps | Resource::Events => "",
            Resource::Leases => "coordination.k8s.io",
        }
    }

    /// The path of those in a namespace.
    pub(super) fn path(self, namespace: &str) -> String {
        let prefix = match self.group() {
            "" => "/api/v1".to_owned(),
            group => format!("/apis/{group}/v1"),
        };
        format!("{prefix}/namespaces/{namespace}/{}", self.plural())
    }
}

/// What a write must find unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preconditions {
    /// `metadata.resourceVersion`: opaque, compared for equality by the server only.
    pub resource_version: String,
    /// `metadata.uid`: a Secret deleted and made again is another one.
    pub uid: String,
}

/// A Secret.
#[derive(Clone, Debug)]
pub struct SecretObject {
    /// Namespace and name.
    pub reference: ObjectRef,
    /// `type`
    pub type_: String,
    /// `data`, decoded.
    pub data: BTreeMap<String, Secret<Vec<u8>>>,
    /// `metadata.labels`
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`
    pub annotations: BTreeMap<String, String>,
    /// `immutable`
    pub immutable: bool,
    /// Kind and name of the ownerReference with `controller: true`.
    pub controller: Option<String>,
    /// `None` for one that does not exist yet.
    pub version: Option<Preconditions>,
    rest: Map<String, Value>,
}

impl SecretObject {
    /// A Secret that does not exist yet.
    pub fn new(reference: ObjectRef, kind: &str) -> SecretObject {
        SecretObject {
            reference,
            type_: kind.to_owned(),
            data: BTreeMap::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            immutable: false,
            controller: None,
            version: None,
            rest: Map::new(),
        }
    }

    /// The value of a data key, where it is not empty.
    pub fn value(&self, key: &str) -> Option<&Secret<Vec<u8>>> {
        self.data.get(key).filter(|value| !value.expose().is_empty())
    }

    /// Whether a text that quotes the object tells a secret: whether anything is in it beside certificates.
    pub fn holds_secrets(&self) -> bool {
        let is_public = |key: &str, value: &[u8]| {
            ["tls.crt", "ca.crt"].contains(&key) && !value.windows(11).any(|part| part == b"PRIVATE KEY")
        };
        self.data.iter().any(|(key, value)| !value.expose().is_empty() && !is_public(key, value.expose()))
    }

    /// Who wrote the certificate or its key last, when that was not us: a name and a time, for messages.
    pub fn writer(&self) -> Option<String> {
        last_writer(self.rest.get("metadata")?.get("managedFields")?)
    }

    /// Reads a Secret from the API server's JSON. Go sends nothing as `null`, so every map and list may be that.
    ///
    /// # Errors
    /// When a field that every Secret has is missing or is not base64.
    pub fn from_json(value: Value) -> Result<SecretObject, String> {
        let Value::Object(mut rest) = value else {
            return Err("the Secret is not a JSON object".to_owned());
        };
        let mut data = rest.remove("data");
        let metadata = rest.get("metadata").and_then(Value::as_object).ok_or("the Secret has no metadata")?;
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).map(str::to_owned);
        let required = |field: &str| text(field).ok_or_else(|| format!("the Secret has no metadata.{field}"));
        let mut decoded = BTreeMap::new();
        let mut wrong = Ok(());
        for (key, value) in data.as_ref().and_then(Value::as_object).into_iter().flatten() {
            match STANDARD.decode(value.as_str().unwrap_or_default()) {
                // A key may stand where a certificate is expected.
                Ok(octets) => drop(decoded.insert(key.clone(), Secret::with_keys_known("a private key", octets))),
                Err(_) => wrong = Err(format!("data.{key} is not base64")),
            }
        }
        data.as_mut().into_iter().for_each(wipe);
        wrong?;
        let owners = metadata.get("ownerReferences").and_then(Value::as_array).into_iter().flatten();
        let controller = owners.into_iter().find(|o| o.get("controller") == Some(&Value::Bool(true))).map(|o| {
            let field = |f: &str| o.get(f).and_then(Value::as_str).unwrap_or("?").to_owned();
            format!("{} {}", field("kind"), field("name"))
        });
        Ok(SecretObject {
            reference: ObjectRef::new(&required("namespace")?, &required("name")?),
            type_: rest.get("type").and_then(Value::as_str).unwrap_or("Opaque").to_owned(),
            data: decoded,
            labels: texts(metadata.get("labels")),
            annotations: texts(metadata.get("annotations")),
            immutable: rest.get("immutable") == Some(&Value::Bool(true)),
            controller,
            version: Some(Preconditions { resource_version: required("resourceVersion")?, uid: required("uid")? }),
            rest,
        })
    }

    /// The JSON to create or to update it with.
    pub fn to_json(&self) -> Value {
        let mut object = self.rest.clone();
        object.insert("apiVersion".to_owned(), json!("v1"));
        object.insert("kind".to_owned(), json!("Secret"));
        object.insert("type".to_owned(), json!(self.type_));
        let data = self.data.iter().map(|(key, value)| (key.clone(), json!(STANDARD.encode(value.expose()))));
        object.insert("data".to_owned(), Value::Object(data.collect()));
        let metadata = object.entry("metadata").or_insert_with(|| json!({}));
        metadata["namespace"] = json!(self.reference.namespace);
        metadata["name"] = json!(self.reference.name);
        metadata["labels"] = json!(self.labels);
        metadata["annotations"] = json!(self.annotations);
        if let Some(version) = &self.version {
            metadata["resourceVersion"] = json!(version.resource_version);
            metadata["uid"] = json!(version.uid);
        }
        Value::Object(object)
    }
}

/// The data of a ConfigMap from the API server's JSON.
pub fn config_data(object: &Value) -> Data {
    let mut data = Data::from(texts(object.get("data")));
    for (key, value) in object.get("binaryData").and_then(Value::as_object).into_iter().flatten() {
        // The API server stores nothing else than base64.
        let octets = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
        data.add_binary(key.clone(), &octets);
    }
    data
}

/// Overwrites the texts of a JSON value: base64 of a key is the key.
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(all) => all.iter_mut().for_each(wipe),
        Value::Object(all) => all.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A map of texts that may be missing or `null`.
pub fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_survives_a_write() {
        let read = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "immutable": false, "newField": [1, 2],
            "data": {"tls.crt": "YQ==", "tls.key": "", "ca.crt": "Yg=="},
            "metadata": {
                "name": "web", "namespace": "team", "uid": "u-1", "resourceVersion": "17", "generation": 3,
                "labels": {"theirs": "x"}, "annotations": null, "managedFields": [{"manager": "kubectl"}],
                "ownerReferences": [{"kind": "Other", "name": "o"}, {"kind": "Certificate", "name": "c", "controller": true}],
            },
        });
        let mut secret = SecretObject::from_json(read.clone()).unwrap();
        assert_eq!((secret.type_.as_str(), secret.controller.as_deref()), (TYPE_TLS, Some("Certificate c")));
        assert_eq!(secret.value("tls.crt").unwrap().expose(), b"a");
        assert!(secret.value("tls.key").is_none() && secret.value("none").is_none());
        secret.data.insert("tls.crt".to_owned(), Secret::new(b"new".to_vec()));
        secret.annotations.insert("mine".to_owned(), "y".to_owned());
        let mut expected = read;
        expected["data"]["tls.crt"] = json!("bmV3");
        expected["metadata"]["annotations"] = json!({"mine": "y"});
        assert_eq!(secret.to_json(), expected);
    }

    #[test]
    fn a_new_secret_has_no_version() {
        let secret = SecretObject::new(ObjectRef::parse("team/web", "").unwrap(), TYPE_TLS);
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "data": {},
            "metadata": {"namespace": "team", "name": "web", "labels": {}, "annotations": {}},
        });
        assert_eq!(secret.to_json(), expected);
    }

    #[test]
    fn what_is_no_secret_is_an_error_and_never_an_empty_one() {
        for (value, part) in [
            (json!([]), "not a JSON object"),
            (json!({"data": {}}), "no metadata"),
            (json!({"metadata": {"name": "a", "namespace": "b", "uid": "u"}}), "no metadata.resourceVersion"),
            (
                json!({"metadata": {"name": "a", "namespace": "b", "uid": "u", "resourceVersion": "1"}, "data": {"k": "%"}}),
                "data.k is not base64",
            ),
        ] {
            assert!(SecretObject::from_json(value).unwrap_err().contains(part), "{part}");
        }
    }
}
