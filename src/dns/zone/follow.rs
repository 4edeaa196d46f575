//! The answer of the zone's own servers about an owner: a CNAME, a delegated zone, or the place for the TXT.

use super::answer::{cname_at, glue, hint, ns_names, primary_of, referred, silent, soa_owner};
use super::cut::Zone;
use super::finder::{NameServer, Ways, ZoneFinder};
use crate::base::limits::{ZONE_LABELS_MAX, ZONE_SERVERS_MAX};
use crate::base::log::event;
use crate::base::name::DnsName;
use crate::base::time::Deadline;
use crate::dns::client::QueryMode;
use crate::dns::settings::Propagation;
use crate::dns::wire::{DnsResponse, RData, Rcode, RecordType, ResourceRecord};

/// The answer of an authoritative server about an owner name.
pub(super) enum Followed {
    /// No CNAME: the TXT belongs here, in the confirmed zone.
    Here(Zone),
    /// A CNAME of the owner itself.
    Cname(DnsName),
}

/// No server answered.
struct QueryErrors {
    /// The answers and errors of all servers.
    errors: String,
    /// A server that answers REFUSED.
    refused: Option<NameServer>,
}

impl ZoneFinder<'_> {
    /// Asks the zone's own servers for a CNAME at `owner`. The same answer confirms the zone: a deeper zone appears as
    /// its SOA, or as a referral, which is followed. An UPDATE sent to the parent of a delegated zone is answered
    /// NOERROR and stays invisible on all three servers.
    pub(super) fn follow(
        &self,
        mut cut: Zone,
        owner: &DnsName,
        ways: &Ways<'_>,
        deadline: Deadline,
    ) -> Result<Followed, String> {
        let mut is_referred = false;
        for _ in 0..ZONE_LABELS_MAX {
            let (mut answer, mut way) = match self.first_answer(&mut cut, owner, ways, deadline) {
                Ok(found) => found,
                Err(QueryErrors { refused: Some(server), .. }) if self.goes_blind(&cut) => {
                    let remark = format!("{server} refuses queries, so no CNAME at {owner} could be looked for");
                    event!(warn, "cname-unknown", owner = owner, server = server, hint = remark);
                    cut.remark = Some(remark);
                    return Ok(Followed::Here(cut));
                }
                Err(QueryErrors { errors, .. }) => {
                    return Err(cut.aside.map_or(String::new(), |aside| aside + "; ") + &errors);
                }
            };
            // The view that BIND shows without a signature may differ from the one that the key can change.
            let is_elsewhere = cut.is_zone_set && cut.is_left(&answer, owner);
            if matches!(way, QueryMode::Plain) && (is_elsewhere || says_nothing(&answer, owner)) {
                match self.signed(cut.first(), owner, ways, deadline) {
                    Some(signed) => (answer, way) = signed,
                    None if is_elsewhere => return Ok(Followed::Here(cut)),
                    None => {}
                }
            }
            let at = cut.first();
            if let Some(data) = cname_at(&answer, owner) {
                return match data {
                    _ if self.is_wildcard(at, way, owner, data, deadline) => Ok(Followed::Here(cut)),
                    RData::Cname(target) => Ok(Followed::Cname(target.clone())),
                    _ => Err(odd(owner, data)),
                };
            }
            let apex = soa_owner(&answer, owner).filter(|apex| owner.is_within(apex));
            if answer.authoritative || apex.is_some() {
                // A server may leave out the SOA; the configured or discovered zone then stands.
                if let Some(apex) = apex.filter(|a| *a != cut.zone && a.is_within(&cut.zone)) {
                    (cut.zone, cut.is_zone_set) = (apex, false);
                }
                if let Some(primary) = primary_of(&answer, &cut.zone).filter(|_| is_referred) {
                    self.put_first(&mut cut, primary, deadline);
                }
                return Ok(Followed::Here(cut));
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
                let (found, failed) = self.all_addresses(&names, deadline);
                if found.is_empty() {
                    let failed = failed.join("; ");
                    return Err(format!(
                        "{at} says that {child} is a zone of its own, and no server of it is found ({failed}): add `- zone: {child}` with its `server` to the key `zones`"
                    ));
                }
                servers = found;
            }
            (cut, is_referred) = (Zone::found(child, servers), true);
        }
        Err(format!("the zone of {owner} is delegated too deep"))
    }

    /// With zone and server configured and no propagation check, a server that answers no queries is good enough.
    fn goes_blind(&self, cut: &Zone) -> bool {
        cut.is_zone_set && cut.is_server_set && self.rules.dns.propagation == Propagation::None
    }

    /// A referral names the name servers of a zone; the primary in its SOA may be another one.
    fn put_first(&self, cut: &mut Zone, primary: Option<DnsName>, deadline: Deadline) {
        let Some(primary) = primary else { return cut.set_aside(None, "") };
        let label = primary.to_string();
        if !cut.servers.iter().any(|s| s.label == label) {
            match self.addresses_of(&primary, deadline) {
                Ok(found) => cut.servers.extend(found),
                Err(why) => cut.set_aside(Some(&label), &why),
            }
        }
        cut.servers.sort_by_key(|s| s.label != label);
        cut.primary_first = cut.first().label == label;
    }

    /// The first of the zone's servers that answers NOERROR or NXDOMAIN, unsigned or signed: BIND's views match on
    /// keys. That server becomes the first of the zone; servers that do not answer are removed, and those that refuse
    /// come last.
    fn first_answer<'k>(
        &self,
        cut: &mut Zone,
        owner: &DnsName,
        ways: &'k Ways<'_>,
        deadline: Deadline,
    ) -> Result<(DnsResponse, QueryMode<'k>), QueryErrors> {
        let (mut errors, mut dark, mut refused) = (Vec::<String>::new(), Vec::new(), None);
        for (number, server) in cut.servers.iter().enumerate() {
            for way in ways.all() {
                let asked = self.client.query(server.address, owner, RecordType::Cname, way, deadline);
                self.answered.set(self.answered.get() || asked.is_ok());
                match asked {
                    Ok(answer) if matches!(answer.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) => {
                        if let Some(why) = errors.first()
                            && cut.primary_first
                            && !cut.is_server_set
                            && server.label != cut.first().label
                        {
                            let primary = cut.first().label.clone();
                            cut.set_aside(Some(&primary), why);
                            cut.primary_first = false;
                        }
                        cut.servers.rotate_left(number);
                        cut.servers.retain(|s| !dark.contains(s));
                        return Ok((answer, way));
                    }
                    Ok(answer) => {
                        let otherwise = format!("is it a server of the zone {}?", cut.zone);
                        let hint = hint(answer.rcode, &otherwise);
                        errors.push(format!("{server} says {} for {owner}: {hint}", answer.rcode));
                        refused = refused.or((answer.rcode == Rcode::REFUSED).then(|| server.clone()));
                    }
                    // The unsigned answer is listed already, and the error is not about the signed question.
                    Err(_) if matches!(way, QueryMode::Signed(_)) => {}
                    Err(e) => {
                        errors.push(silent(server, &e));
                        dark.push(server.clone());
                        break;
                    }
                }
            }
        }
        errors.dedup();
        Err(QueryErrors { errors: errors.join("; "), refused })
    }

    /// Repeats the question to one server, signed with the key.
    fn signed<'k>(
        &self,
        server: &NameServer,
        owner: &DnsName,
        ways: &'k Ways<'_>,
        deadline: Deadline,
    ) -> Option<(DnsResponse, QueryMode<'k>)> {
        let way = ways.signed()?;
        let answer = self.client.query(server.address, owner, RecordType::Cname, way, deadline).ok()?;
        matches!(answer.rcode, Rcode::NOERROR | Rcode::NXDOMAIN).then_some((answer, way))
    }

    /// Tells whether a CNAME comes from a wildcard record: a made-up sibling of the owner then has it as well. A TXT of our
    /// own takes precedence over a wildcard, so such a CNAME is not followed.
    fn is_wildcard(
        &self,
        server: &NameServer,
        way: QueryMode<'_>,
        owner: &DnsName,
        data: &RData,
        deadline: Deadline,
    ) -> bool {
        let Some(sibling) = owner.parent().and_then(|parent| parent.child("_notariat-is-there-a-wildcard").ok()) else {
            return false;
        };
        let same = |r: &ResourceRecord| r.owner == sibling && r.data == *data;
        self.client
            .query(server.address, &sibling, RecordType::Cname, way, deadline)
            .is_ok_and(|answer| answer.answers.iter().any(same))
    }
}

impl Zone {
    /// Tells whether an answer puts `owner` into another zone below this one.
    fn is_left(&self, answer: &DnsResponse, owner: &DnsName) -> bool {
        let other = soa_owner(answer, owner).filter(|apex| owner.is_within(apex)).or_else(|| referred(answer, owner));
        other.is_some_and(|zone| zone != self.zone && zone.is_within(&self.zone))
    }
}

fn says_nothing(answer: &DnsResponse, owner: &DnsName) -> bool {
    let apex = soa_owner(answer, owner).filter(|apex| owner.is_within(apex));
    !answer.authoritative && apex.is_none() && cname_at(answer, owner).is_none() && referred(answer, owner).is_none()
}

fn odd(owner: &DnsName, data: &RData) -> String {
    let target = if let RData::OddCname(target) = data { target } else { "?" };
    format!(
        "{owner} is a CNAME that leads to {target}, where no challenge can be written: a name here has letters, digits, `-` and `_` only; lead it elsewhere"
    )
}
