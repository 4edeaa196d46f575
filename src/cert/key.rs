//! The private key of a certificate, and the request (CSR) it signs.

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::Serialize;
use zeroize::Zeroizing;

use super::facts::sha256;
use crate::base::name::Domain;
use crate::base::secret::Secret;

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum KeyType {
    /// ECDSA on P-256.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
}

impl KeyType {
    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            KeyType::EcdsaP256 => "ecdsa-p256",
            KeyType::EcdsaP384 => "ecdsa-p384",
        }
    }
}

/// A private key that can sign requests.
pub struct CertificateKey(Zeroizing<KeyPair>);

/// The reason why a text is not such a key; holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// No PEM section with a private key, or one whose content is broken.
    Unparsable,
    /// A key of a kind that ring cannot read: RSA below 2048 bits, P-521, Ed448 …
    UnknownKind,
}

impl CertificateKey {
    /// Generates a key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate(kind: KeyType) -> Result<CertificateKey, String> {
        let algorithm = match kind {
            KeyType::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyType::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        };
        KeyPair::generate_for(algorithm)
            .map(Zeroizing::new)
            .map(CertificateKey)
            .map_err(|e| format!("no key could be made: {e}"))
    }

    /// Reads the key of a Secret for reuse. Only PKCS#8 can sign.
    ///
    /// # Errors
    /// Whether the text is no key, or a key that cannot sign.
    pub fn from_pem(pem: &[u8]) -> Result<CertificateKey, KeyError> {
        let der = Zeroizing::new(PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::UnknownKind)?);
        KeyPair::try_from(&*der).map(Zeroizing::new).map(CertificateKey).map_err(|_| KeyError::UnknownKind)
    }

    /// Whether the key is of this type. RSA is of no type.
    pub fn is(&self, kind: KeyType) -> bool {
        match kind {
            KeyType::EcdsaP256 => self.0.is_compatible(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyType::EcdsaP384 => self.0.is_compatible(&rcgen::PKCS_ECDSA_P384_SHA384),
        }
    }

    /// The key as PKCS#8 in PEM, the stored form.
    pub fn pem(&self) -> Secret<Vec<u8>> {
        Secret::known("a private key", self.0.serialize_pem().into_bytes())
    }

    /// The CSR for these names in DER. The subject is empty: a CA that wants a CN takes it from the names.
    ///
    /// # Errors
    /// When signing fails.
    pub fn request(&self, names: &[Domain]) -> Result<Vec<u8>, String> {
        let names: Vec<String> = names.iter().map(Domain::to_string).collect();
        let mut params = CertificateParams::new(names).map_err(|e| format!("no request could be made: {e}"))?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&*self.0).map_err(|e| format!("no request could be made: {e}"))?;
        Ok(request.der().to_vec())
    }
}

/// The SubjectPublicKeyInfo of a private key in PEM of any form (PKCS#8, PKCS#1, SEC 1).
///
/// # Errors
/// Whether the text is no key, or a key of a kind that ring cannot read.
pub fn public_of(pem: &[u8]) -> Result<Vec<u8>, KeyError> {
    let der = Zeroizing::new(PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::Unparsable)?);
    let known =
        rustls::crypto::ring::sign::any_supported_type(&der).ok().and_then(|key| Some(key.public_key()?.to_vec()));
    known.ok_or_else(|| if is_der_sequence(der.secret_der()) { KeyError::UnknownKind } else { KeyError::Unparsable })
}

/// The SHA-256 of [`public_of`], comparable with [`CertificateFacts`](super::facts::CertificateFacts).
///
/// # Errors
/// The errors of [`public_of`].
pub fn public_digest(pem: &[u8]) -> Result<[u8; 32], KeyError> {
    public_of(pem).map(|public| sha256(&public))
}

/// Whether the octets are one whole DER SEQUENCE, like every private key. If so, only the kind of the key is unknown.
fn is_der_sequence(der: &[u8]) -> bool {
    matches!(x509_parser::der_parser::parse_der(der), Ok((&[], object)) if object.as_sequence().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_its_request_hold_the_names_and_no_subject() {
        for kind in [KeyType::EcdsaP256, KeyType::EcdsaP384] {
            let key = CertificateKey::generate(kind).unwrap();
            let der = key.request(&[Domain::parse("a.test").unwrap(), Domain::parse("*.a.test").unwrap()]).unwrap();
            let (_, csr) =
                <x509_parser::certification_request::X509CertificationRequest<'_> as x509_parser::prelude::FromDer<
                    '_,
                    x509_parser::error::X509Error,
                >>::from_der(&der)
                .unwrap();
            csr.verify_signature().unwrap();
            assert_eq!(csr.certification_request_info.subject.iter().count(), 0);
            let names = format!("{:?}", csr.requested_extensions().unwrap().collect::<Vec<_>>());
            assert!(names.contains("DNSName(\"a.test\")") && names.contains("DNSName(\"*.a.test\")"), "{names}");
            assert_eq!(csr.certification_request_info.subject_pki.raw, public_of(key.pem().expose()).unwrap());

            let again = CertificateKey::from_pem(key.pem().expose()).unwrap();
            assert!(again.is(kind));
            assert_eq!(public_of(again.pem().expose()), public_of(key.pem().expose()));
        }
    }

    /// Made with OpenSSL 3.0: `openssl ecparam -genkey`, `openssl genrsa -traditional`, `openssl genpkey`.
    #[test]
    fn keys_of_other_programs_are_read_or_named_unknown() {
        let read = |file: &str| public_of(&std::fs::read(format!("tests/vectors/keys/{file}")).unwrap());
        for (file, public) in [
            ("p256-sec1.pem", "p256.pub"),
            ("p256-pkcs8.pem", "p256.pub"),
            ("rsa2048-pkcs1.pem", "rsa2048.pub"),
            ("rsa2048-pkcs8.pem", "rsa2048.pub"),
            ("ed25519-pkcs8.pem", "ed25519.pub"),
        ] {
            let expected = std::fs::read(format!("tests/vectors/keys/{public}")).unwrap();
            let expected = rustls::pki_types::SubjectPublicKeyInfoDer::from_pem_slice(&expected).unwrap();
            assert_eq!(read(file).as_deref(), Ok(&expected[..]), "{file}");
        }
        assert_eq!(read("p521-sec1.pem"), Err(KeyError::UnknownKind));
        assert_eq!(read("rsa1024-pkcs8.pem"), Err(KeyError::UnknownKind));
        assert_eq!(public_of(b""), Err(KeyError::Unparsable));
        assert_eq!(
            public_of(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            Err(KeyError::Unparsable)
        );
    }
}
