//! The copy of a stored pair in the record.

use std::sync::Arc;

use crate::cert::facts::{self, CertificateFacts};
use crate::cert::key::public_of;
use crate::record::PairBackup;

/// The facts of a record's copy; `None` where there is no copy, or its key does not fit its certificate.
pub fn backup_facts(copy: Option<&PairBackup>) -> Option<Arc<CertificateFacts>> {
    let PairBackup { chain, key } = copy?;
    let facts = facts::read(chain).ok()?.1;
    let public = public_of(key.expose()).ok()?;
    (facts::sha256(&public) == facts.public_key).then(|| Arc::new(facts))
}
