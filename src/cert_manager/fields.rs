//! Values of cert-manager's objects as JSON.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::name::ObjectRef;

/// The namespace (empty for an object without one) and the name of an object.
pub fn object_id(object: &Value) -> (&str, &str) {
    (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]))
}

/// A text; empty for any other value.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A text that is not empty.
pub(super) fn some_text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The texts of a list. Other values are passed over: the API server refuses them.
pub(super) fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The texts of a mapping. Other values are passed over.
pub(super) fn text_map(value: &Value) -> BTreeMap<String, String> {
    let fields = value.as_object().into_iter().flatten();
    fields.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The fields of a mapping that are set, in the order of their names.
pub(super) fn set_fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields = value.as_object().into_iter().flatten();
    fields.filter(|(_, value)| !is_unset(value)).map(|(key, value)| (key.as_str(), value))
}

/// Whether a field is not there, empty, or `false`.
pub fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// A data key of a Secret. The namespace of the Secret follows from the issuer that names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DataKey {
    /// The name of the Secret, as it is written.
    pub secret: String,
    /// The data key, as it is written.
    pub key: String,
}

impl DataKey {
    /// Reads `{name, key}`; `None` where no Secret is named.
    pub(super) fn read(reference: &Value, default_key: &str) -> Option<DataKey> {
        let key = some_text(&reference["key"]).unwrap_or_else(|| default_key.to_owned());
        Some(DataKey { secret: some_text(&reference["name"])?, key })
    }

    /// The Secret in `namespace`.
    ///
    /// # Errors
    /// The fault of the name or of the data key: neither may leave its place in a command or an object.
    pub fn at(&self, namespace: &str) -> Result<ObjectRef, String> {
        let DataKey { secret, key } = self;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if key.is_empty() || !key.chars().all(plain) {
            return Err(format!(
                "the reference to its Secret has the data key {key:?}, which Kubernetes does not allow"
            ));
        }
        if secret.contains('/') {
            return Err(format!("the name of its Secret, {secret:?}, has a `/` in it"));
        }
        ObjectRef::parse(secret, namespace).map_err(|e| format!("the name of its Secret, {secret:?}, {e}"))
    }
}
