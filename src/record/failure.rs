//! How an attempt failed, as a record keeps it. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where an attempt failed.
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
    /// The account could not be made or used.
    Account,
    /// The CA did not take the order, or an answer of its was unusable.
    Order,
    /// The CA did not find the challenge answered.
    Validation,
    /// The CA did not issue.
    Finalize,
    /// What was downloaded is not what was ordered.
    Download,
}

/// How soon an attempt after a failure makes sense.
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
    /// All, in the order in which an attempt meets them, as a rule.
    pub const ALL: [Stage; 10] = [
        Stage::Store,
        Stage::Clock,
        Stage::Zone,
        Stage::Publish,
        Stage::Propagation,
        Stage::Account,
        Stage::Order,
        Stage::Validation,
        Stage::Finalize,
        Stage::Download,
    ];

    /// The word for it in logs, records and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Store => "store",
            Stage::Clock => "clock",
            Stage::Zone => "zone",
            Stage::Publish => "publish",
            Stage::Propagation => "propagation",
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
