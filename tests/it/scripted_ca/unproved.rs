//! Orders of which no certificate comes, or none that may be stored.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::{Due, each, forged};
use crate::support::ca::{Asked, Ca, Kind, Reply};
use crate::support::{Run, Site, x509};

const NAME: &str = "www.site.test";

#[test]
fn a_later_certificate_that_another_instance_stored_meanwhile_stays() {
    let site = Site::new();
    site.config(&site.entry("web", NAME, ""));
    let marks = json!({"notariat/owner": "default default/web", "notariat/directory": "DIRECTORY"}).to_string();
    let (folder, later) = (site.folder("web"), Arc::new(OnceLock::new()));
    let (made, directory) = (later.clone(), Arc::new(OnceLock::<String>::new()));
    let known = directory.clone();
    let ca = Ca::start(&site.pebble, move |asked, _| {
        if asked.kind == Kind::Certificate && made.get().is_none() {
            // Certificates have whole seconds.
            std::thread::sleep(std::time::Duration::from_secs(2));
            let (chain, key) = x509::make(&[NAME], "somebody", 0, 80);
            std::fs::create_dir_all(&folder).unwrap();
            let marks = marks.replace("DIRECTORY", known.get().unwrap());
            let files = [("tls.crt", &*chain), ("tls.key", &*key), ("type", TLS), ("annotations.json", &*marks)];
            files.iter().for_each(|(file, text)| std::fs::write(folder.join(file), text).unwrap());
            made.set(chain).unwrap();
        }
    });
    directory.set(ca.directory()).unwrap();
    let run = Run::of(&mut ca.command(&site, &["-once"])).says(&["holds a later certificate by now"]);
    assert_eq!(site.read("web", "tls.crt").as_ref(), later.get(), "{}", run.log);
}

const TLS: &str = "kubernetes.io/tls";

#[test]
fn an_authorization_that_can_not_be_proved_ends_with_one_sentence() {
    each(&[
        (
            "another name",
            Kind::Authorization,
            |_, r| r.edit(|a| a["identifier"]["value"] = json!("a.site.test")),
            "an authorization for \\\"a.site.test\\\", which was not ordered",
        ),
        (
            "a wildcard",
            Kind::Authorization,
            |_, r| r.edit(|a| a["wildcard"] = json!(true)),
            "\\\"*.www.site.test\\\", which was not ordered",
        ),
        (
            "no challenge",
            Kind::Authorization,
            |_, r| r.edit(|a| a["challenges"] = json!([{"type": "http-01", "token": "x"}, {"type": "new-99"}, {}])),
            "offers no dns-01 challenge for www.site.test, only http-01, new-99,",
        ),
        (
            "no token",
            Kind::Authorization,
            |_, r| of_dns01(r, |c| drop(c.as_object_mut().unwrap().remove("token"))),
            "has no usable token",
        ),
        ("an empty token", Kind::Authorization, |_, r| of_dns01(r, |c| c["token"] = json!("")), "has no usable token"),
        (
            "a token with a quote",
            Kind::Authorization,
            |_, r| of_dns01(r, |c| c["token"] = json!("a\" IN TXT \"b")),
            "has no usable token",
        ),
        (
            "a token with a dot",
            Kind::Authorization,
            |_, r| of_dns01(r, |c| c["token"] = json!("../../x.y")),
            "has no usable token",
        ),
        (
            "a token with lines",
            Kind::Authorization,
            |_, r| of_dns01(r, |c| c["token"] = json!("a\r\nb")),
            "has no usable token",
        ),
        (
            "a long token",
            Kind::Authorization,
            |_, r| of_dns01(r, |c| c["token"] = json!("a".repeat(100_000))),
            "has no usable token",
        ),
        (
            "a challenge elsewhere",
            Kind::Authorization,
            |a, r| of_dns01(r, |c| c["url"] = json!(a.elsewhere)),
            "challenge: the CA's answer can not be used: it leads to another host",
        ),
        ("html", Kind::Authorization, |_, r| r.html(503), "authorization: the CA refused (503"),
        (
            "garbage",
            Kind::Authorization,
            |_, r| r.body = vec![0xff; 1000],
            "authorization: the CA's answer can not be used",
        ),
        (
            "refused",
            Kind::Challenge,
            |_, r| r.refuse(403, "unauthorized", "not yours"),
            "challenge: the CA refused (403 unauthorized: not yours)",
        ),
    ]);
}

/// Changes the dns-01 challenge of an authorization.
fn of_dns01(reply: &mut Reply, change: impl FnOnce(&mut Value)) {
    reply.edit(|authorization| {
        let challenges = authorization["challenges"].as_array_mut().unwrap();
        change(challenges.iter_mut().find(|c| c["type"] == "dns-01").unwrap());
    });
}

#[test]
fn an_order_that_fails_says_why_for_each_name() {
    let error = |order: &mut Value| {
        order["status"] = json!("invalid");
        order["error"] = json!({"type": "urn:ietf:params:acme:error:compound", "detail": "two things", "subproblems": [
            {"type": "urn:ietf:params:acme:error:caa", "detail": "forbidden", "identifier": {"type": "dns", "value": NAME}},
            {"type": "urn:ietf:params:acme:error:dns", "detail": "SERVFAIL"},
        ]});
    };
    const SAID: &str = "compound: two things; www.site.test: forbidden; SERVFAIL";
    let mut due = Due::new();
    for (kind, stage) in [(Kind::Order, "stage=validation"), (Kind::Finalize, "stage=finalize")] {
        due.anew();
        let lie = move |asked: &Asked, reply: &mut Reply| {
            if asked.kind == kind {
                reply.edit(error)
            }
        };
        let ca = Ca::start(&due.site.pebble, lie);
        let run = Run::of(&mut ca.command(&due.site, &["-once"])).ends(1).says(&[stage, SAID]);
        due.assert_untouched(stage, &run);
        assert!(due.site.dns.txt("_acme-challenge.www.site.test").is_empty(), "{stage}: the value is withdrawn");
    }
}

#[test]
fn a_certificate_that_is_not_the_ordered_one_is_not_stored() {
    each(&[
        (
            "another key",
            Kind::Certificate,
            |_, r| r.body = forged::chain_of_another_key(&[NAME]).into(),
            "not stored: the certificate was made for another key",
        ),
        (
            "a name missing",
            Kind::Certificate,
            |a, r| r.body = forged::chain(a, &["a.site.test"], (-1, 1000)).into(),
            "not stored: the certificate is not for www.site.test",
        ),
        (
            "expired",
            Kind::Certificate,
            |a, r| r.body = forged::chain(a, &[NAME], (-1000, -1)).into(),
            "not stored: the certificate is valid from",
        ),
        (
            "not yet valid",
            Kind::Certificate,
            |a, r| r.body = forged::chain(a, &[NAME], (1, 1000)).into(),
            "not stored: the certificate is valid from",
        ),
        (
            "not linked",
            Kind::Certificate,
            |a, r| r.body = unlinked(a).into(),
            "none of the certificates that came with it signed the certificate: its issuer is \\\"CN=Somebody\\\"",
        ),
        ("garbage", Kind::Certificate, |_, r| r.body = vec![0xff; 5000], "what the CA sent is not stored"),
        (
            "garbage in PEM",
            Kind::Certificate,
            |_, r| r.body = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(),
            "what the CA sent is not stored",
        ),
        ("half of it", Kind::Certificate, |_, r| r.body.truncate(r.body.len() / 3), "what the CA sent is not stored"),
        ("html", Kind::Certificate, |_, r| r.html(200), "what the CA sent is not stored"),
        ("nothing", Kind::Certificate, |_, r| r.body.clear(), "what the CA sent is not stored"),
        (
            "a hundred certificates",
            Kind::Certificate,
            |_, r| r.body = r.body.repeat(50),
            "what the CA sent is not stored",
        ),
        ("refused", Kind::Certificate, |_, r| r.html(404), "stage=download error=\"certificate: the CA refused (404"),
        (
            "elsewhere",
            Kind::Order,
            |a, r| {
                r.edit(|o| {
                    if o["certificate"].is_string() {
                        o["certificate"] = json!(a.elsewhere)
                    }
                })
            },
            "certificate: the CA's answer can not be used: it leads to another host",
        ),
    ]);
}

/// The second certificate has the name of the issuer and another key.
fn unlinked(asked: &Asked) -> String {
    let (issuer, _) = forged::authority();
    forged::leaf(asked, &[NAME], (-1, 1000), &issuer) + &forged::authority().1
}
