//! The plan of a run: drawn from a seed before the run begins. Pure.
//!
//! A run is a row of storms, each with a calm behind it. In a storm several victims are disturbed at the same time; in a calm nothing is, for
//! longer than the waits that the ledger explains. notariat itself is ended in the first half only: in the second half its processes live
//! through every other fault, so that what leaks is seen when a late calm is compared with an early one.

use std::time::Duration;

/// A victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// The process that works: the only one, or the leader.
    Notariat,
    /// The replica that stands by.
    Standby,
    Ca,
    Dns,
    Resolver,
    ApiServer,
    Etcd,
    /// The clock of the process that works.
    Clock,
    /// The disk under the directory store.
    Disk,
}

/// The fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// SIGKILL, and a start after so long.
    Kill(Duration),
    /// SIGTERM, and a start so long after its end.
    Terminate(Duration),
    /// SIGSTOP, and SIGCONT after so long.
    Stop(Duration),
    /// The clock is off by so many seconds, for so long.
    Step(i64, Duration),
    /// No room, for so long.
    Fill(Duration),
}

/// One fault of a storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// After the beginning of the storm.
    pub after: Duration,
    pub victim: Victim,
    pub act: Act,
}

/// A comparison of what the processes use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    Early,
    Late,
}

/// Faults at the same time, and the calm after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storm {
    pub faults: Vec<Planned>,
    /// How long nothing is disturbed; zero: for as long as the ledger explains anything.
    pub calm: Duration,
    /// The measurement at the end of the calm.
    pub measure: Option<Measure>,
}

/// The length of the storms of a long run. Together with the longest fault less than a minute, so that no attempt fails twice in one.
const STORM_SECS: u64 = 15;
/// The calm behind each: the longest wait of the ledger, a backlog, and half a minute in which nothing may be expired.
const CALM: Duration = Duration::from_secs(125);
/// The time of a storm and its calm together.
const ROUND_SECS: u64 = STORM_SECS + 20 + CALM.as_secs();

/// Random numbers that a seed repeats (splitmix64).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn seconds(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(1_000 * from + self.below(1_000 * (to - from)))
    }

    /// Takes a victim. kube-apiserver does not start without etcd, so that a storm has one of the two.
    fn take(&mut self, from: &mut Vec<Victim>) -> Victim {
        let number = usize::try_from(self.below(from.len() as u64)).expect("below the length");
        let taken = from.remove(number);
        let needs = |victim| matches!(victim, Victim::ApiServer | Victim::Etcd);
        from.retain(|other| !(needs(taken) && needs(*other)));
        taken
    }
}

/// The victims of a run besides notariat.
pub fn peers(on_kubernetes: bool) -> Vec<Victim> {
    use Victim::{ApiServer, Ca, Clock, Disk, Dns, Etcd, Resolver};
    match on_kubernetes {
        true => vec![Ca, Dns, Resolver, Clock, ApiServer, Etcd],
        false => vec![Ca, Dns, Resolver, Clock, Disk],
    }
}

/// The lifetimes of the certificates of a run of so many minutes, in seconds.
pub fn lifetimes(minutes: u64) -> &'static [u64] {
    match minutes < LONG_MINUTES {
        // Renewed from 19 s on, so that the faults of a short run meet renewals.
        true => &[40, 45, 50, 60, 75, 90, 120, 300],
        false => &[60, 75, 90, 120, 180, 240, 420, 600],
    }
}

/// Runs from so many minutes on have storms as long as there is time for; shorter ones take two minutes.
const LONG_MINUTES: u64 = 8;

/// The storms of a run of so many minutes.
pub fn storms(seed: u64, minutes: u64, on_kubernetes: bool) -> Vec<Storm> {
    let mut random = Random::new(seed);
    if minutes < LONG_MINUTES {
        return short(&mut random, on_kubernetes);
    }
    let count = (minutes * 60 / ROUND_SECS).max(3);
    let mut ca_restarts = 0;
    let storm = |number: u64| {
        let mut victims = peers(on_kubernetes);
        let mut chosen: Vec<Victim> = (0..2 + random.below(2)).map(|_| random.take(&mut victims)).collect();
        // Of notariat in each storm: in the second half it is stopped and goes on.
        chosen.push(if on_kubernetes && number % 3 == 2 { Victim::Standby } else { Victim::Notariat });
        let deaths = number < count / 2;
        let faults = chosen.into_iter().map(|victim| Planned {
            after: random.seconds(0, STORM_SECS),
            victim,
            act: act(&mut random, victim, deaths, &mut ca_restarts),
        });
        let faults = faults.collect();
        // The first storm that no process dies in has been lived through, too.
        let measure = match number {
            n if n == count / 2 => Some(Measure::Early),
            n if n + 1 == count => Some(Measure::Late),
            _ => None,
        };
        Storm { faults, calm: CALM, measure }
    };
    (0..count).map(storm).collect()
}

/// One fault for three of the others, ends for notariat when the first renewals are due, and the calm that follows both.
fn short(random: &mut Random, on_kubernetes: bool) -> Vec<Storm> {
    let (mut victims, mut none) = (peers(on_kubernetes), 0);
    let faults = (0..3).map(|_| {
        let victim = random.take(&mut victims);
        let act = match act(random, victim, false, &mut none) {
            Act::Stop(length) => Act::Stop(length / 3),
            Act::Step(by, length) => Act::Step(by, length / 2),
            Act::Fill(length) => Act::Fill(length / 2),
            other => other,
        };
        // The first renewals are due after 19 s.
        Planned { after: random.seconds(14, 19), victim, act }
    });
    let faults = faults.collect();
    let mut planned = |after: u64, victim, ends: fn(Duration) -> Act| Planned {
        after: random.seconds(after, after + 1),
        victim,
        act: ends(random.seconds(1, 2)),
    };
    // A killed leader is followed after a minute, which is more than there is.
    let killed = if on_kubernetes { Victim::Standby } else { Victim::Notariat };
    let deaths = vec![planned(0, killed, Act::Kill), planned(12, Victim::Notariat, Act::Terminate)];
    let storm = |faults, seconds, measure| Storm { faults, calm: Duration::from_secs(seconds), measure };
    vec![storm(faults, 4, None), storm(deaths, 5, Some(Measure::Early)), storm(Vec::new(), 0, Some(Measure::Late))]
}

/// Draws what is done to a victim. notariat dies only where `deaths` says so. The CA forgets all accounts when it is restarted, and notariat
/// registers five at most in three hours (CAs allow ten): so it is ended three times at most.
fn act(random: &mut Random, victim: Victim, deaths: bool, ca_restarts: &mut u32) -> Act {
    match victim {
        Victim::Clock => {
            // More than an hour: up to that a clock counts as right, and certificates of minutes can not be judged by it.
            let by = 3_660 + i64::try_from(random.below(900)).expect("below 900");
            return Act::Step(if random.below(2) == 0 { by } else { -by }, random.seconds(8, 20));
        }
        Victim::Disk => return Act::Fill(random.seconds(8, 20)),
        Victim::Notariat | Victim::Standby if !deaths => return Act::Stop(random.seconds(3, 20)),
        Victim::Ca if *ca_restarts == 3 => return Act::Stop(random.seconds(3, 20)),
        _ => {}
    }
    let drawn = match random.below(3) {
        0 => Act::Stop(random.seconds(3, 20)),
        1 => Act::Kill(random.seconds(1, 8)),
        _ => Act::Terminate(random.seconds(1, 8)),
    };
    *ca_restarts += u32::from(victim == Victim::Ca && !matches!(drawn, Act::Stop(_)));
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_plan_and_another_one_makes_another() {
        for on_kubernetes in [false, true] {
            assert_eq!(storms(7, 30, on_kubernetes), storms(7, 30, on_kubernetes));
            assert_ne!(storms(7, 30, on_kubernetes), storms(8, 30, on_kubernetes));
        }
    }

    /// Over many seeds: the bounds that the ledger's rules rest on.
    #[test]
    fn a_plan_keeps_what_the_rules_of_the_ledger_need() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..300 {
            for (minutes, on_kubernetes) in [(2, false), (2, true), (10, true), (30, false), (30, true)] {
                let storms = storms(seed, minutes, on_kubernetes);
                let mut restarts = 0;
                let early = storms.iter().position(|storm| storm.measure == Some(Measure::Early)).unwrap();
                for (number, storm) in storms.iter().enumerate() {
                    for planned in &storm.faults {
                        seen.insert((
                            planned.victim,
                            format!("{:?}", planned.act).split('(').next().unwrap().to_owned(),
                        ));
                        let (ends, length) = match planned.act {
                            Act::Kill(down) | Act::Terminate(down) => (true, down),
                            Act::Stop(length) | Act::Fill(length) => (false, length),
                            Act::Step(by, length) => {
                                assert!(by.abs() > 3_600);
                                (false, length)
                            }
                        };
                        assert!(planned.after + length <= Duration::from_secs(40), "shorter than a retry");
                        let is_ours = matches!(planned.victim, Victim::Notariat | Victim::Standby);
                        assert!(!(ends && is_ours && number > early), "it lives from {early} on: {number}");
                        restarts += usize::from(ends && planned.victim == Victim::Ca);
                    }
                }
                assert!(restarts <= 3 && storms.last().unwrap().measure == Some(Measure::Late));
            }
        }
        assert!(seen.len() >= 3 * 7 + 2, "{seen:?}");
    }
}
