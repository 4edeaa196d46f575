//! The real servers, shared by all cells; each cell has proxies of its own before them.

use std::net::Ipv4Addr;
use std::sync::OnceLock;

use notariat_lab::{Grant, Hmac, Key, Kube, NameServer, Pebble, Port, Resolver, Software, Zone};

use crate::admin::Admin;
use crate::door::Tls;

/// More than there are cells and runs without a fault.
const HOSTS: usize = 1500;

/// The zones, one for each kind of primary.
const ZONES: [(Software, &str); 2] = [(Software::Bind, "bind.test"), (Software::Knot, "knot.test")];

pub struct Servers {
    pub key: Key,
    primaries: Vec<NameServer>,
    /// Of both zones.
    pub secondary: NameServer,
    pub resolver: Resolver,
    pub pebble: Pebble,
    pub tls: Tls,
    pub kube: &'static Kube,
    pub admin: Admin,
    _port: Port,
}

impl Servers {
    pub fn start() -> &'static Servers {
        static SERVERS: OnceLock<Servers> = OnceLock::new();
        SERVERS.get_or_init(|| {
            let kube = std::thread::spawn(Kube::shared);
            let (key, transfer, port) = (Key::new("k", Hmac::Sha256), Key::new("transfer", Hmac::Sha256), Port::new());
            let at = port.at(Ipv4Addr::LOCALHOST);
            let primaries = ZONES.map(|(software, name)| {
                let zone = Zone::new(name).grant(Grant::Zone(&key));
                let zone = (0..HOSTS).fold(zone, |zone, n| zone.line(&format!("h{n} A 127.0.0.1")));
                NameServer::setup(software).zone(zone).transfer_key(&transfer).also_notify(at).start()
            });
            let secondary = NameServer::setup(Software::Bind).address(at);
            let secondary = ZONES.iter().zip(&primaries).fold(secondary, |secondary, ((_, zone), primary)| {
                secondary.secondary_of(primary.addr(), &transfer, &[zone])
            });
            let secondary = secondary.start();
            let resolver = ZONES
                .iter()
                .zip(&primaries)
                .fold(Resolver::setup(), |resolver, ((_, zone), primary)| resolver.forward(zone, primary.addr()));
            // It resets connections beyond ten, and the CA asks it over TCP for all cells.
            let resolver = resolver.option("incoming-num-tcp: 1000").option("outgoing-num-tcp: 500").start();
            let pebble = Pebble::setup().dns_server(resolver.addr()).start();
            let kube = kube.join().expect("the API server starts");
            let (tls, admin) = (Tls::of(&pebble), Admin::of(kube));
            Servers { key, primaries: primaries.into(), secondary, resolver, pebble, tls, kube, admin, _port: port }
        })
    }

    /// The primary of a cell, and the name that is certified.
    pub fn primary(&self, number: usize) -> (&NameServer, String) {
        assert!(number < HOSTS, "the zones have too few hosts");
        let of = number / 2 % self.primaries.len();
        (&self.primaries[of], format!("h{number}.{}", ZONES[of].1))
    }
}
