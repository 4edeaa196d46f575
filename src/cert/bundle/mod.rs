//! The proof that a chain and a key may be stored: only [`CheckedBundle::check`] makes one, and `store` accepts nothing
//! else.

use std::fmt;

use rustls::pki_types::CertificateDer;

use super::facts::{self, CertificateFacts};
use super::key::{self, KeyError};
use super::path::{self, Path, PathError};
use super::request::CertificateRequest;
use crate::base::limits::CLOCK_TOLERANCE;
use crate::base::name::Domain;
use crate::base::secret::Secret;
use crate::base::time::Time;

/// A chain and its key, or a chain for the key of a CSR. The path was built from the leaf, the leaf belongs to the key, covers
/// every wanted name, and was valid at the time of the check.
#[derive(Debug)]
pub struct CheckedBundle {
    chain: Vec<u8>,
    dropped: Vec<String>,
    /// `None` for the key of a CSR, which is not here.
    key: Option<Secret<Vec<u8>>>,
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
        let public = key::public_digest(key.expose()).map_err(|_: KeyError| BundleError::Key);
        let bundle = CheckedBundle::of(sent, public, wanted, judged_at)?;
        Ok(CheckedBundle { key: Some(key), ..bundle })
    }

    /// Checks the same of a chain that was issued for a CSR.
    ///
    /// # Errors
    /// The first fault.
    pub fn of_request(
        sent: &[u8],
        request: &CertificateRequest,
        wanted: &[Domain],
        judged_at: Time,
    ) -> Result<CheckedBundle, BundleError> {
        CheckedBundle::of(sent, Ok(*request.public_key()), wanted, judged_at)
    }

    fn of(
        sent: &[u8],
        public: Result<[u8; 32], BundleError>,
        wanted: &[Domain],
        judged_at: Time,
    ) -> Result<CheckedBundle, BundleError> {
        let sent = facts::certificates(&path::unglued(sent)).map_err(BundleError::Chain)?;
        let public = public?;
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
        Ok(CheckedBundle { chain: path::pem(&certificates), dropped, key: None, facts })
    }

    /// The subjects of the certificates that were sent and are not part of the chain.
    pub fn dropped(&self) -> &[String] {
        &self.dropped
    }

    /// `tls.crt`: the chain in PEM, leaf first.
    pub fn chain(&self) -> &[u8] {
        &self.chain
    }

    /// The key in PEM; `None` for the key of a CSR.
    pub fn key(&self) -> Option<&Secret<Vec<u8>>> {
        self.key.as_ref()
    }

    /// `tls.key` over the one that a Secret holds. Beside the certificate of a CSR, a key that somebody put there stays where it belongs to
    /// the certificate or can not be read here; else there is none.
    pub fn key_over(&self, held: Option<&Secret<Vec<u8>>>) -> Secret<Vec<u8>> {
        let stays = |held: &&Secret<Vec<u8>>| match key::public_digest(held.expose()) {
            Ok(public) => self.facts.fits(&public),
            Err(fault) => fault == KeyError::UnknownKind,
        };
        self.key.as_ref().or(held.filter(stays)).cloned().unwrap_or_else(|| Secret::new(Vec::new()))
    }

    /// The facts of the leaf.
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }
}

#[cfg(test)]
mod tests;
