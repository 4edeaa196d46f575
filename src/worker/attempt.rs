//! One attempt to obtain a certificate, from the claim on the record to the stored Secret.
//!
//! Each step is remembered in the record before it is taken, so that a crash at any moment loses nothing and orders nothing twice:
//!
//! 1. claim: attempt, time and holder are written before the CA is asked for an order;
//! 2. order and present: order URL, key, values and the count of the cap are written before a value is presented;
//! 3. store: the Secret is written;
//! 4. record: the certificate is noted and the order in flight emptied.
//!
//! The write of each Secret is tried before step 1. That also proves that the Secrets still are what the decision was made on.
//! Tested by tests/it/killed.rs, tests/it/main_job.rs and tests/it/api_budget.rs.

use std::sync::Arc;

use super::claim::Claim;
use super::clock;
use super::job::Job;
use super::present::{NotVisible, make_visible};
use super::secrets::HeldSecrets;
use crate::acme::client::{Account, AcmeResponse};
use crate::acme::order::{NextStep, next};
use crate::acme::wire::Order;
use crate::base::log::event;
use crate::base::time;
use crate::cert::bundle::CheckedBundle;
use crate::config::entry::Entry;
use crate::issuance::chain::ChainProblem;
use crate::issuance::key_source::KeySource;
use crate::issuance::order::{Challenges, OpenOrder, Orders, Resumed};
use crate::issuance::solver::{self, Solver, remove};
use crate::issuance::validation::ValidationFailure;
use crate::issuance::{AttemptError, Context};
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::secret_state::SecretState;
use crate::policy::{Directory, Reason, Violation};
use crate::record::LeftBehind;
use crate::sources::CertificateSpec;

/// A job that holds the record of its certificate.
pub(super) struct Attempt<'a> {
    pub(super) context: &'a Context,
    pub(super) wanted: &'a CertificateSpec,
    pub(super) job: &'a Job,
    pub(super) directory: Directory,
    pub(super) claim: Claim<'a>,
    /// The Secrets of the entry, as far as they are known.
    pub(super) secrets: HeldSecrets,
    /// The states of the Secrets, where they are not what the decision was made on. Nothing is done then.
    pub(super) found: Option<Vec<SecretState>>,
    /// The order may have become a certificate, so that its count stays.
    pub(super) may_be_issued: bool,
    /// The record has changes that the next step needs written.
    pub(super) is_unsaved: bool,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(context: &'a Context, job: &'a Job, claim: Claim<'a>) -> Attempt<'a> {
        let (wanted, directory) = (&*job.wanted, context.clients.directory(&job.wanted));
        let secrets = HeldSecrets::new(wanted.entry.secrets.len());
        let (found, may_be_issued, is_unsaved) = (None, false, false);
        Attempt { context, wanted, job, directory, claim, secrets, found, may_be_issued, is_unsaved }
    }

    pub(super) fn entry(&self) -> &'a Entry {
        &self.wanted.entry
    }

    /// Obtains a certificate, stores it in the Secrets `targets` and settles the record. `counted` orders count against the cap.
    ///
    /// # Errors
    /// The failure, which the record has as well.
    pub(super) fn issue(&mut self, finding: &Violation, targets: &[usize], counted: bool) -> Result<(), AttemptError> {
        let obtained = self.obtain(finding, targets, counted);
        if self.found.is_some() {
            return Ok(());
        }
        let bundle = obtained.map_err(|failed| self.failed(failed))?;
        // After a failure here the order stays in flight, and the certificate is downloaded again by its URL.
        self.store_all(targets, &bundle, &self.origin()).map_err(|failed| self.failed(failed))?;
        self.succeeded(&bundle, finding);
        self.fetch_renewal_info(bundle.facts());
        self.claim.save()?;
        if self.claim.record.body.to_revoke.is_empty() {
            return Ok(());
        }
        self.revoke_replaced(Some(&bundle.facts().serial));
        self.claim.save()
    }

    fn obtain(&mut self, finding: &Violation, targets: &[usize], counted: bool) -> Result<CheckedBundle, AttemptError> {
        // The write is tried before anything else: its conflict shows a Secret that the watch does not show, such as one of another type.
        if self.observe(true)? || self.try_all(targets, &self.origin())? {
            return Err(AttemptError::busy("the Secrets have changed".to_owned()));
        }
        self.note_revocations()?;
        self.check_csr()?;
        let (context, wanted) = (self.context, self.wanted);
        let names = wanted.entry.order_names();
        let pending = self.claim.record.body.in_flight.as_deref().filter(|pending| self.is_for_this(pending));
        let is_new = pending.is_none_or(|pending| pending.order.is_none());
        // A certificate that is revoked takes its key with it.
        let is_revoked = finding.reason == Reason::Revoked || !self.claim.record.body.to_revoke.is_empty();
        let reuse = if is_revoked { None } else { self.key_to_reuse(targets)? };
        // First of all: a name without a zone or a key, or a DNS server with an open circuit, must not cost a request at the CA. A pending
        // order without values has left `pending` and needs no DNS.
        let solver = match pending.is_some_and(|pending| pending.order.is_some() && pending.published.is_empty()) {
            true => None,
            false => Some(solver::find(context, wanted, &names)),
        };
        let solver = match solver {
            // A certificate may be ready for download although DNS has a problem.
            Some(Err(failed)) if !is_new && failed.barred.is_none() => Some(Err(failed)),
            found => found.transpose()?.map(Ok),
        };
        event!(info, "issuing", secret = self.entry().main_secret(), reason = finding.reason, detail = finding.detail);
        let ca = context.clients.client(&context.store, wanted)?;
        let orders = Orders { context, ca: &ca, wanted, names: &names };
        if is_new {
            orders.check_limits()?;
        }
        orders.check_directory()?;
        clock::check(Some(&ca))?;
        self.check_cap(counted)?;
        self.begin(counted)?;

        let account = orders.account(None).map_err(|failed| orders.learn(failed))?;
        let mut run = Steps { orders: &orders, account, solver, reuse, counted };
        let first = self.pursue(&mut run);
        first.map_err(|failed| orders.learn(failed)).or_else(|failed| {
            // The CA refuses an account that was replaced meanwhile.
            let other = if failed.uncounted { None } else { orders.other_account(&run.account) };
            run.account = other.ok_or(failed)?;
            self.pursue(&mut run).map_err(|failed| orders.learn(failed))
        })
    }

    /// Claims the certificate. A pending order for other names, another directory, key type or profile is given up.
    fn begin(&mut self, counted: bool) -> Result<(), AttemptError> {
        let (now, names) = (time::now(), self.entry().order_names());
        let way = (self.entry().key_word(), self.wanted.profile());
        if counted && self.wanted.orders_per_week.is_some() {
            let body = &mut self.claim.record.body;
            if body.is_first(&names, self.directory.url(), way) {
                body.count_for_namespace(&self.wanted.entry.main_secret().place(), now);
            }
        }
        if !self.claim.record.body.in_flight.as_ref().is_some_and(|pending| self.is_for_this(pending)) {
            let body = &mut self.claim.record.body;
            let published = body.in_flight.take().map(|pending| pending.published).unwrap_or_default();
            body.leftovers.extend(published.into_iter().map(|published| LeftBehind { since: now, published }));
            self.claim.record.next_key = None;
        }
        let holder = self.context.holder.clone();
        let pending = self.pending();
        (pending.holder, pending.at) = (holder, now);
        let history = self.claim.record.body.history_mut(&names, self.directory.url(), now);
        (history.last_attempt, history.inputs) = (now, self.job.inputs.clone());
        self.accept();
        let was_new = self.claim.is_new();
        self.claim.save()?;
        if was_new {
            // Changes nothing. Without the permission to update records each attempt would make an order and get no further.
            self.claim.save()?;
        }
        Ok(())
    }

    /// Goes on from the claim to the checked certificate.
    fn pursue(&mut self, run: &mut Steps<'_>) -> Result<CheckedBundle, AttemptError> {
        let orders = run.orders;
        let mut order = match self.resume(run)? {
            Some(order) => order,
            None => self.order(run)?,
        };
        if matches!(next(&order.answer.body, false), NextStep::Authorize) {
            order.answer = self.authorize(run, &mut order)?;
        }
        // Values of an earlier attempt.
        self.clean_up_presented(&mut |presented| remove(orders.context, presented));
        let key = match &self.entry().csr {
            Some(csr) => KeySource::Csr(csr.clone()),
            None => KeySource::pending(self.claim.record.next_key.as_ref())?,
        };
        let mut finalized = false;
        let certificate = loop {
            order.answer = match next(&order.answer.body, finalized) {
                NextStep::Authorize => {
                    let error = "the order fell back to pending".to_owned();
                    return Err(AttemptError::new(Stage::Finalize, RetryClass::Transient, error));
                }
                NextStep::Finalize => {
                    self.context.check_acting(self.wanted)?;
                    self.renew_claim(run.counted)?;
                    let csr = key.request(orders.names)?;
                    (finalized, self.may_be_issued) = (true, true);
                    orders.finalize(&run.account, &order, &csr)?
                }
                NextStep::Wait => {
                    (finalized, self.may_be_issued) = (true, true);
                    orders.wait_for_issuance(&run.account, &order)?
                }
                NextStep::Download(certificate) => break certificate,
                NextStep::Failed(problem) => {
                    self.give_up_order();
                    let severity = if finalized { RetryClass::Policy } else { RetryClass::Validation };
                    return Err(AttemptError::new(Stage::Finalize, severity, format!("the order failed: {problem}")));
                }
            };
        };
        self.may_be_issued = true;
        event!(debug, "finalized", secret = self.entry().main_secret(), certificate = certificate);
        orders.download(&run.account, &certificate, &key).map_err(|none| match none {
            ChainProblem::NotSent(failed) => failed,
            ChainProblem::NotSound(failed) => {
                // The same order would give the same certificate again.
                self.give_up_order();
                failed
            }
        })
    }

    /// The pending order of an earlier attempt, where it is for what is wanted and the CA still knows it.
    fn resume(&mut self, run: &Steps<'_>) -> Result<Option<OpenOrder>, AttemptError> {
        let has_key = self.entry().csr.is_some() || self.claim.record.next_key.is_some();
        let Some(url) = self.pending().order.clone().filter(|_| has_key) else {
            return Ok(None);
        };
        match run.orders.resume(&run.account, url)? {
            Resumed::Open(order) => Ok(Some(*order)),
            Resumed::Over { was_ready } => {
                self.may_be_issued = was_ready;
                self.uncount();
                self.may_be_issued = false;
                let pending = self.pending();
                (pending.order, pending.counted) = (None, false);
                Ok(None)
            }
        }
    }

    /// Makes a new order. Everything that can fail without the CA is checked first, so that it costs no order.
    fn order(&mut self, run: &mut Steps<'_>) -> Result<OpenOrder, AttemptError> {
        run.orders.check_limits()?;
        self.check_cap(run.counted)?;
        run.orders.check_profile()?;
        run.solver()?.check()?;
        self.clean_up_presented(&mut |presented| remove(run.orders.context, presented));
        let key = match (&self.entry().csr, run.reuse.take()) {
            (Some(csr), _) => KeySource::Csr(csr.clone()),
            (None, Some(key)) => key,
            (None, None) => KeySource::generate(self.key_type())?,
        };
        let order = run.orders.create(&mut run.account, self.claim.record.body.stored.as_ref())?;
        self.claim.record.next_key = key.private_key();
        let account = run.account.url.clone();
        let pending = self.pending();
        (pending.order, pending.counted, pending.account) = (Some(order.url.clone()), false, Some(account));
        self.is_unsaved = true;
        Ok(order)
    }

    /// Presents the values of all pending authorizations, waits until they are visible, has the CA validate them, and removes them.
    fn authorize(&mut self, run: &mut Steps<'_>, order: &mut OpenOrder) -> Result<AcmeResponse<Order>, AttemptError> {
        let (orders, account, counted) = (run.orders, run.account.clone(), run.counted);
        run.solver()?;
        let Some(Ok(mut solver)) = run.solver.take() else { return Err(AttemptError::internal()) };
        let challenges = match orders.challenges(&account, order, &|name| solver.challenge_type(name))? {
            Challenges::Pending(challenges) => challenges,
            Challenges::Over(failed) => {
                self.give_up_order();
                return Err(failed);
            }
        };
        let visible = make_visible(&mut *solver, &account.key, &challenges, &mut |note| self.note(note, counted));
        if let Err(NotVisible { failed, is_presented }) = visible {
            if is_presented {
                self.clean_up_presented(&mut |presented| solver.clean_up(presented));
            }
            return Err(failed);
        }
        // From here on the CA may be validating, and removing the values would fail the order. So they stay for the next attempt unless the
        // order is known to have left `pending`, or a challenge to have been refused.
        let answer = match orders.validate(&account, &order.url, challenges) {
            Ok(answer) => answer,
            Err(ValidationFailure::Unknown(failed)) => return Err(failed),
            Err(ValidationFailure::Refused { failed, is_over }) => {
                self.clean_up_presented(&mut |presented| solver.clean_up(presented));
                if is_over {
                    self.give_up_order();
                }
                return Err(failed);
            }
        };
        let secret = self.entry().main_secret();
        solver.validated();
        event!(debug, "validated", secret = secret, status = format!("{:?}", answer.body.status));
        self.clean_up_presented(&mut |presented| solver.clean_up(presented));
        event!(debug, "withdrawn", secret = secret);
        if let NextStep::Failed(problem) = next(&answer.body, false) {
            self.give_up_order();
            return Err(orders.why_invalid(&account, &answer.body, problem));
        }
        Ok(answer)
    }
}

/// The inputs of the steps of one attempt besides the record.
struct Steps<'r> {
    orders: &'r Orders<'r>,
    account: Arc<Account>,
    /// `None` until it is needed, where the attempt may do without.
    solver: Option<Result<Box<dyn Solver + 'r>, AttemptError>>,
    reuse: Option<KeySource>,
    counted: bool,
}

impl<'r> Steps<'r> {
    /// The solver, which is made where there is none yet.
    fn solver(&mut self) -> Result<&mut Box<dyn Solver + 'r>, AttemptError> {
        let Orders { context, wanted, names, .. } = *self.orders;
        let find = || solver::find(context, wanted, names);
        self.solver.get_or_insert_with(find).as_mut().map_err(|failed| failed.clone())
    }
}
