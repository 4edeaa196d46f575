//! The status of one certificate: made of what is wanted, held and remembered and of what is decided about it. Pure.
//!
//! Untrusted: the issuer's name and the errors, which are peers' words; both are cut to one line of harmless characters here.

use std::sync::Arc;

use super::state::{CertificateState, Parked, RenewalTrigger};
use crate::acme::directory::is_staging;
use crate::base::challenge_type::ChallengeType;
use crate::base::limits::{ERROR_KEPT_OCTETS, NAMES_SHOWN_MAX, SHORT_LIVED};
use crate::base::name::{Domain, ObjectRef};
use crate::base::sanitize::{line_of, one_line};
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::cert::facts::{CertificateFacts, Links};
use crate::config::entry::Entry;
use crate::policy::backoff::{Stage, attempts_left};
use crate::policy::prune::deletion_time;
use crate::policy::renewal::renewal_time;
use crate::policy::secret_state::{Owner, SecretState};
use crate::policy::{Decision, Evaluation, Reason, Violation};
use crate::record::{self, Issued, Orphaned, OrphanedSecret, RecordData};
use crate::sources::CertificateSpec;
use crate::sources::wish::ObjectKey;

/// The status of one certificate as it was decided about last. There may be 10,000 of them, so that texts are shared or boxed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    /// The certificate.
    pub subject: Subject,
    /// The state of the certificate.
    pub state: CertificateState,
    /// The validity of what each Secret holds, in the order of the Secrets.
    pub held: Box<[Option<Validity>]>,
    /// The first violation of the "ready" checks: why the held Secrets do not serve what is wanted, apart from their validity.
    pub unready: Option<Reason>,
    /// The particulars of that violation.
    pub unready_detail: Option<Box<str>>,
    /// True if this program stored what is held.
    pub is_stored_here: bool,
    /// True if a Secret holds a certificate of a CA for tests.
    pub staging: bool,
    /// The common name of the issuer of the held certificate.
    pub issuer: Option<SharedStr>,
    /// The directory URL of the CA that the certificate is to come from.
    pub directory: SharedStr,
    /// When the certificate is renewed, and why then.
    pub renewal: Option<(Time, RenewalTrigger)>,
    /// The renewal window that the CA suggests (RFC 9773).
    pub window: Option<(Time, Time)>,
    /// The violation that the checks found; of a valid certificate, what some clients may refuse, or the names that the next renewal drops.
    pub finding: Option<Box<str>>,
    /// The last attempt, where it failed and matters still.
    pub failure: Option<Box<Failure>>,
    /// When something is tried next.
    pub next_attempt: Option<Time>,
    /// Attempts that fit before the expiry if all of them fail.
    pub attempts_left: Option<u32>,
    /// True if nothing was ever stored or found.
    pub is_first: bool,
    /// The objects that want it; none where an entry does.
    pub objects: Arc<Vec<ObjectKey>>,
    /// The types of challenge by which the names are proved, each once.
    pub challenges: &'static [ChallengeType],
}

/// The certificate that a status is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A certificate that an entry wants.
    Wanted(Arc<Entry>),
    /// A certificate whose entry went: its Secret, and the names of its copy.
    Orphaned(Box<(ObjectRef, Vec<Domain>)>),
}

/// The validity of a held certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub begins: Time,
    /// The last moment.
    pub ends: Time,
}

impl Validity {
    fn of(facts: &CertificateFacts) -> Validity {
        Validity { begins: facts.not_before, ends: facts.not_after }
    }
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stage that failed.
    pub stage: Option<Stage>,
    /// The error, one line.
    pub error: String,
    /// Failures in a row.
    pub failures: u32,
    /// The time of the attempt.
    pub at: Time,
}

impl CertificateStatus {
    /// Lets a wanted certificate that was made anew share with this status what is equal: 10,000 of them take memory.
    pub fn share(&self, wanted: &mut CertificateSpec) {
        if let Subject::Wanted(entry) = &self.subject
            && *entry == wanted.entry
        {
            wanted.entry = entry.clone();
        }
        if self.objects == wanted.objects {
            wanted.objects = self.objects.clone();
        }
    }

    /// The status of a certificate that was decided about. `unready` is the first violation of the "ready" checks.
    pub fn of(
        wanted: &CertificateSpec,
        held: &[SecretState],
        body: &RecordData,
        directory: &str,
        evaluation: &Evaluation,
        unready: Option<Violation>,
        now: Time,
    ) -> CertificateStatus {
        let entry = &wanted.entry;
        let facts =
            held.iter().filter_map(SecretState::facts).min_by_key(|facts| facts.not_after).map(|facts| &**facts);
        let (mut state, finding, next_attempt) = decided(&evaluation.decision, body);
        let serves_some =
            |facts: &CertificateFacts| now < facts.not_after && entry.domains.iter().any(|name| facts.covers(name));
        let lacks_names = finding.is_some_and(|finding| finding.reason == Reason::NameMissing);
        if state == CertificateState::BackingOff && lacks_names && facts.is_some_and(serves_some) {
            state = CertificateState::Partial;
        }
        // One of several Secrets is left alone: the others are served, and that one is not.
        let refused = evaluation.refused.first().map(|(place, finding)| (&entry.secrets[*place], finding));
        if state == CertificateState::Valid && refused.is_some() {
            state = CertificateState::Refused;
        }
        let told =
            finding.map(Violation::to_string).or_else(|| refused.map(|(at, finding)| format!("{at}: {finding}")));
        let told = told.or_else(|| entry.secrets.iter().zip(held).find_map(|(at, held)| chain_problem(at, held)));
        let told =
            told.or_else(|| entry.secrets.iter().zip(held).find_map(|(at, held)| dropped_names(entry, at, held)));
        let history = body
            .history(&entry.order_names(), directory)
            .filter(|h| h.failures > 0 && state != CertificateState::Valid);
        let failure = history.map(|h| Failure {
            stage: h.stage,
            // As much as the record keeps: a cause is never cut here.
            error: line_of(h.error.as_deref().unwrap_or_default(), ERROR_KEPT_OCTETS),
            failures: h.failures,
            at: h.last_attempt,
        });
        let asked = held.iter().any(|held| match held {
            SecretState::Present(p) => p.renewal_asked.is_some() || p.revocation_asked.is_some(),
            SecretState::Missing => false,
        });
        let window = |facts: &CertificateFacts| body.window.as_ref().filter(|w| w.serial == facts.serial);
        let renewal = facts.filter(|_| state != CertificateState::Refused).map(|facts| {
            let renewal = renewal_time(
                facts,
                &entry.main_secret().to_string(),
                entry.renew_before_of(facts.lifetime()),
                window(facts),
            );
            let wished = wanted.renewal.as_ref().and_then(|wish| wish.due(body, facts, now));
            match wished.or_else(|| asked.then_some(now)).filter(|at| *at < renewal.at) {
                Some(at) => (at.max(now), RenewalTrigger::Asked),
                None if asked => (now, RenewalTrigger::Asked),
                None => (renewal.at, RenewalTrigger::Due(renewal.cause)),
            }
        });
        let attempts_left = history.zip(facts).and_then(|(history, facts)| {
            let short_lived = facts.lifetime() < SHORT_LIVED;
            let next = history.next_attempt?.max(next_attempt.unwrap_or(now));
            Some(attempts_left(next, history.severity?, history.failures, short_lived, facts.not_after))
        });
        let first_held = held.iter().find_map(SecretState::facts);
        CertificateStatus {
            state,
            held: held.iter().map(|held| held.facts().map(|facts| Validity::of(facts))).collect(),
            unready: unready.as_ref().map(|violation| violation.reason),
            unready_detail: unready.map(|violation| line_of(&violation.detail, ERROR_KEPT_OCTETS).into()),
            is_stored_here: facts
                .zip(body.stored.as_ref())
                .is_some_and(|(facts, stored)| facts.serial == stored.serial),
            staging: held.iter().any(is_from_staging),
            issuer: facts.and_then(issuer_of),
            renewal,
            window: first_held.and_then(|facts| window(facts)).map(|window| (window.start, window.end)),
            finding: told.map(|told| line_of(&told, ERROR_KEPT_OCTETS).into()),
            failure: failure.map(Box::new),
            next_attempt,
            attempts_left,
            is_first: facts.is_none() && body.stored.is_none() && state != CertificateState::Refused,
            objects: wanted.objects.clone(),
            challenges: wanted.challenges(),
            ..CertificateStatus::empty(Subject::Wanted(entry.clone()), state, directory)
        }
    }

    /// The status of a certificate of which something could not be read; `error` says what.
    pub fn unknown(wanted: &CertificateSpec, directory: &str, error: &str) -> CertificateStatus {
        CertificateStatus {
            held: wanted.entry.secrets.iter().map(|_| None).collect(),
            finding: Some(one_line(error).into()),
            objects: wanted.objects.clone(),
            challenges: wanted.challenges(),
            ..CertificateStatus::empty(Subject::Wanted(wanted.entry.clone()), CertificateState::Unknown, directory)
        }
    }

    /// The status of a certificate whose entry went, and whose record `at` is not emptied yet. `stored` and `copy` are its last issue and
    /// the facts of its copy; `prunes` says whether its Secret is deleted in time.
    pub fn orphaned(
        at: &ObjectRef,
        orphaned: Orphaned,
        stored: Option<&Issued>,
        copy: Option<&CertificateFacts>,
        prunes: bool,
    ) -> CertificateStatus {
        let Orphaned { since, until, secret: fate } = orphaned;
        let of_secret = match (fate, deletion_time(orphaned)) {
            (OrphanedSecret::Deleted, _) => "; the Secret is deleted".to_owned(),
            (_, Some(at)) if prunes => {
                format!("; the Secret will be deleted at {at}, unless an object names it by then")
            }
            _ => String::new(),
        };
        let secret = record::subject(at).unwrap_or_else(|| at.clone());
        let names = copy.map(|facts| facts.names.clone()).unwrap_or_default();
        let directory = stored.map(|stored| &*stored.directory).unwrap_or_default();
        CertificateStatus {
            held: [copy.map(Validity::of)].into(),
            issuer: copy.and_then(issuer_of),
            finding: Some(
                format!(
                    "no entry has this Secret since {since}: it is not renewed; copy, key and history are kept until {until}{of_secret}"
                )
                .into(),
            ),
            ..CertificateStatus::empty(Subject::Orphaned(Box::new((secret, names))), CertificateState::Orphaned, directory)
        }
    }

    /// A status that says nothing but the state.
    pub fn empty(subject: Subject, state: CertificateState, directory: &str) -> CertificateStatus {
        CertificateStatus {
            subject,
            state,
            held: [].into(),
            unready: None,
            unready_detail: None,
            is_stored_here: false,
            staging: false,
            issuer: None,
            directory: SharedStr::intern(directory),
            renewal: None,
            window: None,
            finding: None,
            failure: None,
            next_attempt: None,
            attempts_left: None,
            is_first: false,
            objects: Arc::default(),
            challenges: &[],
        }
    }

    /// The Secrets that hold the certificate; at least one.
    pub fn secrets(&self) -> &[ObjectRef] {
        match &self.subject {
            Subject::Wanted(entry) => &entry.secrets,
            Subject::Orphaned(orphan) => std::slice::from_ref(&orphan.0),
        }
    }

    /// The names that are wanted.
    pub fn names(&self) -> &[Domain] {
        match &self.subject {
            Subject::Wanted(entry) => &entry.domains,
            Subject::Orphaned(orphan) => &orphan.1,
        }
    }

    /// The validity of what is held; of several Secrets, the one that ends first.
    pub fn validity(&self) -> Option<Validity> {
        self.held.iter().flatten().min_by_key(|validity| validity.ends).copied()
    }

    /// When the held certificate expires; of several, the first.
    pub fn expires(&self) -> Option<Time> {
        self.validity().map(|validity| validity.ends)
    }

    /// Tells whether every Secret holds what is wanted, and that is valid at `now`.
    pub fn is_ready(&self, now: Time) -> bool {
        let is_valid = |held: &Option<Validity>| held.is_some_and(|held| held.begins <= now && now < held.ends);
        self.unready.is_none() && self.held.iter().all(is_valid)
    }

    /// The status while an order is being made (`ordering`) or the job waits for a peer.
    pub fn with_job(self: &Arc<Self>, ordering: bool, parked: Option<&Parked>) -> Arc<CertificateStatus> {
        let mut status = self.clone();
        match (ordering, parked) {
            (true, _) => Arc::make_mut(&mut status).state = CertificateState::Issuing,
            (false, Some(parked)) => Arc::make_mut(&mut status).park(parked),
            (false, None) => {}
        }
        status
    }

    fn park(&mut self, parked: &Parked) {
        (self.state, self.next_attempt) = (CertificateState::Parked, parked.until);
        self.finding = Some(match &self.finding {
            Some(finding) => format!("{}; {finding}", parked.why).into(),
            None => parked.why.as_str().into(),
        });
    }

    /// The order of reports: certificates that are not valid by their expiry, then orphaned ones, then valid ones by their renewal.
    pub fn urgency(&self) -> impl Ord + use<> {
        let (rank, when) = match self.state {
            CertificateState::Valid => (2, self.renewal.map(|(at, _)| at)),
            CertificateState::Orphaned => (1, self.expires()),
            _ => (0, self.expires()),
        };
        (rank, when, self.secrets().to_vec())
    }
}

/// The state that follows from a decision, the violation behind it, and when something is tried next.
fn decided<'d>(decision: &'d Decision, body: &RecordData) -> (CertificateState, Option<&'d Violation>, Option<Time>) {
    match decision {
        Decision::Keep { .. } => (CertificateState::Valid, None, None),
        Decision::Wait { finding, waiting, until } => ((*waiting).into(), Some(finding), Some(*until)),
        Decision::Refuse { finding } => (CertificateState::Refused, Some(finding), None),
        Decision::Restore { finding, .. } => (CertificateState::Waiting, Some(finding), None),
        Decision::Issue { finding, names: Some(_), .. } => (CertificateState::Partial, Some(finding), None),
        Decision::Issue { finding, .. } => {
            // The record names the worker that holds the order; an order that waits to be continued has no holder.
            let is_held = body.in_flight.as_ref().is_some_and(|flight| !flight.holder.is_empty());
            (if is_held { CertificateState::Issuing } else { CertificateState::Waiting }, Some(finding), None)
        }
    }
}

fn issuer_of(facts: &CertificateFacts) -> Option<SharedStr> {
    let issuer = one_line(&facts.issuer);
    (!issuer.is_empty()).then(|| SharedStr::intern(&issuer))
}

/// Tells whether a Secret holds a certificate of a CA for tests, which nobody trusts.
fn is_from_staging(held: &SecretState) -> bool {
    let SecretState::Present(present) = held else { return false };
    let by_name = |facts: &CertificateFacts| facts.is_staging() || facts.issuer.starts_with("Fake ");
    present.pair.facts().is_some_and(|facts| by_name(facts) || present.directory.as_deref().is_some_and(is_staging))
}

/// The fault of a chain that another program stored. A chain of ours is as the CA sent it.
fn chain_problem(at: &ObjectRef, held: &SecretState) -> Option<String> {
    let SecretState::Present(present) = held else { return None };
    let facts = present.pair.facts().filter(|_| present.owner != Owner::Us)?;
    match facts.links {
        Links::Whole => None,
        Links::Alone => Some(format!(
            "{at}: `tls.crt` holds the leaf alone: clients that do not know {:?} will not trust it; add the certificate of that issuer behind it",
            facts.issuer
        )),
        Links::Broken => Some(format!(
            "{at}: in `tls.crt` a certificate is followed by another one than its issuer's: clients may not trust it; put each before the one that signed it"
        )),
    }
}

/// The names of a held certificate that the entry does not want any more.
fn dropped_names(entry: &Entry, at: &ObjectRef, held: &SecretState) -> Option<String> {
    let is_wanted = |name: &&Domain| entry.domains.iter().any(|wanted| wanted.covers(name));
    let all: Vec<String> =
        held.facts()?.names.iter().filter(|name| !is_wanted(name)).map(ToString::to_string).collect();
    let names = all.get(..NAMES_SHOWN_MAX).unwrap_or(&all).join(", ");
    let more =
        if all.len() > NAMES_SHOWN_MAX { format!(" and {} more", all.len() - NAMES_SHOWN_MAX) } else { String::new() };
    (!all.is_empty()).then(|| format!("renewal drops {names}{more}; `notariat renew {at}` has that now"))
}

#[cfg(test)]
mod tests;
