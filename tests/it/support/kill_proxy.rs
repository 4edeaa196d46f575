//! Stands between notariat and its servers, sees every request, and ends notariat at the one that a test chose: before the server
//! hears of it, or when it has answered and notariat does not know yet.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use notariat_lab::{NameServer, Pebble, process};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::liar::{is_update, listening, read_framed};
use super::lies::framed;
use super::run::{Daemon, Run, until};

/// On which side of the server's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// A request on one side of the server's work.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// From 1.
    pub number: usize,
    /// The kind of the request: the first part of the path, or `UPDATE`.
    pub kind: &'a str,
    pub side: Side,
}

/// Tells whether what is on its way goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    GoOn,
    Drop,
}

type Act = dyn FnMut(&Moment<'_>) -> Then + Send;

/// The run of notariat that is to be ended.
#[derive(Default)]
pub struct Victim(AtomicU32);

impl Victim {
    /// Runs a command to its end, whatever ends it.
    pub fn run(&self, command: &mut Command) -> Run {
        self.0.store(0, SeqCst);
        let daemon = Daemon::start(command);
        self.0.store(daemon.pid(), SeqCst);
        daemon.wait()
    }

    /// Its process id. The first request may come before the one who started it knows.
    pub fn pid(&self) -> u32 {
        until("it runs", || self.0.load(SeqCst) != 0);
        self.0.load(SeqCst)
    }

    /// SIGKILL, after which nothing goes on.
    pub fn kill(&self) -> Then {
        process::signal(self.pid(), "KILL");
        Then::Drop
    }
}

/// The action on requests, and the requests that there were.
#[derive(Default)]
pub struct Trap {
    act: Mutex<Option<Box<Act>>>,
    over: AtomicBool,
    /// The requests since [`Trap::set`], and whether the server heard of it.
    asked: Mutex<Vec<(String, bool)>>,
    /// The accounts that the CA has named since then, also to nobody.
    accounts: Mutex<Vec<String>>,
}

impl Trap {
    /// Does this at every request from now on, of which there were none yet.
    pub fn set(&self, act: impl FnMut(&Moment<'_>) -> Then + Send + 'static) {
        *locked(&self.act) = Some(Box::new(act));
        locked(&self.asked).clear();
        locked(&self.accounts).clear();
    }

    /// Kills at the request of this number.
    pub fn kill_at(&self, victim: &Arc<Victim>, number: usize, side: Side) {
        let victim = Arc::clone(victim);
        self.set(move |moment| if (moment.number, moment.side) == (number, side) { victim.kill() } else { Then::GoOn });
    }

    /// Lets everything pass, and goes on counting.
    pub fn open(&self) {
        *locked(&self.act) = None;
    }

    /// The requests, oldest first, also those in vain.
    pub fn asked(&self) -> Vec<String> {
        locked(&self.asked).iter().map(|(kind, _)| kind.clone()).collect()
    }

    /// How often the server was asked for this.
    pub fn count(&self, kind: &str) -> usize {
        locked(&self.asked).iter().filter(|(k, heard)| *heard && k == kind).count()
    }

    /// The accounts that the CA has named, each once.
    pub fn accounts(&self) -> Vec<String> {
        let mut accounts = locked(&self.accounts).clone();
        accounts.sort();
        accounts.dedup();
        accounts
    }

    /// Has the server do its work, unless notariat is gone before; what it answered, unless notariat is gone after.
    fn pass<T>(&self, kind: &str, forward: impl FnOnce() -> Option<T>) -> Option<T> {
        let number = {
            let mut asked = locked(&self.asked);
            asked.push((kind.to_owned(), false));
            asked.len()
        };
        let act = |side| match &mut *locked(&self.act) {
            Some(act) => act(&Moment { number, kind, side }),
            None => Then::GoOn,
        };
        if act(Side::Before) == Then::Drop {
            return None;
        }
        locked(&self.asked)[number - 1].1 = true;
        let answer = forward()?;
        (act(Side::After) == Then::GoOn).then_some(answer)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A proxy; at its end it forwards nothing more.
pub struct KillProxy {
    pub trap: Arc<Trap>,
    address: SocketAddr,
}

impl KillProxy {
    /// Before a CA. Pebble makes its URLs from the Host header, so that they lead back here.
    pub fn before_ca(pebble: &Pebble) -> KillProxy {
        let pem = |name: &str| std::fs::read(pebble.ca_file().with_file_name(name)).unwrap();
        let certificates =
            |name: &str| CertificateDer::pem_slice_iter(&pem(name)).map(Result::unwrap).collect::<Vec<_>>();
        let mut roots = RootCertStore::empty();
        roots.add(certificates("ca.crt").remove(0)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client =
            ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let client = Arc::new(client.with_root_certificates(roots).with_no_client_auth());
        let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        // Its own certificate, which is for this address whatever the port.
        let key = PrivateKeyDer::from_pem_slice(&pem("server.key")).unwrap();
        let server = server.with_no_client_auth().with_single_cert(certificates("server.crt"), key).unwrap();
        let (server, upstream) = (Arc::new(server), pebble.addr());
        KillProxy::accept(move |trap, stream| {
            let mut inside = StreamOwned::new(ServerConnection::new(server.clone()).unwrap(), stream);
            let Some(request) = read_request(&mut inside) else { return };
            let kind = kind(&request);
            let answer = trap.pass(&kind, || {
                let answer = exchange(upstream, &client, &request)?;
                let account = header(&answer, "location").filter(|_| kind == "sign-me-up");
                locked(&trap.accounts).extend(account);
                Some(answer)
            });
            let Some(answer) = answer else { return };
            // Whoever is told so may be gone already.
            inside.write_all(&answer).ok();
            inside.conn.send_close_notify();
            inside.flush().ok();
        })
    }

    /// Before a name server. Only UPDATEs are counted; queries pass.
    pub fn before_dns(dns: &NameServer) -> KillProxy {
        let (port, udp, tcp) = listening();
        let (upstream, trap) = (dns.addr(), Arc::new(Trap::default()));
        let queries = Arc::clone(&trap);
        thread::spawn(move || {
            let mut buffer = [0; 65_535];
            while let Ok((length, client)) = udp.recv_from(&mut buffer) {
                if queries.over.load(SeqCst) {
                    return;
                }
                let out = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                out.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                out.send_to(&buffer[..length], upstream).unwrap();
                if let Ok(length) = out.recv(&mut buffer) {
                    udp.send_to(&buffer[..length], client).ok();
                }
            }
        });
        KillProxy::serve(tcp, trap, move |trap, mut stream| {
            let _port = &port;
            let Ok(request) = read_framed(&mut stream) else { return };
            let ask = || {
                let mut server = TcpStream::connect(upstream).ok()?;
                server.write_all(&framed(&request)).ok()?;
                read_framed(&mut server).ok()
            };
            let answer = if is_update(&request) { trap.pass("UPDATE", ask) } else { ask() };
            if let Some(answer) = answer {
                stream.write_all(&framed(&answer)).ok();
            }
        })
    }

    fn accept(serve: impl Fn(&Trap, TcpStream) + Send + Sync + 'static) -> KillProxy {
        let (port, _, tcp) = listening();
        KillProxy::serve(tcp, Arc::default(), move |trap, stream| {
            let _port = &port;
            serve(trap, stream);
        })
    }

    fn serve(tcp: TcpListener, trap: Arc<Trap>, serve: impl Fn(&Trap, TcpStream) + Send + Sync + 'static) -> KillProxy {
        let (address, of_thread, serve) = (tcp.local_addr().unwrap(), Arc::clone(&trap), Arc::new(serve));
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                if of_thread.over.load(SeqCst) {
                    return;
                }
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                let (trap, serve) = (Arc::clone(&of_thread), Arc::clone(&serve));
                thread::spawn(move || serve(&trap, stream));
            }
        });
        KillProxy { trap, address }
    }

    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the CA's directory through here.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.address)
    }
}

impl Drop for KillProxy {
    fn drop(&mut self) {
        self.trap.over.store(true, SeqCst);
        TcpStream::connect(self.address).ok();
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|s| s.send_to(&[], self.address)).ok();
    }
}

/// Head and body of one request; none when the client hangs up.
fn read_request(stream: &mut impl Read) -> Option<Vec<u8>> {
    let (mut request, mut octet) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet).ok()?;
        request.push(octet[0]);
    }
    let length = header(&request, "content-length").map_or(0, |value| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    request.extend(body);
    Some(request)
}

/// The value of a header of a message whose head is complete.
fn header(message: &[u8], name: &str) -> Option<String> {
    let head = String::from_utf8_lossy(message);
    let lines = head.split("\r\n").skip(1).take_while(|line| !line.is_empty());
    let mut found = lines.filter_map(|line| line.split_once(": ")).filter(|(n, _)| n.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.to_owned())
}

/// The first part of the path: Pebble has a word of its own for each kind of request.
fn kind(request: &[u8]) -> String {
    let line = String::from_utf8_lossy(&request[..request.iter().position(|b| *b == b'\r').unwrap()]).into_owned();
    line.split(' ').nth(1).and_then(|path| path.split('/').nth(1)).unwrap_or_default().to_owned()
}

/// One request on a connection of its own; the answer ends with it.
fn exchange(upstream: SocketAddr, tls: &Arc<ClientConfig>, request: &[u8]) -> Option<Vec<u8>> {
    let connection = ClientConnection::new(Arc::clone(tls), ServerName::from(upstream.ip())).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(upstream).ok()?);
    let after_line = request.iter().position(|b| *b == b'\n').unwrap() + 1;
    let request = [&request[..after_line], b"Connection: close\r\n", &request[after_line..]].concat();
    stream.write_all(&request).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}
