//! Leader election by a Lease (coordination.k8s.io/v1): one object that one replica at a time holds. Pure.
//!
//! Clocks of machines differ, so the times in a Lease are for people and are never compared. A replica measures by its own monotonic clock
//! how long the version of the Lease stays the same: a living holder changes it with each renewal. The leader gives up by itself
//! ([`LEASE_RENEW_DEADLINE`] after it sent its last successful write) before another replica may take over ([`LEASE_DURATION`] after that
//! write was seen). The time in between is for work under way.
//!
//! Untrusted: the content of the Lease, which people edit. With any content, at most one replica is told to write each of its versions.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::object::LeaseObject;
use super::refusal::Refuser;
use super::status::ApiError;
use crate::base::limits::{
    LEASE_AGAIN, LEASE_DOUBT_RETRY, LEASE_DURATION, LEASE_DURATION_TAKEN_MAX, LEASE_RENEW_DEADLINE, LEASE_RETRY,
    REFUSAL_DOUBTED,
};
use crate::base::name::ObjectRef;
use crate::base::time::Time;

/// The part of one replica in an election. `now` is always the time since one start, on a monotonic clock.
#[derive(Debug)]
pub struct LeaderElection {
    at: ObjectRef,
    identity: String,
    seen: Option<ObservedLease>,
    /// When the last write was sent that made or kept this replica the holder.
    held: Option<Duration>,
}

/// The Lease as it was read or written last.
#[derive(Debug)]
struct ObservedLease {
    lease: LeaseObject,
    /// Since when it has this version, or is deleted, as far as is known.
    since: Duration,
    is_gone: bool,
}

/// The next request to the API server.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum LeaseStep {
    /// Read the Lease.
    Read,
    /// Create it.
    Create(LeaseObject),
    /// Replace the version that was read.
    Update(LeaseObject),
    /// No request until the next round.
    Rest,
}

impl LeaderElection {
    /// A candidate for the Lease `at`. No other process ever has the same `identity`.
    pub fn new(at: ObjectRef, identity: String) -> LeaderElection {
        LeaderElection { at, identity, seen: None, held: None }
    }

    /// Until when this replica leads; `None` when it does not.
    pub fn leads_until(&self) -> Option<Duration> {
        self.held.map(|sent| sent.saturating_add(LEASE_RENEW_DEADLINE))
    }

    /// The holder when the Lease was read or written last; empty when there was none.
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

    /// Handles the Lease that was read; `None` when there is none. `now` is the time after the answer.
    pub fn read(&mut self, found: Option<LeaseObject>, now: Duration, wall: Time) -> LeaseStep {
        let Some(lease) = found else {
            // The Lease was deleted. Its last holder, which may be another one than this replica saw, may still believe it leads and create
            // the Lease again with its next renewal. So wait one lease duration.
            if let Some(seen) = &mut self.seen {
                seen.since = if seen.is_gone { seen.since } else { now };
                seen.is_gone = true;
            }
            return match &self.seen {
                Some(seen) if self.held.is_none() && now <= seen.since.saturating_add(LEASE_DURATION) => {
                    LeaseStep::Rest
                }
                Some(_) | None => LeaseStep::Create(self.claim(wall)),
            };
        };
        // Any change is a sign of life, also a change by somebody else than the holder.
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

    /// Handles a write that succeeded: the Lease as stored, and when the request was sent and answered.
    pub fn wrote(&mut self, lease: LeaseObject, sent: Duration, now: Duration) {
        self.held = (holder(&lease) == self.identity).then_some(sent);
        self.seen = Some(ObservedLease { lease, since: now, is_gone: false });
    }

    /// The Lease to write in order to give it back; `None` when this replica does not hold it.
    pub fn release(&self, wall: Time) -> Option<LeaseObject> {
        self.held?;
        let mut lease = self.seen.as_ref()?.lease.clone();
        let spec = json!({"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_time(wall)});
        fill(&mut lease, spec);
        Some(lease)
    }

    /// Forgets what was seen and held, after the Lease was given back.
    pub fn forget(&mut self) {
        (self.seen, self.held) = (None, None);
    }

    /// Tells whether this replica may write the Lease: it holds it, nobody does, or the holder was silent for as long as the Lease says.
    fn is_open(&self, seen: &ObservedLease, now: Duration) -> bool {
        let holder = holder(&seen.lease);
        holder.is_empty() || holder == self.identity || now > seen.since.saturating_add(duration(&seen.lease))
    }

    /// The Lease with this replica as its holder: over the version that was seen, or new. Fields of others stay.
    fn claim(&self, wall: Time) -> LeaseObject {
        let before = self.seen.as_ref().map(|seen| &seen.lease);
        let mut lease = match &self.seen {
            Some(ObservedLease { lease, is_gone: false, .. }) => lease.clone(),
            Some(_) | None => LeaseObject(json!({
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"namespace": self.at.namespace, "name": self.at.name},
                "spec": before.and_then(|before| before.0.get("spec")).cloned().unwrap_or_else(|| json!({})),
            })),
        };
        let renewed = micro_time(wall);
        fill(
            &mut lease,
            json!({
                "holderIdentity": self.identity,
                "leaseDurationSeconds": LEASE_DURATION.as_secs(),
                "renewTime": renewed,
            }),
        );
        if self.holder() != self.identity {
            let transitions =
                before.and_then(|before| before.0.pointer("/spec/leaseTransitions")).and_then(Value::as_i64);
            let transitions = match before {
                // The API takes 32 bits.
                Some(_) => transitions.unwrap_or(0).saturating_add(1).clamp(1, i64::from(i32::MAX)),
                None => 0,
            };
            fill(&mut lease, json!({"leaseTransitions": transitions, "acquireTime": renewed}));
        }
        lease
    }
}

/// The failures of requests for the Lease, and what follows from them. `now` is the time of [`LeaderElection`].
///
/// A refusal is believed after [`REFUSAL_DOUBTED`]: an API server that has just started refuses everything until it has read its Roles.
/// Then the replica works without the Lease, kept apart from others by the claims in the records, and tries the Lease again.
#[derive(Debug, Default)]
pub struct Setbacks {
    /// Since when every answer is a refusal.
    refused: Option<Duration>,
    alone: bool,
}

/// The conduct of a replica after a round that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// The replica leads as long as the Lease says.
    Unsure,
    /// The replica works without the Lease.
    Alone,
}

impl Setbacks {
    /// Tells whether the replica works without the Lease.
    pub fn alone(&self) -> bool {
        self.alone
    }

    /// Handles a round that succeeded. Returns whether the replica worked without the Lease until now.
    pub fn succeed(&mut self) -> bool {
        std::mem::take(self).alone
    }

    /// Handles a round that failed: with this answer of the API server, or without any. `is_known`: the Lease was seen. Returns what to do,
    /// and the pause until the next round.
    pub fn fail(&mut self, answer: Option<&ApiError>, is_known: bool, now: Duration) -> (Course, Duration) {
        let refuser = answer.filter(|e| e.code < 500 && e.code != 429).map(Refuser::of);
        match refuser {
            None | Some(Refuser::Authentication | Refuser::Nobody) => self.refused = None,
            // Another replica may have the verb, and lead.
            Some(Refuser::Role) if is_known => *self = Setbacks::default(),
            Some(_) => {
                let since = *self.refused.get_or_insert(now);
                if !self.alone && now < since.saturating_add(REFUSAL_DOUBTED) {
                    return (Course::Unsure, LEASE_DOUBT_RETRY);
                }
                self.alone = true;
            }
        }
        if self.alone { (Course::Alone, LEASE_AGAIN) } else { (Course::Unsure, LEASE_RETRY) }
    }
}

/// The remedy for a refused request of this verb for the Lease `at`.
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
fn fill(LeaseObject(lease): &mut LeaseObject, fields: Value) {
    let (Value::Object(lease), Value::Object(fields)) = (lease, fields) else { return };
    let spec = lease.entry("spec").or_insert_with(|| json!({}));
    if !spec.is_object() {
        *spec = Value::Object(Map::new());
    }
    if let Value::Object(spec) = spec {
        spec.extend(fields);
    }
}

/// The holder of a Lease in JSON as of `now`, by its last renewal; `None` where nobody holds it any more.
pub fn holder_at(lease: &Value, now: Time) -> Option<&str> {
    let spec = &lease["spec"];
    let renewed = spec["renewTime"].as_str().and_then(Time::parse_rfc3339)?;
    let lasts = spec["leaseDurationSeconds"].as_u64().map_or(LEASE_DURATION, Duration::from_secs);
    spec["holderIdentity"].as_str().filter(|holder| !holder.is_empty() && now.since(renewed) <= lasts)
}

fn holder(LeaseObject(lease): &LeaseObject) -> &str {
    lease.pointer("/spec/holderIdentity").and_then(Value::as_str).unwrap_or_default()
}

fn version(LeaseObject(lease): &LeaseObject) -> Option<&str> {
    lease.pointer("/metadata/resourceVersion").and_then(Value::as_str)
}

/// How long the holder may be silent: the duration in the Lease, within bounds.
fn duration(LeaseObject(lease): &LeaseObject) -> Duration {
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
