//! The renewal window of a certificate (RFC 9773), as a record keeps it. Pure.

use serde::{Deserialize, Serialize};

use crate::base::shared_str::SharedStr;
use crate::base::time::Time;

/// The window in which the CA suggests to renew a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalWindow {
    /// The serial number of the certificate in hexadecimal.
    pub serial: SharedStr,
    /// When it begins.
    pub start: Time,
    /// When it ends; later than `start`.
    pub end: Time,
    /// When it began in the first answer for this certificate.
    pub first_start: Time,
    /// It was moved into the past after the first answer: the certificate is, or will be, revoked.
    #[serde(default)]
    pub moved_to_past: bool,
    /// A page that says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
}

impl RenewalWindow {
    /// Whether it says nothing: from the first answer on it began no later than the certificate. Taken at its word it would renew every
    /// certificate at once, for ever.
    pub fn is_stale(&self, not_before: Time) -> bool {
        self.start <= not_before && self.first_start <= not_before
    }
}
