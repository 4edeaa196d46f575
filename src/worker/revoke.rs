//! Revokes a certificate that `notariat revoke` asks for: when its replacement is stored, and at once where its key is known to others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Attempt;
use crate::acme::error::AcmeError;
use crate::acme::requests::{KEY_COMPROMISE, code};
use crate::base::limits::TO_REVOKE_MAX;
use crate::base::log::event;
use crate::cert::facts;
use crate::issuance::account::AccountStore;
use crate::issuance::claim::Claim;
use crate::issuance::{AttemptError, of_acme};
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::secret_state::SecretState;
use crate::record::ToRevoke;
use crate::store::StoreError;

impl Attempt<'_> {
    /// Remembers the certificates that are to be revoked, before they are replaced, where a Secret of the entry asks for it.
    pub(super) fn note_revocations(&self, claim: &mut Claim<'_>) -> Result<(), AttemptError> {
        let told = |e: StoreError| AttemptError::new(Stage::Store, RetryClass::Transient, e.to_string());
        let known = claim.record.body.to_revoke.len();
        for at in &self.entry().secrets {
            let secret = self.context.store.secret(at).map_err(told)?;
            let SecretState::Present(present) = SecretState::of(secret.as_ref(), &self.context.instance) else {
                continue;
            };
            let Some(reason) = present.revocation_asked else { continue };
            let chain = secret.as_ref().and_then(|s| s.value("tls.crt"));
            let Some((certificates, facts)) = chain.and_then(|chain| facts::read(chain.expose()).ok()) else {
                continue;
            };
            let to_revoke = &mut claim.record.body.to_revoke;
            if to_revoke.len() >= TO_REVOKE_MAX || to_revoke.iter().any(|r| facts.serial == r.serial) {
                continue;
            }
            let certificate = certificates.first().map(|der| URL_SAFE_NO_PAD.encode(der)).unwrap_or_default();
            let reason = code(&reason).unwrap_or_default();
            to_revoke.push(ToRevoke { serial: facts.serial.to_string(), certificate, reason, done: false });
        }
        if claim.record.body.to_revoke.len() == known {
            return Ok(());
        }
        // Whoever has the key has the certificate: it is no loss to anybody else.
        self.revoke(claim, |r| r.reason == KEY_COMPROMISE);
        claim.save()
    }

    /// Revokes what is remembered and not held any more, and forgets it.
    pub(super) fn revoke_replaced(&self, claim: &mut Claim<'_>, held_serial: Option<&str>) {
        let is_replaced = |r: &ToRevoke| held_serial.is_some_and(|held| held != r.serial);
        self.revoke(claim, is_replaced);
        claim.record.body.to_revoke.retain(|r| !(r.done && is_replaced(r)));
    }

    /// What the CA refuses for good is said and counts as done.
    fn revoke(&self, claim: &mut Claim<'_>, which: impl Fn(&ToRevoke) -> bool) {
        let secret = self.entry().main_secret();
        for to_revoke in claim.record.body.to_revoke.iter_mut().filter(|r| !r.done && which(r)) {
            let ToRevoke { serial, certificate, reason, done } = to_revoke;
            match self.revoke_one(certificate, *reason) {
                Ok(()) => {
                    event!(info, "revoked", secret = secret, serial = serial, reason = reason);
                    *done = true;
                }
                Err(failed) => {
                    event!(error, "not-revoked", secret = secret, serial = serial, error = failed.error);
                    *done = failed.severity != RetryClass::Transient;
                }
            }
        }
    }

    fn revoke_one(&self, certificate: &str, reason: u8) -> Result<(), AttemptError> {
        let der = URL_SAFE_NO_PAD.decode(certificate).unwrap_or_default();
        let ca = &*self.context.clients.client(&self.context.store, self.wanted)?;
        let office = AccountStore { store: &self.context.store, ca, own_namespace: &self.context.namespace };
        let account = self.context.accounts.get(office, &self.context.limits, self.wanted, None, &self.context.stop)?;
        self.context.leader.check()?;
        ca.revoke(&account, &der, reason).map_err(|e| match &e {
            // Not ours, not known, or a reason that the CA does not take: it will not change its mind.
            AcmeError::Problem { status: 400..=428, .. } => {
                AttemptError { severity: RetryClass::Policy, ..of_acme(Stage::Account, &e) }
            }
            _ => of_acme(Stage::Account, &e),
        })
    }
}
