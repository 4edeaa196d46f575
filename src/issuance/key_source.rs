//! The seam between an order and the key of its certificate.

use super::error::AttemptError;
use crate::base::name::Domain;
use crate::base::secret::Secret;
use crate::base::time::Time;
use crate::cert::bundle::{BundleError, CheckedBundle};
use crate::cert::key::CertificateKey;
use crate::cert::request::CertificateRequest;
use crate::config::entry::KeyType;
use crate::policy::backoff::{RetryClass, Stage};

/// The key that a certificate is ordered for.
pub enum KeySource {
    /// A key of our own: made anew, or one that is used again.
    Own(Box<CertificateKey>),
    /// The key of a CSR, which is not here.
    Csr(CertificateRequest),
}

impl KeySource {
    /// Makes a key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate(key_type: KeyType) -> Result<KeySource, AttemptError> {
        let key = CertificateKey::generate(key_type);
        key.map(Box::new).map(KeySource::Own).map_err(|e| AttemptError::new(Stage::Order, RetryClass::Transient, e))
    }

    /// The key of a held certificate, where it has the wanted type. An RSA key of another program stays where ECDSA is wanted, as
    /// nobody asked for another; one that was `ordered` as RSA does not.
    pub fn reuse(pem: &[u8], wanted: KeyType, ordered: Option<&str>) -> Option<KeySource> {
        let was_rsa = ordered.is_some_and(|ordered| ordered.starts_with("rsa-"));
        let stays = |key: &CertificateKey| wanted.rsa_bits().is_none() && !was_rsa && key.rsa_bits().is_some();
        CertificateKey::from_pem(pem).ok().filter(|key| key.is(wanted) || stays(key)).map(Box::new).map(KeySource::Own)
    }

    /// The key of a pending order, as the record keeps it.
    ///
    /// # Errors
    /// When the record has none that can be read.
    pub fn pending(pem: Option<&Secret<Vec<u8>>>) -> Result<KeySource, AttemptError> {
        let key = pem.and_then(|pem| CertificateKey::from_pem(pem.expose()).ok());
        let unreadable = || "the key of the order can not be read".to_owned();
        key.map(Box::new)
            .map(KeySource::Own)
            .ok_or_else(|| AttemptError::new(Stage::Finalize, RetryClass::Transient, unreadable()))
    }

    /// The private key in PEM, as the record keeps it while the order is pending; `None` for a CSR.
    pub fn private_key(&self) -> Option<Secret<Vec<u8>>> {
        match self {
            KeySource::Own(key) => Some(key.pem()),
            KeySource::Csr(_) => None,
        }
    }

    /// The certificate signing request for `names`, DER (RFC 2986). One that was given is sent as it is.
    ///
    /// # Errors
    /// Why none can be made.
    pub fn request(&self, names: &[Domain]) -> Result<Vec<u8>, AttemptError> {
        match self {
            KeySource::Own(key) => {
                key.request(names).map_err(|e| AttemptError::new(Stage::Finalize, RetryClass::Policy, e))
            }
            KeySource::Csr(request) => Ok(request.der().to_vec()),
        }
    }

    /// Checks a chain against the key and the wanted names at the time `judged_at`.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(&self, chain: &[u8], wanted: &[Domain], judged_at: Time) -> Result<CheckedBundle, BundleError> {
        match self {
            KeySource::Own(key) => CheckedBundle::check(chain, key.pem(), wanted, judged_at),
            KeySource::Csr(request) => CheckedBundle::of_request(chain, request, wanted, judged_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time;
    use crate::cert::key::public_of;

    fn names() -> Vec<Domain> {
        vec![Domain::parse("a.test").unwrap()]
    }

    /// The public key of a request.
    struct RequestedKey(Vec<u8>, &'static rcgen::SignatureAlgorithm);

    impl rcgen::PublicKeyData for RequestedKey {
        fn der_bytes(&self) -> &[u8] {
            &self.0
        }

        fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
            self.1
        }
    }

    /// The certificate that a CA issues for the key of a request.
    fn certificate(request: &[u8], algorithm: &'static rcgen::SignatureAlgorithm) -> String {
        use x509_parser::prelude::{FromDer as _, X509CertificationRequest};
        let request = X509CertificationRequest::from_der(request).unwrap().1;
        let key = request.certification_request_info.subject_pki.subject_public_key.data.to_vec();
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = rcgen::Issuer::new(params, rcgen::KeyPair::generate().unwrap());
        let params = rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap();
        params.signed_by(&RequestedKey(key, algorithm), &issuer).unwrap().pem()
    }

    #[test]
    fn the_certificate_of_a_csr_and_of_an_own_key_pass_the_same_check() {
        let somebodys = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let made = params.serialize_request(&somebodys).unwrap();
        let given = KeySource::Csr(CertificateRequest::from_pem(&made.pem().unwrap()).unwrap());
        assert_eq!(given.request(&[]).unwrap(), made.der().to_vec(), "as it is");
        let own = KeySource::generate(KeyType::EcdsaP384).unwrap();
        let algorithms = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384];
        let issue = |(source, algorithm): (&KeySource, _)| certificate(&source.request(&names()).unwrap(), algorithm);
        let sources = [given, own];
        let chains: Vec<String> = sources.iter().zip(algorithms).map(issue).collect();
        for (source, chain) in sources.iter().zip(&chains) {
            let bundle = source.check(chain.as_bytes(), &names(), time::now()).unwrap();
            assert_eq!(bundle.key().map(Secret::expose), source.private_key().as_ref().map(Secret::expose));
        }
        let [given, own] = &sources;
        assert!(given.private_key().is_none() && own.private_key().is_some());
        for (source, chain) in [(given, &chains[1]), (own, &chains[0])] {
            let checked = source.check(chain.as_bytes(), &names(), time::now());
            assert_eq!(checked.err(), Some(BundleError::KeyMismatch));
        }
    }

    #[test]
    fn a_key_is_used_again_where_its_type_is_wanted() {
        let pem = KeySource::generate(KeyType::EcdsaP256).unwrap().private_key().unwrap();
        let rsa = std::fs::read("tests/vectors/keys/rsa2048-pkcs1.pem").unwrap();
        for (held, wanted, ordered, stays) in [
            (pem.expose(), KeyType::EcdsaP256, None, true),
            (pem.expose(), KeyType::EcdsaP384, None, false),
            (pem.expose(), KeyType::Rsa2048, None, false),
            (&rsa, KeyType::Rsa2048, None, true),
            (&rsa, KeyType::Rsa2048, Some("rsa-2048"), true),
            (&rsa, KeyType::Rsa3072, Some("rsa-2048"), false),
            (&rsa, KeyType::EcdsaP256, None, true),
            (&rsa, KeyType::EcdsaP384, Some("ecdsa-p384"), true),
            (&rsa, KeyType::EcdsaP256, Some("rsa-2048"), false),
            (&b"x".to_vec(), KeyType::EcdsaP256, None, false),
        ] {
            let key = KeySource::reuse(held, wanted, ordered);
            assert_eq!(key.is_some(), stays, "{wanted:?} {ordered:?}");
            assert!(key.is_none_or(|key| public_of(key.private_key().unwrap().expose()) == public_of(held)));
        }
        assert!(KeySource::pending(Some(&pem)).is_ok() && KeySource::pending(None).is_err());
    }
}
