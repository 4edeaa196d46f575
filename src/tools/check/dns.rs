//! The names: whether a challenge can be written for each, and whether CAA lets the CA issue for it.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use super::ca::CaIdentity;
use super::caa::{self, CaaContext, CaaVerdict, Property};
use super::report::{CheckReport, Level};
use crate::base::address::DNS_PORT;
use crate::base::challenge_type::ChallengeType;
use crate::base::limits::DNS_FIND;
use crate::base::name::{DnsName, Domain};
use crate::base::time::Deadline;
use crate::config::dns::{OnWildcardHost, Propagation};
use crate::dns::client::QueryMode;
use crate::dns::tsig_secret::TsigSecret;
use crate::dns::wire::{RData, RecordType};
use crate::dns::zone::ns_names;
use crate::dns::zone_policy::joined;
use crate::issuance::Context;
use crate::issuance::solver::dns01::{Dns01Solver, WILDCARD_HOST};
use crate::record::PresentedTxt;
use crate::sources::CertificateSpec;

/// The CAA records of the closest name that has any, or why the lookup failed.
type Closest = Result<Option<(DnsName, Vec<Property>)>, String>;

/// The names, zones and servers that were reported already.
#[derive(Debug, Default)]
pub(super) struct ZoneChecks {
    probed: BTreeSet<(DnsName, DnsName, TsigSecret)>,
    zones: BTreeSet<DnsName>,
    records: BTreeMap<DnsName, Closest>,
}

impl ZoneChecks {
    /// Reports the names of an entry.
    pub(super) fn say(
        &mut self,
        report: &mut CheckReport,
        context: &Context,
        wanted: &CertificateSpec,
        ca: Option<&CaIdentity>,
    ) {
        for name in wanted.entry.order_names() {
            if wanted.challenge_of(&name) == ChallengeType::Dns01 {
                self.dns(report, context, wanted, &name);
            }
            if let Some(ca) = ca {
                self.caa(report, context, &name, wanted.challenge_of(&name), ca);
            }
        }
    }

    /// Reports whether the challenge of a name can be written.
    fn dns(&mut self, report: &mut CheckReport, context: &Context, wanted: &CertificateSpec, name: &Domain) {
        let object = format!("DNS {name}");
        match Dns01Solver::find_some(context, wanted, slice::from_ref(name), &|_| true) {
            Ok(places) => self.probe(report, &object, context, wanted, name, &places),
            // A server that fails is asked once, not for each of a thousand names.
            Err(failed) if failed.barred.is_some() => {
                report.say(Level::Warning, &object, format!("not looked at: {}", failed.error));
            }
            Err(failed) => {
                let sentence = failed.error.strip_prefix(&format!("{name}: ")).unwrap_or(&failed.error);
                report.say(Level::Fault, &object, sentence.to_owned());
            }
        }
    }

    /// Reports the probe at the name's challenge owner, its zone, and whether the host exists by a wildcard record only.
    fn probe(
        &mut self,
        report: &mut CheckReport,
        object: &str,
        context: &Context,
        wanted: &CertificateSpec,
        name: &Domain,
        places: &Dns01Solver<'_>,
    ) {
        let settings = &wanted.entry.dns;
        for mut batch in places.probes() {
            let PresentedTxt { zone, key, values, .. } = batch.published.clone();
            let Some(owner) = values.first().map(|value| value.owner.clone()) else { continue };
            if !self.probed.insert((owner.clone(), zone.clone(), key.clone())) {
                continue;
            }
            let (server, tsig) = match batch.delete(&context.dns, &[], settings.transport) {
                Ok(done) => done,
                Err(said) => {
                    report.say(Level::Fault, object, said);
                    continue;
                }
            };
            let zone = batch.published.zone.clone();
            let way = match places.way(name) {
                [] | [_] => String::new(),
                chain => format!("by CNAME {}, ", joined(chain)),
            };
            let sentence = format!(
                "TXT at {owner} can be written: {way}zone {zone}, server {server}, key {tsig} of the Secret {key}"
            );
            report.say(Level::Ok, object, sentence);
            if self.zones.insert(zone.clone()) {
                servers(report, context, wanted, &batch.published);
                if let Some(remark) = &batch.remark {
                    report.say(Level::Warning, &format!("Zone {zone}"), remark.clone());
                }
            }
            if !places.wildcard_hosts(batch, settings).is_empty() {
                let level = match settings.on_wildcard_host {
                    OnWildcardHost::Warn => Level::Warning,
                    OnWildcardHost::Refuse => Level::Fault,
                };
                report.say(level, object, WILDCARD_HOST.to_owned());
            }
        }
    }

    /// Reports whether the closest CAA records let the CA issue (RFC 8659 section 3).
    fn caa(
        &mut self,
        report: &mut CheckReport,
        context: &Context,
        name: &Domain,
        challenge: ChallengeType,
        ca: &CaIdentity,
    ) {
        let object = format!("CAA {name}");
        let closest = self.records.entry(name.base().clone()).or_insert_with_key(|base| climb(context, base));
        let identities = &ca.directory.meta.caa_identities;
        match closest {
            // RFC 8659 section 3: a CA must not issue when the lookup fails.
            Err(e) => report.say(
                Level::Warning,
                &object,
                format!("could not be found out, and a CA that can not either does not issue: {e}"),
            ),
            Ok(None) => report.say(Level::Ok, &object, "no records: every CA may issue".to_owned()),
            Ok(Some((at, _))) if identities.is_empty() => report.say(
                Level::Warning,
                &object,
                format!(
                    "there are records at {at}, and the CA does not say by which name they mean it (`caaIdentities`)"
                ),
            ),
            Ok(Some((at, records))) => {
                let applicant = CaaContext { identities, account: ca.account.as_deref(), challenge };
                let (level, sentence) = match caa::judge(records, name.is_wildcard(), applicant) {
                    CaaVerdict::Allows => (Level::Ok, format!("the records at {at} let the CA issue")),
                    CaaVerdict::Depends(why) => (Level::Warning, format!("records at {at}: {why}")),
                    CaaVerdict::Forbids(why) => (Level::Fault, format!("the records at {at} forbid it: {why}")),
                };
                report.say(level, &object, sentence);
            }
        }
    }
}

/// Climbs from a name towards the root until there are records.
fn climb(context: &Context, name: &DnsName) -> Closest {
    let mut at = Some(name.clone());
    let deadline = Deadline::after(DNS_FIND);
    while let Some(name) = at {
        let parent = name.parent();
        let answer = match context.resolver.query(&context.dns, &name, RecordType::Caa, deadline) {
            Ok(answer) => answer,
            // A resolver for private zones may not know the top-level domain, where CAA records do not matter.
            Err(_) if parent.is_none() => return Ok(None),
            Err(e) => return Err(e),
        };
        // Records at the target of a CNAME count for the name itself, so the owner is not compared.
        let property = |data: RData| match data {
            RData::Caa { critical, tag, value } => Some(Property { critical, tag, value }),
            _ => None,
        };
        let records: Vec<Property> = answer.answers.into_iter().filter_map(|record| property(record.data)).collect();
        if !records.is_empty() {
            return Ok(Some((name, records)));
        }
        at = parent;
    }
    Ok(None)
}

/// Reports the primary and the name servers of a zone. With `propagation: all` each of them is asked.
fn servers(report: &mut CheckReport, context: &Context, wanted: &CertificateSpec, published: &PresentedTxt) {
    let PresentedTxt { zone, address, .. } = published;
    let object = format!("Zone {zone}");
    let ask = |server, kind| context.dns.query(server, zone, kind, QueryMode::Plain, Deadline::after(DNS_FIND));
    let soa = |server| {
        let answer = ask(server, RecordType::Soa).ok().filter(|answer| answer.authoritative)?;
        answer.answers.into_iter().find_map(|record| match record.data {
            RData::Soa { mname, .. } => Some(mname),
            _ => None,
        })
    };
    // A zone in a BIND view that matches on the key does not answer here; the probe has shown that it exists.
    let Some(primary) = soa(*address) else { return };
    let names: Vec<DnsName> =
        ask(*address, RecordType::Ns).map(|ns| ns_names(&ns.answers, zone).collect()).unwrap_or_default();
    let listed: Vec<&str> = names.iter().map(DnsName::as_str).collect();
    let primary = primary.map_or_else(|| "?".to_owned(), |name| name.to_string());
    report.say(Level::Ok, &object, format!("primary {primary}, name servers {}", listed.join(", ")));
    let dns = &wanted.entry.dns;
    if dns.propagation != Propagation::All {
        return;
    }
    let Context { dns: client, resolver, .. } = context;
    let within = || Deadline::after(DNS_FIND);
    let own = names.iter().map(|n| (n.to_string(), resolver.addresses(client, n, DNS_PORT, within())));
    let set = dns.propagation_nameservers.iter().map(|s| (s.to_string(), resolver.resolve(client, s, within())));
    let all: Vec<_> = if dns.propagation_nameservers.is_empty() { own.collect() } else { set.collect() };
    for (server, addresses) in all {
        let sentence = match addresses {
            Err(e) => e,
            Ok(addresses) if addresses.iter().any(|address| soa(*address).is_some()) => continue,
            Ok(_) => "it does not answer for the zone".to_owned(),
        };
        let sentence =
            format!("{server} is waited for until it shows a value (`dns.propagation: all`), and {sentence}");
        report.say(Level::Warning, &object, sentence);
    }
}
