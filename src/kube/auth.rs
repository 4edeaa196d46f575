//! How the API server is reached and who we are there: the service account of a pod, or a kubeconfig.
//!
//! Tokens and keys are `Secret`s; a token's file is read anew, because the kubelet replaces it about hourly.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::kubeconfig;
use crate::http::tls::Trust;
use crate::limits::TOKEN_KEPT;
use crate::secret::Secret;
use crate::time::Stopwatch;

const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How the API server is reached.
#[derive(Debug)]
pub struct Access {
    /// Scheme, host, port and perhaps a path prefix, without a slash at the end.
    pub server: String,
    /// Whom we trust, and our client certificate.
    pub trust: Trust,
    /// Our token.
    pub token: Token,
    /// The namespace of the context or the pod.
    pub namespace: Option<String>,
}

/// Where the bearer token comes from.
#[derive(Debug)]
pub enum Token {
    /// There is none: the client certificate says who we are.
    None,
    /// It is given and stays.
    Fixed(Secret<String>),
    /// In a file that changes.
    File(PathBuf),
}

impl Access {
    /// The access that `kubeconfig` describes, else that of the pod we run in.
    ///
    /// # Errors
    /// One sentence that says what is missing where.
    pub fn find(kubeconfig: Option<&Path>) -> Result<Access, String> {
        match kubeconfig {
            Some(path) => kubeconfig::load(path),
            None => {
                let env = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
                in_cluster(env("KUBERNETES_SERVICE_HOST"), env("KUBERNETES_SERVICE_PORT"), Path::new(SERVICE_ACCOUNT))
            }
        }
    }
}

fn in_cluster(host: Option<String>, port: Option<String>, folder: &Path) -> Result<Access, String> {
    let host = host.ok_or(
        "not in a pod (KUBERNETES_SERVICE_HOST is not set): give -kubeconfig FILE, or -local DIR to work without Kubernetes",
    )?;
    let file = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|e| {
            format!(
                "{}: {e}; does the pod have a service account token (automountServiceAccountToken)?",
                path.display()
            )
        })
    };
    // RFC 3986 section 3.2.2: an IPv6 address stands in brackets.
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    file("token")?;
    Ok(Access {
        server: format!("https://{host}:{}", port.as_deref().unwrap_or("443")),
        trust: Trust { public_roots: false, roots_pem: file("ca.crt")?.into_bytes(), client: None },
        token: Token::File(folder.join("token")),
        namespace: file("namespace").ok().map(|n| n.trim().to_owned()),
    })
}

/// A token source with what it read last.
#[derive(Debug)]
pub struct TokenSource {
    token: Token,
    read: Mutex<Option<(Secret<String>, Stopwatch)>>,
}

impl TokenSource {
    /// A source that has read nothing yet.
    pub fn new(token: Token) -> TokenSource {
        TokenSource { token, read: Mutex::default() }
    }

    /// The token now. A file is read at most once a minute, or when `fresh` is asked for (the last one was rejected). One that is
    /// empty or unreadable for a moment does not replace the last one.
    pub fn get(&self, fresh: bool) -> Option<Secret<String>> {
        let path = match &self.token {
            Token::None => return None,
            Token::Fixed(token) => return Some(token.clone()),
            Token::File(path) => path,
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = read.as_ref().is_some_and(|(_, at)| !fresh && at.elapsed() < TOKEN_KEPT);
        if !usable
            && let Ok(text) = std::fs::read_to_string(path)
            && !text.trim().is_empty()
        {
            *read = Some((Secret::new(text.trim().to_owned()), Stopwatch::start()));
        }
        read.as_ref().map(|(token, _)| token.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> PathBuf {
        let name = format!("notariat-auth-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name.replace(['(', ')'], ""));
        std::fs::create_dir_all(&path).unwrap();
        for (name, text) in files {
            std::fs::write(path.join(name), text).unwrap();
        }
        path
    }

    #[test]
    fn a_pod_finds_its_service_account() {
        let folder = folder(&[("token", "t\n"), ("ca.crt", "ca"), ("namespace", "team\n")]);
        for (host, port, server) in [
            ("10.96.0.1", Some("6443"), "https://10.96.0.1:6443"),
            ("fd00::1", None, "https://[fd00::1]:443"),
            ("kubernetes.default", Some("443"), "https://kubernetes.default:443"),
        ] {
            let access = in_cluster(Some(host.to_owned()), port.map(str::to_owned), &folder).unwrap();
            assert_eq!((access.server.as_str(), access.namespace.as_deref()), (server, Some("team")));
            assert!(!access.trust.public_roots, "only the cluster's own CA is trusted");
        }
        assert!(in_cluster(None, None, &folder).unwrap_err().contains("-kubeconfig"));
        std::fs::remove_file(folder.join("token")).unwrap();
        assert!(in_cluster(Some("h".into()), None, &folder).unwrap_err().contains("automountServiceAccountToken"));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_replaced_token_is_read_when_the_last_one_was_rejected() {
        let folder = folder(&[("token", "one\n")]);
        let source = TokenSource::new(Token::File(folder.join("token")));
        let get = |fresh| source.get(fresh).map(|t| t.expose().clone());
        assert_eq!(get(false).as_deref(), Some("one"));
        std::fs::write(folder.join("token"), "two").unwrap();
        assert_eq!(get(false).as_deref(), Some("one"), "kept for a minute");
        assert_eq!(get(true).as_deref(), Some("two"));
        std::fs::write(folder.join("token"), "  \n").unwrap();
        assert_eq!(get(true).as_deref(), Some("two"), "in the middle of being replaced");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
