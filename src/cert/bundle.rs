//! The proof that a chain and a key may be stored: only [`CheckedBundle::check`] makes one, and `store` takes nothing else.

use std::fmt;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::facts::{self, ChainError, Facts};
use super::key::{self, KeyError};
use crate::name::Domain;
use crate::secret::Secret;
use crate::time::Time;

/// How far the clocks of a CA and of the judge may differ.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// A chain that was parsed, links, belongs to the key, covers every wanted name, and was valid at the time it was judged by.
#[derive(Debug)]
pub struct CheckedBundle {
    chain: Vec<u8>,
    key: Secret<Vec<u8>>,
    facts: Facts,
}

/// Why a chain and a key are not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// The chain does not parse.
    Chain(ChainError),
    /// The key does not parse, or is of a kind that can not be checked.
    Key,
    /// The leaf was made for another key.
    KeyMismatch,
    /// These names are missing.
    NamesMissing(Vec<Domain>),
    /// The certificate with this number from 1 is not signed by the one after it.
    NotLinked(usize),
    /// It is not valid at `judged_at`.
    NotValid {
        /// The time it was judged by.
        judged_at: Time,
        /// When it begins to be valid.
        not_before: Time,
        /// When it ends to be valid.
        not_after: Time,
    },
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BundleError::Chain(e) => e.fmt(f),
            BundleError::Key => f.write_str("the private key can not be read"),
            BundleError::KeyMismatch => f.write_str("the certificate was made for another key"),
            BundleError::NamesMissing(names) => {
                let names: Vec<String> = names.iter().map(Domain::to_string).collect();
                write!(f, "the certificate is not for {}", names.join(", "))
            }
            BundleError::NotLinked(n) => write!(f, "certificate {n} of the chain is not signed by the one after it"),
            BundleError::NotValid { judged_at, not_before, not_after } => {
                write!(f, "the certificate is valid from {not_before} to {not_after}, and it is {judged_at}")
            }
        }
    }
}

impl CheckedBundle {
    /// Checks everything that a reader of the Secret relies on. `judged_at` is the `Date` of the CA's answer: our own clock may
    /// be wrong, and then waiting would be right and refusing wrong.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn check(
        chain: &[u8],
        key: Secret<Vec<u8>>,
        wanted: &[Domain],
        judged_at: Time,
    ) -> Result<CheckedBundle, BundleError> {
        let (certificates, facts) = facts::read(chain).map_err(BundleError::Chain)?;
        match key::public_of(key.expose()) {
            Ok(public) if facts::sha256(&public) == facts.public_key => {}
            Ok(_) => return Err(BundleError::KeyMismatch),
            Err(KeyError::Unparsable | KeyError::UnknownKind) => return Err(BundleError::Key),
        }
        let missing: Vec<Domain> = wanted.iter().filter(|d| !facts.covers(d)).cloned().collect();
        if !missing.is_empty() {
            return Err(BundleError::NamesMissing(missing));
        }
        linked(&certificates)?;
        let Facts { not_before, not_after, .. } = facts;
        if judged_at + CLOCK_TOLERANCE < not_before || judged_at >= not_after + CLOCK_TOLERANCE {
            return Err(BundleError::NotValid { judged_at, not_before, not_after });
        }
        Ok(CheckedBundle { chain: chain.to_vec(), key, facts })
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
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// Each certificate is signed by the next. A signature of a kind that ring can not check is judged by the names alone.
fn linked(chain: &[CertificateDer<'static>]) -> Result<(), BundleError> {
    for (i, pair) in chain.windows(2).enumerate() {
        let (lower, upper) =
            (facts::parse(&pair[0]).map_err(BundleError::Chain)?, facts::parse(&pair[1]).map_err(BundleError::Chain)?);
        let named = lower.issuer().as_raw() == upper.subject().as_raw();
        let signed = match lower.verify_signature(Some(upper.public_key())) {
            Ok(()) | Err(x509_parser::error::X509Error::SignatureUnsupportedAlgorithm) => true,
            Err(_) => false,
        };
        if !named || !signed {
            return Err(BundleError::NotLinked(i + 1));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
