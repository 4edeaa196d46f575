//! Where a challenge is written: zones, their servers and the ways along CNAMEs, found on real servers.
//!
//! Zones that are found and not configured lead to port 53, so those tests run in a network namespace of their own.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use notariat::config::entry::Entry;
use notariat::config::node;
use notariat::dns::client::DnsClient;
use notariat::dns::resolver::Resolver as Asks;
use notariat::dns::zone::{ChallengeLocation, LocationError, ZoneFinder};
use notariat_lab::nameserver::Setup;
use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Place, Port, Resolver, Scratch, Software, Zone};

use crate::support::{Run, Site};

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// A server in a namespace, where the world expects it.
fn server(place: &Place, software: Software, last: u8) -> Setup {
    NameServer::setup(software).place(place).address(SocketAddr::new(ip(last), 53))
}

/// A resolver in a namespace that knows where each zone is.
fn resolver(place: &Place, zones: &[(&str, &NameServer)]) -> Resolver {
    // Name servers are tried in the order of the answer, so it must not change.
    let setup = Resolver::setup().place(place).address("127.0.0.53:53").option("rrset-roundrobin: no");
    zones.iter().fold(setup, |r, (zone, server)| r.forward(zone, server.addr())).start()
}

/// A zone that the key may change, with hosts in it: each certificate here has names of its own, for Pebble now and then reuses an
/// authorization even when told to reuse none.
fn granted(name: &str, key: &Key) -> Zone {
    ["www", "a", "b"]
        .iter()
        .fold(Zone::new(name).grant(Grant::Zone(key)), |z, host| z.line(&format!("{host} A 127.0.0.1")))
}

fn site(dns: NameServer, resolver: Resolver, key: Key) -> Site {
    let pebble = Pebble::setup().place(dns.place()).dns_server(resolver.addr()).start();
    let site = Site { store: Scratch::new("store"), dns, resolver, pebble, key };
    site.secret("tsigkey", &[("key", &site.key.secret_text())]);
    site
}

fn entry(secret: &str, domains: &str, dns: &str) -> String {
    format!(
        "- {{secret: {secret}, domains: [{domains}], email: a@site.test, tsigSecretName: tsigkey, dns: {{{dns}}}}}\n"
    )
}

/// One pass where the servers are.
fn once(site: &Site) -> Run {
    let command = site.command(&["-once", "-log-level", "debug"]);
    Run::of(site.dns.place().command(command.get_program()).args(command.get_args()))
}

/// The findings of the library for one name.
fn find(client: &DnsClient, resolver: SocketAddr, domain: &str, dns: &str) -> Result<ChallengeLocation, String> {
    let text = format!("{{secret: s, domains: [{domain}], tsigSecretName: k, dns: {{{dns}}}}}");
    let entry = Entry::read(&node::read(&text).unwrap(), &"default".into()).unwrap();
    let resolver = Asks::Server(resolver.into());
    let rules = entry.zone_policy(&[]);
    let answered = Cell::new(false);
    let finder = ZoneFinder {
        client,
        resolver: &resolver,
        rules,
        admit: &|_| Ok(()),
        answered: &answered,
        first_key: &|_| None,
    };
    finder.find(&entry.domains[0]).map_err(|no| match no {
        LocationError::Failed(sentence) => sentence,
        LocationError::Barred(..) => panic!("nothing is barred here"),
    })
}

#[test]
fn a_child_zone_on_the_same_server_is_found_although_its_parent_is_configured() {
    std::thread::scope(|scope| {
        for software in Software::ALL {
            scope.spawn(move || {
                let key = Key::new("k", Hmac::Sha256);
                let parent = granted("site.test", &key).line("child NS ns1.child").line("ns1.child A 127.0.0.1");
                let dns = NameServer::setup(software).zone(parent).zone(granted("child.site.test", &key)).start();
                let resolver = Resolver::setup().forward("site.test", dns.addr()).start();
                let site = site(dns, resolver, key);
                // What makes this a trap: the parent agrees, and nobody ever sees the value.
                let owner = "_acme-challenge.a.child.site.test";
                site.dns.nsupdate(&site.key, "site.test", &format!("add {owner} 60 TXT \"lost\"")).unwrap();
                assert!(site.dns.txt(owner).is_empty(), "{software:?}");

                let server = format!("server: '{}', propagation: primary", site.dns.addr());
                let with_zone = format!("{server}, zone: site.test");
                let (a, b) = ("a.child.site.test", "b.child.site.test");
                site.config(&[entry("server", a, &server), entry("zone", b, &with_zone)].concat());
                once(&site).ends(0).says(&["zone=child.site.test"]).never_says("zone=site.test");
                site.assert_valid("server", &[a]);
                site.assert_valid("zone", &[b]);
                assert_eq!(site.dns.updates(), 1 + 2 * 2, "{software:?}");
            });
        }
    });
}

/// With addresses beside the delegation, without them, and with a primary that is hidden: only the SOA names it.
#[test]
fn child_zones_on_another_server_are_found_in_each_way() {
    let (place, key) = (Place::new_namespace(), Key::new("k", Hmac::Sha256));
    let parent = granted("site.test", &key).line("child NS ns1.child").line("far NS ns.else.test.");
    let parent = parent.line("ns1.child A 127.0.0.2").line("hid NS ns.hid").line("ns.hid A 127.0.0.3");
    let zone = |name| granted(name, &key);
    let hidden = zone("hid.site.test").primary("primary.hid.site.test").line("primary A 127.0.0.2");
    let bind = server(&place, Software::Bind, 1).zone(parent).zone(Zone::new("else.test").line("ns A 127.0.0.2"));
    let knot = server(&place, Software::Knot, 2)
        .zone(zone("child.site.test"))
        .zone(zone("far.site.test").name_server("ns.else.test", None))
        .zone(hidden.name_server("ns.hid.site.test", ip(3)))
        .transfer_key(&key)
        .also_notify(SocketAddr::new(ip(3), 53));
    let (bind, knot) = (bind.start(), knot.start());
    let secondary = server(&place, Software::Bind, 3).secondary_of(knot.addr(), &key, &["hid.site.test"]).start();
    let children = ["child.site.test", "far.site.test", "hid.site.test"];
    let zones = children.map(|zone| (zone, &knot));
    let resolver = resolver(&place, &[&zones[..], &[("site.test", &bind), ("else.test", &bind)]].concat());
    let site = site(bind, resolver, key);
    let ways = [("www", ""), ("a", "server: 127.0.0.1"), ("b", "server: 127.0.0.1, zone: site.test")];
    let names = |host| children.map(|zone| format!("{host}.{zone}"));
    site.config(&ways.map(|(host, dns)| entry(host, &names(host).join(", "), dns)).concat());
    once(&site).ends(0).says(&["zone=hid.site.test server=\"primary.hid.site.test (127.0.0.2)\""]);
    for (host, _) in ways {
        site.assert_valid(host, &names(host).each_ref().map(String::as_str));
    }
    let counts = (site.dns.updates(), knot.updates(), secondary.updates());
    assert_eq!(counts, (0, 2 * 9, 0), "to add and to withdraw, in each way in each zone");
}

/// Nobody says which of the name servers is the primary, and those that are not refuse: BIND and Knot in their own ways.
#[test]
fn when_the_soa_names_no_server_that_answers_the_name_servers_are_tried() {
    let (place, key) = (Place::new_namespace(), Key::new("k", Hmac::Sha256));
    let secondaries = [3, 4].map(|last| SocketAddr::new(ip(last), 53));
    let zones = ["gone.test", "dark.test", "other.test"];
    let primary = server(&place, Software::Knot, 2).transfer_key(&key);
    let primary = secondaries.into_iter().fold(primary, Setup::also_notify);
    let primary = zones.into_iter().fold(primary, |setup, zone| {
        let of = |host: &str| format!("{host}.{zone}");
        setup.zone(
            granted(zone, &key)
                // No such name; an address where nobody is; a server of other zones.
                .primary(&of(zone.split('.').next().unwrap()))
                .line("dark A 127.0.0.66")
                .line("other A 127.0.0.5")
                .name_server(&of("ns1"), ip(3))
                .name_server(&of("ns2"), ip(4))
                .name_server(&of("ns3"), ip(2)),
        )
    });
    let primary = primary.start();
    let bind = server(&place, Software::Bind, 3).secondary_of(primary.addr(), &key, &zones).start();
    let knot = server(&place, Software::Knot, 4).secondary_of(primary.addr(), &key, &zones).start();
    let other = server(&place, Software::Bind, 5).zone(Zone::new("else.test")).key(&key).start();
    let resolver = resolver(&place, &zones.map(|zone| (zone, &primary)));
    let site = site(primary, resolver, key);
    let config = zones.map(|zone| entry(zone, &format!("www.{zone}"), ""));
    site.config(&config.concat());
    once(&site).ends(0).never_says("left-behind");
    for zone in zones {
        site.assert_valid(zone, &[&format!("www.{zone}")]);
    }
    let counts = (site.dns.updates(), bind.updates(), knot.updates(), other.updates());
    assert_eq!(counts, (6, 3, 3, 0), "each refused once; what is withdrawn goes to the one that took it");
}

#[test]
fn a_domain_whose_own_server_refuses_us_is_certified_through_a_cname() {
    let (place, key) = (Place::new_namespace(), Key::new("k", Hmac::Sha256));
    let ours = server(&place, Software::Bind, 1).zone(Zone::new("deleg.test").grant(Grant::Zone(&key))).start();
    let theirs = Key::new("theirs", Hmac::Sha256);
    let providers = [("bind", Software::Bind, 11), ("knot", Software::Knot, 12), ("pdns", Software::PowerDns, 13)];
    let providers = providers.map(|(name, software, last)| {
        let zone = Zone::new(&format!("{name}.test")).grant(Grant::Zone(&theirs)).line("bare A 127.0.0.1");
        let zone = zone.line("www A 127.0.0.1").line(&format!("_acme-challenge.www CNAME {name}.deleg.test."));
        (format!("{name}.test"), server(&place, software, last).zone(zone).start())
    });
    let mut zones = vec![("deleg.test", &ours)];
    zones.extend(providers.iter().map(|(zone, server)| (&**zone, server)));
    let resolver = resolver(&place, &zones);
    let site = site(ours, resolver, key);
    site.config_key("zones", "- zone: deleg.test\n");
    let names = ["www.bind.test", "www.knot.test", "www.pdns.test"];
    site.config(&entry("web", &names.join(", "), ""));
    once(&site).ends(0);
    site.assert_valid("web", &names);
    assert_eq!(site.dns.updates(), 2, "three names in one zone are one UPDATE");
    assert_eq!(providers.each_ref().map(|(_, server)| server.updates()), [0, 0, 0]);

    // They would have refused.
    let refused = [
        ("bind.test", "BADKEY: give the server the key k"),
        ("knot.test", "BADKEY: give the server the key k"),
        ("pdns.test", "REFUSED, unsigned"),
    ];
    site.config(&refused.map(|(zone, _)| entry(zone, &format!("bare.{zone}"), "")).concat());
    let run = once(&site).ends(1);
    for ((zone, says), (_, server)) in refused.iter().zip(&providers) {
        let line = run.log.lines().find(|l| l.contains(&format!("failed secret=default/{zone}"))).unwrap();
        let server = server.addr().ip();
        let expected = format!("UPDATE of {zone} at ns1.{zone} ({server}) with the key k (hmac-sha256): {says}");
        assert!(line.contains(&expected), "{expected}\n{line}");
    }
}

#[test]
fn cnames_are_followed_to_configured_zones_and_not_in_circles() {
    let (place, key) = (Place::new_namespace(), Key::new("k", Hmac::Sha256));
    let mut zone = Zone::new("site.test").grant(Grant::Zone(&key)).line("*.wild CNAME x.stray.test.");
    for (host, target) in
        [("pair", "a"), ("self", "_acme-challenge.self"), ("nine", "n1"), ("eight", "n3"), ("stray", "x.stray.test.")]
    {
        zone = zone.line(&format!("{host} A 127.0.0.1")).line(&format!("_acme-challenge.{host} CNAME {target}"));
    }
    let zone = (1..9).fold(zone, |zone, n| zone.line(&format!("n{n} CNAME n{}", n + 1)));
    let zone = zone.line("n9 CNAME x.far.test.").line("a CNAME b").line("b CNAME a");
    let bind = server(&place, Software::Bind, 1).zone(zone).start();
    let granted = |name| Zone::new(name).grant(Grant::Zone(&key));
    let knot = server(&place, Software::Knot, 2).zone(granted("far.test")).zone(granted("stray.test")).start();
    let zones = [("site.test", &bind), ("far.test", &knot), ("stray.test", &knot)];
    let resolver = resolver(&place, &zones);
    let site = site(bind, resolver, key);
    site.config_key("zones", "- zone: far.test\n");
    let chains = "
pair | the CNAMEs of _acme-challenge.pair.site.test go round in a circle: _acme-challenge.pair.site.test -> a.site.test -> b.site.test -> a.site.test
self | the CNAMEs of _acme-challenge.self.site.test go round in a circle: _acme-challenge.self.site.test -> _acme-challenge.self.site.test
nine | more than 8 CNAMEs lead on from _acme-challenge.nine.site.test: _acme-challenge.nine.site.test -> n1.site.test -> n2.site.test -> n3.site.test -> n4.site.test -> n5.site.test -> n6.site.test -> n7.site.test -> n8.site.test -> n9.site.test
stray | _acme-challenge.stray.site.test -> x.stray.test leads to the zone stray.test, which is not configured: add `- zone: stray.test` to the key `zones` if its key may be used";
    for (host, says) in chains.lines().skip(1).map(|line| line.split_once(" | ").unwrap()) {
        site.config(&entry(host, &format!("{host}.site.test"), ""));
        let failed = format!("failed secret=default/{host} stage=zone error=\"{host}.site.test: {says}\"");
        once(&site).ends(1).says(&[&failed]);
    }
    assert_eq!((site.dns.updates(), knot.updates()), (0, 0), "no key was used");

    // n3 leads on by seven more; a wildcard is not followed, or this would be the zone that is not configured.
    site.config(&[entry("eight", "eight.site.test", ""), entry("wild", "foo.wild.site.test", "")].concat());
    once(&site).ends(0).says(&["zone=far.test server=\"ns1.far.test (127.0.0.2)\""]);
    site.assert_valid("eight", &["eight.site.test"]);
    site.assert_valid("wild", &["foo.wild.site.test"]);
    // The host below the wildcard has no records of its own, so the first UPDATE with it is refused.
    assert_eq!((site.dns.updates(), knot.updates()), (3, 2));
}

#[test]
fn a_server_is_reached_over_ipv6_and_at_whichever_address_answers() {
    let key = Key::new("k", Hmac::Sha256);
    let servers = Software::ALL.map(|software| {
        let zone = format!("{}.test", software.name().to_ascii_lowercase());
        let server = NameServer::setup(software).address("[::1]:0").zone(granted(&zone, &key)).start();
        (zone, server)
    });
    let setup = ["six.lab. AAAA ::1", "two.lab. AAAA ::1", "two.lab. A 127.0.0.66"];
    let setup = setup.iter().fold(Resolver::setup(), |r, line| r.option(&format!("local-data: \"{line}\"")));
    let resolver = servers.iter().fold(setup, |r, (zone, server)| r.forward(zone, server.addr())).start();
    let lab = NameServer::setup(Software::Bind).zone(Zone::new("lab")).start();
    let site = site(lab, resolver, key);
    let ways = [("www", "[::1]"), ("a", "six.lab"), ("b", "two.lab")];
    let mut config = String::new();
    for (zone, server) in &servers {
        for (host, address) in ways {
            let dns = format!("server: '{address}:{}', propagation: primary", server.addr().port());
            config += &entry(&format!("{host}.{zone}"), &format!("{host}.{zone}"), &dns);
        }
    }
    site.config(&config);
    once(&site).ends(0);
    for (zone, server) in &servers {
        for name in ways.map(|(host, _)| format!("{host}.{zone}")) {
            site.assert_valid(&name, &[&name]);
        }
        assert_eq!(server.updates(), 6, "{zone}");
    }
}

#[test]
fn the_name_of_a_server_is_looked_up_anew_after_a_failure() {
    let key = Key::new("k", Hmac::Sha256);
    let lab = Zone::new("lab").grant(Grant::Any(&key)).line("moving A 127.0.0.66");
    let dns = NameServer::setup(Software::Bind).zone(lab).zone(Zone::new("site.test")).start();
    let resolver = Resolver::setup().forward("lab", dns.addr()).start();
    let (client, port) = (DnsClient::default(), dns.addr().port());
    let find = || find(&client, resolver.addr(), "www.site.test", &format!("server: 'moving.lab:{port}'"));
    let said = find().unwrap_err();
    let expected = format!("moving.lab:{port} (127.0.0.66:{port}) does not answer (UDP: connection refused");
    assert!(said.starts_with(&expected), "{said}");
    dns.nsupdate(&key, "lab", "del moving.lab A\nadd moving.lab 3600 A 127.0.0.1").unwrap();
    assert_eq!(find().unwrap().servers[0].address, dns.addr());
}

/// The usual arrangement of a hidden primary with views: who does not sign is shown nothing there, the world asks a secondary.
#[test]
fn a_zone_that_is_shown_only_to_who_signs_is_found_and_written() {
    let key = Key::new("k", Hmac::Sha256);
    let port = Port::new();
    let zone = granted("site.test", &key).line("*.wild CNAME x.else.test.");
    let primary = NameServer::setup(Software::Bind)
        .view("inside", "key \"k\";")
        .view("outside", "any;")
        .zone(zone.in_view("inside"))
        .transfer_key(&key)
        .also_notify(port.at(ip(1)))
        .start();
    let secondary = NameServer::setup(Software::Knot).address(port.at(ip(1)));
    let secondary = secondary.secondary_of(primary.addr(), &key, &["site.test"]).start();
    let resolver = Resolver::setup().forward("site.test", secondary.addr()).start();
    let site = site(primary, resolver, key);
    let server = format!("server: '{}', propagationNameservers: ['{}']", site.dns.addr(), secondary.addr());
    let zone = format!("{server}, zone: site.test");
    let entries = [("server", "www", &server), ("zone", "a", &zone), ("wild", "foo.wild", &zone)];
    site.config(&entries.map(|(secret, host, dns)| entry(secret, &format!("{host}.site.test"), dns)).concat());
    once(&site).ends(0);
    for (secret, host, _) in entries {
        site.assert_valid(secret, &[&format!("{host}.site.test")]);
    }
    assert_eq!((site.dns.updates(), secondary.updates()), (7, 0), "the host below the wildcard costs one more");
}

/// The key chooses the view that the world sees; where we are, another copy is shown.
#[test]
fn the_key_chooses_among_two_copies_of_a_zone() {
    let key = Key::new("k", Hmac::Sha256);
    let zone = |view| Zone::new("site.test").line("www A 127.0.0.1").in_view(view);
    let dns = NameServer::setup(Software::Bind)
        .view("world", "key \"k\"; 127.0.0.8;")
        .view("house", "any;")
        .zone(zone("world").grant(Grant::Zone(&key)))
        .zone(zone("house").line("_acme-challenge.www TXT \"of the house\""))
        .start();
    let resolver = Resolver::setup().option("outgoing-interface: 127.0.0.8").forward("site.test", dns.addr()).start();
    let site = site(dns, resolver, key);
    site.config(&site.entry("web", "www.site.test", ""));
    once(&site).ends(0);
    site.assert_valid("web", &["www.site.test"]);
    assert_eq!(site.dns.updates(), 2);
    assert_eq!(site.dns.txt("_acme-challenge.www.site.test"), ["of the house"]);
}

/// Whom the resolver is, what is configured, the name, and what is said. Capitals are addresses: WORLD and ROOT are resolvers, AUTH is
/// a server that is none, OTHER has lost one zone and never had the others, NOBODY is a port where nobody listens.
const SENTENCES: &str = "
WORLD |  | www.nobody.test | no zone found for www.nobody.test: is the name spelt right? The resolver WORLD says that it is in test., a top-level domain; if the zone is a private one, TO_SET
ROOT |  | www.corp.lan | no zone found for www.corp.lan: is the name spelt right? The resolver ROOT knows no zone that it is in; if the zone is a private one, TO_SET
WORLD |  | www.dead.site.test | resolver WORLD says SERVFAIL for www.dead.site.test; is the name spelt right? SERVFAIL mostly means that DNSSEC does not validate there or that the zone's servers can not be reached from it (`delv @DELV www.dead.site.test` tells); an entry with `dns.zone` and an address in `dns.server` needs no resolver
AUTH |  | www.corp.lan | resolver AUTH says REFUSED for www.corp.lan: is the name spelt right, and may this machine ask that resolver (its access list)? Else give another one (-resolver)
NOBODY |  | www.site.test | resolver NOBODY does not answer for www.site.test (UDP: SILENCE; TCP: SILENCE): open port NOPORT of NOIP for notariat, TCP and UDP (the egress rule of its NetworkPolicy, the firewall), or give another one (-resolver)
WORLD | zone: www.site.test | www.site.test | www.site.test is configured as a zone, but the resolver WORLD says that site.test is the zone there
WORLD | server: 'AUTH', zone: sitte.test | www.nobody.test | no zone found for www.nobody.test: is the name spelt right? The resolver WORLD says that it is in test., a top-level domain; if the zone is a private one, TO_SET; _acme-challenge.www.nobody.test is not inside `dns.zone` sitte.test, so neither it nor `dns.server` is used here
WORLD | server: nowhere.site.test | www.site.test | nowhere.site.test has no address (resolver WORLD)
WORLD | server: 'AUTH' | www.nobody.test | AUTH says that www.nobody.test is in the top-level domain test
WORLD | server: 'OTHER' | www.site.test | OTHER says REFUSED for the SOA of www.site.test: is www.site.test spelt right? If it is, set `dns.zone` to its zone, and `dns.server` to a server of that
WORLD | server: 'OTHER', zone: site.test | www.site.test | OTHER says REFUSED for _acme-challenge.www.site.test: is it a server of the zone site.test?
WORLD | server: 'OTHER' | www.sick.test | OTHER says SERVFAIL for the SOA of www.sick.test: the server failed inside; its log says why
WORLD | server: 'OTHER', zone: sick.test | www.sick.test | OTHER says SERVFAIL for _acme-challenge.www.sick.test: the server failed inside; its log says why
WORLD | server: 'NOBODY', zone: site.test | www.site.test | NOBODY does not answer (UDP: SILENCE; TCP: SILENCE): open port NOPORT of NOIP for notariat, TCP and UDP (the egress rule of its NetworkPolicy, the firewall), or correct the address (`dns.server`)";

/// Silence of a server or resolver is never read as "no such record" or "ask for the name above".
#[test]
fn what_can_not_be_found_is_said_in_a_sentence_that_tells_what_to_set() {
    let zone = |name| Zone::new(name).line("www A 127.0.0.1");
    let auth = NameServer::setup(Software::Bind).zone(zone("test")).zone(zone("site.test")).start();
    let other = NameServer::setup(Software::Knot).zone(zone("sick.test")).start();
    other.control(&["-f", "zone-purge", "+expire", "sick.test"]).unwrap();
    let unused = Port::new();
    let nobody = unused.at(ip(1));
    let world = Resolver::setup().forward("test", auth.addr()).forward("site.test", auth.addr());
    let world = world.forward("dead.site.test", nobody).start();
    let root = Resolver::setup().option("local-zone: \".\" static");
    let root = root
        .option("local-data: \". SOA a.root-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 86400\"")
        .start();
    let mut rows = SENTENCES
        .replace("TO_SET", "set `dns.server` and `dns.zone` or give a resolver that knows it with -resolver")
        .replace("DELV", &format!("{} -p {}", world.addr().ip(), world.addr().port()))
        .replace("NOPORT of NOIP", &format!("{} of {}", nobody.port(), nobody.ip()))
        .replace("SILENCE", "connection refused (nothing listens there)");
    let places = [("WORLD", world.addr()), ("ROOT", root.addr()), ("AUTH", auth.addr()), ("OTHER", other.addr())];
    for (word, address) in [&places[..], &[("NOBODY", nobody)]].concat() {
        rows = rows.replace(word, &address.to_string());
    }
    for row in rows.lines().skip(1) {
        let [resolver, dns, name, says] = row.split(" | ").collect::<Vec<_>>()[..] else { panic!("{row}") };
        let said = find(&DnsClient::default(), resolver.parse().unwrap(), name, dns).expect_err(row);
        assert_eq!(said, says, "{row}");
    }
}

#[test]
fn without_its_resolver_it_orders_nothing_and_says_so() {
    let site = Site::new();
    site.config(&entry("web", "www.site.test", ""));
    site.resolver.stop();
    let said = format!("www.site.test: resolver {} does not answer for www.site.test", site.resolver.addr());
    once(&site).ends(1).says(&["failed secret=default/web stage=zone", &said]);
    assert_eq!(site.dns.updates(), 0);
    let orders = site.pebble.request_lines().iter().filter(|line| line.contains("order")).count();
    assert_eq!(orders, 0);
}
