//! The data of the port: the status of each certificate as it was decided about last, and the state of the work. Pure but for the lock of the
//! shared table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::status::certificate::CertificateStatus;
use crate::status::state::{CertificateState, Parked};

/// The statuses of the wanted certificates, by their main Secret. The controller changes single ones, the port reads all; the lock guards this
/// table alone and is held over no I/O.
#[derive(Clone, Debug)]
pub struct StatusTable {
    table: Arc<Mutex<BTreeMap<ObjectRef, Arc<CertificateStatus>>>>,
    most: usize,
}

impl StatusTable {
    /// A table of all certificates.
    pub fn complete() -> StatusTable {
        StatusTable::of_most_urgent(usize::MAX)
    }

    /// A table of at least the `most` most urgent certificates, and of no more than twice as many. A certificate that was left out comes back
    /// when it is put again.
    pub fn of_most_urgent(most: usize) -> StatusTable {
        StatusTable { table: Arc::default(), most }
    }

    /// Puts the status of one certificate.
    pub fn put(&self, secret: &ObjectRef, status: Arc<CertificateStatus>) {
        let mut table = self.table();
        table.insert(secret.clone(), status);
        if table.len() > self.most.saturating_mul(2) {
            let mut all: Vec<_> = std::mem::take(&mut *table).into_iter().collect();
            all.sort_by_cached_key(|(_, status)| status.urgency());
            all.truncate(self.most);
            table.extend(all);
        }
    }

    /// The status of one certificate.
    pub fn get(&self, secret: &ObjectRef) -> Option<Arc<CertificateStatus>> {
        self.table().get(secret).cloned()
    }

    /// Drops the certificates that are not wanted.
    pub fn retain(&self, is_wanted: impl Fn(&ObjectRef) -> bool) {
        self.table().retain(|secret, _| is_wanted(secret));
    }

    /// The statuses in the order of their Secrets.
    pub fn all(&self) -> Vec<Arc<CertificateStatus>> {
        self.table().values().cloned().collect()
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<ObjectRef, Arc<CertificateStatus>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All certificates and the state of the work, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The certificates in the order of their Secrets; none on a replica that stands by.
    pub certificates: Vec<Arc<CertificateStatus>>,
    /// Certificates for which an order is being made.
    pub ordering: BTreeSet<ObjectRef>,
    /// Certificates whose job waits for a peer.
    pub parked: BTreeMap<ObjectRef, Parked>,
    /// Faults of the configuration, a sentence each.
    pub faults: Vec<String>,
    /// The number of wanted certificates.
    pub entries: usize,
    /// Directories that take no order of an account, and until when.
    pub gates: Vec<(String, Time)>,
    /// Jobs that wait.
    pub queued: usize,
    /// Jobs under way.
    pub running: usize,
    /// Certificates whose entry went and whose record is not emptied yet.
    pub orphaned: usize,
    /// The kinds of objects that are sources; none where the configuration is the only one.
    pub sources: Vec<SourceFigures>,
}

/// The figures of a kind of objects that is a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFigures {
    /// The name of the kind.
    pub kind: &'static str,
    /// The cluster of the objects; `None` for home.
    pub cluster: Option<String>,
    /// True if a watch shows the objects.
    pub is_watched: bool,
    /// True if this program acts for the objects: nobody else does.
    pub is_served: bool,
    /// Objects that want a certificate.
    pub objects: usize,
    /// Problems that objects were told about, by the reason.
    pub problems: BTreeMap<&'static str, usize>,
}

impl Snapshot {
    /// The state of a certificate: what was decided, unless its job is under way or parked.
    pub fn state(&self, certificate: &CertificateStatus) -> CertificateState {
        let secret = &certificate.secrets()[0];
        match (self.ordering.contains(secret), self.parked.contains_key(secret)) {
            (true, _) => CertificateState::Issuing,
            (false, true) => CertificateState::Parked,
            (false, false) => certificate.state,
        }
    }

    /// The troubles of a certificate: the peer that its job waits for, the finding, and the error of its last attempt.
    pub fn troubles(&self, certificate: &CertificateStatus) -> String {
        let parked = self.parked.get(&certificate.secrets()[0]).map(|parked| match parked.until {
            Some(until) if !parked.why.contains(&until.to_string()) => format!("{} (until {until})", parked.why),
            Some(_) | None => parked.why.clone(),
        });
        let failed = certificate.failure.as_ref().map(|failure| failure.error.as_str());
        let all: Vec<&str> =
            parked.as_deref().into_iter().chain(certificate.finding.as_deref()).chain(failed).collect();
        all.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::certificate::Subject;

    #[test]
    fn a_bounded_table_keeps_the_most_urgent() {
        let table = StatusTable::of_most_urgent(3);
        for n in 0..20 {
            let secret = ObjectRef::new("team", &format!("s{n:02}"));
            let state = if n % 8 == 0 { CertificateState::BackingOff } else { CertificateState::Valid };
            let subject = Subject::Orphaned(Box::new((secret.clone(), Vec::new())));
            table.put(&secret, CertificateStatus::empty(subject, state, "").into());
        }
        let names = || table.all().iter().map(|status| status.secrets()[0].name.to_string()).collect::<Vec<_>>();
        let found = names();
        assert!(
            found.len() <= 6 && ["s00", "s08", "s16"].iter().all(|name| found.contains(&(*name).to_owned())),
            "{found:?}"
        );
        table.retain(|secret| secret.name == "s08");
        assert_eq!(names(), ["s08"]);
    }
}
