//! Updates a record without the CA: the accepted form, values left behind, an order whose certificate is stored.

use super::attempt::Attempt;
use crate::base::limits::LEFTOVERS_KEPT;
use crate::base::time;
use crate::cert::bundle::CheckedBundle;
use crate::cert::facts;
use crate::issuance::AttemptError;
use crate::issuance::solver::{clean_up_each, give_up, remove};
use crate::policy::backoff::{RetryClass, Stage};
use crate::store::StoreError;

impl Attempt<'_> {
    /// Removes values left behind, settles a pending order that is not needed any more, and revokes replaced certificates.
    ///
    /// # Errors
    /// When a Secret cannot be read or the record cannot be written.
    pub(super) fn clean_up(&mut self) -> Result<(), AttemptError> {
        let (now, context) = (time::now(), self.context);
        self.note_revocations()?;
        let mut changed = self.accept();
        if self.claim.record.body.in_flight.is_some() {
            self.adopt_stored()?;
            self.claim.record.next_key = None;
            let published = self.claim.record.body.in_flight.take().map(|f| f.published).unwrap_or_default();
            self.claim.record.body.leftovers.extend(clean_up_each(
                &mut |presented| remove(context, presented),
                published,
                now,
            ));
            changed = true;
        }
        if !self.claim.record.body.to_revoke.is_empty() {
            let told = |e: StoreError| AttemptError::new(Stage::Store, RetryClass::Transient, e.to_string());
            let held = self.context.store.secret(self.entry().main_secret()).map_err(told)?;
            let chain = held.as_ref().and_then(|s| s.value("tls.crt"));
            let facts = chain.and_then(|chain| facts::read(chain.expose()).ok()).map(|(_, facts)| facts);
            self.revoke_replaced(facts.as_ref().map(|f| f.serial.as_str()));
            changed = true;
        }
        let leftovers = std::mem::take(&mut self.claim.record.body.leftovers);
        changed |= !leftovers.is_empty();
        for leftover in leftovers {
            if now > leftover.since.min(now) + LEFTOVERS_KEPT {
                give_up(&leftover.published);
                continue;
            }
            let left =
                clean_up_each(&mut |presented| remove(context, presented), vec![leftover.published], leftover.since);
            self.claim.record.body.leftovers.extend(left);
        }
        if changed { self.claim.save() } else { Ok(()) }
    }

    /// Notes the certificate of the pending order, where a crash came between the writes of the Secret and of the record.
    fn adopt_stored(&mut self) -> Result<(), AttemptError> {
        let (next_key, csr) = (self.claim.record.next_key.clone(), self.entry().csr.as_ref());
        let csr = csr.filter(|_| self.claim.record.body.in_flight.as_ref().is_some_and(|f| self.is_for_this(f)));
        if next_key.is_none() && csr.is_none() {
            return Ok(());
        }
        let told = |e: StoreError| AttemptError::new(Stage::Store, RetryClass::Transient, e.to_string());
        let Some(secret) = self.context.store.secret(self.entry().main_secret()).map_err(told)? else {
            return Ok(());
        };
        let chain = secret.value("tls.crt").map(|c| c.expose().clone()).unwrap_or_default();
        let (domains, now) = (&self.entry().domains, time::now());
        let bundle = match (csr, next_key) {
            (Some(csr), _) => CheckedBundle::of_request(&chain, csr, domains, now).ok(),
            (None, Some(key)) if secret.value("tls.key") == Some(&key) => {
                CheckedBundle::check(&chain, key, domains, now).ok()
            }
            (None, _) => None,
        };
        // All certificates of a CSR have one key: the one that is noted already is not the one of the pending order.
        let stored = self.claim.record.body.stored.as_ref().map(|stored| stored.serial.clone());
        if let Some(bundle) = bundle.filter(|bundle| stored.as_ref() != Some(&bundle.facts().serial)) {
            self.record_result(&bundle);
        }
        Ok(())
    }
}
