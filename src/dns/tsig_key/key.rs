//! A TSIG key and its parts. Pure.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::base::name::{DnsName, serde_as_text};
use crate::base::secret::Secret;
use crate::dns::tsig_key_error::TsigKeyError;

/// The HMAC of a TSIG key (RFC 8945 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    ///
    /// # Errors
    /// The algorithm that is none, or one that is not used.
    pub fn parse(text: &str) -> Result<Algorithm, TsigKeyError> {
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

impl FromStr for Algorithm {
    type Err = TsigKeyError;
    fn from_str(text: &str) -> Result<Algorithm, TsigKeyError> {
        Algorithm::parse(text)
    }
}

serde_as_text!(Algorithm);

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

/// Tells whether the secret is in the place of the name, which would be printed: base64 of at least 128 bits with a character
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
