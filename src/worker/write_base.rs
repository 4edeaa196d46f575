//! The fields of a certificate's Secret that a watch keeps, so that the Secret can be replaced without reading it again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::base::limits::WRITE_BASE_OCTETS_MAX;
use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::kube::metadata::Object as _;
use crate::kube::object::{SecretObject, TYPE_TLS};
use crate::policy::secret_state::annotation;
use crate::record::PairBackup;

/// Everything that a replacement has to carry over, except for the pair and the annotations that each replacement writes anew. Equal texts
/// are kept once: most Secrets differ in nothing but the pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteBase {
    uid: [u8; 16],
    /// JSON of the other fields.
    rest: SharedStr,
}

/// Fields of `metadata` that the API server fills in, or that stand elsewhere.
const NOT_KEPT: [&str; 8] =
    ["name", "namespace", "uid", "resourceVersion", "managedFields", "creationTimestamp", "generation", "selfLink"];

/// Annotations that each certificate comes with.
const WRITTEN: [&str; 5] =
    [annotation::OWNER, annotation::DIRECTORY, annotation::KEY_TYPE, annotation::SOURCE, annotation::PROFILE];

impl WriteBase {
    /// The base of a Secret from the API server's JSON; `None` where the Secret has to be read before it is replaced: another type, data of
    /// others that may be secret, or too much to keep.
    pub fn of(secret: &Value) -> Option<WriteBase> {
        let object =
            secret.as_object().filter(|object| object.get("type").and_then(Value::as_str) == Some(TYPE_TLS))?;
        let metadata = object.get("metadata")?.as_object()?;
        let uid = parse_uuid(metadata.get("uid")?.as_str()?)?;
        let is_filled = |value: &Value| !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty());
        let kept = |map: &Map<String, Value>, without: &[&str]| -> Map<String, Value> {
            let kept = map.iter().filter(|(field, value)| !without.contains(&field.as_str()) && is_filled(value));
            kept.map(|(field, value)| (field.clone(), value.clone())).collect()
        };
        let mut rest = kept(object, &["apiVersion", "kind", "type", "data", "metadata"]);
        let data = object.get("data").and_then(Value::as_object);
        let others = data.into_iter().flatten().filter(|(key, _)| !["tls.crt", "tls.key"].contains(&key.as_str()));
        for (key, value) in others {
            let is_public = key == "ca.crt";
            rest.entry("data").or_insert_with(|| json!({}))[key] = is_public.then(|| value.clone())?;
        }
        let mut kept_metadata = kept(metadata, &NOT_KEPT);
        if let Some(annotations) = metadata.get("annotations").and_then(Value::as_object) {
            let annotations = Value::Object(kept(annotations, &WRITTEN));
            kept_metadata.remove("annotations");
            is_filled(&annotations).then(|| kept_metadata.insert("annotations".to_owned(), annotations));
        }
        rest.insert("metadata".to_owned(), Value::Object(kept_metadata));
        let rest = Value::Object(rest).to_string();
        // kubectl's `last-applied-configuration` may hold a whole Secret.
        let is_harmless = rest.len() <= WRITE_BASE_OCTETS_MAX && !rest.contains("last-applied-configuration");
        is_harmless.then(|| WriteBase { uid, rest: SharedStr::intern(&rest) })
    }

    /// The Secret of this resourceVersion with a pair that it is known to hold.
    pub fn object(&self, at: &ObjectRef, version: &str, pair: &PairBackup) -> Option<SecretObject> {
        let mut object: Value = serde_json::from_str(&self.rest).ok()?;
        object["type"] = json!(TYPE_TLS);
        for (field, value) in [
            ("name", at.name.as_str()),
            ("namespace", at.namespace.as_str()),
            ("uid", &*uuid(&self.uid)),
            ("resourceVersion", version),
        ] {
            object["metadata"][field] = json!(value);
        }
        object["data"]["tls.crt"] = json!(STANDARD.encode(&pair.chain));
        object["data"]["tls.key"] = json!(STANDARD.encode(pair.key.as_ref()?.expose()));
        SecretObject::from_json(object).ok()
    }
}

/// A UUID in its canonical form (RFC 9562 section 4), which [`uuid`] gives back.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let octets = u128::from_str_radix(&text.replace('-', ""), 16).ok()?.to_be_bytes();
    (uuid(&octets) == text).then_some(octets)
}

fn uuid(octets: &[u8; 16]) -> String {
    let hex = crate::cert::facts::hex(octets);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;

    fn secret() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": TYPE_TLS, "newField": [1],
            "data": {"tls.crt": "YQ==", "tls.key": "Yg==", "ca.crt": "Yw=="},
            "metadata": {
                "name": "web", "namespace": "team", "uid": "01234567-89ab-cdef-0123-456789abcdef", "resourceVersion": "17",
                "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"manager": "notariat"}],
                "labels": {"theirs": "x"}, "finalizers": ["f"],
                "annotations": {"notariat/owner": "i team/web", "notariat/renew": "1", "theirs": "y"},
            },
        })
    }

    #[test]
    fn a_replacement_carries_over_what_others_wrote() {
        let pair = PairBackup { chain: b"a".to_vec(), key: Some(Secret::new(b"b".to_vec())) };
        let base = WriteBase::of(&secret()).unwrap();
        let object = base.object(&ObjectRef::new("team", "web"), "17", &pair).unwrap().to_json();
        let mut expected = secret();
        let metadata = expected["metadata"].as_object_mut().unwrap();
        metadata.remove("creationTimestamp");
        metadata.remove("managedFields");
        metadata["annotations"].as_object_mut().unwrap().remove("notariat/owner");
        assert_eq!(object, expected);
    }

    #[test]
    fn a_secret_that_is_not_kept_whole_is_read_before_it_is_replaced() {
        let cases: [(&str, Value); 5] = [
            ("/type", json!("Opaque")),
            ("/data/keystore.jks", json!("eA==")),
            ("/metadata/uid", json!("0123456789abcdef0123456789abcdef")),
            ("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration", json!("{}")),
            ("/metadata/labels/long", json!("x".repeat(WRITE_BASE_OCTETS_MAX))),
        ];
        for (pointer, value) in cases {
            let mut secret = secret();
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            secret.pointer_mut(parent).unwrap()[field.replace("~1", "/")] = value;
            assert_eq!(WriteBase::of(&secret), None, "{pointer}");
        }
    }
}
