//! `notariat status`: what it shows before, while and after, its exit codes, and that it writes nothing.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use notariat_lab::Scratch;
use serde_json::Value;

use crate::support::cluster::Cluster;
use crate::support::run::{ended, notariat, until};
use crate::support::{Run, Site, x509};

/// `status` with the arguments of another command.
fn status(of: &Command, more: &[&str]) -> Command {
    let mut command = notariat();
    command.arg("status").args(of.get_args()).args(more);
    command
}

fn shows(site: &Site, more: &[&str]) -> Run {
    Run::of(&mut status(&site.command(&[]), more))
}

#[test]
fn the_state_before_and_after_with_a_daemon_beside_and_nothing_is_written() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test, a.site.test", ""));
    let before = site.files();
    let run = shows(&site, &[]).ends(1);
    assert!(run.stdout.contains("web     Waiting  -        -       -       a.site.test +1\n"), "{}", run.stdout);
    assert!(run.stdout.contains("\n  SecretMissing (it does not exist)\n"), "{}", run.stdout);
    assert!(run.stdout.ends_with("1 certificate: 1 Waiting; stored 0 of 1\n"), "{}", run.stdout);
    assert_eq!(site.files(), before);
    assert_eq!(site.pebble.requests(), 0);

    let daemon = site.daemon();
    daemon.until_it_says("valid secret=default/web");
    let run = shows(&site, &[]).ends(0);
    assert!(run.stdout.contains("web     Valid  "), "{}", run.stdout);
    assert!(run.stdout.ends_with("\n1 certificate: 1 Valid\n"), "{}", run.stdout);
    assert!(!run.stdout.contains('\x1b'), "no colours where there is no terminal");
    let wide = shows(&site, &["-o", "wide"]).ends(0).stdout;
    assert!(wide.contains("a.site.test,www.site.test"), "{wide}");
    let json: Value = serde_json::from_str(&shows(&site, &["-o", "json"]).ends(0).stdout).unwrap();
    let first = &json["certificates"][0];
    assert_eq!((&first["secret"], &first["state"]), (&"default/web".into(), &"Valid".into()));
    assert_eq!(first["directory"], site.pebble.directory());
    assert!(first["expires"].as_str().unwrap().ends_with('Z') && first["renews"].is_string());
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn what_fails_says_where_and_what_comes_next() {
    let site = Site::new();
    let (chain, key) = x509::make(&["b.site.test"], "somebody", -90, -1);
    site.secret("old", &[("tls.crt", &chain), ("tls.key", &key)]);
    site.secret("opaque", &[("type", "Opaque"), ("password", "x")]);
    let unserved = site.entry("old", "b.site.test", "").replace(&site.dns.addr().to_string(), "127.0.0.1:9");
    site.config(&[site.entry("web", "www.site.test", ""), unserved, site.entry("opaque", "c.site.test", "")].concat());
    site.once().ends(1);
    let run = shows(&site, &[]).ends(1);
    let lines: Vec<&str> = run.stdout.lines().collect();
    let at = |start: &str| lines.iter().position(|line| line.starts_with(start)).unwrap();
    assert!(
        at("opaque  Refused  ") < at("web ") && at("old     BackingOff  expired  now lifetime") < at("web     Valid")
    );
    let detail = lines[at("old ") + 1];
    assert!(detail.starts_with("  next in ") && detail.contains("(0 left before it expires): zone: "), "{detail}");
    assert!(lines[at("opaque ") + 1].starts_with("  WrongType (its type is Opaque"), "{}", run.stdout);
    assert_eq!(lines[lines.len() - 1], "3 certificates: 1 Valid, 1 BackingOff, 1 Refused");

    // The daemon tries again at once when the entry changes, and so it is shown.
    site.config(&site.entry("old", "b.site.test", ""));
    let changed = shows(&site, &[]).ends(1).stdout;
    assert!(changed.contains("old     Waiting  expired"), "{changed}");
}

/// `script` runs a command on a terminal of its own.
#[test]
fn on_a_terminal_lines_have_its_width_and_the_cause_is_wrapped_and_whole() {
    let site = Site::new();
    let entry = site.entry("web", "www.site.test", "").replace(&site.dns.addr().to_string(), "127.0.0.1:9");
    site.config(&entry);
    site.once().ends(1);
    let piped = shows(&site, &[]).ends(1).stdout;
    let cause =
        piped.lines().find(|line| line.starts_with("  next in")).unwrap().split_once(": ").unwrap().1.to_owned();
    assert!(cause.chars().count() > 200, "nothing is cut in a pipe: {cause}");
    let command = status(&site.command(&[]), &[]);
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    for (setup, width) in [("stty cols 60; ", 60), ("stty cols 60; COLUMNS=100 ", 100), ("stty cols 132; ", 132)] {
        let shown = Run::of(
            Command::new("script")
                .args(["-qec", &format!("{setup}{}", words.join(" ")), "/dev/null"])
                .env_remove("COLUMNS")
                .env("NO_COLOR", "1"),
        );
        let lines: Vec<&str> = shown.stdout.lines().map(str::trim_end).collect();
        let longest = lines.iter().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= width && longest > width - 20, "{width}: {}", shown.stdout);
        let joined = lines.iter().map(|line| line.trim_start()).collect::<Vec<_>>().join(" ");
        let without_breaks = |text: &str| text.replace(' ', "");
        assert!(
            without_breaks(&joined).contains(&without_breaks(&cause)),
            "{width}: {cause:?} is not in\n{}",
            shown.stdout
        );
    }
}

#[test]
fn exit_codes_tell_unreadable_from_unknown_from_not_valid() {
    let site = Site::new();
    let run = shows(&site, &[]).ends(78);
    assert_eq!(
        run.stdout,
        "unreadable: ConfigMap default/certs: it does not exist: are -config and -namespace right?; nothing is done for it until it can be \
         read\n0 certificates: 1 ConfigMap unreadable\n"
    );
    site.config("[]");
    assert_eq!(shows(&site, &[]).ends(0).stdout, "0 certificates\n");
    site.config("- {secret: web, domains: ['a..test']}");
    let refused = shows(&site, &[]).ends(1).stdout;
    assert!(
        refused.contains("refused: ConfigMap default/certs: certificates entry 1 (default/web): domain"),
        "{refused}"
    );
    site.config(&site.entry("web", "www.site.test", ""));
    // Not a file: what it holds can not be found out.
    fs::create_dir_all(site.folder("web").join("tls.crt")).unwrap();
    let unknown = shows(&site, &["-o", "wide"]).ends(75).stdout;
    assert!(unknown.contains("web     Unknown  ") && unknown.contains("is no plain file"), "{unknown}");
    Run::of(notariat().args(["status", "-config", "c", "-o", "yaml"])).ends(78).says(&["is neither wide nor json"]);
}

#[test]
fn flags_come_from_the_environment() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    let mut command = notariat();
    command.arg("status").env("NOTARIAT_CONFIG", "certs").env("NOTARIAT_LOCAL", site.store.path());
    let run = Run::of(&mut command).ends(1);
    assert!(run.stdout.contains("web     Waiting"), "{}", run.stdout);
    Run::of(command.env("NOTARIAT_WORKERS", "0")).ends(78).says(&["(from NOTARIAT_WORKERS)"]);
}

/// Killed when dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Gone already when all went well.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Also where they are ignored, as SIGINT is in what a shell starts in the background (`nohup tests/run &`).
#[test]
fn following_ends_on_sigint_and_sigterm_whatever_it_inherits() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    for (ignored, signal) in [("", "INT"), ("", "TERM"), ("INT TERM", "INT"), ("INT TERM", "TERM")] {
        let out = site.store.join("followed");
        let plain = status(&site.command(&[]), &["-w"]);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("trap '' {ignored}; exec \"$0\" \"$@\"")]).arg(plain.get_program());
        command.args(plain.get_args()).stdin(Stdio::null()).stdout(File::create(&out).unwrap());
        let mut child = Ended(command.spawn().unwrap());
        until("it is printed", || fs::read_to_string(&out).unwrap().contains("1 Waiting"));
        notariat_lab::process::signal(child.0.id(), signal);
        assert_eq!(ended(&mut child.0, Duration::from_secs(10)), 1, "how it is: {ignored:?} {signal}");
    }
}

#[test]
fn following_prints_again_when_something_changed_and_ends_on_sigint() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    let out = site.store.join("followed");
    let mut command = status(&site.command(&[]), &["-w"]);
    let mut child = Ended(command.stdin(Stdio::null()).stdout(File::create(&out).unwrap()).spawn().unwrap());
    let text = || fs::read_to_string(&out).unwrap();
    until("it is printed", || text().contains("1 Waiting"));
    site.once().ends(0);
    until("it is printed again", || text().contains("1 certificate: 1 Valid"));
    // Another look or two, which find nothing new.
    std::thread::sleep(Duration::from_secs(5));
    let shown = text();
    notariat_lab::process::signal(child.0.id(), "INT");
    assert_eq!(ended(&mut child.0, Duration::from_secs(10)), 0, "how it is");
    assert_eq!(shown.matches("1 certificate: 1 Valid\n").count(), 1, "{shown}");
}

#[test]
fn the_role_of_deploy_is_enough_and_kubectl_finds_the_plugin() {
    let cluster = Cluster::new();
    cluster.config(&["web", "more"].map(|name| cluster.site.entry(name, "www.site.test", "")).concat());
    let (identity, none): (_, &[&str]) = (cluster.service_account(), &[]);
    let command = cluster.command(&identity, none);
    let run = Run::of(&mut status(&command, none)).ends(1);
    assert!(run.stdout.ends_with("2 certificates: 2 Waiting; stored 0 of 2\n"), "{}", run.stdout);
    cluster.once().ends(0);
    let secrets = || {
        cluster.kubectl(&["get", "secrets,configmaps,events", "-o", "jsonpath={.items[*].metadata.resourceVersion}"])
    };
    let before = secrets();
    let run = Run::of(&mut status(&command, none)).ends(0);
    assert!(run.stdout.contains("more    Valid  ") && run.stdout.contains("web     Valid  "), "{}", run.stdout);
    assert_eq!(secrets(), before, "nothing is written");

    let home = Scratch::new("home");
    fs::create_dir(home.join(".kube")).unwrap();
    fs::copy(&identity, home.join(".kube/config")).unwrap();
    let plugin = home.join("kubectl-notariat");
    std::os::unix::fs::symlink(notariat().get_program(), &plugin).unwrap();
    let mut command = Command::new(&plugin);
    command.args(["status", "-config", "notariat", "-namespace", &cluster.namespace]).arg("-acme");
    command.arg(cluster.site.pebble.directory()).env("HOME", home.path()).env_remove("KUBECONFIG");
    let run = Run::of(&mut command).ends(0);
    assert!(run.stdout.ends_with("2 certificates: 2 Valid\n"), "{}", run.stdout);

    // Who may only read each Secret by its name sees the same.
    cluster.secret_verbs(&["get"]);
    let run = Run::of(&mut command).ends(0);
    assert!(run.stdout.ends_with("2 certificates: 2 Valid\n"), "{}", run.stdout);
}
