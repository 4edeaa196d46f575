//! Configurations and answers that are made to take time or memory. What a process takes at most is what Linux says of it.

#![expect(clippy::print_stdout, reason = "the figures, for whoever asks with --nocapture")]

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use notariat::config;
use notariat_lab::Scratch;

use crate::support::api::{Api, Then};
use crate::support::cluster::Cluster;
use crate::support::https::Reply;
use crate::support::run::notariat;

/// A ConfigMap that is made to be costly: its title, its keys, and a part of what is said of it.
type Hostile = (&'static str, Vec<(&'static str, String)>, &'static str);

fn hostile() -> Vec<Hostile> {
    let one = |text: String| vec![("certificates", text)];
    let long = "x".repeat(32_000);
    let annotations: String = (0..16).map(|i| format!("  a{i}: {long}\n")).collect();
    let shared: String = (0..8).map(|i| format!("  a{i}: {}\n", "x".repeat(29_000))).collect();
    let entries =
        |count: usize| (0..count).map(|i| format!("- {{secret: s{i}, domains: [a{i}.test]}}\n")).collect::<String>();
    let names = |count: usize| (0..count).map(|i| format!("a{i},")).collect::<String>();
    let fields = |count: usize| (0..count).map(|i| format!("  f{i}: 1\n")).collect::<String>();
    let zones: String = (0..1_000).map(|i| format!("- {{zone: z{i}.test, tsigSecretName: k{i}}}\n")).collect();
    let domains: String = (0..100).map(|i| format!("\"very-long-name-number-{i}.example.com\",")).collect();
    let own: String =
        (0..8_000).map(|i| format!("- {{secret: s{i}, domains: [a{i}.test], annotations: {{b: c}}}}\n")).collect();
    let exclude: String = (0..150).map(|i| format!("a{i}.very-long-name.example.com,")).collect();
    let issuer =
        format!("lab: {{directory: 'https://ca.test/d', domains: {{include: [b.test], exclude: [{exclude}]}}}}\n");
    let elsewhere: String =
        (0..15_000).map(|i| format!("- {{secret: s{i}, domains: [a.test], issuer: lab}}\n")).collect();
    vec![
        ("100,000 open brackets", one(format!("a: {}", "[".repeat(100_000))), "nested deeper than 32 levels"),
        ("900,000 open brackets", one(format!("a: {}", "[".repeat(900_000))), "nested deeper than 32 levels"),
        (
            "100,000 Secrets",
            one(format!("- domains: [a.test]\n  secret: [{}]\n", names(100_000))),
            "names 100000 Secrets; 100 are possible",
        ),
        (
            "100,000 names",
            one(format!("- secret: a\n  domains: [{}]\n", names(100_000))),
            "has 100000 names; 100 are possible",
        ),
        (
            "100,000 fields",
            one(format!("- {{secret: a, {}}}", (0..100_000).map(|i| format!("{i:x}: 1,")).collect::<String>())),
            "has 100001 fields; 1000 are possible",
        ),
        ("70,000 fields", one(format!("- secret: a\n{}", fields(70_000))), "has 70001 fields; 1000 are possible"),
        (
            "60,000 labels",
            one(format!("- secret: a\n  domains: [a.test]\n  labels:\n{}", fields(60_000).replace("  f", "    f"))),
            "labels: has 60000 fields; 1000 are possible",
        ),
        (
            "900 labels",
            one(format!(
                "- secret: a\n  domains: [a.test]\n  labels:\n{}",
                fields(900).replace("  f", "    f").replace(": 1", ": 'x'")
            )),
            "has 900 labels; 500 are possible",
        ),
        (
            "annotations of 512 KB in defaults",
            vec![("defaults", format!("annotations:\n{annotations}")), ("certificates", entries(500))],
            "octets in all keys and values; 253952 are possible",
        ),
        (
            "annotations of 232 KB in defaults for 15,000 entries",
            vec![("defaults", format!("annotations:\n{shared}")), ("certificates", entries(15_000))],
            "",
        ),
        (
            "the same, and one more in each entry",
            vec![("defaults", format!("annotations:\n{shared}")), ("certificates", own)],
            "adds more than 16777216 octets",
        ),
        (
            "70,000 defaults",
            vec![("defaults", fields(70_000).replace("  f", "f")), ("certificates", entries(500))],
            "has 70000 fields; 1000 are possible",
        ),
        (
            "100 names in defaults",
            vec![
                ("defaults", format!("domains: [{domains}]\n")),
                ("certificates", (0..20_000).map(|i| format!("- secret: s{i}\n")).collect()),
            ],
            "can not be a default",
        ),
        ("1,000 zones and 18,000 entries", vec![("zones", zones), ("certificates", entries(18_000))], ""),
        (
            "15,000 names that an issuer does not serve",
            vec![("issuers", issuer), ("certificates", elsewhere)],
            "is not for the issuer lab",
        ),
        (
            "20,000 entries with faults",
            one("- {secret: a.b..c, domains: ['a..b', 'c..d'], x: 1}\n".repeat(19_000)),
            "domains[0]",
        ),
        ("500,000 empty entries", one("-\n".repeat(500_000)), "more than a ConfigMap may have"),
        ("90,000 directives", one("%TAG !a! b\n".repeat(90_000)), "lines that begin with `%`"),
        ("a million empty lines and a fault", one(format!("{}a: \"x", "\n".repeat(1_000_000))), "not YAML"),
        (
            "aliases",
            one(format!("- &a {{secret: a, domains: [{}]}}\n{}", "a.test,".repeat(900), "- *a\n".repeat(19_000))),
            "larger than any configuration",
        ),
    ]
}

/// The time of a hostile configuration, beside one of the same size that is meant well: a machine is as slow for both.
#[test]
fn no_configuration_takes_more_than_a_few_times_the_time_of_a_full_one() {
    let read = |data: Vec<(&str, String)>| {
        let data = data.into_iter().map(|(key, text)| (key.to_owned(), text)).collect();
        let began = Instant::now();
        let said = match config::read(&data, &"team".into()) {
            Err(e) => e.to_string(),
            Ok(config) => {
                let mut wishes = notariat::sources::Desired::default();
                let at = notariat::base::name::ObjectRef::new("team", "certs");
                notariat::sources::config_map::add(&mut wishes, &at, &config, |_| None);
                wishes.refused.first().map(ToString::to_string).unwrap_or_default()
            }
        };
        (said, began.elapsed())
    };
    let full = (0..18_000).map(|i| format!("- {{secret: s{i}, domains: [a{i}.example.com]}}\n")).collect();
    let (said, usual) = read(vec![("certificates", full)]);
    assert_eq!(said, "");
    for (what, data, part) in hostile() {
        let (said, took) = read(data);
        println!("{what}: {took:?}, a full one {usual:?}");
        assert!(
            if part.is_empty() { said.is_empty() } else { said.contains(part) },
            "{what}: {}",
            said.get(..400).unwrap_or(&said)
        );
        assert!(said.len() < 10_000, "{what}: a sentence of {} octets", said.len());
        assert!(took < 4 * usual + Duration::from_millis(200), "{what}: {took:?}, a full one {usual:?}");
    }
}

/// The most memory that a process had, in KiB, as it was last seen.
fn peak(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (status, mut most) = (format!("/proc/{}/status", child.id()), 0);
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not end");
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(most);
        sleep(Duration::from_millis(1));
    }
    most
}

#[test]
fn check_of_a_manifest_takes_less_than_64_mib_whatever_stands_in_it() {
    let scratch = Scratch::new("bounds");
    let file = scratch.path().join("manifest.yaml");
    for (what, data, _) in hostile() {
        let mut text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: team}\ndata:\n".to_owned();
        for (key, value) in data {
            text += &format!("  {key}: {}\n", serde_json::Value::from(value));
        }
        std::fs::write(&file, text).unwrap();
        let most = peak(notariat().args(["check", "-f"]).arg(&file));
        println!("{what}: {most} KiB");
        assert!(most < 64 * 1024, "{what}: {most} KiB");
    }
}

#[test]
fn an_answer_of_the_api_server_is_read_within_four_times_its_size() {
    const OCTETS: usize = 60_000_000;
    let cluster = Cluster::new();
    let api = Api::start(cluster.kube, |asked| match asked.path.contains("/configmaps/") {
        false => Then::Pass,
        true => {
            let body = [&br#"{"kind": "ConfigMap", "data": ["#[..], &b"0,".repeat(OCTETS / 2), b"0]}"].concat();
            let headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
            Then::Say(Reply { status: 200, headers, body, length: None })
        }
    });
    let token = cluster.kube.service_account_token(&cluster.namespace, "notariat");
    let most = peak(&mut cluster.command(&api.kubeconfig(&format!("token: {token}")), &["-once"]));
    assert!(api.asked().iter().any(|asked| asked.path.contains("/configmaps/")), "it was asked for");
    println!("{most} KiB");
    assert!(most * 1024 < 4 * OCTETS as u64, "{most} KiB");
}
