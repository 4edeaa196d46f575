//! The only door to HTTPS: a deadline for every exchange, bounded bodies, status and headers always kept, no redirects.
//!
//! Untrusted: every answer. Nothing is retried here; what to do about an error is the callers' decision.

pub mod tls;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ureq::http::{HeaderMap, Request, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _, NextTimeout, TcpConnector};

use crate::limits::{HTTP_BUFFER_OCTETS, HTTP_CONNECT, HTTP_HEAD_OCTETS_MAX, HTTP_IDLE};
use crate::time::Time;
use tls::{TlsConnector, Trust};

/// What every request says it comes from (RFC 8555 section 6.1 demands it; the API server writes it into managedFields).
pub const USER_AGENT: &str = concat!("notariat/", env!("CARGO_PKG_VERSION"));

/// A client for servers that are trusted alike.
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
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: &'a str,
    /// Headers besides User-Agent.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, for POST and PUT.
    pub body: &'a [u8],
    /// How long all of it may take.
    pub within: Duration,
    /// Octets of the answer's body that are read; more is an error.
    pub body_max: u64,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header's value, when it is text. Of several the first counts.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The server's clock.
    pub fn date(&self) -> Option<Time> {
        self.header("date").and_then(Time::parse_http_date)
    }

    /// Until when the server asks us to wait (RFC 9110 section 10.2.3): seconds, or a date.
    pub fn retry_after(&self, now: Time) -> Option<Time> {
        let text = self.header("retry-after")?.trim();
        match text.parse::<u64>() {
            Ok(seconds) => Some(now + Duration::from_secs(seconds)),
            // A date is meant on the server's clock.
            Err(_) => Time::parse_http_date(text).map(|at| now + at.since(self.date().unwrap_or(now))),
        }
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// No answer, or none that could be read: what happened, in words. Never holds a header of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError(pub String);

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Http {
    /// A client that trusts `trust`, and goes through `proxy` (`http://HOST[:PORT]`, CONNECT) if there is one. Never takes one from
    /// the environment.
    ///
    /// # Errors
    /// What is wrong with the certificates or the proxy.
    pub fn new(trust: &Trust, proxy: Option<&str>) -> Result<Http, String> {
        let proxy = proxy.map(ureq::Proxy::new).transpose().map_err(|e| format!("the proxy: {}", plain(&e)))?;
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
    pub fn send(&self, ask: &Ask<'_>) -> Result<Reply, HttpError> {
        let method = match ask.method {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
        };
        let mut request = Request::builder().method(method).uri(ask.url);
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        let told = |e: ureq::Error| HttpError(format!("{} {}: {}", method, without_query(ask.url), plain(&e)));
        let answer = match ask.method {
            Method::Get | Method::Head => {
                let request = request.body(()).map_err(|e| told(e.into()))?;
                self.agent.run(self.agent.configure_request(request).timeout_global(Some(ask.within)).build())
            }
            Method::Post | Method::Put => {
                let request = request.body(ask.body).map_err(|e| told(e.into()))?;
                self.agent.run(self.agent.configure_request(request).timeout_global(Some(ask.within)).build())
            }
        };
        let (parts, mut body) = answer.map_err(told)?.into_parts();
        let body = body.with_config().limit(ask.body_max).read_to_vec().map_err(told)?;
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

/// Queries of the API server are long and say nothing to people.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

/// The usual faults in the words people know.
fn plain(e: &ureq::Error) -> String {
    use std::io::ErrorKind;
    match e {
        ureq::Error::Timeout(phase) => format!("no answer in time (while {})", phase_words(*phase)),
        ureq::Error::HostNotFound => "the host name has no address".to_owned(),
        ureq::Error::BodyExceedsLimit(max) => format!("the answer is larger than {max} octets"),
        ureq::Error::Io(io) => match io.kind() {
            ErrorKind::ConnectionRefused => "connection refused (nothing listens there)".to_owned(),
            ErrorKind::UnexpectedEof => "the connection was closed in the middle of the answer".to_owned(),
            _ => match io.to_string() {
                // What a person has to do about a private CA.
                said if said.contains("UnknownIssuer") => {
                    format!("{said}: the server's certificate is from a CA that is not trusted here")
                }
                said => said,
            },
        },
        other => other.to_string(),
    }
}

fn phase_words(phase: ureq::Timeout) -> &'static str {
    match phase {
        ureq::Timeout::Resolve => "looking up the host name",
        ureq::Timeout::Connect => "connecting",
        _ => "waiting for the answer",
    }
}

/// ureq resolves before every request and starts a thread for it; an address needs neither.
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

    fn reply(headers: &[(&'static str, &'static str)]) -> Reply {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Reply { status: 503, headers: map, body: Vec::new() }
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
}
