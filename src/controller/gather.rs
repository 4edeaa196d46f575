//! Gathers the facts of a certificate from the controller's caches, and applies what follows from them.

use std::collections::HashMap;
use std::sync::Arc;

use super::notes::Note;
use super::object_status::not_acting;
use super::observed::RecordSummary;
use super::probe_schedule::next_probe;
use super::reconcile::{ReconcileInput, ReconcileResult, reconcile, renewal_info_facts};
use super::secret_cache::SecretCache;
use super::state::{ControllerState, ProbeMode};
use super::steps::step;
use crate::base::limits::{LOOK_AT_ALL, POLL_INTERVAL};
use crate::base::name::{Domain, ObjectRef};
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::issuance::{Context, account};
use crate::policy::ca_limits::RateLimitBlock;
use crate::policy::order_index::OrderIndex;
use crate::policy::retention::next_clean_up;
use crate::policy::secret_state::SecretState;
use crate::policy::{Decision, Directory};
use crate::record::{self, RecordData};
use crate::sources::wish::ObjectKey;
use crate::sources::{CertificateSpec, dependencies};
use crate::status::certificate::CertificateStatus;
use crate::status::evaluate::{Facts, evaluate};
use crate::worker::{Job, Task};

/// The facts that all certificates of one pass share.
pub(super) struct ReconcilePass {
    pub(super) now: Time,
    /// Hashes of the Secrets that are only read.
    contents: HashMap<ObjectRef, String>,
}

impl ReconcilePass {
    pub(super) fn new(now: Time) -> ReconcilePass {
        ReconcilePass { now, contents: HashMap::new() }
    }
}

/// The caches as the facts of an evaluation.
struct CachedFacts<'a> {
    secrets: &'a mut SecretCache,
    context: &'a Context,
    pass: &'a mut ReconcilePass,
    /// The record of the certificate.
    record: &'a ObjectRef,
    /// When the first of the facts ceases to count.
    due: Option<Time>,
}

impl CachedFacts<'_> {
    fn due_by(&mut self, at: Option<Time>) {
        self.due = self.due.into_iter().chain(at).min();
    }

    fn summary(&self) -> (&RecordSummary, &str) {
        self.secrets.record(self.record, self.pass.now)
    }
}

impl Facts for CachedFacts<'_> {
    fn secret(&mut self, at: &ObjectRef) -> Result<SecretState, String> {
        let (held, until) = self.secrets.held(at, self.pass.now).map_err(|e| e.to_string())?;
        self.due_by(until);
        Ok(held)
    }

    fn read_record(&mut self, _: &ObjectRef) -> Result<(), String> {
        let until = self.secrets.read_record(self.record, self.pass.now)?;
        self.due_by(until);
        Ok(())
    }

    fn record(&self, _: &ObjectRef) -> (&RecordData, Option<&CertificateFacts>) {
        let (known, _) = self.summary();
        (&known.body, known.copy.as_deref())
    }

    fn dependencies(&mut self, wanted: &CertificateSpec, held: &[SecretState]) -> Result<String, String> {
        let asked = self.record(wanted.entry.main_secret()).0.asked.clone();
        dependencies::fingerprint(wanted, held, asked.as_deref(), |at| {
            if let Some(hash) = self.pass.contents.get(at) {
                return Ok(hash.clone());
            }
            let hash = self.secrets.content(at, self.pass.now).map_err(|e| e.to_string())?;
            self.pass.contents.insert(at.clone(), hash.clone());
            Ok(hash)
        })
    }

    fn directory(&self, wanted: &CertificateSpec) -> Directory {
        self.context.clients.directory(wanted)
    }

    fn rate_limit(&mut self, wanted: &CertificateSpec, directory: &str, names: &[Domain]) -> Option<RateLimitBlock> {
        let Context { limits, namespace, .. } = self.context;
        if limits.is_open() {
            return None;
        }
        limits.closed(&account::reference(directory, wanted, namespace), names, self.pass.now)
    }

    fn orders(&self) -> &OrderIndex {
        &self.secrets.records.index.orders
    }
}

impl ControllerState {
    /// Reconciles one certificate: keeps its status, says what is new about it, and returns what is to be done.
    pub(super) fn reconcile(&mut self, secret: &ObjectRef, pass: &mut ReconcilePass) -> ReconcileResult {
        step();
        let Some(wanted) = self.desired.wanted.get(secret).cloned() else { return ReconcileResult::default() };
        if let ProbeMode::Only = self.probing {
            let job = Some(Box::new(Job::new(wanted, Task::Probe)));
            return ReconcileResult { job, ..ReconcileResult::default() };
        }
        self.log_dedup.begin(secret);
        let now = pass.now;
        let mut result = self.evaluate(&wanted, pass).unwrap_or_else(|error| {
            let directory = self.context.clients.directory(&wanted);
            self.keep_status(secret, CertificateStatus::unknown(&wanted, directory.url(), &error));
            Note::Unread(error).say(&wanted, &self.context, &mut self.log_dedup);
            ReconcileResult { unknown: true, due: Some(now + POLL_INTERVAL), ..ReconcileResult::default() }
        });
        if let Some(order) = result.order.as_deref() {
            self.secrets.records.index.orders.reserve(order);
        }
        let latest = now + if self.is_watching() { LOOK_AT_ALL } else { POLL_INTERVAL };
        result.due = Some(result.due.map_or(latest, |due| due.min(latest)));
        result
    }

    fn evaluate(&mut self, wanted: &Arc<CertificateSpec>, pass: &mut ReconcilePass) -> Result<ReconcileResult, String> {
        let (secret, now) = (wanted.entry.main_secret(), pass.now);
        let context = self.context.clone();
        let at = record::reference(secret, &context.namespace);
        let mut facts = CachedFacts { secrets: &mut self.secrets, context: &context, pass, record: &at, due: None };
        let mut evaluated = evaluate(&mut facts, wanted, now)?;
        // An order is remembered with what it depends on.
        if evaluated.dependencies.is_none() && matches!(evaluated.evaluation.decision, Decision::Issue { .. }) {
            evaluated.dependencies = Some(facts.dependencies(wanted, &evaluated.held)?);
        }
        let (record, version) = facts.summary();
        let directory = evaluated.directory.url();
        let next_renewal_info = renewal_info_facts(&evaluated.held, &evaluated.directory)
            .map(|_| context.renewal_schedule.next(secret, directory, record.body.next_question, now));
        let status = evaluated.status.clone();
        let (mut result, notes) = reconcile(ReconcileInput {
            wanted,
            evaluated,
            record,
            version,
            next_clean_up: self.cleaned_up.get(secret).map(|last| next_clean_up(*last, &record.body)),
            next_probe: match self.probing {
                ProbeMode::Daily { started } => {
                    Some(next_probe(secret, started, self.probed.get(secret).copied().unwrap_or(started)))
                }
                ProbeMode::Never | ProbeMode::Only => None,
            },
            next_renewal_info,
            now,
        });
        result.due = result.due.into_iter().chain(facts.due).min();
        if let Some(job) = &mut result.job {
            // What the watches show the worker need not read again.
            let basis = &mut job.basis;
            basis.known = job.wanted.entry.secrets.iter().map(|at| self.secrets.known(at, now)).collect();
            basis.record_is_absent = self.secrets.is_record_absent(&at, now);
        }
        let status = match context.acting.check_for(wanted) {
            Err(failed) if result.job.is_some() => {
                (result.job, result.order, result.asked) = (None, None, None);
                not_acting(status, failed.error)
            }
            Ok(()) | Err(_) => status,
        };
        self.keep_status(secret, status);
        notes.into_iter().for_each(|note| note.say(wanted, &context, &mut self.log_dedup));
        match result.job.as_ref().map(|job| &job.task) {
            Some(Task::Tidy) => drop(self.cleaned_up.insert(secret.clone(), now)),
            Some(Task::Cascade) if wanted.cascade.is_some() => drop(self.cleaned_up.insert(secret.clone(), now)),
            Some(Task::Probe) => drop(self.probed.insert(secret.clone(), now)),
            Some(Task::Issue { .. } | Task::Restore { .. } | Task::Revoke | Task::Cascade | Task::Window(_)) | None => {
            }
        }
        Ok(result)
    }

    /// The status of a certificate by what is known now; `None` where something can not be read.
    pub(super) fn status_now(
        &mut self,
        wanted: &Arc<CertificateSpec>,
        pass: &mut ReconcilePass,
    ) -> Option<CertificateStatus> {
        let context = self.context.clone();
        let (at, now) = (record::reference(wanted.entry.main_secret(), &context.namespace), pass.now);
        let mut facts = CachedFacts { secrets: &mut self.secrets, context: &context, pass, record: &at, due: None };
        evaluate(&mut facts, wanted, now).ok().map(|evaluated| evaluated.status)
    }

    /// The status of the certificate that an object wants; `None` where something can not be read. One that is not kept is evaluated again.
    pub(super) fn status_of(&mut self, object: &ObjectKey, pass: &mut ReconcilePass) -> Option<Arc<CertificateStatus>> {
        let secret = self.objects.index.secret_of(object)?;
        let status = match self.statuses.as_ref()?.get(secret) {
            Some(status) => status,
            None => {
                let wanted = self.desired.wanted.get(secret)?.clone();
                Arc::new(self.status_now(&wanted, pass)?)
            }
        };
        status.objects.contains(object).then_some(status)
    }

    pub(super) fn keep_status(&mut self, secret: &ObjectRef, status: CertificateStatus) {
        self.objects.unshown.extend(status.objects.iter().cloned());
        self.objects.unshown.extend(self.desired.wanted.get(secret).into_iter().flat_map(|wanted| wanted.shown_by()));
        if let Some(statuses) = &self.statuses {
            statuses.put(secret, Arc::new(status));
        }
    }
}
