//! The record of one certificate while a worker holds it: read once at most, and written at each step with the resourceVersion of the read.
//!
//! A conflict means that another instance writes the same record, and ends the attempt. That keeps two replicas apart without a Lease.

use std::time::Duration;

use crate::base::clock::happened;
use crate::base::limits::CLAIM_KEPT;
use crate::base::name::ObjectRef;
use crate::base::time::{self, Time};
use crate::issuance::{AttemptError, Context};
use crate::kube::object::SecretObject;
use crate::policy::backoff::{RetryClass, Stage};
use crate::record::{self, PendingOrder, Record};
use crate::store::{Component, Store, StoreError};

/// The record that a worker holds.
#[derive(Debug)]
pub(super) struct Claim<'s> {
    store: &'s Store,
    at: ObjectRef,
    current: Option<SecretObject>,
    /// The content. [`Claim::save`] writes it.
    pub(super) record: Record,
}

impl<'s> Claim<'s> {
    /// The record of a certificate that a watch shows to have none. The first write creates it.
    pub(super) fn absent(store: &'s Store, secret: &ObjectRef, own_namespace: &str) -> Claim<'s> {
        Claim { store, at: record::reference(secret, own_namespace), current: None, record: Record::default() }
    }

    /// Reads the record of the certificate in `secret`.
    ///
    /// # Errors
    /// When the record cannot be read, or was written by a newer program.
    pub(super) fn open(store: &'s Store, secret: &ObjectRef, own_namespace: &str) -> Result<Claim<'s>, AttemptError> {
        Claim::open_record(store, record::reference(secret, own_namespace))
    }

    /// Reads the record `at`.
    ///
    /// # Errors
    /// When the record cannot be read, or was written by a newer program.
    pub(super) fn open_record(store: &'s Store, at: ObjectRef) -> Result<Claim<'s>, AttemptError> {
        let failed = |severity, error| AttemptError::new(Stage::Store, severity, error);
        let current = store.secret(&at).map_err(|e| failed(RetryClass::Transient, e.to_string()))?;
        let record =
            Record::read(current.as_ref()).map_err(|e| failed(RetryClass::Policy, format!("the record {at} {e}")))?;
        Ok(Claim { store, at, current, record })
    }

    /// The resourceVersion of the last read or write; empty where there is no record yet.
    pub(super) fn version(&self) -> &str {
        let version = self.current.as_ref().and_then(|secret| secret.version.as_ref());
        version.map_or("", |version| &version.resource_version)
    }

    /// Tells whether there is no record yet.
    pub(super) fn is_new(&self) -> bool {
        self.current.is_none()
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When the record was not written. After a conflict another instance writes it.
    pub(super) fn save(&mut self) -> Result<(), AttemptError> {
        let data = self.record.data(time::now());
        let written = self.store.put_own(&self.at, self.current.as_ref(), Component::Record, record::TYPE, data);
        match written {
            Ok(current) => {
                self.current = Some(current);
                Ok(())
            }
            Err(StoreError::Conflict) => {
                // An object of this name that is no record would be shown by no watch of records.
                if self.current.is_none() {
                    Claim::open_record(self.store, self.at.clone())?;
                }
                Err(AttemptError::busy(format!("another instance writes the record {}", self.at)))
            }
            Err(e) => {
                Err(AttemptError::new(Stage::Store, RetryClass::Transient, format!("the record {}: {e}", self.at)))
            }
        }
    }

    /// Checks that no other holder is alive. `longest_step` is the longest time that a holder writes nothing, by configuration.
    ///
    /// # Errors
    /// The other holder.
    pub(super) fn check_free(&self, context: &Context, longest_step: Duration, now: Time) -> Result<(), AttemptError> {
        match &self.record.body.in_flight {
            Some(flight)
                if !is_free(flight, &context.holder, longest_step, now) && !context.leader.succeeds(&flight.holder) =>
            {
                Err(AttemptError::busy(format!("{} works on it since {}", flight.holder, flight.at)))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Tells whether a pending order has no holder, is ours, or has a holder that is dead or has written nothing for long.
fn is_free(flight: &PendingOrder, holder: &str, longest_step: Duration, now: Time) -> bool {
    flight.holder.is_empty()
        || flight.holder == holder
        || is_dead_process_here(&flight.holder, holder)
        || now > flight.at + CLAIM_KEPT + longest_step
        // The time of a clock that was ahead.
        || !happened(flight.at, now)
}

/// Tells whether a holder was a process of this host and process namespace that does not run any more. Then nothing has to be waited for after
/// a crash. A holder is `host/pid.namespace.start`, followed by `@` and the Lease that it leads by; older programs wrote `host/pid`.
/// Another container may have a process of the same number, about which nothing is known.
fn is_dead_process_here(other: &str, ours: &str) -> bool {
    let (Some((host, other)), Some((our_host, ours))) = (other.rsplit_once('/'), ours.rsplit_once('/')) else {
        return false;
    };
    let parts = |process: &str| {
        let mut parts = process.split('@').next().unwrap_or_default().split('.').map(str::to_owned);
        (parts.next().unwrap_or_default(), parts.next(), parts.next())
    };
    let ((pid, namespace, start), (_, our_namespace, _)) = (parts(other), parts(ours));
    if host != our_host || pid.parse::<u32>().is_err() || (namespace.is_some() && namespace != our_namespace) {
        return false;
    }
    match (started(&pid), start) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(now), Some(then)) => now != then,
    }
}

/// The start of a process in ticks since boot; `None` where there is no such process.
fn started(pid: &str) -> Option<String> {
    let stat = std::fs::read_to_string(std::path::Path::new("/proc").join(pid).join("stat")).ok()?;
    // proc_pid_stat(5): the name, which may hold anything, ends with the last parenthesis; the start is the 20th field behind it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19).map(str::to_owned)
}

/// The name of this process as a holder. Two containers in the network of one node share the host name and are both process 1. The process
/// namespace tells them apart, and the start time tells a process from its successor.
pub fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "unknown" } else { host.trim() };
    let pid = std::process::id();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let namespace: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    format!("{host}/{pid}.{namespace}.{}", started(&pid.to_string()).unwrap_or_default())
}

/// Tells whether a text begins as a [`holder`] does. The name of a host has no `/`, and other controllers begin with that name alone.
pub fn is_holder(text: &str) -> bool {
    let rest = text.split_once('/').map(|(_, rest)| rest);
    rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphanumeric() || "._@-".contains(c)) && rest.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_free_for_its_holder_and_when_its_holder_is_gone() {
        let now = Time::from_unix(1_800_000_000);
        let flight = |holder: &str| PendingOrder {
            holder: holder.to_owned(),
            at: now,
            directory: String::new(),
            names: Vec::new(),
            key_type: String::new(),
            profile: None,
            account: Some("https://ca/acct/1".to_owned()),
            order: None,
            counted: false,
            published: Vec::new(),
        };
        let me = holder();
        let (host, process) = me.rsplit_once('/').unwrap();
        let [pid, namespace, start] = process.split('.').collect::<Vec<_>>()[..] else { panic!("{me}") };
        assert!(!namespace.is_empty() && !start.is_empty(), "{me}");
        assert!(is_holder(&me) && is_holder(&format!("{me}_0a1b")) && is_holder(&format!("{me}@notariat")), "{me}");
        for other in ["", "cert-manager-7d5-external-cert-manager-controller", "a/b", "pod_6f1c-1.2", "a/b.c d"] {
            assert!(!is_holder(other), "{other}");
        }
        for (holder, free) in [
            (String::new(), true),
            (me.clone(), true),
            (format!("{host}/1"), false),
            (format!("{host}/4194305"), true),
            (format!("{host}/4194305@notariat"), true),
            (format!("{host}/1@notariat"), false),
            (format!("{host}/x"), false),
            // Our own number, in a container beside us and in an earlier life.
            (format!("{host}/{pid}.1{namespace}.{start}"), false),
            (format!("{host}/{pid}.{namespace}.1{start}"), true),
            (format!("{host}/{pid}.{namespace}.1{start}@notariat"), true),
            (format!("{host}/4194305.{namespace}.{start}"), true),
            (format!("{host}/4194305.1{namespace}.{start}"), false),
            ("elsewhere/4194305".to_owned(), false),
        ] {
            let step = Duration::from_secs(120);
            assert_eq!(is_free(&flight(&holder), &me, step, now + CLAIM_KEPT + step), free, "{holder}");
            assert!(is_free(&flight(&holder), &me, step, now + CLAIM_KEPT + step + Duration::from_secs(1)), "{holder}");
        }
    }
}
