//! The ACME client (RFC 8555), for the dns-01 challenge.
//!
//! `jws`, `wire`, `order`, `challenge`, `poll` and `directory` are pure; `client` holds the connection to a CA,
//! `requests` has the single requests.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::string_slice))]

pub mod challenge;
pub mod client;
pub mod directory;
pub mod error;
pub mod jws;
pub mod order;
pub mod poll;
pub mod requests;
pub mod wire;
