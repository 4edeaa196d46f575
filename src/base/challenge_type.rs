//! The ways to prove a name to a CA.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A type of challenge (RFC 8555 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ChallengeType {
    /// A TXT record (section 8.4).
    #[serde(rename = "dns-01")]
    Dns01,
    /// A file of a web server at port 80 (section 8.3). No wildcard can be proved so.
    #[serde(rename = "http-01")]
    Http01,
}

impl ChallengeType {
    /// All types.
    pub const ALL: [ChallengeType; 2] = [ChallengeType::Dns01, ChallengeType::Http01];

    /// The name in ACME and in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            ChallengeType::Dns01 => "dns-01",
            ChallengeType::Http01 => "http-01",
        }
    }
}

/// The test of a name's web server before the CA is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReachCheck {
    /// The web server is asked, and a wrong answer keeps the CA from being asked.
    Auto,
    /// The web server is not asked.
    Off,
}

impl fmt::Display for ChallengeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
