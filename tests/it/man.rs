//! The manual page: groff takes it without a warning, and all of `-h` is in it.

use std::process::Command;

use notariat::cli::flags::{ALONE, FLAGS, Flag};
use notariat_lab::tools;

use crate::support::Run;
use crate::support::run::notariat;

fn printed() -> String {
    let run = Run::of(notariat().arg("man").env("NOTARIAT_WORKERS", "none")).ends(0);
    assert_eq!(run.log, "");
    run.stdout
}

#[test]
fn groff_makes_a_page_of_it_without_a_warning() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(tools::tool("groff"));
        tools::try_output(command.args(["-man", "-ww"]).args(arguments), &printed()).unwrap()
    };
    // What groff warns of it says on standard error, and ends well all the same.
    let shell = format!("{} -man -ww -z 2>&1", tools::tool("groff").display());
    let warnings = tools::try_output(Command::new(tools::tool("bash")).args(["-c", &shell]), &printed()).unwrap();
    assert_eq!(warnings, "");
    // Without bold and underlining.
    let text = run(&["-Tascii", "-P-cbou", "-rLL=200n"]);
    for title in ["NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "ENVIRONMENT", "SEE ALSO"] {
        assert!(text.lines().any(|line| line == title), "{title}: {text}");
    }
    let flags = FLAGS.iter().filter(|flag| flag.is_shared()).map(Flag::head);
    for flag in flags.chain(ALONE.map(|(head, _)| head.to_owned())) {
        let head = format!("       {flag}");
        assert!(text.lines().any(|line| line.starts_with(&head)), "{head}: {text}");
    }
    assert!(text.contains("       notariat dns-policy -config NAME | -f FILE\n"), "{text}");
}
