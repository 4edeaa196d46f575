//! One attempt to obtain a certificate, with everything that can fail and be cut.
//!
//! Mirrors the attempt of `worker` and the order of `issuance`: what is written into the record, and when. The record format, the waits
//! and the circuits are the shipped ones.

use std::net::SocketAddr;
use std::time::Duration;

use notariat::base::limits::{CLAIM_KEPT, PROPAGATION_TIMEOUT_DEFAULT};
use notariat::base::shared_str::SharedStr;
use notariat::base::time::Time;
use notariat::issuance::AttemptError;
use notariat::issuance::RateLimit;
use notariat::kube::object::SecretObject;
use notariat::policy::backoff::{RetryClass, Stage};
use notariat::policy::ca_limits::{RateLimitBlock, scope_of};
use notariat::policy::circuit::{Admission, CallResult, DnsTarget, Unavailable};
use notariat::record::{self, PendingOrder, Record};

use crate::ca::{DIRECTORY, HOUR};
use crate::controller::Simulation;
use crate::order::url;
use crate::trouble::{Crashed, Part, Trouble};

/// The end of an attempt without a certificate.
pub enum End {
    Crashed,
    Failed(Box<AttemptError>),
}

impl From<Crashed> for End {
    fn from(_: Crashed) -> End {
        End::Crashed
    }
}

pub fn failed<T>(stage: Stage, severity: RetryClass, error: &str) -> Result<T, End> {
    Err(End::Failed(Box::new(AttemptError::new(stage, severity, error.to_owned()))))
}

impl Simulation {
    pub fn issue(&mut self, i: usize, counted: bool) {
        self.tally.attempts += 1;
        let mut claim = self.begin(i);
        let end = self.attempt(i, &mut claim, counted);
        let end = match end {
            Err(End::Failed(failed)) => {
                self.failed(i, &mut claim, *failed).map_or_else(Err, |f| Err(End::Failed(Box::new(f))))
            }
            other => other,
        };
        self.close(i, claim);
        if let Some(id) = self.unsaved.take() {
            let flight = self.certificates[i].record.body.in_flight.as_ref();
            self.tally.lost += u64::from(flight.and_then(|f| f.order.as_deref()) != Some(&url(id)));
        }
        let crashed = self.trouble.as_mut().is_some_and(Trouble::left_over) || matches!(end, Err(End::Crashed));
        if crashed {
            return self.crash();
        }
        let soon = self.now + Duration::from_secs(1);
        self.look_at(
            i,
            match end {
                Err(End::Failed(failed)) => match failed.barred {
                    Some(Unavailable::Open(until)) => until.max(soon),
                    _ if failed.uncounted => failed.retry_after.unwrap_or(self.now + Duration::from_secs(30)),
                    _ => soon,
                },
                _ => soon,
            },
        );
    }

    /// Begins a task, which may be cut.
    pub fn begin(&mut self, i: usize) -> Record {
        if let Some(trouble) = &mut self.trouble {
            trouble.begin();
        }
        self.open(i)
    }

    /// Mirrors the opening of a claim.
    pub fn open(&mut self, i: usize) -> Record {
        match self.trouble {
            Some(_) => Record::read(self.certificates[i].disk.as_ref()).expect("what was written reads back"),
            None => std::mem::take(&mut self.certificates[i].record),
        }
    }

    /// The controller reads the record again after each task.
    pub fn close(&mut self, i: usize, claim: Record) {
        self.certificates[i].record = match self.trouble {
            Some(_) => self.open(i),
            None => claim,
        };
    }

    /// Mirrors the saving of a record. Without trouble no record is ever read back, so none is written.
    pub fn save(&mut self, i: usize, claim: &mut Record) -> Result<(), End> {
        let Some(trouble) = &mut self.trouble else { return Ok(()) };
        trouble.point()?;
        if trouble.fails() {
            return match trouble.rng.below(2) {
                0 => Err(End::Failed(Box::new(AttemptError::busy("another instance writes the record".to_owned())))),
                _ => failed(Stage::Store, RetryClass::Transient, "the API server does not answer"),
            };
        }
        self.write(i, claim);
        Ok(self.point()?)
    }

    pub fn write(&mut self, i: usize, claim: &mut Record) {
        let at = record::reference(self.certificates[i].entry.main_secret(), "notariat");
        let mut secret = SecretObject::new(at, record::TYPE);
        secret.data = claim.data(self.now);
        self.certificates[i].disk = Some(secret);
    }

    /// A point at which an attempt may be cut.
    pub fn point(&mut self) -> Result<(), Crashed> {
        self.trouble.as_mut().map_or(Ok(()), Trouble::point)
    }

    /// A request, or a DNS query, that may fail.
    pub fn try_to(&mut self, stage: Stage, part: Part) -> Result<(), End> {
        let now = self.now;
        let Some(trouble) = &mut self.trouble else { return Ok(()) };
        trouble.point()?;
        let out = trouble.out(part, now);
        if out.is_none() && !trouble.fails() {
            return Ok(());
        }
        let mut end = AttemptError::new(stage, RetryClass::Transient, "it does not answer".to_owned());
        if part == Part::Ca && trouble.rng.below(3) == 0 {
            // 503, with and without Retry-After.
            let asked = (trouble.rng.below(2) == 0).then(|| now + trouble.rng.within(Duration::from_secs(1), HOUR));
            let until = asked.unwrap_or(now + Duration::from_secs(60));
            end.retry_after = asked;
            end.limit = scope_of(503, "").map(|scope| Box::new(RateLimit { scope, until, passing: true }));
        }
        Err(End::Failed(Box::new(end)))
    }

    fn attempt(&mut self, i: usize, claim: &mut Record, counted: bool) -> Result<(), End> {
        if let Some(until) = self.held_by_another(claim) {
            let busy = AttemptError {
                retry_after: Some(until),
                ..AttemptError::busy("another process works on it".to_owned())
            };
            return Err(End::Failed(Box::new(busy)));
        }
        let continued = claim.body.in_flight.as_ref().is_some_and(|f| f.order.is_some() && self.is_for(i, f));
        if !continued {
            self.find_places(i)?;
        }
        self.try_to(Stage::Order, Part::Ca)?;
        self.try_to(Stage::Store, Part::Store)?;
        self.take(i, claim);
        self.save(i, claim)?;

        let gates: Vec<RateLimitBlock> = serde_json::from_slice(&self.kept_gates).expect("gates read back");
        self.limits.remember(&self.account, gates);
        if self.limits.closed(&self.account, &self.certificates[i].names, self.now).is_some() {
            return Err(End::Failed(Box::new(AttemptError::busy("a gate is closed".to_owned()))));
        }
        let result = self.order(i, claim, counted);
        if let Err(End::Failed(failed)) = &result {
            self.learn(i, failed);
        }
        let serial = result?;
        self.store(i, &serial)?;
        self.succeeded(i, claim);
        self.save(i, claim)
    }

    /// Mirrors the check for another holder; half of the restarts are on the same host, where a dead process is known
    /// to be dead.
    pub fn held_by_another(&self, claim: &Record) -> Option<Time> {
        let flight = claim.body.in_flight.as_ref().filter(|f| !f.holder.is_empty() && f.holder != self.holder)?;
        let host = |holder: &str| holder.split('/').next().map(str::to_owned);
        let until = flight.at + CLAIM_KEPT + PROPAGATION_TIMEOUT_DEFAULT + Duration::from_secs(1);
        (host(&flight.holder) != host(&self.holder) && self.now < until).then_some(until)
    }

    pub fn is_for(&self, i: usize, flight: &PendingOrder) -> bool {
        let certificate = &self.certificates[i];
        flight.is_for(&certificate.names, DIRECTORY, certificate.entry.key_word(), None)
    }

    fn find_places(&mut self, i: usize) -> Result<(), End> {
        if self.trouble.is_none() {
            return Ok(());
        }
        let server = self.certificates[i].server;
        let zone = self.certificates[i].names[0].base().clone();
        let dns_target = DnsTarget { server: SocketAddr::from(([192, 0, 2, 1], 53 + server as u16)), zone, key: None };
        let now = self.now;
        let (ca, entry) = (SharedStr::intern(DIRECTORY), Admission { most: 3, ..Admission::default() });
        if let Err(barred) = self.gates.enter(&dns_target, &ca, entry, now) {
            return Err(End::Failed(Box::new(AttemptError::barred(dns_target, barred))));
        }
        let found = self.try_to(Stage::Publish, Part::Dns(server));
        self.gates.leave(&dns_target, &ca, false, if found.is_ok() { CallResult::Good } else { CallResult::Bad }, now);
        found
    }

    /// Mirrors the taking of a claim.
    fn take(&mut self, i: usize, claim: &mut Record) {
        let now = self.now;
        let keep = claim.body.in_flight.as_ref().is_some_and(|f| self.is_for(i, f));
        if !keep {
            (claim.body.in_flight, claim.next_key) = (None, None);
        }
        let certificate = &self.certificates[i];
        let flight = claim.body.in_flight.get_or_insert_with(|| {
            Box::new(PendingOrder {
                holder: String::new(),
                at: now,
                directory: DIRECTORY.to_owned(),
                names: certificate.names.clone(),
                key_type: certificate.entry.key_type.name().to_owned(),
                profile: None,
                account: None,
                order: None,
                counted: false,
                published: Vec::new(),
            })
        });
        (flight.holder, flight.at) = (self.holder.clone(), now);
        let history = claim.body.history_mut(&certificate.names, DIRECTORY, now);
        (history.last_attempt, history.inputs) = (now, "inputs".to_owned());
    }
}
