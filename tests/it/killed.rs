//! notariat is ended at each step of an issuance and started again: nothing is ordered twice, nothing is left behind.
//!
//! Where it dies is chosen from outside, by a proxy before the CA, one before the name server, and by the system calls that it makes.

use std::process::Command;
use std::sync::Arc;

use notariat_lab::tools::tool;
use notariat_lab::{Grant, Hmac, Key, NameServer, Software, Zone, process};
use serde_json::Value;

use crate::support::kill_proxy::{KillProxy, Side, Then, Victim};
use crate::support::run::until;
use crate::support::site::ZONE;
use crate::support::{Run, Site, x509};

const KILLED: i32 = 128 + 9;

/// A file of a Secret and its text.
type Content<'a> = (&'a str, &'a str);

/// More than any test here needs names, one for each certificate that is counted.
const HOSTS: usize = 60;

fn site() -> Site {
    let key = Key::new("notariat.key", Hmac::Sha256);
    let zone =
        (0..HOSTS).fold(Zone::new(ZONE).grant(Grant::Zone(&key)), |zone, n| zone.line(&format!("h{n} A 127.0.0.1")));
    Site::on(NameServer::setup(Software::Bind).zone(zone).start(), key)
}

/// One certificate in a store of its own, of a CA behind a proxy.
struct Case<'s> {
    site: &'s Site,
    ca: &'s KillProxy,
    victim: Arc<Victim>,
    host: String,
}

impl<'s> Case<'s> {
    fn new(site: &'s mut Site, ca: &'s KillProxy, number: usize) -> Case<'s> {
        assert!(number < HOSTS, "the zone has too few hosts");
        site.start_over();
        let host = format!("h{number}.{ZONE}");
        site.config(&site.entry("web", &host, ""));
        Case { site, ca, victim: Arc::default(), host }
    }

    /// One pass, which may be cut short.
    fn run(&self) -> Run {
        self.victim.run(&mut self.command())
    }

    fn command(&self) -> Command {
        let mut command = self.site.command_without_ca(&["-once", "-acme"]);
        command.arg(self.ca.directory());
        command
    }

    fn record(&self) -> Value {
        self.site.record("web").map_or(Value::Null, |record| serde_json::from_str(&record).unwrap())
    }

    fn key_in_flight(&self) -> Option<String> {
        self.site.read("notariat-record.default.web", "next.key")
    }

    /// The Secret holds the certificate, and whatever was begun for it is at an end, after so many orders of one account.
    #[track_caller]
    fn assert_clean(&self, orders: usize, after: &str) {
        x509::assert_valid(&self.site.folder("web"), &self.site.pebble.root_pem(), &[&self.host]);
        let txt = self.site.dns.txt(&format!("_acme-challenge.{}", self.host));
        assert!(txt.is_empty(), "{after}: left behind: {txt:?}");
        let (record, asked) = (self.record(), self.ca.trap.asked());
        assert_eq!(self.ca.trap.count("order-plz"), orders, "{after}: {asked:?}");
        assert!(self.ca.trap.count("certZ") >= 1, "{after}: {asked:?}");
        assert!(self.ca.trap.accounts().len() <= 1, "{after}: {:?}", self.ca.trap.accounts());
        assert!(record["inFlight"].is_null() && record["leftovers"].is_null(), "{after}: {record:#}");
        assert!(record["stored"].is_object() && self.key_in_flight().is_none(), "{after}: {record:#}");
        assert_eq!(record["histories"][0]["orders"].as_array().map(Vec::len), Some(1), "{after}: {record:#}");
        let names = std::fs::read_dir(self.site.folder("web").parent().unwrap()).unwrap();
        let names: Vec<_> = names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        // A Secret is a link to a hidden folder.
        let hidden = names.iter().filter(|name| name.starts_with('.')).count();
        assert_eq!((hidden, names.len()), (3, 7), "{after}: {names:?}");
    }
}

/// Kills at the first request, at the second, ... until a run comes to its end.
fn kill_at_each_request(side: Side) {
    let mut site = site();
    let ca = KillProxy::before_ca(&site.pebble);
    let mut killed_at: Vec<String> = Vec::new();
    for number in 1.. {
        let case = Case::new(&mut site, &ca, number);
        ca.trap.kill_at(&case.victim, number, side);
        let first = case.run();
        if first.code == 0 {
            case.assert_clean(1, "undisturbed");
            break;
        }
        first.ends(KILLED);
        let kind = ca.trap.asked().pop().unwrap();
        let after = format!("killed {side:?} request {number}, {kind}");
        // The order's URL is on record before anything is published, but not yet when its authorizations are read.
        let lost = matches!((kind.as_str(), side), ("order-plz", Side::After) | ("authZ", _));
        // From the claim, which is written before anything is asked for, to the Secret.
        let claimed = !matches!(kind.as_str(), "dir" | "draft-ietf-acme-ari-03");
        assert_eq!(case.record()["inFlight"].is_object(), claimed, "{after}");
        let (key, stored) = (case.key_in_flight(), case.record()["stored"].clone());
        ca.trap.open();
        let second = case.run().ends(0);
        case.assert_clean(if lost { 2 } else { 1 }, &after);
        if let Some(key) = key {
            second.says(&["order-continued"]);
            assert_eq!(case.site.read("web", "tls.key"), Some(key), "{after}: the key of the order is used");
        } else if stored.is_null() {
            second.says(&["issued"]);
        } else {
            second.never_says("issu");
        }
        killed_at.push(kind);
    }
    killed_at.dedup();
    let steps = ["dir", "nonce-plz", "sign-me-up", "order-plz", "authZ", "chalZ", "my-order", "finalize-order"];
    assert_eq!(killed_at[..steps.len()], steps);
    assert!(killed_at.contains(&"certZ".to_owned()), "{killed_at:?}");
}

#[test]
fn killed_before_each_request_to_the_ca_it_goes_on() {
    kill_at_each_request(Side::Before);
}

#[test]
fn killed_with_each_answer_of_the_ca_under_way_it_goes_on() {
    kill_at_each_request(Side::After);
}

/// The first UPDATE publishes, the second one withdraws.
#[test]
fn killed_around_an_update_it_withdraws_what_is_published() {
    let mut site = site();
    let ca = KillProxy::before_ca(&site.pebble);
    for (place, (number, side, published)) in
        [(1, Side::Before, 0), (1, Side::After, 1), (2, Side::Before, 1), (2, Side::After, 0)].into_iter().enumerate()
    {
        let dns = KillProxy::before_dns(&site.dns);
        let case = Case::new(&mut site, &ca, place);
        case.site.config(
            &case.site.entry("web", &case.host, "").replace(&case.site.dns.addr().to_string(), &dns.addr().to_string()),
        );
        ca.trap.set(|_| Then::GoOn);
        dns.trap.kill_at(&case.victim, number, side);
        let after = format!("killed {side:?} UPDATE {number}");
        case.run().ends(KILLED);
        assert_eq!(case.site.dns.txt(&format!("_acme-challenge.{}", case.host)).len(), published, "{after}");
        let key = case.key_in_flight();
        assert!(key.is_some(), "{after}: the key is on record before anything is published");
        dns.trap.open();
        case.run().ends(0).says(&["order-continued"]);
        case.assert_clean(1, &after);
        assert_eq!(case.site.read("web", "tls.key"), key, "{after}");
    }
}

/// Every write of a Secret, of the record and of the account takes effect with one rename; where a Secret was a plain folder, which
/// is moved out of the way, with two.
#[test]
fn killed_before_each_write_takes_effect_it_goes_on() {
    let mut site = site();
    let ca = KillProxy::before_ca(&site.pebble);
    let (mut killed, mut without_record) = (0, 0);
    for number in 1.. {
        let case = Case::new(&mut site, &ca, number);
        let (chain, key) = x509::make(&[&case.host], "somebody", -90, -1);
        case.site.secret("web", &[("tls.crt", &chain), ("tls.key", &key), ("ca.crt", "theirs")]);
        ca.trap.set(|_| Then::GoOn);
        let notariat = case.command();
        let mut traced = Command::new(tool("strace"));
        // Killed when it makes the call, before the system does it. On some machines the call has a longer name.
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=/^rename", "-e"]);
        traced.arg(format!("inject=/^rename:signal=KILL:when={number}"));
        // Each thread's calls are counted by themselves: one worker makes all writes.
        let first = Run::of(traced.arg(notariat.get_program()).args(notariat.get_args()).args(["-workers", "1"]));
        if first.code == 0 {
            case.assert_clean(1, "undisturbed");
            break;
        }
        first.ends(KILLED);
        killed = number;
        let requests = ca.trap.asked();
        let (key_in_flight, record) = (case.key_in_flight(), case.record());
        let ordered = requests.contains(&"order-plz".to_owned());
        let (now, stored) = (case.site.read("web", "tls.key"), record["stored"].is_object());
        // Whoever reads the Secret finds the old pair or the new one, but for the moment between the two renames.
        if !stored && now.as_ref().is_none_or(|now| *now != key) {
            let hidden = case.site.read(".web.plain", "tls.key");
            assert!(now == key_in_flight || now.is_none() && hidden == Some(key), "rename {number}: {now:?}");
        }
        let after = format!("killed before rename {number}, after {requests:?}");
        let second = case.run().ends(0);
        case.assert_clean(if ordered && key_in_flight.is_none() && !stored { 2 } else { 1 }, &after);
        assert_eq!(case.site.read("web", "ca.crt").as_deref(), Some("theirs"), "{after}: what others keep stays");
        if key_in_flight.is_some() {
            assert_eq!(case.site.read("web", "tls.key"), key_in_flight, "{after}");
        }
        // The Secret was written and the record not: nobody is asked for what is there.
        if now == key_in_flight && now.is_some() && !stored {
            without_record += 1;
            second.never_says("issu");
        }
    }
    assert!(killed >= 7, "account twice, record three times, Secret twice: {killed}");
    assert_eq!(without_record, 1);
}

/// The CA's resolver stands still, so that the CA is looking when notariat is told to stop.
#[test]
fn stopped_while_the_ca_looks_it_leaves_the_value_and_continues_the_order() {
    let mut site = site();
    let ca = KillProxy::before_ca(&site.pebble);
    let case = Case::new(&mut site, &ca, 1);
    let (victim, resolver) = (Arc::clone(&case.victim), case.site.resolver.pid());
    ca.trap.set(move |moment| {
        match (moment.kind, moment.side) {
            ("chalZ", Side::Before) => process::signal(resolver, "STOP"),
            ("chalZ", Side::After) => process::signal(victim.pid(), "TERM"),
            _ => {}
        }
        Then::GoOn
    });
    // A pass that is cut short does not know whether all is well.
    let run = case.run();
    let txt = case.site.dns.txt(&format!("_acme-challenge.{}", case.host));
    process::signal(resolver, "CONT");
    run.ends(75).says(&["stopping"]).never_says("failed");
    assert_eq!(txt.len(), 1, "withdrawn under a validation that runs");
    let record = case.record();
    assert_eq!(record["inFlight"]["holder"], "", "given back: {record:#}");
    let order = record["inFlight"]["order"].as_str().unwrap().to_owned();

    ca.trap.open();
    case.run().ends(0).says(&[&format!("order-continued secret=default/web order={order}")]);
    case.assert_clean(1, "stopped");
}

#[test]
fn an_order_that_can_not_be_continued_is_made_again_once() {
    let mut site = site();
    let ca = KillProxy::before_ca(&site.pebble);
    for (number, gone) in ["invalid", "unknown", "all forgotten"].into_iter().enumerate() {
        let case = Case::new(&mut site, &ca, number);
        let (victim, resolver) = (Arc::clone(&case.victim), case.site.resolver.pid());
        ca.trap.set(move |moment| match (moment.kind, moment.side) {
            ("chalZ", Side::Before) if gone == "invalid" => {
                process::signal(resolver, "KILL");
                Then::GoOn
            }
            // The answer may tell already that the name was refused.
            ("chalZ", Side::After) if gone == "invalid" => victim.kill(),
            // The challenge is answered and its value is there.
            ("my-order", Side::Before) => victim.kill(),
            _ => Then::GoOn,
        });
        case.run().ends(KILLED);
        let order = case.record()["inFlight"]["order"].as_str().unwrap().to_owned();
        match gone {
            "invalid" => {
                until("the CA has refused the name", || case.site.pebble.log().contains("set INVALID"));
                case.site.resolver.start_again();
            }
            "unknown" => {
                let file = case.site.folder("notariat-record.default.web").join("record");
                let record = std::fs::read_to_string(&file).unwrap();
                std::fs::write(&file, record.replace(&order, &format!("{order}x"))).unwrap();
            }
            _ => case.site.pebble.restart(),
        }
        ca.trap.set(|_| Then::GoOn);
        case.run().ends(0).never_says("order-continued").says(&["issued secret=default/web"]);
        // Who has forgotten the account refuses its order, and takes it from the account that is made then.
        let forgotten = usize::from(gone == "all forgotten");
        case.assert_clean(1 + forgotten, gone);
        assert_eq!(ca.trap.count("sign-me-up"), forgotten, "{gone}");
    }
}

/// Another program puts an old certificate back whenever there is a new one.
#[test]
fn against_a_second_writer_four_certificates_are_ordered_and_no_more() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    let (chain, key) = x509::make(&["www.site.test"], "somebody", -90, -1);
    let mut last = String::new();
    for pass in 1..=6 {
        site.secret("web", &[("tls.crt", &chain), ("tls.key", &key)]);
        let run = site.once();
        if pass <= 4 {
            run.ends(0).says(&["issued secret=default/web"]);
            site.assert_valid("web", &["www.site.test"]);
            last = site.record("web").unwrap();
        } else {
            run.ends(1).says(&["waiting secret=default/web state=Capped until=", "reason=Expired"]).never_says("issu");
            assert_eq!(site.read("web", "tls.crt").as_deref(), Some(&*chain));
        }
    }
    // An order that is refused with `replaces` is asked for once more without, so that finalized ones are counted.
    let ordered = site.pebble.request_lines().iter().filter(|line| line.contains("finalize-order")).count();
    assert_eq!(ordered, 4, "{last}");
}

/// All of it happens while notariat is not there to see it.
#[test]
fn what_is_done_to_stored_secrets_is_undone_without_the_ca() {
    let site = Site::new();
    let (other_chain, other_key) = x509::make(&["x.site.test"], "somebody", -10, 80);
    let garbage = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
    let rows: &[(&str, &str, &str, &[Content<'_>])] = &[
        ("deleted", "www", "SecretMissing", &[]),
        ("emptied", "a", "Unparsable", &[("tls.crt", ""), ("tls.key", "")]),
        ("garbage", "b", "Unparsable", &[("tls.crt", garbage)]),
        ("binary", "c", "Unparsable", &[("tls.crt", "\0\u{1}\u{2}"), ("tls.key", "\0")]),
        ("swapped", "d", "KeyMismatch", &[("tls.key", &other_key)]),
        ("other", "one", "KeyMismatch", &[("tls.crt", &other_chain)]),
    ];
    site.config(
        &rows.iter().map(|(name, host, ..)| site.entry(name, &format!("{host}.{ZONE}"), "")).collect::<String>(),
    );
    site.once().ends(0);
    let before: Vec<_> =
        rows.iter().map(|(name, ..)| (site.read(name, "tls.crt"), site.read(name, "tls.key"))).collect();
    let requests = site.pebble.requests();
    for (name, _, _, files) in rows {
        if files.is_empty() {
            std::fs::remove_file(site.folder(name)).unwrap();
        }
        site.secret(name, files);
    }
    let run = site.once().ends(0).never_says("issu");
    for ((name, host, reason, _), before) in rows.iter().zip(before) {
        let said = format!("restored secret=default/{name} reason={reason}");
        assert!(run.log.contains(&said), "{said}\n{}", run.log);
        assert_eq!((site.read(name, "tls.crt"), site.read(name, "tls.key")), before, "{name}");
        site.assert_valid(name, &[&format!("{host}.{ZONE}")]);
    }
    assert_eq!(site.pebble.requests(), requests, "the CA was not asked");
}
