//! The path from a leaf certificate upwards, built from certificates in any order. Pure.
//!
//! Untrusted: everything that was sent.

use std::fmt;

use rustls::pki_types::CertificateDer;
use x509_parser::error::X509Error;
use x509_parser::prelude::X509Certificate;

use super::facts::parse;
use crate::base::pem::section;
use crate::base::sanitize::one_line;

/// A path, and the certificates outside of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The certificates, leaf first; each is signed by the next one.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The subjects of the certificates outside of the path, in the order sent.
    pub dropped: Vec<String>,
    /// True if the certificates were sent in the order of the path, with nothing between them.
    pub is_as_sent: bool,
}

/// None of the certificates that were sent signed the leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    /// The issuer that the leaf names.
    pub issuer: String,
    /// The subjects of the other certificates.
    pub sent: Vec<String>,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PathError { issuer, sent } = self;
        let sent = sent.join(", ");
        write!(
            f,
            "none of the certificates that came with it signed the certificate: its issuer is {issuer}, and {sent} came"
        )
    }
}

/// Builds the path from the certificate at `leaf` upwards, as far as possible. Of several issuers of one certificate
/// the first is taken. Where ring cannot check a kind of signature, the names alone decide.
///
/// # Errors
/// When there are other certificates, and none of them signed the leaf.
pub fn build(sent: &[CertificateDer<'static>], leaf: usize) -> Result<Path, PathError> {
    let parsed: Vec<Option<X509Certificate<'_>>> = sent.iter().map(|der| parse(der).ok()).collect();
    let mut path = vec![leaf];
    let mut at = leaf;
    while let Some(lower) = parsed[at].as_ref().filter(|lower| !is_self_issued(lower)) {
        let is_issuer = |n: &usize| {
            let is_new = path.iter().all(|used| sent[*used] != sent[*n]);
            is_new && parsed[*n].as_ref().is_some_and(|upper| has_signed(upper, lower))
        };
        let Some(next) = (0..sent.len()).find(is_issuer) else { break };
        path.push(next);
        at = next;
    }
    let subject = |n: &usize| parsed[*n].as_ref().map_or_else(|| "one that does not parse".to_owned(), subject);
    let others: Vec<usize> = (0..sent.len()).filter(|n| !path.contains(n)).collect();
    let is_alone = path.len() == 1 && others.iter().all(|n| sent[*n] == sent[leaf]);
    if path.len() == 1
        && !is_alone
        && let Some(lower) = parsed[leaf].as_ref().filter(|lower| !is_self_issued(lower))
    {
        let sent = others.iter().map(subject).collect();
        return Err(PathError { issuer: named(&lower.issuer().to_string()), sent });
    }
    Ok(Path {
        certificates: path.iter().map(|n| sent[*n].clone()).collect(),
        dropped: others.iter().map(subject).collect(),
        is_as_sent: path.iter().copied().eq(0..path.len()),
    })
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.issuer().as_raw() == certificate.subject().as_raw()
}

fn has_signed(upper: &X509Certificate<'_>, lower: &X509Certificate<'_>) -> bool {
    let is_named = lower.issuer().as_raw() == upper.subject().as_raw();
    is_named
        && matches!(
            lower.verify_signature(Some(upper.public_key())),
            Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm)
        )
}

fn subject(certificate: &X509Certificate<'_>) -> String {
    named(&certificate.subject().to_string())
}

/// A name for a sentence, made harmless: a peer chose it.
fn named(text: &str) -> String {
    match one_line(text).chars().take(100).collect::<String>() {
        empty if empty.is_empty() => "one without a subject".to_owned(),
        name => format!("{name:?}"),
    }
}

/// The certificates in the PEM form of RFC 7468 section 5.1, which every program reads.
pub fn pem(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    certificates.iter().map(|der| section("CERTIFICATE", der)).collect::<String>().into_bytes()
}

/// The lines that begin and end a certificate (RFC 7468 section 5.1).
const BOUNDARIES: [&[u8]; 2] = [b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"];

/// The text with these boundaries on lines of their own; not every CA sends them so.
pub fn unglued(text: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(text.len() + 256);
    let mut at = 0;
    while let Some(octet) = text.get(at) {
        match BOUNDARIES.into_iter().find(|boundary| text[at..].starts_with(boundary)) {
            Some(boundary) => {
                clean.extend([b"\n", boundary, b"\n"].concat());
                at += boundary.len();
            }
            None => {
                clean.push(*octet);
                at += 1;
            }
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    fn ca(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn key() -> KeyPair {
        KeyPair::generate().unwrap()
    }

    /// A leaf, its intermediates `I2` and `I1`, the root `R`, `R` as signed by an older root `O`, a stranger that has the name of `I2`, and
    /// one with another name. Made by rcgen, which is not the code under test.
    fn all() -> Vec<(&'static str, CertificateDer<'static>)> {
        let (root, old, first, second) = (key(), key(), key(), key());
        let root_der = ca("R").self_signed(&root).unwrap().der().clone();
        let old_der = ca("O").self_signed(&old).unwrap().der().clone();
        let cross_der = ca("R").signed_by(&root, &Issuer::new(ca("O"), old)).unwrap().der().clone();
        let root = Issuer::new(ca("R"), root);
        let first_der = ca("I1").signed_by(&first, &root).unwrap().der().clone();
        let first = Issuer::new(ca("I1"), first);
        let second_der = ca("I2").signed_by(&second, &first).unwrap().der().clone();
        let second = Issuer::new(ca("I2"), second);
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "leaf");
        let leaf = params.signed_by(&key(), &second).unwrap().der().clone();
        let alone = CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key()).unwrap();
        vec![
            ("leaf", leaf),
            ("I2", second_der),
            ("I1", first_der),
            ("R", root_der),
            ("X", cross_der),
            ("O", old_der),
            ("false", ca("I2").self_signed(&key()).unwrap().der().clone()),
            ("stranger", ca("stranger").self_signed(&key()).unwrap().der().clone()),
            ("garbage", CertificateDer::from(vec![0x30, 0x01, 0x00])),
            ("self", alone.der().clone()),
        ]
    }

    #[test]
    fn a_subject_is_named_harmlessly_and_an_empty_one_all_the_same() {
        assert_eq!(named(""), "one without a subject");
        assert_eq!(named("\u{85}CN=a\n"), named("CN=a"));
        assert_eq!(named(&"x".repeat(500)).len(), 102);
    }

    #[test]
    fn a_path_is_built_from_the_leaf_whatever_was_sent() {
        let all = all();
        let named = |name: &str| all.iter().find(|(n, _)| *n == name).unwrap().1.clone();
        for (sent, path, dropped) in [
            ("leaf", "leaf", 0),
            ("leaf I2 I1", "leaf I2 I1", 0),
            ("leaf I2 I1 R", "leaf I2 I1 R", 0),
            ("leaf I2", "leaf I2", 0),
            // A duplicate, an extra, a misplaced one.
            ("leaf I2 I2 I1", "leaf I2 I1", 1),
            ("leaf leaf I2 I1", "leaf I2 I1", 1),
            ("leaf leaf", "leaf", 1),
            ("leaf I2 stranger I1", "leaf I2 I1", 1),
            ("leaf I2 I1 stranger", "leaf I2 I1", 1),
            ("stranger leaf I2", "leaf I2", 1),
            ("leaf I1 I2", "leaf I2 I1", 0),
            ("R I1 I2 leaf", "leaf I2 I1 R", 0),
            ("leaf garbage I2", "leaf I2", 1),
            // One that only has the name of the issuer.
            ("leaf false I2", "leaf I2", 1),
            // Of two roads upwards the first that was sent.
            ("leaf I2 I1 X O", "leaf I2 I1 X O", 0),
            ("leaf I2 I1 X R", "leaf I2 I1 X", 1),
            ("leaf I2 I1 R X", "leaf I2 I1 R", 1),
            ("self stranger", "self", 1),
        ] {
            let sent_der: Vec<_> = sent.split(' ').map(&named).collect();
            let leaf = sent.split(' ').position(|name| name == "leaf" || name == "self").unwrap();
            let found = build(&sent_der, leaf).unwrap();
            let expected: Vec<_> = path.split(' ').map(&named).collect();
            assert_eq!(found.certificates, expected, "{sent}");
            assert_eq!((found.dropped.len(), found.is_as_sent), (dropped, sent.starts_with(path)), "{sent}");
        }
    }

    /// The sentence about a Secret that another program filled.
    #[test]
    fn a_chain_that_servers_would_show_is_judged_by_its_names() {
        use super::super::facts::{Links, read};
        let all = all();
        for (held, expected) in [
            ("leaf", Links::Alone),
            ("leaf I2", Links::Whole),
            ("leaf I2 I1 R", Links::Whole),
            ("leaf I1 I2", Links::Broken),
            ("leaf leaf I2", Links::Broken),
            ("leaf I2 garbage", Links::Broken),
            ("leaf stranger", Links::Broken),
            ("self", Links::Whole),
        ] {
            let named = |name: &str| all.iter().find(|(n, _)| *n == name).unwrap().1.clone();
            let (_, facts) = read(&pem(&held.split(' ').map(named).collect::<Vec<_>>())).unwrap();
            assert_eq!(facts.links, expected, "{held}");
        }
    }

    #[test]
    fn where_no_path_remains_the_subjects_are_named() {
        let all = all();
        let named = |name: &str| all.iter().find(|(n, _)| *n == name).unwrap().1.clone();
        for (sent, part) in [
            ("leaf stranger", "its issuer is \"CN=I2\", and \"CN=stranger\" came"),
            ("leaf I1 R", "its issuer is \"CN=I2\", and \"CN=I1\", \"CN=R\" came"),
            ("leaf false", "its issuer is \"CN=I2\", and \"CN=I2\" came"),
            ("leaf garbage", "one that does not parse came"),
        ] {
            let sent_der: Vec<_> = sent.split(' ').map(&named).collect();
            let error = build(&sent_der, 0).unwrap_err().to_string();
            assert!(error.contains(part), "{sent}: {error}");
        }
    }

    #[test]
    fn certificates_are_written_as_openssl_writes_them() {
        let der = CertificateDer::from(vec![0; 48]);
        let lines = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", "A".repeat(64));
        assert_eq!(pem(&[der.clone(), der]), lines.repeat(2).into_bytes());
    }
}
