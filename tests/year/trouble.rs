//! Troubles drawn from a seed, so that a run can be repeated.

use std::time::Duration;

use notariat::base::time::Time;

use crate::ca::{DAY, HOUR};

/// Splitmix64.
#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(0x9e37_79b9_7f4a_7c15))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn within(&mut self, least: Duration, most: Duration) -> Duration {
        least + Duration::from_secs(self.below((most - least).as_secs() + 1))
    }

    pub fn per_mille(&mut self, chance: u64) -> bool {
        self.below(1000) < chance
    }
}

/// A part that is out of order for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The API server.
    Store,
    Ca,
    /// A DNS server, by its number.
    Dns(usize),
    /// The CA does not accept the challenge, by the certificate's number.
    Name(usize),
}

/// The process was killed.
#[derive(Debug)]
pub struct Crashed;

/// All troubles of one run.
pub struct Trouble {
    pub rng: Rng,
    /// Failing steps of a thousand.
    step: u64,
    /// Attempts cut by a crash, of a thousand.
    crash: u64,
    outages: Vec<(Part, Time, Time)>,
    /// Points left until the crash.
    cut: Option<u64>,
}

pub const DNS_SERVERS: usize = 3;

/// Points of an attempt at which it may be cut: before and after each write and each request that changes something.
const POINTS: u64 = 18;

impl Trouble {
    pub fn new(seed: u64, certificates: usize, start: Time) -> Trouble {
        let mut rng = Rng::new(seed);
        let parts = [Part::Store, Part::Ca].into_iter().chain((0..DNS_SERVERS).map(Part::Dns));
        let mut outages = Vec::new();
        for part in parts.chain((0..certificates).map(Part::Name)) {
            for _ in 0..rng.below(8) {
                let from = start + rng.within(Duration::ZERO, DAY * 364);
                outages.push((part, from, from + rng.within(Duration::from_secs(60), HOUR * 24)));
            }
        }
        let (step, crash) = (1 + rng.below(80), 1 + rng.below(120));
        Trouble { rng, step, crash, outages, cut: None }
    }

    /// The time until which a part is out of order.
    pub fn out(&self, part: Part, now: Time) -> Option<Time> {
        let hit = |(p, from, to): &&(Part, Time, Time)| *p == part && *from <= now && now < *to;
        self.outages.iter().filter(hit).map(|(_, _, to)| *to).max()
    }

    /// The next time at which a part is out of order.
    pub fn next_out(&self, part: Part, now: Time) -> Option<Time> {
        self.outages.iter().filter(|(p, _, to)| *p == part && *to > now).map(|(_, from, _)| (*from).max(now)).min()
    }

    /// Tells whether a step fails by itself.
    pub fn fails(&mut self) -> bool {
        self.rng.per_mille(self.step)
    }

    /// Tells whether the attempt that begins now is cut, and where.
    pub fn begin(&mut self) {
        self.cut = self.rng.per_mille(self.crash).then(|| self.rng.below(POINTS));
    }

    /// A point of the attempt.
    pub fn point(&mut self) -> Result<(), Crashed> {
        match &mut self.cut {
            Some(0) => {
                self.cut = None;
                Err(Crashed)
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Tells whether the attempt was to be cut after its last point.
    pub fn left_over(&mut self) -> bool {
        self.cut.take().is_some()
    }
}
