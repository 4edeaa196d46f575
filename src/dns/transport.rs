//! One exchange with one DNS server, over UDP or TCP, within a deadline.
//!
//! Untrusted: everything received. Over UDP anybody can send an answer: the kernel drops datagrams from other sources,
//! and the caller decides which of the others is the answer.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::base::limits::{DNS_TCP_ANSWER, DNS_TCP_CONNECT};
use crate::base::liveness;
use crate::base::metrics::{Exchange, Peer};
use crate::base::time::Deadline;

/// The meaning of a datagram.
pub(super) enum Take<T> {
    /// The datagram is the answer.
    Answer(T),
    /// The datagram is not the answer. The text becomes the error when no answer follows.
    Next(String),
}

/// The reason why there is no answer.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) why: String,
    /// True if the message may have arrived.
    pub(super) is_sent: bool,
}

impl Lost {
    fn unsent(why: impl Into<String>) -> Lost {
        Lost { why: why.into(), is_sent: false }
    }

    fn sent(why: impl Into<String>) -> Lost {
        Lost { why: why.into(), is_sent: true }
    }
}

/// Sends `message` and waits for an answer; repeats the same octets after each of `waits`.
pub(super) fn over_udp<T>(
    server: SocketAddr,
    message: &[u8],
    waits: &[Duration],
    deadline: Deadline,
    mut read: impl FnMut(&[u8]) -> Take<T>,
) -> Result<T, Lost> {
    liveness::beat();
    let mut exchange = Exchange::begin(Peer::Dns);
    let mut lost = Lost::unsent("no answer");
    let socket = connected(server).map_err(|e| Lost::unsent(e.to_string()))?;
    let mut buffer = [0; 65_535];
    for wait in waits {
        // A datagram sent after the deadline could still be carried out.
        if deadline.left().is_none() {
            break;
        }
        socket.send(message).map_err(|e| Lost { why: plain(&e), ..lost })?;
        let first = !std::mem::replace(&mut lost.is_sent, true);
        let attempt = deadline.sooner(*wait);
        while let Some(left) = attempt.left() {
            socket.set_read_timeout(Some(left)).map_err(|e| Lost::sent(e.to_string()))?;
            match socket.recv(&mut buffer) {
                Ok(length) => match read(buffer.get(..length).unwrap_or_default()) {
                    Take::Answer(answer) => {
                        exchange.answered(ANSWERED);
                        return Ok(answer);
                    }
                    Take::Next(what) => lost.why = what,
                },
                Err(e) if is_timeout(&e) => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // ICMP says that nothing listens there. An earlier datagram may have arrived.
                Err(e) => return Err(Lost { why: plain(&e), is_sent: !first }),
            }
        }
    }
    Err(lost)
}

/// The status that counts as an answer, whatever its RCODE.
const ANSWERED: u16 = 200;

/// A new socket for each exchange: the kernel picks a random port and drops datagrams from other sources.
fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    Ok(socket)
}

/// One exchange over a connection of its own: two octets of length, then the message (RFC 7766 section 8).
pub(super) fn over_tcp(server: SocketAddr, message: &[u8], deadline: Deadline) -> Result<Vec<u8>, Lost> {
    liveness::beat();
    let mut exchange = Exchange::begin(Peer::Dns);
    let connect = deadline.at_most(DNS_TCP_CONNECT).ok_or_else(|| Lost::unsent("no time left"))?;
    let mut stream = TcpStream::connect_timeout(&server, connect).map_err(|e| Lost::unsent(plain(&e)))?;
    let deadline = deadline.sooner(DNS_TCP_ANSWER);
    let length = u16::try_from(message.len()).map_err(|_| Lost::unsent("the message is too large for DNS"))?;
    let left = deadline.left().ok_or_else(|| Lost::unsent("no time left"))?;
    let set = stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(left)));
    set.map_err(|e| Lost::unsent(e.to_string()))?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).map_err(|e| Lost::sent(plain(&e)))?;
    let mut prefix = [0; 2];
    read_exact(&mut stream, &mut prefix, deadline).map_err(Lost::sent)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(prefix))];
    read_exact(&mut stream, &mut answer, deadline).map_err(Lost::sent)?;
    exchange.answered(ANSWERED);
    Ok(answer)
}

/// Reads until `buffer` is full. The deadline covers all reads, so a slow peer cannot extend it.
fn read_exact(stream: &mut TcpStream, buffer: &mut [u8], deadline: Deadline) -> Result<(), String> {
    let (mut rest, mut has_begun) = (buffer, false);
    while !rest.is_empty() {
        let left = deadline.left().ok_or("no answer in time")?;
        stream.set_read_timeout(Some(left)).map_err(|e| e.to_string())?;
        match stream.read(rest) {
            Ok(0) if !has_begun => {
                return Err("closed the connection without an answer".to_owned());
            }
            Ok(0) => return Err("closed the connection in the middle of its answer".to_owned()),
            Ok(n) => (rest, has_begun) = (rest.get_mut(n..).unwrap_or_default(), true),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if is_timeout(&e) => return Err("no answer in time".to_owned()),
            Err(e) => return Err(plain(&e)),
        }
    }
    Ok(())
}

fn is_timeout(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The usual faults in an operator's words.
fn plain(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused (nothing listens there)".to_owned(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer in time (a firewall?)".to_owned(),
        io::ErrorKind::ConnectionReset => "the connection was reset".to_owned(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => "no route to it".to_owned(),
        _ => e.to_string(),
    }
}
