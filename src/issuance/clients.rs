//! The ACME clients: one for each directory and each set of additional roots, made when first needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::AttemptError;
use crate::acme::client::AcmeClient;
use crate::base::limits::CA_CLIENTS_KEPT;
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::config::issuers::Issuer;
use crate::http::Http;
use crate::http::tls::TlsTrust;
use crate::policy::Directory;
use crate::policy::backoff::{RetryClass, Stage};
use crate::sources::CertificateSpec;
use crate::store::Store;

/// A directory URL as configured, and the roots that are trusted besides Mozilla's, in PEM.
type ClientKey = (String, Vec<u8>);

/// The clients of all CAs, shared by all workers.
#[derive(Debug)]
pub struct AcmeClients {
    default: Directory,
    /// The roots of the command line, for every CA.
    roots_pem: Vec<u8>,
    /// The proxy for every CA.
    proxy: Option<String>,
    stop: Shutdown,
    clients: Mutex<HashMap<ClientKey, Arc<AcmeClient>>>,
}

impl AcmeClients {
    /// Clients for the directory `default` of entries without an issuer, and for others. Roots and proxy come from the command line.
    ///
    /// # Errors
    /// The fault in the roots or the proxy.
    pub fn new(
        default: Directory,
        roots_pem: Vec<u8>,
        proxy: Option<String>,
        stop: Shutdown,
    ) -> Result<AcmeClients, String> {
        let cas = AcmeClients { default, roots_pem, proxy, stop, clients: Mutex::default() };
        cas.get(&cas.default, Vec::new())?;
        Ok(cas)
    }

    /// The built-in directory, where no directory is configured and a certificate of `wanted` uses it.
    pub fn unchosen<'w>(&self, mut wanted: impl Iterator<Item = &'w CertificateSpec>) -> Option<&Directory> {
        let is_unchosen = !self.default.is_explicit() && wanted.any(|wanted| wanted.issuer.is_none());
        is_unchosen.then_some(&self.default)
    }

    /// Tells whether there are roots of trust besides the public ones for every CA.
    pub fn has_own_roots(&self) -> bool {
        !self.roots_pem.is_empty()
    }

    /// The directory of a certificate.
    pub fn directory(&self, wanted: &CertificateSpec) -> Directory {
        wanted.issuer.as_ref().map_or_else(|| self.default.clone(), |issuer| Directory::new(&issuer.directory, true))
    }

    /// The client for the directory of a certificate.
    ///
    /// # Errors
    /// When the Secret with its roots cannot be read or used.
    pub fn client(&self, store: &Store, wanted: &CertificateSpec) -> Result<Arc<AcmeClient>, AttemptError> {
        let failed = |e: String| AttemptError::new(Stage::Account, RetryClass::Transient, e);
        let mut roots = match wanted.issuer.as_deref() {
            Some(Issuer { ca_secret: Some(at), .. }) => roots_of(store, at).map_err(failed)?,
            Some(_) | None => Vec::new(),
        };
        if let Some(ca) = wanted.issuer.as_deref().and_then(|issuer| issuer.ca.as_deref()) {
            roots = [&roots[..], b"\n", ca.as_bytes()].concat();
        }
        self.get(&self.directory(wanted), roots).map_err(failed)
    }

    /// Cancels running requests, because the program stops. The orders stay.
    pub fn shut_down(&self) {
        self.clients().values().for_each(|client| client.shut_down());
    }

    fn get(&self, directory: &Directory, roots: Vec<u8>) -> Result<Arc<AcmeClient>, String> {
        let mut clients = self.clients();
        if let Some(client) = clients.get(&(directory.written().to_owned(), roots.clone())) {
            return Ok(client.clone());
        }
        let roots_pem = [&self.roots_pem[..], b"\n", &roots].concat();
        let trust = TlsTrust { public_roots: true, roots_pem, ..TlsTrust::default() };
        let http = Http::new(&trust, self.proxy.as_deref())?;
        let client = Arc::new(AcmeClient::new(http, directory, self.stop.clone()));
        // Clients with replaced roots are not used any more.
        if clients.len() >= CA_CLIENTS_KEPT {
            clients.retain(|_, client| Arc::strong_count(client) > 1);
        }
        clients.insert((directory.written().to_owned(), roots), client.clone());
        Ok(client)
    }

    /// The lock guards a cache only.
    fn clients(&self) -> MutexGuard<'_, HashMap<ClientKey, Arc<AcmeClient>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn roots_of(store: &Store, at: &ObjectRef) -> Result<Vec<u8>, String> {
    let secret = store.input(at).map_err(|e| format!("`caSecretName`: {e}"))?;
    let secret = secret.ok_or_else(|| format!("`caSecretName`: the Secret {at} does not exist"))?;
    let roots = secret.value("ca.crt").ok_or_else(|| format!("`caSecretName`: {}", secret.lacks("ca.crt", "")))?;
    // Checked alone first: a text without a certificate would pass beside the public roots.
    let own = TlsTrust { roots_pem: roots.expose().clone(), ..TlsTrust::default() };
    own.config().map_err(|e| format!("`caSecretName`: the data key `ca.crt` of the Secret {at}: {e}"))?;
    Ok(roots.expose().clone())
}
