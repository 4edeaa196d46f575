//! The state of a certificate in one word, what parks its job, and what its renewal follows. Pure.

use std::fmt;

use crate::base::time::Time;
use crate::policy::WaitReason;
use crate::policy::renewal::RenewalCause;

/// The state of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateState {
    /// Every Secret holds what is wanted.
    Valid,
    /// An order is under way.
    Issuing,
    /// A job waits for its turn.
    Waiting,
    /// A job waits for a server that must not be asked now.
    Parked,
    /// The last attempt failed; the next one waits.
    BackingOff,
    /// The CA, or the quota of the issuer, allows no order now.
    RateLimited,
    /// Too many orders were made within a week: of these names, or for the namespace.
    Capped,
    /// Another program writes the Secret again and again.
    Contested,
    /// The held certificate serves some of the names; an order of all of them fails.
    Partial,
    /// The Secret belongs to somebody else, or the entry cannot be served as it stands.
    Refused,
    /// The entry went; copy, key and history are kept for a while.
    Orphaned,
    /// An object could not be read.
    Unknown,
}

/// The urgency of a state for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is to be done.
    Good,
    /// Work is under way and needs nobody.
    Busy,
    /// Work waits for a failure or a limit to pass, or for a person.
    Warning,
    /// The certificate is not kept valid, or its state is not known.
    Bad,
}

impl CertificateState {
    /// The urgency of the state, for the page and `check`.
    pub const fn severity(self) -> Severity {
        match self {
            CertificateState::Valid => Severity::Good,
            CertificateState::Issuing | CertificateState::Waiting => Severity::Busy,
            CertificateState::Parked
            | CertificateState::BackingOff
            | CertificateState::RateLimited
            | CertificateState::Capped
            | CertificateState::Contested
            | CertificateState::Partial
            | CertificateState::Orphaned => Severity::Warning,
            CertificateState::Refused | CertificateState::Unknown => Severity::Bad,
        }
    }

    /// All states, in the order in which summaries count them.
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
        fmt::Debug::fmt(self, f)
    }
}

impl From<WaitReason> for CertificateState {
    fn from(waiting: WaitReason) -> CertificateState {
        match waiting {
            WaitReason::BackingOff => CertificateState::BackingOff,
            WaitReason::Capped | WaitReason::NamespaceCapped => CertificateState::Capped,
            WaitReason::Contested => CertificateState::Contested,
            WaitReason::RateLimited => CertificateState::RateLimited,
        }
    }
}

/// The peer that a job waits for: it failed lately, or other jobs use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The peer and its trouble, in words.
    pub why: String,
    /// Until when, where that is known.
    pub until: Option<Time>,
}

/// The cause of a renewal time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalTrigger {
    /// The CA's window, the lifetime, or `renewBefore`.
    Due(RenewalCause),
    /// An annotation on the Secret.
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
