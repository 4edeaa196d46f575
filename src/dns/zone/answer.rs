//! The zones in an answer: their apex, primary and name servers, and referrals. Pure.

use std::net::SocketAddr;

use super::finder::NameServer;
use crate::base::address::{DNS_PORT, to_reach};
use crate::base::limits::SERVER_ADDRESSES_MAX;
use crate::base::name::DnsName;
use crate::dns::resolver::address;
use crate::dns::wire::{DnsResponse, RData, Rcode, ResourceRecord};

/// The CNAME at `name`, usable or not.
pub(super) fn cname_at<'a>(answer: &'a DnsResponse, name: &DnsName) -> Option<&'a RData> {
    let mut at = answer.answers.iter().filter(|r| r.owner == *name).map(|r| &r.data);
    at.find(|data| matches!(data, RData::Cname(_) | RData::OddCname(_)))
}

/// The owner of the SOA record: the apex of the zone of `name`. `None` after a CNAME, where the SOA belongs to the
/// target's zone.
pub(super) fn soa_owner(answer: &DnsResponse, name: &DnsName) -> Option<DnsName> {
    if cname_at(answer, name).is_some() {
        return None;
    }
    let soa = |r: &&ResourceRecord| matches!(r.data, RData::Soa { .. });
    let found = answer.answers.iter().find(soa).or_else(|| answer.authorities.iter().find(soa));
    found.map(|r| r.owner.clone())
}

/// The primary in the SOA of `zone`: `Some(None)` where it is `.` or no host name, `None` where the answer has no such
/// SOA.
pub(super) fn primary_of(answer: &DnsResponse, zone: &DnsName) -> Option<Option<DnsName>> {
    answer.answers.iter().chain(&answer.authorities).find_map(|r| match &r.data {
        RData::Soa { mname, .. } if r.owner == *zone => Some(mname.clone()),
        _ => None,
    })
}

/// The delegated zone of a referral in search of `name`.
pub(super) fn referred(answer: &DnsResponse, name: &DnsName) -> Option<DnsName> {
    let is_referral = answer.rcode == Rcode::NOERROR && !answer.authoritative && answer.answers.is_empty();
    let ns = |r: &&ResourceRecord| matches!(r.data, RData::Ns(_)) && name.is_within(&r.owner);
    answer.authorities.iter().filter(|_| is_referral).find(ns).map(|r| r.owner.clone())
}

/// The names of the NS records of `zone`.
pub fn ns_names<'a>(section: &'a [ResourceRecord], zone: &'a DnsName) -> impl Iterator<Item = DnsName> + use<'a> {
    section.iter().filter_map(move |r| match &r.data {
        RData::Ns(name) if r.owner == *zone => Some(name.clone()),
        _ => None,
    })
}

/// The servers of a delegated zone with addresses in the referral.
pub(super) fn glue(referral: &DnsResponse, child: &DnsName) -> Vec<NameServer> {
    let mut servers = Vec::new();
    for name in ns_names(&referral.authorities, child) {
        let records = referral.additionals.iter().filter(|r| r.owner == name);
        let label = name.to_string();
        servers.extend(
            records
                .filter_map(address)
                .map(|ip| NameServer { label: label.clone(), address: SocketAddr::new(ip, DNS_PORT) }),
        );
    }
    servers.truncate(SERVER_ADDRESSES_MAX);
    servers
}

/// The hint for an RCODE that gives no answer.
pub(super) fn hint(rcode: Rcode, otherwise: &str) -> &str {
    match rcode {
        Rcode::SERVFAIL => "the server failed inside; its log says why",
        _ => otherwise,
    }
}

/// The sentence for a server that gives no answer, with the error of the transport.
pub(super) fn silent(server: &NameServer, error: &str) -> String {
    format!("{server} does not answer ({error}): {}, or correct the address (`dns.server`)", to_reach(server.address))
}
