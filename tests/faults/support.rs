//! The helpers that the tests on real servers have as well.
#![allow(dead_code, reason = "these are shared with tests/it, which uses all of it")]

#[path = "../it/support/api.rs"]
pub mod api;
#[path = "../it/support/https.rs"]
pub mod https;
#[path = "../it/support/liar.rs"]
pub mod liar;
#[path = "../it/support/lies.rs"]
pub mod lies;
#[path = "../it/support/run.rs"]
pub mod run;
#[path = "../it/support/x509.rs"]
pub mod x509;
