//! How the start of an instance, first certificates and renewals grow with their number, and what more workers are good for.
//!
//! Each table has a row for each number, and below it the exponents of the totals over all rows: 1.0 is linear. Times are no part of it: the
//! machine, the disk and the permitted rate of requests decide about them.

use std::path::Path;
use std::thread;
use std::time::Duration;

use notariat_lab::Pebble;

use super::exponent::exponent;
use super::fixture;
use super::servers::{self, Api, Servers};
use super::throughput::{self, Throughput};

/// The numbers of certificates where none are given.
pub const COUNTS: [usize; 4] = [100, 300, 1_000, 3_000];

/// The number of renewals at once that is a row where larger ones are.
const RENEWALS: usize = 400;

/// The workers of a run.
const WORKERS: usize = 16;

/// The most certificates of a run with all workers.
const WITH_ALL_WORKERS_MAX: usize = 3_000;

/// The workers of a run of so many certificates: a quarter where all of them would make Pebble hang in most runs (throughput.rs says why).
fn workers(count: usize) -> usize {
    if count > WITH_ALL_WORKERS_MAX { WORKERS / 4 } else { WORKERS }
}

/// The API server's own speed is the bound, not the rate that the program keeps to by default.
const RATE: [&str; 4] = ["-kube-api-qps", "200", "-kube-api-burst", "400"];

/// The largest exponent: a little above linear, for the noise of one run.
const EXPONENT_MAX: f64 = 1.1;

/// Certificates of a CA that sleeps, and how much faster all workers must be than one. With fewer certificates the luck of the last sleeps is a
/// larger part of the ratio.
const SLEEPING: usize = 48;
const RATIO_MIN: f64 = 8.0;

/// A figure over the numbers: its name, and its total at each number.
type Figure = (&'static str, Vec<(f64, f64)>);

/// Prints the tables. Returns the broken bounds.
pub fn measure(binary: &Path, counts: &[usize]) -> Vec<String> {
    let mut counts = counts.to_vec();
    counts.sort_unstable();
    counts.dedup();
    // An API server takes its time to start, and each row has a namespace of its own.
    let api = servers::new_api();
    let mut faults = valid(&api, binary, &counts);
    faults.extend(first(binary, &counts));
    if counts.last().is_some_and(|largest| *largest > RENEWALS) && !counts.contains(&RENEWALS) {
        counts.push(RENEWALS);
        counts.sort_unstable();
    }
    faults.extend(renewals(&api, binary, &counts));
    faults
}

/// Prints the exponents of a table. Returns those beyond the bound.
fn judge(table: &str, figures: &[Figure]) -> Vec<String> {
    let exponents: Vec<(&str, f64)> =
        figures.iter().filter_map(|(name, points)| Some((*name, exponent(points)?))).collect();
    if exponents.is_empty() {
        println!("\nOne number has no exponent.\n");
        return Vec::new();
    }
    let shown: Vec<String> = exponents.iter().map(|(name, found)| format!("{name} {found:.2}")).collect();
    println!("\nExponents: {} (1.0 is linear; the bound is {EXPONENT_MAX}).\n", shown.join(", "));
    let beyond = exponents.iter().filter(|(_, found)| *found > EXPONENT_MAX);
    beyond
        .map(|(name, found)| format!("{table}: {name} grows with the exponent {found:.2}, more than {EXPONENT_MAX}"))
        .collect()
}

/// Starts an instance with so many valid certificates of two names.
fn valid(api: &Api, binary: &Path, counts: &[usize]) -> Vec<String> {
    println!(
        "| valid certificates | start to all checked | processor time | memory | above the first row | API requests |\n|{}",
        "---|".repeat(6)
    );
    let (mut processor, mut memory, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    let mut smallest = None;
    for count in counts {
        let servers = Servers::start_at(api);
        fixture::populate(&servers.place(&servers.pebble.directory()), *count, 2);
        let mut daemon = servers.daemon(binary, &[]);
        let time = daemon.until(" valid secret=", *count).as_secs_f64();
        daemon.until(" checked entries=", 1);
        let (work, asked, n) = (daemon.processor().as_secs_f64(), servers.requests(0).len(), *count as f64);
        // The allocator gives memory of the start back within seconds.
        thread::sleep(Duration::from_secs(5));
        let held = daemon.memory().now;
        // What the process itself takes stands in the first row; the certificates beyond those of it take the rest.
        let (base_count, base) = *smallest.get_or_insert((n, held));
        let above = held - base;
        println!("| {count} | {time:.2} s | {work:.2} s | {held:.1} MiB | {above:.1} MiB | {asked} |");
        processor.push((n, work));
        memory.push((n - base_count, above));
        requests.push((n, asked as f64));
    }
    judge("valid certificates", &[("processor time", processor), ("memory", memory), ("API requests", requests)])
}

/// Obtains so many first certificates in one zone on a directory. All orders wait when the program starts.
fn first(binary: &Path, counts: &[usize]) -> Vec<String> {
    println!(
        "| first certificates in one zone | time | processor time each | UPDATE messages each | ACME requests each |\n|{}",
        "---|".repeat(5)
    );
    let run = |count: &usize| {
        let run = throughput::on_directory(binary, *count, workers(*count), Pebble::setup);
        println!("{} {:.2} | {:.2} |", begin(&run), each(&run, run.updates), each(&run, run.ca_requests));
        run
    };
    let runs: Vec<Throughput> = counts.iter().map(run).collect();
    let updates = points(&runs, |run| run.updates as f64);
    judge("first certificates", &[processor(&runs), ("UPDATE messages", updates), ca_requests(&runs)])
}

/// Renews so many certificates on Kubernetes. All are due when the program starts.
fn renewals(api: &Api, binary: &Path, counts: &[usize]) -> Vec<String> {
    println!(
        "| renewals at once on Kubernetes | time | processor time each | API requests each | ACME requests each |\n|{}",
        "---|".repeat(5)
    );
    let run = |count: &usize| {
        let run = throughput::renewal_on_kubernetes(api, binary, *count, workers(*count), &RATE);
        println!("{} {:.2} | {:.2} |", begin(&run), each(&run, run.api_requests()), each(&run, run.ca_requests));
        run
    };
    let runs: Vec<Throughput> = counts.iter().map(run).collect();
    let requests = points(&runs, |run| run.api_requests() as f64);
    judge("renewals", &[processor(&runs), ("API requests", requests), ca_requests(&runs)])
}

/// The first cells of a row of first certificates or renewals.
fn begin(run: &Throughput) -> String {
    let work = run.processor.as_secs_f64() * 1e3 / run.count as f64;
    format!("| {} | {:.1} s | {work:.1} ms |", run.count, run.time.as_secs_f64())
}

fn each(run: &Throughput, all: u64) -> f64 {
    all as f64 / run.count as f64
}

fn points(runs: &[Throughput], figure: impl Fn(&Throughput) -> f64) -> Vec<(f64, f64)> {
    runs.iter().map(|run| (run.count as f64, figure(run))).collect()
}

fn processor(runs: &[Throughput]) -> Figure {
    ("processor time", points(runs, |run| run.processor.as_secs_f64()))
}

fn ca_requests(runs: &[Throughput]) -> Figure {
    ("ACME requests", points(runs, |run| run.ca_requests as f64))
}

/// Obtains certificates of a CA that sleeps before it validates, with one worker and with all. Returns the broken bound.
pub fn sleeps(binary: &Path) -> Option<String> {
    println!("{}", Throughput::HEAD);
    let [one, all] = [1, WORKERS].map(|workers| {
        let run = throughput::on_directory(binary, SLEEPING, workers, || Pebble::setup().no_sleep(false));
        println!("{run}");
        run.time.as_secs_f64()
    });
    let ratio = one / all;
    println!("\n{WORKERS} workers are {ratio:.1} times as fast as one (the bound is {RATIO_MIN}).\n");
    (ratio < RATIO_MIN).then(|| format!("{WORKERS} workers are {ratio:.1} times as fast as one, less than {RATIO_MIN}"))
}
