//! Whether this replica may do anything outside. Asked before every effect that another replica could have as well: an order, an
//! answered challenge, an UPDATE, a certificate in a Secret.
//!
//! The answer is a time on the monotonic clock and not a state that somebody has to set: a process that stood still for an hour sees at
//! its first look that it does not lead any more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::AttemptError;
use crate::base::time::Stopwatch;

/// Until when this replica leads.
#[derive(Debug)]
pub struct LeaderStatus {
    clock: Stopwatch,
    /// Milliseconds on `clock`; [`ALONE`] is for ever.
    until: AtomicU64,
    /// The Lease that decides.
    lease: Option<String>,
}

const ALONE: u64 = u64::MAX;

impl LeaderStatus {
    /// There is no election: this replica leads.
    pub fn alone() -> LeaderStatus {
        LeaderStatus { clock: Stopwatch::start(), until: AtomicU64::new(ALONE), lease: None }
    }

    /// The Lease of this name decides; until then this replica does not lead.
    pub fn by_lease(lease: &str) -> LeaderStatus {
        LeaderStatus { clock: Stopwatch::start(), until: AtomicU64::new(0), lease: Some(lease.to_owned()) }
    }

    /// The time on the clock that it is measured by.
    pub fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Leads until this time on its clock; `None`: not any more.
    pub fn lead_until(&self, until: Option<Duration>) {
        let until = until.map_or(0, |until| u64::try_from(until.as_millis()).unwrap_or(ALONE - 1));
        self.until.store(until, Ordering::SeqCst);
    }

    /// Leads from now on: the election can not be held.
    pub fn lead_alone(&self) {
        self.until.store(ALONE, Ordering::SeqCst);
    }

    /// Whether it leads.
    pub fn leading(&self) -> bool {
        self.now().as_millis() < u128::from(self.until.load(Ordering::SeqCst))
    }

    /// Goes on only where it leads.
    ///
    /// # Errors
    /// When it does not. That is counted as nobody's failure: who leads now goes on.
    pub fn check(&self) -> Result<(), AttemptError> {
        match self.leading() {
            true => Ok(()),
            false => Err(AttemptError::busy("this replica does not lead any more".to_owned())),
        }
    }

    /// `process` as a holder in claims: with the Lease that it leads by.
    pub fn sign(&self, process: &str) -> String {
        match &self.lease {
            Some(lease) => format!("{process}@{lease}"),
            None => process.to_owned(),
        }
    }

    /// Whether a claim was made by a replica that led by our Lease before we do: then it does not work on it any more.
    pub fn succeeds(&self, holder: &str) -> bool {
        let by_lease = self.until.load(Ordering::SeqCst) != ALONE && self.leading();
        by_lease && holder.rsplit_once('@').is_some_and(|(_, lease)| self.lease.as_deref() == Some(lease))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leads_until_a_time_and_then_not_any_more_without_anybody_saying_so() {
        let lead = LeaderStatus::by_lease("notariat");
        assert!(!lead.leading() && lead.check().is_err_and(|failed| failed.uncounted));
        lead.lead_until(Some(lead.now() + Duration::from_secs(3600)));
        assert!(lead.leading() && lead.check().is_ok());
        lead.lead_until(Some(lead.now()));
        assert!(!lead.leading());
        lead.lead_until(Some(Duration::MAX));
        assert!(lead.leading());
        lead.lead_until(None);
        assert!(!lead.leading());
        lead.lead_alone();
        assert!(lead.leading() && LeaderStatus::alone().leading());
    }

    #[test]
    fn claims_made_under_the_same_lease_are_over_for_its_holder_and_for_nobody_else() {
        let lead = LeaderStatus::by_lease("notariat");
        let before = lead.sign("pod-a/1");
        assert_eq!(before, "pod-a/1@notariat");
        assert!(!lead.succeeds(&before), "it stands by");
        lead.lead_until(Some(lead.now() + Duration::from_secs(3600)));
        assert!(lead.succeeds(&before));
        for other in ["pod-a/1", "pod-a/1@another", "pod-a/1@", ""] {
            assert!(!lead.succeeds(other), "{other}");
        }
        lead.lead_alone();
        assert!(!lead.succeeds(&before), "the other one may lead alone as well");
        assert_eq!(LeaderStatus::alone().sign("pod-a/1"), "pod-a/1");
    }
}
