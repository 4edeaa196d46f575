//! The status of an Issuer or a ClusterIssuer. `status.acme` stays as it is: cert-manager finds its account there when it comes back.

use super::resource::{Condition, ResourceStatus, SeenResource};
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;

/// The facts about an issuer that its status shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerVerdict {
    /// The generation that was judged.
    pub generation: i64,
    /// The reason.
    pub reason: IssuerReason,
    /// One sentence.
    pub message: String,
    /// The URL of the account, where the CA knows it. Only Gardener's Issuers show it.
    pub account: Option<SharedStr>,
}

/// The reason of the condition Ready, in cert-manager's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerReason {
    /// The CA knows the account. The only reason that makes the condition true.
    AccountRegistered,
    /// The CA did not register the account.
    RegistrationFailed,
    /// The account of the given key can not be used.
    AccountUnusable,
    /// A field can not be served.
    InvalidConfig,
    /// No solver can be served.
    InvalidSolver,
}

impl IssuerReason {
    /// The word of the condition.
    pub const fn name(self) -> &'static str {
        match self {
            IssuerReason::AccountRegistered => "ACMEAccountRegistered",
            IssuerReason::RegistrationFailed => "ErrRegisterACMEAccount",
            IssuerReason::AccountUnusable => "ErrVerifyACMEAccount",
            IssuerReason::InvalidConfig => "InvalidConfig",
            IssuerReason::InvalidSolver => "InvalidSolver",
        }
    }
}

impl IssuerVerdict {
    /// The status to write over what was `seen`; `None` where nothing differs.
    pub fn next(&self, seen: &SeenResource, now: Time) -> Option<ResourceStatus> {
        let IssuerVerdict { generation, reason, message, account: _ } = self;
        let is_ready = *reason == IssuerReason::AccountRegistered;
        let before = seen.status.ready.as_deref();
        let ready = Some(Condition::after(before, is_ready, reason.name(), message, *generation, now));
        ResourceStatus { ready, is_unclean: false, ..seen.status.clone() }.unless_in(&seen.status)
    }
}
