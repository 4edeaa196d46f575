//! Where Secrets and ConfigMaps are: Kubernetes, or a directory with the same objects as files.
//!
//! The only writes there are: a certificate, which needs a [`CheckedBundle`] as proof; the trial of one; and our own records and
//! accounts. Everything else is left as it was read. Nothing is retried here.

mod directory;
mod kubernetes;
mod watched;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::limits::WRITTEN_KEPT_MAX;
use crate::base::name::ObjectRef;
use crate::base::secret::Secret;
use crate::cert::bundle::CheckedBundle;
use crate::config::Data;
use crate::config::entry::Entry;
use crate::config::namespaces::Namespaces;
use crate::kube::client::{DryRun, KubeClient};
use crate::kube::object::{SecretObject, TYPE_TLS};
use crate::policy::secret_state::{annotation, owner_mark};
use crate::record;
pub use directory::FileMode;
pub use watched::WatchedSecrets;

/// Why an object was not read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Nothing is known: no answer, or one that says "later".
    Unreachable(String),
    /// It changed since it was read, or somebody else created it.
    Conflict,
    /// It may not be done: permission, quota, admission.
    Denied(String),
    /// It can not be done to this object: immutable, too large, a namespace that does not exist.
    Invalid(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Unreachable(e) | StoreError::Denied(e) | StoreError::Invalid(e) => f.write_str(e),
            StoreError::Conflict => f.write_str("it was changed by somebody else in the meantime"),
        }
    }
}

/// The operations that a place for objects has. Private to the store, so that nobody writes without the rules above.
trait StoreBackend: Send + Sync + fmt::Debug {
    fn config_map(&self, at: &ObjectRef) -> Result<Option<Data>, StoreError>;
    fn secret(&self, at: &ObjectRef) -> Result<Option<SecretObject>, StoreError>;
    /// Shows each Secret of a type, one after the other.
    fn list(&self, namespace: &str, kind: &'static str, each: &mut dyn FnMut(SecretObject)) -> Result<(), StoreError>;
    /// Creates the Secret when it has no version, else replaces the one of that version. Returns it as stored.
    fn write(&self, secret: &SecretObject, mode: DryRun) -> Result<SecretObject, StoreError>;
}

/// Why a directory can not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreClosed {
    /// The command line is wrong.
    Wrong(String),
    /// Another process holds it, or it can not be written now.
    ForNow(String),
}

/// Whether a directory is ours alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// There is one notariat that works on it: this one, which holds its lock.
    Alone,
    /// A command that writes a wish beside the one that works on it.
    Beside,
}

/// Secrets and ConfigMaps.
#[derive(Debug)]
pub struct Store {
    backend: Box<dyn StoreBackend>,
    /// The version of each Secret as we wrote it last, until it is asked for.
    written: Mutex<HashMap<ObjectRef, String>>,
    /// Where everything else is refused; a command acts with the rights of who gives it.
    within: Option<Namespaces>,
    /// The Secrets that watches by name show.
    pub watched: WatchedSecrets,
}

/// How a certificate was ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The directory URL.
    pub directory: String,
    /// The key type that was asked for.
    pub key_type: String,
    /// The profile that was ordered.
    pub profile: Option<String>,
}

/// What a certificate's Secret is marked with besides the certificate.
#[derive(Clone, Copy, Debug)]
pub struct Marks<'a> {
    /// The instance that owns it.
    pub instance: &'a str,
    /// The entry: its labels and annotations.
    pub entry: &'a Entry,
    /// How the certificate was ordered.
    pub origin: &'a Origin,
    /// The object that wants it.
    pub source: &'a str,
}

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const COMPONENT: &str = "app.kubernetes.io/component";

/// What a Secret of our own is for; its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// An ACME account.
    Account,
    /// A record.
    Record,
}

impl Component {
    const fn label(self) -> &'static str {
        match self {
            Component::Account => "account",
            Component::Record => "record",
        }
    }
}

impl Store {
    /// The objects of an API server.
    pub fn kubernetes(client: Arc<KubeClient>) -> Store {
        Store::on(kubernetes::KubernetesStore(client))
    }

    /// The objects of a directory.
    ///
    /// # Errors
    /// When the directory is not there, can not be written, or another notariat works on it.
    pub fn directory(folder: &Path, mode: FileMode, sharing: LockMode) -> Result<Store, StoreClosed> {
        directory::DirectoryStore::open(folder, mode, sharing).map(Store::on)
    }

    fn on(backend: impl StoreBackend + 'static) -> Store {
        Store {
            backend: Box::new(backend),
            written: Mutex::default(),
            within: None,
            watched: WatchedSecrets::default(),
        }
    }

    /// The same, that asks for nothing outside of some namespaces: whatever a ConfigMap or a record names.
    pub fn within(self, namespaces: Namespaces) -> Store {
        Store { within: Some(namespaces), ..self }
    }

    /// The version of a Secret as we wrote it last, if we did since this was asked last: what is older is not what is there.
    pub fn take_written(&self, at: &ObjectRef) -> Option<String> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(at)
    }

    /// The data of a ConfigMap; `None` when it does not exist.
    ///
    /// # Errors
    /// When it could not be read.
    pub fn config_map(&self, at: &ObjectRef) -> Result<Option<Data>, StoreError> {
        self.check(at)?;
        self.backend.config_map(at)
    }

    /// A Secret; `None` when it does not exist.
    ///
    /// # Errors
    /// When it could not be read.
    pub fn secret(&self, at: &ObjectRef) -> Result<Option<SecretObject>, StoreError> {
        self.check(at)?;
        self.backend.secret(at)
    }

    /// A Secret that is only read, as a running watch shows it, else as it is read now; `None` when it does not exist.
    ///
    /// # Errors
    /// When it could not be read.
    pub fn input(&self, at: &ObjectRef) -> Result<Option<SecretObject>, StoreError> {
        self.watched.get(at).map_or_else(|| self.secret(at), |secret| Ok(Some(secret)))
    }

    /// The records of a namespace.
    ///
    /// # Errors
    /// When they could not be read.
    pub fn records(&self, namespace: &str) -> Result<Vec<SecretObject>, StoreError> {
        let mut found = Vec::new();
        self.list(namespace, record::TYPE, &mut |secret| found.push(secret))?;
        Ok(found)
    }

    /// Shows each Secret of a type: those of many certificates are more than should be in memory together.
    ///
    /// # Errors
    /// When they could not all be read.
    pub fn list(
        &self,
        namespace: &str,
        kind: &'static str,
        each: &mut dyn FnMut(SecretObject),
    ) -> Result<(), StoreError> {
        self.check(&ObjectRef::new(namespace, &format!("({kind})")))?;
        self.backend.list(namespace, kind, each)
    }

    /// Writes a certificate to `at`, over `current` as it was read. Nothing is written when nothing differs. Returns whether
    /// something was.
    ///
    /// # Errors
    /// When it was not written.
    pub fn put_certificate(
        &self,
        at: &ObjectRef,
        current: Option<&SecretObject>,
        bundle: &CheckedBundle,
        marks: &Marks<'_>,
    ) -> Result<bool, StoreError> {
        let secret = with_certificate(at, current, bundle.chain(), bundle.key(), marks);
        if current
            .is_some_and(|c| c.data == secret.data && c.annotations == secret.annotations && c.labels == secret.labels)
        {
            return Ok(false);
        }
        self.write(&secret, DryRun::Real).map(|_| true)
    }

    /// Tries the write that [`Store::put_certificate`] will do and stores nothing: a missing permission, a quota, an admission
    /// hook or an immutable Secret must not cost a certificate.
    ///
    /// # Errors
    /// Why it would not be written.
    pub fn try_certificate(
        &self,
        at: &ObjectRef,
        current: Option<&SecretObject>,
        marks: &Marks<'_>,
    ) -> Result<(), StoreError> {
        // What is there, changed in a way that keeps it valid PEM: the write of an unchanged immutable Secret would succeed.
        let value = |key: &str| current.and_then(|c| c.value(key)).map(|v| v.expose().clone()).unwrap_or_default();
        let chain = [&value("tls.crt")[..], b"\n"].concat();
        let secret = with_certificate(at, current, &chain, &Secret::new(value("tls.key")), marks);
        self.write(&secret, DryRun::DryRun).map(|_| ())
    }

    /// Sets one annotation of a Secret as it was read.
    ///
    /// # Errors
    /// When it was not written; [`StoreError::Conflict`] when it has changed since.
    pub fn annotate(&self, secret: &SecretObject, name: &str, value: &str) -> Result<(), StoreError> {
        let mut secret = secret.clone();
        secret.annotations.insert(name.to_owned(), value.to_owned());
        self.write(&secret, DryRun::Real).map(|_| ())
    }

    /// Writes a Secret of our own over `current` as it was read. Returns it as stored, to be written over next.
    ///
    /// # Errors
    /// When it was not written; [`StoreError::Conflict`] when another instance is at it.
    pub fn put_own(
        &self,
        at: &ObjectRef,
        current: Option<&SecretObject>,
        component: Component,
        kind: &str,
        data: BTreeMap<String, Secret<Vec<u8>>>,
    ) -> Result<SecretObject, StoreError> {
        let mut secret = match current {
            Some(current) => current.clone(),
            None => created(at, kind, component.label()),
        };
        secret.data = data;
        self.write(&secret, DryRun::Real)
    }

    fn write(&self, secret: &SecretObject, mode: DryRun) -> Result<SecretObject, StoreError> {
        self.check(&secret.reference)?;
        let stored = self.backend.write(secret, mode)?;
        if let (DryRun::Real, Some(version)) = (mode, &stored.version) {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            // Of Secrets that no job is for, nobody asks. A version that is forgotten is taken for one of somebody else, and read.
            if written.len() >= WRITTEN_KEPT_MAX {
                written.clear();
            }
            written.insert(stored.reference.clone(), version.resource_version.clone());
        }
        Ok(stored)
    }

    fn check(&self, at: &ObjectRef) -> Result<(), StoreError> {
        let checked = self.within.as_ref().map_or(Ok(()), |namespaces| namespaces.check(at));
        checked.map_err(|e| StoreError::Denied(format!("{at} {e}")))
    }
}

/// Marks of origin stand only on what we create; an existing value stays.
fn created(at: &ObjectRef, kind: &str, component: &str) -> SecretObject {
    let mut secret = SecretObject::new(at.clone(), kind);
    secret.labels.insert(MANAGED_BY.to_owned(), "notariat".to_owned());
    secret.labels.insert(COMPONENT.to_owned(), component.to_owned());
    secret
}

fn with_certificate(
    at: &ObjectRef,
    current: Option<&SecretObject>,
    chain: &[u8],
    key: &Secret<Vec<u8>>,
    marks: &Marks<'_>,
) -> SecretObject {
    let mut secret = current.cloned().unwrap_or_else(|| created(at, TYPE_TLS, "certificate"));
    secret.data.insert("tls.crt".to_owned(), Secret::new(chain.to_vec()));
    secret.data.insert("tls.key".to_owned(), key.clone());
    secret.labels.extend((*marks.entry.labels).clone());
    secret.annotations.extend((*marks.entry.annotations).clone());
    let mut mark = |name: &str, value: String| secret.annotations.insert(name.to_owned(), value);
    mark(annotation::OWNER, owner_mark(marks.instance, at));
    mark(annotation::DIRECTORY, marks.origin.directory.clone());
    mark(annotation::KEY_TYPE, marks.origin.key_type.clone());
    mark(annotation::SOURCE, marks.source.to_owned());
    match &marks.origin.profile {
        Some(profile) => secret.annotations.insert(annotation::PROFILE.to_owned(), profile.clone()),
        None => secret.annotations.remove(annotation::PROFILE),
    };
    // A renewal that was asked for is served by any new certificate.
    if let Some(asked) = secret.annotations.get(annotation::RENEW).cloned() {
        secret.annotations.insert(annotation::RENEWED.to_owned(), asked);
    }
    secret
}

#[cfg(test)]
mod tests;
