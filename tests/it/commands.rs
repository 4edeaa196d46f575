//! The commands: a renewal, a revocation, a new account key.

use crate::support::ca::{Ca, Kind};
use crate::support::run::notariat;
use crate::support::{Run, Site, x509};

fn command(site: &Site, arguments: &[&str]) -> Run {
    Run::of(notariat().args(arguments).arg("-local").arg(site.store.path()).arg("-acme-ca").arg(site.pebble.ca_file()))
}

fn orders(site: &Site) -> usize {
    site.pebble.request_lines().iter().filter(|line| line.contains("order-plz")).count()
}

#[test]
fn renew_asks_the_running_notariat_which_serves_it_once() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    let daemon = site.daemon();
    daemon.until_it_says("valid secret=default/web");
    let serial = x509::serial(&site.folder("web"));
    let run = command(&site, &["renew", "web"]).ends(0);
    assert!(run.stdout.contains("default/web: a renewal is asked for"), "{}", run.stdout);
    daemon.until_it_says("reason=RenewalRequested");
    daemon.until("another certificate", || x509::serial(&site.folder("web")) != serial);
    assert_eq!(daemon.terminate(), 0);
    site.once().ends(0).never_says("issu");
    command(&site, &["renew", "nothing"]).ends(1).says(&[
        "the Secret default/nothing does not exist, and neither does its record: are the name and -namespace right?",
    ]);
}

/// A write between two steps of an order would cut it off.
#[test]
fn renew_leaves_the_record_of_an_order_under_way_alone() {
    use notariat::base::time;
    use notariat::record::{PendingOrder, Record};
    let site = Site::new();
    for (holder, code) in [("pod/1", 1), ("", 0)] {
        let mut record = Record::default();
        let order = PendingOrder::new(holder, time::now(), &[], "https://ca.test/dir", ("ecdsa-p256", None));
        record.body.in_flight = Some(Box::new(order));
        let data = record.data(time::now());
        let text = std::str::from_utf8(data["record"].expose()).unwrap();
        site.secret("notariat-record.default.web", &[("type", "notariat/record"), ("record", text)]);
        let run = command(&site, &["renew", "web"]).ends(code);
        assert_eq!(run.log.contains("an order is under way"), code == 1, "{}", run.log);
        let asked = site.read("notariat-record.default.web", "annotations.json").unwrap_or_default();
        assert_eq!(asked.contains("notariat/renew"), code == 0, "{asked}");
    }
}

/// The cap is for loops; who says -force knows that.
#[test]
fn only_renew_with_force_goes_beyond_the_cap() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    site.once().ends(0);
    for _ in 0..3 {
        command(&site, &["renew", "web"]).ends(0);
        // Two wishes within a second are the same one.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        site.once().ends(0).says(&["reason=RenewalRequested"]);
    }
    assert_eq!(orders(&site), 4);
    command(&site, &["renew", "web"]).ends(0);
    site.once().ends(1).says(&["waiting secret=default/web state=Capped"]);
    assert_eq!(orders(&site), 4);
    command(&site, &["renew", "-force", "web"]).ends(0);
    site.once().ends(0).says(&["issued secret=default/web"]);
    assert_eq!(orders(&site), 5);
}

#[test]
fn an_account_gets_a_new_key_and_stays_the_same_account() {
    let site = Site::new();
    site.config(&site.entry("a", "a.site.test", ""));
    let run = site.once().ends(0);
    let account = run.log.split("account=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let secret = run.log.split("secret=default/notariat-acme-").nth(1).unwrap().split_whitespace().next().unwrap();
    let secret = format!("notariat-acme-{secret}");
    let key = site.read(&secret, "key").unwrap();

    let run = command(&site, &["account", "rollover", &secret]).ends(0);
    assert!(run.stdout.contains(&format!("the account {account} has a new key")), "{}", run.stdout);
    assert_ne!(site.read(&secret, "key").unwrap(), key);
    assert!(site.read(&secret, "next.key").is_none());
    site.config(&site.entry("b", "b.site.test", ""));
    site.once().ends(0).says(&["issued secret=default/b", &format!("account={account}")]);
    let registered = site.pebble.request_lines().iter().filter(|line| line.contains("sign-me-up")).count();
    assert_eq!(registered, 1, "no second account");

    // A crash after the CA took the new key and before that was written down: the CA knows which of the two is the account's.
    let new = site.read(&secret, "key").unwrap();
    let crashed = |key: &str, next: &str, name: &str| {
        let folder = site.folder(&secret);
        std::fs::write(folder.join("key"), key).unwrap();
        std::fs::write(folder.join("next.key"), next).unwrap();
        site.config(&site.entry(name, &format!("{name}.site.test"), ""));
        site.once().ends(0).says(&[&format!("account={account}")])
    };
    crashed(&key, &new, "c").says(&["account-key-settled"]);
    assert_eq!((site.read(&secret, "key"), site.read(&secret, "next.key")), (Some(new.clone()), None));
    // The CA does not know the next one: perhaps another process is about to tell it, so both stay.
    crashed(&new, &key, "d").never_says("account-key-settled");
    assert_eq!((site.read(&secret, "key"), site.read(&secret, "next.key")), (Some(new), Some(key)));
    command(&site, &["account", "rollover", &secret]).ends(0);
    assert!(site.read(&secret, "next.key").is_none());
    command(&site, &["account", "rollover", "a"]).ends(1).says(&["is not the Secret of an ACME account"]);
}

#[test]
fn a_ca_that_changes_no_account_keys_leaves_no_second_key_behind() {
    let site = Site::new();
    let answer = std::sync::Arc::new(std::sync::Mutex::new((0, "")));
    let told = answer.clone();
    let ca = Ca::start(&site.pebble, move |asked, reply| {
        let (status, word) = *told.lock().unwrap();
        // What a change of keys signs is signed itself.
        let is_change = asked.kind == Kind::Other && asked.payload["protected"].is_string();
        match asked.kind {
            _ if is_change && status > 0 => reply.refuse(status, word, "not for you"),
            // The account is not known by the new key: what is behind us has changed it.
            Kind::Other if status > 0 => reply.refuse(401, "unauthorized", "who?"),
            Kind::Directory if status == 0 => {
                reply.edit(|directory| drop(directory.as_object_mut().unwrap().remove("keyChange")));
            }
            _ => {}
        }
    });
    site.config(&site.entry("a", "a.site.test", ""));
    let run = Run::of(&mut ca.command(&site, &["-once"])).ends(0);
    let secret = run.log.split("secret=default/notariat-acme-").nth(1).unwrap().split_whitespace().next().unwrap();
    let secret = format!("notariat-acme-{secret}");
    let key = site.read(&secret, "key").unwrap();
    for refusal in [(403, "unauthorized"), (501, "serverInternal"), (0, "")] {
        *answer.lock().unwrap() = refusal;
        command(&site, &["account", "rollover", &secret])
            .ends(1)
            .says(&["offers no change of account keys", "the key stays"]);
        assert_eq!(
            (site.read(&secret, "key"), site.read(&secret, "next.key")),
            (Some(key.clone()), None),
            "{refusal:?}"
        );
    }
    // Busy: nobody knows, so both stay.
    *answer.lock().unwrap() = (429, "rateLimited");
    command(&site, &["account", "rollover", &secret]).ends(1);
    assert!(site.read(&secret, "next.key").is_some());
}
