//! Cleans up after this process, however it ends.
//!
//! `Drop` does not run for a static, and nothing of ours runs after Ctrl-C or `kill -9`. So one small shell waits at the
//! end of a pipe; when the kernel closes the pipe, this process is gone, and the shell runs the lines it was given:
//! remove this directory, delete that network namespace. The servers themselves need no such help: the kernel kills
//! them with us (see [`crate::process`]).

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// Runs one shell command when this process has ended. It runs twice, and so must be harmless when repeated.
pub(crate) fn run(line: &str) {
    static SHELL: OnceLock<Mutex<Child>> = OnceLock::new();
    let mut shell = SHELL.get_or_init(start_shell).lock().expect("no writer panics while it holds the shell");
    let pipe = shell.stdin.as_mut().expect("stdin is piped, see below");
    writeln!(pipe, "{line}").expect("the waiting shell reads until this process ends");
}

/// Removes a directory tree when this process has ended.
pub(crate) fn remove(path: &Path) {
    run(&format!("rm -rf {}", quoted(path)));
}

fn start_shell() -> Mutex<Child> {
    // The second round catches what a dying server wrote during the first: the pipe closes a little before the kernel
    // kills our children.
    const WAIT: &str = r#"trap '' HUP INT TERM; lines=$(cat); cd /; eval "$lines"; sleep 1; eval "$lines""#;
    let child = Command::new("sh")
        .args(["-c", WAIT])
        .stdin(Stdio::piped())
        // Not our output: whoever waits for its end (cargo, a pipe) would wait for the shell, too.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C goes to the whole process group, and this one has to outlive it.
        .process_group(0)
        .spawn()
        .expect("sh starts");
    Mutex::new(child)
}

/// The path as one word of a shell command.
fn quoted(path: &Path) -> String {
    let path = path.to_str().expect("temporary paths are UTF-8");
    format!("'{}'", path.replace('\'', r"'\''"))
}
