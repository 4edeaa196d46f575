//! `notariat status`: prints the report, once or whenever it changed.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::base::limits::{STATUS_POLL, STATUS_SHARE};
use crate::base::name::ObjectRef;
use crate::base::redact;
use crate::base::sanitize::one_line;
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Stopwatch, Time};
use crate::cli::Arguments;
use crate::controller::ExitStatus;
use crate::issuance::clients::AcmeClients;
use crate::kube::leader_election::holder_at;
use crate::kube::resource::Resource;
use crate::sources::selection::{LEASE, LEASE_NAMESPACE};
use crate::start::{OpenedStore, directory, open};
use crate::status::certificate::CertificateStatus;
use crate::status::json::json;
use crate::status::reader::StatusReader;
use crate::status::report::{NoteKind, StatusReport};
use crate::status::state::CertificateState;
use crate::status::table::{TableStyle, table};
use crate::store::LockMode;
use crate::tools::options::{OutputFormat, StatusOptions};
use crate::tools::terminal;
use crate::worker::is_holder;

/// Prints the status and returns the exit status; with `-w` at SIGINT, SIGTERM, or when standard output is closed.
///
/// # Errors
/// One sentence with the place and the fault.
pub fn run(options: StatusOptions, arguments: &Arguments) -> Result<ExitStatus, String> {
    let stop = Shutdown::new();
    if options.follow {
        stop_on_signals(stop.clone())?;
    }
    let reader = reader(arguments, &stop)?;
    let wide = options.format == OutputFormat::Wide;
    let mut before = None;
    loop {
        let watch = Stopwatch::start();
        let now = time::now();
        let mut report = reader.read(now);
        report.notes.extend(not_acted(arguments, &report, &stop, now));
        let end = end(&report);
        if before.as_ref() != Some(&report) {
            // A window may have another width by now.
            let width = if wide { None } else { terminal::width() };
            let style = TableStyle { width, wide, colour: has_colour(), own: reader.namespaces.own() };
            let text = match options.format {
                OutputFormat::Table | OutputFormat::Wide => table(&report, style, now),
                OutputFormat::Json => json(&report, now),
            };
            let gap = if before.is_some() && options.format != OutputFormat::Json { "\n" } else { "" };
            let mut out = std::io::stdout();
            // The reader of the pipe went away.
            if out.write_all(format!("{gap}{}", redact::clean(&text)).as_bytes()).and_then(|()| out.flush()).is_err() {
                return Ok(end);
            }
            before = Some(report);
        }
        let pause = STATUS_POLL.max(Duration::from_millis(1) * millis(watch) * STATUS_SHARE);
        if !options.follow || stop.wait(pause) {
            return Ok(end);
        }
    }
}

/// The note about cert-manager's objects while somebody else holds the Lease of its controller. Whoever may not read the Lease gets none.
fn not_acted(arguments: &Arguments, report: &StatusReport, stop: &Shutdown, now: Time) -> Option<(NoteKind, String)> {
    let of_object =
        |row: &Arc<CertificateStatus>| row.objects.iter().any(|object| object.kind == Resource::CERTIFICATES.kind);
    let selection = &arguments.selection;
    let at = selection.cert_manager_lease().or_else(|| {
        // The records say what the flags leave out.
        report.rows.iter().any(of_object).then(|| ObjectRef::new(LEASE_NAMESPACE, LEASE))
    })?;
    let OpenedStore { kube, .. } = open(arguments, LockMode::Beside, stop).ok()?;
    let lease = kube?.get_json(Resource::LEASES, &at).ok()??;
    let holder = holder_at(&lease, now).filter(|holder| !is_holder(holder))?;
    let sentence = format!(
        "cert-manager's objects are not served: {} holds the Lease {at}: scale cert-manager's controller to 0 to have notariat act",
        one_line(holder)
    );
    Some((NoteKind::Warning, sentence))
}

/// SIGINT and SIGTERM set `stop`, also where a shell made SIGINT ignored for a background process. The first signal waits for the request under
/// way; a second one ends the process at once.
pub(super) fn stop_on_signals(stop: Shutdown) -> Result<(), String> {
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

/// The reader of the objects of a controller with these arguments.
///
/// # Errors
/// One sentence with the place and the fault.
pub fn reader(arguments: &Arguments, stop: &Shutdown) -> Result<StatusReader, String> {
    let OpenedStore { store, namespace, .. } = open(arguments, LockMode::Beside, stop)?;
    let in_own = |name: &String| ObjectRef::parse(name, &namespace).map_err(|e| format!("-config {name:?} {e}"));
    let config_maps = arguments.config.iter().map(in_own).collect::<Result<_, _>>()?;
    let namespaces = arguments.namespaces(&namespace);
    Ok(StatusReader {
        store: store.within(&namespaces),
        cas: AcmeClients::new(directory(arguments), Vec::new(), None, stop.clone())?,
        namespaces,
        instance: arguments.instance.clone().unwrap_or(namespace),
        config_maps,
        prunes: arguments.selection.prunes,
        secret_keys: arguments.selection.settings.secret_keys.clone(),
    })
}

/// Tells whether standard output is a terminal that may be coloured.
pub fn has_colour() -> bool {
    // https://no-color.org: any value that is not empty.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !plain
}

fn millis(watch: Stopwatch) -> u32 {
    u32::try_from(watch.elapsed().as_millis()).unwrap_or(u32::MAX / STATUS_SHARE)
}

/// The exit status for the worst state: unreadable, unknown, not valid. Orphaned certificates are no fault, unless all are.
fn end(report: &StatusReport) -> ExitStatus {
    let noted = |kind: NoteKind| report.notes.iter().any(|(of, _)| *of == kind);
    let any = |is: &dyn Fn(CertificateState) -> bool| report.rows.iter().any(|row| is(row.state));
    // An accepted form in force is renewed, but is not what the ConfigMap wants: not sound, and not unreadable.
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
