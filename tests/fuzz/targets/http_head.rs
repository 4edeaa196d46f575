//! The head of a request to either port: a head that comes in parts is read as the whole one; the port of challenges gives one of its three known
//! answers, and the answer to a challenge only for its host and token; no answer of either port has a part of the request. Time and memory are linear.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use notariat::base::name::{Domain, ObjectRef};
use notariat::base::time::Time;
use notariat::issuance::answers::Answers;
use notariat::record::{Presented, PresentedFile};
use notariat::server::challenge_port::respond;
use notariat::server::page::{self, Title};
use notariat::server::request::{Parsed, PortRequest, PortResponse, ResponseBody, StatusCode, read};
use notariat::server::snapshot::Snapshot;
use notariat::status::certificate::{CertificateStatus, Subject};
use notariat::status::state::CertificateState;
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::text;
use notariat_fuzz::planted;

const COST: Bound = Bound { steps_per_octet: 400, steps: 50_000, octets_per_octet: 20, octets: 16 * 1024 };
/// The page has a fixed part, and looks at each part of the query once.
const PAGE: Bound = Bound { steps_per_octet: 2_000, steps: 400_000, octets_per_octet: 20, octets: 64 * 1024 };

const ANSWER: &str = "tok.Qx9mZ0k3JwRt7uPvYbL2sDhGf5nAeCiO8lXqV1yTzE4";
const PATH: &str = "/.well-known/acme-challenge/tok";
const PROBE: &str = "/.well-known/acme-challenge/notariat";

static ANSWERS: LazyLock<Answers> = LazyLock::new(|| {
    let answers = Answers::default();
    let name: Domain = "www.a.test".parse().expect("a name");
    let file = PresentedFile { name, token: "tok".to_owned(), answer: ANSWER.to_owned(), webroot: None };
    answers.replace(&[], &[Presented::Http01(file)]);
    answers
});

/// Two certificates in two namespaces, so that the query has something to choose from.
fn snapshot() -> Snapshot {
    let status = |namespace: &str, state| {
        let subject = Subject::Orphaned(Box::new((ObjectRef::new(namespace, "web"), Vec::new())));
        Arc::new(CertificateStatus::empty(subject, state, ""))
    };
    Snapshot {
        certificates: vec![status("team", CertificateState::Orphaned), status("other", CertificateState::BackingOff)],
        ..Snapshot::default()
    }
}

/// The whole answer as it is sent.
fn sent(answer: &PortResponse) -> String {
    let mut body = Vec::new();
    match &answer.body {
        ResponseBody::Short(text) => body.extend(text.as_bytes()),
        ResponseBody::Long(write) => write(&mut body).expect("a Vec takes everything"),
    }
    answer.head(body.len() as u64) + &text(&body)
}

fn challenges(request: Result<&PortRequest, StatusCode>) {
    let answer = linear(0, COST, || respond(&ANSWERS, "team", request));
    let whole = sent(&answer);
    let known = |status, text: &str| {
        sent(&PortResponse { status, kind: "application/octet-stream", body: ResponseBody::Short(text.to_owned()) })
    };
    let host = request.ok().and_then(|request| request.host.clone());
    let is_host = host.as_ref().is_some_and(|host| {
        let host = host.rsplit_once(':').map_or(host.as_str(), |(host, _)| host).to_ascii_lowercase();
        host == "www.a.test" || host == "www.a.test."
    });
    let expected = match request.map(|request| request.target.as_str()) {
        Ok(PATH) if is_host => known(StatusCode::Ok, ANSWER),
        Ok(PROBE) if host.is_some() => known(StatusCode::Ok, "notariat team"),
        _ => known(StatusCode::NotFound, ""),
    };
    assert_eq!(whole, expected, "{request:?}");
}

fn status(request: Result<&PortRequest, StatusCode>) {
    match request {
        Err(status) => {
            let line = status.line();
            assert!(sent(&PortResponse::of(status)).ends_with(&format!("\r\n\r\n{line}\n")));
        }
        Ok(request) => {
            let title = Title {
                namespace: "team".to_owned(),
                leads: true,
                now: Time::from_unix(1_800_000_000),
                query: request.query.clone(),
            };
            let page = linear(request.query.len(), PAGE, || {
                let mut out = Vec::new();
                page::write(&mut out, &title, &snapshot()).expect("a Vec takes everything");
                text(&out)
            });
            // No text of the query: neither as it came nor decoded. All pages consist of the same words.
            let plain = Title { query: "state=x&namespace=x&x=x&reload=minute".to_owned(), ..title };
            let mut words = Vec::new();
            page::write(&mut words, &plain, &snapshot()).expect("a Vec takes everything");
            let words = text(&words);
            for part in request.query.split(['&', '=']).filter(|part| part.len() >= 16) {
                assert!(!page.contains(part) || words.contains(part), "{part} is repeated");
            }
            planted::assert_absent(&page);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let raw = text(data);
    if planted::is_hinted(&raw) || planted::is_hinted(&raw.replace('%', "")) {
        return;
    }
    let head = raw.replace(planted::MARK, planted::BASE64);
    let parsed = linear(head.len(), COST, || read(head.as_bytes()));
    for cut in [head.len() / 2, head.len().saturating_sub(1)] {
        let part = read(&head.as_bytes()[..cut]);
        assert!(part == Parsed::Part || part == parsed, "{cut} octets of {head:?}");
    }
    let request = match &parsed {
        Parsed::Part => return assert!(head.len() < 16 * 1024, "an endless head is held"),
        Parsed::Request(request) => Ok(request),
        Parsed::Wrong(status) => Err(*status),
    };
    challenges(request);
    status(request);
});
