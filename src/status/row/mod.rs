//! One certificate as an operator sees it, made of what is wanted, held and remembered and of what is decided about it. Pure.
//!
//! Untrusted: the issuer's name and the errors, which are peers' words; they are cut to one line of harmless characters here.

use std::fmt;

use crate::base::limits::SHORT_LIVED;
use crate::base::name::{Domain, ObjectRef};
use crate::base::sanitize::one_line;
use crate::base::time::Time;
use crate::cert::facts::{CertificateFacts, Links};
use crate::policy::backoff::{Stage, attempts_left};
use crate::policy::ca_limits::{OrderLog, quotas};
use crate::policy::renewal::{RenewalCause, renewal_time};
use crate::policy::secret_state::{Owner, SecretState};
use crate::policy::{Decision, Evaluation, Reason, Violation, WaitReason};
use crate::record::{self, Issued, Orphaned, RecordData};
use crate::sources::CertificateSpec;

/// The state of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateState {
    /// Every Secret holds what is wanted.
    Valid,
    /// An order is under way.
    Issuing,
    /// There is something to do, and its turn comes.
    Waiting,
    /// There is something to do, and a server is not to be asked now.
    Parked,
    /// The last attempt failed; the next one waits.
    BackingOff,
    /// The CA, or the quota of its issuer, allows no order now.
    RateLimited,
    /// Too many orders of these names within a week.
    Capped,
    /// Somebody else writes the Secret again and again.
    Contested,
    /// What is held serves some of the names; all of them together fail.
    Partial,
    /// It is not ours to mend, or can not be done as it is wanted.
    Refused,
    /// Its entry went; copy, key and history are kept for a while.
    Orphaned,
    /// It could not be read.
    Unknown,
}

impl CertificateState {
    /// All, in the order in which they are counted up.
    pub const ALL: [CertificateState; 12] = [
        CertificateState::Valid,
        CertificateState::Issuing,
        CertificateState::Waiting,
        CertificateState::Parked,
        CertificateState::BackingOff,
        CertificateState::RateLimited,
        CertificateState::Capped,
        CertificateState::Contested,
        CertificateState::Partial,
        CertificateState::Refused,
        CertificateState::Orphaned,
        CertificateState::Unknown,
    ];
}

impl fmt::Display for CertificateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CertificateState::Valid => "Valid",
            CertificateState::Issuing => "Issuing",
            CertificateState::Waiting => "Waiting",
            CertificateState::Parked => "Parked",
            CertificateState::BackingOff => "BackingOff",
            CertificateState::RateLimited => "RateLimited",
            CertificateState::Capped => "Capped",
            CertificateState::Contested => "Contested",
            CertificateState::Partial => "Partial",
            CertificateState::Refused => "Refused",
            CertificateState::Orphaned => "Orphaned",
            CertificateState::Unknown => "Unknown",
        })
    }
}

/// What a certificate waits for whose job could begin otherwise: a peer that failed, or that others use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Which peer, and what is the matter with it.
    pub why: String,
    /// Until when, where that is known.
    pub until: Option<Time>,
}

/// Why a certificate is renewed when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalTrigger {
    /// The CA's window, the lifetime, or `renewBefore`.
    Due(RenewalCause),
    /// Somebody asked for it.
    Asked,
}

impl fmt::Display for RenewalTrigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RenewalTrigger::Due(RenewalCause::Window) => "window",
            RenewalTrigger::Due(RenewalCause::Lifetime) => "lifetime",
            RenewalTrigger::Due(RenewalCause::RenewBefore) => "renewBefore",
            RenewalTrigger::Asked => "asked",
        })
    }
}

/// The last attempt, which failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Where.
    pub stage: Option<Stage>,
    /// What was said.
    pub error: String,
    /// Failures in a row.
    pub failures: u32,
    /// When.
    pub at: Time,
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    /// The Secrets that hold it; at least one.
    pub secrets: Vec<ObjectRef>,
    /// The names that are wanted.
    pub names: Vec<Domain>,
    /// Its state.
    pub state: CertificateState,
    /// The common name of who signed what is held.
    pub issuer: Option<String>,
    /// The directory URL of the CA that it is to come from.
    pub directory: String,
    /// When what is held expires; of several the first.
    pub expires: Option<Time>,
    /// When it is renewed, and why then.
    pub renewal: Option<(Time, RenewalTrigger)>,
    /// What is wrong, as found by the checks; of what is valid, what some clients will not like.
    pub finding: Option<String>,
    /// The last attempt, where it failed and matters still.
    pub failure: Option<Failure>,
    /// When something is tried next.
    pub next_attempt: Option<Time>,
    /// Attempts that the schedule allows before it expires, when all of them fail.
    pub attempts_left: Option<u32>,
    /// Whether nothing was ever stored or found.
    pub is_first: bool,
}

impl CertificateStatus {
    /// The row of a certificate that was decided about.
    pub fn of(
        wanted: &CertificateSpec,
        held: &[SecretState],
        body: &RecordData,
        directory: &str,
        judgement: &Evaluation,
        now: Time,
    ) -> CertificateStatus {
        let entry = &wanted.entry;
        let facts = held.iter().filter_map(facts_of).min_by_key(|facts| facts.not_after);
        let (mut state, finding, next_attempt) = match &judgement.decision {
            Decision::Keep { .. } => (CertificateState::Valid, None, None),
            Decision::Wait { finding, waiting, until } => (waits(*waiting), Some(finding), Some(*until)),
            Decision::Refuse { finding } => (CertificateState::Refused, Some(finding), None),
            Decision::Restore { finding, .. } => (CertificateState::Waiting, Some(finding), None),
            Decision::Issue { finding, names: Some(_), .. } => (CertificateState::Partial, Some(finding), None),
            Decision::Issue { finding, .. } => {
                // Whoever is at it stands there; what waits to be continued has no holder.
                let is_held = body.in_flight.as_ref().is_some_and(|flight| !flight.holder.is_empty());
                (if is_held { CertificateState::Issuing } else { CertificateState::Waiting }, Some(finding), None)
            }
        };
        let serves_some =
            |facts: &&CertificateFacts| now < facts.not_after && entry.domains.iter().any(|name| facts.covers(name));
        let lacks_names = finding.is_some_and(|finding| finding.reason == Reason::NameMissing);
        if state == CertificateState::BackingOff && lacks_names && facts.as_ref().is_some_and(serves_some) {
            state = CertificateState::Partial;
        }
        // One of several Secrets is left alone: the others are served, and it is not.
        let refused = judgement.refused.first().map(|(place, finding)| (&entry.secrets[*place], finding));
        if state == CertificateState::Valid && refused.is_some() {
            state = CertificateState::Refused;
        }
        let told =
            finding.map(Violation::to_string).or_else(|| refused.map(|(at, finding)| format!("{at}: {finding}")));
        let told = told.or_else(|| entry.secrets.iter().zip(held).find_map(|(at, held)| doubt(at, held)));
        let history = body
            .history(&entry.order_names(), directory)
            .filter(|h| h.failures > 0 && state != CertificateState::Valid);
        let failure = history.map(|h| Failure {
            stage: h.stage,
            error: one_line(h.error.as_deref().unwrap_or_default()),
            failures: h.failures,
            at: h.last_attempt,
        });
        let asked = held.iter().any(|held| match held {
            SecretState::Present(p) => p.renewal_asked.is_some() || p.revocation_asked.is_some(),
            SecretState::Missing => false,
        });
        let renewal = facts.filter(|_| state != CertificateState::Refused).map(|facts| {
            let window = body.window.as_ref().filter(|w| w.serial == facts.serial);
            let renewal = renewal_time(facts, &entry.main_secret().to_string(), entry.renew_before, window);
            if asked { (now, RenewalTrigger::Asked) } else { (renewal.at, RenewalTrigger::Due(renewal.cause)) }
        });
        let attempts_left = history.zip(facts).and_then(|(history, facts)| {
            let short_lived = facts.lifetime() < SHORT_LIVED;
            let next = history.next_attempt?.max(next_attempt.unwrap_or(now));
            Some(attempts_left(next, history.severity?, history.failures, short_lived, facts.not_after))
        });
        CertificateStatus {
            secrets: entry.secrets.clone(),
            names: entry.domains.clone(),
            state,
            issuer: facts.map(|facts| one_line(&facts.issuer)).filter(|issuer| !issuer.is_empty()),
            directory: directory.to_owned(),
            expires: facts.map(|facts| facts.not_after),
            renewal,
            finding: told.map(|told| one_line(&told)),
            failure,
            next_attempt,
            attempts_left,
            is_first: facts.is_none() && body.stored.is_none() && state != CertificateState::Refused,
        }
    }

    /// The row of a certificate of which something could not be read.
    pub fn unknown(wanted: &CertificateSpec, directory: &str, said: &str) -> CertificateStatus {
        CertificateStatus {
            secrets: wanted.entry.secrets.clone(),
            names: wanted.entry.domains.clone(),
            state: CertificateState::Unknown,
            issuer: None,
            directory: directory.to_owned(),
            expires: None,
            renewal: None,
            finding: Some(one_line(said)),
            failure: None,
            next_attempt: None,
            attempts_left: None,
            is_first: false,
        }
    }

    /// The same while its job waits for a peer.
    pub fn park(&mut self, parked: &Parked) {
        (self.state, self.next_attempt) = (CertificateState::Parked, parked.until);
        self.finding = Some(match &self.finding {
            Some(finding) => format!("{}; {finding}", parked.why),
            None => parked.why.clone(),
        });
    }

    /// The row of a certificate whose entry went: its record `at` is not emptied yet. `stored` and `copy` are what that says of it.
    pub fn orphaned(
        at: &ObjectRef,
        orphaned: Orphaned,
        stored: Option<&Issued>,
        copy: Option<&CertificateFacts>,
    ) -> CertificateStatus {
        let Orphaned { since, until } = orphaned;
        CertificateStatus {
            secrets: vec![record::subject(at).unwrap_or_else(|| at.clone())],
            names: copy.map(|facts| facts.names.clone()).unwrap_or_default(),
            state: CertificateState::Orphaned,
            issuer: copy.map(|facts| one_line(&facts.issuer)).filter(|issuer| !issuer.is_empty()),
            directory: stored.map(|stored| stored.directory.to_string()).unwrap_or_default(),
            expires: copy.map(|facts| facts.not_after),
            renewal: None,
            finding: Some(format!(
                "no entry has this Secret since {since}: it is not renewed; copy, key and history are kept until {until}"
            )),
            failure: None,
            next_attempt: None,
            attempts_left: None,
            is_first: false,
        }
    }

    /// What comes first: what is not valid, of that what expires first or is not there at all; then what nobody wants any more; then what
    /// is renewed first.
    pub fn urgency(&self) -> impl Ord + use<> {
        let (rank, when) = match self.state {
            CertificateState::Valid => (2, self.renewal.map(|(at, _)| at)),
            CertificateState::Orphaned => (1, self.expires),
            _ => (0, self.expires),
        };
        (rank, when, self.secrets.clone())
    }
}

fn facts_of(held: &SecretState) -> Option<&CertificateFacts> {
    match held {
        SecretState::Missing => None,
        SecretState::Present(present) => present.pair.facts().map(|facts| &**facts),
    }
}

/// What some clients will not like of a certificate that somebody else stored. Ours is as the CA wants it.
fn doubt(at: &ObjectRef, held: &SecretState) -> Option<String> {
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

fn waits(waiting: WaitReason) -> CertificateState {
    match waiting {
        WaitReason::BackingOff => CertificateState::BackingOff,
        WaitReason::Capped => CertificateState::Capped,
        WaitReason::Contested => CertificateState::Contested,
        WaitReason::RateLimited => CertificateState::RateLimited,
    }
}

/// How far the first issuance of all certificates is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Certificates that there are.
    pub stored: usize,
    /// Certificates that are wanted and can be had.
    pub total: usize,
    /// When the last one can be ordered, where a quota lets no more of them go at once.
    pub until: Option<Time>,
}

impl Progress {
    /// Of some certificates; `None` when all were there once. `made` are the orders lately made at a directory, `per_day` is its issuer's
    /// quota.
    pub fn of<'m>(
        rows: &[CertificateStatus],
        made: impl Fn(&str) -> Option<&'m OrderLog>,
        per_day: impl Fn(&str) -> Option<u32>,
        now: Time,
    ) -> Option<Progress> {
        let none = OrderLog::default();
        let total = rows
            .iter()
            .filter(|row| {
                !matches!(row.state, CertificateState::Refused | CertificateState::Orphaned | CertificateState::Unknown)
            })
            .count();
        let mut firsts = std::collections::BTreeMap::<&str, usize>::new();
        for row in rows.iter().filter(|row| row.is_first) {
            *firsts.entry(&row.directory).or_default() += 1;
        }
        let stored = total - firsts.values().sum::<usize>();
        let last = |(directory, count): (&&str, &usize)| {
            made(directory).unwrap_or(&none).last_of(&quotas(directory, per_day(directory)), *count, now)
        };
        let until = firsts.iter().map(last).max()?;
        Some(Progress { stored, total, until: (until > now).then_some(until) })
    }
}

/// What is to be said besides the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// An entry is not served as it stands.
    Refused,
    /// A ConfigMap is missing or unreadable.
    Unreadable,
    /// A ConfigMap could not be read.
    Unknown,
    /// Worth a look.
    Warning,
    /// There are more certificates than are shown.
    NotShown,
}

impl fmt::Display for NoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoteKind::Refused => "refused",
            NoteKind::Unreadable => "unreadable",
            NoteKind::Unknown => "unknown",
            NoteKind::Warning => "warning",
            NoteKind::NotShown => "not shown",
        })
    }
}

/// All certificates and what is to be said besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    /// The certificates, the most urgent first.
    pub rows: Vec<CertificateStatus>,
    /// Sentences that concern no row.
    pub notes: Vec<(NoteKind, String)>,
    /// The first issuance, while it lasts.
    pub progress: Option<Progress>,
}

#[cfg(test)]
mod tests;
