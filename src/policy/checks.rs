//! The ordered table of checks on a Secret. The first violation is the reason. Pure.

use std::fmt;

use super::input::{EvaluationInput, renewal_time_of};
use super::renewal::renewal_time;
use super::secret_state::{Owner, PairState, Present, SecretState, annotation};
use crate::acme::directory::normalized;
use crate::base::limits::CLOCK_TOLERANCE;
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::config::entry::Entry;
use crate::kube::object::TYPE_TLS;

/// The reason for an action, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is explained at its check")]
pub enum Reason {
    SecretMissing,
    WrongType,
    OwnedByAnother,
    Unparsable,
    KeyMismatch,
    NameMissing,
    Expired,
    NotYetValid,
    DirectoryChanged,
    KeyTypeChanged,
    ProfileChanged,
    Revoked,
    RenewalDue,
    RenewalRequested,
}

impl Reason {
    /// Whether the certificate works and only a setting changed. These reasons queue behind all others, and one
    /// certificate goes first to prove the new setting.
    pub fn is_change(self) -> bool {
        matches!(self, Reason::DirectoryChanged | Reason::KeyTypeChanged | Reason::ProfileChanged)
    }

    /// Whether the last stored pair repairs the Secret without the CA, provided that it serves all wanted names:
    /// another writer deleted, emptied or overwrote it. A missing name counts as well: otherwise a writer of other
    /// certificates would use up the cap.
    pub(super) fn is_restorable(self) -> bool {
        use Reason::{KeyMismatch, NameMissing, SecretMissing, Unparsable};
        matches!(self, SecretMissing | Unparsable | KeyMismatch | NameMissing)
    }

    /// Whether the Secret belongs to another owner or purpose, and is left alone.
    pub fn is_refusal(self) -> bool {
        matches!(self, Reason::WrongType | Reason::OwnedByAnother)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A reason and its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The reason.
    pub reason: Reason,
    /// The particulars.
    pub detail: String,
}

impl Violation {
    /// Adds the words of a CA.
    pub(super) fn with(self, words: Option<&str>) -> Violation {
        let words = words.map(|words| format!("; {words}")).unwrap_or_default();
        Violation { detail: self.detail + &words, ..self }
    }

    /// Adds the last writer of `current`, where the fault may be that writer's.
    pub(super) fn written_by(mut self, current: &SecretState) -> Violation {
        if let SecretState::Present(present) = current
            && let Some(writer) = &present.writer
            && (Reason::Unparsable..=Reason::NotYetValid).contains(&self.reason)
        {
            self.detail += &format!("; last written by {writer}");
        }
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.detail)
    }
}

/// The input of one check.
struct CheckInput<'a> {
    input: &'a EvaluationInput<'a>,
    present: &'a Present,
}

type Check = fn(&CheckInput<'_>) -> Option<Violation>;

/// The checks on an existing Secret, in their order.
const CHECKS: &[Check] = &[
    wrong_type,        // `type` can not be changed, and never is the Secret deleted
    owned_by_another,  // another program would write it back
    owned_by_nobody,   // a person made it, and who may name it in an object need not be allowed to write it
    unparsable,        // nothing can use it
    key_mismatch,      // nothing can use it
    name_missing,      // a configured name is not served
    expired,           // no client takes it
    not_yet_valid,     // no client takes it yet
    directory_changed, // another CA is wanted
    key_type_changed,  // another kind of key is wanted
    profile_changed,   // another kind of certificate is wanted
    revoked,           // clients may refuse it
    renewal_due,       // it is time
    renewal_requested, // somebody asked
];

/// The checks on an existing Secret that tell whether it serves what is wanted now. Renewals that are due or asked for take nothing away from
/// what is held.
const READY_CHECKS: &[Check] = &[
    wrong_type,        // clients look for `kubernetes.io/tls`
    owned_by_another,  // its content is not ours to promise
    owned_by_nobody,   // its content is not ours to promise
    unparsable,        // nothing can use it
    key_mismatch,      // nothing can use it
    name_missing,      // a configured name is not served
    expired,           // no client takes it
    not_yet_valid,     // no client takes it yet
    directory_changed, // it is not of the wanted CA
    key_type_changed,  // it has not the wanted kind of key
    profile_changed,   // it is not the wanted kind of certificate
    revoked,           // clients may refuse it
];

/// The first reason why a Secret does not serve what is wanted now; `None` when it does.
pub(super) fn check_ready(input: &EvaluationInput<'_>, held: &SecretState) -> Option<Violation> {
    first_violation(READY_CHECKS, input, held)
}

/// The first fault of one Secret.
pub(super) fn check(input: &EvaluationInput<'_>, held: &SecretState) -> Option<Violation> {
    first_violation(CHECKS, input, held)
}

fn first_violation(checks: &[Check], input: &EvaluationInput<'_>, held: &SecretState) -> Option<Violation> {
    match held {
        SecretState::Missing => found(Reason::SecretMissing, "it does not exist".to_owned()),
        SecretState::Present(present) => {
            let view = CheckInput { input, present };
            checks.iter().find_map(|check| check(&view)).map(|finding| finding.written_by(held))
        }
    }
}

fn found(reason: Reason, detail: String) -> Option<Violation> {
    Some(Violation { reason, detail })
}

impl<'a> CheckInput<'a> {
    /// The facts of the certificate; earlier checks report a Secret without one.
    fn facts(&self) -> Option<&'a CertificateFacts> {
        self.present.pair.facts().map(|facts| &**facts)
    }
}

fn wrong_type(view: &CheckInput<'_>) -> Option<Violation> {
    let kind = &view.present.kind;
    if kind == TYPE_TLS {
        return None;
    }
    found(
        Reason::WrongType,
        format!("its type is {kind}, not {TYPE_TLS}; it is left alone: name another Secret, or delete it yourself"),
    )
}

fn owned_by_another(view: &CheckInput<'_>) -> Option<Violation> {
    let Owner::Another(owner) = &view.present.owner else {
        return None;
    };
    if view.input.entry.adopt || is_abandoned(view.input.entry, view.present, view.input.now) {
        return None;
    }
    found(Reason::OwnedByAnother, format!("it belongs to {owner}; it is left alone: set `adopt: true` to take it over"))
}

fn owned_by_nobody(view: &CheckInput<'_>) -> Option<Violation> {
    if !view.input.of_objects || view.input.entry.adopt || view.present.owner != Owner::Nobody {
        return None;
    }
    let detail = "nothing says that it was made for this: it is left alone; set the annotation `notariat/adopt: \"true\"` on the object to have it \
                  kept up to date, or delete it yourself";
    found(Reason::OwnedByAnother, detail.to_owned())
}

/// Whether the owner of a Secret is gone: no renewal for a tenth of the lifetime.
pub fn is_abandoned(entry: &Entry, present: &Present, now: Time) -> bool {
    present.pair.facts().is_some_and(|facts| {
        let due = renewal_time(facts, &entry.main_secret().to_string(), entry.renew_before, None).at;
        now >= due + facts.lifetime() / 10
    })
}

fn unparsable(view: &CheckInput<'_>) -> Option<Violation> {
    match &view.present.pair {
        PairState::Broken(why) => found(Reason::Unparsable, why.clone()),
        PairState::Mismatch | PairState::Sound(_) | PairState::Unchecked(_) => None,
    }
}

fn key_mismatch(view: &CheckInput<'_>) -> Option<Violation> {
    match view.present.pair {
        PairState::Mismatch => found(Reason::KeyMismatch, "its key does not belong to its certificate".to_owned()),
        PairState::Broken(_) | PairState::Sound(_) | PairState::Unchecked(_) => None,
    }
}

fn name_missing(view: &CheckInput<'_>) -> Option<Violation> {
    let facts = view.facts()?;
    let missing: Vec<String> =
        view.input.entry.domains.iter().filter(|d| !facts.covers(d)).map(ToString::to_string).collect();
    if missing.is_empty() {
        return None;
    }
    found(Reason::NameMissing, format!("its certificate is not for {}", missing.join(", ")))
}

fn expired(view: &CheckInput<'_>) -> Option<Violation> {
    let facts = view.facts().filter(|f| view.input.now >= f.not_after)?;
    found(Reason::Expired, format!("its certificate expired at {}", facts.not_after))
}

fn not_yet_valid(view: &CheckInput<'_>) -> Option<Violation> {
    let facts = view.facts()?;
    let ours = view.input.record.stored.as_ref().is_some_and(|s| s.serial == facts.serial);
    // A certificate stored by us was validated by the CA's clock, so our clock is wrong: wait.
    if ours || facts.not_before <= view.input.now + CLOCK_TOLERANCE {
        return None;
    }
    found(Reason::NotYetValid, format!("its certificate is valid from {} on", facts.not_before))
}

fn directory_changed(view: &CheckInput<'_>) -> Option<Violation> {
    let (wanted, facts) = (view.input.directory, view.facts()?);
    let from = match &view.present.directory {
        Some(current) if normalized(current) == wanted.url() => return None,
        Some(current) => current.to_string(),
        None if facts.is_staging() && !wanted.is_staging() => {
            format!("a staging directory ({:?})", facts.issuer)
        }
        None => return None,
    };
    // A directory that is not configured, perhaps by mistake, changes nothing.
    if !wanted.is_explicit() {
        return None;
    }
    found(Reason::DirectoryChanged, format!("its certificate is from {from}, and {} is wanted", wanted.url()))
}

fn key_type_changed(view: &CheckInput<'_>) -> Option<Violation> {
    let current = view.present.key_type.as_ref().filter(|current| *current != view.input.entry.key_type.name())?;
    found(
        Reason::KeyTypeChanged,
        format!("its key was ordered as {current}, and {} is wanted", view.input.entry.key_type.name()),
    )
}

fn profile_changed(view: &CheckInput<'_>) -> Option<Violation> {
    // Without our directory annotation the certificate was ordered by another program, and its profile is unknown.
    view.present.directory.as_ref()?;
    let (current, wanted) = (view.present.profile.as_deref(), view.input.profile);
    if current == wanted {
        return None;
    }
    let shown = |profile: Option<&str>| profile.map_or_else(|| "no profile".to_owned(), |p| format!("the profile {p}"));
    found(
        Reason::ProfileChanged,
        format!("its certificate was ordered with {}, and {} is wanted", shown(current), shown(wanted)),
    )
}

fn revoked(view: &CheckInput<'_>) -> Option<Violation> {
    if let Some(reason) = &view.present.revocation_asked {
        return found(Reason::Revoked, format!("the annotation {} asks for it ({reason})", annotation::REVOKE));
    }
    let facts = view.facts()?;
    let window = view.input.record.window.as_ref().filter(|w| w.serial == facts.serial && w.moved_to_past)?;
    let why = window.explanation.as_ref().map(|url| format!(", see {url}")).unwrap_or_default();
    found(Reason::Revoked, format!("the CA moved its renewal to before {}{why}", window.end))
}

fn renewal_due(view: &CheckInput<'_>) -> Option<Violation> {
    let facts = view.facts()?;
    let moment = renewal_time_of(view.input, facts).at;
    if view.input.now < moment {
        return None;
    }
    found(Reason::RenewalDue, format!("its certificate expires at {} and was due at {moment}", facts.not_after))
}

fn renewal_requested(view: &CheckInput<'_>) -> Option<Violation> {
    let asked = view.present.renewal_asked.as_ref()?;
    let short: String = asked.chars().take(60).collect();
    found(Reason::RenewalRequested, format!("the annotation {} is {short:?}", annotation::RENEW))
}
