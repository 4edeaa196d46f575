//! A check of propagation, and the view of each server.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::limits::{VISIBLE_PAUSE_MAX, VISIBLE_PAUSE_MIN};
use crate::base::name::DnsName;
use crate::base::retry::Backoff;
use crate::base::shutdown::Shutdown;
use crate::base::time::{Deadline, Stopwatch};
use crate::dns::client::DnsClient;
use crate::dns::resolver::Resolver;
use crate::dns::settings::DnsSettings;
use crate::dns::tsig_key::TsigKey;
use crate::dns::update::TxtValue;
use crate::dns::wire::Rcode;
use crate::dns::zone::NameServer;

/// The pauses between two looks at a server.
pub(super) const PAUSE: Backoff = Backoff::doubling(VISIBLE_PAUSE_MIN, VISIBLE_PAUSE_MAX);

/// The last view of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// The server.
    pub server: NameServer,
    /// The visibility of the values there.
    pub seen: Visibility,
    /// The serial of the zone there, where it was asked for.
    pub serial: Option<u32>,
}

/// The visibility of the values at one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Every value is visible.
    All,
    /// The owner lacks its values; with the RCODE of the answer.
    Missing(DnsName, Rcode),
    /// Unknown: no answer, or one that is not about the zone.
    Silent(String),
}

impl fmt::Display for ServerView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.seen {
            Visibility::All => write!(f, "{}: present", self.server)?,
            Visibility::Missing(owner, rcode) => write!(f, "{}: {rcode} without the value at {owner}", self.server)?,
            Visibility::Silent(why) => write!(f, "{}: {why}", self.server)?,
        }
        self.serial.map_or(Ok(()), |serial| write!(f, ", serial {serial}"))
    }
}

/// A check that published values are visible.
#[derive(Clone, Copy, Debug)]
pub struct PropagationCheck<'a> {
    /// The client for all questions.
    pub client: &'a DnsClient,
    /// The resolver for the addresses of name servers.
    pub resolver: &'a Resolver,
    /// Ends the wait.
    pub stop: &'a Shutdown,
    /// The zone.
    pub zone: &'a DnsName,
    /// The server that accepted the values.
    pub primary: &'a NameServer,
    /// The key of the UPDATE.
    pub key: &'a TsigKey,
    /// The values.
    pub values: &'a [TxtValue],
    /// The servers that must show the values.
    pub settings: &'a DnsSettings,
    /// The end of the wait.
    pub deadline: Deadline,
}

/// The reason why the CA must not be asked yet: a failed validation would count against its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropagationError {
    /// The view of each server.
    pub views: Vec<ServerView>,
    /// Only a hidden primary shows the values, and no CA asks that one.
    pub is_hidden: bool,
}

impl fmt::Display for PropagationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let views: Vec<String> = self.views.iter().map(ServerView::to_string).collect();
        f.write_str(&views.join("; "))?;
        match self.is_hidden {
            true => f.write_str(HIDDEN),
            false => Ok(()),
        }
    }
}

const HIDDEN: &str = "; no name server of the zone besides the primary, which the CA does not ask, shows them: where they can not be reached from here, \
                      name others in `dns.propagationNameservers`, or look at the primary alone by `dns.propagation: primary`";

/// A period without an answer of a server.
pub(super) struct Silence {
    pub(super) failures: u32,
    pub(super) since: Stopwatch,
}

impl PropagationCheck<'_> {
    /// Pauses. Returns whether there is no time for another look.
    pub(super) fn is_time_up(&self, pause: Duration) -> bool {
        self.deadline.at_most(pause).is_none_or(|pause| self.stop.wait(pause))
    }
}

/// The view of a server that was not asked or did not answer.
pub(super) fn silent(label: &str, address: SocketAddr, why: String) -> ServerView {
    ServerView { server: NameServer { label: label.to_owned(), address }, seen: Visibility::Silent(why), serial: None }
}
