//! One process of notariat: started, ended and started again, with a clock that can be set while it runs (libfaketime with a control file).

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::Scratch;
use notariat_lab::process::{Server, signal};
use notariat_lab::tools::{output, tool};

/// The longest time from SIGTERM to the end that is promised (docs/operations.md).
pub const GRACE: Duration = Duration::from_secs(10);
/// How long a process may take before it counts as hanging.
const HANGS: Duration = Duration::from_secs(60);

/// A process of notariat.
pub struct Replica {
    server: Server,
    clock: PathBuf,
    /// Held by who ends it on purpose.
    pub in_hand: Mutex<()>,
    scratch: Scratch,
}

/// The use of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub pid: u32,
    pub rss_kib: u64,
    pub threads: usize,
    /// The threads among `threads` that are called `worker-`.
    pub workers: usize,
    pub descriptors: usize,
}

impl Replica {
    /// Starts a command of notariat.
    pub fn start(name: &str, command: &Command) -> Replica {
        let scratch = Scratch::new(name);
        let clock = scratch.write("clock", "+0");
        let server = Server::start(name, &at_clock_of(command, &clock), &scratch.join("log"));
        Replica { server, clock, in_hand: Mutex::new(()), scratch }
    }

    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    pub fn is_running(&self) -> bool {
        self.server.is_running()
    }

    /// Everything that its processes logged.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Waits until it logs a line with a part, for so long at most.
    pub fn wait_for(&self, part: &str, most: Duration) {
        let began = Instant::now();
        let mut log = fs::File::open(self.server.log_file()).unwrap();
        log.seek(SeekFrom::End(0)).unwrap();
        let mut new = String::new();
        while !new.contains(part) && began.elapsed() < most {
            thread::sleep(Duration::from_millis(10));
            log.read_to_string(&mut new).unwrap();
        }
    }

    pub fn start_again(&self) {
        self.server.start_again();
    }

    pub fn kill(&self) {
        let pid = self.pid();
        self.server.kill9();
        // A process that ends by itself removes what libfaketime made for it.
        for kind in ["faketime_shm", "sem.faketime_sem"] {
            fs::remove_file(format!("/dev/shm/{kind}_{pid}")).ok();
        }
    }

    /// Sends a signal that does not end it, such as `STOP`.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Sends SIGTERM. Returns how long it took to end, without the time for which we did not run although we wanted to: neither did it.
    pub fn terminate(&self) -> Duration {
        const PAUSE: Duration = Duration::from_millis(10);
        let began = Instant::now();
        self.signal("TERM");
        let mut stood_still = Duration::ZERO;
        while self.is_running() && began.elapsed() < HANGS {
            let before = Instant::now();
            thread::sleep(PAUSE);
            stood_still += before.elapsed().saturating_sub(2 * PAUSE);
        }
        let took = began.elapsed().saturating_sub(stood_still);
        if self.is_running() {
            self.kill();
        }
        took
    }

    /// Sets its clock, by seconds from the right time. It follows within a second.
    pub fn set_clock(&self, seconds: i64) {
        // As a whole: the process may read it at any moment.
        let new = self.scratch.write("clock.new", &format!("{seconds:+}"));
        fs::rename(new, &self.clock).unwrap();
    }

    /// The use of the process now; `None` where it does not run.
    pub fn usage(&self) -> Option<Usage> {
        let pid = self.pid();
        let process = PathBuf::from(format!("/proc/{pid}"));
        let status = fs::read_to_string(process.join("status")).ok()?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let names: Vec<String> = fs::read_dir(process.join("task"))
            .ok()?
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
            .collect();
        Some(Usage {
            pid,
            rss_kib: rss.split_whitespace().next()?.parse().ok()?,
            threads: names.len(),
            workers: names.iter().filter(|name| name.starts_with("worker-")).count(),
            descriptors: fs::read_dir(process.join("fd")).ok()?.count(),
        })
    }
}

/// The command with the time of day that the file says; its waits stay as long as they are. The library is loaded by `env`, for what is on the
/// way to the program must not load it.
fn at_clock_of(command: &Command, clock: &Path) -> Command {
    let printed = output(Command::new(tool("faketime")).args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]));
    let mut shifted = Command::new("env");
    shifted.arg(format!("LD_PRELOAD={}", printed.trim()));
    shifted.arg(format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()));
    // Read again each second.
    shifted.args(["FAKETIME_CACHE_DURATION=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]);
    shifted.arg(command.get_program()).args(command.get_args());
    shifted
}
