//! The zone that encloses a name and its servers: as configured, else as the resolver answers.

use std::collections::BTreeSet;

use super::answer::{cname_at, hint, ns_names, primary_of, referred, silent, soa_owner};
use super::finder::{LocationError, NameServer, Ways, ZoneFinder};
use crate::base::address::{DNS_PORT, ServerAddress};
use crate::base::limits::{DNS_FIND, ZONE_LABELS_MAX, ZONE_SERVERS_MAX};
use crate::base::name::DnsName;
use crate::base::time::Deadline;
use crate::dns::client::{DnsClient, QueryMode};
use crate::dns::target::DnsTarget;
use crate::dns::tsig_key::TsigKey;
use crate::dns::tsig_secret::TsigSecret;
use crate::dns::wire::{DnsResponse, RecordType};
use crate::dns::zone_policy::Configured;

const TO_SET: &str = "set `dns.server` and `dns.zone` or give a resolver that knows it with -resolver";

/// A zone and the servers that may take UPDATEs for it.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    pub(super) zone: DnsName,
    pub(super) servers: Vec<NameServer>,
    /// True if the first server is the primary; see [`super::ChallengeLocation::primary_first`].
    pub(super) primary_first: bool,
    /// The configuration names the zone.
    pub(super) is_zone_set: bool,
    /// The configuration names the server.
    pub(super) is_server_set: bool,
    /// The reason why the primary of the SOA is not asked.
    pub(super) aside: Option<String>,
    /// A further remark for the user.
    pub(super) remark: Option<String>,
}

impl Zone {
    /// The server that is asked first.
    #[expect(clippy::indexing_slicing, reason = "a zone without a server is an error where it is looked for")]
    pub(super) fn first(&self) -> &NameServer {
        &self.servers[0]
    }

    pub(super) fn found(zone: DnsName, servers: Vec<NameServer>) -> Zone {
        let (primary_first, is_zone_set, is_server_set) = (false, false, false);
        Zone { zone, servers, primary_first, is_zone_set, is_server_set, aside: None, remark: None }
    }

    /// Notes that the primary in the SOA is not available; `why` is a clause.
    pub(super) fn set_aside(&mut self, primary: Option<&str>, why: &str) {
        let zone = &self.zone;
        self.aside = Some(match primary {
            Some(name) => format!("the SOA of {zone} names {name} as the primary, and {why}"),
            None => format!("the SOA of {zone} names no primary that has a host name"),
        });
    }
}

impl ZoneFinder<'_> {
    /// The zone that encloses `owner` and its servers: configured ones first, then discovered.
    pub(super) fn cut(&self, owner: &DnsName, below: &DnsName, deadline: Deadline) -> Result<Zone, LocationError> {
        match self.rules.configured(owner) {
            Configured { zone: Some(zone), server: Some(server), .. } => {
                let cut = Zone::found(zone.clone(), self.addresses(server, deadline)?);
                Ok(Zone { primary_first: true, is_zone_set: true, is_server_set: true, ..cut })
            }
            Configured { zone: Some(zone), server: None, .. } => {
                let (apex, answer) = self.apex(zone, deadline)?;
                if apex != *zone {
                    return Err(format!(
                        "{zone} is configured as a zone, but the resolver {} says that {apex} is the zone there",
                        self.resolver
                    )
                    .into());
                }
                Ok(Zone { is_zone_set: true, ..self.primary(apex, &answer, deadline)? })
            }
            Configured { zone: None, server: Some(server), key } => {
                let servers = self.addresses(server, deadline)?;
                // The zone is not known yet, and no other name may suffer when the server does not know this one.
                let found = Zone::found(below.clone(), servers);
                self.enter(&DnsTarget { server: found.first().address, zone: below.clone(), key: None })?;
                let zone = self.apex_at(&found.servers, below, key.as_ref(), deadline)?;
                Ok(Zone { zone, primary_first: true, is_server_set: true, ..found })
            }
            Configured { zone: None, server: None, .. } => {
                let (zone, answer) = self.apex(below, deadline)?;
                Ok(self.primary(zone, &answer, deadline)?)
            }
        }
    }

    /// Asks the resolver which zone `name` is in: the SOA of the answer or authority section, one label up at a time.
    fn apex(&self, name: &DnsName, deadline: Deadline) -> Result<(DnsName, DnsResponse), String> {
        let mut at = name.clone();
        for _ in 0..ZONE_LABELS_MAX {
            let answer = self.resolver.query(self.client, &at, RecordType::Soa, deadline)?;
            // An answer that begins with a CNAME has the SOA of another name's zone: the parent is asked instead.
            if let Some(zone) = soa_owner(&answer, &at).filter(|zone| at.is_within(zone)) {
                return match zone.parent() {
                    Some(_) => Ok((zone, answer)),
                    None => Err(format!(
                        "no zone found for {name}: is the name spelt right? The resolver {} says that it is in {zone}., a top-level \
                         domain; if the zone is a private one, {TO_SET}",
                        self.resolver
                    )),
                };
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => break,
            }
        }
        Err(format!(
            "no zone found for {name}: is the name spelt right? The resolver {} knows no zone that it is in; if the zone is a private \
             one, {TO_SET}",
            self.resolver
        ))
    }

    /// The servers of a discovered zone that have addresses: the primary in its SOA, then its NS.
    fn primary(&self, zone: DnsName, soa: &DnsResponse, deadline: Deadline) -> Result<Zone, String> {
        let primary = primary_of(soa, &zone).flatten();
        let ns = self.resolver.query(self.client, &zone, RecordType::Ns, deadline)?;
        let mut names: Vec<DnsName> =
            primary.iter().cloned().chain(ns_names(&ns.answers, &zone)).take(ZONE_SERVERS_MAX).collect();
        let mut seen = BTreeSet::new();
        names.retain(|n| seen.insert(n.clone()));
        let (mut servers, failed) = self.all_addresses(&names, deadline);
        if servers.is_empty() {
            let failed = failed.join("; ");
            return Err(format!(
                "no server of the zone {zone} has an address: {failed}; set `dns.server` to the primary"
            ));
        }
        servers.truncate(ZONE_SERVERS_MAX);
        let mut cut = Zone::found(zone, servers);
        match &primary {
            Some(name) if cut.first().label == name.as_str() => cut.primary_first = true,
            // The primary's name was looked up first.
            Some(name) => cut.set_aside(Some(name.as_str()), failed.first().map_or("it has no address", |why| why)),
            None => cut.set_aside(None, ""),
        }
        Ok(cut)
    }

    /// The addresses of the names that have some, and the errors of the others.
    pub(super) fn all_addresses(&self, names: &[DnsName], deadline: Deadline) -> (Vec<NameServer>, Vec<String>) {
        let (mut servers, mut failed) = (Vec::new(), Vec::new());
        for name in names {
            match self.addresses_of(name, deadline) {
                Ok(found) => servers.extend(found),
                Err(e) => failed.push(e),
            }
        }
        (servers, failed)
    }

    fn addresses(&self, server: &ServerAddress, deadline: Deadline) -> Result<Vec<NameServer>, String> {
        let addresses = self.resolver.resolve(self.client, server, deadline)?;
        Ok(addresses.into_iter().map(|address| NameServer { label: server.to_string(), address }).collect())
    }

    /// The addresses of a name server named by a record.
    pub(super) fn addresses_of(&self, name: &DnsName, deadline: Deadline) -> Result<Vec<NameServer>, String> {
        let addresses = self.resolver.addresses(self.client, name, DNS_PORT, deadline)?;
        Ok(addresses.into_iter().map(|address| NameServer { label: name.to_string(), address }).collect())
    }

    /// Asks a configured server which zone `name` is in: unsigned, then signed with the key.
    fn apex_at(
        &self,
        servers: &[NameServer],
        name: &DnsName,
        key: Option<&TsigSecret>,
        deadline: Deadline,
    ) -> Result<DnsName, String> {
        let ways = Ways::new(self, key);
        let mut errors = Vec::new();
        for server in servers {
            for way in ways.all() {
                let mut at = name.clone();
                // Each step goes one label up.
                let answer = loop {
                    let asked = self.client.query(server.address, &at, RecordType::Soa, way, deadline);
                    self.answered.set(self.answered.get() || asked.is_ok());
                    let above = asked.as_ref().ok().and_then(|answer| match referred(answer, &at) {
                        // The server's own zone is above; `follow` finds the way down from there.
                        Some(child) => child.parent(),
                        // A CNAME's target tells nothing about the name.
                        None if cname_at(answer, &at).is_some() => at.parent(),
                        None => None,
                    });
                    match above {
                        Some(above) => at = above,
                        None => break asked,
                    }
                };
                match answer {
                    Ok(answer) => match soa_owner(&answer, &at).filter(|zone| name.is_within(zone)) {
                        Some(zone) if zone.parent().is_some() => return Ok(zone),
                        Some(zone) => {
                            errors.push(format!("{server} says that {name} is in the top-level domain {zone}"))
                        }
                        None => {
                            let otherwise = format!(
                                "is {name} spelt right? If it is, set `dns.zone` to its zone, and `dns.server` to a server of that"
                            );
                            let hint = hint(answer.rcode, &otherwise);
                            errors.push(format!("{server} says {} for the SOA of {name}: {hint}", answer.rcode));
                        }
                    },
                    Err(e) => {
                        errors.push(silent(server, &e));
                        break;
                    }
                }
            }
        }
        errors.dedup();
        Err(errors.join("; "))
    }
}

/// The zone that a server shows to the holder of a key. Where views differ, the holder writes to the one shown to the
/// key.
pub fn zone_shown_to(client: &DnsClient, server: &NameServer, key: &TsigKey, name: &DnsName) -> Option<DnsName> {
    let answer =
        client.query(server.address, name, RecordType::Soa, QueryMode::Signed(key), Deadline::after(DNS_FIND)).ok()?;
    soa_owner(&answer, name).filter(|zone| name.is_within(zone))
}
