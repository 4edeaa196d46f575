//! First certificates and renewals: how many there are in a second, what each costs, and which API requests it makes.
//!
//! Every certificate has one name of its own in one zone, on a CA, a name server and an API server of this machine that answer at once. The
//! requests are the difference of `apiserver_request_total` before the program starts and after the last certificate.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::Duration;

use notariat_lab::tools::try_output;
use notariat_lab::{Scratch, pebble};

use super::fixture;
use super::process::Daemon;
use super::servers::{Api, Servers};

/// The words of a CA that hangs. Pebble takes two locks in one order for a new order and in the other for a look at its authorizations, so that
/// orders at the same time may stop it for ever. Such a run says nothing about the program and is repeated.
const CA_HANGS: &str = "no answer in time";

/// The runs of one measurement at the most.
const RUNS_MAX: usize = 5;

/// The resources that the program asks for. The API server asks itself for others.
const RESOURCES: [&str; 5] = ["secrets", "configmaps", "events", "leases", "selfsubjectrulesreviews"];

/// API requests by verb, resource, dry run and code.
type Requests = BTreeMap<String, u64>;

/// The figures of one run.
pub struct Throughput {
    what: &'static str,
    pub count: usize,
    workers: usize,
    flags: String,
    pub time: Duration,
    pub processor: Duration,
    /// The part of the thread that decides.
    of_loop: Duration,
    pub ca_requests: u64,
    pub updates: u64,
    requests: Requests,
}

impl Throughput {
    /// The head of the table whose rows are `Display`.
    pub const HEAD: &str = "| | certificates | workers | flags | time | a second | processor time each | of the loop | ACME requests each |\n\
                            |---|---|---|---|---|---|---|---|---|";

    fn rate(&self) -> f64 {
        self.count as f64 / self.time.as_secs_f64()
    }

    /// The number of API requests.
    pub fn api_requests(&self) -> u64 {
        self.requests.values().sum()
    }
}

/// The table of API requests by verb, resource and code, with a column for each run, and those of a certificate of the last run.
pub fn requests(runs: &[&Throughput]) -> String {
    let line = |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    let row = |kind: &str, of: &dyn Fn(&Throughput) -> u64| {
        let each = runs.last().map(|run| format!("{:.2}", of(run) as f64 / run.count as f64));
        let numbers = runs.iter().map(|run| of(run).to_string());
        line(&mut std::iter::once(kind.to_owned()).chain(numbers).chain(each))
    };
    let heads = runs.iter().map(|run| format!("{} {}", run.count, run.what));
    let head = line(&mut std::iter::once("request".to_owned()).chain(heads).chain(["each of these".to_owned()]));
    let kinds: BTreeSet<&String> = runs.iter().flat_map(|run| run.requests.keys()).collect();
    let rows = kinds.into_iter().map(|kind| row(kind, &|run| run.requests.get(kind).copied().unwrap_or(0)));
    format!(
        "{head}|{}\n{}{}",
        "---|".repeat(runs.len() + 2),
        rows.collect::<String>(),
        row("all", &Throughput::api_requests)
    )
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Throughput { what, count, workers, flags, .. } = self;
        let each = |time: Duration| time.as_secs_f64() * 1e3 / *count as f64;
        let (millis, of_loop) = (each(self.processor), each(self.of_loop));
        let (time, rate, asked) = (self.time.as_secs_f64(), self.rate(), self.ca_requests as f64 / *count as f64);
        write!(
            f,
            "| {what} | {count} | {workers} | {flags} | {time:.1} s | {rate:.1} | {millis:.1} ms | {of_loop:.1} ms | {asked:.1} |"
        )
    }
}

/// Tells whether the program has a flag.
pub fn knows(binary: &Path, flag: &str) -> bool {
    let help = try_output(std::process::Command::new(binary).arg("-help"), "");
    help.is_ok_and(|text| text.contains(flag))
}

/// Obtains so many first certificates in a namespace of their own.
pub fn on_kubernetes(api: &Api, binary: &Path, count: usize, workers: usize, flags: &[&str]) -> Throughput {
    let run = || first_on_kubernetes(api, binary, count, workers, flags);
    Throughput { what: "first, Kubernetes", ..with_live_ca(run) }
}

fn first_on_kubernetes(api: &Api, binary: &Path, count: usize, workers: usize, flags: &[&str]) -> Option<Throughput> {
    let servers = Servers::start_at(api);
    let mut object = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notariat"}});
    object["data"] = serde_json::json!(fixture::config_map(&servers.place(""), count, 1));
    servers.kube.kubectl_stdin(&["-n", &servers.namespace, "create", "-f", "-"], &object.to_string());
    counted(&servers, binary, count, workers, flags)
}

/// Renews so many certificates, all of which are due when the program starts.
pub fn renewal_on_kubernetes(api: &Api, binary: &Path, count: usize, workers: usize, flags: &[&str]) -> Throughput {
    let run = || {
        let servers = Servers::start_at(api);
        fixture::populate_due(&servers.place(&servers.pebble.directory()), count, 1);
        counted(&servers, binary, count, workers, flags)
    };
    Throughput { what: "renewal, Kubernetes", ..with_live_ca(run) }
}

/// The first run in which the CA did not hang.
fn with_live_ca(run: impl Fn() -> Option<Throughput>) -> Throughput {
    let told = |_| {
        let run = run();
        if run.is_none() {
            eprintln!("Pebble hangs; its run is repeated");
        }
        run
    };
    (0..RUNS_MAX).find_map(told).expect("Pebble does not hang each time")
}

/// Obtains so many certificates, and counts the API requests.
fn counted(servers: &Servers, binary: &Path, count: usize, workers: usize, flags: &[&str]) -> Option<Throughput> {
    let before = api_requests(servers);
    let made = obtain(servers, count, workers, flags, |more| servers.daemon(binary, more))?;
    let mut requests = api_requests(servers);
    for (kind, n) in before {
        requests.entry(kind).and_modify(|all| *all -= n);
    }
    requests.retain(|_, n| *n > 0);
    Some(Throughput { requests, ..made })
}

/// Obtains so many first certificates on a directory, of a CA that is made so.
pub fn on_directory(binary: &Path, count: usize, workers: usize, ca: fn() -> pebble::Setup) -> Throughput {
    with_live_ca(|| first_on_directory(&Servers::start_local(ca()), binary, count, workers))
}

fn first_on_directory(servers: &Servers, binary: &Path, count: usize, workers: usize) -> Option<Throughput> {
    let folder = Scratch::new("scale-store");
    let put = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("default/secrets/tsigkey/key", &servers.key.secret_text());
    for (key, text) in fixture::config_map(&servers.place(""), count, 1) {
        put(&format!("default/configmaps/notariat/{key}"), &text);
    }
    obtain(servers, count, workers, &[], |more| servers.local_daemon(binary, folder.path(), more))
}

fn obtain(
    servers: &Servers,
    count: usize,
    workers: usize,
    flags: &[&str],
    start: impl FnOnce(&[&str]) -> Daemon,
) -> Option<Throughput> {
    let (asked, updated) = (servers.pebble.requests(), servers.dns.updates());
    let at_once = workers.to_string();
    let mut daemon = start(&[&["-workers", &at_once], flags].concat());
    let time = daemon.until_unless(" issued secret=", count, Some(CA_HANGS))?;
    Some(Throughput {
        what: "first, directory",
        count,
        workers,
        flags: flags.join(" "),
        time,
        processor: daemon.processor(),
        of_loop: daemon.processor_of_loop(),
        ca_requests: servers.pebble.requests() - asked,
        updates: servers.dns.updates() - updated,
        requests: Requests::new(),
    })
}

/// `apiserver_request_total` of the resources that matter here.
fn api_requests(servers: &Servers) -> Requests {
    let mut requests = Requests::new();
    for line in servers.kube.kubectl(&["get", "--raw", "/metrics"]).lines() {
        let Some((labels, n)) = line.strip_prefix("apiserver_request_total{").and_then(|l| l.rsplit_once("} ")) else {
            continue;
        };
        let label = |name: &str| {
            let all = labels.split(',').find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""));
            all.unwrap_or_default().trim_end_matches('"')
        };
        if !RESOURCES.contains(&label("resource")) {
            continue;
        }
        let trial = if label("dry_run").is_empty() { "" } else { " (dry run)" };
        let kind = format!("{} {}{trial} {}", label("verb"), label("resource"), label("code"));
        // Large counts are written as 1e+06.
        *requests.entry(kind).or_default() += n.parse::<f64>().unwrap() as u64;
    }
    requests
}
