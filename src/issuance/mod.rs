//! The steps from a decision to a checked certificate: account, order, challenges, validation, finalize, download. Each step is a function
//! that the attempt in `worker` calls; none of them reads or writes the record.
//!
//! Untrusted: the answers of CAs and DNS servers, which `acme`, `dns` and `cert::bundle` judge. Tested by tests/it/main_job.rs.

pub mod account;
pub mod acting;
pub mod answers;
pub mod chain;
pub mod circuits;
pub mod clients;
mod context;
pub mod dependencies;
mod error;
pub mod key_source;
pub mod leadership;
pub mod order;
pub mod probe;
pub mod probes;
pub mod rate_limits;
pub mod reached;
pub mod renewal_schedule;
pub mod solver;
pub mod validation;

pub use context::Context;
pub use error::{AttemptError, RateLimit, of_acme};
