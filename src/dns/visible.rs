//! Waits until the values are seen: read back from the primary, then on every authoritative server in parallel.
//!
//! NOERROR does not mean visible: PowerDNS may have refused by policy, a secondary may lag, a delegated zone may hide what was
//! written to its parent. Untrusted: the answers; a server that lies can make us ask the CA too early, which costs one attempt.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::client::{Client, Way};
use super::key::TsigKey;
use super::resolver::{Resolver, address};
use super::update::TxtValue;
use super::wire::{Answer, Data, Kind, Rcode};
use super::zone::{Server, ns_names};
use crate::address::{DNS_PORT, Host, ServerAddress};
use crate::config::dns::{DnsSettings, Propagation};
use crate::limits::{
    DNS_FIND, DNS_SERIAL, VISIBLE_FAILURES_MAX, VISIBLE_LOOK, VISIBLE_PAUSE_MAX, VISIBLE_PAUSE_MIN, ZONE_SERVERS_MAX,
};
use crate::name::DnsName;
use crate::stop::Stop;
use crate::time::Deadline;

/// What one server showed when we stopped looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The server.
    pub server: Server,
    /// What it said.
    pub seen: Seen,
    /// The serial of its zone, where it was asked for.
    pub serial: Option<u32>,
}

/// How a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Every value is there.
    All,
    /// This owner lacks its values; with the RCODE of the answer.
    Missing(DnsName, Rcode),
    /// It does not say: no answer, or one that is not about the zone.
    Silent(String),
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.seen {
            Seen::All => write!(f, "{}: present", self.server)?,
            Seen::Missing(owner, rcode) => write!(f, "{}: {rcode} without the value at {owner}", self.server)?,
            Seen::Silent(why) => write!(f, "{}: {why}", self.server)?,
        }
        self.serial.map_or(Ok(()), |serial| write!(f, ", serial {serial}"))
    }
}

/// What is looked for where.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    /// Asks.
    pub client: &'a Client,
    /// For the addresses of name servers.
    pub resolver: &'a Resolver,
    /// Ends the wait.
    pub stop: &'a Stop,
    /// The zone.
    pub zone: &'a DnsName,
    /// The server that has just taken the values.
    pub primary: &'a Server,
    /// The key it took them under.
    pub key: &'a TsigKey,
    /// The values.
    pub values: &'a [TxtValue],
    /// Who must show them.
    pub settings: &'a DnsSettings,
    /// Until when.
    pub deadline: Deadline,
}

/// A server besides the primary, and how it is asked.
struct Other {
    server: Server,
    way: Way<'static>,
}

impl Watch<'_> {
    /// Waits. Returns the servers that were given up although others show the values: the CA may still meet them.
    ///
    /// # Errors
    /// When the time is up, what each server shows. The CA must not be asked then: a failed validation counts against its limits.
    pub fn wait(&self) -> Result<Vec<Look>, Vec<Look>> {
        if self.settings.propagation == Propagation::None {
            return Ok(Vec::new());
        }
        let first = self.primary();
        if first.seen != Seen::All {
            return Err(self.with_serials(vec![first]));
        }
        let mut looks = vec![first];
        let others = match self.settings.propagation {
            Propagation::All => self.others(&mut looks),
            Propagation::Primary | Propagation::None => self.also(&mut looks),
        };
        looks.extend(std::thread::scope(|scope| {
            let watchers: Vec<_> = others.iter().map(|other| scope.spawn(|| self.watch(other))).collect();
            let joined = watchers.into_iter().zip(&others).map(|(watcher, other)| {
                watcher.join().unwrap_or_else(|_| silent(&other.server, "the check failed inside".to_owned()))
            });
            joined.collect::<Vec<_>>()
        }));
        if looks.iter().any(|l| matches!(l.seen, Seen::Missing(..))) {
            return Err(self.with_serials(looks));
        }
        looks.retain(|l| l.seen != Seen::All);
        Ok(looks)
    }

    /// Reads back from the primary: as anybody, then as the holder of the key, for BIND's views match on keys.
    fn primary(&self) -> Look {
        let ways = [Way::Plain, Way::Signed(self.key)];
        self.until_seen(self.primary, u32::MAX, |owner| {
            let mut seen = self.look(self.primary.address, owner, ways[0]);
            if seen != Seen::All && self.look(self.primary.address, owner, ways[1]) == Seen::All {
                seen = Seen::All;
            }
            seen
        })
    }

    fn watch(&self, other: &Other) -> Look {
        self.until_seen(&other.server, VISIBLE_FAILURES_MAX, |owner| self.look(other.server.address, owner, other.way))
    }

    /// Looks until every value is shown, the time is up, or the server failed to answer `failures_max` times.
    fn until_seen(&self, server: &Server, failures_max: u32, look: impl Fn(&DnsName) -> Seen) -> Look {
        let mut owners: Vec<&DnsName> =
            self.values.iter().map(|v| &v.owner).collect::<BTreeSet<_>>().into_iter().collect();
        let (mut pause, mut failures, mut missing) = (VISIBLE_PAUSE_MIN, 0, None);
        loop {
            // An UPDATE is atomic and its names arrive together, so one owner that lacks its value is enough to wait.
            let mut seen = Seen::All;
            while let (Seen::All, Some(owner)) = (&seen, owners.last()) {
                seen = look(owner);
                if seen == Seen::All {
                    owners.pop();
                }
            }
            match &seen {
                Seen::All => {}
                Seen::Missing(..) => missing = Some(seen.clone()),
                Seen::Silent(_) => failures += 1,
            }
            let done = seen == Seen::All || failures >= failures_max;
            let left = self.deadline.at_most(pause);
            if done || left.is_none() || left.is_some_and(|pause| self.stop.wait(pause)) {
                // One look that failed does not make a server that lacks the values one that is out of reach.
                let seen = match seen {
                    Seen::Silent(_) if failures < failures_max => missing.unwrap_or(seen),
                    seen => seen,
                };
                return Look { server: server.clone(), seen, serial: None };
            }
            pause = (pause * 2).min(VISIBLE_PAUSE_MAX);
        }
    }

    fn look(&self, server: SocketAddr, owner: &DnsName, way: Way<'_>) -> Seen {
        // Of its own: one that the end of the wait cuts off would look like a server that does not answer, and be given up.
        let deadline = Deadline::after(VISIBLE_LOOK);
        let answer = match self.client.query(server, owner, Kind::Txt, way, deadline) {
            Ok(answer) => answer,
            Err(e) => return Seen::Silent(format!("no answer ({e})")),
        };
        if !matches!(answer.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) {
            return Seen::Silent(format!("{} for {owner}", answer.rcode));
        }
        let shown: Vec<&[u8]> = txt(&answer, owner).collect();
        let mut wanted = self.values.iter().filter(|v| v.owner == *owner);
        match wanted.all(|v| shown.contains(&v.value.as_bytes())) {
            true => Seen::All,
            false => Seen::Missing(owner.clone(), answer.rcode),
        }
    }

    /// The servers besides the primary: those configured, else the zone's NS as the primary names them; and those to be checked as
    /// well. One whose address is unknown is noted in `looks`.
    fn others(&self, looks: &mut Vec<Look>) -> Vec<Other> {
        let deadline = Deadline::after(DNS_FIND);
        let mut found = Vec::new();
        if self.settings.propagation_nameservers.is_empty() {
            for name in self.name_servers(deadline) {
                let addresses = self.addresses(&name, deadline);
                self.add(&mut found, looks, &name.1.to_string(), addresses, Way::Plain);
            }
        } else {
            for server in &self.settings.propagation_nameservers {
                let addresses = self.resolver.resolve(self.client, server, deadline);
                self.add(&mut found, looks, &server.to_string(), addresses, Way::Plain);
            }
        }
        found.truncate(ZONE_SERVERS_MAX);
        found.extend(self.also(looks));
        found
    }

    /// Further servers, resolvers among them: asked only now, for they may keep a "no such name" for long.
    fn also(&self, looks: &mut Vec<Look>) -> Vec<Other> {
        let mut found = Vec::new();
        for server in &self.settings.also_check {
            let addresses = self.resolver.resolve(self.client, server, Deadline::after(DNS_FIND));
            self.add(&mut found, looks, &server.to_string(), addresses, Way::Recursive);
        }
        found
    }

    fn add(
        &self,
        found: &mut Vec<Other>,
        looks: &mut Vec<Look>,
        label: &str,
        addresses: Result<Vec<SocketAddr>, String>,
        way: Way<'static>,
    ) {
        let server = |address| Server { label: label.to_owned(), address };
        match addresses {
            Ok(addresses) => {
                let new = addresses.into_iter().filter(|a| *a != self.primary.address);
                for address in new {
                    if !found.iter().any(|o| o.server.address == address) {
                        found.push(Other { server: server(address), way });
                    }
                }
            }
            // The primary's own address stands here: nothing better is known of a server without one.
            Err(e) => looks.push(silent(&server(self.primary.address), e)),
        }
    }

    /// The name servers of the zone as the primary names them, with the addresses that came along.
    fn name_servers(&self, deadline: Deadline) -> Vec<(Vec<IpAddr>, DnsName)> {
        let asked = |way| self.client.query(self.primary.address, self.zone, Kind::Ns, way, deadline).ok();
        let knows = |answer: &Answer| ns_names(&answer.answers, self.zone).next().is_some();
        let answer = asked(Way::Plain).filter(knows).or_else(|| asked(Way::Signed(self.key)));
        let Some(ns) = answer else { return Vec::new() };
        let glue = |name: &DnsName| ns.additionals.iter().filter(|r| r.owner == *name).filter_map(address).collect();
        ns_names(&ns.answers, self.zone).take(ZONE_SERVERS_MAX).map(|name| (glue(&name), name)).collect()
    }

    /// The addresses of a name server: those that came along, those that the primary knows of a name in its zone, the resolver's.
    fn addresses(&self, (glue, name): &(Vec<IpAddr>, DnsName), deadline: Deadline) -> Result<Vec<SocketAddr>, String> {
        let mut found = glue.clone();
        if found.is_empty() && name.is_within(self.zone) {
            for kind in [Kind::A, Kind::Aaaa] {
                let answer = self.client.query(self.primary.address, name, kind, Way::Plain, deadline);
                let records = answer.map(|a| a.answers).unwrap_or_default();
                found.extend(records.iter().filter(|r| r.owner == *name).filter_map(address));
            }
        }
        match found.is_empty() {
            true => self.resolver.resolve(self.client, &ServerAddress::dns(Host::Name(name.clone())), deadline),
            false => Ok(found.into_iter().map(|ip| SocketAddr::new(ip, DNS_PORT)).collect()),
        }
    }

    /// The serials tell who lags. They are no proof: inline signing and PowerDNS's SOA-EDIT serve others than they hold.
    fn with_serials(&self, mut looks: Vec<Look>) -> Vec<Look> {
        for look in looks.iter_mut().filter(|l| !matches!(l.seen, Seen::Silent(_))) {
            let deadline = Deadline::after(DNS_SERIAL);
            let answer = self.client.query(look.server.address, self.zone, Kind::Soa, Way::Plain, deadline);
            look.serial = answer.ok().and_then(|a| {
                a.answers.iter().find_map(|r| match r.data {
                    Data::Soa { serial, .. } => Some(serial),
                    _ => None,
                })
            });
        }
        looks
    }
}

fn silent(server: &Server, why: String) -> Look {
    Look { server: server.clone(), seen: Seen::Silent(why), serial: None }
}

fn txt<'a>(answer: &'a Answer, owner: &'a DnsName) -> impl Iterator<Item = &'a [u8]> {
    answer.answers.iter().filter_map(move |r| match &r.data {
        Data::Txt(text) if r.owner == *owner => Some(text.as_slice()),
        _ => None,
    })
}
