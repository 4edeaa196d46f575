//! What an operator sees: one row for each certificate, as a table or as JSON.

pub mod bulletin;
pub mod json;
pub mod row;
pub mod run;
pub mod table;
pub mod view;
