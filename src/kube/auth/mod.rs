//! The credentials of requests to the API server, kept up to date while the program runs.
//!
//! The kubelet replaces a pod's token about hourly, clusters exchange their CA, and plugins give credentials of minutes. So files are
//! read again each [`TOKEN_KEPT`], after a 401 and after a failed connection; plugins run again when their credential expires and after a
//! 401. A file that is empty, unreadable or of no use for a moment (because it is being replaced) does not displace the contents that
//! worked before.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::config::{ClusterConfig, PemSource, TokenSource};
use super::exec::ExecCache;
use crate::base::limits::{CREDENTIAL_WAIT, TOKEN_KEPT};
use crate::base::log::event;
use crate::base::secret::Secret;
use crate::base::shutdown::Shutdown;
use crate::base::single_flight::SingleFlight;
use crate::base::time::Stopwatch;
use crate::http::Http;
use crate::http::tls::TlsTrust;

/// The credentials of one request.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The client, with its connections.
    pub http: Http,
    /// The bearer token.
    pub bearer: Option<Secret<String>>,
    /// A number that changes whenever the other fields change.
    pub number: u64,
}

/// The reason to ask for credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshReason {
    /// A request is to be sent.
    Request,
    /// A request with the credentials of this number was answered by a 401.
    Unauthorized(u64),
    /// A request with the credentials of this number had no answer: the CA may have been exchanged.
    ConnectionFailed(u64),
}

/// Keeps the credentials for one API server.
#[derive(Debug)]
pub struct Authenticator {
    config: ClusterConfig,
    /// How long files are used before they are read again.
    kept_for: Duration,
    /// The lock is not held while files are read or a plugin runs: the thread that does so takes the state out and puts it back.
    state: Mutex<AuthState>,
    turns: SingleFlight<()>,
}

#[derive(Debug, Default)]
struct AuthState {
    files: CredentialFiles,
    read: Option<Stopwatch>,
    exec: ExecCache,
    /// The settings of which `credentials` were made, or could not be.
    trust: TlsTrust,
    credentials: Option<Credentials>,
    /// The fault of the last look at the files, as logged.
    logged: Option<String>,
}

/// The contents of files, or the values that were given instead.
#[derive(Clone, Debug, Default)]
struct CredentialFiles {
    authority: Vec<u8>,
    client: Option<(Vec<u8>, Secret<Vec<u8>>)>,
    token: Option<Secret<String>>,
}

impl Authenticator {
    /// An authenticator for the cluster of `config`. Plugins are not run yet.
    ///
    /// # Errors
    /// One sentence that says what is wrong with the files, the certificates or the proxy.
    pub fn new(config: ClusterConfig) -> Result<Authenticator, String> {
        Authenticator::keeping_for(config, TOKEN_KEPT)
    }

    fn keeping_for(config: ClusterConfig, kept_for: Duration) -> Result<Authenticator, String> {
        let mut state = AuthState::default();
        state.files.read(&config)?;
        state.read = Some(Stopwatch::start());
        Http::new(&trust(&config, &state.files, None), proxy(&config)).map_err(unusable)?;
        if config.tls.skipped {
            event!(
                warn,
                "api-server-not-checked",
                server = config.server,
                hint = "insecure-skip-tls-verify: whoever is on the way can read and change every Secret; \
                        give certificate-authority instead"
            );
        }
        Ok(Authenticator { config, kept_for, state: Mutex::new(state), turns: SingleFlight::default() })
    }

    /// The URL of the server.
    pub fn server(&self) -> &str {
        &self.config.server
    }

    /// The headers of an impersonation.
    pub fn impersonation(&self) -> impl Iterator<Item = (&str, &str)> {
        self.config.impersonation.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The credentials to send a request with. One thread at a time looks for newer ones; the others wait for it.
    ///
    /// # Errors
    /// One sentence, when a plugin gives nothing or the credentials can not be used.
    pub fn credentials(&self, reason: RefreshReason) -> Result<Credentials, String> {
        let turn = self.turns.take(&(), CREDENTIAL_WAIT, &Shutdown::new());
        let _turn = turn.ok_or("another request waits for the exec plugin, and for too long")?;
        let mut state = std::mem::take(&mut *self.state());
        let credentials = self.refresh(&mut state, reason);
        *self.state() = state;
        credentials
    }

    fn state(&self) -> MutexGuard<'_, AuthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The credentials, made anew from files and plugins where those are to be looked at.
    fn refresh(&self, state: &mut AuthState, reason: RefreshReason) -> Result<Credentials, String> {
        match (reason, &state.credentials) {
            // Another thread had the same answer and looked already.
            (RefreshReason::Unauthorized(number) | RefreshReason::ConnectionFailed(number), Some(credentials))
                if credentials.number != number =>
            {
                return Ok(credentials.clone());
            }
            _ => {}
        }
        let stale = state.read.is_none_or(|at| at.elapsed() >= self.kept_for);
        let is_due = stale || reason != RefreshReason::Request;
        if is_due {
            state.read = Some(Stopwatch::start());
            let outcome = state.files.read(&self.config);
            log_once(&mut state.logged, outcome);
        }
        let (credential, ran) = match &self.config.auth.plugin {
            None => (None, false),
            Some(plugin) => {
                let rejected = matches!(reason, RefreshReason::Unauthorized(_));
                let (credential, ran) = state.exec.get(plugin, &self.config, &state.files.authority, rejected)?;
                (Some(credential), ran)
            }
        };
        if let (Some(credentials), false) = (&state.credentials, is_due || ran) {
            return Ok(credentials.clone());
        }
        let bearer = credential.and_then(|c| c.token.clone()).or_else(|| state.files.token.clone());
        let wanted = trust(&self.config, &state.files, credential.and_then(|c| c.client.clone()));
        let number = state.credentials.as_ref().map_or(1, |credentials| credentials.number.saturating_add(1));
        let http = match &state.credentials {
            Some(credentials) if wanted == state.trust && credentials.bearer == bearer => {
                return Ok(credentials.clone());
            }
            Some(credentials) if wanted == state.trust => credentials.http.clone(),
            had => match (Http::new(&wanted, proxy(&self.config)), had) {
                (Ok(http), _) => http,
                (Err(e), None) => return Err(unusable(e)),
                (Err(e), Some(credentials)) => {
                    log_once(&mut state.logged, Err(unusable(e)));
                    if credentials.bearer == bearer {
                        state.trust = wanted;
                        return Ok(credentials.clone());
                    }
                    credentials.http.clone()
                }
            },
        };
        state.trust = wanted;
        Ok(state.credentials.insert(Credentials { http, bearer, number }).clone())
    }
}

fn trust(config: &ClusterConfig, files: &CredentialFiles, client: Option<(Vec<u8>, Secret<Vec<u8>>)>) -> TlsTrust {
    TlsTrust {
        // A cluster without a CA of its own has a certificate of a public CA.
        public_roots: config.tls.authority.is_none(),
        roots_pem: files.authority.clone(),
        client: client.or_else(|| files.client.clone()),
        name: config.tls.name.clone(),
        unchecked: config.tls.skipped,
    }
}

fn proxy(config: &ClusterConfig) -> Option<&str> {
    config.proxy.as_ref().map(|proxy| proxy.expose().as_str())
}

fn unusable(error: String) -> String {
    format!("the way to the API server can not be used: {error}")
}

/// Logs a fault once: the same one is met each minute.
fn log_once(logged: &mut Option<String>, outcome: Result<(), String>) {
    let error = outcome.err();
    if let (Some(error), true) = (&error, *logged != error) {
        event!(warn, "credentials-not-renewed", error = error, hint = "what was read before stays in use");
    }
    *logged = error;
}

impl CredentialFiles {
    /// Reads all files anew. Contents that can not be read stay as they were.
    ///
    /// # Errors
    /// One sentence about the first file that could not be read.
    fn read(&mut self, config: &ClusterConfig) -> Result<(), String> {
        let authority = config.tls.authority.as_ref().map(contents).transpose();
        let client = config.auth.client.as_ref();
        let client = client
            .map(|(chain, key)| {
                Ok((contents(chain)?, Secret::known("the key of the client certificate", contents(key)?)))
            })
            .transpose();
        let token = match &config.auth.token {
            TokenSource::None => Ok(None),
            TokenSource::Fixed(token) => Ok(Some(token.clone())),
            TokenSource::File(path) => match std::fs::read_to_string(path) {
                Ok(text) if text.trim().is_empty() => Err(format!("tokenFile {}: it is empty", path.display())),
                Ok(text) => Ok(Some(Secret::known("the token of the API server", text.trim().to_owned()))),
                Err(e) => Err(format!("tokenFile {}: {e}", path.display())),
            },
        };
        let mut outcome = Ok(());
        match authority {
            Ok(authority) => self.authority = authority.unwrap_or_default(),
            Err(e) => outcome = Err(e),
        }
        match client {
            Ok(client) => self.client = client,
            Err(e) => outcome = outcome.and(Err(e)),
        }
        match token {
            Ok(token) => self.token = token,
            Err(e) => outcome = outcome.and(Err(e)),
        }
        outcome
    }
}

fn contents(pem: &PemSource) -> Result<Vec<u8>, String> {
    match pem {
        PemSource::Given(octets) => Ok(octets.expose().clone()),
        PemSource::File(field, path) => match std::fs::read(path) {
            Ok(octets) if octets.trim_ascii().is_empty() => Err(format!("{field} {}: it is empty", path.display())),
            Ok(octets) => Ok(octets),
            Err(e) => Err(format!("{field} {}: {e}", path.display())),
        },
    }
}

#[cfg(test)]
mod tests;
