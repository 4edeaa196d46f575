//! What fails together at name servers, and why a server may not be used now. Pure data; `policy::circuit` decides.

use std::net::SocketAddr;

use crate::base::name::{DnsName, ObjectRef};
use crate::base::time::Time;

/// What may fail together: an update server, a zone on it, the key that signs for it; or a server that is only asked about a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DnsTarget {
    /// The server that is tried first.
    pub server: SocketAddr,
    /// The zone; the name where its zone is asked for.
    pub zone: DnsName,
    /// The Secret of the key; none where nothing is to be written.
    pub key: Option<ObjectRef>,
}

/// Why an attempt may not go in now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The last try failed: no other one before that time.
    Closed(Time),
    /// Another attempt makes the first try after a failure.
    Trial,
    /// The attempts of this CA that talk to the server are as many as may be.
    Full,
}

impl Unavailable {
    /// Until when, where that is known.
    pub fn until(self) -> Option<Time> {
        match self {
            Unavailable::Closed(until) => Some(until),
            Unavailable::Trial | Unavailable::Full => None,
        }
    }

    /// Why an attempt does not go to the server of `lane`, for people.
    pub fn sentence(self, lane: &DnsTarget) -> String {
        let DnsTarget { server, zone, .. } = lane;
        match self {
            Unavailable::Closed(until) => format!("{server} of the zone {zone} failed lately; not before {until}"),
            Unavailable::Trial => {
                format!("{server} of the zone {zone} failed lately; another certificate is trying it")
            }
            Unavailable::Full => format!("enough others are at {server} now"),
        }
    }
}
