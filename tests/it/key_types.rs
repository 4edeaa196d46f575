//! Certificates for keys of each type, and those that other programs made.

use std::process::Command;

use notariat_lab::Scratch;
use notariat_lab::tools::{output, tool};

use crate::main_job::annotate;
use crate::support::{Site, x509};

/// Each type of key with what openssl calls it.
const TYPES: [(&str, &str); 5] = [
    ("ecdsa-p256", "NIST CURVE: P-256"),
    ("ecdsa-p384", "NIST CURVE: P-384"),
    ("rsa-2048", "Public-Key: (2048 bit)"),
    ("rsa-3072", "Public-Key: (3072 bit)"),
    ("rsa-4096", "Public-Key: (4096 bit)"),
];

#[test]
fn each_type_of_key_gets_its_certificate_and_stays_where_it_is_to_be_used_again() {
    let site = Site::new();
    let entries: Vec<String> = TYPES
        .iter()
        .map(|(name, _)| site.entry(name, &format!("{name}.site.test"), &format!(", keyType: {name}, reuseKey: true")))
        .collect();
    site.config(&entries.concat());
    site.once().ends(0);
    let held = |name: &str| (site.read(name, "tls.key").unwrap(), x509::serial(&site.folder(name)));
    let first = TYPES.map(|(name, called)| {
        site.assert_valid(name, &[&format!("{name}.site.test")]);
        let text = x509::key_text(&site.folder(name));
        assert!(text.contains(called), "{name}: {text}");
        annotate(&site.folder(name), "notariat/renew", "please");
        held(name)
    });
    site.once().ends(0);
    for ((name, _), (key, serial)) in TYPES.iter().zip(&first) {
        site.assert_valid(name, &[&format!("{name}.site.test")]);
        assert_ne!(held(name).1, *serial, "{name} is renewed");
        assert_eq!(held(name).0, *key, "{name}: the key is used again");
    }
    site.once().ends(0).never_says("issu");

    // The pair comes back from the copy in the record.
    std::fs::remove_dir_all(site.folder("rsa-3072")).unwrap();
    let renewed = site.read("rsa-2048", "tls.crt");
    site.once().ends(0).says(&["restored secret=default/rsa-3072 reason=SecretMissing"]).never_says("issued");
    assert_eq!((held("rsa-3072").0, site.read("rsa-2048", "tls.crt")), (first[3].0.clone(), renewed));

    // Another type is another key, although the one that is there could be used again.
    for other in ["rsa-3072", "ecdsa-p256"] {
        site.config(&site.entry("rsa-2048", "rsa-2048.site.test", &format!(", keyType: {other}, reuseKey: true")));
        site.once().ends(0).says(&["reason=KeyTypeChanged"]);
        let called = TYPES.iter().find(|(name, _)| *name == other).unwrap().1;
        assert!(x509::key_text(&site.folder("rsa-2048")).contains(called), "{other}");
    }
}

/// PKCS#1 is what cert-manager writes, PKCS#8 what openssl does.
#[test]
fn an_rsa_key_that_another_program_made_is_used_again() {
    for traditional in [true, false] {
        let site = Site::new();
        let form: &[&str] = if traditional { &["genrsa", "-traditional", "2048"] } else { &["genrsa", "2048"] };
        let key = output(Command::new(tool("openssl")).args(form));
        assert_eq!(key.contains("BEGIN RSA PRIVATE KEY"), traditional);
        let scratch = Scratch::new("rsa");
        let path = scratch.write("key.pem", &key);
        let mut made = Command::new(tool("openssl"));
        made.args(["req", "-x509", "-days", "80", "-subj", "/CN=lab", "-addext", "subjectAltName=DNS:www.site.test"]);
        let chain = output(made.arg("-key").arg(&path));
        site.secret("web", &[("tls.crt", &chain), ("tls.key", &key)]);
        site.config(&site.entry("web", "www.site.test", ", keyType: rsa-2048, reuseKey: true"));
        site.once().ends(0).says(&["valid secret=default/web"]).never_says("issu");
        assert_eq!(site.read("web", "tls.crt").as_ref(), Some(&chain), "what is sound stays");

        let public = || {
            output(
                Command::new(tool("openssl")).args(["pkey", "-pubout", "-in"]).arg(site.folder("web").join("tls.key")),
            )
        };
        let before = public();
        site.config(&site.entry("web", "www.site.test, more.site.test", ", keyType: rsa-2048, reuseKey: true"));
        site.once().ends(0).says(&["reason=NameMissing"]);
        site.assert_valid("web", &["www.site.test", "more.site.test"]);
        assert_eq!(public(), before, "the same key");
    }
}
