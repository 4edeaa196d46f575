//! Circuit breakers with places, one for each (update server, zone, key): a dark or refusing server is asked by one attempt at a time and
//! ever more seldom, and never takes all places of a CA. Pure: the time is a parameter.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::clock::holds;
use crate::base::limits::WAIT_MAX;
use crate::base::retry::Backoff;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
pub use crate::dns::target::{DnsTarget, Unavailable};

/// How long after a circuit could open again its failures are remembered, when nobody tries: the zone may not be wanted any more.
const FAILURES_KEPT: Duration = Duration::from_secs(86_400);

/// How long a circuit stays open after failures in a row.
const OPEN: Backoff = Backoff::doubling(Duration::from_secs(60), Duration::from_secs(1800));

/// How long an attempt keeps the first try for itself. Its CA may hang before it comes to the server, and others wait.
const TRIAL_MAX: Duration = Duration::from_secs(60);

/// Whether a trial that was given at `since` is still held; not one of a clock that was ahead.
fn is_credible_hold(since: Time, now: Time) -> bool {
    since <= now && now < since + TRIAL_MAX
}

/// All circuits.
#[derive(Debug, Default)]
pub struct CircuitSet {
    lanes: HashMap<DnsTarget, Circuit>,
}

#[derive(Debug, Default)]
struct Circuit {
    /// Failures since the last verified answer.
    failures: u32,
    closed_until: Option<Time>,
    /// Since when an attempt holds the right to the first try after a failure.
    trial: Option<Time>,
    /// Attempts that talk to the server now, by the CA whose place they take.
    inside: HashMap<SharedStr, OpenCalls>,
}

#[derive(Debug, Default)]
struct OpenCalls {
    attempts: usize,
    /// Those of them that were at its server before.
    further: usize,
}

/// How an attempt ended for a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// The server gave a verified answer, be it a refusal.
    Good,
    /// It gave none, or one that proves nothing.
    Bad,
    /// It was not asked, or not to the end.
    Unknown,
}

/// How an attempt goes in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Admission {
    /// At most so many attempts of one CA are at one server.
    pub most: usize,
    /// The same attempt is at the server already and is counted once, for it would wait for itself.
    pub further: bool,
    /// The attempt holds the trial of this lane.
    pub has_trial: bool,
}

impl CircuitSet {
    /// Whether an attempt for `ca` may go in.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, lane: &DnsTarget, ca: &SharedStr, entry: Admission, now: Time) -> Result<(), Unavailable> {
        match self.lanes.get(lane) {
            Some(Circuit { closed_until: Some(until), .. }) if holds(*until, WAIT_MAX, now) => {
                return Err(Unavailable::Closed(*until));
            }
            // After a failure one goes first.
            Some(Circuit { failures: 1.., trial: Some(since), .. })
                if !entry.has_trial && is_credible_hold(*since, now) =>
            {
                return Err(Unavailable::Trial);
            }
            Some(_) | None => {}
        }
        let at_server =
            self.lanes.iter().filter(|(l, _)| l.server == lane.server).filter_map(|(_, g)| g.inside.get(ca));
        let at_server: usize = at_server.map(|inside| inside.attempts - inside.further).sum();
        if entry.further || at_server < entry.most { Ok(()) } else { Err(Unavailable::Full) }
    }

    /// Gives an attempt the trial of a lane whose last try failed: it is the only one to go in there until it is over. Returns whether
    /// there is one to hold.
    ///
    /// # Errors
    /// Why the attempt may not go in.
    pub fn reserve(&mut self, lane: &DnsTarget, now: Time) -> Result<bool, Unavailable> {
        self.admits(lane, &SharedStr::new(""), Admission { most: usize::MAX, ..Admission::default() }, now)?;
        let Some(gate) = self.lanes.get_mut(lane).filter(|gate| gate.failures > 0) else { return Ok(false) };
        gate.trial = Some(now);
        Ok(true)
    }

    /// The attempt that held the trial is over.
    pub fn release(&mut self, lane: &DnsTarget) {
        if let Some(gate) = self.lanes.get_mut(lane) {
            gate.trial = None;
        }
    }

    /// Goes in; as [`CircuitSet::admits`].
    ///
    /// # Errors
    /// Why not.
    pub fn enter(&mut self, lane: &DnsTarget, ca: &SharedStr, entry: Admission, now: Time) -> Result<(), Unavailable> {
        self.admits(lane, ca, entry, now)?;
        let inside = self.lanes.entry(lane.clone()).or_default().inside.entry(ca.clone()).or_default();
        inside.attempts += 1;
        inside.further += usize::from(entry.further);
        Ok(())
    }

    /// Comes out. A failure closes the circuit for 1, 2, 4 … 30 minutes, a verified answer opens it.
    pub fn leave(&mut self, lane: &DnsTarget, ca: &SharedStr, further: bool, passage: CallResult, now: Time) {
        let Some(gate) = self.lanes.get_mut(lane) else { return };
        if let Some(inside) = gate.inside.get_mut(ca) {
            inside.attempts = inside.attempts.saturating_sub(1);
            inside.further = inside.further.saturating_sub(usize::from(further));
            if inside.attempts == 0 {
                gate.inside.remove(ca);
            }
        }
        match passage {
            CallResult::Good => (gate.failures, gate.closed_until) = (0, None),
            // Attempts that went in together fail together, which is one failure.
            CallResult::Bad if gate.closed_until.is_some_and(|until| until > now) => {}
            CallResult::Bad => {
                gate.failures = gate.failures.saturating_add(1);
                gate.closed_until = Some(now + OPEN.wait(gate.failures));
            }
            CallResult::Unknown => {}
        }
        let is_remembered = |gate: &Circuit| gate.closed_until.is_some_and(|until| until + FAILURES_KEPT > now);
        self.lanes.retain(|_, gate| {
            !gate.inside.is_empty()
                || gate.trial.is_some_and(|since| is_credible_hold(since, now))
                || is_remembered(gate)
        });
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn lane(server: u16, zone: &str) -> DnsTarget {
        DnsTarget { server: SocketAddr::from(([127, 0, 0, 1], server)), zone: zone.parse().unwrap(), key: None }
    }

    fn ca() -> SharedStr {
        SharedStr::new("https://ca.test/dir")
    }

    const OF_THREE: Admission = Admission { most: 3, further: false, has_trial: false };

    #[test]
    fn never_all_places_of_a_ca_are_taken_by_one_server() {
        let mut gates = CircuitSet::default();
        for zone in ["a.test", "b.test", "a.test"] {
            assert_eq!(gates.enter(&lane(1, zone), &ca(), OF_THREE, NOW), Ok(()));
        }
        assert_eq!(gates.enter(&lane(1, "c.test"), &ca(), OF_THREE, NOW), Err(Unavailable::Full), "whatever the zone");
        assert_eq!(gates.enter(&lane(2, "a.test"), &ca(), OF_THREE, NOW), Ok(()));
        let other = SharedStr::new("https://other.test/dir");
        assert_eq!(gates.enter(&lane(1, "c.test"), &other, OF_THREE, NOW), Ok(()), "another CA has places of its own");
        let further = Admission { further: true, ..OF_THREE };
        assert_eq!(gates.enter(&lane(1, "c.test"), &ca(), further, NOW), Ok(()), "it is there already");
        gates.leave(&lane(1, "b.test"), &ca(), false, CallResult::Unknown, NOW);
        assert_eq!(gates.enter(&lane(1, "c.test"), &ca(), OF_THREE, NOW), Ok(()));
        gates.leave(&lane(1, "c.test"), &ca(), true, CallResult::Unknown, NOW);
        assert_eq!(gates.enter(&lane(1, "c.test"), &ca(), OF_THREE, NOW), Err(Unavailable::Full), "three are left");
    }

    #[test]
    fn after_a_failure_it_is_closed_ever_longer_and_one_goes_first() {
        let (mut gates, bad, mut now) = (CircuitSet::default(), lane(1, "a.test"), NOW);
        let trial = Admission { has_trial: true, ..OF_THREE };
        for minutes in [1, 2, 4, 8, 16, 30, 30, 30] {
            assert_eq!(gates.reserve(&bad, now), Ok(minutes > 1), "a trial is held after a failure only");
            assert_eq!(gates.enter(&bad, &ca(), trial, now), Ok(()));
            if minutes > 1 {
                assert_eq!(gates.enter(&bad, &ca(), OF_THREE, now), Err(Unavailable::Trial), "one at a time");
                assert_eq!(gates.reserve(&bad, now), Err(Unavailable::Trial), "one at a time");
            }
            gates.leave(&bad, &ca(), false, CallResult::Bad, now);
            gates.release(&bad);
            let until = now + Duration::from_secs(minutes * 60);
            assert_eq!(gates.admits(&bad, &ca(), OF_THREE, now), Err(Unavailable::Closed(until)));
            assert_eq!(gates.reserve(&bad, now), Err(Unavailable::Closed(until)));
            assert_eq!(gates.admits(&lane(1, "b.test"), &ca(), OF_THREE, now), Ok(()), "another zone is not closed");
            now = until;
        }
        assert_eq!(gates.reserve(&bad, now), Ok(true));
        gates.release(&bad);
        assert_eq!(gates.reserve(&bad, now), Ok(true), "who held it never asked the server");
        assert_eq!(gates.reserve(&bad, now), Err(Unavailable::Trial));
        assert_eq!(gates.reserve(&bad, now + TRIAL_MAX), Ok(true), "who holds it waits for a CA that hangs");
        assert_eq!(gates.enter(&bad, &ca(), trial, now), Ok(()));
        gates.leave(&bad, &ca(), false, CallResult::Good, now);
        gates.release(&bad);
        assert_eq!(gates.enter(&bad, &ca(), OF_THREE, now), Ok(()));
        assert_eq!(gates.enter(&bad, &ca(), OF_THREE, now), Ok(()), "open again");
        for _ in 0..2 {
            gates.leave(&bad, &ca(), false, CallResult::Bad, now);
        }
        let until = now + Duration::from_secs(60);
        assert_eq!(
            gates.admits(&bad, &ca(), OF_THREE, now),
            Err(Unavailable::Closed(until)),
            "counted anew, and both as one"
        );
    }

    #[test]
    fn gates_that_say_nothing_are_forgotten() {
        let mut gates = CircuitSet::default();
        for i in 0..1000 {
            let lane = lane(1, &format!("z{i}.test"));
            gates.enter(&lane, &ca(), OF_THREE, NOW).unwrap();
            gates.leave(&lane, &ca(), false, CallResult::Good, NOW);
        }
        assert!(gates.lanes.is_empty());
        gates.leave(&lane(1, "never.test"), &ca(), false, CallResult::Bad, NOW);
        gates.release(&lane(1, "never.test"));
        assert!(gates.lanes.is_empty(), "nobody was in there");
        for i in 0..100_000 {
            let (lane, now) = (lane(1, &format!("z{i}.test")), NOW + Duration::from_secs(900) * i);
            gates.enter(&lane, &ca(), OF_THREE, now).unwrap();
            gates.leave(&lane, &ca(), false, CallResult::Bad, now);
        }
        assert!(gates.lanes.len() < 100, "a day's failures: {}", gates.lanes.len());
    }
}
