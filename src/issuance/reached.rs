//! The knowledge about names that only the CA reaches.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::limits::REACH_KNOWN_MAX;
use crate::base::name::DnsName;

/// The names that a CA reached although this program could not, so that they are not warned about again.
#[derive(Debug, Default)]
pub struct Reached(Mutex<BTreeSet<DnsName>>);

impl Reached {
    /// Tells whether the CA reached the name.
    pub fn has(&self, name: &DnsName) -> bool {
        self.names().contains(name)
    }

    /// Adds a name that the CA reached.
    pub fn add(&self, name: &DnsName) {
        let mut known = self.names();
        if known.len() >= REACH_KNOWN_MAX {
            known.clear();
        }
        known.insert(name.clone());
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<DnsName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
