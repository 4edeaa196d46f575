//! Reads certificates and CSRs from PEM text, and writes sections. Errors name a line and never quote the text, because it may hold a private key;
//! the parser's own errors quote their input.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};

const BEGINS: &[u8] = b"-----BEGIN";

/// The certificates of a PEM text in their order, `most` at most. Other sections are skipped.
///
/// # Errors
/// The rest of a sentence: the fault and its line.
pub fn certificates(pem: &[u8], most: usize) -> Result<Vec<CertificateDer<'static>>, String> {
    sections(pem, most)
}

/// The CSRs of a PEM text, as [`certificates`] reads certificates.
///
/// # Errors
/// As above.
pub fn requests(pem: &[u8], most: usize) -> Result<Vec<CertificateSigningRequestDer<'static>>, String> {
    sections(pem, most)
}

fn sections<T: PemObject>(pem: &[u8], most: usize) -> Result<Vec<T>, String> {
    let mut sections = T::pem_slice_iter(pem);
    let mut all = Vec::new();
    while all.len() < most {
        match sections.next() {
            None => break,
            Some(Ok(section)) => all.push(section),
            Some(Err(error)) => {
                let read = &pem[..pem.len() - sections.remainder().len()];
                return Err(sentence(&error, line_of_last_section(read)));
            }
        }
    }
    Ok(all)
}

/// One section, as RFC 7468 section 2 has generators write it, which every program reads.
pub fn section(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        text.extend(line.iter().map(|b| char::from(*b)));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

/// The rest of a sentence about an encrypted key in PEM.
pub const ENCRYPTED: &str = "is encrypted: write it without a passphrase, with `openssl pkey -in FILE`";

/// Tells whether a private key in PEM is encrypted: PKCS#8 (RFC 7468 section 11), or the older form with `Proc-Type` (RFC 1421).
pub fn is_encrypted(pem: &[u8]) -> bool {
    let has = |marker: &[u8]| pem.windows(marker.len()).any(|part| part == marker);
    has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED")
}

/// Uses nothing of the error's contents.
fn sentence(error: &Error, line: usize) -> String {
    match error {
        Error::MissingSectionEnd { .. } => {
            format!("not PEM: the section that begins in line {line} has no line that ends it")
        }
        Error::IllegalSectionStart { .. } => {
            format!("not PEM: line {line} is no whole `-----BEGIN …-----`; are line breaks lost?")
        }
        Error::Base64Decode(_) => format!("not PEM: the section that begins in line {line} is not base64"),
        _ => format!("not PEM: the section that begins in line {line} can not be read"),
    }
}

/// The number of the line in which the last section of `read` begins.
fn line_of_last_section(read: &[u8]) -> usize {
    let begins = read.windows(BEGINS.len()).rposition(|part| part == BEGINS).unwrap_or(0);
    1 + read[..begins].iter().filter(|octet| **octet == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_fault_is_named_and_nothing_else_of_the_text() {
        const GOOD: &str = "words\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (bad, part) in [
            ("-----BEGIN CERTIFICATE-----\nc2VjcmV0\n", "line 5 has no line that ends it"),
            ("\n-----BEGIN CERTIFICATE-----\nc2Vj!cmV0\n-----END CERTIFICATE-----\n", "line 6 is not base64"),
            ("-----BEGIN PRIVATE KEY-----c2VjcmV0-----END PRIVATE KEY-----", "line 5"),
            ("-----BEGIN c2VjcmV0\nc2VjcmV0", "line 5 is no whole"),
        ] {
            let error = certificates(format!("{GOOD}{bad}").as_bytes(), 9).unwrap_err();
            assert!(error.contains(part) && !error.contains("c2V") && !error.contains("99, 50"), "{bad}: {error}");
        }
        assert_eq!(certificates(GOOD.repeat(3).as_bytes(), 2).unwrap().len(), 2);
        assert_eq!(certificates(b"", 2), Ok(Vec::new()));
    }
}
