//! What is shown of the certificates: as little of each as the figures and the page need, for there may be 10,000. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::acme::directory::{Directory, is_staging};
use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::policy::secret_state::SecretState;
use crate::policy::{Decision, Evaluation, Reason};
use crate::record::RecordData;
use crate::sources::CertificateSpec;
use crate::status::row::{CertificateState, CertificateStatus, Parked};

/// All certificates and what is to be said besides, as of one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// In the order of their Secrets; none where this replica stands by.
    pub certificates: Vec<Arc<CertificateSnapshot>>,
    /// Those for which an order is being made.
    pub ordering: BTreeSet<ObjectRef>,
    /// Those whose job waits for a peer.
    pub parked: BTreeMap<ObjectRef, Parked>,
    /// What is wrong with the configuration, a sentence each.
    pub faults: Vec<String>,
    /// Certificates that are wanted.
    pub entries: usize,
    /// Directories that take no order of an account, and until when.
    pub gates: Vec<(String, Time)>,
    /// Jobs that wait.
    pub queued: usize,
    /// Jobs under way.
    pub running: usize,
    /// Certificates whose entry went and that are not forgotten yet.
    pub orphaned: usize,
}

impl Snapshot {
    /// The state of a certificate: what was decided, unless it is being worked on.
    pub fn state(&self, certificate: &CertificateSnapshot) -> CertificateState {
        let secret = certificate.wanted.entry.main_secret();
        match (self.ordering.contains(secret), self.parked.contains_key(secret)) {
            (true, _) => CertificateState::Issuing,
            (false, true) => CertificateState::Parked,
            (false, false) => certificate.state,
        }
    }

    /// What is to be said of a certificate: what its job waits for, then what is wrong and what was said when it failed.
    pub fn said(&self, certificate: &CertificateSnapshot) -> String {
        let parked = self.parked.get(certificate.wanted.entry.main_secret());
        let parked = parked.map(|parked| match parked.until {
            Some(until) => format!("{} (until {until})", parked.why),
            None => parked.why.clone(),
        });
        let all: Vec<&str> = parked.as_deref().into_iter().chain(certificate.said.as_deref()).collect();
        all.join("; ")
    }
}

/// One certificate, as it was decided about last.
#[derive(Debug)]
pub struct CertificateSnapshot {
    /// What is wanted.
    pub wanted: Arc<CertificateSpec>,
    /// What each of its Secrets holds, in their order.
    pub held: Box<[Option<Validity>]>,
    /// Its state.
    pub state: CertificateState,
    /// Whether what is wanted is held, whatever it lives.
    pub is_kept: bool,
    /// Whether what is held is from a CA that nobody trusts.
    pub staging: bool,
    /// The common name of who signed what is held.
    pub issuer: Option<SharedStr>,
    /// When it is renewed.
    pub renewal: Option<Time>,
    /// When the CA wants it to be renewed.
    pub window: Option<(Time, Time)>,
    /// Failed attempts in a row.
    pub failures: u32,
    /// When something is tried next.
    pub next_attempt: Option<Time>,
    /// What is wrong, and what was said when it failed.
    pub said: Option<Box<str>>,
}

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub begins: Time,
    /// The last one.
    pub ends: Time,
}

impl CertificateSnapshot {
    /// A certificate that was decided about.
    pub fn of(
        wanted: &Arc<CertificateSpec>,
        held: &[SecretState],
        body: &RecordData,
        directory: &Directory,
        judgement: &Evaluation,
        now: Time,
    ) -> CertificateSnapshot {
        let validity =
            |held: &SecretState| held.facts().map(|facts| Validity { begins: facts.not_before, ends: facts.not_after });
        let serial = held.iter().find_map(SecretState::facts).map(|facts| &facts.serial);
        let window = body.window.as_ref().filter(|window| Some(&window.serial) == serial);
        CertificateSnapshot {
            held: held.iter().map(validity).collect(),
            is_kept: is_kept(judgement),
            staging: held.iter().any(is_from_staging),
            window: window.map(|window| (window.start, window.end)),
            ..CertificateSnapshot::shown(
                wanted,
                CertificateStatus::of(wanted, held, body, directory.url(), judgement, now),
            )
        }
    }

    /// One of which something could not be read.
    pub fn unknown(wanted: &Arc<CertificateSpec>, directory: &Directory, said: &str) -> CertificateSnapshot {
        CertificateSnapshot::shown(wanted, CertificateStatus::unknown(wanted, directory.url(), said))
    }

    fn shown(wanted: &Arc<CertificateSpec>, row: CertificateStatus) -> CertificateSnapshot {
        let failed = row.failure.as_ref().map(|failure| failure.error.as_str());
        let said: Vec<&str> = row.finding.as_deref().into_iter().chain(failed).collect();
        CertificateSnapshot {
            wanted: wanted.clone(),
            held: wanted.entry.secrets.iter().map(|_| None).collect(),
            state: row.state,
            is_kept: false,
            staging: false,
            issuer: row.issuer.as_deref().map(SharedStr::intern),
            renewal: row.renewal.map(|(at, _)| at),
            window: None,
            failures: row.failure.as_ref().map_or(0, |failure| failure.failures),
            next_attempt: row.next_attempt,
            said: (!said.is_empty()).then(|| said.join("; ").into()),
        }
    }

    /// What is held, of several what ends first.
    pub fn validity(&self) -> Option<Validity> {
        self.held.iter().flatten().min_by_key(|validity| validity.ends).copied()
    }

    /// Whether every Secret holds what is wanted, and that is valid.
    pub fn is_ready(&self, now: Time) -> bool {
        let is_valid = |held: &Option<Validity>| held.is_some_and(|held| held.begins <= now && now < held.ends);
        self.is_kept && self.held.iter().all(is_valid)
    }

    /// What comes first: what is not valid, of that what expires first or is not there at all; then what is renewed first.
    pub fn urgency(&self) -> impl Ord + use<> {
        let valid = self.state == CertificateState::Valid;
        let when = if valid { self.renewal } else { self.validity().map(|validity| validity.ends) };
        (valid, when, self.wanted.entry.main_secret().clone())
    }
}

/// That a renewal is due takes nothing away from what is held.
fn is_kept(judgement: &Evaluation) -> bool {
    let finding = match &judgement.decision {
        Decision::Keep { .. } => None,
        Decision::Wait { finding, .. }
        | Decision::Refuse { finding }
        | Decision::Restore { finding, .. }
        | Decision::Issue { finding, .. } => Some(finding),
    };
    let is_due = |reason: Reason| matches!(reason, Reason::RenewalDue | Reason::RenewalRequested);
    judgement.refused.is_empty() && finding.is_none_or(|finding| is_due(finding.reason))
}

fn is_from_staging(held: &SecretState) -> bool {
    let SecretState::Present(present) = held else { return false };
    let is_named =
        |facts: &crate::cert::facts::CertificateFacts| facts.is_staging() || facts.issuer.starts_with("Fake ");
    present.pair.facts().is_some_and(|facts| is_named(facts) || present.directory.as_deref().is_some_and(is_staging))
}
