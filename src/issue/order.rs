//! An order from newOrder to proved: made or continued, published, seen, looked at by the CA, withdrawn.

use std::sync::Arc;

use super::account::Office;
use super::claim::Claim;
use super::publish::{Batch, Places};
use super::send::withdraw_each;
use super::{Context, Failed, check_gate, of_acme};
use crate::acme::client::{Account, Answer, Client};
use crate::acme::error::AcmeError;
use crate::acme::order::{Next, next};
use crate::acme::pace::Phase;
use crate::acme::requests::Wish;
use crate::acme::wire::{Authorization, Order, Problem, Status};
use crate::cert::key::CertificateKey;
use crate::decide::attempts::{Severity, Stage};
use crate::limits::PROFILES_SHOWN_MAX;
use crate::log::event;
use crate::name::{DnsName, Domain};
use crate::record::{Body, InFlight, Published};
use crate::sources::Wanted;
use crate::text::one_line;
use crate::time;

/// An order that is there to be worked on.
pub(super) struct Started<'c> {
    /// The account it belongs to.
    pub(super) account: Arc<Account>,
    /// Its URL.
    pub(super) url: String,
    /// What the CA says about it.
    pub(super) answer: Answer<Order>,
    /// Where its values go, when that was found out already.
    places: Option<Places<'c>>,
}

/// One attempt.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) ca: &'a Client,
    pub(super) wanted: &'a Wanted,
    pub(super) names: &'a [Domain],
}

impl<'a> Run<'a> {
    pub(super) fn account(&self, again: Option<&Account>) -> Result<Arc<Account>, Failed> {
        self.context.accounts.get(self.office(), &self.context.limits, self.wanted, again)
    }

    pub(super) fn office(&self) -> Office<'a> {
        let Context { store, namespace, .. } = self.context;
        Office { store, ca: self.ca, own_namespace: namespace }
    }

    fn places(&self) -> Result<Places<'a>, Failed> {
        Places::find(self.context, self.wanted, self.names)
    }

    /// The order in flight when it is still good for what is wanted, else a new one.
    pub(super) fn order(
        &self,
        mut account: Arc<Account>,
        claim: &mut Claim<'_>,
        reuse: Option<CertificateKey>,
        places: Option<Places<'a>>,
    ) -> Result<Started<'a>, Failed> {
        if let Some((url, answer)) = self.resume(&account, claim)? {
            return Ok(Started { account, url, answer, places });
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
                .map_err(|e| Failed::new(Stage::Order, Severity::Transient, e))?,
        };
        let answer = self.new_order(&mut account, &claim.record.body)?;
        if !same_names(&answer.body, self.names) || answer.body.authorizations.len() > self.names.len() {
            let error = "the CA's order is not for the names that were asked for".to_owned();
            return Err(Failed::new(Stage::Order, Severity::Transient, error));
        }
        let url = answer.location.clone().unwrap_or_default();
        event!(debug, "ordered", secret = self.wanted.entry.main_secret(), order = url);
        claim.record.next_key = Some(key.pem());
        let flight = self.flight(claim);
        (flight.order, flight.counted, flight.account) = (Some(url.clone()), false, Some(account.url.clone()));
        Ok(Started { account, url, answer, places })
    }

    /// Makes an order: once more when the CA has forgotten the account, and once more without `replaces` when it is for that reason
    /// that the CA may have refused it (RFC 9773 section 5).
    fn new_order(&self, account: &mut Arc<Account>, body: &Body) -> Result<Answer<Order>, Failed> {
        let replaces = body
            .stored
            .as_ref()
            .filter(|s| s.directory == self.ca.directory_url() && s.account.as_deref() == Some(&*account.url));
        let replaces = replaces.and_then(|s| s.cert_id.as_deref());
        let offered = self.ca.directory().is_ok_and(|d| d.renewal_info.is_some());
        let mut wish =
            Wish { names: self.names, profile: self.wanted.profile(), replaces: replaces.filter(|_| offered) };
        let mut registered = false;
        loop {
            self.context.lead.check()?;
            match self.ca.new_order(account, &wish) {
                Err(e) if e.word() == Some("accountDoesNotExist") && !registered => {
                    *account = self.account(Some(account))?;
                    registered = true;
                }
                Err(AcmeError::Problem { status, problem, .. })
                    if wish.replaces.is_some() && status != 503 && !NOT_FOR_REPLACES.contains(&problem.word()) =>
                {
                    event!(info, "ordered-without-replaces", secret = self.wanted.entry.main_secret(), error = problem);
                    wish.replaces = None;
                }
                Err(e) if e.word() == Some("unauthorized") => {
                    let Failed { error, .. } = of_acme(Stage::Order, &e);
                    let at = self.office().reference(self.wanted);
                    let hint = "if the account was deactivated, delete that Secret to have another one";
                    let error = format!("{error} (the account {} in the Secret {at}; {hint})", account.url);
                    return Err(Failed { error, ..of_acme(Stage::Order, &e) });
                }
                other => return other.map_err(|e| of_acme(Stage::Order, &e)),
            }
        }
    }

    /// A profile that the CA does not offer costs no order.
    fn check_profile(&self) -> Result<(), Failed> {
        let Some(profile) = self.wanted.profile() else { return Ok(()) };
        let directory = self.ca.directory().map_err(|e| of_acme(Stage::Order, &e))?;
        let profiles = &directory.meta.profiles;
        if profiles.contains_key(profile) {
            return Ok(());
        }
        let offered = profiles.keys().take(PROFILES_SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        let offered = if offered.is_empty() { "none".to_owned() } else { offered };
        let error = format!("the CA {} has no profile {profile:?}; it offers {offered}", self.ca.directory_url());
        Err(Failed::new(Stage::Order, Severity::Policy, error))
    }

    /// Continues the order in flight, when there is one for the same names, directory and key type, and the CA still knows it.
    fn resume(&self, account: &Account, claim: &mut Claim<'_>) -> Result<Option<(String, Answer<Order>)>, Failed> {
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
        match self.ca.order(account, &url) {
            Ok(answer) if answer.body.status != Status::Invalid && same_names(&answer.body, self.names) => {
                event!(info, "order-continued", secret = self.wanted.entry.main_secret(), order = url);
                Ok(Some((url, answer)))
            }
            // Expired, deleted, of an account that is gone, or over: a new one.
            Ok(_) | Err(AcmeError::Problem { status: 400..=404, .. }) => {
                self.flight(claim).order = None;
                Ok(None)
            }
            Err(e) => Err(of_acme(Stage::Order, &e)),
        }
    }

    /// Publishes the values of every pending authorization, waits until they are seen, has the CA look, withdraws them.
    pub(super) fn prove(&self, started: &mut Started<'a>, claim: &mut Claim<'_>) -> Result<Answer<Order>, Failed> {
        let ca = self.ca;
        let Started { account, url, answer, places } = started;
        let told = |e: AcmeError| of_acme(Stage::Order, &e);
        let (mut values, mut challenges) = (Vec::new(), Vec::new());
        for authorization in &answer.body.authorizations {
            let authorization = ca.authorization(account, authorization).map_err(told)?;
            if authorization.status != Status::Pending {
                continue;
            }
            let (name, token, challenge) = dns01(&authorization, self.names)?;
            values.push((name, account.key.dns01_value(token)));
            challenges.push(challenge.to_owned());
        }
        let places = match places.take() {
            Some(places) => places,
            None => self.places()?,
        };
        let mut batches = places.batches(&values);
        self.remember(claim, &batches)?;
        let published = places.publish(&mut batches, self.wanted);
        if published.is_err() {
            // What was refused is not there to be withdrawn.
            let same = |b: &Batch, p: &Published| (&b.published.key, &b.published.values) == (&p.key, &p.values);
            let refused = |p: &Published| batches.iter().any(|b| same(b, p) && !b.may_be_there);
            self.flight(claim).published.retain(|p| !refused(p));
        }
        let noted = published.and_then(|()| self.note_servers(claim, &batches));
        if let Err(failed) = noted.and_then(|()| places.see(&batches, self.wanted)) {
            self.withdraw_all(claim);
            return Err(failed);
        }
        // Others may use the servers while we wait for the CA.
        drop(places);
        let secret = self.wanted.entry.main_secret();
        // From here on the CA may be looking. Withdrawing under a validation that runs would fail the order, so unless the order is
        // known to have left `pending` the values stay, and the next attempt goes on.
        for challenge in &challenges {
            self.context.lead.check()?;
            ca.answer_challenge(account, challenge).map_err(told)?;
        }
        event!(debug, "answered", secret = secret, challenges = challenges.len());
        let told = |e: AcmeError| of_acme(Stage::Validation, &e);
        let answer = ca.wait(account, url, Phase::Validation, None).map_err(told)?;
        event!(debug, "validated", secret = secret, status = format!("{:?}", answer.body.status));
        self.withdraw_all(claim);
        event!(debug, "withdrawn", secret = secret);
        if let Next::Failed(problem) = next(&answer.body, false) {
            claim.record.body.in_flight = None;
            return Err(self.why_invalid(account, &answer.body, problem));
        }
        Ok(answer)
    }

    /// Everything that is about to be published, with the order and the key, before any of it is.
    fn remember(&self, claim: &mut Claim<'_>, batches: &[Batch]) -> Result<(), Failed> {
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
    fn note_servers(&self, claim: &mut Claim<'_>, batches: &[Batch]) -> Result<(), Failed> {
        let published = &mut self.flight(claim).published;
        let moved = batches.iter().any(|batch| !published.contains(&batch.published));
        for Batch { published: taken, .. } in batches {
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

    fn flight<'c>(&self, claim: &'c mut Claim<'_>) -> &'c mut InFlight {
        let (holder, way) = (&self.context.holder, (self.wanted.entry.key_type, self.wanted.profile()));
        let new = || Box::new(InFlight::new(holder, time::now(), self.names, self.ca.directory_url(), way));
        claim.record.body.in_flight.get_or_insert_with(new)
    }

    /// The reasons stand in the authorizations (RFC 8555 section 7.1.4).
    fn why_invalid(&self, account: &Account, order: &Order, problem: Problem) -> Failed {
        let (mut reasons, mut not_validated) = (Vec::new(), Vec::new());
        let mut severity = Severity::Validation;
        for url in &order.authorizations {
            let Ok(authorization) = self.ca.authorization(account, url) else {
                continue;
            };
            let failed = authorization.challenges.iter().filter(|c| c.status == Some(Status::Invalid));
            for problem in failed.filter_map(|c| c.error.as_ref()) {
                if problem.word() == "caa" {
                    severity = Severity::Policy;
                }
                reasons.push(format!("{}: {problem}", one_line(&authorization.name())));
                not_validated.extend(DnsName::parse(&authorization.identifier.value).ok());
            }
        }
        if reasons.is_empty() {
            reasons.push(problem.to_string());
        }
        let error = format!("the CA did not find the challenge answered: {}", reasons.join("; "));
        Failed { not_validated, ..Failed::new(Stage::Validation, severity, error) }
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

/// Whether the order is for exactly these names; CAs list them in any order.
fn same_names(order: &Order, names: &[Domain]) -> bool {
    let mut theirs: Vec<&str> =
        order.identifiers.iter().filter(|i| i.kind == "dns").map(|i| i.value.as_str()).collect();
    let mut ours: Vec<String> = names.iter().map(Domain::to_string).collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    theirs == ours && order.identifiers.len() == ours.len()
}

/// The name, the token and the URL of the dns-01 challenge of an authorization.
fn dns01<'a>(authorization: &'a Authorization, names: &[Domain]) -> Result<(Domain, &'a str, &'a str), Failed> {
    let failed = |error| Failed::new(Stage::Order, Severity::Policy, error);
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
