//! ACME accounts: one for each directory and email, made when first needed, kept in a Secret of our own namespace.
//!
//! The key is stored before the CA hears of it, so that no crash leaves an account that nobody holds the key of. One that is to become
//! the account's key stands beside it until a look at the account has shown which of the two the CA knows.

mod rollover;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rate_limits::RateLimits;
use super::{AttemptError, of_acme};
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

/// The accounts in use, shared by all workers. One at a time registers an account or changes it: a CA that hangs keeps those waiting that
/// need the same account, and nobody else.
#[derive(Debug, Default)]
pub struct Accounts {
    /// The lock guards a cache only, and no input or output is done under it.
    known: Mutex<KnownAccounts>,
    turns: SingleFlight<ObjectRef>,
}

#[derive(Debug, Default)]
struct KnownAccounts {
    accounts: HashMap<ObjectRef, Arc<Account>>,
    /// When accounts were registered, by directory.
    registered: Vec<(String, Time)>,
}

/// One account at one CA.
#[derive(Clone, Copy)]
pub struct AccountStore<'a> {
    /// Where accounts are kept.
    pub store: &'a Store,
    /// The CA.
    pub ca: &'a AcmeClient,
    /// Our namespace.
    pub own_namespace: &'a str,
}

/// What the Secret of an account holds.
struct AccountSecret {
    secret: SecretObject,
    key: AccountKey,
    next_key: Option<AccountKey>,
    url: Option<String>,
    email: Option<String>,
    gates: Vec<RateLimitBlock>,
}

/// Where the account of a wish is kept. An imported one by where its key came from, for its contact may change.
pub fn reference(directory: &str, wanted: &CertificateSpec, own_namespace: &str) -> ObjectRef {
    let text = match imported(wanted) {
        Some((from, _)) => format!("{directory} from {from}"),
        None => format!("{directory} {}", wanted.email().unwrap_or_default()),
    };
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    ObjectRef::new(own_namespace, &format!("notariat-acme-{}", hex(&hash.as_ref()[..8])))
}

/// The Secret that an account key is imported from, and the contact that its account is to have.
fn imported(wanted: &CertificateSpec) -> Option<(&ObjectRef, Option<&str>)> {
    let issuer = wanted.issuer.as_deref()?;
    Some((issuer.account_secret.as_ref()?, issuer.email.as_deref()))
}

impl Accounts {
    /// The account for `wanted`, as its Secret has it now, or new; a command may have given it another key. `again` is registered anew: the
    /// CA has forgotten it. What the Secret says of closed gates is noted in `limits`.
    ///
    /// # Errors
    /// When its Secret can not be read or written, or the CA refuses; or another worker is at it for too long.
    pub fn get(
        &self,
        office: AccountStore<'_>,
        limits: &RateLimits,
        wanted: &CertificateSpec,
        again: Option<&Account>,
        stop: &Shutdown,
    ) -> Result<Arc<Account>, AttemptError> {
        let at = office.reference(wanted);
        let email = imported(wanted).map_or_else(|| wanted.email(), |(_, email)| email);
        // Mostly it is there and stays as it is, and nobody has to wait for anybody.
        if let Some(kept) = office.read(&at)? {
            limits.remember(&at, kept.gates.clone());
            if let Some(account) = self.in_use(&at, &kept, again) {
                return Ok(account);
            }
        }
        let turn = self.turns.take(&at, ACCOUNT_WAIT, stop);
        let _turn =
            turn.ok_or_else(|| AttemptError::busy(format!("another certificate registers the account {at}")))?;
        // Another worker may have registered it in the meantime.
        let mut kept = match office.read(&at)? {
            Some(kept) => office.settle_next_key(kept)?,
            None => office.begin(&at, wanted)?,
        };
        limits.remember(&at, kept.gates.clone());
        if let Some(account) = self.in_use(&at, &kept, again) {
            return Ok(account);
        }
        if kept.url.is_none() || is_forgotten(&kept, again) {
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
        self.known().accounts.insert(at, account.clone());
        Ok(account)
    }

    /// The account in use, where it is what its Secret says, and the CA has not forgotten it.
    fn in_use(&self, at: &ObjectRef, kept: &AccountSecret, again: Option<&Account>) -> Option<Arc<Account>> {
        let is_same =
            |a: &&Arc<Account>| kept.url.as_ref() == Some(&a.url) && a.key.pem().expose() == kept.key.pem().expose();
        let is_settled = kept.next_key.is_none() && !is_forgotten(kept, again);
        self.known().accounts.get(at).filter(is_same).filter(|_| is_settled).cloned()
    }

    /// Counts a registration before it is made, so that workers together make no more than may be.
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

    /// It came to nothing.
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

/// Whether the CA has forgotten the account that the Secret names.
fn is_forgotten(kept: &AccountSecret, again: Option<&Account>) -> bool {
    again.is_some_and(|old| kept.url.as_ref() == Some(&old.url))
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

    /// Stores the key of a new account: a new one, or the imported.
    fn begin(&self, at: &ObjectRef, wanted: &CertificateSpec) -> Result<AccountSecret, AttemptError> {
        let key = match imported(wanted) {
            Some((from, _)) => self.import(from).map_err(|e| failed(at, RetryClass::Policy, e))?,
            None => AccountKey::generate().map_err(|e| failed(at, RetryClass::Transient, e))?,
        };
        let data = data(&key, None, None, self.ca.directory_written(), None);
        let stored = self.store.put_own(at, None, Component::Account, TYPE, data);
        let secret = stored.map_err(|e: StoreError| failed(at, RetryClass::Transient, e.to_string()))?;
        Ok(AccountSecret { secret, key, next_key: None, url: None, email: None, gates: Vec::new() })
    }

    fn import(&self, from: &ObjectRef) -> Result<AccountKey, String> {
        let secret = self.store.secret(from).map_err(|e| format!("`accountSecretName`: {e}"))?;
        let secret = secret.ok_or_else(|| format!("`accountSecretName`: the Secret {from} does not exist"))?;
        let pem = IMPORTED_KEYS.iter().find_map(|key| secret.value(key));
        let pem = pem.ok_or_else(|| {
            format!("`accountSecretName`: the Secret {from} has none of the data keys {}", IMPORTED_KEYS.join(", "))
        })?;
        AccountKey::from_pem(pem.expose()).map_err(|e| format!("`accountSecretName`: the Secret {from}: {e}"))
    }

    /// With a key that the CA knows this finds the account, else it makes one (RFC 8555 section 7.3).
    fn register(
        &self,
        kept: AccountSecret,
        wanted: &CertificateSpec,
        email: Option<&str>,
    ) -> Result<AccountSecret, AttemptError> {
        let at = &kept.secret.reference;
        let told = |e: AcmeError| of_acme(Stage::Account, &e);
        let external = wanted.issuer.as_deref().and_then(|issuer| issuer.eab_secret.as_ref());
        let external = external.map(|from| self.external(from)).transpose();
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

    /// The external account binding in a Secret.
    ///
    /// # Errors
    /// What is missing in it.
    pub fn external(&self, from: &ObjectRef) -> Result<ExternalAccountBinding, String> {
        use base64::Engine as _;
        let secret = self.store.secret(from).map_err(|e| format!("`eabSecretName`: {e}"))?;
        let secret = secret.ok_or_else(|| format!("`eabSecretName`: the Secret {from} does not exist"))?;
        let text = |key: &str| {
            let text = secret.value(key).and_then(|v| std::str::from_utf8(v.expose()).ok()).map(str::trim);
            text.filter(|t| !t.is_empty())
                .ok_or_else(|| format!("`eabSecretName`: the Secret {from} has no data key `{key}`"))
        };
        let (kid, hmac_key) = (text("kid")?.to_owned(), text("hmacKey")?);
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
            hmac_key.map_err(|_| format!("`eabSecretName`: `hmacKey` in the Secret {from} is not base64"))?;
        Ok(ExternalAccountBinding { kid, hmac_key: Secret::known("the MAC key of an external account", hmac_key) })
    }

    /// Keeps the closed gates of an account. Its other data stays.
    ///
    /// # Errors
    /// When its Secret can not be read or written.
    pub fn keep_gates(&self, at: &ObjectRef, gates: &[RateLimitBlock]) -> Result<(), AttemptError> {
        let told = |e: StoreError| failed(at, RetryClass::Transient, e.to_string());
        let Some(secret) = self.store.secret(at).map_err(told)? else { return Ok(()) };
        let json = serde_json::to_vec(gates).expect("gates are plain data");
        let mut data = secret.data.clone();
        data.insert(DATA_GATES.to_owned(), Secret::new(json));
        self.write(&secret, &data).map(|_| ())
    }

    /// Where the account of a wish is kept.
    pub fn reference(&self, wanted: &CertificateSpec) -> ObjectRef {
        reference(self.ca.directory_url(), wanted, self.own_namespace)
    }

    fn write(
        &self,
        secret: &SecretObject,
        data: &BTreeMap<String, Secret<Vec<u8>>>,
    ) -> Result<SecretObject, AttemptError> {
        // Gates stay closed whatever else changes.
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

/// The gates that are closed for an account, by its Secret. What does not read was closed by another version, and is met again at worst.
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
