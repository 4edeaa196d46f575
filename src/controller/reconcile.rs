//! Decides about one certificate: looks at what its Secrets hold, says what was found, makes a job of what is to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::probe_schedule::next_probe;
use super::state::{ControllerState, ProbeMode, ReconcilePass, ReconcileResult};
use crate::base::limits::{BULLETIN_ROWS_MAX, SHORT_LIVED, TIDY_INTERVAL};
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::issuance::{Context, account};
use crate::kube::events::EventReason;
use crate::policy::ca_limits::{RateLimitBlock, is_renewal, out_of_quota};
use crate::policy::directory::normalized;
use crate::policy::secret_state::SecretState;
use crate::policy::{Decision, Directory, Evaluation, EvaluationInput, Violation, WaitReason, evaluate};
use crate::record::{self, RecordData};
use crate::server::snapshot::CertificateSnapshot;
use crate::sources::{CertificateSpec, dependencies};
use crate::status::row::{CertificateState, CertificateStatus, Parked, StatusReport};
use crate::worker::{Job, JobPeer, Observed, RenewalInfoRequest, Task};

/// What was found of one certificate, and decided.
struct Gathered {
    held: Vec<SecretState>,
    /// What an attempt depends on, where that was looked at.
    inputs: Option<String>,
    directory: Directory,
    renewal: bool,
    judgement: Evaluation,
}

impl ControllerState {
    /// How all certificates are, the most urgent first and not more than are shown. Nothing is said and nothing made of it.
    /// A certificate's own order, which `order_of` tells, does not count against itself.
    pub(super) fn report<'o>(
        &mut self,
        ordering: &BTreeSet<ObjectRef>,
        parked: &BTreeMap<ObjectRef, Parked>,
        order_of: impl Fn(&ObjectRef) -> Option<&'o (SharedStr, bool)>,
        look: &mut ReconcilePass,
    ) -> StatusReport {
        let mut rows: Vec<CertificateStatus> = Vec::new();
        let wanted: Vec<Arc<CertificateSpec>> = self.desired.wanted.values().cloned().collect();
        for wanted in &wanted {
            // Each may have to be read, from a server that does not answer.
            if self.context.stop.is_set() {
                break;
            }
            let secret = wanted.entry.main_secret();
            let own = order_of(secret);
            self.count_order(own, false, look.now);
            let mut row = self.status_of(wanted, look);
            self.count_order(own, true, look.now);
            if ordering.contains(secret) {
                row.state = CertificateState::Issuing;
            } else if let Some(parked) = parked.get(secret) {
                row.park(parked);
            }
            rows.push(row);
            if rows.len() > 2 * BULLETIN_ROWS_MAX {
                rows.sort_by_cached_key(CertificateStatus::urgency);
                rows.truncate(BULLETIN_ROWS_MAX);
            }
        }
        rows.extend(self.orphans().take(BULLETIN_ROWS_MAX));
        rows.sort_by_cached_key(CertificateStatus::urgency);
        StatusReport { rows, notes: self.notes(), progress: None }
    }

    /// Counts an order that waits or is being made, or does not any more.
    fn count_order(&mut self, order: Option<&(SharedStr, bool)>, counts: bool, now: Time) {
        let made = order.and_then(|(directory, renewal)| Some((self.order_logs.get_mut(directory)?, *renewal)));
        match made {
            Some((made, renewal)) if counts => made.add(now, renewal),
            Some((made, renewal)) => made.remove(now, renewal),
            None => {}
        }
    }

    fn status_of(&mut self, wanted: &Arc<CertificateSpec>, look: &mut ReconcilePass) -> CertificateStatus {
        let secret = wanted.entry.main_secret();
        match self.gather(secret, wanted, look, &mut None) {
            Ok(Gathered { held, directory, judgement, .. }) => {
                let (known, _) = self.secrets.record(&record::reference(secret, &self.context.namespace), look.now);
                CertificateStatus::of(wanted, &held, &known.body, directory.url(), &judgement, look.now)
            }
            Err(e) => CertificateStatus::unknown(wanted, self.context.clients.directory(wanted).url(), &e),
        }
    }

    /// Decides about one certificate.
    ///
    /// # Errors
    /// What could not be read.
    pub(super) fn evaluate(
        &mut self,
        secret: &ObjectRef,
        wanted: &Arc<CertificateSpec>,
        look: &mut ReconcilePass,
    ) -> Result<ReconcileResult, String> {
        let (entry, now) = (&wanted.entry, look.now);
        let mut verdict = ReconcileResult::default();
        let judged = self.gather(secret, wanted, look, &mut verdict.due)?;
        let Gathered { held, inputs, directory, renewal, judgement } = judged;
        let (known, version) = self.secrets.record(&record::reference(secret, &self.context.namespace), now);
        let body = &known.body;
        if let Some(shown) = &mut self.statuses {
            let certificate = CertificateSnapshot::of(wanted, &held, body, &directory, &judgement, now);
            shown.insert(secret.clone(), Arc::new(certificate));
        }
        let revokes = !body.to_revoke.is_empty();
        let untidy = body.in_flight.is_some() || !body.leftovers.is_empty() || !body.to_revoke.is_empty();
        let is_accepted = |a: &super::observed::AcceptedSummary| {
            a.fingerprint == wanted.fingerprint && a.source.as_deref() == Some(&*wanted.source)
        };
        let accepted = wanted.last_accepted || known.accepted.as_ref().is_some_and(is_accepted);
        let question = match judgement.decision {
            Decision::Keep { .. } => self.question(secret, &held, body, directory.url(), now, &mut verdict),
            _ => None,
        };
        let at = record::reference(secret, &self.context.namespace);
        let basis = Observed {
            held: Vec::new(),
            known: entry.secrets.iter().map(|at| self.secrets.known(at, now)).collect(),
            record: version.to_owned(),
            record_is_absent: self.secrets.is_record_absent(&at, now),
        };
        let short_lived = held.iter().any(
            |h| matches!(h, SecretState::Present(p) if p.pair.facts().is_some_and(|f| f.lifetime() < SHORT_LIVED)),
        );

        for warning in &judgement.warnings {
            if self.log_dedup.changed("warning", warning) {
                event!(warn, "certificate", secret = secret, warning = warning);
            }
        }
        for (place, finding) in &judgement.refused {
            verdict.unsound = true;
            let target = &entry.secrets[*place];
            if self.log_dedup.changed(&target.to_string(), &finding.detail) {
                event!(error, "left-alone", secret = target, reason = finding.reason, error = finding.detail);
                self.context.recorder.publish(EventReason::Refused, &wanted.source, Some(target), finding.to_string());
            }
        }
        let tidied = self.cleaned_up.get(secret).map(|last| *last + TIDY_INTERVAL);
        let is_back = body.orphaned.is_some();
        let keep_tidy = !accepted || is_back || (untidy && tidied.is_none_or(|next| next <= now));
        if untidy && !keep_tidy {
            verdict.due = sooner(verdict.due, tidied);
        }
        let partial = match &judgement.decision {
            Decision::Issue { names, .. } => names.clone(),
            _ => None,
        };
        let told = judgement.refused;
        let kept = matches!(judgement.decision, Decision::Keep { .. });
        let task = self.plan_task(secret, &wanted.source, judgement.decision, &told, keep_tidy, &mut verdict);
        let task = task.or(question.map(Task::Window)).or_else(|| self.probe(secret, kept, now, &mut verdict));
        let Some(task) = task else { return Ok(ReconcileResult { is_back, ..verdict }) };
        match &task {
            Task::Issue { .. } => {
                let place = SharedStr::intern(directory.url());
                self.order_logs.entry(place.clone()).or_default().add(now, renewal);
                verdict.order = Some(Box::new((place, renewal)));
            }
            Task::Tidy => {
                self.cleaned_up.insert(secret.clone(), now);
            }
            Task::Restore { .. } | Task::Window(_) | Task::Probe => {}
        }
        // They cost a read of each key's Secret, and only an order is remembered with them.
        let inputs = match (inputs, &task) {
            (Some(inputs), _) => inputs,
            (None, Task::Issue { .. }) => self.inputs(wanted, look, &held)?,
            (None, Task::Restore { .. } | Task::Tidy | Task::Window(_) | Task::Probe) => String::new(),
        };
        let wanted = partial.map_or_else(|| wanted.clone(), |names| Arc::new(wanted.only(names)));
        let peer = match &task {
            Task::Issue { .. } | Task::Window(_) => JobPeer::Ca(SharedStr::intern(directory.url())),
            // A certificate that was replaced is revoked there.
            Task::Tidy if revokes => JobPeer::Ca(SharedStr::intern(directory.url())),
            Task::Tidy | Task::Probe => JobPeer::Dns,
            Task::Restore { .. } => JobPeer::Store,
        };
        verdict.job =
            Some(Box::new(Job { wanted, task, inputs, short_lived, basis: Observed { held, ..basis }, peer }));
        Ok(verdict)
    }

    /// What is found and decided, and what of that the rest stands on.
    fn gather(
        &mut self,
        secret: &ObjectRef,
        wanted: &Arc<CertificateSpec>,
        look: &mut ReconcilePass,
        due: &mut Option<Time>,
    ) -> Result<Gathered, String> {
        let (entry, now) = (&wanted.entry, look.now);
        let at = record::reference(secret, &self.context.namespace);
        let mut held = Vec::with_capacity(entry.secrets.len());
        for secret in &entry.secrets {
            let (holds, until) = self.secrets.held(secret, now).map_err(|e| e.to_string())?;
            held.push(holds);
            *due = sooner(*due, until);
        }
        // They cost a read of each key's Secret, and matter only while a wait may be cut short.
        let until = self.secrets.read_record(&at, now)?;
        *due = sooner(*due, until);
        let (known, _) = self.secrets.record(&at, now);
        let waiting = known.body.histories.iter().any(|h| h.next_attempt.is_some_and(|next| next > now));
        let inputs = if waiting { Some(self.inputs(wanted, look, &held)?) } else { None };
        let (known, _) = self.secrets.record(&at, now);
        let directory = self.context.clients.directory(wanted);
        let renewal = is_renewal(&held, &entry.order_names(), directory.url(), now);
        let closed = self.closed(wanted, directory.url(), renewal, now);
        let judgement = evaluate(&EvaluationInput {
            entry,
            secrets: &held,
            record: &known.body,
            copy: known.copy.as_deref(),
            directory: &directory,
            profile: wanted.profile(),
            inputs: inputs.as_deref().unwrap_or_default(),
            orders: &look.orders,
            closed: closed.as_ref(),
            now,
        });
        Ok(Gathered { held, inputs, directory, renewal, judgement })
    }

    /// What an attempt depends on.
    fn inputs(
        &mut self,
        wanted: &CertificateSpec,
        look: &mut ReconcilePass,
        held: &[SecretState],
    ) -> Result<String, String> {
        dependencies::fingerprint(wanted, held, |at| {
            if let Some(hash) = look.contents.get(at) {
                return Ok(hash.clone());
            }
            let hash = self.secrets.content(at, look.now).map_err(|e| e.to_string())?;
            look.contents.insert(at.clone(), hash.clone());
            Ok(hash)
        })
    }

    /// A probe of the certificate's zones, when its turn has come.
    fn probe(&mut self, secret: &ObjectRef, kept: bool, now: Time, verdict: &mut ReconcileResult) -> Option<Task> {
        let ProbeMode::Daily { started } = self.probing else { return None };
        if !kept {
            return None;
        }
        let last = self.probed.get(secret).copied().unwrap_or(started);
        let next = next_probe(secret, started, last);
        if next > now {
            verdict.due = sooner(verdict.due, Some(next));
            return None;
        }
        self.probed.insert(secret.clone(), now);
        Some(Task::Probe)
    }

    /// The gate that keeps an order of this certificate from being made: one that the CA closed, or the quota of its directory.
    fn closed(&self, wanted: &CertificateSpec, directory: &str, renewal: bool, now: Time) -> Option<RateLimitBlock> {
        let Context { limits, namespace, .. } = &*self.context;
        if !limits.is_open()
            && let Some(closed) =
                limits.closed(&account::reference(directory, wanted, namespace), &wanted.entry.order_names(), now)
        {
            return Some(closed);
        }
        out_of_quota(self.order_logs.get(directory)?, directory, wanted.orders_per_day(), renewal, now)
    }

    /// The question to the CA when it wants the certificate to be renewed, when it is time to ask it.
    fn question(
        &self,
        secret: &ObjectRef,
        held: &[SecretState],
        body: &RecordData,
        directory: &str,
        now: Time,
        verdict: &mut ReconcileResult,
    ) -> Option<RenewalInfoRequest> {
        let facts = held.iter().find_map(|held| match held {
            SecretState::Present(present)
                if present.directory.as_deref().map(normalized).as_deref() == Some(directory) =>
            {
                present.pair.facts()
            }
            SecretState::Present(_) | SecretState::Missing => None,
        })?;
        let cert_id = facts.cert_id.clone()?;
        let at = self.context.renewal_schedule.next(secret, directory, body.next_question, now);
        if at > now {
            verdict.due = sooner(verdict.due, Some(at));
            return None;
        }
        let before = body.window.clone().filter(|w| w.serial == facts.serial);
        Some(RenewalInfoRequest { serial: facts.serial.clone(), cert_id, before })
    }

    /// Says what was decided, and makes it a task where there is something to do.
    fn plan_task(
        &mut self,
        secret: &ObjectRef,
        source: &str,
        decision: Decision,
        told: &[(usize, Violation)],
        keep_tidy: bool,
        verdict: &mut ReconcileResult,
    ) -> Option<Task> {
        let report = &self.context.recorder;
        verdict.unsound |= !matches!(decision, Decision::Keep { .. });
        match decision {
            Decision::Keep { until } => {
                verdict.due = sooner(verdict.due, Some(until));
                if self.log_dedup.changed("valid", &until.to_string()) {
                    event!(info, "valid", secret = secret, renewal = until);
                }
                keep_tidy.then_some(Task::Tidy)
            }
            Decision::Wait { finding, waiting, until } => {
                verdict.due = sooner(verdict.due, Some(until));
                verdict.change_waits = finding.reason.is_change();
                let Violation { reason, detail } = finding;
                if self.log_dedup.changed("waiting", &format!("{waiting} {until} {reason}")) {
                    event!(
                        warn,
                        "waiting",
                        secret = secret,
                        state = waiting,
                        until = until,
                        reason = reason,
                        detail = detail
                    );
                    if waiting == WaitReason::Contested {
                        let text = format!(
                            "somebody else writes it again and again; not restored before {until}: {reason} ({detail})"
                        );
                        report.publish(EventReason::Contested, source, Some(secret), text);
                    }
                }
                None
            }
            Decision::Refuse { finding } => {
                let is_told = told.iter().any(|(_, refused)| *refused == finding);
                if !is_told && self.log_dedup.changed("refuse", &finding.to_string()) {
                    event!(error, "left-alone", secret = secret, reason = finding.reason, error = finding.detail);
                    // Those that belong to others were told each.
                    if !finding.reason.is_refusal() {
                        report.publish(EventReason::Refused, source, Some(secret), finding.to_string());
                    }
                }
                None
            }
            Decision::Restore { finding, source, targets } => Some(Task::Restore { finding, source, targets }),
            Decision::Issue { finding, targets, counted, .. } => Some(Task::Issue { finding, targets, counted }),
        }
    }
}

fn sooner(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    one.into_iter().chain(other).min()
}
