//! Standard input as a list of objects.

use serde_json::Value;

/// The command whose output is wanted.
pub(super) const HOW: &str = "give the output of `kubectl get certificates.cert-manager.io,issuers.cert-manager.io,clusterissuers.cert-manager.io -A -o json`";

/// The objects of a List, or the one that the text holds.
pub(super) fn objects(text: &str) -> Result<Vec<Value>, String> {
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
