//! ACME accounts: one for each directory and email, made when first needed, kept in a Secret of our own namespace.
//!
//! The key is stored before the CA hears of it, so that no crash leaves an account that nobody holds the key of.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Failed, of_acme};
use crate::acme::client::{Account, Client};
use crate::acme::jws::AccountKey;
use crate::cert::facts::hex;
use crate::decide::attempts::{Severity, Stage};
use crate::kube::object::SecretObject;
use crate::log::event;
use crate::name::ObjectRef;
use crate::secret::Secret;
use crate::sources::Wanted;
use crate::store::{Component, Store, StoreError};

const TYPE: &str = "notariat/account";
const DATA_KEY: &str = "key";
const DATA_URL: &str = "url";
const DATA_DIRECTORY: &str = "directory";
const DATA_EMAIL: &str = "email";

/// The accounts in use. Shared by all workers; one at a time makes an account.
#[derive(Debug, Default)]
pub struct Accounts(Mutex<HashMap<ObjectRef, Arc<Account>>>);

/// Where the account of an email at a directory is kept.
pub fn reference(directory: &str, email: Option<&str>, own_namespace: &str) -> ObjectRef {
    let text = format!("{directory} {}", email.unwrap_or_default());
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    ObjectRef { namespace: own_namespace.to_owned(), name: format!("notariat-acme-{}", hex(&hash.as_ref()[..8])) }
}

impl Accounts {
    /// The account for `wanted`, from memory, from its Secret, or new. `again` registers it anew: the CA has forgotten it.
    ///
    /// # Errors
    /// When its Secret can not be read or written, or the CA refuses.
    pub fn get(
        &self,
        store: &Store,
        ca: &Client,
        wanted: &Wanted,
        own_namespace: &str,
        again: Option<&Account>,
    ) -> Result<Arc<Account>, Failed> {
        let email = wanted.email();
        let at = reference(ca.directory_url(), email, own_namespace);
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Another worker may have registered it anew in the meantime.
        if let Some(account) = accounts.get(&at).filter(|a| again.is_none_or(|old| old.url != a.url)) {
            return Ok(account.clone());
        }
        let failed = |e: String| Failed::new(Stage::Account, Severity::Transient, format!("the account {at}: {e}"));
        let told = |e: StoreError| failed(e.to_string());
        let stored = store.secret(&at).map_err(told)?;
        let (secret, key) = match stored {
            Some(secret) => {
                let key = key_of(&secret).map_err(|e| Failed { severity: Severity::Policy, ..failed(e) })?;
                (secret, key)
            }
            None => {
                let key = AccountKey::generate().map_err(failed)?;
                let data = data(&key, None, ca.directory_url(), email);
                (store.put_own(&at, None, Component::Account, TYPE, data).map_err(told)?, key)
            }
        };
        let known = secret.value(DATA_URL).and_then(|u| String::from_utf8(u.expose().clone()).ok());
        let url = match known.filter(|_| again.is_none()) {
            Some(url) => url,
            None => {
                // With a key that the CA knows this finds the account, else it makes one (RFC 8555 section 7.3).
                let url = ca.new_account(&key, email).map_err(|e| of_acme(Stage::Account, &e))?;
                let data = data(&key, Some(&url), ca.directory_url(), email);
                store.put_own(&at, Some(&secret), Component::Account, TYPE, data).map_err(told)?;
                event!(info, "account", directory = ca.directory_url(), account = url, secret = at);
                url
            }
        };
        let account = Arc::new(Account { key, url });
        accounts.insert(at, account.clone());
        Ok(account)
    }
}

fn key_of(secret: &SecretObject) -> Result<AccountKey, String> {
    let pem = secret.value(DATA_KEY).ok_or_else(|| format!("it has no data key `{DATA_KEY}`"))?;
    AccountKey::from_pem(pem.expose())
}

fn data(
    key: &AccountKey,
    url: Option<&str>,
    directory: &str,
    email: Option<&str>,
) -> BTreeMap<String, Secret<Vec<u8>>> {
    let text = |value: &str| Secret::new(value.as_bytes().to_vec());
    let mut data =
        BTreeMap::from([(DATA_KEY.to_owned(), key.pem().clone()), (DATA_DIRECTORY.to_owned(), text(directory))]);
    data.extend(url.map(|url| (DATA_URL.to_owned(), text(url))));
    data.extend(email.map(|email| (DATA_EMAIL.to_owned(), text(email))));
    data
}
