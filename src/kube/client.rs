//! The REST client: reads and writes of single objects and lists. Every write carries the version it was decided on.
//!
//! Trusted: the API server, as far as TLS proves it. Its answers are bounded all the same. A proxy is never taken from the
//! environment. A 401 is tried again when there is a fresh credential, and a failed connection when the CA or the client certificate
//! was exchanged; nothing else is retried here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::access::Access;
pub use super::object::Resource;
use super::session::{Pass, Session, Why};
use super::status::ApiError;
use crate::http::{Ask, HttpError, Method, Reply, Stream};
use crate::limits::{API_BODY_OCTETS_MAX, API_REQUEST};
use crate::name::ObjectRef;
use crate::secret::Secret;
use crate::text::percent_encoded;
use crate::time::Time;

/// A client for one API server.
#[derive(Clone, Debug)]
pub struct Client {
    session: Arc<Session>,
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
}

impl fmt::Display for KubeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KubeError::Network(e) => write!(f, "the API server does not answer: {e}"),
            KubeError::Api(e) => e.fmt(f),
            KubeError::Unusable(e) => write!(f, "the API server's answer can not be used: {e}"),
            KubeError::Credential(e) => write!(f, "there is no credential for the API server: {e}"),
        }
    }
}

/// Whether a write is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Real,
    /// The server checks everything (permission, admission, quota, validity) and stores nothing.
    DryRun,
}

impl Mode {
    fn query(self) -> &'static str {
        match self {
            Mode::Real => "?fieldManager=notariat",
            Mode::DryRun => "?fieldManager=notariat&dryRun=All",
        }
    }
}

impl Client {
    /// A client for what `access` describes.
    ///
    /// # Errors
    /// What is wrong with the certificates.
    pub fn new(access: Access) -> Result<Client, String> {
        Ok(Client { session: Arc::new(Session::new(access)?), within: API_REQUEST })
    }

    /// The same client for requests that are of no use when they take longer than `within`.
    pub fn hurried(&self, within: Duration) -> Client {
        Client { within, ..self.clone() }
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

    /// Reads the objects with a label.
    ///
    /// # Errors
    /// When they could not be read.
    pub fn list(&self, resource: Resource, namespace: &str, label: &str) -> Result<Vec<Value>, KubeError> {
        let path = format!("{}?labelSelector={}", resource.path(namespace), percent_encoded(label));
        let (mut value, _) = self.call(Method::Get, &path, None)?;
        match value.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            Some(Value::Null) => Ok(Vec::new()),
            Some(_) | None => Err(KubeError::Unusable("a list without items".to_owned())),
        }
    }

    /// Creates an object; returns it as stored.
    ///
    /// # Errors
    /// When it was not created.
    pub fn create(&self, resource: Resource, namespace: &str, object: &Value, mode: Mode) -> Result<Value, KubeError> {
        let path = format!("{}{}", resource.path(namespace), mode.query());
        self.call(Method::Post, &path, Some(object)).map(|(value, _)| value)
    }

    /// Replaces an object, which must carry its resourceVersion and uid; returns it as stored.
    ///
    /// # Errors
    /// When it was not replaced.
    pub fn update(&self, resource: Resource, at: &ObjectRef, object: &Value, mode: Mode) -> Result<Value, KubeError> {
        let path = format!("{}/{}{}", resource.path(&at.namespace), at.name, mode.query());
        self.call(Method::Put, &path, Some(object)).map(|(value, _)| value)
    }

    pub(super) fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(Value, Option<Time>), KubeError> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let pass = |why| self.session.pass(why).map_err(KubeError::Credential);
        let first = pass(Why::Asked)?;
        let mut reply = self.send(&first, method, path, &body);
        let why = match &reply {
            Ok(reply) if reply.status != 401 => None,
            Ok(_) => Some(Why::Rejected(first.number)),
            Err(_) => Some(Why::NoAnswer(first.number)),
        };
        if let Some(why) = why {
            let second = pass(why)?;
            // A write may be sent twice by this. It carries the version it was decided on, so it is done once.
            if second.number != first.number {
                reply = self.send(&second, method, path, &body);
            }
        }
        let reply = reply.map_err(KubeError::Network)?;
        if !reply.is_success() {
            return Err(KubeError::Api(ApiError::read(reply.status, &reply.body)));
        }
        let value = serde_json::from_slice(&reply.body).map_err(|e| KubeError::Unusable(e.to_string()))?;
        Ok((value, reply.date()))
    }

    /// Opens an answer that goes on: its lines come as they are sent. `idle` is the longest silence.
    pub(super) fn open(&self, path: &str, idle: Duration) -> Result<Stream, KubeError> {
        let pass = |why| self.session.pass(why).map_err(KubeError::Credential);
        let first = pass(Why::Asked)?;
        let open = |pass: &Pass| self.with(pass, Method::Get, path, "", |ask| pass.http.stream(ask, idle));
        let mut stream = open(&first).map_err(KubeError::Network)?;
        if stream.status == 401 {
            let second = pass(Why::Rejected(first.number))?;
            if second.number != first.number {
                stream = open(&second).map_err(KubeError::Network)?;
            }
        }
        match stream.status {
            200..300 => Ok(stream),
            status => Err(KubeError::Api(ApiError::read(status, &stream.beginning()))),
        }
    }

    fn send(&self, pass: &Pass, method: Method, path: &str, body: &str) -> Result<Reply, HttpError> {
        self.with(pass, method, path, body, |ask| pass.http.send(ask))
    }

    /// The request for a path, with who we are.
    fn with<T>(&self, pass: &Pass, method: Method, path: &str, body: &str, send: impl FnOnce(&Ask<'_>) -> T) -> T {
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
        let ask = Ask {
            method,
            url: &url,
            headers: &headers,
            body: body.as_bytes(),
            within: self.within,
            body_max: API_BODY_OCTETS_MAX,
        };
        send(&ask)
    }
}
