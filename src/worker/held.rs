//! The Secrets of an entry as its job knows them: from a watch, or read once.

use super::attempt::Attempt;
use super::job::KnownSecret;
use crate::issuance::AttemptError;
use crate::issuance::key_source::OwnKey;
use crate::kube::object::SecretObject;
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::secret_state::{SecretState, annotation};
use crate::store::StoreError;

impl Attempt<'_> {
    /// Learns what the Secrets hold: with `trust` as a watch shows them where their writes need no more, else by reading. Returns whether
    /// they or the record are not what the decision was made on.
    ///
    /// # Errors
    /// When a Secret cannot be read.
    pub(super) fn observe(&mut self, trust: bool) -> Result<bool, AttemptError> {
        let mut is_same = self.claim.version() == self.job.basis.record;
        for place in 0..self.entry().secrets.len() {
            let basis = self.job.basis.held.get(place);
            if trust && let Some(object) = self.as_watched(place) {
                self.secrets.set(place, object, basis.cloned().unwrap_or(SecretState::Missing));
                continue;
            }
            self.read(place).map_err(told)?;
            is_same &= basis == Some(self.secrets.state(place));
        }
        self.found_unless(is_same)
    }

    /// The Secret at a place of the entry's list as a watch shows it, with the pair of the record's copy. `None` where it has to be read.
    fn as_watched(&self, place: usize) -> Option<Option<SecretObject>> {
        let (at, copy) = (self.entry().secrets.get(place)?, self.claim.record.copy.as_ref());
        match self.job.basis.known.get(place)? {
            KnownSecret::Unknown => None,
            KnownSecret::Absent => Some(None),
            KnownSecret::Base(version, base) => {
                let held = self.job.basis.held.get(place)?.facts()?;
                let copy_facts = super::backup::backup_facts(copy)?;
                (**held == *copy_facts).then(|| base.object(at, version, copy?)).flatten().map(Some)
            }
        }
    }

    /// Reads the Secret at a place of the entry's list.
    pub(super) fn read(&mut self, place: usize) -> Result<(), StoreError> {
        let secret = self.context.store.secret(&self.entry().secrets[place])?;
        let state = SecretState::of(secret.as_ref(), &self.context.instance);
        self.secrets.set(place, secret, state);
        Ok(())
    }

    /// Whether the Secret at a place still is what the decision was made on, after a conflict made the job read it. If not, all are read.
    pub(super) fn has_changed(&mut self, place: usize) -> Result<bool, AttemptError> {
        let is_same = self.job.basis.held.get(place) == Some(self.secrets.state(place));
        self.found_unless(is_same)
    }

    fn found_unless(&mut self, is_same: bool) -> Result<bool, AttemptError> {
        if !is_same {
            let places = 0..self.entry().secrets.len();
            places.clone().try_for_each(|place| self.read(place)).map_err(told)?;
            self.found = Some(places.map(|place| self.secrets.state(place).clone()).collect());
        }
        Ok(!is_same)
    }

    /// The key of the first target, where the entry wants keys to be used again.
    pub(super) fn key_to_reuse(&self, targets: &[usize]) -> Option<OwnKey> {
        let target = targets.first().filter(|_| self.entry().reuse_key)?;
        let secret = self.secrets.object(*target)?;
        let ordered = secret.annotations.get(annotation::KEY_TYPE).map(String::as_str);
        OwnKey::reuse(secret.value("tls.key")?.expose(), self.entry().key_type, ordered)
    }
}

fn told(e: StoreError) -> AttemptError {
    AttemptError::new(Stage::Store, RetryClass::Transient, e.to_string())
}
