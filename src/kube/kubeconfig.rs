//! Reads a kubeconfig file. Pure but for the files it names.
//!
//! Input: a file of the operator's. Relative paths in it are relative to it; data beats a file of the same purpose, as in kubectl.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::auth::{Access, Token};
use crate::http::tls::Trust;
use crate::secret::Secret;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    current_context: Option<String>,
    clusters: Option<Vec<NamedCluster>>,
    users: Option<Vec<NamedUser>>,
    contexts: Option<Vec<NamedContext>>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: Option<String>,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: Option<bool>,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    exec: Option<serde_yaml::Value>,
    auth_provider: Option<serde_yaml::Value>,
    username: Option<String>,
    #[serde(rename = "as")]
    impersonate: Option<String>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: Option<String>,
    namespace: Option<String>,
}

/// Reads the current context of the kubeconfig at `path`.
///
/// # Errors
/// One sentence that names the file and the field. Never holds a token or a key.
pub fn load(path: &Path) -> Result<Access, String> {
    let named = |e: String| format!("kubeconfig {}: {e}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| named(format!("can not be read: {e}")))?;
    read(&text, path.parent().unwrap_or(Path::new("."))).map_err(named)
}

fn read(text: &str, folder: &Path) -> Result<Access, String> {
    // The error of a YAML parser may quote a value, and values here are secrets: only the place is kept.
    let file: File = serde_yaml::from_str(text).map_err(|e| {
        let place = e.location().map(|l| format!(" (line {})", l.line())).unwrap_or_default();
        format!("is not the YAML of a kubeconfig{place}")
    })?;
    let context_name = file.current_context.filter(|c| !c.is_empty()).ok_or("has no current-context")?;
    let contexts = file.contexts.unwrap_or_default();
    let context = contexts.into_iter().find(|c| c.name == context_name);
    let context = context.ok_or_else(|| format!("has no context {context_name:?}"))?.context;
    let cluster = file.clusters.unwrap_or_default().into_iter().find(|c| c.name == context.cluster);
    let cluster = cluster.ok_or_else(|| format!("has no cluster {:?}", context.cluster))?.cluster;
    let user = match &context.user {
        None => User::default(),
        Some(name) => {
            let user = file.users.unwrap_or_default().into_iter().find(|u| u.name == *name);
            user.ok_or_else(|| format!("has no user {name:?}"))?.user.unwrap_or_default()
        }
    };
    unsupported(&cluster, &user)?;

    let server = cluster.server.as_deref().map(|s| s.trim_end_matches('/')).filter(|s| s.starts_with("https://"));
    let server = server.ok_or("its cluster has no server that begins with https://")?.to_owned();
    let roots_pem =
        octets(cluster.certificate_authority_data, cluster.certificate_authority, folder, "certificate-authority")?;
    let chain = octets(user.client_certificate_data, user.client_certificate, folder, "client-certificate")?;
    let key = octets(user.client_key_data, user.client_key, folder, "client-key")?.map(Secret::new);
    let client = match (chain, key) {
        (Some(chain), Some(key)) => Some((chain, key)),
        (None, None) => None,
        (Some(_), None) => {
            return Err("its user has a client-certificate and no client-key".to_owned());
        }
        (None, Some(_)) => {
            return Err("its user has a client-key and no client-certificate".to_owned());
        }
    };
    let token = match (user.token_file, user.token) {
        (Some(path), _) => Token::File(folder.join(path)),
        (None, Some(token)) => Token::Fixed(Secret::new(token)),
        (None, None) => Token::None,
    };
    // Without an authority of its own the cluster's certificate is from a public CA.
    let trust = Trust { public_roots: roots_pem.is_none(), roots_pem: roots_pem.unwrap_or_default(), client };
    Ok(Access { server, trust, token, namespace: context.namespace.filter(|n| !n.is_empty()) })
}

/// What kubectl would do and we do not: better said than ignored.
fn unsupported(cluster: &Cluster, user: &User) -> Result<(), String> {
    for (used, field, instead) in [
        (cluster.insecure_skip_tls_verify == Some(true), "insecure-skip-tls-verify", "give certificate-authority"),
        (cluster.tls_server_name.is_some(), "tls-server-name", "use a server name that is in the certificate"),
        (cluster.proxy_url.is_some(), "proxy-url", "reach the API server directly"),
        (user.exec.is_some(), "exec", "use a token, a tokenFile or a client certificate"),
        (user.auth_provider.is_some(), "auth-provider", "use a token, a tokenFile or a client certificate"),
        (user.username.is_some(), "username", "use a token, a tokenFile or a client certificate"),
        (user.impersonate.is_some(), "as", "use the identity itself"),
    ] {
        if used {
            return Err(format!("uses `{field}`, which is not supported: {instead}"));
        }
    }
    Ok(())
}

fn octets(data: Option<String>, file: Option<PathBuf>, folder: &Path, field: &str) -> Result<Option<Vec<u8>>, String> {
    match (data.filter(|d| !d.is_empty()), file.filter(|f| !f.as_os_str().is_empty())) {
        (Some(data), _) => STANDARD.decode(data.trim()).map(Some).map_err(|_| format!("{field}-data is not base64")),
        (None, Some(file)) => {
            let path = folder.join(file);
            std::fs::read(&path).map(Some).map_err(|e| format!("{field} {}: {e}", path.display()))
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
current-context: b
clusters: [{name: x, cluster: {server: 'https://x'}}, {name: y, cluster: {server: 'https://y:6443/prefix/', certificate-authority-data: Y2E=}}]
contexts: [{name: a, context: {cluster: x}}, {name: b, context: {cluster: y, user: u, namespace: team}}]
users: [{name: u, user: {token: hunter2}}]
preferences: {}
";

    #[test]
    fn the_current_context_is_used() {
        let access = read(GOOD, Path::new("/nowhere")).unwrap();
        assert_eq!((access.server.as_str(), access.namespace.as_deref()), ("https://y:6443/prefix", Some("team")));
        assert_eq!(access.trust.roots_pem, b"ca");
        assert!(!access.trust.public_roots && access.trust.client.is_none());
        assert!(matches!(&access.token, Token::Fixed(t) if t.expose() == "hunter2"));
        let public = read(&GOOD.replace("current-context: b", "current-context: a"), Path::new("/nowhere")).unwrap();
        assert!(public.trust.public_roots && matches!(public.token, Token::None));
    }

    #[test]
    fn files_are_relative_to_the_kubeconfig_and_data_beats_them() {
        let folder = Path::new("tests/vectors/keys");
        let text = GOOD.replace(
            "{token: hunter2}",
            "{tokenFile: token, token: other, client-certificate: p256.pub, client-key: p256-pkcs8.pem, client-key-data: a2V5}",
        );
        let access = read(&text, folder).unwrap();
        let (chain, key) = access.trust.client.unwrap();
        assert!(chain.starts_with(b"-----BEGIN PUBLIC KEY") && key.expose() == b"key");
        assert!(matches!(access.token, Token::File(path) if path == folder.join("token")));
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_repeated() {
        for (from, to, part) in [
            ("current-context: b", "", "no current-context"),
            ("current-context: b", "current-context: c", "no context \"c\""),
            ("cluster: y", "cluster: z", "no cluster \"z\""),
            ("user: u,", "user: v,", "no user \"v\""),
            ("https://y", "http://y", "begins with https://"),
            ("Y2E=", "'%'", "certificate-authority-data is not base64"),
            ("token: hunter2", "token: [hunter2]", "not the YAML of a kubeconfig"),
            ("token: hunter2", "token: \"hunter2", "not the YAML of a kubeconfig (line"),
            ("token: hunter2", "client-certificate-data: eA==", "no client-key"),
            ("token: hunter2", "client-key: /nowhere/key", "client-key /nowhere/key: "),
            ("token: hunter2", "exec: {command: x}", "uses `exec`, which is not supported"),
            ("certificate-authority-data: Y2E=", "insecure-skip-tls-verify: true", "uses `insecure-skip-tls-verify`"),
        ] {
            let error = read(&GOOD.replace(from, to), Path::new("/nowhere")).map(|_| ()).unwrap_err();
            assert!(error.contains(part) && !error.contains("hunter2"), "{to}: {error}");
        }
    }
}
