//! The copy of a stored pair in the record.

use std::sync::Arc;

use crate::cert::facts::{self, CertificateFacts};
use crate::cert::key::public_digest;
use crate::cert::request::is_word;
use crate::record::{Issued, PairBackup};

/// The facts of a record's copy; `None` where there is no copy, or its key does not fit its certificate. A copy without a key is one of a
/// CSR's certificate, as `stored` says of what was stored last; of any other certificate the key was lost.
pub fn backup_facts(copy: Option<&PairBackup>, stored: Option<&Issued>) -> Option<Arc<CertificateFacts>> {
    let PairBackup { chain, key } = copy?;
    let facts = facts::read(chain).ok()?.1;
    let fits = |key: &_| public_digest(key).is_ok_and(|public| facts.fits(&public));
    let is_sound = match key {
        Some(key) => fits(key.expose()),
        None => stored.is_some_and(|stored| is_word(&stored.key_type)),
    };
    is_sound.then(|| Arc::new(facts))
}
