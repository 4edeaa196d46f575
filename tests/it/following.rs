//! An API server that ends, cuts, forgets and keeps silent: what is followed is told once and whole, and nothing is taken for gone.

mod silence;

use std::io::{BufReader, Write as _};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use notariat::base::name::ClusterName;
use notariat::base::shutdown::Shutdown;
use notariat::kube::client::KubeClient;
use notariat::kube::discovery;
use notariat::kube::reflector::{Reflector, ReflectorEvent, WatchTimeouts};
use notariat::kube::resource::{Resource, Selector, WatchTarget};
use notariat_lab::{Port, Scratch};
use rustls::{ServerConnection, StreamOwned};
use serde_json::json;

use crate::support::https::{read_request, server_config};
use crate::support::x509;

/// How the server answers one request, on a connection of its own.
enum Answer {
    /// A whole answer.
    Whole(u16, String),
    /// Lines of a watch; then the end.
    Lines(Vec<String>),
    /// Lines, and the beginning of one more; then the connection breaks.
    Cut(Vec<String>, String),
    /// Lines; then nothing, for as long as anybody waits.
    Silent(Vec<String>),
    /// A pause, lines, a pause; then the end.
    Held(Duration, Vec<String>, Duration),
}
use Answer::{Cut, Held, Lines, Silent, Whole};

/// An API server that follows a script, and whoever follows a Secret there.
struct Play {
    asked: Arc<Mutex<Vec<String>>>,
    told: Receiver<String>,
    stop: Shutdown,
}

impl Play {
    fn of(script: Vec<Answer>) -> Play {
        Play::with(None, script)
    }

    /// One that follows a kind that may be absent, and looks again after a pause.
    fn with(absent: Option<Duration>, script: Vec<Answer>) -> Play {
        let folder = Scratch::new("following");
        let (chain, key) = x509::make(&["localhost"], "somebody", -1, 80);
        let config = Arc::new(server_config(&folder.write("crt", &chain), &folder.write("key", &key)));
        let (port, asked) = (Port::new(), Arc::new(Mutex::new(Vec::new())));
        let (listener, seen) = (port.listen(Ipv4Addr::LOCALHOST), asked.clone());
        let server = port.at(Ipv4Addr::LOCALHOST);
        thread::spawn(move || {
            let _port = port;
            for answer in script {
                let stream = listener.accept().unwrap().0;
                let (config, seen) = (config.clone(), seen.clone());
                let connection = ServerConnection::new(config).unwrap();
                let mut client = BufReader::new(StreamOwned::new(connection, stream));
                let (head, _) = read_request(&mut client).unwrap().unwrap();
                seen.lock().unwrap().push(head.split(' ').nth(1).unwrap().to_owned());
                serve(client.into_inner(), answer);
            }
            // Whoever asks for more than the script has waits for ever.
            thread::sleep(Duration::from_secs(60));
        });
        let kubeconfig = folder.write(
            "config",
            &format!(
                "{{current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}], users: [{{name: u, user: {{token: t}}}}],\n\
                 clusters: [{{name: c, cluster: {{server: 'https://{server}', insecure-skip-tls-verify: true}}}}]}}\n"
            ),
        );
        let client = KubeClient::new(discovery::find(Some(&kubeconfig)).unwrap(), Shutdown::new()).unwrap();
        let (tell, told) = unbounded();
        let stop = Shutdown::new();
        let stopped = stop.clone();
        thread::spawn(move || {
            let selector = Selector::Type("kubernetes.io/tls");
            let target = WatchTarget {
                resource: Resource::SECRETS,
                namespace: "team".to_owned(),
                selector,
                cluster: ClusterName::HOME,
            };
            let tell = |said: ReflectorEvent| tell.send(word(&said)).is_ok();
            let timeouts = WatchTimeouts {
                lasts: [Duration::from_secs(2); 2],
                grace: Duration::from_secs(1),
                doubt: Duration::from_secs(1),
                absent,
            };
            Reflector { client: &client, target: &target, stop: &stopped, timeouts, tell }.run();
        });
        Play { asked, told, stop }
    }

    /// Asserts what is told next.
    #[track_caller]
    fn tells(&self, words: &[&str]) {
        for word in words {
            let told = self.told.recv_timeout(Duration::from_secs(30));
            assert_eq!(told.as_deref(), Ok(*word), "asked: {:#?}", self.asked());
        }
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let parts = |path: &String| {
            let part = |name: &str| path.split(['?', '&']).find(|p| p.starts_with(name)).unwrap_or_default().to_owned();
            [part("watch="), part("resourceVersion="), part("continue=")].concat()
        };
        asked.iter().map(parts).collect()
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        self.stop.set();
    }
}

fn serve(mut to: StreamOwned<ServerConnection, std::net::TcpStream>, answer: Answer) {
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let lines = |lines: &[String]| lines.iter().map(|line| chunk(&format!("{line}\n"))).collect::<String>();
    // The client may be gone, which is its right.
    match answer {
        Whole(status, body) => {
            let head = format!("HTTP/1.1 {status} Said\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            to.write_all((head + &body).as_bytes()).ok();
        }
        Lines(all) => {
            to.write_all([head, &lines(&all), "0\r\n\r\n"].concat().as_bytes()).ok();
            to.flush().ok();
        }
        Held(before, all, after) => {
            let mut write = |text: &str| to.write_all(text.as_bytes()).and_then(|()| to.flush()).ok();
            write(&head.replace("Transfer-", "Connection: close\r\nTransfer-"));
            thread::sleep(before);
            write(&lines(&all));
            thread::sleep(after);
            write("0\r\n\r\n");
        }
        Cut(all, begun) => {
            to.write_all([head, &lines(&all), &chunk(&begun)].concat().as_bytes()).ok();
        }
        Silent(all) => {
            to.write_all([head, &lines(&all)].concat().as_bytes()).ok();
            to.flush().ok();
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(30));
                drop(to);
            });
        }
    }
}

fn word(told: &ReflectorEvent) -> String {
    match told {
        ReflectorEvent::Object(object) => {
            let at = &object["metadata"];
            format!("{}@{}", at["name"].as_str().unwrap(), at["resourceVersion"].as_str().unwrap())
        }
        ReflectorEvent::Gone(at) => format!("gone {}", at.name),
        ReflectorEvent::Listing => "listing".to_owned(),
        ReflectorEvent::Listed => "listed".to_owned(),
        ReflectorEvent::Found => "found".to_owned(),
        ReflectorEvent::Lost(_) => "lost".to_owned(),
        ReflectorEvent::Denied(e) => format!("denied {e}"),
        ReflectorEvent::Absent => "absent".to_owned(),
    }
}

fn object(name: &str, version: u32) -> serde_json::Value {
    json!({"metadata": {"namespace": "team", "name": name, "resourceVersion": version.to_string()}})
}

fn event(kind: &str, name: &str, version: u32) -> String {
    json!({"type": kind, "object": object(name, version)}).to_string()
}

fn list(version: u32, proceed: &str, names: &[&str]) -> Answer {
    let items: Vec<_> = names.iter().map(|name| object(name, version)).collect();
    Whole(
        200,
        json!({"metadata": {"resourceVersion": version.to_string(), "continue": proceed}, "items": items}).to_string(),
    )
}

fn gone() -> serde_json::Value {
    json!({"kind": "Status", "status": "Failure", "reason": "Expired", "message": "too old resource version", "code": 410})
}

#[test]
fn too_old_in_its_three_shapes_leads_to_a_new_list() {
    let play = Play::of(vec![
        list(5, "", &["a", "b"]),
        Lines(vec![json!({"type": "ERROR", "object": gone()}).to_string()]),
        list(7, "", &["a"]),
        Whole(410, gone().to_string()),
        list(9, "token", &["a"]),
        Whole(410, gone().to_string()),
        list(11, "token", &["a"]),
        list(11, "", &["c"]),
        Silent(vec![event("ADDED", "d", 12)]),
    ]);
    play.tells(&["listing", "a@5", "b@5", "listed", "listing", "a@7", "listed"]);
    play.tells(&["listing", "a@9", "listing", "a@11", "c@11", "listed", "d@12"]);
    let asked = play.asked();
    assert_eq!(asked[1], "watch=1resourceVersion=5");
    assert_eq!((asked[5].as_str(), asked[6].as_str()), ("continue=token", ""), "begun anew, and never half a list");
    assert_eq!(asked[8], "watch=1resourceVersion=11");
}

#[test]
fn a_line_that_was_cut_off_is_told_by_the_next_watch() {
    let whole = event("MODIFIED", "a", 7);
    let play = Play::of(vec![
        list(5, "", &["a"]),
        Cut(vec![event("MODIFIED", "a", 6)], whole[..40].to_owned()),
        Lines(vec![whole, json!({"type": "BOOKMARK", "object": object("", 9)}).to_string()]),
        Silent(vec![event("DELETED", "a", 10)]),
    ]);
    play.tells(&["listing", "a@5", "listed", "a@6", "found", "a@7", "found", "gone a"]);
    let versions: Vec<String> = play.asked()[1..].iter().map(|a| a.replace("watch=1resourceVersion=", "")).collect();
    assert_eq!(versions, ["5", "6", "9"], "from where it was, a bookmark included");
}

#[test]
fn a_connection_that_died_without_a_word_is_noticed() {
    let start = Instant::now();
    let whole = || list(5, "", &["a"]);
    let play = Play::of(vec![whole(), Silent(vec![]), whole(), Silent(vec![event("MODIFIED", "a", 6)])]);
    // It was silent for a whole period, so that its version may be worth nothing.
    play.tells(&["listing", "a@5", "listed", "listing", "a@5", "listed", "a@6"]);
    assert!(start.elapsed() > Duration::from_secs(2), "but not before its time");
    assert_eq!(play.asked()[3], "watch=1resourceVersion=5");
}

#[test]
fn a_server_that_ends_each_watch_at_once_is_not_asked_without_a_pause() {
    let ends = || Lines(vec![]);
    let play = Play::of(std::iter::once(list(5, "", &[])).chain((0..200).map(|_| ends())).collect());
    play.tells(&["listing", "listed", "found", "lost", "found", "lost"]);
    thread::sleep(Duration::from_secs(4));
    let asked = play.asked().len();
    assert!(asked < 20, "{asked} requests in 4 s and more");
}

#[test]
fn a_server_that_forgets_at_once_what_it_listed_is_asked_less_and_less() {
    let forgets = || Lines(vec![json!({"type": "ERROR", "object": gone()}).to_string()]);
    let play = Play::of((0..200).flat_map(|n| [list(n, "", &[]), forgets()]).collect());
    thread::sleep(Duration::from_secs(10));
    let lists = play.asked().iter().filter(|asked| !asked.contains("watch=1")).count();
    assert!((2..10).contains(&lists), "{lists} lists in 10 s");
}

#[test]
fn a_kind_that_is_not_served_has_no_objects_until_it_is() {
    let absent = || Whole(404, "404 page not found\n".to_owned());
    let play = Play::with(
        Some(Duration::from_millis(200)),
        vec![
            absent(),
            absent(),
            list(5, "", &["a"]),
            Lines(vec![event("MODIFIED", "a", 6)]),
            // Its definition is deleted.
            absent(),
            absent(),
            list(9, "", &["b"]),
        ],
    );
    play.tells(&["listing", "absent", "listing", "absent", "listing", "a@5", "listed", "a@6"]);
    play.tells(&["listing", "absent", "listing", "b@9", "listed"]);
}

#[test]
fn what_is_not_allowed_is_told_and_outages_are_borne() {
    let status = |code: u16, reason: &str| json!({"kind": "Status", "reason": reason, "message": reason, "code": code});
    let away = || Whole(503, status(503, "ServiceUnavailable").to_string());
    // The first may be a server that restarts, and is not told.
    let outage = (0..2).map(|_| away());
    let refused = || Whole(403, status(403, "Forbidden").to_string());
    let denied = "denied the API server answers 403: Forbidden";
    // A server that restarted refuses everything until it has read its Roles.
    let restarted = [refused(), list(5, "", &["a"]), refused(), Lines(vec![event("MODIFIED", "a", 6)])];
    let play = Play::of(outage.chain(restarted).chain((0..20).map(|_| refused())).collect());
    play.tells(&["listing", "listing", "lost", "listing", "listing", "a@5", "listed", "found", "a@6", denied]);
    assert!(play.told.recv_timeout(Duration::from_secs(5)).is_err(), "and no more");
    // One that has just started does so, too: the first refusal is doubted like every other.
    let (play, start) = (Play::of((0..20).map(|_| refused()).collect()), Instant::now());
    let mut told = play.told.iter().skip_while(|word| word == "listing");
    assert_eq!(told.next().as_deref(), Some(denied));
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}
