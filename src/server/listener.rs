//! Serves the port with two threads: one accepts, reads and sends short answers and never waits for a client; the other writes long answers.
//!
//! Untrusted: every client. A connection has [`PORT_WITHIN`] in all. Of connections without a complete request a bounded number is held,
//! and the oldest makes room for the next, so that a prompt client is served among hundreds that never finish their requests. Tested by
//! tests/it/port.rs.

use std::collections::VecDeque;
use std::io::{self, BufWriter, ErrorKind, Read as _, Write};
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::request::{Parsed, PortRequest, PortResponse, ResponseBody, StatusCode, Writer, read};
use crate::base::limits::{
    PORT_ACCEPTED_AT_ONCE, PORT_BUFFER_OCTETS, PORT_DRAINED_AT_ONCE, PORT_HEAD_OCTETS_MAX, PORT_LINGER, PORT_LOOK,
    PORT_WAITING_MAX, PORT_WITHIN,
};
use crate::base::shutdown::Shutdown;
use crate::base::time::Deadline;

/// The address of the port: candidates, of which the first free one is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress(Vec<SocketAddr>);

impl FromStr for ListenAddress {
    type Err = String;

    /// Reads `:8080` (all addresses), `127.0.0.1:8080`, `[::]:8080`.
    fn from_str(text: &str) -> Result<ListenAddress, String> {
        let port = text.strip_prefix(':').and_then(|port| port.parse::<u16>().ok());
        match (port, text.parse::<SocketAddr>()) {
            // A kernel without IPv6 leaves the second address.
            (Some(port), _) => {
                Ok(ListenAddress(vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]))
            }
            (None, Ok(address)) => Ok(ListenAddress(vec![address])),
            (None, Err(_)) => Err("is not of the form :PORT, IP:PORT or [IPv6]:PORT".to_owned()),
        }
    }
}

/// The bound port.
#[derive(Debug)]
pub struct Port(TcpListener);

/// Answers a request, or input that is none, which has this status as a rule.
pub type Answering = dyn Fn(Result<&PortRequest, StatusCode>) -> PortResponse + Send;

impl Port {
    /// Binds the port that `flag` gives.
    ///
    /// # Errors
    /// One sentence with the address and the cause.
    pub fn bind(flag: &str, listen: &ListenAddress) -> Result<Port, String> {
        let ListenAddress(addresses) = listen;
        TcpListener::bind(&addresses[..]).map(Port).map_err(|e| {
            let at = addresses.first().map(ToString::to_string).unwrap_or_default();
            match e.kind() {
                ErrorKind::AddrInUse => {
                    format!("{flag} {at}: the port is in use by another process; give another one")
                }
                _ => format!("{flag} {at}: {e}"),
            }
        })
    }

    /// The bound address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }

    /// Starts to answer requests, until `stop`. `name` is that of the threads, and of connections without a complete request `waiting_max` are held.
    ///
    /// # Errors
    /// When a thread can not be started.
    pub fn serve(
        &self,
        stop: Shutdown,
        name: &str,
        waiting_max: usize,
        answering: Box<Answering>,
    ) -> Result<(), String> {
        let told = |e: io::Error| format!("the port can not be served: {e}");
        let listener = self.0.try_clone().map_err(told)?;
        let (long, asked) = bounded(PORT_WAITING_MAX);
        thread::Builder::new().name(format!("{name}-long")).spawn(move || write_long(&asked)).map_err(told)?;
        let listener = Listener { listener, stop, answering, long, waiting_max, connections: VecDeque::new() };
        thread::Builder::new().name(name.to_owned()).spawn(move || listener.run()).map_err(told)?;
        Ok(())
    }
}

/// An answer for the second thread to write.
struct Long {
    stream: TcpStream,
    answer: PortResponse,
    head_only: bool,
    deadline: Deadline,
}

/// The first thread.
struct Listener {
    listener: TcpListener,
    stop: Shutdown,
    answering: Box<Answering>,
    long: Sender<Long>,
    waiting_max: usize,
    /// The open connections, the oldest first.
    connections: VecDeque<Connection>,
}

/// A connection that has no answer yet, or that the client is still to close.
struct Connection {
    stream: TcpStream,
    came: Vec<u8>,
    answered: bool,
    deadline: Deadline,
}

impl Listener {
    fn run(mut self) {
        while !self.stop.is_set() {
            if self.accept().is_err() {
                // As a rule too many files are open.
                self.stop.wait(PORT_LINGER);
            }
            let connections = std::mem::take(&mut self.connections);
            self.connections = connections.into_iter().filter_map(|connection| self.poll(connection)).collect();
            if !self.connections.is_empty() {
                self.stop.wait(PORT_LOOK);
            }
        }
    }

    /// Accepts waiting connections, and blocks for the first one while none is open.
    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..PORT_ACCEPTED_AT_ONCE {
            self.listener.set_nonblocking(!self.connections.is_empty())?;
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The client left before it was accepted.
                Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => continue,
                Err(e) => return Err(e),
            };
            stream.set_nonblocking(true)?;
            let new = Connection { stream, came: Vec::new(), answered: false, deadline: Deadline::after(PORT_WITHIN) };
            let Some(stays) = self.poll(new) else { continue };
            if self.connections.len() >= self.waiting_max {
                self.connections.pop_front();
            }
            self.connections.push_back(stays);
        }
        Ok(())
    }

    /// The answer. A panic costs it, and not the port.
    fn answer(&self, request: Result<&PortRequest, StatusCode>) -> PortResponse {
        let answer = catch_unwind(AssertUnwindSafe(|| (self.answering)(request)));
        answer.unwrap_or_else(|_| PortResponse::of(StatusCode::ServiceUnavailable))
    }

    /// Reads from a connection, and answers a complete request. Returns the connection while it stays open.
    fn poll(&self, mut connection: Connection) -> Option<Connection> {
        if connection.deadline.left().is_none() {
            if !connection.answered && !connection.came.is_empty() {
                let answer = self.answer(Err(StatusCode::RequestTimeout));
                send(&mut connection.stream, &answer, false);
            }
            return None;
        }
        if connection.answered {
            return drain(connection);
        }
        let is_open = fill(&mut connection);
        let (answer, head_only) = match read(&connection.came) {
            Parsed::Part => return is_open.then_some(connection),
            Parsed::Request(request) => (self.answer(Ok(&request)), request.head_only),
            Parsed::Wrong(status) => (self.answer(Err(status)), false),
        };
        match answer.body {
            ResponseBody::Short(_) => send(&mut connection.stream, &answer, head_only),
            ResponseBody::Long(_) => {
                let deadline = connection.deadline;
                let stream = connection.stream.try_clone().ok()?;
                let sent = self.long.try_send(Long { stream, answer, head_only, deadline });
                if sent.is_ok() {
                    return None;
                }
                send(&mut connection.stream, &PortResponse::of(StatusCode::ServiceUnavailable), head_only);
            }
        }
        // Closing a socket with unread input sends RST and discards the response, so drain first.
        connection.stream.shutdown(net::Shutdown::Write).ok()?;
        let deadline = connection.deadline.sooner(PORT_LINGER);
        drain(Connection { came: Vec::new(), answered: true, deadline, ..connection })
    }
}

/// Reads the available input, up to the size of a head. Returns whether more may come.
fn fill(connection: &mut Connection) -> bool {
    let mut buffer = [0; PORT_HEAD_OCTETS_MAX];
    while connection.came.len() < PORT_HEAD_OCTETS_MAX {
        match connection.stream.read(&mut buffer[connection.came.len()..]) {
            Ok(0) => return false,
            Ok(n) => {
                let from = connection.came.len();
                connection.came.extend_from_slice(&buffer[from..from + n]);
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return e.kind() == ErrorKind::WouldBlock,
        }
    }
    true
}

/// Discards further input of an answered connection. Returns the connection until the client closes it.
fn drain(mut connection: Connection) -> Option<Connection> {
    let mut buffer = [0; PORT_HEAD_OCTETS_MAX];
    for _ in 0..PORT_DRAINED_AT_ONCE {
        match connection.stream.read(&mut buffer) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return (e.kind() == ErrorKind::WouldBlock).then_some(connection),
        }
    }
    Some(connection)
}

/// Writes a short answer, which fits into the kernel's buffer; else the client gets a part of it.
fn send(stream: &mut TcpStream, answer: &PortResponse, head_only: bool) {
    let ResponseBody::Short(body) = &answer.body else { return };
    let text = answer.head(body.len() as u64) + if head_only { "" } else { body };
    stream.write_all(text.as_bytes()).ok();
}

/// The second thread.
fn write_long(asked: &Receiver<Long>) {
    for Long { stream, answer, head_only, deadline } in asked {
        let ResponseBody::Long(writer) = &answer.body else { continue };
        // A client that does not read loses the rest of its answer; a panic costs one answer.
        catch_unwind(AssertUnwindSafe(|| write(&stream, &answer, writer, head_only, deadline))).ok();
        stream.shutdown(net::Shutdown::Write).ok();
    }
}

fn write(
    stream: &TcpStream,
    answer: &PortResponse,
    writer: &Writer,
    head_only: bool,
    deadline: Deadline,
) -> io::Result<()> {
    let mut length = Count(0);
    writer(&mut length)?;
    stream.set_nonblocking(false)?;
    let mut out = BufWriter::with_capacity(PORT_BUFFER_OCTETS, Within { stream, deadline });
    out.write_all(answer.head(length.0).as_bytes())?;
    if !head_only {
        writer(&mut out)?;
    }
    out.flush()
}

/// A writer that counts octets.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0 += octets.len() as u64;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that fails after the deadline.
struct Within<'s> {
    stream: &'s TcpStream,
    deadline: Deadline,
}

impl Write for Within<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let left = self.deadline.left().ok_or(ErrorKind::TimedOut)?;
        self.stream.set_write_timeout(Some(left))?;
        self.stream.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_or_an_ip_and_a_port() {
        for (text, first) in [
            (":8080", Some("[::]:8080")),
            ("[::]:8080", Some("[::]:8080")),
            ("127.0.0.1:0", Some("127.0.0.1:0")),
            ("8080", None),
            (":", None),
            (":65536", None),
            ("localhost:8080", None),
            ("127.0.0.1", None),
        ] {
            let found = text.parse::<ListenAddress>().ok().map(|ListenAddress(all)| all[0].to_string());
            assert_eq!(found.as_deref(), first, "{text}");
        }
    }

    #[test]
    fn an_answer_that_can_not_be_made_costs_no_other() {
        let (port, stop) = (Port::bind("-listen", &"127.0.0.1:0".parse().unwrap()).unwrap(), Shutdown::new());
        let answering = |request: Result<&PortRequest, StatusCode>| match request.unwrap().path.as_str() {
            "/short" => panic!("a fault"),
            "/long" => PortResponse {
                body: ResponseBody::Long(Box::new(|_| panic!("a fault"))),
                ..PortResponse::of(StatusCode::Ok)
            },
            _ => PortResponse {
                body: ResponseBody::Long(Box::new(|out| out.write_all(b"all of it"))),
                ..PortResponse::of(StatusCode::Ok)
            },
        };
        port.serve(stop.clone(), "port", PORT_WAITING_MAX, Box::new(answering)).unwrap();
        let ask = |path: &str| {
            let mut stream = TcpStream::connect(port.address().unwrap()).unwrap();
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok();
            answer
        };
        assert!(ask("/short").starts_with("HTTP/1.1 503"));
        assert_eq!(ask("/long"), "");
        assert!(ask("/").ends_with("all of it"));
        stop.set();
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let one = Port::bind("-listen", &"127.0.0.1:0".parse().unwrap()).unwrap();
        let at = one.address().unwrap();
        let error = Port::bind("-listen", &ListenAddress(vec![at])).unwrap_err();
        assert_eq!(error, format!("-listen {at}: the port is in use by another process; give another one"));
    }
}
