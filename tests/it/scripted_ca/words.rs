//! Words that a CA chooses to do harm.

use serde_json::{Value, json};

use super::{Due, each};
use crate::support::Run;
use crate::support::ca::{Asked, Ca, Kind, Reply};

/// Terminals obey some of these, and all of them are in a log that people read there.
const NASTY: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\r\nlevel=info all is well\u{0}\u{202e}";

#[test]
fn whatever_words_a_ca_chooses_are_one_short_line() {
    let nasty = |kind: fn(&mut Value, String)| {
        move |_: &Asked, reply: &mut Reply| {
            reply.refuse(400, "malformed", "");
            reply.edit(|problem| kind(problem, NASTY.repeat(1500)));
        }
    };
    let mut due = Due::new();
    let words: [fn(&mut Value, String); 5] = [
        |p, nasty| p["detail"] = json!(nasty),
        |p, nasty| p["type"] = json!(nasty),
        |p, nasty| p["subproblems"] = json!([{"detail": nasty, "identifier": {"type": "dns", "value": nasty}}]),
        |p, nasty| *p = json!(nasty),
        |p, nasty| p["subproblems"] = json!(vec![json!({"detail": "no"}); 2000 + nasty.len() % 2]),
    ];
    for (number, word) in words.into_iter().enumerate() {
        due.anew();
        let lie = nasty(word);
        let ca = Ca::start(&due.site.pebble, move |a, r| {
            if a.kind == Kind::NewOrder {
                lie(a, r)
            }
        });
        let run = Run::of(&mut ca.command(&due.site, &["-once"])).ends(1).says(&["newOrder: the CA refused (400"]);
        super::assert_harmless(&format!("word {number}"), &run.log);
        due.assert_untouched("words", &run);
    }
    // Words that are not in problems.
    each(&[
        (
            "authorization",
            Kind::Authorization,
            |_, r| r.edit(|a| a["identifier"]["value"] = json!(NASTY.repeat(1500))),
            "which was not ordered",
        ),
        (
            "challenges",
            Kind::Authorization,
            |_, r| r.edit(|a| a["challenges"] = json!([{"type": NASTY.repeat(1500)}])),
            "no dns-01 challenge",
        ),
        (
            "URL",
            Kind::NewOrder,
            |_, r| r.edit(|o| o["authorizations"][0] = json!(NASTY.repeat(1500))),
            "authorization: the CA's answer can not be used: it leads to",
        ),
        ("status", Kind::NewOrder, |_, r| r.edit(|o| o["status"] = json!({NASTY.repeat(1500): 1})), "can not be used"),
    ]);
}
