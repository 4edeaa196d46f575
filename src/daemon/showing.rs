//! What the HTTP port shows of the daemon. The loop writes it down, the port's threads read it; neither waits for the other.

use std::sync::{Arc, Mutex, PoisonError};

use crate::issue::Context;
use crate::log::event;
use crate::pulse;
use crate::serve::port::Port;
use crate::serve::request::{Answer, Request, Status};

/// What is shown.
#[derive(Debug)]
pub(super) struct Showing(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    /// What is not known yet; once all is, it stays so: whoever lost sight of the API server is no worse than another would be.
    lacks: Mutex<Option<String>>,
}

impl Showing {
    /// Begins to answer at the port.
    ///
    /// # Errors
    /// When a thread can not be had.
    pub(super) fn begin(port: &Port, context: &Arc<Context>) -> Result<Showing, String> {
        let shown = Arc::new(Shown { lacks: Mutex::new(Some("nothing was read yet".to_owned())) });
        let desk = shown.clone();
        port.serve(context.stop.clone(), Box::new(move |request| desk.answer(request)))?;
        if let Some(address) = port.address() {
            event!(info, "listening", address = address);
        }
        Ok(Showing(shown))
    }

    /// Takes note of what is not known yet.
    pub(super) fn ready(&self, lacks: impl FnOnce() -> Option<String>) {
        let mut known = self.0.lacks.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some() {
            *known = lacks();
        }
    }
}

impl Shown {
    fn answer(&self, request: &Request) -> Answer {
        match request.path.as_str() {
            "/livez" | "/healthz" => match pulse::overdue() {
                None => Answer::short(Status::Ok, "ok"),
                Some(name) => Answer::short(Status::ServiceUnavailable, &format!("the thread {name} is overdue")),
            },
            "/readyz" => match &*self.lacks.lock().unwrap_or_else(PoisonError::into_inner) {
                None => Answer::short(Status::Ok, "ok"),
                Some(lacks) => Answer::short(Status::ServiceUnavailable, &format!("not ready: {lacks}")),
            },
            _ => Answer::of(Status::NotFound),
        }
    }
}
