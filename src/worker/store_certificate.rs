//! Stores a bundle in the Secrets of an entry, over whatever they hold by then, as long as they are ours to write; and tries that before.

use std::time::Duration;

use super::Attempt;
use crate::base::limits::STORE_TRIES;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::retry::jitter;
use crate::base::time;
use crate::cert::bundle::CheckedBundle;
use crate::issuance::AttemptError;
use crate::kube::events::EventReason;
use crate::kube::object::{SecretObject, TYPE_TLS};
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::is_abandoned;
use crate::policy::secret_state::{Owner, SecretState};
use crate::store::{Origin, StoreError};

impl Attempt<'_> {
    /// Stores the bundle in each Secret. Enough that one was written: the others are then restored from it.
    pub(super) fn store_all(
        &self,
        targets: &[&ObjectRef],
        bundle: &CheckedBundle,
        origin: &Origin,
    ) -> Result<(), AttemptError> {
        let mut failures = Vec::new();
        for target in targets {
            if let Err(e) = self.store_one(target, bundle, origin) {
                failures.push(e);
            }
        }
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

    /// Stores the bundle in one Secret, over whatever it holds by now, as long as it is still ours to write: the certificate is not
    /// dropped because somebody added a label.
    pub(super) fn store_one(
        &self,
        target: &ObjectRef,
        bundle: &CheckedBundle,
        origin: &Origin,
    ) -> Result<(), AttemptError> {
        let told = |e: StoreError| {
            AttemptError::new(Stage::Store, RetryClass::Transient, format!("{target} was not written: {e}"))
        };
        self.retry_on_conflict(target, told, |current| {
            self.check_ours(target, current)?;
            self.check_not_newer(target, current, bundle, origin)?;
            // The certificate is not lost: who leads now has the order's URL and the key in the record.
            self.context.leader.check()?;
            Ok(self.context.store.put_certificate(target, current, bundle, &self.marks(origin)).map(|_| ()))
        })
    }

    /// Tries the write of each Secret and stores nothing.
    pub(super) fn try_all(&self, targets: &[&ObjectRef], origin: &Origin) -> Result<(), AttemptError> {
        for target in targets {
            let told = |e: StoreError| {
                let error = format!("{target} can not be written, so nothing was ordered: {e}");
                AttemptError::new(Stage::Store, RetryClass::Transient, error)
            };
            self.retry_on_conflict(target, told, |current| {
                Ok(self.context.store.try_certificate(target, current, &self.marks(origin)))
            })?;
        }
        Ok(())
    }

    /// Writes over what a Secret holds by now. A conflict is read again.
    fn retry_on_conflict(
        &self,
        target: &ObjectRef,
        told: impl Fn(StoreError) -> AttemptError,
        write: impl Fn(Option<&SecretObject>) -> Result<Result<(), StoreError>, AttemptError>,
    ) -> Result<(), AttemptError> {
        for attempt in 0..STORE_TRIES {
            let current = self.context.store.secret(target).map_err(&told)?;
            match write(current.as_ref())? {
                Ok(()) => return Ok(()),
                Err(StoreError::Conflict) => {
                    let pause =
                        jitter(Duration::from_millis(200), &format!("{target} {attempt} {}", self.context.holder));
                    self.context.stop.wait(pause);
                }
                Err(e) => return Err(told(e)),
            }
        }
        Err(told(StoreError::Conflict))
    }

    /// Another instance may have stored a later certificate while this one stood still. Only what was not there when this job was decided
    /// is compared: CAs set the time back at random.
    fn check_not_newer(
        &self,
        target: &ObjectRef,
        current: Option<&SecretObject>,
        bundle: &CheckedBundle,
        origin: &Origin,
    ) -> Result<(), AttemptError> {
        let held = SecretState::of(current, &self.context.instance);
        let place = self.entry().secrets.iter().position(|secret| secret == target);
        if place.and_then(|place| self.job.basis.held.get(place)) == Some(&held) {
            return Ok(());
        }
        let SecretState::Present(present) = held else { return Ok(()) };
        let ours = present.owner == Owner::Us && present.directory.as_deref() == Some(&*origin.directory);
        let Some(facts) = present.pair.facts().filter(|_| ours) else { return Ok(()) };
        let serves = self.entry().domains.iter().all(|domain| facts.covers(domain));
        match serves && facts.not_before > bundle.facts().not_before {
            true => Err(AttemptError::busy(format!("{target} holds a later certificate by now ({})", facts.serial))),
            false => Ok(()),
        }
    }

    pub(super) fn check_ours(&self, target: &ObjectRef, current: Option<&SecretObject>) -> Result<(), AttemptError> {
        let policy = |why: String| {
            Err(AttemptError::new(Stage::Store, RetryClass::Policy, format!("{target} was not written: {why}")))
        };
        let SecretState::Present(present) = SecretState::of(current, &self.context.instance) else { return Ok(()) };
        match &present.owner {
            _ if present.kind != TYPE_TLS => policy(format!("its type is {} now", present.kind)),
            Owner::Another(owner) if !self.entry().adopt && !is_abandoned(self.entry(), &present, time::now()) => {
                policy(format!("it belongs to {owner} now"))
            }
            Owner::Another(_) | Owner::Us | Owner::Nobody => Ok(()),
        }
    }
}
