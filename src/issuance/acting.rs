//! The right to act for cert-manager's objects: this program has it while it holds the Lease of cert-manager's controller, and never both.
//!
//! A controller of cert-manager that runs without that Lease, or with it in another namespace, writes over a status of ours sooner or
//! later. Then this program stands down for the Certificates of that namespace for a while. One namespace alone: whoever may write a
//! status there must not be able to stop the others.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::AttemptError;
use super::leadership::LeaderStatus;
use crate::base::limits::STAND_DOWN;
use crate::base::name::ObjectRef;
use crate::base::time::{self, Stopwatch};
use crate::kube::resource::Resource;
use crate::sources::CertificateSpec;
use crate::sources::wish::ObjectKey;

/// The right of this program to act for cert-manager's objects.
#[derive(Debug)]
pub struct Acting {
    /// The Lease of cert-manager's controller; `None` where its objects are no source.
    lease: Option<(ObjectRef, LeaderStatus)>,
    /// The holder of the Lease, as it was read last.
    holder: Mutex<String>,
    clock: Stopwatch,
    /// The namespaces in which this program stands down, and until when.
    down: Mutex<BTreeMap<String, Duration>>,
}

impl Acting {
    /// Acts once it holds the Lease at this place; without a Lease there is nothing to ask.
    pub fn by_lease(lease: Option<&ObjectRef>) -> Acting {
        let lease = lease.map(|at| (at.clone(), LeaderStatus::by_lease(&at.to_string())));
        Acting { lease, holder: Mutex::default(), clock: Stopwatch::start(), down: Mutex::default() }
    }

    /// The Lease, and the time until which this program holds it.
    pub fn lease(&self) -> Option<(&ObjectRef, &LeaderStatus)> {
        self.lease.as_ref().map(|(at, status)| (at, status))
    }

    /// Notes the holder of the Lease.
    pub fn set_holder(&self, holder: &str) {
        holder.clone_into(&mut self.holder.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Tells whether this program holds the Lease, or needs none.
    pub fn holds(&self) -> bool {
        self.lease.as_ref().is_none_or(|(_, status)| status.leading())
    }

    /// Why nothing is done for any of the objects; `None` while this program acts.
    pub fn hindrance(&self) -> Option<String> {
        let (at, _) = self.lease.as_ref().filter(|(_, status)| !status.leading())?;
        let holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(match holder.is_empty() {
            true => format!("notariat does not hold the Lease {at} of cert-manager's controller"),
            false => {
                format!("{holder} holds the Lease {at}: scale cert-manager's controller to 0 to have notariat act")
            }
        })
    }

    /// Stands down in a namespace. Returns whether that is new.
    pub fn stand_down(&self, namespace: &str) -> bool {
        let (now, mut down) = (self.clock.elapsed(), self.down());
        down.retain(|_, until| *until > now);
        down.insert(namespace.to_owned(), now + STAND_DOWN).is_none()
    }

    /// The namespaces in which this program stands down, and for how long still.
    pub fn stood_down(&self) -> Vec<(String, Duration)> {
        let now = self.clock.elapsed();
        let down = self.down();
        let left = down.iter().map(|(namespace, until)| (namespace.clone(), until.saturating_sub(now)));
        left.filter(|(_, left)| !left.is_zero()).collect()
    }

    /// Checks that this program acts for the objects of a namespace; an empty one stands for no namespace.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, namespace: &str) -> Result<(), String> {
        if let Some(why) = self.hindrance() {
            return Err(why);
        }
        let now = self.clock.elapsed();
        match self.down().get(namespace).filter(|until| **until > now) {
            None => Ok(()),
            Some(until) => {
                let until = time::now() + until.saturating_sub(now);
                Err(format!(
                    "cert-manager writes the statuses of the Certificates in {namespace}, too: notariat stands down there until {until}; scale cert-manager's controller to 0"
                ))
            }
        }
    }

    /// Checks the same for an object, which only one of cert-manager's can fail.
    ///
    /// # Errors
    /// Why this program does not act.
    pub fn check_object(&self, object: &ObjectKey) -> Result<(), String> {
        if Acting::is_about(object) { self.check(&object.at.namespace) } else { Ok(()) }
    }

    /// True for an object of cert-manager.
    pub fn is_about(object: &ObjectKey) -> bool {
        Resource::of_kind(object.kind).is_some_and(|resource| resource.group == Resource::CERTIFICATES.group)
    }

    /// Checks the same for a certificate, which only one that a Certificate of cert-manager wants can fail.
    ///
    /// # Errors
    /// Why this program does not act. Not counted.
    pub fn check_for(&self, wanted: &CertificateSpec) -> Result<(), AttemptError> {
        wanted.objects.iter().try_for_each(|object| self.check_object(object)).map_err(AttemptError::busy)
    }

    fn down(&self) -> MutexGuard<'_, BTreeMap<String, Duration>> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_acts_while_it_holds_the_lease_and_not_where_it_stands_down() {
        let at = ObjectRef::new("kube-system", "cert-manager-controller");
        let acting = Acting::by_lease(Some(&at));
        acting.set_holder("cert-manager-7d5-external");
        let why = acting.check("team").unwrap_err();
        assert!(
            why.starts_with("cert-manager-7d5-external holds the Lease kube-system/cert-manager-controller"),
            "{why}"
        );
        let (_, status) = acting.lease().unwrap();
        status.lead_until(Some(status.now() + Duration::from_secs(60)));
        assert_eq!((acting.check("team"), acting.hindrance()), (Ok(()), None));
        assert!(acting.stand_down("team") && !acting.stand_down("team"));
        assert!(acting.check("team").unwrap_err().contains("stands down there until"));
        assert_eq!((acting.check("other"), acting.check(""), acting.stood_down().len()), (Ok(()), Ok(()), 1));
        status.lead_until(None);
        assert!(!acting.holds() && acting.check("other").is_err());
        assert!(Acting::by_lease(None).holds() && Acting::by_lease(None).check("team").is_ok());
    }
}
