//! Builds everything, owns the threads and channels, runs the loop, shuts down.
//!
//! The loop looks at the whole world at its own pace and hands jobs to the workers; what comes back only makes it look again.

mod judge;
mod probing;
mod queue;
mod world;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::decide::gate::{Barred, Lane};
use crate::issue::{Context, Failed};
use crate::limits::{POLL_INTERVAL, SHUTDOWN, SHUTDOWN_PATIENCE};
use crate::log::event;
use crate::name::ObjectRef;
use crate::stop::Stop;
use crate::time::{self, Deadline, Time};
use crate::work::{Job, Outcome, Task, forget, run, settle_panic};
use world::{World, pause_until};

/// How the daemon runs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The ConfigMaps.
    pub config_maps: Vec<ObjectRef>,
    /// When it ends.
    pub pass: Pass,
    /// Certificates obtained at the same time.
    pub workers: usize,
}

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Whatever comes, until it is stopped.
    Forever,
    /// What is to be done now for each entry, then an exit code.
    Once,
    /// Each zone is probed and nothing else done, then an exit code.
    Probe,
}

/// How the program ends; the numbers are those of sysexits.h where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
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

impl End {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            End::Good => 0,
            End::Unsound => 1,
            End::Broken => 70,
            End::Unknown => 75,
            End::Unreadable => 78,
        }
    }
}

/// What wakes the loop.
enum Wake {
    /// A job is done.
    Done(Box<(Outcome, Job)>),
    /// The program is to stop.
    Stop,
}

/// Runs until it is stopped, or with `once` until every entry was served once.
///
/// # Errors
/// When threads or signal handlers can not be had.
pub fn run_daemon(context: Context, plan: &Plan) -> Result<End, String> {
    let context = Arc::new(context);
    let (jobs, queue) = bounded::<Job>(plan.workers);
    let (wake, woken) = unbounded::<Wake>();
    stop_on_signals(context.stop.clone(), wake.clone())?;
    for number in 0..plan.workers {
        let (context, queue, wake) = (context.clone(), queue.clone(), wake.clone());
        let spawned =
            thread::Builder::new().name(format!("worker-{number}")).spawn(move || work(&context, &queue, &wake));
        spawned.map_err(|e| format!("a worker thread can not be started: {e}"))?;
    }
    drop(wake);
    let world = World::new(context.clone(), plan, time::now());
    Ok(Loop { world, context, plan, jobs, woken, barred: HashMap::new(), probe_failed: false, resting: HashMap::new() }
        .run())
}

/// The first signal asks everything to stop; a second one ends the process at once.
fn stop_on_signals(stop: Stop, wake: Sender<Wake>) -> Result<(), String> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|e| format!("signals can not be handled: {e}"))?;
    let handle = move || {
        for _ in signals.forever() {
            if stop.is_set() {
                signal_hook::low_level::exit(1);
            }
            event!(info, "stopping");
            stop.set();
            // The loop may have ended by itself.
            wake.send(Wake::Stop).ok();
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(handle).map_err(|e| e.to_string())?;
    Ok(())
}

/// A worker: one job after the other until the loop drops the queue. A panic of a library fails the job and nothing else.
fn work(context: &Context, queue: &Receiver<Job>, wake: &Sender<Wake>) {
    for job in queue {
        let outcome = catch_unwind(AssertUnwindSafe(|| run(context, &job))).unwrap_or_else(|_| {
            event!(error, "panicked", secret = job.wanted.entry.main_secret());
            settle_panic(context, &job)
        });
        if wake.send(Wake::Done(Box::new((outcome, job)))).is_err() {
            return;
        }
    }
}

struct Loop<'p> {
    world: World,
    context: Arc<Context>,
    plan: &'p Plan,
    jobs: Sender<Job>,
    woken: Receiver<Wake>,
    /// Certificates that were turned away from a DNS server, and from which.
    barred: HashMap<ObjectRef, Lane>,
    /// A zone would not take an UPDATE.
    probe_failed: bool,
    /// Certificates whose job failed, until when they are left alone: not every failure leaves a wait in the record.
    resting: HashMap<ObjectRef, Time>,
}

impl Loop<'_> {
    fn once(&self) -> bool {
        self.plan.pass != Pass::Forever
    }

    fn run(mut self) -> End {
        let (mut busy, mut served) = (HashSet::new(), HashSet::new());
        let mut change_proved = false;
        self.world.find_records();
        while !self.context.stop.is_set() {
            self.resting.retain(|_, until| *until > time::now());
            let away: HashSet<ObjectRef> = busy.iter().chain(self.resting.keys()).cloned().collect();
            let pass = self.world.pass(time::now(), &away);
            for secret in &pass.gone {
                match forget(&self.context, secret) {
                    Ok(()) => self.world.forget_record(secret),
                    Err(failed) => {
                        event!(warn, "not-forgotten", secret = secret, error = failed.error)
                    }
                }
            }
            change_proved &= pass.queue.has_changes() || !busy.is_empty();
            let (unknown, unreadable, unsound, wake) = (pass.unknown, pass.unreadable, pass.unsound, pass.wake);
            let mut waiting = pass.queue.startable(busy.is_empty(), change_proved);
            if self.once() {
                waiting.retain(|job| !served.contains(&key(job)));
                if waiting.is_empty() && busy.is_empty() {
                    return match (unreadable, unknown, unsound || self.probe_failed) {
                        (true, false, _) => End::Unreadable,
                        (_, true, _) => End::Unknown,
                        (false, false, true) => End::Unsound,
                        (false, false, false) => End::Good,
                    };
                }
            }
            let deadline = Deadline::after(pause_until(wake, time::now()));
            while !self.context.stop.is_set() {
                self.start(&mut waiting, &mut busy, &mut served);
                match self.woken.recv_timeout(deadline.left().unwrap_or_default()) {
                    Ok(Wake::Done(done)) => {
                        let (outcome, job) = *done;
                        change_proved |= self.finish(&outcome, &job.task, &mut busy);
                        // It waits here, and not in a worker, until the gate lets it in.
                        if self.barred.contains_key(&outcome.secret) {
                            waiting.push(job);
                        }
                    }
                    Ok(Wake::Stop) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return End::Broken,
                }
                // All that can be done now is done: look again what it led to.
                let left = waiting.iter().any(|job| !self.once() || self.may_start(job));
                if !left && busy.is_empty() {
                    break;
                }
            }
        }
        self.wind_down(busy)
    }

    /// Hands out as many jobs as there are idle workers.
    fn start(&self, waiting: &mut Vec<Job>, busy: &mut HashSet<ObjectRef>, served: &mut HashSet<(ObjectRef, u8)>) {
        while busy.len() < self.plan.workers
            && let Some(place) = waiting.iter().position(|job| self.may_start(job))
        {
            let job = waiting.remove(place);
            let (secret, key) = (job.wanted.entry.main_secret().clone(), key(&job));
            // There is a place in the queue for each worker, so this does not fail while the workers live.
            if self.jobs.try_send(job).is_ok() {
                busy.insert(secret);
                served.insert(key);
            }
        }
    }

    /// Whether the DNS server that a job was turned away from may be asked by now.
    fn may_start(&self, job: &Job) -> bool {
        self.barred.get(job.wanted.entry.main_secret()).is_none_or(|lane| self.context.gates.admits(lane).is_ok())
    }

    /// Takes note of a finished job. Returns whether it proved that changed certificates can be made.
    fn finish(&mut self, outcome: &Outcome, task: &Task, busy: &mut HashSet<ObjectRef>) -> bool {
        busy.remove(&outcome.secret);
        self.barred.remove(&outcome.secret);
        self.world.forget_record(&outcome.secret);
        // A single pass serves each certificate once, and ends with a look at all.
        if !self.once() && outcome.result.as_ref().is_err_and(|failed| failed.barred.is_none()) {
            self.resting.insert(outcome.secret.clone(), time::now() + POLL_INTERVAL);
        }
        match &outcome.result {
            Ok(()) => matches!(task, Task::Issue { finding, .. } if finding.reason.is_change()),
            Err(Failed { barred: Some(barred), error, .. }) => {
                let (lane, why) = &**barred;
                if let Barred::Closed(_) = why {
                    event!(info, "put-off", secret = outcome.secret, error = error);
                }
                self.barred.insert(outcome.secret.clone(), lane.clone());
                false
            }
            Err(failed) if failed.uncounted => {
                event!(info, "put-off", secret = outcome.secret, stage = failed.stage, error = failed.error);
                false
            }
            Err(failed) => {
                self.probe_failed |= matches!(task, Task::Probe);
                // The others were said where they were written into the record, or probed.
                if matches!(task, Task::Restore { .. } | Task::Tidy | Task::Window(_)) {
                    event!(warn, "not-done", secret = outcome.secret, stage = failed.stage, error = failed.error);
                }
                false
            }
        }
    }

    /// No new jobs; those under way get a while to end at a point from which they can be continued.
    fn wind_down(self, mut busy: HashSet<ObjectRef>) -> End {
        let once = self.once();
        drop(self.jobs);
        let (patience, deadline) = (Deadline::after(SHUTDOWN_PATIENCE), Deadline::after(SHUTDOWN));
        let mut cut = false;
        while let Some(left) = deadline.left().filter(|_| !busy.is_empty()) {
            match self.woken.recv_timeout(patience.left().unwrap_or(left)) {
                Ok(Wake::Done(done)) => {
                    busy.remove(&done.0.secret);
                }
                Ok(Wake::Stop) => {}
                Err(RecvTimeoutError::Timeout) if !cut => {
                    // Then there is time left to write the records: the orders are continued by their URL.
                    self.context.cas.shut_down();
                    cut = true;
                }
                Err(_) => break,
            }
        }
        if once { End::Unknown } else { End::Good }
    }
}

/// With `once` each certificate is worked on once in each way.
fn key(job: &Job) -> (ObjectRef, u8) {
    let way = match &job.task {
        Task::Issue { .. } => 0,
        Task::Restore { .. } => 1,
        Task::Tidy => 2,
        Task::Probe => 3,
        Task::Window(_) => 4,
    };
    (job.wanted.entry.main_secret().clone(), way)
}
