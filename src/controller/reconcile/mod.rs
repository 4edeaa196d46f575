//! Reconciles one certificate: from its evaluation and its record to the notes to be said and the job to be done. Pure.

use std::sync::Arc;

use super::notes::Note;
use super::observed::RecordSummary;
use crate::acme::directory::normalized;
use crate::base::limits::SHORT_LIVED;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::policy::order_index::ReservedOrder;
use crate::policy::secret_state::SecretState;
use crate::policy::{Decision, Directory, Violation};
use crate::sources::CertificateSpec;
use crate::status::evaluate::Evaluated;
use crate::worker::{Job, JobPeer, Observed, RenewalInfoRequest, Task};

/// The state of one certificate.
pub(super) struct ReconcileInput<'a> {
    pub(super) wanted: &'a Arc<CertificateSpec>,
    pub(super) evaluated: Evaluated,
    pub(super) record: &'a RecordSummary,
    /// The version of the record; empty where there is none.
    pub(super) version: &'a str,
    /// When the record may be cleaned up again; `None` when that was not done lately.
    pub(super) next_clean_up: Option<Time>,
    /// When the zones are probed next; `None` where they are not probed.
    pub(super) next_probe: Option<Time>,
    /// When the CA may be asked for its renewal window; `None` where there is nothing to ask.
    pub(super) next_renewal_info: Option<Time>,
    pub(super) now: Time,
}

/// The result of a reconciled certificate, which the queue keeps.
#[derive(Debug, Default)]
pub(super) struct ReconcileResult {
    /// The job to be done.
    pub(super) job: Option<Box<Job>>,
    /// When the certificate is reconciled again, at the latest.
    pub(super) due: Option<Time>,
    /// True if something could not be read.
    pub(super) unknown: bool,
    /// True if a Secret is not as it should be.
    pub(super) unsound: bool,
    /// The order that the job makes.
    pub(super) order: Option<Box<ReservedOrder>>,
    /// True if the certificate is to be made in another way, which failed and waits.
    pub(super) change_waits: bool,
    /// True if the entry went and came back, and no job writes that into the record.
    pub(super) is_back: bool,
    /// The request of a person for an attempt, served or not.
    pub(super) asked: Option<String>,
}

impl ReconcileResult {
    fn due_by(&mut self, at: Time) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

/// The certificate that the CA can be asked about for its renewal window (RFC 9773).
pub(super) fn renewal_info_facts<'h>(held: &'h [SecretState], directory: &Directory) -> Option<&'h CertificateFacts> {
    let facts = held.iter().find_map(|held| match held {
        SecretState::Present(present)
            if present.directory.as_deref().map(normalized).as_deref() == Some(directory.url()) =>
        {
            present.pair.facts()
        }
        SecretState::Present(_) | SecretState::Missing => None,
    })?;
    facts.cert_id.is_some().then_some(facts)
}

/// Decides what is said and done about a certificate. The job lacks its `inputs` where the evaluation did not need them.
pub(super) fn reconcile(input: ReconcileInput<'_>) -> (ReconcileResult, Vec<Note>) {
    let ReconcileInput { wanted, evaluated, record, version, next_clean_up, next_probe, next_renewal_info, now } =
        input;
    let Evaluated { held, dependencies, directory, order, evaluation, .. } = evaluated;
    let (entry, body) = (&wanted.entry, &record.body);
    let asked = held.iter().find_map(|held| match held {
        SecretState::Present(present) => present.renewal_asked.clone(),
        SecretState::Missing => None,
    });
    let (mut result, mut notes) = (ReconcileResult::default(), Vec::new());
    result.asked = asked.map(str::into_string).or_else(|| body.asked.clone());
    notes.extend(evaluation.warnings.into_iter().map(Note::Warning));
    for (place, violation) in &evaluation.refused {
        result.unsound = true;
        notes.push(Note::LeftAlone(entry.secrets[*place].clone(), violation.clone()));
    }
    let is_back = body.orphaned.is_some();
    let is_accepted = wanted.last_accepted
        || record
            .accepted
            .as_ref()
            .is_some_and(|a| a.fingerprint == wanted.fingerprint && a.source.as_deref() == Some(&*wanted.source));
    let is_untidy = body.in_flight.is_some() || !body.leftovers.is_empty() || !body.to_revoke.is_empty();
    let clean_up = !is_accepted || is_back || (is_untidy && next_clean_up.is_none_or(|next| next <= now));
    if is_untidy && !clean_up {
        result.due = next_clean_up;
    }
    let (is_kept, names) = match &evaluation.decision {
        Decision::Keep { .. } => (true, None),
        Decision::Issue { names, .. } => (false, names.clone()),
        Decision::Wait { .. } | Decision::Refuse { .. } | Decision::Restore { .. } => (false, None),
    };
    let task = match decided(evaluation.decision, &evaluation.refused, &mut result, &mut notes) {
        None if evaluation.revocation.is_some_and(|due| due <= now) => Some(Task::Revoke),
        None if is_kept && clean_up => Some(Task::Tidy),
        None if is_kept && cascade_differs(wanted, &held, next_clean_up.is_none_or(|next| next <= now)) => {
            Some(Task::Cascade)
        }
        task => task,
    };
    evaluation.revocation.iter().for_each(|due| result.due_by(*due));
    let may_ask = next_renewal_info.filter(|_| is_kept);
    if let Some(next) = may_ask.filter(|next| *next > now) {
        result.due_by(next);
    }
    let renewal_info = may_ask.filter(|next| *next <= now).and_then(|_| renewal_info(record, &held, &directory));
    let task = task.or(renewal_info.map(Task::Window)).or_else(|| {
        let next = next_probe.filter(|_| is_kept)?;
        if next > now {
            result.due_by(next);
        }
        (next <= now).then_some(Task::Probe)
    });
    let Some(task) = task else { return (ReconcileResult { is_back, ..result }, notes) };
    let ca = || SharedStr::intern(directory.url());
    result.order = order.map(Box::new);
    let peer = match &task {
        Task::Issue { .. } | Task::Revoke | Task::Window(_) => JobPeer::Ca(ca()),
        // A certificate that was replaced is revoked at the CA.
        Task::Tidy if !body.to_revoke.is_empty() => JobPeer::Ca(ca()),
        Task::Tidy | Task::Probe => JobPeer::Dns,
        Task::Restore { .. } | Task::Cascade => JobPeer::Store,
    };
    let short_lived = held.iter().filter_map(SecretState::facts).any(|facts| facts.lifetime() < SHORT_LIVED);
    result.job = Some(Box::new(Job {
        wanted: names.map_or_else(|| wanted.clone(), |names| Arc::new(wanted.only(names))),
        task,
        inputs: dependencies.unwrap_or_default(),
        short_lived,
        basis: Observed { held, record: version.to_owned(), ..Observed::default() },
        peer,
    }));
    (result, notes)
}

/// Tells whether the owner of a Secret is to be set or removed. A removal never waits; a writer that removes what is set meets a rest.
fn cascade_differs(wanted: &CertificateSpec, held: &[SecretState], has_rested: bool) -> bool {
    let owner = wanted.cascade.as_ref().map(|owner| owner.uid.as_str());
    (owner.is_none() || has_rested) && held.iter().any(|held| held.cascades_otherwise(owner))
}

/// The task and the notes that follow from a decision.
fn decided(
    decision: Decision,
    left_alone: &[(usize, Violation)],
    result: &mut ReconcileResult,
    notes: &mut Vec<Note>,
) -> Option<Task> {
    result.unsound |= !matches!(decision, Decision::Keep { .. });
    match decision {
        Decision::Keep { until } => {
            result.due_by(until);
            notes.push(Note::Valid(until));
            None
        }
        Decision::Wait { finding, waiting, until } => {
            result.due_by(until);
            result.change_waits = finding.reason.is_change();
            notes.push(Note::Waiting(finding, waiting, until));
            None
        }
        Decision::Refuse { finding } => {
            if !left_alone.iter().any(|(_, refused)| *refused == finding) {
                notes.push(Note::Refused(finding));
            }
            None
        }
        Decision::Restore { finding, source, targets } => Some(Task::Restore { finding, source, targets }),
        Decision::Issue { finding, targets, counted, .. } => Some(Task::Issue { finding, targets, counted }),
    }
}

/// The question to the CA for its renewal window.
fn renewal_info(record: &RecordSummary, held: &[SecretState], directory: &Directory) -> Option<RenewalInfoRequest> {
    let facts = renewal_info_facts(held, directory)?;
    let before = record.body.window.clone().filter(|window| window.serial == facts.serial);
    Some(RenewalInfoRequest { serial: facts.serial.clone(), cert_id: facts.cert_id.clone()?, before })
}

#[cfg(test)]
mod tests;
