//! A check of propagation: its input, the servers that must show the values, and the view of each server.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::base::address::{DNS_PORT, ServerAddress};
use crate::base::limits::{DNS_FIND, VISIBLE_LOOK, VISIBLE_PAUSE_MAX, VISIBLE_PAUSE_MIN, ZONE_SERVERS_MAX};
use crate::base::name::DnsName;
use crate::base::retry::Backoff;
use crate::base::shutdown::Shutdown;
use crate::base::time::{Deadline, Stopwatch};
use crate::dns::client::{DnsClient, QueryMode};
use crate::dns::resolver::{Resolver, address};
use crate::dns::settings::{DnsSettings, Propagation};
use crate::dns::tsig_key::TsigKey;
use crate::dns::update::TxtValue;
use crate::dns::wire::{DnsResponse, Rcode, RecordType};
use crate::dns::zone::{NameServer, ns_names};

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

/// A server besides the primary that must show the values.
#[derive(Debug)]
pub(super) enum Witness<'a> {
    /// A name server of the zone, with the addresses that came with its name.
    NameServer(DnsName, Vec<IpAddr>),
    /// A server of `dns.propagationNameservers`, which replace the zone's name servers.
    Configured(&'a ServerAddress),
    /// A server of `dns.alsoCheck`, perhaps a resolver.
    Also(&'a ServerAddress),
}

impl Witness<'_> {
    /// Tells whether no other server can replace this one.
    pub(super) fn is_required(&self) -> bool {
        matches!(self, Witness::Also(_))
    }

    pub(super) fn way(&self) -> QueryMode<'static> {
        match self {
            Witness::NameServer(..) | Witness::Configured(_) => QueryMode::Plain,
            Witness::Also(_) => QueryMode::Recursive,
        }
    }

    pub(super) fn label(&self) -> String {
        match self {
            Witness::NameServer(name, _) => name.to_string(),
            Witness::Configured(server) | Witness::Also(server) => server.to_string(),
        }
    }
}

impl<'a> PropagationCheck<'a> {
    /// The servers besides the primary: the configured ones, else the zone's NS as the primary gives them; and those of
    /// `alsoCheck`. The latter may be resolvers and are asked only now, because they can cache "no such name" for long.
    ///
    /// # Errors
    /// When the primary gives no name servers of the zone.
    pub(super) fn witnesses(&self) -> Result<Vec<Witness<'a>>, String> {
        let configured = &self.settings.propagation_nameservers;
        let mut found: Vec<Witness<'a>> = match self.settings.propagation {
            Propagation::All if configured.is_empty() => self.name_servers()?,
            Propagation::All => configured.iter().map(Witness::Configured).collect(),
            Propagation::Primary | Propagation::None => Vec::new(),
        };
        found.extend(self.settings.also_check.iter().map(Witness::Also));
        Ok(found)
    }

    /// The name servers of the zone as the primary gives them, with the addresses in the answer.
    fn name_servers(&self) -> Result<Vec<Witness<'a>>, String> {
        let within = || self.deadline.sooner(VISIBLE_LOOK);
        let asked = |way| self.client.query(self.primary.address, self.zone, RecordType::Ns, way, within());
        let knows = |answer: &DnsResponse| ns_names(&answer.answers, self.zone).next().is_some();
        let mut pause = PAUSE.first;
        loop {
            let why = match asked(QueryMode::Plain) {
                Ok(answer) if knows(&answer) => return Ok(self.of(&answer)),
                Ok(answer) => format!("{} without name servers of the zone", answer.rcode),
                Err(e) => format!("no answer about the name servers of the zone ({e})"),
            };
            if let Ok(answer) = asked(QueryMode::Signed(self.key))
                && knows(&answer)
            {
                return Ok(self.of(&answer));
            }
            if self.is_time_up(pause) {
                return Err(why);
            }
            pause = PAUSE.after(pause);
        }
    }

    fn of(&self, ns: &DnsResponse) -> Vec<Witness<'a>> {
        let glue = |name: &DnsName| ns.additionals.iter().filter(|r| r.owner == *name).filter_map(address).collect();
        let witness = |name: DnsName| Witness::NameServer(name.clone(), glue(&name));
        ns_names(&ns.answers, self.zone).take(ZONE_SERVERS_MAX).map(witness).collect()
    }

    /// The addresses of a server. A resolver that fails for a moment is asked again.
    pub(super) fn until_resolved(
        &self,
        witness: &Witness<'_>,
        is_over: impl Fn(&Silence) -> bool,
    ) -> Result<Vec<SocketAddr>, String> {
        let (mut pause, mut silence) = (PAUSE.first, Silence { failures: 0, since: Stopwatch::start() });
        loop {
            let why = match self.resolved(witness) {
                Ok(addresses) => return Ok(addresses),
                Err(why) => why,
            };
            silence.failures = silence.failures.saturating_add(1);
            if is_over(&silence) || self.is_time_up(pause) {
                return Err(why);
            }
            pause = PAUSE.after(pause);
        }
    }

    /// The addresses of a name server: those in the answer, then the primary's for a name in its zone, then the
    /// resolver's.
    fn resolved(&self, witness: &Witness<'_>) -> Result<Vec<SocketAddr>, String> {
        let deadline = self.deadline.sooner(DNS_FIND);
        let (name, glue) = match witness {
            Witness::NameServer(name, glue) => (name, glue),
            Witness::Configured(server) | Witness::Also(server) => {
                return self.resolver.resolve(self.client, server, deadline);
            }
        };
        let mut found = glue.clone();
        if found.is_empty() && name.is_within(self.zone) {
            for kind in [RecordType::A, RecordType::Aaaa] {
                let answer = self.client.query(self.primary.address, name, kind, QueryMode::Plain, deadline);
                let records = answer.map(|a| a.answers).unwrap_or_default();
                found.extend(records.iter().filter(|r| r.owner == *name).filter_map(address));
            }
        }
        match found.is_empty() {
            true => self.resolver.addresses(self.client, name, DNS_PORT, deadline),
            false => Ok(found.into_iter().map(|ip| SocketAddr::new(ip, DNS_PORT)).collect()),
        }
    }
}
