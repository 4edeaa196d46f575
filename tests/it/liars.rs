//! Servers that lie: whatever comes back, an UPDATE has succeeded only when the key's signature says so, a record is there only when
//! the server that was asked answers the question that was asked, and nobody holds us longer than the deadline.

use std::iter;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use notariat::base::name::DnsName;
use notariat::base::time::{self, Deadline};
use notariat::config::dns::Transport;
use notariat::dns::client::{DnsClient, QueryMode, UpdateError};
use notariat::dns::tsig_key::{TsigKey, parse_keys};
use notariat::dns::update::{Action, TxtValue, Update};
use notariat::dns::update_error::UpdateAttempt;
use notariat::dns::wire::{Rcode, RecordType};
use notariat::dns::zone;
use notariat_lab::{Grant, Hmac, Key, NameServer, Software, Zone};

use crate::support::Site;
use crate::support::liar::{About, Liar, Say, is_update};
use crate::support::lies::{ANSWERS, EXCUSES, FORGERIES, LIES, lie, say, with};

/// The deadline: long enough that BIND has answered also on a busy machine, and that TCP has its turn after the two waits of a query
/// over UDP.
const PATIENCE: Duration = Duration::from_secs(4);
/// Long after the deadline, and before the waits of TCP and UDP would end by themselves.
const BOUND: Duration = Duration::from_secs(9);

const OWNER: &str = "_acme-challenge.www.site.test";

/// BIND with a zone, a key, and the value that queries are about.
fn bind() -> (NameServer, Key) {
    let key = Key::new("notariat.key", Hmac::Sha256);
    let zone = Zone::new("site.test").grant(Grant::Zone(&key)).line(&format!("{OWNER}. TXT there"));
    (NameServer::setup(Software::Bind).zone(zone.line("x.www CNAME y")).start(), key)
}

fn key_of(key: &Key) -> TsigKey {
    parse_keys(&key.secret_text()).unwrap().remove(0)
}

fn name(text: &str) -> DnsName {
    DnsName::parse(text).unwrap()
}

/// Does something with each row. Most of it is waiting, so many wait together; not all, for BIND has its quotas.
fn each<T: Send>(rows: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    let rows = Mutex::new(rows.into_iter().collect::<Vec<_>>());
    let next = || rows.lock().unwrap().pop();
    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| iter::from_fn(next).for_each(&check));
        }
    });
}

type Updated = Result<(), (UpdateError, String)>;

fn update(client: &DnsClient, server: SocketAddr, key: &Key, transport: Transport) -> Updated {
    let started = Instant::now();
    let result = update_within(PATIENCE, client, server, key, transport);
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
    result
}

/// Sends an UPDATE. The sentence for a person when it fails.
fn update_within(
    patience: Duration,
    client: &DnsClient,
    server: SocketAddr,
    key: &Key,
    transport: Transport,
) -> Updated {
    let values = [TxtValue { owner: name(OWNER), value: "value".to_owned() }];
    let zone = name("site.test");
    let update = Update { zone: &zone, action: Action::Add { ttl: 60, in_use: &[] }, values: &values };
    let (at, tsig) = (time::now(), key_of(key));
    client.update(server, &update, &tsig, transport, Deadline::after(patience)).map_err(|error| {
        let server = zone::NameServer { label: server.to_string(), address: server };
        let sentence = UpdateAttempt { server: &server, update: &update, key: &tsig, at }.sentence(&error);
        assert!(!sentence.contains(&key.secret), "{sentence}");
        (error, sentence)
    })
}

const TRANSPORTS: [Transport; 3] = [Transport::Tcp, Transport::Udp, Transport::Auto];

#[test]
fn no_lie_about_an_update_is_taken_for_success_and_each_has_its_sentence() {
    let (bind, key) = bind();
    for transport in TRANSPORTS {
        update(&DnsClient::default(), bind.addr(), &key, transport).unwrap();
    }
    let rows = [LIES, FORGERIES, EXCUSES].concat().into_iter().flat_map(|row| TRANSPORTS.map(|t| (row, t)));
    each(rows, |((lie, make, over_tcp, over_udp), transport)| {
        let liar = Liar::start(bind.addr(), &key, About::Updates, make);
        let (_, sentence) = update(&DnsClient::default(), liar.addr(), &key, transport).expect_err(lie);
        let part = if transport == Transport::Udp { over_udp } else { over_tcp };
        assert!(sentence.contains(part), "{lie} over {transport:?}: {part:?} is not in {sentence}");
        assert!(liar.heard() > 0, "{lie}");
    });
}

#[test]
fn over_udp_the_true_answer_behind_lies_counts() {
    let (bind, key) = bind();
    each([LIES, FORGERIES].concat(), |(lie, make, ..)| {
        let liar = Liar::start(bind.addr(), &key, About::Updates, move |x| {
            let lies = make(x).into_iter().filter(|part| !matches!(part, Say::Pause(_) | Say::Flood(_)));
            lies.chain(say(x.truth.to_vec())).collect()
        });
        assert_eq!(update(&DnsClient::default(), liar.addr(), &key, Transport::Udp), Ok(()), "{lie}");
    });
}

#[test]
fn an_answer_to_an_earlier_update_proves_nothing_about_this_one() {
    let (bind, key) = bind();
    for transport in TRANSPORTS {
        let earlier: Mutex<Option<Vec<u8>>> = Mutex::default();
        let liar = Liar::start(bind.addr(), &key, About::Updates, move |x| {
            let earlier = &mut *earlier.lock().unwrap();
            match earlier {
                None => say(earlier.insert(x.truth.to_vec()).clone()),
                // Under the id of this request: the copy in the TSIG record as well, which is signed.
                Some(earlier) => say(with(earlier, |m| {
                    let original_id = m.len() - 6;
                    m[..2].copy_from_slice(&x.request[..2]);
                    m[original_id..original_id + 2].copy_from_slice(&x.request[..2]);
                })),
            }
        });
        let client = DnsClient::default();
        assert_eq!(update(&client, liar.addr(), &key, transport), Ok(()));
        let (_, sentence) = update(&client, liar.addr(), &key, transport).unwrap_err();
        let part =
            if transport == Transport::Udp { "our key did not sign" } else { "the signature of its answer is wrong" };
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[test]
fn a_flood_neither_extends_the_deadline_nor_makes_us_send_after_it() {
    let (bind, key) = bind();
    let liar = Liar::start(bind.addr(), &key, About::Updates, |x| vec![Say::Flood(x.but(|m| m[0] ^= 1))]);
    // UDP is given two seconds, then four, then eight: the deadline is in the four.
    let (patience, started) = (Duration::from_millis(2200), Instant::now());
    update_within(patience, &DnsClient::default(), liar.addr(), &key, Transport::Udp).unwrap_err();
    assert!(started.elapsed() < Duration::from_millis(5500), "{:?}", started.elapsed());
    thread::sleep(Duration::from_millis(200));
    assert!(liar.heard() <= 2, "a third one would be sent after the deadline");
}

#[test]
fn no_lie_about_a_query_is_an_answer() {
    let (bind, key) = bind();
    let signed = key_of(&key);
    let plain = LIES.iter().map(|(lie, make, ..)| (*lie, *make)).chain(ANSWERS.iter().copied());
    let questions = [(OWNER, RecordType::Txt), ("site.test", RecordType::Soa), ("x.www.site.test", RecordType::Cname)];
    let plain = plain.flat_map(|row| questions.map(|question| (row, question, QueryMode::Plain)));
    let forged = [LIES, FORGERIES, EXCUSES].concat().into_iter().map(|(lie, make, ..)| (lie, make));
    let forged = forged.map(|row| (row, questions[0], QueryMode::Signed(&signed)));
    each(plain.chain(forged), |((lie, make), (owner, kind), way)| {
        let liar = Liar::start(bind.addr(), &key, About::Queries, make);
        let ask = || DnsClient::default().query(liar.addr(), &name(owner), kind, way, Deadline::after(PATIENCE));
        let started = Instant::now();
        let error = ask().expect_err(lie).to_string();
        assert!(started.elapsed() < BOUND, "{lie}: {:?}", started.elapsed());
        assert!(error.contains("UDP: ") && error.contains("; TCP: "), "{lie}: {error}");
        liar.repent();
        let truth = ask().unwrap();
        assert!(truth.rcode == Rcode::NOERROR && truth.answers.len() == 1, "{lie}: {truth:?}");
    });
}

/// SOA, CNAME and TXT: what is asked to find the zone, to find a delegation, and to see the value.
const TYPES: [u16; 3] = [6, 5, 16];

#[test]
fn while_its_server_lies_a_certificate_is_refused_with_one_sentence_and_the_ca_is_not_asked_to_look() {
    let site = Site::new();
    let rows = [
        ("www", About::Updates, "unsigned", "agreed without a signature"),
        ("a", About::Updates, "a wrong MAC", "the signature of its answer is wrong"),
        ("b", About::Updates, "a compression loop", "its answer has a compression loop"),
        ("c", About::Updates, "a length that is too small", "its answer ends inside"),
        ("d", About::Type(TYPES[0]), "another question", "does not answer (UDP: an answer to another question"),
        (
            "one",
            About::Type(TYPES[1]),
            "no such name, without the question",
            "does not answer (UDP: an answer to another",
        ),
        (
            "three",
            About::Type(TYPES[2]),
            "from elsewhere",
            "were not seen on every server in time, so the CA was not asked",
        ),
    ];
    let bind = site.dns.addr();
    let liars = rows.map(|(_, about, named, _)| Liar::start(bind, &site.key, about, lie(named)));
    let entry = |host: &str, server: SocketAddr| {
        let more = format!("'{server}', transport: tcp, propagationTimeout: 2s");
        site.entry(host, &format!("{host}.site.test"), "").replace(&format!("'{bind}'"), &more)
    };
    let looks = || site.pebble.request_lines().iter().filter(|line| line.contains("/chalZ/")).count();

    let entries: Vec<String> = rows.iter().zip(&liars).map(|((host, ..), liar)| entry(host, liar.addr())).collect();
    site.config(&entries.concat());
    let run = site.once().ends(1).never_says("panicked").never_says("issued secret");
    for (host, _, _, part) in rows {
        let failed = format!("ERROR [notariat] failed secret=default/{host} ");
        let said: Vec<&str> = run.log.lines().filter(|line| line.contains(&failed)).collect();
        assert!(said.len() == 1 && said[0].contains(part), "{part:?} is not what is said of {host}:\n{}", run.log);
        assert_eq!(site.read(host, "tls.crt"), None);
    }
    assert_eq!(looks(), 0, "{:#?}", site.pebble.request_lines());

    // What BIND did at their words is undone when the truth is to be had.
    liars.iter().for_each(Liar::repent);
    let honest =
        rows.map(|(host, ..)| entry(host, bind)).concat().replace("propagationTimeout: 2s", "propagationTimeout: 1m");
    site.config(&honest);
    site.once().ends(0);
    assert_eq!(looks(), rows.len());
    for (host, ..) in rows {
        site.assert_valid(host, &[&format!("{host}.site.test")]);
        let owner = format!("_acme-challenge.{host}.site.test");
        assert!(site.dns.txt(&owner).is_empty(), "nothing is left behind at {owner}");
    }
}

#[test]
fn a_certificate_is_issued_although_somebody_sends_forged_answers_before_the_true_ones() {
    let site = Site::new();
    let liar = Liar::start(site.dns.addr(), &site.key, About::Everything, |x| {
        let forged: &[&str] = match is_update(x.request) {
            true => &["unsigned", "a wrong MAC", "another id", "from elsewhere", "signed yesterday"],
            false => &["another question", "another id", "no such name, without the question", "from elsewhere"],
        };
        // Over TCP nobody can put a word in.
        let forged = if x.tcp { &[] } else { forged };
        forged.iter().flat_map(|named| lie(named)(x)).chain(say(x.truth.to_vec())).collect()
    });
    let more = format!("'{}', transport: udp", liar.addr());
    let entry = site.entry("web", "www.site.test", "").replace(&format!("'{}'", site.dns.addr()), &more);
    site.config(&entry);
    site.once().ends(0).never_says("panicked");
    site.assert_valid("web", &["www.site.test"]);
    assert!(site.dns.txt(OWNER).is_empty());
}

/// Linux ends a receive that has a time limit when the process goes on after a stop, whether or not anybody handles signals.
#[test]
fn a_process_that_was_stopped_for_a_moment_goes_on_waiting_for_the_answer() {
    let site = Site::new();
    let liar = Liar::start(site.dns.addr(), &site.key, About::Updates, |x| {
        [vec![Say::Pause(Duration::from_secs(1))], say(x.truth.to_vec())].concat()
    });
    let more = format!("'{}', transport: udp", liar.addr());
    site.config(&site.entry("web", "www.site.test", "").replace(&format!("'{}'", site.dns.addr()), &more));
    let daemon = site.daemon();
    daemon.until("an UPDATE was sent", || liar.heard() > 0);
    daemon.signal("STOP");
    daemon.signal("CONT");
    daemon.until("it is settled", || daemon.log().contains("issued secret") || daemon.log().contains("failed secret"));
    assert!(daemon.log().contains("issued secret=default/web"), "{}", daemon.log());
}
