//! A CA that says what Pebble never does: a proxy before a real one. Every request reaches Pebble, so that all but the lie is true and
//! Pebble judges every signature. Pebble makes its URLs of the Host header, which keeps who asks the proxy with the proxy.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use notariat::http::tls::TlsTrust;
use notariat_lab::{Pebble, Port};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::Site;
pub use super::https::Reply;
use super::https::{read_request, server_config};

/// The resource of a request, by Pebble's paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    Nonce,
    NewAccount,
    NewOrder,
    Authorization,
    Challenge,
    Order,
    Finalize,
    Certificate,
    RenewalInfo,
    Other,
    /// For lies about all of them.
    Any,
}

impl Kind {
    fn of(path: &str) -> Kind {
        let kinds = [
            ("/dir", Kind::Directory),
            ("/nonce-plz", Kind::Nonce),
            ("/sign-me-up", Kind::NewAccount),
            ("/order-plz", Kind::NewOrder),
            ("/authZ/", Kind::Authorization),
            ("/chalZ/", Kind::Challenge),
            ("/my-order/", Kind::Order),
            ("/finalize-order/", Kind::Finalize),
            ("/certZ/", Kind::Certificate),
            ("/draft-ietf-acme-ari-03/renewalInfo/", Kind::RenewalInfo),
        ];
        kinds.iter().find(|(start, _)| path.starts_with(start)).map_or(Kind::Other, |(_, kind)| *kind)
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub kind: Kind,
    pub path: String,
    /// How many of its kind there were before it.
    pub before: usize,
    /// How many looks at orders there were since one was finalized.
    pub since_finalize: usize,
    pub at: Instant,
    /// The signed payload; null where there is none.
    pub payload: Value,
    /// The request for a certificate that was sent last, in DER.
    pub csr: Vec<u8>,
    /// A host that no answer may lead to.
    pub elsewhere: String,
}

impl Asked {
    /// Tells whether an order for this name is asked for.
    pub fn orders(&self, name: &str) -> bool {
        let names = self.payload["identifiers"].as_array();
        self.kind == Kind::NewOrder && names.is_some_and(|names| names.iter().any(|n| n["value"] == name))
    }
}

pub type Lie = dyn Fn(&Asked, &mut Reply) + Send + Sync;

/// A running proxy; at its end it takes no further connection.
pub struct Ca {
    shared: Arc<Shared>,
    elsewhere: Elsewhere,
}

struct Shared {
    address: SocketAddr,
    pebble: SocketAddr,
    elsewhere: String,
    towards: Arc<ClientConfig>,
    lie: Box<Lie>,
    asked: Mutex<Vec<Asked>>,
    over: AtomicBool,
    _port: Port,
}

impl Ca {
    /// Before this Pebble, whose server certificate it shows as well: it is for the address and for any port.
    pub fn start(pebble: &Pebble, lie: impl Fn(&Asked, &mut Reply) + Send + Sync + 'static) -> Ca {
        let (port, listener) = listening();
        let file = |name: &str| pebble.ca_file().with_file_name(name);
        let served = Arc::new(server_config(&file("server.crt"), &file("server.key")));
        let roots_pem = std::fs::read(pebble.ca_file()).unwrap();
        let towards = TlsTrust { roots_pem, ..TlsTrust::default() }.config().unwrap();
        let elsewhere = Elsewhere::start();
        let shared = Arc::new(Shared {
            address: listener.local_addr().unwrap(),
            pebble: pebble.addr(),
            elsewhere: format!("https://{}", elsewhere.address),
            towards,
            lie: Box::new(lie),
            asked: Mutex::default(),
            over: AtomicBool::new(false),
            _port: port,
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if of_thread.over.load(SeqCst) {
                    return;
                }
                let (shared, served) = (Arc::clone(&of_thread), Arc::clone(&served));
                // A client that has read enough hangs up, which is an error here and none of the test.
                thread::spawn(move || shared.serve(stream, served).ok());
            }
        });
        Ca { shared, elsewhere }
    }

    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.shared.address)
    }

    /// The requests, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked().clone()
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.shared.asked().iter().filter(|asked| asked.kind == kind).count()
    }

    /// Connections to the host that no answer may lead to.
    pub fn elsewhere(&self) -> usize {
        self.elsewhere.connections.load(SeqCst)
    }

    /// notariat on a store, with this CA.
    pub fn command(&self, site: &Site, more: &[&str]) -> Command {
        let mut command = site.command_without_ca(more);
        command.args(["-acme", &self.directory()]);
        command
    }
}

impl Drop for Ca {
    fn drop(&mut self) {
        self.shared.over.store(true, SeqCst);
        // Wakes the thread that accepts.
        TcpStream::connect(self.shared.address).ok();
    }
}

impl Shared {
    fn asked(&self) -> std::sync::MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let tls = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut client = BufReader::new(StreamOwned::new(tls, stream));
        while let Some((head, body)) = read_request(&mut client)? {
            let mut words = head.split(' ');
            let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let asked = self.note(path, &body);
            // Pebble has its directory there alone.
            let path = if asked.kind == Kind::Directory { "/dir" } else { path };
            let mut reply = self.forward(method, path, &head, &body)?;
            (self.lie)(&asked, &mut reply);
            reply.write(method, client.get_mut())?;
            if reply.length.is_some() {
                client.get_mut().conn.send_close_notify();
                return client.get_mut().flush();
            }
        }
        Ok(())
    }

    fn note(&self, path: &str, body: &[u8]) -> Asked {
        let (kind, path) = (Kind::of(path), path.to_owned());
        let jws: Value = serde_json::from_slice(body).unwrap_or_default();
        let decoded = |text: &Value| URL_SAFE_NO_PAD.decode(text.as_str().unwrap_or_default()).unwrap_or_default();
        let payload: Value = serde_json::from_slice(&decoded(&jws["payload"])).unwrap_or_default();
        let mut all = self.asked();
        let before = all.iter().filter(|a| a.kind == kind).count();
        let csr = match payload.get("csr") {
            Some(csr) => decoded(csr),
            None => all.last().map(|a| a.csr.clone()).unwrap_or_default(),
        };
        let since_finalize = all.iter().rev().take_while(|a| a.kind != Kind::Finalize);
        let since_finalize = since_finalize.filter(|a| a.kind == Kind::Order).count();
        let (at, elsewhere) = (Instant::now(), self.elsewhere.clone());
        let asked = Asked { kind, path, before, since_finalize, at, payload, csr, elsewhere };
        all.push(asked.clone());
        asked
    }

    /// Asks Pebble with the client's own head, in HTTP/1.0 so that the answer ends with the connection.
    fn forward(&self, method: &str, path: &str, head: &str, body: &[u8]) -> io::Result<Reply> {
        let headers = head.split_once("\r\n").map_or("", |(_, headers)| headers);
        let name = ServerName::from(self.pebble.ip());
        let tls = ClientConnection::new(self.towards.clone(), name).map_err(io::Error::other)?;
        let stream = TcpStream::connect(self.pebble)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut pebble = StreamOwned::new(tls, stream);
        let request = [format!("{method} {path} HTTP/1.0\r\n{headers}").as_bytes(), body].concat();
        pebble.write_all(&request)?;
        pebble.flush()?;
        let mut answer = Vec::new();
        pebble.read_to_end(&mut answer)?;
        let split = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let body = answer.split_off(split + 4);
        let head = String::from_utf8_lossy(&answer).into_owned();
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let mut reply = Reply { status, headers: Vec::new(), body, length: None };
        for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(": ")) {
            if !["content-length", "connection"].contains(&name.to_ascii_lowercase().as_str()) {
                reply.add(name, value);
            }
        }
        Ok(reply)
    }
}

/// A host that nothing may be sent to.
struct Elsewhere {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    _port: Port,
}

impl Elsewhere {
    fn start() -> Elsewhere {
        let (port, listener) = listening();
        let address = listener.local_addr().unwrap();
        let (connections, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ended) = (connections.clone(), over.clone());
        thread::spawn(move || {
            for _connection in listener.incoming().take_while(|_| !ended.load(SeqCst)) {
                counted.fetch_add(1, SeqCst);
            }
        });
        Elsewhere { address, connections, over, _port: port }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        TcpStream::connect(self.address).ok();
    }
}

fn listening() -> (Port, TcpListener) {
    // A program that is just being started has copies of our sockets for a moment, also of those that found the port free.
    for _ in 0..10 {
        let port = Port::new();
        if let Ok(listener) = TcpListener::bind(port.at(Ipv4Addr::LOCALHOST)) {
            return (port, listener);
        }
    }
    panic!("no port is free, ten times in a row");
}
