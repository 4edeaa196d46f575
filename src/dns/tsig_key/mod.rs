//! TSIG keys in the forms in which operators write them into a Secret. [`parse_keys`] recognises the form; each form
//! has its module.
//!
//! The text is secret as a whole: an operator may have put the parts in the wrong order, so no error repeats any of it.

mod bind;
mod key;
mod line;
mod record;
mod section;

use key::decoded;
pub use key::{Algorithm, TsigKey};

use super::tsig_key_error::TsigKeyError;
use crate::base::limits::TSIG_KEYS_MAX;

/// Reads the value of a key's Secret as [`parse_keys`] does.
///
/// # Errors
/// The fault, without any of the text.
pub fn read_keys(octets: &[u8]) -> Result<Vec<TsigKey>, TsigKeyError> {
    // ASCII text in UTF-16 has a NUL beside each character; a key in UTF-8 has none.
    if octets.starts_with(&[0xff, 0xfe]) || octets.starts_with(&[0xfe, 0xff]) || octets.contains(&0) {
        return Err(TsigKeyError::Utf16);
    }
    parse_keys(std::str::from_utf8(octets).map_err(|_| TsigKeyError::NotText)?)
}

/// Reads the text of a key's Secret: one or several keys, which are tried in their order, so that a key can be
/// exchanged without a gap. The forms:
/// - `[hmac:]name:base64` on a line of its own, and the output of Knot's `keymgr -t` (lines and sections may be mixed)
/// - `key:` sections of knot.conf and nsd.conf
/// - `key "name" { algorithm hmac-sha256; secret "base64"; };`, the clauses of named.conf and of tsig-keygen
/// - `name. IN KEY 512 3 163 base64`, the file K*.key of dnssec-keygen and ldns-keygen
///
/// # Errors
/// The fault, without any of the text.
pub fn parse_keys(text: &str) -> Result<Vec<TsigKey>, TsigKeyError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let keys = if text.starts_with(['{', '[']) {
        Err(TsigKeyError::Json)
    } else if record::is_private_file(text) {
        Err(TsigKeyError::PrivateFile)
    } else if section::is_one(text) {
        section::keys(text)
    } else if record::is_one(text) {
        record::keys(text)
    } else if bind::is_one(text)? {
        bind::keys(text)
    } else {
        line::keys(text)
            .map_err(|e| if text.lines().any(encodes_keys) || encodes_keys(text) { TsigKeyError::Twice } else { e })
    }?;
    match keys.len() {
        0 => Err(TsigKeyError::Empty),
        1..=TSIG_KEYS_MAX => Ok(keys),
        _ => Err(TsigKeyError::Many),
    }
}

/// Tells whether a line, or all lines of a text, are the base64 of another text with keys. `base64` breaks its lines.
fn encodes_keys(line: &str) -> bool {
    let octets = decoded(line).ok().filter(|_| !line.contains(':'));
    let inner = octets.as_ref().and_then(|octets| std::str::from_utf8(octets.expose()).ok());
    inner.is_some_and(|inner| inner.contains([':', '{']) && parse_keys(inner).is_ok())
}

#[cfg(test)]
mod tests;
