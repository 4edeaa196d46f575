//! The wait until published values are visible: read back from the primary, then from every authoritative server in
//! parallel.
//!
//! NOERROR does not mean visible: PowerDNS may have refused by policy, a secondary may lag, a delegated zone may hide
//! what was written to its parent. Untrusted: the answers. A lying server can make us ask the CA too early, which costs
//! one attempt.

mod check;
mod wait;

pub use check::{PropagationCheck, PropagationError, ServerView, Visibility};
