//! Stores a pair that is already ours again, without the CA.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attempt::Attempt;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::base::time;
use crate::cert::bundle::CheckedBundle;
use crate::issuance::AttemptError;
use crate::kube::events::EventReason;
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::secret_state::annotation;
use crate::policy::{RestoreFrom, Violation};
use crate::record::Issued;
use crate::store::Origin;

impl Attempt<'_> {
    /// Stores the pair of `source` in the Secrets at `targets`.
    ///
    /// # Errors
    /// When the source has no sound pair any more, or no Secret was written.
    pub(super) fn restore(
        &mut self,
        finding: &Violation,
        source: RestoreFrom,
        targets: &[usize],
    ) -> Result<(), AttemptError> {
        if self.observe(false)? {
            return Ok(());
        }
        let now = time::now();
        let told = |e: String| AttemptError::new(Stage::Store, RetryClass::Transient, e);
        let (chain, key, marked) = match source {
            RestoreFrom::Copy => {
                let copy =
                    self.claim.record.copy.clone().ok_or_else(|| told("the record has no copy any more".to_owned()))?;
                (copy.chain, copy.key, BTreeMap::new())
            }
            RestoreFrom::Sibling(place) => {
                let at = &self.entry().secrets[place];
                let secret = self.secrets.object(place).ok_or_else(|| told(format!("{at} is gone, too")))?;
                let value = |key| secret.value(key).cloned().unwrap_or_default();
                (value("tls.crt").expose().clone(), Some(value("tls.key")), secret.annotations.clone())
            }
        };
        // The marks tell how the certificate was ordered, which may differ from the entry now.
        let (now_wanted, stored) = (self.origin(), self.claim.record.body.stored.as_ref());
        let mark = |name: &str| marked.get(name).cloned();
        let known = |field: fn(&Issued) -> &SharedStr| stored.map(|s| field(s).to_string());
        let directory = mark(annotation::DIRECTORY).or_else(|| known(|s| &s.directory));
        let key_type = mark(annotation::KEY_TYPE).or_else(|| known(|s| &s.key_type));
        let origin = Origin {
            directory: directory.unwrap_or(now_wanted.directory),
            key_type: key_type.unwrap_or(now_wanted.key_type),
            profile: mark(annotation::PROFILE)
                .or_else(|| stored.and_then(|s| s.profile.as_ref()).map(SharedStr::to_string)),
        };
        let bundle = match &self.entry().csr {
            Some(csr) => CheckedBundle::of_request(&chain, csr, &self.entry().domains, now),
            None => CheckedBundle::check(&chain, key.unwrap_or_default(), &self.entry().domains, now),
        };
        let bundle = bundle.map_err(|e| told(format!("the copy is not stored: {e}")))?;
        self.claim.record.body.restores.retain(|t| *t + Duration::from_secs(3600) > now);
        self.claim.record.body.restores.push(now);
        self.accept();
        // Counted first, so that a second writer that makes the store fail does not cause endless writes.
        self.claim.save()?;
        if let Err(failed) = self.store_all(targets, &bundle, &origin) {
            self.tell(EventReason::StoreFailed, self.entry().main_secret(), failed.error.clone());
            return Err(failed);
        }
        let stored: Vec<&ObjectRef> = targets.iter().filter_map(|place| self.entry().secrets.get(*place)).collect();
        let names: Vec<String> = stored.iter().map(ToString::to_string).collect();
        event!(
            info,
            "restored",
            secret = names.join(","),
            reason = finding.reason,
            detail = finding.detail,
            serial = bundle.facts().serial
        );
        for target in stored {
            self.tell(EventReason::Restored, target, format!("restored without the CA: {finding}"));
        }
        Ok(())
    }
}
