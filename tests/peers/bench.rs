//! notariat beside other ACME clients on the same servers: BIND, a resolver, and Pebble without sleeps and without Retry-After.
//!
//! Printed are counts, and times of one run on one machine: compare the lines, not the seconds. With `--json FILE` the same goes to a file.

#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr, reason = "a program that prints a table")]

mod binary;
mod programs;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::time::Instant;

use binary::static_binary;
use notariat_lab::tools::{output, tool, try_output};
use programs::{Job, Names, PROGRAMS, Program, Servers, Settings};
use serde_json::json;

/// The figures of each program, in this order.
const JOBS: [Job; 6] = [
    Job { certificates: 1, names: Names::One, settings: Settings::Default },
    Job { certificates: 1, names: Names::One, settings: Settings::Fastest },
    Job { certificates: 20, names: Names::One, settings: Settings::Fastest },
    Job { certificates: 20, names: Names::Five, settings: Settings::Fastest },
    Job { certificates: 20, names: Names::ApexAndWildcard, settings: Settings::Fastest },
    Job { certificates: 200, names: Names::One, settings: Settings::Fastest },
];

/// The longest time of one certificate at which 200 of them are measured, too.
const SECONDS_EACH_MAX: f64 = 1.5;

/// How often a command is tried: uacme 1.7.4 can not read a challenge without a token, and Pebble offers one, in an order of its own each time.
const TRIES_MAX: u64 = 16;

/// One line of the table.
struct Measured {
    seconds: f64,
    /// Runs that failed and were made again.
    repeated: u64,
    requests: u64,
    updates: u64,
    queries: u64,
    processor_seconds: f64,
    peak_mib: f64,
}

/// Runs the commands one after the other under time(1).
fn measure(program: &Program, job: Job) -> Result<Measured, String> {
    let servers = Servers::start();
    let (before, commands) = (program.commands)(&servers, job);
    for mut command in before {
        try_output(&mut command, "").map_err(|e| format!("{}: {e}", program.name))?;
    }
    let (requests, updates, queries) = (servers.pebble.requests(), servers.dns.updates(), servers.dns.queries());
    let (mut peak_kib, mut processor_seconds, mut repeated, started) = (0, 0.0, 0, Instant::now());
    for command in &commands {
        let report = servers.scratch.join("time");
        let mut timed = Command::new(tool("time"));
        timed.args(["-f", "%M %U %S", "-o"]).arg(&report).arg(command.get_program()).args(command.get_args());
        timed.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
        let mut tries = 0;
        while let done = timed.output().map_err(|e| e.to_string())?
            && !done.status.success()
        {
            tries += 1;
            repeated += 1;
            if tries == TRIES_MAX {
                let said = [done.stdout, done.stderr].concat();
                return Err(format!("{} failed: {}", program.name, String::from_utf8_lossy(&said)));
            }
        }
        let text = std::fs::read_to_string(&report).map_err(|e| e.to_string())?;
        let figures: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [kib, user, system] = figures[..] else { return Err(format!("time(1) wrote {text:?}")) };
        peak_kib = peak_kib.max(kib as u64);
        processor_seconds += user + system;
    }
    Ok(Measured {
        seconds: started.elapsed().as_secs_f64(),
        repeated,
        requests: servers.pebble.requests() - requests,
        updates: servers.dns.updates() - updates,
        queries: servers.dns.queries() - queries,
        processor_seconds,
        peak_mib: peak_kib as f64 / 1024.0,
    })
}

/// MiB that the packages take with all that they need, without what every Debian has.
fn installed_mib(program: &Program) -> f64 {
    if program.packages.is_empty() {
        return std::fs::metadata(static_binary(true)).map_or(0, |file| file.len()) as f64 / 1_048_576.0;
    }
    let no =
        ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map(|kind| format!("--no-{kind}"));
    let needed =
        output(Command::new("apt-cache").args(["depends", "--recurse", "--installed"]).args(no).args(program.packages));
    let names = needed.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric()));
    let sizes =
        output(Command::new("dpkg-query").args(["-W", "-f", "${Package} ${Priority} ${Installed-Size}\n"]).args(names));
    let sizes: BTreeMap<&str, f64> = sizes
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (name, priority, size) = (words.next()?, words.next()?, words.next()?);
            (priority != "required").then_some((name, size.parse().ok()?))
        })
        .collect();
    sizes.values().sum::<f64>() / 1024.0
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let json_file = arguments.iter().position(|argument| argument == "--json").and_then(|at| arguments.get(at + 1));
    let only: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-') && Some(*a) != json_file).collect();
    println!(
        "| program | installed | certificates | of each | settings | seconds | repeated | HTTP requests | UPDATEs | DNS queries | processor s | peak MiB |\n|{}",
        "---|".repeat(12)
    );
    let mut lines = Vec::new();
    for program in PROGRAMS.iter().filter(|p| only.is_empty() || only.iter().any(|o| *o == p.name)) {
        let installed = installed_mib(program);
        let mut seconds_each = 0.0;
        for job in JOBS {
            let begin = format!(
                "| {} | {installed:.1} MiB | {} | {} | {} |",
                program.name,
                job.certificates,
                job.names.words(),
                job.settings.word()
            );
            if job.certificates > 20 && seconds_each > SECONDS_EACH_MAX {
                println!("{begin} about {:.0}, not run | | | | | | |", seconds_each * job.certificates as f64);
                continue;
            }
            let measured = match measure(program, job) {
                Ok(measured) => measured,
                // A peer may be unable to do it: that is a result, too.
                Err(e) if program.name != "notariat" => {
                    println!("{begin} failed: {} | | | | | | |", e.split_whitespace().collect::<Vec<_>>().join(" "));
                    continue;
                }
                Err(e) => {
                    eprintln!("bench: {e}");
                    return ExitCode::FAILURE;
                }
            };
            if job.certificates == 20 && job.names == Names::One {
                seconds_each = measured.seconds / 20.0;
            }
            let Measured { seconds, repeated, requests, updates, queries, processor_seconds, peak_mib } = measured;
            println!(
                "{begin} {seconds:.2} | {repeated} | {requests} | {updates} | {queries} | {processor_seconds:.2} | {peak_mib:.1} |"
            );
            lines.push(json!({
                "program": program.name, "installedMib": installed, "certificates": job.certificates, "names": job.names.words(),
                "settings": job.settings.word(), "seconds": seconds, "repeated": repeated, "httpRequests": requests, "updates": updates, "dnsQueries": queries,
                "processorSeconds": processor_seconds, "peakMib": peak_mib,
            }));
        }
    }
    if let Some(file) = json_file
        && let Err(e) = std::fs::write(file, serde_json::Value::from(lines).to_string())
    {
        eprintln!("bench: {file}: {e}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
