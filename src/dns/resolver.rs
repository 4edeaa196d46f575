//! Questions to a recursive resolver: which zone a name is in, and the addresses of name servers.
//!
//! Untrusted and unsigned: what a resolver says steers where we look, never whether a write succeeded. It is never asked for a
//! challenge name: its NXDOMAIN would hide the record from the CA for the zone's negative TTL.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};

use super::client::{Client, NoAnswer, Way};
use super::wire::{Answer, Data, Kind, Rcode};
use crate::address::{DNS_PORT, Host, ServerAddress};
use crate::limits::{RESOLVERS_MAX, SERVER_ADDRESSES_MAX};
use crate::name::DnsName;
use crate::time::Deadline;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Where recursive questions go.
#[derive(Clone, Debug)]
pub enum Resolver {
    /// The servers of `/etc/resolv.conf`, read anew each time, as the C library does.
    System,
    /// The server of `-resolver`.
    Server(ServerAddress),
}

impl Resolver {
    /// Asks each resolver in turn until one answers NOERROR or NXDOMAIN.
    ///
    /// # Errors
    /// When none does; what each said. SERVFAIL and REFUSED are errors and never "no such name".
    pub fn query(&self, client: &Client, name: &DnsName, kind: Kind, deadline: Deadline) -> Result<Answer, String> {
        let servers = self.servers()?;
        let mut said = Vec::new();
        for server in &servers {
            match client.query(*server, name, kind, Way::Recursive, deadline) {
                Ok(answer) if matches!(answer.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) => {
                    return Ok(answer);
                }
                Ok(answer) => said.push(format!("resolver {} says {} for {name}", shown(*server), answer.rcode)),
                Err(NoAnswer(e)) => said.push(format!("resolver {} does not answer for {name} ({e})", shown(*server))),
            }
        }
        Err(said.join("; "))
    }

    /// The addresses of a server, IPv4 before IPv6 as most clusters route only the former.
    ///
    /// # Errors
    /// When a name has no address or could not be looked up.
    pub fn resolve(
        &self,
        client: &Client,
        server: &ServerAddress,
        deadline: Deadline,
    ) -> Result<Vec<SocketAddr>, String> {
        let name = match &server.host {
            Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, server.port)]),
            Host::Name(name) => name,
        };
        let mut found: Vec<IpAddr> = Vec::new();
        let mut failed = None;
        for kind in [Kind::A, Kind::Aaaa] {
            match self.query(client, name, kind, deadline) {
                Ok(answer) => found.extend(answer.answers.iter().filter_map(address)),
                Err(e) => failed = Some(e),
            }
        }
        found.truncate(SERVER_ADDRESSES_MAX);
        match (found.is_empty(), failed) {
            (false, _) => Ok(found.into_iter().map(|ip| SocketAddr::new(ip, server.port)).collect()),
            (true, Some(e)) => Err(e),
            (true, None) => Err(format!("{name} has no address (resolver {self})")),
        }
    }

    fn servers(&self) -> Result<Vec<SocketAddr>, String> {
        match self {
            Resolver::System => {
                let text = std::fs::read_to_string(RESOLV_CONF).map_err(|e| {
                    format!("{RESOLV_CONF} can not be read ({e}); give a resolver with -resolver HOST[:PORT]")
                })?;
                Ok(nameservers(&text))
            }
            Resolver::Server(server) => match server.literal() {
                Some(address) => Ok(vec![address]),
                None => (server.host_text().as_str(), server.port)
                    .to_socket_addrs()
                    .map(Iterator::collect)
                    .map_err(|e| format!("the resolver {server} has no address ({e})")),
            },
        }
    }
}

impl std::fmt::Display for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Resolver::System => f.write_str(RESOLV_CONF),
            Resolver::Server(server) => write!(f, "{server}"),
        }
    }
}

/// An address record's address.
pub fn address(record: &super::wire::Rr) -> Option<IpAddr> {
    match record.data {
        Data::Address(ip) => Some(ip),
        Data::Caa { .. } | Data::Cname(_) | Data::Ns(_) | Data::Soa { .. } | Data::Txt(_) => None,
    }
}

/// As configuration has it: without the port of DNS.
pub fn shown(address: SocketAddr) -> String {
    ServerAddress::from(address).to_string()
}

/// The `nameserver` lines of resolv.conf(5): the first three; the local host where there are none.
fn nameservers(text: &str) -> Vec<SocketAddr> {
    let mut servers: Vec<SocketAddr> = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("nameserver")?.split_whitespace().next())
        // A scope (`fe80::1%eth0`) can not be expressed here; such a server is left out.
        .filter_map(|ip| ip.parse::<IpAddr>().ok())
        .map(|ip| SocketAddr::new(ip, DNS_PORT))
        .take(RESOLVERS_MAX)
        .collect();
    if servers.is_empty() {
        servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT)));
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_is_read_as_the_c_library_reads_it() {
        let text = "# comment\nsearch a b\nnameserver 10.0.0.10\n nameserver ::1\noptions ndots:5\nnameserver fe80::1%eth0\nnameserver x\nnameserver 1.1.1.1 # x\nnameserver 2.2.2.2\n";
        let found: Vec<String> = nameservers(text).into_iter().map(|s| s.to_string()).collect();
        assert_eq!(found, ["10.0.0.10:53", "[::1]:53", "1.1.1.1:53"]);
        assert_eq!(nameservers("search x")[0].to_string(), "127.0.0.1:53");
    }
}
