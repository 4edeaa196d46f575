//! The words for what an object asks for and does not get. Pure.

use std::fmt;

/// A wish of an object that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WishProblem {
    /// The reason of the Event.
    pub reason: WishReason,
    /// The place in the object, such as `spec.tls[1]`; empty for the whole object.
    pub place: String,
    /// One sentence: what is wrong, and what to do.
    pub sentence: String,
}

impl fmt::Display for WishProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.as_str() {
            "" => f.write_str(&self.sentence),
            place => write!(f, "{place}: {}", self.sentence),
        }
    }
}

/// Why a wish is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WishReason {
    /// The wish is none of notariat's, and that is normal.
    Skipped,
    /// The wish can not be read or can not be served by anybody.
    Invalid,
    /// The policy forbids it.
    Refused,
    /// Another object or the configuration wants something else for the same Secret.
    Conflict,
    /// Something that the object names is not there or not usable yet.
    Waiting,
}

impl WishReason {
    /// The reason of the Event.
    pub const fn name(self) -> &'static str {
        match self {
            WishReason::Skipped => "Skipped",
            WishReason::Invalid => "Invalid",
            WishReason::Refused => "Refused",
            WishReason::Conflict => "Conflict",
            WishReason::Waiting => "Waiting",
        }
    }
}
