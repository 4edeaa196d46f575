//! The sentences about certificates and keys that TLS does not take. OpenSSL makes and serves them.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use notariat::base::secret::Secret;
use notariat::http::tls::TlsTrust;
use notariat::http::{Http, Method, Request};
use notariat_lab::process::Server;
use notariat_lab::tools::{output, tool};
use notariat_lab::{Place, Port, Scratch};

/// A folder with what OpenSSL makes.
struct Made(Scratch);

impl Made {
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn openssl(&self, line: &str) {
        let words = line.split(' ').map(|word| match word.strip_prefix('@') {
            Some(name) => self.path(name),
            None => word.to_owned(),
        });
        output(Command::new(tool("openssl")).args(words));
    }

    fn key(&self, name: &str, kind: &str) {
        self.openssl(&format!("genpkey {kind} -out @{name}.key"));
    }

    /// A certificate by the authority `ca` (or its own key), with these extensions; without any it is X.509 version 1.
    fn certificate(&self, name: &str, by: Option<&str>, extensions: &str) {
        self.openssl(&format!("req -new -key @{name}.key -subj /CN={name} -out @{name}.csr"));
        let by =
            by.map_or(format!("-signkey @{name}.key"), |ca| format!("-CA @{ca}.pem -CAkey @{ca}.key -CAcreateserial"));
        let more = match extensions {
            "" => String::new(),
            lines => {
                self.0.write(&format!("{name}.ext"), &lines.replace(';', "\n"));
                format!(" -extfile @{name}.ext")
            }
        };
        self.openssl(&format!("x509 -req -days 9 -in @{name}.csr {by} -out @{name}.pem{more}"));
    }

    fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.0.join(file)).unwrap()
    }
}

const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
const HOST: &str = "subjectAltName=IP:127.0.0.1";

fn made() -> Made {
    let made = Made(Scratch::new("tls"));
    made.key("ca", P256);
    made.certificate("ca", None, "basicConstraints=critical,CA:TRUE");
    for (name, kind) in [
        ("sound", P256),
        ("v1", P256),
        ("casleaf", P256),
        ("alone", P256),
        ("p521", "-algorithm EC -pkeyopt ec_paramgen_curve:P-521"),
        ("rsa3", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3"),
    ] {
        made.key(name, kind);
    }
    for name in ["sound", "p521", "rsa3"] {
        made.certificate(name, Some("ca"), HOST);
    }
    made.certificate("v1", Some("ca"), "");
    made.certificate("casleaf", None, &format!("basicConstraints=critical,CA:TRUE;{HOST}"));
    made.certificate("alone", None, HOST);
    made
}

/// Starts a server with this certificate; it wants one of the client where `asks`.
fn serve(made: &Made, name: &str, asks: bool) -> (Server, Port) {
    let port = Port::new();
    let address = port.at(Ipv4Addr::LOCALHOST);
    let mut command = Command::new(tool("openssl"));
    command.args(["s_server", "-quiet", "-www", "-accept", &address.to_string()]);
    command.args(["-cert", &made.path(&format!("{name}.pem")), "-key", &made.path(&format!("{name}.key"))]);
    if asks {
        command.args(["-Verify", "1", "-CAfile", &made.path("ca.pem"), "-verify_return_error"]);
    }
    let server = Server::start("s_server", &command, &PathBuf::from(made.path(&format!("{name}.log"))));
    (server.until_it_listens(&Place::Host, &address.to_string()), port)
}

fn asked(trust: &TlsTrust, port: &Port) -> Result<u16, String> {
    let http = Http::new(trust, None)?;
    let url = format!("https://{}/", port.at(Ipv4Addr::LOCALHOST));
    let ask = Request {
        method: Method::Get,
        url: &url,
        headers: &[],
        body: &[],
        within: Duration::from_secs(10),
        body_max: 100_000,
    };
    http.send(&ask).map(|reply| reply.status).map_err(|e| e.to_string())
}

#[test]
fn what_tls_does_not_take_is_said_with_whose_it_is_and_what_to_make_instead() {
    let made = made();
    let trust = |root: &str| TlsTrust { roots_pem: made.read(&format!("{root}.pem")), ..TlsTrust::default() };
    for (server, root, said) in [
        ("sound", "ca", ""),
        ("alone", "alone", ""),
        ("rsa3", "ca", ""),
        ("alone", "ca", "the server's certificate is from a CA that is not trusted here"),
        (
            "sound",
            "sound",
            "the certificate \"CN=sound\" is no CA's, and none is trusted by it: give that of its issuer, \"CN=ca\"",
        ),
        ("v1", "ca", "the server's certificate is X.509 version 1, which is not supported: make one of version 3"),
        ("casleaf", "casleaf", "the server shows the certificate of a CA as its own (`CA:TRUE`)"),
        ("p521", "ca", "the key of its certificate is not supported (an ECDSA key on P-521"),
    ] {
        let (_server, port) = serve(&made, server, false);
        match asked(&trust(root), &port) {
            Ok(status) => assert!(status == 200 && said.is_empty(), "{server} {root}"),
            Err(e) => assert!(!said.is_empty() && e.contains(said), "{server} {root}: {e}"),
        }
    }
    // A leaf beside the CA's certificate does no harm.
    let (_server, port) = serve(&made, "sound", false);
    let both = TlsTrust { roots_pem: [made.read("sound.pem"), made.read("ca.pem")].concat(), ..TlsTrust::default() };
    assert_eq!(asked(&both, &port), Ok(200));

    let (_server, port) = serve(&made, "sound", true);
    made.openssl("pkey -in @sound.key -aes256 -passout pass:secret -out @encrypted.key");
    for (certificate, key, said) in [
        ("sound", "sound", ""),
        ("", "", "the server wants a client certificate, and none is given"),
        ("v1", "v1", "the client certificate is X.509 version 1, which is not supported: make one of version 3"),
        ("p521", "p521", "the client key is of a kind that is not supported (an ECDSA key on P-521"),
        ("rsa3", "rsa3", "or with the exponent 3: make one on P-256"),
        ("alone", "alone", "the server does not take the client certificate (UnknownCA)"),
        ("sound", "alone", "the client key is that of another certificate"),
        ("sound", "encrypted", "the client key is encrypted: write it without a passphrase"),
    ] {
        let pair = || (made.read(&format!("{certificate}.pem")), Secret::new(made.read(&format!("{key}.key"))));
        let client = (!key.is_empty()).then(pair);
        match asked(&TlsTrust { client, ..trust("ca") }, &port) {
            Ok(status) => assert!(status == 200 && said.is_empty(), "{certificate} {key}"),
            Err(e) => assert!(!said.is_empty() && e.contains(said), "{certificate} {key}: {e}"),
        }
    }
}
