//! Circuit breakers with slots, one for each [`DnsTarget`]. A failing server is tried by one attempt at a time and less
//! and less often, and never takes all slots of a CA. Pure: the time is a parameter.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::clock::holds;
use crate::base::limits::WAIT_MAX;
use crate::base::retry::Backoff;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
pub use crate::dns::target::{DnsTarget, Unavailable};

/// The time after which the failures of an unused target are dropped: the zone may not be wanted any more.
const FAILURES_KEPT: Duration = Duration::from_secs(86_400);

/// The time without a call after failures in a row.
const OPEN: Backoff = Backoff::doubling(Duration::from_secs(60), Duration::from_secs(1800));

/// The time for which an attempt reserves the first call after a failure. Its CA may hang before the call, and others
/// wait.
const TRIAL_MAX: Duration = Duration::from_secs(60);

/// Tells whether a trial reserved at `since` is still in force. A time in the future was taken from a clock that was ahead.
fn is_credible_hold(since: Time, now: Time) -> bool {
    since <= now && now < since + TRIAL_MAX
}

/// The circuits of all targets.
#[derive(Debug, Default)]
pub struct CircuitSet {
    circuits: HashMap<DnsTarget, Circuit>,
}

#[derive(Debug, Default)]
struct Circuit {
    /// Failures since the last verified answer.
    failures: u32,
    open: Option<Opening>,
    /// The time at which an attempt reserved the first call after a failure.
    trial: Option<Time>,
    /// Attempts that use the server now, by the CA whose slot they take.
    calls: HashMap<SharedStr, OpenCalls>,
}

/// The time without calls after a failure.
#[derive(Clone, Copy, Debug)]
struct Opening {
    since: Time,
    until: Time,
}

impl Opening {
    /// True while the circuit is open. An opening that began in the future was made by a clock that was ahead, and would end as much too late.
    fn holds(&self, now: Time) -> bool {
        self.since <= now && holds(self.until, WAIT_MAX, now)
    }
}

#[derive(Debug, Default)]
struct OpenCalls {
    attempts: usize,
    /// Further calls of attempts that use the server already.
    further: usize,
}

/// The result of a call, as far as the circuit needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// A verified answer, also a refusal.
    Good,
    /// No answer, or one that proves nothing.
    Bad,
    /// The server was not asked, or not to the end.
    Unknown,
}

/// The terms on which an attempt asks for a slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Admission {
    /// The slots of one CA at one server.
    pub most: usize,
    /// The attempt uses the server already and takes no second slot: it would wait for itself.
    pub further: bool,
    /// The attempt has reserved the trial of this target.
    pub has_trial: bool,
}

impl CircuitSet {
    /// Tells whether an attempt for `ca` gets a slot.
    ///
    /// # Errors
    /// The reason why not.
    pub fn admits(&self, target: &DnsTarget, ca: &SharedStr, entry: Admission, now: Time) -> Result<(), Unavailable> {
        match self.circuits.get(target) {
            Some(Circuit { open: Some(opening), .. }) if opening.holds(now) => {
                return Err(Unavailable::Open(opening.until));
            }
            // After a failure, one attempt tries first.
            Some(Circuit { failures: 1.., trial: Some(since), .. })
                if !entry.has_trial && is_credible_hold(*since, now) =>
            {
                return Err(Unavailable::Trial);
            }
            Some(_) | None => {}
        }
        let at_server =
            self.circuits.iter().filter(|(l, _)| l.server == target.server).filter_map(|(_, g)| g.calls.get(ca));
        let at_server: usize = at_server.map(|calls| calls.attempts - calls.further).sum();
        if entry.further || at_server < entry.most { Ok(()) } else { Err(Unavailable::Full) }
    }

    /// Reserves the first call after a failure: no other attempt gets a slot until it is released. Returns whether
    /// there was a failure.
    ///
    /// # Errors
    /// The reason why the attempt gets no slot.
    pub fn reserve(&mut self, target: &DnsTarget, now: Time) -> Result<bool, Unavailable> {
        self.admits(target, &SharedStr::new(""), Admission { most: usize::MAX, ..Admission::default() }, now)?;
        let Some(circuit) = self.circuits.get_mut(target).filter(|circuit| circuit.failures > 0) else {
            return Ok(false);
        };
        circuit.trial = Some(now);
        Ok(true)
    }

    /// Ends the pause after failures, which stay counted: one attempt may reserve the next call at once.
    pub fn allow_trial(&mut self, target: &DnsTarget, now: Time) {
        if let Some(circuit) = self.circuits.get_mut(target) {
            // A time that is over, and not none: failures are remembered by it.
            circuit.open = circuit.open.map(|opening| Opening { until: opening.until.min(now), ..opening });
        }
    }

    /// The targets that failed since their last verified answer, with the number of failures in a row.
    pub fn failing(&self) -> Vec<(DnsTarget, u32)> {
        let failing = self.circuits.iter().filter(|(_, circuit)| circuit.failures > 0);
        failing.map(|(target, circuit)| (target.clone(), circuit.failures)).collect()
    }

    /// Releases a reserved trial.
    pub fn release(&mut self, target: &DnsTarget) {
        if let Some(circuit) = self.circuits.get_mut(target) {
            circuit.trial = None;
        }
    }

    /// Takes a slot under the conditions of [`CircuitSet::admits`].
    ///
    /// # Errors
    /// The reason why not.
    pub fn enter(
        &mut self,
        target: &DnsTarget,
        ca: &SharedStr,
        entry: Admission,
        now: Time,
    ) -> Result<(), Unavailable> {
        self.admits(target, ca, entry, now)?;
        let calls = self.circuits.entry(target.clone()).or_default().calls.entry(ca.clone()).or_default();
        calls.attempts += 1;
        calls.further += usize::from(entry.further);
        Ok(())
    }

    /// Gives a slot back with the result of the call. A failure blocks the target for 1, 2, 4 … 30 minutes; a verified
    /// answer ends that.
    pub fn leave(&mut self, target: &DnsTarget, ca: &SharedStr, further: bool, result: CallResult, now: Time) {
        let Some(circuit) = self.circuits.get_mut(target) else { return };
        if let Some(calls) = circuit.calls.get_mut(ca) {
            calls.attempts = calls.attempts.saturating_sub(1);
            calls.further = calls.further.saturating_sub(usize::from(further));
            if calls.attempts == 0 {
                circuit.calls.remove(ca);
            }
        }
        match result {
            CallResult::Good => (circuit.failures, circuit.open) = (0, None),
            // Attempts that started together fail together, which counts as one failure.
            CallResult::Bad if circuit.open.is_some_and(|opening| opening.holds(now)) => {}
            CallResult::Bad => {
                circuit.failures = circuit.failures.saturating_add(1);
                circuit.open = Some(Opening { since: now, until: now + OPEN.wait(circuit.failures) });
            }
            CallResult::Unknown => {}
        }
        let is_remembered = |circuit: &Circuit| circuit.open.is_some_and(|opening| opening.until + FAILURES_KEPT > now);
        self.circuits.retain(|_, circuit| {
            !circuit.calls.is_empty()
                || circuit.trial.is_some_and(|since| is_credible_hold(since, now))
                || is_remembered(circuit)
        });
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn target(server: u16, zone: &str) -> DnsTarget {
        DnsTarget { server: SocketAddr::from(([127, 0, 0, 1], server)), zone: zone.parse().unwrap(), key: None }
    }

    fn ca() -> SharedStr {
        SharedStr::new("https://ca.test/dir")
    }

    const OF_THREE: Admission = Admission { most: 3, further: false, has_trial: false };

    #[test]
    fn a_target_is_failing_until_its_next_verified_answer() {
        let (mut circuits, of) = (CircuitSet::default(), target(1, "a.test"));
        let mut call = |result, at| {
            circuits.enter(&of, &ca(), OF_THREE, at).unwrap();
            circuits.leave(&of, &ca(), false, result, at);
            circuits.failing()
        };
        let later = |minutes: u64| NOW + Duration::from_secs(60 * minutes);
        assert_eq!(call(CallResult::Bad, NOW), [(of.clone(), 1)]);
        assert_eq!(call(CallResult::Unknown, later(2)), [(of.clone(), 1)]);
        assert_eq!(call(CallResult::Bad, later(3)), [(of.clone(), 2)]);
        assert_eq!(call(CallResult::Good, later(30)), []);
        circuits.enter(&of, &ca(), OF_THREE, NOW).unwrap();
        assert_eq!(
            (circuits.failing(), circuits.reserve(&of, NOW)),
            (vec![], Ok(false)),
            "somebody is there, and nothing failed"
        );
    }

    #[test]
    fn never_all_places_of_a_ca_are_taken_by_one_server() {
        let mut circuits = CircuitSet::default();
        for zone in ["a.test", "b.test", "a.test"] {
            assert_eq!(circuits.enter(&target(1, zone), &ca(), OF_THREE, NOW), Ok(()));
        }
        assert_eq!(
            circuits.enter(&target(1, "c.test"), &ca(), OF_THREE, NOW),
            Err(Unavailable::Full),
            "whatever the zone"
        );
        assert_eq!(circuits.enter(&target(2, "a.test"), &ca(), OF_THREE, NOW), Ok(()));
        let other = SharedStr::new("https://other.test/dir");
        assert_eq!(
            circuits.enter(&target(1, "c.test"), &other, OF_THREE, NOW),
            Ok(()),
            "another CA has places of its own"
        );
        let further = Admission { further: true, ..OF_THREE };
        assert_eq!(circuits.enter(&target(1, "c.test"), &ca(), further, NOW), Ok(()), "it is there already");
        circuits.leave(&target(1, "b.test"), &ca(), false, CallResult::Unknown, NOW);
        assert_eq!(circuits.enter(&target(1, "c.test"), &ca(), OF_THREE, NOW), Ok(()));
        circuits.leave(&target(1, "c.test"), &ca(), true, CallResult::Unknown, NOW);
        assert_eq!(
            circuits.enter(&target(1, "c.test"), &ca(), OF_THREE, NOW),
            Err(Unavailable::Full),
            "three are left"
        );
    }

    #[test]
    fn after_a_failure_it_is_closed_ever_longer_and_one_goes_first() {
        let (mut circuits, bad, mut now) = (CircuitSet::default(), target(1, "a.test"), NOW);
        let trial = Admission { has_trial: true, ..OF_THREE };
        for minutes in [1, 2, 4, 8, 16, 30, 30, 30] {
            assert_eq!(circuits.reserve(&bad, now), Ok(minutes > 1), "a trial is held after a failure only");
            assert_eq!(circuits.enter(&bad, &ca(), trial, now), Ok(()));
            if minutes > 1 {
                assert_eq!(circuits.enter(&bad, &ca(), OF_THREE, now), Err(Unavailable::Trial), "one at a time");
                assert_eq!(circuits.reserve(&bad, now), Err(Unavailable::Trial), "one at a time");
            }
            circuits.leave(&bad, &ca(), false, CallResult::Bad, now);
            circuits.release(&bad);
            let until = now + Duration::from_secs(minutes * 60);
            assert_eq!(circuits.admits(&bad, &ca(), OF_THREE, now), Err(Unavailable::Open(until)));
            assert_eq!(circuits.reserve(&bad, now), Err(Unavailable::Open(until)));
            assert_eq!(
                circuits.admits(&target(1, "b.test"), &ca(), OF_THREE, now),
                Ok(()),
                "another zone is not closed"
            );
            now = until;
        }
        assert_eq!(circuits.reserve(&bad, now), Ok(true));
        circuits.release(&bad);
        assert_eq!(circuits.reserve(&bad, now), Ok(true), "who held it never asked the server");
        assert_eq!(circuits.reserve(&bad, now), Err(Unavailable::Trial));
        assert_eq!(circuits.reserve(&bad, now + TRIAL_MAX), Ok(true), "who holds it waits for a CA that hangs");
        assert_eq!(circuits.enter(&bad, &ca(), trial, now), Ok(()));
        circuits.leave(&bad, &ca(), false, CallResult::Good, now);
        circuits.release(&bad);
        assert_eq!(circuits.enter(&bad, &ca(), OF_THREE, now), Ok(()));
        assert_eq!(circuits.enter(&bad, &ca(), OF_THREE, now), Ok(()), "open again");
        for _ in 0..2 {
            circuits.leave(&bad, &ca(), false, CallResult::Bad, now);
        }
        let until = now + Duration::from_secs(60);
        assert_eq!(
            circuits.admits(&bad, &ca(), OF_THREE, now),
            Err(Unavailable::Open(until)),
            "counted anew, and both as one"
        );
    }

    #[test]
    fn a_person_may_have_one_call_tried_before_the_pause_is_over() {
        let (mut circuits, bad) = (CircuitSet::default(), target(1, "a.test"));
        let trial = Admission { has_trial: true, ..OF_THREE };
        for pause in [60, 120] {
            circuits.enter(&bad, &ca(), trial, NOW).unwrap();
            circuits.leave(&bad, &ca(), false, CallResult::Bad, NOW);
            circuits.release(&bad);
            let until = NOW + Duration::from_secs(pause);
            assert_eq!(circuits.admits(&bad, &ca(), OF_THREE, NOW), Err(Unavailable::Open(until)), "it failed again");
            circuits.allow_trial(&bad, NOW);
            assert_eq!(circuits.reserve(&bad, NOW), Ok(true));
            assert_eq!(circuits.enter(&bad, &ca(), OF_THREE, NOW), Err(Unavailable::Trial), "one, and not all");
        }
        circuits.allow_trial(&target(2, "a.test"), NOW);
        assert_eq!(circuits.circuits.len(), 1, "what never failed needs nothing");
    }

    #[test]
    fn what_a_clock_that_was_ahead_opened_is_open_no_longer_when_the_clock_is_set_back() {
        let (mut circuits, bad) = (CircuitSet::default(), target(1, "a.test"));
        let ahead = NOW + Duration::from_secs(7_200);
        circuits.enter(&bad, &ca(), OF_THREE, ahead).unwrap();
        circuits.leave(&bad, &ca(), false, CallResult::Bad, ahead);
        assert_eq!(circuits.reserve(&bad, ahead), Err(Unavailable::Open(ahead + Duration::from_secs(60))));
        assert_eq!(circuits.reserve(&bad, NOW), Ok(true), "one goes first all the same");
        let trial = Admission { has_trial: true, ..OF_THREE };
        circuits.enter(&bad, &ca(), trial, NOW).unwrap();
        circuits.leave(&bad, &ca(), false, CallResult::Bad, NOW);
        circuits.release(&bad);
        assert_eq!(
            circuits.reserve(&bad, NOW),
            Err(Unavailable::Open(NOW + Duration::from_secs(120))),
            "it failed again"
        );
    }

    #[test]
    fn gates_that_say_nothing_are_forgotten() {
        let mut circuits = CircuitSet::default();
        for i in 0..1000 {
            let target = target(1, &format!("z{i}.test"));
            circuits.enter(&target, &ca(), OF_THREE, NOW).unwrap();
            circuits.leave(&target, &ca(), false, CallResult::Good, NOW);
        }
        assert!(circuits.circuits.is_empty());
        circuits.leave(&target(1, "never.test"), &ca(), false, CallResult::Bad, NOW);
        circuits.release(&target(1, "never.test"));
        assert!(circuits.circuits.is_empty(), "nobody was in there");
        for i in 0..2_000 {
            let (target, now) = (target(1, &format!("z{i}.test")), NOW + Duration::from_secs(900) * i);
            circuits.enter(&target, &ca(), OF_THREE, now).unwrap();
            circuits.leave(&target, &ca(), false, CallResult::Bad, now);
        }
        assert!(circuits.circuits.len() < 100, "a day's failures: {}", circuits.circuits.len());
        let mut circuits = CircuitSet::default();
        circuits.enter(&target(1, "a.test"), &ca(), OF_THREE, NOW).unwrap();
        circuits.leave(&target(1, "a.test"), &ca(), false, CallResult::Bad, NOW);
        let forgotten = NOW + OPEN.wait(1) + FAILURES_KEPT;
        for (now, left) in [(forgotten - Duration::from_secs(1), 1), (forgotten, 0)] {
            circuits.enter(&target(1, "b.test"), &ca(), OF_THREE, now).unwrap();
            circuits.leave(&target(1, "b.test"), &ca(), false, CallResult::Good, now);
            assert_eq!(circuits.circuits.len(), left, "{now}");
        }
    }
}
