//! cert-manager's objects as JSON.

use serde_json::Value;

/// The objects of a List, or the one that the text holds.
pub(super) fn objects(text: &str) -> Result<Vec<Value>, String> {
    const HOW: &str = "give the output of `kubectl get certificates,issuers,clusterissuers -A -o json`";
    let value: Value = serde_json::from_str(text).map_err(|e| format!("standard input is not JSON ({e}); {HOW}"))?;
    let objects = match value {
        Value::Object(mut fields) if fields.contains_key("items") => match fields.remove("items") {
            Some(Value::Array(items)) => items,
            _ => return Err(format!("standard input has no list under `items`; {HOW}")),
        },
        one => vec![one],
    };
    let ours = |object: &Value| {
        let kind = matches!(object["kind"].as_str(), Some("Certificate" | "Issuer" | "ClusterIssuer"));
        kind && object["apiVersion"].as_str().is_some_and(|version| version.starts_with("cert-manager.io/"))
    };
    match objects.iter().find(|object| !ours(object)) {
        Some(other) => {
            let (kind, version) = (&other["kind"], &other["apiVersion"]);
            Err(format!(
                "standard input has an object of kind {kind} ({version}), which is none of cert-manager's; {HOW}"
            ))
        }
        None if objects.iter().any(|object| object["apiVersion"] != "cert-manager.io/v1") => {
            Err(format!("standard input has objects of an API before cert-manager.io/v1; {HOW}"))
        }
        None => Ok(objects),
    }
}

/// The kind, the namespace (empty for those without) and the name.
pub(super) fn key(object: &Value) -> (&str, &str, &str) {
    let text = |value: &'static str| object["metadata"][value].as_str().unwrap_or_default();
    (object["kind"].as_str().unwrap_or_default(), text("namespace"), text("name"))
}

/// The texts of a list. Other values are passed over: the API server refuses them.
pub(super) fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Whether a field is not there, empty, or `false`.
pub(super) fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
