//! The form of the log, and that nothing depends on somebody reading it.

use std::fs::File;
use std::process::{Command, Stdio};

use notariat_lab::Scratch;
use serde_json::Value;

use crate::support::Run;
use crate::support::run::notariat;

fn command(store: &Scratch, more: &[&str]) -> Command {
    let mut command = notariat();
    command.args(["-config", "none", "-once", "-local"]).arg(store.path()).args(more);
    command
}

#[test]
fn as_json_each_line_is_an_object_with_what_the_text_has() {
    let store = Scratch::new("log");
    let [text, json] = ["text", "json"].map(|f| Run::of(&mut command(&store, &["-log-format", f])).ends(78).log);
    assert_eq!(text.lines().count(), json.lines().count());
    for (text, line) in text.lines().zip(json.lines()) {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let field = |name: &str| object[name].as_str().unwrap_or_else(|| panic!("{name}: {line}"));
        let time = field("time");
        assert!(
            time.len() == "2026-11-22T10:00:00.000Z".len() && time.ends_with('Z') && time.as_bytes()[19] == b'.',
            "{time}"
        );
        let begin = format!(" {:<5} [notariat] {}", field("level"), field("event"));
        assert!(text[time.len()..].starts_with(&begin), "{text}\n{line}");
        let fields =
            object.as_object().unwrap().keys().filter(|key| !["time", "level", "event"].contains(&key.as_str()));
        fields.for_each(|key| assert!(text.contains(&format!(" {key}=")), "{text}\n{line}"));
    }
    assert!(json.contains(r#""config_map":"default/none""#), "{json}");
}

/// A log that can not be written is no reason to end.
#[test]
fn a_closed_or_full_standard_error_changes_nothing() {
    let store = Scratch::new("log");
    let code = |error: Stdio, format: &str| {
        let mut command = command(&store, &["-log-format", format]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(error).status().unwrap().code()
    };
    for format in ["text", "json"] {
        assert_eq!(code(File::options().write(true).open("/dev/full").unwrap().into(), format), Some(78));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(code(writer.into(), format), Some(78));
        // Without descriptor 2 at all.
        let shell = r#"exec "$0" "$@" 2>&-"#;
        let mut closed = Command::new("sh");
        let program = command(&store, &["-log-format", format]);
        closed.args(["-c", shell]).arg(program.get_program()).args(program.get_args());
        assert_eq!(closed.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap().code(), Some(78));
    }
}
