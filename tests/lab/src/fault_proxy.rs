//! A proxy in front of one server that does what networks do: it delays, cuts, loses, resets, throttles, reorders and doubles.
//!
//! It sees octets and no protocol, so that nothing of it can be wrong about one. A fault begins when the test says so and ends by
//! itself. What is on its way when it begins has reached the server, and its answer meets the fault, or the other way round; what
//! comes later meets the fault on its way there. Every connection and every datagram is counted with its time.

mod tcp;
mod udp;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Port;

/// The treatment of connections and datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Each part of an answer comes so much later.
    Delay(Duration),
    /// So many octets of each connection's answers pass, then it is closed.
    Cut(usize),
    /// Nothing passes. What was sent over TCP arrives when the fault is over, as it does after lost packets; a datagram never does.
    Drop,
    /// Connections are accepted and never answered, also when the fault is over, as by a server that lost its state.
    HalfOpen,
    /// Connections are reset.
    Reset,
    /// So many octets of answers pass in a second.
    Throttle(u32),
    /// Of two answers the second one comes first.
    Reorder,
    /// Each datagram comes twice, in both directions.
    Duplicate,
}

impl Fault {
    /// The word for it in a table.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Delay(_) => "delay",
            Fault::Cut(_) => "cut",
            Fault::Drop => "drop",
            Fault::HalfOpen => "half-open",
            Fault::Reset => "reset",
            Fault::Throttle(_) => "throttle",
            Fault::Reorder => "reorder",
            Fault::Duplicate => "duplicate",
        }
    }
}

/// The octets that a client sends, as they come and before the server has them.
pub type Tap = dyn Fn(&[u8]) + Send + Sync;

/// How a proxy is built.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Datagrams are answered by "ask again over TCP" (RFC 1035 section 4.2.1, TC).
    pub stream_only: bool,
    /// [`Fault::Reset`] is to come, which costs some time for each part.
    pub resets: bool,
    /// Octets on their way when a fault begins meet the fault there, and do not reach the server.
    pub loses_questions: bool,
}

/// A running proxy; it passes nothing more when it is dropped.
pub struct FaultProxy {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    upstream: SocketAddr,
    tap: Box<Tap>,
    manner: Manner,
    state: Mutex<State>,
    /// A fault has begun, or the proxy is at its end.
    changed: Condvar,
    over: AtomicBool,
    _port: Port,
}

#[derive(Default)]
struct State {
    fault: Option<(Fault, Instant)>,
    /// When each connection and datagram came, and whether a fault was on.
    heard: Vec<(Instant, bool)>,
    /// The answer that waits for a later one to come first.
    held: Option<(Vec<u8>, SocketAddr)>,
}

impl FaultProxy {
    /// Before the server at `upstream`, with TCP and UDP at one port.
    pub fn start(upstream: SocketAddr, tap: impl Fn(&[u8]) + Send + Sync + 'static) -> FaultProxy {
        FaultProxy::start_with(upstream, Manner::default(), tap)
    }

    /// The same in another manner.
    pub fn start_with(upstream: SocketAddr, manner: Manner, tap: impl Fn(&[u8]) + Send + Sync + 'static) -> FaultProxy {
        let port = Port::new();
        let (tcp, datagrams) = (port.listen(Ipv4Addr::LOCALHOST), port.hear(Ipv4Addr::LOCALHOST));
        let shared = Arc::new(Shared {
            address: port.at(Ipv4Addr::LOCALHOST),
            upstream,
            tap: Box::new(tap),
            manner,
            state: Mutex::default(),
            changed: Condvar::new(),
            over: AtomicBool::new(false),
            _port: port,
        });
        let of_tcp = Arc::clone(&shared);
        thread::spawn(move || accept(&of_tcp, &tcp));
        let of_udp = Arc::clone(&shared);
        thread::spawn(move || udp::serve(&of_udp, &Arc::new(datagrams)));
        FaultProxy { shared }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// Begins a fault that lasts so long.
    pub fn begin(&self, fault: Fault, lasts: Duration) {
        self.shared.state().fault = Some((fault, Instant::now() + lasts));
        self.shared.changed.notify_all();
    }

    /// When each connection and datagram came, and whether a fault was on.
    pub fn heard(&self) -> Vec<(Instant, bool)> {
        self.shared.state().heard.clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.over.store(true, SeqCst);
        self.shared.changed.notify_all();
        // Wakes the two that wait; the port is free again when they have gone.
        TcpStream::connect(self.addr()).ok();
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|s| s.send_to(&[], self.addr())).ok();
    }
}

fn accept(shared: &Arc<Shared>, tcp: &TcpListener) {
    for stream in tcp.incoming().flatten() {
        if shared.over.load(SeqCst) {
            return;
        }
        shared.hear();
        let shared = Arc::clone(shared);
        // Whoever hangs up early is no fault of the test.
        thread::spawn(move || tcp::serve(&shared, stream).ok());
    }
}

impl Shared {
    /// A poisoned lock means that some test failed elsewhere.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    fn fault(&self) -> Option<Fault> {
        self.state().fault.filter(|(_, until)| Instant::now() < *until).map(|(fault, _)| fault)
    }

    /// Tells the test what a client says. The fault that meets this on its way to the server.
    fn hear_out(&self, part: &[u8]) -> Option<Fault> {
        let before = self.fault();
        (self.tap)(part);
        if self.manner.loses_questions { self.fault() } else { before }
    }

    fn hear(&self) {
        let mut state = self.state();
        let now = Instant::now();
        let on = state.fault.is_some_and(|(_, until)| now < until);
        state.heard.push((now, on));
    }

    /// Waits while a fault like this is on.
    fn wait_while(&self, is: impl Fn(Fault) -> bool) {
        let mut state = self.state();
        while let Some((fault, until)) = state.fault {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || !is(fault) || self.is_over() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
