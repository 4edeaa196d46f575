//! deploy/monitoring/: Prometheus takes the alert rules, each fires when it should, and everything is asked of metrics that there are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use notariat_lab::{Scratch, tools};
use serde_json::{Value, json};

/// The series of /metrics, each with its labels.
pub const METRICS: &[(&str, &[&str])] = &[
    ("notariat_attempts_total", &["result", "stage"]),
    ("notariat_build_info", &["version"]),
    ("notariat_certificate_expiration_timestamp_seconds", CERTIFICATE),
    ("notariat_certificate_failures", CERTIFICATE),
    ("notariat_certificate_ready", CERTIFICATE),
    ("notariat_certificate_renewal_timestamp_seconds", CERTIFICATE),
    ("notariat_certificate_staging", CERTIFICATE),
    ("notariat_certificate_state", &["secret_name", "secret_namespace", "state"]),
    ("notariat_challenge_requests_total", &["result"]),
    ("notariat_circuit_failures", &["key", "server", "zone"]),
    ("notariat_clock_in_doubt", &[]),
    ("notariat_clock_offset_seconds", &["peer"]),
    ("notariat_configuration_faults", &[]),
    ("notariat_dns_probe_ok", &["zone"]),
    ("notariat_entries", &[]),
    ("notariat_events_dropped_total", &[]),
    ("notariat_gate_closed_until_timestamp_seconds", &["directory"]),
    ("notariat_jobs_running", &[]),
    ("notariat_leader", &[]),
    ("notariat_orphaned", &[]),
    ("notariat_pruned_total", &[]),
    ("notariat_parked", &[]),
    ("notariat_permission_missing", &["resource", "verb"]),
    ("notariat_queue_length", &[]),
    ("notariat_request_duration_seconds_count", &["peer"]),
    ("notariat_request_duration_seconds_sum", &["peer"]),
    ("notariat_requests_total", &["code", "peer"]),
    ("notariat_secrets_redacted_total", &[]),
    ("notariat_source_objects", &["kind"]),
    ("notariat_source_problems", &["kind", "reason"]),
    ("notariat_source_served", &["kind"]),
    ("notariat_source_watched", &["kind"]),
    ("notariat_target_up", &["target"]),
    ("process_cpu_seconds_total", &[]),
    ("process_resident_memory_bytes", &[]),
    ("process_start_time_seconds", &[]),
];

const CERTIFICATE: &[&str] = &["secret_name", "secret_namespace"];

/// The labels that Prometheus adds to each series, by the place it was found at.
const OF_THE_TARGET: &[&str] = &["instance", "job", "namespace", "pod"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn alerts() -> PathBuf {
    root().join("deploy/monitoring/alerts.yaml")
}

fn promtool(arguments: &[&str], file: &Path) -> Result<String, String> {
    tools::try_output(Command::new(tools::tool("promtool")).args(arguments).arg(file), "")
}

fn rules() -> Vec<Value> {
    let file: Value = serde_yaml::from_str(&std::fs::read_to_string(alerts()).unwrap()).unwrap();
    file["groups"][0]["rules"].as_array().unwrap().clone()
}

fn dashboard() -> Value {
    serde_json::from_str(&std::fs::read_to_string(root().join("deploy/monitoring/dashboard.json")).unwrap()).unwrap()
}

/// The queries of the panels.
fn questions(dashboard: &Value) -> Vec<String> {
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|p| p["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// The words of an expression that are no numbers: names of metrics, labels and functions, and what stands in quotes.
fn words(expression: &str) -> BTreeSet<&str> {
    expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| word.len() > 1).collect()
}

fn metrics(expression: &str) -> BTreeSet<&str> {
    let is_ours = |word: &&str| word.starts_with("notariat_") || word.starts_with("process_");
    words(expression).into_iter().filter(is_ours).collect()
}

#[test]
fn prometheus_takes_the_rules_and_each_alert_fires_when_it_should_and_not_before() {
    promtool(&["check", "rules"], &alerts()).unwrap();
    let scenarios = root().join("tests/vectors/monitoring/alerts.yaml");
    promtool(&["test", "rules"], &scenarios).unwrap();
    let scenarios = std::fs::read_to_string(scenarios).unwrap();
    let readme = std::fs::read_to_string(root().join("deploy/monitoring/README.md")).unwrap();
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap();
        assert!(words(&scenarios).contains(alert), "{alert} is never tried");
        let row = format!("| {alert} | {} |", rule["labels"]["severity"].as_str().unwrap());
        assert!(readme.contains(&row), "README.md has no {row}");
        assert!(!rule["annotations"]["summary"].as_str().unwrap().is_empty(), "{alert}");
        assert!(["critical", "warning", "info"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{alert}");
    }
}

/// As README.md says: the rules stand below `spec`, indented.
#[test]
fn the_rules_become_an_object_of_the_prometheus_operator() {
    let script = std::fs::read_to_string(root().join("deploy/monitoring/README.md")).unwrap();
    let script = script.lines().find_map(|line| line.strip_suffix(" | kubectl apply -f -")).unwrap();
    let printed =
        tools::output(Command::new(tools::tool("bash")).args(["-ec", script]).current_dir(alerts().parent().unwrap()));
    let object: Value = serde_yaml::from_str(&printed).unwrap();
    assert_eq!(object["kind"], "PrometheusRule");
    assert_eq!(object["spec"]["groups"][0]["rules"], json!(rules()));
}

#[test]
fn prometheus_understands_what_the_dashboard_asks() {
    let dashboard = dashboard();
    let rule = |(number, expression): (usize, String)| {
        // As Grafana fills them in.
        let expression = expression.replace("$__rate_interval", "5m").replace("$namespace", ".*");
        json!({"record": format!("panel:{number}"), "expr": expression})
    };
    let rules: Vec<Value> = questions(&dashboard).into_iter().enumerate().map(rule).collect();
    assert!(rules.len() > 18);
    let scratch = Scratch::new("dashboard");
    let file = scratch.join("rules.yaml");
    std::fs::write(&file, json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string()).unwrap();
    promtool(&["check", "rules"], &file).unwrap();

    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        for (column, row) in (x..x + w).flat_map(|column| (y..y + h).map(move |row| (column, row))) {
            assert!(column < 24 && taken.insert((column, row)), "{} overlaps", panel["title"]);
        }
    }
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_and_labels_that_there_are() {
    let (rules, dashboard) = (rules(), dashboard());
    let alerts = rules.iter().map(|rule| rule["expr"].as_str().unwrap().to_owned());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let variables = variables.filter_map(|v| v["query"]["query"].as_str().map(str::to_owned));
    let mut used = 0;
    for expression in alerts.chain(questions(&dashboard)).chain(variables) {
        for metric in metrics(&expression) {
            assert!(METRICS.iter().any(|(name, _)| *name == metric), "{metric} in {expression}");
            used += 1;
        }
    }
    assert!(used > 30);
    // Labels in words for people.
    for rule in &rules {
        let known: BTreeSet<&str> = metrics(rule["expr"].as_str().unwrap())
            .into_iter()
            .flat_map(|metric| METRICS.iter().filter(move |(name, _)| *name == metric))
            .flat_map(|(_, labels)| labels.iter().chain(OF_THE_TARGET).copied())
            .collect();
        for text in [&rule["annotations"]["summary"], &rule["annotations"]["description"]] {
            for (at, found) in text.as_str().unwrap().match_indices("$labels.") {
                let rest = &text.as_str().unwrap()[at + found.len()..];
                let label = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap();
                assert!(known.contains(label), "{label} in {}", rule["alert"]);
            }
        }
    }
}
