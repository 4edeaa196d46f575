//! Asks a web server once, as a CA does for the http-01 challenge: plain HTTP or HTTPS with any certificate, at a given address, no proxy, no
//! redirect followed. Only what proves nothing secret is asked for this way.
//!
//! Untrusted: the answer, of which the status, the Location and the first octets are kept.

use std::io::{ErrorKind, Read as _};
use std::net::SocketAddr;
use std::time::Duration;

use ureq::http::{self, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector as _, NextTimeout, TcpConnector};

use super::plain;
use super::tls::{TlsConnector, TlsTrust};
use crate::base::limits::{HTTP_BUFFER_OCTETS, HTTP_HEAD_OCTETS_MAX, REACH_BODY_OCTETS, REACH_URL_OCTETS_MAX};
use crate::base::sanitize::one_line;

/// The User-Agent of the requests, by which an operator finds them in a log.
const USER_AGENT: &str = concat!("notariat/", env!("CARGO_PKG_VERSION"), " (http-01 self-test)");

/// The answer of a web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAnswer {
    /// The status code.
    pub status: u16,
    /// The value of `Location`, where there is one that can be shown.
    pub location: Option<String>,
    /// The first [`REACH_BODY_OCTETS`] octets of the body.
    pub body: Vec<u8>,
}

/// Why there is no readable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer {
    /// The machine refused the connection, so that nothing listens at the port.
    pub is_refused: bool,
    /// The reason, in words.
    pub why: String,
}

impl From<String> for NoAnswer {
    fn from(why: String) -> NoAnswer {
        NoAnswer { is_refused: false, why }
    }
}

impl From<ureq::Error> for NoAnswer {
    fn from(error: ureq::Error) -> NoAnswer {
        let is_refused = matches!(&error, ureq::Error::Io(io) if io.kind() == ErrorKind::ConnectionRefused);
        NoAnswer { is_refused, why: plain(&error) }
    }
}

/// Asks for `url` at `address`.
///
/// # Errors
/// Why there is no readable answer.
pub fn ask(url: &str, address: SocketAddr, within: Duration) -> Result<WebAnswer, NoAnswer> {
    let connector =
        ().chain(TcpConnector::default())
            .chain(TlsConnector::new(&TlsTrust { unchecked: true, ..TlsTrust::default() })?);
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .https_only(false)
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(USER_AGENT)
        .accept_encoding("")
        .timeout_global(Some(within))
        .max_response_header_size(HTTP_HEAD_OCTETS_MAX)
        .input_buffer_size(HTTP_BUFFER_OCTETS)
        .output_buffer_size(HTTP_BUFFER_OCTETS)
        .build();
    let agent = ureq::Agent::with_parts(config, connector, Fixed(address));
    let request =
        http::Request::get(url).header("connection", "close").body(()).map_err(|_| "it is no URL".to_owned())?;
    let (parts, body) = agent.run(request)?.into_parts();
    let mut octets = Vec::new();
    // A part of the body is enough to tell another server's answer.
    body.into_reader().take(REACH_BODY_OCTETS as u64).read_to_end(&mut octets).ok();
    let location = parts.headers.get("location").and_then(|value| value.to_str().ok());
    let location = location.filter(|value| value.len() <= REACH_URL_OCTETS_MAX).map(one_line);
    Ok(WebAnswer { status: parts.status.as_u16(), location, body: octets })
}

/// Every host is at this address.
#[derive(Debug)]
struct Fixed(SocketAddr);

impl Resolver for Fixed {
    fn resolve(&self, _: &Uri, _: &ureq::config::Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut found = self.empty();
        found.push(self.0);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(5);

    /// A server that gives one answer, and what it was asked.
    fn server(answer: &'static [u8]) -> (SocketAddr, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 2048];
            let n = stream.read(&mut head).unwrap();
            stream.write_all(answer).unwrap();
            String::from_utf8_lossy(&head[..n]).into_owned()
        });
        (address, asked)
    }

    #[test]
    fn the_name_is_the_host_whatever_the_address() {
        let (address, asked) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
        let answer = ask("http://www.a.test/.well-known/acme-challenge/t", address, WITHIN).unwrap();
        assert_eq!(answer, WebAnswer { status: 200, location: None, body: b"abc".to_vec() });
        let asked = asked.join().unwrap().to_ascii_lowercase();
        assert!(asked.starts_with("get /.well-known/acme-challenge/t http/1.1\r\n"), "{asked}");
        assert!(asked.contains("\r\nhost: www.a.test\r\n"), "{asked}");
    }

    #[test]
    fn a_redirect_is_told_and_not_followed_and_a_long_body_is_cut() {
        let (address, _) = server(b"HTTP/1.1 301 Moved\r\nLocation: https://b.test/x\r\nContent-Length: 0\r\n\r\n");
        let answer = ask("http://a.test/", address, WITHIN).unwrap();
        assert_eq!((answer.status, answer.location.as_deref()), (301, Some("https://b.test/x")));
        let (address, _) = server(&[b"HTTP/1.1 200 OK\r\n\r\n" as &[u8], &[b'x'; 5000]].concat().leak()[..]);
        assert_eq!(ask("http://a.test/", address, WITHIN).unwrap().body.len(), REACH_BODY_OCTETS);
    }

    #[test]
    fn without_a_readable_answer_there_are_words() {
        for answer in [b"".as_slice(), b"\0\0\0", b"HTTP/1.1 2"] {
            let (address, _) = server(answer);
            let none = ask("http://a.test/", address, WITHIN).unwrap_err();
            assert!(!none.why.is_empty() && !none.is_refused, "{none:?}");
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let none = ask("http://a.test/", free, WITHIN).unwrap_err();
        assert!(none.is_refused && none.why.contains("refused"), "{none:?}");
    }
}
