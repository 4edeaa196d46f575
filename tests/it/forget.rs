//! `notariat forget -all`: what is empty after it, what stays, and what it says about both.

use std::process::Command;

use notariat_lab::tools::{output, tool};

use crate::support::Site;
use crate::support::cluster::Cluster;
use crate::support::run::{Run, notariat};

/// `forget` with the arguments of another command.
fn forget(of: &Command, more: &[&str]) -> Run {
    let mut command = notariat();
    command.arg("forget").args(of.get_args()).args(more);
    Run::of(&mut command)
}

const EMPTY: &str = "{\"version\":1}";

#[test]
fn a_directory_keeps_its_certificates_and_nothing_of_the_records() {
    let site = Site::new();
    site.config(&[site.entry("web", "www.site.test", ""), site.entry("api", "api.site.test", "")].concat());
    let daemon = site.daemon();
    daemon.until_it_says("valid secret=default/web");
    daemon.until_it_says("valid secret=default/api");
    let asked = forget(&site.command(&[]), &["-all"]).ends(1).says(&["stop notariat, then give -yes"]);
    assert!(asked.stdout.contains("would empty: Secret default/notariat-record.default.web\n"), "{}", asked.stdout);
    assert!(site.read("notariat-record.default.web", "tls.key").is_some(), "it asked only");
    forget(&site.command(&[]), &["-all", "-yes"]).ends(75).says(&["another notariat works on"]);
    forget(&site.command(&[]), &["-yes"]).ends(78).says(&["say so with -all"]);
    assert_eq!(daemon.terminate(), 0);

    // A record of another ConfigMap of the same namespace.
    let record = site.record("api").unwrap().replace("default/certs", "default/other");
    site.secret("notariat-record.default.foreign", &[("type", "notariat/record"), ("record", &record)]);
    let before = site.read("web", "tls.key").unwrap();
    let done = forget(&site.command(&[]), &["-all", "-yes"]).ends(0).stdout;
    for secret in ["web", "api"] {
        assert!(done.contains(&format!("emptied: Secret default/notariat-record.default.{secret}\n")), "{done}");
        assert_eq!(site.record(secret).as_deref(), Some(EMPTY));
        for file in ["tls.key", "tls.crt", "next.key"] {
            assert_eq!(site.read(&format!("notariat-record.default.{secret}"), file), None);
        }
    }
    assert!(done.contains("left alone: Secret default/notariat-record.default.foreign: it belongs to "), "{done}");
    assert!(site.record("foreign").is_some_and(|found| found == record));
    assert_eq!(site.read("web", "tls.key"), Some(before.clone()));
    // No old folder keeps a key, either.
    let of_records =
        |(path, _): &(String, Vec<u8>)| path.contains("notariat-record.default.web") && path.ends_with(".key");
    assert_eq!(site.files().iter().filter(|file| of_records(file)).count(), 0);
    let again = forget(&site.command(&[]), &["-all", "-yes"]).ends(0).stdout;
    assert!(again.starts_with("nothing is there to empty\n"), "{again}");

    // A later start finds the certificates valid, and orders none.
    site.once().ends(0).never_says("issuing secret=");
    assert_eq!(site.read("web", "tls.key"), Some(before.clone()));
    site.secret("notariat-record.default.foreign", &[]);
    std::fs::remove_dir_all(site.folder("notariat-record.default.foreign")).unwrap();
    let last = forget(&site.command(&[]), &["-all", "-yes"]).ends(0).stdout;
    let removals: Vec<&str> = last.lines().filter(|line| line.starts_with("  rm ")).collect();
    assert_eq!(removals.len(), 3, "{last}");
    output(Command::new(tool("bash")).args(["-ec", &removals.join("\n")]));
    let left: Vec<String> = site
        .files()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| {
            path.contains("/secrets/notariat-") || path.contains("/secrets/.notariat-") || path.ends_with("lock")
        })
        .collect();
    assert_eq!(left, [""; 0]);
    assert_eq!(site.read("web", "tls.key"), Some(before));
}

#[test]
fn a_cluster_keeps_its_certificates_and_the_commands_that_are_printed_delete_the_rest() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("valid secret=");
    let status =
        |path: &str| cluster.kubectl(&["get", "configmap", "notariat-status", "--ignore-not-found", "-o", path]);
    daemon.until("the state is shown", || !status("name").is_empty());
    let command = cluster.command(&cluster.service_account(), &[]);
    let error = forget(&command, &["-all", "-yes"]).ends(1).log;
    assert!(error.contains("the Lease") && error.contains("is held by"), "{error}");
    assert_eq!(daemon.terminate(), 0);
    let before = cluster.version("web");
    let asked = forget(&command, &["-all"]).ends(1).stdout;
    for kind in ["Secret", "ConfigMap"] {
        assert!(asked.contains(&format!("would empty: {kind} {}/notariat-", cluster.namespace)), "{asked}");
    }
    // As it stands after a kill half an hour ago.
    let killed = r#"{"spec":{"holderIdentity":"gone","renewTime":"2020-01-01T00:00:00.000000Z"}}"#;
    cluster.kubectl(&["patch", "lease", "notariat", "--type=merge", "-p", killed]);
    let done = forget(&command, &["-all", "-yes"]).ends(0).stdout;
    let record = format!("notariat-record.{}.web", cluster.namespace);
    let empty = "eyJ2ZXJzaW9uIjoxfQ==";
    assert_eq!(cluster.get(&record, "{.data}"), format!("{{\"record\":\"{empty}\"}}"));
    assert_eq!(status("jsonpath={.data}"), "");
    assert_eq!(cluster.kubectl(&["get", "lease", "notariat", "-o", "jsonpath={.spec.holderIdentity}"]), "");
    assert_eq!(cluster.version("web"), before);

    let prefix = format!("  kubectl -n {} ", cluster.namespace);
    let commands: Vec<&str> = done.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
    assert_eq!(commands.len(), 4, "{done}");
    for command in commands {
        cluster.kubectl(&command.split(' ').collect::<Vec<_>>());
    }
    let left = cluster.kubectl(&["get", "secrets,configmaps,leases", "-o", "name"]);
    assert!(left.lines().all(|name| !name.contains("notariat-acme") && !name.contains("notariat-record")), "{left}");
    assert!(!left.contains("lease") && !left.contains("notariat-status") && left.contains("secret/web"), "{left}");
    assert_eq!(cluster.version("web"), before);
}
