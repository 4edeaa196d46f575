//! The responder of http-01 challenges: a port of its own, which gives the key authorization for a pending (Host, token) pair and 404 without
//! a body for everything else (RFC 8555 section 8.3).
//!
//! Untrusted: every octet of a request. Octets are compared and never decoded, and no answer repeats any of them. The port is never that of
//! status and metrics: a proxy in front may hand `/.well-known/acme-challenge/../../metrics` through. Tested by tests/it/http01/.

use std::sync::Arc;

use super::listener::Port;
use super::request::{PortRequest, PortResponse, ResponseBody, StatusCode};
use crate::base::limits::CHALLENGE_PORT_WAITING_MAX;
use crate::base::log::event;
use crate::base::metrics;
use crate::issuance::Context;
use crate::issuance::answers::Answers;
use crate::issuance::solver::http01::{CHALLENGE_PATH, PROBE_TOKEN, probe_answer};

/// The media type of an answer; browsers do not show it.
const OCTETS: &str = "application/octet-stream";

/// Starts to answer at the port.
///
/// # Errors
/// When a thread can not be started.
pub fn serve(port: &Port, context: &Arc<Context>) -> Result<(), String> {
    let (answers, instance) = (context.answers.clone(), context.instance.clone());
    let answering = Box::new(move |request: Result<&PortRequest, StatusCode>| respond(&answers, &instance, request));
    port.serve(context.stop.clone(), "challenges", CHALLENGE_PORT_WAITING_MAX, answering)?;
    if let Some(address) = port.address() {
        event!(info, "listening-for-challenges", address = address);
    }
    Ok(())
}

/// The answer to a request. `instance` is shown where `check` asks whether the path leads here.
pub fn respond(answers: &Answers, instance: &str, request: Result<&PortRequest, StatusCode>) -> PortResponse {
    let found = request.ok().and_then(|request| {
        let token = request.target.strip_prefix(CHALLENGE_PATH)?;
        let host = request.host.as_deref().map(host_name)?;
        match token {
            // At any Host: an instance that does not know a host tells `check` so that its route leads to the wrong one.
            PROBE_TOKEN => Some(probe_answer(instance)),
            _ => answers.find(&host, token),
        }
    });
    metrics::challenge_asked(found.is_some());
    match found {
        Some(answer) => PortResponse { status: StatusCode::Ok, kind: OCTETS, body: ResponseBody::Short(answer) },
        None => PortResponse { status: StatusCode::NotFound, kind: OCTETS, body: ResponseBody::Short(String::new()) },
    }
}

/// The name in a Host header: without a port and the dot at the end, in lower case.
fn host_name(host: &str) -> String {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Presented, PresentedFile};
    use crate::server::request::{Parsed, read};

    fn asked(head: &str) -> (StatusCode, String) {
        let answers = Answers::default();
        let name = "www.a.test".parse().unwrap();
        let file = PresentedFile { name, token: "tok".to_owned(), answer: "tok.print".to_owned(), webroot: None };
        answers.replace(&[], &[Presented::Http01(file)]);
        let answer = match read(head.as_bytes()) {
            Parsed::Request(request) => respond(&answers, "team", Ok(&request)),
            Parsed::Wrong(status) => respond(&answers, "team", Err(status)),
            Parsed::Part => panic!("{head:?} is no whole head"),
        };
        let ResponseBody::Short(body) = answer.body else { panic!("a long answer") };
        (answer.status, body)
    }

    #[test]
    fn only_the_pending_pair_of_host_and_token_is_answered() {
        let right = (StatusCode::Ok, "tok.print".to_owned());
        let none = (StatusCode::NotFound, String::new());
        let path = "/.well-known/acme-challenge/tok";
        for host in ["www.a.test", "WWW.a.Test", "www.a.test.", "www.a.test:80", "www.a.test.:8080"] {
            assert_eq!(asked(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")), right, "{host}");
        }
        assert_eq!(asked(&format!("HEAD {path} HTTP/1.1\r\nHost: www.a.test\r\n\r\n")), right);
        for host in ["b.test", "a.test", "", "www.a.test, b.test", "www.a.test..", "[::1]", "www.a.test:80:80"] {
            assert_eq!(asked(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")), none, "{host}");
        }
        for target in [
            "/",
            "/metrics",
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/other",
            "/.well-known/acme-challenge/tok?x=1",
            "/.well-known/acme-challenge/tok/",
            "/.well-known/acme-challenge//tok",
            "/.well-known/acme-challenge/../../metrics",
            "/.well-known/acme-challenge/..%2f..%2fmetrics",
            "/.well-known/acme-challenge/%74ok",
            "//.well-known/acme-challenge/tok",
            "/.well-known/acme-challenge/tok\0",
        ] {
            assert_eq!(asked(&format!("GET {target} HTTP/1.1\r\nHost: www.a.test\r\n\r\n")), none, "{target}");
        }
        for head in [
            format!("POST {path} HTTP/1.1\r\nHost: www.a.test\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\n\r\n"),
            format!("GET {path} HTTP/1.0\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost: www.a.test\r\nHost: www.a.test\r\n\r\n"),
            format!("GET http://www.a.test{path} HTTP/1.1\r\nHost: www.a.test\r\n\r\n"),
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        ] {
            assert_eq!(asked(&head), none, "{head}");
        }
        let probe = "GET /.well-known/acme-challenge/notariat HTTP/1.1\r\nHost: any.test\r\n\r\n";
        assert_eq!(asked(probe), (StatusCode::Ok, "notariat team".to_owned()));
    }
}
