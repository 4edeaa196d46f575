//! The flags, in debug and release builds: pico-args behaves differently in the two.

use std::path::PathBuf;
use std::process::Command;

use notariat_lab::Scratch;

use crate::static_binary::release_binary;
use crate::support::Run;
use crate::support::run::notariat;

fn both() -> [PathBuf; 2] {
    [PathBuf::from(notariat().get_program()), release_binary()]
}

#[test]
fn one_dash_or_two_with_a_space_or_an_equals_sign_in_both_builds() {
    for binary in both() {
        for [config, acme, once] in [["-config", "-acme", "-once"], ["--config", "--acme", "--once"]] {
            for equals in [false, true] {
                let store = Scratch::new("flags");
                let mut command = Command::new(&binary);
                command.arg("-local").arg(store.path());
                match equals {
                    true => command.arg(format!("{config}=none")).arg(format!("{acme}=https://127.0.0.1:9/dir")),
                    false => command.args([config, "none", acme, "https://127.0.0.1:9/dir"]),
                };
                let run = Run::of(command.arg(once)).ends(78);
                assert!(run.log.contains("config_map=default/none"), "{}", run.log);
                assert!(!run.log.contains("staging"), "-acme was understood: {}", run.log);
            }
        }
    }
}

#[test]
fn a_wrong_command_line_is_one_sentence_and_exit_code_78() {
    for binary in both() {
        for (arguments, part) in [
            (&[][..], "notariat: -config is missing"),
            (&["-config", "c", "-nonsense"], "notariat: -nonsense is not a flag"),
            (&["-config", "c", "-local", "/nowhere"], "notariat: -local: /nowhere is not a directory"),
            (&["-config", "c", "-kubeconfig", "/nowhere"], "notariat: kubeconfig /nowhere: can not be read"),
            (&["-config", "c"], "notariat: not in a pod"),
            (&["-config", "c", "-local", "/tmp", "-acme-ca", "/nowhere"], "-acme-ca /nowhere: "),
        ] {
            let mut command = Command::new(&binary);
            command.args(arguments).env_remove("KUBERNETES_SERVICE_HOST").env_remove("KUBECONFIG");
            let run = Run::of(&mut command).ends(78);
            assert!(run.log.contains(part), "{arguments:?}: {}", run.log);
            assert!(run.stdout.is_empty());
        }
        let help = Run::of(Command::new(&binary).arg("-h")).ends(0);
        assert!(help.stdout.contains("-config NAME") && help.log.is_empty());
    }
}
