//! TSIG keys (RFC 8945), in every spelling that somebody wants: three servers, two update tools, and notariat.

use std::path::PathBuf;

use crate::{Scratch, bytes};

/// The hash of a key's HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Hmac {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hmac {
    /// All five, in order of strength.
    pub const ALL: [Hmac; 5] = [Hmac::Sha1, Hmac::Sha224, Hmac::Sha256, Hmac::Sha384, Hmac::Sha512];

    /// The algorithm as configurations spell it.
    pub fn name(self) -> &'static str {
        match self {
            Hmac::Sha1 => "hmac-sha1",
            Hmac::Sha224 => "hmac-sha224",
            Hmac::Sha256 => "hmac-sha256",
            Hmac::Sha384 => "hmac-sha384",
            Hmac::Sha512 => "hmac-sha512",
        }
    }

    /// The length of the hash, which is also the recommended length of a secret (RFC 8945 section 8).
    fn octets(self) -> usize {
        match self {
            Hmac::Sha1 => 20,
            Hmac::Sha224 => 28,
            Hmac::Sha256 => 32,
            Hmac::Sha384 => 48,
            Hmac::Sha512 => 64,
        }
    }
}

/// A key with a random secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Lower case, without the dot at the end.
    pub name: String,
    /// The algorithm.
    pub algorithm: Hmac,
    /// The secret in base64.
    pub secret: String,
}

impl Key {
    /// A new key of that name.
    pub fn new(name: &str, algorithm: Hmac) -> Key {
        let secret = bytes::base64(&bytes::random(algorithm.octets()));
        Key { name: name.trim_end_matches('.').to_ascii_lowercase(), algorithm, secret }
    }

    /// The same name and algorithm with another secret: what a server calls BADSIG.
    pub fn with_another_secret(&self) -> Key {
        Key::new(&self.name, self.algorithm)
    }

    /// `algorithm:name:secret`, as notariat's TSIG Secrets and the files of Knot's tools hold it.
    pub fn secret_text(&self) -> String {
        format!("{}:{}:{}", self.algorithm.name(), self.name, self.secret)
    }

    /// The statement for `named.conf`.
    pub fn bind_clause(&self) -> String {
        let Key { name, secret, .. } = self;
        format!("key \"{name}\" {{ algorithm {}; secret \"{secret}\"; }};\n", self.algorithm.name())
    }

    /// The item for the `key:` section of `knot.conf`.
    pub fn knot_clause(&self) -> String {
        format!("  - id: {}\n    algorithm: {}\n    secret: {}\n", self.name, self.algorithm.name(), self.secret)
    }

    /// A file for `nsupdate -k`.
    pub fn nsupdate_file(&self, directory: &Scratch) -> PathBuf {
        directory.write(&format!("{}.nsupdate.key", self.file_stem()), &self.bind_clause())
    }

    /// A file for `knsupdate -k`.
    pub fn knsupdate_file(&self, directory: &Scratch) -> PathBuf {
        directory.write(&format!("{}.knsupdate.key", self.file_stem()), &format!("{}\n", self.secret_text()))
    }

    /// Two keys may differ in one part only, and must not share a file then.
    fn file_stem(&self) -> String {
        let secret: String = self.secret.chars().filter(char::is_ascii_alphanumeric).take(6).collect();
        format!("{}.{}.{secret}", self.name, self.algorithm.name())
    }
}
