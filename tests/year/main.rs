//! A simulated year of renewals: the shipped code that decides, keeps records and observes limits, against a CA with the limits of
//! Let's Encrypt.
//!
//! `cargo test` runs a population that fits a debug build; `tests/simulate` runs all of it: 10,000 certificates of each lifetime and
//! 1,000 seeds. The least possible number of orders is, for each certificate, the year divided by the time from an issue to the end
//! of the window in which the CA then wants it to be renewed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end where a proof is missing")]
#![allow(missing_docs, unreachable_pub, reason = "nobody uses this crate but the tests in it")]

mod around;
mod attempt;
mod buckets;
mod ca;
mod controller;
mod order;
mod population;
mod reconcile;
mod report;
mod state;
mod trouble;

use std::time::Duration;

use ca::{DAY, HOUR};
use controller::Event;
use population::{LIVES, START, Start, YEAR, populate, troubled};
use report::{Faults, HEAD, Row, all_issued, say};
use state::Tally;

/// A value set by `tests/simulate`, or the default for a debug build.
fn scale(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |n| n.parse().unwrap())
}

/// Certificates of one lifetime; those of 160 hours make 18 times the orders of the others.
fn certificates(life: Duration) -> usize {
    scale("YEAR_CERTIFICATES", if life < DAY * 10 { 150 } else { 1000 })
}

fn year(life: Duration, start: Start) -> Row {
    let n = certificates(life);
    let mut simulation = populate(&[life], n, n / 10, start, 0);
    simulation.run(START + YEAR);
    let row = Row::of(&simulation, start, life);
    say(&row);
    row
}

#[test]
fn in_a_year_nothing_expires_no_limit_is_met_and_orders_are_few_and_even() {
    say(HEAD);
    for row in LIVES.map(|life| year(life, Start::Steady)) {
        assert_eq!((row.expired, row.hits), (0, 0), "{row}");
        assert!(row.ratio() <= 1.05, "{row}");
        assert!(row.busiest <= 2.0, "{row}");
        assert!(row.exempt > 0.85, "{row}");
    }
}

/// A herd stays one: the CA's windows are a fiftieth of a lifetime wide, and renewing outside of them costs more
/// orders.
#[test]
fn what_was_issued_on_one_day_is_renewed_in_time_within_all_limits() {
    for row in LIVES.map(|life| year(life, Start::Herd)) {
        assert_eq!((row.expired, row.hits), (0, 0), "{row}");
        assert!(row.ratio() <= 1.05, "{row}");
    }
}

#[test]
fn many_first_certificates_are_spread_under_the_limits() {
    let n = certificates(LIVES[2]);
    let mut simulation = populate(&[LIVES[2]], n, n / 10, Start::First, 0);
    simulation.run(START + DAY * 12);
    let took = all_issued(&simulation).expect("all of them");
    say(format_args!(
        "{n} first certificates: all there after {} h, {} refused",
        took.as_secs() / 3600,
        simulation.tally.refused
    ));
    assert_eq!((simulation.tally.refused, simulation.tally.failures), (0, 0));
    // 270 in each three hours.
    assert!(took <= HOUR * (3 * (n as u32 / 270) + 2), "{took:?}");
}

/// The limit of a registered domain is not known before it is met: one refusal for each certificate that is admitted,
/// not one for each that waits.
#[test]
fn first_certificates_below_one_registered_domain_come_as_fast_as_the_ca_lets_them() {
    let mut simulation = populate(&[LIVES[2]], 200, 2, Start::First, 0);
    simulation.run(START + DAY * 12);
    let took = all_issued(&simulation).expect("all of them");
    let refused = simulation.tally.refused;
    say(format_args!(
        "100 first certificates below each of 2 registered domains: all there after {} h, {refused} refused",
        took.as_secs() / 3600
    ));
    // 50 at once, one more after each 202 minutes.
    assert!(took <= Duration::from_secs(50 * 202 * 60) + HOUR * 6, "{took:?}");
    assert!(refused <= 110, "{refused}");
}

#[test]
fn all_certificates_revoked_at_once_are_replaced_within_one_poll() {
    let n = certificates(LIVES[2]);
    let mut simulation = populate(&[LIVES[2]], n, n / 10, Start::Steady, 0);
    let at = START + DAY * 100;
    for i in 0..n {
        simulation.certificates[i].planned.push(at);
        simulation.at(at, Event::Revoke(i));
    }
    simulation.run(START + DAY * 105);
    let replaced = simulation.ca.sets.iter().map(|set| set.finalized.iter().map(|f| f.at).find(|f| *f >= at));
    let took = replaced.map(|f| f.expect("it is replaced").since(at)).max().unwrap();
    say(format_args!(
        "{n} certificates revoked at once: the last is replaced after {} min, limits met: {:?}",
        took.as_secs() / 60,
        simulation.ca.hits
    ));
    assert!(simulation.ca.hits.is_empty() && simulation.tally.expired == 0);
    // Six hours and a fifth, and the time that four workers need.
    assert!(took <= HOUR * 36 / 5 + Duration::from_secs(40) * (n as u32) / 4, "{took:?}");
}

/// 40 days for all of them, where 30 would be the time to renew and 45 is the end.
#[test]
fn a_quota_that_is_short_keeps_nothing_from_being_renewed_in_time() {
    let mut simulation = populate(&[LIVES[2]], 400, 40, Start::Steady, 0);
    simulation.orders_per_day = Some(10);
    simulation.run(START + YEAR);
    let row = Row::of(&simulation, Start::Steady, LIVES[2]);
    say(format_args!("{row}, ordersPerDay 10"));
    assert_eq!((row.expired, row.hits), (0, 0), "{row}");
}

#[test]
fn failures_and_crashes_at_every_step_lose_nothing_and_meet_no_limit() {
    let (seeds, mut sum, mut made) = (scale("YEAR_SEEDS", 50) as u64, Tally::default(), 0);
    for seed in 1..=seeds {
        let mut simulation = troubled(seed, 5);
        simulation.run(START + YEAR);
        let Faults { expired, hits, counted, never_stored, given_up } = Faults::of(&simulation);
        assert_eq!((expired, hits), (0, 0), "seed {seed}: expired, limits met {:?}", simulation.ca.hits);
        // An order is counted before it is finalized, so that at its edges a week of the CA's may have one more.
        assert!(counted.0 <= 4 && counted.1 <= 5, "seed {seed}: orders of one exact set within a week: {counted:?}");
        assert_eq!((never_stored, given_up), (0, 0), "seed {seed}: certificates never stored, orders given up");
        made += simulation.ca.made;
        sum.add(&simulation.tally);
    }
    say(format_args!("{seeds} seeds of trouble, 5 certificates each: {made} orders, {sum}; expired 0, limits met 0"));
}
