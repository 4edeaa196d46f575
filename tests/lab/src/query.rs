//! The smallest DNS client that can tell whether a server serves: one question, the answer's code and records.
//!
//! For tests only: it believes what it gets. notariat's own client is what is tested, so it must not be used here.
//! Questions go over TCP, where an answer of any size arrives whole; whether a server is up is
//! asked over UDP, so that both are seen to work.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::Place;
use crate::process::signal;
use crate::tools::tool;

/// Record types that are asked for (RFC 1035 section 3.2.2).
pub const SOA: u16 = 6;
/// See [`SOA`].
pub const TXT: u16 = 16;

/// Longer than any server on this machine needs to answer, short enough to fail a test.
const PATIENCE: Duration = Duration::from_secs(5);

/// The answer of a server.
#[derive(Debug)]
pub struct Answer {
    /// The response code: 0 is NOERROR, 3 NXDOMAIN, 5 REFUSED.
    pub code: u8,
    /// Type and data of each record of the answer section.
    pub records: Vec<(u16, Vec<u8>)>,
}

/// Asks over TCP, from the place the server runs in.
pub fn ask(place: &Place, server: SocketAddr, name: &str, kind: u16) -> io::Result<Answer> {
    let question = question(name, kind);
    let mut framed = (question.len() as u16).to_be_bytes().to_vec();
    framed.extend(&question);
    let message = match place {
        Place::Host => {
            let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(&framed)?;
            read_framed(&mut stream)?
        }
        Place::Namespace(_) => ask_through_bash(place, server, &framed)?,
    };
    parse(&message)
}

/// Tells whether the server answers for the zone with authority of its own: its SOA, asked over UDP.
pub(crate) fn is_served(place: &Place, server: SocketAddr, zone: &str) -> bool {
    let answer = match place {
        Place::Host => ask_udp(server, zone, SOA),
        Place::Namespace(_) => ask(place, server, zone, SOA),
    };
    answer.is_ok_and(|answer| serial_of(&answer).is_some())
}

/// The serial of the zone, `None` when the server does not serve it.
pub(crate) fn serial(place: &Place, server: SocketAddr, zone: &str) -> io::Result<Option<u32>> {
    ask(place, server, zone, SOA).map(|answer| serial_of(&answer))
}

/// The texts at a name, sorted; none where the name does not exist.
pub(crate) fn txt(place: &Place, server: SocketAddr, name: &str) -> io::Result<Vec<String>> {
    let answer = ask(place, server, name, TXT)?;
    // The records of a CNAME that was followed come first, in the same section.
    let mut texts: Vec<String> =
        answer.records.iter().filter(|(kind, _)| *kind == TXT).map(|(_, data)| join(data)).collect();
    texts.sort();
    Ok(texts)
}

fn ask_udp(server: SocketAddr, name: &str, kind: u16) -> io::Result<Answer> {
    let socket = UdpSocket::bind(if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" })?;
    socket.connect(server)?;
    // Asked again and again until it is up, so each time a short while is enough.
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    socket.send(&question(name, kind))?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer)?;
    parse(&buffer[..length])
}

/// A socket belongs to the namespace of the process that makes it, and entering another takes a system call that Rust
/// has no safe name for. bash can connect, and is easily started inside.
fn ask_through_bash(place: &Place, server: SocketAddr, framed: &[u8]) -> io::Result<Vec<u8>> {
    let script = r#"exec 3<>"/dev/tcp/$0/$1" && head -c "$2" >&3 && exec timeout 5 cat <&3"#;
    let mut child = place
        .command(tool("bash"))
        .args(["-c", script, &server.ip().to_string(), &server.port().to_string(), &framed.len().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let answer = exchange(&mut child, framed);
    // `timeout` passes this on to `cat`, which otherwise waits for the server to hang up.
    signal(child.id(), "TERM");
    child.wait()?;
    answer
}

fn exchange(child: &mut Child, framed: &[u8]) -> io::Result<Vec<u8>> {
    child.stdin.take().expect("stdin is piped").write_all(framed)?;
    read_framed(child.stdout.as_mut().expect("stdout is piped"))
}

/// A message over TCP stands behind its length (RFC 1035 section 4.2.2).
fn read_framed(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// One question with recursion desired, which authoritative servers ignore. The id is fixed: each question has a socket
/// of its own.
fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut message = vec![0x4e, 0x4f, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(label.len() as u8);
        message.extend(label.bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend(1u16.to_be_bytes());
    message
}

fn parse(message: &[u8]) -> io::Result<Answer> {
    parse_records(message).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the answer is cut short"))
}

/// Header, question, answers (RFC 1035 section 4.1); `None` where a length leads past the end.
fn parse_records(message: &[u8]) -> Option<Answer> {
    let number = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let code = message.get(3)? & 0x0f;
    let mut at = 12;
    for _ in 0..number(4)? {
        at = after_name(message, at)? + 4;
    }
    let mut records = Vec::new();
    for _ in 0..number(6)? {
        at = after_name(message, at)?;
        let (kind, length) = (number(at)?, usize::from(number(at + 8)?));
        at += 10;
        records.push((kind, message.get(at..at + length)?.to_vec()));
        at += length;
    }
    Some(Answer { code, records })
}

/// A name ends with an empty label, or with a pointer of two bytes to the rest of it.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

/// An SOA ends with five numbers, the serial first, so its two names need not be read.
fn serial_of(answer: &Answer) -> Option<u32> {
    let (_, data) = answer.records.iter().find(|(kind, _)| *kind == SOA)?;
    let numbers = data.len().checked_sub(20)?;
    Some(u32::from_be_bytes(data[numbers..numbers + 4].try_into().ok()?))
}

/// The strings of a TXT record, each behind its length, as one text.
fn join(data: &[u8]) -> String {
    let (mut text, mut rest) = (Vec::new(), data);
    while let Some((length, tail)) = rest.split_first() {
        let (string, next) = tail.split_at(tail.len().min(usize::from(*length)));
        text.extend(string);
        rest = next;
    }
    String::from_utf8_lossy(&text).into_owned()
}
