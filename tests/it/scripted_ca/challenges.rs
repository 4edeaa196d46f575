//! A CA that refuses a challenge, says so in another place than Pebble does, or never comes to an end with it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Due;
use crate::support::Run;
use crate::support::ca::{Asked, Ca, Kind, Reply};

const NAME: &str = "www.site.test";
const TXT: &str = "_acme-challenge.www.site.test";

fn problem() -> Value {
    json!({"type": "urn:ietf:params:acme:error:dns", "detail": "no TXT record at _acme-challenge.www.site.test"})
}

/// The sentence that the log has of it.
const WORDS: &str = "www.site.test: dns: no TXT record at _acme-challenge.www.site.test";

/// Answers in place of Pebble.
fn say(reply: &mut Reply, body: Value) {
    reply.status = 200;
    reply.remove("retry-after");
    reply.body = body.to_string().into_bytes();
}

/// The order is pending whatever became of it.
fn order_stays_pending(asked: &Asked, reply: &mut Reply) {
    if asked.kind == Kind::Order {
        reply.edit(|order| {
            order["status"] = json!("pending");
            order["error"] = Value::Null;
        });
    }
}

/// The dns-01 challenge of the authorization, and the authorization, have these.
fn authorization_has(reply: &mut Reply, status: &str, challenge: &Value) {
    reply.edit(|authorization| {
        authorization["status"] = json!(status);
        let challenges = authorization["challenges"].as_array_mut().unwrap();
        let dns01 = challenges.iter_mut().find(|c| c["type"] == "dns-01").unwrap();
        for (key, value) in challenge.as_object().unwrap() {
            dns01[key] = value.clone();
        }
    });
}

/// A row: its name, the lie, how often the challenge is answered.
type Row = (&'static str, fn(&Asked, &mut Reply), usize);

#[test]
fn a_refused_challenge_ends_the_attempt_at_once_in_the_words_of_the_ca() {
    let rows: [Row; 4] = [
        (
            "smallstep: pending, with an error",
            |asked, reply| {
                let stuck = json!({"type": "dns-01", "status": "pending", "error": problem()});
                match asked.kind {
                    Kind::Challenge => say(reply, stuck),
                    Kind::Authorization if asked.before > 0 => authorization_has(reply, "pending", &stuck),
                    _ => {}
                }
            },
            4,
        ),
        (
            "invalid in the answer, and nowhere else",
            |asked, reply| {
                if asked.kind == Kind::Challenge {
                    say(reply, json!({"type": "dns-01", "status": "invalid", "error": problem()}));
                }
            },
            1,
        ),
        (
            "invalid in the authorization alone",
            |asked, reply| match asked.kind {
                Kind::Challenge => say(reply, json!({"type": "dns-01", "status": "processing"})),
                Kind::Authorization if asked.before > 0 => {
                    authorization_has(reply, "invalid", &json!({"status": "invalid", "error": problem()}));
                }
                _ => {}
            },
            1,
        ),
        (
            "malformed, for it is over",
            |asked, reply| match asked.kind {
                Kind::Challenge => reply.refuse(400, "malformed", "the challenge is over"),
                Kind::Authorization if asked.before > 0 => {
                    authorization_has(reply, "invalid", &json!({"status": "invalid", "error": problem()}));
                }
                _ => {}
            },
            1,
        ),
    ];
    let mut due = Due::new();
    for (name, lie, answers) in rows {
        due.anew();
        let ca = Ca::start(&due.site.pebble, move |asked, reply| {
            order_stays_pending(asked, reply);
            lie(asked, reply);
        });
        let began = Instant::now();
        let run = Run::of(&mut ca.command(&due.site, &["-once"])).ends(1).says(&["stage=validation", WORDS]);
        assert!(began.elapsed() < Duration::from_secs(30), "{name}: {:?}", began.elapsed());
        due.assert_untouched(name, &run);
        assert_eq!(ca.count(Kind::Challenge), answers, "{name}: {}", run.log);
        assert!(due.site.dns.txt(TXT).is_empty(), "{name}: the value is withdrawn");
    }
}

#[test]
fn a_challenge_that_fails_and_then_passes_is_answered_again() {
    let mut due = Due::new();
    let (run, ca) = due.pass("again", Kind::Challenge, |asked, reply| {
        if asked.before < 2 {
            say(reply, json!({"type": "dns-01", "status": "pending", "error": problem()}));
        }
    });
    due.assert_issued("again", &run);
    assert!((1..=3).contains(&ca.count(Kind::Challenge)), "{}", run.log);
}

#[test]
fn a_challenge_that_the_ca_tries_again_itself_is_waited_for() {
    let mut due = Due::new();
    // Retry-After says that the CA goes on; the order is pending for some looks.
    due.anew();
    let ca = Ca::start(&due.site.pebble, |asked, reply| match asked.kind {
        Kind::Challenge => {
            say(reply, json!({"type": "dns-01", "status": "pending", "error": problem()}));
            reply.set("Retry-After", "1");
        }
        Kind::Order if asked.before < 7 => order_stays_pending(asked, reply),
        _ => {}
    });
    let run = Run::of(&mut ca.command(&due.site, &["-once"]));
    due.assert_issued("Retry-After", &run);
    assert_eq!(ca.count(Kind::Challenge), 1, "{}", run.log);
}

#[test]
fn an_order_with_an_authorization_that_is_over_is_not_continued() {
    let mut due = Due::new();
    for status in ["invalid", "deactivated", "expired", "revoked"] {
        due.anew();
        let ca = Ca::start(&due.site.pebble, move |asked, reply| match asked.kind {
            // The first attempt ends before it knows what became of the order.
            Kind::Order if asked.before == 0 => reply.html(500),
            Kind::Order if asked.before == 1 => order_stays_pending(asked, reply),
            Kind::Authorization if asked.before == 1 => authorization_has(reply, status, &json!({})),
            _ => {}
        });
        Run::of(&mut ca.command(&due.site, &["-once"])).ends(1).says(&["stage=validation"]);
        // A change of the entry ends the wait.
        due.site.config(&due.site.entry("web", NAME, ", labels: {a: b}"));
        let run = Run::of(&mut ca.command(&due.site, &["-once"]));
        due.assert_issued(status, &run);
        assert_eq!(ca.count(Kind::NewOrder), 2, "{status}: {}", run.log);
        assert!(due.site.dns.txt(TXT).is_empty(), "{status}: the value is withdrawn");
    }
}
