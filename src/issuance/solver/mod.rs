//! The seam between an order and the ways to answer its challenges (RFC 8555 section 8).
//!
//! A solver presents values where the CA looks for them. The attempt in `worker` writes into the record what is presented before it is
//! presented, and every value is removed again.

mod challenge;
pub mod dns01;
pub mod http01;
mod mixed;
mod registry;

pub use challenge::{ChallengeRequest, NotPresented, Solver};
pub use registry::{clean_up_each, find, give_up, removal, remove};
