//! Why a CA did not do what was asked. Pure.

use std::fmt;

use super::wire::Problem;
use crate::http::HttpError;
use crate::text::one_line;
use crate::time::Time;

/// Why the CA did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcmeError {
    /// No answer.
    Network(HttpError),
    /// The CA says no.
    Problem {
        /// What was asked for.
        what: &'static str,
        /// The HTTP status.
        status: u16,
        /// In its words.
        problem: Box<Problem>,
        /// Until when it asks us to wait.
        retry_after: Option<Time>,
    },
    /// An answer that can not be used.
    Unusable {
        /// What was asked for.
        what: &'static str,
        /// What is wrong with the answer.
        why: String,
    },
    /// The program is stopping.
    Stopped,
}

impl AcmeError {
    /// The last part of the problem's type, when the CA sent one.
    pub fn word(&self) -> Option<&str> {
        match self {
            AcmeError::Problem { problem, .. } => Some(problem.word()),
            AcmeError::Network(_) | AcmeError::Unusable { .. } | AcmeError::Stopped => None,
        }
    }
}

/// What the CA sent is in it, as one line of bounded length.
impl fmt::Display for AcmeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcmeError::Network(e) => f.write_str(&one_line(&e.to_string())),
            AcmeError::Problem { what, status, problem, .. } => {
                write!(f, "{what}: the CA refused ({status} {problem})")
            }
            AcmeError::Unusable { what, why } => {
                write!(f, "{what}: the CA's answer can not be used: {}", one_line(why))
            }
            AcmeError::Stopped => f.write_str("stopped"),
        }
    }
}
