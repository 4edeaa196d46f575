//! One place of objects and all that belongs to it.

use std::path::Path;
use std::sync::Arc;

use crate::base::limits::TARGET_REQUEST;
use crate::base::name::ObjectRef;
use crate::config::namespaces::Namespaces;
use crate::kube::client::KubeClient;
use crate::kube::recorder::EventRecorder;
use crate::store::backend::{StoreBackend, StoreError};
use crate::store::directory::{DirectoryStore, FileMode, LockMode, StoreClosed};
use crate::store::guarded::GuardedStore;
use crate::store::kubernetes::KubernetesStore;

/// A cluster: its objects, the client of its API server, its recorder of Events, and the namespaces that may be used.
#[derive(Debug)]
pub struct Cluster {
    backend: Box<dyn StoreBackend>,
    /// The API server; `None` when the objects are files.
    pub client: Option<Arc<KubeClient>>,
    /// Takes Events for objects of the cluster.
    pub recorder: EventRecorder,
    /// The namespaces outside of which everything is refused; without them the rights of the client are the bound.
    within: Option<Namespaces>,
}

impl Cluster {
    /// The cluster of an API server.
    pub fn kubernetes(client: Arc<KubeClient>) -> Cluster {
        Cluster { client: Some(client.clone()), ..Cluster::on(KubernetesStore(client)) }
    }

    /// The cluster of another API server. Its requests are bounded more tightly: nobody waits long for a cluster that does not answer, and the
    /// next request waits until a moment has passed.
    pub fn target(name: &str, client: Arc<KubeClient>) -> Cluster {
        let asked = Arc::new(client.with_timeout(TARGET_REQUEST));
        Cluster { client: Some(client), ..Cluster::on(GuardedStore::new(name, KubernetesStore(asked))) }
    }

    /// A directory in the place of a cluster.
    ///
    /// # Errors
    /// When the directory is not there, can not be written, or another notariat works on it.
    pub fn directory(folder: &Path, mode: FileMode, sharing: LockMode) -> Result<Cluster, StoreClosed> {
        DirectoryStore::open(folder, mode, sharing).map(Cluster::on)
    }

    fn on(backend: impl StoreBackend + 'static) -> Cluster {
        Cluster { backend: Box::new(backend), client: None, recorder: EventRecorder::default(), within: None }
    }

    /// The same, which refuses objects outside of some namespaces, whatever a ConfigMap or a record names.
    pub fn within(self, namespaces: Namespaces) -> Cluster {
        Cluster { within: Some(namespaces), ..self }
    }

    /// Notes that the cluster answers, as a watch shows.
    pub fn answers(&self) {
        self.backend.answers();
    }

    /// The place of a Secret that may be read as an input.
    pub(super) fn input_backend(&self, at: &ObjectRef) -> Result<&dyn StoreBackend, StoreError> {
        let checked = self.within.as_ref().map_or(Ok(()), |namespaces| namespaces.check_input(at));
        checked.map_err(|e| StoreError::Denied(format!("{at} {e}")))?;
        Ok(&*self.backend)
    }

    /// The place of an object that may be used.
    pub(super) fn backend(&self, at: &ObjectRef) -> Result<&dyn StoreBackend, StoreError> {
        let checked = self.within.as_ref().map_or(Ok(()), |namespaces| namespaces.check(at));
        checked.map_err(|e| StoreError::Denied(format!("{at} {e}")))?;
        Ok(&*self.backend)
    }
}
