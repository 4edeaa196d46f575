//! `notariat status`: prints the report, once or whenever it changed.

use std::io::{IsTerminal as _, Write as _};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::json::json;
use super::reader::StatusReader;
use super::report::{NoteKind, StatusReport};
use super::state::CertificateState;
use super::table::{TableStyle, table};
use crate::base::limits::{STATUS_POLL, STATUS_SHARE, STATUS_WIDTH};
use crate::base::name::ObjectRef;
use crate::base::redact;
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Stopwatch};
use crate::cli::Arguments;
use crate::cli::status_options::{OutputFormat, StatusOptions};
use crate::config::namespaces::Namespaces;
use crate::controller::ExitStatus;
use crate::issuance::clients::AcmeClients;
use crate::start::{OpenedStore, directory, open};
use crate::store::LockMode;

/// Prints the status. Returns how it is, with `-w` at SIGINT, at SIGTERM, and when nobody reads it any more.
///
/// # Errors
/// One sentence that says what is missing or wrong where.
pub fn run(look: StatusOptions, arguments: &Arguments) -> Result<ExitStatus, String> {
    let stop = Shutdown::new();
    if look.follow {
        stop_on_signals(stop.clone())?;
    }
    let view = view(arguments, &stop)?;
    let width = (look.form == OutputFormat::Table).then_some(STATUS_WIDTH);
    let style = TableStyle { width, colour: has_colour(), own: view.namespaces.own() };
    let mut before = None;
    loop {
        let watch = Stopwatch::start();
        let now = time::now();
        let report = view.read(now);
        let end = end(&report);
        if before.as_ref() != Some(&report) {
            let text = match look.form {
                OutputFormat::Table | OutputFormat::Wide => table(&report, style, now),
                OutputFormat::Json => json(&report, now),
            };
            let gap = if before.is_some() && look.form != OutputFormat::Json { "\n" } else { "" };
            let mut out = std::io::stdout();
            // A reader that went away is no failure of ours.
            if out.write_all(format!("{gap}{}", redact::clean(&text)).as_bytes()).and_then(|()| out.flush()).is_err() {
                return Ok(end);
            }
            before = Some(report);
        }
        let pause = STATUS_POLL.max(Duration::from_millis(1) * millis(watch) * STATUS_SHARE);
        if !look.follow || stop.wait(pause) {
            return Ok(end);
        }
    }
}

/// SIGINT and SIGTERM end the following, also where SIGINT is ignored as a shell does for what it starts in the background. A second signal
/// ends the process at once: the first one waits for an answer that is under way.
fn stop_on_signals(stop: Shutdown) -> Result<(), String> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|e| format!("signals can not be handled: {e}"))?;
    let handle = move || {
        for signal in signals.forever() {
            if stop.is_set() {
                signal_hook::low_level::exit(128 + signal);
            }
            stop.set();
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(handle).map_err(|e| e.to_string())?;
    Ok(())
}

/// The view of a daemon with these arguments.
///
/// # Errors
/// One sentence that says what is missing or wrong where.
pub fn view(arguments: &Arguments, stop: &Shutdown) -> Result<StatusReader, String> {
    let OpenedStore { store, namespace, .. } = open(arguments, LockMode::Beside, stop)?;
    let in_own = |name: &String| ObjectRef::parse(name, &namespace).map_err(|e| format!("-config {name:?} {e}"));
    let config_maps = arguments.config.iter().map(in_own).collect::<Result<_, _>>()?;
    let namespaces = Namespaces::new(&namespace, &arguments.allow_namespaces);
    Ok(StatusReader {
        store: store.within(namespaces.clone()),
        cas: AcmeClients::new(directory(arguments), Vec::new(), None, stop.clone())?,
        namespaces,
        instance: arguments.instance.clone().unwrap_or(namespace),
        config_maps,
    })
}

/// Whether standard output is a terminal that may be coloured.
pub fn has_colour() -> bool {
    // https://no-color.org: whatever it is set to, as long as it is not empty.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !plain
}

fn millis(watch: Stopwatch) -> u32 {
    u32::try_from(watch.elapsed().as_millis()).unwrap_or(u32::MAX / STATUS_SHARE)
}

/// The worst of what was found: unreadable, unknown, not valid. A certificate whose entry went is no fault, unless all did.
fn end(report: &StatusReport) -> ExitStatus {
    let noted = |kind: NoteKind| report.notes.iter().any(|(of, _)| *of == kind);
    let any = |is: &dyn Fn(CertificateState) -> bool| report.rows.iter().any(|row| is(row.state));
    // While something is in force the certificates are looked after; they are not as the ConfigMap wants them.
    let nothing_is_wanted = report.rows.iter().all(|row| row.state == CertificateState::Orphaned);
    if noted(NoteKind::Unreadable) && nothing_is_wanted {
        ExitStatus::Unreadable
    } else if noted(NoteKind::Unknown) || any(&|state| state == CertificateState::Unknown) {
        ExitStatus::Unknown
    } else if noted(NoteKind::Refused)
        || noted(NoteKind::Unreadable)
        || any(&|state| !matches!(state, CertificateState::Valid | CertificateState::Orphaned))
        || (nothing_is_wanted && !report.rows.is_empty())
    {
        ExitStatus::Unsound
    } else {
        ExitStatus::Good
    }
}
