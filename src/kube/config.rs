//! What is known of the way to the API server and of who we are there, as a kubeconfig or a pod describes it. Pure.
//!
//! Files are only named here: [`super::session`] reads them, again and again, because tokens and authorities are exchanged under us.

use std::path::PathBuf;

use crate::base::secret::Secret;

/// How the API server is reached.
#[derive(Debug)]
pub struct ClusterConfig {
    /// Scheme, host, port and perhaps a path prefix, without a slash at the end.
    pub server: String,
    /// How its certificate is checked.
    pub checks: TlsConfig,
    /// The proxy on the way (`http://HOST:PORT`, CONNECT). Its URL may hold a password.
    pub proxy: Option<Secret<String>>,
    /// Who we are.
    pub identity: AuthInfo,
    /// The headers that say who we want to act as (`as` and its companions).
    pub impersonation: Vec<(String, String)>,
    /// The namespace of the context or the pod.
    pub namespace: Option<String>,
}

/// How the server's certificate is checked.
#[derive(Debug, Default)]
pub struct TlsConfig {
    /// Whom we trust; public CAs where nothing is said.
    pub authority: Option<PemSource>,
    /// The name it must prove, where that is not the host of the URL.
    pub name: Option<String>,
    /// Nothing is checked (`insecure-skip-tls-verify`).
    pub skipped: bool,
}

/// Who we are: a token, a client certificate, both, or what a plugin says.
#[derive(Debug, Default)]
pub struct AuthInfo {
    /// The bearer token.
    pub token: TokenSource,
    /// The client certificate chain and its key.
    pub client: Option<(PemSource, PemSource)>,
    /// The program that knows.
    pub plugin: Option<ExecConfig>,
}

/// Where the bearer token comes from.
#[derive(Debug, Default)]
pub enum TokenSource {
    /// There is none.
    #[default]
    None,
    /// It is given and stays.
    Fixed(Secret<String>),
    /// In a file that changes.
    File(PathBuf),
}

/// Certificates or a key in PEM.
#[derive(Debug)]
pub enum PemSource {
    /// Given and unchanging.
    Given(Secret<Vec<u8>>),
    /// In a file that may be exchanged; with the field that names it, for messages.
    File(&'static str, PathBuf),
}

/// A program that prints an ExecCredential (client.authentication.k8s.io).
#[derive(Debug)]
pub struct ExecConfig {
    /// `client.authentication.k8s.io/v1` or `.../v1beta1`: asked for and expected back.
    pub version: String,
    /// The program: a name to be found in PATH, or a path.
    pub command: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What is added to its environment. Values may be secrets.
    pub environment: Vec<(String, Secret<String>)>,
    /// What people are told when it is not there.
    pub hint: Option<String>,
    /// Whether it is told about the cluster (`provideClusterInfo`), and what the cluster's extension says.
    pub cluster: Option<serde_json::Value>,
}
