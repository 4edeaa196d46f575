//! Answers the requests of the port. The controller publishes, the threads of the port read; neither waits for the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::listener::Port;
use super::metrics::{self, Live};
use super::page::{self, Title};
use super::process;
use super::request::{PortRequest, PortResponse, ResponseBody, StatusCode};
use super::snapshot::{Snapshot, StatusTable};
use crate::base::limits::{PORT_WAITING_MAX, SHOWN_EVERY};
use crate::base::liveness;
use crate::base::log::event;
use crate::base::metrics::Counts;
use crate::base::time::{self, Stopwatch, Time};
use crate::issuance::Context;
use crate::issuance::answers::Feed;

/// The controller's side: publishes what the port shows.
#[derive(Debug)]
pub struct SnapshotPublisher {
    shown: Arc<Shown>,
    /// When the last snapshot was published.
    written: Option<Stopwatch>,
}

/// The port's side.
#[derive(Debug)]
struct Shown {
    context: Arc<Context>,
    /// True if the page is served.
    page: bool,
    started: Time,
    /// The reason why the program is not ready. Once ready it stays so: another replica would see no more of an API server that is away.
    not_ready: Mutex<Option<String>>,
    statuses: StatusTable,
    snapshot: Mutex<Snapshot>,
}

impl SnapshotPublisher {
    /// Starts to answer at the port. `statuses` is the table that the controller keeps up to date.
    ///
    /// # Errors
    /// When a thread can not be started.
    pub fn start(
        port: &Port,
        page: bool,
        context: &Arc<Context>,
        statuses: StatusTable,
    ) -> Result<SnapshotPublisher, String> {
        let shown = Arc::new(Shown {
            context: context.clone(),
            page,
            started: time::now(),
            not_ready: Mutex::new(Some("nothing was read yet".to_owned())),
            statuses,
            snapshot: Mutex::default(),
        });
        let answering = shown.clone();
        let answer = move |request: Result<&PortRequest, StatusCode>| match request {
            Ok(request) => answering.answer(request),
            Err(status) => PortResponse::of(status),
        };
        port.serve(context.stop.clone(), "port", PORT_WAITING_MAX, Box::new(answer))?;
        if let Some(address) = port.address() {
            event!(info, "listening", address = address);
        }
        Ok(SnapshotPublisher { shown, written: None })
    }

    /// Publishes what is not known yet.
    pub fn ready(&self, not_ready: impl FnOnce() -> Option<String>) {
        let mut known = lock(&self.shown.not_ready);
        if known.is_some() {
            *known = not_ready();
        }
    }

    /// Publishes the state of the work, at most once in [`SHOWN_EVERY`]. Returns when to try again, where the last time was a moment ago.
    pub fn publish(&mut self, now: Time, snapshot: impl FnOnce() -> Snapshot) -> Option<Time> {
        if self.written.is_some_and(|written| written.elapsed() < SHOWN_EVERY) {
            return Some(now + Duration::from_secs(1));
        }
        self.written = Some(Stopwatch::start());
        *lock(&self.shown.snapshot) = snapshot();
        None
    }
}

impl Shown {
    fn answer(&self, request: &PortRequest) -> PortResponse {
        match request.path.as_str() {
            "/livez" | "/healthz" => match liveness::overdue() {
                None => PortResponse::short(StatusCode::Ok, "ok"),
                Some(name) => {
                    PortResponse::short(StatusCode::ServiceUnavailable, &format!("the thread {name} is overdue"))
                }
            },
            "/readyz" => match &*lock(&self.not_ready) {
                // Another replica may see the records whose answers a CA asks for.
                None if self.context.listens_for_challenges && self.context.answers.feed() == Feed::LostWatch => {
                    let lacks =
                        "not ready: the watch of the records shows nothing, and with it no answers to challenges";
                    PortResponse::short(StatusCode::ServiceUnavailable, lacks)
                }
                // The other sources are served, and an answer to a challenge may be waited for.
                None => match self.context.acting.hindrance() {
                    None => PortResponse::short(StatusCode::Ok, "ok"),
                    Some(why) => {
                        PortResponse::short(StatusCode::Ok, &format!("ok, without cert-manager's objects: {why}"))
                    }
                },
                Some(lacks) => PortResponse::short(StatusCode::ServiceUnavailable, &format!("not ready: {lacks}")),
            },
            "/metrics" => self.metrics(),
            "/" if self.page => self.page(&request.query),
            _ => PortResponse::of(StatusCode::NotFound),
        }
    }

    fn page(&self, query: &str) -> PortResponse {
        let Context { namespace, leader, .. } = &*self.context;
        let (leads, query) = (leader.leading(), query.to_owned());
        let title = Title { namespace: namespace.clone(), leads, now: time::now(), query };
        let snapshot = self.snapshot(title.leads);
        let write = ResponseBody::Long(Box::new(move |out| page::write(out, &title, &snapshot)));
        PortResponse { status: StatusCode::Ok, kind: page::KIND, body: write }
    }

    fn metrics(&self) -> PortResponse {
        let live = Live {
            counts: Counts::now(),
            leads: self.context.leader.leading(),
            probes: self.context.probes.results(),
            circuits: self.context.circuits.failing(),
            process: process::read(self.started),
            now: time::now(),
        };
        let snapshot = self.snapshot(live.leads);
        let write = ResponseBody::Long(Box::new(move |out| metrics::write(out, &live, &snapshot)));
        PortResponse { status: StatusCode::Ok, kind: metrics::KIND, body: write }
    }

    /// The last published snapshot with the certificates. A replica that stands by does not know what the leading one does.
    fn snapshot(&self, leads: bool) -> Snapshot {
        let certificates = if leads { self.statuses.all() } else { Vec::new() };
        Snapshot { certificates, ..lock(&self.snapshot).clone() }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
