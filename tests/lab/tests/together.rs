//! Servers that need each other: secondaries, the resolver, delegations, and all of them in one namespace.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::{Grant, Hmac, Key, NameServer, Place, Port, Resolver, Software, Zone, query};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Waits for what happens by itself in a moment.
fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !happened() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn secondaries_follow_primaries_of_their_own_kind_and_of_others() {
    for (first, second) in [
        (Software::Bind, Software::Bind),
        (Software::Knot, Software::Knot),
        (Software::Knot, Software::Bind),
        (Software::Bind, Software::Knot),
        (Software::PowerDns, Software::Bind),
    ] {
        let (key, transfer) = (Key::new("key", Hmac::Sha256), Key::new("transfer", Hmac::Sha256));
        // The primary has to know where the secondary will be.
        let port = Port::new();
        let zone = Zone::new("lab.test").grant(Grant::Zone(&key));
        let setup = NameServer::setup(first).zone(zone).transfer_key(&transfer).also_notify(port.at(LOOPBACK));
        let primary = setup.start();
        let setup = NameServer::setup(second).address(port.at(LOOPBACK));
        let secondary = setup.secondary_of(primary.addr(), &transfer, &["lab.test"]).start();
        primary.nsupdate(&key, "lab.test", "add x.lab.test. 60 TXT v").unwrap();
        let began = Instant::now();
        eventually(&format!("{second:?} follows {first:?}"), || secondary.txt("x.lab.test") == ["v"]);
        println!("{second:?} follows {first:?} after {:?}", began.elapsed());
        assert_eq!(secondary.serial("lab.test"), primary.serial("lab.test"));
    }
}

#[test]
fn in_a_namespace_every_server_has_an_address_with_port_53() {
    let place = Place::new_namespace();
    let key = Key::new("key", Hmac::Sha256);
    let servers: Vec<NameServer> = Software::ALL
        .into_iter()
        .zip(1u8..)
        .map(|(software, number)| {
            let zone = Zone::new(&format!("{software:?}.test")).line("www A 192.0.2.1").grant(Grant::Zone(&key));
            let address = SocketAddr::from(([127, 0, 0, number], 53));
            NameServer::setup(software).place(&place).address(address).zone(zone).start()
        })
        .collect();
    let address = SocketAddr::from(([127, 0, 0, 53], 53));
    let setup = servers
        .iter()
        .zip(["bind.test", "knot.test", "powerdns.test"])
        .fold(Resolver::setup().place(&place).address(address), |setup, (server, zone)| {
            setup.forward(zone, server.addr())
        });
    let resolver = setup.start();
    for (server, zone) in servers.iter().zip(["bind.test", "knot.test", "powerdns.test"]) {
        server.nsupdate(&key, zone, &format!("add x.{zone}. 60 TXT v")).unwrap();
        assert_eq!(server.updates(), 1, "{zone}");
        assert_eq!(resolver.txt(&format!("x.{zone}")), ["v"]);
        assert!(!resolver.ask(zone, query::SOA).unwrap().records.is_empty());
    }
}

#[test]
fn the_resolver_forwards_across_zones_and_remembers_nothing() {
    let key = Key::new("key", Hmac::Sha256);
    let zone = Zone::new("lab.test").grant(Grant::Zone(&key));
    let target = NameServer::setup(Software::Knot).zone(zone).start();
    let zone = Zone::new("static.test").line("_acme-challenge CNAME static.lab.test.");
    let alias = NameServer::setup(Software::Bind).zone(zone).start();
    let resolver = Resolver::setup().forward("lab.test", target.addr()).forward("static.test", alias.addr()).start();
    assert_eq!(resolver.txt("_acme-challenge.static.test"), [""; 0], "nothing there yet");
    target.nsupdate(&key, "lab.test", "add static.lab.test. 60 TXT v").unwrap();
    assert_eq!(resolver.txt("_acme-challenge.static.test"), ["v"], "in spite of the answer before");
    target.nsupdate(&key, "lab.test", "delete static.lab.test. TXT v\nadd static.lab.test. 60 TXT w").unwrap();
    assert_eq!(resolver.txt("_acme-challenge.static.test"), ["w"], "in spite of the answer before");
    target.stop();
    assert_eq!(resolver.ask("static.lab.test", query::TXT).unwrap().code, 2, "SERVFAIL without the server");
    resolver.stop();
    resolver.start_again();
    target.start_again();
    assert_eq!(resolver.txt("_acme-challenge.static.test"), ["w"]);
}

#[test]
fn a_delegated_child_lives_on_another_server() {
    let key = Key::new("key", Hmac::Sha256);
    let child = NameServer::setup(Software::Knot).zone(Zone::new("child.lab.test").grant(Grant::Zone(&key))).start();
    let zone = Zone::new("lab.test").line("child NS ns1.child").line("ns1.child A 127.0.0.1").grant(Grant::Zone(&key));
    let parent = NameServer::setup(Software::Bind).zone(zone).start();
    child.nsupdate(&key, "child.lab.test", "add x.child.lab.test. 60 TXT v").unwrap();
    assert_eq!(child.txt("x.child.lab.test"), ["v"]);
    assert_eq!(parent.txt("x.child.lab.test"), [""; 0], "the parent only refers to it");
}
