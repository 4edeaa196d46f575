//! Revokes a certificate that `notariat revoke` asks for: after its replacement is stored, and at once where its key is compromised.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::attempt::Attempt;
use crate::acme::error::AcmeError;
use crate::acme::requests::{KEY_COMPROMISE, code};
use crate::base::limits::TO_REVOKE_MAX;
use crate::base::log::event;
use crate::cert::facts;
use crate::issuance::account::AccountStore;
use crate::issuance::{AttemptError, of_acme};
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::secret_state::SecretState;
use crate::record::ToRevoke;
use crate::store::StoreError;

impl Attempt<'_> {
    /// Notes the certificates to revoke before they are replaced, where a Secret of the entry asks for it.
    ///
    /// # Errors
    /// When a Secret cannot be read or the record cannot be written.
    pub(super) fn note_revocations(&mut self) -> Result<(), AttemptError> {
        let told = |e: StoreError| AttemptError::new(Stage::Store, RetryClass::Transient, e.to_string());
        let known = self.claim.record.body.to_revoke.len();
        let is_asked =
            |held: &SecretState| matches!(held, SecretState::Present(present) if present.revocation_asked.is_some());
        if !self.job.basis.held.iter().any(is_asked) {
            return Ok(());
        }
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
            let to_revoke = &mut self.claim.record.body.to_revoke;
            if to_revoke.len() >= TO_REVOKE_MAX || to_revoke.iter().any(|r| facts.serial == r.serial) {
                continue;
            }
            let certificate = certificates.first().map(|der| URL_SAFE_NO_PAD.encode(der)).unwrap_or_default();
            let reason = code(&reason).unwrap_or_default();
            to_revoke.push(ToRevoke { serial: facts.serial.to_string(), certificate, reason, done: false });
        }
        if self.claim.record.body.to_revoke.len() == known {
            return Ok(());
        }
        // The key is known to others, so that the certificate protects nobody.
        self.revoke(|r| r.reason == KEY_COMPROMISE);
        self.claim.save()
    }

    /// Revokes the noted certificates that are not held any more, and removes the note.
    pub(super) fn revoke_replaced(&mut self, held_serial: Option<&str>) {
        let is_replaced = |r: &ToRevoke| held_serial.is_some_and(|held| held != r.serial);
        self.revoke(is_replaced);
        self.claim.record.body.to_revoke.retain(|r| !(r.done && is_replaced(r)));
    }

    /// Revokes some of the noted certificates. A final refusal of the CA is logged and counts as done.
    fn revoke(&mut self, which: impl Fn(&ToRevoke) -> bool) {
        let secret = self.entry().main_secret();
        let mut all = std::mem::take(&mut self.claim.record.body.to_revoke);
        for to_revoke in all.iter_mut().filter(|r| !r.done && which(r)) {
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
        self.claim.record.body.to_revoke = all;
    }

    fn revoke_one(&self, certificate: &str, reason: u8) -> Result<(), AttemptError> {
        let der = URL_SAFE_NO_PAD.decode(certificate).unwrap_or_default();
        let ca = &*self.context.clients.client(&self.context.store, self.wanted)?;
        let office = AccountStore { store: &self.context.store, ca, own_namespace: &self.context.namespace };
        let account = self.context.accounts.get(office, &self.context.limits, self.wanted, None, &self.context.stop)?;
        self.context.leader.check()?;
        ca.revoke(&account, &der, reason).map_err(|e| match &e {
            // Not ours, unknown, or a reason that the CA does not accept: repeating does not help.
            AcmeError::Problem { status: 400..=428, .. } => {
                AttemptError { severity: RetryClass::Policy, ..of_acme(Stage::Account, &e) }
            }
            _ => of_acme(Stage::Account, &e),
        })
    }
}
