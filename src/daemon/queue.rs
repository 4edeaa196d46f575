//! In which order certificates are worked on. Pure.

use crate::decide::Reason;
use crate::name::ObjectRef;
use crate::work::{Job, Task};

/// What is to be done now, most urgent first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    jobs: Vec<Job>,
    /// A certificate that works and is to be made in another way failed to be: the way is not proved to work.
    change_waits: bool,
}

/// How urgent a job is; less is more.
fn rank(task: &Task) -> u8 {
    match task {
        Task::Restore { .. } => 0,
        Task::Tidy => 1,
        Task::Window(_) => 5,
        Task::Probe => 6,
        Task::Issue { finding, .. } if finding.reason.is_change() => 4,
        Task::Issue { finding, .. } if matches!(finding.reason, Reason::RenewalDue | Reason::RenewalRequested) => 3,
        Task::Issue { .. } => 2,
    }
}

fn is_change(job: &Job) -> bool {
    matches!(&job.task, Task::Issue { finding, .. } if finding.reason.is_change())
}

impl Queue {
    /// Adds a job.
    pub(super) fn push(&mut self, job: Job) {
        self.jobs.push(job);
    }

    /// Notes that a certificate waits after it could not be made in another way.
    pub(super) fn hold_changes(&mut self) {
        self.change_waits = true;
    }

    /// The jobs that may be started now. Changes queue behind everything else, and one of them goes first: the others follow when it
    /// is stored (`proved`), so that a mistyped directory costs one attempt and not one for each certificate.
    pub(super) fn startable(mut self, idle: bool, proved: bool) -> Vec<Job> {
        let name = |job: &Job| -> ObjectRef { job.wanted.entry.main_secret().clone() };
        self.jobs.sort_by_key(|job| (rank(&job.task), name(job)));
        let others = self.jobs.iter().any(|job| matches!(job.task, Task::Issue { .. }) && !is_change(job));
        let changes = match (others || !idle, proved) {
            (true, false) => 0,
            (_, true) => usize::MAX,
            (false, false) => usize::from(!self.change_waits),
        };
        let mut left = changes;
        self.jobs.retain(|job| {
            let start = !is_change(job) || left > 0;
            left -= usize::from(is_change(job) && start);
            start
        });
        self.jobs
    }

    /// Whether any change is wanted.
    pub(super) fn has_changes(&self) -> bool {
        self.change_waits || self.jobs.iter().any(is_change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::entry::Entry;
    use crate::config::node;
    use crate::decide::{Finding, Source};
    use crate::sources::Wanted;
    use std::sync::Arc;

    fn job(name: &str, task: Task) -> Job {
        let entry = Entry::read(&node::read(&format!("{{secret: {name}, domains: [a.test]}}")).unwrap(), "t").unwrap();
        let wanted = Wanted::new(entry, Vec::new().into(), None, "".into());
        Job { wanted: Arc::new(wanted), task, inputs: String::new(), short_lived: false }
    }

    fn issue(reason: Reason) -> Task {
        Task::Issue { finding: Finding { reason, detail: String::new() }, targets: vec![0], counted: true }
    }

    fn started(jobs: &[(&str, Reason)], idle: bool, proved: bool, waits: bool) -> Vec<String> {
        let mut queue = Queue::default();
        for (name, reason) in jobs {
            queue.push(job(name, issue(*reason)));
        }
        if waits {
            queue.hold_changes();
        }
        queue.startable(idle, proved).iter().map(|j| j.wanted.entry.main_secret().name.clone()).collect()
    }

    #[test]
    fn what_is_broken_goes_before_what_is_due() {
        let mut queue = Queue::default();
        queue.push(job("due", issue(Reason::RenewalDue)));
        queue.push(job("broken", issue(Reason::Expired)));
        queue.push(job("tidy", Task::Tidy));
        let finding = Finding { reason: Reason::SecretMissing, detail: String::new() };
        queue.push(job("lost", Task::Restore { finding, source: Source::Copy, targets: vec![0] }));
        let order: Vec<String> =
            queue.startable(true, false).iter().map(|j| j.wanted.entry.main_secret().name.clone()).collect();
        assert_eq!(order, ["lost", "tidy", "broken", "due"]);
    }

    #[test]
    fn one_change_goes_first_and_the_others_follow_when_it_is_proved() {
        use Reason::{DirectoryChanged, KeyTypeChanged, RenewalDue};
        let changes = [("b", DirectoryChanged), ("a", KeyTypeChanged), ("c", DirectoryChanged)];
        assert_eq!(started(&changes, true, false, false), ["a"]);
        assert!(started(&changes, false, false, false).is_empty(), "the first one is being worked on");
        assert!(started(&changes, true, false, true).is_empty(), "the first one failed and waits");
        assert_eq!(started(&changes, true, true, false), ["a", "b", "c"]);
        assert_eq!(started(&changes, false, true, true), ["a", "b", "c"]);
        let with_due = [("b", DirectoryChanged), ("z", RenewalDue)];
        assert_eq!(started(&with_due, true, false, false), ["z"]);
        assert_eq!(started(&with_due, true, true, false), ["z", "b"]);
    }
}
