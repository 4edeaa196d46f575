//! What the HTTP port shows of the daemon. The loop writes it down, the port's threads read it; neither waits for the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::limits::SHOWN_EVERY;
use crate::base::liveness;
use crate::base::log::event;
use crate::base::metrics::Counts;
use crate::base::time::{self, Stopwatch, Time};
use crate::issuance::Context;
use crate::server::listener::Port;
use crate::server::metrics::{self, Live};
use crate::server::page::{self, Title};
use crate::server::process;
use crate::server::request::{PortRequest, PortResponse, ResponseBody, StatusCode};
use crate::server::snapshot::Snapshot;

/// What is shown, on the loop's side.
#[derive(Debug)]
pub(super) struct SnapshotPublisher {
    shown: Arc<StatusSnapshot>,
    /// When it was written down last.
    written: Option<Stopwatch>,
}

#[derive(Debug)]
struct StatusSnapshot {
    context: Arc<Context>,
    /// Whether the page is there.
    page: bool,
    started: Time,
    /// What is not known yet; once all is, it stays so: whoever lost sight of the API server is no worse than another would be.
    lacks: Mutex<Option<String>>,
    snapshot: Mutex<Arc<Snapshot>>,
}

impl SnapshotPublisher {
    /// Begins to answer at the port.
    ///
    /// # Errors
    /// When a thread can not be had.
    pub(super) fn begin(port: &Port, page: bool, context: &Arc<Context>) -> Result<SnapshotPublisher, String> {
        let shown = Arc::new(StatusSnapshot {
            context: context.clone(),
            page,
            started: time::now(),
            lacks: Mutex::new(Some("nothing was read yet".to_owned())),
            snapshot: Mutex::default(),
        });
        let desk = shown.clone();
        port.serve(context.stop.clone(), Box::new(move |request| desk.answer(request)))?;
        if let Some(address) = port.address() {
            event!(info, "listening", address = address);
        }
        Ok(SnapshotPublisher { shown, written: None })
    }

    /// Takes note of what is not known yet.
    pub(super) fn ready(&self, lacks: impl FnOnce() -> Option<String>) {
        let mut known = lock(&self.shown.lacks);
        if known.is_some() {
            *known = lacks();
        }
    }

    /// Takes note of how everything is, now and then. Returns when it would again, where that was a moment ago.
    pub(super) fn publish(&mut self, now: Time, snapshot: impl FnOnce() -> Snapshot) -> Option<Time> {
        if self.written.is_some_and(|written| written.elapsed() < SHOWN_EVERY) {
            return Some(now + Duration::from_secs(1));
        }
        self.written = Some(Stopwatch::start());
        *lock(&self.shown.snapshot) = Arc::new(snapshot());
        None
    }
}

impl StatusSnapshot {
    fn answer(&self, request: &PortRequest) -> PortResponse {
        match request.path.as_str() {
            "/livez" | "/healthz" => match liveness::overdue() {
                None => PortResponse::short(StatusCode::Ok, "ok"),
                Some(name) => {
                    PortResponse::short(StatusCode::ServiceUnavailable, &format!("the thread {name} is overdue"))
                }
            },
            "/readyz" => match &*lock(&self.lacks) {
                None => PortResponse::short(StatusCode::Ok, "ok"),
                Some(lacks) => PortResponse::short(StatusCode::ServiceUnavailable, &format!("not ready: {lacks}")),
            },
            "/metrics" => self.metrics(),
            "/" if self.page => self.page(),
            _ => PortResponse::of(StatusCode::NotFound),
        }
    }

    fn page(&self) -> PortResponse {
        let Context { namespace, leader: lead, .. } = &*self.context;
        let title = Title { namespace: namespace.clone(), leads: lead.leading(), now: time::now() };
        let snapshot = lock(&self.snapshot).clone();
        let write = ResponseBody::Long(Box::new(move |out| page::write(out, &title, &snapshot)));
        PortResponse { status: StatusCode::Ok, kind: page::KIND, body: write }
    }

    fn metrics(&self) -> PortResponse {
        let live = Live {
            counts: Counts::now(),
            leads: self.context.leader.leading(),
            probes: self.context.probes.results(),
            process: process::read(self.started),
            now: time::now(),
        };
        let snapshot = lock(&self.snapshot).clone();
        let write = ResponseBody::Long(Box::new(move |out| metrics::write(out, &live, &snapshot)));
        PortResponse { status: StatusCode::Ok, kind: metrics::KIND, body: write }
    }
}

/// The locks guard what is replaced as a whole.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
