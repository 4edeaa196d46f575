//! A clock that is wrong: nothing is ordered, nothing is written by it, and what one wrote earlier does no harm.

use std::process::Command;

use notariat::base::time::{Time, now};
use serde_json::{Value, json};

use crate::support::run::Daemon;
use crate::support::{Run, Site, x509};

const DAY: i64 = 86_400;

/// The command with another time of day; its waits stay as long as they are.
fn at_clock(command: &Command, seconds: i64) -> Command {
    let printed = Command::new("faketime").args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).output().unwrap();
    let library = String::from_utf8(printed.stdout).unwrap();
    let mut shifted = Command::new("env");
    shifted.args([format!("LD_PRELOAD={}", library.trim()), format!("FAKETIME={seconds:+}")]);
    shifted.arg("FAKETIME_DONT_FAKE_MONOTONIC=1").arg(command.get_program()).args(command.get_args());
    shifted
}

#[test]
fn by_a_clock_that_is_off_nothing_is_ordered_and_nothing_written() {
    let site = Site::new();
    site.config(&[site.entry("a", "a.site.test", ""), site.entry("b", "b.site.test", "")].concat());
    site.once().ends(0);
    let before = site.files();
    // Everything looks expired; the certificate of the CA itself, which lives for a year, is valid still.
    for (offset, said) in [(364 * DAY, "ahead of"), (2 * 3600, "2h ahead of")] {
        for secret in ["a", "b"] {
            std::fs::remove_file(site.folder(secret)).ok();
        }
        let record = |secret: &str| site.record(secret);
        let records = (record("a"), record("b"));
        // Without a copy only an order helps.
        for secret in ["a", "b"] {
            let folder = site.folder(&format!("notariat-record.default.{secret}"));
            std::fs::remove_file(folder.join("tls.key")).ok();
        }
        let run = Run::of(&mut at_clock(&site.command(&["-once"]), offset));
        assert!(run.code == 1 || run.code == 75, "{}", run.log);
        assert_eq!(run.log.matches("clock-in-doubt").count(), 1, "{}", run.log);
        assert!(run.log.contains(said) && run.log.contains("NTP"), "{}", run.log);
        assert!(!run.log.contains("issued") && !run.log.contains("issuing-order"), "{}", run.log);
        assert_eq!((record("a"), record("b")), records, "{offset}");
    }
    assert!(!before.is_empty());
    site.once().ends(0).says(&["issued secret=default/a", "issued secret=default/b"]);
}

#[test]
fn a_running_daemon_waits_for_the_clock_and_says_so_once() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    let daemon = Daemon::start(&mut at_clock(&site.command(&[]), 300 * DAY));
    daemon.until_it_says("clock-in-doubt");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(daemon.log().matches("clock-in-doubt").count(), 1, "{}", daemon.log());
    assert!(!daemon.log().contains("issued") && site.record("web").is_none(), "{}", daemon.log());
    daemon.kill();
    site.once().ends(0).says(&["issued secret=default/web"]);
}

#[test]
fn what_a_clock_that_was_ahead_has_written_does_not_count() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    site.once().ends(0);
    let path = site.folder("notariat-record.default.web").join("record");
    let mut record: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let far = 4_300_000_000_i64;
    let history = &mut record["histories"][0];
    history["failures"] = json!(1);
    (history["stage"], history["severity"]) = (json!("order"), json!("transient"));
    (history["nextAttempt"], history["lastAttempt"], history["orders"]) =
        (json!(far), json!(far), json!([far, far, far, far]));
    record["restores"] = json!([far, far, far, far]);
    record["nextQuestion"] = json!(far);
    std::fs::write(&path, record.to_string()).unwrap();
    // Restores in the future make nobody contest the Secret.
    std::fs::remove_file(site.folder("web")).unwrap();
    site.once().ends(0).says(&["restored secret=default/web"]);
    // Waits and orders in the future hold no order up, and neither does a holder.
    let mut record: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    record["inFlight"] =
        json!({"holder": "elsewhere/1", "at": far, "directory": "https://x.test", "names": [], "keyType": ""});
    let history = &mut record["histories"][0];
    (history["failures"], history["nextAttempt"]) = (json!(1), json!(far));
    std::fs::write(&path, record.to_string()).unwrap();
    std::fs::remove_file(site.folder("web")).unwrap();
    std::fs::remove_file(path.with_file_name("tls.key")).unwrap();
    site.once().ends(0).says(&["issued secret=default/web"]);
    site.assert_valid("web", &["www.site.test"]);
}

#[test]
fn a_clock_before_1970_is_a_sentence() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    // To 1960 or so.
    let run = Run::of(&mut at_clock(&site.command(&["-once"]), -66 * 365 * DAY));
    assert!(run.code == 1 || run.code == 75, "{} {}", run.code, run.log);
    assert!(run.log.contains("clock is before 1970") && !run.log.contains("panicked"), "{}", run.log);
}

#[test]
fn a_certificate_that_is_not_valid_yet_says_ntp() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    // Pebble's own certificate began to be valid later than that.
    let run = Run::of(&mut at_clock(&site.command(&["-once"]), -20 * 365 * DAY));
    assert!(run.log.contains("NTP"), "{}", run.log);
    let (chain, _) = x509::make(&["x.test"], "x", -1, 1);
    assert!(!chain.is_empty());
}

/// When a line of the log was written.
fn moment(log: &str, part: &str) -> Time {
    let line = log.lines().find(|line| line.contains(part)).unwrap();
    Time::parse_rfc3339(line.split(' ').next().unwrap()).unwrap()
}

/// The DNS server fails while the clock is ahead, and an attempt that began before that notes it. When the clock is right again, neither the
/// record nor the circuit of the server waits until the time that the wrong clock said.
#[test]
fn a_failure_under_a_clock_that_is_ahead_is_waited_for_no_longer_than_any_other() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    let control = site.store.join("clock");
    let set = |seconds: i64| {
        let new = site.store.write("clock.new", &format!("{seconds:+}"));
        std::fs::rename(new, &control).unwrap();
    };
    set(0);
    let mut command = at_clock(&site.command(&[]), 0);
    // In the place of a fixed time: what a file says, read again each second.
    let words: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
    let words = words.into_iter().map(|word| match word.to_string_lossy().starts_with("FAKETIME=") {
        true => format!("FAKETIME_TIMESTAMP_FILE={}", control.display()).into(),
        false => word,
    });
    let mut arguments: Vec<_> = words.collect();
    arguments.insert(0, "FAKETIME_CACHE_DURATION=1".into());
    command = Command::new("env");
    command.args(arguments);
    // It does not answer while the clock steps, and then it is gone.
    notariat_lab::process::signal(site.dns.pid(), "STOP");
    let daemon = Daemon::start(&mut command);
    daemon.until_it_says("configuration-read");
    set(2 * 3600);
    std::thread::sleep(std::time::Duration::from_secs(2));
    site.dns.kill9();
    daemon.until_it_says("failed secret=default/web");
    let failed = moment(&daemon.log(), "failed secret=default/web");
    assert!(failed > now() + std::time::Duration::from_secs(3600), "noted by the clock that is ahead: {failed}");
    site.dns.start_again();
    set(0);
    daemon.until_it_says("issued secret=default/web");
    assert_eq!(daemon.terminate(), 0);
}
