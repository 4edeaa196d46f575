//! The program is killed before each request of an attempt by HTTP-01, and what a stranger sends to the responder.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use notariat_lab::{Pebble, Port};

use serde_json::json;

use super::replicas::orders;
use crate::support::ca::{Ca, Kind, Reply};
use crate::support::kill_proxy::{KillProxy, Side, Victim};
use crate::support::{Run, Site, x509};

const KILLED: i32 = 128 + 9;

/// A responder that Pebble asks directly, without a namespace: the kill proxy stands before the CA.
fn site() -> (Site, Port) {
    let port = Port::new();
    (Site::with_ca(Pebble::setup().http_port(port.number())), port)
}

fn entry(secret: &str, name: &str, port: &Port) -> String {
    format!(
        "- {{secret: {secret}, domains: [{name}], email: admin@site.test, challenge: http-01, http: {{via: '127.0.0.1:{}'}}}}\n",
        port.number()
    )
}

/// Kills before the first request, before the second, ... until a run comes to its end. Another process goes on each time, as another replica would.
#[test]
fn killed_before_each_request_to_the_ca_the_next_process_answers_the_same_order() {
    let (mut site, port) = site();
    let at = format!("127.0.0.1:{}", port.number());
    let ca = KillProxy::before_ca(&site.pebble);
    let mut killed_at = Vec::new();
    for number in 1.. {
        site.start_over();
        // Each round has a name without a valid authorization.
        let name = format!("{}.site.test", ["www", "a", "b", "c", "d", "one", "three"][number % 7]);
        site.config(&entry("web", &name, &port));
        let victim: Arc<Victim> = Arc::default();
        let command = || {
            let mut command = site.command_without_ca(&["-once", "-http-listen", &at, "-acme"]);
            command.arg(ca.directory());
            command
        };
        ca.trap.kill_at(&victim, number, Side::Before);
        let first = victim.run(&mut command());
        if first.code == 0 {
            break;
        }
        first.ends(KILLED);
        let kind = ca.trap.asked().pop().unwrap();
        let after = format!("killed before request {number}, {kind}");
        let lost = kind == "authZ";
        ca.trap.open();
        Run::of(&mut command()).ends(0);
        x509::assert_valid(&site.folder("web"), &site.pebble.root_pem(), &[&name]);
        let made = ca.trap.count("order-plz");
        assert_eq!(made, if lost { 2 } else { 1 }, "{after}: {:?}", ca.trap.asked());
        let record = site.record("web").unwrap();
        assert!(!record.contains("inFlight") && !record.contains("token"), "{after}: {record}");
        killed_at.push(kind);
    }
    assert!(
        killed_at.contains(&"chalZ".to_owned()) && killed_at.contains(&"finalize-order".to_owned()),
        "{killed_at:?}"
    );
    assert_eq!(site.dns.updates(), 0);
}

/// The refusals of a CA that Pebble never makes: one place of the world is kept out, and a name that only the DNS proves.
#[test]
fn the_words_of_a_ca_are_followed_by_what_they_lead_to() {
    let (mut site, port) = site();
    let at = format!("127.0.0.1:{}", port.number());
    let mut run = |kind: Kind, lie: fn(&mut Reply)| {
        site.start_over();
        site.config(&entry("web", "www.site.test", &port));
        let ca = Ca::start(&site.pebble, move |asked, reply| {
            if asked.kind == kind {
                lie(reply);
            }
        });
        Run::of(&mut ca.command(&site, &["-once", "-http-listen", &at])).ends(1)
    };
    run(Kind::Challenge, |reply| {
        let detail = "During secondary validation: 192.0.2.1: Fetching http://www.site.test/: Timeout during connect";
        let problem = json!({"type": "urn:ietf:params:acme:error:connection", "detail": detail});
        reply.edit(|challenge| {
            challenge["status"] = json!("invalid");
            challenge["error"] = problem;
        });
    })
    .says(&[
        "stage=validation",
        "During secondary validation: ",
        "; it is reachable from here and from a part of the world: a geo block or a firewall?",
    ]);
    run(Kind::Authorization, |reply| {
        reply.edit(|authorization| {
            let challenges = authorization["challenges"].as_array_mut().unwrap();
            challenges.retain(|challenge| challenge["type"] == "dns-01");
        });
    })
    .says(&["the CA offers no http-01 challenge for www.site.test, only dns-01: `challenge: dns-01` for that name"]);
}

/// The answer that a stranger gets for these octets.
fn told(at: &str, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The responder may answer before it has read all.
    stream.write_all(octets).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_stranger_gets_404_without_a_body_whatever_the_octets() {
    let (site, port) = site();
    let at = format!("127.0.0.1:{}", port.number());
    site.config("[]\n");
    let daemon = crate::support::run::Daemon::start(&mut site.command(&["-http-listen", &at]));
    daemon.until_it_says("listening-for-challenges");
    let path = "/.well-known/acme-challenge/";
    let long = "x".repeat(64 * 1024);
    for target in [
        format!("{path}../../metrics"),
        format!("{path}..%2f..%2fmetrics"),
        format!("/{path}marker"),
        format!("{path}marker?marker=1"),
        format!("{path}{long}"),
        format!("{path}\0marker"),
        "/metrics".to_owned(),
        "/".to_owned(),
    ] {
        for host in ["www.site.test", "WWW.SITE.TEST.", "www.site.test:80", "marker.test", "a.test\r\nHost: b.test", ""]
        {
            let answer = told(&at, format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
            let shown = &target[..target.len().min(60)];
            assert!(answer.starts_with("HTTP/1.1 404 "), "{shown} {host:?}: {answer:?}");
            assert!(answer.ends_with("\r\n\r\n") && answer.matches("\r\n\r\n").count() == 1, "a body: {answer:?}");
            assert!(!answer.contains("marker") && !answer.contains("xxxx"), "reflected: {answer:?}");
        }
    }
    assert!(told(&at, format!("GET {path}marker HTTP/1.1\r\n\r\n").as_bytes()).starts_with("HTTP/1.1 404 "));
    assert!(!daemon.log().contains("marker"), "a miss is counted and not logged: {}", daemon.log());
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(orders(&site), 0);
}

#[test]
fn the_connections_that_a_load_balancer_holds_cost_nobody_an_answer() {
    let (site, port) = site();
    let at = format!("127.0.0.1:{}", port.number());
    site.config("[]\n");
    let daemon = crate::support::run::Daemon::start(&mut site.command(&["-http-listen", &at]));
    daemon.until_it_says("listening-for-challenges");
    let connect = || TcpStream::connect(&at).unwrap();
    let mut first = connect();
    first.write_all(b"GET /.well-known/acme-challenge/t HTTP/1.1\r\n").unwrap();
    let held: Vec<TcpStream> = (0..100).map(|_| connect()).collect();
    assert!(told(&at, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 404 "));
    first.write_all(b"Host: www.site.test\r\n\r\n").unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer:?}");
    drop(held);
    assert_eq!(daemon.terminate(), 0);
}
