//! The daemon under measurement, and the kernel's figures about it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::Scratch;

/// The time in which the program promises to end after SIGTERM, and some more.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// The longest wait for lines of the log; a second for each line where that is longer.
pub const WAIT_MAX: Duration = Duration::from_secs(600);

/// A running daemon, ended when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    started: Instant,
}

/// Memory in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub now: f64,
    /// The part that is not mapped from the program's file.
    pub anonymous: f64,
    pub peak: f64,
}

impl Daemon {
    pub fn start(command: &mut Command, scratch: &Scratch) -> Daemon {
        let log = scratch.join("log");
        let err = File::create(&log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(err).spawn().unwrap();
        Daemon { child, log, started: Instant::now() }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The lines of the log with this in them.
    pub fn count(&self, part: &str) -> usize {
        self.log().matches(part).count()
    }

    /// Waits until the log has so many lines with this in them. Returns the time since the start.
    pub fn until(&mut self, part: &str, count: usize) -> Duration {
        self.until_unless(part, count, None).unwrap()
    }

    /// The same; `None` where a line with `end` in it comes first.
    pub fn until_unless(&mut self, part: &str, count: usize, end: Option<&str>) -> Option<Duration> {
        loop {
            let there = self.count(part) >= count;
            let at = self.started.elapsed();
            if there {
                return Some(at);
            }
            if end.is_some_and(|end| self.count(end) > 0) {
                return None;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && at < WAIT_MAX.max(Duration::from_secs(count as u64)),
                "no {count} of {part:?}:\n{}",
                tail(&self.log())
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn memory(&self) -> Memory {
        let status = self.proc("status");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let kib: f64 = line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
            kib / 1024.0
        };
        Memory { now: field("VmRSS:"), anonymous: field("RssAnon:"), peak: field("VmHWM:") }
    }

    /// Processor time of all threads, in ticks of 10 ms.
    pub fn processor(&self) -> Duration {
        let stat = self.proc("stat");
        // Behind the name, which is in parentheses: state is the third field, utime the 14th, stime the 15th.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = |field: usize| fields[field - 3].parse::<u64>().unwrap();
        Duration::from_millis(10 * (ticks(14) + ticks(15)))
    }

    /// Processor time of the thread of the loop.
    pub fn processor_of_loop(&self) -> Duration {
        let schedstat = self.proc(&format!("task/{}/schedstat", self.child.id()));
        Duration::from_nanos(schedstat.split(' ').next().unwrap().parse().unwrap())
    }

    pub fn threads(&self) -> usize {
        fs::read_dir(Path::new("/proc").join(self.child.id().to_string()).join("task")).unwrap().count()
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        notariat_lab::process::signal(self.child.id(), "TERM");
        let until = Instant::now() + ENDS_WITHIN;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            thread::sleep(Duration::from_millis(50));
        }
        // Ended already, unless it broke its promise.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
