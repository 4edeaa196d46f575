//! The store of a cell: a directory, or a namespace of the API server behind its proxy.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat_lab::Scratch;
use serde_json::{Value, json};

use crate::matrix::Store;
use crate::servers::Servers;
use crate::support::run::notariat;

/// Where the certificate of a cell is kept, in the Secret `web`.
pub enum Place {
    Directory(Scratch),
    Kubernetes { namespace: String, token: String },
}

impl Place {
    /// A new store with the key of the zones and one entry.
    pub fn new(servers: &Servers, store: Store, number: usize, entry: &str) -> Place {
        let key = servers.key.secret_text();
        match store {
            Store::Directory => {
                let scratch = Scratch::new("store");
                scratch.write("default/configmaps/certs/certificates", entry);
                scratch.write("default/secrets/tsigkey/key", &key);
                Place::Directory(scratch)
            }
            Store::Kubernetes => {
                let namespace = format!("cell-{number}");
                let token = servers.admin.deploy(&namespace);
                let create = |plural: &str, object: Value| servers.admin.create(&namespace, plural, &object);
                create("secrets", json!({"metadata": {"name": "tsigkey"}, "stringData": {"key": key}}));
                create("configmaps", json!({"metadata": {"name": "notariat"}, "data": {"certificates": entry}}));
                Place::Kubernetes { namespace, token }
            }
        }
    }

    /// The Secret as the log names it.
    pub fn secret(&self) -> String {
        match self {
            Place::Directory(_) => "default/web".to_owned(),
            Place::Kubernetes { namespace, .. } => format!("{namespace}/web"),
        }
    }

    /// notariat on this store; `kubeconfig` leads to the API server.
    pub fn command(&self, kubeconfig: Option<&PathBuf>) -> Command {
        let mut command = notariat();
        match (self, kubeconfig) {
            (Place::Directory(scratch), _) => {
                command.arg("-local").arg(scratch.path()).args(["-config", "certs"]);
            }
            (Place::Kubernetes { namespace, .. }, Some(kubeconfig)) => {
                command.args(["-config", "notariat", "-namespace", namespace]).arg("-kubeconfig").arg(kubeconfig);
            }
            (Place::Kubernetes { .. }, None) => panic!("no way leads to the API server"),
        }
        command
    }

    /// A field of a Secret, where there is one.
    fn field(&self, servers: &Servers, secret: &str, field: &str) -> Option<String> {
        match self {
            Place::Directory(scratch) => {
                std::fs::read_to_string(scratch.join(&format!("default/secrets/{secret}/{field}"))).ok()
            }
            Place::Kubernetes { namespace, .. } => {
                let secret = servers.admin.secret(namespace, secret)?;
                let octets = STANDARD.decode(secret["data"][field].as_str()?).ok()?;
                String::from_utf8(octets).ok()
            }
        }
    }

    /// Chain and key of the certificate.
    pub fn pair(&self, servers: &Servers) -> Option<(String, String)> {
        Some((self.field(servers, "web", "tls.crt")?, self.field(servers, "web", "tls.key")?))
    }

    /// The record of the certificate.
    pub fn record(&self, servers: &Servers) -> Value {
        let name = format!("notariat-record.{}", self.secret().replace('/', "."));
        let text = self.field(servers, &name, "record");
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Tells whether the record has a key for a certificate that is not there yet.
    pub fn has_next_key(&self, servers: &Servers) -> bool {
        let name = format!("notariat-record.{}", self.secret().replace('/', "."));
        self.field(servers, &name, "next.key").is_some_and(|key| !key.is_empty())
    }

    /// Asks for a renewal as `notariat renew` does, for the first time or a further one.
    pub fn ask_for_renewal(&self, servers: &Servers, number: usize) {
        match self {
            Place::Directory(scratch) => {
                let file = scratch.join("default/secrets/web/annotations.json");
                let mut asked: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
                asked["notariat/renew"] = json!(number.to_string());
                // At once, as a reader must not find half of it.
                std::fs::rename(scratch.write("annotations.json", &asked.to_string()), file).unwrap();
            }
            Place::Kubernetes { namespace, .. } => {
                servers.admin.annotate(namespace, "web", "notariat/renew", &number.to_string());
            }
        }
    }

    /// Deletes the Secret, as somebody by mistake.
    pub fn delete(&self, servers: &Servers) {
        match self {
            // A link to a hidden folder.
            Place::Directory(scratch) => std::fs::remove_file(scratch.join("default/secrets/web")).unwrap(),
            Place::Kubernetes { namespace, .. } => servers.admin.delete_secret(namespace, "web"),
        }
    }
}
