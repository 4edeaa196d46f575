//! Revokes a certificate that `notariat revoke` or an object asks for: after its replacement is stored, and at once where its key is
//! compromised or where the object wants no replacement.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::attempt::Attempt;
use crate::acme::error::AcmeError;
use crate::acme::requests::{KEY_COMPROMISE, code};
use crate::base::limits::{ERROR_KEPT_OCTETS, TO_REVOKE_MAX};
use crate::base::log::event;
use crate::base::sanitize::line_of;
use crate::base::shared_str::SharedStr;
use crate::base::time;
use crate::cert::facts;
use crate::issuance::account::AccountStore;
use crate::issuance::{AttemptError, of_acme};
use crate::policy::NEW_CSR;
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::revocation::{RevocationRequest, open, revocable};
use crate::policy::secret_state::SecretState;
use crate::record::{ObjectRevocation, RevocationEnd, ToRevoke};
use crate::store::StoreError;

impl Attempt<'_> {
    /// Notes the certificates to revoke before they are replaced, where a Secret of the entry or an object asks for it.
    ///
    /// # Errors
    /// When a Secret cannot be read or the record cannot be written.
    pub(super) fn note_revocations(&mut self) -> Result<(), AttemptError> {
        let told = |e: StoreError| AttemptError::new(Stage::Store, RetryClass::Transient, e.to_string());
        self.drop_stopped();
        let known = self.claim.record.body.to_revoke.len();
        let is_asked = |held: &SecretState| {
            let by_secret = matches!(held, SecretState::Present(present) if present.revocation_asked.is_some());
            by_secret || open(&self.wanted.revocations, &self.claim.record.body, held).next().is_some()
        };
        if !self.job.basis.held.iter().any(is_asked) {
            return Ok(());
        }
        for at in &self.entry().secrets {
            let secret = self.context.store.secret(at).map_err(told)?;
            let chain = secret.as_ref().and_then(|s| s.value("tls.crt"));
            let Some((certificates, facts)) = chain.and_then(|chain| facts::read(chain.expose()).ok()) else {
                continue;
            };
            let held = SecretState::of(secret.as_ref(), &self.context.instance);
            if let Err(why) = revocable(&self.claim.record.body, &held) {
                event!(warn, "not-revoked", secret = at, serial = facts.serial, error = format!("{at} {why}"));
                continue;
            }
            let by_secret = match &held {
                SecretState::Present(present) => present.revocation_asked.as_deref(),
                SecretState::Missing => None,
            };
            let of_objects = by_secret.is_none();
            let is_asked_by_object = self.note_requests(&held, &facts.serial);
            let to_revoke = &mut self.claim.record.body.to_revoke;
            let is_noted = to_revoke.len() >= TO_REVOKE_MAX || to_revoke.iter().any(|r| facts.serial == r.serial);
            if is_noted || (of_objects && !is_asked_by_object) {
                continue;
            }
            let certificate = certificates.first().map(|der| URL_SAFE_NO_PAD.encode(der)).unwrap_or_default();
            let reason = by_secret.and_then(code).unwrap_or_default();
            let serial = facts.serial.to_string();
            to_revoke.push(ToRevoke { serial, certificate, reason, done: false, of_objects });
        }
        let is_urgent = |r: &ToRevoke| r.reason == KEY_COMPROMISE;
        let body = &mut self.claim.record.body;
        let csr = self.job.wanted.entry.csr.as_ref();
        if let Some(csr) = csr.filter(|_| body.to_revoke.iter().skip(known).any(is_urgent)) {
            body.add_compromised(csr.public_key());
        }
        let is_new = body.to_revoke.len() > known;
        // The key is known to others, so that the certificate protects nobody.
        if is_new || body.to_revoke.iter().any(|r| is_urgent(r) && !r.done) {
            self.revoke(is_urgent);
            self.claim.save()?;
        }
        Ok(())
    }

    /// Notes the requests of objects that concern the held certificate. Returns whether there are any.
    fn note_requests(&mut self, held: &SecretState, serial: &SharedStr) -> bool {
        let body = &mut self.claim.record.body;
        let requests: Vec<&RevocationRequest> = open(&self.wanted.revocations, body, held).collect();
        let alone = requests.iter().all(|request| !request.renew);
        for request in &requests {
            let (uid, object) = (request.uid.clone(), request.at.to_string().into());
            match body.revocations.iter_mut().find(|begun| begun.uid == uid) {
                Some(begun) => begun.alone = alone,
                None => {
                    let (serial, tried, end) = (serial.clone(), None, None);
                    body.revocations.push(ObjectRevocation { uid, object, serial, alone, tried, end });
                }
            }
        }
        !requests.is_empty()
    }

    /// Drops the notes of objects that are gone, where nothing has happened yet that can not be undone.
    fn drop_stopped(&mut self) {
        let held =
            |serial: &str| self.job.basis.held.iter().filter_map(SecretState::facts).any(|f| *f.serial == *serial);
        let lives = |uid: &str| self.wanted.revocations.iter().any(|request| *request.uid == *uid);
        let body = &mut self.claim.record.body;
        body.revocations.retain(|begun| begun.end.is_some() || lives(&begun.uid) || !held(&begun.serial));
        let begun = &body.revocations;
        let is_wanted = |serial: &str| begun.iter().any(|begun| begun.end.is_none() && *begun.serial == *serial);
        body.to_revoke.retain(|r| !r.of_objects || r.done || !held(&r.serial) || is_wanted(&r.serial));
    }

    /// Revokes the held certificate without another one in its place, where an object asks for that.
    ///
    /// # Errors
    /// When the Secret cannot be read or the record cannot be written.
    pub(super) fn revoke_alone(&mut self) -> Result<(), AttemptError> {
        self.note_revocations()?;
        let body = &self.claim.record.body;
        let alone =
            |r: &ToRevoke| body.revocations.iter().any(|of| of.alone && of.end.is_none() && *of.serial == *r.serial);
        let serials: Vec<String> = body.to_revoke.iter().filter(|r| alone(r)).map(|r| r.serial.clone()).collect();
        self.revoke(|r| serials.contains(&r.serial));
        self.claim.record.body.to_revoke.retain(|r| !(r.done && r.of_objects));
        self.claim.save()
    }

    /// Checks that the key of the CSR is known to nobody else.
    ///
    /// # Errors
    /// When a certificate for it was revoked as compromised.
    pub(super) fn check_csr(&self) -> Result<(), AttemptError> {
        let csr = self.entry().csr.as_ref().filter(|csr| self.claim.record.body.is_compromised(csr.public_key()));
        let failed = |_| Err(AttemptError::new(Stage::Order, RetryClass::Policy, NEW_CSR.to_owned()));
        csr.map_or(Ok(()), failed)
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
            let ToRevoke { serial, certificate, reason, done, .. } = to_revoke;
            let at = time::now();
            let end = match self.revoke_one(certificate, *reason) {
                Ok(()) => {
                    event!(info, "revoked", secret = secret, serial = serial, reason = reason);
                    Some(RevocationEnd { at, error: None })
                }
                Err(failed) => {
                    event!(error, "not-revoked", secret = secret, serial = serial, error = failed.error);
                    let is_final = failed.severity != RetryClass::Transient;
                    let error = line_of(&failed.error, ERROR_KEPT_OCTETS).into();
                    is_final.then_some(RevocationEnd { at, error: Some(error) })
                }
            };
            *done = end.is_some();
            self.claim.record.body.end_revocations(serial, end, at);
        }
        self.claim.record.body.to_revoke = all;
    }

    fn revoke_one(&self, certificate: &str, reason: u8) -> Result<(), AttemptError> {
        let der = URL_SAFE_NO_PAD.decode(certificate).unwrap_or_default();
        let ca = &*self.context.clients.client(&self.context.store, self.wanted)?;
        let office = AccountStore { store: &self.context.store, ca, own_namespace: &self.context.namespace };
        let account = self.context.accounts.get(office, &self.context.limits, self.wanted, None, &self.context.stop)?;
        self.context.check_acting(self.wanted)?;
        ca.revoke(&account, &der, reason).map_err(|e| match &e {
            // Not ours, unknown, or a reason that the CA does not accept: repeating does not help.
            AcmeError::Problem { status: 400..=428, .. } => {
                AttemptError { severity: RetryClass::Policy, ..of_acme(Stage::Account, &e) }
            }
            _ => of_acme(Stage::Account, &e),
        })
    }
}
