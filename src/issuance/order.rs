//! The requests for one order: account, newOrder, resuming, authorizations, finalize (RFC 8555 section 7.4).
//!
//! Untrusted: everything that the CA answers.

use std::sync::Arc;

use super::account::AccountStore;
use super::context::Context;
use super::error::{AttemptError, of_acme};
use super::solver::ChallengeRequest;
use crate::acme::client::{Account, AcmeClient, AcmeResponse};
use crate::acme::error::AcmeError;
use crate::acme::requests::NewOrder;
use crate::acme::wire::{AcmeStatus, Authorization, Order};
use crate::base::challenge_type::ChallengeType;
use crate::base::limits::PROFILES_SHOWN_MAX;
use crate::base::log::event;
use crate::base::name::Domain;
use crate::base::sanitize::one_line;
use crate::base::time;
use crate::policy::backoff::{RetryClass, Stage};
use crate::record::Issued;
use crate::sources::CertificateSpec;

/// The CA and the names of one order.
pub struct Orders<'a> {
    /// The shared clients and caches.
    pub context: &'a Context,
    /// The client of the CA.
    pub ca: &'a AcmeClient,
    /// The certificate that is wanted.
    pub wanted: &'a CertificateSpec,
    /// The names to order, sorted.
    pub names: &'a [Domain],
}

/// An order that can be worked on.
pub struct OpenOrder {
    /// The URL.
    pub url: String,
    /// The state at the CA.
    pub answer: AcmeResponse<Order>,
    /// The authorizations with their URLs, where they were read already.
    pub authorizations: Option<Vec<(String, Authorization)>>,
}

/// An order of an earlier attempt.
pub enum Resumed {
    /// The order goes on.
    Open(Box<OpenOrder>),
    /// Nothing can come of the order. `was_ready`: every authorization was valid, so that the order may have been finalized.
    Over {
        /// See above.
        was_ready: bool,
    },
}

impl<'a> Orders<'a> {
    /// The account to order with. `forgotten` is an account that the CA does not know any more.
    ///
    /// # Errors
    /// When the account's Secret cannot be read or written, or the CA refuses.
    pub fn account(&self, forgotten: Option<&Account>) -> Result<Arc<Account>, AttemptError> {
        let Context { accounts, limits, stop, .. } = self.context;
        accounts.get(self.store(), limits, self.wanted, forgotten, stop)
    }

    /// The account anew from its Secret, where that differs from `used`: a command may have given it another key, or an operator deleted it.
    pub fn other_account(&self, used: &Account) -> Option<Arc<Account>> {
        self.context.accounts.invalidate(&self.store().reference(self.wanted));
        let now = self.account(None).ok()?;
        (now.url != used.url || now.key.thumbprint() != used.key.thumbprint()).then_some(now)
    }

    /// Notes the rate limit that a failure announces. Returns the failure.
    pub fn learn(&self, failed: AttemptError) -> AttemptError {
        let store = self.store();
        let account = store.reference(self.wanted);
        self.context.limits.learn(&account, self.names, &failed, |limits| store.keep_gates(&account, limits));
        failed
    }

    fn store(&self) -> AccountStore<'a> {
        let Context { store, namespace, .. } = self.context;
        AccountStore { store, ca: self.ca, own_namespace: namespace }
    }

    /// Asks for the directory, where an overloaded CA refuses first.
    ///
    /// # Errors
    /// When the CA does not answer, or refuses.
    pub fn check_directory(&self) -> Result<(), AttemptError> {
        let asked = self.ca.directory().map(|_| ());
        asked.map_err(|e| self.learn(of_acme(Stage::Order, &e)))
    }

    /// Checks the known rate limits of the CA for a new order.
    ///
    /// # Errors
    /// The limit, and until when it holds. Not counted.
    pub fn check_limits(&self) -> Result<(), AttemptError> {
        let account = self.store().reference(self.wanted);
        let Some(closed) = self.context.limits.closed(&account, self.names, time::now()) else { return Ok(()) };
        let error = format!("the CA takes no order of these names before {}: {}", closed.until, closed.said);
        Err(AttemptError { uncounted: true, ..AttemptError::new(Stage::Order, RetryClass::Transient, error) })
    }

    /// Checks that the CA offers the wanted profile.
    ///
    /// # Errors
    /// The profiles that the CA offers instead.
    pub fn check_profile(&self) -> Result<(), AttemptError> {
        let Some(profile) = self.wanted.profile() else { return Ok(()) };
        let directory = self.ca.directory().map_err(|e| of_acme(Stage::Order, &e))?;
        let profiles = &directory.meta.profiles;
        if profiles.contains_key(profile) {
            return Ok(());
        }
        let offered = profiles.keys().take(PROFILES_SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        let offered = if offered.is_empty() { "none".to_owned() } else { offered };
        let error = format!("the CA {} has no profile {profile:?}; it offers {offered}", self.ca.directory_url());
        Err(AttemptError::new(Stage::Order, RetryClass::Policy, error))
    }

    /// Makes an order. `held` is the certificate that it replaces. An account that the CA has forgotten is registered anew, once. An order
    /// that is refused with `replaces` is made once more without (RFC 9773 section 5).
    ///
    /// # Errors
    /// The refusal of the CA, or an order for other names.
    pub fn create(&self, account: &mut Arc<Account>, held: Option<&Issued>) -> Result<OpenOrder, AttemptError> {
        let answer = self.new_order(account, held)?;
        if !is_for(&answer.body, self.names) {
            let error = "the CA's order is not for the names that were asked for".to_owned();
            return Err(AttemptError::new(Stage::Order, RetryClass::Transient, error));
        }
        let url = answer.location.clone().unwrap_or_default();
        event!(debug, "ordered", secret = self.wanted.entry.main_secret(), order = url);
        Ok(OpenOrder { url, answer, authorizations: None })
    }

    fn new_order(
        &self,
        account: &mut Arc<Account>,
        held: Option<&Issued>,
    ) -> Result<AcmeResponse<Order>, AttemptError> {
        let is_ours =
            |s: &&Issued| s.directory == self.ca.directory_url() && s.account.as_deref() == Some(&*account.url);
        let replaces = held.filter(is_ours);
        let replaces = replaces.and_then(|s| s.cert_id.as_deref());
        let offered = self.ca.directory().is_ok_and(|d| d.renewal_info.is_some());
        let mut wish =
            NewOrder { names: self.names, profile: self.wanted.profile(), replaces: replaces.filter(|_| offered) };
        let mut registered = false;
        loop {
            self.context.check_acting(self.wanted)?;
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
                    let at = self.store().reference(self.wanted);
                    let hint = "if the account was deactivated, delete that Secret to have another one";
                    let error = format!("{error} (the account {} in the Secret {at}; {hint})", account.url);
                    return Err(AttemptError { error, ..of_acme(Stage::Order, &e) });
                }
                other => return other.map_err(|e| of_acme(Stage::Order, &e)),
            }
        }
    }

    /// Looks at the order `url` of an earlier attempt.
    ///
    /// # Errors
    /// When the state of the order is not known now.
    pub fn resume(&self, account: &Account, url: String) -> Result<Resumed, AttemptError> {
        let over = |was_ready| Ok(Resumed::Over { was_ready });
        if self.ca.check_url("order", &url).is_err() {
            return over(false);
        }
        let known = self.ca.order(account, &url).and_then(|answer| {
            let needs = matches!(answer.body.status, AcmeStatus::Pending | AcmeStatus::Invalid);
            let read = needs && is_for(&answer.body, self.names);
            let authorizations = if read { Some(self.authorizations(account, &answer.body)?) } else { None };
            Ok((answer, authorizations))
        });
        let (answer, authorizations) = match known {
            Ok(known) => known,
            // Expired, deleted, or of an account that is gone.
            Err(AcmeError::Problem { status: 400..=404, .. }) => return over(false),
            Err(e) => return Err(of_acme(Stage::Order, &e)),
        };
        let all = |is: fn(&Authorization) -> bool| authorizations.iter().flatten().all(|(_, a)| is(a));
        if !is_for(&answer.body, self.names) || answer.body.status == AcmeStatus::Pending && !all(|a| !is_over(a)) {
            return over(false);
        }
        if answer.body.status == AcmeStatus::Invalid {
            return over(all(|a| a.status == AcmeStatus::Valid));
        }
        event!(info, "order-continued", secret = self.wanted.entry.main_secret(), order = url);
        Ok(Resumed::Open(Box::new(OpenOrder { url, answer, authorizations })))
    }

    fn authorizations(&self, account: &Account, order: &Order) -> Result<Vec<(String, Authorization)>, AcmeError> {
        let read = |url: &String| Ok((url.clone(), self.ca.authorization(account, url)?.body));
        order.authorizations.iter().map(read).collect()
    }

    /// The challenges of all authorizations that are pending, for each name of the type that `challenge_type` gives.
    ///
    /// # Errors
    /// When an authorization cannot be read, or has no usable challenge.
    pub fn challenges(
        &self,
        account: &Account,
        order: &mut OpenOrder,
        challenge_type: &dyn Fn(&Domain) -> ChallengeType,
    ) -> Result<Challenges, AttemptError> {
        let authorizations = match order.authorizations.take() {
            Some(read) => read,
            None => self.authorizations(account, &order.answer.body).map_err(|e| of_acme(Stage::Order, &e))?,
        };
        let mut challenges = Vec::new();
        for (url, authorization) in authorizations {
            if authorization.status == AcmeStatus::Valid {
                continue;
            }
            if is_over(&authorization) {
                let name = one_line(&authorization.name());
                let error = format!("the CA's order has an authorization for {name} that is over already");
                let failed = AttemptError::new(Stage::Order, RetryClass::Validation, error);
                return Ok(Challenges::Over(failed));
            }
            challenges.push(challenge(&authorization, url, self.names, challenge_type)?);
        }
        Ok(Challenges::Pending(challenges))
    }

    /// Finalizes the order with a CSR (RFC 8555 section 7.4).
    ///
    /// # Errors
    /// The refusal of the CA.
    pub fn finalize(
        &self,
        account: &Account,
        order: &OpenOrder,
        csr: &[u8],
    ) -> Result<AcmeResponse<Order>, AttemptError> {
        let told = |e: AcmeError| {
            let AttemptError { error, .. } = of_acme(Stage::Finalize, &e);
            let is_given = self.wanted.entry.csr.is_some();
            let is_of_csr = is_given && matches!(e.error_type(), Some("badCSR" | "badPublicKey"));
            let error = if is_of_csr { format!("{error}: give a new csr") } else { error };
            AttemptError { error, ..of_acme(Stage::Finalize, &e) }
        };
        match self.ca.finalize(account, &order.answer.body.finalize, csr) {
            // The answer to an earlier request was lost. The order tells the result.
            Err(e) if e.error_type() == Some("orderNotReady") => self.ca.order(account, &order.url).map_err(told),
            answer => answer.map_err(told),
        }
    }

    /// Polls the order until the certificate is issued, or the order is invalid.
    ///
    /// # Errors
    /// When the CA does not decide in time.
    pub fn wait_for_issuance(&self, account: &Account, order: &OpenOrder) -> Result<AcmeResponse<Order>, AttemptError> {
        let answer = self.ca.wait_for_issuance(account, &order.url, order.answer.retry_after);
        answer.map_err(|e| of_acme(Stage::Finalize, &e))
    }
}

/// The challenges of an order.
pub enum Challenges {
    /// The challenges to answer.
    Pending(Vec<ChallengeRequest>),
    /// An authorization can never be valid.
    Over(AttemptError),
}

/// Problems of newOrder that are not about `replaces`.
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

/// Tells whether an authorization can never be valid: it is neither pending nor valid, or a challenge of it failed.
fn is_over(authorization: &Authorization) -> bool {
    match authorization.status {
        AcmeStatus::Valid => false,
        AcmeStatus::Pending => authorization.challenges.iter().any(|c| c.status == Some(AcmeStatus::Invalid)),
        _ => true,
    }
}

/// Tells whether the order is for exactly these names, with at most one authorization for each.
fn is_for(order: &Order, names: &[Domain]) -> bool {
    same_names(order, names) && order.authorizations.len() <= names.len()
}

/// Tells whether the identifiers are exactly these names, in any order.
fn same_names(order: &Order, names: &[Domain]) -> bool {
    let mut theirs: Vec<&str> =
        order.identifiers.iter().filter(|i| i.kind == "dns").map(|i| i.value.as_str()).collect();
    let mut ours: Vec<String> = names.iter().map(Domain::to_string).collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    theirs == ours && order.identifiers.len() == ours.len()
}

/// The challenge of an authorization, of the type that `challenge_type` gives for its name.
fn challenge(
    authorization: &Authorization,
    url: String,
    names: &[Domain],
    challenge_type: &dyn Fn(&Domain) -> ChallengeType,
) -> Result<ChallengeRequest, AttemptError> {
    let failed = |error| AttemptError::new(Stage::Order, RetryClass::Policy, error);
    let text = one_line(&authorization.name());
    let name = names.iter().find(|n| n.to_string() == text).cloned();
    let name =
        name.ok_or_else(|| failed(format!("the CA wants an authorization for {text:?}, which was not ordered")))?;
    let challenge_type = challenge_type(&name).name();
    let offered = || one_line(&authorization.challenges.iter().map(|c| c.kind.as_str()).collect::<Vec<_>>().join(", "));
    let found = authorization.challenges.iter().find(|c| c.kind == challenge_type);
    let found = found.ok_or_else(|| {
        let is_offered = |other: &&ChallengeType| authorization.challenges.iter().any(|c| c.kind == other.name());
        let other = ChallengeType::ALL.iter().find(is_offered);
        let cure = other.map(|other| format!(": `challenge: {other}` for that name is what it takes"));
        let cure = cure.unwrap_or_default();
        failed(format!("the CA offers no {challenge_type} challenge for {name}, only {}{cure}", offered()))
    })?;
    // RFC 8555 section 8.1: base64url, so that the value can not be made to say anything else.
    let token = found.token.as_deref().filter(|t| {
        !t.is_empty() && t.len() <= 1024 && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    });
    let token =
        token.ok_or_else(|| failed(format!("the {challenge_type} challenge for {name} has no usable token")))?;
    Ok(ChallengeRequest { name, token: token.to_owned(), url: found.url.clone(), authorization: url })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<Domain> {
        ["a.test", "*.a.test"].map(|n| n.parse().unwrap()).to_vec()
    }

    fn authorization(json: &str) -> Authorization {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_dns01_challenge_is_found_among_unknown_ones() {
        let given = authorization(
            r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"wildcard":true,"challenges":[
        {"type":"dns-persist-01","url":"u0"},{"type":"http-01","url":"u1","token":"t1"},{"type":"dns-01","url":"u2","token":"t-2_"}]}"#,
        );
        let found = challenge(&given, "u".to_owned(), &names(), &|_| ChallengeType::Dns01).unwrap();
        assert_eq!((found.name.to_string().as_str(), &*found.token, &*found.url), ("*.a.test", "t-2_", "u2"));
    }

    #[test]
    fn what_the_ca_may_not_ask_is_refused() {
        for (json, part) in [
            (
                r#"{"status":"pending","identifier":{"type":"dns","value":"evil.test"},"challenges":[]}"#,
                "\"evil.test\", which was not ordered",
            ),
            (
                r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"challenges":[{"type":"http-01","token":"t"}]}"#,
                "no dns-01 challenge for a.test, only http-01: `challenge: http-01` for that name",
            ),
            (
                r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"challenges":[{"type":"tls-alpn-01","token":"t"}]}"#,
                "no dns-01 challenge for a.test, only tls-alpn-01",
            ),
            (
                r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"challenges":[{"type":"dns-01"}]}"#,
                "no usable token",
            ),
            (
                r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"challenges":[{"type":"dns-01","token":""}]}"#,
                "no usable token",
            ),
            (
                r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"challenges":[{"type":"dns-01","token":"a.b"}]}"#,
                "no usable token",
            ),
        ] {
            let error =
                challenge(&authorization(json), String::new(), &names(), &|_| ChallengeType::Dns01).unwrap_err().error;
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_name_that_the_ca_proves_only_by_dns_is_told_with_the_setting() {
        let given = authorization(
            r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"challenges":[{"type":"dns-01","token":"t"}]}"#,
        );
        let error = challenge(&given, String::new(), &names(), &|_| ChallengeType::Http01).unwrap_err().error;
        let expected = "the CA offers no http-01 challenge for a.test, only dns-01: `challenge: dns-01` for that name is what it takes";
        assert_eq!(error, expected);
    }

    #[test]
    fn an_order_is_for_exactly_our_names_in_any_order() {
        let order = |names: &str| {
            serde_json::from_str::<Order>(&format!(r#"{{"status":"pending","identifiers":[{names}]}}"#)).unwrap()
        };
        let id = |value: &str| format!(r#"{{"type":"dns","value":"{value}"}}"#);
        assert!(same_names(&order(&[id("*.a.test"), id("a.test")].join(",")), &names()));
        assert!(!same_names(&order(&id("a.test")), &names()));
        assert!(!same_names(&order(&[id("*.a.test"), id("a.test"), id("b.test")].join(",")), &names()));
        let with_ip = [id("*.a.test"), id("a.test"), r#"{"type":"ip","value":"192.0.2.1"}"#.to_owned()].join(",");
        assert!(!same_names(&order(&with_ip), &names()));
    }
}
