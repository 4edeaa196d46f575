//! Finds the cluster: by a kubeconfig that is named, by those of KUBECONFIG, or by the service account of the pod.

use std::path::{Path, PathBuf};

use super::config::{AuthInfo, ClusterConfig, PemSource, TlsConfig, TokenSource};
use super::kubeconfig;

const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The cluster of `kubeconfig`, else of the files that KUBECONFIG names, else of the pod in which this program runs.
///
/// # Errors
/// One sentence that says what is missing where.
pub fn find(kubeconfig: Option<&Path>) -> Result<ClusterConfig, String> {
    let env = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
    if let Some(path) = kubeconfig {
        let text = read(path)?;
        return kubeconfig::read(&[(path.to_owned(), text)]);
    }
    if let Some(list) = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) {
        let files = existing(std::env::split_paths(&list))?;
        if files.is_empty() {
            return Err(format!("KUBECONFIG: none of its files exists: {}", list.display()));
        }
        return kubeconfig::read(&files);
    }
    in_cluster(env("KUBERNETES_SERVICE_HOST"), env("KUBERNETES_SERVICE_PORT"), Path::new(SERVICE_ACCOUNT))
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("kubeconfig {}: can not be read: {e}", path.display()))
}

/// The files of KUBECONFIG, as kubectl reads them: empty parts and files that do not exist are skipped, others must be readable.
fn existing(paths: impl Iterator<Item = PathBuf>) -> Result<Vec<(PathBuf, String)>, String> {
    let named = paths.filter(|path| !path.as_os_str().is_empty() && path.exists());
    named.map(|path| Ok((path.clone(), read(&path)?))).collect()
}

fn in_cluster(host: Option<String>, port: Option<String>, folder: &Path) -> Result<ClusterConfig, String> {
    let host = host.ok_or(
        "not in a pod (KUBERNETES_SERVICE_HOST is not set): give -kubeconfig FILE or KUBECONFIG, or -local DIR to work without Kubernetes",
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
    let is_bare = host.contains(':') && !host.starts_with('[');
    let host = if is_bare { format!("[{host}]") } else { host };
    file("token")?;
    file("ca.crt")?;
    Ok(ClusterConfig {
        server: format!("https://{host}:{}", port.as_deref().unwrap_or("443")),
        tls: TlsConfig { authority: Some(PemSource::File("the CA", folder.join("ca.crt"))), ..TlsConfig::default() },
        proxy: None,
        auth: AuthInfo { token: TokenSource::File(folder.join("token")), ..AuthInfo::default() },
        impersonation: Vec::new(),
        namespace: file("namespace").ok().map(|n| n.trim().to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("notariat-auth-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for (name, text) in files {
            std::fs::write(path.join(name), text).unwrap();
        }
        path
    }

    #[test]
    fn a_pod_finds_its_service_account() {
        let folder = folder("pod", &[("token", "t\n"), ("ca.crt", "ca"), ("namespace", "team\n")]);
        for (host, port, server) in [
            ("10.96.0.1", Some("6443"), "https://10.96.0.1:6443"),
            ("fd00::1", None, "https://[fd00::1]:443"),
            ("[::1]", Some("6443"), "https://[::1]:6443"),
            ("kubernetes.default", Some("443"), "https://kubernetes.default:443"),
        ] {
            let config = in_cluster(Some(host.to_owned()), port.map(str::to_owned), &folder).unwrap();
            assert_eq!((config.server.as_str(), config.namespace.as_deref()), (server, Some("team")));
            let own_ca = |path: &Path| path == folder.join("ca.crt");
            assert!(matches!(&config.tls.authority, Some(PemSource::File(_, path)) if own_ca(path)), "only its own CA");
        }
        assert!(in_cluster(None, None, &folder).unwrap_err().contains("-kubeconfig"));
        std::fs::remove_file(folder.join("token")).unwrap();
        assert!(in_cluster(Some("h".into()), None, &folder).unwrap_err().contains("automountServiceAccountToken"));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn files_of_kubeconfig_that_do_not_exist_are_passed_over() {
        let folder = folder("list", &[("a", "A"), ("b", "B")]);
        let list = ["b", "", "none", "a"].map(|name| if name.is_empty() { PathBuf::new() } else { folder.join(name) });
        let texts: Vec<String> = existing(list.into_iter()).unwrap().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["B", "A"], "in their order");
        assert!(existing([folder.clone()].into_iter()).unwrap_err().contains("can not be read"), "a folder is no file");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
