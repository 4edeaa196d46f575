//! The ACME client (RFC 8555), for the dns-01 challenge.
//!
//! `jws`, `wire`, `order` and `pace` are pure; `client` talks to the CA.

pub mod client;
pub mod error;
pub mod jws;
pub mod order;
pub mod pace;
pub mod wire;
