//! The change of an account's key (RFC 8555 section 7.3.5). After any crash one of the two keys in the Secret is the account's.

use super::{AccountSecret, AccountStore, data, failed};
use crate::acme::client::Account;
use crate::acme::error::AcmeError;
use crate::acme::jws::AccountKey;
use crate::acme::wire::AcmeStatus;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::issuance::error::{AttemptError, of_acme};
use crate::policy::backoff::RetryClass;
use crate::policy::backoff::Stage;

impl AccountStore<'_> {
    /// Asks which of the two keys the CA knows, after a change that did not end.
    pub(super) fn settle_next_key(&self, kept: AccountSecret) -> Result<AccountSecret, AttemptError> {
        let AccountSecret { secret, key, next_key: Some(next_key), url: Some(url), email, gates } = kept else {
            return Ok(kept);
        };
        let next = Account { key: next_key, url };
        let took = match self.ca.account(&next) {
            Ok(standing) => standing.status == AcmeStatus::Valid,
            // The CA knows the account and not the key.
            Err(e)
                if matches!(
                    e.error_type(),
                    Some("unauthorized" | "malformed" | "accountDoesNotExist" | "badSignatureAlgorithm")
                ) =>
            {
                false
            }
            Err(e) => return Err(of_acme(Stage::Account, &e)),
        };
        let Account { key: next_key, url } = next;
        if !took {
            // Another process may be changing the key at this moment. Only `roll_over` replaces the second key.
            return Ok(AccountSecret { secret, key, next_key: Some(next_key), url: Some(url), email, gates });
        }
        let data = data(&next_key, None, Some(&url), self.ca.directory_written(), email.as_deref());
        let (secret, key) = (self.write(&secret, &data)?, next_key);
        event!(info, "account-key-settled", account = url);
        Ok(AccountSecret { secret, key, next_key: None, url: Some(url), email, gates })
    }

    /// Gives the account in the Secret `at` a new key. After any crash one of the two keys in the Secret is the account's.
    ///
    /// # Errors
    /// When there is no account, or the CA refuses.
    pub fn roll_over(&self, at: &ObjectRef) -> Result<String, AttemptError> {
        let wrong = |e: &str| failed(at, RetryClass::Policy, e.to_owned());
        let kept = self.read(at)?.ok_or_else(|| wrong("it does not exist"))?;
        let AccountSecret { secret, key, url, email, gates, .. } = self.settle_next_key(kept)?;
        let url = url.ok_or_else(|| wrong("it was never registered"))?;
        let directory = self.ca.directory_written();
        let offered = self.ca.directory().map_err(|e| of_acme(Stage::Account, &e))?.key_change.is_some();
        if !offered {
            return Err(wrong(&format!("the CA {directory} offers no change of account keys; the key stays")));
        }
        let next = AccountKey::generate().map_err(|e| failed(at, RetryClass::Transient, e))?;
        let secret = self.write(&secret, &data(&key, Some(&next), Some(&url), directory, email.as_deref()))?;
        let account = Account { key, url };
        let refused = match self.ca.change_key(&account, &next) {
            Ok(()) => None,
            Err(e) if is_for_good(&e) => Some(e),
            Err(e) => return Err(of_acme(Stage::Account, &e)),
        };
        // Some CAs accept and change nothing when the key belongs to another account. So the new key is tested.
        let kept = AccountSecret {
            secret,
            key: account.key,
            next_key: Some(next),
            url: Some(account.url.clone()),
            email,
            gates,
        };
        let before = kept.key.thumbprint();
        let kept = self.settle_next_key(kept)?;
        let is_old = kept.key.thumbprint() == before;
        if let Some(refused) = refused.filter(|_| is_old) {
            // The CA does not know the new key, and never will.
            self.write(&kept.secret, &data(&kept.key, None, Some(&account.url), directory, kept.email.as_deref()))?;
            return Err(wrong(&format!(
                "the CA {directory} offers no change of account keys, or not for this account; the key stays: {refused}"
            )));
        }
        match is_old {
            true => Err(wrong("the CA agreed to the change of keys and goes on with the old one")),
            false => Ok(account.url),
        }
    }
}

/// Tells whether the refusal of a change of keys is final.
fn is_for_good(e: &AcmeError) -> bool {
    matches!(e, AcmeError::Problem { status: 403 | 404 | 405 | 501, .. })
}
