//! Enough of HTTP and TLS for a proxy that lies.

use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

/// The answer of Pebble, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// The value of Content-Length, when it is not the truth. The connection ends behind the body.
    pub length: Option<usize>,
}

impl Reply {
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
    }

    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.remove(name);
        self.add(name, value);
    }

    pub fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        // What Pebble refuses has no body, at times.
        let mut json = serde_json::from_slice(&self.body).unwrap_or_default();
        change(&mut json);
        self.body = json.to_string().into_bytes();
    }

    /// Says no in place of the answer. The nonce of the answer stays.
    pub fn refuse(&mut self, status: u16, word: &str, detail: &str) {
        self.status = status;
        self.remove("location");
        self.set("content-type", "application/problem+json");
        let kind = format!("urn:ietf:params:acme:error:{word}");
        self.body = json!({"type": kind, "detail": detail, "status": status}).to_string().into_bytes();
    }

    pub fn html(&mut self, status: u16) {
        self.status = status;
        self.set("content-type", "text/html");
        self.body = format!("<html>\n<h1>{status} of a proxy</h1>\n</html>\n").into_bytes();
    }

    pub fn write(&self, method: &str, out: &mut impl io::Write) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Said\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        let length = self.length.unwrap_or(self.body.len());
        head.extend(format!("Content-Length: {length}\r\n\r\n").into_bytes());
        out.write_all(&head)?;
        if method != "HEAD" {
            out.write_all(&self.body)?;
        }
        out.flush()
    }
}

/// A server with a chain and a key in PEM.
pub fn server_config(chain: &Path, key: &Path) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(chain).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    builder.with_no_client_auth().with_single_cert(chain, key).unwrap()
}

/// The head of a request, with the empty line behind it, and its body. `None`: there is no further one.
pub fn read_request(client: &mut BufReader<impl Read>) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body)?;
    Ok(Some((head, body)))
}
