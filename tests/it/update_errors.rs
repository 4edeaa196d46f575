//! The answers of a server to an UPDATE that it does not carry out, and the sentence that notariat makes of it.
//!
//! Every scenario is met by nsupdate and knsupdate as well: what they say proves that it is the one its name says.

mod scenarios;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use notariat::base::time::{self, Deadline};
use notariat::config::dns::Transport;
use notariat::dns::client::{DnsClient, UpdateError};
use notariat::dns::tsig;
use notariat::dns::tsig_key::parse_keys;
use notariat::dns::update::{Action, TxtValue, Update};
use notariat::dns::update_error::UpdateAttempt;
use notariat::dns::zone;
use notariat_lab::tools::{output, tool, try_output};
use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Place, Resolver, Scratch, Software, Zone};

use crate::support::{Run, Site};
use scenarios::{SCENARIOS, Servers, zone};

#[test]
fn each_refusal_of_bind_is_told_in_one_sentence() {
    refusals(Software::Bind);
}

#[test]
fn each_refusal_of_knot_is_told_in_one_sentence() {
    refusals(Software::Knot);
}

#[test]
fn each_refusal_of_powerdns_is_told_in_one_sentence() {
    refusals(Software::PowerDns);
}

fn refusals(software: Software) {
    let (key, of_others) = (Key::new("notariat.key", Hmac::Sha256), Key::new("others.key", Hmac::Sha256));
    let Servers { main, secondary, read_only, files: _files } = Servers::start(software, &key, &of_others);
    let site = site(main, &key);
    let mut config = String::new();
    let mut rows = Vec::new();
    for (name, zone, words) in SCENARIOS {
        let Some(words) = words[software as usize] else { continue };
        let server = match *name {
            "secondary" => secondary.as_ref(),
            "read-only" => read_only.as_ref(),
            _ => None,
        };
        let server = server.unwrap_or(&site.dns);
        let key = match *name {
            "unknown-key" => Key::new("nobody.key", Hmac::Sha256),
            "other-algorithm" => Key { algorithm: Hmac::Sha512, ..key.clone() },
            "wrong-secret" => key.with_another_secret(),
            "key-of-others" => of_others.clone(),
            _ => key.clone(),
        };
        let host = if *name == "no-apex" { (*zone).to_owned() } else { format!("www.{zone}") };
        site.secret(&format!("tsig-{name}"), &[("key", &key.secret_text())]);
        config += &format!(
            "- {{secret: {name}, domains: [{host}], email: a@site.test, tsigSecretName: tsig-{name}, dns: {{server: '{}', zone: {zone}}}}}\n",
            server.addr()
        );
        rows.push((*name, *zone, format!("_acme-challenge.{host}"), server, key, words));
    }
    site.config(&config);
    let run = Run::of(&mut site.command(&["-once", "-log-level", "debug"]))
        .ends(1)
        .never_says("answered ")
        .never_says("left-behind");
    for (name, zone, owner, server, key, (says, nsupdate, knsupdate)) in rows {
        let failed = format!("failed secret=default/{name} ");
        let line = run.log.lines().find(|line| line.contains(&failed));
        let line = line.unwrap_or_else(|| panic!("{name} did not fail:\n{}", run.log));
        let address = server.addr().to_string();
        let of_row = |part: &str| {
            let part = part.replace("<zone>", zone).replace("<owner>", &owner).replace("<server>", &address);
            part.replace("<key>", &key.name).replace("<algorithm>", key.algorithm.name())
        };
        for part in says.iter().map(|part| of_row(part)) {
            assert!(line.contains(&part), "{name}: {part:?} is not in {line}");
        }
        let change = format!("add {owner}. 60 TXT test");
        if name == "no-zone" {
            said(name, server.nsupdate(&key, zone, &change), &format!("update failed: {nsupdate}\n"));
        } else {
            let (ip, port, algorithm) = (server.addr().ip(), server.addr().port(), key.algorithm.name());
            let begin = format!("UPDATE of {zone} at {ip}:{port} with the key {} ({algorithm}): ", key.name);
            assert!(line.contains(&begin), "{name}: {begin:?} is not in {line}");
            said(name, by_hand(line, &key), &format!("update failed: {nsupdate}\n"));
        }
        said(name, server.knsupdate(&key, zone, &change), &format!("status: {knsupdate};"));
        assert!(server.txt(&owner).is_empty(), "{name}: nothing is written");
        assert_eq!(site.read(name, "tls.crt"), None, "{name}");
        assert!(!run.log.contains(&key.secret[..10]), "{name}: a part of the secret is in the log:\n{}", run.log);
    }
    // Who signs nothing. notariat always does.
    let (ip, port) = (site.dns.addr().ip(), site.dns.addr().port());
    let script = format!("server {ip} {port}\nzone site.test.\nadd x.site.test. 60 TXT test\nsend\n");
    let word = if software == Software::Knot { "NOTAUTH" } else { "REFUSED" };
    let unsigned = |program| try_output(&mut Command::new(tool(program)), &script).map(drop);
    said("unsigned", unsigned("nsupdate"), &format!("update failed: {word}\n"));
    said("unsigned", unsigned("knsupdate"), &format!("status: {word};"));
    for zone in ["site.test", "fixed.test"] {
        assert_eq!(site.dns.serial(zone), 1, "{zone} is as it was");
    }
}

/// A store for a server that runs already.
fn site(dns: NameServer, key: &Key) -> Site {
    let resolver = Resolver::setup().place(dns.place()).forward("site.test", dns.addr()).start();
    let pebble = Pebble::setup().place(dns.place()).dns_server(resolver.addr()).start();
    let site = Site { store: Scratch::new("store"), dns, resolver, pebble, key: key.clone() };
    site.secret("tsigkey", &[("key", &key.secret_text())]);
    site
}

#[track_caller]
fn said(name: &str, done: Result<(), String>, words: &str) {
    let error = done.err().unwrap_or_else(|| panic!("{name}: it was done"));
    assert!(error.contains(words), "{name}: not {words:?} but {error}");
}

/// Runs the two lines that end a sentence as a person would: `dig`, then `nsupdate` with a key file.
fn by_hand(sentence: &str, key: &Key) -> Result<(), String> {
    let (_, lines) = sentence.split_once("By hand: `").unwrap();
    let lines: Vec<&str> = lines.split('`').collect();
    let shell = |line: &str| try_output(Command::new("sh").args(["-c", line]), "");
    assert!(shell(lines[0]).unwrap().contains("Got answer"), "{}", lines[0]);
    let folder = Scratch::new("by-hand");
    shell(&lines[2].replace("KEYFILE", key.nsupdate_file(&folder).to_str().unwrap())).map(drop)
}

/// Adds a value in the way notariat does; the error is the sentence.
fn add(server: &NameServer, key: &Key, zone: &str, owner: &str) -> Result<(), String> {
    let (zone, key) = (zone.parse().unwrap(), parse_keys(&key.secret_text()).unwrap().remove(0));
    let values = [TxtValue { owner: owner.parse().unwrap(), value: "test".to_owned() }];
    let update = Update { zone: &zone, action: Action::Add { ttl: 60, in_use: &[] }, values: &values };
    let to = zone::NameServer { label: server.addr().to_string(), address: server.addr() };
    let deadline = Deadline::after(Duration::from_secs(20));
    let done = DnsClient::default().update(to.address, &update, &key, Transport::Auto, deadline);
    done.map_err(|e| UpdateAttempt { server: &to, update: &update, key: &key, at: time::now() }.sentence(&e))
}

#[test]
fn a_cname_in_the_way_and_a_name_elsewhere_are_told() {
    for software in Software::ALL {
        let key = Key::new("k", Hmac::Sha256);
        let zone = zone("site.test").grant(Grant::Zone(&key)).line("_acme-challenge.www CNAME x.site.test.");
        let dns = NameServer::setup(software).zone(zone).start();
        let owner = "_acme-challenge.www.site.test";
        let sentence = add(&dns, &key, "site.test", owner).unwrap_err();
        assert!(sentence.contains(&format!("YXRRSET: {owner} has a CNAME of its own")), "{software:?}: {sentence}");
        // Without our prerequisite two of them agree and do nothing.
        let change = format!("add {owner}. 60 TXT test");
        for done in [dns.nsupdate(&key, "site.test", &change), dns.knsupdate(&key, "site.test", &change)] {
            assert_eq!(done.is_ok(), software != Software::PowerDns, "{software:?}: {done:?}");
        }
        let asked = format!("prereq nxrrset {owner}. CNAME\nupdate {change}");
        said("CNAME", dns.nsupdate(&key, "site.test", &asked), "update failed: YXRRSET\n");

        // No configuration leads here: a zone counts only for names inside it.
        let elsewhere = "_acme-challenge.www.else.test";
        let sentence = add(&dns, &key, "site.test", elsewhere).unwrap_err();
        let expected = format!("NOTZONE: {elsewhere} is not inside site.test. Is `dns.zone` right? • By hand: `dig");
        assert!(sentence.contains(&expected), "{software:?}: {sentence}");
        said("elsewhere", by_hand(&sentence, &key), "update failed: NOTZONE\n");
        let change = format!("add {elsewhere}. 60 TXT test");
        said("elsewhere", dns.knsupdate(&key, "site.test", &change), "status: NOTZONE;");
        assert!(dns.txt(owner).is_empty() && dns.serial("site.test") == 1, "{software:?}: nothing is written");
    }
}

/// Sent for the parent, an UPDATE below a delegation is agreed to and shows nowhere.
#[test]
fn a_name_below_a_delegation_is_written_to_the_child_although_the_parent_is_configured() {
    for software in Software::ALL {
        let (place, key) = (Place::new_namespace(), Key::new("k", Hmac::Sha256));
        let child = NameServer::setup(Software::Bind).place(&place).address("127.0.0.3:53");
        let child = child.zone(zone("child.site.test").grant(Grant::Zone(&key))).start();
        let parent = Zone::new("site.test").grant(Grant::Zone(&key)).line("child NS ns1.child");
        let parent = parent.line("ns1.child A 127.0.0.3").line("lame NS ns.else.test.");
        let site = site(NameServer::setup(software).place(&place).address("127.0.0.2:53").zone(parent).start(), &key);
        let owner = "_acme-challenge.www.child.site.test";
        let change = format!("add {owner}. 60 TXT test");
        site.dns.nsupdate(&key, "site.test", &change).unwrap();
        site.dns.knsupdate(&key, "site.test", &change).unwrap();
        assert!(site.dns.txt(owner).is_empty() && site.resolver.txt(owner).is_empty(), "{software:?}: it is invisible");

        let dns = format!("dns: {{server: '{}', zone: site.test, propagation: primary}}", site.dns.addr());
        let entry = |secret| {
            format!(
                "- {{secret: {secret}, domains: [www.{secret}.site.test], email: a@site.test, tsigSecretName: tsigkey, {dns}}}\n"
            )
        };
        site.config(&[entry("child"), entry("lame")].concat());
        let updates = site.dns.updates();
        let command = site.command(&["-once"]);
        Run::of(place.command(command.get_program()).args(command.get_args())).ends(1).says(&[
            "issued secret=default/child names=www.child.site.test",
            "failed secret=default/lame stage=zone",
            "says that lame.site.test is a zone of its own, and no server of it is found",
        ]);
        site.assert_valid("child", &["www.child.site.test"]);
        assert_eq!((child.updates(), site.dns.updates()), (2, updates), "{software:?}: none went to the parent");
    }
}

#[test]
fn a_clock_that_differs_is_told_once_and_used_from_then_on() {
    let key = Key::new("k", Hmac::Sha256);
    let site_of = |software, seconds| {
        let zone =
            ["a", "b"].iter().fold(Zone::new("site.test"), |zone, host| zone.line(&format!("{host} A 127.0.0.1")));
        let dns = NameServer::setup(software).clock(seconds).zone(zone.grant(Grant::Zone(&key))).start();
        let site = site(dns, &key);
        site.config(&[site.entry("a", "a.site.test", ""), site.entry("b", "b.site.test", "")].concat());
        site
    };
    let once = |site: &Site| Run::of(&mut site.command(&["-once", "-workers", "1"]));
    for software in Software::ALL {
        let site = site_of(software, 240);
        once(&site).ends(0).never_says("clock");
        assert_eq!(site.dns.updates(), 4, "{software:?}: TSIG allows so much");
    }
    let change = "add x.site.test. 60 TXT test";
    for software in [Software::Bind, Software::Knot] {
        for (seconds, which) in [(1000, "behind"), (-1000, "ahead of")] {
            let site = site_of(software, seconds);
            said("clock", site.dns.nsupdate(&key, "site.test", change), "update failed: NOTAUTH(BADTIME)\n");
            said("clock", site.dns.knsupdate(&key, "site.test", change), "status: BADTIME;");
            let before = site.dns.updates();
            let warning = format!("hint=\"this machine's clock is 16m {which} the server's; set the clocks (NTP)\"");
            let run = once(&site)
                .ends(0)
                .says(&[&format!("WARN  [notariat] clocks-differ server={} {warning}", site.dns.addr())]);
            assert_eq!(run.log.matches("clocks-differ").count(), 1, "{}", run.log);
            site.assert_valid("a", &["a.site.test"]);
            site.assert_valid("b", &["b.site.test"]);
            assert_eq!(site.dns.updates() - before, 5, "{software:?}: four, and one by our own clock");
        }
    }
    for seconds in [1000, -1000] {
        let site = site_of(Software::PowerDns, seconds);
        said("clock", site.dns.nsupdate(&key, "site.test", change), "update failed: REFUSED\n");
        said("clock", site.dns.knsupdate(&key, "site.test", change), "status: REFUSED;");
        once(&site)
            .ends(1)
            .says(&["REFUSED, unsigned: compare name, algorithm and secret", "a clock that is more than 5m off"]);
        assert_eq!(site.dns.serial("site.test"), 1);
    }
}

#[test]
fn a_difference_of_clocks_that_can_not_be_used_is_told() {
    for software in [Software::Bind, Software::Knot] {
        let key = Key::new("k", Hmac::Sha256);
        let dns = NameServer::setup(software).zone(zone("site.test").grant(Grant::Zone(&key))).start();
        let (zone, key) = ("site.test".parse().unwrap(), parse_keys(&key.secret_text()).unwrap().remove(0));
        let update = Update { zone: &zone, action: Action::Delete, values: &[] };
        let server = zone::NameServer { label: dns.addr().to_string(), address: dns.addr() };
        for (at, which) in
            [(time::now() - Duration::from_secs(1000), "behind"), (time::now() + Duration::from_secs(1000), "ahead of")]
        {
            let (message, pending) = tsig::sign(&key, &update.message(7), at);
            let mut stream = TcpStream::connect(dns.addr()).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            stream.write_all(&[&u16::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat()).unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut answer = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut answer).unwrap();
            let error = UpdateError::Rejected(pending.check(&answer, at).unwrap_err());
            let sentence = UpdateAttempt { server: &server, update: &update, key: &key, at }.sentence(&error);
            let expected = format!(
                "BADTIME: this machine's clock is 16m {which} the server's; TSIG allows 5m. Set the clocks (NTP) • By hand: "
            );
            assert!(sentence.contains(&expected), "{software:?}: {sentence}");
        }
    }
}

/// The text between the first `from` and the next `to`.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    text.split_once(from).unwrap().1.split_once(to).unwrap().0
}

#[test]
fn the_line_that_a_refusal_says_to_set_lets_the_key_in() {
    let (key, of_others) = (Key::new("k.key", Hmac::Sha256), Key::new("others", Hmac::Sha256));
    let owner = "_acme-challenge.www.site.test";
    for software in Software::ALL {
        let setup = || NameServer::setup(software).key(&key).zone(zone("up.test"));
        let closed = setup().zone(zone("site.test").grant(Grant::Zone(&of_others))).start();
        let sentence = add(&closed, &key, "site.test", owner).unwrap_err();
        let open = match software {
            Software::Bind => {
                let line = format!("update-policy {{ {} }};", between(&sentence, "• BIND: `", "`"));
                setup().zone(zone("site.test").server_line(&line)).start()
            }
            Software::Knot => {
                let acl: Vec<&str> = between(&sentence, "an acl with `", "` • PowerDNS").split("`, `").collect();
                let acl = format!("acl:\n  - id: open\n    {}", acl.join("\n    "));
                setup().option(&acl).zone(zone("site.test").server_line("acl: open")).start()
            }
            Software::PowerDns => {
                let mut words = between(&sentence, "PowerDNS: `pdnsutil ", "`").split(' ');
                let config = format!("--config-dir={}", closed.directory().display());
                output(Command::new(tool("pdnsutil")).arg(config).args(&mut words));
                closed
            }
        };
        add(&open, &key, "site.test", owner).unwrap_or_else(|e| panic!("{software:?}: {e}"));
        assert_eq!(open.txt(owner), ["test"], "{software:?}");
    }
}
