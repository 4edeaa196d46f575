//! Stands between notariat and a real API server: sees every request, answers some itself, cuts others off before or after the server's
//! work. What passes is streamed, so that watches live through it.

use std::collections::HashMap;
use std::io::{self, BufReader, Read as _, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use notariat::http::tls::TlsTrust;
use notariat_lab::{Kube, Scratch};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::https::{Reply, read_request, server_config};
use super::liar::listening;

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Of the object: what is created has its name in the body only.
    pub name: String,
    /// The token it came with.
    pub token: String,
    /// The body, as it was sent.
    pub body: String,
    pub at: Instant,
}

impl Asked {
    fn of(head: &str, body: &[u8]) -> Asked {
        let mut words = head.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let sent = String::from_utf8_lossy(body).into_owned();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let last = path.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let name = body["metadata"]["name"].as_str().unwrap_or(last).to_owned();
        let token = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap_or_default();
        Asked { method, path, name, token: token.to_owned(), body: sent, at: Instant::now() }
    }

    /// Tells whether it writes this object, and not as a trial.
    pub fn writes(&self, name: &str) -> bool {
        self.method != "GET" && self.name == name && !self.path.contains("dryRun")
    }
}

/// The fate of a request.
pub enum Then {
    Pass,
    Say(Reply),
    CutBefore,
    CutAfter,
}

/// An answer in text, with a header.
pub fn text(status: u16, body: &str, (name, value): (&str, &str)) -> Then {
    let mut reply = Reply { status, headers: Vec::new(), body: body.as_bytes().to_vec(), length: None };
    reply.add("content-type", "text/plain; charset=utf-8");
    reply.add(name, value);
    Then::Say(reply)
}

/// A Status as the API server makes it.
pub fn status(code: u16, reason: &str, message: &str, details: &Value) -> Then {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "details": details, "code": code});
    let mut reply = Reply { status: code, headers: Vec::new(), body: body.to_string().into_bytes(), length: None };
    reply.add("content-type", "application/json");
    Then::Say(reply)
}

type Script = dyn FnMut(&Asked) -> Then + Send;

/// A running proxy; its threads end with the test program.
pub struct Api {
    shared: Arc<Shared>,
    folder: Scratch,
}

struct Shared {
    address: SocketAddr,
    server: SocketAddr,
    towards: Arc<ClientConfig>,
    script: Mutex<Box<Script>>,
    asked: Mutex<Vec<Asked>>,
    /// The open connections by their other end.
    streams: Mutex<HashMap<SocketAddr, TcpStream>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Api {
    /// Before this API server. The script is asked about one request at a time.
    pub fn start(kube: &Kube, script: impl FnMut(&Asked) -> Then + Send + 'static) -> Api {
        let (port, _, listener) = listening();
        let folder = Scratch::new("api");
        let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let (chain, key) =
            (folder.write("ca.crt", &own.cert.pem()), folder.write("key", &own.signing_key.serialize_pem()));
        let served = Arc::new(server_config(&chain, &key));
        let roots_pem = std::fs::read(kube.ca_file()).unwrap();
        let shared = Arc::new(Shared {
            address: listener.local_addr().unwrap(),
            server: kube.api_url().trim_start_matches("https://").parse().unwrap(),
            towards: TlsTrust { roots_pem, ..TlsTrust::default() }.config().unwrap(),
            script: Mutex::new(Box::new(script)),
            asked: Mutex::default(),
            streams: Mutex::default(),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            let _port = port;
            for stream in listener.incoming().flatten() {
                let (shared, served) = (Arc::clone(&of_thread), Arc::clone(&served));
                // Whoever hangs up early is no fault of the test.
                thread::spawn(move || {
                    let Ok((peer, twin)) = stream.peer_addr().and_then(|peer| Ok((peer, stream.try_clone()?))) else {
                        return;
                    };
                    locked(&shared.streams).insert(peer, twin);
                    shared.serve(stream, served).ok();
                    locked(&shared.streams).remove(&peer);
                });
            }
        });
        Api { shared, folder }
    }

    /// Another script from now on.
    pub fn then(&self, script: impl FnMut(&Asked) -> Then + Send + 'static) {
        *locked(&self.shared.script) = Box::new(script);
    }

    /// Cuts every connection, so that all watches end.
    pub fn hang_up(&self) {
        for (_, stream) in locked(&self.shared.streams).drain() {
            // The client may have gone.
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    /// A kubeconfig that leads here; `user` are fields of its user in YAML's flow style. A `tokenFile` is beside it.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        let text = format!(
            "{{current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}],\n\
             clusters: [{{name: c, cluster: {{server: 'https://{}', certificate-authority: ca.crt}}}}],\n \
             users: [{{name: u, user: {{{user}}}}}]}}\n",
            self.shared.address
        );
        self.folder.write("config", &text)
    }

    /// Writes a file beside the kubeconfig.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        self.folder.write(name, text)
    }

    /// The requests so far, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        locked(&self.shared.asked).clone()
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let tls = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut client = BufReader::new(StreamOwned::new(tls, stream));
        while let Some((head, body)) = read_request(&mut client)? {
            let asked = Asked::of(&head, &body);
            locked(&self.asked).push(asked.clone());
            let then = locked(&self.script)(&asked);
            match then {
                Then::Say(reply) => reply.write(&asked.method, client.get_mut())?,
                Then::CutBefore => return Ok(()),
                Then::CutAfter => return self.forward(&asked, &head, &body, &mut io::sink()),
                Then::Pass => {
                    self.forward(&asked, &head, &body, client.get_mut())?;
                    client.get_mut().conn.send_close_notify();
                    return client.get_mut().flush();
                }
            }
        }
        Ok(())
    }

    /// Asks the server with the client's own head, in HTTP/1.0 so that the answer ends with the connection.
    fn forward(&self, asked: &Asked, head: &str, body: &[u8], to: &mut impl Write) -> io::Result<()> {
        let headers = head.split_once("\r\n").map_or("", |(_, headers)| headers);
        let tls = ClientConnection::new(self.towards.clone(), ServerName::from(self.server.ip()));
        let stream = TcpStream::connect(self.server)?;
        stream.set_nodelay(true)?;
        let mut server = StreamOwned::new(tls.map_err(io::Error::other)?, stream);
        let line = format!("{} {} HTTP/1.0\r\n{headers}", asked.method, asked.path);
        server.write_all(&[line.as_bytes(), body].concat())?;
        server.flush()?;
        let mut part = [0; 16 * 1024];
        loop {
            let length = server.read(&mut part)?;
            if length == 0 {
                return Ok(());
            }
            to.write_all(&part[..length])?;
            to.flush()?;
        }
    }
}
