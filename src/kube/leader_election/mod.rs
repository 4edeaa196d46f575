//! Leader election by a Lease (coordination.k8s.io/v1): one object that one replica at a time holds. Pure.
//!
//! Clocks of machines differ, so the times in a Lease are for people and are never compared. What counts is how long its version stays
//! the same by our own monotonic clock: a holder that lives changes it with each renewal. Whoever leads gives up by itself
//! ([`LEASE_RENEW_DEADLINE`] after it sent its last successful write) before anybody else may take over ([`LEASE_DURATION`] after that
//! write was seen); what it has begun gets the time in between.
//!
//! Untrusted: the content of the Lease, which people edit. Whatever it says, at most one replica is told to write each of its versions.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::refusal::Refuser;
use super::status::ApiError;
use crate::base::limits::{
    LEASE_AGAIN, LEASE_DOUBT_RETRY, LEASE_DURATION, LEASE_DURATION_TAKEN_MAX, LEASE_RENEW_DEADLINE, LEASE_RETRY,
    REFUSAL_DOUBTED,
};
use crate::base::name::ObjectRef;
use crate::base::time::Time;

/// One replica's part in an election. `now` is always the time since one start, on a monotonic clock.
#[derive(Debug)]
pub struct LeaderElection {
    at: ObjectRef,
    identity: String,
    seen: Option<ObservedLease>,
    /// When the last write was sent that made or kept us the holder.
    held: Option<Duration>,
}

/// The Lease as it was read or written last.
#[derive(Debug)]
struct ObservedLease {
    lease: Value,
    /// Since when it has this version, or is gone, as far as we know.
    since: Duration,
    is_gone: bool,
}

/// What is to be sent to the API server.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum LeaseStep {
    /// Read the Lease.
    Read,
    /// Create it.
    Create(Value),
    /// Replace the version that was read.
    Update(Value),
    /// Nothing until the next round.
    Rest,
}

impl LeaderElection {
    /// A candidate for the Lease `at`. No other process ever has the same `identity`.
    pub fn new(at: ObjectRef, identity: String) -> LeaderElection {
        LeaderElection { at, identity, seen: None, held: None }
    }

    /// Until when we lead; `None` when we do not.
    pub fn leads_until(&self) -> Option<Duration> {
        self.held.map(|sent| sent + LEASE_RENEW_DEADLINE)
    }

    /// Who held it when it was read or written last; empty when nobody did.
    pub fn holder(&self) -> &str {
        self.seen.as_ref().map_or("", |seen| holder(&seen.lease))
    }

    /// Begins a round.
    pub fn begin(&mut self, now: Duration, wall: Time) -> LeaseStep {
        match self.leads_until() {
            Some(until) if now < until => LeaseStep::Update(self.claim(wall)),
            Some(_) | None => {
                self.held = None;
                LeaseStep::Read
            }
        }
    }

    /// Takes note of what was read; `None` when there is no Lease. `now` is the time after the answer.
    pub fn read(&mut self, found: Option<Value>, now: Duration, wall: Time) -> LeaseStep {
        let Some(lease) = found else {
            // Somebody deleted it. Whoever held it by then may still lead, and makes it again with the next renewal. That may be another
            // one than we saw.
            if let Some(seen) = &mut self.seen {
                seen.since = if seen.is_gone { seen.since } else { now };
                seen.is_gone = true;
            }
            return match &self.seen {
                Some(seen) if self.held.is_none() && now <= seen.since + LEASE_DURATION => LeaseStep::Rest,
                Some(_) | None => LeaseStep::Create(self.claim(wall)),
            };
        };
        // Any change is a sign of life, also one that is none of the holder's.
        let same = self.seen.as_ref().filter(|seen| version(&seen.lease) == version(&lease));
        let seen = ObservedLease { since: same.map_or(now, |seen| seen.since), lease, is_gone: false };
        let is_open = self.is_open(&seen, now);
        self.seen = Some(seen);
        if is_open {
            return LeaseStep::Update(self.claim(wall));
        }
        self.held = None;
        LeaseStep::Rest
    }

    /// Takes note of a write that succeeded: what is stored now, and when it was sent and answered.
    pub fn wrote(&mut self, lease: Value, sent: Duration, now: Duration) {
        self.held = (holder(&lease) == self.identity).then_some(sent);
        self.seen = Some(ObservedLease { lease, since: now, is_gone: false });
    }

    /// What gives the Lease back; `None` when we do not hold it.
    pub fn release(&self, wall: Time) -> Option<Value> {
        self.held?;
        let mut lease = self.seen.as_ref()?.lease.clone();
        let spec = json!({"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_time(wall)});
        fill(&mut lease, spec);
        Some(lease)
    }

    /// Whether we may write it: it is ours, nobody's, or its holder has not been heard of for as long as it said.
    fn is_open(&self, seen: &ObservedLease, now: Duration) -> bool {
        let holder = holder(&seen.lease);
        holder.is_empty() || holder == self.identity || now > seen.since + duration(&seen.lease)
    }

    /// The Lease with us as its holder: over the version that was seen, or new. What others keep in it stays.
    fn claim(&self, wall: Time) -> Value {
        let before = self.seen.as_ref().map(|seen| &seen.lease);
        let mut lease = match &self.seen {
            Some(ObservedLease { lease, is_gone: false, .. }) => lease.clone(),
            Some(_) | None => json!({
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"namespace": self.at.namespace, "name": self.at.name},
                "spec": before.and_then(|before| before.get("spec")).cloned().unwrap_or_else(|| json!({})),
            }),
        };
        let renewed = micro_time(wall);
        let mut spec = json!({
            "holderIdentity": self.identity,
            "leaseDurationSeconds": LEASE_DURATION.as_secs(),
            "renewTime": renewed,
        });
        if self.holder() != self.identity {
            let transitions =
                before.and_then(|before| before.pointer("/spec/leaseTransitions")).and_then(Value::as_i64);
            spec["leaseTransitions"] = json!(match before {
                // The API takes 32 bits.
                Some(_) => transitions.unwrap_or(0).clamp(0, i64::from(i32::MAX) - 1) + 1,
                None => 0,
            });
            spec["acquireTime"] = json!(renewed);
        }
        fill(&mut lease, spec);
        lease
    }
}

/// What follows where requests for the Lease fail. `now` is the time of [`LeaderElection`].
///
/// A refusal is believed after [`REFUSAL_DOUBTED`]: an API server that has just started refuses everything until it has read its Roles.
/// Then the replica works without the Lease, kept apart from others by the claims in the records, and tries the Lease again.
#[derive(Debug, Default)]
pub struct Setbacks {
    /// Since when every answer is a refusal.
    refused: Option<Duration>,
    alone: bool,
}

/// What a replica does after a round that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It leads as long as the Lease says.
    Unsure,
    /// It works without the Lease.
    Alone,
}

impl Setbacks {
    /// Whether the replica works without the Lease.
    pub fn alone(&self) -> bool {
        self.alone
    }

    /// A round went well. Returns whether the replica worked without the Lease until now.
    pub fn succeed(&mut self) -> bool {
        std::mem::take(self).alone
    }

    /// A round failed: with this answer of the API server, or without any. `is_known`: the Lease was seen. Returns what to do, and the pause
    /// until the next round.
    pub fn fail(&mut self, answer: Option<&ApiError>, is_known: bool, now: Duration) -> (Course, Duration) {
        let refuser = answer.filter(|e| e.code < 500 && e.code != 429).map(Refuser::of);
        match refuser {
            None | Some(Refuser::Authentication | Refuser::Nobody) => self.refused = None,
            // Another replica may have the verb, and lead.
            Some(Refuser::Role) if is_known => *self = Setbacks::default(),
            Some(_) => {
                let since = *self.refused.get_or_insert(now);
                if !self.alone && now < since + REFUSAL_DOUBTED {
                    return (Course::Unsure, LEASE_DOUBT_RETRY);
                }
                self.alone = true;
            }
        }
        if self.alone { (Course::Alone, LEASE_AGAIN) } else { (Course::Unsure, LEASE_RETRY) }
    }
}

/// What cures a refusal of a request of this verb for the Lease `at`.
pub fn hint(verb: &str, at: &ObjectRef, e: &ApiError) -> Option<String> {
    match Refuser::of(e) {
        Refuser::Validation if verb == "update" => Some(format!(
            "correct the fields of the Lease {at} that the API server names, or delete the Lease, which is made anew; \
             -lease=off works without it"
        )),
        refuser => refuser.hint(verb, "leases", &at.namespace, e),
    }
}

/// Sets these fields of the spec and leaves the others.
fn fill(lease: &mut Value, fields: Value) {
    let (Value::Object(lease), Value::Object(fields)) = (lease, fields) else { return };
    let spec = lease.entry("spec").or_insert_with(|| json!({}));
    if !spec.is_object() {
        *spec = Value::Object(Map::new());
    }
    if let Value::Object(spec) = spec {
        spec.extend(fields);
    }
}

fn holder(lease: &Value) -> &str {
    lease.pointer("/spec/holderIdentity").and_then(Value::as_str).unwrap_or_default()
}

fn version(lease: &Value) -> Option<&str> {
    lease.pointer("/metadata/resourceVersion").and_then(Value::as_str)
}

/// How long its holder may be silent: what the Lease says, as far as that makes sense.
fn duration(lease: &Value) -> Duration {
    match lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_u64) {
        Some(0) | None => LEASE_DURATION,
        Some(seconds) => Duration::from_secs(seconds).min(LEASE_DURATION_TAKEN_MAX),
    }
}

/// MicroTime of Kubernetes is RFC 3339 with exactly six digits behind the seconds.
fn micro_time(wall: Time) -> String {
    wall.to_string().replace('Z', ".000000Z")
}

#[cfg(test)]
mod tests;
