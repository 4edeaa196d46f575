//! Builds the controller, owns the threads and channels, runs the loop, shuts down.
//!
//! Watches and workers only mark certificates as changed; the loop reconciles these at its own pace and hands out jobs.

mod accepted_specs;
mod affected;
mod cache;
mod capacity;
mod control;
mod control_loop;
mod dispatch;
mod dry_run;
mod election;
mod elsewhere;
mod expectations;
mod gather;
mod informers;
mod log_dedup;
mod messages;
mod notes;
mod object_status;
mod objects;
mod observed;
mod options;
mod orphans;
mod outcomes;
mod permissions;
mod probe_schedule;
mod queue;
mod queue_index;
mod reconcile;
mod record_index;
mod secret_cache;
mod settling;
mod sources;
mod state;
mod status_writer;
mod steps;
mod view;
mod wishes;
mod worker_threads;

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Sender, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::base::limits::{BULLETIN_ROWS_MAX, CHANGES_WAITING_MAX};
use crate::base::liveness;
use crate::base::log::event;
use crate::base::name::{ClusterName, ObjectRef};
use crate::base::shutdown::Shutdown;
use crate::base::time;
use crate::issuance::Context;
use crate::kube::resource::Resource;
use crate::server::challenge_port;
use crate::server::publisher::SnapshotPublisher;
use crate::server::snapshot::StatusTable;
use crate::sources::registry;
use control::Controller;
use election::{ElectionHandle, LeasePart};
use informers::Informers;
use messages::ControllerEvent;
use object_status::{IssuerAccounts, ObjectStatusWriter};
pub use options::{ExitStatus, Options, RunMode};
use permissions::Permissions;
use state::ControllerState;
use status_writer::StatusWriter;
use worker_threads::Workers;

/// Runs until it is stopped, or in a single pass until every entry was served once.
///
/// # Errors
/// When threads or signal handlers can not be had.
pub fn run_daemon(context: Context, plan: &Options) -> Result<ExitStatus, String> {
    let context = Arc::new(context);
    let (wake, events) = bounded::<ControllerEvent>(CHANGES_WAITING_MAX);
    shut_down_on_signals(context.stop.clone(), wake.clone())?;
    liveness::begin("loop");
    let status_writer = StatusWriter::new(plan.tells() && context.kube.is_some());
    // The port shows all certificates, the ConfigMap the most urgent ones. For the status of an object one that is not kept is made again.
    let statuses = match plan.port {
        Some(_) => Some(StatusTable::complete()),
        None if !status_writer.is_possible() && !plan.writes_statuses => None,
        None => Some(StatusTable::of_most_urgent(2 * BULLETIN_ROWS_MAX)),
    };
    let shown = plan.port.as_deref().zip(statuses.clone());
    let publisher =
        shown.map(|(port, statuses)| SnapshotPublisher::start(port, plan.page, &context, statuses)).transpose()?;
    if let Some(port) = &plan.challenge_port {
        challenge_port::serve(port, &context)?;
    }
    let workers = Workers::new(context.clone(), plan.workers, wake.clone());
    let takes_part = |at: &Option<ObjectRef>, part: LeasePart| {
        let (Some(client), Some(at)) = (&context.kube, at) else { return Ok(None) };
        let wake = wake.clone();
        // A full channel keeps the loop awake, which then sees the change by itself.
        let changed = move || drop(wake.try_send(ControllerEvent::Lead));
        ElectionHandle::start(context.clone(), client, at, part, changed).map(Some)
    };
    let election = takes_part(&plan.lease, LeasePart::Leader)?;
    let cert_manager = takes_part(&plan.cert_manager_lease, LeasePart::CertManager)?;
    let writer = context.kube.as_deref().filter(|_| plan.writes_statuses).map(|client| {
        let has_objects =
            |cluster: &ClusterName| cluster.name().is_some_and(|name| plan.selection.has_objects_in(name));
        ObjectStatusWriter::start(&context, client, has_objects)
    });
    let object_status = writer.transpose()?;
    let writes = object_status.is_some();
    let issuer_accounts = writes.then(|| IssuerAccounts::start(context.clone(), wake.clone())).transpose()?;
    // A single pass has no use for later changes.
    let kube = context.kube.clone().filter(|_| plan.pass == RunMode::Forever);
    let now = time::now();
    let permissions = Permissions::find(&context, plan);
    // A Role that names its Secrets allows no list of all: then records whose entry went while the program did not run stay unnoticed.
    let may_list = permissions.allow("list", Resource::SECRETS, &context.namespace, None);
    let watching = kube.map(|client| Informers::new(client, context.clone(), wake, permissions, now));
    let mut sources = registry::all(&plan.config_maps, &context.namespaces);
    sources.extend(registry::of_objects(&plan.selection));
    sources.extend(registry::of_objects_elsewhere(&plan.selection, &context.namespaces));
    let recorder = context.recorder.clone();
    let state = ControllerState::new(context, sources, plan, statuses, watching, now);
    let controller = Controller {
        may_list,
        election,
        cert_manager,
        object_status,
        issuer_accounts,
        status_writer,
        publisher,
        ..Controller::new(state, plan, workers, events, now)
    };
    let end = controller.run();
    recorder.flush();
    end
}

/// Stops everything at the first signal; a second one ends the process at once.
fn shut_down_on_signals(stop: Shutdown, wake: Sender<ControllerEvent>) -> Result<(), String> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|e| format!("signals can not be handled: {e}"))?;
    let handle = move || {
        for _ in signals.forever() {
            if stop.is_set() {
                signal_hook::low_level::exit(1);
            }
            event!(info, "stopping");
            stop.set();
            // The loop may have ended by itself.
            wake.send(ControllerEvent::Stop).ok();
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(handle).map_err(|e| e.to_string())?;
    Ok(())
}

#[cfg(test)]
mod tests;
