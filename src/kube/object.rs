//! The kinds of objects that this program uses: Secrets, ConfigMaps, Leases and Events. Pure.
//!
//! A write changes only the fields that are known here; labels, annotations, data and fields of others survive.
//! Untrusted: contents, which anybody with access to the namespace writes. The shape comes from the API server.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::managed_fields::last_writer;
use super::metadata::{InvalidObject, Object, ObjectMeta, OwnerReference, texts, wipe};
use super::resource::Resource;
use crate::base::limits::NAMES_SHOWN_MAX;
use crate::base::name::ObjectRef;
use crate::base::sanitize::one_line;
use crate::base::secret::Secret;

/// The type of a Secret that holds a certificate.
pub const TYPE_TLS: &str = "kubernetes.io/tls";

/// The type of a Secret without a purpose that Kubernetes knows.
pub const TYPE_OPAQUE: &str = "Opaque";

/// The version of an object that a write must find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preconditions {
    /// `metadata.resourceVersion`: opaque, compared for equality by the server only.
    pub resource_version: String,
    /// `metadata.uid`: a Secret that is deleted and created again has another one.
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
    /// `None` for a Secret that does not exist yet.
    pub version: Option<Preconditions>,
    rest: Map<String, Value>,
}

impl SecretObject {
    /// A Secret of type `type_` that does not exist yet.
    pub fn new(reference: ObjectRef, type_: &str) -> SecretObject {
        SecretObject {
            reference,
            type_: type_.to_owned(),
            data: BTreeMap::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            immutable: false,
            controller: None,
            version: None,
            rest: Map::new(),
        }
    }

    /// The sentence for a Secret that has no value under `key`, where something belongs (`what`). Names the data keys that are there.
    pub fn lacks(&self, key: &str, what: &str) -> String {
        let filled = self.data.iter().filter(|(_, value)| !value.expose().is_empty());
        let mut names = filled.map(|(name, _)| format!("`{}`", one_line(name)));
        let shown = names.by_ref().take(NAMES_SHOWN_MAX).collect::<Vec<_>>().join(", ");
        let has = match (shown.as_str(), names.next()) {
            ("", _) => "it has none".to_owned(),
            (_, Some(_)) => format!("it has {shown} and more"),
            (_, None) => format!("it has {shown}"),
        };
        format!("the Secret {} has no data key `{key}`{what}; {has}", self.reference)
    }

    /// The value of a data key. `None` where it is missing or empty.
    pub fn value(&self, key: &str) -> Option<&Secret<Vec<u8>>> {
        self.data.get(key).filter(|value| !value.expose().is_empty())
    }

    /// Tells whether a text that quotes the object discloses a secret: whether it holds anything beside certificates.
    pub fn holds_secrets(&self) -> bool {
        let is_public = |key: &str, value: &[u8]| {
            ["tls.crt", "ca.crt"].contains(&key) && !value.windows(11).any(|part| part == b"PRIVATE KEY")
        };
        self.data.iter().any(|(key, value)| !value.expose().is_empty() && !is_public(key, value.expose()))
    }

    /// Puts an owner in the place of the one with the uid `before`; the other owners stay.
    pub fn replace_owner(&mut self, before: Option<&str>, owner: Option<&OwnerReference>) {
        if before.is_none() && owner.is_none() {
            return;
        }
        let metadata = self.rest.entry("metadata").or_insert_with(|| json!({}));
        let mut owners = metadata["ownerReferences"].as_array().cloned().unwrap_or_default();
        let uids = [before, owner.map(|owner| owner.uid.as_str())];
        owners.retain(|other| !uids.iter().flatten().any(|uid| other["uid"] == **uid));
        owners.extend(owner.map(OwnerReference::to_json));
        metadata["ownerReferences"] = json!(owners);
    }

    /// The client that last wrote the certificate or its key, unless that was this program: a name and a time, for messages.
    pub fn writer(&self) -> Option<String> {
        last_writer(self.rest.get("metadata")?.get("managedFields")?)
    }
}

impl Object for SecretObject {
    const RESOURCE: Resource = Resource::SECRETS;

    fn metadata(&self) -> ObjectMeta {
        let others = ObjectMeta::read(Self::RESOURCE, &self.rest);
        ObjectMeta {
            reference: self.reference.clone(),
            uid: self.version.as_ref().map(|version| version.uid.clone()),
            resource_version: self.version.as_ref().map(|version| version.resource_version.clone()),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            ..others.unwrap_or_else(|_| ObjectMeta::new(self.reference.clone()))
        }
    }

    fn from_json(object: Value) -> Result<SecretObject, InvalidObject> {
        let Value::Object(mut rest) = object else {
            return Err(InvalidObject("the Secret is not a JSON object".to_owned()));
        };
        let mut data = rest.remove("data");
        let mut decoded = BTreeMap::new();
        let mut wrong = Ok(());
        for (key, value) in data.as_ref().and_then(Value::as_object).into_iter().flatten() {
            match STANDARD.decode(value.as_str().unwrap_or_default()) {
                // A key may stand where a certificate is expected.
                Ok(octets) => drop(decoded.insert(key.clone(), Secret::with_keys_known("a private key", octets))),
                Err(_) => wrong = Err(InvalidObject(format!("data.{key} is not base64"))),
            }
        }
        data.as_mut().into_iter().for_each(wipe);
        let metadata = ObjectMeta::read(Self::RESOURCE, &rest)?;
        wrong?;
        let controller = metadata.controller().map(|owner| format!("{} {}", owner.kind, owner.name));
        let lacks = |field: &str| InvalidObject(format!("the Secret has no metadata.{field}"));
        let version = Preconditions {
            resource_version: metadata.resource_version.ok_or_else(|| lacks("resourceVersion"))?,
            uid: metadata.uid.ok_or_else(|| lacks("uid"))?,
        };
        Ok(SecretObject {
            reference: metadata.reference,
            type_: rest.get("type").and_then(Value::as_str).unwrap_or(TYPE_OPAQUE).to_owned(),
            data: decoded,
            labels: metadata.labels,
            annotations: metadata.annotations,
            immutable: rest.get("immutable") == Some(&Value::Bool(true)),
            controller,
            version: Some(version),
            rest,
        })
    }

    fn to_json(&self) -> Value {
        let mut object = self.rest.clone();
        object.insert("apiVersion".to_owned(), json!(Self::RESOURCE.api_version()));
        object.insert("kind".to_owned(), json!(Self::RESOURCE.kind));
        object.insert("type".to_owned(), json!(self.type_));
        let data = self.data.iter().map(|(key, value)| (key.clone(), json!(STANDARD.encode(value.expose()))));
        object.insert("data".to_owned(), Value::Object(data.collect()));
        self.metadata().write(&mut object);
        Value::Object(object)
    }
}

/// Declares a kind whose objects are kept as the JSON that the API server sent.
macro_rules! json_object {
    ($(#[$doc:meta])* $name:ident, $resource:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name(pub Value);

        impl Object for $name {
            const RESOURCE: Resource = $resource;

            fn metadata(&self) -> ObjectMeta {
                let read = self.0.as_object().and_then(|object| ObjectMeta::read(Self::RESOURCE, object).ok());
                read.unwrap_or_else(|| ObjectMeta::new(ObjectRef::new("", "")))
            }

            fn from_json(object: Value) -> Result<$name, InvalidObject> {
                ObjectMeta::read(Self::RESOURCE, object.as_object().unwrap_or(&Map::new()))?;
                Ok($name(object))
            }

            fn to_json(&self) -> Value {
                self.0.clone()
            }
        }
    };
}

json_object!(
    /// A ConfigMap.
    ConfigMapObject,
    Resource::CONFIG_MAPS
);
json_object!(
    /// A Lease.
    LeaseObject,
    Resource::LEASES
);
json_object!(
    /// An Event.
    EventObject,
    Resource::EVENTS
);

impl ConfigMapObject {
    /// `data`
    pub fn data(&self) -> BTreeMap<String, String> {
        texts(self.0.get("data"))
    }

    /// `binaryData`, decoded.
    pub fn binary_data(&self) -> impl Iterator<Item = (&String, Vec<u8>)> {
        let items = self.0.get("binaryData").and_then(Value::as_object).into_iter().flatten();
        // The API server stores nothing else than base64.
        items.map(|(key, value)| (key, STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_key_that_is_missing_is_told_with_those_that_are_there() {
        let mut secret = SecretObject::new(ObjectRef::new("team", "tsig"), "Opaque");
        let mut say = |keys: &[(&str, &str)]| {
            secret.data = keys.iter().map(|(k, v)| ((*k).to_owned(), Secret::new(v.as_bytes().to_vec()))).collect();
            secret.lacks("key", " with a TSIG key")
        };
        let begin = "the Secret team/tsig has no data key `key` with a TSIG key; it has";
        assert_eq!(say(&[("key", "")]), format!("{begin} none"));
        assert_eq!(say(&[("tsig.key", "hush"), ("name\n", "x")]), format!("{begin} `name`, `tsig.key`"));
        let many = ["a", "b", "c", "d", "e", "f"].map(|key| (key, "hush"));
        assert_eq!(say(&many), format!("{begin} `a`, `b`, `c`, `d`, `e` and more"));
    }

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
    fn one_owner_is_replaced_and_those_of_others_stay() {
        let owner = |uid: &str| OwnerReference {
            api_version: "networking.k8s.io/v1".to_owned(),
            kind: "Ingress".to_owned(),
            name: "web".to_owned(),
            uid: uid.to_owned(),
            controller: false,
        };
        let mut secret = SecretObject::new(ObjectRef::new("team", "web"), TYPE_TLS);
        secret.rest.insert("metadata".to_owned(), json!({"ownerReferences": [{"kind": "Other", "uid": "theirs"}]}));
        let uids = |secret: &SecretObject| {
            let owners = secret.to_json()["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
            owners.iter().map(|owner| owner["uid"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(",")
        };
        for (before, now, expected) in [
            (None, None, "theirs"),
            (None, Some("a"), "theirs,a"),
            (Some("a"), Some("a"), "theirs,a"),
            (Some("a"), Some("b"), "theirs,b"),
            (Some("gone"), Some("b"), "theirs,b"),
            (Some("b"), None, "theirs"),
        ] {
            secret.replace_owner(before, now.map(owner).as_ref());
            assert_eq!(uids(&secret), expected, "{before:?} {now:?}");
        }
        let mut new = SecretObject::new(ObjectRef::new("team", "web"), TYPE_TLS);
        new.replace_owner(None, Some(&owner("a")));
        let expected = json!([{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web", "uid": "a"}]);
        assert_eq!(new.to_json()["metadata"]["ownerReferences"], expected);
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
            assert!(SecretObject::from_json(value).unwrap_err().0.contains(part), "{part}");
        }
    }

    #[test]
    fn the_texts_and_octets_of_a_config_map_are_read() {
        let read = |object| ConfigMapObject::from_json(object);
        let object = json!({
            "metadata": {"name": "c", "namespace": "team"}, "data": {"a": "b"}, "binaryData": {"x": "AAE=", "y": null},
        });
        let config_map = read(object.clone()).unwrap();
        assert_eq!(config_map.data(), [("a".to_owned(), "b".to_owned())].into());
        let binary: Vec<_> = config_map.binary_data().collect();
        assert_eq!(binary, [(&"x".to_owned(), vec![0, 1]), (&"y".to_owned(), vec![])]);
        assert_eq!((config_map.metadata().reference, config_map.to_json()), (ObjectRef::new("team", "c"), object));
        let empty = read(json!({"metadata": {"name": "c", "namespace": "team"}, "data": null})).unwrap();
        assert!(empty.data().is_empty() && empty.binary_data().next().is_none());
        assert_eq!(read(json!([])).unwrap_err().0, "the ConfigMap has no metadata");
    }
}
