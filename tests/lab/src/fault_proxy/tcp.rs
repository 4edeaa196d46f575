//! One connection: its octets in both directions, and what a fault makes of them.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use super::{Fault, Shared};

/// Parts are as large as a TLS record.
const PART: usize = 16 * 1024;

/// How often a connection that can be reset is looked at, and the time between two parts of a throttled one.
const LOOK: Duration = Duration::from_millis(20);

/// Both ends of a connection. Each is one descriptor that both threads share, so that the last of them closes it.
struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// Nothing of it arrives any more.
    dead: AtomicBool,
    /// It is to be closed with octets that were not read, which resets it.
    reset: AtomicBool,
    /// Octets of answers since the fault began.
    passed: AtomicUsize,
}

pub(super) fn serve(shared: &Arc<Shared>, client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let server = TcpStream::connect(shared.upstream)?;
    server.set_nodelay(true)?;
    let connection = Arc::new(Connection {
        client,
        server,
        dead: AtomicBool::new(false),
        reset: AtomicBool::new(false),
        passed: AtomicUsize::new(0),
    });
    let (of_answers, of_thread) = (Arc::clone(shared), Arc::clone(&connection));
    thread::spawn(move || {
        let ended = answers(&of_answers, &of_thread);
        // A connection that is dead stays open, and one that is reset is closed by whoever holds it last.
        if !of_thread.dead.load(SeqCst) && !of_thread.reset.load(SeqCst) {
            of_thread.client.shutdown(Shutdown::Both).ok();
        }
        ended.ok();
    });
    let ended = questions(shared, &connection);
    connection.server.shutdown(Shutdown::Both).ok();
    ended
}

/// From the client to the server.
fn questions(shared: &Shared, connection: &Connection) -> io::Result<()> {
    let (mut part, mut held) = (vec![0; PART], false);
    loop {
        let length = match shared.manner.resets {
            true => read_but_one(shared, connection, &mut part, &mut held)?,
            false => (&connection.client).read(&mut part)?,
        };
        if length == 0 || shared.is_over() || connection.reset.load(SeqCst) {
            return Ok(());
        }
        match shared.hear_out(&part[..length]) {
            Some(Fault::Reset) => {
                connection.reset.store(true, SeqCst);
                return Ok(());
            }
            Some(Fault::HalfOpen) => connection.dead.store(true, SeqCst),
            Some(Fault::Drop) => shared.wait_while(|fault| fault == Fault::Drop),
            _ => {}
        }
        if !connection.dead.load(SeqCst) {
            (&connection.server).write_all(&part[..length])?;
        }
    }
}

/// From the server to the client.
fn answers(shared: &Shared, connection: &Connection) -> io::Result<()> {
    let mut part = vec![0; PART];
    loop {
        let length = (&connection.server).read(&mut part)?;
        let mut rest = &part[..length];
        if length == 0 || shared.is_over() {
            return Ok(());
        }
        while !rest.is_empty() && !connection.dead.load(SeqCst) {
            let mut now = rest.len();
            match shared.fault() {
                Some(Fault::Delay(long)) => thread::sleep(long),
                Some(Fault::Cut(most)) => now = now.min(most.saturating_sub(connection.passed.load(SeqCst))),
                Some(Fault::Drop) => shared.wait_while(|fault| fault == Fault::Drop),
                Some(Fault::HalfOpen) => {
                    connection.dead.store(true, SeqCst);
                    break;
                }
                Some(Fault::Reset) => {
                    connection.reset.store(true, SeqCst);
                    return Ok(());
                }
                Some(Fault::Throttle(rate)) => {
                    thread::sleep(LOOK);
                    now = now.min((rate as usize / 50).max(1));
                }
                None | Some(Fault::Reorder | Fault::Duplicate) => {}
            }
            if now == 0 {
                return Ok(());
            }
            (&connection.client).write_all(&rest[..now])?;
            if matches!(shared.fault(), Some(Fault::Cut(_))) {
                connection.passed.fetch_add(now, SeqCst);
            }
            rest = &rest[now..];
        }
    }
}

/// Reads what came, and leaves the last octet of it unread: a socket that is closed with unread octets resets its connection, and the
/// standard library knows no other way. The end of the client is not noticed; the proxy's is.
fn read_but_one(shared: &Shared, connection: &Connection, part: &mut [u8], held: &mut bool) -> io::Result<usize> {
    loop {
        if shared.is_over() || connection.reset.load(SeqCst) {
            return Ok(0);
        }
        let length = connection.client.peek(part)?;
        let known = usize::from(*held);
        if length <= known {
            if length == 0 {
                return Ok(0);
            }
            thread::sleep(LOOK);
            continue;
        }
        // All but the last octet, the one that was held before with it.
        (&connection.client).read_exact(&mut part[..length - 1])?;
        connection.client.peek(&mut part[length - 1..length])?;
        part.copy_within(known..length, 0);
        *held = true;
        return Ok(length - known);
    }
}
