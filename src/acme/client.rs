//! The connection to one CA: directory, nonces, signed requests. The requests themselves are in `requests`.
//!
//! Untrusted: every answer. URLs of an answer are used only on hosts that the directory names. Two kinds of requests
//! are retried: badNonce with the nonce of the error (RFC 8555 section 6.5), and once a request whose connection broke,
//! because a pooled connection may have died.

use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::directory::Directory as Place;
use super::error::{AcmeError, DIRECTORY, DIRECTORY_URL};
use super::jws::{AccountKey, KeyIdentifier, Payload};
use super::poll::PollSchedule;
use super::wire::{DirectoryObject, Problem};
use crate::base::clock::{self, ClockDoubt, PeerTime};
use crate::base::limits::{
    ACME_BODY_OCTETS_MAX, ACME_DIRECTORY_KEPT, ACME_REQUEST, BAD_NONCE_PAUSE, BAD_NONCE_TRIES, BAD_NONCE_TRIES_AT_ONCE,
    CLOCK_ASKED_AGAIN, NONCE_AGE_MAX, NONCES_MAX, SIGNED_IN_ALL,
};
use crate::base::metrics::{self, Exchange, Peer};
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Deadline, Stopwatch, Time};
use crate::http::{Http, Method, Request, Response};

/// An account at the CA.
#[derive(Debug)]
pub struct Account {
    /// The account key.
    pub key: AccountKey,
    /// The account URL, the `kid` of every request.
    pub url: String,
}

/// A decoded answer with what its headers say.
#[derive(Debug)]
pub struct AcmeResponse<T> {
    /// The body.
    pub body: T,
    /// `Location`
    pub location: Option<String>,
    /// The moment until which the CA asks to wait.
    pub retry_after: Option<Time>,
    /// The CA's clock.
    pub date: Option<Time>,
}

/// A client for one directory. Shared by all workers.
#[derive(Debug)]
pub struct AcmeClient {
    http: Http,
    place: Place,
    pub(super) stop: Shutdown,
    cache: Mutex<ClientState>,
}

#[derive(Debug, Default)]
pub(super) struct ClientState {
    directory: Option<(Arc<DirectoryObject>, Stopwatch)>,
    /// Newest last.
    nonces: Vec<(String, Stopwatch)>,
    pub(super) pace: PollSchedule,
    /// The CA's clock, as of its last answer.
    clock: Option<PeerTime>,
}

impl AcmeClient {
    /// A client for the directory at `place`.
    pub fn new(http: Http, place: &Place, stop: Shutdown) -> AcmeClient {
        AcmeClient { http, place: place.clone(), stop, cache: Mutex::default() }
    }

    /// The directory URL, in the one form that is compared and stored.
    pub fn directory_url(&self) -> &str {
        self.place.url()
    }

    /// The directory URL as configured, which is the one requested.
    pub fn directory_written(&self) -> &str {
        self.place.written()
    }

    /// Ends the requests under way: the program is stopping. The orders stay.
    pub fn shut_down(&self) {
        self.http.shut_down();
    }

    /// The CA's clock minus ours in seconds, as of its last answer.
    pub fn clock_offset(&self) -> Option<i64> {
        let seen = self.cache().clock;
        seen.map(|seen| seen.offset(time::now()))
    }

    /// The doubt about our clock, by the CA's. An old measurement is repeated first: this machine may have slept.
    pub fn clock_doubt(&self) -> Option<ClockDoubt> {
        let before = self.clock_offset().and_then(clock::doubt)?;
        let is_old = self.cache().clock.is_some_and(|seen| seen.age() > CLOCK_ASKED_AGAIN);
        if is_old && self.send(Method::Get, self.directory_url(), &[]).is_err() {
            return Some(before);
        }
        self.clock_offset().and_then(clock::doubt)
    }

    /// A poisoned lock is taken over: it guards a cache only.
    pub(super) fn cache(&self) -> MutexGuard<'_, ClientState> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory, cached for a day.
    ///
    /// # Errors
    /// When the CA does not send a usable one.
    pub fn directory(&self) -> Result<Arc<DirectoryObject>, AcmeError> {
        if let Some((directory, fetched)) = &self.cache().directory
            && fetched.elapsed() < ACME_DIRECTORY_KEPT
        {
            return Ok(directory.clone());
        }
        let asked = self.place.written();
        let reply = self.send(Method::Get, asked, &[])?;
        if let Some(why) = redirect(asked, &reply) {
            return Err(AcmeError::Unusable { what: DIRECTORY_URL, why });
        }
        if !reply.is_success() {
            return Err(refused(DIRECTORY, &reply));
        }
        let mut directory: DirectoryObject = decode(DIRECTORY, &reply.body)?;
        for url in directory.mandatory_urls() {
            if origin(url).is_none() {
                return Err(AcmeError::Unusable { what: DIRECTORY_URL, why: format!("it names {}", no_https(url)) });
            }
        }
        directory.retain_optional_urls(|url| origin(url).is_some());
        let directory = Arc::new(directory);
        self.cache().directory = Some((directory.clone(), Stopwatch::start()));
        Ok(directory)
    }

    /// Checks that `url` is on a host that the directory names.
    ///
    /// # Errors
    /// The fault in the URL.
    pub fn check_url(&self, what: &'static str, url: &str) -> Result<(), AcmeError> {
        let directory = self.directory()?;
        let own = std::iter::once(self.place.written()).chain(directory.urls());
        match origin(url) {
            Some(origin) if own.into_iter().any(|u| self::origin(u) == Some(origin)) => Ok(()),
            Some(_) => Err(AcmeError::Unusable { what, why: format!("it leads to another host, {url:?}") }),
            None => Err(AcmeError::Unusable { what, why: format!("it leads to {}", no_https(url)) }),
        }
    }

    /// The URL of a new resource, checked.
    pub(super) fn location(&self, what: &'static str, location: Option<&str>) -> Result<String, AcmeError> {
        let url = location.ok_or_else(|| AcmeError::Unusable { what, why: "it has no Location".to_owned() })?;
        self.check_url(what, url)?;
        Ok(url.to_owned())
    }

    pub(super) fn post<T: DeserializeOwned>(
        &self,
        what: &'static str,
        account: &Account,
        url: &str,
        payload: &Payload,
    ) -> Result<AcmeResponse<T>, AcmeError> {
        self.check_url(what, url)?;
        let reply = self.signed(what, &account.key, KeyIdentifier::Account(&account.url), url, payload)?;
        Ok(AcmeResponse {
            location: reply.header("location").map(str::to_owned),
            retry_after: reply.retry_after(time::now()),
            date: reply.date(),
            body: decode(what, &reply.body)?,
        })
    }

    /// Sends a signed request (section 6.2), with the retries of the module's header.
    pub(super) fn signed(
        &self,
        what: &'static str,
        key: &AccountKey,
        identity: KeyIdentifier<'_>,
        url: &str,
        payload: &Payload,
    ) -> Result<Response, AcmeError> {
        let (mut rejected, mut broken, deadline) = (0u32, false, Deadline::after(SIGNED_IN_ALL));
        loop {
            let nonce = self.nonce()?;
            let body = key.sign(identity, &nonce, url, payload).map_err(|why| AcmeError::Unusable { what, why })?;
            let reply = match self.send(Method::Post, url, &body) {
                Ok(reply) => reply,
                Err(AcmeError::Network(_)) if !broken => {
                    broken = true;
                    continue;
                }
                Err(e) => return Err(e),
            };
            self.keep_nonce(&reply);
            if reply.is_success() {
                return Ok(reply);
            }
            let error = refused(what, &reply);
            rejected = rejected.saturating_add(1);
            if error.error_type() != Some("badNonce") || rejected >= BAD_NONCE_TRIES || deadline.left().is_none() {
                return Err(error);
            }
            if rejected >= BAD_NONCE_TRIES_AT_ONCE && self.stop.wait(BAD_NONCE_PAUSE) {
                return Err(AcmeError::Stopped);
            }
        }
    }

    /// The newest nonce of an earlier answer, else a new one (section 7.2).
    fn nonce(&self) -> Result<String, AcmeError> {
        const WHAT: &str = "newNonce";
        {
            let mut cache = self.cache();
            while let Some((nonce, got)) = cache.nonces.pop() {
                if got.elapsed() < NONCE_AGE_MAX {
                    return Ok(nonce);
                }
            }
        }
        let reply = self.send(Method::Head, &self.directory()?.new_nonce, &[])?;
        if !reply.is_success() {
            return Err(refused(WHAT, &reply));
        }
        let nonce = reply.header("replay-nonce").filter(|n| is_nonce(n));
        nonce.map(str::to_owned).ok_or_else(|| AcmeError::Unusable { what: WHAT, why: "it has no nonce".to_owned() })
    }

    fn keep_nonce(&self, reply: &Response) {
        if let Some(nonce) = reply.header("replay-nonce").filter(|n| is_nonce(n)) {
            let mut cache = self.cache();
            if cache.nonces.len() >= NONCES_MAX {
                cache.nonces.remove(0);
            }
            cache.nonces.push((nonce.to_owned(), Stopwatch::start()));
        }
    }

    pub(super) fn send(&self, method: Method, url: &str, body: &[u8]) -> Result<Response, AcmeError> {
        if self.stop.is_set() {
            return Err(AcmeError::Stopped);
        }
        let headers: &[(&str, &str)] =
            if method == Method::Post { &[("content-type", "application/jose+json")] } else { &[] };
        let request = Request { method, url, headers, body, within: ACME_REQUEST, body_max: ACME_BODY_OCTETS_MAX };
        let mut exchange = Exchange::begin(Peer::Acme);
        let reply = self.http.send(&request).map_err(AcmeError::Network)?;
        exchange.answered(reply.status);
        if let Some(date) = reply.date() {
            metrics::clock_seen(Peer::Acme, date);
            self.cache().clock = Some(PeerTime::now(date));
        }
        Ok(reply)
    }
}

pub(super) fn refused(what: &'static str, reply: &Response) -> AcmeError {
    let (problem, retry_after) = (Box::new(Problem::from_any_body(&reply.body)), reply.retry_after(time::now()));
    AcmeError::Problem { what, status: reply.status, problem, retry_after }
}

pub(super) fn decode<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, AcmeError> {
    serde_json::from_slice(body).map_err(|e| AcmeError::Unusable { what, why: e.to_string() })
}

/// Accepts base64url characters only (section 6.5.1): the nonce goes into a header of ours.
fn is_nonce(text: &str) -> bool {
    (1..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The fault in a URL that is not https, and the cure where the CA believes that it is reached without TLS.
fn no_https(url: &str) -> String {
    let cure = match url.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://")) {
        true => {
            ": the CA does not know that it is reached by https; set its external URL, or have the proxy before it send `X-Forwarded-Proto: https`"
        }
        false => "",
    };
    format!("{url:?}, which is no https URL{cure}")
}

/// The sentence about a redirect. Redirects are not followed: the operator writes the final URL, so that the compared
/// and stored URL is the requested one.
fn redirect(asked: &str, reply: &Response) -> Option<String> {
    let location = reply.header("location").filter(|_| (300..400).contains(&reply.status))?;
    let host = asked.get(.."https://".len().checked_add(origin(asked)?.len())?)?;
    let target = if location.starts_with('/') { format!("{host}{location}") } else { location.to_owned() };
    let authority = target.split('/').nth(2).unwrap_or_default();
    if authority.contains('@') {
        return Some(format!("it is a redirect ({}) to an URL with a password in it", reply.status));
    }
    let write = "write that URL as -acme, or as `directory` of the issuer";
    Some(format!("it is a redirect ({}) to {target:?}: {write}", reply.status))
}

/// Host and port of an https URL.
fn origin(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://")?;
    let host = rest.split(['/', '?', '#']).next().filter(|h| !h.is_empty() && !h.contains('@'))?;
    Some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_urls_have_an_origin() {
        for (url, expected) in [
            ("https://ca.test/acme/1", Some("ca.test")),
            ("https://ca.test:14000/x?y", Some("ca.test:14000")),
            ("https://[::1]:14000/x", Some("[::1]:14000")),
            ("https://ca.test", Some("ca.test")),
            ("https://ca.test@evil.test/", None),
            ("https://", None),
            ("http://ca.test/", None),
            ("file:///etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(origin(url), expected, "{url}");
        }
    }

    #[test]
    fn a_redirect_of_the_directory_says_which_url_to_write() {
        let to = |status, location: &str| {
            let mut headers = ureq::http::HeaderMap::new();
            headers.insert("location", location.parse().unwrap());
            redirect("https://ca.test:9000/acme/directory", &Response { status, headers, body: Vec::new() })
        };
        for (location, said) in [
            ("/acme/directory/", "\"https://ca.test:9000/acme/directory/\": write that URL"),
            ("https://other.test/dir", "\"https://other.test/dir\": write that URL"),
            ("http://ca.test/dir", "\"http://ca.test/dir\": write that URL"),
            ("https://me:secret@ca.test/dir", "an URL with a password in it"),
        ] {
            let why = to(308, location).unwrap();
            assert!(why.contains(said) && !why.contains("secret"), "{location}: {why}");
        }
        assert_eq!((to(200, "/x"), to(404, "/x")), (None, None));
    }

    #[test]
    fn a_nonce_is_of_base64url_characters() {
        assert!(is_nonce("oFvnlFP1wIhRlYS2jTaXbA"));
        assert!(!is_nonce("") && !is_nonce("a b") && !is_nonce("a\"b") && !is_nonce(&"a".repeat(513)));
    }
}
