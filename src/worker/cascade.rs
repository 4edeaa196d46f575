//! Sets the object with which a Secret goes, or removes it, and leaves the certificate as it is.

use super::attempt::Attempt;
use crate::base::log::event;
use crate::issuance::AttemptError;
use crate::policy::backoff::{RetryClass, Stage};

impl Attempt<'_> {
    /// Writes the owner into each Secret of the entry that is ours and has another one.
    ///
    /// # Errors
    /// When a Secret was not read or written.
    pub(super) fn set_owner(&mut self) -> Result<(), AttemptError> {
        if self.observe(false)? {
            return Ok(());
        }
        let owner = self.wanted.cascade.as_deref();
        let uid = owner.map(|owner| owner.uid.as_str());
        for (place, at) in self.entry().secrets.iter().enumerate() {
            let differs = self.secrets.state(place).cascades_otherwise(uid);
            let Some(secret) = self.secrets.object(place).filter(|_| differs) else { continue };
            let told = |e| AttemptError::new(Stage::Store, RetryClass::Transient, format!("{at} was not written: {e}"));
            self.context.store.put_owner(secret, owner).map_err(told)?;
            match owner {
                Some(owner) => {
                    event!(info, "cascade-set", secret = at, owner = format!("{}/{}", owner.kind, owner.name))
                }
                None => event!(info, "cascade-removed", secret = at),
            }
        }
        Ok(())
    }
}
