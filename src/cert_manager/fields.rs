//! Values of cert-manager's objects as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::base::name::ObjectRef;

/// The namespace (empty for an object without one) and the name of an object.
pub fn object_id(object: &Value) -> (&str, &str) {
    (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]))
}

/// A text; empty for any other value.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A text that is not empty.
pub fn some_text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The texts of a list. Other values are passed over: the API server refuses them.
pub fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The texts of a mapping. Other values are passed over.
pub fn text_map(value: &Value) -> BTreeMap<String, String> {
    let fields = value.as_object().into_iter().flatten();
    fields.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The fields of a mapping that are set, in the order of their names.
pub fn set_fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields = value.as_object().into_iter().flatten();
    fields.filter(|(_, value)| !is_unset(value)).map(|(key, value)| (key.as_str(), value))
}

/// Tells whether a field is not there, empty, or `false`.
pub fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// A duration as Go writes it, such as `2160h0m0s`; `None` for any other text, and for one of no length.
pub fn go_duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let unit = &after[..after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len())];
        let seconds = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = &after[unit.len()..];
    }
    Duration::try_from_secs_f64(total).ok().filter(|duration| !duration.is_zero())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_writes_them() {
        for (text, seconds) in [
            ("2160h", Some(7_776_000.0)),
            ("2160h0m0s", Some(7_776_000.0)),
            ("1h30m", Some(5_400.0)),
            ("1.5h", Some(5_400.0)),
            ("5m0.25s", Some(300.25)),
            ("300ms", Some(0.3)),
            ("", None),
            ("0s", None),
            ("30d", None),
            ("10", None),
            ("h", None),
            ("-5m", None),
            ("1.2.3h", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(go_duration(text).map(|duration| duration.as_secs_f64()), seconds, "{text}");
        }
    }
}
