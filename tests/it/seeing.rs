//! The written values are seen before the CA is asked, and afterwards exactly they are withdrawn.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::process::signal;
use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Place, Port, Resolver, Scratch, Software, Zone};

use crate::support::{Run, Site};

const WWW: &str = "_acme-challenge.www.site.test";

fn zone(key: &Key) -> Zone {
    Zone::new("site.test").grant(Grant::Zone(key)).line("www A 127.0.0.1")
}

/// A primary that is BIND, and a secondary that it tells of changes after `notify_delay` seconds, or never.
fn with_secondary(secondary: Software, notify_delay: Option<u32>) -> (Site, NameServer, Port) {
    let (key, transfer, port) = (Key::new("k", Hmac::Sha256), Key::new("transfer", Hmac::Sha256), Port::new());
    let at = port.at(Ipv4Addr::LOCALHOST);
    let mut setup = NameServer::setup(Software::Bind).zone(zone(&key)).transfer_key(&transfer);
    if let Some(seconds) = notify_delay {
        setup = setup.also_notify(at).notify_delay(seconds);
    }
    let primary = setup.start();
    let secondary =
        NameServer::setup(secondary).address(at).secondary_of(primary.addr(), &transfer, &["site.test"]).start();
    (Site::on(primary, key), secondary, port)
}

/// How often the CA was told to look.
fn challenges(site: &Site) -> usize {
    site.pebble.request_lines().iter().filter(|line| line.starts_with("POST /chalZ/")).count()
}

#[test]
fn a_lagging_secondary_is_waited_for() {
    thread::scope(|scope| {
        for secondary in [Software::Bind, Software::Knot] {
            scope.spawn(move || {
                let (mut site, secondary, _port) = with_secondary(secondary, Some(1));
                // The CA sees what the secondary shows, so that to ask it too early fails.
                site.resolver = Resolver::setup().forward("site.test", secondary.addr()).start();
                site.pebble = Pebble::setup().dns_server(site.resolver.addr()).start();
                let dns = format!("propagationNameservers: ['{}']", secondary.addr());
                site.config(&site.entry_with("web", "www.site.test", &dns));
                site.once().ends(0).never_says("server-given-up");
                site.assert_valid("web", &["www.site.test"]);
                assert_eq!(challenges(&site), 1);
            });
        }
    });
}

#[test]
fn a_stopped_secondary_is_named_and_no_longer_waited_for() {
    let (site, secondary, _port) = with_secondary(Software::Bind, Some(0));
    secondary.stop();
    let address = secondary.addr();
    let dns = format!("propagationNameservers: ['{}', '{address}'], propagationTimeout: 4s", site.dns.addr());
    site.config(&site.entry_with("web", "www.site.test", &dns));
    site.once()
        .ends(0)
        .says(&[&format!("server-given-up secret=default/web zone=site.test server=\"{address}: no answer (")]);
    site.assert_valid("web", &["www.site.test"]);
}

#[test]
fn a_secondary_that_never_gets_the_values_ends_with_a_table_and_the_ca_is_not_asked() {
    for secondary in [Software::Bind, Software::Knot] {
        let (site, secondary, _port) = with_secondary(secondary, None);
        let (primary, address) = (site.dns.addr(), secondary.addr());
        let dns = format!("propagationNameservers: ['{address}'], propagationTimeout: 1s");
        site.config(&site.entry_with("web", "www.site.test", &dns));
        site.once().ends(1).says(&[
            "stage=propagation",
            "the TXT values in site.test were not seen on every server in time, so the CA was not asked: ",
            &format!(" {primary}: present, serial 2; {address}: NXDOMAIN without the value at {WWW}, serial 1"),
        ]);
        assert_eq!(challenges(&site), 0);
        assert_eq!((site.dns.txt(WWW).len(), site.dns.updates()), (0, 2), "and withdrawn");
    }
}

/// PowerDNS leaves out what its policy refuses, and says NOERROR under its signature.
#[test]
fn an_update_that_is_agreed_to_and_not_done_is_noticed() {
    let (key, scratch) = (Key::new("k", Hmac::Sha256), Scratch::new("policy"));
    let policy = scratch.write("policy.lua", "function updatepolicy(input) return false end\n");
    let option = format!("lua-dnsupdate-policy-script={}", policy.display());
    let site = Site::on(NameServer::setup(Software::PowerDns).zone(zone(&key)).option(&option).start(), key);
    site.config(&site.entry_with("web", "www.site.test", "propagationTimeout: 1s"));
    let shown = format!(" {}: NXDOMAIN without the value at {WWW}, serial 1", site.dns.addr());
    site.once().ends(1).says(&["stage=propagation", &shown]);
    assert_eq!(challenges(&site), 0);
}

/// Where name servers have port 53, as in the world.
#[test]
fn the_entry_says_which_servers_must_show_the_values() {
    let place = Place::new_namespace();
    let (key, transfer) = (Key::new("k", Hmac::Sha256), Key::new("transfer", Hmac::Sha256));
    let own = |ip: &str| ip.parse::<IpAddr>().unwrap();
    let hosts = ["all", "primary", "none", "others"];
    let zone = Zone::new("site.test").grant(Grant::Zone(&key));
    let zone = zone.name_server("ns1.site.test", own("127.0.0.1")).name_server("ns2.site.test", own("127.0.0.2"));
    let zone = hosts.iter().fold(zone, |zone, host| zone.line(&format!("{host} A 127.0.0.1")));
    let dns = NameServer::setup(Software::Bind).place(&place).zone(zone).transfer_key(&transfer).start();
    let behind = NameServer::setup(Software::Knot).place(&place).address("127.0.0.2:53");
    let behind = behind.secondary_of(dns.addr(), &transfer, &["site.test"]).start();
    let resolver = Resolver::setup().place(&place).address("127.0.0.53:53").forward("site.test", dns.addr()).start();
    let pebble = Pebble::setup().place(&place).dns_server(resolver.addr()).start();
    let site = Site { store: Scratch::new("store"), dns, resolver, pebble, key };
    site.secret("tsigkey", &[("key", &site.key.secret_text())]);
    let settings = [
        "propagationTimeout: 1s",
        "propagation: primary",
        "propagation: none",
        "propagationNameservers: [127.0.0.1], propagationTimeout: 1s",
    ];
    let entries =
        hosts.iter().zip(settings).map(|(host, dns)| site.entry_with(host, &format!("{host}.site.test"), dns));
    site.config(&entries.collect::<String>());
    inside(&place, &site).ends(1).says(&[
        "failed secret=default/all stage=propagation",
        "ns2.site.test (127.0.0.2): NXDOMAIN without the value at _acme-challenge.all.site.test, serial 1",
        "issued secret=default/primary",
        "issued secret=default/none",
        "issued secret=default/others",
    ]);
    let looked = |host: &str| looks(&site.dns, &format!("_acme-challenge.{host}.site.test"));
    assert!(looked("primary") > 0 && looked("none") == 0, "{} {}", looked("primary"), looked("none"));
    assert!(behind.txt("_acme-challenge.all.site.test").is_empty());
}

fn inside(place: &Place, site: &Site) -> Run {
    let plain = site.command(&["-once"]);
    let mut command = place.command(plain.get_program());
    Run::of(command.args(plain.get_args()))
}

/// How often a BIND was asked for the TXT at a name over UDP: notariat does that, the lab's resolver asks over TCP.
fn looks(bind: &NameServer, owner: &str) -> usize {
    let question = format!("query: {owner} IN TXT -E(0) (");
    bind.log().lines().filter(|line| line.contains(&question)).count()
}

/// The server that takes the UPDATE forwards it to a hidden primary and shows the values seconds later. A resolver that was asked
/// in between, or before, would say for an hour that there is no such name.
#[test]
fn a_resolver_is_asked_only_when_the_server_that_took_the_update_shows_the_values() {
    let (key, transfer, port) = (Key::new("k", Hmac::Sha256), Key::new("transfer", Hmac::Sha256), Port::new());
    let at = port.at(Ipv4Addr::LOCALHOST);
    let hidden = NameServer::setup(Software::Bind).zone(zone(&key).negative_ttl(3600)).transfer_key(&transfer);
    let hidden = hidden.also_notify(at).notify_delay(3).start();
    let shown = NameServer::setup(Software::Bind).address(at).option("allow-update-forwarding { any; };").key(&key);
    let site = Site::on(shown.secondary_of(hidden.addr(), &transfer, &["site.test"]).start(), key);
    let world = Resolver::setup().forward("site.test", site.dns.addr()).remembering().start();
    let dns = format!("propagation: primary, alsoCheck: ['{}'], propagationTimeout: 10s", world.addr());
    site.config(&site.entry_with("web", "www.site.test", &dns));
    site.once().ends(0);
    let asked = world.log().lines().filter(|line| line.contains(&format!("{WWW}. TXT IN"))).count();
    assert_eq!(asked, 1, "{}", world.log());
    assert!(looks(&site.dns, WWW) > 1, "the values were late");
    let late = Resolver::setup().forward("site.test", hidden.addr()).remembering().start();
    assert!(
        late.txt(WWW).is_empty() && hidden.nsupdate(&site.key, "site.test", &format!("add {WWW} 60 TXT v")).is_ok()
    );
    assert!(late.txt(WWW).is_empty(), "a resolver that was asked too early does not see it");
}

#[test]
fn what_is_set_to_be_waited_is_waited_once_for_all_zones_and_also_without_a_look() {
    let settle = Duration::from_secs(4);
    thread::scope(|scope| {
        for dns in ["propagation: primary, settle: 4s", "propagation: none, settle: 4s"] {
            scope.spawn(move || {
                let key = Key::new("k", Hmac::Sha256);
                let other = Zone::new("other.test").grant(Grant::Zone(&key)).line("www A 127.0.0.1");
                let dns_server = NameServer::setup(Software::Bind).zone(zone(&key)).zone(other).start();
                let mut site = Site::on(dns_server, key);
                let zones =
                    Resolver::setup().forward("site.test", site.dns.addr()).forward("other.test", site.dns.addr());
                site.resolver = zones.start();
                site.pebble = Pebble::setup().dns_server(site.resolver.addr()).start();
                site.config(&site.entry_with("web", "www.site.test, www.other.test", dns));
                let start = Instant::now();
                site.once().ends(0);
                assert!((settle..2 * settle).contains(&start.elapsed()), "{dns}: {:?}", start.elapsed());
            });
        }
    });
}

#[test]
fn apex_and_wildcard_need_less_than_a_second() {
    let site = Site::new();
    site.config(&site.entry("web", "site.test, '*.site.test'", ""));
    let start = Instant::now();
    site.once().ends(0);
    // Some 0.1 s; the rest is for machines that do other things, too.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// More than a datagram holds: the answer over UDP is cut, the one over TCP is not.
#[test]
fn thirty_values_at_one_name_are_seen_and_foreign_ones_stay() {
    for software in Software::ALL {
        let site = Site::with(software, Hmac::Sha256);
        let foreign: Vec<String> =
            (10..39).map(|n| format!("foreign-value-number-{n}-of-forty-three-octets-")).collect();
        let add: Vec<String> = foreign.iter().map(|value| format!("add {WWW} 60 TXT {value}")).collect();
        site.dns.nsupdate(&site.key, "site.test", &add.join("\n")).unwrap();
        site.config(&site.entry("web", "www.site.test", ""));
        site.once().ends(0);
        site.assert_valid("web", &["www.site.test"]);
        assert_eq!(site.dns.txt(WWW), foreign, "{software:?}");
    }
}

#[test]
fn a_hundred_names_are_one_update_to_add_and_one_to_withdraw() {
    let key = Key::new("k", Hmac::Sha256);
    let names: Vec<String> = (0..100).map(|n| format!("h{n}.site.test")).collect();
    let zone = names.iter().fold(zone(&key), |zone, name| zone.line(&format!("{name}. A 127.0.0.1")));
    let site = Site::on(NameServer::setup(Software::Bind).zone(zone).start(), key);
    site.config(&site.entry("web", &names.join(", "), ""));
    site.once().ends(0);
    site.assert_valid("web", &names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(site.dns.updates(), 2);
    assert!(names.iter().all(|name| site.dns.txt(&format!("_acme-challenge.{name}")).is_empty()));
}

/// A site on two zones of one server; in the first `*.apps` is a wildcard record.
fn with_wildcard(software: Software) -> Site {
    let key = Key::new("k", Hmac::Sha256);
    let other = Zone::new("zone.test").grant(Grant::Zone(&key)).line("www A 127.0.0.1");
    let setup = NameServer::setup(software).zone(zone(&key).line("*.apps A 127.0.0.1")).zone(other);
    let mut site = Site::on(setup.start(), key);
    let zones = Resolver::setup().forward("site.test", site.dns.addr()).forward("zone.test", site.dns.addr());
    site.resolver = zones.start();
    site.pebble = Pebble::setup().dns_server(site.resolver.addr()).start();
    site
}

const APP: &str = "foo.apps.site.test";

fn app_answers(site: &Site) -> bool {
    site.resolver.ask(APP, 1).is_ok_and(|answer| answer.code == 0 && !answer.records.is_empty())
}

/// While its challenge is there, it does not answer.
#[test]
fn a_host_that_lives_from_a_wildcard_record_is_told_of_and_gone_for_as_short_as_possible() {
    for software in Software::ALL {
        let site = with_wildcard(software);
        assert!(app_answers(&site));
        site.config(&site.entry("web", &format!("{APP}, www.site.test, www.zone.test"), ""));
        let hint = "give it records of its own, or lead its challenge elsewhere by a CNAME";
        let run = site.once().ends(0).says(&[&format!("wildcard-host secret=default/web host={APP} hint="), hint]);
        run.never_says("host=www");
        site.assert_valid("web", &[APP, "www.site.test", "www.zone.test"]);
        assert!(app_answers(&site), "{software:?}");
        if software == Software::Bind {
            // Of each TXT that is changed BIND's log names the zone and what is done.
            let log = site.dns.log();
            let lines = log.lines().filter(|line| line.contains(": adding an RR") || line.contains(": deleting an RR"));
            let mut changes: Vec<(bool, bool)> =
                lines.map(|line| (line.contains("adding"), line.contains("zone 'zone.test/IN'"))).collect();
            changes.dedup();
            assert_eq!(changes, [(true, true), (true, false), (false, false), (false, true)], "{log}");
        }
    }
}

#[test]
fn a_host_that_lives_from_a_wildcard_record_can_be_refused_before_anything_is_ordered() {
    for software in Software::ALL {
        let site = with_wildcard(software);
        let refuse = "onWildcardHost: refuse, propagation: primary";
        let names = |names: &str| site.config(&site.entry_with("web", names, refuse));
        names(&format!("www.site.test, {APP}"));
        let sentence = format!("{APP}: it answers from a wildcard record and vanishes while its challenge is there");
        site.once().ends(1).says(&[&sentence, "refused by `dns.onWildcardHost: refuse`"]);
        let requests = site.pebble.request_lines();
        assert!(!requests.iter().any(|line| line == "POST /order-plz"), "{software:?}: {requests:?}");
        assert_eq!(site.dns.serial("site.test"), 1, "{software:?}: nothing was written");
        names("www.site.test, unused.site.test");
        site.once().ends(0);
    }
}

/// The values that were published before a crash are withdrawn, whatever becomes of their order.
#[test]
fn after_a_crash_the_values_of_before_are_withdrawn() {
    type Meanwhile = fn(&Site);
    let rows: [(&str, &str, Meanwhile); 3] = [
        ("order-continued", "www", |_| {}),
        ("issued", "www", |site| site.pebble.restart()),
        ("issued", "a", |site| site.config(&site.entry("web", "a.site.test", ""))),
    ];
    for (says, host, meanwhile) in rows {
        let site = Site::new();
        site.config(&site.entry_with("web", "www.site.test", "propagation: primary, settle: 60s"));
        let foreign = "add _acme-challenge.www.site.test 60 TXT foreign";
        site.dns.nsupdate(&site.key, "site.test", foreign).unwrap();
        let daemon = site.daemon();
        daemon.until("published", || site.dns.txt(WWW).len() == 2);
        signal(site.pebble.pid(), "STOP");
        daemon.kill();
        signal(site.pebble.pid(), "CONT");
        assert_eq!(site.dns.txt(WWW).len(), 2);
        site.config(&site.entry("web", "www.site.test", ""));
        meanwhile(&site);
        site.once().ends(0).says(&[says]);
        site.assert_valid("web", &[&format!("{host}.site.test")]);
        for owner in [WWW, "_acme-challenge.a.site.test"] {
            assert_eq!(site.dns.txt(owner).concat(), if owner == WWW { "foreign" } else { "" }, "{says} {host}");
        }
    }
}
