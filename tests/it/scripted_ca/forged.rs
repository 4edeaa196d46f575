//! Certificates that a CA did not mean to issue, made by rcgen.

use std::time::SystemTime;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData, SignatureAlgorithm};
use x509_parser::prelude::{FromDer as _, X509CertificationRequest};

use crate::support::ca::Asked;

/// The key that a certificate was requested for.
struct Requested(Vec<u8>);

impl PublicKeyData for Requested {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// Of whom the chain is said to be.
const ISSUER: &str = "Somebody";

/// An authority: its issuer and its certificate in PEM.
pub fn authority() -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, ISSUER);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

fn params(names: &[&str], (from, to): (i64, i64)) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let now = time::OffsetDateTime::from(SystemTime::now());
    let at = |hours: i64| now + time::Duration::hours(hours);
    (params.not_before, params.not_after) = (at(from), at(to));
    params
}

/// A certificate for the requested key and these names, valid from and to so many hours from now.
pub fn leaf(asked: &Asked, names: &[&str], validity: (i64, i64), issuer: &Issuer<'_, KeyPair>) -> String {
    let (_, request) = X509CertificationRequest::from_der(&asked.csr).unwrap();
    let key = request.certification_request_info.subject_pki.subject_public_key.data.to_vec();
    params(names, validity).signed_by(&Requested(key), issuer).unwrap().pem()
}

/// A whole chain of that kind.
pub fn chain(asked: &Asked, names: &[&str], validity: (i64, i64)) -> String {
    let (issuer, root) = authority();
    leaf(asked, names, validity, &issuer) + &root
}

/// A whole chain for a key that nobody asked for.
pub fn chain_of_another_key(names: &[&str]) -> String {
    let (issuer, root) = authority();
    params(names, (-1, 1000)).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().pem() + &root
}
