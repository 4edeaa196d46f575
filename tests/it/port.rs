//! The HTTP port of the real daemon: who asks at once is answered at once, and nobody who does otherwise costs the daemon anything.

mod metrics;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::support::cluster::{Cluster, OwnKube};
use crate::support::run::Daemon;
use crate::support::{Run, Site};

pub const LISTEN: &str = "-listen=127.0.0.1:0";

/// Where a daemon that was started with [`LISTEN`] has its port.
pub fn address(daemon: &Daemon) -> SocketAddr {
    daemon.until_it_says("listening address=");
    let log = daemon.log();
    log.split("listening address=").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

/// Sends octets and reads the whole answer: its status, its head and its body.
pub fn send(to: SocketAddr, octets: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // Who is refused early may be told so before all is sent.
    stream.write_all(octets).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {octets:?}: {answer:?}"));
    (head[9..12].parse().unwrap(), head.to_owned(), body.to_owned())
}

/// The answer at a path: status and body.
pub fn get(from: SocketAddr, path: &str) -> (u16, String) {
    let (status, head, body) = send(from, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    (status, body)
}

/// A daemon that has nothing to do.
fn idle(site: &Site) -> (Daemon, SocketAddr) {
    site.config("[]");
    let daemon = Daemon::start(&mut site.command(&[LISTEN]));
    let at = address(&daemon);
    daemon.until("ready", || get(at, "/readyz").0 == 200);
    (daemon, at)
}

/// A number of /proc/PID/status.
fn status(daemon: &Daemon, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    value.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn each_wrong_request_gets_the_status_that_is_meant_for_it() {
    let site = Site::new();
    let (daemon, at) = idle(&site);
    for (request, status) in [
        ("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("GET /healthz?verbose HTTP/1.0\r\n\r\n", 200),
        ("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 405),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("GET /livez HTTP/1.1\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\r\n\r\n", 400),
        ("GET /livez HTTP/1.1\r\nHost: a\r\n", 408),
    ] {
        let (found, head, _) = send(at, request.as_bytes());
        assert_eq!(found, status, "{request:?}: {head}");
        for part in ["Connection: close", "Content-Length: ", "nosniff", "no-store", "default-src 'none'"] {
            assert!(head.contains(part), "{part}: {head}");
        }
    }
    let (found, head, body) = send(at, b"HEAD /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((found, body.as_str()), (200, ""), "{head}");
    assert!(head.contains("Content-Length: 3"), "as many as GET gives: {head}");
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn hundreds_of_half_sent_requests_and_a_head_of_megabytes_leave_memory_and_threads_as_they_were() {
    let site = Site::new();
    let (daemon, at) = idle(&site);
    let (threads, resident) = (status(&daemon, "Threads:"), status(&daemon, "VmRSS:"));
    let half: Vec<TcpStream> = (0..800)
        .map(|_| {
            let mut stream = TcpStream::connect(at).unwrap();
            // Those that had to make room for others are closed.
            stream.write_all(format!("GET /livez HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(7_000)).as_bytes()).ok();
            stream
        })
        .collect();
    let asked = Instant::now();
    assert_eq!(get(at, "/livez"), (200, "ok\n".to_owned()), "among all of them");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let open = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    assert!(open < 40, "{open} files are open");

    let mut large = b"GET /livez HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
    large.resize(13 << 20, b'x');
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let sent = stream.write_all(&large);
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 431 ") || sent.is_err() || read.is_err(), "{answer:?}");

    assert_eq!(status(&daemon, "Threads:"), threads);
    let now = status(&daemon, "VmRSS:");
    assert!(now < resident + 1024, "{now} kB resident, {resident} before");
    // One that sends a little now and then has its time as well, and not more.
    let mut slow = TcpStream::connect(at).unwrap();
    let began = Instant::now();
    while slow.write_all(b"G").and_then(|()| slow.flush()).is_ok() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    for stream in half {
        stream.shutdown(Shutdown::Both).ok();
    }
    assert_eq!(get(at, "/livez").0, 200);
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn the_page_is_there_only_where_it_was_asked_for() {
    let site = Site::new();
    site.config("[]");
    let daemon = Daemon::start(&mut site.command(&[LISTEN, "-page"]));
    let at = address(&daemon);
    let (status, head, body) = send(at, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status, 200, "without it 404, see above");
    assert!(head.contains("Content-Type: text/html") && body.ends_with("</html>\n"), "{head} {body}");
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn a_port_that_is_taken_is_one_sentence_and_ends_the_start() {
    let site = Site::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("-listen={}", taken.local_addr().unwrap());
    let run = Run::of(&mut site.command(&[&at])).ends(78);
    assert!(run.log.contains("the port is in use by another process"), "{}", run.log);
    site.config("[]");
    Run::of(&mut site.command(&[&at, "-once"])).ends(0).never_says("-listen");
}

#[test]
fn what_it_waits_for_is_a_line_however_much_is_wrong() {
    let site = Site::new();
    site.config("[]");
    site.config_key("zones", &"- a\n".repeat(1_000));
    let daemon = Daemon::start(&mut site.command(&[LISTEN]));
    let at = address(&daemon);
    daemon.until("it says what it waits for", || get(at, "/readyz").1.contains("key `zones`"));
    let (status, body) = get(at, "/readyz");
    assert!(status == 503 && body.lines().count() == 1 && body.len() < 2_000, "{}", body.len());
}

#[test]
fn it_is_ready_when_the_configuration_was_read_and_well_whatever_becomes_of_the_api_server() {
    let own = OwnKube::start();
    let kube = own.kube();
    let cluster = Cluster::on(kube);
    let daemon = cluster.daemon(&[LISTEN]);
    let at = address(&daemon);
    daemon.until("it says what it waits for", || get(at, "/readyz").1.contains("it does not exist"));
    assert_eq!((get(at, "/readyz").0, get(at, "/livez").0), (503, 200));
    cluster.config("[]");
    daemon.until("ready", || get(at, "/readyz").0 == 200);
    let standby = cluster.daemon(&[LISTEN]);
    standby.until_it_says("standby lease=");
    let other = address(&standby);
    standby.until("the one that stands by is ready as well", || get(other, "/readyz").0 == 200);
    kube.stop_api();
    daemon.until_it_says("api-server-away");
    assert_eq!((get(at, "/readyz").0, get(at, "/livez").0), (200, 200));
    assert_eq!((daemon.terminate(), standby.terminate()), (0, 0));
}
