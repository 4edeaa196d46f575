//! `notariat status -wait`: its exit status and its words, before, while and after.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::run::{ended, notariat};
use crate::support::{Run, Site};

/// `status -wait` on a site.
fn wait(site: &Site, more: &[&str]) -> Command {
    let mut command = notariat();
    command.arg("status").args(site.command(&[]).get_args()).arg("-wait").args(more);
    command
}

#[test]
fn a_pipeline_goes_on_when_the_certificates_are_valid_and_else_is_told_what_each_waits_for() {
    let site = Site::new();
    let late = Run::of(&mut wait(&site, &["-timeout", "1s"])).ends(1);
    assert!(late.log.contains("not Valid after 1s:\n  unreadable: ConfigMap default/certs: "), "{}", late.log);
    site.config(&[site.entry("web", "www.site.test", ""), site.entry("api", "api.site.test", "")].concat());
    let late = Run::of(&mut wait(&site, &["-timeout", "1s", "web", "other"])).ends(1);
    for part in
        ["\n  default/web: Waiting; SecretMissing (it does not exist)", "\n  default/other: no entry has this Secret"]
    {
        assert!(late.log.contains(part), "{}", late.log);
    }
    assert!(late.stdout.is_empty() && !late.log.contains("default/api"), "{late:?}");

    let mut waiting = wait(&site, &["-timeout", "2m"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let daemon = site.daemon();
    assert_eq!(ended(&mut waiting, Duration::from_secs(120)), 0);
    site.assert_valid("web", &["www.site.test"]);
    site.assert_valid("api", &["api.site.test"]);
    let named = Run::of(&mut wait(&site, &["api", "default/web"])).ends(0);
    assert_eq!((named.stdout.as_str(), named.log.as_str()), ("2 certificates are Valid\n", ""));
    assert_eq!(daemon.terminate(), 0);

    // What the author wants now is not what is served.
    site.config(
        &[site.entry("web", "www.site.test", ", nonsense: 1"), site.entry("api", "api.site.test", "")].concat(),
    );
    let refused = Run::of(&mut wait(&site, &["-timeout", "1s", "web"])).ends(1).log;
    assert!(refused.contains("\n  refused: ") && refused.contains("(default/web): nonsense"), "{refused}");
    Run::of(&mut wait(&site, &["-timeout", "1s", "api"])).ends(0);
}

#[test]
fn a_signal_ends_the_wait_as_the_timeout_does_and_flags_that_do_not_go_together_are_named() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    let mut waiting = wait(&site, &["web"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    notariat_lab::process::signal(waiting.id(), "TERM");
    assert_eq!(ended(&mut waiting, Duration::from_secs(30)), 1);
    for (more, part) in [
        (&["-w"][..], "leave out -w and -o"),
        (&["-o", "json"], "leave out -w and -o"),
        (&["-timeout", "soon"], "-timeout \"soon\" is not a duration"),
        (&["web", "-nothing"], "-nothing is not a flag"),
        (&["a/b/c"], "\"a/b/c\" "),
    ] {
        Run::of(&mut wait(&site, more)).ends(78).says(&[part]);
    }
    let mut command = notariat();
    command.arg("status").args(site.command(&[]).get_args()).args(["-timeout", "5s"]);
    Run::of(&mut command).ends(78).says(&["-timeout goes with -wait"]);
}
