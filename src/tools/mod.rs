//! The commands beside the controller: what prepares, checks and explains. The controller runs without them.

pub mod check;
pub mod commands;
pub mod conversion;
pub mod convert;
pub mod dns_policy;
pub mod manifest;
pub mod role;
