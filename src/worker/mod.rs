//! The jobs of the workers. Each job is for one certificate; [`run`] does it and returns the outcome to the controller.
//!
//! The worker that holds a certificate's record is the only writer of it. `attempt` tells how a certificate is obtained.

mod attempt;
mod backup;
mod cap;
mod cascade;
mod claim;
mod clean_up;
mod clock;
mod held;
mod job;
mod pending;
mod present;
mod prune;
mod release;
mod renewal_info;
mod restore;
mod results;
mod revoke;
mod secrets;
mod store_certificate;
mod write_base;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::base::time;
use crate::config::dns::DnsSettings;
use crate::issuance::probe::probe;
use crate::issuance::{AttemptError, Context};
use crate::policy::secret_state::SecretState;
use attempt::Attempt;
use claim::Claim;

pub use backup::backup_facts;
pub use claim::{holder, is_holder};
pub use job::{Job, JobPeer, KnownSecret, Observed, Outcome, RenewalInfoRequest, Task};
pub use release::release_record;
pub use write_base::WriteBase;

/// Does a job. The caller catches panics of libraries.
pub fn run(context: &Context, job: &Job) -> Outcome {
    let secret = job.wanted.entry.main_secret().clone();
    // The replica may have lost its Lease while the job waited in the queue.
    let (result, found) = match context.check_acting(&job.wanted) {
        Err(failed) => (Err(failed), None),
        Ok(()) => match &job.task {
            Task::Probe => (probe(context, &job.wanted), None),
            Task::Window(request) => (renewal_info::refresh(context, &job.wanted, request), None),
            Task::Issue { .. } | Task::Restore { .. } | Task::Tidy | Task::Revoke | Task::Cascade => {
                run_claimed(context, job)
            }
        },
    };
    let result =
        result.map_err(|failed| AttemptError { uncounted: failed.uncounted || context.stop.is_set(), ..failed });
    Outcome { secret, result, found }
}

/// Does a job that needs the record. Returns what the Secrets hold where that is not what the decision was made on.
fn run_claimed(context: &Context, job: &Job) -> (Result<(), AttemptError>, Option<Vec<SecretState>>) {
    let mut attempt = match claim(context, job) {
        Ok(claim) => Attempt::new(context, job, claim),
        Err(failed) => return (Err(failed), None),
    };
    let result = match &job.task {
        Task::Issue { finding, targets, counted } => attempt.issue(finding, targets, *counted),
        Task::Restore { finding, source, targets } => attempt.restore(finding, *source, targets),
        Task::Revoke => attempt.revoke_alone(),
        Task::Cascade => attempt.set_owner(),
        Task::Tidy | Task::Window(_) | Task::Probe => attempt.clean_up(),
    };
    match attempt.found {
        Some(found) => (Ok(()), Some(found)),
        None => (result, None),
    }
}

/// Opens the record, where this machine's clock is not in doubt and no other holder works on the certificate.
fn claim<'a>(context: &'a Context, job: &Job) -> Result<Claim<'a>, AttemptError> {
    let secret = job.wanted.entry.main_secret();
    let claim = match job.basis.record_is_absent {
        true => Claim::absent(&context.store, secret, &context.namespace),
        false => Claim::open(&context.store, secret, &context.namespace)?,
    };
    clock::check(None)?;
    let DnsSettings { propagation_timeout, settle, .. } = *job.wanted.entry.dns;
    claim.check_free(context, propagation_timeout + settle, time::now())?;
    Ok(claim)
}

/// Writes the failure of a job that panicked into the record, so that the backoff holds.
pub fn settle_panic(context: &Context, job: &Job) -> Outcome {
    let secret = job.wanted.entry.main_secret().clone();
    let (failed, found) = (AttemptError::internal(), None);
    if matches!(job.task, Task::Probe | Task::Window(_)) {
        return Outcome { secret, result: Err(failed), found };
    }
    let settled = catch_unwind(AssertUnwindSafe(|| {
        let claim = Claim::open(&context.store, &secret, &context.namespace)?;
        let mut attempt = Attempt::new(context, job, claim);
        // The step that panicked is not known.
        attempt.may_be_issued = true;
        Err(attempt.failed(failed.clone()))
    }));
    Outcome { secret, result: settled.unwrap_or(Err(failed)), found }
}
