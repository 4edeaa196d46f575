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

    /// The types that are among these, each once. Static, because there may be 10,000 certificates with one of few answers.
    pub fn each_once(types: impl IntoIterator<Item = ChallengeType>) -> &'static [ChallengeType] {
        let has = types.into_iter().fold([false; 2], |[dns, http], found| match found {
            ChallengeType::Dns01 => [true, http],
            ChallengeType::Http01 => [dns, true],
        });
        match has {
            [true, true] => &ChallengeType::ALL,
            [true, false] => &[ChallengeType::Dns01],
            [false, true] => &[ChallengeType::Http01],
            [false, false] => &[],
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_once_in_their_order() {
        use ChallengeType::{Dns01, Http01};
        for (types, expected) in [
            (&[][..], &[][..]),
            (&[Dns01, Dns01], &[Dns01]),
            (&[Http01], &[Http01]),
            (&[Http01, Dns01, Http01], &[Dns01, Http01]),
        ] {
            assert_eq!(ChallengeType::each_once(types.iter().copied()), expected);
        }
    }
}
