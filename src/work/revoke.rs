//! Revokes a certificate that `notariat revoke` asks for: when its replacement is stored, and at once where its key is known to others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Work;
use crate::acme::error::AcmeError;
use crate::cert::facts;
use crate::decide::attempts::{Severity, Stage};
use crate::decide::held::Held;
use crate::decide::revocation::{KEY_COMPROMISE, code};
use crate::issue::account::Office;
use crate::issue::claim::Claim;
use crate::issue::{Failed, of_acme};
use crate::log::event;
use crate::record::ToRevoke;
use crate::store::StoreError;

impl Work<'_> {
    /// Remembers the certificate that is to be revoked, before it is replaced, when its Secret asks for it.
    pub(super) fn note_revocation(&self, claim: &mut Claim<'_>) -> Result<(), Failed> {
        let told = |e: StoreError| Failed::new(Stage::Store, Severity::Transient, e.to_string());
        let secret = self.context.store.secret(self.entry().main_secret()).map_err(told)?;
        let Held::Present(present) = Held::of(secret.as_ref(), &self.context.instance) else { return Ok(()) };
        let Some(reason) = present.revocation_asked else { return Ok(()) };
        let chain = secret.as_ref().and_then(|s| s.value("tls.crt"));
        let Some((certificates, facts)) = chain.and_then(|chain| facts::read(chain.expose()).ok()) else {
            return Ok(());
        };
        let to_revoke = &mut claim.record.body.to_revoke;
        if !to_revoke.iter().any(|r| r.serial == facts.serial) {
            let certificate = certificates.first().map(|der| URL_SAFE_NO_PAD.encode(der)).unwrap_or_default();
            to_revoke.push(ToRevoke { serial: facts.serial, certificate, reason: code(&reason).unwrap_or_default() });
        }
        // Whoever has the key has the certificate: it is no loss to anybody else.
        self.revoke(claim, |r| r.reason == KEY_COMPROMISE);
        Ok(())
    }

    /// Revokes what is remembered and not held any more. What the CA refuses for good is said and forgotten.
    pub(super) fn revoke_replaced(&self, claim: &mut Claim<'_>, held_serial: Option<&str>) {
        self.revoke(claim, |r| held_serial.is_some_and(|held| held != r.serial));
    }

    fn revoke(&self, claim: &mut Claim<'_>, which: impl Fn(&ToRevoke) -> bool) {
        let secret = self.entry().main_secret();
        let (now, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut claim.record.body.to_revoke).into_iter().partition(which);
        claim.record.body.to_revoke = later;
        for to_revoke in now {
            let ToRevoke { serial, certificate, reason } = &to_revoke;
            match self.revoke_one(certificate, *reason) {
                Ok(()) => event!(info, "revoked", secret = secret, serial = serial, reason = reason),
                Err(failed) => {
                    event!(error, "not-revoked", secret = secret, serial = serial, error = failed.error);
                    if failed.severity == Severity::Transient {
                        claim.record.body.to_revoke.push(to_revoke);
                    }
                }
            }
        }
    }

    fn revoke_one(&self, certificate: &str, reason: u8) -> Result<(), Failed> {
        let der = URL_SAFE_NO_PAD.decode(certificate).unwrap_or_default();
        let ca = &*self.context.cas.client(&self.context.store, self.wanted)?;
        let office = Office { store: &self.context.store, ca, own_namespace: &self.context.namespace };
        let account = self.context.accounts.get(office, &self.context.limits, self.wanted, None)?;
        ca.revoke(&account, &der, reason).map_err(|e| match &e {
            // Not ours, not known, or a reason that the CA does not take: it will not change its mind.
            AcmeError::Problem { status: 400..=428, .. } => {
                Failed { severity: Severity::Policy, ..of_acme(Stage::Account, &e) }
            }
            _ => of_acme(Stage::Account, &e),
        })
    }
}
