//! Secrets and ConfigMaps, on Kubernetes or in a directory with the same objects as files.
//!
//! The store routes each object to its [`Cluster`] and writes three things only: a certificate, which needs a [`CheckedBundle`] as proof;
//! the trial of one; and our own records and accounts. Everything else of an object is left as it was read. It deletes a certificate's
//! Secret in the version that was decided about. Nothing is retried here.

mod backend;
mod cert_manager_marks;
mod cluster;
mod data_keys;
mod directory;
mod guarded;
mod kubernetes;
mod marks;
mod watched;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::limits::WRITTEN_KEPT_MAX;
use crate::base::name::{ClusterName, ObjectRef};
use crate::base::secret::Secret;
use crate::cert::bundle::CheckedBundle;
use crate::config::Data;
use crate::config::namespaces::Namespaces;
use crate::kube::api::DryRun;
use crate::kube::client::KubeClient;
use crate::kube::metadata::OwnerReference;
use crate::kube::object::SecretObject;
use crate::kube::recorder::EventRecorder;
use crate::record;
use backend::StoreBackend;
pub use kubernetes::config_data;
use marks::{created, set_owner, with_certificate};
pub use watched::WatchedSecrets;

pub use backend::StoreError;
pub use cluster::Cluster;
pub use data_keys::DataKeys;
pub use directory::{FileMode, LockMode, StoreClosed};
pub use marks::{Component, Marks, Origin};

/// The objects of all clusters.
#[derive(Debug)]
pub struct Store {
    home: Cluster,
    others: BTreeMap<ClusterName, Cluster>,
    keys: Option<DataKeys>,
    /// The version of each Secret as we wrote it last, until it is asked for.
    written: Mutex<HashMap<ObjectRef, String>>,
    /// The Secrets that watches by name show.
    pub watched: WatchedSecrets,
}

impl Store {
    /// The objects of an API server.
    pub fn kubernetes(client: Arc<KubeClient>) -> Store {
        Store::on(Cluster::kubernetes(client))
    }

    /// The objects of a directory.
    ///
    /// # Errors
    /// When the directory is not there, can not be written, or another notariat works on it.
    pub fn directory(folder: &Path, mode: FileMode, sharing: LockMode) -> Result<Store, StoreClosed> {
        Cluster::directory(folder, mode, sharing).map(Store::on)
    }

    /// The objects of one cluster, which is home.
    pub fn on(home: Cluster) -> Store {
        Store {
            home,
            others: BTreeMap::new(),
            keys: None,
            written: Mutex::default(),
            watched: WatchedSecrets::default(),
        }
    }

    /// The same with another cluster beside home.
    pub fn with(mut self, name: ClusterName, cluster: Cluster) -> Store {
        self.others.insert(name, cluster);
        self
    }

    /// The same, which refuses objects outside of some namespaces, at home and in the other clusters.
    pub fn within(self, namespaces: &Namespaces) -> Store {
        let bound = |(name, cluster): (ClusterName, Cluster)| (name, cluster.within(namespaces.clone()));
        Store {
            home: self.home.within(namespaces.clone()),
            others: self.others.into_iter().map(bound).collect(),
            ..self
        }
    }

    /// The clusters beside home.
    pub fn others(&self) -> impl Iterator<Item = (&ClusterName, &Cluster)> {
        self.others.iter()
    }

    /// The same, where some Secrets have their pair under other data keys.
    pub fn with_keys(self, keys: Option<DataKeys>) -> Store {
        Store { keys, ..self }
    }

    /// Tells whether a certificate's Secret may be of a type that no watch of certificates shows.
    pub fn is_unwatched(&self, at: &ObjectRef) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.hold(at))
    }

    /// A Secret as a watch showed it, with its pair under the usual data keys.
    pub fn shown(&self, secret: SecretObject) -> SecretObject {
        match &self.keys {
            Some(keys) => keys.shown(secret),
            None => secret,
        }
    }

    /// The same, with a recorder for the Events of home.
    pub fn recording(mut self, recorder: EventRecorder) -> Store {
        self.home.recorder = recorder;
        self
    }

    /// The cluster of an object.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when there is no cluster of that name.
    pub fn cluster(&self, at: &ObjectRef) -> Result<&Cluster, StoreError> {
        match at.cluster.name() {
            None => Ok(&self.home),
            Some(name) => self
                .others
                .get(&at.cluster)
                .ok_or_else(|| StoreError::Invalid(format!("{at}: there is no cluster {name}: no -target names it"))),
        }
    }

    fn backend(&self, at: &ObjectRef) -> Result<&dyn StoreBackend, StoreError> {
        self.cluster(at)?.backend(at)
    }

    /// The version of a Secret as we wrote it last, once; `None` when we have not written it since the last call.
    pub fn take_written(&self, at: &ObjectRef) -> Option<String> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(at)
    }

    /// The data of a ConfigMap; `None` when it does not exist.
    ///
    /// # Errors
    /// When it could not be read.
    pub fn config_map(&self, at: &ObjectRef) -> Result<Option<Data>, StoreError> {
        self.backend(at)?.config_map(at)
    }

    /// A Secret; `None` when it does not exist.
    ///
    /// # Errors
    /// When it could not be read.
    pub fn secret(&self, at: &ObjectRef) -> Result<Option<SecretObject>, StoreError> {
        let secret = self.cluster(at)?.input_backend(at)?.secret(at)?;
        Ok(secret.map(|secret| self.shown(in_cluster(secret, at))))
    }

    /// A Secret that is only read, as a running watch shows it, else as it is read now; `None` when it does not exist.
    ///
    /// # Errors
    /// When it could not be read.
    pub fn input(&self, at: &ObjectRef) -> Result<Option<SecretObject>, StoreError> {
        self.watched.get(at).map_or_else(|| self.secret(at), |secret| Ok(Some(secret)))
    }

    /// The records of a namespace at home.
    ///
    /// # Errors
    /// When they could not be read.
    pub fn records(&self, namespace: &str) -> Result<Vec<SecretObject>, StoreError> {
        let mut found = Vec::new();
        self.list(namespace, record::TYPE, &mut |secret| found.push(secret))?;
        Ok(found)
    }

    /// Shows each Secret of a type of a namespace at home, one after the other: all together need too much memory.
    ///
    /// # Errors
    /// When they could not all be read.
    pub fn list(
        &self,
        namespace: &str,
        kind: &'static str,
        each: &mut dyn FnMut(SecretObject),
    ) -> Result<(), StoreError> {
        self.list_in(&ClusterName::HOME, namespace, kind, each)
    }

    /// The same, for a namespace of any cluster.
    ///
    /// # Errors
    /// When they could not all be read.
    pub fn list_in(
        &self,
        cluster: &ClusterName,
        namespace: &str,
        kind: &'static str,
        each: &mut dyn FnMut(SecretObject),
    ) -> Result<(), StoreError> {
        let at = ObjectRef { cluster: cluster.clone(), ..ObjectRef::new(namespace, &format!("({kind})")) };
        self.backend(&at)?.list(namespace, kind, &mut |secret| each(self.shown(in_cluster(secret, &at))))
    }

    /// Writes a certificate to `at`, over `current` as it was read. Returns whether anything differed, so that it was written.
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
        let key = bundle.key_over(current.and_then(|c| c.value("tls.key")));
        let secret = with_certificate(at, current, bundle.chain(), &key, marks);
        if current
            .is_some_and(|c| c.data == secret.data && c.annotations == secret.annotations && c.labels == secret.labels)
        {
            return Ok(false);
        }
        self.write(&secret, DryRun::Real).map(|_| true)
    }

    /// Tries the write that [`Store::put_certificate`] will do and stores nothing, so that a missing permission, a quota, an admission
    /// hook or an immutable Secret costs no certificate.
    ///
    /// # Errors
    /// When it would not be written.
    pub fn try_certificate(
        &self,
        at: &ObjectRef,
        current: Option<&SecretObject>,
        marks: &Marks<'_>,
    ) -> Result<(), StoreError> {
        // The line feed keeps valid PEM valid, and an immutable Secret refuses it: an unchanged one would be accepted.
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
    /// When it was not written; [`StoreError::Conflict`] when another instance wrote it first.
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

    /// Sets the owner with which a certificate's Secret goes, and changes nothing else of the Secret as it was read.
    ///
    /// # Errors
    /// When it was not written; [`StoreError::Conflict`] when it has changed since.
    pub fn put_owner(&self, secret: &SecretObject, owner: Option<&OwnerReference>) -> Result<(), StoreError> {
        let mut secret = secret.clone();
        set_owner(&mut secret, owner);
        self.write(&secret, DryRun::Real).map(|_| ())
    }

    /// Deletes a certificate's Secret as it was read.
    ///
    /// # Errors
    /// When it was not deleted; [`StoreError::Conflict`] when it has changed since.
    pub fn delete(&self, secret: &SecretObject) -> Result<(), StoreError> {
        // A Secret that was read has a version.
        let version = secret.version.as_ref().ok_or(StoreError::Conflict)?;
        self.backend(&secret.reference)?.delete(&secret.reference, version)
    }

    fn write(&self, secret: &SecretObject, mode: DryRun) -> Result<SecretObject, StoreError> {
        let backend = self.backend(&secret.reference)?;
        let written = match &self.keys {
            Some(keys) => backend.write(&keys.stored(secret.clone()), mode)?,
            None => backend.write(secret, mode)?,
        };
        let stored = self.shown(in_cluster(written, &secret.reference));
        if let (DryRun::Real, Some(version)) = (mode, &stored.version) {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody takes the versions of some Secrets. One that is forgotten counts as another writer's, and is read.
            if written.len() >= WRITTEN_KEPT_MAX {
                written.clear();
            }
            written.insert(stored.reference.clone(), version.resource_version.clone());
        }
        Ok(stored)
    }
}

/// The Secret as one of the cluster that it was read in: an API server does not know its own name.
fn in_cluster(mut secret: SecretObject, at: &ObjectRef) -> SecretObject {
    secret.reference.cluster = at.cluster.clone();
    secret
}

#[cfg(test)]
mod tests;
