//! What a CA sends as a chain, and what becomes of it in the Secret. OpenSSL judges.

use std::process::Command;

use notariat_lab::tools::{output, tool};

use crate::support::ca::{Asked, Ca, Kind, Reply};
use crate::support::{Run, Site, x509};

const NAME: &str = "www.site.test";

/// The certificates of a chain in PEM.
fn parts(reply: &Reply) -> Vec<String> {
    let text = String::from_utf8(reply.body.clone()).unwrap();
    text.split_inclusive("-----END CERTIFICATE-----\n").filter(|p| p.contains("BEGIN")).map(str::to_owned).collect()
}

/// A name, what becomes of the chain, and whether something of it is dropped.
type Row = (&'static str, fn(Vec<String>, &mut Reply), bool);

#[test]
fn a_chain_that_is_sent_in_another_form_is_stored_as_every_program_reads_it() {
    let rows: [Row; 8] = [
        ("glued", |parts, r| r.body = parts.concat().replace("-----\n-----BEGIN", "----------BEGIN").into(), false),
        ("CRLF", |parts, r| r.body = parts.concat().replace('\n', "\r\n").into(), false),
        ("a preamble", |parts, r| r.body = format!("subject=/CN=x\n\n{}", parts.concat()).into(), false),
        (
            "a private key",
            |parts, r| r.body = format!("{}{}", x509::make(&[NAME], "x", 0, 9).1, parts.concat()).into(),
            false,
        ),
        ("a duplicate", |parts, r| r.body = format!("{}{}", parts.concat(), parts.last().unwrap()).into(), true),
        ("the leaf twice", |parts, r| r.body = format!("{}{}", parts[0], parts.concat()).into(), true),
        ("an extra one", |parts, r| r.body = (parts.concat() + &x509::make(&[NAME], "x", 0, 9).0).into(), true),
        ("the wrong order", |parts, r| r.body = parts.into_iter().rev().collect::<String>().into(), false),
    ];
    let mut site = Site::new();
    for (name, change, is_dropped) in rows {
        site.start_over();
        site.config(&site.entry("web", NAME, ""));
        let ca = Ca::start(&site.pebble, move |asked: &Asked, reply| {
            if asked.kind == Kind::Certificate {
                change(parts(reply), reply);
            }
        });
        let run = Run::of(&mut ca.command(&site, &["-once"])).ends(0);
        x509::assert_valid(&site.folder("web"), &site.pebble.root_pem(), &[NAME]);
        assert_eq!(run.log.contains("chain-cleaned secret=default/web dropped="), is_dropped, "{name}: {}", run.log);
        let chain = site.read("web", "tls.crt").unwrap();
        assert_eq!((chain.matches("BEGIN CERTIFICATE").count(), chain.contains("PRIVATE")), (2, false), "{name}");
        // What OpenSSL writes of it is what stands there.
        let file = site.folder("web").join("tls.crt");
        let leaf = output(Command::new(tool("openssl")).args(["x509", "-in", file.to_str().unwrap()]));
        assert!(chain.starts_with(&leaf), "{name}: {chain}");
    }
}
