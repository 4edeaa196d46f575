//! Stores a certificate in the Secrets of an entry, and tries these writes before anything is ordered.

use std::time::Duration;

use super::attempt::Attempt;
use crate::base::limits::STORE_TRIES;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::retry::jitter;
use crate::base::time;
use crate::cert::bundle::CheckedBundle;
use crate::issuance::AttemptError;
use crate::kube::events::EventReason;
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::is_abandoned;
use crate::policy::secret_state::{Owner, SecretState};
use crate::store::{Marks, Origin, StoreError};

impl Attempt<'_> {
    /// Stores the certificate in the Secrets at these places. One written Secret is enough: the others are restored from it.
    ///
    /// # Errors
    /// When none was written.
    pub(super) fn store_all(
        &mut self,
        targets: &[usize],
        bundle: &CheckedBundle,
        origin: &Origin,
    ) -> Result<(), AttemptError> {
        let mut failures: Vec<AttemptError> =
            targets.iter().filter_map(|place| self.store_one(*place, bundle, origin).err()).collect();
        match failures.pop() {
            Some(failed) if failures.len() + 1 == targets.len() => Err(failed),
            Some(failed) => {
                event!(warn, "store-failed", secret = self.entry().main_secret(), error = failed.error);
                self.tell(EventReason::StoreFailed, self.entry().main_secret(), failed.error);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Stores the certificate in one Secret. After a conflict the Secret is read and written again, as long as it is ours to write: the
    /// certificate is not lost because somebody added a label.
    fn store_one(&mut self, place: usize, bundle: &CheckedBundle, origin: &Origin) -> Result<(), AttemptError> {
        let target = &self.entry().secrets[place];
        let told = |e: StoreError| {
            AttemptError::new(Stage::Store, RetryClass::Transient, format!("{target} was not written: {e}"))
        };
        for attempt in 0..STORE_TRIES {
            self.check_ours(target, self.secrets.state(place))?;
            self.check_not_newer(place, bundle, origin)?;
            // Another leader has the URL and the key of the order in the record.
            self.context.check_acting(self.wanted)?;
            let current = self.secrets.object(place);
            match self.context.store.put_certificate(target, current, bundle, &self.marks(origin)) {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict) => self.after_conflict(place, attempt).map_err(told)?,
                Err(e) => return Err(told(e)),
            }
        }
        Err(told(StoreError::Conflict))
    }

    /// Tries the write of each Secret and stores nothing. Returns whether a Secret is not what the decision was made on.
    ///
    /// # Errors
    /// Why a Secret cannot be written.
    pub(super) fn try_all(&mut self, targets: &[usize], origin: &Origin) -> Result<bool, AttemptError> {
        for place in targets {
            let target = &self.entry().secrets[*place];
            let told = |e: StoreError| {
                let error = format!("{target} can not be written, so nothing was ordered: {e}");
                AttemptError::new(Stage::Store, RetryClass::Transient, error)
            };
            let mut tries = 0..STORE_TRIES;
            loop {
                let current = self.secrets.object(*place);
                match self.context.store.try_certificate(target, current, &self.marks(origin)) {
                    Ok(()) => break,
                    Err(StoreError::Conflict) => {
                        let Some(attempt) = tries.next() else { return Err(told(StoreError::Conflict)) };
                        self.after_conflict(*place, attempt).map_err(told)?;
                        if self.has_changed(*place)? {
                            return Ok(true);
                        }
                    }
                    Err(e) => return Err(told(e)),
                }
            }
        }
        Ok(false)
    }

    /// Pauses and reads a Secret that somebody else has written.
    fn after_conflict(&mut self, place: usize, attempt: u32) -> Result<(), StoreError> {
        let seed = format!("{} {attempt} {}", self.entry().secrets[place], self.context.holder);
        if attempt > 0 {
            self.context.stop.wait(jitter(Duration::from_millis(200), &seed));
        }
        self.read(place)
    }

    /// Checks that the Secret holds no later certificate of another instance. A Secret that is as it was when the job was decided is not
    /// compared, because CAs set notBefore back at random.
    fn check_not_newer(&self, place: usize, bundle: &CheckedBundle, origin: &Origin) -> Result<(), AttemptError> {
        if self.is_as_decided_on(place) {
            return Ok(());
        }
        let held = self.secrets.state(place).clone().seen_by(self.entry());
        let SecretState::Present(present) = held else { return Ok(()) };
        let ours = present.owner == Owner::Us && present.directory.as_deref() == Some(&*origin.directory);
        let Some(facts) = present.pair.facts().filter(|_| ours) else { return Ok(()) };
        let serves = self.entry().domains.iter().all(|domain| facts.covers(domain));
        let target = &self.entry().secrets[place];
        match serves && facts.not_before > bundle.facts().not_before {
            true => Err(AttemptError::busy(format!("{target} holds a later certificate by now ({})", facts.serial))),
            false => Ok(()),
        }
    }

    /// Checks that the Secret has the type of a certificate and no other owner.
    fn check_ours(&self, target: &ObjectRef, held: &SecretState) -> Result<(), AttemptError> {
        let policy = |why: String| {
            Err(AttemptError::new(Stage::Store, RetryClass::Policy, format!("{target} was not written: {why}")))
        };
        let SecretState::Present(present) = held else { return Ok(()) };
        if present.kind != self.wanted.secret_type {
            return policy(format!("its type is {} now", present.kind));
        }
        if self.entry().adopt {
            return Ok(());
        }
        let certificate = self.wanted.certificate();
        match present.owner.another(certificate) {
            Some(owner) if !is_abandoned(self.entry(), present, time::now()) => {
                policy(format!("it belongs to {owner} now"))
            }
            None if self.wanted.is_of_objects() && present.owner.is_nobody(certificate) => {
                policy("somebody else made it meanwhile".to_owned())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The labels and annotations of a stored certificate.
    fn marks<'m>(&'m self, origin: &'m Origin) -> Marks<'m> {
        let (instance, cascade) = (&self.context.instance, self.wanted.cascade.as_deref());
        let (source, secret_type) = (&self.wanted.source, self.wanted.secret_type);
        let certificate = self.wanted.certificate();
        Marks { instance, entry: self.entry(), origin, source, secret_type, cascade, certificate }
    }

    /// The way a certificate is ordered now.
    pub(super) fn origin(&self) -> Origin {
        Origin {
            directory: self.directory.url().to_owned(),
            key_type: match self.entry().csr {
                Some(_) => self.entry().key_word().to_owned(),
                None => self.key_type().name().to_owned(),
            },
            profile: self.wanted.profile().map(str::to_owned),
        }
    }
}
