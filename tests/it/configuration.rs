//! A broken configuration: what is good is served, what is broken is said, what was accepted stays.

use std::ffi::OsStr;

use crate::support::run::notariat;
use crate::support::{Run, Site, x509};

#[test]
fn good_entries_are_served_beside_broken_ones() {
    let site = Site::new();
    let bad = [
        "- {secret: badname, domains: ['a..site.test'], tsigSecretName: tsigkey}\n",
        "- {secret: unknown, domains: [a.site.test], tsigSecretName: tsigkey, domain: x}\n",
        "- {secret: twice, secret: again, domains: [a.site.test], tsigSecretName: tsigkey}\n",
        "- {secret: wrongtype, domains: a.site.test, tsigSecretName: tsigkey}\n",
    ];
    site.config(
        &[
            &site.entry("one", "one.site.test", ""),
            bad[0],
            bad[1],
            &site.entry("two", "two.site.test", ""),
            bad[2],
            bad[3],
        ]
        .concat(),
    );
    site.once().ends(1).says(&[
        "refused error=\"ConfigMap default/certs: certificates entry 2 (default/badname): domains[0]: \\\"a..site.test\\\" has an empty label",
        "certificates entry 3 (default/unknown): domain: is not a field; did you mean `domains`?",
        "certificates entry 5 (default/twice): secret: stands here twice",
        "certificates entry 6 (default/wrongtype): domains: is text; it must be a list",
    ]);
    site.assert_valid("one", &["one.site.test"]);
    site.assert_valid("two", &["two.site.test"]);
}

#[test]
fn yaml_that_does_not_scan_names_line_and_cure_and_changes_nothing() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    let daemon = site.daemon();
    daemon.until_it_says("valid secret=default/web");
    let serial = x509::serial(&site.folder("web"));
    site.config("- secret: web\n  domains: [\"site.test\", *.site.test]\n");
    std::fs::remove_file(site.folder("web")).unwrap();
    daemon.until_it_says("configuration-unreadable config_map=default/certs error=\"key `certificates`: line 2 is not YAML: a name that begins with `*` must be quoted");
    daemon.until_it_says("consequence=\"the last accepted one stays in force\"");
    daemon.until_it_says("restored secret=default/web");
    assert_eq!(x509::serial(&site.folder("web")), serial);
    assert_eq!(daemon.terminate(), 0);
    site.once().ends(78).says(&["nothing is done for it until it can be read"]);
}

#[test]
fn a_broken_edit_leaves_the_certificate_renewed_in_its_last_accepted_form() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    site.once().ends(0);
    let (old, key) = x509::make(&["www.site.test"], "old", -90, -1);
    std::fs::write(site.folder("web").join("tls.crt"), old).unwrap();
    std::fs::write(site.folder("web").join("tls.key"), key).unwrap();
    site.config(&site.entry("web", "www.site.test, 'new..site.test'", ""));
    site.once().ends(1).says(&["(default/web): domains[1]", "issued secret=default/web names=www.site.test"]);
    site.assert_valid("web", &["www.site.test"]);
}

#[test]
fn what_is_missing_is_said_in_a_sentence() {
    let site = Site::new();
    site.once().ends(78).says(&["configuration-unreadable config_map=default/certs error=\"it does not exist: are -config and -namespace right?\""]);
    let entry = site.entry("web", "www.site.test", "");
    site.config(&entry.replace("tsigSecretName: tsigkey", "tsigSecretName: nokey"));
    site.once().ends(1).says(&["stage=zone", "the Secret default/nokey with the TSIG key does not exist"]);
    site.secret("wrong", &[("key", "hmac-sha256:k:c2VjcmV0c2VjcmV0:extra")]);
    site.config(&entry.replace("tsigSecretName: tsigkey", "tsigSecretName: wrong"));
    site.once()
        .ends(1)
        .says(&["the TSIG key in the Secret default/wrong does not have the form"])
        .never_says("c2VjcmV0");
    site.config(&entry.replace("tsigSecretName: tsigkey, ", ""));
    site.once().ends(1).says(&["no TSIG key is configured for the zone site.test"]);
    let orders = site.pebble.request_lines().iter().filter(|l| l.contains("order")).count();
    assert_eq!(orders, 0, "what is wrong with a zone or a key never costs an order");
}

#[test]
fn a_failure_waits_and_a_change_of_the_key_ends_the_wait() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    let wrong = site.key.with_another_secret().secret_text();
    site.secret("tsigkey", &[("key", &wrong)]);
    site.once().ends(1).says(&[
        "failed secret=default/web stage=publish",
        "BADSIG: copy the secret of the key from the server into the Secret",
    ]);
    let updates = site.dns.updates();
    site.once().ends(1).says(&["waiting secret=default/web state=BackingOff"]).never_says("failed");
    assert_eq!(site.dns.updates(), updates, "nothing is tried before its time");
    site.secret("tsigkey", &[("key", &site.key.secret_text())]);
    site.once().ends(0).says(&["order-continued", "issued secret=default/web"]);
    site.assert_valid("web", &["www.site.test"]);
}

#[test]
fn an_entry_that_goes_is_forgotten_at_once_where_that_is_wanted_and_its_certificate_stays() {
    let site = Site::new();
    site.config(&[site.entry("a", "a.site.test", ""), site.entry("b", "b.site.test", "")].concat());
    site.once().ends(0);
    site.config(&site.entry("a", "a.site.test", ""));
    Run::of(&mut site.command(&["-once", "-forget-after", "0"])).ends(0).says(&["forgotten secret=default/b"]);
    site.assert_valid("b", &["b.site.test"]);
    let record = site.record("b").unwrap();
    assert!(!record.contains("accepted") && record.contains("orders"), "{record}");
    assert!(site.read("notariat-record.default.b", "tls.key").is_none());
    site.once().ends(0).never_says("forgotten");
}

#[test]
fn several_config_maps_are_served_together() {
    let site = Site::new();
    site.config(&site.entry("a", "a.site.test", ""));
    let other = site.store.join("default/configmaps/more");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(
        other.join("certificates"),
        site.entry("b", "b.site.test", "") + &site.entry("a", "c.site.test", ""),
    )
    .unwrap();
    let command = site.command(&["-once"]);
    let both = |argument: &OsStr| if argument == "certs" { "certs,more".into() } else { argument.to_owned() };
    let run = Run::of(notariat().args(command.get_args().map(both)));
    run.ends(1).says(&["certificates entry 2 (default/a): the Secret default/a is already filled by the entry for default/a of ConfigMap default/certs"]);
    site.assert_valid("a", &["a.site.test"]);
    site.assert_valid("b", &["b.site.test"]);
}
