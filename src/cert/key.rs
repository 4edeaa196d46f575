//! The private key of a certificate, and the request (CSR) it signs.

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use ring::signature::RsaKeyPair;
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
    /// RSA with a modulus of 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA with a modulus of 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA with a modulus of 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

impl KeyType {
    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            KeyType::EcdsaP256 => "ecdsa-p256",
            KeyType::EcdsaP384 => "ecdsa-p384",
            KeyType::Rsa2048 => "rsa-2048",
            KeyType::Rsa3072 => "rsa-3072",
            KeyType::Rsa4096 => "rsa-4096",
        }
    }

    /// The bits of the modulus of an RSA key.
    pub const fn rsa_bits(self) -> Option<usize> {
        match self {
            KeyType::EcdsaP256 | KeyType::EcdsaP384 => None,
            KeyType::Rsa2048 => Some(2048),
            KeyType::Rsa3072 => Some(3072),
            KeyType::Rsa4096 => Some(4096),
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
    /// When the system gives no randomness, and for RSA in a build without the feature `rsa`.
    pub fn generate(kind: KeyType) -> Result<CertificateKey, String> {
        let made = match kind {
            KeyType::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyType::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyType::Rsa2048 => rsa_key(2048)?,
            KeyType::Rsa3072 => rsa_key(3072)?,
            KeyType::Rsa4096 => rsa_key(4096)?,
        };
        made.map(Zeroizing::new).map(CertificateKey).map_err(|e| format!("no key could be made: {e}"))
    }

    /// Reads the key of a Secret for reuse: PKCS#8, RSA as PKCS#1, or ECDSA as SEC 1, which is what cert-manager writes unless asked.
    ///
    /// # Errors
    /// Whether the text is no key, or a key that cannot sign.
    pub fn from_pem(pem: &[u8]) -> Result<CertificateKey, KeyError> {
        let der = Zeroizing::new(PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::UnknownKind)?);
        let read = |pkcs8: &[u8]| KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8)).ok();
        let key = match &*der {
            PrivateKeyDer::Pkcs8(pkcs8) => read(pkcs8.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(pkcs1) => read(&pkcs8_of(&RSA, pkcs1.secret_pkcs1_der())),
            // The curve may stand in the key as well; ring takes no other one.
            PrivateKeyDer::Sec1(sec1) => {
                let sec1 = sec1.secret_sec1_der();
                read(&pkcs8_of(&P256, sec1)).or_else(|| read(&pkcs8_of(&P384, sec1)))
            }
            _ => None,
        };
        key.map(Zeroizing::new).map(CertificateKey).ok_or(KeyError::UnknownKind)
    }

    /// Compares the type of the key.
    pub fn is(&self, kind: KeyType) -> bool {
        match kind {
            KeyType::EcdsaP256 => self.0.is_compatible(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyType::EcdsaP384 => self.0.is_compatible(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => self.rsa_bits() == kind.rsa_bits(),
        }
    }

    /// The bits of the modulus; `None` for keys of other kinds than RSA.
    pub fn rsa_bits(&self) -> Option<usize> {
        let key = RsaKeyPair::from_pkcs8(self.0.serialized_der()).ok()?;
        Some(key.public().modulus_len() * 8)
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

/// Generates an RSA key from the randomness of the operating system. From here on ring reads it and signs with it.
#[cfg(feature = "rsa")]
fn rsa_key(bits: usize) -> Result<Result<KeyPair, rcgen::Error>, String> {
    use rsa::pkcs8::EncodePrivateKey as _;
    let key = rsa::PrivateKey::new(&mut super::random::SystemRandomness, bits);
    let pkcs8 = key.map_err(|e| e.to_string()).and_then(|key| key.to_pkcs8_der().map_err(|e| e.to_string()));
    let pkcs8 = pkcs8.map_err(|e| format!("no key could be made: {e}"))?;
    Ok(KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8.as_bytes())))
}

#[cfg(not(feature = "rsa"))]
fn rsa_key(_: usize) -> Result<Result<KeyPair, rcgen::Error>, String> {
    Err("no RSA key could be made: this program was built without the feature `rsa`".to_owned())
}

/// The begin of a key in PKCS#8: version 0, and rsaEncryption without parameters.
const RSA: [u8; 18] = [2, 1, 0, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
/// The same with id-ecPublicKey and the curve P-256 (RFC 5480 section 2.1.1).
const P256: [u8; 24] =
    [2, 1, 0, 0x30, 19, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// The same with the curve P-384.
const P384: [u8; 21] = [2, 1, 0, 0x30, 16, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22];

/// A key of PKCS#1 or SEC 1 as PKCS#8 (RFC 5208 section 5: version, algorithm, key).
fn pkcs8_of(head: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let inner = length(key.len());
    let whole = length(head.len() + 1 + inner.len() + key.len());
    // With its whole capacity from the start: a buffer that grows leaves copies behind.
    let mut der = Zeroizing::new(Vec::with_capacity(key.len() + 64));
    der.push(0x30);
    der.extend_from_slice(&whole);
    der.extend_from_slice(head);
    der.push(4);
    der.extend_from_slice(&inner);
    der.extend_from_slice(key);
    der
}

/// A length in DER.
fn length(octets: usize) -> Vec<u8> {
    let bytes = octets.to_be_bytes();
    let skipped = bytes.iter().take_while(|b| **b == 0).count().min(bytes.len() - 1);
    let bytes = &bytes[skipped..];
    match bytes {
        [short @ ..=0x7f] => vec![*short],
        long => [&[0x80 | long.len() as u8], long].concat(),
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

/// Tells whether the octets are one whole DER SEQUENCE, like every private key. If so, only the kind of the key is unknown.
fn is_der_sequence(der: &[u8]) -> bool {
    matches!(x509_parser::der_parser::parse_der(der), Ok((&[], object)) if object.as_sequence().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds that this build makes.
    #[cfg(feature = "rsa")]
    const MADE: [KeyType; 5] =
        [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048, KeyType::Rsa3072, KeyType::Rsa4096];
    #[cfg(not(feature = "rsa"))]
    const MADE: [KeyType; 2] = [KeyType::EcdsaP256, KeyType::EcdsaP384];

    #[test]
    #[cfg(not(feature = "rsa"))]
    fn without_the_feature_no_rsa_key_is_made() {
        let error = CertificateKey::generate(KeyType::Rsa2048).err().unwrap();
        assert!(error.ends_with("built without the feature `rsa`"), "{error}");
    }

    #[test]
    fn a_key_and_its_request_hold_the_names_and_no_subject() {
        for kind in MADE {
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
            assert_eq!(MADE.map(|other| again.is(other)), MADE.map(|other| other == kind));
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
        // Both forms of an RSA key sign, as the same key.
        for file in ["rsa2048-pkcs1.pem", "rsa2048-pkcs8.pem"] {
            let pem = std::fs::read(format!("tests/vectors/keys/{file}")).unwrap();
            let key = CertificateKey::from_pem(&pem).unwrap();
            assert!(key.is(KeyType::Rsa2048) && !key.is(KeyType::Rsa3072) && !key.is(KeyType::EcdsaP256), "{file}");
            assert_eq!(public_of(key.pem().expose()), public_of(&pem), "{file}");
            assert!(key.request(&[Domain::parse("a.test").unwrap()]).is_ok(), "{file}");
        }
        // So do those of ECDSA.
        for (file, kind) in [
            ("p256-sec1.pem", KeyType::EcdsaP256),
            ("p256-pkcs8.pem", KeyType::EcdsaP256),
            ("p384-sec1.pem", KeyType::EcdsaP384),
            ("p384-pkcs8.pem", KeyType::EcdsaP384),
        ] {
            let pem = std::fs::read(format!("tests/vectors/keys/{file}")).unwrap();
            let key = CertificateKey::from_pem(&pem).unwrap();
            assert!(KeyType::EcdsaP256 == kind || !key.is(KeyType::EcdsaP256), "{file}");
            assert!(key.is(kind) && public_of(key.pem().expose()) == public_of(&pem), "{file}");
        }
        let p521 = std::fs::read("tests/vectors/keys/p521-sec1.pem").unwrap();
        assert_eq!(CertificateKey::from_pem(&p521).err(), Some(KeyError::UnknownKind));
        assert_eq!(read("p521-sec1.pem"), Err(KeyError::UnknownKind));
        assert_eq!(read("rsa1024-pkcs8.pem"), Err(KeyError::UnknownKind));
        assert_eq!(public_of(b""), Err(KeyError::Unparsable));
        assert_eq!(
            public_of(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            Err(KeyError::Unparsable)
        );
    }
}
