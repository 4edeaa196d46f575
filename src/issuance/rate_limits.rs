//! The rate limits that CAs announced with status 429 or 503. Kept in the Secret of the account, so that neither a restart nor another replica
//! repeats a refused request.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::AttemptError;
use crate::base::limits::{CLOSED_GATES_MAX, LIMITS_KEPT_MIN};
use crate::base::log::event;
use crate::base::name::{DnsName, Domain, ObjectRef};
use crate::base::time::{self, Time};
use crate::policy::ca_limits::{RateLimitBlock, Scope, closed, failed_too_often};

/// The rate limits of all accounts.
#[derive(Debug, Default)]
pub struct RateLimits(Mutex<RateLimitState>);

#[derive(Debug, Default)]
struct RateLimitState {
    /// The limits that the accounts' Secrets keep.
    gates: HashMap<ObjectRef, Vec<RateLimitBlock>>,
    /// The limits of overloaded CAs, which no Secret keeps.
    passing: HashMap<ObjectRef, RateLimitBlock>,
    /// The times of failed validations of a name within the last hour.
    failures: HashMap<DnsName, Vec<Time>>,
    /// The time and the names of the last refusal with an unknown text.
    not_understood: HashMap<ObjectRef, (Time, Vec<Domain>)>,
    /// The number of entries from which ended ones are searched.
    prune_at: usize,
}

impl RateLimitState {
    /// Drops entries that ended, each time their number has doubled.
    fn prune(&mut self, now: Time) {
        let count = |state: &RateLimitState| {
            state.gates.len() + state.passing.len() + state.failures.len() + state.not_understood.len()
        };
        if count(self) <= self.prune_at.max(LIMITS_KEPT_MIN) {
            return;
        }
        self.gates.retain(|_, gates| {
            gates.retain(|gate| gate.until > now);
            !gates.is_empty()
        });
        self.passing.retain(|_, gate| gate.until > now);
        self.failures.retain(|_, times| times.iter().any(|at| *at + FAILURE_KEPT > now));
        self.not_understood.retain(|_, (at, _)| *at + SAME_REFUSAL > now);
        self.prune_at = 2 * count(self);
    }
}

/// The time for which a failed validation counts.
const FAILURE_KEPT: Duration = Duration::from_secs(3600);

/// Two refusals with unknown texts for different names within this time are taken for a limit of the account.
const SAME_REFUSAL: Duration = Duration::from_secs(600);

impl RateLimits {
    /// The limit that applies to an order of these names with this account.
    pub fn closed(&self, account: &ObjectRef, names: &[Domain], now: Time) -> Option<RateLimitBlock> {
        let state = self.state();
        let kept = state.gates.get(account).and_then(|gates| closed(gates, names, now));
        let passing = state.passing.get(account).filter(|gate| gate.until > now);
        kept.into_iter().chain(passing).max_by_key(|gate| gate.until).cloned()
    }

    /// The time until which a limit applies to all orders of the account.
    pub fn closed_to_all(&self, account: &ObjectRef, now: Time) -> Option<Time> {
        let state = self.state();
        let kept = state.gates.get(account).into_iter().flatten().filter(|gate| gate.scope == Scope::Account);
        let until = kept.chain(state.passing.get(account)).map(|gate| gate.until).max();
        until.filter(|until| *until > now)
    }

    /// Tells whether no limit is known.
    pub fn is_open(&self) -> bool {
        let state = self.state();
        state.gates.is_empty() && state.passing.is_empty()
    }

    /// Adds the limits in an account's Secret.
    pub fn remember(&self, account: &ObjectRef, mut gates: Vec<RateLimitBlock>) {
        let (mut state, now) = (self.state(), time::now());
        // A limit that could not be written there holds as well.
        let known = state.gates.remove(account).unwrap_or_default();
        gates.extend(known.into_iter().filter(|gate| gate.until > now && !gates.contains(gate)).collect::<Vec<_>>());
        if !gates.is_empty() {
            state.gates.insert(account.clone(), gates);
        }
    }

    /// Notes the limit that a failed attempt announces. `keep` writes the limits into the account's Secret.
    pub fn learn(
        &self,
        account: &ObjectRef,
        names: &[Domain],
        failed: &AttemptError,
        keep: impl FnOnce(&[RateLimitBlock]) -> Result<(), AttemptError>,
    ) {
        let now = time::now();
        let Some(new) = self.judge(account, names, failed, now) else { return };
        event!(
            warn,
            "gate-closed",
            account = account,
            scope = format!("{:?}", new.scope),
            until = new.until,
            said = new.said
        );
        let gates = {
            let mut state = self.state();
            if failed.limit.as_ref().is_some_and(|limit| limit.passing) {
                state.passing.insert(account.clone(), new);
                return;
            }
            let gates = state.gates.entry(account.clone()).or_default();
            gates.retain(|gate| gate.until > now && gate.scope != new.scope);
            gates.push(new);
            gates.sort_by_key(|gate| std::cmp::Reverse(gate.until));
            gates.truncate(CLOSED_GATES_MAX);
            gates.clone()
        };
        if let Err(e) = keep(&gates) {
            event!(warn, "gates-not-kept", account = account, error = e.error);
        }
    }

    /// The limit that a failure announces.
    fn judge(&self, account: &ObjectRef, names: &[Domain], failed: &AttemptError, now: Time) -> Option<RateLimitBlock> {
        let mut state = self.state();
        state.prune(now);
        for name in &failed.not_validated {
            let times = state.failures.entry(name.clone()).or_default();
            times.retain(|at| *at + FAILURE_KEPT > now);
            times.push(now);
            if let Some(until) = failed_too_often(times, now) {
                let said = format!("the validation of {name} failed {} times within an hour", times.len());
                return Some(RateLimitBlock { scope: Scope::Name(name.clone()), since: Some(now), until, said });
            }
        }
        let limit = failed.limit.as_ref()?;
        let scope = match &limit.scope {
            Scope::NameSet => {
                let before = state.not_understood.insert(account.clone(), (now, names.to_vec()));
                let (at, other) = before.filter(|_| !limit.passing)?;
                (at + SAME_REFUSAL > now && other != names && !failed.error.contains("exact set"))
                    .then_some(Scope::Account)?
            }
            known => known.clone(),
        };
        Some(RateLimitBlock { scope, since: Some(now), until: limit.until, said: failed.error.clone() })
    }

    fn state(&self) -> MutexGuard<'_, RateLimitState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuance::error::RateLimit;
    use crate::policy::backoff::{RetryClass, Stage};

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn refused(scope: Scope, passing: bool) -> AttemptError {
        let limit = Some(Box::new(RateLimit { scope, until: NOW + Duration::from_secs(7200), passing }));
        AttemptError { limit, ..AttemptError::new(Stage::Order, RetryClass::Transient, "too many".to_owned()) }
    }

    #[test]
    fn a_refusal_that_is_not_understood_is_the_accounts_when_two_name_sets_meet_it() {
        let (limits, account) = (RateLimits::default(), ObjectRef::parse("a", "ns").unwrap());
        let names = |name: &str| vec![Domain::parse(name).unwrap()];
        let scope =
            |name: &str, failed: &AttemptError, now| limits.judge(&account, &names(name), failed, now).map(|c| c.scope);
        let odd = refused(Scope::NameSet, false);
        assert_eq!(scope("a.test", &odd, NOW), None);
        assert_eq!(scope("a.test", &odd, NOW), None, "the same names again");
        assert_eq!(scope("b.test", &odd, NOW + Duration::from_secs(601)), None, "too long ago");
        assert_eq!(scope("c.test", &odd, NOW + Duration::from_secs(700)), Some(Scope::Account));
        assert_eq!(scope("a.test", &refused(Scope::Account, true), NOW), Some(Scope::Account));
        let exact = AttemptError { error: "for this exact set of identifiers".to_owned(), ..odd };
        assert_eq!(scope("d.test", &exact, NOW + Duration::from_secs(701)), None);
    }

    #[test]
    fn a_name_rests_after_four_failed_validations_within_an_hour_over_all_certificates() {
        let (limits, account) = (RateLimits::default(), ObjectRef::parse("a", "ns").unwrap());
        let name: DnsName = "a.test".parse().unwrap();
        let failed = AttemptError {
            not_validated: vec![name.clone()],
            ..AttemptError::new(Stage::Validation, RetryClass::Validation, "no".to_owned())
        };
        for minute in [0, 10, 20] {
            assert_eq!(limits.judge(&account, &[], &failed, NOW + Duration::from_secs(60 * minute)), None);
        }
        let closed = limits.judge(&account, &[], &failed, NOW + Duration::from_secs(1800)).unwrap();
        assert_eq!((closed.scope, closed.until), (Scope::Name(name), NOW + Duration::from_secs(3600)));
    }
    #[test]
    fn a_hundred_thousand_names_and_accounts_that_fail_once_are_forgotten() {
        let limits = RateLimits::default();
        for i in 0..100_000_u32 {
            let (account, now) = (ObjectRef::new("ns", &format!("a{i}")), NOW + Duration::from_secs(60 * u64::from(i)));
            let name: DnsName = format!("n{i}.test").parse().unwrap();
            let failed = AttemptError { not_validated: vec![name.clone()], ..refused(Scope::NameSet, false) };
            limits.judge(&account, &[Domain::parse(name.as_str()).unwrap()], &failed, now);
            let gate = |until| RateLimitBlock { scope: Scope::Account, since: None, until, said: "x".to_owned() };
            let mut state = limits.state();
            state.passing.insert(account.clone(), gate(now + Duration::from_secs(60)));
            state.gates.insert(account, vec![gate(now + Duration::from_secs(600))]);
        }
        let state = limits.state();
        let count = state.gates.len() + state.passing.len() + state.failures.len() + state.not_understood.len();
        assert!(count <= 2 * LIMITS_KEPT_MIN, "{count}");
    }
}
