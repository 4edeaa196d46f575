//! A name server that lies: a proxy before a real one. The true answers and their MACs come from there, so that no code of ours
//! judges itself. What it says in their place is in `lies`.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::{Key, Port};

use super::lies::{framed, question};

/// A request and what the real server answered to it.
#[derive(Debug)]
pub struct Exchange<'a> {
    pub request: &'a [u8],
    pub truth: &'a [u8],
    pub tcp: bool,
    pub key: &'a Key,
}

/// A part of what the liar does.
#[derive(Clone, Debug)]
pub enum Say {
    /// A message: as a datagram, or on the stream behind its length.
    Message(Vec<u8>),
    /// Octets as they are.
    Octets(Vec<u8>),
    /// Datagrams from another port, and from the right port of another address. Nothing over TCP.
    Elsewhere(Vec<u8>),
    /// Nothing for so long.
    Pause(Duration),
    /// Nothing more, with the connection left open. Without this it is closed after the last part.
    Hold,
    /// The message again and again; over TCP one octet now and then of an answer that is said to be long.
    Flood(Vec<u8>),
}

/// The messages that are lied about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    Everything,
    Updates,
    Queries,
    /// Queries for this type.
    Type(u16),
}

/// A flood ends, so that a client without a deadline fails its test and does not hang in it.
const FLOOD: Duration = Duration::from_secs(20);

pub type Lie = dyn Fn(&Exchange<'_>) -> Vec<Say> + Send + Sync;

/// A running liar; at its end it says nothing more.
pub struct Liar {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    upstream: SocketAddr,
    about: About,
    key: Key,
    lie: Box<Lie>,
    heard: AtomicUsize,
    honest: AtomicBool,
    over: AtomicBool,
    _port: Port,
}

impl Liar {
    pub fn start(
        upstream: SocketAddr,
        key: &Key,
        about: About,
        lie: impl Fn(&Exchange<'_>) -> Vec<Say> + Send + Sync + 'static,
    ) -> Liar {
        let (port, udp, tcp) = listening();
        let address = udp.local_addr().unwrap();
        let shared = Arc::new(Shared {
            address,
            upstream,
            about,
            key: key.clone(),
            lie: Box::new(lie),
            heard: AtomicUsize::new(0),
            honest: AtomicBool::new(false),
            over: AtomicBool::new(false),
            _port: port,
        });
        let udp = Arc::new(udp);
        let of_udp = Arc::clone(&shared);
        thread::spawn(move || {
            let mut buffer = [0; 65_535];
            while let Ok((length, client)) = udp.recv_from(&mut buffer) {
                if of_udp.is_over() {
                    return;
                }
                let (request, shared, udp) = (buffer[..length].to_vec(), Arc::clone(&of_udp), Arc::clone(&udp));
                thread::spawn(move || shared.over_udp(&request, &udp, client));
            }
        });
        let of_tcp = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                if of_tcp.is_over() {
                    return;
                }
                let shared = Arc::clone(&of_tcp);
                // A client that has heard enough hangs up, which is an error here and none of the test.
                thread::spawn(move || shared.over_tcp(stream).ok());
            }
        });
        Liar { shared }
    }

    pub fn addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// How many messages came that were to be lied about.
    pub fn heard(&self) -> usize {
        self.shared.heard.load(SeqCst)
    }

    /// Tells the truth from now on.
    pub fn repent(&self) {
        self.shared.honest.store(true, SeqCst);
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.shared.over.store(true, SeqCst);
        // Wakes the two that wait; the port is free again when they have gone.
        TcpStream::connect(self.addr()).ok();
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|s| s.send_to(&[], self.addr())).ok();
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    fn parts(&self, request: &[u8], tcp: bool) -> Vec<Say> {
        let is_update = is_update(request);
        let concerned = match self.about {
            About::Everything => true,
            About::Updates => is_update,
            About::Queries => !is_update,
            About::Type(kind) => {
                !is_update && request[question(request)].ends_with(&[(kind >> 8) as u8, kind as u8, 0, 1])
            }
        };
        let lies = concerned && !self.honest.load(SeqCst);
        self.heard.fetch_add(usize::from(lies), SeqCst);
        let Ok(truth) = ask(self.upstream, request) else { return Vec::new() };
        if !lies {
            return vec![Say::Message(truth)];
        }
        (self.lie)(&Exchange { request, truth: &truth, tcp, key: &self.key })
    }

    fn over_udp(&self, request: &[u8], udp: &UdpSocket, client: SocketAddr) {
        let started = Instant::now();
        for part in self.parts(request, false) {
            match part {
                Say::Message(bytes) | Say::Octets(bytes) => drop(udp.send_to(&bytes, client)),
                Say::Elsewhere(bytes) => {
                    let others = [([127, 0, 0, 1], 0), ([127, 0, 0, 2], self.address.port())];
                    for other in others {
                        UdpSocket::bind(SocketAddr::from(other)).unwrap().send_to(&bytes, client).unwrap();
                    }
                }
                Say::Pause(long) => thread::sleep(long),
                Say::Hold => {}
                Say::Flood(bytes) => {
                    while !self.is_over() && started.elapsed() < FLOOD {
                        udp.send_to(&bytes, client).ok();
                        thread::sleep(Duration::from_millis(2));
                    }
                }
            }
        }
    }

    fn over_tcp(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let started = Instant::now();
        stream.set_nodelay(true)?;
        let request = read_framed(&mut stream)?;
        for part in self.parts(&request, true) {
            match part {
                Say::Message(bytes) => stream.write_all(&framed(&bytes))?,
                Say::Octets(bytes) => stream.write_all(&bytes)?,
                Say::Elsewhere(_) => {}
                Say::Pause(long) => thread::sleep(long),
                // Until the client hangs up.
                Say::Hold => drop(stream.read(&mut [0])?),
                Say::Flood(bytes) => {
                    stream.write_all(&[0xff, 0xff])?;
                    for octet in bytes.iter().cycle() {
                        if self.is_over() || started.elapsed() > FLOOD {
                            break;
                        }
                        stream.write_all(&[*octet])?;
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            }
        }
        Ok(())
    }
}

/// OPCODE 5 (RFC 2136 section 2.2).
pub fn is_update(message: &[u8]) -> bool {
    message[2] >> 3 & 0xf == 5
}

pub fn listening() -> (Port, UdpSocket, TcpListener) {
    // A program that is just being started has copies of our sockets for a moment, also of those that found the port free.
    for _ in 0..10 {
        let port = Port::new();
        let address = port.at(Ipv4Addr::LOCALHOST);
        if let (Ok(udp), Ok(tcp)) = (UdpSocket::bind(address), TcpListener::bind(address)) {
            return (port, udp, tcp);
        }
    }
    panic!("no port is free, ten times in a row");
}

fn ask(server: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(&framed(request))?;
    read_framed(&mut stream)
}

pub fn read_framed(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}
