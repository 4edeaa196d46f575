//! Arguments to exit code.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use notariat::base::{log, redact};
use notariat::cli::{self, Command, environment};
use notariat::controller::{ExitStatus, run_daemon};
use notariat::tools::{check, commands, conversion, dns_policy, role};
use notariat::{start, status};

fn main() -> ExitCode {
    // Like `-h` it needs nothing else, and whatever the environment says is no reason not to print it.
    if std::env::args_os().nth(1).is_some_and(|word| word == "man") {
        return print(&cli::man::page(cli::USAGE, env!("CARGO_PKG_VERSION")));
    }
    let arguments = match environment::read(std::env::args_os().skip(1).collect(), variable) {
        Ok(Command::Run(arguments)) => arguments,
        Ok(Command::Wish(wish, arguments)) => {
            return match commands::run(&wish, &arguments) {
                Ok(told) => print(&format!("{told}\n")),
                Err(e) => fail(&e, ExitStatus::Unsound),
            };
        }
        Ok(Command::Role(file, arguments)) => {
            return match role::run(file.as_deref(), &arguments) {
                Ok(yaml) => print(&yaml),
                Err(e) => fail(&e, ExitStatus::Unsound),
            };
        }
        Ok(Command::DnsPolicy(file, arguments)) => {
            return match dns_policy::run(file.as_deref(), &arguments) {
                Ok(text) => print(&text),
                Err(e) => fail(&e, ExitStatus::Unsound),
            };
        }
        Ok(Command::Convert(arguments)) => {
            return match conversion::run(&arguments) {
                Ok(done) if done.lost.is_empty() => print(&done.yaml),
                Ok(done) => {
                    print(&done.yaml);
                    fail(&done.lost.join("\nnotariat: "), ExitStatus::Unsound)
                }
                Err(e) => fail(&e, ExitStatus::Unreadable),
            };
        }
        Ok(Command::Status(look, arguments)) => {
            return match status::command::run(look, &arguments) {
                Ok(end) => ExitCode::from(end.code()),
                Err(e) => fail(&e, ExitStatus::Unreadable),
            };
        }
        Ok(Command::Check(asked, arguments)) => {
            return match check::run(&asked, &arguments) {
                Ok(report) => {
                    print(&if asked.as_json { report.json() } else { report.text(status::command::has_colour()) });
                    ExitCode::from(check::end(&report).code())
                }
                Err(e) => fail(&e, ExitStatus::Unreadable),
            };
        }
        Ok(Command::Help) => return print(cli::USAGE),
        Ok(Command::Version) => {
            return print(concat!("notariat ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        Err(e) => return fail(&e, ExitStatus::Unreadable),
    };
    if let Err(e) = log::start(arguments.log_level, arguments.log_format) {
        return fail(&e, ExitStatus::Broken);
    }
    let (context, plan) = match start::build(&arguments) {
        Ok(built) => built,
        Err(e) => return fail(&e.sentence, e.end),
    };
    match run_daemon(context, &plan) {
        Ok(end) => ExitCode::from(end.code()),
        Err(e) => fail(&e, ExitStatus::Broken),
    }
}

/// What the environment says. Whoever runs the plugin `kubectl notariat` expects it to read what kubectl reads.
fn variable(name: &str) -> Option<OsString> {
    let plugin = || {
        let program = PathBuf::from(std::env::args_os().next()?);
        let is_plugin = name == "NOTARIAT_KUBECONFIG" && program.file_name()? == "kubectl-notariat";
        let others = std::env::var_os("KUBECONFIG").is_some_and(|list| !list.is_empty());
        let file = PathBuf::from(std::env::var_os("HOME")?).join(".kube/config");
        (is_plugin && !others && file.is_file()).then(|| file.into_os_string())
    };
    std::env::var_os(name).or_else(plugin)
}

/// Results go to standard output. A reader that went away is no failure of ours.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(redact::clean(text).as_bytes()) {
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn fail(sentence: &str, end: ExitStatus) -> ExitCode {
    // Where standard error is closed there is nobody to tell.
    writeln!(std::io::stderr(), "notariat: {}", redact::clean(sentence)).ok();
    ExitCode::from(end.code())
}
