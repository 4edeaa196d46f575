//! Answers that are odd, and that a certificate is obtained in spite of.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::{Due, Lie, forged};
use crate::support::ca::{Asked, Ca, Kind, Reply};
use crate::support::{Run, x509};

const NAME: &str = "www.site.test";

#[test]
fn what_is_only_odd_costs_no_certificate() {
    let rows: &[(&str, Kind, Lie)] = &[
        ("no Location at finalize", Kind::Finalize, |_, r| r.remove("location")),
        ("Location elsewhere at finalize", Kind::Finalize, |a, r| r.set("Location", &a.elsewhere)),
        ("a second Location", Kind::NewOrder, |a, r| r.add("Location", &a.elsewhere)),
        ("a second nonce", Kind::Any, |_, r| r.add("Replay-Nonce", "c3RhbGU")),
        ("a nonce that was never given", Kind::NewOrder, |_, r| r.set("Replay-Nonce", "c3RhbGU")),
        ("no nonce but where one is asked for", Kind::Any, |a, r| {
            if a.kind != Kind::Nonce {
                r.remove("replay-nonce");
            }
        }),
        ("nonces with quotes", Kind::Any, |a, r| {
            if a.kind != Kind::Nonce {
                r.set("Replay-Nonce", "a\", \"url\": \"b");
            }
        }),
        ("nonces of other letters", Kind::Any, |a, r| {
            if a.kind != Kind::Nonce {
                r.set("Replay-Nonce", [0xe9, 0x80, b'a']);
            }
        }),
        ("another type of content", Kind::Any, |_, r| r.set("Content-Type", "text/html")),
        ("no type of content", Kind::Any, |_, r| r.remove("content-type")),
        ("strange challenges", Kind::Authorization, |a, r| {
            r.edit(|authorization| {
                let challenges = authorization["challenges"].as_array_mut().unwrap();
                challenges.insert(0, json!({"type": "new-99", "url": a.elsewhere, "status": "sleeping"}));
                challenges.insert(0, json!({"type": "dns-02", "url": a.elsewhere, "token": "\u{1b}[2J", "x": [{}]}));
                challenges.insert(0, json!({}));
            });
        }),
        ("strange fields", Kind::Any, |a, r| {
            if !matches!(a.kind, Kind::Nonce | Kind::Certificate) {
                r.edit(|body| body["strange"] = json!([[[{"a": null}]], 1e300]));
            }
        }),
        ("no meta", Kind::Directory, |_, r| r.edit(|d| d["meta"] = Value::Null)),
        ("odd optional fields", Kind::Directory, |_, r| {
            r.edit(|d| {
                d["meta"] =
                    json!({"termsOfService": null, "profiles": [], "caaIdentities": 7, "externalAccountRequired": "x"});
                (d["keyChange"], d["revokeCert"], d["renewalInfo"]) = (json!(""), json!("http://ca.test/r"), json!(5));
            });
        }),
        ("pending for a while", Kind::Order, |a, r| for_a_while(a, r, "ready", "pending")),
        ("processing for a while", Kind::Order, |a, r| for_a_while(a, r, "valid", "processing")),
        ("ready for a while", Kind::Order, |a, r| for_a_while(a, r, "valid", "ready")),
        ("an unknown status for a while", Kind::Order, |a, r| for_a_while(a, r, "valid", "contemplating")),
        ("valid for a while", Kind::Order, |a, r| for_a_while(a, r, "valid", "valid")),
        ("ready at finalize", Kind::Finalize, |_, r| r.edit(|o| o["status"] = json!("ready"))),
        ("an unknown status at finalize", Kind::Finalize, |_, r| r.edit(|o| o["status"] = json!("contemplating"))),
        ("forgotten once", Kind::NewOrder, |a, r| {
            if a.before == 0 {
                r.refuse(400, "accountDoesNotExist", "who?");
            }
        }),
        ("answered twice", Kind::Challenge, |_, r| r.refuse(400, "malformed", "Cannot update challenge")),
        ("cut once at newOrder", Kind::NewOrder, cut_once),
        ("cut once at finalize", Kind::Finalize, cut_once),
        ("cut once at the certificate", Kind::Certificate, cut_once),
        ("59 minutes ahead", Kind::Any, |_, r| shift(r, 59)),
        ("alternates elsewhere", Kind::Certificate, |a, r| {
            r.add("Link", format!("<{}/1>;rel=\"alternate\"", a.elsewhere));
            r.add("Link", "<<<>;;rel=,\"");
        }),
    ];
    let mut due = Due::new();
    for (name, kind, lie) in rows {
        let (run, _ca) = due.pass(name, *kind, *lie);
        due.assert_issued(name, &run);
        assert!(due.site.dns.txt("_acme-challenge.www.site.test").is_empty(), "{name}: the value is withdrawn");
    }
}

/// The first looks find another status than the truth, and no certificate.
fn for_a_while(asked: &Asked, reply: &mut Reply, truth: &str, said: &str) {
    reply.edit(|order| {
        if order["status"] == truth && asked.before < 3 {
            order["status"] = json!(said);
            order["certificate"] = Value::Null;
        }
    });
}

fn cut_once(asked: &Asked, reply: &mut Reply) {
    if asked.before == 0 {
        reply.length = Some(reply.body.len() + 100);
    }
}

/// Puts the clock of the CA so many minutes forward.
fn shift(reply: &mut Reply, minutes: i64) {
    reply.set("Date", date(OffsetDateTime::from(SystemTime::now()) + time::Duration::minutes(minutes)));
}

#[test]
fn a_clock_that_is_more_than_an_hour_off_renews_nothing() {
    let mut due = Due::new();
    let rows: [(&str, Lie); 2] =
        [("62m behind that of", |_, r| shift(r, 62)), ("ahead of that of", |_, r| shift(r, -62))];
    for (name, lie) in rows {
        let (run, ca) = due.pass(name, Kind::Any, lie);
        let run = run.ends(1).says(&["clock-in-doubt peer=", name]);
        due.assert_untouched(name, &run);
        assert_eq!((ca.count(Kind::NewAccount), ca.count(Kind::NewOrder)), (0, 0), "{name}: {}", run.log);
    }
    // Whatever the reason.
    due.anew();
    due.site.config(&due.site.entry("lost", "a.site.test", ""));
    let ca = Ca::start(&due.site.pebble, |_, reply| shift(reply, 62));
    Run::of(&mut ca.command(&due.site, &["-once"])).ends(1).says(&["clock-in-doubt"]).never_says("issued");
    // CAs date certificates back by an hour, so that one from a CA whose clock is behind ours is valid by both.
    due.anew();
    let ca = Ca::start(&due.site.pebble, |asked, reply| {
        shift(reply, -59);
        if asked.kind == Kind::Certificate {
            reply.body = forged::chain(asked, &[NAME], (-1, 2000)).into();
        }
    });
    Run::of(&mut ca.command(&due.site, &["-once"])).ends(0).says(&["issued secret=default/web", "issuer=Somebody"]);
    assert_eq!(x509::names(due.site.folder("web").join("tls.crt").to_str().unwrap()), [NAME]);
}

#[test]
fn looks_at_an_order_come_when_the_ca_says() {
    let mut due = Due::new();
    // Where the pause is asked for, and which of the pauses after finalize it is.
    let rows: [(&str, Kind, Lie, usize); 3] = [
        ("at finalize", Kind::Finalize, |_, r| later(r, |_| "2".to_owned()), 0),
        ("at a look", Kind::Order, |a, r| first_look(a, r, |_| "2".to_owned()), 1),
        ("at a look, a date", Kind::Order, |a, r| first_look(a, r, date), 1),
    ];
    for (name, kind, lie, place) in rows {
        let (run, ca) = due.pass(name, kind, lie);
        due.assert_issued(name, &run);
        let asked = ca.asked();
        let finalized = asked.iter().position(|a| a.kind == Kind::Finalize).unwrap();
        let looks = || asked[finalized..].iter().filter(|a| matches!(a.kind, Kind::Finalize | Kind::Order));
        let pauses: Vec<Duration> = looks().zip(looks().skip(1)).map(|(a, b)| b.at - a.at).collect();
        assert_eq!(pauses.len(), place + 1, "{name}: {pauses:?}");
        // Whole seconds: a pause of 2 s is at least one of 1 s.
        assert!(pauses[place] > Duration::from_millis(900), "{name}: {pauses:?}");
    }
}

/// The first look after finalize is told to look again two seconds later.
fn first_look(asked: &Asked, reply: &mut Reply, when: fn(OffsetDateTime) -> String) {
    if !asked.csr.is_empty() && asked.since_finalize == 0 {
        later(reply, when);
    }
}

fn later(reply: &mut Reply, when: fn(OffsetDateTime) -> String) {
    reply.edit(|order| {
        order["status"] = json!("processing");
        order["certificate"] = Value::Null;
    });
    reply.set("Retry-After", when(OffsetDateTime::from(SystemTime::now()) + time::Duration::seconds(2)));
}

/// A time as HTTP writes it.
pub fn date(at: OffsetDateTime) -> String {
    at.format(&Rfc2822).unwrap().replace("+0000", "GMT")
}

/// A slash at the end makes another URL to a server, and the same CA to us.
#[test]
fn the_directory_is_asked_for_as_it_is_written() {
    let mut due = Due::new();
    due.anew();
    let ca = Ca::start(&due.site.pebble, |asked, reply| {
        if asked.kind == Kind::Directory && !asked.path.ends_with('/') {
            reply.html(404);
        }
    });
    let mut with_slash = due.site.command_without_ca(&["-once"]);
    let run = Run::of(with_slash.args(["-acme", &format!("{}/", ca.directory())]));
    due.assert_issued("a slash", &run);
    let run = Run::of(&mut ca.command(&due.site, &["-once"])).ends(0);
    assert_eq!((ca.count(Kind::Directory), ca.count(Kind::NewOrder)), (1, 1), "{}", run.log);
    assert_eq!(ca.asked()[0].path, "/dir/");
}

#[test]
fn a_ca_that_rejects_nine_nonces_of_ten_issues() {
    let key = notariat_lab::Key::new("notariat.key", notariat_lab::Hmac::Sha256);
    let site = super::limits::site(&key, |pebble| pebble.nonce_reject(90));
    site.config(&site.entry("web", NAME, ""));
    site.once().ends(0);
    site.assert_valid("web", &[NAME]);
}
