//! A Secret that is there: mended, left alone, restored.

use std::path::Path;

use crate::support::{Run, Site, x509};

/// A file of a Secret and its text.
type Content<'a> = (&'a str, &'a str);

/// Days from now between which most certificates here are valid.
const FAR: (i64, i64) = (-10, 80);

/// The content and the place of a Secret: a write makes another folder, so this tells whether it was written.
fn state(path: &Path) -> (Option<std::path::PathBuf>, Vec<(String, Vec<u8>)>) {
    let mut files: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|file| (file.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&file).unwrap()))
        .collect();
    files.sort();
    (std::fs::read_link(path).ok(), files)
}

#[test]
fn a_valid_secret_that_somebody_made_is_not_touched() {
    let site = Site::new();
    let (chain, key) = x509::make(&["www.site.test", "more.site.test"], "somebody", FAR.0, FAR.1);
    site.secret("web", &[("tls.crt", &chain), ("tls.key", &key)]);
    site.config(&site.entry("web", "www.site.test", ""));
    let before = state(&site.folder("web"));
    site.once().ends(0).says(&["valid secret=default/web"]).never_says("issu");
    assert_eq!(state(&site.folder("web")), before);
    assert_eq!(site.pebble.requests(), 0);
}

#[test]
fn what_is_broken_is_mended() {
    let site = Site::new();
    let (good, key) = x509::make(&["www.site.test"], "somebody", FAR.0, FAR.1);
    let (_, other_key) = x509::make(&["www.site.test"], "somebody", FAR.0, FAR.1);
    let (old, old_key) = x509::make(&["www.site.test"], "somebody", -90, -1);
    let (early, early_key) = x509::make(&["www.site.test"], "somebody", 1, 90);
    let (soon, soon_key) = x509::make(&["www.site.test"], "somebody", -70, 20);
    let (wrong, wrong_key) = x509::make(&["else.site.test"], "somebody", FAR.0, FAR.1);
    // The names differ, because only so many orders of one set are made within a week.
    let cases: &[(&str, &str, &str, &[Content<'_>])] = &[
        ("expired", "Expired", "www.site.test", &[("tls.crt", &old), ("tls.key", &old_key)]),
        ("early", "NotYetValid", "www.site.test", &[("tls.crt", &early), ("tls.key", &early_key)]),
        ("due", "RenewalDue", "www.site.test", &[("tls.crt", &soon), ("tls.key", &soon_key)]),
        ("name", "NameMissing", "www.site.test, more.site.test", &[("tls.crt", &wrong), ("tls.key", &wrong_key)]),
        ("mismatch", "KeyMismatch", "a.site.test", &[("tls.crt", &good), ("tls.key", &other_key)]),
        ("garbage", "Unparsable", "b.site.test", &[("tls.crt", "-----BEGIN CERTIFICATE-----\nx\n"), ("tls.key", &key)]),
        ("nokey", "Unparsable", "c.site.test", &[("tls.crt", &good), ("tls.key", "")]),
        ("missing", "SecretMissing", "d.site.test", &[]),
    ];
    let mut config = String::new();
    for (name, _, domains, files) in cases {
        site.secret(name, files);
        if !files.is_empty() {
            site.secret(name, &[("ca.crt", "theirs")]);
        }
        config += &site.entry(name, domains, "");
    }
    site.config(&config);
    let run = site.once().ends(0);
    for (name, reason, domains, files) in cases {
        let issuing = format!("issuing secret=default/{name} reason={reason}");
        assert!(run.log.contains(&issuing), "{issuing}\n{}", run.log);
        site.assert_valid(name, &domains.split(", ").collect::<Vec<_>>());
        if !files.is_empty() {
            assert_eq!(site.read(name, "ca.crt").as_deref(), Some("theirs"), "{name}: what others keep stays");
        }
    }
}

#[test]
fn what_is_not_ours_is_refused_and_not_touched() {
    let site = Site::new();
    let (old, key) = x509::make(&["www.site.test"], "somebody", -90, -89);
    let (soon, soon_key) = x509::make(&["www.site.test"], "somebody", -63, 27);
    site.secret("opaque", &[("tls.crt", &old), ("tls.key", &key), ("type", "Opaque")]);
    for (name, mark) in [
        ("cm", ("annotations.json", r#"{"cert-manager.io/certificate-name": "x"}"#)),
        ("gardener", ("labels.json", r#"{"cert.gardener.cloud/certificate": "true"}"#)),
        ("instance", ("annotations.json", r#"{"notariat/owner": "other default/instance"}"#)),
        ("copy", ("annotations.json", r#"{"notariat/owner": "default elsewhere/web"}"#)),
        ("adopted", ("annotations.json", r#"{"cert-manager.io/certificate-name": "x"}"#)),
    ] {
        site.secret(name, &[("tls.crt", &soon), ("tls.key", &soon_key), mark]);
    }
    let names = ["opaque", "cm", "gardener", "instance", "copy"];
    let mut config: String = names.iter().map(|name| site.entry(name, "www.site.test", "")).collect();
    config += &site.entry("adopted", "www.site.test", ", adopt: true");
    site.config(&config);
    let before = names.map(|name| state(&site.folder(name)));
    site.once().ends(1).says(&[
        "left-alone secret=default/opaque reason=WrongType",
        "left-alone secret=default/cm reason=OwnedByAnother error=\"it belongs to cert-manager",
        "left-alone secret=default/gardener reason=OwnedByAnother",
        "left-alone secret=default/instance reason=OwnedByAnother error=\"it belongs to the notariat instance \\\"other\\\"",
        "left-alone secret=default/copy reason=OwnedByAnother error=\"it belongs to a replicator (it is a copy of elsewhere/web)",
        "issued secret=default/adopted",
    ]);
    assert_eq!(names.map(|name| state(&site.folder(name))), before);
}

#[test]
fn from_staging_to_production_it_is_renewed_and_never_the_other_way() {
    let site = Site::new();
    let staging = "https://acme-staging-v02.api.letsencrypt.org/directory";
    let production = "https://acme-v02.api.letsencrypt.org/directory";
    let from = |directory: &str| {
        format!("{{\"notariat/owner\": \"default default/NAME\", \"notariat/directory\": \"{directory}\"}}")
    };
    let (chain, key) = x509::make(&["www.site.test"], "(STAGING) Baloney Bulgur", FAR.0, FAR.1);
    let (due, due_key) = x509::make(&["www.site.test"], "R10", -70, 20);
    site.secret(
        "marked",
        &[("tls.crt", &chain), ("tls.key", &key), ("annotations.json", &from(staging).replace("NAME", "marked"))],
    );
    site.secret("unmarked", &[("tls.crt", &chain), ("tls.key", &key)]);
    site.config(&[site.entry("marked", "www.site.test", ""), site.entry("unmarked", "www.site.test", "")].concat());
    site.once().ends(0).says(&[
        "issuing secret=default/marked reason=DirectoryChanged",
        "issuing secret=default/unmarked reason=DirectoryChanged",
    ]);
    site.assert_valid("marked", &["www.site.test"]);
    site.assert_valid("unmarked", &["www.site.test"]);

    site.secret(
        "real",
        &[("tls.crt", &due), ("tls.key", &due_key), ("annotations.json", &from(production).replace("NAME", "real"))],
    );
    site.config(&site.entry("real", "www.site.test", ""));
    let before = state(&site.folder("real"));
    Run::of(&mut site.command_without_ca(&["-once", "-acme", staging]))
        .ends(1)
        .says(&["left-alone secret=default/real reason=DirectoryChanged", "give the right one with -acme"]);
    Run::of(&mut site.command_without_ca(&["-once"]))
        .ends(1)
        .says(&["left-alone secret=default/real reason=RenewalDue"]);
    assert_eq!(state(&site.folder("real")), before, "-acme was lost: left alone");
}

#[test]
fn a_lost_secret_is_restored_without_the_ca() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    site.once().ends(0);
    let (serial, requests) = (x509::serial(&site.folder("web")), site.pebble.requests());
    for lose in ["delete", "empty", "overwrite"] {
        match lose {
            "delete" => std::fs::remove_file(site.folder("web")).unwrap(),
            "empty" => std::fs::write(site.folder("web").join("tls.key"), "").unwrap(),
            _ => std::fs::write(site.folder("web").join("tls.key"), x509::make(&["x.test"], "x", -1, 1).1).unwrap(),
        }
        site.once().ends(0).says(&["restored secret=default/web"]);
        assert_eq!(x509::serial(&site.folder("web")), serial, "{lose}");
    }
    assert_eq!(site.pebble.requests(), requests, "the CA was not asked");
    std::fs::remove_file(site.folder("web")).unwrap();
    site.once().ends(1).says(&["waiting secret=default/web state=Contested"]);
}

#[test]
fn without_a_copy_a_lost_secret_is_obtained_again() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ", keepCopy: false"));
    site.once().ends(0);
    assert!(site.read("notariat-record.default.web", "tls.key").is_none(), "no copy of the key is kept");
    let serial = x509::serial(&site.folder("web"));
    std::fs::remove_file(site.folder("web")).unwrap();
    site.once().ends(0).says(&["reason=SecretMissing"]);
    assert_ne!(x509::serial(&site.folder("web")), serial);
}

/// One broken new name must not take down what works, and that is renewed once, not again and again.
#[test]
fn held_names_are_renewed_alone_when_a_new_name_fails() {
    let site = Site::new();
    let (chain, key) = x509::make(&["a.site.test"], "somebody", -70, 20);
    site.secret("web", &[("tls.crt", &chain), ("tls.key", &key)]);
    site.config(&site.entry("web", "a.site.test, www.elsewhere.test", ""));
    site.once().ends(1).says(&["failed secret=default/web stage=zone"]).never_says("issuing");
    let run = site.once().ends(1).says(&["issued secret=default/web names=a.site.test"]);
    run.says(&["state=BackingOff", "reason=NameMissing"]);
    site.assert_valid("web", &["a.site.test"]);
    site.once().ends(1).never_says("issuing");
    let accepted = site.record("web").unwrap();
    assert!(accepted.contains("www.elsewhere.test"), "what is wanted stays remembered: {accepted}");

    site.config(&site.entry("web", "a.site.test, b.site.test", ""));
    site.once().ends(0).says(&["issued secret=default/web names=a.site.test,b.site.test"]);
}
