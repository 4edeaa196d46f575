//! The input and the output of a credential plugin (client.authentication.k8s.io/v1 and v1beta1). Pure.
//!
//! Untrusted as far as a program of the operator can be: a plugin may crash, print too much, or print something else. Its output is never
//! repeated, because secrets are in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::config::{ClusterConfig, ExecConfig};
use crate::base::secret::Secret;
use crate::base::time::Time;

/// The credential that a plugin printed.
#[derive(Clone, Debug, Default)]
pub struct Credential {
    /// A bearer token.
    pub token: Option<Secret<String>>,
    /// A client certificate chain and its key, PEM.
    pub client: Option<(Vec<u8>, Secret<Vec<u8>>)>,
    /// When the plugin is to run again; `None`: not before a 401.
    pub expires: Option<Time>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    kind: Option<String>,
    api_version: Option<String>,
    status: Option<ExecStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecStatus {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<String>,
}

/// Reads the output of a plugin.
///
/// # Errors
/// One sentence that says what is wrong with the output, and quotes none of it.
pub fn read(printed: &[u8], version: &str) -> Result<Credential, String> {
    // The error of a JSON parser quotes values, and values here are secrets: only the place is kept.
    let answer: ExecCredential =
        serde_json::from_slice(printed).map_err(|e| match printed.trim_ascii().is_empty() {
            true => "printed nothing: expected is an ExecCredential in JSON".to_owned(),
            false => {
                format!(
                    "printed something that is not an ExecCredential in JSON (line {}, column {})",
                    e.line(),
                    e.column()
                )
            }
        })?;
    if answer.kind.as_deref() != Some("ExecCredential") {
        return Err("printed JSON whose kind is not ExecCredential".to_owned());
    }
    if answer.api_version.as_deref() != Some(version) {
        return Err(format!("answered in another apiVersion than {version}: set the one it speaks in the kubeconfig"));
    }
    let status = answer.status.ok_or("printed an ExecCredential without a status")?;
    let token = status.token.filter(|t| !t.is_empty()).map(|token| Secret::known("the token of the API server", token));
    let chain = status.client_certificate_data.filter(|c| !c.is_empty());
    let key = status.client_key_data.filter(|k| !k.is_empty());
    let client = match (chain, key) {
        (Some(chain), Some(key)) => {
            Some((chain.into_bytes(), Secret::known("the key of the client certificate", key.into_bytes())))
        }
        (None, None) => None,
        (Some(_), None) => return Err("gave clientCertificateData without clientKeyData".to_owned()),
        (None, Some(_)) => return Err("gave clientKeyData without clientCertificateData".to_owned()),
    };
    if token.is_none() && client.is_none() {
        return Err("gave neither a token nor a client certificate".to_owned());
    }
    let expires = match status.expiration_timestamp {
        None => None,
        Some(text) => Some(
            Time::parse_rfc3339(&text).ok_or("gave an expirationTimestamp that is not like 2026-01-31T12:00:00Z")?,
        ),
    };
    Ok(Credential { token, client, expires })
}

/// The value of `KUBERNETES_EXEC_INFO`. `authority` is the CA of the cluster in PEM.
pub fn info(plugin: &ExecConfig, config: &ClusterConfig, authority: &[u8]) -> String {
    let mut spec = Map::from_iter([("interactive".to_owned(), json!(false))]);
    if let Some(extension) = &plugin.cluster {
        let fields = [
            ("server", Some(json!(config.server))),
            ("tls-server-name", config.tls.name.as_ref().map(|name| json!(name))),
            ("insecure-skip-tls-verify", config.tls.skipped.then_some(Value::Bool(true))),
            ("certificate-authority-data", (!authority.is_empty()).then(|| json!(STANDARD.encode(authority)))),
            ("proxy-url", config.proxy.as_ref().map(|proxy| json!(proxy.expose()))),
            ("config", Some(extension.clone()).filter(|extension| *extension != Value::Null)),
        ];
        let cluster: Map<_, _> =
            fields.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?))).collect();
        spec.insert("cluster".to_owned(), Value::Object(cluster));
    }
    json!({"kind": "ExecCredential", "apiVersion": plugin.version, "spec": spec}).to_string()
}

#[cfg(test)]
mod tests;
