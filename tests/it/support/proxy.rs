//! A proxy that tunnels to one server (CONNECT, RFC 9110 section 9.3.6), refuses all others and remembers who was asked for.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use notariat_lab::Port;

/// A running proxy; its thread ends with the test program.
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _port: Port,
}

impl Proxy {
    /// Starts one that leads to `server` only.
    pub fn start(server: SocketAddr) -> Proxy {
        let port = Port::new();
        let listener = port.listen([127, 0, 0, 1]);
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let heard = asked.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let heard = heard.clone();
                // Whoever hangs up ends the tunnel, which is no fault of anybody.
                thread::spawn(move || tunnel(client, server, &heard).ok());
            }
        });
        Proxy { address, asked, _port: port }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often a tunnel was asked for.
    pub fn tunnels(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Who was asked for so far, each once.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

fn tunnel(client: TcpStream, server: SocketAddr, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = BufReader::new(client.try_clone()?);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let target = line.strip_prefix("CONNECT ").unwrap_or(&line).split(' ').next().unwrap_or_default().to_owned();
    while head.read_line(&mut line)? > 2 {}
    asked.lock().unwrap().push(target.clone());
    let mut client = client;
    if target != server.to_string() {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    }
    let upstream = TcpStream::connect(server)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut back, mut to_client) = (upstream.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        io::copy(&mut back, &mut to_client).ok();
        to_client.shutdown(Shutdown::Both).ok();
    });
    // The client waits for an answer before it begins TLS, so nothing of it is left in `head`.
    io::copy(&mut client, &mut &upstream)?;
    upstream.shutdown(Shutdown::Both)
}
