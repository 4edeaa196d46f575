//! The only HTTPS client: a deadline for every exchange, bounded bodies, status and headers always kept, no redirects.
//!
//! Untrusted: every answer. Nothing is retried here; the caller decides what an error means.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::string_slice))]

pub mod tls;
pub mod web_check;
mod words;

use std::io::{BufRead as _, BufReader, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ureq::AsSendBody;
use ureq::http::{self, HeaderMap, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _, NextTimeout, TcpConnector};

use crate::base::clock::{self, BEFORE_1970};
use crate::base::limits::{HTTP_BUFFER_OCTETS, HTTP_CONNECT, HTTP_HEAD_OCTETS_MAX, HTTP_IDLE};
use crate::base::liveness;
use crate::base::redact::cleaned;
use crate::base::time::{self, Time};
use tls::{TlsConnector, TlsTrust};

/// The User-Agent of every request (RFC 8555 section 6.1 demands one; the API server writes it into managedFields).
pub const USER_AGENT: &str = concat!("notariat/", env!("CARGO_PKG_VERSION"));

/// A client for servers with the same trust.
#[derive(Clone, Debug)]
pub struct Http {
    agent: ureq::Agent,
}

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of RFC 9110")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: &'a str,
    /// Headers besides User-Agent.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, for POST, PUT and DELETE.
    pub body: &'a [u8],
    /// The time limit for the whole exchange.
    pub within: Duration,
    /// Octets of the answer's body that are read at most; more is an error.
    pub body_max: u64,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header, when it is text. Of several values the first counts.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The server's clock (`Date`).
    pub fn date(&self) -> Option<Time> {
        self.header("date").and_then(Time::parse_http_date)
    }

    /// The moment until which the server asks to wait (`Retry-After`, RFC 9110 section 10.2.3): seconds, or a date.
    pub fn retry_after(&self, now: Time) -> Option<Time> {
        let text = self.header("retry-after")?.trim();
        match text.parse::<u64>() {
            Ok(seconds) => Some(now + Duration::from_secs(seconds)),
            // A date counts on the server's clock.
            Err(_) => Time::parse_http_date(text).map(|at| now + at.since(self.date().unwrap_or(now))),
        }
    }

    /// Tells whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The sentence for an exchange without a readable answer. Never holds a header of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError(pub String);

/// The likely cause where the server's certificate is not valid yet.
const SKEWED: &str = "is this machine's clock right (NTP)? The server's certificate begins to be valid later";

/// The end of the sentence about a server certificate from a CA that is not trusted.
const UNTRUSTED: &str = "the server's certificate is from a CA that is not trusted here";

impl HttpError {
    /// Tells whether the server's certificate is from a CA that is not trusted. The caller adds the setting that changes
    /// this.
    pub fn is_untrusted(&self) -> bool {
        self.0.ends_with(UNTRUSTED)
    }
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Http {
    /// A client that trusts `trust`, and uses the proxy `proxy` (`http://HOST[:PORT]`, CONNECT) where one is given.
    /// Proxies of the environment are not used.
    ///
    /// # Errors
    /// The fault in the certificates or in the proxy's URL.
    pub fn new(trust: &TlsTrust, proxy: Option<&str>) -> Result<Http, String> {
        let proxy = proxy
            .map(ureq::Proxy::new)
            .transpose()
            .map_err(|_| "the proxy: it is no URL http://HOST:PORT".to_owned())?;
        let connector =
            ().chain(ConnectProxyConnector::default()).chain(TcpConnector::default()).chain(TlsConnector::new(trust)?);
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .https_only(true)
            .proxy(proxy)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(USER_AGENT)
            .accept_encoding("")
            .timeout_connect(Some(HTTP_CONNECT))
            .max_idle_age(HTTP_IDLE)
            .max_response_header_size(HTTP_HEAD_OCTETS_MAX)
            .input_buffer_size(HTTP_BUFFER_OCTETS)
            .output_buffer_size(HTTP_BUFFER_OCTETS)
            .build();
        Ok(Http { agent: ureq::Agent::with_parts(config, connector, LiteralFirst::default()) })
    }

    /// Ends the requests under way and refuses later ones: the program is stopping.
    pub fn shut_down(&self) {
        self.agent.clone().shutdown();
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When no whole answer came in time or it is larger than allowed.
    pub fn send(&self, request: &Request<'_>) -> Result<Response, HttpError> {
        let (parts, mut body) = self.begin(request, None)?.into_parts();
        let body = body.with_config().limit(request.body_max).read_to_vec().map_err(|e| describe(request, &e))?;
        Ok(Response { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// Sends a request whose answer is read as it comes: its head within the time of the request, then without a
    /// silence longer than `idle`.
    ///
    /// # Errors
    /// When no answer begins in time.
    pub fn stream(&self, request: &Request<'_>, idle: Duration) -> Result<Stream, HttpError> {
        let (parts, body) = self.begin(request, Some(idle))?.into_parts();
        let lines = BufReader::with_capacity(HTTP_BUFFER_OCTETS, body.into_reader());
        Ok(Stream { status: parts.status.as_u16(), lines })
    }

    fn begin(&self, request: &Request<'_>, idle: Option<Duration>) -> Result<http::Response<ureq::Body>, HttpError> {
        liveness::beat();
        if !clock::is_usable(time::now()) {
            return Err(HttpError(BEFORE_1970.to_owned()));
        }
        let mut builder = http::Request::builder().method(request.method.name()).uri(request.url);
        for (name, value) in request.headers {
            builder = builder.header(*name, *value);
        }
        let answer = match request.method {
            Method::Get | Method::Head => builder.body(()).map(|r| self.run(r, request.within, idle)),
            Method::Post | Method::Put | Method::Delete => {
                builder.body(request.body).map(|r| self.run(r, request.within, idle))
            }
        };
        answer.map_err(ureq::Error::from).flatten().map_err(|e| describe(request, &e))
    }

    fn run(
        &self,
        request: http::Request<impl AsSendBody>,
        within: Duration,
        idle: Option<Duration>,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let settings = self.agent.configure_request(request);
        let settings = match idle {
            None => settings.timeout_global(Some(within)),
            Some(_) => settings.timeout_recv_response(Some(within)).timeout_per_read(idle),
        };
        self.agent.run(settings.build())
    }
}

/// An answer that is read as it comes.
pub struct Stream {
    /// The status code.
    pub status: u16,
    lines: BufReader<ureq::BodyReader<'static>>,
}

impl Stream {
    /// The next line without its end, `most` octets at most; `None` at the end of the answer. Text after the last line
    /// end is a line that was cut off, and is dropped.
    ///
    /// # Errors
    /// When the answer breaks off, is silent for too long, or a line is longer.
    pub fn line(&mut self, most: u64) -> Result<Option<Vec<u8>>, HttpError> {
        let mut line = Vec::new();
        let read = self.lines.by_ref().take(most).read_until(b'\n', &mut line);
        read.map_err(|e| HttpError(plain(&ureq::Error::from(e))))?;
        match line.pop() {
            Some(b'\n') => Ok(Some(line)),
            Some(_) if line.len() as u64 >= most.saturating_sub(1) => {
                Err(HttpError(format!("a line is longer than {most} octets")))
            }
            Some(_) => Err(HttpError("the connection was closed in the middle of a line".to_owned())),
            None => Ok(None),
        }
    }

    /// The body as it comes, `most` octets at most.
    pub fn body(self, most: u64) -> impl Read {
        self.lines.take(most)
    }

    /// The beginning of an error's body.
    pub fn beginning(self) -> Vec<u8> {
        let mut octets = Vec::new();
        // A part of the body is better than nothing.
        self.lines.take(HTTP_HEAD_OCTETS_MAX as u64).read_to_end(&mut octets).ok();
        octets
    }
}

fn describe(request: &Request<'_>, e: &ureq::Error) -> HttpError {
    HttpError(format!("{} {}: {}", request.method.name(), without_query(request.url), plain(e)))
}

/// Queries of the API server are long and tell an operator nothing.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

/// The usual faults in an operator's words.
fn plain(e: &ureq::Error) -> String {
    use std::io::ErrorKind;
    match e {
        ureq::Error::Timeout(phase) => format!("no answer in time (while {})", phase_words(*phase)),
        ureq::Error::HostNotFound => "the host name has no address".to_owned(),
        ureq::Error::BodyExceedsLimit(max) => format!("the answer is larger than {max} octets"),
        ureq::Error::Io(io) => match io.kind() {
            ErrorKind::ConnectionRefused => "connection refused (nothing listens there)".to_owned(),
            ErrorKind::UnexpectedEof => "the connection was closed in the middle of the answer".to_owned(),
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                "the connection was reset".to_owned()
            }
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => "no route to it".to_owned(),
            _ => match io.get_ref().and_then(|e| e.downcast_ref()).and_then(words::handshake) {
                Some(sentence) => sentence,
                None => other_io(io),
            },
        },
        other => cleaned(other.to_string()),
    }
}

fn other_io(io: &std::io::Error) -> String {
    match io.to_string() {
        // The cure for a private CA.
        sentence if sentence.contains("UnknownIssuer") => format!("{sentence}: {UNTRUSTED}"),
        sentence if sentence.contains("not valid yet") || sentence.contains("NotValidYet") => {
            format!("{sentence}: {SKEWED}")
        }
        sentence if sentence.contains("certificate expired") || sentence.contains("Expired") => {
            format!("{sentence}: it was not renewed, or this machine's clock is ahead (NTP)")
        }
        sentence => sentence,
    }
}

fn phase_words(phase: ureq::Timeout) -> &'static str {
    match phase {
        ureq::Timeout::Resolve => "looking up the host name",
        ureq::Timeout::Connect => "connecting",
        _ => "waiting for the answer",
    }
}

/// ureq resolves before every request and starts a thread for that; an address needs neither.
#[derive(Debug, Default)]
struct LiteralFirst(DefaultResolver);

impl Resolver for LiteralFirst {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(ip) => {
                let mut found = self.0.empty();
                // Servers are reached by https only, proxies by http only.
                let default = if uri.scheme_str() == Some("http") { 80 } else { 443 };
                found.push(SocketAddr::new(ip, uri.port_u16().unwrap_or(default)));
                Ok(found)
            }
            Err(_) => self.0.resolve(uri, config, timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(headers: &[(&'static str, &'static str)]) -> Response {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Response { status: 503, headers: map, body: Vec::new() }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_on_the_servers_clock() {
        let now = Time::from_unix(1_000_000);
        let after =
            |headers: &[(&'static str, &'static str)]| reply(headers).retry_after(now).map(|t| t.unix() - now.unix());
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[("retry-after", "120")]), Some(120));
        assert_eq!(after(&[("retry-after", "-1")]), None);
        assert_eq!(after(&[("retry-after", "soon")]), None);
        let date = ("date", "Sun, 06 Nov 1994 08:00:00 GMT");
        assert_eq!(
            after(&[date, ("retry-after", "Sun, 06 Nov 1994 09:00:00 GMT")]),
            Some(3600),
            "whatever our clock says"
        );
        assert_eq!(after(&[date, ("retry-after", "Sun, 06 Nov 1994 07:00:00 GMT")]), Some(0));
        assert_eq!(after(&[("retry-after", "7"), ("retry-after", "9")]), Some(7), "of several the first counts");
    }

    #[test]
    fn a_broken_connection_is_told_in_our_own_words() {
        // Those of Linux: ECONNRESET, ECONNABORTED, EPIPE, ENETUNREACH, EHOSTUNREACH, ECONNREFUSED.
        for (code, words) in [
            (104, "the connection was reset"),
            (103, "the connection was reset"),
            (32, "the connection was reset"),
            (101, "no route to it"),
            (113, "no route to it"),
            (111, "connection refused (nothing listens there)"),
        ] {
            assert_eq!(plain(&ureq::Error::Io(std::io::Error::from_raw_os_error(code))), words, "{code}");
        }
    }
}
