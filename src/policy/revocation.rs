//! Revocations that objects ask for: those that concern the certificate in a Secret, and the action that follows. Pure.
//!
//! A request concerns the certificate that is held when it is begun, and no other one: the record keeps the serial number by the uid of the
//! object. No status of an object is an input. A certificate may be revoked only if the record says that it was stored for this Secret, or
//! if its key is beside it: who copies the certificate of others into a Secret can not have it revoked by the account that both share.

use super::input::EvaluationInput;
pub use super::input::RevocationRequest;
use super::secret_state::{PairState, Present, SecretState};
use super::violation::{Reason, Violation};
use crate::base::limits::TIDY_INTERVAL;
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::record::{ObjectRevocation, RecordData};

/// The state of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationState<'r> {
    /// The request concerns the held certificate and was not begun.
    Due,
    /// The request was begun, and may have ended.
    Begun(&'r ObjectRevocation),
    /// The request concerns no certificate: the rest of a sentence about the Secret.
    Nothing(String),
}

/// The action that requests ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RevocationAction {
    /// No action.
    None,
    /// Another certificate is stored, then the held one is revoked. With the object.
    Replace(String),
    /// The held certificate is revoked, and nothing takes its place. With the first time for that.
    Revoke(Option<Time>),
    /// The held certificate was revoked and stays until somebody asks for another one. With the object.
    Keep(String),
}

/// The facts of the held certificate, where its account may be asked to revoke it.
///
/// # Errors
/// Why not: the rest of a sentence about the Secret.
pub fn revocable<'h>(record: &RecordData, held: &'h SecretState) -> Result<&'h CertificateFacts, &'static str> {
    let facts = held.certificate().ok_or("holds no certificate")?;
    let is_stored = record.stored.as_ref().is_some_and(|stored| stored.serial == facts.serial);
    let is_sound = matches!(held, SecretState::Present(present) if matches!(present.pair, PairState::Sound(_)));
    let foreign = "holds a certificate that notariat did not store, without a key that is known to fit";
    (is_stored || is_sound).then_some(&**facts).ok_or(foreign)
}

/// The state of a request for the certificate of a Secret.
pub fn state_of<'r>(request: &RevocationRequest, record: &'r RecordData, held: &SecretState) -> RevocationState<'r> {
    if let Some(begun) = record.revocations.iter().find(|begun| begun.uid == request.uid) {
        return RevocationState::Begun(begun);
    }
    let facts = match revocable(record, held) {
        Ok(facts) => facts,
        Err(why) => return RevocationState::Nothing(why.to_owned()),
    };
    let stored = record.stored.as_ref().filter(|stored| stored.serial == facts.serial);
    let obtained = stored.map_or(facts.not_before, |stored| stored.at);
    match obtained <= request.before {
        true => RevocationState::Due,
        false => RevocationState::Nothing(format!(
            "holds a certificate that was obtained at {obtained}, after the qualifying date {}",
            request.before
        )),
    }
}

/// The requests that concern the held certificate and have not ended.
pub fn open<'q>(
    requests: &'q [RevocationRequest],
    record: &RecordData,
    held: &SecretState,
) -> impl Iterator<Item = &'q RevocationRequest> {
    let serial = held.certificate().map(|facts| &facts.serial);
    requests.iter().filter(move |request| match state_of(request, record, held) {
        RevocationState::Due => true,
        RevocationState::Begun(begun) => begun.end.is_none() && Some(&begun.serial) == serial,
        RevocationState::Nothing(_) => false,
    })
}

/// The action for a Secret.
pub(super) fn action(input: &EvaluationInput<'_>, held: &SecretState) -> RevocationAction {
    let SecretState::Present(present) = held else { return RevocationAction::None };
    let Some(facts) = present.pair.facts() else { return RevocationAction::None };
    // Beside the certificate of a CSR no key proves anything.
    if input.entry.csr.is_some() && input.record.stored.as_ref().is_none_or(|stored| stored.serial != facts.serial) {
        return RevocationAction::None;
    }
    let open: Vec<&RevocationRequest> = open(input.revocations, input.record, held).collect();
    if let Some(request) = open.iter().find(|request| request.renew) {
        return RevocationAction::Replace(request.at.to_string());
    }
    if !open.is_empty() {
        let begun = input.record.revocations.iter().filter(|of| of.end.is_none() && of.serial == facts.serial);
        return RevocationAction::Revoke(begun.filter_map(|of| of.tried).max().map(|tried| tried + TIDY_INTERVAL));
    }
    let applied = |alone: bool| {
        let mut all = input.record.revocations.iter();
        all.find(|of| of.is_applied() && of.alone == alone && of.serial == facts.serial)
    };
    match (applied(false), applied(true)) {
        // Somebody put a replaced certificate back.
        (Some(of), _) => RevocationAction::Replace(of.object.to_string()),
        (None, Some(of)) if is_asked(input, present, facts) => RevocationAction::Replace(of.object.to_string()),
        (None, Some(of)) => RevocationAction::Keep(of.object.to_string()),
        (None, None) => RevocationAction::None,
    }
}

/// True where somebody asks for another certificate.
fn is_asked(input: &EvaluationInput<'_>, present: &Present, facts: &CertificateFacts) -> bool {
    let is_wished = input.renewal_wished(facts).is_some_and(|wished| wished <= input.now);
    is_wished || present.renewal_asked.is_some() || present.revocation_asked.is_some()
}

/// The violation of a certificate that objects want to have replaced, or that was revoked.
pub(super) fn violation(input: &EvaluationInput<'_>, held: &SecretState) -> Option<Violation> {
    let detail = match action(input, held) {
        RevocationAction::None | RevocationAction::Revoke(_) => return None,
        RevocationAction::Replace(object) => format!("it is revoked by the CertificateRevocation {object}"),
        RevocationAction::Keep(object) => format!(
            "the CertificateRevocation {object} had it revoked without another one in its place; `notariat renew` asks for one, and so does `renew` of the Certificate"
        ),
    };
    Some(Violation { reason: Reason::Revoked, detail })
}

/// The violation of a revoked certificate that stays although it is due: a revocation alone asks for no other one. A change of what is wanted
/// does.
pub(super) fn kept(input: &EvaluationInput<'_>, held: &SecretState, found: Option<&Violation>) -> Option<Violation> {
    // A certificate that is due was looked at as a revoked one before.
    let is_of_age = matches!(found?.reason, Reason::Expired | Reason::Revoked);
    let is_kept = is_of_age && matches!(action(input, held), RevocationAction::Keep(_));
    is_kept.then(|| violation(input, held)).flatten()
}

/// The first time at which the certificate of a Secret is revoked without another one in its place.
pub(super) fn due(input: &EvaluationInput<'_>, held: &SecretState) -> Option<Time> {
    match action(input, held) {
        RevocationAction::Revoke(at) => Some(at.unwrap_or(input.now)),
        RevocationAction::None | RevocationAction::Replace(_) | RevocationAction::Keep(_) => None,
    }
}
