//! What one instance costs at 10, 1,000 and 10,000 certificates: memory, requests, processor time, time to start.
//!
//! On a real API server, with the Role of deploy/ and the binary that is shipped. All certificates are valid and recorded, so that
//! nothing is ordered. BIND and Pebble answer the requests of an idle daemon: probes of the zone and renewal information, both spread over
//! the first hour. Pebble does not know the certificates and says so, which leaves no trace in a record.
//! Times and processor time are those of one run on one machine, which others may use, too; counts and memory are not.

#![allow(missing_docs, unreachable_pub, reason = "nobody uses this program as a library")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints a table")]
#![allow(clippy::unwrap_used, reason = "a measurement ends where a proof is missing")]

#[path = "../peers/binary.rs"]
mod binary;
mod certificates;
mod exponent;
mod fixture;
mod growth;
mod ingresses;
mod process;
mod servers;
mod throughput;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::Pebble;
use notariat_lab::kube::Audited;
use process::{Daemon, WAIT_MAX};
use servers::Servers;
use throughput::Throughput;

/// The bounds at a number of certificates.
struct Bounds {
    count: usize,
    memory_mib: f64,
    peak_mib: f64,
}

const BOUNDS: [Bounds; 3] = [
    Bounds { count: 10, memory_mib: 6.0, peak_mib: 8.0 },
    Bounds { count: 1_000, memory_mib: 12.0, peak_mib: 15.0 },
    Bounds { count: 10_000, memory_mib: 32.0, peak_mib: 40.0 },
];

/// The time of one decision pass over 10,000; others may use this machine, too.
const PASS_MAX: Duration = Duration::from_millis(200);

/// The number of certificates with which an instance is watched doing nothing.
const IDLE_AT: usize = 1_000;

/// The share of a core that it may take then.
const IDLE_SHARE_MAX: f64 = 0.002;

/// The shortest time between two requests of one watch.
const WATCH_LASTS: Duration = Duration::from_secs(180);

/// The time between two renewals of the Lease.
const LEASE_RENEWED: Duration = Duration::from_secs(10);

/// First certificates with one worker, and with four; so many renewals with four as well.
const FEW: [usize; 2] = [1, 20];
const MANY: usize = 400;

/// The numbers of first certificates between which the processor time for each must not grow.
const FIRST: [usize; 2] = [200, 3_000];

struct Settings {
    kubernetes: bool,
    directory: bool,
    growth: bool,
    sleeps: bool,
    ingresses: Option<usize>,
    certificates: Option<usize>,
    counts: Vec<usize>,
    idle: Duration,
    binary: Option<PathBuf>,
}

impl Settings {
    fn read() -> Option<Settings> {
        let mut settings = Settings {
            kubernetes: false,
            directory: false,
            growth: false,
            sleeps: false,
            ingresses: None,
            certificates: None,
            counts: Vec::new(),
            idle: Duration::from_secs(600),
            binary: None,
        };
        // cargo says `--bench` where it runs one.
        let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench").peekable();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--idle" => settings.idle = Duration::from_secs(arguments.next()?.parse().ok()?),
                "--kubernetes" => settings.kubernetes = true,
                "--directory" => settings.directory = true,
                "--growth" => settings.growth = true,
                "--sleeps" => settings.sleeps = true,
                "--ingresses" => settings.ingresses = Some(arguments.next()?.parse().ok()?),
                "--certificates" => {
                    let count = arguments.next_if(|count| !count.starts_with('-'));
                    settings.certificates = Some(count.map_or(Some(certificates::COUNT), |count| count.parse().ok())?);
                }
                "--binary" => settings.binary = Some(arguments.next()?.into()),
                count => settings.counts.push(count.parse().ok()?),
            }
        }
        let is_other = settings.kubernetes
            || settings.directory
            || settings.sleeps
            || settings.ingresses.or(settings.certificates).is_some();
        if settings.counts.is_empty() && settings.growth {
            settings.counts = growth::COUNTS.to_vec();
        } else if settings.counts.is_empty() && !is_other {
            settings.counts = BOUNDS.iter().map(|b| b.count).collect();
        }
        Some(settings)
    }
}

/// Requests by verb and resource, most first.
fn by_kind(requests: &[Audited]) -> String {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for asked in requests {
        *kinds.entry(format!("{} {}", asked.verb, asked.resource)).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().map(|(kind, n)| (n, kind)).collect();
    kinds.sort_by(|a, b| b.cmp(a));
    kinds.iter().map(|(n, kind)| format!("{n} {kind}")).collect::<Vec<_>>().join(", ")
}

/// The time of each decision about all certificates but the few that were in work.
fn passes(log: &str, count: usize) -> Vec<Duration> {
    let pass = |line: &str| {
        let (entries, millis) = line.split_once(" checked entries=")?.1.split_once(" milliseconds=")?;
        let all = entries.parse::<usize>().ok()? >= count - count / 10;
        all.then(|| millis.trim().parse().ok().map(Duration::from_millis))?
    };
    log.lines().filter_map(pass).collect()
}

/// Measures at one number of certificates and prints the figures. Returns the broken bounds.
fn measure(settings: &Settings, binary: &Path, count: usize) -> Vec<String> {
    let servers = Servers::start();
    let directory = servers.pebble.directory();
    let place = servers.place(&directory);
    let making = Instant::now();
    let octets = fixture::populate(&place, count, 2);
    eprintln!("made {count} certificates and their records in {:.0} s", making.elapsed().as_secs_f64());

    let mut daemon = servers.daemon(binary, &[]);
    let valid = daemon.until(" valid secret=", count);
    daemon.until(" checked entries=", 1);
    let (first, started) = (daemon.processor(), servers.requests(0));
    // The allocator gives memory of the start back within seconds.
    thread::sleep(Duration::from_secs(5));
    let memory = daemon.memory();
    println!("{count} certificates, ConfigMap of {octets} octets, {} threads", daemon.threads());
    println!("  start to all checked   {:.2} s, {:.2} s of processor time", valid.as_secs_f64(), first.as_secs_f64());
    println!("  requests until then    {}: {}", started.len(), by_kind(&started));
    println!("  memory                 {:.1} MiB, {:.1} of it anonymous", memory.now, memory.anonymous);
    println!("  peak                   {:.1} MiB", memory.peak);

    let mut work = Duration::MAX;
    for pass in 1..=3 {
        let (before, passed) = (daemon.processor_of_loop(), passes(&daemon.log(), count).len());
        // Any change of the ConfigMap leads to a decision about every certificate.
        servers.kubectl(&["annotate", "--overwrite", "configmap", "notariat", &format!("pass={pass}")]);
        let until = Instant::now() + WAIT_MAX;
        while passes(&daemon.log(), count).len() == passed {
            assert!(Instant::now() < until, "no pass after {WAIT_MAX:?}");
            thread::sleep(Duration::from_millis(50));
        }
        work = work.min(daemon.processor_of_loop() - before);
    }
    let walls = passes(&daemon.log(), count);
    let shown: Vec<String> = walls.iter().map(|wall| wall.as_millis().to_string()).collect();
    let least = walls[1..].iter().min().copied().unwrap_or(work);
    println!("  decision passes        {} ms; {} ms of processor time", shown.join(", "), work.as_millis());
    println!("  memory after them      {:.1} MiB", daemon.memory().now);

    let mut faults = Vec::new();
    let mut bound = |what: &str, is: f64, most: f64| {
        if is > most {
            faults.push(format!("{count} certificates: {what} is {is:.1}, more than {most}"));
        }
    };
    if let Some(bounds) = BOUNDS.iter().find(|b| b.count == count) {
        bound("memory in MiB", memory.now, bounds.memory_mib);
        bound("peak memory in MiB", memory.peak, bounds.peak_mib);
    }
    bound("a decision pass in ms", work.min(least).as_secs_f64() * 1e3, PASS_MAX.as_secs_f64() * 1e3);
    if count == IDLE_AT && !settings.idle.is_zero() {
        faults.extend(idle(&servers, &daemon, settings.idle));
    }
    faults
}

/// Measures an idle daemon for a time and prints the figures. Returns the broken bounds.
fn idle(servers: &Servers, daemon: &Daemon, period: Duration) -> Vec<String> {
    let (before, asked_before, ca_before) = (servers.requests(0).len(), daemon.processor(), servers.pebble.requests());
    thread::sleep(period);
    let requests = servers.requests(before);
    let (leases, requests): (Vec<_>, Vec<_>) = requests.into_iter().partition(|r| r.resource == "leases");
    let (watches, others): (Vec<_>, Vec<_>) = requests.into_iter().partition(|r| r.verb == "watch");
    let share = (daemon.processor() - asked_before).as_secs_f64() / period.as_secs_f64();
    println!("  {} s of doing nothing", period.as_secs());
    let kinds = [&leases[..], &watches, &others].concat();
    println!("    requests             {}: {}", kinds.len(), by_kind(&kinds));
    println!("    requests to the CA   {}", servers.pebble.requests() - ca_before);
    println!("    processor time       {:.3} % of a core", share * 100.0);
    println!("    memory               {:.1} MiB", daemon.memory().now);
    let mut faults = Vec::new();
    // ConfigMap, certificates, records and the key; each was opened before and is opened anew at its end.
    let most = 4 * (period.as_secs() / WATCH_LASTS.as_secs() + 1);
    if watches.len() as u64 > most {
        faults.push(format!("{} watches were opened, more than {most}", watches.len()));
    }
    let renewals = period.as_secs() / LEASE_RENEWED.as_secs() + 1;
    if leases.len() as u64 > renewals {
        faults.push(format!("{} requests for the Lease, more than {renewals}", leases.len()));
    }
    if !others.is_empty() {
        faults.push(format!("there were other requests than watches and the Lease's: {}", by_kind(&others)));
    }
    if share > IDLE_SHARE_MAX {
        faults.push(format!("{:.3} % of a core is more than {} %", share * 100.0, IDLE_SHARE_MAX * 100.0));
    }
    faults
}

/// Prints what first certificates and renewals at once cost on an API server: at the program's own rate, and first ones at 200 requests a
/// second where it has the flag.
fn on_kubernetes(binary: &Path) {
    println!("{}", Throughput::HEAD);
    let shown = |run: Throughput| {
        println!("{run}");
        run
    };
    let api = servers::new_api();
    let [one, few] = FEW.map(|count| shown(throughput::on_kubernetes(&api, binary, count, 1, &[])));
    let many = shown(throughput::on_kubernetes(&api, binary, MANY, 4, &[]));
    let renewed = shown(throughput::renewal_on_kubernetes(&api, binary, MANY, 4, &[]));
    if throughput::knows(binary, "-kube-api-qps") {
        let faster = ["-kube-api-qps", "200", "-kube-api-burst", "400"];
        shown(throughput::on_kubernetes(&api, binary, MANY, 4, &faster));
    }
    println!("\nAPI requests with those of the start:\n\n{}", throughput::requests(&[&one, &few, &many, &renewed]));
}

/// Prints what first certificates cost on a directory.
fn first_on_directory(binary: &Path) {
    println!("{}", Throughput::HEAD);
    println!("{}", throughput::on_directory(binary, FEW[1], 1, Pebble::setup));
    for count in FIRST {
        println!("{}", throughput::on_directory(binary, count, 4, Pebble::setup));
    }
}

fn main() -> ExitCode {
    let Some(settings) = Settings::read() else {
        eprintln!(
            "usage: tests/scale [--kubernetes] [--directory] [--growth] [--sleeps] [--ingresses N] [--certificates [N]] [--idle SECONDS] [--binary FILE] [CERTIFICATES...]"
        );
        return ExitCode::from(2);
    };
    let binary = settings.binary.clone().unwrap_or_else(|| binary::static_binary(true));
    if settings.kubernetes {
        on_kubernetes(&binary);
    }
    if settings.directory {
        first_on_directory(&binary);
    }
    let of_growth = if settings.growth { growth::measure(&binary, &settings.counts) } else { Vec::new() };
    let of_sleeps = settings.sleeps.then(|| growth::sleeps(&binary)).flatten();
    let of_ingresses = settings.ingresses.map(|count| ingresses::measure(&binary, count));
    let of_cert_manager = settings.certificates.map(|count| certificates::measure(&binary, count));
    // The numbers are those of the tables of growth where these are asked for.
    let counts = if settings.growth { &[][..] } else { &settings.counts };
    let of_certificates = counts.iter().flat_map(|count| measure(&settings, &binary, *count));
    let faults = [of_ingresses, of_cert_manager].into_iter().flatten().flatten().chain(of_certificates);
    let faults: Vec<String> = of_growth.into_iter().chain(of_sleeps).chain(faults).collect();
    for fault in &faults {
        eprintln!("scale: {fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
