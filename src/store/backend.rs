//! The operations of every place of objects, and the reasons of their failures.

use std::fmt;

use crate::base::name::ObjectRef;
use crate::config::Data;
use crate::kube::api::DryRun;
use crate::kube::object::{Preconditions, SecretObject};

/// Why an object was not read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Nothing is known: no answer, or one that says "later".
    Unreachable(String),
    /// The object changed since it was read, or another client created it.
    Conflict,
    /// The write is not allowed: permission, quota, admission.
    Denied(String),
    /// The object cannot take the write: immutable, too large, a namespace that does not exist.
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

/// The operations of a place of objects. The trait is private to the store: every write goes through the rules of `Store`.
pub(super) trait StoreBackend: Send + Sync + fmt::Debug {
    /// The data of a ConfigMap; `None` when it does not exist.
    fn config_map(&self, at: &ObjectRef) -> Result<Option<Data>, StoreError>;
    /// A Secret; `None` when it does not exist.
    fn secret(&self, at: &ObjectRef) -> Result<Option<SecretObject>, StoreError>;
    /// Shows each Secret of a type, one after the other.
    fn list(&self, namespace: &str, kind: &'static str, each: &mut dyn FnMut(SecretObject)) -> Result<(), StoreError>;
    /// Creates the Secret when it has no version, else replaces the one of that version. Returns it as stored.
    fn write(&self, secret: &SecretObject, mode: DryRun) -> Result<SecretObject, StoreError>;
    /// Deletes the Secret of this version.
    fn delete(&self, at: &ObjectRef, version: &Preconditions) -> Result<(), StoreError>;
    /// Notes that the place answers, as a watch shows.
    fn answers(&self) {}
}
