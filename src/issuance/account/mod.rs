//! ACME accounts (RFC 8555 section 7.3): one for each directory and email, registered when first needed, kept in a Secret of our own
//! namespace.
//!
//! The key is stored before the CA receives it, so that no crash leaves an account without a key. During a change of keys both keys are
//! stored, until the CA has shown which of the two it knows.

mod rollover;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::{AttemptError, of_acme};
use super::rate_limits::RateLimits;
use crate::acme::client::{Account, AcmeClient};
use crate::acme::error::AcmeError;
use crate::acme::jws::EAB_REQUIRED;
use crate::acme::jws::{AccountKey, ExternalAccountBinding};
use crate::base::clock::happened;
use crate::base::limits::{ACCOUNT_WAIT, REGISTRATIONS_MAX, REGISTRATIONS_WINDOW};
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::secret::Secret;
use crate::base::shutdown::Shutdown;
use crate::base::single_flight::SingleFlight;
use crate::base::time::{self, Time};
use crate::cert::facts::hex;
use crate::config::issuers::Issuer;
use crate::kube::object::SecretObject;
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::ca_limits::RateLimitBlock;
use crate::sources::CertificateSpec;
use crate::store::{Component, Store, StoreError};

const TYPE: &str = "notariat/account";
const DATA_KEY: &str = "key";
const DATA_NEXT_KEY: &str = "next.key";
const DATA_URL: &str = "url";
const DATA_DIRECTORY: &str = "directory";
const DATA_EMAIL: &str = "email";
const DATA_GATES: &str = "gates";

/// The data keys under which other programs keep an account key: notariat in Go, cert-manager, Gardener's cert-management.
const IMPORTED_KEYS: [&str; 3] = ["key", "tls.key", "privateKey"];

/// The accounts in use, shared by all workers. One worker at a time registers or changes an account, so that a CA that hangs delays only
/// the certificates of that account.
#[derive(Debug, Default)]
pub struct Accounts {
    /// The lock guards a cache only. No I/O is done under it.
    known: Mutex<KnownAccounts>,
    turns: SingleFlight<ObjectRef>,
}

#[derive(Debug, Default)]
struct KnownAccounts {
    accounts: HashMap<ObjectRef, Arc<Account>>,
    /// The times of registrations, by directory.
    registered: Vec<(String, Time)>,
}

/// One account at one CA.
#[derive(Clone, Copy)]
pub struct AccountStore<'a> {
    /// The store of the accounts' Secrets.
    pub store: &'a Store,
    /// The client of the CA.
    pub ca: &'a AcmeClient,
    /// Our own namespace.
    pub own_namespace: &'a str,
}

/// The contents of an account's Secret.
struct AccountSecret {
    secret: SecretObject,
    key: AccountKey,
    next_key: Option<AccountKey>,
    url: Option<String>,
    email: Option<String>,
    gates: Vec<RateLimitBlock>,
}

/// The Secret of the account for `wanted`. The name of an imported account depends on the Secret of its key, because its contact may change.
pub fn reference(directory: &str, wanted: &CertificateSpec, own_namespace: &str) -> ObjectRef {
    let text = match imported(wanted) {
        Some((from, _)) => {
            let key = wanted.issuer.as_deref().and_then(|issuer| issuer.account_secret_key.as_deref());
            format!("{directory} from {from}{}", key.map(|key| format!(" {key}")).unwrap_or_default())
        }
        None => format!("{directory} {}", wanted.email().unwrap_or_default()),
    };
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    ObjectRef::new(own_namespace, &format!("notariat-acme-{}", hex(&hash.as_ref()[..8])))
}

/// The Secret that an account key is imported from, and the contact of the account.
fn imported(wanted: &CertificateSpec) -> Option<(&ObjectRef, Option<&str>)> {
    let issuer = wanted.issuer.as_deref()?;
    Some((issuer.account_secret.as_ref()?, issuer.email.as_deref()))
}

impl Accounts {
    /// The account for `wanted`: the one in use, else as its Secret names it, else a new one. `again` is an account that the CA has forgotten
    /// and that is registered anew. Rate limits in the Secret are added to `limits`.
    ///
    /// The Secret is read when the account is used first. A command may give the account another key later. The CA refuses the old one then,
    /// and the caller invalidates the account.
    ///
    /// # Errors
    /// When the Secret cannot be read or written, the CA refuses, or another worker holds the account for too long.
    pub fn get(
        &self,
        office: AccountStore<'_>,
        limits: &RateLimits,
        wanted: &CertificateSpec,
        again: Option<&Account>,
        stop: &Shutdown,
    ) -> Result<Arc<Account>, AttemptError> {
        let at = office.reference(wanted);
        let known = self.known().accounts.get(&at).cloned();
        if let Some(account) = known.filter(|_| again.is_none()) {
            return Ok(account);
        }
        let email = imported(wanted).map_or_else(|| wanted.email(), |(_, email)| email);
        let turn = self.turns.take(&at, ACCOUNT_WAIT, stop);
        let _turn =
            turn.ok_or_else(|| AttemptError::busy(format!("another certificate registers the account {at}")))?;
        // Another worker may have registered the account in the meantime.
        let mut kept = match office.read(&at)? {
            Some(kept) => office.settle_next_key(kept)?,
            None => office.begin(&at, wanted)?,
        };
        limits.remember(&at, kept.gates.clone());
        let is_forgotten = again.is_some_and(|old| kept.url.as_ref() == Some(&old.url));
        if kept.url.is_none() || is_forgotten {
            let (directory, now) = (office.ca.directory_url(), time::now());
            self.count_registration(&at, directory, now)?;
            kept = office.register(kept, wanted, email).inspect_err(|_| self.uncount_registration(directory, now))?;
        }
        let AccountSecret { secret, key, next_key, url, email: kept_email, .. } = kept;
        let account = Account { key, url: url.unwrap_or_default() };
        if let Some(email) = email.filter(|email| kept_email.as_deref() != Some(*email)) {
            office.ca.set_contact(&account, email).map_err(|e| of_acme(Stage::Account, &e))?;
            office.write(
                &secret,
                &data(&account.key, next_key.as_ref(), Some(&account.url), office.ca.directory_written(), Some(email)),
            )?;
            event!(info, "account-contact", account = account.url, secret = at);
        }
        let account = Arc::new(account);
        // While a change of keys is pending, the Secret tells which key holds.
        if next_key.is_none() {
            self.known().accounts.insert(at, account.clone());
        }
        Ok(account)
    }

    /// Forgets an account, so that its Secret is read when the account is needed next.
    pub fn invalidate(&self, at: &ObjectRef) {
        self.known().accounts.remove(at);
    }

    /// Forgets all accounts: another replica may have changed them.
    pub fn invalidate_all(&self) {
        self.known().accounts.clear();
    }

    /// Counts a registration before it is made, so that all workers together stay below the limit.
    fn count_registration(&self, at: &ObjectRef, directory: &str, now: Time) -> Result<(), AttemptError> {
        let registered = &mut self.known().registered;
        registered.retain(|(_, at)| *at + REGISTRATIONS_WINDOW > now && happened(*at, now));
        let mut lately = registered.iter().filter(|(d, _)| d == directory).map(|(_, at)| *at);
        if let Some(first) = lately.next().filter(|_| lately.count() + 1 >= REGISTRATIONS_MAX) {
            let error =
                format!("{REGISTRATIONS_MAX} accounts were registered at {directory} lately, and CAs allow few");
            let retry_after = Some(first + REGISTRATIONS_WINDOW);
            return Err(AttemptError { retry_after, ..failed(at, RetryClass::Transient, error) });
        }
        registered.push((directory.to_owned(), now));
        Ok(())
    }

    /// Takes back the count of a registration that failed.
    fn uncount_registration(&self, directory: &str, at: Time) {
        let registered = &mut self.known().registered;
        if let Some(place) = registered.iter().rposition(|(d, time)| d == directory && *time == at) {
            registered.remove(place);
        }
    }

    fn known(&self) -> MutexGuard<'_, KnownAccounts> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccountStore<'_> {
    fn read(&self, at: &ObjectRef) -> Result<Option<AccountSecret>, AttemptError> {
        let stored = self.store.secret(at).map_err(|e| failed(at, RetryClass::Transient, e.to_string()))?;
        let Some(secret) = stored else { return Ok(None) };
        let text = |key| secret.value(key).and_then(|v| String::from_utf8(v.expose().clone()).ok());
        let (url, email) = (text(DATA_URL), text(DATA_EMAIL));
        let key = secret.value(DATA_KEY).ok_or_else(|| format!("it has no data key `{DATA_KEY}`"));
        let key = key.and_then(|pem| AccountKey::from_pem(pem.expose()));
        let key = key.map_err(|e| failed(at, RetryClass::Policy, e))?;
        let next_key = secret.value(DATA_NEXT_KEY).and_then(|pem| AccountKey::from_pem(pem.expose()).ok());
        let gates = gates_of(&secret);
        Ok(Some(AccountSecret { secret, key, next_key, url, email, gates }))
    }

    /// Stores the key of a new account: generated or imported.
    fn begin(&self, at: &ObjectRef, wanted: &CertificateSpec) -> Result<AccountSecret, AttemptError> {
        let imported = wanted.issuer.as_deref().map_or(Ok(None), |issuer| self.import(issuer));
        let key = match imported.map_err(|e| failed(at, RetryClass::Policy, e))? {
            Some(key) => key,
            None => AccountKey::generate().map_err(|e| failed(at, RetryClass::Transient, e))?,
        };
        let data = data(&key, None, None, self.ca.directory_written(), None);
        let stored = self.store.put_own(at, None, Component::Account, TYPE, data);
        let secret = stored.map_err(|e: StoreError| failed(at, RetryClass::Transient, e.to_string()))?;
        Ok(AccountSecret { secret, key, next_key: None, url: None, email: None, gates: Vec::new() })
    }

    /// The account key that the issuer names; `None` where there is none and need not be one.
    fn import(&self, issuer: &Issuer) -> Result<Option<AccountKey>, String> {
        let Some(from) = &issuer.account_secret else { return Ok(None) };
        let secret = self.store.secret(from).map_err(|e| format!("`accountSecretName`: {e}"))?;
        let secret = match secret {
            Some(secret) => secret,
            None if issuer.account_secret_optional => return Ok(None),
            None => return Err(format!("`accountSecretName`: the Secret {from} does not exist")),
        };
        let keys: Vec<&str> = issuer.account_secret_key.as_deref().map_or(IMPORTED_KEYS.to_vec(), |key| vec![key]);
        let pem = keys.iter().find_map(|key| secret.value(key));
        let pem = pem.ok_or_else(|| {
            format!("`accountSecretName`: the Secret {from} has none of the data keys {}", keys.join(", "))
        })?;
        let key = AccountKey::from_pem(pem.expose());
        key.map(Some).map_err(|e| format!("`accountSecretName`: the Secret {from}: {e}"))
    }

    /// Finds the account of a key that the CA knows, else makes one (RFC 8555 section 7.3.1).
    fn register(
        &self,
        kept: AccountSecret,
        wanted: &CertificateSpec,
        email: Option<&str>,
    ) -> Result<AccountSecret, AttemptError> {
        let at = &kept.secret.reference;
        let told = |e: AcmeError| of_acme(Stage::Account, &e);
        let external = wanted.issuer.as_deref().map_or(Ok(None), |issuer| self.external(issuer));
        let external = external.map_err(|e| failed(at, RetryClass::Policy, e))?;
        if external.is_none() && self.ca.directory().map_err(told)?.meta.external_account_required {
            let error = format!("the CA {} {EAB_REQUIRED}", self.ca.directory_url());
            // An account that exists already needs none.
            let url = self.ca.new_account(&kept.key, email, None).map_err(|e| match e.error_type() {
                Some("externalAccountRequired") => failed(at, RetryClass::Policy, error),
                _ => told(e),
            })?;
            return self.keep(kept, url, wanted, email);
        }
        let url = self.ca.new_account(&kept.key, email, external.as_ref()).map_err(told)?;
        self.keep(kept, url, wanted, email)
    }

    fn keep(
        &self,
        kept: AccountSecret,
        url: String,
        wanted: &CertificateSpec,
        email: Option<&str>,
    ) -> Result<AccountSecret, AttemptError> {
        // An account that was there already has the contact that it had.
        let email = email.filter(|_| imported(wanted).is_none());
        let secret =
            self.write(&kept.secret, &data(&kept.key, None, Some(&url), self.ca.directory_written(), email))?;
        event!(info, "account", directory = self.ca.directory_url(), account = url, secret = secret.reference);
        Ok(AccountSecret { secret, url: Some(url), email: email.map(str::to_owned), ..kept })
    }

    /// The external account binding that the issuer names.
    ///
    /// # Errors
    /// The data key that is missing or wrong.
    pub fn external(&self, issuer: &Issuer) -> Result<Option<ExternalAccountBinding>, String> {
        use base64::Engine as _;
        let Some(from) = &issuer.eab_secret else { return Ok(None) };
        let secret = self.store.secret(from).map_err(|e| format!("`eabSecretName`: {e}"))?;
        let secret = secret.ok_or_else(|| format!("`eabSecretName`: the Secret {from} does not exist"))?;
        let text = |key: &str| {
            let text = secret.value(key).and_then(|v| std::str::from_utf8(v.expose()).ok()).map(str::trim);
            text.filter(|t| !t.is_empty()).ok_or_else(|| format!("`eabSecretName`: {}", secret.lacks(key, "")))
        };
        let data_key = issuer.eab_secret_key.as_deref().unwrap_or("hmacKey");
        let kid = issuer.eab_key_id.as_deref().map_or_else(|| text("kid"), Ok)?.to_owned();
        let hmac_key = text(data_key)?;
        // CAs print it with and without padding, in both alphabets.
        let in_url_safe = |c| {
            if c == '+' {
                '-'
            } else if c == '/' {
                '_'
            } else {
                c
            }
        };
        let plain: zeroize::Zeroizing<String> =
            zeroize::Zeroizing::new(hmac_key.trim_end_matches('=').chars().map(in_url_safe).collect());
        let hmac_key = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(plain.as_bytes());
        let hmac_key =
            hmac_key.map_err(|_| format!("`eabSecretName`: `{data_key}` in the Secret {from} is not base64"))?;
        let hmac_key = Secret::known("the MAC key of an external account", hmac_key);
        Ok(Some(ExternalAccountBinding { kid, hmac_key }))
    }

    /// Stores the rate limits of an account beside its other data.
    ///
    /// # Errors
    /// When the Secret cannot be read or written.
    pub fn keep_gates(&self, at: &ObjectRef, gates: &[RateLimitBlock]) -> Result<(), AttemptError> {
        let told = |e: StoreError| failed(at, RetryClass::Transient, e.to_string());
        let Some(secret) = self.store.secret(at).map_err(told)? else { return Ok(()) };
        let json = serde_json::to_vec(gates).expect("gates are plain data");
        let mut data = secret.data.clone();
        data.insert(DATA_GATES.to_owned(), Secret::new(json));
        self.write(&secret, &data).map(|_| ())
    }

    /// The Secret of the account for `wanted`.
    pub fn reference(&self, wanted: &CertificateSpec) -> ObjectRef {
        reference(self.ca.directory_url(), wanted, self.own_namespace)
    }

    fn write(
        &self,
        secret: &SecretObject,
        data: &BTreeMap<String, Secret<Vec<u8>>>,
    ) -> Result<SecretObject, AttemptError> {
        // Rate limits hold whatever else changes.
        let gates = secret.data.get_key_value(DATA_GATES).map(|(key, gates)| (key.clone(), gates.clone()));
        let data = gates.into_iter().chain(data.clone()).collect();
        let written = self.store.put_own(&secret.reference, Some(secret), Component::Account, TYPE, data);
        written.map_err(|e| failed(&secret.reference, RetryClass::Transient, e.to_string()))
    }
}

fn failed(at: &ObjectRef, severity: RetryClass, error: String) -> AttemptError {
    AttemptError::new(Stage::Account, severity, format!("the account {at}: {error}"))
}

/// The URL of an account's Secret, once it is registered.
pub fn url_of(secret: &SecretObject) -> Option<String> {
    secret.value(DATA_URL).and_then(|v| String::from_utf8(v.expose().clone()).ok())
}

/// The directory of an account's Secret, for commands that are given its name.
pub fn directory_of(secret: &SecretObject) -> Option<String> {
    secret.value(DATA_DIRECTORY).and_then(|v| String::from_utf8(v.expose().clone()).ok())
}

/// The rate limits in an account's Secret. Limits of another version that do not parse are dropped; the CA repeats them at worst.
pub fn gates_of(secret: &SecretObject) -> Vec<RateLimitBlock> {
    secret.value(DATA_GATES).and_then(|v| serde_json::from_slice(v.expose()).ok()).unwrap_or_default()
}

fn data(
    key: &AccountKey,
    next_key: Option<&AccountKey>,
    url: Option<&str>,
    directory: &str,
    email: Option<&str>,
) -> BTreeMap<String, Secret<Vec<u8>>> {
    let text = |value: &str| Secret::new(value.as_bytes().to_vec());
    let mut data =
        BTreeMap::from([(DATA_KEY.to_owned(), key.pem().clone()), (DATA_DIRECTORY.to_owned(), text(directory))]);
    data.extend(next_key.map(|next| (DATA_NEXT_KEY.to_owned(), next.pem().clone())));
    data.extend(url.map(|url| (DATA_URL.to_owned(), text(url))));
    data.extend(email.map(|email| (DATA_EMAIL.to_owned(), text(email))));
    data
}
