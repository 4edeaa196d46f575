//! The transport to the API server: credentials, rate, retries. The operations on objects are in `api`.
//!
//! Trusted: the API server, as far as TLS proves it. Its answers are bounded all the same. A proxy is never taken from the
//! environment. After a 401 a request is sent once more when there is a fresh credential, and after a failed connection when the CA or
//! the client certificate was exchanged. 429, 500, 502, 503, 504 and no answer are tried again as [`super::rate_limit`] says, writes as
//! well: a write carries the version that it was decided on, and creating again what was created is a conflict.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use super::auth::{Authenticator, Credentials, RefreshReason};
use super::body;
use super::config::ClusterConfig;
use super::list::ListError;
use super::metadata::InvalidObject;
use super::rate_limit::{CallEnd, RateLimiter, RequestRate};
use super::status::ApiError;
use crate::base::limits::{API_BODY_OCTETS_MAX, API_ERROR_OCTETS_MAX, API_REQUEST, API_TRIES, API_TRIES_IN_ALL};
use crate::base::metrics::{self, Exchange, Peer};
use crate::base::secret::Secret;
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Deadline, Stopwatch, Time};
use crate::http::{Http, HttpError, Method, Request, Stream};

/// A client for one API server.
#[derive(Clone, Debug)]
pub struct KubeClient {
    authenticator: Arc<Authenticator>,
    rate_limiter: Arc<Mutex<RateLimiter>>,
    /// The clock of the rate limiter.
    age: Stopwatch,
    stop: Shutdown,
    timeout: Duration,
    /// True where the clock of the server is compared with ours.
    hears_clock: bool,
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KubeError {
    /// The server did not answer.
    Network(HttpError),
    /// The answer is an error.
    Api(ApiError),
    /// The answer can not be used.
    Unusable(String),
    /// The answer is no object of its kind.
    Object(InvalidObject),
    /// No request was sent: there is no credential.
    Credential(String),
    /// No request was sent: the server asked for a pause, or the program stops.
    NotNow(String),
}

impl fmt::Display for KubeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KubeError::Network(e) => write!(f, "the API server does not answer: {e}"),
            KubeError::Api(e) => e.fmt(f),
            KubeError::Unusable(e) => write!(f, "the API server's answer can not be used: {e}"),
            KubeError::Object(e) => e.fmt(f),
            KubeError::Credential(e) => write!(f, "there is no credential for the API server: {e}"),
            KubeError::NotNow(e) => write!(f, "the API server was not asked: {e}"),
        }
    }
}

impl From<ListError> for KubeError {
    fn from(e: ListError) -> KubeError {
        match e {
            ListError::Unwanted => KubeError::NotNow("the list is not wanted any more".to_owned()),
            ListError::Broken(e) => KubeError::Network(HttpError(format!("a list broke off: {e}"))),
            ListError::Unusable(e) => KubeError::Unusable(e),
        }
    }
}

/// A request, apart from who sends it.
#[derive(Clone, Copy)]
struct Call<'a> {
    method: Method,
    path: &'a str,
    body: &'a str,
}

/// The status of an answer, the clock of the server where the answer shows it, and the answer.
type Answer<T> = (u16, Option<Time>, T);

impl KubeClient {
    /// A client for the cluster of `config`, with the default rate. Its pauses end when `stop` is set.
    ///
    /// # Errors
    /// One sentence, when certificates or proxy can not be used.
    pub fn new(config: ClusterConfig, stop: Shutdown) -> Result<KubeClient, String> {
        let authenticator = Arc::new(Authenticator::new(config)?);
        let rate_limiter = Arc::new(Mutex::new(RateLimiter::new(RequestRate::default())));
        Ok(KubeClient {
            authenticator,
            rate_limiter,
            age: Stopwatch::start(),
            stop,
            timeout: API_REQUEST,
            hears_clock: true,
        })
    }

    /// The same client with another rate, which it does not share with the clients made before.
    pub fn with_rate(self, rate: RequestRate) -> KubeClient {
        KubeClient { rate_limiter: Arc::new(Mutex::new(RateLimiter::new(rate))), ..self }
    }

    /// The same client for a server whose clock nothing is judged by.
    pub fn without_clock(self) -> KubeClient {
        KubeClient { hears_clock: false, ..self }
    }

    /// The same client, with the same rate limiter, for requests that are of no use after `timeout`: no try takes longer or begins later.
    pub fn with_timeout(&self, timeout: Duration) -> KubeClient {
        KubeClient { timeout, ..self.clone() }
    }

    /// The URL of the server, for messages.
    pub fn server(&self) -> &str {
        self.authenticator.server()
    }

    /// Sends a request and returns the JSON of the answer.
    pub(super) fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, KubeError> {
        let body = Zeroizing::new(body.map(Value::to_string).unwrap_or_default());
        let call = Call { method, path, body: &body };
        let response = self.with_retries(path, |deadline| {
            let send = |http: &Http, request: &Request<'_>| http.send(request).map(|r| (r.status, r.date(), r));
            let response = self.send_with_reauth(call, deadline, send)?;
            if response.is_success() {
                return Ok(response);
            }
            let error = response.body.get(..API_ERROR_OCTETS_MAX).unwrap_or(&response.body);
            let (error, now) = (ApiError::read(response.status, error), time::now());
            let header = response.retry_after(now).map(|until| until.since(now));
            Err(KubeError::Api(ApiError { retry_after: header.or(error.retry_after), ..error }))
        })?;
        let octets = Zeroizing::new(response.body);
        body::read(&octets).map_err(|e| KubeError::Unusable(e.to_string()))
    }

    /// Opens an answer that is read as it comes. `idle` is the longest silence. Nothing is tried again: who watches pauses by itself. The
    /// rate limiter learns of a 429 all the same.
    pub(super) fn stream(&self, path: &str, idle: Duration) -> Result<Stream, KubeError> {
        let opened = self.open(path, idle, Deadline::after(API_TRIES_IN_ALL));
        if let Err(KubeError::Api(e)) = &opened {
            let ended = CallEnd::Answered(e.code, e.retry_after);
            self.rate_limiter().again(ended, API_TRIES, self.age.elapsed(), Duration::ZERO, path);
        }
        opened
    }

    pub(super) fn open(&self, path: &str, idle: Duration, deadline: Deadline) -> Result<Stream, KubeError> {
        let call = Call { method: Method::Get, path, body: "" };
        let send = |http: &Http, request: &Request<'_>| http.stream(request, idle).map(|s| (s.status, None, s));
        let stream = self.send_with_reauth(call, deadline, send)?;
        match stream.status {
            200..300 => Ok(stream),
            code => Err(KubeError::Api(ApiError::read(code, &stream.beginning()))),
        }
    }

    /// Makes attempts until one succeeds or the rate limiter gives no further one.
    pub(super) fn with_retries<T>(
        &self,
        path: &str,
        mut attempt: impl FnMut(Deadline) -> Result<T, KubeError>,
    ) -> Result<T, KubeError> {
        let deadline = Deadline::after(API_TRIES_IN_ALL.min(self.timeout));
        let mut made = 1;
        loop {
            let outcome = attempt(deadline);
            let ended = match &outcome {
                Ok(_) => CallEnd::Answered(200, None),
                Err(KubeError::Api(e)) => CallEnd::Answered(e.code, e.retry_after),
                Err(KubeError::Network(_)) => CallEnd::Silent,
                Err(_) => return outcome,
            };
            let (now, left) = (self.age.elapsed(), deadline.left().unwrap_or_default());
            let pause = self.rate_limiter().again(ended, made, now, left, &format!("{path} {now:?}"));
            match pause {
                Some(pause) if !self.stop.wait(pause) => made = made.saturating_add(1),
                Some(_) | None => return outcome,
            }
        }
    }

    fn send_with_reauth<T>(
        &self,
        call: Call<'_>,
        deadline: Deadline,
        send: impl Fn(&Http, &Request<'_>) -> Result<Answer<T>, HttpError>,
    ) -> Result<T, KubeError> {
        let credentials = |reason| self.authenticator.credentials(reason).map_err(KubeError::Credential);
        let first = credentials(RefreshReason::Request)?;
        let outcome = self.send(&first, call, deadline, &send);
        let reason = match &outcome {
            Ok((401, _)) => RefreshReason::Unauthorized(first.number),
            Err(KubeError::Network(_)) => RefreshReason::ConnectionFailed(first.number),
            Ok(_) | Err(_) => return outcome.map(|(_, answer)| answer),
        };
        let second = credentials(reason)?;
        if second.number == first.number {
            return outcome.map(|(_, answer)| answer);
        }
        self.send(&second, call, deadline, &send).map(|(_, answer)| answer)
    }

    fn send<T>(
        &self,
        credentials: &Credentials,
        Call { method, path, body }: Call<'_>,
        deadline: Deadline,
        send: &impl Fn(&Http, &Request<'_>) -> Result<Answer<T>, HttpError>,
    ) -> Result<(u16, T), KubeError> {
        self.throttle(method, deadline)?;
        let url = format!("{}{path}", self.server());
        let bearer = credentials.bearer.as_ref().map(|token| Secret::new(format!("Bearer {}", token.expose())));
        let mut headers = vec![("accept", "application/json")];
        if !body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        if let Some(bearer) = &bearer {
            headers.push(("authorization", bearer.expose()));
        }
        headers.extend(self.authenticator.impersonation());
        let request = Request {
            method,
            url: &url,
            headers: &headers,
            body: body.as_bytes(),
            within: self.timeout,
            body_max: API_BODY_OCTETS_MAX,
        };
        let mut exchange = Exchange::begin(Peer::Kubernetes);
        let (status, server_time, answer) = send(&credentials.http, &request).map_err(KubeError::Network)?;
        exchange.answered(status);
        let heard = server_time.filter(|_| self.hears_clock);
        heard.into_iter().for_each(|time| metrics::clock_seen(Peer::Kubernetes, time));
        Ok((status, answer))
    }

    /// Waits until a request may be sent.
    fn throttle(&self, method: Method, deadline: Deadline) -> Result<(), KubeError> {
        let stopping = || KubeError::NotNow("notariat is stopping".to_owned());
        loop {
            let closed = self.rate_limiter().closed_for(self.age.elapsed());
            if closed.is_zero() {
                break;
            }
            if deadline.at_most(closed) != Some(closed) {
                let left = time::human(closed);
                return Err(KubeError::NotNow(format!("it asked for a pause, of which {left} are left")));
            }
            if self.stop.wait(closed) {
                return Err(stopping());
            }
        }
        let wait = self.rate_limiter().enter(self.age.elapsed());
        // A program that stops still writes what is under way, and does not wait to read more.
        if !wait.is_zero() && self.stop.wait(wait) && method == Method::Get {
            return Err(stopping());
        }
        Ok(())
    }

    fn rate_limiter(&self) -> MutexGuard<'_, RateLimiter> {
        self.rate_limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
