//! Errors of requests to a CA. Pure.

use std::fmt;

use super::wire::Problem;
use crate::base::sanitize::one_line;
use crate::base::time::Time;
use crate::http::HttpError;

/// The name of the directory request in errors.
pub(super) const DIRECTORY: &str = "directory";

/// The name of the directory request in errors about its URL.
pub(super) const DIRECTORY_URL: &str = "directory URL";

/// The failure of a request to a CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcmeError {
    /// No answer.
    Network(HttpError),
    /// The CA refused.
    Problem {
        /// The request.
        what: &'static str,
        /// The HTTP status.
        status: u16,
        /// The CA's words.
        problem: Box<Problem>,
        /// The moment until which the CA asks to wait.
        retry_after: Option<Time>,
    },
    /// An answer that can not be used.
    Unusable {
        /// The request.
        what: &'static str,
        /// The fault in the answer.
        why: String,
    },
    /// The program is stopping.
    Stopped,
}

impl AcmeError {
    /// The last part of the problem's type, when the CA sent one.
    pub fn error_type(&self) -> Option<&str> {
        match self {
            AcmeError::Problem { problem, .. } => Some(problem.word()),
            AcmeError::Network(_) | AcmeError::Unusable { .. } | AcmeError::Stopped => None,
        }
    }
}

/// One line of bounded length, with the CA's own words.
impl fmt::Display for AcmeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcmeError::Network(e) if e.is_untrusted() => {
                let e = one_line(&e.to_string());
                write!(f, "{e}: give its root with -acme-ca FILE, or with `caSecretName` of the issuer")
            }
            AcmeError::Network(e) => f.write_str(&one_line(&e.to_string())),
            AcmeError::Problem { what, status, problem, .. } => {
                write!(f, "{what}: the CA refused ({status} {problem}){}", hint(what, *status))
            }
            AcmeError::Unusable { what, why } => {
                write!(f, "{what}: the CA's answer can not be used: {}{}", one_line(why), hint(what, 200))
            }
            AcmeError::Stopped => f.write_str("stopped"),
        }
    }
}

/// The question about an answer that is not a directory, unless the server failed internally.
fn hint(what: &str, status: u16) -> &'static str {
    if what == DIRECTORY && status < 500 {
        ": is -acme, or `directory` of the issuer, the URL of an ACME directory?"
    } else {
        ""
    }
}
