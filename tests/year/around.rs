//! The events around an attempt: failure, crash and restart, clean-up of the record, restore of a Secret, and
//! interference by people.

use std::collections::HashMap;
use std::time::Duration;

use notariat::base::limits::SHORT_LIVED;
use notariat::base::name::DnsName;
use notariat::base::time::Time;
use notariat::cert::facts::sha256;
use notariat::issuance::AttemptError;
use notariat::issuance::rate_limits::RateLimits;
use notariat::issuance::renewal_schedule::RenewalInfoSchedule;
use notariat::policy::backoff::next_attempt;
use notariat::policy::ca_limits::{RateLimitBlock, Scope, failed_too_often};
use notariat::policy::circuit::CircuitSet;
use notariat::policy::renewal_window::RenewalWindow;
use notariat::policy::secret_state::SecretState;
use notariat::record::Record;

use crate::attempt::End;
use crate::ca::{DIRECTORY, HOUR};
use crate::controller::{Event, Simulation};
use crate::trouble::Trouble;

/// The limits that the process learned (issuance/rate_limits.rs); a crash loses them.
#[derive(Default)]
pub struct Learned {
    failures: HashMap<DnsName, Vec<Time>>,
    not_understood: Option<(Time, usize)>,
}

impl Simulation {
    /// Mirrors the worker's handling of a failed attempt (worker/results.rs).
    pub fn failed(&mut self, i: usize, claim: &mut Record, failed: AttemptError) -> Result<AttemptError, End> {
        let now = self.now;
        let taken = claim.body.in_flight.as_ref().is_some_and(|f| f.holder == self.holder);
        if failed.barred.is_some() && !taken {
            return Ok(failed);
        }
        match &mut claim.body.in_flight {
            Some(flight) => flight.holder.clear(),
            None => claim.next_key = None,
        }
        if !failed.uncounted {
            self.tally.failures += 1;
            let certificate = &self.certificates[i];
            let short_lived = certificate.facts().is_some_and(|f| f.lifetime() < SHORT_LIVED);
            let history = claim.body.history_mut(&certificate.names, DIRECTORY, now);
            history.failures = history.failures.saturating_add(1);
            (history.stage, history.error) = (Some(failed.stage), Some(failed.error.clone()));
            history.inputs = "inputs".to_owned();
            let seed = certificate.entry.main_secret().to_string();
            let next = next_attempt(now, failed.severity, history.failures, short_lived, failed.retry_after, &seed);
            history.wait(now, next);
        }
        match self.save(i, claim) {
            Err(End::Crashed) => Err(End::Crashed),
            Err(End::Failed(_)) | Ok(()) => Ok(failed),
        }
    }

    /// Mirrors how rate limits are learned (issuance/rate_limits.rs).
    pub fn learn(&mut self, i: usize, failed: &AttemptError) {
        let now = self.now;
        let Some(new) = self.gate_of(i, failed) else { return };
        let mut gates: Vec<RateLimitBlock> = serde_json::from_slice(&self.kept_gates).expect("gates read back");
        gates.retain(|gate| gate.until > now && gate.scope != new.scope);
        gates.push(new);
        if failed.limit.as_ref().is_none_or(|limit| !limit.passing) {
            self.kept_gates = serde_json::to_vec(&gates).expect("gates are plain data");
        }
        self.limits.remember(&self.account, gates);
    }

    fn gate_of(&mut self, i: usize, failed: &AttemptError) -> Option<RateLimitBlock> {
        let now = self.now;
        for name in &failed.not_validated {
            let times = self.learned.failures.entry(name.clone()).or_default();
            times.retain(|at| *at + HOUR > now);
            times.push(now);
            if let Some(until) = failed_too_often(times, now) {
                return Some(RateLimitBlock {
                    scope: Scope::Name(name.clone()),
                    since: Some(now),
                    until,
                    said: String::new(),
                });
            }
        }
        let limit = failed.limit.as_ref()?;
        let scope = match &limit.scope {
            Scope::NameSet => {
                let before = self.learned.not_understood.replace((now, i));
                let (at, other) = before.filter(|_| !limit.passing)?;
                let same = at + Duration::from_secs(600) > now && other != i && !failed.error.contains("exact set");
                same.then_some(Scope::Account)?
            }
            known => known.clone(),
        };
        Some(RateLimitBlock { scope, since: Some(now), until: limit.until, said: failed.error.clone() })
    }

    /// Loses everything in memory and reads the records back. Half of the starts are on another host.
    pub fn crash(&mut self) {
        self.tally.crashes += 1;
        let trouble = self.trouble.as_mut().expect("nothing crashes without trouble");
        let down = match trouble.rng.below(20) {
            0 => trouble.rng.within(HOUR, HOUR * 12),
            _ => trouble.rng.within(Duration::from_secs(1), Duration::from_secs(600)),
        };
        let start = self.now + down;
        let host = if trouble.rng.below(2) == 0 { 0 } else { self.tally.crashes };
        self.holder = format!("pod-{host}/{}", self.tally.crashes + 1);
        self.questions = RenewalInfoSchedule::new(start, true);
        (self.limits, self.learned, self.gates) = (RateLimits::default(), Learned::default(), CircuitSet::default());
        self.forget_queue(start);
        for i in 0..self.certificates.len() {
            let record = self.open(i);
            let form = record.body.accepted.as_ref().and_then(|accepted| accepted.read(&"team".into()));
            assert_eq!(form.map(|form| form.entry).as_ref(), Some(&self.certificates[i].entry), "it reads back");
            self.certificates[i].record = record;
            self.look_at(i, start);
        }
    }

    /// Mirrors the clean-up of a record (worker/clean_up.rs).
    pub fn tidy(&mut self, i: usize) {
        let mut claim = self.begin(i);
        if let Some(until) = self.held_by_another(&claim) {
            self.close(i, claim);
            return self.look_at(i, until);
        }
        let key = claim.next_key.take();
        let held = self.certificates[i].facts().map(|f| f.public_key);
        if key.is_some_and(|key| Some(sha256(key.expose())) == held) {
            self.remember(i, &mut claim);
        }
        claim.body.in_flight = None;
        let saved = self.save(i, &mut claim);
        self.after(i, claim, saved);
    }

    /// Mirrors the restore of a Secret (worker).
    pub fn restore(&mut self, i: usize) {
        let mut claim = self.begin(i);
        if let Some(until) = self.held_by_another(&claim) {
            self.close(i, claim);
            return self.look_at(i, until);
        }
        let now = self.now;
        let serial = claim.copy.as_ref().map(|copy| String::from_utf8_lossy(&copy.chain).into_owned());
        claim.body.restores.retain(|t| *t + HOUR > now);
        claim.body.restores.push(now);
        let saved = self.save(i, &mut claim);
        let stored = saved.and_then(|()| self.store(i, &serial.unwrap_or_default()));
        self.tally.restores += u64::from(stored.is_ok());
        self.after(i, claim, stored);
    }

    pub fn save_window(&mut self, i: usize, window: Option<RenewalWindow>) {
        let mut claim = self.begin(i);
        claim.body.window = window;
        let saved = self.save(i, &mut claim);
        self.after(i, claim, saved);
    }

    fn after(&mut self, i: usize, claim: Record, result: Result<(), End>) {
        self.close(i, claim);
        let cut = self.trouble.as_mut().is_some_and(Trouble::left_over);
        match result {
            _ if cut => self.crash(),
            Err(End::Crashed) => self.crash(),
            Err(End::Failed(_)) => self.look_at(i, self.now + Duration::from_secs(30)),
            Ok(()) => self.look_at(i, self.now + Duration::from_secs(1)),
        }
    }

    pub fn delete(&mut self, i: usize) {
        self.certificates[i].held = [SecretState::Missing];
        self.notice(i);
    }

    /// Puts an expired certificate back, as another program would.
    pub fn overwrite(&mut self, i: usize) {
        let Some((facts, period, _)) = self.certificates[i].enemy.clone().filter(|h| h.2 > self.now) else {
            return;
        };
        self.at(self.now + period, Event::Overwrite(i));
        if self.certificates[i].facts().is_some_and(|held| held.serial == facts.serial) {
            return;
        }
        self.certificates[i].hold(facts);
        self.notice(i);
    }

    /// The controller looks at everything at least each 30 s.
    fn notice(&mut self, i: usize) {
        if !self.certificates[i].reserved && !self.is_down() {
            let pause = self.rng.within(Duration::from_secs(1), Duration::from_secs(30));
            self.look_at(i, self.now + pause);
        }
    }
}
