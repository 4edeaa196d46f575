//! `notariat status -wait`: waits until certificates are Valid, for pipelines. Reads only.

use std::time::Duration;

use crate::base::limits::{STATUS_POLL, STATUS_SHARE, WAIT_DEFAULT};
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Deadline, Stopwatch, duration_text};
use crate::cli::Arguments;
use crate::cli::values::Values;
use crate::config::fields::duration;
use crate::controller::ExitStatus;
use crate::status::certificate::CertificateStatus;
use crate::status::report::{NoteKind, StatusReport};
use crate::status::state::CertificateState;
use crate::tools::output::Output;
use crate::tools::status::{reader, stop_on_signals};

/// The Secrets to wait for, and the longest wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitOptions {
    /// The Secrets, `name` or `namespace/name`; empty for all.
    pub secrets: Vec<String>,
    /// `-timeout`
    pub timeout: Duration,
}

impl WaitOptions {
    /// Reads the flags of `status`; `None` without `-wait`.
    ///
    /// # Errors
    /// When the timeout is no duration, or a flag goes with another one only.
    pub fn read(values: &Values) -> Result<Option<WaitOptions>, String> {
        let timeout = values.value("timeout", duration)?;
        match (values.has("wait"), timeout) {
            (true, _) if values.has("w") || values.has("o") => {
                Err("-wait prints no table: leave out -w and -o".to_owned())
            }
            (true, timeout) => {
                let (secrets, timeout) = (values.secrets.clone(), timeout.unwrap_or(WAIT_DEFAULT));
                Ok(Some(WaitOptions { secrets, timeout }))
            }
            (false, Some(_)) => Err("-timeout goes with -wait".to_owned()),
            (false, None) => Ok(None),
        }
    }
}

/// Waits until the certificates are Valid. At the timeout, and at SIGINT or SIGTERM, the problems say what each waits for.
///
/// # Errors
/// One sentence with the place and the fault.
pub fn run(options: &WaitOptions, arguments: &Arguments) -> Result<Output, String> {
    let stop = Shutdown::new();
    stop_on_signals(stop.clone())?;
    let reader = reader(arguments, &stop)?;
    let secret =
        |name: &String| ObjectRef::parse_anywhere(name, reader.namespaces.own()).map_err(|e| format!("{name:?} {e}"));
    let secrets: Vec<ObjectRef> = options.secrets.iter().map(secret).collect::<Result<_, _>>()?;
    let deadline = Deadline::after(options.timeout);
    loop {
        let watch = Stopwatch::start();
        let report = reader.read(time::now());
        let unmet = unmet(&report, &secrets);
        if unmet.is_empty() {
            let of = if secrets.is_empty() { report.rows.len() } else { secrets.len() };
            let text = format!("{of} certificate{} Valid\n", if of == 1 { " is" } else { "s are" });
            return Ok(Output { text, problems: String::new(), status: ExitStatus::Good });
        }
        // The last look is at the deadline.
        let pause = STATUS_POLL.max(watch.elapsed() * STATUS_SHARE);
        let left = deadline.left().filter(|_| !stop.is_set());
        let Some(left) = left else {
            let problems = format!("not Valid after {}:\n  {}", duration_text(options.timeout), unmet.join("\n  "));
            return Ok(Output { text: String::new(), problems, status: ExitStatus::Unsound });
        };
        stop.wait(pause.min(left));
    }
}

/// A sentence for each obstacle of the named certificates, or of all; none when they are Valid.
fn unmet(report: &StatusReport, secrets: &[ObjectRef]) -> Vec<String> {
    let is_meant = |row: &CertificateStatus| match secrets {
        [] => row.state != CertificateState::Orphaned,
        secrets => row.secrets().iter().any(|at| secrets.contains(at)),
    };
    // An entry that is refused is served in its last accepted form, which is not what its author waits for. Its note names the Secret.
    let is_blocking = |(kind, note): &&(NoteKind, String)| match kind {
        NoteKind::Unreadable | NoteKind::Unknown => true,
        NoteKind::Refused => secrets.is_empty() || secrets.iter().any(|at| note.contains(&format!("({at})"))),
        NoteKind::Warning | NoteKind::NotShown => false,
    };
    let mut unmet: Vec<String> =
        report.notes.iter().filter(is_blocking).map(|(kind, note)| format!("{kind}: {note}")).collect();
    let rows: Vec<&CertificateStatus> = report.rows.iter().map(|row| &**row).filter(|row| is_meant(row)).collect();
    let is_known = |at: &ObjectRef| rows.iter().any(|row| row.secrets().contains(at));
    unmet.extend(secrets.iter().filter(|at| !is_known(at)).map(|at| format!("{at}: no entry has this Secret")));
    if secrets.is_empty() && rows.is_empty() && unmet.is_empty() {
        unmet.push("the configuration lists no certificate".to_owned());
    }
    unmet.extend(rows.into_iter().filter(|row| row.state != CertificateState::Valid).map(sentence));
    unmet
}

/// The state of a certificate, its cause, and the next attempt.
fn sentence(row: &CertificateStatus) -> String {
    let mut text = format!("{}: {}", row.secrets()[0], row.state);
    let failed = row.failure.as_ref().map(|failure| match failure.stage {
        Some(stage) => format!("{stage}: {}", failure.error),
        None => failure.error.clone(),
    });
    for more in row.finding.as_ref().map(ToString::to_string).into_iter().chain(failed) {
        text += &format!("; {more}");
    }
    row.next_attempt.map(|next| format!("; next attempt {next}")).map_or(text.clone(), |next| text + &next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Time;
    use crate::policy::backoff::Stage;
    use crate::status::certificate::{Failure, Subject};

    fn row(secret: &str, state: CertificateState) -> CertificateStatus {
        let subject = Subject::Orphaned(Box::new((ObjectRef::parse(secret, "").unwrap(), Vec::new())));
        CertificateStatus::empty(subject, state, "")
    }

    fn report(rows: Vec<CertificateStatus>, notes: &[(NoteKind, &str)]) -> StatusReport {
        let notes = notes.iter().map(|(kind, note)| (*kind, (*note).to_owned())).collect();
        StatusReport { rows: rows.into_iter().map(Into::into).collect(), notes, progress: None }
    }

    #[test]
    fn what_is_named_must_be_valid_and_as_it_stands_in_the_configuration() {
        use CertificateState::{Issuing, Orphaned, Valid};
        let rows = || vec![row("ns/web", Valid), row("ns/api", Issuing), row("ns/gone", Orphaned)];
        let refused = (NoteKind::Refused, "certificates entry 1 (ns/web): x");
        let unreadable = (NoteKind::Unreadable, "ConfigMap ns/c: it does not exist");
        let warning = (NoteKind::Warning, "w (ns/web)");
        for (secrets, notes, expected) in [
            (&["ns/web"][..], &[warning][..], &[][..]),
            (&["ns/web", "ns/api"], &[], &["ns/api: Issuing"]),
            (&["ns/web", "ns/none"], &[], &["ns/none: no entry has this Secret"]),
            (&["ns/gone"], &[], &["ns/gone: Orphaned"]),
            (&["ns/web"], &[refused], &["refused: certificates entry 1 (ns/web): x"]),
            (&["ns/api"], &[refused], &["ns/api: Issuing"]),
            (&["ns/web"], &[unreadable], &["unreadable: ConfigMap ns/c: it does not exist"]),
            (&[], &[refused], &["refused: certificates entry 1 (ns/web): x", "ns/api: Issuing"]),
        ] {
            let secrets: Vec<ObjectRef> = secrets.iter().map(|name| ObjectRef::parse(name, "").unwrap()).collect();
            assert_eq!(unmet(&report(rows(), notes), &secrets), expected, "{secrets:?} {notes:?}");
        }
        assert_eq!(unmet(&report(vec![row("ns/web", Valid), row("ns/gone", Orphaned)], &[]), &[]), [""; 0]);
        assert_eq!(unmet(&report(Vec::new(), &[]), &[]), ["the configuration lists no certificate"]);
    }

    #[test]
    fn a_sentence_has_the_state_the_cause_and_the_next_attempt() {
        let now = Time::from_unix(1_800_000_000);
        let failure = Failure { stage: Some(Stage::Zone), error: "no SOA".to_owned(), failures: 1, at: now };
        let row = CertificateStatus {
            finding: Some("SecretMissing".into()),
            failure: Some(Box::new(failure)),
            next_attempt: Some(now),
            ..row("ns/web", CertificateState::BackingOff)
        };
        let expected = "ns/web: BackingOff; SecretMissing; zone: no SOA; next attempt 2027-01-15T08:00:00Z";
        assert_eq!(sentence(&row), expected);
    }
}
