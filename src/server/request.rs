//! Reads the head of a request and writes the head of an answer (RFC 9112), as far as GET and HEAD need it. Pure.
//!
//! Untrusted: every octet of a request. The parser reads only the method, the path, the query and the Host; no answer repeats any of it.

use std::io::{self, Write};

use crate::base::limits::PORT_HEAD_OCTETS_MAX;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRequest {
    /// True if only the head of the answer is wanted.
    pub head_only: bool,
    /// The path, without the query.
    pub path: String,
    /// The query as it came, without its question mark; empty where there is none.
    pub query: String,
    /// The path with the query, as it came.
    pub target: String,
    /// The value of the Host header.
    pub host: Option<String>,
}

/// The input so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// An incomplete head.
    Part,
    /// A complete request.
    Request(PortRequest),
    /// An input that is answered by this error.
    Wrong(StatusCode),
}

/// The statuses of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of RFC 9110 and RFC 6585")]
pub enum StatusCode {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    HeaderFieldsTooLarge,
    ServiceUnavailable,
}

impl StatusCode {
    /// The status code and the reason phrase.
    pub const fn line(self) -> &'static str {
        match self {
            StatusCode::Ok => "200 OK",
            StatusCode::BadRequest => "400 Bad Request",
            StatusCode::NotFound => "404 Not Found",
            StatusCode::MethodNotAllowed => "405 Method Not Allowed",
            StatusCode::RequestTimeout => "408 Request Timeout",
            StatusCode::HeaderFieldsTooLarge => "431 Request Header Fields Too Large",
            StatusCode::ServiceUnavailable => "503 Service Unavailable",
        }
    }
}

/// Plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// Writes a large body. Called twice, for the length and for the body, and must write the same both times.
pub type Writer = Box<dyn Fn(&mut dyn Write) -> io::Result<()> + Send>;

/// The body of an answer.
pub enum ResponseBody {
    /// A body in memory.
    Short(String),
    /// A body that is not kept in memory as a whole.
    Long(Writer),
}

/// An answer.
pub struct PortResponse {
    /// The status.
    pub status: StatusCode,
    /// The media type of the body.
    pub kind: &'static str,
    /// The body.
    pub body: ResponseBody,
}

impl PortResponse {
    /// An answer with a short text.
    pub fn short(status: StatusCode, text: &str) -> PortResponse {
        PortResponse { status, kind: TEXT, body: ResponseBody::Short(format!("{text}\n")) }
    }

    /// An answer whose body is the reason phrase.
    pub fn of(status: StatusCode) -> PortResponse {
        PortResponse::short(status, status.line())
    }

    /// The head of the answer, with the empty line.
    pub fn head(&self, length: u64) -> String {
        let allow = if self.status == StatusCode::MethodNotAllowed { "Allow: GET, HEAD\r\n" } else { "" };
        format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {length}\r\nConnection: close\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n{allow}\r\n",
            self.status.line(),
            self.kind,
        )
    }
}

/// Parses the input so far.
pub fn read(octets: &[u8]) -> Parsed {
    let Some(end) = end(octets) else {
        return if octets.len() >= PORT_HEAD_OCTETS_MAX {
            Parsed::Wrong(StatusCode::HeaderFieldsTooLarge)
        } else {
            Parsed::Part
        };
    };
    if end > PORT_HEAD_OCTETS_MAX {
        return Parsed::Wrong(StatusCode::HeaderFieldsTooLarge);
    }
    parse(&octets[..end]).unwrap_or_else(Parsed::Wrong)
}

/// The end of the last line before the empty one. A bare LF ends a line as well (RFC 9112 section 2.2).
fn end(octets: &[u8]) -> Option<usize> {
    let is_end = |at: &usize| octets[*at..].starts_with(b"\n\r\n") || octets[*at..].starts_with(b"\n\n");
    (0..octets.len()).find(is_end).map(|at| at + 1)
}

fn parse(head: &[u8]) -> Result<Parsed, StatusCode> {
    let text = std::str::from_utf8(head).map_err(|_| StatusCode::BadRequest)?;
    let mut lines = text.lines();
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, version] = words[..] else { return Err(StatusCode::BadRequest) };
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
        return Err(StatusCode::BadRequest);
    }
    // RFC 9112 section 3.2: whoever speaks HTTP/1.1 names the host, once.
    let is_host = |line: &&str| line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("host:"));
    let mut hosts = lines.filter(is_host).map(|line| line[5..].trim().to_owned());
    let (host, other) = (hosts.next(), hosts.next());
    if other.is_some() || (version != "HTTP/1.0" && host.is_none()) {
        return Err(StatusCode::BadRequest);
    }
    let head_only = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Err(StatusCode::MethodNotAllowed),
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query, target) = (path.to_owned(), query.to_owned(), target.to_owned());
    Ok(Parsed::Request(PortRequest { head_only, path, query, target, host }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_its_method_and_its_path() {
        let parsed = |head_only: bool, target: &str, host: Option<&str>| {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let (path, query) = (path.to_owned(), query.to_owned());
            Parsed::Request(PortRequest {
                head_only,
                path,
                query,
                target: target.to_owned(),
                host: host.map(str::to_owned),
            })
        };
        for (octets, expected) in [
            ("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", parsed(false, "/livez", Some("a"))),
            ("GET /livez?verbose HTTP/1.1\r\nhost:\r\nX: y\r\n\r\nmore", parsed(false, "/livez?verbose", Some(""))),
            ("GET /?state=Parked?&x HTTP/1.0\n\n", parsed(false, "/?state=Parked?&x", None)),
            ("GET / HTTP/1.0\n\n", parsed(false, "/", None)),
            ("GET / HTTP/1.0\r\n\r\n", parsed(false, "/", None)),
            ("HEAD / HTTP/1.0\r\n\r\n", parsed(true, "/", None)),
            ("", Parsed::Part),
            ("GET /livez HTTP/1.1\r\nHost: a\r\n", Parsed::Part),
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", Parsed::Wrong(StatusCode::MethodNotAllowed)),
            ("GET / HTTP/1.1\r\n\r\n", Parsed::Wrong(StatusCode::BadRequest)),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Parsed::Wrong(StatusCode::BadRequest)),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Parsed::Wrong(StatusCode::BadRequest)),
            ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Parsed::Wrong(StatusCode::BadRequest)),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Parsed::Wrong(StatusCode::BadRequest)),
            ("GET /\r\n\r\n", Parsed::Wrong(StatusCode::BadRequest)),
            ("\n\n", Parsed::Wrong(StatusCode::BadRequest)),
        ] {
            assert_eq!(read(octets.as_bytes()), expected, "{octets:?}");
        }
        assert_eq!(read(b"GET /\xff HTTP/1.0\r\n\r\n"), Parsed::Wrong(StatusCode::BadRequest));
    }

    #[test]
    fn a_head_that_is_too_large_is_refused_whether_it_ends_or_not() {
        let of = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(length));
        assert_eq!(read(of(PORT_HEAD_OCTETS_MAX).as_bytes()), Parsed::Wrong(StatusCode::HeaderFieldsTooLarge));
        let ended = format!("{}\r\n\r\n", of(PORT_HEAD_OCTETS_MAX));
        assert_eq!(read(ended.as_bytes()), Parsed::Wrong(StatusCode::HeaderFieldsTooLarge));
        let fits = format!("{}\r\n\r\n", of(PORT_HEAD_OCTETS_MAX - 100));
        assert!(matches!(read(fits.as_bytes()), Parsed::Request(_)));
    }

    #[test]
    fn every_answer_closes_and_says_its_length() {
        let head = PortResponse::of(StatusCode::MethodNotAllowed).head(23);
        let parts = ["HTTP/1.1 405 Method Not Allowed\r\n", "Content-Length: 23\r\n", "Connection: close\r\n"];
        for part in parts.into_iter().chain(["Allow: GET, HEAD\r\n", "nosniff", "no-store", "default-src 'none'"]) {
            assert!(head.contains(part), "{part} in {head}");
        }
        assert!(head.ends_with("\r\n\r\n") && !PortResponse::of(StatusCode::Ok).head(0).contains("Allow"));
    }
}
