//! The state of each certificate and its next step, as lines of the check. Pure.

use super::report::{CheckReport, Level};
use crate::base::time::{Time, human};
use crate::status::certificate::CertificateStatus;
use crate::status::report::StatusReport as Status;
use crate::status::state::{CertificateState, Severity};

/// Adds a line for each certificate, as `notariat status` sees it.
pub(super) fn say(report: &mut CheckReport, status: &Status, now: Time) {
    for row in &status.rows {
        let secrets: Vec<String> = row.secrets().iter().map(ToString::to_string).collect();
        let object = format!("Secret {}", secrets.join(", "));
        match row.state.severity() {
            // A failed read is no fault of the Secret.
            Severity::Bad if row.state == CertificateState::Unknown => report.miss(&object, sentence(row, now)),
            Severity::Bad => report.say(Level::Fault, &object, sentence(row, now)),
            Severity::Warning => report.say(Level::Warning, &object, sentence(row, now)),
            Severity::Good | Severity::Busy => {
                let is_late = row.expires().is_some_and(|at| at <= now);
                // A valid certificate may have a chain that some clients reject.
                let is_doubted = row.state == CertificateState::Valid && row.finding.is_some();
                report.say(if is_late || is_doubted { Level::Warning } else { Level::Ok }, &object, sentence(row, now));
            }
        }
    }
}

/// The state, the fault and the next step.
fn sentence(row: &CertificateStatus, now: Time) -> String {
    let soon = |at: Time| if at <= now { "now".to_owned() } else { format!("in {}", human(at.since(now))) };
    let mut parts = vec![row.state.to_string()];
    parts.extend(row.finding.as_ref().map(ToString::to_string));
    parts.extend(row.failure.as_ref().map(|failure| match failure.stage {
        Some(stage) => format!("the last attempt failed, {stage}: {}", failure.error),
        None => format!("the last attempt failed: {}", failure.error),
    }));
    parts.extend(row.expires().map(|at| match at <= now {
        true => "expired".to_owned(),
        false => format!("expires {}", soon(at)),
    }));
    parts.extend(row.renewal.map(|(at, why)| format!("renewed {} ({why})", soon(at))));
    parts.extend(row.next_attempt.map(|at| format!("next attempt {}", soon(at))));
    if row.state == CertificateState::Waiting {
        parts.push(format!("the next pass orders or restores it, from {}", row.directory));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::ObjectRef;
    use crate::status::certificate::{Failure, Subject, Validity};

    #[test]
    fn each_state_has_its_level_and_says_what_comes_next() {
        let now = Time::from_unix(1_800_000_000);
        let day = |days: u64| now + std::time::Duration::from_secs(days * 86_400);
        let ends = |ends: Time| [Some(Validity { begins: now, ends })].into();
        let subject = Subject::Orphaned(Box::new((ObjectRef::new("ns", "web"), Vec::new())));
        let row = CertificateStatus {
            held: ends(day(60)),
            ..CertificateStatus::empty(subject, CertificateState::Valid, "https://ca.test/dir")
        };
        let failure = Failure { stage: None, error: "no".to_owned(), failures: 1, at: now };
        let rows = vec![
            row.clone(),
            CertificateStatus { finding: Some("holds the leaf alone".into()), ..row.clone() },
            CertificateStatus { state: CertificateState::Waiting, held: ends(now), ..row.clone() },
            CertificateStatus {
                state: CertificateState::BackingOff,
                failure: Some(Box::new(failure)),
                next_attempt: Some(day(3)),
                ..row.clone()
            },
            CertificateStatus {
                state: CertificateState::Refused,
                held: [None].into(),
                finding: Some("WrongType".into()),
                ..row
            },
        ];
        let rows = rows.into_iter().map(Into::into).collect();
        let mut report = CheckReport::default();
        say(&mut report, &Status { rows, notes: Vec::new(), progress: None }, now);
        assert_eq!(
            report.text(false),
            "ok       Secret ns/web: Valid; expires in 60d\n\
             warning  Secret ns/web: Valid; holds the leaf alone; expires in 60d\n\
             warning  Secret ns/web: Waiting; expired; the next pass orders or restores it, from https://ca.test/dir\n\
             warning  Secret ns/web: BackingOff; the last attempt failed: no; expires in 60d; next attempt in 3d\n\
             fault    Secret ns/web: Refused; WrongType\n"
        );
    }
}
