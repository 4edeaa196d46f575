//! Behind the proxy of a CA: knows which step of an attempt a request is, and counts. It ends TLS, which the proxy before it does not see
//! into, and keeps connections open as a CA does.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use notariat::http::tls::TlsTrust;
use notariat_lab::Pebble;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};

use crate::support::https::{read_request, server_config};
use crate::support::liar::listening;

/// The parts of a door before a CA.
#[derive(Clone)]
pub struct Tls {
    served: Arc<ServerConfig>,
    towards: Arc<ClientConfig>,
    server: SocketAddr,
}

impl Tls {
    /// With the CA's own certificate, which is for this address whatever the port.
    pub fn of(pebble: &Pebble) -> Tls {
        let file = |name: &str| pebble.ca_file().with_file_name(name);
        let roots_pem = std::fs::read(pebble.ca_file()).unwrap();
        Tls {
            served: Arc::new(server_config(&file("server.crt"), &file("server.key"))),
            towards: TlsTrust { roots_pem, ..TlsTrust::default() }.config().unwrap(),
            server: pebble.addr(),
        }
    }
}

/// A running door; it serves nobody more when it is dropped.
pub struct Door {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Clone, Default)]
pub struct Asked {
    /// When each request came.
    pub requests: Vec<Instant>,
    /// When the first one came of each connection that had one.
    pub connections: Vec<Instant>,
}

struct Shared {
    tls: Tls,
    saw: Box<dyn Fn(&str) + Send + Sync>,
    asked: Mutex<Asked>,
    over: AtomicBool,
}

impl Door {
    /// `saw` is told each step before the CA is asked.
    pub fn before(tls: &Tls, saw: impl Fn(&str) + Send + Sync + 'static) -> Door {
        let (port, _, listener) = listening();
        let (asked, over) = (Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { tls: tls.clone(), saw: Box::new(saw), asked, over });
        let (address, of_thread) = (listener.local_addr().unwrap(), Arc::clone(&shared));
        thread::spawn(move || {
            let _port = port;
            for stream in listener.incoming().flatten() {
                if of_thread.over.load(SeqCst) {
                    return;
                }
                let shared = Arc::clone(&of_thread);
                // Whoever hangs up early is no fault of the test.
                thread::spawn(move || shared.serve(stream).ok());
            }
        });
        Door { address, shared }
    }

    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far.
    pub fn asked(&self) -> Asked {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shared.over.store(true, SeqCst);
        TcpStream::connect(self.address).ok();
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let tls = ServerConnection::new(self.tls.served.clone()).map_err(io::Error::other)?;
        let mut client = BufReader::new(StreamOwned::new(tls, stream));
        let mut is_first = true;
        while let Some((head, body)) = read_request(&mut client)? {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.requests.push(Instant::now());
            if std::mem::take(&mut is_first) {
                asked.connections.push(Instant::now());
            }
            drop(asked);
            (self.saw)(step(&head));
            let answer = self.forward(&head, &body)?;
            client.get_mut().write_all(&answer)?;
            client.get_mut().flush()?;
        }
        Ok(())
    }

    /// Asks the CA on a connection of its own, so that the answer ends with it, and frames what it says anew.
    fn forward(&self, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        let tls = ClientConnection::new(self.tls.towards.clone(), ServerName::from(self.tls.server.ip()));
        let mut server = StreamOwned::new(tls.map_err(io::Error::other)?, TcpStream::connect(self.tls.server)?);
        let (line, headers) = head.split_once("\r\n").unwrap_or((head, "\r\n"));
        let line = line.replace("HTTP/1.1", "HTTP/1.0");
        server.write_all(&[line.as_bytes(), b"\r\n", headers.as_bytes(), body].concat())?;
        server.flush()?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
        let (said, body) = answer.split_at(end + 4);
        let said = String::from_utf8_lossy(said);
        let mut framed = String::new();
        for line in said.lines().filter(|line| !line.is_empty()) {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            if !matches!(name.as_str(), "connection" | "content-length") {
                framed += &format!("{}\r\n", line.replace("HTTP/1.0", "HTTP/1.1"));
            }
        }
        let has_body = !head.starts_with("HEAD");
        framed += &format!("Content-Length: {}\r\n\r\n", if has_body { body.len() } else { 0 });
        Ok([framed.as_bytes(), if has_body { body } else { &[] }].concat())
    }
}

/// Pebble has a path of its own for each kind of request.
fn step(head: &str) -> &'static str {
    let path = head.split(' ').nth(1).unwrap_or_default();
    match path.split('/').nth(1).unwrap_or_default() {
        "dir" => "directory",
        "nonce-plz" => "nonce",
        "sign-me-up" => "account",
        "order-plz" => "order",
        "authZ" => "authorization",
        "chalZ" => "respond",
        "my-order" => "poll",
        "finalize-order" => "finalize",
        "certZ" => "download",
        _ => "window",
    }
}
