//! What an operator sees: one row for each certificate, as a table or as JSON.

pub mod config_map;
pub mod json;
#[cfg(feature = "tools")]
pub mod reader;
pub mod row;
pub mod table;
