//! The search for the place of a challenge: zone by zone along the CNAMEs.

use super::cut::Zone;
use super::finder::{ChallengeLocation, LocationError, Ways, ZoneFinder};
use super::follow::Followed;
use crate::base::limits::{CNAME_HOPS_MAX, DNS_FIND};
use crate::base::name::{DnsName, Domain};
use crate::base::time::Deadline;
use crate::dns::target::DnsTarget;
use crate::dns::tsig_secret::TsigSecret;
use crate::dns::zone_policy::joined;

impl ZoneFinder<'_> {
    /// Finds the zone, servers and key for the challenge of `domain`.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn find(&self, domain: &Domain) -> Result<ChallengeLocation, LocationError> {
        let deadline = Deadline::after(DNS_FIND);
        let mut owner = domain.challenge_name();
        let first = owner.clone();
        let mut chain = vec![owner.clone()];
        loop {
            // The zone search starts one label above: the challenge name itself is never asked for, see `resolver`.
            let below = owner.parent().ok_or_else(|| format!("{owner} is a top-level name"))?;
            let cut = self.cut(&owner, &below, deadline).map_err(|e| match e {
                LocationError::Failed(e) => {
                    LocationError::Failed(with_chain(&chain, &(e + &self.rules.passed_over(&owner))))
                }
                unavailable @ LocationError::Barred(..) => unavailable,
            })?;
            let target = DnsTarget {
                server: cut.first().address,
                zone: cut.zone.clone(),
                key: self.rules.key(&cut.zone, &chain).ok(),
            };
            self.enter(&target)?;
            let ways = Ways::new(self, target.key.as_ref());
            let failed = |e: String| with_chain(&chain, &(e + &self.rules.passed_over(&owner)));
            match self.follow(cut, &owner, &ways, deadline).map_err(failed)? {
                Followed::Here(cut) => {
                    let key = self.rules.key(&cut.zone, &chain)?;
                    let other_zones = self.other_zones(&cut, &owner, &chain, &key);
                    let first = cut.first().to_string();
                    let Zone { zone, servers, primary_first, aside, remark, .. } = cut;
                    let instead = |aside| {
                        format!(
                            "{aside}, so its name servers are asked instead, {first} first: set `dns.server` to the primary"
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
                        target,
                        remark,
                        other_zones,
                    });
                }
                Followed::Cname(next) => {
                    let is_loop = chain.contains(&next);
                    chain.push(next.clone());
                    if is_loop {
                        let way = joined(&chain);
                        return Err(format!("the CNAMEs of {first} go round in a circle: {way}").into());
                    }
                    if chain.len().saturating_sub(1) > CNAME_HOPS_MAX {
                        let way = joined(&chain);
                        return Err(format!("more than {CNAME_HOPS_MAX} CNAMEs lead on from {first}: {way}").into());
                    }
                    owner = next;
                }
            }
        }
    }

    /// The zones around the owner that the same key signs for, where the zone is not configured.
    fn other_zones(&self, cut: &Zone, owner: &DnsName, chain: &[DnsName], key: &TsigSecret) -> Vec<DnsName> {
        let around = std::iter::successors((!cut.is_zone_set).then(|| owner.clone()), DnsName::parent);
        let may_sign = |zone: &DnsName| self.rules.key(zone, chain).is_ok_and(|k| k == *key);
        around.filter(|zone| *zone != cut.zone && zone.parent().is_some() && may_sign(zone)).collect()
    }
}

/// Adds the CNAMEs that led there to an error.
fn with_chain(chain: &[DnsName], error: &str) -> String {
    match chain.len() {
        1 => error.to_owned(),
        _ => format!("{error} (on the way {})", joined(chain)),
    }
}
