//! Arguments to exit code.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use notariat::base::{log, redact};
use notariat::cli::Arguments;
use notariat::cli::flags::{Command, usage};
use notariat::cli::values::{self, CommandLine, Values};
use notariat::cli::version;
use notariat::controller::{ExitStatus, run_daemon};
use notariat::start;

fn main() -> ExitCode {
    match values::read(std::env::args_os().skip(1).collect(), variable) {
        Ok(CommandLine::Help) => print(&usage()),
        Ok(CommandLine::Version) => print(&(version::line() + "\n")),
        Ok(CommandLine::Run(command, values)) if command.name.is_empty() => controller(command, &values),
        Ok(CommandLine::Run(command, values)) => tool(command, &values),
        Err(e) => fail(&e, ExitStatus::Unreadable),
    }
}

fn controller(command: &Command, values: &Values) -> ExitCode {
    let arguments = match Arguments::read(command, values) {
        Ok(arguments) => arguments,
        Err(e) => return fail(&e, ExitStatus::Unreadable),
    };
    if let Err(e) = log::start(arguments.log_level, arguments.log_format) {
        return fail(&e, ExitStatus::Broken);
    }
    let (context, options) = match start::build(&arguments) {
        Ok(built) => built,
        Err(e) => return fail(&e.sentence, e.end),
    };
    match run_daemon(context, &options) {
        Ok(status) => ExitCode::from(status.code()),
        Err(e) => fail(&e, ExitStatus::Broken),
    }
}

#[cfg(feature = "tools")]
fn tool(command: &Command, values: &Values) -> ExitCode {
    let output = notariat::tools::run(command, values);
    print(&output.text);
    match output.problems.as_str() {
        "" => ExitCode::from(output.status.code()),
        problems => fail(problems, output.status),
    }
}

/// The parser knows no command in this build.
#[cfg(not(feature = "tools"))]
fn tool(command: &Command, _: &Values) -> ExitCode {
    fail(&format!("this build has no tools: {}", command.name), ExitStatus::Unreadable)
}

/// The value of an environment variable. Users of the plugin `kubectl notariat` expect it to read the kubeconfig that kubectl reads.
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

/// Prints a result to standard output. A closed pipe is not an error.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(redact::clean(text).as_bytes()) {
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn fail(sentence: &str, status: ExitStatus) -> ExitCode {
    // A closed standard error can not be reported anywhere.
    writeln!(std::io::stderr(), "notariat: {}", redact::clean(sentence)).ok();
    ExitCode::from(status.code())
}
