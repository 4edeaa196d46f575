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

/// The page as people see it in a terminal of a width.
fn shown(width: &str) -> String {
    let mut man = Command::new(tools::tool("man"));
    let environment = [("MANWIDTH", width), ("LC_ALL", "C.UTF-8")];
    tools::try_output(man.args(["-l", "-"]).envs(environment), &printed()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn no_flag_is_split_over_two_lines_or_from_its_value() {
    let flags = |page: &str| -> Vec<String> {
        let words = page.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '-'));
        words.filter(|word| word.starts_with('-')).map(str::to_owned).collect()
    };
    let wide = flags(&shown("1000"));
    assert!(wide.len() > 60, "{wide:?}");
    for width in ["80", "60", "45"] {
        let page = shown(width);
        assert_eq!(flags(&page), wide, "{width}: {page}");
        // A path that is longer than a line stands alone.
        let fits = |line: &str| line.chars().count() <= width.parse().unwrap() || !line.trim().contains(' ');
        assert!(page.lines().all(fits), "{width}: {page}");
        let together =
            ["-l -", "-o json", "-role FILE", "-acme-proxy URL", "-kube-api-burst N", "-allow-namespaces NS,NS"];
        for words in together {
            assert!(page.contains(words), "{width}: {words}: {page}");
        }
        // At the end of a line stands a flag that nothing follows, or one behind which a sentence ends.
        for flag in FLAGS.iter().filter(|flag| !flag.value.is_empty()) {
            let head = format!("-{}", flag.name());
            let is_cut = |line: &&str| line.trim_end().trim_start_matches([' ', '[']) == head;
            assert!(!page.lines().any(|line| is_cut(&line)), "{width}: {head}: {page}");
        }
    }
}
