//! Keys and CSRs, facts of certificates, path building, and the proof that a bundle may be stored. Pure.

pub mod bundle;
pub mod facts;
pub mod key;
pub mod path;
#[cfg(feature = "rsa")]
mod random;
pub mod request;
