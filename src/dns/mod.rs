//! Publishing challenge values by signed DNS UPDATE (RFC 2136, 8945), and seeing them.
//!
//! `wire`, `update`, `tsig`, `key`, `rules` and `explain` are pure; `transport`, `client`, `resolver`, `zone` and `visible` talk to servers.

pub mod client;
pub mod explain;
pub mod key;
pub mod resolver;
pub mod rules;
mod transport;
pub mod tsig;
pub mod update;
pub mod visible;
pub mod wire;
pub mod zone;
