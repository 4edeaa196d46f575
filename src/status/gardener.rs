//! The status of Gardener's objects, made of the status of the certificate that a Certificate wants and of the account of an Issuer. Pure.

use serde_json::json;

use super::certificate::CertificateStatus;
use super::state::CertificateState;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::cert_manager::status::{IssuerReason, IssuerVerdict, StateField, StateFields, StateVerdict};
use crate::policy::Reason;
use crate::policy::secret_state::SecretState;
use crate::sources::wish::{WishProblem, WishReason};

/// The state of an object that is as it should be.
const READY: &str = "Ready";
/// The state of an object that is not as it should be, where somebody may have to do something.
const ERROR: &str = "Error";
/// The state of a Certificate while its certificate is obtained.
const PENDING: &str = "Pending";
/// The state of a Certificate that waits for something else.
const WAITING: &str = "Waiting";
/// The state of a Certificate whose certificate was revoked.
const REVOKED: &str = "Revoked";

/// The verdict on a Certificate by the status of its certificate. `problem` is what is not served of the Certificate, `fields` are those that
/// the object itself gives. `None` while nothing can be said.
///
/// A certificate that is as it should be makes the Certificate ready, also while it is renewed and when that fails.
pub fn of_certificate(
    generation: i64,
    status: &CertificateStatus,
    problem: Option<&WishProblem>,
    mut fields: StateFields,
    now: Time,
) -> Option<StateVerdict> {
    if status.state == CertificateState::Unknown {
        return None;
    }
    let (state, message) = match problem {
        Some(problem) => refusal(problem),
        None => state(status, now),
    };
    let time = |time: Option<Time>| time.map_or(StateField::Absent, |time| StateField::Is(json!(time.to_string())));
    let validity = status.validity();
    fields.insert("issuanceDate", time(validity.map(|validity| validity.begins)));
    fields.insert("expirationDate", time(validity.map(|validity| validity.ends)));
    let renewal = status.renewal.map(|(at, _)| at).filter(|_| validity.is_some());
    fields.insert("renewalDate", renewal.map_or(StateField::Absent, StateField::About));
    fields.insert("backoff", backoff(generation, status));
    Some(verdict(generation, state, message, fields))
}

/// The verdict on a Certificate that is not served, so that no certificate is wanted. `held` is its Secret, where it names one.
pub fn of_unserved(
    generation: i64,
    problem: &WishProblem,
    held: Option<&SecretState>,
    mut fields: StateFields,
) -> StateVerdict {
    let facts = held.and_then(SecretState::facts).filter(|_| problem.reason != WishReason::Conflict);
    let time = |time: Option<Time>| time.map_or(StateField::Absent, |time| StateField::Is(json!(time.to_string())));
    fields.insert("issuanceDate", time(facts.map(|facts| facts.not_before)));
    fields.insert("expirationDate", time(facts.map(|facts| facts.not_after)));
    fields.extend(["renewalDate", "backoff"].map(|field| (field, StateField::Absent)));
    let (state, message) = refusal(problem);
    verdict(generation, state, message, fields)
}

/// The verdict on an Issuer. `fields` are those that the object itself gives.
pub fn of_issuer(verdict: IssuerVerdict, mut fields: StateFields) -> StateVerdict {
    let IssuerVerdict { generation, reason, message, account } = verdict;
    // What Gardener wrote of the same account stays. Without a hash it would take any account for that of its own key when it comes back.
    let registration =
        |url: SharedStr| StateField::Known("uri", json!({"uri": url.as_str(), "secretHash": "notariat"}));
    fields.extend(account.map(|url| ("acme", registration(url))));
    let is_ready = reason == IssuerReason::AccountRegistered;
    StateVerdict { generation, state: if is_ready { READY } else { ERROR }, is_ready, message, fields }
}

fn verdict(generation: i64, state: &'static str, message: String, mut fields: StateFields) -> StateVerdict {
    match state {
        PENDING => drop(fields.insert("lastPendingTimestamp", StateField::Since)),
        READY => drop(fields.insert("lastPendingTimestamp", StateField::Absent)),
        _ => {}
    }
    StateVerdict { generation, state, is_ready: state == READY, message, fields }
}

/// The hindrance of an object that is not served as it stands.
fn refusal(problem: &WishProblem) -> (&'static str, String) {
    match problem.reason {
        WishReason::Waiting => (WAITING, problem.to_string()),
        WishReason::Skipped | WishReason::Invalid | WishReason::Refused | WishReason::Conflict => {
            (ERROR, problem.to_string())
        }
    }
}

/// The state of a Certificate that is served, and its sentence.
fn state(status: &CertificateStatus, now: Time) -> (&'static str, String) {
    let failed = status.failure.as_ref().map(|failure| failure.error.clone());
    let until = status.next_attempt.map(|at| format!("; nothing is tried before {at}")).unwrap_or_default();
    let held = match status.unready {
        None => "its certificate is not valid now".to_owned(),
        Some(_) => status.unready_detail.as_deref().unwrap_or_default().to_owned(),
    };
    let finding = || status.finding.as_deref().unwrap_or(&held).to_owned();
    if let Some(validity) = status.validity().filter(|_| status.is_ready(now)) {
        let good = format!("certificate valid from {} to {}", validity.begins, validity.ends);
        let renewal = match (status.state, failed) {
            (CertificateState::Issuing, _) => "; it is being renewed".to_owned(),
            (_, Some(error)) => format!("; its renewal failed: {error}{until}"),
            (CertificateState::RateLimited | CertificateState::Capped | CertificateState::Contested, None) => {
                format!("; {}{until}", finding())
            }
            _ => String::new(),
        };
        return (READY, good + &renewal);
    }
    match status.state {
        CertificateState::Issuing => (PENDING, "a certificate is being obtained".to_owned()),
        CertificateState::RateLimited | CertificateState::Capped => (WAITING, finding() + &until),
        CertificateState::Refused if status.unready == Some(Reason::Revoked) => (REVOKED, finding()),
        CertificateState::Contested | CertificateState::Refused => (ERROR, finding() + &until),
        _ if failed.is_some() => (ERROR, failed.unwrap_or_default() + &until),
        CertificateState::Parked => (WAITING, finding()),
        _ if status.unready == Some(Reason::Revoked) => (REVOKED, "the certificate was revoked".to_owned()),
        CertificateState::BackingOff | CertificateState::Partial => (ERROR, finding() + &until),
        _ => (PENDING, held),
    }
}

/// When the next attempt is made after a failure.
fn backoff(generation: i64, status: &CertificateStatus) -> StateField {
    match (status.failure.as_ref(), status.next_attempt) {
        (Some(failure), Some(next)) => {
            let interval = format!("{}s", next.since(failure.at).as_secs());
            StateField::Is(json!({
                "observedGeneration": generation, "recheckAfter": next.to_string(), "recheckInterval": interval
            }))
        }
        (None, _) | (_, None) => StateField::Absent,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::name::ObjectRef;
    use crate::cert::facts::CertificateFacts;
    use crate::policy::secret_state::{PairState, Present};
    use crate::status::certificate::{Failure, Subject, Validity};
    use crate::status::state::RenewalTrigger;

    const NOW: Time = Time::from_unix(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    /// A certificate that is valid for an hour more, or none.
    fn status(state: CertificateState, unready: Option<Reason>) -> CertificateStatus {
        let subject = Subject::Orphaned(Box::new((ObjectRef::new("team", "web"), Vec::new())));
        let validity = Validity { begins: NOW - HOUR, ends: NOW + HOUR };
        CertificateStatus {
            held: [(unready != Some(Reason::SecretMissing)).then_some(validity)].into(),
            unready,
            unready_detail: unready.map(|_| "what is wrong".into()),
            ..CertificateStatus::empty(subject, state, "https://ca.test/dir")
        }
    }

    fn verdict(status: &CertificateStatus, problem: Option<WishReason>) -> StateVerdict {
        let problem = problem.map(|reason| WishProblem { reason, place: "spec".to_owned(), sentence: "so".to_owned() });
        of_certificate(3, status, problem.as_ref(), StateFields::new(), NOW).unwrap()
    }

    #[test]
    fn a_certificate_that_is_held_is_ready_whatever_becomes_of_its_renewal() {
        use CertificateState::{BackingOff, Capped, Contested, Issuing, Parked, RateLimited, Valid, Waiting};
        let good = "certificate valid from 2027-01-15T07:00:00Z to 2027-01-15T09:00:00Z";
        for (state, fails, said) in [
            (Valid, false, ""),
            (Waiting, false, ""),
            (Parked, false, ""),
            (Issuing, true, "; it is being renewed"),
            (BackingOff, true, "; its renewal failed: no; nothing is tried before 2027-01-15T08:00:00Z"),
            (RateLimited, false, "; the finding; nothing is tried before 2027-01-15T08:00:00Z"),
            (Capped, false, "; the finding; nothing is tried before 2027-01-15T08:00:00Z"),
            (Contested, false, "; the finding; nothing is tried before 2027-01-15T08:00:00Z"),
        ] {
            let failure = Failure { stage: None, error: "no".to_owned(), failures: 1, at: NOW - HOUR };
            let status = CertificateStatus {
                failure: fails.then(|| Box::new(failure)),
                finding: Some("the finding".into()),
                next_attempt: Some(NOW),
                ..status(state, None)
            };
            let found = verdict(&status, None);
            assert_eq!((found.state, found.is_ready, found.generation), ("Ready", true, 3), "{state}");
            assert_eq!(found.message, format!("{good}{said}"), "{state}");
            assert_eq!(found.fields["backoff"] != StateField::Absent, fails, "{state}");
            assert_eq!(found.fields["lastPendingTimestamp"], StateField::Absent);
        }
        assert_eq!(of_certificate(3, &status(CertificateState::Unknown, None), None, StateFields::new(), NOW), None);
    }

    #[test]
    fn each_state_has_the_word_of_gardener() {
        use CertificateState::{
            BackingOff, Capped, Contested, Issuing, Orphaned, Parked, RateLimited, Refused, Valid, Waiting,
        };
        let missing = Some(Reason::SecretMissing);
        for (state, unready, fails, word) in [
            (Waiting, missing, false, "Pending"),
            (Waiting, missing, true, "Error"),
            (Issuing, missing, true, "Pending"),
            (Issuing, Some(Reason::Revoked), false, "Pending"),
            (Parked, missing, false, "Waiting"),
            (Parked, missing, true, "Error"),
            (RateLimited, missing, true, "Waiting"),
            (Capped, missing, false, "Waiting"),
            (BackingOff, missing, true, "Error"),
            (BackingOff, Some(Reason::Expired), false, "Error"),
            (Contested, Some(Reason::KeyMismatch), false, "Error"),
            (Refused, Some(Reason::WrongType), false, "Error"),
            (Waiting, Some(Reason::Revoked), false, "Revoked"),
            (Valid, missing, false, "Pending"),
            (Orphaned, Some(Reason::NameMissing), false, "Pending"),
        ] {
            let failure = Failure { stage: None, error: "no".to_owned(), failures: 1, at: NOW };
            let failure = fails.then(|| Box::new(failure));
            let found = verdict(&CertificateStatus { failure, ..status(state, unready) }, None);
            assert_eq!((found.state, found.is_ready), (word, false), "{state} {unready:?} {fails}");
            assert!(!found.message.is_empty(), "{state}");
            let pending = found.fields.get("lastPendingTimestamp");
            assert_eq!(pending == Some(&StateField::Since), word == "Pending", "{state}");
        }
        // An object that is not served as it stands is not ready, even beside a good certificate of its last form.
        for (reason, word) in [(WishReason::Waiting, "Waiting"), (WishReason::Refused, "Error")] {
            let found = verdict(&status(CertificateState::Valid, None), Some(reason));
            assert_eq!((found.state, found.message.as_str(), found.is_ready), (word, "spec: so", false));
            let problem = WishProblem { reason, place: "spec".to_owned(), sentence: "so".to_owned() };
            let found = of_unserved(3, &problem, Some(&SecretState::Missing), StateFields::new());
            assert_eq!((found.state, &found.fields["expirationDate"]), (word, &StateField::Absent));
        }
    }

    #[test]
    fn a_certificate_that_is_not_served_shows_the_times_of_its_secret_unless_that_is_anothers() {
        let facts = CertificateFacts::example(&["a.test"], NOW - HOUR, NOW + HOUR);
        let present = Present::example(PairState::Sound(facts.clone().into()));
        let held = SecretState::Present(Box::new(present));
        for (reason, is_shown) in
            [(WishReason::Refused, true), (WishReason::Waiting, true), (WishReason::Conflict, false)]
        {
            let problem = WishProblem { reason, place: "spec".to_owned(), sentence: "so".to_owned() };
            let found = of_unserved(3, &problem, Some(&held), StateFields::new());
            let time = |time: Time| if is_shown { StateField::Is(json!(time.to_string())) } else { StateField::Absent };
            assert_eq!(found.fields["issuanceDate"], time(facts.not_before), "{reason:?}");
            assert_eq!(found.fields["expirationDate"], time(facts.not_after), "{reason:?}");
            assert_eq!(
                (&found.fields["renewalDate"], &found.fields["backoff"]),
                (&StateField::Absent, &StateField::Absent)
            );
        }
    }

    #[test]
    fn times_are_those_of_the_secret_and_of_the_next_attempt() {
        let failure = Failure { stage: None, error: "no".to_owned(), failures: 2, at: NOW };
        let mut status = status(CertificateState::BackingOff, None);
        status.renewal = Some((NOW + HOUR, RenewalTrigger::Asked));
        (status.failure, status.next_attempt) = (Some(Box::new(failure)), Some(NOW + HOUR));
        let fields = verdict(&status, None).fields;
        let is = |value: serde_json::Value| StateField::Is(value);
        assert_eq!(fields["issuanceDate"], is(json!("2027-01-15T07:00:00Z")));
        assert_eq!(fields["expirationDate"], is(json!("2027-01-15T09:00:00Z")));
        assert_eq!(fields["renewalDate"], StateField::About(NOW + HOUR));
        let backoff =
            json!({"observedGeneration": 3, "recheckAfter": "2027-01-15T09:00:00Z", "recheckInterval": "3600s"});
        assert_eq!(fields["backoff"], is(backoff));
        status.held = [None].into();
        let fields = verdict(&status, None).fields;
        assert!(
            ["issuanceDate", "expirationDate", "renewalDate"].iter().all(|name| fields[*name] == StateField::Absent)
        );
    }

    #[test]
    fn an_issuer_is_ready_once_its_account_is_known_and_shows_it() {
        let of = |reason, account: Option<&str>| {
            let account = account.map(SharedStr::new);
            of_issuer(IssuerVerdict { generation: 2, reason, message: "m".to_owned(), account }, StateFields::new())
        };
        let found = of(IssuerReason::AccountRegistered, Some("https://ca.test/acct/1"));
        assert_eq!((found.state, found.is_ready), ("Ready", true));
        let StateField::Known("uri", shown) = &found.fields["acme"] else { panic!("{found:?}") };
        assert!(shown["uri"] == "https://ca.test/acct/1" && shown["secretHash"].is_string(), "{shown}");
        for reason in [IssuerReason::RegistrationFailed, IssuerReason::AccountUnusable, IssuerReason::InvalidConfig] {
            let found = of(reason, None);
            assert_eq!((found.state, found.is_ready, found.fields.contains_key("acme")), ("Error", false, false));
        }
    }
}
