//! Answers of which no order comes: to the order itself, and to what comes before it.

use std::process::Command;

use notariat_lab::tools::tool;
use serde_json::json;

use super::{Due, each};
use crate::support::Run;
use crate::support::ca::{Ca, Kind};

#[test]
fn an_order_that_is_answered_wrongly_ends_with_one_sentence() {
    each(&[
        (
            "html 502",
            Kind::NewOrder,
            |_, r| r.html(502),
            "newOrder: the CA refused (502 <html> <h1>502 of a proxy</h1>",
        ),
        ("html 200", Kind::NewOrder, |_, r| r.html(200), "newOrder: the CA's answer can not be used: expected value"),
        ("cut", Kind::NewOrder, |_, r| r.length = Some(r.body.len() + 100), "closed in the middle of the answer"),
        ("nothing", Kind::NewOrder, |_, r| r.body.clear(), "newOrder: the CA's answer can not be used: EOF"),
        (
            "no status",
            Kind::NewOrder,
            |_, r| r.edit(|o| o["status"] = json!(null)),
            "can not be used: invalid type: null",
        ),
        (
            "no Location",
            Kind::NewOrder,
            |_, r| r.remove("location"),
            "newOrder: the CA's answer can not be used: it has no Location",
        ),
        (
            "Location elsewhere",
            Kind::NewOrder,
            |a, r| r.set("Location", &a.elsewhere),
            "newOrder: the CA's answer can not be used: it leads to another host",
        ),
        (
            "Location in the clear",
            Kind::NewOrder,
            |a, r| r.set("Location", a.elsewhere.replace("https", "http")),
            "which is no https URL",
        ),
        (
            "the first Location elsewhere",
            Kind::NewOrder,
            |a, r| r.headers.insert(0, ("Location".into(), a.elsewhere.clone().into())),
            "it leads to another host",
        ),
        (
            "a redirect",
            Kind::NewOrder,
            |a, r| (r.html(307), r.set("Location", &a.elsewhere)).1,
            "newOrder: the CA refused (307",
        ),
        (
            "another order",
            Kind::NewOrder,
            |_, r| r.edit(|o| o["identifiers"][0]["value"] = json!("a.site.test")),
            "not for the names that were asked for",
        ),
        (
            "a larger order",
            Kind::NewOrder,
            |_, r| r.edit(|o| o["identifiers"] = json!([{"type": "dns", "value": "a.site.test"}, o["identifiers"][0]])),
            "not for the names that were asked for",
        ),
        (
            "an order for an address",
            Kind::NewOrder,
            |_, r| r.edit(|o| o["identifiers"][0]["type"] = json!("ip")),
            "not for the names that were asked for",
        ),
        (
            "a text where a list should be",
            Kind::NewOrder,
            |_, r| r.edit(|o| o["identifiers"] = json!("x".repeat(200_000))),
            "can not be used: invalid type: string",
        ),
        (
            "invalid",
            Kind::NewOrder,
            |_, r| r.edit(|o| o["status"] = json!("invalid")),
            "the order failed: no reason given",
        ),
        (
            "an authorization elsewhere",
            Kind::NewOrder,
            |a, r| r.edit(|o| o["authorizations"][0] = json!(a.elsewhere.clone() + "/authZ/1")),
            "authorization: the CA's answer can not be used: it leads to another host",
        ),
        (
            "finalize elsewhere",
            Kind::Order,
            |a, r| r.edit(|o| o["finalize"] = json!(a.elsewhere.clone() + "/f/1")),
            "finalize: the CA's answer can not be used: it leads to another host",
        ),
        (
            "a host that only begins alike",
            Kind::NewOrder,
            |a, r| r.edit(|o| o["authorizations"][0] = json!(format!("https://127.0.0.1@{}/1", &a.elsewhere[8..]))),
            "which is no https URL",
        ),
    ]);
}

#[test]
fn a_ca_without_directory_nonce_or_account_ends_with_one_sentence() {
    each(&[
        ("html", Kind::Directory, |_, r| r.html(502), "directory: the CA refused (502"),
        (
            "a redirect",
            Kind::Directory,
            |a, r| (r.html(301), r.set("Location", &a.elsewhere)).1,
            "directory URL: the CA's answer can not be used: it is a redirect (301) to \\\"https://127.0.0.1:",
        ),
        (
            "a redirect to a slash",
            Kind::Directory,
            |_, r| (r.html(308), r.set("Location", "/dir/")).1,
            "/dir/\\\": write that URL as -acme, or as `directory` of the issuer",
        ),
        (
            "in the clear",
            Kind::Directory,
            |_, r| r.edit(|d| d["newOrder"] = json!("http://ca.test/order")),
            "it names \\\"http://ca.test/order\\\", which is no https URL: the CA does not know that it is reached by https; set its external URL, or have the proxy before it send `X-Forwarded-Proto: https`",
        ),
        (
            "nothing new",
            Kind::Directory,
            |_, r| r.edit(|d| drop(d.as_object_mut().unwrap().remove("newNonce"))),
            "missing field `newNonce`",
        ),
        (
            "no nonce",
            Kind::Nonce,
            |_, r| r.remove("replay-nonce"),
            "newNonce: the CA's answer can not be used: it has no nonce",
        ),
        ("half a nonce", Kind::Nonce, |_, r| r.set("Replay-Nonce", "abc\" def"), "it has no nonce"),
        ("a nonce of other letters", Kind::Nonce, |_, r| r.set("Replay-Nonce", "\u{e9}tranger"), "it has no nonce"),
        ("a nonce over two lines", Kind::Nonce, |_, r| r.set("Replay-Nonce", "abc\r\n def"), ""),
        ("a nonce with a line feed", Kind::Nonce, |_, r| r.set("Replay-Nonce", "abc\ndef"), ""),
        ("a nonce with a zero", Kind::Nonce, |_, r| r.set("Replay-Nonce", "abc\0def"), ""),
        ("a nonce that is too long", Kind::Nonce, |_, r| r.set("Replay-Nonce", "a".repeat(600)), "it has no nonce"),
        ("endless headers", Kind::Nonce, |_, r| (0..2000).for_each(|i| r.add(&format!("X-{i}"), "y".repeat(50))), ""),
        (
            "an account elsewhere",
            Kind::NewAccount,
            |a, r| r.set("Location", &a.elsewhere),
            "newAccount: the CA's answer can not be used: it leads to another host",
        ),
        (
            "an account without URL",
            Kind::NewAccount,
            |_, r| r.remove("location"),
            "newAccount: the CA's answer can not be used: it has no Location",
        ),
    ]);
}

#[test]
fn a_ca_that_rejects_everything_is_left_alone_after_a_while() {
    let mut due = Due::new();
    let (run, ca) = due.pass("badNonce", Kind::NewOrder, |_, r| r.refuse(400, "badNonce", "try again"));
    let run = run.ends(1).says(&["newOrder: the CA refused (400 badNonce: try again)"]);
    due.assert_untouched("badNonce", &run);
    assert_eq!(ca.count(Kind::NewOrder), 100);
    assert_eq!(ca.count(Kind::Nonce), 1, "the nonce of each error serves the next request");

    let (run, ca) = due.pass("forgotten", Kind::NewOrder, |_, r| r.refuse(400, "accountDoesNotExist", "who?"));
    let run = run.ends(1).says(&["newOrder: the CA refused (400 accountDoesNotExist: who?)"]);
    due.assert_untouched("forgotten", &run);
    assert_eq!((ca.count(Kind::NewOrder), ca.count(Kind::NewAccount)), (2, 2), "registered anew, once");
}

#[test]
fn a_body_of_fifty_megabytes_is_not_kept() {
    let mut due = Due::new();
    for (kind, known) in [(Kind::NewOrder, true), (Kind::Certificate, true), (Kind::Directory, false)] {
        due.anew();
        let ca = Ca::start(&due.site.pebble, move |asked, reply| {
            if asked.kind == kind {
                reply.body.resize(50 << 20, b' ');
                // Said or not, it is as long.
                reply.length = (!known).then_some(usize::MAX >> 1);
            }
        });
        let plain = ca.command(&due.site, &["-once"]);
        let mut measured = Command::new(tool("time"));
        let run = Run::of(measured.args(["-f", "%M KiB at most"]).arg(plain.get_program()).args(plain.get_args()));
        let run = run.ends(1).says(&["the answer is larger than 262144 octets"]);
        due.assert_untouched("large", &run);
        let most = run.log.lines().find_map(|line| line.strip_suffix(" KiB at most")?.parse::<u32>().ok()).unwrap();
        assert!(most < 40 * 1024, "{kind:?}: {most} KiB: {}", run.log);
    }
}
