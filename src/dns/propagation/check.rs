//! What is waited for, and what the servers showed.

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

/// What one server showed when we stopped looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// The server.
    pub server: NameServer,
    /// What it said.
    pub seen: Visibility,
    /// The serial of its zone, where it was asked for.
    pub serial: Option<u32>,
}

/// How a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Every value is there.
    All,
    /// This owner lacks its values; with the RCODE of the answer.
    Missing(DnsName, Rcode),
    /// It does not say: no answer, or one that is not about the zone.
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

/// What is looked for where.
#[derive(Clone, Copy, Debug)]
pub struct PropagationCheck<'a> {
    /// Asks.
    pub client: &'a DnsClient,
    /// For the addresses of name servers.
    pub resolver: &'a Resolver,
    /// Ends the wait.
    pub stop: &'a Shutdown,
    /// The zone.
    pub zone: &'a DnsName,
    /// The server that has just taken the values.
    pub primary: &'a NameServer,
    /// The key it took them under.
    pub key: &'a TsigKey,
    /// The values.
    pub values: &'a [TxtValue],
    /// Who must show them.
    pub settings: &'a DnsSettings,
    /// Until when.
    pub deadline: Deadline,
}

/// Why the CA must not be asked yet: a failed validation counts against its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropagationError {
    /// What each server shows.
    pub looks: Vec<ServerView>,
    /// Only a hidden primary shows the values, which no CA ever asks.
    pub is_hidden: bool,
}

impl fmt::Display for PropagationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looks: Vec<String> = self.looks.iter().map(ServerView::to_string).collect();
        f.write_str(&looks.join("; "))?;
        match self.is_hidden {
            true => f.write_str(HIDDEN),
            false => Ok(()),
        }
    }
}

const HIDDEN: &str = "; no name server of the zone besides the primary, which the CA does not ask, shows them: where they can not be reached from here, \
                      name others in `dns.propagationNameservers`, or look at the primary alone by `dns.propagation: primary`";

/// How long a server has not answered.
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

/// The view of a server that was not asked, or did not answer.
pub(super) fn silent(label: &str, address: SocketAddr, why: String) -> ServerView {
    ServerView { server: NameServer { label: label.to_owned(), address }, seen: Visibility::Silent(why), serial: None }
}
