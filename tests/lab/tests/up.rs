//! The one command starts everything, tells where it is, and leaves nothing behind, whatever ends it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::Scratch;
use notariat_lab::process::signal;
use notariat_lab::tools::{output, tool};

/// `notariat-lab up` as a child, with what it wrote to `DIR/env` and the pids it printed.
struct Up {
    child: Child,
    directory: PathBuf,
    variables: HashMap<String, String>,
    pids: Vec<u32>,
}

fn up(scratch: &Scratch, with: &str) -> Up {
    let directory = scratch.join("lab");
    let printed = scratch.join("printed");
    let mut child = Command::new(env!("CARGO_BIN_EXE_notariat-lab"))
        .args(["up", "--hours", "1", "--with", with, "--dir"])
        .arg(&directory)
        .env("TMPDIR", scratch.path())
        .stdout(fs::File::create(&printed).unwrap())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    eventually("everything is up", || {
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        fs::read_to_string(&printed).unwrap().contains("Ends with")
    });
    let text = fs::read_to_string(directory.join("env")).unwrap();
    let variable = |line: &str| {
        let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('\'').to_owned()))
    };
    let variables = text.lines().filter_map(variable).collect();
    let printed = fs::read_to_string(printed).unwrap();
    let pids = printed.lines().filter_map(|line| line.split(" pid ").nth(1)?.split(' ').next()?.parse().ok()).collect();
    Up { child, directory, variables, pids }
}

/// Waits for what happens by itself in a moment.
fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !happened() {
        assert!(Instant::now() < deadline, "not within 60 s: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Tells whether a process runs; one that was killed and not yet collected does not.
fn runs(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

fn nothing_is_left(scratch: &Scratch, up: &Up) {
    eventually("the servers are gone", || !up.pids.iter().any(|pid| runs(*pid)));
    // Only what the test itself put there.
    eventually("the directories are gone", || {
        let left = fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name());
        left.filter(|name| name != "printed").count() == 0
    });
}

#[test]
fn everything_runs_where_the_file_says_until_sigterm() {
    let scratch = Scratch::new("up");
    let mut up = up(&scratch, "bind,knot,powerdns,resolver,pebble,kubernetes");
    assert_eq!(up.pids.len(), 7, "three name servers, resolver, Pebble, kube-apiserver, etcd");
    assert!(up.pids.iter().all(|pid| runs(*pid)));
    let get = |name: &str| up.variables.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", up.variables)).as_str();
    for name in ["BIND", "KNOT", "POWERDNS"] {
        let zone = format!("{}.test", name.to_lowercase());
        assert!(get(&format!("TSIG_{name}")).starts_with(&format!("hmac-sha256:notariat.{zone}:")));
        for address in [get(&format!("{name}_ADDR")), get("RESOLVER_ADDR")] {
            let (ip, port) = address.split_once(':').unwrap();
            let answer = output(Command::new(tool("dig")).args([
                "+short",
                "-p",
                port,
                &format!("@{ip}"),
                &format!("www.{zone}"),
            ]));
            assert_eq!(answer, "127.0.0.1\n", "{name} at {address}");
        }
    }
    output(Command::new(tool("curl")).args([
        "--silent",
        "--fail",
        "--cacert",
        get("ACME_CA_FILE"),
        get("ACME_DIRECTORY"),
    ]));
    output(Command::new(tool("openssl")).args(["x509", "-noout", "-in", get("ISSUER_ROOT_FILE")]));
    let mut kubectl = Command::new(tool("kubectl"));
    kubectl.args(["get", "namespaces", "--kubeconfig", get("KUBECONFIG")]);
    output(kubectl.arg("--cache-dir").arg(up.directory.join("kubectl-cache")));
    assert_eq!(get("NOTARIAT_LAB_PID"), up.child.id().to_string());

    signal(up.child.id(), "TERM");
    up.child.wait().unwrap();
    nothing_is_left(&scratch, &up);
}

#[test]
fn servers_die_with_their_parent_even_if_it_is_killed() {
    let scratch = Scratch::new("up");
    let mut up = up(&scratch, "knot,bind");
    assert_eq!(up.pids.len(), 2);
    assert!(up.directory.join("bind.key").exists() && !up.variables.contains_key("KUBECONFIG"));
    up.child.kill().unwrap();
    up.child.wait().unwrap();
    nothing_is_left(&scratch, &up);
}

#[test]
fn a_directory_of_somebody_else_is_left_alone() {
    let scratch = Scratch::new("up");
    let directory = scratch.directory("home");
    fs::write(directory.join("letter"), "dear").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_notariat-lab"));
    let done = command.args(["up", "--with", "knot", "--dir"]).arg(&directory).output().unwrap();
    assert!(!done.status.success());
    assert!(String::from_utf8(done.stderr).unwrap().contains("choose another directory"));
    assert!(Path::exists(&directory.join("letter")));
}
