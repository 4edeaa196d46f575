//! A TSIG key, its parts, and the faults of a text that should be one. Pure.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::base::name::DnsName;
use crate::base::secret::Secret;

/// The HMAC of a TSIG key (RFC 8945 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `hmac-sha1`
    Sha1,
    /// `hmac-sha224`
    Sha224,
    /// `hmac-sha256`, the default of a key without an algorithm
    Sha256,
    /// `hmac-sha384`
    Sha384,
    /// `hmac-sha512`
    Sha512,
}

impl Algorithm {
    /// Every algorithm, as the registry of RFC 8945 section 6 orders them.
    pub const ALL: [Algorithm; 5] =
        [Algorithm::Sha1, Algorithm::Sha224, Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];

    /// The name in configuration files; the same name is sent on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Sha1 => "hmac-sha1",
            Algorithm::Sha224 => "hmac-sha224",
            Algorithm::Sha256 => "hmac-sha256",
            Algorithm::Sha384 => "hmac-sha384",
            Algorithm::Sha512 => "hmac-sha512",
        }
    }

    /// Reads any spelling in use: `hmac-sha256`, `HMAC-SHA256.`, `HMACSHA256` (cert-manager).
    pub(super) fn parse(text: &str) -> Result<Algorithm, TsigKeyError> {
        let plain: String =
            text.chars().filter(|c| !matches!(c, '-' | '.' | '_')).map(|c| c.to_ascii_lowercase()).collect();
        match plain.as_str() {
            "hmacsha1" => Ok(Algorithm::Sha1),
            "hmacsha224" => Ok(Algorithm::Sha224),
            "hmacsha256" => Ok(Algorithm::Sha256),
            "hmacsha384" => Ok(Algorithm::Sha384),
            "hmacsha512" => Ok(Algorithm::Sha512),
            "hmacmd5" | "hmacmd5sigalgregint" => Err(TsigKeyError::Md5),
            "gsstsig" => Err(TsigKeyError::Gss),
            _ => Err(TsigKeyError::Algorithm),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A TSIG key, shared with the server.
#[derive(Clone, Debug)]
pub struct TsigKey {
    /// The name of the key on both sides.
    pub name: DnsName,
    /// The HMAC of the key.
    pub algorithm: Algorithm,
    /// The shared secret, raw octets.
    pub secret: Secret<Vec<u8>>,
}

/// The fault in a text that is no TSIG key. `Display` is the rest of a sentence and holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is its sentence")]
pub enum TsigKeyError {
    Empty,
    NotText,
    Utf16,
    Json,
    Parts,
    Algorithm,
    Md5,
    Gss,
    Name,
    NoName,
    Base64,
    NoSecret,
    Twice,
    Clause,
    Comment,
    Mixed,
    Section,
    Record,
    PublicKey,
    PrivateFile,
    Nsupdate,
    Many,
    Swapped,
}

impl fmt::Display for TsigKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TsigKeyError::Empty => "is empty; write `[hmac:]name:base64`",
            TsigKeyError::NotText => "is not text in UTF-8; write `[hmac:]name:base64`",
            TsigKeyError::Utf16 => "is text in UTF-16, as Windows programs save it; save it as UTF-8",
            TsigKeyError::Json => "is JSON; write `[hmac:]name:base64` alone",
            TsigKeyError::Parts => "does not have the form `[hmac:]name:base64` (two or three parts with `:` between them)",
            TsigKeyError::Algorithm => {
                "begins with an algorithm that is none of hmac-sha1, hmac-sha224, hmac-sha256, hmac-sha384, hmac-sha512"
            }
            TsigKeyError::Md5 => "uses hmac-md5, which RFC 8945 retired: make a key with `tsig-keygen -a hmac-sha256 NAME`",
            TsigKeyError::Gss => "uses gss-tsig (Kerberos), which is not supported: delegate the challenge by CNAME to a zone with a TSIG key",
            TsigKeyError::Name => "has a key name that is not a domain name",
            TsigKeyError::NoName => {
                "lacks the key's name: write `hmac-sha256:NAME:` before the secret, with the NAME and the algorithm that the server has the key under (BIND: `key \"NAME\"`; Knot: `id: NAME`; PowerDNS: `pdnsutil list-tsig-keys`)"
            },
            TsigKeyError::Base64 => "has a secret that is not base64",
            TsigKeyError::NoSecret => "has an empty secret",
            TsigKeyError::Twice => {
                "is encoded in base64 twice: store the text `hmac:name:base64` itself (below `stringData`, or with `kubectl create secret generic NAME --from-literal=key=hmac-sha256:NAME:SECRET`); Kubernetes encodes it by itself. Where the server's configuration has the secret encoded so, write it as there, `key \"name\" { algorithm hmac-sha256; secret \"base64\"; };`"
            }
            TsigKeyError::Clause => {
                "looks like a BIND key file and is none; write `key \"name\" { algorithm hmac-sha256; secret \"base64\"; };`"
            }
            TsigKeyError::Comment => "has a comment that begins with `/*` and does not end; close it with `*/`",
            TsigKeyError::Mixed => "has lines `[hmac:]name:base64` beside `key` clauses; write all keys in one of these forms",
            TsigKeyError::Section => {
                "looks like the section `key:` of knot.conf or nsd.conf and is none; write `key:` and below it `- id: name` (Knot) or `name: name` (NSD), `algorithm: hmac-sha256` and `secret: base64`"
            }
            TsigKeyError::Record => {
                "looks like the file K*.key of dnssec-keygen and is none; write `name. IN KEY 512 3 163 base64` (163 is hmac-sha256) or `[hmac:]name:base64`"
            }
            TsigKeyError::PublicKey => "is the public key of a DNSSEC or SIG(0) key: make a TSIG key with `tsig-keygen -a hmac-sha256 NAME`",
            TsigKeyError::PrivateFile => {
                "is a file K*.private of dnssec-keygen, whose key's name stands in the file's name only; give the file K*.key beside it, or write `hmac:name:base64`"
            }
            TsigKeyError::Nsupdate => "is written as for nsupdate, `key hmac:name base64`; write `hmac:name:base64`, with `:` before the secret",
            TsigKeyError::Swapped => {
                "has its secret in the place of its name: write the name first, `[hmac:]name:base64`, and make a new key where \
                 the secret was shown to others"
            }
            TsigKeyError::Many => "has more keys than are tried; remove the old ones",
        })
    }
}

/// Base64 with optional padding: `=` is easily lost in copying.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl TsigKey {
    /// Reads a key from separate parts.
    ///
    /// # Errors
    /// The fault, without any of the parts.
    pub fn from_parts(algorithm: &str, name: &str, secret: &str) -> Result<TsigKey, TsigKeyError> {
        TsigKey::new(Algorithm::parse(algorithm)?, name, secret)
    }

    pub(super) fn new(algorithm: Algorithm, name: &str, secret: &str) -> Result<TsigKey, TsigKeyError> {
        if name.is_empty() {
            return Err(TsigKeyError::NoName);
        }
        let secret: Zeroizing<String> = Zeroizing::new(secret.chars().filter(|c| !c.is_whitespace()).collect());
        if is_secret(name, &secret) {
            return Err(TsigKeyError::Swapped);
        }
        let name = DnsName::parse(name).map_err(|_| TsigKeyError::Name)?;
        let secret = decoded(&secret)?;
        if secret.expose().is_empty() {
            return Err(TsigKeyError::NoSecret);
        }
        Ok(TsigKey { name, algorithm, secret })
    }
}

/// The octets of base64; white space is ignored.
pub(super) fn decoded(text: &str) -> Result<Secret<Vec<u8>>, TsigKeyError> {
    let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect());
    let octets = BASE64.decode(text.as_bytes()).map_err(|_| TsigKeyError::Base64)?;
    Ok(Secret::known("a TSIG secret", octets))
}

/// Whether the secret is in the place of the name, which would be printed: base64 of at least 128 bits with a character
/// that no name has, or with letters of both cases and longer than the text in the place of the secret.
fn is_secret(name: &str, secret: &str) -> bool {
    let octets = |text: &str| BASE64.decode(text).map_or(0, |octets| Zeroizing::new(octets).len());
    let has = |is: fn(&u8) -> bool| name.as_bytes().iter().any(is);
    octets(name) >= 16
        && (name.contains(['+', '/', '='])
            || (has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && octets(name) > octets(secret)))
}

/// Shows the name and the algorithm; never the secret.
impl fmt::Display for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.algorithm)
    }
}
