//! Questions to a recursive resolver: the zone of a name, and the addresses of name servers.
//!
//! Untrusted and unsigned: a resolver's answer decides where we look, never whether a write succeeded. A challenge name
//! is never asked for: the resolver's NXDOMAIN would hide the record from the CA for the zone's negative TTL.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6, ToSocketAddrs as _};

use super::client::{DnsClient, QueryMode};
use super::wire::{DnsResponse, RData, Rcode, RecordType};
use crate::base::address::{DNS_PORT, Host, ServerAddress, shown, to_reach};
use crate::base::limits::{RESOLVERS_MAX, SEARCH_DOMAINS_MAX, SERVER_ADDRESSES_MAX};
use crate::base::name::DnsName;
use crate::base::time::Deadline;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The hint for a resolver that refuses.
const NOT_FOR_US: &str = ": is the name spelt right, and may this machine ask that resolver (its access list)? Else give another one (-resolver)";

/// The servers for recursive questions.
#[derive(Clone, Debug)]
pub enum Resolver {
    /// The servers of `/etc/resolv.conf`, read anew for each question, as the C library does.
    System,
    /// The server of `-resolver`.
    Server(ServerAddress),
}

impl Resolver {
    /// Asks each resolver in turn until one answers NOERROR or NXDOMAIN.
    ///
    /// # Errors
    /// When none does: the answer of each. SERVFAIL and REFUSED are errors and never "no such name".
    pub fn query(
        &self,
        client: &DnsClient,
        name: &DnsName,
        kind: RecordType,
        deadline: Deadline,
    ) -> Result<DnsResponse, String> {
        let servers = self.servers()?;
        let (mut errors, mut failed) = (Vec::new(), None);
        for server in &servers {
            match client.query(*server, name, kind, QueryMode::Recursive, deadline) {
                Ok(answer) if matches!(answer.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) => {
                    return Ok(answer);
                }
                Ok(answer) => {
                    failed = failed.or((answer.rcode == Rcode::SERVFAIL).then_some(server));
                    let hint = if answer.rcode == Rcode::REFUSED { NOT_FOR_US } else { "" };
                    errors.push(format!("resolver {} says {} for {name}{hint}", shown(*server), answer.rcode));
                }
                Err(e) => errors.push(format!(
                    "resolver {} does not answer for {name} ({e}): {}, or give another one (-resolver)",
                    shown(*server),
                    to_reach(*server)
                )),
            }
        }
        // SERVFAIL alone does not tell an operator the cause.
        if let Some(server) = failed {
            let (ip, port) = (server.ip(), server.port());
            errors.push(format!(
                "is the name spelt right? SERVFAIL mostly means that DNSSEC does not validate there or that the zone's servers can not be reached from it (`delv @{ip} -p {port} {name}` tells); an entry with `dns.zone` and an address in `dns.server` needs no resolver"
            ));
        }
        Err(errors.join("; "))
    }

    /// The addresses of a configured server, IPv4 before IPv6, because most clusters route only the former. A name
    /// without an address is tried in the `search` domains of resolv.conf, as other programs in the pod do.
    ///
    /// # Errors
    /// When a name has no address or could not be looked up.
    pub fn resolve(
        &self,
        client: &DnsClient,
        server: &ServerAddress,
        deadline: Deadline,
    ) -> Result<Vec<SocketAddr>, String> {
        let name = match &server.host {
            Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, server.port)]),
            Host::Name(name) => name,
        };
        let error = match self.addresses(client, name, server.port, deadline) {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let domains = self.search();
        for domain in &domains {
            if let Ok(longer) = domain.child(name.as_str())
                && let Ok(found) = self.addresses(client, &longer, server.port, deadline)
            {
                return Ok(found);
            }
        }
        match (domains.is_empty(), name.parent()) {
            (true, Some(_)) => Err(error),
            (true, None) => Err(format!("{error}: write it with its domain")),
            (false, _) => {
                let domains = domains.iter().map(DnsName::as_str).collect::<Vec<_>>().join(", ");
                Err(format!(
                    "{error}, neither as it stands nor in {domains} (`search` of {RESOLV_CONF}): write it with its domain"
                ))
            }
        }
    }

    /// The addresses of exactly this name, such as the target of an NS record.
    ///
    /// # Errors
    /// When the name has no address or could not be looked up.
    pub fn addresses(
        &self,
        client: &DnsClient,
        name: &DnsName,
        port: u16,
        deadline: Deadline,
    ) -> Result<Vec<SocketAddr>, String> {
        let mut found: Vec<IpAddr> = Vec::new();
        let mut failed = None;
        for kind in [RecordType::A, RecordType::Aaaa] {
            match self.query(client, name, kind, deadline) {
                Ok(answer) => found.extend(answer.answers.iter().filter_map(address)),
                Err(e) => failed = Some(e),
            }
        }
        found.truncate(SERVER_ADDRESSES_MAX);
        match (found.is_empty(), failed) {
            (false, _) => Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()),
            (true, Some(e)) => Err(e),
            (true, None) => Err(format!("{name} has no address (resolver {self})")),
        }
    }

    /// The domains in which a short name is tried: those of the pod, where its resolver is used.
    fn search(&self) -> Vec<DnsName> {
        match self {
            Resolver::System => std::fs::read_to_string(RESOLV_CONF).map_or(Vec::new(), |text| search(&text)),
            Resolver::Server(_) => Vec::new(),
        }
    }

    fn servers(&self) -> Result<Vec<SocketAddr>, String> {
        match self {
            Resolver::System => {
                let text = std::fs::read_to_string(RESOLV_CONF).map_err(|e| {
                    format!("{RESOLV_CONF} can not be read ({e}); give a resolver with -resolver HOST[:PORT]")
                })?;
                nameservers(&text, interface)
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
            // People look for the address, and the file in a container is not theirs.
            Resolver::System => match self.servers() {
                Ok(servers) => {
                    let servers: Vec<String> = servers.iter().map(|server| shown(*server)).collect();
                    write!(f, "{} of {RESOLV_CONF}", servers.join(", "))
                }
                Err(_) => f.write_str(RESOLV_CONF),
            },
            Resolver::Server(server) => write!(f, "{server}"),
        }
    }
}

/// The address in an A or AAAA record.
pub fn address(record: &super::wire::ResourceRecord) -> Option<IpAddr> {
    match record.data {
        RData::Address(ip) => Some(ip),
        RData::Caa { .. } | RData::Cname(_) | RData::OddCname(_) | RData::Ns(_) | RData::Soa { .. } | RData::Txt(_) => {
            None
        }
    }
}

/// The words after one of these keywords, for each such line of resolv.conf(5).
fn lines<'t>(text: &'t str, keywords: &'t [&str]) -> impl Iterator<Item = std::str::SplitWhitespace<'t>> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|first| keywords.contains(first)).map(|_| words)
    })
}

/// The first three usable `nameserver` lines; the local host where there are none. `interface` gives the number of a
/// network interface.
///
/// # Errors
/// When there are such lines and none is usable.
fn nameservers(text: &str, interface: impl Fn(&str) -> Option<u32>) -> Result<Vec<SocketAddr>, String> {
    let words: Vec<&str> = lines(text, &["nameserver"]).filter_map(|mut words| words.next()).collect();
    let address = |word: &&str| match word.split_once('%') {
        None => Some(SocketAddr::new(word.parse().ok()?, DNS_PORT)),
        // A link-local address with its scope (RFC 4007 section 11).
        Some((ip, scope)) => Some(SocketAddrV6::new(ip.parse().ok()?, DNS_PORT, 0, interface(scope)?).into()),
    };
    let servers: Vec<SocketAddr> = words.iter().filter_map(address).take(RESOLVERS_MAX).collect();
    match (servers.is_empty(), words.is_empty()) {
        (false, _) => Ok(servers),
        (true, true) => Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT))]),
        (true, false) => {
            let shown: Vec<String> = words.iter().take(RESOLVERS_MAX).map(|word| format!("{word:?}")).collect();
            Err(format!(
                "{RESOLV_CONF} names no resolver that can be used ({}; an address without a port, and the interface behind a `%` must be there); give one with -resolver HOST[:PORT]",
                shown.join(", ")
            ))
        }
    }
}

/// The domains of the last `search` or `domain` line.
fn search(text: &str) -> Vec<DnsName> {
    let words = lines(text, &["search", "domain"]).last();
    words.into_iter().flatten().filter_map(|word| DnsName::parse(word).ok()).take(SEARCH_DOMAINS_MAX).collect()
}

/// The number of a network interface, given by name or as the number itself.
fn interface(name: &str) -> Option<u32> {
    let number = || {
        let is_name = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
        is_name.then(|| std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).ok())?
    };
    name.parse().ok().or_else(|| number()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_is_read_as_the_c_library_reads_it() {
        let text = "# comment\nsearch a b\nnameserver 10.0.0.10\n nameserver ::1\noptions ndots:5\nnameserver fe80::1%eth0\nnameserver x\nnameserver 1.1.1.1 # x\nnameserver 2.2.2.2\n";
        let of = |text: &str| {
            let found = nameservers(text, |name| (name == "eth0").then_some(7));
            found.map(|servers| servers.iter().map(SocketAddr::to_string).collect::<Vec<_>>())
        };
        assert_eq!(of(text).unwrap(), ["10.0.0.10:53", "[::1]:53", "[fe80::1%7]:53"]);
        assert_eq!(of("search x").unwrap(), ["127.0.0.1:53"]);
        assert_eq!(of("nameservers 192.0.2.1\nnameserver\t192.0.2.2").unwrap(), ["192.0.2.2:53"]);
        let said = of("nameserver 1.1.1.1#53\nnameserver fe80::1%gone\n").unwrap_err();
        let expected =
            "/etc/resolv.conf names no resolver that can be used (\"1.1.1.1#53\", \"fe80::1%gone\"; an address";
        assert!(said.starts_with(expected) && said.ends_with("give one with -resolver HOST[:PORT]"), "{said}");
    }

    #[test]
    fn the_last_search_line_counts() {
        let of = |text: &str| search(text).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(of("domain a.test\nsearch  b.test. c.test\n"), "b.test c.test");
        assert_eq!(of("searching a.test\n"), "");
        assert_eq!(of("search a b c d e f g h i"), "a b c d e f");
    }

    #[test]
    fn an_interface_is_known_by_name_and_by_number() {
        assert_eq!((interface("lo"), interface("12")), (Some(1), Some(12)));
        assert_eq!((interface("nowhere0"), interface("../lo"), interface("")), (None, None, None));
    }
}
