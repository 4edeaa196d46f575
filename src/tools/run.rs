//! From a command to what it prints.

use std::path::PathBuf;

use super::check::resources::{self, ResourceOptions};
use super::options::{CheckOptions, ConvertOptions, RouteOptions, SecretAction, StatusOptions};
use super::output::Output;
use super::wait::{self, WaitOptions};
use super::{
    check, completion, convert, dns_policy, explain, forget, http_route, man, role, schema, secret_action, status,
};
use crate::cli::Arguments;
use crate::cli::flags::{Command, SHELLS};
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
    match (command.name, values.word) {
        ("man", _) => return Ok(good(man::page(env!("CARGO_PKG_VERSION")))),
        ("schema", key) => return Ok(good(schema::text(key))),
        ("completion", Some(shell)) => return Ok(good(completion::script(shell))),
        ("completion", None) => return Err(unreadable(format!("completion needs a shell: {}", SHELLS.join(", ")))),
        _ => {}
    }
    let arguments = Arguments::read(command, values).map_err(unreadable)?;
    let file: Option<PathBuf> = values.text("f");
    match command.name {
        "role" => role::run(file.as_deref(), values.text::<String>("cluster").as_deref(), &arguments)
            .map(good)
            .map_err(unsound),
        "dns-policy" => dns_policy::run(file.as_deref(), &arguments).map(good).map_err(unsound),
        "http-route" => {
            let options = RouteOptions::read(values).map_err(unreadable)?;
            http_route::run(file.as_deref(), &options, &arguments).map(good).map_err(unsound)
        }
        "explain" => {
            let name = values.operand.as_deref().ok_or("the domain name is missing (-h shows all commands)".to_owned());
            let (text, has_any) =
                explain::run(name.map_err(unreadable)?, file.as_deref(), &arguments).map_err(unreadable)?;
            Ok(Output { status: if has_any { ExitStatus::Good } else { ExitStatus::Unsound }, ..good(text) })
        }
        "convert" => {
            let options = ConvertOptions::read(values).map_err(unreadable)?;
            let done = convert::run(&arguments, &options).map_err(unreadable)?;
            let status = if done.is_whole { ExitStatus::Good } else { ExitStatus::Unsound };
            Ok(Output { text: done.yaml, problems: done.report.join("\nnotariat: "), status })
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
            if let Some(options) = ResourceOptions::read(values).map_err(unreadable)? {
                let report = resources::run(&options, &arguments).map_err(unreadable)?;
                let text = if options.as_json { report.json() } else { report.text(status::has_colour()) };
                return Ok(Output { status: check::end(&report), ..good(text) });
            }
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
