//! Keys as the file K*.key of dnssec-keygen (BIND up to 9.12) and ldns-keygen: `name. IN KEY 512 3 163 base64`. Pure.
//!
//! The algorithm numbers are those of the two programs; IANA's registry of DNSSEC algorithms has none for HMAC. ldns
//! has two numbers of its own, which BIND does not use.

use super::key::{Algorithm, TsigKey};
use crate::dns::tsig_key_error::TsigKeyError;

/// Tells whether the text is a file K*.private.
pub(super) fn is_private_file(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with("Private-key-format:"))
}

/// Tells whether a line is a KEY record.
pub(super) fn is_one(text: &str) -> bool {
    lines(text).any(|words| rdata(&words).is_some())
}

/// The keys of all records.
pub(super) fn keys(text: &str) -> Result<Vec<TsigKey>, TsigKeyError> {
    lines(text).filter(|words| !words.is_empty()).map(|words| key(&words)).collect()
}

fn key(words: &[&str]) -> Result<TsigKey, TsigKeyError> {
    let (name, rest) = words.split_first().ok_or(TsigKeyError::Record)?;
    let [_flags, _protocol, algorithm, base64 @ ..] = rdata(rest).ok_or(TsigKeyError::Record)? else {
        return Err(TsigKeyError::Record);
    };
    let algorithm = match *algorithm {
        "157" => return Err(TsigKeyError::Md5),
        "158" | "161" => Algorithm::Sha1,
        "162" => Algorithm::Sha224,
        "159" | "163" => Algorithm::Sha256,
        "164" => Algorithm::Sha384,
        "165" => Algorithm::Sha512,
        _ => return Err(TsigKeyError::PublicKey),
    };
    match base64 {
        [base64] => TsigKey::new(algorithm, name, base64),
        // Zone files may break base64 anywhere; these programs print one word.
        _ => Err(TsigKeyError::Record),
    }
}

/// The words after the type KEY, at least three numbers.
fn rdata<'w, 't>(words: &'w [&'t str]) -> Option<&'w [&'t str]> {
    let at = words.iter().position(|word| ["KEY", "DNSKEY"].iter().any(|known| word.eq_ignore_ascii_case(known)))?;
    let (_, rest) = words.get(at..)?.split_first()?;
    let is_number = |word: &&str| !word.is_empty() && word.bytes().all(|octet| octet.is_ascii_digit());
    rest.get(..3)?.iter().all(is_number).then_some(rest)
}

/// The words of each line up to a comment.
fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(';').next().unwrap_or_default().split_whitespace().collect())
}
