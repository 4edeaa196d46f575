//! Each fault of the proxy, before a server that says back what it hears.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end where a proof is missing")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::fault_proxy::{Fault, FaultProxy, Manner};

const LASTS: Duration = Duration::from_millis(600);

/// Says back each part over TCP and each datagram with `!` behind it.
fn echo() -> SocketAddr {
    // A port that is free for one may be taken for the other.
    let both = (0..100).find_map(|_| {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let tcp = TcpListener::bind(udp.local_addr().unwrap()).ok()?;
        Some((udp, tcp))
    });
    let (udp, tcp) = both.unwrap();
    let address = udp.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, client)) = udp.recv_from(&mut buffer) {
            udp.send_to(&[&buffer[..length], b"!"].concat(), client).unwrap();
        }
    });
    thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 2048];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A connection that said a word and heard it, and the proxy.
fn spoken(resets: bool) -> (FaultProxy, TcpStream) {
    let proxy = FaultProxy::start_with(echo(), Manner { resets, ..Manner::default() }, |_| {});
    let mut stream = TcpStream::connect(proxy.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    assert_eq!(says(&mut stream, b"before").unwrap(), b"before");
    (proxy, stream)
}

/// The part of a word that is heard, until so much has come as was sent, or nothing comes.
fn says(stream: &mut TcpStream, word: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(word)?;
    let (mut heard, mut buffer) = (Vec::new(), [0; 2048]);
    while heard.len() < word.len() {
        match stream.read(&mut buffer)? {
            0 => break,
            length => heard.extend(&buffer[..length]),
        }
    }
    Ok(heard)
}

#[test]
fn answers_are_delayed_lost_and_throttled_for_as_long_as_the_fault_lasts() {
    let word = [7; 500];
    for (fault, least) in
        [(Fault::Delay(Duration::from_millis(300)), 300), (Fault::Drop, 600), (Fault::Throttle(1000), 400)]
    {
        let (proxy, mut stream) = spoken(false);
        proxy.begin(fault, LASTS);
        let started = Instant::now();
        assert_eq!(says(&mut stream, &word).unwrap(), word, "{fault:?}");
        assert!(started.elapsed() >= Duration::from_millis(least), "{fault:?}: {:?}", started.elapsed());
        thread::sleep(LASTS);
        let after = Instant::now();
        assert_eq!(says(&mut stream, &word).unwrap(), word, "{fault:?}");
        assert!(after.elapsed() < Duration::from_millis(250), "{fault:?}: {:?}", after.elapsed());
    }
}

#[test]
fn a_connection_is_cut_after_some_octets_and_later_ones_are_whole() {
    let (proxy, mut stream) = spoken(false);
    proxy.begin(Fault::Cut(10), LASTS);
    assert_eq!(says(&mut stream, &[7; 100]).unwrap(), [7; 10]);
    let mut other = TcpStream::connect(proxy.addr()).unwrap();
    assert_eq!(says(&mut other, &[7; 100]).unwrap(), [7; 10]);
    thread::sleep(LASTS);
    let mut later = TcpStream::connect(proxy.addr()).unwrap();
    assert_eq!(says(&mut later, &[7; 100]).unwrap(), [7; 100]);
    assert_eq!(proxy.heard().iter().map(|(_, on)| *on).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn a_half_open_connection_stays_dead_and_open_when_the_fault_is_over() {
    let (proxy, mut stream) = spoken(false);
    stream.set_read_timeout(Some(3 * LASTS)).unwrap();
    proxy.begin(Fault::HalfOpen, LASTS);
    assert_eq!(says(&mut stream, b"hello").unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(says(&mut stream, b"hello?").unwrap_err().kind(), ErrorKind::WouldBlock);
    let mut later = TcpStream::connect(proxy.addr()).unwrap();
    assert_eq!(says(&mut later, b"hello").unwrap(), b"hello");
}

#[test]
fn connections_are_reset_old_ones_and_new_ones() {
    let (proxy, mut stream) = spoken(true);
    assert_eq!(says(&mut stream, b"more than a word").unwrap(), b"more than a word");
    proxy.begin(Fault::Reset, LASTS);
    assert_eq!(says(&mut stream, b"hello").unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut other = TcpStream::connect(proxy.addr()).unwrap();
    assert_eq!(says(&mut other, b"hello").unwrap_err().kind(), ErrorKind::ConnectionReset);
    thread::sleep(LASTS);
    let mut later = TcpStream::connect(proxy.addr()).unwrap();
    assert_eq!(says(&mut later, b"hello").unwrap(), b"hello");
}

#[test]
fn datagrams_are_lost_delayed_doubled_and_out_of_order() {
    let proxy = FaultProxy::start(echo(), |_| {});
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    client.connect(proxy.addr()).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let hear = || {
        let mut buffer = [0; 64];
        client.recv(&mut buffer).ok().map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    let say = |word: &str| client.send(word.as_bytes()).unwrap();
    say("a");
    assert_eq!(hear().as_deref(), Some("a!"));
    proxy.begin(Fault::Drop, LASTS);
    say("b");
    thread::sleep(LASTS);
    assert_eq!(hear(), None, "it never comes");
    proxy.begin(Fault::Delay(Duration::from_millis(400)), LASTS);
    say("c");
    assert_eq!((hear(), hear()), (None, Some("c!".to_owned())));
    proxy.begin(Fault::Duplicate, LASTS);
    say("d");
    assert_eq!([hear(), hear(), hear(), hear(), hear()].map(Option::unwrap_or_default), ["d!", "d!", "d!", "d!", ""]);
    proxy.begin(Fault::Reorder, 2 * LASTS);
    say("e");
    assert_eq!(hear(), None, "held back");
    say("f");
    assert_eq!((hear(), hear()), (Some("f!".to_owned()), Some("e!".to_owned())));
    say("g");
    thread::sleep(2 * LASTS);
    assert_eq!(hear().as_deref(), Some("g!"), "when the fault is over");
}

#[test]
fn the_tap_hears_what_is_said_before_the_server_does_and_a_client_is_sent_to_tcp() {
    let (send, told) = std::sync::mpsc::channel();
    let manner = Manner { stream_only: true, ..Manner::default() };
    let proxy = FaultProxy::start_with(echo(), manner, move |part| send.send(part.to_vec()).unwrap());
    let mut stream = TcpStream::connect(proxy.addr()).unwrap();
    assert_eq!(says(&mut stream, b"hello").unwrap(), b"hello");
    assert_eq!(told.recv().unwrap(), b"hello");
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x01a\0\0\x10\0\x01rest";
    client.send_to(question, proxy.addr()).unwrap();
    let mut buffer = [0; 64];
    let length = client.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"\x12\x34\x83\0\0\x01\0\0\0\0\0\0\x01a\0\0\x10\0\x01");
    assert!(told.try_recv().is_err(), "the server is not asked");
}

#[test]
fn the_question_with_which_a_fault_begins_reaches_the_server_or_does_not() {
    for loses_questions in [false, true] {
        let itself = Arc::new(OnceLock::<FaultProxy>::new());
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        server.set_read_timeout(Some(LASTS)).unwrap();
        let of_tap = Arc::clone(&itself);
        let manner = Manner { loses_questions, ..Manner::default() };
        let proxy = FaultProxy::start_with(server.local_addr().unwrap(), manner, move |_| {
            of_tap.get().unwrap().begin(Fault::Drop, LASTS);
        });
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = proxy.addr();
        assert!(itself.set(proxy).is_ok());
        client.send_to(b"question", at).unwrap();
        assert_eq!(server.recv(&mut [0; 64]).is_ok(), !loses_questions);
    }
}
