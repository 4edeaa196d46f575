//! Server processes: each with its own log file, ended when dropped, and never left behind.
//!
//! A test that is killed runs no destructor; that its servers end all the same is the work of `spawn`.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::place::Place;
use crate::spawn::Launch;
use crate::tools::tool;

/// How long a server may take to come up. Only a broken one needs it; two cores that also compile need some of it.
const START: Duration = Duration::from_secs(60);
/// How long a server may take to end by itself after SIGTERM.
const STOP: Duration = Duration::from_secs(5);
/// How often a state is looked at that will change in milliseconds.
const POLL: Duration = Duration::from_millis(10);

/// The longest time between two looks at a state.
const REST_MAX: Duration = Duration::from_secs(1);

/// Rests between two looks at a state: at least for `least`, and three times as long as the look took. Who waits by starting a command leaves the
/// processors to what is waited for.
pub fn rest_after_look(began: Instant, least: Duration) {
    thread::sleep(least.max(3 * began.elapsed()).min(REST_MAX));
}

/// A running server, or one that was stopped and can be started again.
#[derive(Debug)]
pub struct Server {
    name: String,
    launch: Launch,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    child: Child,
    /// Where in the log this run begins.
    log_start: u64,
}

impl Server {
    /// Starts a server that stays in the foreground; its output goes to the end of `log`.
    pub fn start(name: &str, command: &Command, log: &Path) -> Server {
        let launch = Launch::new(command, log);
        let state = Mutex::new(started(name, &launch));
        Server { name: name.into(), launch, state }
    }

    /// The same command once more. Does nothing while it runs.
    pub fn start_again(&self) {
        if !self.is_running() {
            *self.state() = started(&self.name, &self.launch);
        }
    }

    /// The process id. Every program between us and the server replaces itself, so this is the server's own.
    pub fn pid(&self) -> u32 {
        self.state().child.id()
    }

    /// Tells whether it has not ended.
    pub fn is_running(&self) -> bool {
        has_not_ended(&mut self.state().child)
    }

    /// Ends it as a service manager would: SIGTERM, then SIGKILL. Returns when it is gone.
    pub fn stop(&self) {
        let child = &mut self.state().child;
        if !has_not_ended(child) {
            return;
        }
        signal(child.id(), "TERM");
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if !has_not_ended(child) {
                return;
            }
            thread::sleep(POLL);
        }
        end(child);
    }

    /// Ends it as a crash would: SIGKILL. Returns when it is gone.
    pub fn kill9(&self) {
        end(&mut self.state().child);
    }

    /// Everything it ever wrote.
    pub fn log(&self) -> String {
        fs::read(self.launch.log()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The file behind [`Server::log`].
    pub fn log_file(&self) -> &Path {
        self.launch.log()
    }

    /// Waits until `ready` says so. The error says what was waited for and shows the end of the log.
    pub fn wait_until(&self, what: &str, mut ready: impl FnMut() -> bool) -> Result<(), String> {
        let deadline = Instant::now() + START;
        let why = loop {
            let look = Instant::now();
            let running = self.is_running();
            // Before it is asked: another server at this address must not be taken for ours.
            if reports_address_in_use(&self.log_of_this_run()) {
                break "found its address in use";
            }
            if !running {
                break "ended";
            }
            if ready() {
                return Ok(());
            }
            if Instant::now() > deadline {
                break "was too slow";
            }
            rest_after_look(look, POLL);
        };
        let log = self.log_of_this_run();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(25)..].join("\n");
        Err(format!("{} {why} before it {what}; its log ends:\n{tail}", self.name))
    }

    /// Waits until the program listens at a TCP address of the place that it runs in. Panics where it does not.
    pub fn until_it_listens(self, place: &Place, address: &str) -> Server {
        let listens = || {
            let told = place.command(tool("ss")).args(["-Hltn", "src", address]).output().expect("ss runs");
            assert!(told.status.success(), "ss: {told:?}");
            !told.stdout.is_empty()
        };
        self.wait_until("listened", listens).unwrap_or_else(|e| panic!("{e}"));
        self
    }

    fn log_of_this_run(&self) -> String {
        let start = self.state().log_start;
        let mut bytes = Vec::new();
        File::open(self.launch.log())
            .and_then(|mut file| {
                file.seek(SeekFrom::Start(start))?;
                file.read_to_end(&mut bytes)
            })
            .unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A poisoned lock means that some test failed elsewhere: no reason to leave the server running.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Tells whether a log says that somebody else has the port. BIND has words of its own for it.
pub(crate) fn reports_address_in_use(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["address in use", "address already in use", "interface ignored"].iter().any(|words| text.contains(words))
}

/// Sends a signal, named without `SIG`. The standard library only knows SIGKILL; `kill` is built into every shell.
pub fn signal(pid: u32, name: &str) {
    // The process may have ended by itself in between, which is as good.
    Command::new("sh").args(["-c", &format!("kill -{name} {pid} 2>/dev/null; true")]).status().expect("sh starts");
}

fn started(name: &str, launch: &Launch) -> State {
    let result = launch.start();
    let (child, log_start) = result.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
    State { child, log_start }
}

fn has_not_ended(child: &mut Child) -> bool {
    child.try_wait().is_ok_and(|status| status.is_none())
}

fn end(child: &mut Child) {
    child.kill().ok();
    child.wait().ok();
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::Scratch;

    fn sleeper(scratch: &Scratch) -> Server {
        Server::start("sleep", Command::new("sleep").arg("600"), &scratch.join("log"))
    }

    #[test]
    fn a_server_outlives_the_thread_that_started_it() {
        let scratch = Scratch::new("process");
        // The thread stays until the server runs: only then has the kernel been told whose end to watch for.
        let begin = || {
            let command = ["-c", "echo up; exec sleep 600"];
            let server = Server::start("sh", Command::new("sh").args(command), &scratch.join("log"));
            server.wait_until("said up", || server.log().contains("up")).unwrap();
            server
        };
        let server = thread::scope(|scope| scope.spawn(begin).join().unwrap());
        thread::sleep(Duration::from_millis(200));
        assert!(server.is_running());
    }

    #[test]
    fn a_dropped_server_is_gone() {
        let scratch = Scratch::new("process");
        let server = sleeper(&scratch);
        let process = PathBuf::from(format!("/proc/{}", server.pid()));
        assert!(process.exists());
        drop(server);
        assert!(!process.exists());
    }

    #[test]
    fn a_server_starts_again_after_it_was_killed_and_keeps_its_log() {
        let scratch = Scratch::new("process");
        let command = ["-c", "echo up; exec sleep 600"];
        let server = Server::start("sh", Command::new("sh").args(command), &scratch.join("log"));
        server.wait_until("said up", || server.log().contains("up")).unwrap();
        let first = server.pid();
        server.kill9();
        assert!(!server.is_running());
        server.start_again();
        server.wait_until("said up twice", || server.log().matches("up").count() == 2).unwrap();
        assert_ne!(server.pid(), first);
    }

    #[test]
    fn a_server_that_ends_at_once_is_reported_with_its_log() {
        let scratch = Scratch::new("process");
        let server = Server::start("sh", Command::new("sh").args(["-c", "echo no config"]), &scratch.join("log"));
        let error = server.wait_until("answered", || false).unwrap_err();
        assert_eq!(error, "sh ended before it answered; its log ends:\nno config");
    }
}
