//! All certificates as of one moment, with the notes that concern none of them and the progress of the first issuance. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::certificate::CertificateStatus;
use super::state::CertificateState;
use crate::base::time::Time;
use crate::policy::ca_limits::{OrderLog, quotas};

/// All certificates, and notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    /// The certificates, the most urgent first.
    pub rows: Vec<Arc<CertificateStatus>>,
    /// Sentences that concern no single certificate.
    pub notes: Vec<(NoteKind, String)>,
    /// The progress of the first issuance, while that lasts.
    pub progress: Option<Progress>,
}

/// The kind of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// An entry is not served as it stands.
    Refused,
    /// A source object is missing or unreadable.
    Unreadable,
    /// A source object could not be fetched.
    Unknown,
    /// A person should look at something.
    Warning,
    /// The report leaves out some certificates.
    NotShown,
}

impl fmt::Display for NoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoteKind::Refused => "refused",
            NoteKind::Unreadable => "unreadable",
            NoteKind::Unknown => "unknown",
            NoteKind::Warning => "warning",
            NoteKind::NotShown => "not shown",
        })
    }
}

/// The progress of the first issuance of all certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Certificates that exist.
    pub stored: usize,
    /// Certificates that are wanted and can be had.
    pub total: usize,
    /// When the last one can be ordered, where a quota delays some of them.
    pub until: Option<Time>,
}

impl Progress {
    /// The progress of `rows`; `None` when each certificate existed at least once. `log` gives the orders of a directory, `per_day` the
    /// daily quota of its issuer.
    pub fn of<'m>(
        rows: &[Arc<CertificateStatus>],
        log: impl Fn(&str) -> Option<&'m OrderLog>,
        per_day: impl Fn(&str) -> Option<u32>,
        now: Time,
    ) -> Option<Progress> {
        use CertificateState::{Orphaned, Refused, Unknown};
        let none = OrderLog::default();
        let total = rows.iter().filter(|row| !matches!(row.state, Refused | Orphaned | Unknown)).count();
        let mut firsts = BTreeMap::<&str, usize>::new();
        for row in rows.iter().filter(|row| row.is_first) {
            *firsts.entry(&row.directory).or_default() += 1;
        }
        let stored = total - firsts.values().sum::<usize>();
        let last = |(directory, count): (&&str, &usize)| {
            log(directory).unwrap_or(&none).last_of(&quotas(directory, per_day(directory)), *count, now)
        };
        let until = firsts.iter().map(last).max()?;
        Some(Progress { stored, total, until: (until > now).then_some(until) })
    }
}
