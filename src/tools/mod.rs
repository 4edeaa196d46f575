//! The commands beside the controller: what prepares, checks and explains. The controller runs without them, and a build without the
//! feature `tools` does not have them.
#![cfg(feature = "tools")]

pub mod check;
pub mod cluster_role;
pub mod completion;
pub mod convert;
pub mod dns_policy;
pub mod explain;
pub mod forget;
pub mod http_route;
pub mod man;
pub mod manifest;
pub mod options;
mod output;
pub mod role;
mod run;
pub mod schema;
pub mod secret_action;
pub mod status;
mod terminal;
pub mod tsig_secret;
pub mod wait;

pub use output::Output;
pub use run::run;
