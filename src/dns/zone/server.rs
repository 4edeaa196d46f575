//! A server and how it is shown to people.

use std::fmt;
use std::net::SocketAddr;

use crate::dns::resolver::shown;

/// A server that an UPDATE may go to: its name for people and its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameServer {
    /// As configured, or as the zone's SOA or NS names it.
    pub label: String,
    /// Where it is.
    pub address: SocketAddr,
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match shown(self.address) {
            address if address == self.label => f.write_str(&address),
            address => write!(f, "{} ({address})", self.label),
        }
    }
}
