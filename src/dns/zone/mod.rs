//! Where the TXT of a challenge is written: owner (after CNAMEs), zone, servers, and whose key (design: README "How a zone is found").
//!
//! Untrusted: every answer. They steer where a signed UPDATE is sent, and a key is only ever used towards servers that the
//! configuration names or that the zone's own SOA and NS name. An error (SERVFAIL, REFUSED, silence) is never read as "no such
//! record". Tested by tests/it/zones.rs on BIND, Knot and PowerDNS.

mod answer;
mod cut;
mod follow;
mod server;
mod ways;

use std::cell::Cell;

pub use answer::ns_names;
use cut::Zone;
pub use cut::zone_shown_to;
use follow::Followed;
pub use server::NameServer;
use ways::Ways;

use super::client::DnsClient;
use super::resolver::Resolver;
use super::tsig_key::TsigKey;
use super::zone_policy::{ZonePolicy, joined};
use crate::base::limits::{CNAME_HOPS_MAX, DNS_FIND};
use crate::base::name::{DnsName, Domain, ObjectRef};
use crate::base::time::Deadline;
use crate::policy::circuit::{DnsTarget, Unavailable};

/// Where the TXT of one name is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeLocation {
    /// The owner of the TXT.
    pub owner: DnsName,
    /// The way there by CNAMEs: from the challenge name to the owner.
    pub chain: Vec<DnsName>,
    /// The zone that holds it.
    pub zone: DnsName,
    /// Where the UPDATE goes, best first; at least one.
    pub servers: Vec<NameServer>,
    /// Whether the first one is the primary, as the configuration or the SOA says. What another one refuses, the next may do.
    pub primary_first: bool,
    /// The Secret of the key.
    pub key: ObjectRef,
    /// The gate before its servers.
    pub lane: DnsTarget,
    /// What the user should know of the way there, such as why the primary that the SOA names is not asked; a sentence without its dot.
    pub remark: Option<String>,
    /// Zones that may be meant instead, under the same key: where this one was found by an unsigned question, and a server says that it is
    /// not primary for it.
    pub other_zones: Vec<DnsName>,
}

/// Finds the targets of one entry.
#[derive(Clone, Copy)]
pub struct ZoneFinder<'a> {
    /// Asks.
    pub client: &'a DnsClient,
    /// For what is not configured.
    pub resolver: &'a Resolver,
    /// What is configured.
    pub rules: ZonePolicy<'a>,
    /// Asked before a zone's servers are.
    pub admit: &'a dyn Fn(&DnsTarget) -> Result<(), Unavailable>,
    /// Set when a server of the zone gives any answer: what is wrong then is wrong with the name, and not with the server.
    pub answered: &'a Cell<bool>,
    /// The first key of a Secret, where it can be read: for servers that answer only to who holds it.
    pub first_key: &'a dyn Fn(&ObjectRef) -> Option<TsigKey>,
}

/// Why there is no target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocationError {
    /// The gate before its servers is closed or full.
    Barred(DnsTarget, Unavailable),
    /// One sentence with the name, what was asked and what came back.
    Failed(String),
}

impl From<String> for LocationError {
    fn from(sentence: String) -> LocationError {
        LocationError::Failed(sentence)
    }
}

impl ZoneFinder<'_> {
    /// Finds where the challenge of `domain` is answered.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find(&self, domain: &Domain) -> Result<ChallengeLocation, LocationError> {
        let deadline = Deadline::after(DNS_FIND);
        let mut owner = domain.challenge_name();
        let mut chain = vec![owner.clone()];
        loop {
            // The name below which the zone is looked for: never the challenge name itself, see `resolver`.
            let below = owner.parent().ok_or_else(|| format!("{owner} is a top-level name"))?;
            let cut = self.cut(&owner, &below, deadline).map_err(|e| match e {
                LocationError::Failed(e) => LocationError::Failed(told(&chain, &(e + &self.rules.passed_over(&owner)))),
                barred @ LocationError::Barred(..) => barred,
            })?;
            let lane = DnsTarget {
                server: cut.servers[0].address,
                zone: cut.zone.clone(),
                key: self.rules.key(&cut.zone, &chain).ok(),
            };
            self.enter(&lane)?;
            let ways = Ways::new(self, lane.key.as_ref());
            let failed = |e: String| told(&chain, &(e + &self.rules.passed_over(&owner)));
            match self.follow(cut, &owner, &ways, deadline).map_err(failed)? {
                Followed::Here(cut) => {
                    let key = self.rules.key(&cut.zone, &chain)?;
                    let other_zones = self.other_zones(&cut, &owner, &chain, &key);
                    let Zone { zone, servers, primary_first, aside, remark, .. } = cut;
                    let instead = |aside| {
                        format!(
                            "{aside}, so its name servers are asked instead, {} first: set `dns.server` to the primary",
                            servers[0]
                        )
                    };
                    let remark = remark.or_else(|| aside.map(instead));
                    return Ok(ChallengeLocation {
                        owner,
                        chain,
                        zone,
                        servers,
                        primary_first,
                        key,
                        lane,
                        remark,
                        other_zones,
                    });
                }
                Followed::Cname(next) => {
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

    /// The zones around the owner for which the same key signs, where the configuration does not say which one it is.
    fn other_zones(&self, cut: &Zone, owner: &DnsName, chain: &[DnsName], key: &ObjectRef) -> Vec<DnsName> {
        let around = std::iter::successors((!cut.is_zone_set).then(|| owner.clone()), DnsName::parent);
        let may_sign = |zone: &DnsName| self.rules.key(zone, chain).is_ok_and(|k| k == *key);
        around.filter(|zone| *zone != cut.zone && zone.parent().is_some() && may_sign(zone)).collect()
    }

    fn enter(&self, lane: &DnsTarget) -> Result<(), LocationError> {
        (self.admit)(lane).map_err(|barred| LocationError::Barred(lane.clone(), barred))
    }
}

/// An error after a CNAME names the way that led there.
fn told(chain: &[DnsName], error: &str) -> String {
    match chain.len() {
        1 => error.to_owned(),
        _ => format!("{error} (on the way {})", joined(chain)),
    }
}
