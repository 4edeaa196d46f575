//! From a command to what it prints.

use std::path::PathBuf;

use super::options::{CheckOptions, SecretAction, StatusOptions};
use super::output::Output;
use super::wait::{self, WaitOptions};
use super::{check, convert, dns_policy, forget, man, role, secret_action, status};
use crate::cli::Arguments;
use crate::cli::flags::Command;
use crate::cli::values::Values;
use crate::controller::ExitStatus;

/// Runs a command.
pub fn run(command: &Command, values: &Values) -> Output {
    let failed = |(problems, status)| Output { text: String::new(), problems, status };
    dispatch(command, values).unwrap_or_else(failed)
}

/// An error is a sentence and the exit status.
fn dispatch(command: &Command, values: &Values) -> Result<Output, (String, ExitStatus)> {
    let (unreadable, unsound) = (|e| (e, ExitStatus::Unreadable), |e| (e, ExitStatus::Unsound));
    let good = |text| Output { text, problems: String::new(), status: ExitStatus::Good };
    if command.name == "man" {
        return Ok(good(man::page(env!("CARGO_PKG_VERSION"))));
    }
    let arguments = Arguments::read(command, values).map_err(unreadable)?;
    let file: Option<PathBuf> = values.text("f");
    match command.name {
        "role" => role::run(file.as_deref(), &arguments).map(good).map_err(unsound),
        "dns-policy" => dns_policy::run(file.as_deref(), &arguments).map(good).map_err(unsound),
        "convert" => {
            let done = convert::run(&arguments).map_err(unreadable)?;
            let status = if done.lost.is_empty() { ExitStatus::Good } else { ExitStatus::Unsound };
            Ok(Output { text: done.yaml, problems: done.lost.join("\nnotariat: "), status })
        }
        "forget" => forget::run(values, &arguments),
        "status" => {
            if let Some(options) = WaitOptions::read(values).map_err(unreadable)? {
                return wait::run(&options, &arguments).map_err(unreadable);
            }
            let options = StatusOptions::read(values).map_err(unreadable)?;
            let status = status::run(options, &arguments).map_err(unreadable)?;
            Ok(Output { status, ..good(String::new()) })
        }
        "check" => {
            let options = CheckOptions::read(values).map_err(unreadable)?;
            let report = check::run(&options, &arguments).map_err(unreadable)?;
            let text = if options.as_json { report.json() } else { report.text(status::has_colour()) };
            Ok(Output { status: check::end(&report), ..good(text) })
        }
        name => {
            let action = SecretAction::read(name, values).map_err(unreadable)?;
            secret_action::run(&action, &arguments).map(good).map_err(unsound)
        }
    }
}
