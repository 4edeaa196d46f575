//! First certificates: how many there are in a second, what each costs, and which API requests it makes.
//!
//! Every certificate has one name of its own, on a CA, a name server and an API server of this machine that answer at once. The requests
//! are the difference of `apiserver_request_total` before the program starts and after the last certificate.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use notariat_lab::Scratch;
use notariat_lab::tools::try_output;

use super::fixture;
use super::process::Daemon;
use super::servers::Servers;

/// The resources that the program asks for. The API server asks itself for others.
const RESOURCES: [&str; 5] = ["secrets", "configmaps", "events", "leases", "selfsubjectrulesreviews"];

/// API requests by verb, resource, dry run and code.
type Requests = BTreeMap<String, u64>;

/// The figures of one run.
pub struct Throughput {
    store: &'static str,
    count: usize,
    workers: usize,
    flags: String,
    time: Duration,
    processor: Duration,
    /// The part of the thread that decides.
    of_loop: Duration,
    ca_requests: u64,
    requests: Requests,
}

impl Throughput {
    /// The head of the table whose rows are `Display`.
    pub const HEAD: &str = "| store | certificates | workers | flags | time | a second | processor time each | of the loop | ACME requests each |\n\
                            |---|---|---|---|---|---|---|---|---|";

    fn rate(&self) -> f64 {
        self.count as f64 / self.time.as_secs_f64()
    }

    /// The rows of the table of API requests for each certificate.
    pub fn requests(&self) -> String {
        let each = |n: u64| n as f64 / self.count as f64;
        let rows = self.requests.iter().map(|(kind, n)| format!("| {kind} | {n} | {:.2} |\n", each(*n)));
        let sum = self.requests.values().sum();
        format!(
            "| request | all | each |\n|---|---|---|\n{}| all | {sum} | {:.2} |",
            rows.collect::<String>(),
            each(sum)
        )
    }
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Throughput { store, count, workers, flags, .. } = self;
        let each = |time: Duration| time.as_secs_f64() * 1e3 / *count as f64;
        let (millis, of_loop) = (each(self.processor), each(self.of_loop));
        let (time, rate, asked) = (self.time.as_secs_f64(), self.rate(), self.ca_requests as f64 / *count as f64);
        write!(
            f,
            "| {store} | {count} | {workers} | {flags} | {time:.1} s | {rate:.1} | {millis:.1} ms | {of_loop:.1} ms | {asked:.1} |"
        )
    }
}

/// Whether the program has a flag.
pub fn knows(binary: &Path, flag: &str) -> bool {
    let help = try_output(std::process::Command::new(binary).arg("-help"), "");
    help.is_ok_and(|text| text.contains(flag))
}

/// Obtains so many first certificates on an API server of their own.
pub fn on_kubernetes(binary: &Path, count: usize, workers: usize, flags: &[&str]) -> Throughput {
    let servers = Servers::start();
    let mut object = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notariat"}});
    object["data"] = serde_json::json!(fixture::config_map(&servers.place(""), count, 1));
    servers.kube.kubectl_stdin(&["-n", &servers.namespace, "create", "-f", "-"], &object.to_string());
    let before = api_requests(&servers);
    let made = obtain(&servers, count, workers, flags, |more| servers.daemon(binary, more));
    let mut requests = api_requests(&servers);
    for (kind, n) in before {
        requests.entry(kind).and_modify(|all| *all -= n);
    }
    requests.retain(|_, n| *n > 0);
    Throughput { store: "Kubernetes", requests, ..made }
}

/// The same on a directory.
pub fn on_directory(binary: &Path, count: usize, workers: usize) -> Throughput {
    let (servers, folder) = (Servers::start(), Scratch::new("scale-store"));
    let put = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("default/secrets/tsigkey/key", &servers.key.secret_text());
    for (key, text) in fixture::config_map(&servers.place(""), count, 1) {
        put(&format!("default/configmaps/notariat/{key}"), &text);
    }
    obtain(&servers, count, workers, &[], |more| servers.local_daemon(binary, folder.path(), more))
}

fn obtain(
    servers: &Servers,
    count: usize,
    workers: usize,
    flags: &[&str],
    start: impl FnOnce(&[&str]) -> Daemon,
) -> Throughput {
    let asked = servers.pebble.requests();
    let at_once = workers.to_string();
    let mut daemon = start(&[&["-workers", &at_once], flags].concat());
    let time = daemon.until(" issued secret=", count);
    Throughput {
        store: "directory",
        count,
        workers,
        flags: flags.join(" "),
        time,
        processor: daemon.processor(),
        of_loop: daemon.processor_of_loop(),
        ca_requests: servers.pebble.requests() - asked,
        requests: Requests::new(),
    }
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
