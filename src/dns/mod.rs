//! Publishing of challenge values by signed DNS UPDATE (RFC 2136, 8945), and the wait until they are visible.
//!
//! `wire`, `decode`, `update`, `tsig`, `tsig_key`, `tsig_key_error`, `tsig_secret`, `settings`, `target`, `zone_policy` and `update_error` are pure;
//! `transport`, `client`, `resolver`, `zone` and `propagation` talk to servers.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::string_slice))]

pub mod client;
mod decode;
pub mod propagation;
pub mod resolver;
pub mod settings;
pub mod target;
mod transport;
pub mod tsig;
pub mod tsig_key;
pub mod tsig_key_error;
pub mod tsig_secret;
pub mod update;
pub mod update_error;
pub mod wire;
pub mod zone;
pub mod zone_policy;
