//! A Kubernetes API: etcd and kube-apiserver, without nodes and without controllers.
//!
//! Without controllers some objects are missing: no `default` ServiceAccount, the ClusterRoles `view`, `edit` and `admin` are
//! empty, nothing is garbage-collected, and a deleted namespace stays `Terminating` for ever. So each test takes a fresh
//! [`Kube::namespace`] and leaves it behind; one [`Kube::shared`] server, which takes seconds to start, does for all
//! tests of a process.

mod audit;
mod kubeconfig;
mod start;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::pki::Authority;
use crate::ports::{self, Port};
use crate::process::Server;
use crate::tools::{tool, try_output};
use crate::{Scratch, bytes};

pub use audit::Audited;
pub use kubeconfig::{TOKEN_GROUP, TOKEN_USERS};

/// A running API server with its etcd, stopped when dropped.
#[derive(Debug)]
pub struct Kube {
    // Dropped in this order: the API server ends while its etcd still answers.
    api: Server,
    etcd: Server,
    authority: Authority,
    admin: PathBuf,
    admin_token: String,
    /// One token for each of [`TOKEN_USERS`].
    tokens: Vec<String>,
    files: AtomicU32,
    directory: Scratch,
    port: Port,
    _etcd_ports: [Port; 2],
}

impl Kube {
    /// The one server of this process, started by whoever comes first.
    pub fn shared() -> &'static Kube {
        static SHARED: OnceLock<Kube> = OnceLock::new();
        SHARED.get_or_init(Kube::start)
    }

    /// A server of one's own, for tests that stop it. Takes about five seconds and 400 MiB.
    pub fn start() -> Kube {
        Kube::start_with(&[])
    }

    /// A server with further flags for kube-apiserver, such as `--watch-cache=false`.
    pub fn start_with(flags: &[&str]) -> Kube {
        ports::start_with_free_ports(|| Kube::try_start(flags))
    }

    fn try_start(flags: &[&str]) -> Result<Kube, String> {
        let directory = Scratch::new("kube");
        let (port, etcd_ports) = (Port::new(), [Port::new(), Port::new()]);
        let etcd_url = format!("http://127.0.0.1:{}", etcd_ports[0].number());
        let etcd = start::start_etcd(&directory, &etcd_url, etcd_ports[1].number())?;

        let authority = Authority::new(&directory.directory("pki"), "lab Kubernetes CA");
        let admin_token = bytes::random_hex(16);
        let tokens: Vec<String> = TOKEN_USERS.iter().map(|_| bytes::random_hex(16)).collect();
        kubeconfig::write_token_file(&directory, &admin_token, &tokens);
        let mut command = start::api_command(&directory, &authority, &etcd_url, port.number());
        command.args(flags);
        let mut kube = Kube {
            api: Server::start("kube-apiserver", &command, &directory.join("apiserver.log")),
            etcd,
            authority,
            admin: PathBuf::new(),
            admin_token,
            tokens,
            files: AtomicU32::new(1),
            directory,
            port,
            _etcd_ports: etcd_ports,
        };
        kube.admin = kube.kubeconfig_with_bearer(&kube.admin_token);
        kube.wait_until_ready()?;
        Ok(kube)
    }

    /// `https://127.0.0.1:port`.
    pub fn api_url(&self) -> String {
        format!("https://{}", self.port.at(Ipv4Addr::LOCALHOST))
    }

    /// The certificate to trust when talking to it.
    pub fn ca_file(&self) -> PathBuf {
        self.authority.certificate()
    }

    /// A kubeconfig that may do everything, and leaves no trace in the audit log.
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.admin
    }

    /// Runs `kubectl` as administrator: its output. Panics with its standard error.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl_stdin(arguments, "")
    }

    /// The same with something to read: `kubectl_stdin(&["apply", "-f", "-"], manifest)`.
    pub fn kubectl_stdin(&self, arguments: &[&str], input: &str) -> String {
        let result = try_output(self.kubectl_command(&self.admin).args(arguments), input);
        result.unwrap_or_else(|error| panic!("kubectl {}: {error}", arguments.join(" ")))
    }

    /// The same where a refusal is expected.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.try_kubectl_as(&self.admin, arguments)
    }

    /// `kubectl` as somebody else.
    pub fn try_kubectl_as(&self, kubeconfig: &Path, arguments: &[&str]) -> Result<String, String> {
        try_output(self.kubectl_command(kubeconfig).args(arguments), "")
    }

    /// Makes a namespace that no other test uses: its name.
    pub fn namespace(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("lab-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.kubectl(&["create", "namespace", &name]);
        name
    }

    /// A token of a ServiceAccount, valid for an hour; the account is made where it is missing.
    pub fn service_account_token(&self, namespace: &str, account: &str) -> String {
        let made = self.try_kubectl(&["create", "serviceaccount", account, "--namespace", namespace]);
        if let Err(error) = made {
            assert!(error.contains("already exists"), "{error}");
        }
        // Not `kubectl create token`: Debian's kubectl is older than it.
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request = r#"{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}"#;
        let answer = self.kubectl_stdin(&["create", "--raw", &path, "-f", "-"], request);
        audit::text_after(&answer, r#""token":""#).unwrap_or_else(|| panic!("no token in {answer}")).to_owned()
    }

    /// Each request that was recorded, oldest first: all but the administrator's. An entry is written when its request
    /// is answered, so the last one may come a moment after the answer.
    pub fn audit(&self) -> Vec<Audited> {
        audit::read(&self.directory.join("audit.log"))
    }

    /// The log of kube-apiserver so far.
    pub fn log(&self) -> String {
        self.api.log()
    }

    /// The process ids of etcd and kube-apiserver.
    pub fn pids(&self) -> [u32; 2] {
        [self.etcd.pid(), self.api.pid()]
    }

    /// Ends kube-apiserver: open watches break, and after [`Kube::start_api`] an old resourceVersion is answered by 410.
    pub fn stop_api(&self) {
        self.api.stop();
    }

    /// Ends kube-apiserver with SIGKILL.
    pub fn kill9_api(&self) {
        self.api.kill9();
    }

    /// Ends etcd with SIGKILL. What it has acknowledged is on disk.
    pub fn kill9_etcd(&self) {
        self.etcd.kill9();
    }

    /// Starts etcd again at the same address.
    pub fn start_etcd(&self) {
        self.etcd.start_again();
    }

    /// The token of the administrator, for programs that are no `kubectl`.
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// Starts kube-apiserver again at the same address; everything stored is still there.
    pub fn start_api(&self) {
        self.try_start_api().unwrap_or_else(|error| panic!("{error}"));
    }

    /// The same on a machine that may be too busy for it: the error says so, and it may be tried again.
    pub fn try_start_api(&self) -> Result<(), String> {
        self.api.start_again();
        self.wait_until_ready()
    }

    fn wait_until_ready(&self) -> Result<(), String> {
        let url = format!("{}/readyz", self.api_url());
        let token = format!("Authorization: Bearer {}", self.admin_token);
        self.api.wait_until("was ready", || {
            let mut command = Command::new(tool("curl"));
            command.args(["--silent", "--max-time", "2", "--header", &token, "--cacert"]).arg(self.ca_file()).arg(&url);
            // Every start-up task is part of this, the roles of RBAC among them.
            try_output(&mut command, "").is_ok_and(|answer| answer == "ok")
        })
    }

    fn kubectl_command(&self, kubeconfig: &Path) -> Command {
        let mut command = Command::new(tool("kubectl"));
        command.arg("--kubeconfig").arg(kubeconfig);
        // Not ~/.kube: another server had our port before, with other resources.
        command.arg("--cache-dir").arg(self.directory.join("kubectl-cache"));
        command
    }
}
