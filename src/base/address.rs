//! `HOST[:PORT]` as operators write it: a DNS server of the configuration, a resolver of the command line.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::base::name::{DnsName, NameError, serde_as_text};

/// A host by address or by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A name, resolved when it is used.
    Name(DnsName),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress {
    /// The host, by address or by name.
    pub host: Host,
    /// The port; 53 where none was written.
    pub port: u16,
}

/// The port of DNS, RFC 1035 section 4.2.
pub const DNS_PORT: u16 = 53;

/// The cure where nothing answers at the address of a DNS server: the rest of a sentence.
pub fn to_reach(address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!("open port {port} of {ip} for notariat, TCP and UDP (the egress rule of its NetworkPolicy, the firewall)")
}

impl ServerAddress {
    /// A host at the DNS port.
    pub fn dns(host: Host) -> ServerAddress {
        ServerAddress { host, port: DNS_PORT }
    }

    /// The host alone, for the system's resolver.
    pub fn host_text(&self) -> String {
        match &self.host {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.to_string(),
        }
    }

    /// The socket address, or `None` when the host is a name.
    pub fn literal(&self) -> Option<SocketAddr> {
        match &self.host {
            Host::Ip(ip) => Some(SocketAddr::new(*ip, self.port)),
            Host::Name(_) => None,
        }
    }
}

impl From<SocketAddr> for ServerAddress {
    fn from(address: SocketAddr) -> ServerAddress {
        ServerAddress { host: Host::Ip(address.ip()), port: address.port() }
    }
}

impl FromStr for ServerAddress {
    type Err = String;

    /// Reads `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:53`, `ns1.example.com`, `ns1.example.com:53`.
    fn from_str(text: &str) -> Result<ServerAddress, String> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(ServerAddress::dns(Host::Ip(ip)));
        }
        if text.contains("://") {
            return Err(
                "is a URL; write HOST[:PORT] (what is spoken there is DNS over UDP and TCP, not over TLS or HTTPS)"
                    .to_owned(),
            );
        }
        if text.trim().contains([',', ';', ' ']) {
            return Err("is a list; write one HOST[:PORT]".to_owned());
        }
        let (host, port) = match text.rsplit_once(':').filter(|_| !text.ends_with(']')) {
            Some((host, port)) => {
                (host, port.parse().ok().filter(|p| *p != 0).ok_or_else(|| format!("has {port:?} for a port"))?)
            }
            None => (text, DNS_PORT),
        };
        if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            let ip = inner.parse().map_err(|_| "has no IPv6 address between `[` and `]`".to_owned())?;
            return Ok(ServerAddress { host: Host::Ip(IpAddr::V6(ip)), port });
        }
        let host = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => Host::Ip(IpAddr::V4(ip)),
            Ok(IpAddr::V6(_)) => {
                return Err("needs `[` and `]` around an IPv6 address that a port follows".to_owned());
            }
            Err(_) => Host::Name(DnsName::parse(host).map_err(|e: NameError| e.to_string())?),
        };
        Ok(ServerAddress { host, port })
    }
}

/// Writes the port only where it differs from 53.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (Host::Ip(ip), DNS_PORT) => write!(f, "{ip}"),
            (Host::Ip(IpAddr::V6(ip)), port) => write!(f, "[{ip}]:{port}"),
            (Host::Ip(ip), port) => write!(f, "{ip}:{port}"),
            (Host::Name(name), DNS_PORT) => write!(f, "{name}"),
            (Host::Name(name), port) => write!(f, "{name}:{port}"),
        }
    }
}

serde_as_text!(ServerAddress);

/// A socket address as the configuration writes it: without the port of DNS.
pub fn shown(address: SocketAddr) -> String {
    ServerAddress::from(address).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_as_operators_write_them() {
        for (text, shown, port) in [
            ("192.0.2.1", "192.0.2.1", 53),
            ("192.0.2.1:53", "192.0.2.1", 53),
            ("192.0.2.1:5353", "192.0.2.1:5353", 5353),
            ("2001:db8::1", "2001:db8::1", 53),
            ("[2001:db8::1]", "2001:db8::1", 53),
            ("[::1]:5353", "[::1]:5353", 5353),
            ("NS1.example.com.", "ns1.example.com", 53),
            ("ns1:5353", "ns1:5353", 5353),
        ] {
            let address: ServerAddress = text.parse().expect(text);
            assert_eq!((address.to_string().as_str(), address.port), (shown, port), "{text}");
            assert_eq!(shown.parse(), Ok(address), "{shown} reads back");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "https://dns.test/dns-query",
            "192.0.2.1,192.0.2.2",
            "",
            ":53",
            "host:",
            "host:0",
            "host:65536",
            "host:dns",
            "[::1",
            "[nothing]:53",
            "2001:db8::1:53:x",
            "a b",
        ] {
            assert!(text.parse::<ServerAddress>().is_err(), "{text:?}");
        }
    }
}
