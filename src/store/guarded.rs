//! The objects of a cluster that may be away for long: after a request without an answer the next ones fail at once for a moment, so that a
//! cluster that does not answer costs one waiting time, however many certificates it has.

use std::sync::{Mutex, PoisonError};

use crate::base::limits::TARGET_PAUSE;
use crate::base::name::ObjectRef;
use crate::base::time::Deadline;
use crate::config::Data;
use crate::kube::api::DryRun;
use crate::kube::object::{Preconditions, SecretObject};
use crate::store::backend::{StoreBackend, StoreError};

/// A place of objects that names its cluster in each error.
#[derive(Debug)]
pub(super) struct GuardedStore<B> {
    name: String,
    inner: B,
    /// The last request without an answer, and until when it counts. The lock guards these facts only.
    away: Mutex<Option<(Deadline, String)>>,
}

impl<B: StoreBackend> GuardedStore<B> {
    pub(super) fn new(name: &str, inner: B) -> GuardedStore<B> {
        GuardedStore { name: name.to_owned(), inner, away: Mutex::default() }
    }

    fn asked<T>(&self, ask: impl FnOnce(&B) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let lock = || self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().as_ref().filter(|(until, _)| until.left().is_some()).map(|(_, e)| e.clone());
        if let Some(error) = known {
            return Err(StoreError::Unreachable(error));
        }
        let named = |e: String| format!("the cluster {}: {e}", self.name);
        let outcome = ask(&self.inner).map_err(|e| match e {
            StoreError::Unreachable(e) => StoreError::Unreachable(named(e)),
            StoreError::Denied(e) => StoreError::Denied(named(e)),
            StoreError::Invalid(e) => StoreError::Invalid(named(e)),
            StoreError::Conflict => StoreError::Conflict,
        });
        *lock() = match &outcome {
            Err(StoreError::Unreachable(e)) => Some((Deadline::after(TARGET_PAUSE), e.clone())),
            Ok(_) | Err(_) => None,
        };
        outcome
    }
}

impl<B: StoreBackend> StoreBackend for GuardedStore<B> {
    fn config_map(&self, at: &ObjectRef) -> Result<Option<Data>, StoreError> {
        self.asked(|inner| inner.config_map(at))
    }

    fn secret(&self, at: &ObjectRef) -> Result<Option<SecretObject>, StoreError> {
        self.asked(|inner| inner.secret(at))
    }

    fn list(&self, namespace: &str, kind: &'static str, each: &mut dyn FnMut(SecretObject)) -> Result<(), StoreError> {
        self.asked(|inner| inner.list(namespace, kind, each))
    }

    fn write(&self, secret: &SecretObject, mode: DryRun) -> Result<SecretObject, StoreError> {
        self.asked(|inner| inner.write(secret, mode))
    }

    fn delete(&self, at: &ObjectRef, version: &Preconditions) -> Result<(), StoreError> {
        self.asked(|inner| inner.delete(at, version))
    }

    fn answers(&self) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A place that answers nothing, or denies everything.
    #[derive(Debug, Default)]
    struct Silent(AtomicU32, bool);

    impl StoreBackend for Silent {
        fn config_map(&self, _: &ObjectRef) -> Result<Option<Data>, StoreError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(if self.1 { StoreError::Denied("no".to_owned()) } else { StoreError::Unreachable("silent".to_owned()) })
        }
        fn secret(&self, at: &ObjectRef) -> Result<Option<SecretObject>, StoreError> {
            self.config_map(at).map(|_| None)
        }
        fn list(&self, namespace: &str, _: &'static str, _: &mut dyn FnMut(SecretObject)) -> Result<(), StoreError> {
            self.config_map(&ObjectRef::new(namespace, "")).map(|_| ())
        }
        fn write(&self, secret: &SecretObject, _: DryRun) -> Result<SecretObject, StoreError> {
            self.config_map(&secret.reference).map(|_| secret.clone())
        }
        fn delete(&self, at: &ObjectRef, _: &Preconditions) -> Result<(), StoreError> {
            self.config_map(at).map(|_| ())
        }
    }

    #[test]
    fn every_request_is_guarded() {
        let (at, secret) = (ObjectRef::new("team", "web"), SecretObject::new(ObjectRef::new("team", "web"), "x"));
        let silent = GuardedStore::new("edge", Silent::default());
        let version = Preconditions { resource_version: "1".to_owned(), uid: "u".to_owned() };
        let every: [&dyn Fn() -> Result<(), StoreError>; 5] = [
            &|| silent.config_map(&at).map(|_| ()),
            &|| silent.secret(&at).map(|_| ()),
            &|| silent.list("team", "x", &mut |_| {}),
            &|| silent.write(&secret, DryRun::Real).map(|_| ()),
            &|| silent.delete(&at, &version),
        ];
        let away = Err(StoreError::Unreachable("the cluster edge: silent".to_owned()));
        for first in every {
            silent.answers();
            let before = silent.inner.0.load(Ordering::Relaxed);
            assert_eq!(first(), away);
            for next in every {
                assert_eq!(next(), away);
            }
            assert_eq!(silent.inner.0.load(Ordering::Relaxed), before + 1);
        }
    }

    #[test]
    fn a_cluster_that_does_not_answer_is_asked_once_and_one_that_denies_each_time() {
        let at = ObjectRef::new("team", "web");
        let silent = GuardedStore::new("edge", Silent::default());
        for _ in 0..100 {
            let said = silent.secret(&at).unwrap_err();
            assert_eq!(said, StoreError::Unreachable("the cluster edge: silent".to_owned()));
        }
        assert!(silent.write(&SecretObject::new(at.clone(), "x"), DryRun::Real).is_err());
        assert_eq!(silent.inner.0.load(Ordering::Relaxed), 1);
        silent.answers();
        assert!(silent.secret(&at).is_err() && silent.inner.0.load(Ordering::Relaxed) == 2, "a watch showed it");
        *silent.away.lock().unwrap() = Some((Deadline::after(std::time::Duration::ZERO), String::new()));
        assert!(silent.secret(&at).is_err() && silent.inner.0.load(Ordering::Relaxed) == 3, "the moment has passed");

        let denies = GuardedStore::new("edge", Silent(AtomicU32::new(0), true));
        for _ in 0..3 {
            assert_eq!(denies.secret(&at).unwrap_err(), StoreError::Denied("the cluster edge: no".to_owned()));
        }
        assert_eq!(denies.inner.0.load(Ordering::Relaxed), 3);
    }
}
