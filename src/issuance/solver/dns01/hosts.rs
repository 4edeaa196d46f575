//! Hosts that answer from a wildcard record. BIND, Knot and PowerDNS stop answering for them while a value exists below their name.
//!
//! Tested by tests/it/seeing.rs on the three servers.

use super::update::{UpdateOutcome, send};
use super::zone_update::{ZoneUpdate, refused};
use super::zones::Dns01Solver;
use crate::base::limits::DNS_FIND;
use crate::base::name::DnsName;
use crate::base::time::Deadline;
use crate::config::dns::{DnsSettings, OnWildcardHost};
use crate::dns::client::QueryMode;
use crate::dns::update::{Action, Update};
use crate::dns::wire::RecordType;
use crate::issuance::error::AttemptError;
use crate::sources::CertificateSpec;

impl Dns01Solver<'_> {
    /// Refuses hosts that answer from a wildcard record before anything is ordered, with `dns.onWildcardHost: refuse`.
    ///
    /// # Errors
    /// The first such host.
    pub fn check_hosts(&self, wanted: &CertificateSpec) -> Result<(), AttemptError> {
        let settings = &wanted.entry.dns;
        let refuses = settings.on_wildcard_host == OnWildcardHost::Refuse;
        let batches = if refuses { self.probes() } else { Vec::new() };
        let permits = self.enter(&batches)?;
        let first = batches.into_iter().find_map(|batch| self.wildcard_hosts(batch, settings).into_iter().next());
        drop(permits);
        first.map_or(Ok(()), |host| Err(refused(&host)))
    }

    /// The hosts of a zone that answer from a wildcard record. Nothing is changed.
    pub fn wildcard_hosts(&self, mut batch: ZoneUpdate, settings: &DnsSettings) -> Vec<DnsName> {
        let hosts = std::mem::take(&mut batch.hosts);
        match hosts.is_empty() || !self.has_unused(&batch, &hosts, settings) {
            true => Vec::new(),
            false => self.vanishing(&batch, hosts, settings),
        }
    }

    /// The names among `hosts` that answer although they have no records. At least one of `hosts` has none. A query cannot tell: the answer
    /// from a wildcard record looks like any other.
    pub(super) fn vanishing(&self, batch: &ZoneUpdate, hosts: Vec<DnsName>, settings: &DnsSettings) -> Vec<DnsName> {
        let server = batch.published.address;
        let answers = |host: &DnsName, kind| {
            let answer = self.context.dns.query(server, host, kind, QueryMode::Plain, Deadline::after(DNS_FIND));
            answer.is_ok_and(|a| !a.answers.is_empty())
        };
        let only = hosts.len() == 1;
        let unused = |host: &DnsName| only || self.has_unused(batch, std::slice::from_ref(host), settings);
        hosts.into_iter().filter(|h| (answers(h, RecordType::A) || answers(h, RecordType::Aaaa)) && unused(h)).collect()
    }

    /// Tells whether one of these names has no records, by an UPDATE that consists of this prerequisite and changes nothing.
    fn has_unused(&self, batch: &ZoneUpdate, names: &[DnsName], settings: &DnsSettings) -> bool {
        let action = Action::Add { ttl: settings.ttl, in_use: names };
        let update = Update { zone: &batch.published.zone, action, values: &[] };
        let done =
            send(&self.context.dns, (&batch.servers, batch.primary_first), &batch.keys, &update, settings.transport);
        matches!(done, Err(UpdateOutcome { unused_name: true, .. }))
    }
}
