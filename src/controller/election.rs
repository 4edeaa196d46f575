//! Takes part in the election: one thread sends the requests of [`LeaderElection`], and tells the loop when this replica begins or ceases to
//! lead.
//!
//! Where the API server refuses the Lease, [`Setbacks`] says when this replica works without it: then the claims in the records keep
//! replicas apart. A Role that lacks a verb on a Lease that exists is the exception: another replica may have that verb and lead.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::base::limits::{ACTING_LOOK, LEASE_RELEASE, LEASE_REQUEST, LEASE_RETRY, LEASE_STEPS_MAX};
use crate::base::liveness;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::base::time;
use crate::cert::facts::hex;
use crate::issuance::Context;
use crate::issuance::leadership::LeaderStatus;
use crate::kube::api::DryRun;
use crate::kube::client::{KubeClient, KubeError};
use crate::kube::leader_election::{Course, LeaderElection, LeaseStep, Setbacks, hint};
use crate::kube::object::LeaseObject;
use crate::worker::holder;

/// The Lease that a [`ElectionHandle`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeasePart {
    /// The Lease of the replicas of this program.
    Leader,
    /// The Lease of cert-manager's controller, which the leader holds besides. Without it nothing is done for its objects.
    CertManager,
}

/// The part of this process in an election under way.
pub(super) struct ElectionHandle {
    /// Set when no worker of this process works any more.
    done: Shutdown,
    ended: Receiver<()>,
}

impl ElectionHandle {
    /// Starts to take part, in a thread of its own. `changed` is called when this replica begins or ceases to lead.
    pub(super) fn start(
        context: Arc<Context>,
        client: &KubeClient,
        at: &ObjectRef,
        part: LeasePart,
        changed: impl Fn() + Send + 'static,
    ) -> Result<ElectionHandle, String> {
        let mut random = [0; 4];
        SystemRandom::new().fill(&mut random).expect("the system gives random octets");
        let candidate = LeaderElector {
            client: client.with_timeout(LEASE_REQUEST),
            at: at.clone(),
            part,
            // The next process in this container may have the same number.
            election: LeaderElection::new(at.clone(), format!("{}_{}", holder(), hex(&random))),
            context,
            changed,
            is_known: false,
            setbacks: Setbacks::default(),
            leads: false,
            said: String::new(),
        };
        let (done, (end, ended)) = (Shutdown::new(), bounded(0));
        let until = done.clone();
        let name = if part == LeasePart::Leader { "election" } else { "other-lease" };
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || candidate.run(name, &until, end));
        spawned.map_err(|e| format!("the thread of the election can not be started: {e}"))?;
        Ok(ElectionHandle { done, ended })
    }

    /// Gives the Lease back, so that another replica begins at its next look. To be called when no worker works any more.
    pub(super) fn release(self) {
        self.done.set();
        // Nothing is ever sent: the channel closes when the thread ends. Without an answer in time the Lease runs out by itself.
        self.ended.recv_timeout(LEASE_RELEASE).ok();
    }
}

struct LeaderElector<F> {
    context: Arc<Context>,
    client: KubeClient,
    at: ObjectRef,
    part: LeasePart,
    election: LeaderElection,
    changed: F,
    /// A Lease was read or written by this process.
    is_known: bool,
    setbacks: Setbacks,
    /// True if the loop was told last that this replica leads.
    leads: bool,
    /// The last log line about standing by or about a failure.
    said: String,
}

impl<F: Fn()> LeaderElector<F> {
    fn run(mut self, name: &'static str, done: &Shutdown, _end: Sender<()>) {
        liveness::begin(name);
        loop {
            if self.part == LeasePart::CertManager && !self.context.leader.leading() {
                self.give_back();
                if self.leads {
                    self.tell("");
                }
                if done.wait(ACTING_LOOK) {
                    break;
                }
                continue;
            }
            // A library that panics costs a round and not the election: without an election this replica would stand by for ever.
            let pause = match catch_unwind(AssertUnwindSafe(|| self.round())) {
                Ok(Ok(())) => self.succeed(),
                Ok(Err((verb, e))) => self.fail(verb, &e),
                Err(_) => {
                    self.tell("a fault inside notariat; please report it with the lines before");
                    LEASE_RETRY
                }
            };
            if done.wait(pause) {
                break;
            }
        }
        self.give_back();
    }

    /// The time until which this replica holds the Lease.
    fn status(&self) -> &LeaderStatus {
        status_of(&self.context, self.part)
    }

    /// Gives the Lease back, where this replica holds it.
    fn give_back(&mut self) {
        if let Some(lease) = self.election.release(time::now()) {
            self.status().lead_until(None);
            self.election.forget();
            match self.client.replace(&lease, DryRun::Real) {
                Ok(_) => event!(info, "released", lease = self.at),
                Err(e) => event!(warn, "not-released", lease = self.at, error = e),
            }
        }
    }

    /// Handles a round that succeeded. Returns the pause until the next one.
    fn succeed(&mut self) -> Duration {
        if self.setbacks.succeed() {
            self.mark();
            event!(info, "with-lease", lease = self.at, leads = self.status().leading());
        }
        self.tell("");
        LEASE_RETRY
    }

    /// Handles a round that failed. Returns the pause until the next one.
    fn fail(&mut self, verb: &str, error: &KubeError) -> Duration {
        let answer = match error {
            KubeError::Api(e) => Some(e),
            _ => None,
        };
        let cure = answer.and_then(|e| hint(verb, &self.at, e));
        let said = cure.as_ref().map_or_else(|| error.to_string(), |cure| format!("{error}: {cure}"));
        let was_alone = self.setbacks.alone();
        let (course, pause) = self.setbacks.fail(answer, self.is_known, self.status().now());
        match course {
            Course::Unsure => {
                self.mark();
                self.tell(&said);
            }
            Course::Alone if was_alone && self.said == said => {}
            Course::Alone if self.part == LeasePart::CertManager => self.tell(&said),
            Course::Alone => {
                let hint = cure.map_or_else(|| WITHOUT.to_owned(), |cure| format!("{cure}; {WITHOUT}"));
                event!(warn, "without-lease", lease = self.at, error = error, hint = hint);
                self.said = said;
                self.context.leader.lead_alone();
                if !std::mem::replace(&mut self.leads, true) {
                    (self.changed)();
                }
            }
        }
        pause
    }

    /// Leads as long as the election says. A replica that works without the Lease goes on until a round succeeds.
    fn mark(&self) {
        if !self.setbacks.alone() {
            self.status().lead_until(self.election.leads_until());
        }
    }

    /// One round: reads or renews the Lease, and does what follows. A failure is returned with its verb.
    fn round(&mut self) -> Result<(), (&'static str, Box<KubeError>)> {
        let context = self.context.clone();
        let part = self.part;
        let now = || status_of(&context, part).now();
        let mut next = self.election.begin(now(), time::now());
        for _ in 0..LEASE_STEPS_MAX {
            let sent = now();
            let (verb, written) = match &next {
                LeaseStep::Rest => break,
                LeaseStep::Read => {
                    let found: Option<LeaseObject> = self.client.get(&self.at).map_err(|e| ("get", Box::new(e)))?;
                    self.is_known |= found.is_some();
                    next = self.election.read(found, now(), time::now());
                    self.mark();
                    continue;
                }
                LeaseStep::Create(lease) => ("create", self.client.create(lease, DryRun::Real)),
                LeaseStep::Update(lease) => ("update", self.client.replace(lease, DryRun::Real)),
            };
            next = match written {
                Ok(lease) => {
                    self.is_known = true;
                    self.election.wrote(lease, sent, now());
                    self.mark();
                    LeaseStep::Rest
                }
                // Another writer changed or deleted the Lease, or the last write was done and its answer lost.
                Err(KubeError::Api(e)) if e.code == 409 || (e.code == 404 && verb == "update") => LeaseStep::Read,
                Err(e) => return Err((verb, Box::new(e))),
            };
        }
        Ok(())
    }

    /// Tells the loop and the log what has changed.
    fn tell(&mut self, problem: &str) {
        let (led, holder) = (self.leads, self.election.holder());
        if self.part == LeasePart::CertManager {
            self.context.acting.set_holder(holder);
        }
        self.leads = self.status().leading();
        let state = match (self.leads, problem) {
            (true, "") => String::new(),
            (false, "") => format!("standby {holder}"),
            (_, problem) => problem.to_owned(),
        };
        if !problem.is_empty() && state != self.said {
            event!(warn, "lease-unsure", lease = self.at, error = problem, leads = self.leads);
        }
        match (led, self.leads) {
            (false, true) => event!(info, "leading", lease = self.at),
            (true, false) => event!(warn, "not-leading", lease = self.at, holder = holder),
            (false, false) if problem.is_empty() && state != self.said => {
                let hint = if self.part == LeasePart::Leader { STANDBY } else { NOT_ACTING };
                event!(info, "standby", lease = self.at, holder = holder, hint = hint)
            }
            (false, false) | (true, true) => {}
        }
        self.said = state;
        if led != self.leads {
            (self.changed)();
        }
    }
}

/// The time until which this replica holds a Lease.
fn status_of(context: &Context, part: LeasePart) -> &LeaderStatus {
    match (part, context.acting.lease()) {
        (LeasePart::CertManager, Some((_, status))) => status,
        (LeasePart::Leader, _) | (_, None) => &context.leader,
    }
}

const WITHOUT: &str = "replicas are kept apart by the claims in the records alone";
const NOT_ACTING: &str = "nothing is done for cert-manager's objects until its controller is scaled to 0";
const STANDBY: &str = "it does the work; where it is no replica of this one, give each another -lease-name";
