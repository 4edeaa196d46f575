//! The settings of a name server before it starts.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Mutex;

use super::{NameServer, Software, at_clock, one_address};
use crate::ports::{self, Port};
use crate::process::Server;
use crate::zone::{Reach, without_dot};
use crate::{Key, Place, Scratch, Zone, bind, knot, powerdns};

/// Everything that can be said about a server before it starts.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) software: Software,
    pub(crate) place: Place,
    pub(crate) address: SocketAddr,
    pub(crate) zones: Vec<Zone>,
    pub(crate) keys: Vec<Key>,
    pub(crate) options: Vec<String>,
    pub(crate) transfer_key: Option<Key>,
    pub(crate) also_notify: Vec<SocketAddr>,
    pub(crate) notify_delay_secs: u32,
    pub(crate) followed: Vec<Followed>,
    pub(crate) clock: i64,
    pub(crate) views: Vec<(String, String)>,
}

/// Zones a secondary copies from a primary.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    pub(crate) primary: SocketAddr,
    pub(crate) key: Key,
    pub(crate) zones: Vec<String>,
}

impl Setup {
    pub(super) fn new(software: Software) -> Setup {
        Setup {
            software,
            place: Place::Host,
            address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
            zones: Vec::new(),
            keys: Vec::new(),
            options: Vec::new(),
            transfer_key: None,
            also_notify: Vec::new(),
            notify_delay_secs: 0,
            followed: Vec::new(),
            clock: 0,
            views: Vec::new(),
        }
    }

    /// Runs it in a network namespace. It listens at 127.0.0.1, port 53 then, unless told otherwise.
    pub fn place(mut self, place: &Place) -> Setup {
        self.place = place.clone();
        if self.address.port() == 0 && matches!(place, Place::Namespace(_)) {
            self.address.set_port(53);
        }
        self
    }

    /// Where it listens: `"[::1]:0"`, `"127.0.0.2:53"`, `port.at(ip)`. Port 0 is any free one, and at 127.0.0.1 the
    /// default.
    pub fn address(mut self, address: impl ToSocketAddrs) -> Setup {
        self.address = one_address(address);
        self
    }

    /// A zone it is primary for.
    pub fn zone(mut self, zone: Zone) -> Setup {
        self.zones.push(zone);
        self
    }

    /// A key it knows and grants nothing. The keys of grants and transfers are known anyway.
    pub fn key(mut self, key: &Key) -> Setup {
        self.keys.push(key.clone());
        self
    }

    /// A line for its own configuration: a BIND option, a whole Knot section, a PowerDNS setting.
    pub fn option(mut self, line: &str) -> Setup {
        self.options.push(line.to_owned());
        self
    }

    /// The key secondaries transfer the zones with. It also signs what [`Setup::also_notify`] sends.
    pub fn transfer_key(mut self, key: &Key) -> Setup {
        self.transfer_key = Some(key.clone());
        self
    }

    /// Tells a secondary about each change. Its address has to be known before it starts: see [`Port`].
    pub fn also_notify(mut self, secondary: SocketAddr) -> Setup {
        self.also_notify.push(secondary);
        self
    }

    /// How long BIND gathers changes before it tells the secondaries: 0 here, 5 s in its own default.
    pub fn notify_delay(mut self, seconds: u32) -> Setup {
        self.notify_delay_secs = seconds;
        self
    }

    /// Makes it a secondary of a primary's zones (not PowerDNS). It is up when it has copied them.
    pub fn secondary_of(mut self, primary: SocketAddr, key: &Key, zones: &[&str]) -> Setup {
        let zones = zones.iter().map(|zone| without_dot(zone)).collect();
        self.followed.push(Followed { primary, key: key.clone(), zones });
        self
    }

    /// Sets its clock so many seconds ahead of the machine's, or behind it.
    pub fn clock(mut self, seconds: i64) -> Setup {
        self.clock = seconds;
        self
    }

    /// A view of BIND and its `match-clients`, such as `key "k"; 127.0.0.1;`. The first that matches is shown. With views every
    /// zone is in one.
    pub fn view(mut self, name: &str, clients: &str) -> Setup {
        self.views.push((name.to_owned(), clients.to_owned()));
        self
    }

    /// Starts it and waits until it serves each zone.
    #[track_caller]
    pub fn start(self) -> NameServer {
        ports::start_with_free_ports(|| self.try_start())
    }

    fn try_start(&self) -> Result<NameServer, String> {
        let signs = self.also_notify.is_empty() || self.transfer_key.is_some();
        assert!(signs, "also_notify needs a transfer_key, which signs what it sends");
        let directory = Scratch::new(&self.software.name().to_ascii_lowercase());
        let (address, port) = ports::resolve(self.address);
        self.place.add_address(address.ip());
        let control = Port::new();
        let command = match self.software {
            Software::Bind => bind::configure(self, &directory, address, &control),
            Software::Knot => knot::configure(self, &directory, address),
            Software::PowerDns => powerdns::configure(self, &directory, address),
        };
        let command = at_clock(command, self.clock);
        // Whether a zone in a view is shown to us is up to the test.
        let own = self.zones.iter().filter(|zone| zone.view.is_none()).map(|zone| zone.name.clone());
        let copied = self.followed.iter().flat_map(|followed| followed.zones.clone());
        let server = NameServer {
            process: Server::start(self.software.name(), &command, &directory.join("log")),
            software: self.software,
            place: self.place.clone(),
            clock: self.clock,
            address,
            zones: own.chain(copied).collect(),
            counting: Mutex::new(()),
            directory,
            _ports: (port, control),
        };
        server.wait_until_serving()?;
        if !self.views.is_empty() {
            server.process.wait_until("loaded its zones", || server.log().contains("all zones loaded"))?;
        }
        Ok(server)
    }

    /// Every key the server has to know, each once.
    pub(crate) fn all_keys(&self) -> Vec<&Key> {
        let granted = self.zones.iter().flat_map(|zone| zone.grants.iter().map(|(key, _)| key));
        let followed = self.followed.iter().map(|followed| &followed.key);
        let mut keys: Vec<&Key> = Vec::new();
        for key in granted.chain(followed).chain(&self.transfer_key).chain(&self.keys) {
            let same_name = keys.iter().find(|known| known.name == key.name);
            assert!(same_name.is_none_or(|known| *known == key), "two different keys are named {}", key.name);
            if same_name.is_none() {
                keys.push(key);
            }
        }
        keys
    }

    /// Tells whether some grant is for one name only.
    pub(crate) fn grants_single_names(&self) -> bool {
        self.zones.iter().flat_map(|zone| &zone.grants).any(|(_, reach)| matches!(reach, Reach::TextsAt(_)))
    }
}
