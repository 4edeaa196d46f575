//! A certificate signing request (CSR, RFC 2986) that somebody else made and signed with a key that is never seen here.
//!
//! Untrusted: all of it.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use x509_parser::certification_request::{X509CertificationRequest, X509CertificationRequestInfo};
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::error::X509Error;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_NIST_EC_P384, OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA, OID_X509_EXT_SUBJECT_ALT_NAME,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::facts::{hex, sha256};
use crate::base::limits::{CSR_OCTETS_MAX, DOMAINS_MAX};
use crate::base::name::Domain;
use crate::base::pem;
use crate::base::sanitize::one_line;
use crate::base::shared_str::SharedStr;

/// A CSR that can be ordered as it is: signed by its own key, with DNS names only, none of which covers another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest(Arc<Checked>);

#[derive(Debug, PartialEq, Eq)]
struct Checked {
    der: Vec<u8>,
    names: Vec<Domain>,
    common_name: Option<Domain>,
    public_key: [u8; 32],
    word: SharedStr,
}

impl CertificateRequest {
    /// Reads the one CSR of a PEM text.
    ///
    /// # Errors
    /// The first fault: the rest of a sentence, which repeats no more of the text than a name.
    pub fn from_pem(text: &str) -> Result<CertificateRequest, String> {
        check_size(text)?;
        if text.contains("PRIVATE KEY-----") {
            return Err("holds a private key, which is to stay where it was made: write the CSR alone".to_owned());
        }
        // RFC 7468 section 7: some programs write another word.
        let text = text.replace("NEW CERTIFICATE REQUEST-----", "CERTIFICATE REQUEST-----");
        match pem::requests(text.as_bytes(), 2).map_err(|e| format!("is {e}"))?.as_slice() {
            [] => Err("holds no CSR; in PEM it begins with `-----BEGIN CERTIFICATE REQUEST-----`".to_owned()),
            [der] => CertificateRequest::read(der),
            _ => Err("holds more than one CSR; a certificate has one".to_owned()),
        }
    }

    /// Reads the base64 of a PEM text, as objects of an API server carry it. Line breaks in it are passed over.
    ///
    /// # Errors
    /// As above.
    pub fn from_base64(text: &str) -> Result<CertificateRequest, String> {
        check_size(text)?;
        let pem = STANDARD.decode(text.replace(['\r', '\n'], "")).ok().and_then(|pem| String::from_utf8(pem).ok());
        CertificateRequest::from_pem(&pem.ok_or("is not the base64 of a CSR in PEM")?)
    }

    fn read(der: &[u8]) -> Result<CertificateRequest, String> {
        let Ok((&[], request)) = X509CertificationRequest::from_der(der) else {
            return Err("does not parse as a CSR".to_owned());
        };
        let info = &request.certification_request_info;
        // No signature covers this octet of its own BIT STRING.
        if request.signature_value.unused_bits != 0 {
            return Err("does not parse as a CSR".to_owned());
        }
        check_key(&info.subject_pki)?;
        check_signature(&request)?;
        Ok(CertificateRequest(Arc::new(Checked {
            der: der.to_vec(),
            common_name: common_name(info),
            names: names(info)?,
            public_key: sha256(info.subject_pki.raw),
            word: SharedStr::new(&format!("{WORD}{}", hex(&sha256(der)[..16]))),
        })))
    }

    /// The CSR in DER, as it was made.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The names that the CSR asks for, sorted, each once; at least one.
    pub fn names(&self) -> &[Domain] {
        &self.0.names
    }

    /// The common name, which is one of the names; `None` without one.
    pub fn common_name(&self) -> Option<&Domain> {
        self.0.common_name.as_ref()
    }

    /// SHA-256 of the SubjectPublicKeyInfo in DER, comparable with [`CertificateFacts`](super::facts::CertificateFacts).
    pub fn public_key(&self) -> &[u8; 32] {
        &self.0.public_key
    }

    /// A word for this CSR and no other. Stands where the type of a key stands that is made here.
    pub fn word(&self) -> &SharedStr {
        &self.0.word
    }
}

/// The CSR in PEM, written anew.
impl Serialize for CertificateRequest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&pem::section("CERTIFICATE REQUEST", &self.0.der))
    }
}

const WORD: &str = "csr-";

/// Tells whether a text is the [`CertificateRequest::word`] of some CSR.
pub fn is_word(text: &str) -> bool {
    text.starts_with(WORD)
}

fn check_size(text: &str) -> Result<(), String> {
    match text.len() {
        0..=CSR_OCTETS_MAX => Ok(()),
        more => Err(format!("has {more} octets; a CSR may have {CSR_OCTETS_MAX}")),
    }
}

/// Checks the kind and the size of the key, which every CA limits.
fn check_key(key: &SubjectPublicKeyInfo<'_>) -> Result<(), String> {
    const POSSIBLE: &str = "RSA with 2048 bits and more, P-256 and P-384 are possible";
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let zeros = rsa.modulus.iter().take_while(|octet| **octet == 0).count();
            let first = rsa.modulus.get(zeros).map_or(0, |octet| octet.leading_zeros() as usize);
            match 8 * (rsa.modulus.len() - zeros) - first {
                2048.. => Ok(()),
                bits => Err(format!("is for an RSA key of {bits} bits; {POSSIBLE}")),
            }
        }
        Ok(PublicKey::EC(_)) if [Some(OID_EC_P256), Some(OID_NIST_EC_P384)].contains(&curve) => Ok(()),
        Ok(_) | Err(_) => Err(format!("is for a key of a kind that CAs do not take; {POSSIBLE}")),
    }
}

fn check_signature(request: &X509CertificationRequest<'_>) -> Result<(), String> {
    let is_sha1 = [OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA].contains(&request.signature_algorithm.algorithm);
    match request.verify_signature() {
        Ok(()) if !is_sha1 => Ok(()),
        Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm) => {
            Err("is signed in a way that CAs do not take; SHA-256 and SHA-384 are possible".to_owned())
        }
        Err(_) => Err("is not signed by its own key: it was changed after it was made".to_owned()),
    }
}

/// The DNS names of the subjectAltName. A common name must be one of them (CA/Browser Forum Baseline Requirements 7.1.4.3).
fn names(info: &X509CertificationRequestInfo<'_>) -> Result<Vec<Domain>, String> {
    let requested = info.iter_attributes().filter_map(|attribute| match attribute.parsed_attribute() {
        ParsedCriAttribute::ExtensionRequest(requested) => Some(&requested.extensions),
        _ => None,
    });
    let mut alternative = requested.flatten().filter(|extension| extension.oid == OID_X509_EXT_SUBJECT_ALT_NAME);
    let named = match (alternative.next().map(|names| names.parsed_extension()), alternative.next()) {
        (Some(ParsedExtension::SubjectAlternativeName(names)), None) => names.general_names.as_slice(),
        (None, _) => &[],
        (Some(_), _) => return Err("has no subjectAltName that can be read, or two of them".to_owned()),
    };
    let mut names = named.iter().map(dns_name).collect::<Result<Vec<Domain>, String>>()?;
    names.sort();
    names.dedup();
    match names.len() {
        0 => return Err("asks for no DNS name in its subjectAltName, where CAs look for them".to_owned()),
        1..=DOMAINS_MAX => {}
        more => return Err(format!("asks for {more} names; CAs allow {DOMAINS_MAX} in one certificate")),
    }
    if let Some(covered) = names.iter().find(|name| names.iter().any(|other| other != *name && other.covers(name))) {
        return Err(format!(
            "asks for {covered} and for a wildcard that covers it, which CAs refuse; make a CSR without one of them"
        ));
    }
    for name in info.subject.iter_common_name() {
        let text = name.as_str().unwrap_or("?");
        if !text.is_empty() && !Domain::parse(text).is_ok_and(|name| names.contains(&name)) {
            return Err(format!("has the common name {}, which is not among its DNS names", shown(text)));
        }
    }
    Ok(names)
}

fn common_name(info: &X509CertificationRequestInfo<'_>) -> Option<Domain> {
    info.subject.iter_common_name().find_map(|name| Domain::parse(name.as_str().ok()?).ok())
}

fn dns_name(name: &GeneralName<'_>) -> Result<Domain, String> {
    let other = match name {
        GeneralName::DNSName(text) => {
            let parsed = Domain::parse(text).map_err(|e| format!("asks for {}, which {e}", shown(text)))?;
            // The CA compares the name as it stands there, apart from its case.
            return match parsed.to_string() == text.to_ascii_lowercase() {
                true => Ok(parsed),
                false => Err(format!("asks for {}, which has to be written as {parsed}", shown(text))),
            };
        }
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            let ip = v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from));
            format!("an IP address{}", ip.map(|ip| format!(" ({ip})")).unwrap_or_default())
        }
        GeneralName::RFC822Name(text) => format!("the email address {}", shown(text)),
        GeneralName::URI(text) => format!("the URI {}", shown(text)),
        _ => "a name of another kind".to_owned(),
    };
    Err(format!("asks for {other}, and only DNS names can be proved here; make a CSR without it"))
}

/// A text of the CSR for a sentence, made harmless.
fn shown(text: &str) -> String {
    format!("{:?}", one_line(text).chars().take(100).collect::<String>())
}

#[cfg(test)]
mod tests;
