//! The one evaluation of a certificate: gathers its facts, decides with [`policy::evaluate`], and makes its status.
//!
//! The controller gathers from its caches and `notariat status` from what it has just read; everything behind [`Facts`] is the same. Pure,
//! as far as the given facts are.

use std::sync::Arc;

use super::certificate::CertificateStatus;
use crate::base::name::{Domain, ObjectRef};
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::config::entry::order_names;
use crate::policy::ca_limits::{RateLimitBlock, is_renewal, out_of_quota};
use crate::policy::order_index::{OrderIndex, ReservedOrder};
use crate::policy::secret_state::SecretState;
use crate::policy::{self, Decision, Directory, Evaluation, EvaluationInput};
use crate::record::RecordData;
use crate::sources::CertificateSpec;

/// The facts that an evaluation looks at, wherever they come from.
pub trait Facts {
    /// The content of a certificate's Secret.
    ///
    /// # Errors
    /// Why it could not be read. A failed read is never "missing".
    fn secret(&mut self, at: &ObjectRef) -> Result<SecretState, String>;

    /// Reads the record of the certificate in `secret`, so that [`Facts::record`] has it.
    ///
    /// # Errors
    /// Why it could not be read.
    fn read_record(&mut self, secret: &ObjectRef) -> Result<(), String>;

    /// The record of the certificate in `secret` with the facts of its copy; an empty one where there is none.
    fn record(&self, secret: &ObjectRef) -> (&RecordData, Option<&CertificateFacts>);

    /// The fingerprint of all that an attempt depends on. Costs a read of each key's Secret.
    ///
    /// # Errors
    /// Why a Secret could not be read.
    fn dependencies(&mut self, wanted: &CertificateSpec, held: &[SecretState]) -> Result<String, String>;

    /// The directory that a certificate comes from.
    fn directory(&self, wanted: &CertificateSpec) -> Directory;

    /// The rate limit that the CA announced for an order of `names` by the account of `wanted`.
    fn rate_limit(&mut self, wanted: &CertificateSpec, directory: &str, names: &[Domain]) -> Option<RateLimitBlock>;

    /// The orders of all certificates.
    fn orders(&self) -> &OrderIndex;
}

/// An evaluated certificate.
#[derive(Debug)]
pub struct Evaluated {
    /// The content of each Secret, in the order of the entry.
    pub held: Vec<SecretState>,
    /// The fingerprint of what an attempt depends on, where the decision needed it.
    pub dependencies: Option<String>,
    /// Where the certificate comes from.
    pub directory: Directory,
    /// The order that the decision makes, as it counts against quotas.
    pub order: Option<ReservedOrder>,
    /// The decision.
    pub evaluation: Evaluation,
    /// The status.
    pub status: CertificateStatus,
}

/// Gathers the facts of a certificate and evaluates it.
///
/// # Errors
/// The object that could not be read, and why; [`CertificateStatus::unknown`] shows it.
pub fn evaluate(facts: &mut impl Facts, wanted: &Arc<CertificateSpec>, now: Time) -> Result<Evaluated, String> {
    let entry = &wanted.entry;
    let secret = entry.main_secret();
    let mut held = Vec::with_capacity(entry.secrets.len());
    for secret in &entry.secrets {
        held.push(facts.secret(secret)?.seen_by(entry));
    }
    facts.read_record(secret)?;
    // A change of a key's Secret can only cut a wait short, so that none is read without a wait.
    let is_waiting = facts.record(secret).0.histories.iter().any(|h| h.next_attempt.is_some_and(|next| next > now));
    let dependencies = if is_waiting { Some(facts.dependencies(wanted, &held)?) } else { None };
    let (directory, names) = (facts.directory(wanted), entry.order_names());
    let is_renewal = is_renewal(&held, &names, directory.url(), now);
    let block = facts.rate_limit(wanted, directory.url(), &names).or_else(|| {
        let log = facts.orders().log(directory.url())?;
        out_of_quota(log, directory.url(), wanted.orders_per_day(), is_renewal, now)
    });
    let orders_per_week = wanted.orders_per_week;
    let place = || if secret.cluster.is_home() { secret.namespace.clone() } else { SharedStr::intern(&secret.place()) };
    let week_is_full = orders_per_week.and_then(|orders| facts.orders().week_is_full(&place(), orders, now));
    let (record, copy) = facts.record(secret);
    let input = EvaluationInput {
        revocations: &wanted.revocations,
        entry,
        secrets: &held,
        record,
        copy,
        directory: &directory,
        profile: wanted.profile(),
        inputs: dependencies.as_deref().unwrap_or_default(),
        orders: facts.orders().counted(),
        closed: block.as_ref(),
        week_is_full,
        secret_type: wanted.secret_type,
        of_objects: wanted.is_of_objects(),
        certificate: wanted.certificate(),
        renewal: wanted.renewal.as_ref(),
        now,
    };
    let evaluation = policy::evaluate(&input);
    let order = match &evaluation.decision {
        Decision::Issue { counted, names, .. } => {
            let names = names.as_deref().map_or_else(|| entry.order_names(), order_names);
            let is_first = || record.is_first(&names, directory.url(), (entry.key_word(), wanted.profile()));
            let namespace = (*counted && orders_per_week.is_some() && is_first()).then(place);
            Some(ReservedOrder { directory: SharedStr::intern(directory.url()), renewal: is_renewal, namespace })
        }
        Decision::Keep { .. } | Decision::Wait { .. } | Decision::Refuse { .. } | Decision::Restore { .. } => None,
    };
    let unready = policy::unready(&input);
    let status = CertificateStatus::of(wanted, &held, record, directory.url(), &evaluation, unready, now);
    Ok(Evaluated { held, dependencies, directory, order, evaluation, status })
}
