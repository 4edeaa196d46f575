//! A namespace of the API server with deploy/ in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat_lab::{Kube, Scratch};

use super::run::{Daemon, Run, notariat};
use super::{Site, x509};

/// Applies deploy/ to a namespace, without the Deployment: there is no kubelet here.
pub fn deploy(kube: &Kube, namespace: &str) {
    let overlay = Scratch::new("overlay");
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/single-namespace");
    // kustomize wants relative paths.
    for file in ["serviceaccount.yaml", "role.yaml", "rolebinding.yaml", "deployment.yaml", "kustomization.yaml"] {
        let text = std::fs::read_to_string(deploy.join(file)).unwrap();
        overlay.write(file, &text.replace("namespace: default", &format!("namespace: {namespace}")));
    }
    kube.kubectl(&["apply", "-k", overlay.path().to_str().unwrap()]);
}

/// A namespace with deploy/ in it, a TSIG key, and servers.
pub struct Cluster {
    pub kube: &'static Kube,
    pub namespace: String,
    pub site: Site,
    /// Set where `kube` is for this alone.
    pub _own: Option<OwnKube>,
}

/// The API server of one test, which ends with it, also where the test fails: dozens that idle take most of a machine.
pub struct OwnKube(&'static Kube);

impl OwnKube {
    pub fn start() -> OwnKube {
        OwnKube(Box::leak(Box::new(Kube::start())))
    }

    pub fn kube(&self) -> &'static Kube {
        self.0
    }
}

impl Drop for OwnKube {
    fn drop(&mut self) {
        self.0.kill9_api();
        self.0.kill9_etcd();
    }
}

impl Cluster {
    pub fn new() -> Cluster {
        Cluster::on(Kube::shared())
    }

    /// On an API server of one's own.
    pub fn on(kube: &'static Kube) -> Cluster {
        Cluster::at(kube, Site::new())
    }

    /// On an API server of its own, with servers of one's own.
    pub fn alone(site: Site) -> Cluster {
        let own = OwnKube::start();
        let cluster = Cluster::at(own.kube(), site);
        Cluster { _own: Some(own), ..cluster }
    }

    /// With servers of one's own.
    pub fn at(kube: &'static Kube, site: Site) -> Cluster {
        let namespace = kube.namespace();
        deploy(kube, &namespace);
        let cluster = Cluster { kube, namespace, site, _own: None };
        let key = format!("--from-literal=key={}", cluster.site.key.secret_text());
        cluster.kubectl(&["create", "secret", "generic", "tsigkey", &key]);
        cluster
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.kube.kubectl(&[&["-n", &self.namespace], arguments].concat())
    }

    /// Leaves the Role these verbs on all Secrets, and no others.
    pub fn secret_verbs(&self, verbs: &[&str]) {
        let patch = serde_json::json!([{"op": "replace", "path": "/rules/1/verbs", "value": verbs}]);
        self.kubectl(&["patch", "role", "notariat", "--type=json", "-p", &patch.to_string()]);
    }

    pub fn config(&self, yaml: &str) {
        let file = self.site.store.write("certificates", yaml);
        let from = format!("--from-file=certificates={}", file.display());
        let made = self.kubectl(&["create", "configmap", "notariat", &from, "--dry-run=client", "-o", "yaml"]);
        self.kube.kubectl_stdin(&["-n", &self.namespace, "apply", "-f", "-"], &made);
    }

    /// The identity of the pod: a token of the ServiceAccount, with the Role of deploy/ and nothing else.
    pub fn service_account(&self) -> PathBuf {
        self.kube.kubeconfig_with_bearer(&self.kube.service_account_token(&self.namespace, "notariat"))
    }

    /// notariat on this namespace with a kubeconfig.
    pub fn command(&self, kubeconfig: &Path, more: &[&str]) -> Command {
        let mut command = self.command_without_ca(kubeconfig, more);
        command.arg("-acme").arg(self.site.pebble.directory());
        command
    }

    pub fn command_without_ca(&self, kubeconfig: &Path, more: &[&str]) -> Command {
        let mut command = notariat();
        command.args(["-config", "notariat", "-namespace", &self.namespace]).arg("-kubeconfig").arg(kubeconfig);
        command.arg("-acme-ca").arg(self.site.pebble.ca_file());
        command.arg(format!("-resolver={}", self.site.resolver.addr())).args(more);
        command
    }

    pub fn once(&self) -> Run {
        Run::of(&mut self.command(&self.service_account(), &["-once"]))
    }

    /// Starts the daemon with the identity of the pod.
    pub fn daemon(&self, more: &[&str]) -> Daemon {
        Daemon::start(&mut self.command(&self.service_account(), more))
    }

    /// A field of a Secret.
    pub fn get(&self, secret: &str, path: &str) -> String {
        self.kubectl(&["get", "secret", secret, "-o", &format!("jsonpath={path}")])
    }

    pub fn version(&self, secret: &str) -> String {
        self.get(secret, "{.metadata.uid} {.metadata.resourceVersion}")
    }

    /// Creates a kubernetes.io/tls Secret.
    pub fn tls(&self, name: &str, (chain, key): &(String, String)) {
        let scratch = Scratch::new("tls");
        let (chain, key) = (scratch.write("crt", chain), scratch.write("key", key));
        let (chain, key) = (format!("--cert={}", chain.display()), format!("--key={}", key.display()));
        self.kubectl(&["create", "secret", "tls", name, &chain, &key]);
    }

    /// Puts another pair into a Secret, as somebody would by hand.
    pub fn overwrite(&self, name: &str, chain: &str, key: &str) {
        let data = format!(
            r#"{{"data": {{"tls.crt": "{}", "tls.key": "{}"}}}}"#,
            STANDARD.encode(chain),
            STANDARD.encode(key)
        );
        self.kubectl(&["patch", "secret", name, "-p", &data]);
    }

    #[track_caller]
    pub fn assert_valid(&self, secret: &str, names: &[&str]) {
        let folder = Scratch::new("judged");
        for file in ["tls.crt", "tls.key"] {
            let encoded = self.get(secret, &format!("{{.data.{}}}", file.replace('.', "\\.")));
            folder.write(file, std::str::from_utf8(&STANDARD.decode(encoded).unwrap()).unwrap());
        }
        x509::assert_valid(folder.path(), &self.site.pebble.root_pem(), names);
        assert_eq!(self.get(secret, "{.type}"), "kubernetes.io/tls");
    }
}
