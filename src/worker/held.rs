//! The Secrets of an entry as its job knows them: from a watch, or read once.

use super::attempt::Attempt;
use super::job::KnownSecret;
use crate::cert::key::{CertificateKey, KeyError, KeyType, public_digest};
use crate::config::table::KEY_TYPES;
use crate::issuance::AttemptError;
use crate::issuance::key_source::KeySource;
use crate::kube::object::SecretObject;
use crate::kube::resource::Resource;
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
            is_same &= self.is_as_decided_on(place);
        }
        self.found_unless(is_same)
    }

    /// The Secret at a place of the entry's list as a watch shows it, with the pair of the record's copy. `None` where it has to be read: beside
    /// the certificate of a CSR, which has no key in its copy, there may be a key that nothing else has.
    fn as_watched(&self, place: usize) -> Option<Option<SecretObject>> {
        let (at, copy) = (self.entry().secrets.get(place)?, self.claim.record.copy.as_ref());
        match self.job.basis.known.get(place)? {
            KnownSecret::Unknown => None,
            KnownSecret::Absent => Some(None),
            KnownSecret::Base(version, base) => {
                let held = self.job.basis.held.get(place)?.facts()?;
                let copy_facts = super::backup::backup_facts(copy, self.claim.record.body.stored.as_ref())?;
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

    /// Tells whether the Secret at a place still is what the decision was made on, after a conflict made the job read it. If not, all are read.
    pub(super) fn has_changed(&mut self, place: usize) -> Result<bool, AttemptError> {
        self.found_unless(self.is_as_decided_on(place))
    }

    /// Tells whether the entry sees the Secret at a place as it was when the job was decided.
    pub(super) fn is_as_decided_on(&self, place: usize) -> bool {
        let seen = self.secrets.state(place).clone().seen_by(self.entry());
        self.job.basis.held.get(place) == Some(&seen)
    }

    fn found_unless(&mut self, is_same: bool) -> Result<bool, AttemptError> {
        if !is_same {
            let places = 0..self.entry().secrets.len();
            places.clone().try_for_each(|place| self.read(place)).map_err(told)?;
            self.found = Some(places.map(|place| self.secrets.state(place).clone()).collect());
        }
        Ok(!is_same)
    }

    /// The type of a new key: that of the held key, where the entry keeps it.
    pub(super) fn key_type(&self) -> KeyType {
        let kept = self.entry().keep_key_type.then(|| self.secrets.object(0)?.value("tls.key").cloned()).flatten();
        let held = kept.and_then(|pem| CertificateKey::from_pem(pem.expose()).ok());
        let known = held.and_then(|key| KEY_TYPES.iter().map(|(_, kind)| *kind).find(|kind| key.is(*kind)));
        known.unwrap_or(self.entry().key_type)
    }

    /// The key of the first target, where the entry wants keys to be used again; `None` where a new one is made.
    ///
    /// # Errors
    /// Where a Certificate of cert-manager forbids a new key (rotationPolicy Never), and the held one is not of the wanted type.
    pub(super) fn key_to_reuse(&self, targets: &[usize]) -> Result<Option<KeySource>, AttemptError> {
        let target = targets.first().filter(|_| self.entry().reuse_key);
        let Some(secret) = target.and_then(|target| self.secrets.object(*target)) else { return Ok(None) };
        let Some(pem) = secret.value("tls.key").filter(|pem| !pem.expose().is_empty()) else { return Ok(None) };
        let (ordered, wanted) = (secret.annotations.get(annotation::KEY_TYPE).map(String::as_str), self.key_type());
        if self.wanted.objects.iter().all(|object| object.kind != Resource::CERTIFICATES.kind) {
            return Ok(KeySource::reuse(pem.expose(), wanted, ordered));
        }
        // As cert-manager: what is no key at all is replaced, and any other key waits for a person.
        let key = match CertificateKey::from_pem(pem.expose()) {
            Ok(key) if key.is(wanted) => return Ok(Some(KeySource::Own(Box::new(key)))),
            Ok(key) => KEY_TYPES.iter().find(|(_, kind)| key.is(*kind)).map_or("of another type", |(name, _)| name),
            Err(_) if public_digest(pem.expose()) == Err(KeyError::Unparsable) => return Ok(None),
            Err(_) => "of a type that can not be used here",
        };
        let why = format!(
            "its key is {key}, {} is wanted, and rotationPolicy Never forbids a new key: nothing is ordered until a person sets \
             rotationPolicy to Always or privateKey to the key that is there",
            wanted.name()
        );
        Err(AttemptError::new(Stage::Order, RetryClass::Policy, why))
    }
}

fn told(e: StoreError) -> AttemptError {
    AttemptError::new(Stage::Store, RetryClass::Transient, e.to_string())
}
