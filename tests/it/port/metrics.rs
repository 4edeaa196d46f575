//! /metrics of the real daemon: Prometheus reads it, and it says what kubectl and openssl say.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat_lab::tools::{output, tool, try_output};

use super::{LISTEN, address, get};
use crate::monitoring::METRICS;
use crate::support::cluster::Cluster;

/// The exposed series, by name and labels. Asserts that every line reads, and that every series follows its family's head.
#[track_caller]
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let (mut found, mut family, mut known) = (BTreeMap::new(), String::new(), Vec::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap().to_owned();
            assert!(!known.contains(&family), "{family} begins twice");
            known.push(family.clone());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(name == family && ["gauge", "counter", "summary"].contains(&kind), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(series.split('{').next().unwrap().starts_with(&family), "{line} under {family}");
            let before = found.insert(series.to_owned(), value.parse().unwrap());
            assert_eq!(before, None, "{series} stands twice");
        }
    }
    found
}

/// When what a Secret holds expires, as openssl reads it.
fn expiry(cluster: &Cluster, secret: &str) -> f64 {
    let chain = STANDARD.decode(cluster.get(secret, "{.data.tls\\.crt}")).unwrap();
    let text = String::from_utf8(chain).unwrap();
    let date = try_output(Command::new(tool("openssl")).args(["x509", "-noout", "-enddate"]), &text).unwrap();
    let date = date.trim().strip_prefix("notAfter=").unwrap().to_owned();
    output(Command::new("date").args(["-u", "+%s", "-d", &date])).trim().parse().unwrap()
}

/// Alerts and dashboard are written against a table: what is exposed is in it, with these labels, and all of it is exposed but what
/// there is only while something is wrong or objects are watched.
#[track_caller]
fn assert_is_what_alerts_know<'s>(series: impl Iterator<Item = &'s String>) {
    let mut seen = BTreeSet::from(
        [
            "circuit_failures",
            "gate_closed_until_timestamp_seconds",
            "permission_missing",
            "dns_probe_ok",
            "source_objects",
            "source_problems",
            "source_served",
            "source_watched",
            "target_up",
        ]
        .map(|name| format!("notariat_{name}")),
    );
    for series in series {
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let (_, known) =
            METRICS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{series} is not known"));
        let labels: BTreeSet<&str> = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).collect();
        assert_eq!(labels, known.iter().copied().collect(), "{series}");
        seen.insert(name.to_owned());
    }
    assert_eq!(seen, METRICS.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn the_figures_are_those_of_kubectl_and_promtool_finds_no_fault_in_them() {
    let cluster = Cluster::new();
    let broken = cluster.site.entry("broken", "a.site.test", "").replace("tsigkey", "nokey");
    cluster.config(&[cluster.site.entry("web", "www.site.test", ""), broken.clone()].concat());
    let daemon = cluster.daemon(&[LISTEN]);
    let at = address(&daemon);
    daemon.until_it_says("valid secret=");
    daemon.until_it_says("failed secret=");
    let of = |secret: &str| format!("{{secret_namespace=\"{}\",secret_name=\"{secret}\"", cluster.namespace);
    let backs_off = format!("notariat_certificate_state{},state=\"BackingOff\"}}", of("broken"));
    daemon.until("both are shown as decided", || get(at, "/metrics").1.contains(&backs_off));
    let (status, text) = get(at, "/metrics");
    assert_eq!(status, 200);
    let found = parsed(&text);
    let value = |series: &str| *found.get(series).unwrap_or_else(|| panic!("no {series} in\n{text}"));
    let certificate = |name: &str, secret: &str| value(&format!("notariat_certificate_{name}{}}}", of(secret)));

    assert_eq!(certificate("expiration_timestamp_seconds", "web"), expiry(&cluster, "web"));
    let renewal = certificate("renewal_timestamp_seconds", "web");
    assert!(renewal < expiry(&cluster, "web") && renewal > value("process_start_time_seconds"), "{renewal}");
    assert_eq!((certificate("ready", "web"), certificate("ready", "broken")), (1.0, 0.0));
    assert_eq!((certificate("failures", "web"), certificate("staging", "web")), (0.0, 0.0));
    assert!(certificate("failures", "broken") >= 1.0);
    assert_eq!(value(&format!("notariat_certificate_state{},state=\"Valid\"}}", of("web"))), 1.0);
    assert_eq!(found.keys().filter(|series| series.starts_with("notariat_certificate_state")).count(), 2);

    assert_eq!((value("notariat_leader"), value("notariat_entries")), (1.0, 2.0));
    assert_eq!(value("notariat_attempts_total{result=\"issued\",stage=\"\"}"), 1.0);
    assert!(value("notariat_attempts_total{result=\"failed\",stage=\"zone\"}") >= 1.0, "{text}");
    assert_eq!(value("notariat_attempts_total{result=\"failed\",stage=\"order\"}"), 0.0, "from the start");
    for peer in ["acme", "dns", "kubernetes"] {
        assert!(value(&format!("notariat_requests_total{{peer=\"{peer}\",code=\"2xx\"}}")) >= 2.0, "{text}");
        let count = value(&format!("notariat_request_duration_seconds_count{{peer=\"{peer}\"}}"));
        let codes = found.iter().filter(|(series, _)| series.starts_with("notariat_requests_total"));
        let codes = codes.filter(|(series, _)| series.contains(&format!("peer=\"{peer}\""))).map(|(_, n)| n);
        assert_eq!(codes.sum::<f64>(), count);
        assert!(value(&format!("notariat_request_duration_seconds_sum{{peer=\"{peer}\"}}")) > 0.0);
    }
    for peer in ["acme", "kubernetes"] {
        assert!(value(&format!("notariat_clock_offset_seconds{{peer=\"{peer}\"}}")).abs() <= 2.0, "{text}");
    }
    assert_eq!((value("notariat_configuration_faults"), value("notariat_jobs_running")), (0.0, 0.0));
    assert!(value("process_resident_memory_bytes") > 1e6 && found.contains_key("process_cpu_seconds_total"));
    let version = output(Command::new(env!("CARGO_BIN_EXE_notariat")).arg("-version"));
    let version = version.split(' ').nth(1).unwrap().to_owned();
    assert_eq!(value(&format!("notariat_build_info{{version=\"{version}\"}}")), 1.0);
    assert_is_what_alerts_know(found.keys());
    let said = try_output(Command::new(tool("promtool")).args(["check", "metrics"]), &text);
    assert_eq!(said.as_deref(), Ok(""), "{text}");

    cluster.config(
        &[cluster.site.entry("web", "www.site.test", ""), "- {secret: odd, nonsense: 1}\n".to_owned()].concat(),
    );
    daemon.until("a refused entry is counted, and one that is gone is not shown", || {
        let text = get(at, "/metrics").1;
        text.contains("\nnotariat_configuration_faults 1\n") && !text.contains("\"broken\"")
    });

    let standby = cluster.daemon(&[LISTEN]);
    standby.until_it_says("standby lease=");
    let other = address(&standby);
    standby.until("ready", || get(other, "/readyz").0 == 200);
    let text = get(other, "/metrics").1;
    assert!(text.contains("\nnotariat_leader 0\n") && !text.contains("notariat_certificate_"), "{text}");
    assert_eq!((standby.terminate(), daemon.terminate()), (0, 0));
}
