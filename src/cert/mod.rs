//! Certificates and their keys: making requests, reading chains, and the proof that a bundle may be stored. Pure.

pub mod bundle;
pub mod facts;
pub mod key;
pub mod path;
