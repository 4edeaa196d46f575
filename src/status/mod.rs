//! What an operator sees: one row for each certificate, as a table or as JSON.

pub mod command;
pub mod config_map;
pub mod json;
pub mod reader;
pub mod row;
pub mod table;
