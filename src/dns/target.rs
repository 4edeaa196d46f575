//! The unit of failure at name servers, and the reasons why it is not available. Pure data; `policy::circuit` decides.

use std::net::SocketAddr;

use crate::base::name::DnsName;
use crate::base::time::Time;
use crate::dns::tsig_secret::TsigSecret;

/// The unit that fails together: an update server, a zone on it and the key that signs for it; or a server that is only
/// asked about a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DnsTarget {
    /// The server that is tried first.
    pub server: SocketAddr,
    /// The zone, or the name whose zone is searched.
    pub zone: DnsName,
    /// The key; `None` where nothing is written.
    pub key: Option<TsigSecret>,
}

/// The reason why an attempt gets no slot now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The last try failed: no other one before that time.
    Open(Time),
    /// Another attempt makes the first try after a failure.
    Trial,
    /// The attempts of this CA have taken all slots at the server.
    Full,
}

impl Unavailable {
    /// The end of the wait, where it is known.
    pub fn until(self) -> Option<Time> {
        if let Unavailable::Open(until) = self { Some(until) } else { None }
    }

    /// The sentence for people.
    pub fn sentence(self, target: &DnsTarget) -> String {
        let DnsTarget { server, zone, .. } = target;
        match self {
            Unavailable::Open(until) => format!("{server} of the zone {zone} failed lately; not before {until}"),
            Unavailable::Trial => {
                format!("{server} of the zone {zone} failed lately; another certificate is trying it")
            }
            Unavailable::Full => format!("enough others are at {server} now"),
        }
    }
}
