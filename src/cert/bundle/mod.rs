//! The proof that a chain and a key may be stored: only [`CheckedBundle::check`] makes one, and `store` accepts nothing
//! else.

use std::fmt;

use rustls::pki_types::CertificateDer;

use super::facts::{self, CertificateFacts};
use super::key::{self, KeyError};
use super::path::{self, Path, PathError};
use crate::base::limits::CLOCK_TOLERANCE;
use crate::base::name::Domain;
use crate::base::secret::Secret;
use crate::base::time::Time;

/// A chain and its key. The path was built from the leaf, the leaf belongs to the key, covers every wanted name, and
/// was valid at the time of the check.
#[derive(Debug)]
pub struct CheckedBundle {
    chain: Vec<u8>,
    dropped: Vec<String>,
    key: Secret<Vec<u8>>,
    facts: CertificateFacts,
}

/// The fault because of which a chain and a key are not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// The chain does not parse.
    Chain(String),
    /// The key does not parse, or is of a kind that can not be checked.
    Key,
    /// The leaf was made for another key.
    KeyMismatch,
    /// The certificate lacks these names.
    NamesMissing(Vec<Domain>),
    /// There are other certificates, and none of them signed the leaf.
    NoPath(PathError),
    /// The certificate is not valid at `judged_at`.
    NotValid {
        /// The time of the check.
        judged_at: Time,
        /// The begin of the validity.
        not_before: Time,
        /// The end of the validity.
        not_after: Time,
    },
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BundleError::Chain(e) => f.write_str(e),
            BundleError::Key => f.write_str("the private key can not be read"),
            BundleError::KeyMismatch => f.write_str("the certificate was made for another key"),
            BundleError::NamesMissing(names) => {
                let names: Vec<String> = names.iter().map(Domain::to_string).collect();
                write!(f, "the certificate is not for {}", names.join(", "))
            }
            BundleError::NoPath(e) => e.fmt(f),
            BundleError::NotValid { judged_at, not_before, not_after } => {
                write!(f, "the certificate is valid from {not_before} to {not_after}, and it is {judged_at}")
            }
        }
    }
}

impl CheckedBundle {
    /// Checks everything that a reader of the Secret relies on. Of `sent`, only the certificates on the path from the
    /// leaf of `key` upwards are kept, and they are written anew, because programs differ in what else they read.
    /// `judged_at` is the `Date` of the CA's answer: our own clock may be wrong, and refusing the bundle would lose it.
    ///
    /// # Errors
    /// The first fault.
    pub fn check(
        sent: &[u8],
        key: Secret<Vec<u8>>,
        wanted: &[Domain],
        judged_at: Time,
    ) -> Result<CheckedBundle, BundleError> {
        let sent = facts::certificates(&path::unglued(sent)).map_err(BundleError::Chain)?;
        let public = key::public_digest(key.expose()).map_err(|_: KeyError| BundleError::Key)?;
        let is_leaf = |der: &CertificateDer<'_>| facts::of(der).is_ok_and(|facts| facts.fits(&public));
        let leaf = sent.iter().position(is_leaf).unwrap_or_default();
        let facts = facts::of(&sent[leaf]).map_err(BundleError::Chain)?;
        if !facts.fits(&public) {
            return Err(BundleError::KeyMismatch);
        }
        let missing: Vec<Domain> = wanted.iter().filter(|d| !facts.covers(d)).cloned().collect();
        if !missing.is_empty() {
            return Err(BundleError::NamesMissing(missing));
        }
        let Path { certificates, dropped, .. } = path::build(&sent, leaf).map_err(BundleError::NoPath)?;
        let CertificateFacts { not_before, not_after, .. } = facts;
        if judged_at + CLOCK_TOLERANCE < not_before || judged_at >= not_after + CLOCK_TOLERANCE {
            return Err(BundleError::NotValid { judged_at, not_before, not_after });
        }
        Ok(CheckedBundle { chain: path::pem(&certificates), dropped, key, facts })
    }

    /// The subjects of the certificates that were sent and are not part of the chain.
    pub fn dropped(&self) -> &[String] {
        &self.dropped
    }

    /// `tls.crt`: the chain in PEM, leaf first.
    pub fn chain(&self) -> &[u8] {
        &self.chain
    }

    /// `tls.key`: the key in PEM.
    pub fn key(&self) -> &Secret<Vec<u8>> {
        &self.key
    }

    /// The facts of the leaf.
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }
}

#[cfg(test)]
mod tests;
