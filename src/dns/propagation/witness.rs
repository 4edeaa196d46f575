//! The servers that must show the values besides the primary, and their addresses.

use std::net::{IpAddr, SocketAddr};

use super::check::{PAUSE, PropagationCheck, Silence};
use crate::base::address::{DNS_PORT, ServerAddress};
use crate::base::limits::{DNS_FIND, VISIBLE_LOOK, ZONE_SERVERS_MAX};
use crate::base::name::DnsName;
use crate::base::time::Stopwatch;
use crate::dns::client::QueryMode;
use crate::dns::resolver::address;
use crate::dns::settings::Propagation;
use crate::dns::wire::{DnsResponse, RecordType};
use crate::dns::zone::ns_names;

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
    /// Whether no other server can replace this one.
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
            silence.failures += 1;
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
