//! Reads kubeconfig files: merging, the current context, its cluster and its user. Pure; further files are only named.
//!
//! Input: files of the operator, understood as kubectl understands them. Of several files the first that has a name wins, with its whole entry;
//! relative paths are relative to the file they stand in; data beats a file of the same purpose.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::{Zeroize as _, Zeroizing};

use super::config::{AuthInfo, ClusterConfig, ExecConfig, PemSource, TlsConfig, TokenSource};
use crate::base::sanitize::{CREDENTIALS, has_credentials, percent_encoded};
use crate::base::secret::Secret;

/// The extension of a cluster that plugins get.
const EXEC_EXTENSION: &str = "client.authentication.k8s.io/exec";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct KubeconfigFile {
    current_context: Option<String>,
    clusters: Option<Vec<NamedItem<KubeconfigCluster>>>,
    users: Option<Vec<NamedItem<User>>>,
    contexts: Option<Vec<NamedItem<KubeconfigContext>>>,
}

#[derive(Deserialize)]
struct NamedItem<T> {
    name: String,
    #[serde(alias = "cluster", alias = "user", alias = "context")]
    value: Option<T>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct KubeconfigCluster {
    server: Option<String>,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: Option<bool>,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
    extensions: Option<Vec<Extension>>,
}

#[derive(Deserialize)]
struct Extension {
    name: String,
    extension: Option<serde_json::Value>,
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
    exec: Option<Exec>,
    auth_provider: Option<serde_yaml::Value>,
    username: Option<String>,
    #[serde(rename = "as")]
    acts_as: Option<String>,
    as_uid: Option<String>,
    as_groups: Option<Vec<String>>,
    as_user_extra: Option<BTreeMap<String, Vec<String>>>,
}

impl Drop for User {
    fn drop(&mut self) {
        self.token.zeroize();
        self.client_key_data.zeroize();
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exec {
    api_version: Option<String>,
    command: Option<String>,
    args: Option<Vec<String>>,
    env: Option<Vec<Variable>>,
    install_hint: Option<String>,
    provide_cluster_info: Option<bool>,
    interactive_mode: Option<String>,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
    value: String,
}

#[derive(Default, Deserialize)]
struct KubeconfigContext {
    cluster: Option<String>,
    user: Option<String>,
    namespace: Option<String>,
}

/// The cluster and user of the current context of these files. Each file comes with its path, the one that wins first.
///
/// # Errors
/// One sentence that names the file and the field. Never holds a token, a key or another value that may be secret.
pub fn read(files: &[(PathBuf, String)]) -> Result<ClusterConfig, String> {
    let all = files.iter().map(|(path, _)| path.display().to_string()).collect::<Vec<_>>().join(":");
    let whole = |e: String| format!("kubeconfig {all}: {e}");
    let mut parsed = Vec::new();
    for (path, text) in files {
        // The error of a YAML parser may quote a value, and values here are secrets: only the place is kept. An empty file counts as no file.
        let file: Option<KubeconfigFile> = serde_yaml::from_str(text).map_err(|e| {
            let place = e.location().map(|l| format!(" (line {})", l.line())).unwrap_or_default();
            format!("kubeconfig {}: is not the YAML of a kubeconfig{place}", path.display())
        })?;
        parsed.extend(file.map(|file| (path.as_path(), file)));
    }
    let current = parsed.iter().find_map(|(_, file)| file.current_context.as_deref().filter(|name| !name.is_empty()));
    let current = current.ok_or_else(|| whole("has no current-context".to_owned()))?;
    let (_, context) = find(&parsed, |file| &file.contexts, "context", current).map_err(whole)?;
    let cluster = context.cluster.as_deref().unwrap_or_default();
    let (cluster_path, cluster) = find(&parsed, |file| &file.clusters, "cluster", cluster).map_err(whole)?;
    let nobody = User::default();
    let (user_path, user) = match context.user.as_deref().filter(|name| !name.is_empty()) {
        None => (cluster_path, &nobody),
        Some(name) => find(&parsed, |file| &file.users, "user", name).map_err(whole)?,
    };
    let named = |path: &Path, e: String| format!("kubeconfig {}: {e}", path.display());
    let (server, tls, proxy) = connection(cluster, folder(cluster_path)).map_err(|e| named(cluster_path, e))?;
    let auth = auth(user, cluster, folder(user_path)).map_err(|e| named(user_path, e))?;
    let impersonation = impersonation(user).map_err(|e| named(user_path, e))?;
    let namespace = context.namespace.clone().filter(|n| !n.is_empty());
    Ok(ClusterConfig { server, tls, proxy, auth, impersonation, namespace })
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// The entry of the first file that has the name. Later files are ignored.
fn find<'a, T>(
    files: &'a [(&'a Path, KubeconfigFile)],
    list: impl Fn(&'a KubeconfigFile) -> &'a Option<Vec<NamedItem<T>>>,
    kind: &str,
    name: &str,
) -> Result<(&'a Path, &'a T), String> {
    let found = files.iter().find_map(|(path, file)| {
        let entry = list(file).iter().flatten().find(|entry| entry.name == name)?;
        Some((*path, entry.value.as_ref()))
    });
    match found {
        Some((path, Some(value))) => Ok((path, value)),
        Some((_, None)) => Err(format!("its {kind} {name:?} is empty")),
        None => Err(format!("has no {kind} {name:?}")),
    }
}

/// The server, how its certificate is checked, and the proxy.
fn connection(
    cluster: &KubeconfigCluster,
    folder: &Path,
) -> Result<(String, TlsConfig, Option<Secret<String>>), String> {
    let server = cluster.server.as_deref().map(|s| s.trim_end_matches('/')).filter(|s| s.starts_with("https://"));
    let server = server.ok_or("its cluster has no server that begins with https://")?.to_owned();
    if has_credentials(&server) {
        return Err(format!("its cluster has a server that {CREDENTIALS}"));
    }
    let (data, file) = (&cluster.certificate_authority_data, &cluster.certificate_authority);
    let authority = pem(data, file, folder, "certificate-authority")?;
    let skipped = cluster.insecure_skip_tls_verify == Some(true);
    if skipped && authority.is_some() {
        return Err(
            "its cluster has insecure-skip-tls-verify and a certificate-authority: remove one of them".to_owned()
        );
    }
    let proxy = cluster.proxy_url.clone().filter(|url| !url.is_empty());
    if let Some(url) = &proxy
        && url.strip_prefix("http://").is_none_or(str::is_empty)
    {
        return Err("its cluster has a proxy-url that is not http://HOST:PORT: others are not supported".to_owned());
    }
    let name = cluster.tls_server_name.clone().filter(|name| !name.is_empty());
    Ok((server, TlsConfig { authority, name, skipped }, proxy.map(with_password)))
}

/// The URL of a proxy. Only the password is registered as a secret, because the host stands in many sentences.
fn with_password(url: String) -> Secret<String> {
    let authority = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).split('/').next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let password = user.split_once(':').map_or(user, |(_, password)| password).to_owned();
    Secret::known_by("the password of the proxy", url, &Zeroizing::new(password))
}

/// A variable for a plugin. A short word, a path or an address stands in many sentences, so it is registered as a secret only where the name
/// of the variable says that it is one.
fn variable(name: &str, value: &str) -> Secret<String> {
    let name = name.to_ascii_uppercase();
    let is_named = ["TOKEN", "SECRET", "PASS", "KEY", "CREDENTIAL"].iter().any(|word| name.contains(word));
    let is_plain = value.len() < 20 || value.starts_with('/') || value.contains("://");
    match is_named || !is_plain {
        true => Secret::known("a variable of the exec plugin", value.to_owned()),
        false => Secret::new(value.to_owned()),
    }
}

fn auth(user: &User, cluster: &KubeconfigCluster, folder: &Path) -> Result<AuthInfo, String> {
    for (used, field) in [(user.auth_provider.is_some(), "auth-provider"), (user.username.is_some(), "username")] {
        if used {
            return Err(format!(
                "uses `{field}`, which is not supported: use a token, a tokenFile, a client certificate or exec"
            ));
        }
    }
    let (data, file) = (&user.client_certificate_data, &user.client_certificate);
    let chain = pem(data, file, folder, "client-certificate")?;
    let key = pem(&user.client_key_data, &user.client_key, folder, "client-key")?;
    let client = match (chain, key) {
        (Some(chain), Some(key)) => Some((chain, key)),
        (None, None) => None,
        (Some(_), None) => return Err("its user has a client-certificate and no client-key".to_owned()),
        (None, Some(_)) => return Err("its user has a client-key and no client-certificate".to_owned()),
    };
    let token_file = user.token_file.as_ref().filter(|path| !path.as_os_str().is_empty());
    let token = match (token_file, user.token.as_ref().filter(|token| !token.is_empty())) {
        (Some(path), _) => TokenSource::File(folder.join(path)),
        (None, Some(token)) => TokenSource::Fixed(Secret::known("the token of the API server", token.clone())),
        (None, None) => TokenSource::None,
    };
    let plugin = user.exec.as_ref().map(|exec| plugin(exec, cluster, folder)).transpose()?;
    if plugin.is_some() && (client.is_some() || !matches!(token, TokenSource::None)) {
        // Which of them wins in kubectl depends on their kinds.
        return Err("its user has exec beside a token or client certificate: keep one".to_owned());
    }
    Ok(AuthInfo { token, client, plugin })
}

fn plugin(exec: &Exec, cluster: &KubeconfigCluster, folder: &Path) -> Result<ExecConfig, String> {
    let version = exec.api_version.clone().unwrap_or_default();
    if !["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"].contains(&version.as_str()) {
        return Err(format!(
            "its exec has the apiVersion {version:?}: supported are client.authentication.k8s.io/v1 and .../v1beta1"
        ));
    }
    if exec.interactive_mode.as_deref() == Some("Always") {
        return Err("its exec has interactiveMode Always: there is nobody to answer its questions".to_owned());
    }
    let command = exec.command.as_deref().filter(|c| !c.is_empty()).ok_or("its exec has no command")?;
    // A name without a slash is found in PATH.
    let command = if command.contains('/') { folder.join(command) } else { PathBuf::from(command) };
    let mut environment = Vec::new();
    for Variable { name, value } in exec.env.iter().flatten() {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("its exec has a variable {name:?} in env that no environment can hold"));
        }
        environment.push((name.clone(), variable(name, value)));
    }
    let cluster = exec.provide_cluster_info.unwrap_or(false).then(|| {
        let extension = cluster.extensions.iter().flatten().find(|e| e.name == EXEC_EXTENSION);
        extension.and_then(|e| e.extension.clone()).unwrap_or_default()
    });
    let arguments = exec.args.clone().unwrap_or_default();
    Ok(ExecConfig { version, command, arguments, environment, hint: exec.install_hint.clone(), cluster })
}

/// The headers of `as` and its companions.
fn impersonation(user: &User) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    let mut add = |field: &str, name: String, value: &str| {
        // A value that HTTP can not carry would fail later, without the name of the field.
        let fits = !value.is_empty() && !value.chars().any(char::is_control);
        fits.then(|| headers.push((name, value.to_owned())))
            .ok_or(format!("its user's `{field}` has an empty value or one that no header can hold"))
    };
    let acts_as = user.acts_as.as_deref().unwrap_or_default();
    if !acts_as.is_empty() {
        add("as", "Impersonate-User".to_owned(), acts_as)?;
    }
    if let Some(uid) = user.as_uid.as_deref().filter(|uid| !uid.is_empty()) {
        add("as-uid", "Impersonate-Uid".to_owned(), uid)?;
    }
    for group in user.as_groups.iter().flatten() {
        add("as-groups", "Impersonate-Group".to_owned(), group)?;
    }
    for (key, value) in
        user.as_user_extra.iter().flatten().flat_map(|(key, values)| values.iter().map(move |v| (key, v)))
    {
        add("as-user-extra", format!("Impersonate-Extra-{}", percent_encoded(key)), value)?;
    }
    if acts_as.is_empty() && !headers.is_empty() {
        return Err("its user has as-uid, as-groups or as-user-extra without `as`: say as whom".to_owned());
    }
    Ok(headers)
}

fn pem(
    data: &Option<String>,
    file: &Option<PathBuf>,
    folder: &Path,
    field: &'static str,
) -> Result<Option<PemSource>, String> {
    let data = data.as_deref().filter(|data| !data.is_empty());
    match (data, file.as_ref().filter(|file| !file.as_os_str().is_empty())) {
        (Some(data), _) => match decoded(data.as_bytes()) {
            Some(octets) => {
                let octets = octets.expose().clone();
                Ok(Some(PemSource::Given(Secret::with_keys_known("the key of the client certificate", octets))))
            }
            None => Err(format!("{field}-data is not base64")),
        },
        (None, Some(file)) => Ok(Some(PemSource::File(field, folder.join(file)))),
        (None, None) => Ok(None),
    }
}

/// Base64 with line breaks, as kubectl takes it. A `!!binary` of YAML is base64 of base64 for kubectl; PEM is no base64, so both can be told
/// apart.
fn decoded(text: &[u8]) -> Option<Secret<Vec<u8>>> {
    let once = base64_of(text)?;
    Some(base64_of(once.expose()).filter(|twice| twice.expose().starts_with(b"-----BEGIN")).unwrap_or(once))
}

fn base64_of(text: &[u8]) -> Option<Secret<Vec<u8>>> {
    let dense = Secret::new(text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect::<Vec<u8>>());
    STANDARD.decode(dense.expose()).ok().map(Secret::new)
}

#[cfg(test)]
mod tests;
