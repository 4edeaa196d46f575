//! The requests to a CA: accounts, orders, authorizations, certificates, renewal information (RFC 8555 section 7, RFC
//! 9773).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::client::{Account, AcmeClient, AcmeResponse, decode, refused};
use super::error::AcmeError;
use super::jws::{AccountKey, ExternalAccountBinding, KeyIdentifier, Payload};
use super::poll::Phase;
use super::wire::{AccountObject, AcmeStatus, Authorization, Challenge, Order, RenewalInfo, alternates};
use crate::base::limits::{ALTERNATE_CHAINS_MAX, POLL_FIRST, POLL_IN_ALL, POLL_PAUSE_MAX};
use crate::base::name::Domain;
use crate::base::retry::Backoff;
use crate::base::time::{self, Deadline, Stopwatch, Time};
use crate::http::Method;

/// The contents of a new order.
#[derive(Clone, Copy, Debug)]
pub struct NewOrder<'a> {
    /// The names.
    pub names: &'a [Domain],
    /// The profile (draft-ietf-acme-profiles).
    pub profile: Option<&'a str>,
    /// The identifier of the replaced certificate (RFC 9773 section 5).
    pub replaces: Option<&'a str>,
}

/// A downloaded chain.
#[derive(Clone, Debug)]
pub struct CertificateChain {
    /// The chain in PEM, leaf first.
    pub chain: Vec<u8>,
    /// The CA's clock at that moment.
    pub date: Option<Time>,
    /// The URLs of alternate chains of the same certificate.
    pub alternates: Vec<String>,
}

/// The CRLReason of a key that others know: the certificate is revoked before it is replaced.
pub const KEY_COMPROMISE: u8 = 1;

/// The CRLReasons that a subscriber may give (RFC 5280 section 5.3.1, Baseline Requirements section 7.2.2).
pub const REASONS: [(&str, u8); 4] =
    [("unspecified", 0), ("keyCompromise", KEY_COMPROMISE), ("superseded", 4), ("cessationOfOperation", 5)];

/// The CRLReason with this name.
pub fn code(word: &str) -> Option<u8> {
    REASONS.iter().find(|(name, _)| *name == word).map(|(_, code)| *code)
}

impl AcmeClient {
    /// Registers `key`, or finds its account when the CA knows the key (section 7.3). Returns the account URL.
    ///
    /// # Errors
    /// When the CA refuses.
    pub fn new_account(
        &self,
        key: &AccountKey,
        email: Option<&str>,
        external: Option<&ExternalAccountBinding>,
    ) -> Result<String, AcmeError> {
        const WHAT: &str = "newAccount";
        let url = self.directory()?.new_account.clone();
        let mut payload = Map::from_iter([("termsOfServiceAgreed".to_owned(), json!(true))]);
        payload.extend(email.map(|email| ("contact".to_owned(), json!([format!("mailto:{email}")]))));
        payload.extend(external.map(|it| ("externalAccountBinding".to_owned(), it.binding(&url, key))));
        let payload = Value::Object(payload);
        let reply = self.signed(WHAT, key, KeyIdentifier::Key, &url, &Payload::Json(payload));
        let is_doubtful = external.is_some_and(ExternalAccountBinding::may_be_encoded_twice);
        let reply = reply.map_err(|e| if is_doubtful { with_doubt(e) } else { e })?;
        self.location(WHAT, reply.header("location"))
    }

    /// Fetches the account (section 7.3.3), which proves that the CA knows it under this key.
    ///
    /// # Errors
    /// When the CA refuses.
    pub fn account(&self, account: &Account) -> Result<AccountObject, AcmeError> {
        self.post("account", account, &account.url, &Payload::PostAsGet).map(|answer| answer.body)
    }

    /// Changes the contact of an account (section 7.3.2).
    ///
    /// # Errors
    /// When the CA refuses.
    pub fn set_contact(&self, account: &Account, email: &str) -> Result<(), AcmeError> {
        let payload = Payload::Json(json!({"contact": [format!("mailto:{email}")]}));
        self.post::<AccountObject>("account", account, &account.url, &payload).map(|_| ())
    }

    /// Makes `new` the key of an account (section 7.3.5).
    ///
    /// # Errors
    /// When the CA refuses. After a lost answer, only a request with the new key shows whether the change happened.
    pub fn change_key(&self, account: &Account, new: &AccountKey) -> Result<(), AcmeError> {
        const WHAT: &str = "keyChange";
        let url = self.directory()?.key_change.clone();
        let url =
            url.ok_or_else(|| AcmeError::Unusable { what: "directory", why: "it has no keyChange".to_owned() })?;
        let inner = new.key_change(&url, &account.url, &account.key);
        let inner = inner.map_err(|why| AcmeError::Unusable { what: WHAT, why })?;
        self.signed(WHAT, &account.key, KeyIdentifier::Account(&account.url), &url, &Payload::Json(inner)).map(|_| ())
    }

    /// Orders a certificate (section 7.4).
    ///
    /// # Errors
    /// When the CA refuses.
    pub fn new_order(&self, account: &Account, order: &NewOrder<'_>) -> Result<AcmeResponse<Order>, AcmeError> {
        const WHAT: &str = "newOrder";
        let identifiers: Vec<_> = order.names.iter().map(|n| json!({"type": "dns", "value": n.to_string()})).collect();
        let mut payload = Map::from_iter([("identifiers".to_owned(), json!(identifiers))]);
        payload.extend(order.profile.map(|profile| ("profile".to_owned(), json!(profile))));
        payload.extend(order.replaces.map(|replaces| ("replaces".to_owned(), json!(replaces))));
        let payload = Value::Object(payload);
        let url = self.directory()?.new_order.clone();
        let answer: AcmeResponse<Order> = self.post(WHAT, account, &url, &Payload::Json(payload))?;
        self.location(WHAT, answer.location.as_deref())?;
        Ok(answer)
    }

    /// Fetches an order.
    ///
    /// # Errors
    /// When the CA refuses.
    pub fn order(&self, account: &Account, url: &str) -> Result<AcmeResponse<Order>, AcmeError> {
        self.post("order", account, url, &Payload::PostAsGet)
    }

    /// Fetches an authorization (section 7.5).
    ///
    /// # Errors
    /// When the CA refuses.
    pub fn authorization(&self, account: &Account, url: &str) -> Result<AcmeResponse<Authorization>, AcmeError> {
        self.post("authorization", account, url, &Payload::PostAsGet)
    }

    /// Responds to a challenge (section 7.5.1). The body is the state of the challenge, or a default one where it does
    /// not parse.
    ///
    /// # Errors
    /// When the CA refuses.
    pub fn respond_to_challenge(&self, account: &Account, url: &str) -> Result<AcmeResponse<Challenge>, AcmeError> {
        const WHAT: &str = "challenge";
        self.check_url(WHAT, url)?;
        let empty = Payload::Json(json!({}));
        let reply = self.signed(WHAT, &account.key, KeyIdentifier::Account(&account.url), url, &empty)?;
        Ok(AcmeResponse {
            location: None,
            retry_after: reply.retry_after(time::now()),
            date: reply.date(),
            body: serde_json::from_slice(&reply.body).unwrap_or_default(),
        })
    }

    /// Sends the CSR (section 7.4).
    ///
    /// # Errors
    /// When the CA refuses.
    pub fn finalize(&self, account: &Account, url: &str, csr: &[u8]) -> Result<AcmeResponse<Order>, AcmeError> {
        let payload = Payload::Json(json!({"csr": URL_SAFE_NO_PAD.encode(csr)}));
        self.post("finalize", account, url, &payload)
    }

    /// Downloads a chain (section 7.4.2).
    ///
    /// # Errors
    /// When the CA refuses.
    pub fn certificate(&self, account: &Account, url: &str) -> Result<CertificateChain, AcmeError> {
        const WHAT: &str = "certificate";
        self.check_url(WHAT, url)?;
        let reply = self.signed(WHAT, &account.key, KeyIdentifier::Account(&account.url), url, &Payload::PostAsGet)?;
        let links = reply.headers.get_all("link").iter().filter_map(|value| value.to_str().ok());
        let alternates = links.flat_map(alternates).take(ALTERNATE_CHAINS_MAX).collect();
        Ok(CertificateChain { date: reply.date(), alternates, chain: reply.body })
    }

    /// Revokes a certificate in DER (section 7.6); `reason` is a CRLReason of RFC 5280 section 5.3.1. An already
    /// revoked certificate is no error.
    ///
    /// # Errors
    /// When the CA refuses.
    pub fn revoke(&self, account: &Account, certificate: &[u8], reason: u8) -> Result<(), AcmeError> {
        const WHAT: &str = "revokeCert";
        let url = self.directory()?.revoke_cert.clone();
        let url =
            url.ok_or_else(|| AcmeError::Unusable { what: "directory", why: "it has no revokeCert".to_owned() })?;
        let payload = json!({"certificate": URL_SAFE_NO_PAD.encode(certificate), "reason": reason});
        match self.signed(WHAT, &account.key, KeyIdentifier::Account(&account.url), &url, &Payload::Json(payload)) {
            Ok(_) => Ok(()),
            Err(e) if e.error_type() == Some("alreadyRevoked") => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// The renewal information of a certificate (RFC 9773 section 4.1). `None`: the CA has no such service.
    ///
    /// # Errors
    /// When the CA gives no usable answer.
    pub fn renewal_info(&self, cert_id: &str) -> Result<Option<AcmeResponse<RenewalInfo>>, AcmeError> {
        const WHAT: &str = "renewalInfo";
        let Some(base) = self.directory()?.renewal_info.clone() else { return Ok(None) };
        let reply = self.send(Method::Get, &format!("{}/{cert_id}", base.trim_end_matches('/')), &[])?;
        if !reply.is_success() {
            return Err(refused(WHAT, &reply));
        }
        Ok(Some(AcmeResponse {
            location: None,
            retry_after: reply.retry_after(time::now()),
            date: reply.date(),
            body: decode(WHAT, &reply.body)?,
        }))
    }

    /// The learned pause before the first poll of an order in this phase.
    pub fn first_pause(&self, phase: Phase) -> Duration {
        self.cache().pace.first(phase)
    }

    /// Learns from the number of polls and the time that they took.
    pub fn learn_pace(&self, phase: Phase, polls: u32, took: Duration) {
        self.cache().pace.learn(phase, polls, took);
    }

    /// Polls an order until it leaves `processing`, at the CA's pace and by its Retry-After.
    ///
    /// # Errors
    /// When the CA refuses, or nothing changed for ten minutes: the order can be continued later.
    pub fn wait_for_issuance(
        &self,
        account: &Account,
        url: &str,
        retry_after: Option<Time>,
    ) -> Result<AcmeResponse<Order>, AcmeError> {
        let (watch, deadline) = (Stopwatch::start(), Deadline::after(POLL_IN_ALL));
        let mut pause = asked(retry_after).unwrap_or(self.first_pause(Phase::Issuance));
        let mut polls = 0u32;
        loop {
            if self.stop.wait(pause) {
                return Err(AcmeError::Stopped);
            }
            let answer = self.order(account, url)?;
            polls = polls.saturating_add(1);
            let status = &answer.body.status;
            let waiting = matches!(status, AcmeStatus::Ready | AcmeStatus::Processing | AcmeStatus::Unknown(_))
                || (*status == AcmeStatus::Valid && answer.body.certificate.is_none());
            if !waiting {
                if retry_after.is_none() {
                    self.learn_pace(Phase::Issuance, polls, watch.elapsed());
                }
                return Ok(answer);
            }
            if deadline.left().is_none() {
                let why = format!("the order is {status:?} for {}", time::human(POLL_IN_ALL));
                return Err(AcmeError::Unusable { what: "order", why });
            }
            pause = next_pause(pause, answer.retry_after);
        }
    }
}

/// Adds the possible fault in the key of an external account binding to a refusal.
fn with_doubt(error: AcmeError) -> AcmeError {
    match error {
        AcmeError::Problem { what, status, mut problem, retry_after } if status < 500 && status != 429 => {
            problem.detail += "; `hmacKey` looks as if it were encoded in base64 twice: `stringData` of a Secret takes it as the CA gave it";
            AcmeError::Problem { what, status, problem, retry_after }
        }
        other => other,
    }
}

/// The pause before the next poll: the CA's Retry-After, else twice the last pause.
pub fn next_pause(pause: Duration, retry_after: Option<Time>) -> Duration {
    asked(retry_after).unwrap_or_else(|| Backoff::doubling(POLL_FIRST, POLL_PAUSE_MAX).after(pause))
}

/// The wait of a Retry-After, within the bounds of a poll.
fn asked(retry_after: Option<Time>) -> Option<Duration> {
    retry_after.map(|at| at.since(time::now()).clamp(POLL_FIRST, POLL_PAUSE_MAX))
}
