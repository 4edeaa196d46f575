//! Builds everything, owns the threads and channels, runs the loop, shuts down.
//!
//! Watches tell what changed; the loop decides at its own pace about what that concerns and hands jobs to the workers; what comes back
//! only makes it look again.

mod accepted_specs;
mod affected;
mod cache;
mod config_maps;
mod control_loop;
mod dispatch;
mod dry_run;
mod election;
mod informers;
mod log_dedup;
mod observed;
mod orphans;
mod outcomes;
mod permissions;
mod probe_schedule;
mod queue;
mod reconcile;
mod secret_cache;
mod state;
mod status_snapshot;
mod status_writer;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::base::limits::CHANGES_WAITING_MAX;
use crate::base::liveness;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::base::time;
use crate::issuance::{AttemptError, Context};
use crate::kube::resource::Resource;
use crate::policy::retention::RetentionStep;
use crate::server::listener::Port;
use crate::worker::{Job, Outcome, release_record, run, settle_panic};
use accepted_specs::LastAccepted;
use config_maps::ConfigHealth;
use control_loop::Controller;
use dispatch::Workers;
use election::ElectionHandle;
use informers::{InformerEvent, Informers};
use permissions::Permissions;
use queue::WorkQueue;
use state::ControllerState;
use status_snapshot::SnapshotPublisher;
use status_writer::StatusWriter;

/// How the daemon runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The ConfigMaps.
    pub config_maps: Vec<ObjectRef>,
    /// When it ends.
    pub pass: RunMode,
    /// Certificates obtained at the same time.
    pub workers: usize,
    /// What would be done is said and not done.
    pub dry_run: bool,
    /// The Lease by which replicas elect the one that works.
    pub lease: Option<ObjectRef>,
    /// How long what is known of a certificate is kept when its entry goes.
    pub forget_after: Duration,
    /// The HTTP port.
    pub port: Option<Arc<Port>>,
    /// Whether the page is there.
    pub page: bool,
}

impl Options {
    /// Whether a ConfigMap shows the state.
    fn tells(&self) -> bool {
        self.pass == RunMode::Forever && !self.dry_run
    }
}

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunMode {
    /// Whatever comes, until it is stopped.
    Forever,
    /// What is to be done now for each entry, then an exit code.
    Once,
    /// Each zone is probed and nothing else done, then an exit code.
    Probe,
}

/// How the program ends; the numbers are those of sysexits.h where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Every Secret is valid, or the daemon was stopped.
    Good,
    /// A Secret is not valid, or an entry was refused.
    Unsound,
    /// A part of the program died.
    Broken,
    /// It could not be found out.
    Unknown,
    /// The command line or the configuration is unreadable.
    Unreadable,
}

impl ExitStatus {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            ExitStatus::Good => 0,
            ExitStatus::Unsound => 1,
            ExitStatus::Broken => 70,
            ExitStatus::Unknown => 75,
            ExitStatus::Unreadable => 78,
        }
    }
}

/// What a worker is asked to do.
enum WorkItem {
    /// Something for a certificate.
    Do(Box<Job>),
    /// To bring a record in line with an entry that went or came back.
    Forget(ObjectRef, RetentionStep),
    /// To write the ConfigMap that shows the state.
    Tell(Box<status_writer::StatusContents>),
    /// To read the form in which the entry of a certificate was accepted last.
    ReadForm(ObjectRef),
}

/// What a worker did.
enum WorkResult {
    Job(Outcome, Box<Job>),
    Forgotten(ObjectRef, Result<(), AttemptError>),
    Told(Result<(), String>),
    Form(ObjectRef, Result<LastAccepted, String>),
}

/// What wakes the loop.
enum ControllerEvent {
    /// An errand is done.
    Done(Box<WorkResult>),
    /// A watch saw something.
    Change(Box<InformerEvent>),
    /// The program is to stop.
    Stop,
    /// This replica leads, or does not any more.
    Lead,
}

/// Runs until it is stopped, or with `once` until every entry was served once.
///
/// # Errors
/// When threads or signal handlers can not be had.
pub fn run_daemon(context: Context, plan: &Options) -> Result<ExitStatus, String> {
    let context = Arc::new(context);
    let (wake, woken) = bounded::<ControllerEvent>(CHANGES_WAITING_MAX);
    shut_down_on_signals(context.stop.clone(), wake.clone())?;
    liveness::begin("loop");
    let showing = plan.port.as_deref().map(|port| SnapshotPublisher::begin(port, plan.page, &context)).transpose()?;
    let crew = Workers::new(context.clone(), plan.workers, wake.clone());
    let candidacy = match (&context.kube, &plan.lease) {
        (Some(client), Some(at)) => {
            let wake = wake.clone();
            // Where there is no room the loop does not sleep, and sees it by itself.
            Some(ElectionHandle::start(context.clone(), client, at, move || {
                drop(wake.try_send(ControllerEvent::Lead))
            })?)
        }
        (None, _) | (_, None) => None,
    };
    // A single pass has no use for what comes later.
    let kube = context.kube.clone().filter(|_| plan.pass == RunMode::Forever);
    let now = time::now();
    let permissions = Permissions::find(&context, plan);
    // A Role that names its Secrets has none to list them all by: what went while we were away is not noticed then.
    let may_list = permissions.allow("list", Resource::SECRETS, &context.namespace, None);
    let watching = kube.map(|client| Informers::new(client, context.clone(), wake, permissions, now));
    let world = ControllerState::new(context.clone(), plan, watching, now);
    let report = context.recorder.clone();
    let telling = StatusWriter::new(plan.tells() && context.kube.is_some());
    let daemon = Controller {
        state: world,
        context,
        plan,
        workers: crew,
        events: woken,
        queue: WorkQueue::new(plan.pass != RunMode::Forever),
        orphaned: Vec::new(),
        releasing: HashSet::new(),
        all_changed: true,
        may_list,
        change_proved: false,
        probe_failed: false,
        read_again: now,
        last_pass: now,
        config_health: ConfigHealth::default(),
        led: false,
        election: candidacy,
        status_writer: telling,
        publisher: showing,
    };
    let end = daemon.run();
    report.flush();
    end
}

/// The first signal asks everything to stop; a second one ends the process at once.
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

/// A worker: one errand after the other until the loop drops the queue. A panic of a library fails the job and nothing else.
fn work(context: &Context, queue: &Receiver<WorkItem>, wake: &Sender<ControllerEvent>) {
    liveness::begin("worker");
    liveness::rest();
    for errand in queue {
        liveness::beat();
        let done = match errand {
            WorkItem::Do(job) => {
                let outcome = catch_unwind(AssertUnwindSafe(|| run(context, &job))).unwrap_or_else(|_| {
                    event!(error, "panicked", secret = job.wanted.entry.main_secret());
                    settle_panic(context, &job)
                });
                WorkResult::Job(outcome, job)
            }
            WorkItem::Forget(at, fate) => {
                let forgotten = catch_unwind(AssertUnwindSafe(|| release_record(context, &at, fate)));
                let result = forgotten.unwrap_or_else(|_| Err(AttemptError::internal()));
                WorkResult::Forgotten(at, result)
            }
            WorkItem::Tell(state) => {
                let told = catch_unwind(AssertUnwindSafe(|| status_writer::put(context, *state)));
                WorkResult::Told(told.unwrap_or_else(|_| Err(AttemptError::internal().error)))
            }
            WorkItem::ReadForm(secret) => {
                let read = catch_unwind(AssertUnwindSafe(|| accepted_specs::read(context, &secret)));
                WorkResult::Form(secret, read.unwrap_or_else(|_| Err(AttemptError::internal().error)))
            }
        };
        if wake.send(ControllerEvent::Done(Box::new(done))).is_err() {
            return;
        }
        liveness::rest();
    }
}
