//! The connection to an API server and the identity there, as a kubeconfig or a pod describes them. Pure.
//!
//! Files are only named here: [`super::auth`] reads them, again and again, because tokens and CAs are exchanged while the program runs.

use std::path::PathBuf;

use crate::base::secret::Secret;

/// A cluster, and who this program is there.
#[derive(Debug)]
pub struct ClusterConfig {
    /// Scheme, host, port and perhaps a path prefix, without a slash at the end.
    pub server: String,
    /// How the certificate of the server is checked.
    pub tls: TlsConfig,
    /// The proxy (`http://HOST:PORT`, CONNECT). The URL may hold a password.
    pub proxy: Option<Secret<String>>,
    /// How this program signs in.
    pub auth: AuthInfo,
    /// The headers of an impersonation (`as` and its companions).
    pub impersonation: Vec<(String, String)>,
    /// The namespace of the context or the pod.
    pub namespace: Option<String>,
}

/// How the certificate of the server is checked.
#[derive(Debug, Default)]
pub struct TlsConfig {
    /// The CA of the cluster. `None`: public CAs.
    pub authority: Option<PemSource>,
    /// The name that the certificate must have, where that is not the host of the URL.
    pub name: Option<String>,
    /// The certificate is not checked (`insecure-skip-tls-verify`).
    pub skipped: bool,
}

/// The identity: a token, a client certificate, both, or the credential of a plugin.
#[derive(Debug, Default)]
pub struct AuthInfo {
    /// The bearer token.
    pub token: TokenSource,
    /// The client certificate chain and its key.
    pub client: Option<(PemSource, PemSource)>,
    /// The plugin that gives a credential.
    pub plugin: Option<ExecConfig>,
}

/// The origin of the bearer token.
#[derive(Debug, Default)]
pub enum TokenSource {
    /// No token.
    #[default]
    None,
    /// A token that stays.
    Fixed(Secret<String>),
    /// A file that changes.
    File(PathBuf),
}

/// Certificates or a key in PEM.
#[derive(Debug)]
pub enum PemSource {
    /// Contents that stay.
    Given(Secret<Vec<u8>>),
    /// A file that may be exchanged, with the field that names it, for messages.
    File(&'static str, PathBuf),
}

/// A program that prints an ExecCredential (client.authentication.k8s.io).
#[derive(Debug)]
pub struct ExecConfig {
    /// `client.authentication.k8s.io/v1` or `.../v1beta1`: asked for and expected back.
    pub version: String,
    /// The program: a name to be found in PATH, or a path.
    pub command: PathBuf,
    /// The arguments.
    pub arguments: Vec<String>,
    /// The variables that are added to the environment. Values may be secrets.
    pub environment: Vec<(String, Secret<String>)>,
    /// The hint for people when the program is missing.
    pub hint: Option<String>,
    /// The extension of the cluster, where the plugin is to know the cluster (`provideClusterInfo`); `null` without an extension.
    pub cluster: Option<serde_json::Value>,
}
