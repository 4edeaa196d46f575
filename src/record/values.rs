//! Values that a record keeps and `policy` decides on: the failure of an attempt, the renewal window. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::shared_str::SharedStr;
use crate::base::time::Time;

/// The stage at which an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The Secret can not be written: permission, quota, admission, an immutable Secret.
    Store,
    /// Clocks differ too much to judge validity.
    Clock,
    /// The TSIG key, the zone or the server of a name was not found.
    Zone,
    /// The UPDATE was not carried out.
    Publish,
    /// The values were not seen on every server.
    Propagation,
    /// The name's web server does not answer the challenge.
    Reach,
    /// The account could not be made or used.
    Account,
    /// The CA did not take the order, or an answer of its was unusable.
    Order,
    /// The CA did not find the challenge answered.
    Validation,
    /// The CA did not issue.
    Finalize,
    /// The downloaded certificate is not the ordered one.
    Download,
}

/// The kind of a failure, which decides how soon another attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryClass {
    /// Costs nothing at the CA: DNS, network, a server error.
    Transient,
    /// Counts against the CA's limit of failed validations.
    Validation,
    /// Will fail again until somebody changes something: a policy of the CA, a configuration.
    Policy,
}

impl Stage {
    /// All stages, in the usual order of an attempt.
    pub const ALL: [Stage; 11] = [
        Stage::Store,
        Stage::Clock,
        Stage::Zone,
        Stage::Publish,
        Stage::Propagation,
        Stage::Reach,
        Stage::Account,
        Stage::Order,
        Stage::Validation,
        Stage::Finalize,
        Stage::Download,
    ];

    /// The name in logs, records and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Store => "store",
            Stage::Clock => "clock",
            Stage::Zone => "zone",
            Stage::Publish => "publish",
            Stage::Propagation => "propagation",
            Stage::Reach => "reach",
            Stage::Account => "account",
            Stage::Order => "order",
            Stage::Validation => "validation",
            Stage::Finalize => "finalize",
            Stage::Download => "download",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The window in which the CA suggests to renew a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalWindow {
    /// The serial number of the certificate in hexadecimal.
    pub serial: SharedStr,
    /// The begin of the window.
    pub start: Time,
    /// The end of the window; later than `start`.
    pub end: Time,
    /// The begin of the window in the first answer for this certificate.
    pub first_start: Time,
    /// The CA moved the window into the past after the first answer: the certificate is, or will be, revoked.
    #[serde(default)]
    pub moved_to_past: bool,
    /// The URL of an explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
}

impl RenewalWindow {
    /// Tells whether the window is ignored: from the first answer on it began no later than the certificate, and would renew
    /// every certificate at once, for ever.
    pub fn is_stale(&self, not_before: Time) -> bool {
        self.start <= not_before && self.first_start <= not_before
    }
}
