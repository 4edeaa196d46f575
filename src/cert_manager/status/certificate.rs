//! The status of a Certificate that follows from what is known about it.

use std::borrow::Cow;

use super::resource::{Condition, READY, ResourceStatus, SeenResource, ShownFailures};
use crate::base::limits::RENEWAL_MOVED;
use crate::base::time::Time;

/// The facts about a Certificate that its status shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateVerdict {
    /// The generation that was judged.
    pub generation: i64,
    /// The Secret, not the attempt.
    pub ready: ReadyVerdict,
    /// The attempt; `None` where there is nothing to say about one.
    pub issuing: Option<IssuingVerdict>,
    /// The validity of the held certificate.
    pub validity: Option<(Time, Time)>,
    /// The time of its renewal.
    pub renewal: Option<Time>,
    /// Tells whether this program stored the held certificate.
    pub is_ours: bool,
    /// The time of the last failed attempt, and the failures in a row.
    pub failure: Option<(Time, u32)>,
}

/// The verdict on the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyVerdict {
    /// The reason.
    pub reason: ReadyReason,
    /// One sentence.
    pub message: Cow<'static, str>,
}

/// The reason of the condition Ready, in cert-manager's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyReason {
    /// The Secret holds what is wanted. The only reason that makes the condition true.
    Ready,
    /// There is no Secret.
    DoesNotExist,
    /// The Secret lacks the certificate or the key.
    MissingData,
    /// The key can not be read or does not belong to the certificate.
    InvalidKeyPair,
    /// The certificate can not be read or must not be used.
    InvalidCertificate,
    /// The key is of another kind than wanted.
    SecretMismatch,
    /// The certificate is of another CA than wanted.
    IncorrectIssuer,
    /// The Secret is of another owner or for another use.
    IncorrectCertificate,
    /// The certificate is not for all wanted names, or of another profile.
    RequestChanged,
    /// The certificate expired.
    Expired,
}

/// The verdict on the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuingVerdict {
    /// The reason.
    pub reason: IssuingReason,
    /// One sentence.
    pub message: String,
}

/// The reason of the condition Issuing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuingReason {
    /// A worker holds the order. The only reason that makes the condition true.
    Ordering,
    /// The last attempt failed, or a server is away.
    Failed,
    /// The CA, or the quota of the issuer, allows no order now.
    RateLimited,
    /// Too many orders were made within a week.
    Capped,
    /// The object is not served as it stands.
    Refused,
    /// The issuer is none of notariat's.
    Unsupported,
    /// Another program does the work, or undoes it.
    OtherController,
}

impl ReadyReason {
    /// The word of the condition.
    pub const fn name(self) -> &'static str {
        match self {
            ReadyReason::Ready => READY,
            ReadyReason::DoesNotExist => "DoesNotExist",
            ReadyReason::MissingData => "MissingData",
            ReadyReason::InvalidKeyPair => "InvalidKeyPair",
            ReadyReason::InvalidCertificate => "InvalidCertificate",
            ReadyReason::SecretMismatch => "SecretMismatch",
            ReadyReason::IncorrectIssuer => "IncorrectIssuer",
            ReadyReason::IncorrectCertificate => "IncorrectCertificate",
            ReadyReason::RequestChanged => "RequestChanged",
            ReadyReason::Expired => "Expired",
        }
    }
}

impl IssuingReason {
    /// The word of the condition.
    pub const fn name(self) -> &'static str {
        match self {
            IssuingReason::Ordering => "Ordering",
            IssuingReason::Failed => "Failed",
            IssuingReason::RateLimited => "RateLimited",
            IssuingReason::Capped => "Capped",
            IssuingReason::Refused => "Refused",
            IssuingReason::Unsupported => "Unsupported",
            IssuingReason::OtherController => "OtherController",
        }
    }
}

impl CertificateVerdict {
    /// The status to write over what was `seen`; `None` where nothing differs.
    pub fn next(&self, seen: &SeenResource, now: Time) -> Option<ResourceStatus> {
        let before = &seen.status;
        let ReadyVerdict { reason, message } = &self.ready;
        let is_ready = *reason == ReadyReason::Ready;
        let ready = Condition::after(before.ready.as_deref(), is_ready, reason.name(), message, self.generation, now);
        let issuing = self.issuing.as_ref().map(|IssuingVerdict { reason, message }| {
            let is_issuing = *reason == IssuingReason::Ordering;
            Condition::after(before.issuing.as_deref(), is_issuing, reason.name(), message, self.generation, now)
        });
        // cert-manager must not take a request of its own for that of the held certificate when it comes back.
        let is_stored = self.is_ours && self.validity.is_some() && self.validity != before.validity;
        let revision = before.revision.filter(|revision| *revision > 0);
        let next = ResourceStatus {
            ready: Some(ready),
            issuing,
            validity: self.validity,
            renewal: self.renewal.map(|renewal| moved(before.renewal, renewal)),
            revision: if is_stored { Some(revision.unwrap_or(0).saturating_add(1)) } else { revision },
            failures: self.failure.map(|(at, count)| Box::new(ShownFailures { last: Some(at), count: Some(count) })),
            is_unclean: false,
            ..before.clone()
        };
        next.unless_in(before)
    }
}

/// The time of the renewal to show: the one that stands there, unless it moved by [`RENEWAL_MOVED`].
pub(super) fn moved(before: Option<Time>, renewal: Time) -> Time {
    before.filter(|before| before.distance(renewal) < RENEWAL_MOVED).unwrap_or(renewal)
}
