//! Secrets that are only read (keys, roots, bindings), as their watches show them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::name::ObjectRef;
use crate::kube::object::SecretObject;

/// The Secrets that watches by name show. The lock guards a cache only.
#[derive(Debug, Default)]
pub struct WatchedSecrets(Mutex<HashMap<ObjectRef, WatchedSecret>>);

#[derive(Debug)]
struct WatchedSecret {
    secret: SecretObject,
    /// The watch runs, so that a change would be shown.
    is_live: bool,
}

impl WatchedSecrets {
    /// Keeps a Secret that a watch shows. The Secret counts from [`WatchedSecrets::set_live`] on, if it was not known before.
    pub fn show(&self, secret: SecretObject) {
        let mut watched = self.lock();
        let is_live = watched.get(&secret.reference).is_some_and(|known| known.is_live);
        watched.insert(secret.reference.clone(), WatchedSecret { secret, is_live });
    }

    /// Notes that the watch of a Secret runs, or was interrupted.
    pub fn set_live(&self, at: &ObjectRef, is_live: bool) {
        self.lock().get_mut(at).into_iter().for_each(|known| known.is_live = is_live);
    }

    /// Drops a Secret that was deleted, or whose watch ended.
    pub fn forget(&self, at: &ObjectRef) {
        self.lock().remove(at);
    }

    /// The Secret as a running watch shows it; `None` where it has to be read.
    pub(super) fn get(&self, at: &ObjectRef) -> Option<SecretObject> {
        self.lock().get(at).filter(|known| known.is_live).map(|known| known.secret.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef, WatchedSecret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_counts_while_its_watch_runs() {
        let (watched, at) = (WatchedSecrets::default(), ObjectRef::new("ns", "key"));
        let show = |kind: &str| watched.show(SecretObject::new(at.clone(), kind));
        let seen = || watched.get(&at).map(|secret| secret.type_);
        watched.set_live(&at, true);
        show("a");
        assert_eq!(seen(), None, "the list is not complete");
        watched.set_live(&at, true);
        show("b");
        assert_eq!(seen().as_deref(), Some("b"));
        watched.set_live(&at, false);
        assert_eq!(seen(), None);
        show("c");
        watched.set_live(&at, true);
        assert_eq!(seen().as_deref(), Some("c"));
        watched.forget(&at);
        assert_eq!(seen(), None);
    }
}
