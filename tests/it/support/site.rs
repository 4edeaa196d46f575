//! A place to run notariat on without a cluster: a directory store, one name server with a zone and a key, a resolver, Pebble.

use std::path::PathBuf;
use std::process::Command;

use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Resolver, Scratch, Software, Zone, pebble};

use super::run::{Daemon, Run, notariat};
use super::x509;

/// The servers and the store.
pub struct Site {
    pub store: Scratch,
    pub dns: NameServer,
    pub resolver: Resolver,
    pub pebble: Pebble,
    pub key: Key,
}

pub const ZONE: &str = "site.test";

/// Hosts in it.
const HOSTS: [&str; 7] = ["www", "a", "b", "c", "d", "one", "three"];

/// One with the zone `site.test`, and the key that may change TXT records in it.
fn name_server(software: Software, hmac: Hmac) -> (NameServer, Key) {
    let key = Key::new("notariat.key", hmac);
    let zone = HOSTS.iter().fold(Zone::new(ZONE).grant(Grant::Zone(&key)), |zone, host| {
        // A name that is certified is in use, as a rule.
        zone.line(&format!("{host} A 127.0.0.1"))
    });
    (NameServer::setup(software).zone(zone).start(), key)
}

impl Site {
    /// BIND with the zone `site.test` and a key for TXT in it, stored as the Secret `tsigkey`.
    pub fn new() -> Site {
        Site::with(Software::Bind, Hmac::Sha256)
    }

    pub fn with(software: Software, hmac: Hmac) -> Site {
        let (dns, key) = name_server(software, hmac);
        Site::on(dns, key)
    }

    /// On a name server that has the zone `site.test`, which a key may change.
    pub fn on(dns: NameServer, key: Key) -> Site {
        Site::on_with_ca(dns, key, Pebble::setup())
    }

    /// With a CA that is not the usual one.
    pub fn with_ca(ca: pebble::Setup) -> Site {
        let (dns, key) = name_server(Software::Bind, Hmac::Sha256);
        Site::on_with_ca(dns, key, ca)
    }

    fn on_with_ca(dns: NameServer, key: Key, ca: pebble::Setup) -> Site {
        let resolver = Resolver::setup().forward(ZONE, dns.addr()).start();
        let pebble = ca.dns_server(resolver.addr()).start();
        let mut site = Site { store: Scratch::new("store"), dns, resolver, pebble, key };
        site.start_over();
        site
    }

    /// Another store, which has nothing but the key.
    pub fn start_over(&mut self) {
        self.store = Scratch::new("store");
        self.secret("tsigkey", &[("key", &self.key.secret_text())]);
    }

    /// Writes the ConfigMap `certs`: its key `certificates`.
    pub fn config(&self, yaml: &str) {
        self.config_key("certificates", yaml);
    }

    pub fn config_key(&self, key: &str, yaml: &str) {
        self.file(&format!("default/configmaps/certs/{key}"), yaml);
    }

    /// One entry with what every entry here needs.
    pub fn entry(&self, secret: &str, domains: &str, more: &str) -> String {
        format!(
            "- {{secret: {secret}, domains: [{domains}], email: admin@site.test, tsigSecretName: tsigkey, dns: {{server: '{}', propagation: primary}}{more}}}\n",
            self.dns.addr()
        )
    }

    /// One entry that is served by this site's name server, with further DNS settings such as `propagation: none`.
    pub fn entry_with(&self, secret: &str, domains: &str, dns: &str) -> String {
        self.entry(secret, domains, "").replace("propagation: primary", dns)
    }

    /// Writes a Secret as a plain folder of files.
    pub fn secret(&self, name: &str, files: &[(&str, &str)]) {
        for (file, text) in files {
            self.file(&format!("default/secrets/{name}/{file}"), text);
        }
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.store.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The folder of a Secret.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.store.join(&format!("default/secrets/{name}"))
    }

    /// A file of a Secret, when it is there.
    pub fn read(&self, secret: &str, file: &str) -> Option<String> {
        std::fs::read_to_string(self.folder(secret).join(file)).ok()
    }

    /// notariat on this store, with this CA.
    pub fn command(&self, more: &[&str]) -> Command {
        let mut command = self.command_without_ca(more);
        command.arg("-acme").arg(self.pebble.directory());
        command
    }

    pub fn command_without_ca(&self, more: &[&str]) -> Command {
        let mut command = notariat();
        command.arg("-local").arg(self.store.path()).args(["-config", "certs"]);
        command.arg("-acme-ca").arg(self.pebble.ca_file());
        command.arg(format!("-resolver={}", self.resolver.addr())).args(more);
        command
    }

    /// Runs one pass.
    pub fn once(&self) -> Run {
        Run::of(&mut self.command(&["-once"]))
    }

    /// Starts the daemon.
    pub fn daemon(&self) -> Daemon {
        Daemon::start(&mut self.command(&[]))
    }

    /// Asserts that a Secret holds a certificate of our Pebble for these names, typed and marked as ours.
    #[track_caller]
    pub fn assert_valid(&self, secret: &str, names: &[&str]) {
        x509::assert_valid(&self.folder(secret), &self.pebble.root_pem(), names);
        assert_eq!(self.read(secret, "type").as_deref(), Some("kubernetes.io/tls"));
        let annotations = self.read(secret, "annotations.json").unwrap();
        assert!(annotations.contains(&format!("\"notariat/owner\": \"default default/{secret}\"")), "{annotations}");
        assert!(annotations.contains(&self.pebble.directory()), "{annotations}");
    }

    /// The record of a certificate, as JSON text.
    pub fn record(&self, secret: &str) -> Option<String> {
        self.read(&format!("notariat-record.default.{secret}"), "record")
    }

    /// Every file of the store with its content.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        gather(self.store.path(), &mut found);
        found
    }
}

/// Every file below a folder with its content.
fn gather(folder: &std::path::Path, found: &mut Vec<(String, Vec<u8>)>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => gather(&path, found),
            false => found.push((path.display().to_string(), std::fs::read(&path).unwrap())),
        }
    }
}
