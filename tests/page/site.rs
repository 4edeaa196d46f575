//! A real daemon with a page, on a directory store whose Secrets openssl made. Nobody is at its CA and at its resolver: what is asked of
//! them fails at once.

use std::fs;
use std::process::Command;

use notariat_lab::Scratch;
use notariat_lab::tools::{output, tool};

use crate::run::{Daemon, notariat};
use crate::x509;

/// A directory store.
pub struct Store {
    store: Scratch,
    pub key: String,
}

impl Store {
    /// A store with these entries.
    pub fn new(config: &str) -> Store {
        let (store, key) = (Scratch::new("page"), "c2VjcmV0LXRvLXJlcGxhY2Utc2VjcmV0LXRvLXJlcGxhY2U=".to_owned());
        let store = Store { store, key };
        store.write("default/configmaps/certs/certificates", config);
        store.write("default/secrets/key/key", &format!("hmac-sha256:k:{}", store.key));
        store
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.store.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Makes a certificate and stores it as a Secret `namespace/name`.
    pub fn certificate(&self, secret: &str, names: &[&str], issuer: &str, from_days: i64, to_days: i64) {
        self.store_pair(secret, &x509::make(names, issuer, from_days, to_days));
    }

    pub fn store_pair(&self, secret: &str, (chain, key): &(String, String)) {
        let (namespace, name) = secret.split_once('/').unwrap_or(("default", secret));
        for (file, text) in [("tls.key", key.as_str()), ("type", "kubernetes.io/tls"), ("tls.crt", chain)] {
            self.write(&format!("{namespace}/secrets/{name}/{file}"), text);
        }
    }

    /// Starts a daemon on it that has a page.
    pub fn daemon(self) -> Site {
        let mut command = notariat();
        command.arg("-local").arg(self.store.path());
        command.args([
            "-config",
            "certs",
            "-acme",
            "https://127.0.0.1:9/directory",
            "-allow-namespaces",
            "team-a,team-b",
        ]);
        command.args(["-resolver", "127.0.0.1:9", "-listen", "127.0.0.1:0", "-page"]);
        let daemon = Daemon::start(&mut command);
        Site { daemon, _store: self.store }
    }
}

/// A daemon with a page.
pub struct Site {
    pub daemon: Daemon,
    _store: Scratch,
}

impl Site {
    pub fn url(&self) -> String {
        self.daemon.until_it_says("listening address=");
        let log = self.daemon.log();
        let at = log.split("listening address=").nth(1).unwrap().split_whitespace().next().unwrap();
        format!("http://{at}/")
    }

    /// The page as it is sent.
    pub fn page(&self) -> String {
        output(Command::new(tool("curl")).args(["-sS", &self.url()]))
    }
}
