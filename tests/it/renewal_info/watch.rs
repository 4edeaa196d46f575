//! A TLS server that serves a Secret as a good one does, and a client that takes only what is valid now.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

/// The observations of the client.
#[derive(Debug, Default)]
pub struct Seen {
    /// How often it looked.
    pub looks: usize,
    /// The leaves, in DER.
    pub certificates: BTreeSet<Vec<u8>>,
    /// Why it turned away, if it did.
    pub faults: Vec<String>,
}

/// Looks ten times a second until it is ended.
pub struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Watch {
    /// Watches the Secret in `folder`, which holds a certificate for `name` below `root`.
    pub fn start(folder: PathBuf, root: &str, name: &str) -> Watch {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let client = client.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let (client, name) = (Arc::new(client.with_no_client_auth()), ServerName::try_from(name.to_owned()).unwrap());
        let over = Arc::new(AtomicBool::new(false));
        let ended = over.clone();
        let thread = thread::spawn(move || {
            let (mut seen, mut server) = (Seen::default(), None);
            loop {
                let last = ended.load(SeqCst);
                match pair(&folder).map(serving) {
                    Some(Ok(fresh)) => server = Some(fresh),
                    Some(Err(fault)) => seen.faults.push(fault),
                    // The folder went while it was read: a server goes on with what it has.
                    None => {}
                }
                match handshake(server.as_ref().unwrap(), &client, &name) {
                    Ok(leaf) => drop(seen.certificates.insert(leaf)),
                    Err(fault) => seen.faults.push(fault),
                }
                seen.looks += 1;
                if last {
                    return seen;
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        Watch { over, thread }
    }

    /// Looks once more and ends.
    pub fn end(self) -> Seen {
        self.over.store(true, SeqCst);
        self.thread.join().unwrap()
    }
}

/// Certificate and key of one write: what the symlink points to is never changed.
fn pair(folder: &Path) -> Option<(Vec<u8>, Vec<u8>)> {
    let folder = fs::canonicalize(folder).ok()?;
    Some((fs::read(folder.join("tls.crt")).ok()?, fs::read(folder.join("tls.key")).ok()?))
}

fn serving((chain, key): (Vec<u8>, Vec<u8>)) -> Result<Arc<ServerConfig>, String> {
    let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|e| e.to_string())?;
    let server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let server = server.with_safe_default_protocol_versions().map_err(|e| e.to_string())?.with_no_client_auth();
    server.with_single_cert(chain, key).map(Arc::new).map_err(|e| e.to_string())
}

/// The leaf that the client accepted.
fn handshake(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    name: &ServerName<'static>,
) -> Result<Vec<u8>, String> {
    let (mut near, mut far) = UnixStream::pair().map_err(|e| e.to_string())?;
    let mut server = ServerConnection::new(server.clone()).map_err(|e| e.to_string())?;
    let mut client = ClientConnection::new(client.clone(), name.clone()).map_err(|e| e.to_string())?;
    // A client that turns away says so and hangs up, which is the client's error and not the server's.
    let serving = thread::spawn(move || server.complete_io(&mut far).ok());
    let shaken = client.complete_io(&mut near).map_err(|e| e.to_string());
    drop(near);
    serving.join().unwrap();
    shaken?;
    Ok(client.peer_certificates().unwrap()[0].to_vec())
}
