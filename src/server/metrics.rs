//! Writes the metrics in Prometheus' text format 0.0.4. Pure.
//!
//! The names are an interface: dashboards and alert rules use them. Untrusted: names of zones and of directories, and everything in the
//! configuration; every value of a label is escaped.

use std::fmt::Display;
use std::io::{self, Write};

use super::snapshot::{Snapshot, SourceFigures};
use crate::base::clock::doubt;
use crate::base::metrics::{CODES, Counts, Peer};
use crate::base::name::{DnsName, ObjectRef};
use crate::base::redact;
use crate::base::time::Time;
use crate::policy::backoff::Stage;
use crate::policy::circuit::DnsTarget;
use crate::status::certificate::CertificateStatus;

/// The media type.
pub const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics that are read at the moment of the request.
#[derive(Debug)]
pub struct Live {
    /// The counters.
    pub counts: Counts,
    /// True if this replica leads.
    pub leads: bool,
    /// The result of the last probe of each zone.
    pub probes: Vec<(DnsName, bool)>,
    /// The DNS servers that failed since their last verified answer, with the failures in a row.
    pub circuits: Vec<(DnsTarget, u32)>,
    /// The figures of the process.
    pub process: Process,
    /// The time.
    pub now: Time,
}

/// The figures of the process, as the kernel gives them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// Resident memory in octets.
    pub resident: Option<u64>,
    /// Processor time in hundredths of seconds.
    pub processor_ticks: Option<u64>,
    /// The start time.
    pub started: Option<Time>,
}

/// A metric family: name, type, help.
type Family = (&'static str, &'static str, &'static str);

/// Writes all metrics.
///
/// # Errors
/// The errors of `out`.
pub fn write(out: &mut dyn Write, live: &Live, snapshot: &Snapshot) -> io::Result<()> {
    of_program(out, live)?;
    of_requests(out, &live.counts)?;
    of_work(out, live, snapshot)?;
    // Only the leading replica shows the certificates, so that nothing is counted twice.
    if live.leads { of_certificates(out, snapshot, live.now) } else { Ok(()) }
}

fn of_program(out: &mut dyn Write, live: &Live) -> io::Result<()> {
    let version: Family = ("notariat_build_info", "gauge", "The version that runs, always 1.");
    series(out, version, [(vec![("version", env!("CARGO_PKG_VERSION"))], 1)])?;
    let leads: Family = ("notariat_leader", "gauge", "Whether this replica does the work (1) or stands by (0).");
    single(out, leads, u8::from(live.leads))?;
    let Process { resident, processor_ticks, started } = live.process;
    if let Some(resident) = resident {
        single(out, ("process_resident_memory_bytes", "gauge", "Resident memory in bytes."), resident)?;
    }
    if let Some(ticks) = processor_ticks {
        let spent = format!("{}.{:02}", ticks / 100, ticks % 100);
        single(out, ("process_cpu_seconds_total", "counter", "Time on a processor in seconds."), spent)?;
    }
    if let Some(started) = started {
        single(
            out,
            ("process_start_time_seconds", "gauge", "When the process began, in seconds since 1970."),
            started.unix(),
        )?;
    }
    Ok(())
}

fn of_requests(out: &mut dyn Write, counts: &Counts) -> io::Result<()> {
    let peers = || Peer::ALL.into_iter().zip(&counts.peers);
    let each = peers().flat_map(|(peer, counted)| {
        CODES.into_iter().zip(counted.codes).map(move |(code, n)| (vec![("peer", peer.name()), ("code", code)], n))
    });
    let help = "Requests by their answer; of DNS 2xx is any answer; error is none, or one that is no answer.";
    series(out, ("notariat_requests_total", "counter", help), each)?;
    const DURATION: &str = "notariat_request_duration_seconds";
    head(out, (DURATION, "summary", "How long requests took, to the end of the answer."))?;
    for (peer, counted) in peers() {
        let (peer, took) = (peer.name(), counted.took.as_secs_f64());
        writeln!(out, "{DURATION}_sum{{peer=\"{peer}\"}} {took}")?;
        writeln!(out, "{DURATION}_count{{peer=\"{peer}\"}} {}", counted.codes.iter().sum::<u64>())?;
    }
    let offsets = peers().filter_map(|(peer, counted)| Some((vec![("peer", peer.name())], counted.offset?)));
    let help = "The clock of a peer minus ours, as last seen; of dns where a server refused our time.";
    series(out, ("notariat_clock_offset_seconds", "gauge", help), offsets)?;
    // The offset of a name server is compensated and harmless.
    let judged = peers().filter(|(peer, _)| *peer != Peer::Dns).filter_map(|(_, counted)| counted.offset);
    let in_doubt = u8::from(judged.filter_map(doubt).next().is_some());
    let help = "Whether the clock is in doubt: it differs by more than an hour from that of the CA or the API server.";
    single(out, ("notariat_clock_in_doubt", "gauge", help), in_doubt)
}

fn of_work(out: &mut dyn Write, live: &Live, snapshot: &Snapshot) -> io::Result<()> {
    let attempt = |result, stage| vec![("result", result), ("stage", stage)];
    let failed = Stage::ALL.into_iter().map(Stage::name);
    let failed = failed.map(|stage| (attempt("failed", stage), live.counts.failed.get(stage).copied().unwrap_or(0)));
    let all = std::iter::once((attempt("issued", ""), live.counts.issued)).chain(failed);
    series(
        out,
        ("notariat_attempts_total", "counter", "Attempts to obtain a certificate, by where they failed."),
        all,
    )?;
    let help =
        "Places where the last filter took a known secret out of a text; each is a fault of notariat's to report.";
    single(out, ("notariat_secrets_redacted_total", "counter", help), live.counts.redacted)?;
    let help = "Kubernetes Events that were not sent: beyond the budget of an object and reason, or not taken by the API server.";
    single(out, ("notariat_events_dropped_total", "counter", help), live.counts.events_dropped)?;
    let [missed, given] = live.counts.challenges;
    series(
        out,
        (
            "notariat_challenge_requests_total",
            "counter",
            "Requests at the responder of http-01 challenges, by whether an answer was pending.",
        ),
        [(vec![("result", "answered")], given), (vec![("result", "none")], missed)],
    )?;
    let missing =
        live.counts.missing.iter().map(|(resource, verb)| (vec![("resource", *resource), ("verb", *verb)], 1));
    series(out, ("notariat_permission_missing", "gauge", "What the Role lacks, as found at the start."), missing)?;
    let clusters = live.counts.clusters.iter().map(|(name, up)| (vec![("target", name.as_str())], u8::from(*up)));
    let help = "Whether a cluster of -target shows its Secrets; 0: it does not answer, and its certificates wait.";
    series(out, ("notariat_target_up", "gauge", help), clusters)?;
    let zones: Vec<(String, u8)> = live.probes.iter().map(|(zone, ok)| (zone.to_string(), u8::from(*ok))).collect();
    let probes = zones.iter().map(|(zone, ok)| (vec![("zone", zone.as_str())], *ok));
    let help = "Whether the zone's server would take an UPDATE with each of its keys, as last probed.";
    series(out, ("notariat_dns_probe_ok", "gauge", help), probes)?;
    let circuits: Vec<([String; 3], u32)> = live.circuits.iter().map(|(target, n)| (circuit(target), *n)).collect();
    let circuits =
        circuits.iter().map(|(of, n)| (CIRCUIT.into_iter().zip(of.iter().map(String::as_str)).collect(), *n));
    let help = "Failures in a row of a server, for a zone and a key; only until its next verified answer.";
    series(out, ("notariat_circuit_failures", "gauge", help), circuits)?;
    let closed = snapshot.gates.iter().filter(|(_, until)| *until > live.now);
    let closed = closed.map(|(directory, until)| (vec![("directory", directory.as_str())], until.unix()));
    let help = "Until when the CA takes no orders of the account; only while that lasts.";
    series(out, ("notariat_gate_closed_until_timestamp_seconds", "gauge", help), closed)?;
    let faults = "Entries that are refused, and ConfigMaps that are missing or unreadable.";
    single(out, ("notariat_configuration_faults", "gauge", faults), snapshot.faults.len())?;
    single(out, ("notariat_entries", "gauge", "Certificates that are wanted."), snapshot.entries)?;
    let orphaned = "Certificates whose entry went, of which copy, key and history are kept for a while.";
    single(out, ("notariat_orphaned", "gauge", orphaned), snapshot.orphaned)?;
    let pruned = "Secrets that -prune deleted.";
    single(out, ("notariat_pruned_total", "counter", pruned), live.counts.pruned)?;
    of_sources(out, snapshot)?;
    single(
        out,
        ("notariat_queue_length", "gauge", "Jobs that wait for a worker, a gate or their turn."),
        snapshot.queued,
    )?;
    let parked = "Certificates whose job waits for a DNS server or a CA that failed.";
    single(out, ("notariat_parked", "gauge", parked), snapshot.parked.len())?;
    single(out, ("notariat_jobs_running", "gauge", "Jobs that are being done."), snapshot.running)
}

/// The labels of a kind of objects.
fn labels_of(of: &SourceFigures) -> Vec<(&'static str, &str)> {
    let cluster = of.cluster.as_deref().map(|cluster| ("source_cluster", cluster));
    cluster.into_iter().chain([("kind", of.kind)]).collect()
}

/// The problems of a kind of objects: the labels of each reason, and the number.
fn problems_of(of: &SourceFigures) -> Vec<(Vec<(&'static str, &str)>, usize)> {
    let problem = |(reason, count): (&&'static str, &usize)| {
        (labels_of(of).into_iter().chain([("reason", *reason)]).collect(), *count)
    };
    of.problems.iter().map(problem).collect()
}

fn of_sources(out: &mut dyn Write, snapshot: &Snapshot) -> io::Result<()> {
    let sources = || snapshot.sources.iter();
    let help = "Whether a kind of objects is watched; 0: it may not be read, or the API server does not serve it.";
    let watched = sources().map(|of| (labels_of(of), u8::from(of.is_watched)));
    series(out, ("notariat_source_watched", "gauge", help), watched)?;
    let help = "Whether this instance acts for a kind of objects; 0: another controller holds the Lease.";
    let served = sources().map(|of| (labels_of(of), u8::from(of.is_served)));
    series(out, ("notariat_source_served", "gauge", help), served)?;
    let objects = sources().map(|of| (labels_of(of), of.objects));
    series(out, ("notariat_source_objects", "gauge", "Objects that want a certificate."), objects)?;
    let help = "What objects ask for and do not get, by the reason of the Event.";
    series(out, ("notariat_source_problems", "gauge", help), sources().flat_map(problems_of))
}

fn of_certificates(out: &mut dyn Write, snapshot: &Snapshot, now: Time) -> io::Result<()> {
    let mut each = |family: Family, value: &dyn Fn(&CertificateStatus, usize) -> Option<i64>| {
        let of = |certificate: &CertificateStatus| {
            let secrets = certificate.secrets().iter().enumerate();
            secrets.filter_map(|(place, at)| Some((at.clone(), value(certificate, place)?))).collect::<Vec<_>>()
        };
        let all = snapshot.certificates.iter().flat_map(|certificate| of(certificate));
        secrets(out, family, all)
    };
    each(
        ("notariat_certificate_expiration_timestamp_seconds", "gauge", "When what the Secret holds expires."),
        &|of, at| Some(of.held.get(at)?.as_ref()?.ends.unix()),
    )?;
    let help = "When the certificate is to be renewed.";
    each(("notariat_certificate_renewal_timestamp_seconds", "gauge", help), &|of, _| Some(of.renewal?.0.unix()))?;
    let help = "Whether the Secret holds what is wanted and that is valid now.";
    each(("notariat_certificate_ready", "gauge", help), &|of, _| Some(of.is_ready(now).into()))?;
    let help = "Failed attempts in a row.";
    each(("notariat_certificate_failures", "gauge", help), &|of, _| {
        Some(of.failure.as_ref().map_or(0, |failure| failure.failures).into())
    })?;
    let help = "Whether what the Secret holds is from a CA for trying, which nobody trusts.";
    each(("notariat_certificate_staging", "gauge", help), &|of, _| Some(of.staging.into()))?;
    if snapshot.certificates.is_empty() {
        return Ok(());
    }
    const STATE: &str = "notariat_certificate_state";
    head(out, (STATE, "gauge", "The state that the certificate is in: the one with 1; others are left out."))?;
    for certificate in &snapshot.certificates {
        let state = snapshot.state(certificate);
        for at in certificate.secrets() {
            writeln!(out, "{STATE}{{{},state=\"{state}\"}} 1", labels(at))?;
        }
    }
    Ok(())
}

/// The names of the labels of a DNS target.
const CIRCUIT: [&str; 3] = ["server", "zone", "key"];

/// The values of the labels of a DNS target; without a key it is only asked about the zone.
fn circuit(DnsTarget { server, zone, key }: &DnsTarget) -> [String; 3] {
    [server.to_string(), zone.to_string(), key.as_ref().map(ToString::to_string).unwrap_or_default()]
}

fn labels(at: &ObjectRef) -> String {
    let cluster = at.cluster.name().map(|name| format!("secret_cluster=\"{}\",", escaped(name))).unwrap_or_default();
    format!("{cluster}secret_namespace=\"{}\",secret_name=\"{}\"", escaped(&at.namespace), escaped(&at.name))
}

fn secrets(out: &mut dyn Write, family: Family, all: impl Iterator<Item = (ObjectRef, i64)>) -> io::Result<()> {
    let mut all = all.peekable();
    if all.peek().is_some() {
        head(out, family)?;
    }
    for (at, value) in all {
        writeln!(out, "{}{{{}}} {value}", family.0, labels(&at))?;
    }
    Ok(())
}

/// Writes a family, unless it has no series.
fn series<'l, V: Display>(
    out: &mut dyn Write,
    family: Family,
    all: impl IntoIterator<Item = (Vec<(&'static str, &'l str)>, V)>,
) -> io::Result<()> {
    let mut all = all.into_iter().peekable();
    if all.peek().is_some() {
        head(out, family)?;
    }
    for (labels, value) in all {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        writeln!(out, "{}{{{}}} {value}", family.0, labels.join(","))?;
    }
    Ok(())
}

fn single(out: &mut dyn Write, family: Family, value: impl Display) -> io::Result<()> {
    head(out, family)?;
    writeln!(out, "{} {value}", family.0)
}

fn head(out: &mut dyn Write, (name, kind, help): Family) -> io::Result<()> {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn escaped(value: &str) -> String {
    redact::clean(value).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped_and_empty_families_left_out() {
        let mut out = Vec::new();
        series(&mut out, ("a", "gauge", "A."), [(vec![("b", "c\"d\\e\nf")], 7)]).unwrap();
        series::<u8>(&mut out, ("b", "gauge", "B."), []).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "# HELP a A.\n# TYPE a gauge\na{b=\"c\\\"d\\\\e\\nf\"} 7\n");
    }

    #[test]
    fn a_server_that_fails_is_named_with_its_zone_and_key_until_it_answers() {
        let key = Some(ObjectRef::new("team", "key").into());
        let target = DnsTarget { server: "[2001:db8::1]:53".parse().unwrap(), zone: "a.test".parse().unwrap(), key };
        let keyless = DnsTarget { key: None, ..target.clone() };
        let shown = |circuits| {
            let (counts, process, now) = (Counts::default(), Process::default(), Time::from_unix(0));
            let live = Live { counts, leads: true, probes: Vec::new(), circuits, process, now };
            let mut out = Vec::new();
            write(&mut out, &live, &Snapshot::default()).unwrap();
            String::from_utf8(out).unwrap()
        };
        let text = shown(vec![(target, 3), (keyless, 1)]);
        for (key, n) in [("team/key", 3), ("", 1)] {
            let labels = format!("server=\"[2001:db8::1]:53\",zone=\"a.test\",key=\"{key}\"");
            let line = format!("\nnotariat_circuit_failures{{{labels}}} {n}\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
        assert!(!shown(Vec::new()).contains("notariat_circuit_failures"));
    }
}
