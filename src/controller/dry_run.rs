//! `-dry-run`: jobs are announced and not handed out. No CA is asked, and no Secret, record or zone is written.

use super::log_dedup::LogDedup;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::policy::Reason;
use crate::policy::retention::RetentionStep;
use crate::worker::{Job, Task};

/// Says what a job would do, when that is new.
pub(super) fn tell(said: &mut LogDedup, job: &Job) {
    let secret = job.wanted.entry.main_secret();
    let (action, reason, detail) = match &job.task {
        Task::Issue { finding, .. } => ("issue", finding.reason.to_string(), finding.detail.as_str()),
        Task::Restore { finding, .. } => ("restore", finding.reason.to_string(), finding.detail.as_str()),
        Task::Tidy => ("tidy", "Record".to_owned(), "its record is not up to date"),
        Task::Revoke => ("revoke", Reason::Revoked.to_string(), "a CertificateRevocation asks for it"),
        Task::Cascade => ("cascade", "Owner".to_owned(), "its owner is to be set or removed"),
        // Questions change nothing.
        Task::Window(_) | Task::Probe => return,
    };
    if said.changed("would", &format!("{action} {reason} {detail}")) {
        let names: Vec<String> = job.wanted.entry.domains.iter().map(ToString::to_string).collect();
        let names = names.join(",");
        event!(info, "would", action = action, secret = secret, names = names, reason = reason, detail = detail);
    }
}

/// Says what would be done to a record.
pub(super) fn tell_fate(record: &ObjectRef, fate: RetentionStep) {
    let (action, detail) = match fate {
        RetentionStep::Orphan(orphaned) => {
            ("orphan", format!("no entry has its Secret any more; kept until {}", orphaned.until))
        }
        RetentionStep::Reclaim => ("reclaim", "an entry has its Secret again".to_owned()),
        RetentionStep::Forget => ("forget", "no entry has its Secret any more".to_owned()),
        RetentionStep::KeepSecret => ("keep", "its Secret stays: all objects of its kind went at once".to_owned()),
        RetentionStep::Prune(_) => ("prune", "its Secret is deleted: no object wants it since a day".to_owned()),
    };
    event!(info, "would", action = action, record = record, detail = detail);
}
