//! The status of a Certificate by the status of the certificate that it wants. Pure.

use super::certificate::CertificateStatus;
use super::state::CertificateState;
use crate::base::name::Domain;
use crate::base::time::Time;
use crate::cert_manager::status::{CertificateVerdict, GOOD, IssuingReason, IssuingVerdict, ReadyReason, ReadyVerdict};
use crate::policy::Reason;
use crate::policy::secret_state::{FaultyPart, PairState, SecretState, faulty_part};
use crate::sources::wish::{WishProblem, WishReason};

/// The verdict on a Certificate by the status of its certificate. `problem` is what is not served of the Certificate. `None` while nothing can
/// be said.
pub fn of_certificate(
    generation: i64,
    status: &CertificateStatus,
    problem: Option<&WishProblem>,
    now: Time,
) -> Option<CertificateVerdict> {
    if status.state == CertificateState::Unknown {
        return None;
    }
    let secret = status.secrets().first()?;
    let (reason, message) = match status.unready {
        None if status.is_ready(now) => (ReadyReason::Ready, GOOD.into()),
        None => (ReadyReason::Expired, "its certificate is not valid now".into()),
        Some(reason) => {
            let detail = status.unready_detail.as_deref().unwrap_or_default();
            (ready_reason(reason, detail), format!("the Secret {secret}: {detail}").into())
        }
    };
    let validity = status.validity().map(|validity| (validity.begins, validity.ends));
    Some(CertificateVerdict {
        generation,
        ready: ReadyVerdict { reason, message },
        issuing: problem.map(refusal).or_else(|| issuing(status)),
        validity,
        renewal: status.renewal.map(|(at, _)| at).filter(|_| validity.is_some()),
        is_ours: status.is_stored_here,
        failure: status.failure.as_ref().map(|failure| (failure.at, failure.failures)),
    })
}

/// The verdict on a Certificate that is not served, so that no certificate is wanted: Ready is about its Secret all the same, where it
/// names one.
pub fn of_unserved(
    generation: i64,
    problem: &WishProblem,
    held: Option<&SecretState>,
    names: &[Domain],
    now: Time,
) -> CertificateVerdict {
    let facts = held.and_then(SecretState::facts);
    let (reason, message) = match (held, facts) {
        // Another Certificate has the Secret.
        _ if problem.reason == WishReason::Conflict => {
            (ReadyReason::IncorrectCertificate, problem.sentence.clone().into())
        }
        (None, _) => (ReadyReason::DoesNotExist, problem.sentence.clone().into()),
        (Some(SecretState::Missing), _) => (ReadyReason::DoesNotExist, "its Secret does not exist".into()),
        (Some(_), Some(facts)) if now >= facts.not_after => (ReadyReason::Expired, "its certificate expired".into()),
        (Some(_), Some(facts)) if !names.iter().all(|name| facts.covers(name)) => {
            (ReadyReason::RequestChanged, "its certificate is not for all names".into())
        }
        (Some(_), Some(_)) => (ReadyReason::Ready, GOOD.into()),
        (Some(SecretState::Present(present)), None) => match &present.pair {
            PairState::Broken(fault) | PairState::Keyless(_, fault) => {
                (ready_reason(Reason::Unparsable, fault), fault.clone().into())
            }
            _ => (ReadyReason::InvalidKeyPair, "its key does not belong to its certificate".into()),
        },
    };
    CertificateVerdict {
        generation,
        ready: ReadyVerdict { reason, message },
        issuing: Some(refusal(problem)),
        validity: facts
            .filter(|_| problem.reason != WishReason::Conflict)
            .map(|facts| (facts.not_before, facts.not_after)),
        renewal: None,
        is_ours: false,
        failure: None,
    }
}

fn ready_reason(reason: Reason, detail: &str) -> ReadyReason {
    match reason {
        Reason::SecretMissing => ReadyReason::DoesNotExist,
        Reason::WrongType | Reason::OwnedByAnother => ReadyReason::IncorrectCertificate,
        Reason::Unparsable => match faulty_part(detail) {
            FaultyPart::Missing => ReadyReason::MissingData,
            FaultyPart::Certificate => ReadyReason::InvalidCertificate,
            FaultyPart::Key => ReadyReason::InvalidKeyPair,
        },
        Reason::KeyMismatch => ReadyReason::InvalidKeyPair,
        Reason::NameMissing | Reason::ProfileChanged => ReadyReason::RequestChanged,
        Reason::Expired => ReadyReason::Expired,
        Reason::DirectoryChanged => ReadyReason::IncorrectIssuer,
        Reason::KeyTypeChanged => ReadyReason::SecretMismatch,
        Reason::NotYetValid | Reason::Revoked | Reason::RenewalDue | Reason::RenewalRequested => {
            ReadyReason::InvalidCertificate
        }
    }
}

/// The hindrance of an object that is not served as it stands.
fn refusal(problem: &WishProblem) -> IssuingVerdict {
    let reason = match problem.reason {
        WishReason::Skipped => IssuingReason::Unsupported,
        WishReason::Invalid | WishReason::Refused | WishReason::Conflict => IssuingReason::Refused,
        WishReason::Waiting => IssuingReason::Failed,
    };
    IssuingVerdict { reason, message: problem.to_string() }
}

/// The attempt. A job that waits for its turn says what failed before, or nothing.
fn issuing(status: &CertificateStatus) -> Option<IssuingVerdict> {
    let failed = status.failure.as_ref().map(|failure| failure.error.clone());
    let finding = || status.finding.as_deref().unwrap_or_default().to_owned();
    let until = status.next_attempt.map(|at| format!("; nothing is tried before {at}")).unwrap_or_default();
    let (reason, message) = match status.state {
        CertificateState::Valid | CertificateState::Orphaned | CertificateState::Unknown => return None,
        CertificateState::Issuing => (IssuingReason::Ordering, "a certificate is being obtained".to_owned()),
        CertificateState::Waiting => (IssuingReason::Failed, failed?),
        CertificateState::Parked => (IssuingReason::Failed, failed.unwrap_or_else(finding)),
        CertificateState::BackingOff | CertificateState::Partial => {
            (IssuingReason::Failed, failed.unwrap_or_else(finding) + &until)
        }
        CertificateState::RateLimited => (IssuingReason::RateLimited, finding() + &until),
        CertificateState::Capped => (IssuingReason::Capped, finding() + &until),
        CertificateState::Contested => (IssuingReason::OtherController, finding() + &until),
        CertificateState::Refused => (IssuingReason::Refused, finding()),
    };
    Some(IssuingVerdict { reason, message })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::base::name::ObjectRef;
    use crate::status::certificate::{Failure, Subject, Validity};
    use crate::status::state::Parked;

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn status(state: CertificateState) -> CertificateStatus {
        let subject = Subject::Orphaned(Box::new((ObjectRef::new("team", "web"), Vec::new())));
        let hour = Duration::from_secs(3600);
        let validity = Validity { begins: NOW, ends: NOW + hour };
        CertificateStatus {
            held: [Some(validity)].into(),
            ..CertificateStatus::empty(subject, state, "https://ca.test/dir")
        }
    }

    fn unready(reason: Reason, detail: &str) -> CertificateStatus {
        let status = status(CertificateState::Waiting);
        CertificateStatus { unready: Some(reason), unready_detail: Some(detail.into()), held: [None].into(), ..status }
    }

    fn verdict(status: &CertificateStatus) -> CertificateVerdict {
        of_certificate(3, status, None, NOW).unwrap()
    }

    #[test]
    fn each_reason_has_the_word_of_cert_manager() {
        for (reason, detail, word) in [
            (Reason::SecretMissing, "x", "DoesNotExist"),
            (Reason::WrongType, "x", "IncorrectCertificate"),
            (Reason::OwnedByAnother, "x", "IncorrectCertificate"),
            (Reason::Unparsable, "tls.crt and tls.key is missing or empty", "MissingData"),
            (Reason::Unparsable, "tls.crt: no PEM", "InvalidCertificate"),
            (Reason::Unparsable, "tls.key is no private key in PEM", "InvalidKeyPair"),
            (Reason::KeyMismatch, "x", "InvalidKeyPair"),
            (Reason::NameMissing, "x", "RequestChanged"),
            (Reason::ProfileChanged, "x", "RequestChanged"),
            (Reason::Expired, "x", "Expired"),
            (Reason::DirectoryChanged, "x", "IncorrectIssuer"),
            (Reason::KeyTypeChanged, "x", "SecretMismatch"),
            (Reason::Revoked, "x", "InvalidCertificate"),
        ] {
            let found = verdict(&unready(reason, detail));
            assert_eq!((found.ready.reason.name(), found.generation), (word, 3), "{reason} {detail}");
            assert_eq!(found.ready.message, format!("the Secret team/web: {detail}"));
        }
        assert_eq!(verdict(&status(CertificateState::Valid)).ready.reason, ReadyReason::Ready);
        let past = of_certificate(3, &status(CertificateState::Valid), None, NOW + Duration::from_secs(3600));
        assert_eq!(past.unwrap().ready.reason, ReadyReason::Expired, "time alone");
        assert_eq!(of_certificate(3, &status(CertificateState::Unknown), None, NOW), None);
    }

    #[test]
    fn only_an_order_under_way_is_issuing_and_a_failure_says_what_failed() {
        use CertificateState::{
            BackingOff, Capped, Contested, Issuing, Parked as IsParked, Partial, RateLimited, Refused, Valid, Waiting,
        };
        let failure = Failure { stage: None, error: "the CA says no".to_owned(), failures: 2, at: NOW };
        let with = |state, failed: bool| CertificateStatus {
            failure: failed.then(|| Box::new(failure.clone())),
            finding: Some("the finding".into()),
            next_attempt: Some(NOW),
            ..status(state)
        };
        for (state, failed, said) in [
            (Valid, false, None),
            (Waiting, false, None),
            (Waiting, true, Some(("Failed", "the CA says no"))),
            (Issuing, true, Some(("Ordering", "a certificate is being obtained"))),
            (IsParked, false, Some(("Failed", "the finding"))),
            (BackingOff, true, Some(("Failed", "the CA says no; nothing is tried before 2027-01-15T08:00:00Z"))),
            (Partial, true, Some(("Failed", "the CA says no; nothing is tried before 2027-01-15T08:00:00Z"))),
            (RateLimited, true, Some(("RateLimited", "the finding; nothing is tried before 2027-01-15T08:00:00Z"))),
            (Capped, false, Some(("Capped", "the finding; nothing is tried before 2027-01-15T08:00:00Z"))),
            (Contested, false, Some(("OtherController", "the finding; nothing is tried before 2027-01-15T08:00:00Z"))),
            (Refused, false, Some(("Refused", "the finding"))),
        ] {
            let found = verdict(&with(state, failed));
            let issuing = found.issuing.as_ref().map(|issuing| (issuing.reason.name(), issuing.message.as_str()));
            assert_eq!((issuing, found.failure.is_some()), (said, failed), "{state}");
            assert_eq!(found.ready.reason, ReadyReason::Ready, "an attempt takes nothing away from what is held");
        }
        let parked = Parked { why: "192.0.2.1:53 failed lately".to_owned(), until: Some(NOW) };
        let found = verdict(&Arc::new(status(Waiting)).with_job(false, Some(&parked)));
        assert_eq!(found.issuing.unwrap().message, "192.0.2.1:53 failed lately");
    }

    #[test]
    fn what_is_not_served_is_true_to_its_secret_and_says_why() {
        let problem = |reason| WishProblem { reason, place: "spec".to_owned(), sentence: "it is so".to_owned() };
        let said = |reason, held: Option<&SecretState>| {
            let found = of_unserved(1, &problem(reason), held, &[], NOW);
            (found.ready.reason, found.issuing.unwrap().reason)
        };
        let missing = SecretState::Missing;
        assert_eq!(said(WishReason::Skipped, Some(&missing)), (ReadyReason::DoesNotExist, IssuingReason::Unsupported));
        assert_eq!(said(WishReason::Invalid, None), (ReadyReason::DoesNotExist, IssuingReason::Refused));
        assert_eq!(said(WishReason::Conflict, None), (ReadyReason::IncorrectCertificate, IssuingReason::Refused));
        assert_eq!(said(WishReason::Waiting, Some(&missing)).1, IssuingReason::Failed);
        // Served in its last accepted form: the certificate is judged, the problem said.
        let kept =
            of_certificate(1, &status(CertificateState::Valid), Some(&problem(WishReason::Refused)), NOW).unwrap();
        assert_eq!((kept.ready.reason, kept.issuing.unwrap().message.as_str()), (ReadyReason::Ready, "spec: it is so"));
    }
}
