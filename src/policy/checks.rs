//! The ordered table of checks on a Secret. The first violation is the reason. Pure.

use super::input::{EvaluationInput, renewal_time_of};
use super::renewal::renewal_time;
use super::revocation;
use super::secret_state::{PairState, Present, SecretState, annotation};
use super::violation::{Reason, Violation};
use crate::acme::directory::normalized;
use crate::base::limits::CLOCK_TOLERANCE;
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::cert::request::is_word;
use crate::config::entry::Entry;

/// The input of one check.
struct CheckInput<'a> {
    input: &'a EvaluationInput<'a>,
    held: &'a SecretState,
    present: &'a Present,
}

type Check = fn(&CheckInput<'_>) -> Option<Violation>;

/// The checks on an existing Secret, in their order.
const CHECKS: &[Check] = &[
    wrong_type,        // `type` can not be changed, and a Secret of the wrong type is never deleted
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
            let view = CheckInput { input, held, present };
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
    let (kind, wanted) = (&view.present.kind, view.input.secret_type);
    if kind == wanted {
        return None;
    }
    found(
        Reason::WrongType,
        format!("its type is {kind}, not {wanted}; it is left alone: name another Secret, or delete it yourself"),
    )
}

fn owned_by_another(view: &CheckInput<'_>) -> Option<Violation> {
    let owner = view.present.owner.another(view.input.certificate)?;
    if view.input.entry.adopt || is_abandoned(view.input.entry, view.present, view.input.now) {
        return None;
    }
    found(Reason::OwnedByAnother, format!("it belongs to {owner}; it is left alone: set `adopt: true` to take it over"))
}

fn owned_by_nobody(view: &CheckInput<'_>) -> Option<Violation> {
    if !view.input.of_objects || view.input.entry.adopt || !view.present.owner.is_nobody(view.input.certificate) {
        return None;
    }
    let detail = match view.input.certificate {
        None => {
            "nothing says that it was made for this: it is left alone; set the annotation `notariat/adopt: \"true\"` on the object to have it \
                 kept up to date, or delete it yourself"
        }
        Some(_) => {
            "it holds a certificate or a key, and nothing says that it was made for this Certificate: it is left alone; name another \
                    Secret, or delete it yourself"
        }
    };
    found(Reason::OwnedByAnother, detail.to_owned())
}

/// Tells whether the owner of a Secret is gone: no renewal for a tenth of the lifetime.
pub fn is_abandoned(entry: &Entry, present: &Present, now: Time) -> bool {
    present.pair.facts().is_some_and(|facts| {
        let due =
            renewal_time(facts, &entry.main_secret().to_string(), entry.renew_before_of(facts.lifetime()), None).at;
        now >= due + facts.lifetime() / 10
    })
}

fn unparsable(view: &CheckInput<'_>) -> Option<Violation> {
    match &view.present.pair {
        PairState::Broken(why) | PairState::Keyless(_, why) => found(Reason::Unparsable, why.clone()),
        PairState::Mismatch(_) | PairState::Sound(_) | PairState::Unchecked(_) => None,
    }
}

fn key_mismatch(view: &CheckInput<'_>) -> Option<Violation> {
    if let PairState::Mismatch(_) = view.present.pair {
        return found(Reason::KeyMismatch, "its key does not belong to its certificate".to_owned());
    }
    // Another CSR is a change, which has its own check.
    let csr =
        view.input.entry.csr.as_ref().filter(|csr| view.present.key_type.as_ref().is_none_or(|of| of == csr.word()))?;
    let fits = view.facts()?.fits(csr.public_key());
    (!fits).then(|| Violation {
        reason: Reason::KeyMismatch,
        detail: "its certificate is not for the key of the csr".to_owned(),
    })
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
    if view.input.entry.keep_key_type {
        return None;
    }
    let (current, wanted) = (view.present.key_type.as_ref()?, view.input.entry.key_word());
    let detail = match (is_word(current), view.input.entry.csr.is_some()) {
        _ if current == wanted => return None,
        (true, true) => "its certificate was ordered with another csr".to_owned(),
        (false, true) => format!("its key was ordered as {current}, and there is a csr now"),
        (true, false) => format!("its certificate was ordered with a csr, and {wanted} is wanted"),
        (false, false) => format!("its key was ordered as {current}, and {wanted} is wanted"),
    };
    found(Reason::KeyTypeChanged, detail)
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
    if let Some(violation) = revocation::violation(view.input, view.held) {
        return Some(violation);
    }
    let facts = view.facts()?;
    if view.input.csr_is_compromised() {
        return found(Reason::Revoked, "a certificate for the key of its csr was revoked as compromised".to_owned());
    }
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
    if let Some(asked) = &view.present.renewal_asked {
        let short: String = asked.chars().take(60).collect();
        return found(Reason::RenewalRequested, format!("the annotation {} is {short:?}", annotation::RENEW));
    }
    let wish = view.input.renewal?;
    view.input.renewal_wished(view.facts()?).filter(|wished| *wished <= view.input.now)?;
    found(Reason::RenewalRequested, wish.to_string())
}
