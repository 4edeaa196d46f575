//! Keys as lines `[hmac:]name:base64`, which is also the first line of the output of Knot's `keymgr -t`, after `# `.
//! Pure.

use super::key::{Algorithm, TsigKey, decoded};
use crate::dns::tsig_key_error::TsigKeyError;

/// The keys of all lines. Lines that begin with `#` are comments, except in a text of only such lines that begins like
/// the output of `keymgr -t`.
pub(super) fn keys(text: &str) -> Result<Vec<TsigKey>, TsigKeyError> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.iter().all(|line| line.starts_with('#')) {
        let comment = lines.first().and_then(|line| line.strip_prefix('#')).unwrap_or_default();
        let is_keymgr = comment.split(':').count() == 3;
        return if is_keymgr { Ok(key(comment).into_iter().collect()) } else { Ok(Vec::new()) };
    }
    let lines = lines.into_iter().filter(|line| !line.starts_with('#'));
    // A script for nsupdate has other lines around the one with the key.
    match lines.clone().any(is_nsupdate) {
        true => Err(TsigKeyError::Nsupdate),
        false => lines.map(key).collect(),
    }
}

/// Reads `[hmac:]name:base64`. White space is ignored: none of the three parts can contain any.
pub(super) fn key(line: &str) -> Result<TsigKey, TsigKeyError> {
    let parts: Vec<&str> = line.split(':').map(str::trim).collect();
    let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let (algorithm, name, secret) = match parts[..] {
        [text] => return Err(alone(text)),
        [algorithm, rest] if !matches!(Algorithm::parse(algorithm), Err(TsigKeyError::Algorithm)) => {
            return Err(if rest.contains(char::is_whitespace) { TsigKeyError::Nsupdate } else { TsigKeyError::NoName });
        }
        [name, secret] => (Algorithm::Sha256, name, secret),
        [algorithm, name, secret] => (Algorithm::parse(&plain(algorithm))?, name, secret),
        _ => return Err(TsigKeyError::Parts),
    };
    let key = TsigKey::new(algorithm, &plain(name), secret)?;
    match is_base64_of_random(key.secret.expose()) {
        true => Err(TsigKeyError::Twice),
        false => Ok(key),
    }
}

/// The fault of a text without `:`.
fn alone(text: &str) -> TsigKeyError {
    let Ok(octets) = decoded(text) else { return TsigKeyError::Parts };
    match is_base64_of_random(octets.expose()) {
        true => TsigKeyError::Twice,
        false => TsigKeyError::NoName,
    }
}

/// Tells whether octets look like base64 of random octets as programs print it: padded, or of 48 octets, which need no
/// padding. A pass phrase or hexadecimal digits may consist of the same characters.
fn is_base64_of_random(octets: &[u8]) -> bool {
    let text = octets.trim_ascii();
    let is_printed = text.ends_with(b"=") || text.len() == 64 && !text.iter().all(u8::is_ascii_hexdigit);
    let decoded = std::str::from_utf8(text).ok().filter(|_| is_printed).and_then(|text| decoded(text).ok());
    decoded.is_some_and(|octets| octets.expose().len() >= 16)
}

/// Tells whether a line is nsupdate's command `key [hmac:]name base64`.
fn is_nsupdate(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    matches!(words[..], [key, name, _] if key.eq_ignore_ascii_case("key") && !name.starts_with(':'))
}
