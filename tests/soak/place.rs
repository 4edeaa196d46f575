//! Where a run takes place: the servers that are disturbed, and the two stores, each behind the same handful of functions.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat_lab::tools::{tool, try_output};
use notariat_lab::{Grant, Hmac, Key, Kube, NameServer, Pebble, Resolver, Scratch, Software, Tmpfs, Zone};
use serde_json::Value;

use super::replica::Replica;

const ZONE: &str = "soak.test";

/// Octets enough for hundreds of certificates, and filled at once.
const DISK_MEBIBYTES: u32 = 24;

/// The servers and the store.
pub struct Place {
    pub dns: NameServer,
    pub resolver: Resolver,
    pub ca: Pebble,
    pub store: StoreKind,
    pub replicas: Vec<Replica>,
    /// The names of the Secrets.
    pub secrets: Vec<String>,
    /// The lifetimes of their certificates in seconds, in turn; a profile of the CA for each.
    pub lifetimes: &'static [u64],
    key: Key,
}

/// The store of notariat.
pub enum StoreKind {
    Directory(Tmpfs),
    Kubernetes { kube: Box<Kube>, namespace: String },
}

/// One look at one Secret and its record.
#[derive(Clone, Debug, Default)]
pub struct Look {
    pub chain: Vec<u8>,
    pub key: Vec<u8>,
    /// The record as JSON text.
    pub record: Vec<u8>,
    /// Keys that are kept beside: that of an order in flight.
    pub other_keys: Vec<Vec<u8>>,
}

impl Place {
    /// Starts the servers, and notariat on them: one process with files, two replicas on Kubernetes.
    pub fn new(certificates: usize, lifetimes: &'static [u64], software: Software, on_kubernetes: bool) -> Place {
        let key = Key::new("notariat.key", Hmac::Sha256);
        let secrets: Vec<String> = (0..certificates).map(|n| format!("s{n}")).collect();
        let zone = Zone::new(ZONE).grant(Grant::Zone(&key));
        let zone = secrets.iter().fold(zone, |zone, name| zone.line(&format!("{name} A 127.0.0.1")));
        let dns = NameServer::setup(software).zone(zone).start();
        // Of its ten connections the CA would use more when all certificates are due at once, and the rest would be reset.
        let resolver = Resolver::setup().forward(ZONE, dns.addr()).option("incoming-num-tcp: 200");
        let resolver = resolver.option("outgoing-num-tcp: 200").start();
        // The log is read later, by the clock of the world.
        let setup = Pebble::setup().dns_server(resolver.addr()).env("TZ", "UTC");
        let setup = lifetimes.iter().fold(setup, |ca, life| ca.profile(&format!("p{life}"), "soak", *life, false));
        let (ca, store) = (setup.start(), StoreKind::new(on_kubernetes));
        let mut place = Place { dns, resolver, ca, store, replicas: Vec::new(), secrets, lifetimes, key };
        let yaml: String = place.secrets.iter().enumerate().map(|(n, name)| place.entry(n, name)).collect();
        place.store.configure(&yaml, &place.key.secret_text());
        let names: &[&str] = if on_kubernetes { &["first", "second"] } else { &["only"] };
        place.replicas = names.iter().map(|name| Replica::start(name, &place.command())).collect();
        place
    }

    fn entry(&self, number: usize, name: &str) -> String {
        let life = self.lifetimes[number % self.lifetimes.len()];
        format!(
            "- {{secret: {name}, domains: [{name}.{ZONE}], email: admin@{ZONE}, profile: p{life}, tsigSecretName: tsigkey, dns: {{server: '{}', propagation: primary}}}}\n",
            self.dns.addr()
        )
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_notariat"));
        command.args(["-config", "notariat", "-log-level", "debug"]).arg("-acme").arg(self.ca.directory());
        command.arg("-acme-ca").arg(self.ca.ca_file()).arg(format!("-resolver={}", self.resolver.addr()));
        match &self.store {
            StoreKind::Directory(disk) => command.arg("-local").arg(store_folder(disk)),
            StoreKind::Kubernetes { kube, namespace } => {
                let token = kube.service_account_token(namespace, "notariat");
                command.arg("-kubeconfig").arg(kube.kubeconfig_with_bearer(&token)).args(["-namespace", namespace])
            }
        };
        command
    }

    /// The process that works: the only one, or the holder of the Lease, by the end of the replicas' logs.
    pub fn leader(&self) -> usize {
        let since = |replica: &Replica| {
            let log = replica.log();
            let of = |part| log.rfind(part);
            let lost =
                [of("released lease="), of("not-leading lease="), of("standby lease=")].into_iter().max().flatten();
            of("leading lease=").filter(|led| replica.is_running() && lost.is_none_or(|lost| lost < *led))
        };
        self.replicas.iter().position(|replica| since(replica).is_some()).unwrap_or(0)
    }

    /// One look at everything; `None` where the store does not answer.
    pub fn look(&self) -> Option<Vec<Option<Look>>> {
        self.store.look(&self.secrets)
    }

    /// The secrets that no log may hold: texts without line breaks.
    pub fn fixed_secrets(&self) -> Vec<String> {
        let tsig = self.key.secret_text();
        let mut secrets = vec![tsig.rsplit(':').next().unwrap().trim().to_owned()];
        if let StoreKind::Kubernetes { kube, .. } = &self.store {
            secrets.push(kube.admin_token().to_owned());
        }
        secrets
    }
}

fn store_folder(disk: &Tmpfs) -> std::path::PathBuf {
    disk.path().join("store")
}

impl StoreKind {
    fn new(on_kubernetes: bool) -> StoreKind {
        if !on_kubernetes {
            return StoreKind::Directory(Tmpfs::new("soak", DISK_MEBIBYTES));
        }
        let kube = Kube::start();
        let namespace = kube.namespace();
        let overlay = Scratch::new("overlay");
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/single-namespace");
        for file in ["serviceaccount.yaml", "role.yaml", "rolebinding.yaml"] {
            let text = fs::read_to_string(deploy.join(file)).unwrap();
            overlay.write(file, &text.replace("namespace: default", &format!("namespace: {namespace}")));
            kube.kubectl(&["apply", "-n", &namespace, "-f", overlay.join(file).to_str().unwrap()]);
        }
        StoreKind::Kubernetes { kube: Box::new(kube), namespace }
    }

    fn configure(&self, yaml: &str, tsig: &str) {
        match self {
            StoreKind::Directory(disk) => {
                for (path, text) in [("configmaps/notariat/certificates", yaml), ("secrets/tsigkey/key", tsig)] {
                    let path = store_folder(disk).join("default").join(path);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, text).unwrap();
                }
            }
            StoreKind::Kubernetes { kube, namespace } => {
                let scratch = Scratch::new("config");
                let from = format!("--from-file=certificates={}", scratch.write("certificates", yaml).display());
                kube.kubectl(&["-n", namespace, "create", "configmap", "notariat", &from]);
                let key = format!("--from-file=key={}", scratch.write("key", tsig).display());
                kube.kubectl(&["-n", namespace, "create", "secret", "generic", "tsigkey", &key]);
            }
        }
    }

    fn look(&self, names: &[String]) -> Option<Vec<Option<Look>>> {
        match self {
            StoreKind::Directory(disk) => {
                let folder = store_folder(disk).join("default/secrets");
                Some(names.iter().map(|name| look_at_folder(&folder, name)).collect())
            }
            StoreKind::Kubernetes { kube, namespace } => {
                let url = format!("{}/api/v1/namespaces/{namespace}/secrets?resourceVersion=0", kube.api_url());
                let mut curl = Command::new(tool("curl"));
                curl.args(["--silent", "--show-error", "--fail", "--max-time", "5", "--cacert"]).arg(kube.ca_file());
                curl.args(["--header", &format!("Authorization: Bearer {}", kube.admin_token())]).arg(url);
                let answer: Value = serde_json::from_str(&try_output(&mut curl, "").ok()?).ok()?;
                let items = answer["items"].as_array()?;
                let find = |name: &str| items.iter().find(|item| item["metadata"]["name"] == name);
                let data = |item: &Value, key: &str| STANDARD.decode(item["data"][key].as_str()?).ok();
                let one = |name: &String| {
                    let secret = find(name)?;
                    let record = find(&format!("notariat-record.{namespace}.{name}"));
                    let of_record = |key: &str| record.and_then(|record| data(record, key));
                    Some(Look {
                        chain: data(secret, "tls.crt")?,
                        key: data(secret, "tls.key")?,
                        record: of_record("record").unwrap_or_default(),
                        other_keys: of_record("next.key").into_iter().collect(),
                    })
                };
                Some(names.iter().map(one).collect())
            }
        }
    }
}

/// A Secret is a link to a folder: both files come from the same one, or it is read again.
fn look_at_folder(folder: &Path, name: &str) -> Option<Look> {
    for _ in 0..20 {
        let target = fs::read_link(folder.join(name)).ok()?;
        let read = |file: &str| fs::read(folder.join(&target).join(file)).ok();
        if let (Some(chain), Some(key)) = (read("tls.crt"), read("tls.key")) {
            let of_record =
                |file: &str| fs::read(folder.join(format!("notariat-record.default.{name}")).join(file)).ok();
            let other_keys = of_record("next.key").into_iter().collect();
            return Some(Look { chain, key, record: of_record("record").unwrap_or_default(), other_keys });
        }
    }
    None
}
