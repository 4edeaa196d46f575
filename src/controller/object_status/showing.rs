//! The memory of the loop about the objects whose status is written, and the words for those that somebody else serves. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::status::certificate::CertificateStatus;
use crate::status::state::Parked;

/// The objects whose status may have to be written anew.
#[derive(Debug, Default)]
pub(crate) struct Showing {
    /// True if this program acted for the objects at the last pass.
    pub(super) acted: bool,
    /// The namespaces in which it stood down then.
    pub(super) down: BTreeSet<String>,
}

/// The words for a certificate that somebody else serves.
pub(crate) fn not_acting(status: CertificateStatus, why: String) -> CertificateStatus {
    let parked = Parked { why, until: None };
    Arc::unwrap_or_clone(Arc::new(status).with_job(false, Some(&parked)))
}
