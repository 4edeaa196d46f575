//! The account key and what it signs: JWS with ES256 (RFC 7515, 7518) as RFC 8555 section 6.2 wants it. Pure but for randomness.
//!
//! Tested with the thumbprint of an independent implementation (Python's cryptography) and by Pebble, which verifies every request.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::secret::Secret;

/// The key of an ACME account: ECDSA on P-256.
pub struct AccountKey {
    pair: EcdsaKeyPair,
    pem: Secret<Vec<u8>>,
}

/// Who signs a request.
#[derive(Clone, Copy, Debug)]
pub enum Identity<'a> {
    /// The account, by its URL.
    Account(&'a str),
    /// The key itself, where there is no account yet.
    Key,
}

/// What a request carries (RFC 8555 section 6.3).
#[derive(Clone, Debug)]
pub enum Payload {
    /// A JSON object.
    Json(Value),
    /// Nothing: POST-as-GET.
    Empty,
}

impl AccountKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<AccountKey, String> {
        let pair = rcgen::KeyPair::generate().map_err(|e| format!("no account key could be made: {e}"))?;
        AccountKey::from_pem(pair.serialize_pem().as_bytes())
    }

    /// Reads PKCS#8 in PEM.
    ///
    /// # Errors
    /// When it is no ECDSA P-256 key in that form; holds nothing of it.
    pub fn from_pem(pem: &[u8]) -> Result<AccountKey, String> {
        let wrong = || "the account key is not an ECDSA P-256 key in PKCS#8 PEM".to_owned();
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| wrong())?;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der(), &SystemRandom::new())
                .map_err(|_| wrong())?;
        Ok(AccountKey { pair, pem: Secret::new(pem.to_vec()) })
    }

    /// PKCS#8 in PEM, as it is stored.
    pub fn pem(&self) -> &Secret<Vec<u8>> {
        &self.pem
    }

    /// The coordinates of the public point.
    fn point(&self) -> (String, String) {
        let point = self.pair.public_key().as_ref();
        // SEC 1 section 2.3.3: 04, then the two coordinates.
        (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]))
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.point();
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
    }

    /// RFC 7638: SHA-256 over the required members in this very order, without white space.
    pub fn thumbprint(&self) -> String {
        let (x, y) = self.point();
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
    }

    /// The TXT value that answers a dns-01 challenge (RFC 8555 section 8.4).
    pub fn dns01_value(&self, token: &str) -> String {
        let key_authorization = format!("{token}.{}", self.thumbprint());
        URL_SAFE_NO_PAD.encode(digest(&SHA256, key_authorization.as_bytes()))
    }

    /// A request body: the flattened JSON serialization (RFC 8555 section 6.2).
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn sign(&self, identity: Identity<'_>, nonce: &str, url: &str, payload: &Payload) -> Result<Vec<u8>, String> {
        let mut protected = json!({"alg": "ES256", "nonce": nonce, "url": url});
        match identity {
            Identity::Account(kid) => protected["kid"] = json!(kid),
            Identity::Key => protected["jwk"] = self.jwk(),
        }
        let protected = URL_SAFE_NO_PAD.encode(protected.to_string());
        let payload = match payload {
            Payload::Json(value) => URL_SAFE_NO_PAD.encode(value.to_string()),
            Payload::Empty => String::new(),
        };
        let signature = self
            .pair
            .sign(&SystemRandom::new(), format!("{protected}.{payload}").as_bytes())
            .map_err(|_| "the system gives no randomness to sign with".to_owned())?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Ok(json!({"protected": protected, "payload": payload, "signature": signature}).to_string().into_bytes())
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountKey({})", self.thumbprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    /// tests/vectors/keys/p256-pkcs8.pem; the expected values were computed by Python (cryptography, hashlib).
    #[test]
    fn thumbprint_and_challenge_value_are_those_of_another_implementation() {
        let key = AccountKey::from_pem(include_bytes!("../../tests/vectors/keys/p256-pkcs8.pem")).unwrap();
        assert_eq!(key.thumbprint(), "QuYk2rxlsGcMOwqu-HxmnOjzhxXXFtCEOLXKHGGaayU");
        assert_eq!(
            key.dns01_value("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"),
            "DVbiohBLFCADVHb9i-RMmUhUEV2FzCtVwxUxGlVtRZA"
        );
        assert_eq!(format!("{key:?}"), "AccountKey(QuYk2rxlsGcMOwqu-HxmnOjzhxXXFtCEOLXKHGGaayU)");
    }

    #[test]
    fn a_request_is_signed_over_its_protected_header_and_payload() {
        let key = AccountKey::generate().unwrap();
        for (identity, payload, member) in [
            (Identity::Key, Payload::Json(json!({"a": 1})), "jwk"),
            (Identity::Account("https://ca/acct/1"), Payload::Empty, "kid"),
        ] {
            let body: Value =
                serde_json::from_slice(&key.sign(identity, "n0", "https://ca/x", &payload).unwrap()).unwrap();
            let text = |field: &str| body[field].as_str().unwrap().to_owned();
            let protected: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text("protected")).unwrap()).unwrap();
            let members: Vec<&String> = protected.as_object().unwrap().keys().collect();
            assert_eq!(members.len(), 4, "{protected}");
            assert_eq!((protected["alg"].as_str(), protected["nonce"].as_str()), (Some("ES256"), Some("n0")));
            assert!(protected.get(member).is_some() && protected["url"] == "https://ca/x");
            let point = key.pair.public_key().as_ref().to_vec();
            let signature = URL_SAFE_NO_PAD.decode(text("signature")).unwrap();
            let signed = format!("{}.{}", text("protected"), text("payload"));
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).unwrap();
        }
    }

    #[test]
    fn other_keys_are_refused_without_repeating_them() {
        for file in ["rsa2048-pkcs8.pem", "ed25519-pkcs8.pem", "p256.pub"] {
            let pem = std::fs::read(format!("tests/vectors/keys/{file}")).unwrap();
            let error = AccountKey::from_pem(&pem).unwrap_err();
            assert!(error.contains("not an ECDSA P-256 key") && !error.contains("MII"), "{file}: {error}");
        }
    }
}
