//! Chains as a CA sends them, and as the Secret holds them. OpenSSL judges.

use std::process::Command;

use notariat_lab::tools::{output, tool};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::support::ca::{Asked, Ca, Kind, Reply};
use crate::support::run::notariat;
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

/// A chain of three in PEM and the key of its leaf in PKCS#8, made by rcgen.
fn of_another() -> ([String; 3], String) {
    let params = |name: &str| {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let now = time::OffsetDateTime::from(std::time::SystemTime::now());
        (params.not_before, params.not_after) = (now - time::Duration::days(10), now + time::Duration::days(80));
        params
    };
    let ca = |name: &str| {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let (root, above, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let root_pem = ca("root").self_signed(&root).unwrap().pem();
    let above_pem = ca("between").signed_by(&above, &Issuer::new(ca("root"), root)).unwrap().pem();
    let leaf = params("leaf").signed_by(&key, &Issuer::new(ca("between"), above)).unwrap().pem();
    ([leaf, above_pem, root_pem], key.serialize_pem())
}

#[test]
fn a_secret_of_another_with_half_a_chain_is_valid_and_warned_of() {
    let mut site = Site::new();
    let ([leaf, above, root], key) = of_another();
    let rows = [
        ("whole", format!("{leaf}{above}{root}"), ""),
        (
            "alone",
            leaf.clone(),
            "`tls.crt` holds the leaf alone: clients that do not know \\\"between\\\" will not trust it",
        ),
        ("disordered", format!("{leaf}{root}{above}"), "in `tls.crt` a certificate is followed by another one"),
    ];
    for (name, chain, said) in &rows {
        site.start_over();
        site.secret("web", &[("tls.crt", chain), ("tls.key", &key)]);
        site.config(&site.entry("web", NAME, ""));
        let command = site.command(&[]);
        let of = |word: &str, more: &[&str]| {
            let mut asked = notariat();
            Run::of(asked.arg(word).args(command.get_args()).args(more))
        };
        let status = of("status", &["-o", "json"]).ends(0);
        let check = of("check", &["-o", "json"]);
        assert!(
            status.stdout.contains("\"state\": \"Valid\"") || status.stdout.contains("\"state\":\"Valid\""),
            "{}",
            status.stdout
        );
        for run in [&status, &check] {
            assert_eq!(run.stdout.contains(said) && !said.is_empty(), !said.is_empty(), "{name}: {}", run.stdout);
            assert!(!said.is_empty() || !run.stdout.contains("tls.crt"), "{name}: {}", run.stdout);
        }
    }
}

#[test]
fn a_key_that_is_encrypted_is_said_to_be() {
    let site = Site::new();
    let (chain, key) = x509::make(&[NAME], "somebody", -10, 80);
    let file = site.store.write("key.pem", &key);
    let args = ["pkey", "-in", file.to_str().unwrap(), "-aes256", "-passout", "pass:secret"];
    let encrypted = output(Command::new(tool("openssl")).args(args));
    site.secret("web", &[("tls.crt", &chain), ("tls.key", &encrypted)]);
    site.config(&site.entry("web", NAME, ""));
    let run = Run::of(&mut site.command(&["-once", "-dry-run"]));
    run.says(&["tls.key is encrypted: write it without a passphrase, with `openssl pkey -in FILE`"]);
}
