//! The conditions that a cell has to meet at its end.

use std::thread;
use std::time::{Duration, Instant};

use crate::cell::plan;
use crate::least::Least;
use crate::matrix::{Cell, Peer, Scenario};
use crate::site::Site;

/// The requests that a peer may get in a minute beyond the least that the main job takes.
const MORE_A_MINUTE: usize = 20;

/// Threads and descriptors of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    threads: usize,
    descriptors: usize,
}

impl Level {
    pub fn of(pid: u32) -> Level {
        let count = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count);
        Level { threads: count("task"), descriptors: count("fd") }
    }

    /// The larger of each.
    pub fn max(self, other: Level) -> Level {
        Level { threads: self.threads.max(other.threads), descriptors: self.descriptors.max(other.descriptors) }
    }
}

/// The sentences about failures in a log: of an attempt, and of the API server that is away.
pub fn failures(log: &str) -> Vec<String> {
    let events: [&str; 5] = ["failed", "not-done", "store-failed", "api-server-away", "configuration-unreadable"];
    let told = log.lines().filter(|line| line.split(' ').any(|word| events.contains(&word)));
    told.map(str::to_owned).collect()
}

/// Words of a library or of the system, which tell an operator nothing.
const FOREIGN: [&str; 8] =
    ["os error", "Os {", "Custom {", "kind:", "Error(", "Kind(", "unexpected end of file", "EOF"];

/// Each sentence names the peer that has the fault, and is in words of our own.
pub fn sentences(cell: &Cell, site: &Site, failures: &[String]) -> Result<(), String> {
    let addr = site.addr(cell.peer);
    for line in failures {
        let sentence = line.split_once("error=").map_or("", |(_, sentence)| sentence);
        if let Some(word) = FOREIGN.iter().find(|word| sentence.contains(**word)) {
            return Err(format!("{word:?} is no clear word in: {line}"));
        }
        // A machine that is too busy for the CA's own look-ups: no peer of notariat.
        let is_of_ca = sentence.contains("Error retrieving TXT records for DNS challenge");
        if !sentence.contains(&addr) && !is_of_ca {
            return Err(format!("the peer {addr} is not named in: {line}"));
        }
    }
    Ok(())
}

/// The shortest pause between a failed attempt and the next one, with what a clock rounds.
const PAUSE_MIN: f64 = 59.0;

/// After a failure an attempt waits. Where the API server was away it may come sooner: the failure could not be written into the record,
/// and what failed was the writing.
pub fn pauses(cell: &Cell, log: &str) -> Result<(), String> {
    if cell.peer == Peer::Api {
        return Ok(());
    }
    let mut failed: Option<f64> = None;
    for line in log.lines() {
        match (failed, line.split_whitespace().nth(3)) {
            (Some(before), Some("issuing")) if (seconds(line) - before).rem_euclid(86_400.0) < PAUSE_MIN => {
                return Err(format!("it tried again at once: {line}"));
            }
            (_, Some("failed")) => failed = Some(seconds(line)),
            _ => {}
        }
    }
    Ok(())
}

/// The second of the day at which a line was written, such as `2026-11-29T15:26:07.881Z INFO  [notariat] ...`.
fn seconds(line: &str) -> f64 {
    let time = line.split('T').nth(1).and_then(|rest| rest.split('Z').next()).unwrap_or_default();
    time.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap_or_default())
}

#[test]
fn an_attempt_that_comes_again_at_once_is_seen() {
    let cell = crate::matrix::all().swap_remove(0);
    let log = |again: &str| {
        let failed = "2026-11-29T23:59:38.252Z ERROR [notariat] failed secret=default/web stage=order error=\"no\"";
        format!("{failed}\n2026-11-30T{again}Z INFO  [notariat] issuing secret=default/web\n")
    };
    assert_eq!(pauses(&cell, &log("00:00:38.300")), Ok(()));
    assert!(pauses(&cell, &log("00:00:08.300")).is_err());
}

/// No value is published, none is remembered, and nothing is in flight.
pub fn nothing_left(site: &Site, within: Duration) -> Result<(), String> {
    let until = Instant::now() + within;
    loop {
        let (values, record) = (site.values(), site.place.record(site.servers));
        let is_clean = record["stored"].is_object() && record["inFlight"].is_null() && record["leftovers"].is_null();
        if values.is_empty() && is_clean && !site.place.has_next_key(site.servers) {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("left behind: values {values:?}, record {record:#}"));
        }
        thread::sleep(Duration::from_millis(500));
    }
}

/// Threads and descriptors are no more than they were.
pub fn level(pid: u32, before: Level, within: Duration) -> Result<(), String> {
    let until = Instant::now() + within;
    loop {
        let now = Level::of(pid);
        if now.max(before) == before {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("{now:?}, and with nothing to do {before:?}"));
        }
        thread::sleep(Duration::from_millis(500));
    }
}

/// The most requests that came within a minute.
fn in_a_minute(times: &[Instant]) -> usize {
    let within =
        |from: &Instant| times.iter().filter(|at| *at >= from && **at < *from + Duration::from_secs(60)).count();
    times.iter().map(within).max().unwrap_or(0)
}

/// No peer gets more requests than it may; those of the peer with the fault. Each attempt after a failure takes what one takes.
pub fn requests(cell: &Cell, site: &Site, least: &Least, failures: usize) -> Result<usize, String> {
    let of = |scenario, peer| least.requests(scenario, cell.store, plan(cell).transport, peer);
    for peer in Peer::ALL {
        let attempt = of(Scenario::Renewal, peer).saturating_sub(of(Scenario::First, peer));
        let (most, needed) = (in_a_minute(&site.requests(peer)), of(cell.scenario, peer) + failures * attempt);
        if most > needed + MORE_A_MINUTE {
            return Err(format!("{most} requests to the {} within a minute, where {needed} are needed", peer.name()));
        }
    }
    Ok(in_a_minute(&site.requests(cell.peer)))
}

/// Nothing in a log that must never be there.
pub fn log(log: &str) -> Result<(), String> {
    let never = ["panicked", "stuck", "left-for-good", "BEGIN PRIVATE KEY"];
    match never.iter().find(|word| log.contains(**word)) {
        Some(word) => Err(format!("{word:?} is in the log:\n{log}")),
        None => Ok(()),
    }
}
