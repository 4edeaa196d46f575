//! Publishing of challenge values by signed DNS UPDATE (RFC 2136, 8945), and the wait until they are visible.
//!
//! `wire`, `update`, `tsig`, `tsig_key`, `settings`, `target`, `zone_policy` and `update_error` are pure; `transport`,
//! `client`, `resolver`, `zone` and `propagation` talk to servers.

pub mod client;
pub mod propagation;
pub mod resolver;
pub mod settings;
pub mod target;
mod transport;
pub mod tsig;
pub mod tsig_key;
pub mod update;
pub mod update_error;
pub mod wire;
pub mod zone;
pub mod zone_policy;
