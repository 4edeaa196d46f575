//! What requests to the API server are sent with, kept up to date while we run.
//!
//! The kubelet replaces a pod's token about hourly, clusters exchange their CA, and plugins give credentials of minutes. So files are
//! read again each [`TOKEN_KEPT`], after a 401 and after a failed connection; plugins are asked again when what they said expires and
//! after a 401. What is empty, unreadable or of no use for a moment (in the middle of being replaced) does not take the place of what
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

/// What one request is sent with.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The connections.
    pub http: Http,
    /// The token.
    pub bearer: Option<Secret<String>>,
    /// Another one whenever the others change.
    pub number: u64,
}

/// Why a pass is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshReason {
    /// For a request.
    Request,
    /// The one of this number was answered by a 401.
    Unauthorized(u64),
    /// With the one of this number there was no answer: perhaps the CA was exchanged.
    ConnectionFailed(u64),
}

/// The way to one API server.
#[derive(Debug)]
pub struct Authenticator {
    access: ClusterConfig,
    /// How long files are used before they are read again.
    kept: Duration,
    /// The lock guards what is known only. Who finds out more has its turn, takes the state out, and puts it back.
    state: Mutex<AuthState>,
    turns: SingleFlight<()>,
}

#[derive(Debug, Default)]
struct AuthState {
    files: CredentialFiles,
    read: Option<Stopwatch>,
    answers: ExecCache,
    /// Of what `pass` was made, or could not be.
    trust: TlsTrust,
    pass: Option<Credentials>,
    /// What was wrong when it was looked last.
    told: Option<String>,
}

/// The contents of files, or what was given instead.
#[derive(Clone, Debug, Default)]
struct CredentialFiles {
    authority: Vec<u8>,
    client: Option<(Vec<u8>, Secret<Vec<u8>>)>,
    token: Option<Secret<String>>,
}

impl Authenticator {
    /// A session for what `access` describes. Plugins are not run yet.
    ///
    /// # Errors
    /// What is wrong with the files, the certificates or the proxy.
    pub fn new(access: ClusterConfig) -> Result<Authenticator, String> {
        Authenticator::keeping(access, TOKEN_KEPT)
    }

    fn keeping(access: ClusterConfig, kept: Duration) -> Result<Authenticator, String> {
        let mut state = AuthState::default();
        state.files.read(&access)?;
        state.read = Some(Stopwatch::start());
        Http::new(&trust(&access, &state.files, None), proxy(&access)).map_err(unusable)?;
        if access.checks.skipped {
            event!(
                warn,
                "api-server-not-checked",
                server = access.server,
                hint = "insecure-skip-tls-verify: whoever is on the way can read and change every Secret; \
                        give certificate-authority instead"
            );
        }
        Ok(Authenticator { access, kept, state: Mutex::new(state), turns: SingleFlight::default() })
    }

    /// The server's URL.
    pub fn server(&self) -> &str {
        &self.access.server
    }

    /// The headers that say who we want to act as.
    pub fn impersonation(&self) -> impl Iterator<Item = (&str, &str)> {
        self.access.impersonation.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What to send a request with. One thread at a time finds out; the others wait for it.
    ///
    /// # Errors
    /// One sentence, when a plugin gives nothing or what there is can not be used.
    pub fn credentials(&self, why: RefreshReason) -> Result<Credentials, String> {
        let turn = self.turns.take(&(), CREDENTIAL_WAIT, &Shutdown::new());
        let _turn = turn.ok_or("another request waits for the exec plugin, and for too long")?;
        let mut state = std::mem::take(&mut *self.state());
        let pass = self.find_out(&mut state, why);
        *self.state() = state;
        pass
    }

    fn state(&self) -> MutexGuard<'_, AuthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to send a request with, from files and plugins where they are to be looked at.
    fn find_out(&self, state: &mut AuthState, why: RefreshReason) -> Result<Credentials, String> {
        match (why, &state.pass) {
            // Another thread met the same and found out already.
            (RefreshReason::Unauthorized(number) | RefreshReason::ConnectionFailed(number), Some(pass))
                if pass.number != number =>
            {
                return Ok(pass.clone());
            }
            _ => {}
        }
        let stale = state.read.is_none_or(|at| at.elapsed() >= self.kept);
        let look = stale || why != RefreshReason::Request;
        if look {
            state.read = Some(Stopwatch::start());
            let outcome = state.files.read(&self.access);
            tell_once(&mut state.told, outcome);
        }
        let (credential, ran) = match &self.access.identity.plugin {
            None => (None, false),
            Some(plugin) => {
                let rejected = matches!(why, RefreshReason::Unauthorized(_));
                let (credential, ran) = state.answers.get(plugin, &self.access, &state.files.authority, rejected)?;
                (Some(credential), ran)
            }
        };
        if let (Some(pass), false) = (&state.pass, look || ran) {
            return Ok(pass.clone());
        }
        let bearer = credential.and_then(|c| c.token.clone()).or_else(|| state.files.token.clone());
        let wanted = trust(&self.access, &state.files, credential.and_then(|c| c.client.clone()));
        let number = state.pass.as_ref().map_or(1, |pass| pass.number + 1);
        let http = match &state.pass {
            Some(pass) if wanted == state.trust && pass.bearer == bearer => return Ok(pass.clone()),
            Some(pass) if wanted == state.trust => pass.http.clone(),
            had => match (Http::new(&wanted, proxy(&self.access)), had) {
                (Ok(http), _) => http,
                (Err(e), None) => return Err(unusable(e)),
                (Err(e), Some(pass)) => {
                    tell_once(&mut state.told, Err(unusable(e)));
                    if pass.bearer == bearer {
                        state.trust = wanted;
                        return Ok(pass.clone());
                    }
                    pass.http.clone()
                }
            },
        };
        state.trust = wanted;
        Ok(state.pass.insert(Credentials { http, bearer, number }).clone())
    }
}

fn trust(access: &ClusterConfig, files: &CredentialFiles, client: Option<(Vec<u8>, Secret<Vec<u8>>)>) -> TlsTrust {
    TlsTrust {
        // Without an authority of its own the cluster's certificate is from a public CA.
        public_roots: access.checks.authority.is_none(),
        roots_pem: files.authority.clone(),
        client: client.or_else(|| files.client.clone()),
        name: access.checks.name.clone(),
        unchecked: access.checks.skipped,
    }
}

fn proxy(access: &ClusterConfig) -> Option<&str> {
    access.proxy.as_ref().map(|proxy| proxy.expose().as_str())
}

fn unusable(error: String) -> String {
    format!("the way to the API server can not be used: {error}")
}

/// The same trouble is met each minute, and told once.
fn tell_once(told: &mut Option<String>, outcome: Result<(), String>) {
    let error = outcome.err();
    if let (Some(error), true) = (&error, *told != error) {
        event!(warn, "credentials-not-renewed", error = error, hint = "what was read before stays in use");
    }
    *told = error;
}

impl CredentialFiles {
    /// Reads all files anew. What can not be read stays as it was; the first such is told.
    fn read(&mut self, access: &ClusterConfig) -> Result<(), String> {
        let authority = access.checks.authority.as_ref().map(contents).transpose();
        let client = access.identity.client.as_ref();
        let client = client
            .map(|(chain, key)| {
                Ok((contents(chain)?, Secret::known("the key of the client certificate", contents(key)?)))
            })
            .transpose();
        let token = match &access.identity.token {
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
