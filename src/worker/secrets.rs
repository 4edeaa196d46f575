//! The Secrets of an entry, as a job knows them.

use crate::kube::object::SecretObject;
use crate::policy::secret_state::SecretState;

/// The objects to write over and the states of an entry's Secrets, in its order.
#[derive(Debug)]
pub(super) struct HeldSecrets(Vec<(Option<SecretObject>, SecretState)>);

impl HeldSecrets {
    /// Nothing is known of `count` Secrets.
    pub(super) fn new(count: usize) -> HeldSecrets {
        HeldSecrets((0..count).map(|_| (None, SecretState::Missing)).collect())
    }

    pub(super) fn set(&mut self, place: usize, object: Option<SecretObject>, state: SecretState) {
        self.0[place] = (object, state);
    }

    pub(super) fn object(&self, place: usize) -> Option<&SecretObject> {
        self.0[place].0.as_ref()
    }

    pub(super) fn state(&self, place: usize) -> &SecretState {
        &self.0[place].1
    }
}
