//! The status of certificates: gathered and decided in one place ([`evaluate`]), shown as a table, as JSON and in a ConfigMap.

pub mod certificate;
pub mod config_map;
pub mod evaluate;
pub mod gardener;
pub mod json;
#[cfg(feature = "tools")]
pub mod reader;
pub mod report;
pub mod resource;
pub mod revocation;
pub mod state;
pub mod table;
