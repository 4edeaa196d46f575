//! The ACME client (RFC 8555), for the dns-01 challenge.
//!
//! `jws`, `wire`, `order`, `challenge` and `pace` are pure; `client` talks to the CA, `requests` says what it asks for.

pub mod challenge;
pub mod client;
pub mod directory;
pub mod error;
pub mod jws;
pub mod order;
pub mod poll;
pub mod requests;
pub mod wire;
