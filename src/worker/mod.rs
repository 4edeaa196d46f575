//! What a worker does with one certificate: takes the claim, obtains or restores, stores, settles the record.
//!
//! Nothing is decided here but what a reading just before a write must decide again. Whatever happens, the outcome goes back to the
//! loop with what the record says now.

mod cap;
mod clean_up;
mod clock;
mod job;
mod renewal_info;
mod results;
mod revoke;
mod store_certificate;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::base::time;
use crate::cert::bundle::CheckedBundle;
use crate::cert::facts::{self, CertificateFacts};
use crate::cert::key::CertificateKey;
use crate::config::dns::DnsSettings;
use crate::config::entry::{Entry, KeyType};
use crate::issuance::claim::Claim;
use crate::issuance::dns01::Dns01Solver;
use crate::issuance::probe::probe;
use crate::issuance::{AttemptError, Context, check_directory, issue};
use crate::kube::events::EventReason;
use crate::kube::metadata::ObjectReference;
use crate::kube::resource::Resource;
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::secret_state::{SecretState, annotation};
use crate::policy::{Directory, Reason, RestoreFrom, Violation};
use crate::record::{self, Issued, PairBackup};
use crate::sources::CertificateSpec;
use crate::store::{Marks, Origin, StoreError};

pub use clean_up::release_record;
pub use job::{Job, JobPeer, Observed, Outcome, Task};
pub use renewal_info::RenewalInfoRequest;

/// Does a job. Never panics on what peers sent; a library's panic is caught by the caller.
pub fn run(context: &Context, job: &Job) -> Outcome {
    let wanted = &job.wanted;
    let secret = wanted.entry.main_secret().clone();
    let mut found = None;
    let mut claimed = |what: &dyn Fn(&Attempt<'_>, &mut Claim<'_>) -> Result<(), AttemptError>| {
        let mut claim = Claim::open(&context.store, &secret, &context.namespace)?;
        // The answer said what the time is there.
        clock::check(None)?;
        let DnsSettings { propagation_timeout, settle, .. } = *wanted.entry.dns;
        claim.check_free(context, propagation_timeout + settle, time::now())?;
        let work = Attempt::new(context, job);
        if matches!(job.task, Task::Issue { .. } | Task::Restore { .. }) {
            found = work.changed_since(&claim)?;
        }
        match found {
            Some(_) => Ok(()),
            None => what(&work, &mut claim),
        }
    };
    // It may have been waiting in the queue since we led.
    let result = context.leader.check().and_then(|()| match &job.task {
        Task::Issue { finding, targets, counted } => {
            claimed(&|work, claim| work.issue(claim, finding, targets, *counted))
        }
        Task::Restore { finding, source, targets } => {
            claimed(&|work, claim| work.restore(claim, finding, *source, targets))
        }
        Task::Tidy => claimed(&|work, claim| work.clean_up(claim)),
        Task::Window(question) => Attempt::new(context, job).fetch_renewal_info(question),
        Task::Probe => probe(context, wanted),
    });
    let result =
        result.map_err(|failed| AttemptError { uncounted: failed.uncounted || context.stop.is_set(), ..failed });
    Outcome { secret, result, found }
}

/// After a panic: the failure is written into the record, so that what made it happen is not met again at once.
pub fn settle_panic(context: &Context, job: &Job) -> Outcome {
    let secret = job.wanted.entry.main_secret().clone();
    let (failed, found) = (AttemptError::internal(), None);
    if matches!(job.task, Task::Probe | Task::Window(_)) {
        return Outcome { secret, result: Err(failed), found };
    }
    let settled = catch_unwind(AssertUnwindSafe(|| {
        let mut claim = Claim::open(&context.store, &secret, &context.namespace)?;
        Err(Attempt::new(context, job).failed(&mut claim, failed.clone()))
    }));
    Outcome { secret, result: settled.unwrap_or(Err(failed)), found }
}

struct Attempt<'a> {
    context: &'a Context,
    wanted: &'a CertificateSpec,
    job: &'a Job,
    directory: Directory,
}

impl<'a> Attempt<'a> {
    fn new(context: &'a Context, job: &'a Job) -> Attempt<'a> {
        Attempt { context, wanted: &job.wanted, job, directory: context.clients.directory(&job.wanted) }
    }

    fn entry(&self) -> &Entry {
        &self.wanted.entry
    }

    fn marks<'m>(&'m self, origin: &'m Origin) -> Marks<'m> {
        Marks { instance: &self.context.instance, entry: self.entry(), origin, source: &self.wanted.source }
    }

    /// How a certificate is ordered now.
    fn origin(&self) -> Origin {
        Origin {
            directory: self.directory.url().to_owned(),
            key_type: self.entry().key_type.name().to_owned(),
            profile: self.wanted.profile().map(str::to_owned),
        }
    }

    /// What the Secrets hold now, if that or the record is not what the decision was made of: a watch may be behind, and shows nothing of
    /// another type.
    fn changed_since(&self, claim: &Claim<'_>) -> Result<Option<Vec<SecretState>>, AttemptError> {
        let mut found = Vec::with_capacity(self.entry().secrets.len());
        for secret in &self.entry().secrets {
            let told = |e: StoreError| AttemptError::new(Stage::Store, RetryClass::Transient, e.to_string());
            let current = self.context.store.secret(secret).map_err(told)?;
            found.push(SecretState::of(current.as_ref(), &self.context.instance));
        }
        let same = found == self.job.basis.held && claim.version() == self.job.basis.record;
        Ok((!same).then_some(found))
    }

    fn issue(
        &self,
        claim: &mut Claim<'_>,
        finding: &Violation,
        targets: &[usize],
        counted: bool,
    ) -> Result<(), AttemptError> {
        let result = self.obtain(claim, finding, targets, counted);
        match &result {
            Ok(bundle) => {
                let stored = self.store_all(&self.targets(targets), bundle, &self.origin());
                // On a failure here the order stays in flight: the certificate is downloaded again by its URL.
                stored.map_err(|failed| self.failed(claim, failed))?;
                self.succeeded(claim, bundle, finding);
                claim.save()?;
                match claim.record.body.to_revoke.is_empty() {
                    true => Ok(()),
                    false => {
                        self.revoke_replaced(claim, Some(&bundle.facts().serial));
                        claim.save()
                    }
                }
            }
            Err(failed) => Err(self.failed(claim, failed.clone())),
        }
    }

    fn obtain(
        &self,
        claim: &mut Claim<'_>,
        finding: &Violation,
        targets: &[usize],
        counted: bool,
    ) -> Result<CheckedBundle, AttemptError> {
        let Context { store, clients: cas, .. } = self.context;
        self.note_revocations(claim)?;
        // Before anything else: a name without a zone or a key must cost nothing, and a DNS server that is not to be asked now no worker.
        let names = self.entry().order_names();
        // An order of which nothing is published any more has left `pending` and needs no DNS.
        let is_proved = |flight: &record::PendingOrder| flight.order.is_some() && flight.published.is_empty();
        let resumes = claim.record.body.in_flight.as_deref().filter(|flight| self.is_for_this(flight));
        let is_new = resumes.is_none_or(|flight| flight.order.is_none());
        let places = match resumes.is_some_and(is_proved) {
            true => None,
            false => Some(Dns01Solver::find(self.context, self.wanted, &names)?),
        };
        event!(info, "issuing", secret = self.entry().main_secret(), reason = finding.reason, detail = finding.detail);
        let ca = cas.client(store, self.wanted)?;
        check_directory(self.context, self.wanted, &ca, &names, is_new)?;
        clock::check(Some(&ca))?;
        self.check_cap(claim, counted)?;
        self.try_all(&self.targets(targets), &self.origin())?;
        // A certificate that is revoked takes its key with it.
        let is_revoked = finding.reason == Reason::Revoked || !claim.record.body.to_revoke.is_empty();
        let reuse = if is_revoked { None } else { self.key_to_reuse(targets)? };
        self.begin_attempt(claim);
        let was_new = claim.is_new();
        claim.save()?;
        if was_new {
            // Changes nothing. Who may create and not update would make an order in each attempt and never get further.
            claim.save()?;
        }
        issue(self.context, self.wanted, claim, counted, reuse, places)
    }

    fn targets(&self, places: &[usize]) -> Vec<&ObjectRef> {
        places.iter().filter_map(|place| self.entry().secrets.get(*place)).collect()
    }

    fn key_to_reuse(&self, targets: &[usize]) -> Result<Option<CertificateKey>, AttemptError> {
        let Some(target) = self.targets(targets).first().copied().filter(|_| self.entry().reuse_key) else {
            return Ok(None);
        };
        let told = |e: StoreError| AttemptError::new(Stage::Store, RetryClass::Transient, e.to_string());
        let secret = self.context.store.secret(target).map_err(told)?;
        let key =
            secret.as_ref().and_then(|s| s.value("tls.key")).and_then(|k| CertificateKey::from_pem(k.expose()).ok());
        // Of the wanted kind, or one that we can not make ourselves (RSA).
        let wanted = self.entry().key_type;
        let other = match wanted {
            KeyType::EcdsaP256 => KeyType::EcdsaP384,
            KeyType::EcdsaP384 => KeyType::EcdsaP256,
        };
        Ok(key.filter(|k| !k.is(other)))
    }

    /// Writes into the record that this attempt is under way. What is in flight for other names, another directory or another kind
    /// of key is given up.
    fn begin_attempt(&self, claim: &mut Claim<'_>) {
        let (now, names) = (time::now(), self.entry().order_names());
        let directory = self.directory.url();
        let body = &mut claim.record.body;
        if !body.in_flight.as_ref().is_some_and(|f| self.is_for_this(f)) {
            let published = body.in_flight.take().map(|f| f.published).unwrap_or_default();
            body.leftovers.extend(published.into_iter().map(|published| record::LeftBehind { since: now, published }));
            claim.record.next_key = None;
        }
        let body = &mut claim.record.body;
        let (holder, way) = (&self.context.holder, (self.wanted.entry.key_type, self.wanted.profile()));
        let flight = body
            .in_flight
            .get_or_insert_with(|| Box::new(record::PendingOrder::new(holder, now, &names, directory, way)));
        (flight.holder, flight.at) = (self.context.holder.clone(), now);
        let history = body.history_mut(&names, directory, now);
        (history.last_attempt, history.inputs) = (now, self.job.inputs.clone());
        self.accept(claim);
    }

    fn is_for_this(&self, flight: &record::PendingOrder) -> bool {
        flight.is_for(&self.entry().order_names(), self.directory.url(), self.entry().key_type, self.wanted.profile())
    }

    fn accept(&self, claim: &mut Claim<'_>) -> bool {
        let accepted = self.wanted.accepted();
        let changed = claim.record.body.accepted.as_deref() != Some(&accepted) && !self.wanted.last_accepted;
        if changed {
            claim.record.body.accepted = Some(Box::new(accepted));
        }
        let is_back = claim.record.body.orphaned.take().is_some();
        if is_back {
            event!(info, "wanted-again", secret = self.entry().main_secret());
        }
        is_back || changed
    }

    fn restore(
        &self,
        claim: &mut Claim<'_>,
        finding: &Violation,
        source: RestoreFrom,
        targets: &[usize],
    ) -> Result<(), AttemptError> {
        let now = time::now();
        let told = |e: String| AttemptError::new(Stage::Store, RetryClass::Transient, e);
        let (chain, key, marked) = match source {
            RestoreFrom::Copy => {
                let copy =
                    claim.record.copy.clone().ok_or_else(|| told("the record has no copy any more".to_owned()))?;
                (copy.chain, copy.key, BTreeMap::new())
            }
            RestoreFrom::Sibling(place) => {
                let at = &self.entry().secrets[place];
                let secret = self.context.store.secret(at).map_err(|e| told(e.to_string()))?;
                let secret = secret.ok_or_else(|| told(format!("{at} is gone, too")))?;
                let value = |key| secret.value(key).cloned().unwrap_or_default();
                (value("tls.crt").expose().clone(), value("tls.key"), secret.annotations)
            }
        };
        // As the certificate was ordered, which may be otherwise than one would be now.
        let (now_wanted, stored) = (self.origin(), claim.record.body.stored.as_ref());
        let mark = |name: &str| marked.get(name).cloned();
        let known = |field: fn(&Issued) -> &SharedStr| stored.map(|s| field(s).to_string());
        let directory = mark(annotation::DIRECTORY).or_else(|| known(|s| &s.directory));
        let key_type = mark(annotation::KEY_TYPE).or_else(|| known(|s| &s.key_type));
        let origin = Origin {
            directory: directory.unwrap_or(now_wanted.directory),
            key_type: key_type.unwrap_or(now_wanted.key_type),
            profile: mark(annotation::PROFILE)
                .or_else(|| stored.and_then(|s| s.profile.as_ref()).map(SharedStr::to_string)),
        };
        let bundle = CheckedBundle::check(&chain, key, &self.entry().domains, now);
        let bundle = bundle.map_err(|e| told(format!("the copy is not stored: {e}")))?;
        claim.record.body.restores.retain(|t| *t + Duration::from_secs(3600) > now);
        claim.record.body.restores.push(now);
        self.accept(claim);
        // Counted before it is done: a writer that makes us fail in between must not make us write for ever.
        claim.save()?;
        self.store_all(&self.targets(targets), &bundle, &origin).inspect_err(|failed| {
            self.tell(EventReason::StoreFailed, self.entry().main_secret(), failed.error.clone());
        })?;
        let names: Vec<String> = self.targets(targets).iter().map(ToString::to_string).collect();
        event!(
            info,
            "restored",
            secret = names.join(","),
            reason = finding.reason,
            detail = finding.detail,
            serial = bundle.facts().serial
        );
        for target in self.targets(targets) {
            self.tell(EventReason::Restored, target, format!("restored without the CA: {finding}"));
        }
        Ok(())
    }

    /// Tells users of the cluster what became of a Secret.
    fn tell(&self, reason: EventReason, secret: &ObjectRef, text: String) {
        let secret = ObjectReference::new(Resource::SECRETS, secret);
        self.context.recorder.publish(reason, self.wanted.source.reference(), Some(secret), text);
    }
}

/// The facts of a record's copy, when it is sound.
pub fn backup_facts(copy: Option<&PairBackup>) -> Option<Arc<CertificateFacts>> {
    let PairBackup { chain, key } = copy?;
    let facts = facts::read(chain).ok()?.1;
    let public = crate::cert::key::public_of(key.expose()).ok()?;
    (facts::sha256(&public) == facts.public_key).then(|| Arc::new(facts))
}
