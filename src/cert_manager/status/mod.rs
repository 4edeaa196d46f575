//! The status of cert-manager's objects: what stands there, and what is to stand there. Pure.
//!
//! Readers of these fields are `kubectl wait`, kstatus (Flux, Helm), Argo CD and `cmctl`. The rules of each stand in the tests as a reader
//! of what is written here. A status is written on difference only, and no text in it changes with the time alone.
//!
//! Untrusted: whoever may write a status wrote every value. No value of a status decides what is done, with one exception: the request of
//! `cmctl renew` ([`ResourceStatus::renewal_asked`]).

mod certificate;
mod issuer;
mod resource;
mod state;

pub use certificate::{CertificateVerdict, IssuingReason, IssuingVerdict, ReadyReason, ReadyVerdict};
pub use issuer::{IssuerReason, IssuerVerdict};
pub use resource::{
    Condition, ConditionStatus, GOOD, LastWriter, ResourceStatus, ResourceVersion, SeenResource, ShownFailures,
};
pub use state::{StateField, StateFields, StateVerdict};

#[cfg(test)]
mod tests;
