//! Runs the binary under test: once to its end, or as a daemon that is killed when dropped.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use notariat_lab::Scratch;
use notariat_lab::process::rest_after_look;

/// The longest a run may take: far more than any needs, so that only a hang meets it.
const DEADLINE: Duration = Duration::from_secs(120);

/// The least time between two looks at a state.
const LOOK: Duration = Duration::from_millis(20);

/// A finished run.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    /// Standard error: the log.
    pub log: String,
}

impl Run {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Run {
        let scratch = Scratch::new("run");
        let (out, err) = (scratch.join("out"), scratch.join("err"));
        let started = command
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn();
        let mut child = started.unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let code = ended(&mut child, DEADLINE);
        let read = |path: PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        Run { code, stdout: read(out), log: read(err) }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Run {
        assert_eq!(self.code, code, "exit code; the log:\n{}", self.log);
        self
    }

    /// Asserts that the log holds each part.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Run {
        for part in parts {
            assert!(self.log.contains(part), "{part:?} is not in the log:\n{}", self.log);
        }
        self
    }

    /// Asserts that the log does not hold the part.
    #[track_caller]
    pub fn never_says(self, part: &str) -> Run {
        assert!(!self.log.contains(part), "{part:?} is in the log:\n{}", self.log);
        self
    }
}

/// Waits until something is the case.
#[track_caller]
pub fn until(what: &str, is: impl FnMut() -> bool) {
    until_or(is, || what.to_owned());
}

/// Waits until something is the case. Panics with these words where it is not.
#[track_caller]
fn until_or(mut is: impl FnMut() -> bool, words: impl Fn() -> String) {
    let until = Instant::now() + DEADLINE;
    let mut look = Instant::now();
    while !is() {
        assert!(Instant::now() < until, "not so after {DEADLINE:?}: {}", words());
        rest_after_look(look, LOOK);
        look = Instant::now();
    }
}

/// Waits until a process ends: its exit code, or 128 and the signal that ended it.
pub fn ended(child: &mut Child, within: Duration) -> i32 {
    let until = Instant::now() + within;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            use std::os::unix::process::ExitStatusExt as _;
            return status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
        }
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it did not end within {within:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    err: PathBuf,
    _scratch: Scratch,
}

impl Daemon {
    /// Starts a command that runs until it is told to stop.
    pub fn start(command: &mut Command) -> Daemon {
        let scratch = Scratch::new("daemon");
        let err = scratch.join("err");
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&err).unwrap()).spawn().unwrap();
        Daemon { child, err, _scratch: scratch }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends, whatever ends it. There is no standard output.
    pub fn wait(mut self) -> Run {
        Run { code: ended(&mut self.child, DEADLINE), stdout: String::new(), log: self.log() }
    }

    /// The log so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.err).unwrap()).into_owned()
    }

    /// Waits until something is the case.
    #[track_caller]
    pub fn until(&self, what: &str, is: impl FnMut() -> bool) {
        until_or(is, || format!("{what}; the log:\n{}", self.log()));
    }

    /// Waits until the log holds a part.
    #[track_caller]
    pub fn until_it_says(&self, part: &str) {
        self.until(part, || self.log().contains(part));
    }

    /// Sends a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        notariat_lab::process::signal(self.child.id(), name);
    }

    /// Sends SIGTERM and returns the exit code, which must come within the ten seconds that are promised.
    #[track_caller]
    pub fn terminate(mut self) -> i32 {
        notariat_lab::process::signal(self.child.id(), "TERM");
        ended(&mut self.child, Duration::from_secs(10))
    }

    /// Sends SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Gone already after `terminate` and `kill`.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The binary under test.
pub fn notariat() -> Command {
    Command::new(env!("CARGO_BIN_EXE_notariat"))
}
