//! BIND, Knot and PowerDNS do what their handles promise. The updates are sent by `nsupdate` and
//! `knsupdate`, so that what notariat's tests rely on was shown without notariat.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::panic;

use notariat_lab::{Grant, Hmac, Key, NameServer, Port, Software, Zone};

/// A primary for `lab.test` whose TXT records the key may change.
fn primary(software: Software, key: &Key) -> NameServer {
    NameServer::setup(software).zone(Zone::new("lab.test").grant(Grant::Zone(key))).start()
}

#[test]
fn each_server_obeys_each_hmac_from_both_update_tools() {
    for software in Software::ALL {
        let keys = Hmac::ALL.map(|algorithm| Key::new(&format!("key.{}", algorithm.name()), algorithm));
        let zone = keys.iter().fold(Zone::new("lab.test"), |zone, key| zone.grant(Grant::Zone(key)));
        let server = NameServer::setup(software).zone(zone).start();
        for key in &keys {
            let name = format!("_acme-challenge.{}.lab.test", key.algorithm.name());
            server.nsupdate(key, "lab.test", &format!("add {name}. 60 TXT \"one two\"")).unwrap();
            assert_eq!(server.txt(&name), ["one two"], "{software:?}");
            server.knsupdate(key, "lab.test", &format!("delete {name}. TXT \"one two\"")).unwrap();
            assert_eq!(server.txt(&name), [""; 0], "{software:?}");
        }
        assert_eq!(server.serial("lab.test"), 1 + 2 * keys.len() as u32, "{software:?}");
    }
}

#[test]
fn each_server_counts_the_updates_it_received_refused_ones_too() {
    for software in Software::ALL {
        let (key, known) = (Key::new("key", Hmac::Sha256), Key::new("known", Hmac::Sha256));
        let zone = Zone::new("lab.test").grant(Grant::Zone(&key));
        let server = NameServer::setup(software).zone(zone).key(&known).start();
        assert_eq!(server.updates(), 0, "{software:?}");
        let change = "add x.lab.test. 60 TXT v";
        server.nsupdate(&key, "lab.test", change).unwrap();
        server.nsupdate(&key, "lab.test", "delete x.lab.test. TXT v").unwrap();
        assert_eq!(server.updates(), 2, "{software:?}");
        server.nsupdate(&known, "lab.test", change).unwrap_err();
        assert_eq!(server.updates(), 3, "{software:?}: a known key without a grant");
        // PowerDNS throws these two away before it sees that they are updates.
        let counted = u64::from(software != Software::PowerDns);
        server.nsupdate(&key.with_another_secret(), "lab.test", change).unwrap_err();
        assert_eq!(server.updates(), 3 + counted, "{software:?}: a wrong secret");
        server.nsupdate(&Key::new("stranger", Hmac::Sha256), "lab.test", change).unwrap_err();
        assert_eq!(server.updates(), 3 + 2 * counted, "{software:?}: an unknown key");
        assert_eq!(server.txt("x.lab.test"), [""; 0]);
    }
}

#[test]
fn data_survives_a_stop_and_a_crash_at_the_same_address() {
    for software in Software::ALL {
        let key = Key::new("key", Hmac::Sha256);
        let server = primary(software, &key);
        let address = server.addr();
        server.nsupdate(&key, "lab.test", "add a.lab.test. 60 TXT one").unwrap();
        server.stop();
        server.start_again();
        server.nsupdate(&key, "lab.test", "add a.lab.test. 60 TXT two").unwrap();
        server.kill9();
        server.start_again();
        assert_eq!(server.txt("a.lab.test"), ["one", "two"], "{software:?}");
        assert_eq!(server.serial("lab.test"), 3, "{software:?}");
        assert_eq!(server.addr(), address);
    }
}

#[test]
fn a_grant_reaches_as_far_as_it_says() {
    for software in [Software::Bind, Software::Knot] {
        let (one, all) = (Key::new("one", Hmac::Sha256), Key::new("all", Hmac::Sha256));
        let zone =
            Zone::new("lab.test").grant(Grant::Name(&one, "_acme-challenge.www.lab.test")).grant(Grant::Any(&all));
        let server = NameServer::setup(software).zone(zone).start();
        server.nsupdate(&one, "lab.test", "add _acme-challenge.www.lab.test. 60 TXT v").unwrap();
        server.nsupdate(&one, "lab.test", "add _acme-challenge.api.lab.test. 60 TXT v").unwrap_err();
        server.nsupdate(&one, "lab.test", "add _acme-challenge.www.lab.test. 60 A 192.0.2.1").unwrap_err();
        server.nsupdate(&all, "lab.test", "add api.lab.test. 60 CNAME www.lab.test.").unwrap();
    }
}

#[test]
fn a_zone_without_a_grant_takes_no_update_from_anyone() {
    for software in Software::ALL {
        let key = Key::new("key", Hmac::Sha256);
        let server = NameServer::setup(software).zone(Zone::new("lab.test")).key(&key).start();
        server.nsupdate(&key, "lab.test", "add x.lab.test. 60 TXT v").unwrap_err();
    }
}

#[test]
fn servers_listen_on_ipv6_as_well() {
    for software in Software::ALL {
        let key = Key::new("key", Hmac::Sha256);
        let zone = Zone::new("lab.test").grant(Grant::Zone(&key));
        let server = NameServer::setup(software).address("[::1]:0").zone(zone).start();
        assert!(server.addr().is_ipv6());
        server.nsupdate(&key, "lab.test", "add x.lab.test. 60 TXT v").unwrap();
        assert_eq!(server.txt("x.lab.test"), ["v"], "{software:?}");
        assert_eq!(server.updates(), 1, "{software:?}");
    }
}

#[test]
fn further_lines_reach_each_configuration() {
    let key = Key::new("key", Hmac::Sha256);
    let zone = |line| Zone::new("lab.test").grant(Grant::Zone(&key)).server_line(line);
    let bind = NameServer::setup(Software::Bind).option("max-udp-size 512;").zone(zone("max-journal-size 1m;")).start();
    let knot =
        NameServer::setup(Software::Knot).option("statistics:\n    timer: 3600").zone(zone("journal-max-depth: 20"));
    let knot = knot.start();
    let powerdns = NameServer::setup(Software::PowerDns).option("server-id=lab").zone(zone("LUA-AXFR-SCRIPT NONE"));
    let powerdns = powerdns.start();
    assert!(bind.control(&["zonestatus", "lab.test"]).unwrap().contains("dynamic: yes"));
    assert_eq!(
        knot.control(&["conf-read", "zone.journal-max-depth"]).unwrap().trim(),
        "zone[lab.test.].journal-max-depth = 20"
    );
    assert!(powerdns.control(&["current-config"]).unwrap().contains("server-id=lab"));
}

#[test]
fn a_server_whose_address_is_taken_says_so_at_once() {
    let port = Port::new();
    let address = port.at(Ipv4Addr::LOCALHOST);
    let _taken = (UdpSocket::bind(address).unwrap(), TcpListener::bind(address).unwrap());
    for software in Software::ALL {
        let setup = NameServer::setup(software).address(address).zone(Zone::new("lab.test"));
        let panic = panic::catch_unwind(|| setup.start()).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("found its address in use before it served lab.test"), "{text}");
    }
}
