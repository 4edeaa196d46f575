//! Where the TXT of a challenge is written: owner (after CNAMEs), zone, servers, and whose key (design: README "How a zone is found").
//!
//! Untrusted: every answer. They steer where a signed UPDATE is sent, and a key is only ever used towards servers that the
//! configuration names or that the zone's own SOA and NS name. An error (SERVFAIL, REFUSED, silence) is never read as "no such
//! record". Tested by tests/it/zones.rs on BIND, Knot and PowerDNS.

mod answer;
mod server;
mod ways;

use std::cell::Cell;

pub use answer::ns_names;
use answer::{glue, hint, mname, referred, soa_owner};
pub use server::Server;
use ways::Ways;

use super::client::{Client, Way};
use super::key::TsigKey;
use super::resolver::Resolver;
use super::rules::{Configured, Rules, joined};
use super::wire::{Answer, Data, Kind, Rcode, Rr};
use crate::address::{Host, ServerAddress};
use crate::decide::gate::{Barred, Lane};
use crate::limits::{CNAME_HOPS_MAX, DNS_FIND, ZONE_LABELS_MAX, ZONE_SERVERS_MAX};
use crate::name::{DnsName, Domain, ObjectRef};
use crate::time::Deadline;

/// Where the TXT of one name is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The owner of the TXT.
    pub owner: DnsName,
    /// The way there by CNAMEs: from the challenge name to the owner.
    pub chain: Vec<DnsName>,
    /// The zone that holds it.
    pub zone: DnsName,
    /// Where the UPDATE goes, best first; at least one.
    pub servers: Vec<Server>,
    /// Whether the first one is the primary, as the configuration or the SOA says. What another one refuses, the next may do.
    pub primary_first: bool,
    /// The Secret of the key.
    pub key: ObjectRef,
    /// The gate before its servers.
    pub lane: Lane,
}

const TO_SET: &str = "set `dns.server` and `dns.zone` or give a resolver that knows it with -resolver";

/// A zone and the servers that may take UPDATEs for it.
#[derive(Clone, Debug)]
struct Cut {
    zone: DnsName,
    servers: Vec<Server>,
    /// See [`Target`].
    primary_first: bool,
}

/// Finds the targets of one entry.
#[derive(Clone, Copy)]
pub struct Finder<'a> {
    /// Asks.
    pub client: &'a Client,
    /// For what is not configured.
    pub resolver: &'a Resolver,
    /// What is configured.
    pub rules: Rules<'a>,
    /// Asked before a zone's servers are.
    pub admit: &'a dyn Fn(&Lane) -> Result<(), Barred>,
    /// Set when a server of the zone gives any answer: what is wrong then is wrong with the name, and not with the server.
    pub answered: &'a Cell<bool>,
    /// The first key of a Secret, where it can be read: for servers that answer only to who holds it.
    pub first_key: &'a dyn Fn(&ObjectRef) -> Option<TsigKey>,
}

/// Why there is no target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoTarget {
    /// The gate before its servers is closed or full.
    Barred(Lane, Barred),
    /// One sentence with the name, what was asked and what came back.
    Failed(String),
}

impl From<String> for NoTarget {
    fn from(sentence: String) -> NoTarget {
        NoTarget::Failed(sentence)
    }
}

impl Finder<'_> {
    /// Finds where the challenge of `domain` is answered.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find(&self, domain: &Domain) -> Result<Target, NoTarget> {
        let deadline = Deadline::after(DNS_FIND);
        let mut owner = domain.challenge_name();
        let mut chain = vec![owner.clone()];
        loop {
            // The name below which the zone is looked for: never the challenge name itself, see `resolver`.
            let below = owner.parent().ok_or_else(|| format!("{owner} is a top-level name"))?;
            let cut = self.cut(&owner, &below, deadline).map_err(|e| match e {
                NoTarget::Failed(e) => NoTarget::Failed(told(&chain, &(e + &self.rules.passed_over(&owner)))),
                barred @ NoTarget::Barred(..) => barred,
            })?;
            let lane = Lane {
                server: cut.servers[0].address,
                zone: cut.zone.clone(),
                key: self.rules.key(&cut.zone, &chain).ok(),
            };
            self.enter(&lane)?;
            let ways = Ways::new(self, lane.key.as_ref());
            let failed = |e: String| told(&chain, &(e + &self.rules.passed_over(&owner)));
            match self.follow(cut, &owner, &ways, deadline).map_err(failed)? {
                Found::Here(cut) => {
                    let key = self.rules.key(&cut.zone, &chain)?;
                    let Cut { zone, servers, primary_first } = cut;
                    return Ok(Target { owner, chain, zone, servers, primary_first, key, lane });
                }
                Found::Cname(next) => {
                    let looped = chain.contains(&next);
                    chain.push(next.clone());
                    if looped {
                        let way = joined(&chain);
                        return Err(format!("the CNAMEs of {} go round in a circle: {way}", chain[0]).into());
                    }
                    if chain.len() > CNAME_HOPS_MAX + 1 {
                        let way = joined(&chain);
                        return Err(
                            format!("more than {CNAME_HOPS_MAX} CNAMEs lead on from {}: {way}", chain[0]).into()
                        );
                    }
                    owner = next;
                }
            }
        }
    }

    fn enter(&self, lane: &Lane) -> Result<(), NoTarget> {
        (self.admit)(lane).map_err(|barred| NoTarget::Barred(lane.clone(), barred))
    }

    /// The zone that encloses `owner` and its servers: configured ones first, then discovered.
    fn cut(&self, owner: &DnsName, below: &DnsName, deadline: Deadline) -> Result<Cut, NoTarget> {
        match self.rules.configured(owner) {
            Configured { zone: Some(zone), server: Some(server) } => {
                Ok(Cut { zone: zone.clone(), servers: self.addresses(server, deadline)?, primary_first: true })
            }
            Configured { zone: Some(zone), server: None } => {
                let (apex, answer) = self.apex(zone, deadline)?;
                if apex != *zone {
                    return Err(format!(
                        "{zone} is configured as a zone, but the resolver {} says that {apex} is the zone there",
                        self.resolver
                    )
                    .into());
                }
                Ok(self.primary(apex, &answer, deadline)?)
            }
            Configured { zone: None, server: Some(server) } => {
                let servers = self.addresses(server, deadline)?;
                // Its zone is not known yet, and nothing but this name may suffer when the server does not know it.
                self.enter(&Lane { server: servers[0].address, zone: below.clone(), key: None })?;
                let zone = self.apex_at(&servers, below, deadline)?;
                Ok(Cut { zone, servers, primary_first: true })
            }
            Configured { zone: None, server: None } => {
                let (zone, answer) = self.apex(below, deadline)?;
                Ok(self.primary(zone, &answer, deadline)?)
            }
        }
    }

    /// Asks the resolver which zone `name` is in: the SOA of the answer or authority section, one label up at a time.
    fn apex(&self, name: &DnsName, deadline: Deadline) -> Result<(DnsName, Answer), String> {
        let mut at = name.clone();
        for _ in 0..ZONE_LABELS_MAX {
            let answer = self.resolver.query(self.client, &at, Kind::Soa, deadline)?;
            // An answer that begins with a CNAME has the SOA of another name's zone: ask for the parent instead.
            if let Some(zone) = soa_owner(&answer).filter(|zone| at.is_within(zone)) {
                return match zone.parent() {
                    Some(_) => Ok((zone, answer)),
                    None => Err(format!(
                        "no zone found for {name}: the resolver {} says that it is in {zone}., a top-level domain; if the zone is a \
                         private one, {TO_SET}",
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
            "no zone found for {name}: the resolver {} knows no zone that it is in; if the zone is a private one, {TO_SET}",
            self.resolver
        ))
    }

    /// The servers of a discovered zone: the primary that its SOA names, then its NS, as far as they have addresses.
    fn primary(&self, zone: DnsName, soa: &Answer, deadline: Deadline) -> Result<Cut, String> {
        let mname = mname(soa, &zone);
        let ns = self.resolver.query(self.client, &zone, Kind::Ns, deadline)?;
        let mut names: Vec<DnsName> =
            mname.iter().cloned().chain(ns_names(&ns.answers, &zone)).take(ZONE_SERVERS_MAX).collect();
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|n| seen.insert(n.clone()));
        let servers = self.all_addresses(&names, deadline);
        let mut servers = servers.map_err(|e| format!("no server of the zone {zone} has an address: {e}"))?;
        servers.truncate(ZONE_SERVERS_MAX);
        let primary_first = mname.is_some_and(|name| servers[0].label == name.as_str());
        Ok(Cut { zone, servers, primary_first })
    }

    /// The addresses of those that have one; an error when none has.
    fn all_addresses(&self, names: &[DnsName], deadline: Deadline) -> Result<Vec<Server>, String> {
        let (mut servers, mut failed) = (Vec::new(), Vec::new());
        for name in names {
            match self.addresses(&ServerAddress::dns(Host::Name(name.clone())), deadline) {
                Ok(found) => servers.extend(found),
                Err(e) => failed.push(e),
            }
        }
        if servers.is_empty() { Err(failed.join("; ")) } else { Ok(servers) }
    }

    fn addresses(&self, server: &ServerAddress, deadline: Deadline) -> Result<Vec<Server>, String> {
        let addresses = self.resolver.resolve(self.client, server, deadline)?;
        Ok(addresses.into_iter().map(|address| Server { label: server.to_string(), address }).collect())
    }

    /// Asks the zone's own servers for a CNAME at `owner`. The same answer confirms the cut: a deeper zone shows itself by its SOA, or
    /// by a referral, which is followed. (Sent to the parent, an UPDATE is answered NOERROR and stays invisible on all three servers.)
    fn follow(&self, mut cut: Cut, owner: &DnsName, ways: &Ways<'_>, deadline: Deadline) -> Result<Found, String> {
        let mut is_referred = false;
        for _ in 0..ZONE_LABELS_MAX {
            let (answer, at, way) = self.first_answer(&cut, owner, ways, deadline)?;
            // The ones before it are no good for an UPDATE either; they come last.
            cut.primary_first &= cut.servers[at].label == cut.servers[0].label;
            cut.servers.rotate_left(at);
            let at = &cut.servers[0];
            let target = answer.answers.iter().find_map(|r| match &r.data {
                Data::Cname(target) if r.owner == *owner => Some(target.clone()),
                _ => None,
            });
            if let Some(target) = target {
                return Ok(if self.is_wildcard(at, way, owner, &target, deadline) {
                    Found::Here(cut)
                } else {
                    Found::Cname(target)
                });
            }
            let apex = soa_owner(&answer).filter(|apex| owner.is_within(apex));
            if answer.authoritative || apex.is_some() {
                // Without an SOA (a server that leaves it out) the configured or discovered cut stands.
                if let Some(apex) = apex.filter(|a| a.is_within(&cut.zone)) {
                    cut.zone = apex;
                }
                if let Some(name) = mname(&answer, &cut.zone).filter(|_| is_referred) {
                    self.put_first(&mut cut, name, deadline);
                }
                return Ok(Found::Here(cut));
            }
            let child = referred(&answer, owner).filter(|child| *child != cut.zone && child.is_within(&cut.zone));
            let Some(child) = child else {
                return Err(format!(
                    "{at} does not answer for the zone {} (neither an authoritative answer nor a referral)",
                    cut.zone
                ));
            };
            let mut servers = glue(&answer, &child);
            if servers.is_empty() {
                let names: Vec<DnsName> = ns_names(&answer.authorities, &child).take(ZONE_SERVERS_MAX).collect();
                servers = self.all_addresses(&names, deadline).map_err(|e| {
                    format!("{at} says that {child} is a zone of its own, and no server of it is found ({e}): add `- zone: {child}` with its `server` to the key `zones`")
                })?;
            }
            (cut, is_referred) = (Cut { zone: child, servers, primary_first: false }, true);
        }
        Err(format!("the zone of {owner} is delegated too deep"))
    }

    /// A referral names the name servers of a zone; the primary that its SOA names may be another one.
    fn put_first(&self, cut: &mut Cut, primary: DnsName, deadline: Deadline) {
        let label = primary.to_string();
        if !cut.servers.iter().any(|s| s.label == label) {
            let found = self.addresses(&ServerAddress::dns(Host::Name(primary)), deadline);
            cut.servers.extend(found.unwrap_or_default());
        }
        cut.servers.sort_by_key(|s| s.label != label);
        cut.primary_first = cut.servers[0].label == label;
    }

    /// The first of the zone's servers that answers NOERROR or NXDOMAIN, to anybody or to who holds the key: views of BIND match on keys.
    fn first_answer<'k>(
        &self,
        cut: &Cut,
        owner: &DnsName,
        ways: &'k Ways<'_>,
        deadline: Deadline,
    ) -> Result<(Answer, usize, Way<'k>), String> {
        let mut said = Vec::new();
        for (number, server) in cut.servers.iter().enumerate() {
            for way in ways.all() {
                let asked = self.client.query(server.address, owner, Kind::Cname, way, deadline);
                self.answered.set(self.answered.get() || asked.is_ok());
                match asked {
                    Ok(answer) if matches!(answer.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) => {
                        return Ok((answer, number, way));
                    }
                    Ok(answer) => {
                        let otherwise = format!("is it a server of the zone {}?", cut.zone);
                        let hint = hint(answer.rcode, &otherwise);
                        said.push(format!("{server} says {} for {owner}: {hint}", answer.rcode));
                    }
                    // What it says to anybody stands there already, and is not an answer to our key's question.
                    Err(_) if matches!(way, Way::Signed(_)) => {}
                    Err(e) => {
                        said.push(format!("{server} does not answer ({e})"));
                        break;
                    }
                }
            }
        }
        said.dedup();
        Err(said.join("; "))
    }

    /// Whether a CNAME comes from a wildcard record: then a name beside the owner that nobody made has it as well. A TXT of our own
    /// takes precedence over a wildcard, so it is not followed.
    fn is_wildcard(
        &self,
        server: &Server,
        way: Way<'_>,
        owner: &DnsName,
        target: &DnsName,
        deadline: Deadline,
    ) -> bool {
        let Some(sibling) = owner.parent().and_then(|parent| parent.child("_notariat-is-there-a-wildcard").ok()) else {
            return false;
        };
        let same = |r: &Rr| r.owner == sibling && r.data == Data::Cname(target.clone());
        self.client
            .query(server.address, &sibling, Kind::Cname, way, deadline)
            .is_ok_and(|answer| answer.answers.iter().any(same))
    }

    /// Asks a configured server itself which zone `name` is in: as anybody, then as the holder of the entry's key.
    fn apex_at(&self, servers: &[Server], name: &DnsName, deadline: Deadline) -> Result<DnsName, String> {
        let ways = Ways::new(self, self.rules.entry.tsig_secret.as_ref());
        let mut said = Vec::new();
        for server in servers {
            for way in ways.all() {
                let ask = |name: &DnsName| self.client.query(server.address, name, Kind::Soa, way, deadline);
                let answer =
                    ask(name).and_then(|answer| match referred(&answer, name).and_then(|child| child.parent()) {
                        // The server's own zone is the one above; `follow` finds the way down from there.
                        Some(above) => ask(&above),
                        None => Ok(answer),
                    });
                self.answered.set(self.answered.get() || answer.is_ok());
                match answer {
                    Ok(answer) => match soa_owner(&answer).filter(|zone| name.is_within(zone)) {
                        Some(zone) if zone.parent().is_some() => return Ok(zone),
                        Some(zone) => said.push(format!("{server} says that {name} is in the top-level domain {zone}")),
                        None => {
                            let hint = hint(answer.rcode, "is it a server of its zone? set `dns.zone`");
                            said.push(format!("{server} says {} for the SOA of {name}: {hint}", answer.rcode));
                        }
                    },
                    Err(e) => {
                        said.push(format!("{server} does not answer ({e})"));
                        break;
                    }
                }
            }
        }
        said.dedup();
        Err(said.join("; "))
    }
}

/// What an authoritative server says about an owner name.
enum Found {
    /// No CNAME: the TXT goes here. The cut is the confirmed one.
    Here(Cut),
    /// A CNAME of its own leads on.
    Cname(DnsName),
}

/// An error after a CNAME names the way that led there.
fn told(chain: &[DnsName], error: &str) -> String {
    match chain.len() {
        1 => error.to_owned(),
        _ => format!("{error} (on the way {})", joined(chain)),
    }
}
