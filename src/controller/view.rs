//! Views of the state for people: the report of the status ConfigMap and the snapshot of the port.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::state::ControllerState;
use crate::base::limits::{BULLETIN_NOTES_MAX, BULLETIN_ROWS_MAX};
use crate::base::name::ObjectRef;
use crate::base::sanitize::one_line;
use crate::base::time::Time;
use crate::issuance::{Context, account};
use crate::server::snapshot::Snapshot;
use crate::status::certificate::CertificateStatus;
use crate::status::report::{NoteKind, StatusReport};
use crate::status::state::Parked;

impl ControllerState {
    /// The most urgent certificates as they were decided about last. Those `ordering` are being ordered, and others are parked.
    pub(super) fn report(&self, ordering: &BTreeSet<ObjectRef>, parked: &BTreeMap<ObjectRef, Parked>) -> StatusReport {
        let mut rows: Vec<Arc<CertificateStatus>> = Vec::new();
        for status in self.statuses.iter().flat_map(|statuses| statuses.all()) {
            let secret = &status.secrets()[0];
            rows.push(status.with_job(ordering.contains(secret), parked.get(secret)));
            if rows.len() > 2 * BULLETIN_ROWS_MAX {
                rows.sort_by_cached_key(|row| row.urgency());
                rows.truncate(BULLETIN_ROWS_MAX);
            }
        }
        rows.extend(self.orphans().take(BULLETIN_ROWS_MAX).map(Arc::new));
        rows.sort_by_cached_key(|row| row.urgency());
        StatusReport { rows, notes: self.notes(), progress: None }
    }

    /// The state of the work for the port. The certificates are in the table that the port reads by itself.
    pub(super) fn snapshot(
        &self,
        ordering: BTreeSet<ObjectRef>,
        parked: BTreeMap<ObjectRef, Parked>,
        now: Time,
    ) -> Snapshot {
        let gates = if self.context.limits.is_open() { Vec::new() } else { self.gates(now) };
        Snapshot {
            ordering,
            parked,
            faults: self.faults(),
            entries: self.desired.wanted.len(),
            orphaned: self.orphans().count(),
            gates,
            sources: self.source_figures(),
            ..Snapshot::default()
        }
    }

    /// Problems and warnings that concern no single certificate.
    fn notes(&self) -> Vec<(NoteKind, String)> {
        let problems = self.sources.problems().map(|problem| (NoteKind::Unreadable, problem));
        let refused = self.desired.refused.iter().map(|refused| (NoteKind::Refused, refused.to_string()));
        let warnings = self.desired.warnings.iter().map(|warning| (NoteKind::Warning, warning.clone()));
        let acting = self.not_acted().map(|why| (NoteKind::Warning, why));
        let all = acting.chain(problems).chain(refused).chain(warnings).take(BULLETIN_NOTES_MAX);
        all.map(|(kind, sentence)| (kind, one_line(&sentence))).collect()
    }

    fn faults(&self) -> Vec<String> {
        let refused = self.desired.refused.iter().map(ToString::to_string);
        self.sources.problems().chain(refused).chain(self.not_acted()).map(|fault| one_line(&fault)).collect()
    }

    /// Why nothing is done for cert-manager's objects, or for those of a namespace.
    fn not_acted(&self) -> impl Iterator<Item = String> {
        let acting = &self.context.acting;
        let all = acting.hindrance().map(|why| format!("cert-manager's objects are not served: {why}"));
        let down = acting.stood_down().into_iter().filter_map(|(namespace, _)| acting.check(&namespace).err());
        all.into_iter().chain(down)
    }

    /// The directories that take no order of an account, and until when.
    fn gates(&self, now: Time) -> Vec<(String, Time)> {
        let Context { clients, limits, namespace, .. } = &*self.context;
        // Many certificates share few accounts: what an account is named by is compared, and its name made once.
        let mut accounts = BTreeMap::new();
        for wanted in self.desired.wanted.values() {
            let issuer = wanted.issuer.as_ref().map(|issuer| Arc::as_ptr(issuer).addr());
            accounts.entry((issuer, wanted.email())).or_insert(wanted);
        }
        let mut closed = BTreeMap::new();
        for wanted in accounts.into_values() {
            let directory = clients.directory(wanted);
            if let Some(until) = limits.closed_to_all(&account::reference(directory.url(), wanted, namespace), now) {
                let latest = closed.entry(directory.url().to_owned()).or_insert(until);
                *latest = until.max(*latest);
            }
        }
        closed.into_iter().collect()
    }
}
