//! Zones that are hard to find: behind views, hidden primaries, CNAMEs, old servers, and servers that answer no questions.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use notariat::base::time::Deadline;
use notariat::config::entry::Entry;
use notariat::config::node;
use notariat::dns::client::{DnsClient, QueryMode};
use notariat::dns::resolver::Resolver as Asks;
use notariat::dns::tsig_key::{TsigKey, parse_keys};
use notariat::dns::wire::{Rcode, RecordType};
use notariat::dns::zone::{ChallengeLocation, LocationError, ZoneFinder};
use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Place, Resolver, Scratch, Software, Zone};

use crate::support::liar::{About, Exchange, Liar, Say};
use crate::support::lies::{say, with};
use crate::support::run::notariat;
use crate::support::{Run, Site};

fn key_of(key: &Key) -> TsigKey {
    parse_keys(&key.secret_text()).unwrap().remove(0)
}

fn check(site: &Site) -> Run {
    let plain = site.command(&[]);
    Run::of(notariat().arg("check").args(plain.get_args()))
}

/// The findings of the library for one name.
fn find(resolver: SocketAddr, key: &Key, domain: &str, dns: &str) -> Result<ChallengeLocation, String> {
    let text = format!("{{secret: s, domains: [{domain}], tsigSecretName: k, dns: {{{dns}}}}}");
    let entry = Entry::read(&node::read(&text).unwrap(), &"default".into()).unwrap();
    let (client, resolver) = (&DnsClient::default(), &Asks::Server(resolver.into()));
    let rules = entry.zone_policy(&[]);
    let first_key = |_: &_| Some(key_of(key));
    let answered = Cell::new(false);
    let finder = ZoneFinder { client, resolver, rules, admit: &|_| Ok(()), answered: &answered, first_key: &first_key };
    finder.find(&entry.domains[0]).map_err(|no| match no {
        LocationError::Failed(sentence) => sentence,
        LocationError::Barred(..) => panic!("nothing is barred here"),
    })
}

/// The holder of the key is shown one zone; anybody is shown that a part of it is a zone of its own.
#[test]
fn what_anybody_is_shown_replaces_no_zone_that_the_holder_of_the_key_is_shown() {
    let key = Key::new("k", Hmac::Sha256);
    let parent = |view| Zone::new("site.test").in_view(view);
    let inside = parent("inside").grant(Grant::Zone(&key)).line("www.child A 127.0.0.1").line("a.child A 127.0.0.1");
    let dns = NameServer::setup(Software::Bind)
        .view("inside", "key \"k\"; 127.0.0.8;")
        .view("outside", "any;")
        .zone(inside)
        .zone(parent("outside").line("child NS ns1.child").line("ns1.child A 127.0.0.1"))
        .zone(Zone::new("child.site.test").line("www A 127.0.0.1").line("a A 127.0.0.1").in_view("outside"))
        .start();
    let resolver = Resolver::setup().option("outgoing-interface: 127.0.0.8").forward("site.test", dns.addr()).start();
    let pebble = Pebble::setup().dns_server(resolver.addr()).start();
    let site = Site { store: Scratch::new("store"), dns, resolver, pebble, key };
    site.secret("tsigkey", &[("key", &site.key.secret_text())]);

    let configured = site.entry("configured", "www.child.site.test", "");
    let configured = configured.replace("propagation: primary", "propagation: primary, zone: site.test");
    let found = site.entry("found", "a.child.site.test", "");
    site.config(&[configured, found].concat());
    let run = Run::of(&mut site.command(&["-once", "-log-level", "debug", "-workers", "1"])).ends(0);
    // Its own question tells which zone is meant; where nothing is configured the server's NOTAUTH leads to it.
    run.says(&["zone-of-key zone=site.test hint=\"child.site.test is shown to others\""]).never_says("left-behind");
    site.assert_valid("configured", &["www.child.site.test"]);
    site.assert_valid("found", &["a.child.site.test"]);
    assert_eq!(site.dns.updates(), 2 + 3, "one of the five was answered NOTAUTH");
    for host in ["www", "a"] {
        assert!(site.resolver.txt(&format!("_acme-challenge.{host}.child.site.test")).is_empty());
    }
    let check = check(&site);
    let found = "TXT at _acme-challenge.a.child.site.test can be written: zone site.test, server";
    assert!(check.stdout.contains(found), "{} {}", check.stdout, check.log);
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// PowerDNS with a backend that takes no UPDATE: it says NOTIMP. It serves copies of these zones.
fn without_updates(place: &Place, key: &Key, files: &Scratch, last: u8, zones: &[(&str, String)]) -> NameServer {
    let mut config = String::new();
    for (name, records) in zones {
        let file = files.write(&format!("{name}.zone"), &format!("$ORIGIN {name}.\n$TTL 60\n{records}"));
        config += &format!("zone \"{name}\" {{ type master; file \"{}\"; }};\n", file.display());
    }
    let config = format!("bind-config={}", files.write("zones", &config).display());
    let setup = NameServer::setup(Software::PowerDns).place(place).key(key).address(SocketAddr::new(ip(last), 53));
    let options = ["launch=gsqlite3,bind", &config, "allow-dnsupdate-from=127.0.0.0/8"];
    options.iter().fold(setup, |setup, option| setup.option(option)).zone(Zone::new("up.test")).start()
}

/// The SOA's MNAME has no address, is the root, or is at an address where nobody is; the NS have a server first that takes no updates.
#[test]
fn a_primary_that_is_not_to_be_had_is_told_first_with_its_cure_and_the_name_servers_are_tried() {
    let (place, key, files) = (Place::new_namespace(), Key::new("k", Hmac::Sha256), Scratch::new("files"));
    let records = |mname: &str, servers: &str| {
        format!(
            "@ SOA {mname} h 1 3600 1 86400 5\n{servers}ns1 A 127.0.0.3\nns2 A 127.0.0.2\ndark A 127.0.0.66\nwww A 127.0.0.1\n"
        )
    };
    let (both, one) = ("@ NS ns1\n@ NS ns2\n", "@ NS ns1\n");
    let zones = [("gone", "gone"), ("root", "."), ("dark", "dark")];
    let copies: Vec<(String, String)> = zones
        .iter()
        .flat_map(|(zone, mname)| {
            [(format!("{zone}.test"), records(mname, both)), (format!("only-{zone}.test"), records(mname, one))]
        })
        .collect();
    let copies: Vec<(&str, String)> = copies.iter().map(|(zone, records)| (zone.as_str(), records.clone())).collect();
    let first = without_updates(&place, &key, &files, 3, &copies);
    let setup = NameServer::setup(Software::Bind).place(&place).address(SocketAddr::new(ip(2), 53));
    let setup = zones.iter().fold(setup, |setup, (name, mname)| {
        let zone = format!("{name}.test");
        let mname = if *mname == "." { String::new() } else { format!("{mname}.{zone}") };
        let zone = Zone::new(&zone).primary(&mname).grant(Grant::Zone(&key)).line("dark A 127.0.0.66");
        let ns = |host: &str| format!("{host}.{name}.test");
        setup.zone(zone.line("www A 127.0.0.1").name_server(&ns("ns1"), ip(3)).name_server(&ns("ns2"), ip(2)))
    });
    let second = setup.start();
    let resolver = Resolver::setup().place(&place).address("127.0.0.53:53").option("rrset-roundrobin: no");
    let resolver = copies.iter().fold(resolver, |resolver, (zone, _)| {
        resolver.forward(zone, if zone.starts_with("only") { first.addr() } else { second.addr() })
    });
    let resolver = resolver.start();
    let pebble = Pebble::setup().place(&place).dns_server(resolver.addr()).start();
    let site = Site { store: Scratch::new("store"), dns: second, resolver, pebble, key };
    site.secret("tsigkey", &[("key", &site.key.secret_text())]);
    let run = |more: &[&str]| {
        let command = site.command(more);
        Run::of(place.command(command.get_program()).args(command.get_args()))
    };
    let entry = |zone: &str| {
        format!(
            "- {{secret: {zone}, domains: [www.{zone}.test], email: a@site.test, tsigSecretName: tsigkey, dns: {{propagation: primary}}}}\n"
        )
    };
    let remark = |name: &str, instead: &str| {
        let zone = format!("{}.test", name);
        let why = match name.trim_start_matches("only-") {
            "gone" => format!("names gone.{zone} as the primary, and gone.{zone} has no address (resolver 127.0.0.53)"),
            "dark" => format!(
                "names dark.{zone} as the primary, and dark.{zone} (127.0.0.66) does not answer (UDP: connection refused (nothing listens there); TCP: connection refused (nothing listens there)): open port 53 of 127.0.0.66 for notariat, TCP and UDP (the egress rule of its NetworkPolicy, the firewall), or correct the address (`dns.server`)"
            ),
            _ => "names no primary that has a host name".to_owned(),
        };
        format!("the SOA of {zone} {why}, so its name servers are asked instead, {instead}")
    };

    site.config(&zones.map(|(zone, _)| entry(zone)).concat());
    let plain = site.command(&[]);
    let check = Run::of(place.command(plain.get_program()).arg("check").args(plain.get_args()));
    for (zone, _) in zones {
        // The order of name servers is the resolver's.
        let remark = format!("warning  Zone {zone}.test: {}", remark(zone, "ns"));
        assert!(check.stdout.contains(&remark), "{remark}\n{}\n{}", check.stdout, check.log);
    }
    run(&["-once"]).ends(0).never_says("left-behind");
    for (zone, _) in zones {
        site.assert_valid(zone, &[&format!("www.{zone}.test")]);
    }

    // Nobody takes it.
    let only = zones.map(|(zone, _)| format!("only-{zone}"));
    site.config(&only.each_ref().map(|zone| entry(zone)).concat());
    let failed = run(&["-once"]).ends(1).never_says("left-behind");
    for zone in &only {
        let at = format!("ns1.{zone}.test (127.0.0.3)");
        let line = failed.log.lines().find(|l| l.contains(&format!("failed secret=default/{zone} "))).unwrap();
        let first = format!(
            "stage=publish error=\"{}. UPDATE of {zone}.test at {at} with the key",
            remark(zone, &format!("{at} first: set `dns.server` to the primary"))
        );
        assert!(line.contains(&first) && line.contains("NOTIMP: the server"), "{first}\n{line}");
    }
}

/// The records behind a CNAME belong to another name.
#[test]
fn the_soa_behind_a_cname_says_nothing_about_the_zone_of_its_owner() {
    let key = Key::new("k", Hmac::Sha256);
    let parent = NameServer::setup(Software::Bind).zone(Zone::new("site.test").line("web A 127.0.0.1")).start();
    for software in Software::ALL {
        let child = Zone::new("sub.site.test").line("www CNAME web.site.test.").line("x.y CNAME web.site.test.");
        let child = NameServer::setup(software).zone(child).start();
        // The configured server has the CNAME alone; the resolver follows it into the zone around.
        for name in ["www", "x.y"] {
            let name = format!("{name}.sub.site.test");
            let server = format!("server: '{}'", child.addr());
            let target = find(parent.addr(), &key, &name, &server).unwrap_or_else(|e| panic!("{software:?}: {e}"));
            assert_eq!(target.zone.as_str(), "sub.site.test", "{software:?}");
        }
        let resolver = Resolver::setup().forward("site.test", parent.addr()).forward("sub.site.test", child.addr());
        let resolver = resolver.start();
        // Port 53 has nobody here, but whose server is asked tells the zone.
        let said = find(resolver.addr(), &key, "www.sub.site.test", "").unwrap_err();
        assert!(said.contains("ns1.sub.site.test (127.0.0.1) does not answer"), "{software:?}: {said}");
    }
}

fn has_opt(x: &Exchange<'_>) -> bool {
    x.request.windows(5).any(|octets| octets == [0, 0, 41, 4, 208])
}

/// The header of an answer with an RCODE, and the OPT record with the upper eight bits of it where there are any.
fn header(x: &Exchange<'_>, rcode: u8) -> Vec<Say> {
    let (low, high) = (rcode & 0xf, rcode >> 4);
    let header =
        with(&x.request[..12], |m| m[2..12].copy_from_slice(&[0x84, low, 0, 0, 0, 0, 0, 0, 0, u8::from(high > 0)]));
    say(if high == 0 { header } else { [&header[..], &[0, 0, 41, 4, 208, high, 0, 0, 0, 0, 0]].concat() })
}

/// RFC 6891 section 6.2.2.
#[test]
fn a_server_that_does_not_take_edns_is_asked_again_without() {
    let key = Key::new("k", Hmac::Sha256);
    let zone = Zone::new("site.test").grant(Grant::Zone(&key)).line("www TXT there");
    let bind = NameServer::setup(Software::Bind).zone(zone).start();
    let (name, tsig) = ("www.site.test".parse().unwrap(), key_of(&key));
    let ask = |liar: &Liar, way| {
        let deadline = Deadline::after(Duration::from_secs(10));
        DnsClient::default().query(liar.addr(), &name, RecordType::Txt, way, deadline)
    };
    for (rcode, shown) in [(1, "FORMERR"), (4, "NOTIMP"), (16, "BADVERS")] {
        for way in [QueryMode::Plain, QueryMode::Recursive, QueryMode::Signed(&tsig)] {
            let old = Liar::start(bind.addr(), &key, About::Queries, move |x| match has_opt(x) {
                true => header(x, rcode),
                false => say(x.truth.to_vec()),
            });
            let answer = ask(&old, way).unwrap_or_else(|e| panic!("{shown} {way:?}: {e}"));
            assert_eq!((answer.rcode, answer.answers.len()), (Rcode::NOERROR, 1), "{shown} {way:?}");
        }
        // It says the same to everything: once more, and not again.
        let broken = Liar::start(bind.addr(), &key, About::Queries, move |x| header(x, rcode));
        assert_eq!(ask(&broken, QueryMode::Plain).unwrap().rcode.to_string(), shown);
        assert_eq!(broken.heard(), 2, "{shown}");
    }
}

#[test]
fn where_all_is_configured_and_nothing_is_to_be_seen_a_server_that_refuses_queries_takes_the_update() {
    let site = Site::new();
    let closed = Liar::start(site.dns.addr(), &site.key, About::Queries, |x| header(x, 5));
    let entry = |secret: &str, dns: &str| {
        let entry = site.entry_with(secret, "www.site.test", &format!("zone: site.test{dns}"));
        entry.replace(&site.dns.addr().to_string(), &closed.addr().to_string())
    };
    site.config(&entry("blind", ", propagation: none"));
    let warning =
        format!("{} refuses queries, so no CNAME at _acme-challenge.www.site.test could be looked for", closed.addr());
    site.once().ends(0).says(&["WARN  [notariat] cname-unknown owner=_acme-challenge.www.site.test", &warning]);
    site.assert_valid("blind", &["www.site.test"]);
    let check = check(&site);
    assert!(check.stdout.contains(&warning), "{}", check.stdout);
    // Where it has to be looked, it has to be found.
    site.config(&entry("seeing", ""));
    site.once()
        .ends(1)
        .says(&["stage=zone", &format!("{} says REFUSED for _acme-challenge.www.site.test", closed.addr())]);
}

/// A view that only the key opens, on a server whose clock differs.
#[test]
fn a_difference_of_clocks_is_learned_from_a_question_as_well() {
    for seconds in [1000, -1000] {
        let key = Key::new("k", Hmac::Sha256);
        let zone = Zone::new("site.test").line("www TXT there");
        let dns = NameServer::setup(Software::Bind).clock(seconds).key(&key).zone(zone).start();
        let (client, tsig) = (DnsClient::default(), key_of(&key));
        let deadline = Deadline::after(Duration::from_secs(20));
        let answer = client.query(
            dns.addr(),
            &"www.site.test".parse().unwrap(),
            RecordType::Txt,
            QueryMode::Signed(&tsig),
            deadline,
        );
        assert_eq!(answer.unwrap().answers.len(), 1);
    }
}

#[test]
fn a_cname_to_what_is_no_host_name_is_neither_followed_nor_overlooked() {
    let key = Key::new("k", Hmac::Sha256);
    for software in Software::ALL {
        let zone = Zone::new("site.test").grant(Grant::Zone(&key)).line("*.wild CNAME 0/25.site.test.");
        let zone = zone
            .line("_acme-challenge.slash CNAME 0/25.rev.site.test.")
            .line("_acme-challenge.dot CNAME b\\.c.site.test.");
        let dns = NameServer::setup(software).zone(zone.line("c A 127.0.0.1")).start();
        let server = format!("server: '{}', zone: site.test", dns.addr());
        for (host, target) in [("slash", "0/25.rev.site.test."), ("dot", "b\\.c.site.test.")] {
            let said = find(dns.addr(), &key, &format!("{host}.site.test"), &server).unwrap_err();
            let expected = format!(
                "_acme-challenge.{host}.site.test is a CNAME that leads to {target}, where no challenge can be written"
            );
            assert!(said.contains(&expected), "{software:?}: {said}");
        }
        // A TXT of our own takes precedence over a wildcard.
        assert_eq!(
            find(dns.addr(), &key, "x.wild.site.test", &server).unwrap().owner.as_str(),
            "_acme-challenge.x.wild.site.test"
        );
    }
}

/// One UPDATE, several names, some of them not granted.
#[test]
fn of_several_names_those_that_are_refused_are_named_and_no_others() {
    let bind = "`grant k name _acme-challenge.b.site.test. TXT; grant k name _acme-challenge.d.site.test. TXT;`";
    for (software, word, line) in [
        (Software::Bind, "REFUSED: let the key change TXT", bind),
        (Software::Knot, "BADKEY: give the server the key k", "an acl with `key: k`, `action: update`"),
    ] {
        let key = Key::new("k", Hmac::Sha256);
        let zone = Zone::new("site.test");
        let zone = ["a", "b", "c", "d"].iter().fold(zone, |zone, host| zone.line(&format!("{host} A 127.0.0.1")));
        let granted = ["_acme-challenge.a.site.test", "_acme-challenge.c.site.test"];
        let zone = granted.iter().fold(zone, |zone, owner| zone.grant(Grant::Name(&key, owner)));
        let site = Site::on(NameServer::setup(software).zone(zone).start(), key);
        site.config(&site.entry("web", "a.site.test, b.site.test, c.site.test, d.site.test", ""));
        let run = site.once().ends(1).says(&[
            "stage=publish",
            word,
            "TXT at _acme-challenge.b.site.test, _acme-challenge.d.site.test",
            line,
            "echo update add _acme-challenge.b.site.test. 60 TXT test",
        ]);
        run.never_says("_acme-challenge.a.site.test").never_says("left-behind");
        assert_eq!(site.dns.updates(), 1 + 4, "{software:?}");
    }
}
