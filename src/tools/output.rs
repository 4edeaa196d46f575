//! The result of a command.

use crate::controller::ExitStatus;

/// The output of a command, and its exit status.
#[derive(Debug)]
pub struct Output {
    /// For standard output.
    pub text: String,
    /// For standard error; empty where nothing is wrong.
    pub problems: String,
    /// The exit code.
    pub status: ExitStatus,
}
