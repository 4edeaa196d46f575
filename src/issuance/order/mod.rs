//! An order from newOrder to proved: made or continued, published, seen, looked at by the CA, withdrawn.

use std::sync::Arc;

use super::account::AccountStore;
use super::claim::Claim;
use super::dns_update::withdraw_each;
use super::dns01::{Dns01Solver, ZoneUpdate};
use super::validation::ValidationFailure;
use super::{AttemptError, Context, check_gate, of_acme};
use crate::acme::challenge::{ChallengeAttempt, ChallengeOutcome, of_authorization};
use crate::acme::client::{Account, AcmeClient, AcmeResponse};
use crate::acme::error::AcmeError;
use crate::acme::order::{NextStep, next};
use crate::acme::requests::NewOrder;
use crate::acme::wire::{AcmeStatus, Authorization, Order};
use crate::base::log::event;
use crate::base::name::Domain;
use crate::base::sanitize::one_line;
use crate::base::time;
use crate::cert::key::CertificateKey;
use crate::policy::backoff::{RetryClass, Stage};
use crate::record::{PendingOrder, Presented, RecordData};
use crate::sources::CertificateSpec;

/// An order that is there to be worked on.
pub(super) struct OpenOrder<'c> {
    /// The account it belongs to.
    pub(super) account: Arc<Account>,
    /// Its URL.
    pub(super) url: String,
    /// What the CA says about it.
    pub(super) answer: AcmeResponse<Order>,
    /// Its authorizations with their URLs, when they were read already.
    authorizations: Option<Authorizations>,
    /// Where its values go, when that was found out already.
    places: Option<Dns01Solver<'c>>,
}

/// Authorizations with their URLs.
type Authorizations = Vec<(String, Authorization)>;

/// What the CA says about an order, with its authorizations where it is pending.
type Known = (AcmeResponse<Order>, Option<Authorizations>);

/// An order that goes on.
struct ResumedOrder {
    url: String,
    answer: AcmeResponse<Order>,
    authorizations: Option<Authorizations>,
}

/// One attempt.
pub(super) struct OrderRun<'a> {
    pub(super) context: &'a Context,
    pub(super) ca: &'a AcmeClient,
    pub(super) wanted: &'a CertificateSpec,
    pub(super) names: &'a [Domain],
}

impl<'a> OrderRun<'a> {
    pub(super) fn account(&self, again: Option<&Account>) -> Result<Arc<Account>, AttemptError> {
        self.context.accounts.get(self.office(), &self.context.limits, self.wanted, again, &self.context.stop)
    }

    pub(super) fn office(&self) -> AccountStore<'a> {
        let Context { store, namespace, .. } = self.context;
        AccountStore { store, ca: self.ca, own_namespace: namespace }
    }

    fn places(&self) -> Result<Dns01Solver<'a>, AttemptError> {
        Dns01Solver::find(self.context, self.wanted, self.names)
    }

    /// The order in flight when it is still good for what is wanted, else a new one.
    pub(super) fn order(
        &self,
        mut account: Arc<Account>,
        claim: &mut Claim<'_>,
        reuse: Option<CertificateKey>,
        places: Option<Dns01Solver<'a>>,
    ) -> Result<OpenOrder<'a>, AttemptError> {
        if let Some(ResumedOrder { url, answer, authorizations }) = self.resume(&account, claim)? {
            return Ok(OpenOrder { account, url, answer, authorizations, places });
        }
        // It may have been closed before this process began.
        check_gate(self.context, self.office(), self.wanted, self.names)?;
        self.check_profile()?;
        // Before the CA is asked for anything: a name without a zone or a key must not cost an order.
        let places = places.map_or_else(|| self.places(), Ok)?;
        places.check_hosts(self.wanted)?;
        let places = Some(places);
        self.withdraw_all(claim);
        let key = match reuse {
            Some(key) => key,
            None => CertificateKey::generate(self.wanted.entry.key_type)
                .map_err(|e| AttemptError::new(Stage::Order, RetryClass::Transient, e))?,
        };
        let answer = self.new_order(&mut account, &claim.record.body)?;
        if !is_for(&answer.body, self.names) {
            let error = "the CA's order is not for the names that were asked for".to_owned();
            return Err(AttemptError::new(Stage::Order, RetryClass::Transient, error));
        }
        let url = answer.location.clone().unwrap_or_default();
        event!(debug, "ordered", secret = self.wanted.entry.main_secret(), order = url);
        claim.record.next_key = Some(key.pem());
        let flight = self.flight(claim);
        (flight.order, flight.counted, flight.account) = (Some(url.clone()), false, Some(account.url.clone()));
        Ok(OpenOrder { account, url, answer, authorizations: None, places })
    }

    /// Makes an order: once more when the CA has forgotten the account, and once more without `replaces` when it is for that reason
    /// that the CA may have refused it (RFC 9773 section 5).
    fn new_order(&self, account: &mut Arc<Account>, body: &RecordData) -> Result<AcmeResponse<Order>, AttemptError> {
        let replaces = body
            .stored
            .as_ref()
            .filter(|s| s.directory == self.ca.directory_url() && s.account.as_deref() == Some(&*account.url));
        let replaces = replaces.and_then(|s| s.cert_id.as_deref());
        let offered = self.ca.directory().is_ok_and(|d| d.renewal_info.is_some());
        let mut wish =
            NewOrder { names: self.names, profile: self.wanted.profile(), replaces: replaces.filter(|_| offered) };
        let mut registered = false;
        loop {
            self.context.leader.check()?;
            match self.ca.new_order(account, &wish) {
                Err(e) if e.error_type() == Some("accountDoesNotExist") && !registered => {
                    *account = self.account(Some(account))?;
                    registered = true;
                }
                Err(AcmeError::Problem { status, problem, .. })
                    if wish.replaces.is_some() && status != 503 && !NOT_FOR_REPLACES.contains(&problem.word()) =>
                {
                    event!(info, "ordered-without-replaces", secret = self.wanted.entry.main_secret(), error = problem);
                    wish.replaces = None;
                }
                Err(e) if e.error_type() == Some("unauthorized") => {
                    let AttemptError { error, .. } = of_acme(Stage::Order, &e);
                    let at = self.office().reference(self.wanted);
                    let hint = "if the account was deactivated, delete that Secret to have another one";
                    let error = format!("{error} (the account {} in the Secret {at}; {hint})", account.url);
                    return Err(AttemptError { error, ..of_acme(Stage::Order, &e) });
                }
                other => return other.map_err(|e| of_acme(Stage::Order, &e)),
            }
        }
    }

    /// A profile that the CA does not offer costs no order.
    fn check_profile(&self) -> Result<(), AttemptError> {
        let Some(profile) = self.wanted.profile() else { return Ok(()) };
        let directory = self.ca.directory().map_err(|e| of_acme(Stage::Order, &e))?;
        if directory.meta.profiles.contains_key(profile) {
            return Ok(());
        }
        let offered = directory.meta.profile_names();
        let offered = if offered.is_empty() { "none".to_owned() } else { offered };
        let error = format!("the CA {} has no profile {profile:?}; it offers {offered}", self.ca.directory_url());
        Err(AttemptError::new(Stage::Order, RetryClass::Policy, error))
    }

    /// Continues the order in flight, when there is one for the same names, directory and key type, and the CA still knows it.
    fn resume(&self, account: &Account, claim: &mut Claim<'_>) -> Result<Option<ResumedOrder>, AttemptError> {
        let Some(flight) = &claim.record.body.in_flight else {
            return Ok(None);
        };
        let (directory, key_type) = (self.ca.directory_url(), self.wanted.entry.key_type);
        let same =
            flight.is_for(self.names, directory, key_type, self.wanted.profile()) && claim.record.next_key.is_some();
        let Some(url) = flight.order.clone().filter(|_| same) else {
            return Ok(None);
        };
        if self.ca.check_url("order", &url).is_err() {
            return Ok(None);
        }
        match self.known_order(account, &url) {
            Ok(Some((answer, authorizations))) => {
                event!(info, "order-continued", secret = self.wanted.entry.main_secret(), order = url);
                Ok(Some(ResumedOrder { url, answer, authorizations }))
            }
            // Expired, deleted, of an account that is gone, or over: a new one.
            Ok(None) | Err(AcmeError::Problem { status: 400..=404, .. }) => {
                self.flight(claim).order = None;
                Ok(None)
            }
            Err(e) => Err(of_acme(Stage::Order, &e)),
        }
    }

    /// An order of an earlier attempt with its authorizations, where it is pending. None where nothing can come of it any more.
    fn known_order(&self, account: &Account, url: &str) -> Result<Option<Known>, AcmeError> {
        let answer = self.ca.order(account, url)?;
        if !is_for(&answer.body, self.names) {
            return Ok(None);
        }
        match answer.body.status {
            AcmeStatus::Invalid => Ok(None),
            AcmeStatus::Pending => {
                let authorizations = self.authorizations(account, &answer.body)?;
                let is_dead = authorizations.iter().any(|(_, authorization)| is_over(authorization));
                Ok((!is_dead).then_some((answer, Some(authorizations))))
            }
            _ => Ok(Some((answer, None))),
        }
    }

    fn authorizations(&self, account: &Account, order: &Order) -> Result<Authorizations, AcmeError> {
        let read = |url: &String| Ok((url.clone(), self.ca.authorization(account, url)?.body));
        order.authorizations.iter().map(read).collect()
    }

    /// Publishes the values of every pending authorization, waits until they are seen, has the CA look, withdraws them.
    pub(super) fn solve(
        &self,
        started: &mut OpenOrder<'a>,
        claim: &mut Claim<'_>,
    ) -> Result<AcmeResponse<Order>, AttemptError> {
        let OpenOrder { account, url, answer, authorizations, places } = started;
        let authorizations = match authorizations.take() {
            Some(read) => read,
            None => self.authorizations(account, &answer.body).map_err(|e| of_acme(Stage::Order, &e))?,
        };
        let (mut values, mut trials) = (Vec::new(), Vec::new());
        for (url, authorization) in &authorizations {
            if authorization.status == AcmeStatus::Valid {
                continue;
            }
            if is_over(authorization) {
                claim.record.body.in_flight = None;
                let name = one_line(&authorization.name());
                let error = format!("the CA's order has an authorization for {name} that is over already");
                return Err(AttemptError::new(Stage::Order, RetryClass::Validation, error));
            }
            let (name, token, challenge) = dns01(authorization, self.names)?;
            values.push((name.clone(), account.key.dns01_value(token)));
            trials.push(ChallengeAttempt::new(name, url.clone(), challenge.to_owned()));
        }
        let places = match places.take() {
            Some(places) => places,
            None => self.places()?,
        };
        let mut batches = places.batches(&values);
        // Before anything of them is written down: a server that may not be asked now leaves nothing behind.
        let permits = places.enter(&batches)?;
        self.remember(claim, &batches)?;
        let published = places.present(&mut batches, &permits, self.wanted);
        if published.is_err() {
            // What was refused is not there to be withdrawn.
            let same = |b: &ZoneUpdate, p: &Presented| (&b.published.key, &b.published.values) == (&p.key, &p.values);
            let refused = |p: &Presented| batches.iter().any(|b| same(b, p) && !b.may_be_there);
            self.flight(claim).published.retain(|p| !refused(p));
        }
        let noted = published.and_then(|()| self.note_servers(claim, &batches));
        if let Err(failed) = noted.and_then(|()| places.wait_visible(&batches, permits, self.wanted)) {
            self.withdraw_all(claim);
            return Err(failed);
        }
        drop(places);
        let secret = self.wanted.entry.main_secret();
        // From here on the CA may be looking. Withdrawing under a validation that runs would fail the order, so unless the order is
        // known to have left `pending`, or a challenge to have been refused, the values stay, and the next attempt goes on.
        let answer = match self.validate(account, url, trials) {
            Ok(answer) => answer,
            Err(ValidationFailure::Unknown(failed)) => return Err(failed),
            Err(ValidationFailure::Refused { failed, is_over }) => {
                self.withdraw_all(claim);
                if is_over {
                    claim.record.body.in_flight = None;
                }
                return Err(failed);
            }
        };
        event!(debug, "validated", secret = secret, status = format!("{:?}", answer.body.status));
        self.withdraw_all(claim);
        event!(debug, "withdrawn", secret = secret);
        if let NextStep::Failed(problem) = next(&answer.body, false) {
            claim.record.body.in_flight = None;
            return Err(self.why_invalid(account, &answer.body, problem));
        }
        Ok(answer)
    }

    /// Everything that is about to be published, with the order and the key, before any of it is.
    fn remember(&self, claim: &mut Claim<'_>, batches: &[ZoneUpdate]) -> Result<(), AttemptError> {
        let now = time::now();
        let flight = self.flight(claim);
        for batch in batches.iter().filter(|b| !b.published.values.is_empty()) {
            if !flight.published.contains(&batch.published) {
                flight.published.push(batch.published.clone());
            }
        }
        flight.at = now;
        claim.save()
    }

    /// Which server took each batch in which zone, in the order in which they were published. It stands for its zone: what is withdrawn
    /// there is gone, and the server that was tried first may be dark or a secondary. Written only when another one took a batch than the one
    /// that the record names already.
    fn note_servers(&self, claim: &mut Claim<'_>, batches: &[ZoneUpdate]) -> Result<(), AttemptError> {
        let published = &mut self.flight(claim).published;
        let moved = batches.iter().any(|batch| !published.contains(&batch.published));
        for ZoneUpdate { published: taken, .. } in batches {
            published.retain(|p| (&p.key, &p.values) != (&taken.key, &taken.values));
            published.push(taken.clone());
        }
        if moved { claim.save() } else { Ok(()) }
    }

    /// Withdraws what the record knows to be published. What can not be withdrawn is left to a later try and blocks nothing.
    pub(super) fn withdraw_all(&self, claim: &mut Claim<'_>) {
        let Some(flight) = &mut claim.record.body.in_flight else {
            return;
        };
        let published = std::mem::take(&mut flight.published);
        let left = withdraw_each(self.context, published, time::now());
        claim.record.body.leftovers.extend(left);
    }

    fn flight<'c>(&self, claim: &'c mut Claim<'_>) -> &'c mut PendingOrder {
        let (holder, way) = (&self.context.holder, (self.wanted.entry.key_type, self.wanted.profile()));
        let new = || Box::new(PendingOrder::new(holder, time::now(), self.names, self.ca.directory_url(), way));
        claim.record.body.in_flight.get_or_insert_with(new)
    }
}

/// What an order is refused for that has nothing to do with what it replaces.
const NOT_FOR_REPLACES: [&str; 9] = [
    "badNonce",
    "rateLimited",
    "accountDoesNotExist",
    "externalAccountRequired",
    "userActionRequired",
    "rejectedIdentifier",
    "unsupportedIdentifier",
    "invalidProfile",
    "caa",
];

/// Whether an authorization can not be proved any more: neither pending nor valid, or with a challenge that is over.
fn is_over(authorization: &Authorization) -> bool {
    matches!(of_authorization(authorization, true), ChallengeOutcome::Failed(_))
}

/// Whether the order is for exactly these names, with no more authorizations than there are names.
fn is_for(order: &Order, names: &[Domain]) -> bool {
    same_names(order, names) && order.authorizations.len() <= names.len()
}

/// Whether the names are exactly these; CAs list them in any order.
fn same_names(order: &Order, names: &[Domain]) -> bool {
    let mut theirs: Vec<&str> =
        order.identifiers.iter().filter(|i| i.kind == "dns").map(|i| i.value.as_str()).collect();
    let mut ours: Vec<String> = names.iter().map(Domain::to_string).collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    theirs == ours && order.identifiers.len() == ours.len()
}

/// The name, the token and the URL of the dns-01 challenge of an authorization.
fn dns01<'a>(authorization: &'a Authorization, names: &[Domain]) -> Result<(Domain, &'a str, &'a str), AttemptError> {
    let failed = |error| AttemptError::new(Stage::Order, RetryClass::Policy, error);
    let text = one_line(&authorization.name());
    let name = names.iter().find(|n| n.to_string() == text).cloned();
    let name =
        name.ok_or_else(|| failed(format!("the CA wants an authorization for {text:?}, which was not ordered")))?;
    let offered = || one_line(&authorization.challenges.iter().map(|c| c.kind.as_str()).collect::<Vec<_>>().join(", "));
    let challenge = authorization.challenges.iter().find(|c| c.kind == "dns-01");
    let challenge =
        challenge.ok_or_else(|| failed(format!("the CA offers no dns-01 challenge for {name}, only {}", offered())))?;
    // RFC 8555 section 8.1: base64url, so that the value can not be made to say anything else.
    let token = challenge.token.as_deref().filter(|t| {
        !t.is_empty() && t.len() <= 1024 && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    });
    let token = token.ok_or_else(|| failed(format!("the dns-01 challenge for {name} has no usable token")))?;
    Ok((name, token, &challenge.url))
}

#[cfg(test)]
mod tests;
