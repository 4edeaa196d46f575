//! The settings of Pebble before it starts.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};

use super::Pebble;
use crate::nameserver::one_address;
use crate::pki::{Authority, Pair};
use crate::ports::{self, Port};
use crate::process::Server;
use crate::tools::tool;
use crate::{Place, Scratch};

/// Everything that can be said about Pebble before it starts.
#[derive(Clone, Debug)]
pub struct Setup {
    place: Place,
    address: SocketAddr,
    dns_server: Option<SocketAddr>,
    strict: bool,
    environment: Vec<(String, String)>,
    retry_after_secs: (u32, u32),
    profiles: Vec<(String, String, u64, bool)>,
    account_keys: Vec<(String, String)>,
    blocked: Vec<String>,
    http_port: u16,
}

impl Setup {
    pub(super) fn new() -> Setup {
        let setup = Setup {
            place: Place::Host,
            address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
            dns_server: None,
            strict: true,
            environment: Vec::new(),
            retry_after_secs: (0, 0),
            profiles: Vec::new(),
            account_keys: Vec::new(),
            blocked: Vec::new(),
            http_port: 80,
        };
        setup.no_sleep(true).nonce_reject(0).authz_reuse(0)
    }

    /// Runs it in a network namespace.
    pub fn place(mut self, place: &Place) -> Setup {
        self.place = place.clone();
        self
    }

    /// Where ACME is served; port 0 is any free one, and at 127.0.0.1 the default.
    pub fn address(mut self, address: impl ToSocketAddrs) -> Setup {
        self.address = one_address(address);
        self
    }

    /// The resolver (or name server) it looks up challenges at; asked over TCP. Default: the machine's own.
    pub fn dns_server(mut self, address: SocketAddr) -> Setup {
        self.dns_server = Some(address);
        self
    }

    /// Tells whether it refuses what future versions of the protocol will. Default: yes.
    pub fn strict(mut self, strict: bool) -> Setup {
        self.strict = strict;
        self
    }

    /// Tells whether it validates at once, or after up to 15 s as a loaded CA would. Default: at once.
    pub fn no_sleep(self, no_sleep: bool) -> Setup {
        self.env("PEBBLE_VA_NOSLEEP", if no_sleep { "1" } else { "0" })
    }

    /// How many of a hundred good nonces it rejects. Default: 0.
    pub fn nonce_reject(self, percent: u32) -> Setup {
        self.env("PEBBLE_WFE_NONCEREJECT", &percent.to_string())
    }

    /// How many of a hundred valid authorizations it uses again. Default: 0, where Pebble still does one in a hundred.
    pub fn authz_reuse(self, percent: u32) -> Setup {
        self.env("PEBBLE_AUTHZREUSE", &percent.to_string())
    }

    /// The seconds of Retry-After on authorizations and orders; 0 sends none, the default.
    pub fn retry_after(mut self, authz: u32, order: u32) -> Setup {
        self.retry_after_secs = (authz, order);
        self
    }

    /// A profile; the first one replaces the default, which is called `default` and gives 90 days. With several, Pebble
    /// picks one at random for each order that names none. `promote_cn` puts the first name into the subject.
    pub fn profile(mut self, name: &str, description: &str, validity_secs: u64, promote_cn: bool) -> Setup {
        self.profiles.push((name.into(), description.into(), validity_secs, promote_cn));
        self
    }

    /// Requires an external account binding, and accepts this one: key id and MAC key in base64url.
    pub fn eab(mut self, kid: &str, mac_key: &str) -> Setup {
        self.account_keys.push((kid.into(), mac_key.into()));
        self
    }

    /// How many further roots it offers chains to.
    pub fn alternate_roots(self, count: u32) -> Setup {
        self.env("PEBBLE_ALTERNATE_ROOTS", &count.to_string())
    }

    /// How many intermediates stand between a certificate and its root. Default: 1.
    pub fn chain_length(self, count: u32) -> Setup {
        self.env("PEBBLE_CHAIN_LENGTH", &count.to_string())
    }

    /// The port at which it asks for answers to http-01 challenges. Default: 80.
    pub fn http_port(mut self, port: u16) -> Setup {
        self.http_port = port;
        self
    }

    /// A domain it issues nothing for.
    pub fn blocklist(mut self, domain: &str) -> Setup {
        self.blocked.push(domain.into());
        self
    }

    /// One of its further settings: `PEBBLE_VA_ALWAYS_VALID`, `PEBBLE_VA_SLEEPTIME`, `PEBBLE_WFE_ORDERS_PER_PAGE`.
    pub fn env(mut self, name: &str, value: &str) -> Setup {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    pub fn start(self) -> Pebble {
        ports::start_with_free_ports(|| self.try_start())
    }

    fn try_start(&self) -> Result<Pebble, String> {
        let directory = Scratch::new("pebble");
        let (address, port) = ports::resolve(self.address);
        let management_port = Port::new();
        let management = management_port.at(address.ip());
        let authority = Authority::new(directory.path(), "lab ACME server CA");
        let names = format!("DNS:localhost,DNS:acme.lab,IP:127.0.0.1,IP:::1,IP:{}", address.ip());
        let pair = authority.server("server", &names);
        let configuration = directory.write("pebble.json", &self.configuration(address, management, &pair));
        let mut command = self.place.command(tool("pebble"));
        command.arg("-config").arg(configuration);
        if self.strict {
            command.arg("-strict");
        }
        if let Some(server) = self.dns_server {
            command.args(["-dnsserver", &server.to_string()]);
        }
        // The last of two values for one name wins.
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let pebble = Pebble {
            process: Server::start("pebble", &command, &directory.join("log")),
            place: self.place.clone(),
            address,
            management,
            ca_file: authority.certificate(),
            _directory: directory,
            _ports: (port, management_port),
        };
        pebble.wait_until_answering()?;
        Ok(pebble)
    }

    fn configuration(&self, address: SocketAddr, management: SocketAddr, pair: &Pair) -> String {
        let default = [("default".to_owned(), "90 days".to_owned(), 90 * 24 * 3600, false)];
        let profiles = if self.profiles.is_empty() { &default[..] } else { &self.profiles };
        let profiles = profiles.iter().map(|(name, description, validity, promote_cn)| {
            format!("{name:?}: {{\"description\": {description:?}, \"validityPeriod\": {validity}, \"promoteCommonName\": {promote_cn}}}")
        });
        let account_keys = self.account_keys.iter().map(|(kid, key)| format!("{kid:?}: {key:?}"));
        // Rust's quotes are JSON's for the plain ASCII that stands here.
        format!(
            r#"{{"pebble": {{
  "listenAddress": "{address}", "managementListenAddress": "{management}",
  "certificate": {:?}, "privateKey": {:?},
  "httpPort": {}, "tlsPort": 443, "ocspResponderURL": "", "keyAlgorithm": "ecdsa",
  "caaIdentities": ["pebble.letsencrypt.org"],
  "externalAccountBindingRequired": {}, "externalAccountMACKeys": {{{}}},
  "domainBlocklist": {:?},
  "retryAfter": {{"authz": {}, "order": {}}},
  "profiles": {{{}}}
}}}}"#,
            pair.certificate,
            pair.key,
            self.http_port,
            !self.account_keys.is_empty(),
            joined(account_keys),
            self.blocked,
            self.retry_after_secs.0,
            self.retry_after_secs.1,
            joined(profiles),
        )
    }
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}
