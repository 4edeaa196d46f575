//! Completions: each shell reads its script, and offers what the table of flags and commands has.

use std::process::Command;

use notariat::cli::flags::{FLAGS, Offers, SHELLS};
use notariat_lab::{Scratch, tools};

use crate::support::Run;
use crate::support::run::notariat;

fn script(shell: &str) -> String {
    Run::of(notariat().args(["completion", shell])).ends(0).stdout
}

/// The words that a shell offers at the end of a line.
fn offered(shell: &str, line: &str) -> Vec<String> {
    let scratch = Scratch::new("completion");
    scratch.write("script", &script(shell));
    let words = match shell {
        "bash" => {
            let words = line.split(' ').map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
            format!(
                ". ./script; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _notariat; printf '%s\\n' \"${{COMPREPLY[@]}}\""
            )
        }
        "fish" => format!("source script; complete -C '{line}'"),
        // Zsh completes in a terminal only. Its functions tell here what they are asked to offer.
        _ => format!(
            "compdef() {{ : }}; . ./script; words=({line}''); CURRENT=${{#words}}; PREFIX=${{words[-1]}}\n\
             _describe() {{ print -l ${{commands%%:*}} }}\n_arguments() {{ print -l -- $@ | sed 's/\\[.*//; s/:.*//' }}\n_notariat"
        ),
    };
    let output = tools::output(Command::new(tools::tool(shell)).args(["-c", &words]).current_dir(scratch.path()));
    output.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn every_shell_reads_its_script() {
    for shell in SHELLS {
        let mut check = Command::new(tools::tool(shell));
        tools::try_output(check.arg("-n"), &script(shell)).unwrap_or_else(|e| panic!("{e}"));
    }
    Run::of(notariat().arg("completion")).ends(78).says(&["completion needs a shell: bash, zsh, fish"]);
    Run::of(notariat().args(["completion", "csh"])).ends(78).says(&["completion knows bash, zsh, fish"]);
    Run::of(notariat().args(["completion", "bash", "-workers=2"])).ends(78).says(&["-workers is not a flag"]);
}

#[test]
fn commands_flags_and_values_are_offered_where_they_belong() {
    let shared: Vec<String> =
        FLAGS.iter().filter(|flag| flag.is_shared()).map(|flag| format!("-{}", flag.name())).collect();
    let shared: Vec<&str> = shared.iter().map(String::as_str).collect();
    for shell in SHELLS {
        let offers = |line: &str, words: &[&str], others: &[&str]| {
            let found = offered(shell, line);
            for (words, expected) in [(words, true), (others, false)] {
                for word in words {
                    assert_eq!(found.iter().any(|f| f == word), expected, "{shell}: {line:?} {word}: {found:?}");
                }
            }
        };
        offers("notariat ", &["renew", "check", "schema", "completion", "man", "account"], &["rollover", "bash"]);
        offers("notariat -", &[&shared[..], &["-version", "-help"]].concat(), &["-force", "-f"]);
        offers("notariat check -", &[&shared[..], &["-f", "-role", "-o"]].concat(), &["-force", "-reason"]);
        offers("notariat man -", &[], &shared);
        offers("notariat renew -", &["-force", "-workers"], &["-reason", "-role"]);
        offers("notariat revoke -", &["-reason"], &["-force"]);
        offers("notariat status -", &["-w", "-o"], &["-role"]);
        if *shell != "zsh" {
            offers("notariat account ", &["rollover"], &["renew"]);
            offers("notariat -log-level ", &["error", "debug"], &["text"]);
            offers("notariat status -o ", &["wide", "json"], &["-w"]);
            offers("notariat completion ", &["bash", "zsh", "fish"], &["zones"]);
            offers("notariat schema ", &["zones"], &["bash"]);
            offers("notariat -workers ", &[], &["debug", "renew"]);
        }
    }
    let equals = offered("bash", "notariat -log-level = d");
    assert_eq!(equals, ["debug"], "bash takes the sign for a word of its own");
}

/// The words that are offered for a flag are those that it takes.
#[test]
fn words_that_are_offered_are_taken() {
    let mut words = 0;
    for flag in FLAGS {
        let Offers::Words(offers) = flag.offers else { continue };
        let command = flag.commands.first().copied().unwrap_or_default();
        let run = |value: &str| {
            let arguments = command.split(' ').filter(|word| !word.is_empty());
            let mut line = notariat();
            line.args(arguments).arg(format!("-{}={value}", flag.name())).args(["-kubeconfig", "/nowhere"]);
            if !["renew", "revoke"].contains(&command) {
                line.args(["-config", "none"]);
            } else {
                line.arg("web");
            }
            Run::of(&mut line).log
        };
        let refusal = format!("-{} ", flag.name());
        for word in offers {
            let log = run(word);
            assert!(!log.contains(&refusal), "{log}");
            words += 1;
        }
        let log = run("another");
        assert!(log.contains(&refusal), "{log}");
    }
    assert!(words > 10, "{words}");
}
