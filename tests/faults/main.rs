//! The fault matrix: notariat against the real servers, with a proxy before each that delays, cuts, loses, resets, throttles, reorders and
//! doubles what passes, from each step of an attempt on.
//!
//! Each cell is one notariat with one certificate. Its fault begins at its step, lasts for seconds, and ends. The certificate has to come:
//! through the fault, when it is over, or after failures that were told in clear sentences. Then nothing may be left: no value in the
//! zone, nothing in flight in the record, no thread and no descriptor; and no peer was asked more often than it may be.
//!
//! `cargo test` runs a tenth of the cells; `tests/faults/run` runs all and prints the table.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end where a proof is missing")]
#![allow(clippy::print_stdout, reason = "the table is what is asked for")]
#![allow(missing_docs, unreachable_pub, reason = "nobody uses this crate but the tests in it")]

mod admin;
mod cell;
mod door;
mod judge;
mod least;
mod matrix;
mod place;
mod servers;
mod site;
mod support;
mod table;
mod trigger;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use least::Least;
use matrix::Cell;
use servers::Servers;

/// Cells at work at the same time: most of them wait. All of a tenth are, and of a longer run as many as two cores have servers for.
const AT_WORK: [usize; 2] = [100, 90];

/// The pause between two starts, so that a machine with two cores does not start a hundred programs at once.
const PAUSE: Duration = Duration::from_millis(150);

/// The cells to run: those whose text has the words of `FAULTS_ONLY`, all with `FAULTS=all`, else a tenth.
fn chosen() -> Vec<Cell> {
    let only = std::env::var("FAULTS_ONLY").unwrap_or_default();
    if !only.is_empty() {
        return matrix::all()
            .into_iter()
            .filter(|cell| only.split(',').all(|w| cell.to_string().contains(w)))
            .collect();
    }
    if std::env::var("FAULTS").is_ok_and(|all| all == "all") { matrix::all() } else { matrix::tenth() }
}

#[test]
fn each_fault_ends_with_a_certificate_and_leaves_nothing() {
    let (started, cells) = (Instant::now(), chosen());
    assert!(!cells.is_empty(), "FAULTS_ONLY chooses no cell");
    let servers = Servers::start();
    let least = OnceLock::new();
    let (next, ended) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        let of_thread = &least;
        scope.spawn(move || {
            let measured = catch_unwind(AssertUnwindSafe(|| Least::measure(servers, matrix::all().len())));
            of_thread.set(measured.map_err(|_| "the runs without a fault failed".to_owned())).is_ok()
        });
        for worker in 0..if cells.len() > AT_WORK[0] { AT_WORK[1] } else { cells.len() } {
            let (next, ended, cells, least) = (&next, &ended, &cells, &least);
            scope.spawn(move || {
                thread::sleep(PAUSE * u32::try_from(worker).unwrap());
                while let Some(cell) = cells.get(next.fetch_add(1, SeqCst)) {
                    let run = catch_unwind(AssertUnwindSafe(|| cell::run(cell, servers, least)));
                    let outcome = run.unwrap_or_else(|panic| {
                        let text = panic.downcast_ref::<String>().cloned();
                        Err(text.or(panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default())
                    });
                    if let Err(why) = &outcome {
                        println!("FAILED: {cell}: {why}\n");
                    }
                    ended.lock().unwrap().push((cell.clone(), outcome));
                }
            });
        }
    });
    let mut ended = ended.into_inner().unwrap();
    ended.sort_by_key(|(cell, _)| cell.number);
    println!("{}", table::markdown(&ended));
    println!("{} cells in {} s", ended.len(), started.elapsed().as_secs());
    let failed: Vec<String> =
        ended.iter().filter(|(_, outcome)| outcome.is_err()).map(|(cell, _)| cell.to_string()).collect();
    assert!(failed.is_empty(), "{} of {} cells failed:\n{}", failed.len(), ended.len(), failed.join("\n"));
}
