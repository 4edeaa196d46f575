//! The story: order, publish, see, prove, finalize, download, check, withdraw. A certificate from the decision to the proof that
//! it may be stored, each step remembered before it is taken, so that a crash at any moment loses nothing and orders nothing twice.
//!
//! Untrusted: CA and DNS servers; what they send is judged by `acme`, `dns` and `cert::bundle`. Tested by tests/it/main_job.rs.

pub mod account;
mod chain;
pub mod circuits;
pub mod claim;
pub mod clients;
pub mod dependencies;
pub mod dns01;
pub mod dns_update;
pub mod leadership;
mod order;
pub mod probe;
pub mod rate_limits;
pub mod renewal_schedule;
mod validation;

use std::sync::Arc;
use std::time::Duration;

use crate::acme::client::{Account, AcmeClient};
use crate::acme::error::AcmeError;
use crate::acme::order::{NextStep, next};
use crate::base::limits::{RATE_LIMIT_WAIT, RETRY_AFTER_MAX};
use crate::base::log::event;
use crate::base::name::{DnsName, Domain};
use crate::base::secret::Secret;
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Time};
use crate::cert::bundle::CheckedBundle;
use crate::cert::key::CertificateKey;
use crate::config::namespaces::Namespaces;
use crate::dns::client;
use crate::dns::resolver::Resolver;
use crate::kube::client::KubeClient;
use crate::kube::recorder::EventRecorder;
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::ca_limits::scope_of;
use crate::policy::circuit::{DnsTarget, Unavailable};
use crate::sources::CertificateSpec;
use crate::store::Store;
use account::{AccountStore, Accounts};
use chain::ChainProblem;
use circuits::Circuits;
use claim::Claim;
use clients::AcmeClients;
use dns01::Dns01Solver;
use leadership::LeaderStatus;
use order::{OpenOrder, OrderRun};
use probe::Probes;
use rate_limits::{RateLimit, RateLimits};
use renewal_schedule::RenewalInfoSchedule;

/// What every attempt shares.
#[derive(Debug)]
pub struct Context {
    /// The objects.
    pub store: Store,
    /// The API server they are on; none when they are files.
    pub kube: Option<Arc<KubeClient>>,
    /// The CAs.
    pub clients: AcmeClients,
    /// Their accounts.
    pub accounts: Accounts,
    /// Talks to DNS servers.
    pub dns: client::DnsClient,
    /// When CAs are asked for renewal information.
    pub renewal_schedule: RenewalInfoSchedule,
    /// Whether the program runs until it is stopped: what is remembered in memory serves again.
    pub runs_on: bool,
    /// For names and zones.
    pub resolver: Resolver,
    /// The gates before DNS servers.
    pub circuits: Circuits,
    /// The gates that CAs have closed.
    pub limits: RateLimits,
    /// How the last probes of zones went.
    pub probes: Probes,
    /// Takes what users of the cluster are told.
    pub recorder: EventRecorder,
    /// Set when the program stops.
    pub stop: Shutdown,
    /// Our namespace: records and accounts are there.
    pub namespace: String,
    /// Those whose Secrets may be used.
    pub namespaces: Namespaces,
    /// The owner in our annotations.
    pub instance: String,
    /// This process, in claims.
    pub holder: String,
    /// Whether this replica may do anything outside.
    pub leader: LeaderStatus,
}

/// Why an attempt ended without a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptError {
    /// Where.
    pub stage: Stage,
    /// How soon another attempt makes sense.
    pub severity: RetryClass,
    /// What happened, one sentence.
    pub error: String,
    /// Until when the CA asked us to wait.
    pub retry_after: Option<Time>,
    /// It is nobody's failure and is not counted: another instance works on it, or the program stops.
    pub uncounted: bool,
    /// The circuit of the DNS server where it failed, or that it was turned away from.
    pub lane: Option<Box<DnsTarget>>,
    /// It was turned away from there.
    pub barred: Option<Unavailable>,
    /// The CA did not answer.
    pub silent: bool,
    /// The CA's limit that was met.
    pub limit: Option<Box<RateLimit>>,
    /// The names that the CA did not find answered.
    pub not_validated: Vec<DnsName>,
}

impl AttemptError {
    /// A failure.
    pub fn new(stage: Stage, severity: RetryClass, error: String) -> AttemptError {
        AttemptError {
            stage,
            severity,
            error,
            retry_after: None,
            uncounted: false,
            lane: None,
            barred: None,
            silent: false,
            limit: None,
            not_validated: Vec::new(),
        }
    }

    /// A library panicked.
    pub fn internal() -> AttemptError {
        let sentence = "a fault inside notariat; please report it with the lines before".to_owned();
        AttemptError::new(Stage::Order, RetryClass::Transient, sentence)
    }

    /// A DNS server failed lately, or enough are there already.
    pub fn barred(lane: DnsTarget, barred: Unavailable) -> AttemptError {
        let error = barred.sentence(&lane);
        AttemptError {
            uncounted: true,
            lane: Some(Box::new(lane)),
            barred: Some(barred),
            ..AttemptError::new(Stage::Publish, RetryClass::Transient, error)
        }
    }

    /// Somebody else is at it.
    pub fn busy(error: String) -> AttemptError {
        AttemptError { uncounted: true, ..AttemptError::new(Stage::Store, RetryClass::Transient, error) }
    }
}

/// Errors that come again until somebody changes something (RFC 8555 section 6.7). `unauthorized` on a request is a deactivated
/// account or an order that is not ours.
const POLICY: [&str; 10] = [
    "rejectedIdentifier",
    "unsupportedIdentifier",
    "badCSR",
    "caa",
    "invalidProfile",
    "invalidContact",
    "unsupportedContact",
    "externalAccountRequired",
    "userActionRequired",
    "unauthorized",
];

/// What an error of the CA means for the next attempt.
pub fn of_acme(stage: Stage, error: &AcmeError) -> AttemptError {
    let severity = match error {
        AcmeError::Problem { problem, .. } if POLICY.contains(&problem.word()) => RetryClass::Policy,
        AcmeError::Problem { .. } | AcmeError::Network(_) | AcmeError::Unusable { .. } | AcmeError::Stopped => {
            RetryClass::Transient
        }
    };
    let retry_after = match error {
        // RFC 8555 section 6.6; without a time the CA's limits are counted in hours.
        AcmeError::Problem { retry_after, problem, .. } if problem.word() == "rateLimited" => {
            Some(retry_after.unwrap_or(time::now() + RATE_LIMIT_WAIT))
        }
        AcmeError::Problem { retry_after, .. } => *retry_after,
        AcmeError::Network(_) | AcmeError::Unusable { .. } | AcmeError::Stopped => None,
    };
    let retry_after = retry_after.map(|at| at.min(time::now() + RETRY_AFTER_MAX));
    let uncounted = *error == AcmeError::Stopped;
    let silent = matches!(error, AcmeError::Network(_));
    AttemptError {
        retry_after,
        uncounted,
        silent,
        limit: limit_of(error),
        ..AttemptError::new(stage, severity, error.to_string())
    }
}

/// The limit that an error of the CA speaks of. Without a Retry-After: an hour, and a minute for a CA that is overloaded.
fn limit_of(error: &AcmeError) -> Option<Box<RateLimit>> {
    let AcmeError::Problem { status, problem, retry_after, .. } = error else { return None };
    let scope = scope_of(*status, &problem.to_string())?;
    let passing = *status == 503;
    let wait = if passing { Duration::from_secs(60) } else { RATE_LIMIT_WAIT };
    let until = retry_after.unwrap_or(time::now() + wait).min(time::now() + RETRY_AFTER_MAX);
    Some(Box::new(RateLimit { scope, until, passing }))
}

/// Obtains a certificate for `wanted`. The claim was taken by the caller, who also stores what comes back and settles the record.
/// `counted` says that the order counts against the cap; `reuse` is the key to use again, `places` where the values go, when that
/// was found out already.
///
/// # Errors
/// Where it failed, why, and how soon to try again.
pub fn issue(
    context: &Context,
    wanted: &CertificateSpec,
    claim: &mut Claim<'_>,
    counted: bool,
    reuse: Option<CertificateKey>,
    places: Option<Dns01Solver<'_>>,
) -> Result<CheckedBundle, AttemptError> {
    let names = wanted.entry.order_names();
    let ca = &*context.clients.client(&context.store, wanted)?;
    let run = OrderRun { context, ca, wanted, names: &names };
    let learned = |failed: AttemptError| {
        context.limits.learn(run.office(), wanted, &names, &failed);
        failed
    };
    let account = run.account(None).map_err(learned)?;
    attempt(&run, account.clone(), claim, counted, reuse, places).map_err(learned).map_err(|failed| {
        // The CA may have refused a key that the account had until a moment ago.
        let is_old = run.account(None).is_ok_and(|now| now.key.thumbprint() != account.key.thumbprint());
        AttemptError { severity: if is_old { RetryClass::Transient } else { failed.severity }, ..failed }
    })
}

/// Asks for the directory. An overloaded CA says so here first. A gate that was closed while the job was waiting keeps a new order from
/// being made (`is_new`); one that is under way goes on.
///
/// # Errors
/// When it can not be had, or the gate is closed.
pub fn check_directory(
    context: &Context,
    wanted: &CertificateSpec,
    ca: &AcmeClient,
    names: &[Domain],
    is_new: bool,
) -> Result<(), AttemptError> {
    let office = AccountStore { store: &context.store, ca, own_namespace: &context.namespace };
    if is_new {
        check_gate(context, office, wanted, names)?;
    }
    let failed = match ca.directory() {
        Ok(_) => return Ok(()),
        Err(e) => of_acme(Stage::Order, &e),
    };
    context.limits.learn(office, wanted, names, &failed);
    Err(failed)
}

fn check_gate(
    context: &Context,
    office: AccountStore<'_>,
    wanted: &CertificateSpec,
    names: &[Domain],
) -> Result<(), AttemptError> {
    let Some(closed) = context.limits.closed(&office.reference(wanted), names, time::now()) else { return Ok(()) };
    let error = format!("the CA takes no order of these names before {}: {}", closed.until, closed.said);
    Err(AttemptError { uncounted: true, ..AttemptError::new(Stage::Order, RetryClass::Transient, error) })
}

fn attempt<'a>(
    run: &OrderRun<'a>,
    account: Arc<Account>,
    claim: &mut Claim<'_>,
    counted: bool,
    reuse: Option<CertificateKey>,
    places: Option<Dns01Solver<'a>>,
) -> Result<CheckedBundle, AttemptError> {
    let OrderRun { ca, wanted, names, .. } = *run;
    let mut started = run.order(account, claim, reuse, places)?;
    let proved = match next(&started.answer.body, false) {
        NextStep::Authorize => Some(run.solve(&mut started, claim)?),
        NextStep::Finalize | NextStep::Wait | NextStep::Download(_) | NextStep::Failed(_) => None,
    };
    let OpenOrder { account, url, answer, .. } = started;
    let mut answer = proved.unwrap_or(answer);
    // Left over from an earlier life of this order; `prove` has withdrawn its own.
    run.withdraw_all(claim);

    let mut finalized = false;
    let certificate = loop {
        answer = match next(&answer.body, finalized) {
            NextStep::Authorize => {
                let error = "the order fell back to pending".to_owned();
                return Err(AttemptError::new(Stage::Finalize, RetryClass::Transient, error));
            }
            NextStep::Finalize => {
                run.context.leader.check()?;
                count_order(claim, names, ca.directory_url(), counted)?;
                let key = key_in(claim)?;
                let csr = key.request(names).map_err(|e| AttemptError::new(Stage::Finalize, RetryClass::Policy, e))?;
                finalized = true;
                let told = |e: AcmeError| of_acme(Stage::Finalize, &e);
                match ca.finalize(&account, &answer.body.finalize, &csr) {
                    // The answer to an earlier try was lost: the order says what became of it.
                    Err(e) if e.error_type() == Some("orderNotReady") => ca.order(&account, &url).map_err(told)?,
                    answer => answer.map_err(told)?,
                }
            }
            NextStep::Wait => {
                finalized = true;
                let told = |e: AcmeError| of_acme(Stage::Finalize, &e);
                ca.wait_for_issuance(&account, &url, answer.retry_after).map_err(told)?
            }
            NextStep::Download(certificate) => break certificate,
            NextStep::Failed(problem) => {
                claim.record.body.in_flight = None;
                let severity = if finalized { RetryClass::Policy } else { RetryClass::Validation };
                return Err(AttemptError::new(Stage::Finalize, severity, format!("the order failed: {problem}")));
            }
        };
    };

    event!(debug, "finalized", secret = wanted.entry.main_secret(), certificate = certificate);
    let key = claim.record.next_key.clone().unwrap_or_default();
    run.download(&account, &certificate, &key).map_err(|none| match none {
        ChainProblem::NotSent(failed) => failed,
        ChainProblem::NotSound(failed) => {
            // The same order would give the same certificate again.
            claim.record.body.in_flight = None;
            failed
        }
    })
}

/// Counts the order against the cap, at the last moment before it can become a certificate, and writes the record.
fn count_order(claim: &mut Claim<'_>, names: &[Domain], directory: &str, counted: bool) -> Result<(), AttemptError> {
    let now = time::now();
    let body = &mut claim.record.body;
    if let Some(flight) = &mut body.in_flight {
        flight.at = now;
        if counted && !flight.counted {
            flight.counted = true;
            body.history_mut(names, directory, now).orders.push(now);
        }
    }
    claim.save()
}

fn key_in(claim: &Claim<'_>) -> Result<CertificateKey, AttemptError> {
    let pem = claim.record.next_key.as_ref().map(Secret::expose);
    let key = pem.and_then(|pem| CertificateKey::from_pem(pem).ok());
    key.ok_or_else(|| {
        AttemptError::new(Stage::Finalize, RetryClass::Transient, "the key of the order can not be read".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::wire::Problem;

    /// The words of RFC 8555 section 6.7 and of draft-ietf-acme-profiles.
    #[test]
    fn an_error_that_stays_until_somebody_acts_waits_a_day() {
        let severity = |word: &str| {
            let problem = Problem { kind: format!("urn:ietf:params:acme:error:{word}"), ..Problem::default() };
            let (what, problem) = ("newOrder", Box::new(problem));
            of_acme(Stage::Order, &AcmeError::Problem { what, status: 400, problem, retry_after: None }).severity
        };
        for word in ["rejectedIdentifier", "unsupportedIdentifier", "badCSR", "caa", "invalidProfile", "unauthorized"] {
            assert_eq!(severity(word), RetryClass::Policy, "{word}");
        }
        for word in ["serverInternal", "malformed", "rateLimited", "connection", "dns", ""] {
            assert_eq!(severity(word), RetryClass::Transient, "{word}");
        }
    }
}
