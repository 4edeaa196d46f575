//! Facts of a certificate chain: names, validity, serial, key, order of the chain.
//!
//! Untrusted: the whole chain, whether from a Secret that anybody may have written or from a CA.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::base::limits::{CHAIN_CERTIFICATES_MAX, CHAIN_OCTETS_MAX};
use crate::base::name::Domain;
use crate::base::pem;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;

/// The facts of a leaf certificate that decisions need. None of them is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The DNS names of the subjectAltName, lower case. Names of other forms are left out.
    pub names: Vec<Domain>,
    /// The begin of the validity.
    pub not_before: Time,
    /// The end of the validity.
    pub not_after: Time,
    /// The serial number in hexadecimal, as in DER (a leading 00 included).
    pub serial: SharedStr,
    /// SHA-256 of the SubjectPublicKeyInfo in DER.
    pub public_key: [u8; 32],
    /// The issuer's common name, or an empty text.
    pub issuer: SharedStr,
    /// SHA-256 of the leaf.
    pub fingerprint: [u8; 32],
    /// The identifier for renewal information (RFC 9773 section 4.1); `None` where the certificate has no authority key
    /// identifier.
    pub cert_id: Option<SharedStr>,
    /// The order of the certificates that came with it.
    pub links: Links,
}

/// The order of the certificates of a chain, judged by their names alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Each certificate is followed by its issuer.
    #[default]
    Whole,
    /// The leaf alone, issued by another certificate.
    Alone,
    /// A certificate is followed by one that is not its issuer.
    Broken,
}

impl CertificateFacts {
    /// Tells whether the certificate serves `domain`.
    pub fn covers(&self, domain: &Domain) -> bool {
        self.names.iter().any(|n| n.covers(domain))
    }

    /// Tells whether the certificate belongs to the private key with this digest ([`super::key::public_digest`]).
    pub fn fits(&self, public: &[u8; 32]) -> bool {
        self.public_key == *public
    }

    /// Tells whether a staging issuer of Let's Encrypt signed the certificate, which nobody trusts.
    pub fn is_staging(&self) -> bool {
        self.issuer.starts_with("(STAGING)")
    }

    /// The time from the begin to the end of the validity.
    pub fn lifetime(&self) -> std::time::Duration {
        self.not_after.since(self.not_before)
    }
}

/// Reads the certificates of a PEM text, leaf first, and the facts of the leaf.
///
/// # Errors
/// The fault in the text.
pub fn read(pem: &[u8]) -> Result<(Vec<CertificateDer<'static>>, CertificateFacts), String> {
    let chain = certificates(pem)?;
    let facts = of(&chain[0])?;
    let links = links(&chain);
    Ok((chain, CertificateFacts { links, ..facts }))
}

fn links(chain: &[CertificateDer<'_>]) -> Links {
    let names = |der: &[u8]| parse(der).ok().map(|c| (c.subject().as_raw().to_vec(), c.issuer().as_raw().to_vec()));
    let names: Option<Vec<_>> = chain.iter().map(|der| names(der)).collect();
    match names.as_deref() {
        None => Links::Broken,
        Some([(subject, issuer)]) if subject != issuer => Links::Alone,
        Some(names) if names.windows(2).all(|pair| pair[0].1 == pair[1].0) => Links::Whole,
        Some(_) => Links::Broken,
    }
}

/// Reads the certificates of a PEM text, at least one. Text between them is ignored.
///
/// # Errors
/// The fault in the text.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    if pem.len() > CHAIN_OCTETS_MAX {
        return Err(format!("the chain has {} octets, more than the {CHAIN_OCTETS_MAX} that are read", pem.len()));
    }
    let chain = pem::certificates(pem, CHAIN_CERTIFICATES_MAX + 1);
    let chain = chain.map_err(|e| format!("the chain is {e}"))?;
    if chain.len() > CHAIN_CERTIFICATES_MAX {
        return Err(format!("the chain has more than {CHAIN_CERTIFICATES_MAX} certificates"));
    }
    if chain.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    Ok(chain)
}

/// Reads one certificate.
///
/// # Errors
/// When the octets are not exactly one X.509 certificate.
pub fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok((&[], certificate)) => Ok(certificate),
        Ok(_) => Err("a certificate has octets after its end".to_owned()),
        Err(e) => Err(format!("a certificate does not parse: {e}")),
    }
}

/// The facts of a certificate.
///
/// # Errors
/// When the certificate does not parse.
pub fn of(der: &CertificateDer<'_>) -> Result<CertificateFacts, String> {
    let certificate = parse(der)?;
    let mut names: Vec<Domain> = match certificate.subject_alternative_name() {
        Ok(Some(extension)) => extension.value.general_names.iter().filter_map(domain).collect(),
        Ok(None) => Vec::new(),
        Err(e) => {
            return Err(format!("its subjectAltName does not parse: {e}"));
        }
    };
    names.shrink_to_fit();
    let key_identifier = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    });
    let encoded = |octets| URL_SAFE_NO_PAD.encode(octets);
    let cert_id =
        key_identifier.map(|id| SharedStr::new(&format!("{}.{}", encoded(id), encoded(certificate.raw_serial()))));
    let issuer = certificate.issuer().iter_common_name().next().and_then(|cn| cn.as_str().ok()).unwrap_or_default();
    Ok(CertificateFacts {
        names,
        not_before: Time::from_unix(certificate.validity().not_before.timestamp()),
        not_after: Time::from_unix(certificate.validity().not_after.timestamp()),
        serial: SharedStr::new(&hex(certificate.raw_serial())),
        public_key: sha256(certificate.public_key().raw),
        issuer: SharedStr::intern(issuer),
        fingerprint: sha256(der),
        cert_id,
        links: Links::Whole,
    })
}

/// The common name of the subject of a certificate.
pub fn common_name(der: &CertificateDer<'_>) -> Option<String> {
    let certificate = parse(der).ok()?;
    certificate.subject().iter_common_name().next()?.as_str().ok().map(str::to_owned)
}

/// The kind of a certificate's public key: RSA with the bits of its modulus, an elliptic curve with the bits of its field, or another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKeyKind {
    /// RSA.
    Rsa(usize),
    /// ECDSA.
    Ecdsa(usize),
    /// Another kind.
    Other,
}

/// The kind of the public key of a certificate.
pub fn public_key_kind(der: &CertificateDer<'_>) -> PublicKeyKind {
    let Ok(certificate) = parse(der) else { return PublicKeyKind::Other };
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let modulus = rsa.modulus.iter().skip_while(|octet| **octet == 0);
            let octets: Vec<&u8> = modulus.collect();
            let zeros = octets.first().map_or(0, |first| first.leading_zeros() as usize);
            PublicKeyKind::Rsa(8 * octets.len() - zeros)
        }
        Ok(PublicKey::EC(point)) => PublicKeyKind::Ecdsa(point.key_size()),
        Ok(_) | Err(_) => PublicKeyKind::Other,
    }
}

/// The name as a [`Domain`]. Other kinds of names, and names that no configured one can equal, are left out.
fn domain(name: &GeneralName<'_>) -> Option<Domain> {
    match name {
        GeneralName::DNSName(text) => Domain::parse(text).ok(),
        _ => None,
    }
}

/// SHA-256.
pub fn sha256(octets: &[u8]) -> [u8; 32] {
    digest(&SHA256, octets).as_ref().try_into().expect("SHA-256 has 32 octets")
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
impl CertificateFacts {
    /// The facts of a certificate for these names; a test changes the facts that it is about.
    pub(crate) fn example(names: &[&str], not_before: Time, not_after: Time) -> CertificateFacts {
        CertificateFacts {
            names: names.iter().map(|name| Domain::parse(name).unwrap()).collect(),
            not_before,
            not_after,
            serial: "01".into(),
            public_key: [0; 32],
            issuer: "Some CA".into(),
            fingerprint: [0; 32],
            cert_id: None,
            links: Links::Whole,
        }
    }
}
