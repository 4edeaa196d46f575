//! A resolver that remembers nothing unless told to: Unbound, sent for each zone to the server that serves it.
//!
//! Stands for the resolvers of the world: what Pebble asks, and what notariat finds zones with. With a cache a test
//! would have to wait for the TTL of what an earlier step looked up. That is why it is not BIND: with all its cache
//! times at 0, BIND 9.18 still repeats an answer for the rest of the second in which it got it (measured), long enough
//! for the next order of a name to be validated against the TXT record of the last one.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};

use crate::nameserver::one_address;
use crate::ports::{self, Port};
use crate::process::Server;
use crate::query::{self, Answer};
use crate::tools::tool;
use crate::zone::without_dot;
use crate::{Place, Scratch};

/// Everything that can be said about a resolver before it starts.
#[derive(Clone, Debug)]
pub struct Setup {
    place: Place,
    address: SocketAddr,
    forwards: Vec<(String, SocketAddr)>,
    options: Vec<String>,
    no_cache: &'static str,
}

impl Setup {
    /// Runs it in a network namespace. It listens at 127.0.0.1, port 53 then, unless told otherwise.
    pub fn place(mut self, place: &Place) -> Setup {
        self.place = place.clone();
        if self.address.port() == 0 && matches!(place, Place::Namespace(_)) {
            self.address.set_port(53);
        }
        self
    }

    /// Where it listens; port 0 is any free one, and at 127.0.0.1 the default.
    pub fn address(mut self, address: impl ToSocketAddrs) -> Setup {
        self.address = one_address(address);
        self
    }

    /// Asks this server about the zone and all below. Each server needs one, as only the world's zones are known to it
    /// otherwise, and those it cannot reach.
    pub fn forward(mut self, zone: &str, server: SocketAddr) -> Setup {
        self.forwards.push((without_dot(zone), server));
        self
    }

    /// A further line for the `server:` section of `unbound.conf`.
    pub fn option(mut self, line: &str) -> Setup {
        self.options.push(line.to_owned());
        self
    }

    /// Lets it remember answers for as long as their TTLs say, as the resolvers of the world do.
    pub fn remembering(mut self) -> Setup {
        self.no_cache = "no";
        self
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    pub fn start(self) -> Resolver {
        ports::start_with_free_ports(|| self.try_start())
    }

    fn try_start(&self) -> Result<Resolver, String> {
        let directory = Scratch::new("resolver");
        let (address, port) = ports::resolve(self.address);
        self.place.add_address(address.ip());
        let file = directory.write("unbound.conf", &self.configuration(address));
        let mut command = self.place.command(tool("unbound"));
        command.arg("-d").arg("-c").arg(file);
        let resolver = Resolver {
            process: Server::start("resolver", &command, &directory.join("log")),
            place: self.place.clone(),
            address,
            _directory: directory,
            _port: port,
        };
        resolver.wait_until_answering()?;
        Ok(resolver)
    }

    /// `tcp-upstream`: a port where nobody is refuses at once over TCP, while Unbound repeats a question over UDP for more
    /// than 20 s.
    fn configuration(&self, address: SocketAddr) -> String {
        let mut text = format!(
            "server:
  interface: {}@{}
  access-control: 0.0.0.0/0 allow
  access-control: ::0/0 allow
  do-daemonize: no
  chroot: \"\"
  username: \"\"
  directory: \"\"
  pidfile: \"\"
  use-syslog: no
  logfile: \"\"
  log-queries: yes
  num-threads: 1
  module-config: \"iterator\"
  do-not-query-localhost: no
  qname-minimisation: no
  infra-host-ttl: 0
  tcp-upstream: yes
  target-fetch-policy: \"0 0 0 0 0\"
",
            address.ip(),
            address.port()
        );
        text.extend(self.options.iter().map(|option| format!("  {option}\n")));
        for (zone, _) in &self.forwards {
            // `test.` and some other names reserved for our purpose are answered with NXDOMAIN by Unbound itself.
            let top = zone.rsplit('.').next().unwrap_or(zone);
            text += &format!("  local-zone: \"{top}.\" nodefault\n");
        }
        text += "remote-control:\n  control-enable: no\n";
        for (zone, server) in &self.forwards {
            let (ip, port) = (server.ip(), server.port());
            text += &format!("stub-zone:\n  name: \"{zone}.\"\n  stub-addr: {ip}@{port}\n");
            text += &format!("  stub-no-cache: {}\n", self.no_cache);
        }
        // All else goes to a port where nobody is, so it fails at once instead of asking the world.
        text += "forward-zone:\n  name: \".\"\n  forward-addr: 127.0.0.1@9\n  forward-no-cache: yes\n";
        text
    }
}

/// A running resolver, stopped when dropped.
#[derive(Debug)]
pub struct Resolver {
    process: Server,
    place: Place,
    address: SocketAddr,
    _directory: Scratch,
    _port: Option<Port>,
}

impl Resolver {
    /// Starts to describe a resolver.
    pub fn setup() -> Setup {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        Setup { place: Place::Host, address, forwards: Vec::new(), options: Vec::new(), no_cache: "yes" }
    }

    /// Where it listens, UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Where it runs.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends it with SIGTERM.
    pub fn stop(&self) {
        self.process.stop();
    }

    /// Starts it again after [`Resolver::stop`], at the same address.
    pub fn start_again(&self) {
        self.process.start_again();
        self.wait_until_answering().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Its log so far; it names each question.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Asks it for records of a type (see [`query`]).
    pub fn ask(&self, name: &str, kind: u16) -> std::io::Result<Answer> {
        query::ask(&self.place, self.address, name, kind)
    }

    /// The TXT records it finds at a name, sorted.
    pub fn txt(&self, name: &str) -> Vec<String> {
        query::txt(&self.place, self.address, name).unwrap_or_else(|error| panic!("the resolver is silent: {error}"))
    }

    fn wait_until_answering(&self) -> Result<(), String> {
        // `localhost` is answered by no zone of ours, so SERVFAIL or not: any answer at all will do.
        self.process.wait_until("answered", || self.ask("localhost", query::TXT).is_ok())
    }
}
