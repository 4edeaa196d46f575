//! Keys that have a line each: `[hmac:]name:base64`, and the KEY records of dnssec-keygen's `K*.key` files (RFC 2535 section 3; the
//! numbers of the HMACs are BIND's own).

use super::{Algorithm, KeyError, TsigKey};

/// Reads all lines. A line that begins with `#` is a comment, unless it is all that there is: what `keymgr -t` prints first.
pub(super) fn read(text: &str) -> Result<Vec<TsigKey>, KeyError> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    if let Some(first) = lines().next().and_then(|line| line.strip_prefix('#')).filter(|_| lines().count() == 1) {
        return Ok(TsigKey::parse(first).into_iter().collect());
    }
    let code = lines().filter(|line| !line.starts_with(['#', ';']));
    code.map(|line| match record(line) {
        Some(key) => key,
        None if is_nsupdate(line) => Err(KeyError::Nsupdate),
        None => TsigKey::parse(line),
    })
    .collect()
}

/// `name. [ttl] [IN] KEY flags protocol algorithm base64`, where a line is that.
fn record(line: &str) -> Option<Result<TsigKey, KeyError>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "KEY").filter(|place| (1..=3).contains(place))?;
    let [_flags, _protocol, algorithm, secret @ ..] = &words[place + 1..] else { return None };
    let algorithm = match algorithm.parse::<u8>().ok()? {
        157 => return Some(Err(KeyError::Md5)),
        161 => Algorithm::Sha1,
        162 => Algorithm::Sha224,
        163 => Algorithm::Sha256,
        164 => Algorithm::Sha384,
        165 => Algorithm::Sha512,
        _ => return Some(Err(KeyError::Algorithm)),
    };
    Some(TsigKey::new(algorithm, words[0], &secret.concat()))
}

/// `key [hmac:]name secret`.
fn is_nsupdate(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.len() == 3 && words[0].eq_ignore_ascii_case("key")
}
