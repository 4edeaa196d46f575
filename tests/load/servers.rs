//! The servers of one measurement.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use notariat_lab::kube::Audited;
use notariat_lab::{Grant, Hmac, Key, Kube, NameServer, Pebble, Resolver, Scratch, Software, Zone, pebble};

use super::fixture::Place;
use super::process::Daemon;

/// The zone of all names.
pub const ZONE: &str = "scale.test";

/// An API server that starts when it is first used, and may be that of several measurements.
pub type Api = Arc<LazyLock<Kube>>;

/// An API server that was not used yet.
pub fn new_api() -> Api {
    Arc::new(LazyLock::new(Kube::start))
}

/// API server, CA, name server and resolver, and a namespace with deploy/ in it. All end when this is dropped.
pub struct Servers {
    pub kube: Api,
    pub namespace: String,
    pub dns: NameServer,
    pub pebble: Pebble,
    pub key: Key,
    resolver: Resolver,
    scratch: Scratch,
}

impl Servers {
    /// Starts all of them.
    pub fn start() -> Servers {
        Servers::start_at(&new_api())
    }

    /// Starts all but the API server, and makes a new namespace there.
    pub fn start_at(api: &Api) -> Servers {
        let mut servers = Servers::start_local(Pebble::setup());
        servers.kube = Arc::clone(api);
        servers.namespace = api.namespace();
        let text = format!("--from-literal=key={}", servers.key.secret_text());
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/single-namespace");
        for file in ["serviceaccount.yaml", "role.yaml"] {
            servers.kubectl(&["apply", "-f", deploy.join(file).to_str().unwrap()]);
        }
        let account = format!("--serviceaccount={}:notariat", servers.namespace);
        servers.kubectl(&["create", "rolebinding", "notariat", "--role=notariat", &account]);
        servers.kubectl(&["create", "secret", "generic", "tsigkey", &text]);
        servers
    }

    /// Starts those that a directory needs, with this CA. The API server is not started.
    pub fn start_local(pebble: pebble::Setup) -> Servers {
        let key = Key::new("scale.key", Hmac::Sha256);
        let dns = NameServer::setup(Software::Bind).zone(Zone::new(ZONE).grant(Grant::Zone(&key))).start();
        let resolver = Resolver::setup().forward(ZONE, dns.addr()).start();
        let pebble = pebble.dns_server(resolver.addr()).start();
        Servers {
            kube: new_api(),
            namespace: String::new(),
            dns,
            pebble,
            key,
            resolver,
            scratch: Scratch::new("scale"),
        }
    }

    /// The place of what is measured.
    pub fn place<'a>(&'a self, directory: &'a str) -> Place<'a> {
        let (namespace, admin) = (&self.namespace, self.kube.admin_kubeconfig());
        Place { namespace, zone: ZONE, dns: self.dns.addr(), directory, admin }
    }

    /// The output of `kubectl` in the namespace, as administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.kube.kubectl(&[&["-n", &self.namespace], arguments].concat())
    }

    /// Starts the program with the Role of deploy/, the environment of the image and further arguments.
    pub fn daemon(&self, binary: &Path, more: &[&str]) -> Daemon {
        let token = self.kube.service_account_token(&self.namespace, "notariat");
        let kubeconfig = self.kube.kubeconfig_with_bearer(&token);
        let place = ["-kubeconfig", kubeconfig.to_str().unwrap(), "-namespace", &self.namespace];
        self.start_daemon(binary, &[&place, more].concat())
    }

    /// The same on a directory.
    pub fn local_daemon(&self, binary: &Path, folder: &Path, more: &[&str]) -> Daemon {
        self.start_daemon(binary, &[&["-local", folder.to_str().unwrap()], more].concat())
    }

    fn start_daemon(&self, binary: &Path, more: &[&str]) -> Daemon {
        let mut command = Command::new(binary);
        let dockerfile = include_str!("../../Dockerfile");
        command.envs(dockerfile.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('=')));
        command.args(["-config", "notariat"]);
        command.arg("-acme").arg(self.pebble.directory()).arg("-acme-ca").arg(self.pebble.ca_file());
        command.arg(format!("-resolver={}", self.resolver.addr())).args(more);
        Daemon::start(&mut command, &self.scratch)
    }

    /// The requests of the program after the first so many.
    pub fn requests(&self, after: usize) -> Vec<Audited> {
        let user = format!("system:serviceaccount:{}:notariat", self.namespace);
        self.kube.audit().into_iter().filter(|asked| asked.user == user).skip(after).collect()
    }
}
