//! The REST client: reads and writes of single objects and lists. Every write carries the version it was decided on.
//!
//! Trusted: the API server, as far as TLS proves it. Its answers are bounded all the same. A proxy is never taken from the
//! environment. A 401 is tried again when there is a fresh credential, and a failed connection when the CA or the client certificate
//! was exchanged. 429, 500, 502, 503, 504 and no answer are tried again as [`super::pace`] says, writes as well: they carry the version
//! that they were decided on, and creating again what was created is a conflict.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use super::auth::{Authenticator, Credentials, RefreshReason};
use super::body;
use super::config::ClusterConfig;
pub use super::object::Resource;
use super::rate_limit::{CallEnd, RateLimiter};
use super::status::{self, ApiError};
use super::watch_event::WatchTarget;
use crate::base::limits::{
    API_BODY_OCTETS_MAX, API_ERROR_OCTETS_MAX, API_REQUEST, API_TRIES, API_TRIES_IN_ALL, PAGE_OBJECTS,
};
use crate::base::metrics::{self, Exchange, Peer};
use crate::base::name::ObjectRef;
use crate::base::secret::Secret;
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Deadline, Stopwatch, Time};
use crate::http::{HttpError, Method, Request, Response, Stream};

/// A client for one API server.
#[derive(Clone, Debug)]
pub struct KubeClient {
    session: Arc<Authenticator>,
    pace: Arc<Mutex<RateLimiter>>,
    age: Stopwatch,
    stop: Shutdown,
    within: Duration,
}

/// Why the API server did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KubeError {
    /// No answer.
    Network(HttpError),
    /// An answer that says no.
    Api(ApiError),
    /// An answer that can not be used.
    Unusable(String),
    /// Nothing was asked, because we can not say who we are.
    Credential(String),
    /// Nothing was asked, because it is not the time for it.
    NotNow(String),
}

impl fmt::Display for KubeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KubeError::Network(e) => write!(f, "the API server does not answer: {e}"),
            KubeError::Api(e) => e.fmt(f),
            KubeError::Unusable(e) => write!(f, "the API server's answer can not be used: {e}"),
            KubeError::Credential(e) => write!(f, "there is no credential for the API server: {e}"),
            KubeError::NotNow(e) => write!(f, "the API server was not asked: {e}"),
        }
    }
}

/// Whether a write is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// It is.
    Real,
    /// The server checks everything (permission, admission, quota, validity) and stores nothing.
    DryRun,
}

impl DryRun {
    fn query(self) -> &'static str {
        match self {
            DryRun::Real => "?fieldManager=notariat",
            DryRun::DryRun => "?fieldManager=notariat&dryRun=All",
        }
    }
}

impl KubeClient {
    /// A client for what `access` describes, whose pauses end when `stop` is set.
    ///
    /// # Errors
    /// What is wrong with the certificates.
    pub fn new(access: ClusterConfig, stop: Shutdown) -> Result<KubeClient, String> {
        let session = Arc::new(Authenticator::new(access)?);
        Ok(KubeClient { session, pace: Arc::default(), age: Stopwatch::start(), stop, within: API_REQUEST })
    }

    /// The same client for requests that are of no use when they take longer than `within`: no try takes longer or begins
    /// later.
    pub fn with_timeout(&self, within: Duration) -> KubeClient {
        KubeClient { within, ..self.clone() }
    }

    /// The server's URL, for messages.
    pub fn server(&self) -> &str {
        self.session.server()
    }

    /// Reads an object. `None` when it does not exist: only a 404 of the API server itself says so.
    ///
    /// # Errors
    /// When it could not be read.
    pub fn get(&self, resource: Resource, object: &ObjectRef) -> Result<Option<Value>, KubeError> {
        let path = format!("{}/{}", resource.path(&object.namespace), object.name);
        match self.call(Method::Get, &path, None) {
            Ok((value, _)) => Ok(Some(value)),
            Err(KubeError::Api(e)) if e.code == 404 && e.reason == "NotFound" => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Reads a list page by page, so that no more than a page is in memory at a time.
    ///
    /// # Errors
    /// When it could not be read to its end.
    pub fn list(&self, target: &WatchTarget, each: &mut dyn FnMut(Value)) -> Result<(), KubeError> {
        let mut proceed: Option<String> = None;
        loop {
            let (mut list, _) = self.call(Method::Get, &target.list_path(PAGE_OBJECTS, proceed.as_deref()), None)?;
            match list.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => items.into_iter().for_each(&mut *each),
                Some(Value::Null) => {}
                Some(_) | None => return Err(KubeError::Unusable("a list without items".to_owned())),
            }
            let token = list["metadata"]["continue"].as_str().filter(|token| !token.is_empty());
            let Some(token) = token else { return Ok(()) };
            proceed = Some(token.to_owned());
        }
    }

    /// Creates an object; returns it as stored.
    ///
    /// # Errors
    /// When it was not created.
    pub fn create(
        &self,
        resource: Resource,
        namespace: &str,
        object: &Value,
        mode: DryRun,
    ) -> Result<Value, KubeError> {
        let path = format!("{}{}", resource.path(namespace), mode.query());
        self.call(Method::Post, &path, Some(object)).map(|(value, _)| value)
    }

    /// Replaces an object, which must carry its resourceVersion and uid; returns it as stored.
    ///
    /// # Errors
    /// When it was not replaced.
    pub fn update(&self, resource: Resource, at: &ObjectRef, object: &Value, mode: DryRun) -> Result<Value, KubeError> {
        let path = format!("{}/{}{}", resource.path(&at.namespace), at.name, mode.query());
        self.call(Method::Put, &path, Some(object)).map(|(value, _)| value)
    }

    /// Asks what we may do: `reviews` is a resource of authorization.k8s.io/v1. Returns the review with its status.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn review(&self, reviews: &str, review: &Value) -> Result<Value, KubeError> {
        let path = format!("/apis/authorization.k8s.io/v1/{reviews}");
        self.call(Method::Post, &path, Some(review)).map(|(value, _)| value)
    }

    pub(super) fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(Value, Option<Time>), KubeError> {
        let body = Zeroizing::new(body.map(Value::to_string).unwrap_or_default());
        let patience = Deadline::after(API_TRIES_IN_ALL.min(self.within));
        let mut made = 1;
        let reply = loop {
            let outcome = self.send_with_reauth(method, path, &body, patience);
            match self.pause(&outcome, made, patience, path) {
                Some(pause) if !self.stop.wait(pause) => made += 1,
                Some(_) | None => break outcome?,
            }
        };
        if !reply.is_success() {
            return Err(KubeError::Api(ApiError::read(reply.status, beginning(&reply.body))));
        }
        let date = reply.date();
        let octets = Zeroizing::new(reply.body);
        let value = body::read(&octets).map_err(|e| KubeError::Unusable(body::fault(&e)))?;
        Ok((value, date))
    }

    /// The pause before another try; `None` when there is none.
    fn pause(
        &self,
        outcome: &Result<Response, KubeError>,
        made: u32,
        patience: Deadline,
        path: &str,
    ) -> Option<Duration> {
        let ended = match outcome {
            Ok(reply) if reply.is_success() => CallEnd::Answered(reply.status, None),
            Ok(reply) => {
                let now = time::now();
                let asked = reply.retry_after(now).map(|until| until.since(now));
                CallEnd::Answered(reply.status, asked.or_else(|| status::retry_after(beginning(&reply.body))))
            }
            Err(KubeError::Network(_)) => CallEnd::Silent,
            Err(_) => return None,
        };
        let (now, left) = (self.age.elapsed(), patience.left().unwrap_or_default());
        self.pace().again(ended, made, now, left, &format!("{path} {now:?}"))
    }

    fn send_with_reauth(
        &self,
        method: Method,
        path: &str,
        body: &str,
        patience: Deadline,
    ) -> Result<Response, KubeError> {
        let pass = |why| self.session.credentials(why).map_err(KubeError::Credential);
        let first = pass(RefreshReason::Request)?;
        let reply = self.send(&first, method, path, body, patience);
        let why = match &reply {
            Ok(reply) if reply.status == 401 => RefreshReason::Unauthorized(first.number),
            Err(KubeError::Network(_)) => RefreshReason::ConnectionFailed(first.number),
            Ok(_) | Err(_) => return reply,
        };
        let second = pass(why)?;
        if second.number == first.number {
            return reply;
        }
        self.send(&second, method, path, body, patience)
    }

    fn send(
        &self,
        pass: &Credentials,
        method: Method,
        path: &str,
        body: &str,
        patience: Deadline,
    ) -> Result<Response, KubeError> {
        self.throttle(method, patience)?;
        let mut exchange = Exchange::begin(Peer::Kubernetes);
        let reply = self.with(pass, method, path, body, |ask| pass.http.send(ask)).map_err(KubeError::Network)?;
        exchange.answered(reply.status);
        if let Some(date) = reply.date() {
            metrics::clock_seen(Peer::Kubernetes, date);
        }
        Ok(reply)
    }

    /// Opens an answer that is read as it comes: a watch, or a list that is large. `idle` is the longest silence.
    pub(super) fn stream(&self, path: &str, idle: Duration) -> Result<Stream, KubeError> {
        self.throttle(Method::Get, Deadline::after(API_TRIES_IN_ALL))?;
        let pass = |why| self.session.credentials(why).map_err(KubeError::Credential);
        let first = pass(RefreshReason::Request)?;
        let open = |pass: &Credentials| {
            let mut exchange = Exchange::begin(Peer::Kubernetes);
            let stream = self.with(pass, Method::Get, path, "", |ask| pass.http.stream(ask, idle));
            stream.inspect(|stream| exchange.answered(stream.status))
        };
        let mut stream = open(&first);
        let why = match &stream {
            Ok(stream) if stream.status != 401 => None,
            Ok(_) => Some(RefreshReason::Unauthorized(first.number)),
            Err(_) => Some(RefreshReason::ConnectionFailed(first.number)),
        };
        if let Some(why) = why {
            let second = pass(why)?;
            if second.number != first.number {
                stream = open(&second);
            }
        }
        let stream = stream.map_err(KubeError::Network)?;
        match stream.status {
            200..300 => Ok(stream),
            code => {
                let body = stream.beginning();
                // Whoever watches pauses by himself; the others learn of a 429.
                let ended = CallEnd::Answered(code, status::retry_after(&body));
                self.pace().again(ended, API_TRIES, self.age.elapsed(), Duration::ZERO, path);
                Err(KubeError::Api(ApiError::read(code, &body)))
            }
        }
    }

    /// The request for a path, with who we are.
    fn with<T>(
        &self,
        pass: &Credentials,
        method: Method,
        path: &str,
        body: &str,
        send: impl FnOnce(&Request<'_>) -> T,
    ) -> T {
        let url = format!("{}{path}", self.server());
        let bearer = pass.bearer.as_ref().map(|token| Secret::new(format!("Bearer {}", token.expose())));
        let mut headers = vec![("accept", "application/json")];
        if !body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        if let Some(bearer) = &bearer {
            headers.push(("authorization", bearer.expose()));
        }
        headers.extend(self.session.impersonation());
        let ask = Request {
            method,
            url: &url,
            headers: &headers,
            body: body.as_bytes(),
            within: self.within,
            body_max: API_BODY_OCTETS_MAX,
        };
        send(&ask)
    }

    /// Waits until a request may be sent.
    pub(super) fn throttle(&self, method: Method, patience: Deadline) -> Result<(), KubeError> {
        let stopping = || KubeError::NotNow("notariat is stopping".to_owned());
        loop {
            let closed = self.pace().closed_for(self.age.elapsed());
            if closed.is_zero() {
                break;
            }
            if patience.at_most(closed) != Some(closed) {
                let left = time::human(closed);
                return Err(KubeError::NotNow(format!("it asked for a pause, of which {left} are left")));
            }
            if self.stop.wait(closed) {
                return Err(stopping());
            }
        }
        let wait = self.pace().enter(self.age.elapsed());
        // Whoever stops still writes down what is under way, and reads nothing more for which he would have to wait.
        if !wait.is_zero() && self.stop.wait(wait) && method == Method::Get {
            return Err(stopping());
        }
        Ok(())
    }

    fn pace(&self) -> MutexGuard<'_, RateLimiter> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As much of an answer that says no as is read.
fn beginning(body: &[u8]) -> &[u8] {
    body.get(..API_ERROR_OCTETS_MAX).unwrap_or(body)
}
