//! Leadership of this replica, checked before every effect that another replica could have as well: an order, a response to a challenge, an
//! UPDATE, a certificate in a Secret.
//!
//! Leadership ends at a time on the monotonic clock. A process that was stopped for an hour sees at its first check that it does not lead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::AttemptError;
use crate::base::time::Stopwatch;

/// The time until which this replica leads.
#[derive(Debug)]
pub struct LeaderStatus {
    clock: Stopwatch,
    /// Milliseconds on `clock`; [`ALONE`] has no end.
    until: AtomicU64,
    /// The Lease that decides.
    lease: Option<String>,
}

const ALONE: u64 = u64::MAX;

impl LeaderStatus {
    /// A replica that leads without an election.
    pub fn alone() -> LeaderStatus {
        LeaderStatus { clock: Stopwatch::start(), until: AtomicU64::new(ALONE), lease: None }
    }

    /// A replica that leads once it holds the Lease of this name.
    pub fn by_lease(lease: &str) -> LeaderStatus {
        LeaderStatus { clock: Stopwatch::start(), until: AtomicU64::new(0), lease: Some(lease.to_owned()) }
    }

    /// The time on the clock of the lease.
    pub fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Leads until this time on its clock; `None` ends leadership.
    pub fn lead_until(&self, until: Option<Duration>) {
        let until = until.map_or(0, |until| u64::try_from(until.as_millis()).unwrap_or(ALONE - 1));
        self.until.store(until, Ordering::SeqCst);
    }

    /// Leads from now on, because no election is possible.
    pub fn lead_alone(&self) {
        self.until.store(ALONE, Ordering::SeqCst);
    }

    /// Tells whether this replica leads.
    pub fn leading(&self) -> bool {
        self.now().as_millis() < u128::from(self.until.load(Ordering::SeqCst))
    }

    /// Checks leadership before an effect.
    ///
    /// # Errors
    /// When another replica leads. Not counted.
    pub fn check(&self) -> Result<(), AttemptError> {
        match self.leading() {
            true => Ok(()),
            false => Err(AttemptError::busy("this replica does not lead any more".to_owned())),
        }
    }

    /// The name of `process` as a holder in claims, with the Lease.
    pub fn sign(&self, process: &str) -> String {
        match &self.lease {
            Some(lease) => format!("{process}@{lease}"),
            None => process.to_owned(),
        }
    }

    /// Tells whether the holder of a claim led by our Lease before this replica, so that it does not work on the certificate any more.
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
