//! Stops orders and writes of records while this machine's clock is in doubt.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::acme::client::AcmeClient;
use crate::base::clock::{ClockDoubt, doubt};
use crate::base::log::event;
use crate::base::metrics::{self, Peer};
use crate::issuance::AttemptError;
use crate::policy::backoff::{RetryClass, Stage};

/// The peers whose clock was logged to differ from ours. The lock guards names only.
static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

const API_SERVER: &str = "the API server";

/// Compares this machine's clock with the API server's, where there is one, and with the CA's.
///
/// # Errors
/// How far our clock is off. The failure is not counted and must not be written.
pub(super) fn check(ca: Option<&AcmeClient>) -> Result<(), AttemptError> {
    compare(API_SERVER, metrics::offset(Peer::Kubernetes).and_then(doubt))?;
    match ca {
        Some(ca) => compare(ca.directory_url(), ca.clock_doubt()),
        None => Ok(()),
    }
}

fn compare(peer: &str, doubt: Option<ClockDoubt>) -> Result<(), AttemptError> {
    let Some(doubt) = doubt else {
        if told().remove(peer) {
            event!(info, "clock-agrees", peer = peer);
        }
        return Ok(());
    };
    let sentence = format!(
        "this machine's clock is {doubt} that of {peer}; nothing is ordered and no record written until they agree: set the clock (NTP)"
    );
    if told().insert(peer.to_owned()) {
        event!(error, "clock-in-doubt", peer = peer, error = sentence);
    }
    Err(AttemptError { uncounted: true, ..AttemptError::new(Stage::Clock, RetryClass::Transient, sentence) })
}

fn told() -> std::sync::MutexGuard<'static, BTreeSet<String>> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}
