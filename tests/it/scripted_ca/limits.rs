//! Limits that a CA says it has: who waits, for how long, and who does not.

use std::time::{Duration, SystemTime};

use notariat::base::time::{Time, now};
use notariat_lab::pebble::Setup;
use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Resolver, Scratch, Software, Zone};
use serde_json::Value;
use time::OffsetDateTime;

use super::tolerated::date;
use crate::main_job::annotate;
use crate::support::ca::{Asked, Ca, Kind, Reply};
use crate::support::{Run, Site, x509};

/// A site with the zones `site.test` and `other.test` and hosts in them.
pub fn site(key: &Key, pebble: impl FnOnce(Setup) -> Setup) -> Site {
    let hosts =
        ["www", "a", "b", "c", "d", "one"].map(str::to_owned).into_iter().chain((0..21).map(|n| format!("n{n}")));
    let hosts: Vec<String> = hosts.collect();
    let zone = |name| {
        let zone = Zone::new(name).grant(Grant::Zone(key));
        hosts.iter().fold(zone, |zone, host| zone.line(&format!("{host} A 127.0.0.1")))
    };
    let dns = NameServer::setup(Software::Bind).zone(zone("site.test")).zone(zone("other.test")).start();
    let resolver = Resolver::setup().forward("site.test", dns.addr()).forward("other.test", dns.addr()).start();
    let pebble = pebble(Pebble::setup().dns_server(resolver.addr())).start();
    let site = Site { store: Scratch::new("store"), dns, resolver, pebble, key: key.clone() };
    site.secret("tsigkey", &[("key", &site.key.secret_text())]);
    site
}

const HOURS: u64 = 3600;

/// A limit that the order of `1a` meets.
struct Limit {
    status: u16,
    said: &'static str,
    retry_after: Option<&'static str>,
    /// For how long it holds.
    holds: u64,
    /// Who else meets it when asked.
    refused: fn(&Asked) -> bool,
    /// Who gets a certificate.
    issued: &'static [&'static str],
    /// The gate that closes.
    scope: Option<&'static str>,
}

/// The certificates, in the order in which one worker serves them.
const WANTED: [(&str, &str); 4] =
    [("1a", "a.site.test"), ("2b", "b.site.test"), ("3c", "c.other.test"), ("4both", "a.site.test, d.site.test")];

const FIRST: fn(&Asked) -> bool = |asked| asked.before == 0;

/// The texts are those of Boulder.
const LIMITS: &[Limit] = &[
    Limit {
        status: 429,
        said: "too many new orders (300) from this account in the last 3h0m0s, retry after 2026-11-24 10:00:00 UTC: see https://letsencrypt.org/docs/rate-limits/#new-orders-per-account",
        retry_after: Some("122400"),
        holds: 34 * HOURS,
        refused: FIRST,
        issued: &[],
        scope: Some("Account"),
    },
    Limit {
        status: 429,
        said: "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s",
        retry_after: Some("122400"),
        holds: 34 * HOURS,
        refused: FIRST,
        issued: &["2b", "3c", "4both"],
        scope: None,
    },
    Limit {
        status: 429,
        said: "too many certificates (50) already issued for \"site.test\" in the last 168h0m0s",
        retry_after: Some("date"),
        holds: 34 * HOURS,
        refused: FIRST,
        issued: &["3c"],
        scope: Some("site.test"),
    },
    Limit {
        status: 429,
        said: "too many failed authorizations (5) for \"a.site.test\" in the last 1h0m0s",
        retry_after: Some("720"),
        holds: 720,
        refused: FIRST,
        issued: &["2b", "3c"],
        scope: Some("a.site.test"),
    },
    Limit {
        status: 429,
        said: "enough for today",
        retry_after: None,
        holds: HOURS,
        refused: |_| true,
        issued: &[],
        scope: Some("Account"),
    },
    Limit {
        status: 429,
        said: "Service busy; retry later.",
        retry_after: Some("99999999"),
        holds: 7 * 24 * HOURS,
        refused: FIRST,
        issued: &[],
        scope: Some("Account"),
    },
    Limit {
        status: 503,
        said: "maintenance",
        retry_after: Some("600"),
        holds: 600,
        refused: FIRST,
        issued: &[],
        scope: Some("Account"),
    },
    Limit { status: 503, said: "", retry_after: None, holds: 60, refused: FIRST, issued: &[], scope: Some("Account") },
];

#[test]
fn a_limit_holds_for_those_whom_it_is_for_also_after_a_restart() {
    let mut site = site(&Key::new("notariat.key", Hmac::Sha256), |pebble| pebble);
    for limit in LIMITS {
        let what = format!("{} {} {:?}", limit.status, limit.said, limit.retry_after);
        site.store = Scratch::new("store");
        site.secret("tsigkey", &[("key", &site.key.secret_text())]);
        let entries = WANTED.map(|(secret, names)| site.entry(secret, names, ""));
        site.config(&entries.concat());
        let ca = Ca::start(&site.pebble, |asked, reply| {
            if asked.kind == Kind::NewOrder && (limit.refused)(asked) {
                refuse(limit, reply);
            }
        });
        let run = Run::of(&mut ca.command(&site, &["-once", "-workers", "1"])).ends(1);
        assert_eq!(run.log.contains("gate-closed"), limit.scope.is_some(), "{what}: {}", run.log);
        if let Some(scope) = limit.scope {
            let gate = line(&run, "gate-closed");
            assert!(gate.contains(scope), "{what}: {gate}");
            assert_until(&what, gate, limit.holds);
        }
        for (number, (secret, _)) in WANTED.iter().enumerate() {
            let issued = run.log.contains(&format!("issued secret=default/{secret} "));
            assert_eq!(issued, limit.issued.contains(secret), "{what}: {secret}: {}", run.log);
            if issued {
                x509::assert_valid(&site.folder(secret), &site.pebble.root_pem(), &names(WANTED[number].1));
                continue;
            }
            let waiting = line(&run, &format!("waiting secret=default/{secret} "));
            assert!(waiting.contains("state=RateLimited"), "{what}: {waiting}");
            assert!(waiting.contains("the CA refused"), "{what}: in the CA's words: {waiting}");
            assert_until(&what, waiting, limit.holds);
        }
        let refusals = run.log.matches("failed secret=default/").count();
        assert_eq!(ca.count(Kind::NewOrder), refusals + limit.issued.len(), "{what}: {}", run.log);

        let before = ca.count(Kind::NewOrder);
        let again = Run::of(&mut ca.command(&site, &["-once", "-workers", "1"]));
        if limit.status == 503 {
            // Nobody remembers for long that a CA was overloaded; who was refused waits all the same.
            assert_eq!(ca.count(Kind::NewOrder) - before, WANTED.len() - 1, "{what}: {}", again.log);
            continue;
        }
        let again = again.ends(1);
        assert_eq!(ca.count(Kind::NewOrder), before, "{what}: nothing is ordered: {}", again.log);
        for (secret, _) in WANTED.iter().filter(|(secret, _)| !limit.issued.contains(secret)) {
            assert_until(&what, line(&again, &format!("waiting secret=default/{secret} ")), limit.holds);
        }
    }
}

fn refuse(limit: &Limit, reply: &mut Reply) {
    match limit.status {
        503 if limit.said.is_empty() => reply.html(503),
        status => reply.refuse(status, if status == 429 { "rateLimited" } else { "serverInternal" }, limit.said),
    }
    let at = OffsetDateTime::from(SystemTime::now()) + Duration::from_secs(limit.holds);
    match limit.retry_after {
        Some("date") => reply.set("Retry-After", date(at)),
        Some(seconds) => reply.set("Retry-After", seconds),
        None => {}
    }
}

fn names(domains: &'static str) -> Vec<&'static str> {
    domains.split(", ").collect()
}

#[track_caller]
fn line<'a>(run: &'a Run, part: &str) -> &'a str {
    run.log.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("no {part:?}: {}", run.log))
}

/// Tells whether a line says `until` so many seconds from now, or up to a quarter later; the test may have taken a minute.
#[track_caller]
fn assert_until(what: &str, line: &str, seconds: u64) {
    let until = line.split(" until=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let wait = Time::parse_rfc3339(until).unwrap().since(now()).as_secs();
    assert!((seconds.saturating_sub(60)..=seconds * 5 / 4).contains(&wait), "{what}: {wait} s: {line}");
}

#[test]
fn a_directory_that_is_overloaded_is_asked_once_for_all() {
    let site = site(&Key::new("notariat.key", Hmac::Sha256), |pebble| pebble);
    site.config(&WANTED.map(|(secret, names)| site.entry(secret, names, "")).concat());
    let ca = Ca::start(&site.pebble, |asked, reply| {
        if asked.kind == Kind::Directory {
            reply.html(503);
            reply.set("Retry-After", "600");
        }
    });
    let run = Run::of(&mut ca.command(&site, &["-once", "-workers", "1"])).ends(1);
    assert_eq!(ca.asked().len(), 1, "{}", run.log);
    for (secret, _) in WANTED {
        assert_until(secret, line(&run, &format!("waiting secret=default/{secret} ")), 600);
    }
}

#[test]
fn one_name_set_that_is_refused_for_34_hours_delays_nobody() {
    let site = site(&Key::new("notariat.key", Hmac::Sha256), |pebble| pebble);
    let (old, key) = x509::make(
        &(0..21).map(|n| format!("n{n}.site.test")).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>(),
        "somebody",
        -85,
        5,
    );
    let mut config = String::new();
    for n in 0..21 {
        site.secret(&format!("n{n}"), &[("tls.crt", &old), ("tls.key", &key)]);
        config += &site.entry(&format!("n{n}"), &format!("n{n}.site.test"), "");
    }
    site.config(&config);
    let ca = Ca::start(&site.pebble, |asked, reply| {
        if asked.orders("n0.site.test") {
            reply.refuse(
                429,
                "rateLimited",
                "too many certificates (5) already issued for this exact set of identifiers",
            );
            reply.set("Retry-After", "122400");
        }
    });
    for pass in ["first", "second"] {
        let run = Run::of(&mut ca.command(&site, &["-once"])).ends(1);
        assert_until(pass, line(&run, "waiting secret=default/n0 "), 34 * HOURS);
    }
    assert_eq!(ca.count(Kind::NewOrder), 21, "once for each");
    for n in (0..21).filter(|n| *n != 0) {
        let name = format!("n{n}.site.test");
        x509::assert_valid(&site.folder(&format!("n{n}")), &site.pebble.root_pem(), &[&name]);
    }
    assert_eq!(site.read("n0", "tls.crt").as_ref(), Some(&old));
    let record: Value = serde_json::from_str(&site.record("n0").unwrap()).unwrap();
    let history = &record["histories"][0];
    assert_eq!(history["failures"], 1, "{record:#}");
    let wait = Time::from_unix(history["nextAttempt"].as_i64().unwrap()).since(now()).as_secs() / HOURS;
    assert!((33..=34).contains(&wait), "{wait} h");
}

#[test]
fn renewal_information_that_is_limited_delays_no_renewal() {
    let site = site(&Key::new("notariat.key", Hmac::Sha256), |pebble| pebble);
    site.config(&[site.entry("one", "one.site.test", ""), site.entry("two", "a.site.test", "")].concat());
    let ca = Ca::start(&site.pebble, |asked, reply| {
        if asked.kind == Kind::RenewalInfo {
            reply.refuse(429, "rateLimited", "too many requests");
            reply.set("Retry-After", "7200");
        }
    });
    let pass = || Run::of(&mut ca.command(&site, &["-once", "-workers", "1"])).ends(0).never_says("gate-closed");
    pass().says(&["issued secret=default/one", "issued secret=default/two", "window-unknown secret=default/one"]);
    assert_eq!(ca.count(Kind::RenewalInfo), 1, "the gate before the questions is closed for all");
    pass().says(&["window-unknown secret=default/two"]);
    pass().never_says("window-unknown");
    assert_eq!(ca.count(Kind::RenewalInfo), 2, "the records know until when");
    let serial = x509::serial(&site.folder("one"));
    annotate(&site.folder("one"), "notariat/renew", "please");
    pass().says(&["issued secret=default/one"]);
    assert_ne!(x509::serial(&site.folder("one")), serial);
}
