//! Serves the port with two threads, whatever is at its other end: one accepts, reads and gives short answers and never waits for
//! anybody; the other writes long ones.
//!
//! Untrusted: everybody who connects. A connection has [`PORT_WITHIN`] in all; of those that have not asked yet so many are held, and
//! the one that was slow for longest makes room for the next. So whoever asks at once is answered at once, among hundreds that never
//! finish their requests. Tested by tests/it/port.rs.

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

/// Where the port is: addresses to try, the first that can be had counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress(Vec<SocketAddr>);

impl FromStr for ListenAddress {
    type Err = String;

    /// Reads `:8080` (all addresses), `127.0.0.1:8080`, `[::]:8080`.
    fn from_str(text: &str) -> Result<ListenAddress, String> {
        let port = text.strip_prefix(':').and_then(|port| port.parse::<u16>().ok());
        match (port, text.parse::<SocketAddr>()) {
            // Where the kernel has no IPv6 the second one remains.
            (Some(port), _) => {
                Ok(ListenAddress(vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]))
            }
            (None, Ok(address)) => Ok(ListenAddress(vec![address])),
            (None, Err(_)) => Err("is not of the form :PORT, IP:PORT or [IPv6]:PORT".to_owned()),
        }
    }
}

/// The port, bound.
#[derive(Debug)]
pub struct Port(TcpListener);

/// What answers: each path by itself, so that what takes long is only made for who asked for it.
pub type Answering = dyn Fn(&PortRequest) -> PortResponse + Send;

impl Port {
    /// Takes the port.
    ///
    /// # Errors
    /// One sentence that says which one can not be had, and why.
    pub fn bind(listen: &ListenAddress) -> Result<Port, String> {
        let ListenAddress(addresses) = listen;
        TcpListener::bind(&addresses[..]).map(Port).map_err(|e| {
            let at = addresses.first().map(ToString::to_string).unwrap_or_default();
            match e.kind() {
                ErrorKind::AddrInUse => {
                    format!("-listen {at}: the port is in use by another process; give another one")
                }
                _ => format!("-listen {at}: {e}"),
            }
        })
    }

    /// Where it is.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }

    /// Begins to answer, until the program ends.
    ///
    /// # Errors
    /// When a thread can not be had.
    pub fn serve(&self, stop: Shutdown, answering: Box<Answering>) -> Result<(), String> {
        let told = |e: io::Error| format!("the port can not be served: {e}");
        let listener = self.0.try_clone().map_err(told)?;
        let (long, asked) = bounded(PORT_WAITING_MAX);
        thread::Builder::new().name("port-answers".to_owned()).spawn(move || write_long(&asked)).map_err(told)?;
        let door = Listener { listener, stop, answering, long, visitors: VecDeque::new() };
        thread::Builder::new().name("port".to_owned()).spawn(move || door.run()).map_err(told)?;
        Ok(())
    }
}

/// An answer that the second thread writes.
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
    /// The one that came first stands first.
    visitors: VecDeque<Connection>,
}

/// A connection that has no answer yet, or whose end is waited for.
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
                // Too many files are open, as a rule: those of others.
                self.stop.wait(PORT_LINGER);
            }
            let visitors = std::mem::take(&mut self.visitors);
            self.visitors = visitors.into_iter().filter_map(|visitor| self.poll(visitor)).collect();
            if !self.visitors.is_empty() {
                self.stop.wait(PORT_LOOK);
            }
        }
    }

    /// Lets in who stands before the door, and waits for somebody when nobody is in.
    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..PORT_ACCEPTED_AT_ONCE {
            self.listener.set_nonblocking(!self.visitors.is_empty())?;
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                // It went before it was let in.
                Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => continue,
                Err(e) => return Err(e),
            };
            stream.set_nonblocking(true)?;
            let new = Connection { stream, came: Vec::new(), answered: false, deadline: Deadline::after(PORT_WITHIN) };
            let Some(stays) = self.poll(new) else { continue };
            if self.visitors.len() >= PORT_WAITING_MAX {
                self.visitors.pop_front();
            }
            self.visitors.push_back(stays);
        }
        Ok(())
    }

    /// Reads what came from a connection, and answers when that is a request. Returns it when it is to be looked at again.
    fn poll(&self, mut visitor: Connection) -> Option<Connection> {
        if visitor.deadline.left().is_none() {
            if !visitor.answered && !visitor.came.is_empty() {
                send(&mut visitor.stream, &PortResponse::of(StatusCode::RequestTimeout), false);
            }
            return None;
        }
        if visitor.answered {
            return drain(visitor);
        }
        let is_open = fill(&mut visitor);
        let (answer, head_only) = match read(&visitor.came) {
            Parsed::Part => return is_open.then_some(visitor),
            Parsed::Request(request) => {
                // A fault costs this answer, and not the port.
                let answer = catch_unwind(AssertUnwindSafe(|| (self.answering)(&request)));
                (answer.unwrap_or_else(|_| PortResponse::of(StatusCode::ServiceUnavailable)), request.head_only)
            }
            Parsed::Wrong(status) => (PortResponse::of(status), false),
        };
        match answer.body {
            ResponseBody::Short(_) => send(&mut visitor.stream, &answer, head_only),
            ResponseBody::Long(_) => {
                let deadline = visitor.deadline;
                let stream = visitor.stream.try_clone().ok()?;
                let sent = self.long.try_send(Long { stream, answer, head_only, deadline });
                if sent.is_ok() {
                    return None;
                }
                send(&mut visitor.stream, &PortResponse::of(StatusCode::ServiceUnavailable), head_only);
            }
        }
        // Who closes while something unread waits would take the answer back.
        visitor.stream.shutdown(net::Shutdown::Write).ok()?;
        let deadline = visitor.deadline.sooner(PORT_LINGER);
        drain(Connection { came: Vec::new(), answered: true, deadline, ..visitor })
    }
}

/// Reads what is there, as far as a head goes. Returns whether more may come.
fn fill(visitor: &mut Connection) -> bool {
    let mut buffer = [0; PORT_HEAD_OCTETS_MAX];
    while visitor.came.len() < PORT_HEAD_OCTETS_MAX {
        match visitor.stream.read(&mut buffer[visitor.came.len()..]) {
            Ok(0) => return false,
            Ok(n) => {
                let from = visitor.came.len();
                visitor.came.extend_from_slice(&buffer[from..from + n]);
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return e.kind() == ErrorKind::WouldBlock,
        }
    }
    true
}

/// Throws away what somebody sends who was answered. Returns him until he closes.
fn drain(mut visitor: Connection) -> Option<Connection> {
    let mut buffer = [0; PORT_HEAD_OCTETS_MAX];
    for _ in 0..PORT_DRAINED_AT_ONCE {
        match visitor.stream.read(&mut buffer) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return (e.kind() == ErrorKind::WouldBlock).then_some(visitor),
        }
    }
    Some(visitor)
}

/// Writes a short answer: it fits into what the kernel keeps for a connection. Where it does not the other end gets less.
fn send(stream: &mut TcpStream, answer: &PortResponse, head_only: bool) {
    let ResponseBody::Short(body) = &answer.body else { return };
    let text = answer.head(body.len() as u64) + if head_only { "" } else { body };
    stream.write_all(text.as_bytes()).ok();
}

/// The second thread.
fn write_long(asked: &Receiver<Long>) {
    for Long { stream, answer, head_only, deadline } in asked {
        let ResponseBody::Long(writer) = &answer.body else { continue };
        // Who does not read what he asked for gets no more of it; and nobody, of what can not be made.
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

/// Counts octets.
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

/// Writes until the deadline.
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
        let (port, stop) = (Port::bind(&"127.0.0.1:0".parse().unwrap()).unwrap(), Shutdown::new());
        let answering = |request: &PortRequest| match request.path.as_str() {
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
        port.serve(stop.clone(), Box::new(answering)).unwrap();
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
        let one = Port::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
        let at = one.address().unwrap();
        let error = Port::bind(&ListenAddress(vec![at])).unwrap_err();
        assert_eq!(error, format!("-listen {at}: the port is in use by another process; give another one"));
    }
}
