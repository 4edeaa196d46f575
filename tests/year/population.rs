//! Populations, and their troubles drawn from a seed.

use std::time::Duration;

use notariat::base::shared_str::SharedStr;
use notariat::base::time::Time;
use notariat::cert::facts::{CertificateFacts, sha256};
use notariat::config::entry::Entry;
use notariat::config::node;
use notariat::record::{Accepted, Record};

use crate::ca::{DAY, HOUR, window};
use crate::controller::{Event, Simulation};
use crate::state::Certificate;
use crate::trouble::{DNS_SERVERS, Rng, Trouble};

pub const START: Time = Time::from_unix(1_800_000_000);
pub const YEAR: Duration = Duration::from_secs(365 * 86_400);
pub const LIVES: [Duration; 4] = [
    Duration::from_secs(90 * 86_400),
    Duration::from_secs(64 * 86_400),
    Duration::from_secs(45 * 86_400),
    Duration::from_secs(160 * 3600),
];

/// The begin of the year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Issued evenly over the time between two renewals.
    Steady,
    /// Issued within one day.
    Herd,
    /// Not issued yet.
    First,
}

/// The least possible number of orders in a year: from each issue to the end of the window that the CA suggests for what it issued.
pub fn least(life: Duration) -> f64 {
    YEAR.as_secs_f64() / (window(START, START + life).1.since(START) - HOUR).as_secs_f64()
}

fn entry(i: usize, domains: usize, keep_copy: bool) -> Entry {
    let text = format!("{{secret: c{i:05}, domains: [w{i}.d{}.test], keepCopy: {keep_copy}}}", i % domains);
    Entry::read(&node::read(&text).unwrap(), &"team".into()).unwrap()
}

/// A number of certificates over a number of registered domains.
pub fn populate(lives: &[Duration], n: usize, domains: usize, start: Start, seed: u64) -> Simulation {
    let mut simulation = Simulation::new(START, seed);
    for i in 0..n {
        let life = lives[i % lives.len()];
        simulation.ca.add_set(i % domains, i, life);
        let keep_copy = seed == 0 || simulation.rng.below(4) > 0;
        simulation.certificates.push(Certificate::new(entry(i, domains, keep_copy), i % DNS_SERVERS));
        // From the issue, an hour after the certificate begins, to the window.
        let cycle = window(START, START + life).0.since(START) - HOUR;
        match start {
            Start::Steady => hold(&mut simulation, i, START - cycle.mul_f64((i as f64 + 0.5) / n as f64)),
            Start::Herd => hold(&mut simulation, i, START - DAY.mul_f64(i as f64 / n as f64)),
            Start::First => {}
        }
        simulation.look_at(i, START);
    }
    simulation
}

/// Gives a certificate that was issued before the simulation.
fn hold(simulation: &mut Simulation, i: usize, at: Time) {
    let certificate = &mut simulation.certificates[i];
    simulation.ca.issued_before(i, &certificate.names, format!("key {i} before").as_bytes(), at);
    certificate.hold(simulation.ca.sets[i].issued[0].clone());
    let mut record = Record::default();
    simulation.remember_before(i, &mut record, at);
    simulation.certificates[i].record = record;
}

/// A simulation in which everything fails now and then. The last certificate has an enemy who puts an expired one in
/// its place.
pub fn troubled(seed: u64, n: usize) -> Simulation {
    let start = if seed.is_multiple_of(4) { Start::First } else { Start::Steady };
    let mut simulation = populate(&LIVES, n, 3, start, seed);
    simulation.ca.hands_back = seed.is_multiple_of(2);
    let mut trouble = Trouble::new(seed, n, START);
    let rng = &mut trouble.rng;
    for i in 0..n {
        for _ in 0..rng.below(4) {
            let at = START + rng.within(Duration::ZERO, YEAR);
            let event = if rng.below(2) == 0 { Event::Revoke(i) } else { Event::Delete(i) };
            simulation.certificates[i].planned.push(at);
            simulation.at(at, event);
        }
    }
    let enemy = n - 1;
    let at = START + rng.within(Duration::ZERO, YEAR - DAY * 30);
    let period = [Duration::from_secs(300), HOUR, DAY][rng.below(3) as usize];
    simulation.certificates[enemy].enemy = Some((expired(&simulation, enemy, rng), period, at + DAY * 30));
    simulation.certificates[enemy].planned.push(at);
    simulation.at(at, Event::Overwrite(enemy));
    simulation.trouble = Some(trouble);
    for i in 0..n {
        let mut record = std::mem::take(&mut simulation.certificates[i].record);
        record.body.accepted =
            Some(Box::new(Accepted::new(&simulation.certificates[i].entry, &[], None, "ConfigMap year/year")));
        simulation.write(i, &mut record);
        let record = simulation.open(i);
        simulation.certificates[i].record = record;
    }
    simulation
}

fn expired(simulation: &Simulation, i: usize, rng: &mut Rng) -> CertificateFacts {
    CertificateFacts {
        names: simulation.certificates[i].names.clone(),
        not_before: START - DAY * 100,
        not_after: START - DAY * 10,
        serial: SharedStr::new(&format!("ff{:08x}", rng.below(1 << 32))),
        public_key: sha256(b"key of long ago"),
        issuer: "YE1".into(),
        fingerprint: sha256(b"ff"),
        cert_id: Some("aki.ff".into()),
        links: notariat::cert::facts::Links::Whole,
    }
}
