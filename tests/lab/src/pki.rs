//! A certificate authority of our own, made with openssl: for Pebble's HTTPS and for kube-apiserver.
//!
//! Not with the crates notariat uses, so that a certificate wrong in the same way on both sides cannot pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bytes;
use crate::tools::{output, tool};

/// An authority and the directory of its files.
#[derive(Debug)]
pub(crate) struct Authority {
    directory: PathBuf,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// Makes one with files in `directory`.
    pub(crate) fn new(directory: &Path, name: &str) -> Authority {
        let authority = Authority { directory: directory.into() };
        let request = ["req", "-x509", "-days", "3650", "-subj", &format!("/CN={name}")];
        let extensions =
            ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"];
        let files = ["-keyout", "ca.key", "-out", "ca.crt"];
        authority.openssl(&[&request[..], &NEW_KEY, &extensions, &files].concat());
        authority
    }

    /// The file of its certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }

    /// A certificate for a server at these names: `DNS:localhost`, `IP:127.0.0.1`.
    pub(crate) fn server(&self, name: &str, alternative_names: &str) -> Pair {
        let use_and_names = format!("extendedKeyUsage=serverAuth\nsubjectAltName={alternative_names}\n");
        self.issue(name, &format!("/CN={name}"), &use_and_names)
    }

    /// A certificate for a client of this subject (`/O=group/CN=user`, as Kubernetes reads it).
    pub(crate) fn client(&self, name: &str, subject: &str) -> Pair {
        self.issue(name, subject, "extendedKeyUsage=clientAuth\n")
    }

    fn issue(&self, name: &str, subject: &str, extensions: &str) -> Pair {
        let file = |ending: &str| format!("{name}.{ending}");
        let (key, request, certificate, settings) = (file("key"), file("csr"), file("crt"), file("ext"));
        let text = format!("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n{extensions}");
        fs::write(self.directory.join(&settings), text).expect("our own directory can be written");
        self.openssl(&[&["req", "-subj", subject][..], &NEW_KEY, &["-keyout", &key, "-out", &request]].concat());
        // A number of our own: openssl would keep the next one in a file, which two threads then write at once.
        let serial = format!("0x{}", bytes::random_hex(8));
        let sign = ["x509", "-req", "-in", &request, "-CA", "ca.crt", "-CAkey", "ca.key", "-set_serial", &serial];
        self.openssl(&[&sign[..], &["-days", "365", "-extfile", &settings, "-out", &certificate]].concat());
        Pair { certificate: self.directory.join(certificate), key: self.directory.join(key) }
    }

    fn openssl(&self, arguments: &[&str]) {
        output(Command::new(tool("openssl")).current_dir(&self.directory).args(arguments));
    }
}

/// A pair of files for signing tokens: private key, public key. P-256, which takes no time to make.
pub(crate) fn signing_key(directory: &Path) -> (PathBuf, PathBuf) {
    let (private, public) = (directory.join("sign.key"), directory.join("sign.pub"));
    let openssl = || Command::new(tool("openssl"));
    output(
        openssl().args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"]).arg(&private),
    );
    output(openssl().args(["pkey", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public));
    (private, public)
}

const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
