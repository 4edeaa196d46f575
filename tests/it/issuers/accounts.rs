//! Accounts: bound to an external one, imported, forgotten by the CA, deactivated.

use base64::Engine as _;
use std::process::Command;

use notariat::acme::jws::{KeyIdentifier, Payload};
use notariat_lab::tools::{output, tool};
use notariat_lab::{Pebble, Scratch};
use serde_json::json;

use super::{assert_from, count, entry, issuer, once, orders};
use crate::main_job::annotate;
use crate::support::{Run, Site, signed};

const REGISTER: &str = "POST /sign-me-up";

/// How many accounts Pebble has.
fn accounts(ca: &Pebble) -> usize {
    let log = ca.log();
    let last = log.lines().rfind(|line| line.ends_with(" accounts in memory"));
    last.map_or(0, |line| line.split(' ').rev().nth(3).unwrap().parse().unwrap())
}

/// The account that ordered the certificate in a Secret, as the log says.
fn account_of(run: &Run, secret: &str) -> String {
    let line = run.log.lines().find(|line| line.contains(&format!("issued secret=default/{secret} "))).unwrap();
    line.split(' ').find_map(|word| word.strip_prefix("account=")).unwrap().to_owned()
}

/// The key of the account with this URL, from the Secret where it is kept.
fn key_of(site: &Site, url: &str) -> String {
    let names = std::fs::read_dir(site.store.join("default/secrets")).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let kept = names.find(|n| n.starts_with("notariat-acme-") && site.read(n, "url").as_deref() == Some(url));
    site.read(&kept.unwrap(), "key").unwrap()
}

#[track_caller]
fn assert_contact(site: &Site, url: &str, key: &str, email: &str) {
    let told = signed::ask(&site.pebble, key, KeyIdentifier::Account(url), url, &Payload::PostAsGet);
    assert!(told.contains(&format!("\"mailto:{email}\"")), "{told}");
}

#[test]
fn an_external_account_binding_is_sent_and_each_fault_names_what_to_set() {
    const MAC: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    // Its second key has what the two alphabets of base64 differ in, and padding.
    let (url_safe, plain) = ("-_".repeat(21) + "8", "+/".repeat(21) + "8=");
    // As it stands in `data` of a manifest, written into `stringData`.
    let twice = base64::engine::general_purpose::STANDARD.encode(MAC);
    let site = Site::with_ca(Pebble::setup().eab("kid-1", MAC).eab("kid-2", &url_safe));
    let rows = [
        ("right", "kid-1", MAC, ""),
        ("padded", "kid-2", &plain, ""),
        ("kid", "kid-3", MAC, "stage=account error=\"newAccount: the CA refused (403"),
        ("twice", "kid-1", &twice, "`hmacKey` looks as if it were encoded in base64 twice"),
        ("mac", "kid-1", &url_safe, "stage=account error=\"newAccount: the CA refused (403"),
        ("text", "kid-1", "!", "`eabSecretName`: `hmacKey` in the Secret default/eab-text is not base64"),
        ("half", "kid-1", "", "`eabSecretName`: the Secret default/eab-half has no data key `hmacKey`"),
    ];
    let mut issuers = issuer(&site, "none", &site.pebble, ", email: none@site.test");
    let mut config = entry(&site, "eab-for-none", "none", "");
    for (name, kid, mac, _) in rows {
        site.secret(&format!("eab-{name}"), &[("kid", kid), ("hmacKey", mac)]);
        let more = format!(", email: {name}@site.test, eabSecretName: eab-{name}");
        issuers += &issuer(&site, name, &site.pebble, &more);
        config += &entry(&site, &format!("eab-for-{name}"), name, "");
    }
    site.config_key("issuers", &issuers);
    site.config(&config);
    let run = once(&site).ends(1).says(&[
        "failed secret=default/eab-for-none stage=account",
        "wants an external account binding: set `eabSecretName` in the issuer, a Secret with the data keys `kid` and `hmacKey`",
    ]);
    for (name, _, _, says) in rows {
        let secret = format!("eab-for-{name}");
        let failed = run.log.lines().find(|line| line.contains(&format!("failed secret=default/{secret} ")));
        match says {
            "" => assert_from(&site, &secret, &site.pebble),
            _ => assert!(failed.is_some_and(|line| line.contains(says)), "{name}: {failed:?}"),
        }
    }
    assert_eq!((accounts(&site.pebble), orders(&site.pebble)), (2, 2));
    assert!(!run.log.contains(MAC) && !run.log.contains(&url_safe), "{}", run.log);

    // What was wrong is put right: nothing waits for a day.
    for name in ["kid", "mac", "half"] {
        site.secret(&format!("eab-{name}"), &[("kid", "kid-1"), ("hmacKey", MAC)]);
    }
    once(&site).ends(1);
    ["kid", "mac", "half"].iter().for_each(|name| assert_from(&site, &format!("eab-for-{name}"), &site.pebble));
}

fn openssl(arguments: &[&str]) -> String {
    output(Command::new(tool("openssl")).args(arguments))
}

/// Keys as cert-manager (PKCS#1), Gardener (SEC 1) and others keep them.
#[test]
fn an_imported_account_key_finds_its_account_and_the_contact_follows_the_issuer() {
    let site = Site::new();
    let scratch = Scratch::new("keys");
    let pkcs8 = |pem: &str| {
        let file = scratch.write("key", pem);
        openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", file.to_str().unwrap()])
    };
    let rsa = || openssl(&["genrsa", "-traditional", "2048"]);
    let ec = |curve: &str| openssl(&["ecparam", "-name", curve, "-genkey", "-noout"]);
    let rows = [
        ("pkcs1", "tls.key", rsa(), "RSA PRIVATE"),
        ("pkcs8", "privateKey", pkcs8(&rsa()), "PRIVATE"),
        ("sec1", "key", ec("prime256v1"), "EC PRIVATE"),
        ("sec384", "tls.key", ec("secp384r1"), "EC PRIVATE"),
        ("ec8", "key", pkcs8(&ec("prime256v1")), "PRIVATE"),
    ];
    let url = signed::at(&site.pebble, "sign-me-up");
    let (mut urls, mut config) = (Vec::new(), String::new());
    for (name, data_key, pem, form) in &rows {
        assert!(pem.starts_with(&format!("-----BEGIN {form} KEY-----")), "{name}: {pem}");
        site.secret(&format!("key-{name}"), &[(data_key, pem)]);
        let new = Payload::Json(json!({"termsOfServiceAgreed": true, "contact": ["mailto:old@site.test"]}));
        let told = signed::ask(&site.pebble, pem, KeyIdentifier::Key, &url, &new);
        let location =
            told.lines().find_map(|l| l.split_once(": ").filter(|(h, _)| h.eq_ignore_ascii_case("location")));
        urls.push(location.unwrap().1.trim().to_owned());
        config += &entry(&site, &format!("by-{name}"), name, "");
    }
    let issuers = |email: &str| {
        let line =
            |name: &str| issuer(&site, name, &site.pebble, &format!(", email: {email}, accountSecretName: key-{name}"));
        rows.iter().map(|(name, ..)| line(name)).collect::<String>() + &line("lost")
    };
    site.config(&(config.clone() + &entry(&site, "by-lost", "lost", "")));
    site.config_key("issuers", &issuers("first@site.test"));
    let run = once(&site).ends(1).says(&[
        "failed secret=default/by-lost stage=account",
        "`accountSecretName`: the Secret default/key-lost does not exist",
    ]);
    assert_eq!(accounts(&site.pebble), rows.len(), "none was made");
    for ((name, _, pem, _), url) in rows.iter().zip(&urls) {
        assert_from(&site, &format!("by-{name}"), &site.pebble);
        assert_eq!(account_of(&run, &format!("by-{name}")), *url);
        assert_contact(&site, url, pem, "first@site.test");
    }

    // A key that is to become the account's outlives a change of the contact.
    let kept: Vec<_> = std::fs::read_dir(site.store.join("default/secrets"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("notariat-acme-"))
        .collect();
    kept.iter().for_each(|folder| std::fs::write(folder.join("next.key"), ec("prime256v1")).unwrap());
    site.config(&config);
    site.config_key("issuers", &issuers("second@site.test"));
    rows.iter().for_each(|(name, ..)| annotate(&site.folder(&format!("by-{name}")), "notariat/renew", "now"));
    once(&site).ends(0);
    rows.iter().zip(&urls).for_each(|((_, _, pem, _), url)| assert_contact(&site, url, pem, "second@site.test"));
    assert_eq!(accounts(&site.pebble), rows.len());
    assert!(kept.len() >= rows.len() && kept.iter().all(|folder| folder.join("next.key").exists()), "{kept:?}");
}

#[test]
fn an_account_has_the_contact_of_the_entry_and_is_made_anew_once_when_the_ca_forgot_it() {
    let site = Site::new();
    let other = |entry: String| entry.replace("admin@site.test", "Other@site.test");
    site.config(&(site.entry("lost-a", "lost-a.site.test", "") + &other(site.entry("lost-b", "lost-b.site.test", ""))));
    let run = site.once().ends(0);
    let (a, b) = (account_of(&run, "lost-a"), account_of(&run, "lost-b"));
    assert_eq!((accounts(&site.pebble), a == b), (2, false), "one for each contact");
    assert_contact(&site, &a, &key_of(&site, &a), "admin@site.test");
    assert_contact(&site, &b, &key_of(&site, &b), "other@site.test");

    site.pebble.restart();
    let before = (orders(&site.pebble), count(&site.pebble, REGISTER));
    let made = || (orders(&site.pebble) - before.0, count(&site.pebble, REGISTER) - before.1);
    let names = ["lost-a", "lost-c", "lost-d"];
    site.config(&names.map(|secret| site.entry(secret, &format!("{secret}.site.test"), "")).concat());
    let run = Run::of(&mut site.command(&["-once", "-workers", "1"])).ends(0);
    assert_eq!(made(), (3, 1), "one order more than certificates, and one account:\n{}", run.log);
    let account = account_of(&run, "lost-c");
    assert_contact(&site, &account, &key_of(&site, &account), "admin@site.test");
    ["lost-c", "lost-d"].iter().for_each(|secret| assert_from(&site, secret, &site.pebble));
    // What an account replaced that the CA has forgotten, it has forgotten, too.
    annotate(&site.folder("lost-a"), "notariat/renew", "again");
    site.once().ends(0).says(&["issued secret=default/lost-a"]).never_says("ordered-without-replaces");
    assert_eq!((made(), accounts(&site.pebble)), ((4, 1), 1), "the new account is remembered");
}

#[test]
fn a_deactivated_account_is_said_and_not_tried_again_soon() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    let account = account_of(&site.once().ends(0), "web");
    let payload = Payload::Json(json!({"status": "deactivated"}));
    signed::ask(&site.pebble, &key_of(&site, &account), KeyIdentifier::Account(&account), &account, &payload);
    annotate(&site.folder("web"), "notariat/renew", "please");
    site.once().ends(1).says(&["failed secret=default/web stage=order", "deactivated"]);
    assert_eq!((accounts(&site.pebble), count(&site.pebble, REGISTER)), (1, 1), "no other account is made");
    let record: serde_json::Value = serde_json::from_str(&site.record("web").unwrap()).unwrap();
    let next = record["histories"][0]["nextAttempt"].as_i64().unwrap() - notariat::base::time::now().unix();
    assert!(next > 23 * 3600, "somebody has to do something first: {next} s");
    let requests = site.pebble.requests();
    site.once().ends(1).never_says("issuing");
    assert_eq!(site.pebble.requests(), requests);
}
