//! The ACME client (RFC 8555), for the dns-01 challenge.
//!
//! `jws`, `wire`, `order` and `pace` are pure; `client` talks to the CA, `requests` says what it asks for.

pub mod client;
pub mod error;
pub mod jws;
pub mod order;
pub mod pace;
pub mod requests;
pub mod wire;
