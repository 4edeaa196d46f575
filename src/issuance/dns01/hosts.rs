//! Hosts that live from a wildcard record: they vanish while a value stands below them, on all three servers.
//!
//! Tested by tests/it/seeing.rs on the three servers.

use super::{Dns01Solver, ZoneUpdate};
use crate::base::limits::DNS_FIND;
use crate::base::name::DnsName;
use crate::base::time::Deadline;
use crate::config::dns::{DnsSettings, OnWildcardHost};
use crate::dns::client::QueryMode;
use crate::dns::update::{Action, Update};
use crate::dns::wire::RecordType;
use crate::issuance::AttemptError;
use crate::issuance::dns_update::{UpdateOutcome, send};
use crate::policy::backoff::{RetryClass, Stage};
use crate::sources::CertificateSpec;

impl Dns01Solver<'_> {
    /// With `dns.onWildcardHost: refuse`: refuses hosts that live from a wildcard record, before anything is ordered for them.
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

    /// The hosts of a batch that live from a wildcard record. Nothing is changed.
    pub fn wildcard_hosts(&self, mut batch: ZoneUpdate, settings: &DnsSettings) -> Vec<DnsName> {
        let hosts = std::mem::take(&mut batch.hosts);
        match hosts.is_empty() || !self.has_unused(&batch, &hosts, settings) {
            true => Vec::new(),
            false => self.vanishing(&batch, hosts, settings),
        }
    }

    /// Names that answer although they are not in use, of `hosts` of which one at least is not. A query does not tell: it shows an
    /// answer from a wildcard record like one from the name's own.
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

    /// Whether one of these names is not in use, by an UPDATE that consists of this condition and changes nothing.
    fn has_unused(&self, batch: &ZoneUpdate, names: &[DnsName], settings: &DnsSettings) -> bool {
        let action = Action::Add { ttl: settings.ttl, in_use: names };
        let update = Update { zone: &batch.published.zone, action, values: &[] };
        let done =
            send(&self.context.dns, (&batch.servers, batch.primary_first), &batch.keys, &update, settings.transport);
        matches!(done, Err(UpdateOutcome { unused_name: true, .. }))
    }
}

/// What is the matter with a host that lives from a wildcard record, and what to do.
pub const WILDCARD_HOST: &str = "it answers from a wildcard record and vanishes while its challenge is there: give it records of its own, or \
                             lead its challenge elsewhere by a CNAME";

pub(super) fn refused(host: &DnsName) -> AttemptError {
    let sentence = format!("{host}: {WILDCARD_HOST}; refused by `dns.onWildcardHost: refuse`");
    AttemptError::new(Stage::Publish, RetryClass::Policy, sentence)
}
