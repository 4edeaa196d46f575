//! When certificates are renewed: short lives, the CA's suggestions (RFC 9773), what is replaced and revoked. On Pebble, which takes
//! any answer for any certificate.

mod watch;

use std::fs;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use notariat::acme::jws::{KeyIdentifier, Payload};
use notariat::base::limits::QUESTIONS_SPREAD;
use notariat::base::retry::jitter;
use notariat::base::time::{Time, now};
use notariat_lab::Pebble;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::main_job::annotate;
use crate::support::{Site, signed, x509};
use watch::Watch;

const DAY: u64 = 86_400;

/// A CA whose certificates live 45 days: short enough that a suggestion may also be later than the usual moment.
fn site() -> Site {
    Site::with_ca(Pebble::setup().profile("default", "45 days", 45 * DAY, false))
}

/// How often the CA was asked for renewal information.
fn questions(site: &Site) -> usize {
    site.pebble.request_lines().iter().filter(|line| line.contains("/renewalInfo/")).count()
}

fn orders(site: &Site) -> usize {
    site.pebble.request_lines().iter().filter(|line| *line == "POST /order-plz").count()
}

/// Each of the entries with one name of its own, and what more they say.
fn entries(site: &Site, secrets: &[&str], more: &str) -> String {
    secrets.iter().map(|secret| site.entry(secret, &format!("{secret}.site.test"), more)).collect()
}

/// An answer to a question for renewal information: a window by seconds from now.
fn answer(from: i64, to: i64) -> String {
    let at = |seconds: i64| Time::from_unix(now().unix() + seconds).to_string();
    json!({"suggestedWindow": {"start": at(from), "end": at(to)}, "explanationURL": "https://why.test"}).to_string()
}

fn suggest(site: &Site, secret: &str, answer: &str) {
    site.pebble.set_renewal_info(&site.read(secret, "tls.crt").unwrap(), answer);
}

fn record(site: &Site, secret: &str) -> Value {
    serde_json::from_str(&site.record(secret).unwrap()).unwrap()
}

/// Makes the record forget some of what it knows.
fn forget(site: &Site, secret: &str, members: &[&str]) {
    let mut record = record(site, secret);
    for member in members {
        assert!(record.as_object_mut().unwrap().remove(*member).is_some(), "{member} in {record}");
    }
    let file = site.folder(&format!("notariat-record.default.{secret}")).join("record");
    fs::write(file, record.to_string()).unwrap();
}

/// The serial number as Pebble writes it.
fn serial(site: &Site, secret: &str) -> String {
    x509::serial(&site.folder(secret)).trim().trim_start_matches("serial=").to_ascii_lowercase()
}

/// The moment that stands behind `key` in the last line of the log that holds `line`.
fn moment(log: &str, line: &str, key: &str) -> Time {
    let line = log.lines().rfind(|l| l.contains(line)).unwrap_or_else(|| panic!("no {line:?} in\n{log}"));
    let value = line.split(' ').find_map(|word| word.strip_prefix(key)).unwrap();
    Time::parse_rfc3339(value).unwrap()
}

/// Lives of 20 s and of 60 s: a minute stands for the five that would take too long here.
#[test]
fn short_lives_are_renewed_in_time_and_a_client_always_sees_a_valid_certificate() {
    let ca = Pebble::setup().profile("moments", "20 s", 20, false).profile("minute", "60 s", 60, false);
    let site = Site::with_ca(ca);
    let brief = entries(&site, &["brief"], ", profile: moments");
    site.config(&(brief + &entries(&site, &["longer"], ", profile: minute")));
    let daemon = site.daemon();
    let issued = |secret: &str| daemon.log().matches(&format!("issued secret=default/{secret} ")).count();
    let secrets = ["brief", "longer"];
    daemon.until("the first certificates", || secrets.iter().all(|s| issued(s) == 1));
    let started = Instant::now();
    let watches = secrets.map(|s| Watch::start(site.folder(s), &site.pebble.root_pem(), &format!("{s}.site.test")));
    daemon.until("renewals", || issued("brief") >= 4 && issued("longer") >= 2);
    daemon.until("the last questions", || questions(&site) >= issued("brief") + issued("longer"));
    let (ran, made) = (started.elapsed(), secrets.map(issued));
    assert!(!daemon.log().contains("failed"), "{}", daemon.log());
    assert_eq!(daemon.terminate(), 0);
    for ((watch, made), due) in watches.into_iter().zip(made).zip([8.0, 25.0]) {
        let seen = watch.end();
        assert_eq!(seen.faults, [""; 0], "at {} looks", seen.looks);
        assert_eq!(seen.certificates.len(), made);
        assert!(seen.looks > 100, "{}", seen.looks);
        // At half the lifetime and not sooner, but for what the spread and whole seconds make of it.
        assert!((made - 1) as f64 <= ran.as_secs_f64() / due, "{made} certificates in {ran:?}");
    }
    assert_eq!(orders(&site), made[0] + made[1]);
    assert_eq!(questions(&site), made[0] + made[1], "one for each certificate");
}

#[test]
fn the_window_is_asked_for_once_and_not_again_before_the_ca_wants_it() {
    let site = site();
    site.config(&entries(&site, &["asked-a", "asked-b"], ""));
    site.once().ends(0).says(&["window secret=default/asked-a", "window secret=default/asked-b"]);
    assert_eq!(questions(&site), 2);
    let requests = site.pebble.requests();
    site.once().ends(0).never_says("window");
    let daemon = site.daemon();
    daemon.until_it_says("valid secret=default/asked-b");
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(site.pebble.requests(), requests, "neither a second run nor the daemon asks anything");
    let next = record(&site, "asked-a")["nextQuestion"].as_i64().unwrap() - now().unix();
    assert!((21_000..=21_600).contains(&next), "Pebble's Retry-After is six hours: {next}");
}

/// Answers of the CA, and the moments made of them. Rows that begin with `first` get it as the first answer for their certificate, the others
/// after Pebble's own, which is a window around two thirds of the life.
#[test]
fn each_answer_for_a_window_has_its_consequence() {
    let site = site();
    let day = i64::try_from(DAY).unwrap();
    let secrets = [
        "first-past",
        "first-always",
        "first-future",
        "first-backwards",
        "first-broken",
        "later-past",
        "later-future",
        "later-backwards",
        "later-broken",
    ];
    site.config(&entries(&site, &secrets, ", reuseKey: true"));
    let first = site.once().ends(0);
    // So that a window can begin after the certificate and be over.
    std::thread::sleep(Duration::from_secs(3));
    let before: Vec<_> = secrets.map(|s| (serial(&site, s), site.read(s, "tls.key"), record(&site, s))).into();
    for secret in secrets {
        let (when, what) = secret.split_once('-').unwrap();
        let answer = match what {
            "past" if when == "first" => answer(-2, -1),
            "past" => answer(-3 * day, -3600),
            "always" => answer(-3 * day, -day),
            "future" => answer(10 * day, 11 * day),
            "backwards" => answer(5 * day, 4 * day),
            _ => r#"{"suggestedWindow": {"start": "soon""#.to_owned(),
        };
        suggest(&site, secret, &answer);
        forget(&site, secret, if when == "first" { &["nextQuestion", "window"] } else { &["nextQuestion"] });
    }
    let asked = questions(&site);
    let run = site.once().ends(0);
    assert_eq!(questions(&site) - asked, secrets.len());
    for (secret, (old_serial, old_key, old_record)) in secrets.iter().zip(before) {
        let (when, what) = secret.split_once('-').unwrap();
        let says = |part: &str| assert!(run.log.contains(part), "{part:?} is not in the log:\n{}", run.log);
        let reason = match (when, what) {
            ("first", "past") => Some("RenewalDue"),
            ("later", "past") => Some("Revoked"),
            _ => None,
        };
        if let Some(reason) = reason {
            says(&format!("issuing secret=default/{secret} reason={reason}"));
            says(&format!("issued secret=default/{secret} "));
            assert_ne!(serial(&site, secret), old_serial, "{secret}");
            assert_eq!(site.read(secret, "tls.key") == old_key, reason != "Revoked", "{secret}: its key");
            continue;
        }
        assert_eq!(serial(&site, secret), old_serial, "{secret}");
        let due = moment(&run.log, &format!("valid secret=default/{secret} "), "renewal=");
        let end = moment(&first.log, &format!("issued secret=default/{secret} "), "not_after=");
        let (window, told) = (&record(&site, secret)["window"], &old_record["window"]);
        let usual = (end - Duration::from_secs(16 * DAY))..=(end - Duration::from_secs(15 * DAY));
        match what {
            "future" => {
                let kept = |member: &str| Time::from_unix(window[member].as_i64().unwrap());
                assert!((kept("start")..=kept("end")).contains(&due), "{secret}: {due} in {window}");
                assert!(kept("start").since(now()) > Duration::from_secs(9 * DAY));
                assert_eq!(window["explanation"], "https://why.test");
                says(&format!("window secret=default/{secret} start={} end={}", kept("start"), kept("end")));
            }
            "always" => {
                assert!(window["start"].as_i64() < Some(now().unix() - day), "kept, and not followed: {window}");
                assert!(usual.contains(&due), "{secret}: {due}");
            }
            _ => {
                let event = if what == "backwards" { "WARN  [notariat] window-ignored" } else { "window-unknown" };
                says(&format!("{event} secret=default/{secret}"));
                if when == "first" {
                    assert!(window.is_null() && usual.contains(&due), "{secret}: {window} {due}");
                } else {
                    assert_eq!(window, told, "{secret}: what was told before stays");
                }
            }
        }
    }
}

/// The first questions of a daemon are spread over an hour by the name of the Secret: one whose turn comes at once.
fn early(prefix: &str) -> String {
    let turn = |name: &String| jitter(QUESTIONS_SPREAD, &format!("default/{name}"));
    (0..).map(|n| format!("{prefix}-{n}")).find(|name| turn(name) < Duration::from_secs(2)).unwrap()
}

#[test]
fn a_daemon_replaces_what_the_ca_revoked_and_wakes_up_in_a_window_of_three_seconds() {
    let site = site();
    let (revoked, narrow, late) = (early("revoked"), early("narrow"), "late-1".to_owned());
    assert!(jitter(QUESTIONS_SPREAD, "default/late-1") > Duration::from_secs(120), "asked when this test is over");
    let secrets = [&revoked, &narrow, &late].map(String::as_str);
    site.config(&entries(&site, &secrets, ", reuseKey: true"));
    let daemon = site.daemon();
    daemon.until("the questions after the first certificates", || questions(&site) == 3);
    assert_eq!(daemon.terminate(), 0);
    let before = secrets.map(|s| (serial(&site, s), site.read(s, "tls.key").unwrap()));

    // Whoever holds the key of a certificate may revoke it (RFC 8555 section 7.6); the CA then moves the window.
    let (url, chain) = (signed::at(&site.pebble, "revoke-cert"), site.read(&revoked, "tls.crt").unwrap());
    let leaf = URL_SAFE_NO_PAD.encode(CertificateDer::from_pem_slice(chain.as_bytes()).unwrap());
    let payload = Payload::Json(json!({"certificate": leaf, "reason": 1}));
    signed::ask(&site.pebble, &before[0].1, KeyIdentifier::Key, &url, &payload);
    assert_eq!(site.pebble.certificate_status(&before[0].0), "Revoked");
    let opens = now() + Duration::from_secs(8);
    suggest(&site, &narrow, &answer(8, 11));

    let daemon = site.daemon();
    daemon.until_it_says(&format!("issuing secret=default/{revoked} reason=Revoked"));
    daemon.until_it_says(&format!("issued secret=default/{revoked} "));
    assert!(now() < opens, "within one look at the CA, and not when something else wakes the daemon");
    assert_eq!(serial(&site, &narrow), before[1].0, "not before its window");
    daemon.until_it_says(&format!("issued secret=default/{narrow} "));
    let renewed = now();
    assert!(renewed >= opens && renewed <= opens + Duration::from_secs(3 + 10), "{opens} {renewed}");
    let answered = |secret: &str| daemon.log().matches(&format!("window secret=default/{secret} ")).count();
    daemon.until("the new windows", || answered(&revoked) == 2 && answered(&narrow) == 2);
    assert!(daemon.log().contains(&format!("issuing secret=default/{narrow} reason=RenewalDue")), "{}", daemon.log());
    assert_eq!(daemon.terminate(), 0);
    let after = secrets.map(|s| (serial(&site, s), site.read(s, "tls.key").unwrap()));
    assert_ne!(after[0].1, before[0].1, "a certificate that is revoked takes its key with it");
    assert!(after[1].1 == before[1].1 && after[2] == before[2]);
    assert_eq!(questions(&site), 3 + 2 + 2, "the third one's turn did not come");
    assert_eq!(orders(&site), 5);
}

/// The same certificate can be replaced once: whoever restores an old Secret meets 409.
#[test]
fn an_order_says_what_it_replaces_and_is_made_again_without_that_when_refused() {
    let site = site();
    site.config(&site.entry("web", "www.site.test", ""));
    site.once().ends(0);
    let renew = |value: &str| {
        annotate(&site.folder("web"), "notariat/renew", value);
        site.once().ends(0)
    };
    // Pebble fails on a serial number that begins with a zero octet.
    while serial(&site, "web").len() < 16 {
        renew(&serial(&site, "web"));
    }
    let (folder, record) = (fs::canonicalize(site.folder("web")).unwrap(), site.record("web").unwrap());
    let files: Vec<_> =
        ["tls.crt", "tls.key", "annotations.json"].map(|file| (file, fs::read(folder.join(file)).unwrap())).into();
    let replacements = || site.pebble.log().matches("is a replacement of").count();
    let (replaced, ordered) = (replacements(), orders(&site));
    renew("first").never_says("ordered-without-replaces");
    assert_eq!((replacements() - replaced, orders(&site) - ordered), (1, 1));

    for (file, octets) in files {
        fs::write(site.folder("web").join(file), octets).unwrap();
    }
    fs::write(site.folder("notariat-record.default.web").join("record"), record).unwrap();
    renew("second").says(&["ordered-without-replaces secret=default/web", "alreadyReplaced", "issued"]);
    assert_eq!((replacements() - replaced, orders(&site) - ordered), (1, 3));
    site.assert_valid("web", &["www.site.test"]);
}

/// While the replacement can not be had nothing is revoked, except what its owner lost the key of.
#[test]
fn a_certificate_is_revoked_when_its_replacement_is_stored_but_at_once_when_its_key_is_known_to_others() {
    let site = site();
    let reasons = ["unspecified", "keyCompromise", "superseded", "cessationOfOperation"];
    let secrets = reasons.map(str::to_ascii_lowercase);
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    site.config(&entries(&site, &[&secrets[..], &["other"]].concat(), ", reuseKey: true"));
    site.once().ends(0);
    let old: Vec<(String, String)> =
        secrets.iter().map(|s| (serial(&site, s), site.read(s, "tls.key").unwrap())).collect();
    for ((secret, reason), (serial, _)) in secrets.iter().zip(reasons).zip(&old) {
        annotate(&site.folder(secret), "notariat/revoke", &format!("{reason} {serial}"));
    }
    // For a certificate that is not held any more.
    annotate(&site.folder("other"), "notariat/revoke", &format!("superseded {}", old[0].0));
    let status = || old.iter().map(|(serial, _)| site.pebble.certificate_status(serial)).collect::<Vec<_>>();
    assert_eq!(status(), ["Valid"; 4]);

    site.secret("tsigkey", &[("key", &site.key.with_another_secret().secret_text())]);
    let run = site.once().ends(1).says(&["stage=publish", "revoked secret=default/keycompromise"]);
    assert_eq!(run.log.matches(" revoked secret=").count(), 1, "{}", run.log);
    assert_eq!(status(), ["Valid", "Revoked", "Valid", "Valid"]);

    site.secret("tsigkey", &[("key", &site.key.secret_text())]);
    let run = site.once().ends(0).never_says("secret=default/other reason");
    assert_eq!(status(), ["Revoked"; 4], "{}", run.log);
    for (secret, (old_serial, old_key)) in secrets.iter().zip(&old) {
        let at = |event: &str| run.log.find(&format!("{event} secret=default/{secret} ")).unwrap();
        match *secret {
            "keycompromise" => assert!(!run.log.contains(" revoked secret=default/keycompromise"), "once is enough"),
            _ => assert!(at(" issuing") < at(" issued") && at(" issued") < at(" revoked"), "{secret}:\n{}", run.log),
        }
        site.assert_valid(secret, &[&format!("{secret}.site.test")]);
        let (new_serial, new_key) = (serial(&site, secret), site.read(secret, "tls.key").unwrap());
        assert!(
            new_serial != *old_serial && new_key != *old_key,
            "{secret}: a new key, although it is to be used again"
        );
        assert_eq!(site.pebble.certificate_status(&new_serial), "Valid");
        assert!(record(&site, secret).get("toRevoke").is_none_or(|left| *left == json!([])));
    }
    let requests = orders(&site);
    site.once().ends(0).never_says("issuing").never_says("revoked ");
    assert_eq!(orders(&site), requests, "the annotation is for the certificate that is gone");
}
