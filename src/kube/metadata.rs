//! The common parts of all kinds of objects: metadata, references, and the trait by which the client reads and writes them. Pure.
//!
//! Untrusted: contents, which anybody with access to the namespace writes. The shape comes from the API server.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};
use zeroize::Zeroize as _;

use super::resource::Resource;
use crate::base::name::ObjectRef;
use crate::base::time::Time;

/// An object of one kind. An implementation keeps the fields that it does not know, so that a write changes nothing of others.
pub trait Object: Clone {
    /// The kind.
    const RESOURCE: Resource;

    /// A copy of the metadata.
    fn metadata(&self) -> ObjectMeta;

    /// Reads an object from the JSON of the API server. Go sends an empty map or list as `null` or not at all.
    ///
    /// # Errors
    /// When a field is missing that every object of the kind has, or has another form.
    fn from_json(object: Value) -> Result<Self, InvalidObject>;

    /// The JSON to create the object or to replace it with.
    fn to_json(&self) -> Value;
}

/// One sentence that says why JSON is no object of its kind. Holds no value of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidObject(pub String);

impl fmt::Display for InvalidObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The metadata of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// `namespace` and `name`. The namespace of a cluster-scoped object is empty.
    pub reference: ObjectRef,
    /// `uid`: an object that is deleted and created again has another one. `None` before it is created.
    pub uid: Option<String>,
    /// `resourceVersion`: opaque, compared for equality by the server only. `None` before the object is created.
    pub resource_version: Option<String>,
    /// `generation`: counts the changes of the spec, for kinds that have one.
    pub generation: Option<u64>,
    /// `labels`
    pub labels: BTreeMap<String, String>,
    /// `annotations`
    pub annotations: BTreeMap<String, String>,
    /// `ownerReferences`
    pub owners: Vec<OwnerReference>,
    /// `deletionTimestamp`: when its deletion was asked for.
    pub deletion_timestamp: Option<Time>,
}

/// An object that owns another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerReference {
    /// `apiVersion` of the owner.
    pub api_version: String,
    /// `kind` of the owner.
    pub kind: String,
    /// `name` of the owner, which is in the same namespace or in none.
    pub name: String,
    /// `uid` of the owner.
    pub uid: String,
    /// `controller`: the owner manages the object. An object has one such owner at most.
    pub controller: bool,
}

impl ObjectMeta {
    /// The metadata of an object that does not exist yet.
    pub fn new(reference: ObjectRef) -> ObjectMeta {
        ObjectMeta {
            reference,
            uid: None,
            resource_version: None,
            generation: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            owners: Vec::new(),
            deletion_timestamp: None,
        }
    }

    /// Reads the metadata of an object of this kind.
    ///
    /// # Errors
    /// When the object has no metadata, no name, or no namespace where its kind has one.
    pub fn read(resource: Resource, object: &Map<String, Value>) -> Result<ObjectMeta, InvalidObject> {
        let lacks = |field: &str| InvalidObject(format!("the {} has no {field}", resource.kind));
        let metadata = object.get("metadata").and_then(Value::as_object).ok_or_else(|| lacks("metadata"))?;
        let text = |field: &str| metadata.get(field).and_then(Value::as_str);
        let namespace = match text("namespace") {
            None if resource.namespaced => return Err(lacks("metadata.namespace")),
            namespace => namespace.unwrap_or_default(),
        };
        let name = text("name").ok_or_else(|| lacks("metadata.name"))?;
        let owners = metadata.get("ownerReferences").and_then(Value::as_array).into_iter().flatten();
        Ok(ObjectMeta {
            reference: ObjectRef::new(namespace, name),
            uid: text("uid").map(str::to_owned),
            resource_version: text("resourceVersion").map(str::to_owned),
            generation: metadata.get("generation").and_then(Value::as_u64),
            labels: texts(metadata.get("labels")),
            annotations: texts(metadata.get("annotations")),
            owners: owners.map(OwnerReference::read).collect(),
            deletion_timestamp: text("deletionTimestamp").and_then(Time::parse_rfc3339),
        })
    }

    /// Writes name, labels, annotations and the version into the metadata of `object`, beside what is there.
    pub fn write(&self, object: &mut Map<String, Value>) {
        let metadata = object.entry("metadata").or_insert_with(|| json!({}));
        if !self.reference.namespace.is_empty() {
            metadata["namespace"] = json!(self.reference.namespace);
        }
        metadata["name"] = json!(self.reference.name);
        metadata["labels"] = json!(self.labels);
        metadata["annotations"] = json!(self.annotations);
        for (field, value) in [("resourceVersion", &self.resource_version), ("uid", &self.uid)] {
            if let Some(value) = value {
                metadata[field] = json!(value);
            }
        }
    }

    /// The owner that manages the object.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owners.iter().find(|owner| owner.controller)
    }
}

impl OwnerReference {
    /// The reference to an owner that does not manage the object; `None` where the uid is not known.
    pub fn to(object: &ObjectReference) -> Option<OwnerReference> {
        let (kind, name) = (object.resource.kind.to_owned(), object.at.name.to_string());
        let uid = object.uid.clone()?;
        Some(OwnerReference { api_version: object.resource.api_version(), kind, name, uid, controller: false })
    }

    /// The JSON of the reference.
    pub fn to_json(&self) -> Value {
        let OwnerReference { api_version, kind, name, uid, controller } = self;
        match controller {
            true => json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true}),
            false => json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid}),
        }
    }

    fn read(owner: &Value) -> OwnerReference {
        let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or("?").to_owned();
        OwnerReference {
            api_version: text("apiVersion"),
            kind: text("kind"),
            name: text("name"),
            uid: text("uid"),
            controller: owner.get("controller") == Some(&Value::Bool(true)),
        }
    }
}

/// An object as another object names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectReference {
    /// The kind, which gives `apiVersion` and `kind`.
    pub resource: Resource,
    /// `namespace` and `name`. The namespace of a cluster-scoped object is empty.
    pub at: ObjectRef,
    /// `uid`, where it is known.
    pub uid: Option<String>,
}

impl ObjectReference {
    /// A reference to an object whose uid is not known.
    pub fn new(resource: Resource, at: &ObjectRef) -> ObjectReference {
        ObjectReference { resource, at: at.clone(), uid: None }
    }

    /// The JSON of the reference.
    pub fn to_json(&self) -> Value {
        let Resource { kind, namespaced, .. } = self.resource;
        let (version, at) = (self.resource.api_version(), &self.at);
        match namespaced {
            true => json!({
                "apiVersion": version, "kind": kind, "namespace": at.namespace, "name": at.name, "uid": self.uid,
            }),
            false => json!({"apiVersion": version, "kind": kind, "name": at.name, "uid": self.uid}),
        }
    }
}

impl fmt::Display for ObjectReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.resource.namespaced {
            true => write!(f, "{} {}", self.resource.kind, self.at),
            false => write!(f, "{} {}", self.resource.kind, self.at.name),
        }
    }
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

/// A map of texts, which may be missing or `null`.
pub fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second namespaced kind, with a status: networking.k8s.io/v1 Ingress.
    #[derive(Clone, Debug, PartialEq)]
    struct Ingress {
        metadata: ObjectMeta,
        hosts: Vec<String>,
        addresses: Vec<String>,
        rest: Map<String, Value>,
    }

    impl Object for Ingress {
        const RESOURCE: Resource = Resource {
            group: "networking.k8s.io",
            version: "v1",
            plural: "ingresses",
            kind: "Ingress",
            namespaced: true,
        };

        fn metadata(&self) -> ObjectMeta {
            self.metadata.clone()
        }

        fn from_json(object: Value) -> Result<Ingress, InvalidObject> {
            let Value::Object(rest) = object else { return Err(InvalidObject("it is no object".to_owned())) };
            let list = |path: &str, field: &str| {
                let list = Value::Object(rest.clone()).pointer(path).and_then(Value::as_array).cloned();
                let texts =
                    list.unwrap_or_default().into_iter().filter_map(|item| Some(item[field].as_str()?.to_owned()));
                texts.collect()
            };
            let (hosts, addresses) = (list("/spec/rules", "host"), list("/status/loadBalancer/ingress", "ip"));
            Ok(Ingress { metadata: ObjectMeta::read(Self::RESOURCE, &rest)?, hosts, addresses, rest })
        }

        fn to_json(&self) -> Value {
            let mut object = self.rest.clone();
            self.metadata.write(&mut object);
            let addresses: Vec<_> = self.addresses.iter().map(|ip| json!({ "ip": ip })).collect();
            object.insert("status".to_owned(), json!({"loadBalancer": {"ingress": addresses}}));
            Value::Object(object)
        }
    }

    /// A cluster-scoped kind: networking.k8s.io/v1 IngressClass.
    const INGRESS_CLASSES: Resource =
        Resource { plural: "ingressclasses", kind: "IngressClass", namespaced: false, ..Ingress::RESOURCE };

    /// As kube-apiserver 1.30 sends it, shortened.
    fn ingress() -> Value {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {
                "name": "web", "namespace": "team", "uid": "u-1", "resourceVersion": "17", "generation": 3,
                "labels": {"app": "web"}, "annotations": {"a": "b"}, "creationTimestamp": "2026-01-15T08:00:00Z",
                "deletionTimestamp": "2027-01-15T08:00:00Z",
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "u-2"},
                    {"apiVersion": "apps/v1", "kind": "App", "name": "c", "uid": "u-3", "controller": true},
                ],
            },
            "spec": {"ingressClassName": "nginx", "rules": [{"host": "a.test"}, {"http": {}}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
        })
    }

    #[test]
    fn a_second_kind_is_read_and_written_with_what_it_does_not_know() {
        let mut read = Ingress::from_json(ingress()).unwrap();
        assert_eq!(
            (read.hosts.as_slice(), read.addresses.as_slice()),
            (&["a.test".to_owned()][..], &["192.0.2.1".to_owned()][..])
        );
        let ObjectMeta { reference, uid, resource_version, generation, deletion_timestamp, .. } = read.metadata();
        assert_eq!((reference, uid.as_deref()), (ObjectRef::new("team", "web"), Some("u-1")));
        assert_eq!((resource_version.as_deref(), generation), (Some("17"), Some(3)));
        assert_eq!(deletion_timestamp, Some(Time::from_unix(1_800_000_000)));
        let controller = read.metadata.controller().unwrap();
        assert_eq!((controller.kind.as_str(), controller.uid.as_str()), ("App", "u-3"));
        assert_eq!(read.to_json(), ingress());
        read.metadata.labels.insert("mine".to_owned(), "y".to_owned());
        let mut expected = ingress();
        expected["metadata"]["labels"]["mine"] = json!("y");
        assert_eq!(read.to_json(), expected);
    }

    #[test]
    fn what_has_no_name_where_its_kind_has_one_is_no_object() {
        let read = |resource, object: Value| ObjectMeta::read(resource, object.as_object().unwrap());
        for (resource, object, said) in [
            (Ingress::RESOURCE, json!({}), Err("the Ingress has no metadata")),
            (Ingress::RESOURCE, json!({"metadata": null}), Err("the Ingress has no metadata")),
            (Ingress::RESOURCE, json!({"metadata": {"name": "a"}}), Err("the Ingress has no metadata.namespace")),
            (Ingress::RESOURCE, json!({"metadata": {"namespace": "a"}}), Err("the Ingress has no metadata.name")),
            (INGRESS_CLASSES, json!({"metadata": {"uid": "u"}}), Err("the IngressClass has no metadata.name")),
            (INGRESS_CLASSES, json!({"metadata": {"name": "nginx", "labels": null}}), Ok("/nginx")),
        ] {
            let read = read(resource, object).map(|metadata| metadata.reference.to_string());
            assert_eq!(read, said.map(str::to_owned).map_err(|e| InvalidObject(e.to_owned())));
        }
    }

    #[test]
    fn a_reference_has_the_namespace_that_its_kind_has() {
        let web = ObjectReference {
            uid: Some("u".to_owned()),
            ..ObjectReference::new(Ingress::RESOURCE, &ObjectRef::new("team", "web"))
        };
        let expected = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "namespace": "team", "name": "web", "uid": "u"});
        assert_eq!((web.to_json(), web.to_string()), (expected, "Ingress team/web".to_owned()));
        let class = ObjectReference::new(INGRESS_CLASSES, &ObjectRef::new("", "nginx"));
        let expected =
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "name": "nginx", "uid": null});
        assert_eq!((class.to_json(), class.to_string()), (expected, "IngressClass nginx".to_owned()));
    }
}
