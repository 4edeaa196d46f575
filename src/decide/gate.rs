//! Gates before DNS servers: a dark or refusing one is asked by one attempt at a time and ever more seldom, and never takes all
//! workers. Pure: the time is a parameter.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::clock::holds;
use crate::limits::WAIT_MAX;
use crate::name::{DnsName, ObjectRef};
use crate::time::Time;

/// What may fail together: an update server, a zone on it, the key that signs for it; or a server that is only asked about a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The server that is tried first.
    pub server: SocketAddr,
    /// The zone; the name where its zone is asked for.
    pub zone: DnsName,
    /// The Secret of the key; none where nothing is to be written.
    pub key: Option<ObjectRef>,
}

/// All gates.
#[derive(Debug, Default)]
pub struct Gates {
    lanes: HashMap<Lane, Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    /// Failures since the last success.
    failures: u32,
    closed_until: Option<Time>,
    /// Attempts that are in there now.
    inside: usize,
    /// Those of them that were at its server before.
    further: usize,
}

/// Why an attempt may not go in now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// It failed lately: until then.
    Closed(Time),
    /// Enough are in there: until one of them comes out.
    Full,
}

/// How an attempt ended for a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// The server did what was asked.
    Good,
    /// It did not.
    Bad,
    /// It was not asked, or not to the end.
    Unknown,
}

impl Gates {
    /// Whether an attempt may go in, with at most `most` at one server.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, lane: &Lane, most: usize, now: Time) -> Result<(), Barred> {
        let at_server = self.lanes.iter().filter(|(l, _)| l.server == lane.server).map(|(_, g)| g.inside - g.further);
        let at_server: usize = at_server.sum();
        match self.lanes.get(lane) {
            Some(Gate { closed_until: Some(until), .. }) if holds(*until, WAIT_MAX, now) => Err(Barred::Closed(*until)),
            // After a failure one goes first.
            Some(Gate { failures: 1.., inside: 1.., .. }) => Err(Barred::Full),
            Some(_) | None if at_server >= most => Err(Barred::Full),
            Some(_) | None => Ok(()),
        }
    }

    /// Goes in; as [`Gates::admits`]. An attempt that is at the server already goes `further` there: it is counted once, for it would
    /// wait for itself.
    ///
    /// # Errors
    /// Why not.
    pub fn enter(&mut self, lane: &Lane, most: usize, further: bool, now: Time) -> Result<(), Barred> {
        self.admits(lane, if further { usize::MAX } else { most }, now)?;
        let gate = self.lanes.entry(lane.clone()).or_default();
        gate.inside += 1;
        gate.further += usize::from(further);
        Ok(())
    }

    /// Comes out. A failure closes the gate for 1, 2, 4 … 30 minutes, a success opens it.
    pub fn leave(&mut self, lane: &Lane, further: bool, passage: Passage, now: Time) {
        let Some(gate) = self.lanes.get_mut(lane) else { return };
        gate.inside = gate.inside.saturating_sub(1);
        gate.further = gate.further.saturating_sub(usize::from(further));
        match passage {
            Passage::Good => (gate.failures, gate.closed_until) = (0, None),
            Passage::Bad => {
                let wait = Duration::from_secs(60) * 2u32.pow(gate.failures.min(5));
                gate.failures = gate.failures.saturating_add(1);
                gate.closed_until = Some(now + wait.min(Duration::from_secs(1800)));
            }
            Passage::Unknown => {}
        }
        self.lanes.retain(|_, gate| gate.inside > 0 || gate.failures > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn lane(server: u16, zone: &str) -> Lane {
        Lane { server: SocketAddr::from(([127, 0, 0, 1], server)), zone: zone.parse().unwrap(), key: None }
    }

    #[test]
    fn never_all_workers_are_at_one_server() {
        let mut gates = Gates::default();
        for zone in ["a.test", "b.test", "a.test"] {
            assert_eq!(gates.enter(&lane(1, zone), 3, false, NOW), Ok(()));
        }
        assert_eq!(gates.enter(&lane(1, "c.test"), 3, false, NOW), Err(Barred::Full), "whatever the zone");
        assert_eq!(gates.enter(&lane(2, "a.test"), 3, false, NOW), Ok(()));
        assert_eq!(gates.enter(&lane(1, "c.test"), 3, true, NOW), Ok(()), "it is there already");
        gates.leave(&lane(1, "b.test"), false, Passage::Unknown, NOW);
        assert_eq!(gates.enter(&lane(1, "c.test"), 3, false, NOW), Ok(()));
        gates.leave(&lane(1, "c.test"), true, Passage::Unknown, NOW);
        assert_eq!(gates.enter(&lane(1, "c.test"), 3, false, NOW), Err(Barred::Full), "three are left");
    }

    #[test]
    fn after_a_failure_it_is_closed_ever_longer_and_one_goes_first() {
        let (mut gates, bad, mut now) = (Gates::default(), lane(1, "a.test"), NOW);
        for minutes in [1, 2, 4, 8, 16, 30, 30, 30] {
            assert_eq!(gates.enter(&bad, 3, false, now), Ok(()));
            if minutes > 1 {
                assert_eq!(gates.enter(&bad, 3, false, now), Err(Barred::Full), "one at a time");
            }
            gates.leave(&bad, false, Passage::Bad, now);
            let until = now + Duration::from_secs(minutes * 60);
            assert_eq!(gates.admits(&bad, 3, now), Err(Barred::Closed(until)));
            assert_eq!(gates.admits(&lane(1, "b.test"), 3, now), Ok(()), "another zone is not closed");
            now = until;
        }
        assert_eq!(gates.enter(&bad, 3, false, now), Ok(()));
        gates.leave(&bad, false, Passage::Good, now);
        assert_eq!(gates.enter(&bad, 3, false, now), Ok(()));
        assert_eq!(gates.enter(&bad, 3, false, now), Ok(()), "open again");
        gates.leave(&bad, false, Passage::Bad, now);
        assert_eq!(gates.admits(&bad, 3, now), Err(Barred::Closed(now + Duration::from_secs(60))), "counted anew");
    }

    #[test]
    fn gates_that_say_nothing_are_forgotten() {
        let mut gates = Gates::default();
        for i in 0..1000 {
            let lane = lane(1, &format!("z{i}.test"));
            gates.enter(&lane, 3, false, NOW).unwrap();
            gates.leave(&lane, false, Passage::Good, NOW);
        }
        assert!(gates.lanes.is_empty());
        gates.leave(&lane(1, "never.test"), false, Passage::Bad, NOW);
        assert!(gates.lanes.is_empty(), "nobody was in there");
    }
}
