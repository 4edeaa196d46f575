//! The soak: certificates that live for minutes, while everything around notariat, and notariat itself, is killed, stopped and ended, the
//! clock steps by more than an hour, the disk is full and the API server restarts. Once with files, once on an API server with two replicas.
//!
//! `cargo test` runs about two minutes of it, `tests/soak/run` the long form. What must hold, and where it is judged:
//!
//! - no certificate is expired for longer than the faults explain (`ledger`: each fault, and the waits that follow it by rule);
//! - orders are at most 1.05 times the least possible (`orders`: from lifetimes, the rule of renewal, and what faults force);
//! - memory, threads and descriptors are as at the beginning, no secret is in a log (`report`);
//! - each process ends within its grace after SIGTERM (`replica`), and never by itself (`sample`).
//!
//! Reading order: `plan` (what happens when, from a seed), `ledger`, `orders`: these are pure. Then `run`, `faults`, `sample`, `place`,
//! `replica`, `report`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end where a proof is missing")]
#![allow(missing_docs, unreachable_pub, reason = "nobody uses this crate but the tests in it")]

mod faults;
mod ledger;
mod orders;
mod place;
mod plan;
mod replica;
mod report;
mod run;
mod sample;

use run::{Options, soak};

/// The settings of `tests/soak/run`, or the short form.
fn options(on_kubernetes: bool) -> Options {
    let set = |name: &str| std::env::var(name).ok().map(|n| n.parse().unwrap_or_else(|_| panic!("{name}: {n:?}")));
    let drawn = || u64::from(std::process::id());
    Options {
        seed: set("SOAK_SEED").unwrap_or_else(drawn),
        minutes: set("SOAK_MINUTES").unwrap_or(2),
        certificates: usize::try_from(set("SOAK_CERTIFICATES").unwrap_or(12)).unwrap(),
        on_kubernetes,
    }
}

#[test]
fn with_files_everything_recovers() {
    soak(options(false));
}

#[test]
fn on_kubernetes_with_two_replicas_everything_recovers() {
    soak(options(true));
}
