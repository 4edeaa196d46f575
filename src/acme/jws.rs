//! The account key and its signatures: JWS with ES256 (RFC 7515, 7518) as in RFC 8555 section 6.2. Pure but for
//! randomness.
//!
//! Tested with the thumbprint of an independent implementation (Python's cryptography) and by Pebble, which verifies
//! every request.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::base::pem::{ENCRYPTED, is_encrypted};
use crate::base::secret::Secret;

/// The key of an ACME account: ECDSA on P-256 for new keys; an imported key may be on P-384 or RSA.
pub struct AccountKey {
    pair: SigningKey,
    pem: Secret<Vec<u8>>,
}

enum SigningKey {
    Ec(EcdsaKeyPair, &'static Curve),
    Rsa(RsaKeyPair),
}

/// The differences between the curves (RFC 7518 sections 3.4 and 6.2.1).
struct Curve {
    signing: &'static EcdsaSigningAlgorithm,
    algorithm: &'static str,
    name: &'static str,
    /// Octets of a coordinate.
    octets: usize,
    /// The AlgorithmIdentifier of RFC 5480 in DER, which PKCS#8 puts around a SEC 1 key.
    identifier: &'static [u8],
}

static CURVES: [Curve; 2] = [
    Curve {
        signing: &ECDSA_P256_SHA256_FIXED_SIGNING,
        algorithm: "ES256",
        name: "P-256",
        octets: 32,
        identifier: b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
    },
    Curve {
        signing: &ECDSA_P384_SHA384_FIXED_SIGNING,
        algorithm: "ES384",
        name: "P-384",
        octets: 48,
        identifier: b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22",
    },
];

/// The signer of a request.
#[derive(Clone, Copy, Debug)]
pub enum KeyIdentifier<'a> {
    /// The account, by its URL.
    Account(&'a str),
    /// The key itself, where there is no account yet.
    Key,
}

/// The payload of a request (RFC 8555 section 6.3).
#[derive(Clone, Debug)]
pub enum Payload {
    /// A JSON object.
    Json(Value),
    /// The empty payload of POST-as-GET.
    PostAsGet,
}

impl AccountKey {
    /// Generates a key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<AccountKey, String> {
        let pair = rcgen::KeyPair::generate().map_err(|e| format!("no account key could be made: {e}"))?;
        let pair = Zeroizing::new(pair);
        AccountKey::from_pem(Zeroizing::new(pair.serialize_pem()).as_bytes())
    }

    /// Reads a key in PEM: PKCS#8, SEC 1 or PKCS#1, the forms of other programs.
    ///
    /// # Errors
    /// When the key cannot sign; the sentence holds nothing of it.
    pub fn from_pem(pem: &[u8]) -> Result<AccountKey, String> {
        if is_encrypted(pem) {
            return Err(format!("the account key {ENCRYPTED}"));
        }
        let wrong = || "the account key is no ECDSA key on P-256 or P-384 and no RSA key, in PEM".to_owned();
        let pair = match &*Zeroizing::new(PrivateKeyDer::from_pem_slice(pem).map_err(|_| wrong())?) {
            PrivateKeyDer::Pkcs8(der) => {
                let rsa = || RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok().map(SigningKey::Rsa);
                ec(|_| der.secret_pkcs8_der().to_vec()).or_else(rsa)
            }
            PrivateKeyDer::Sec1(der) => ec(|curve| in_pkcs8(curve, der.secret_sec1_der())),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok().map(SigningKey::Rsa),
            _ => None,
        };
        Ok(AccountKey { pair: pair.ok_or_else(wrong)?, pem: Secret::known("an account key", pem.to_vec()) })
    }

    /// The PEM that the key was read from, as stored.
    pub fn pem(&self) -> &Secret<Vec<u8>> {
        &self.pem
    }

    /// The public half (RFC 7517), with the members of RFC 7638 in its order.
    pub fn jwk(&self) -> Value {
        match &self.pair {
            SigningKey::Ec(pair, curve) => {
                // SEC 1 section 2.3.3: 04, then the two coordinates.
                let point = pair.public_key().as_ref();
                let (x, y) = point.strip_prefix(&[4]).unwrap_or(point).split_at(curve.octets);
                json!({"crv": curve.name, "kty": "EC", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
            }
            SigningKey::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"e": URL_SAFE_NO_PAD.encode(e), "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n)})
            }
        }
    }

    /// The thumbprint: SHA-256 over the required members in the order of their names, without white space (RFC 7638).
    pub fn thumbprint(&self) -> String {
        // serde_json keeps the members of a map in the order of their names.
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.jwk().to_string().as_bytes()))
    }

    /// The TXT value that answers a dns-01 challenge (RFC 8555 section 8.4).
    pub fn dns01_value(&self, token: &str) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.key_authorization(token).as_bytes()))
    }

    /// The key authorization, which a web server gives as the answer to an http-01 challenge (RFC 8555 sections 8.1 and 8.3).
    pub fn key_authorization(&self, token: &str) -> String {
        format!("{token}.{}", self.thumbprint())
    }

    fn algorithm(&self) -> &'static str {
        match &self.pair {
            SigningKey::Ec(_, curve) => curve.algorithm,
            SigningKey::Rsa(_) => "RS256",
        }
    }

    fn signature(&self, text: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.pair {
            SigningKey::Ec(pair, _) => pair.sign(&random, text).ok().map(|s| s.as_ref().to_vec()),
            SigningKey::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).ok()?;
                Some(signature)
            }
        }
    }

    /// A request body: the flattened JSON serialization (RFC 8555 section 6.2).
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn sign(
        &self,
        identity: KeyIdentifier<'_>,
        nonce: &str,
        url: &str,
        payload: &Payload,
    ) -> Result<Vec<u8>, String> {
        let (member, value) = match identity {
            KeyIdentifier::Account(kid) => ("kid", json!(kid)),
            KeyIdentifier::Key => ("jwk", self.jwk()),
        };
        let protected = json!({"alg": self.algorithm(), "nonce": nonce, "url": url, member: value});
        let payload = match payload {
            Payload::Json(value) => value.to_string(),
            Payload::PostAsGet => String::new(),
        };
        self.flattened(&protected, &payload).map(|jws| jws.to_string().into_bytes())
    }

    /// The payload of keyChange (RFC 8555 section 7.3.5), signed by the new key, without a nonce.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn key_change(&self, url: &str, account: &str, old: &AccountKey) -> Result<Value, String> {
        let protected = json!({"alg": self.algorithm(), "jwk": self.jwk(), "url": url});
        self.flattened(&protected, &json!({"account": account, "oldKey": old.jwk()}).to_string())
    }

    fn flattened(&self, protected: &Value, payload: &str) -> Result<Value, String> {
        let (protected, payload) = (URL_SAFE_NO_PAD.encode(protected.to_string()), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.signature(format!("{protected}.{payload}").as_bytes());
        let signature = signature.ok_or_else(|| "the system gives no randomness to sign with".to_owned())?;
        Ok(json!({"protected": protected, "payload": payload, "signature": URL_SAFE_NO_PAD.encode(signature)}))
    }
}

/// The key on the curve that accepts it.
fn ec(pkcs8: impl Fn(&Curve) -> Vec<u8>) -> Option<SigningKey> {
    CURVES.iter().find_map(|curve| {
        let pair = EcdsaKeyPair::from_pkcs8(curve.signing, &Zeroizing::new(pkcs8(curve)), &SystemRandom::new()).ok()?;
        Some(SigningKey::Ec(pair, curve))
    })
}

/// A SEC 1 key in PKCS#8 with the name of its curve (RFC 5958); ring reads no other form.
fn in_pkcs8(curve: &Curve, sec1: &[u8]) -> Vec<u8> {
    let key = Zeroizing::new(der(4, sec1));
    let body = Zeroizing::new([&[2, 1, 0][..], curve.identifier, &key[..]].concat());
    der(0x30, &body)
}

/// A DER element with a definite length (X.690 section 8.1.3).
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        n @ 0..=127 => vec![n.to_be_bytes()[7]],
        n @ 128..=255 => vec![0x81, n.to_be_bytes()[7]],
        n => vec![0x82, n.to_be_bytes()[6], n.to_be_bytes()[7]],
    };
    [&[tag], &length[..], content].concat()
}

/// The credentials of an external account (RFC 8555 section 7.3.4).
#[derive(Clone, Debug)]
pub struct ExternalAccountBinding {
    /// The key identifier.
    pub kid: String,
    /// The MAC key.
    pub hmac_key: Secret<Vec<u8>>,
}

/// The rest of a sentence about a CA that registers no account without an external account binding.
pub const EAB_REQUIRED: &str = "wants an external account binding: set `eabSecretName` in the issuer, a Secret with the data keys `kid` and `hmacKey` that the CA gave you";

impl ExternalAccountBinding {
    /// Tells whether the key looks like base64 that was encoded once more: the decoded key is such a text itself. Some CAs
    /// use keys of letters, so this can be right.
    pub fn may_be_encoded_twice(&self) -> bool {
        let text = self.hmac_key.expose().trim_ascii();
        let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
        text.len() >= 22 && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'/'))
    }

    /// The binding of an account key, for the newAccount request at `url`.
    pub fn binding(&self, url: &str, key: &AccountKey) -> Value {
        let protected = json!({"alg": "HS256", "kid": self.kid, "url": url});
        let (protected, payload) =
            (URL_SAFE_NO_PAD.encode(protected.to_string()), URL_SAFE_NO_PAD.encode(key.jwk().to_string()));
        let mac = hmac::Key::new(hmac::HMAC_SHA256, self.hmac_key.expose());
        let signature = hmac::sign(&mac, format!("{protected}.{payload}").as_bytes());
        json!({"protected": protected, "payload": payload, "signature": URL_SAFE_NO_PAD.encode(signature)})
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
            (KeyIdentifier::Key, Payload::Json(json!({"a": 1})), "jwk"),
            (KeyIdentifier::Account("https://ca/acct/1"), Payload::PostAsGet, "kid"),
        ] {
            let body: Value =
                serde_json::from_slice(&key.sign(identity, "n0", "https://ca/x", &payload).unwrap()).unwrap();
            let text = |field: &str| body[field].as_str().unwrap().to_owned();
            let protected: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text("protected")).unwrap()).unwrap();
            let members: Vec<&String> = protected.as_object().unwrap().keys().collect();
            assert_eq!(members.len(), 4, "{protected}");
            assert_eq!((protected["alg"].as_str(), protected["nonce"].as_str()), (Some("ES256"), Some("n0")));
            assert!(protected.get(member).is_some() && protected["url"] == "https://ca/x");
            let SigningKey::Ec(pair, _) = &key.pair else { panic!("we make no other") };
            let point = pair.public_key().as_ref().to_vec();
            let signature = URL_SAFE_NO_PAD.decode(text("signature")).unwrap();
            let signed = format!("{}.{}", text("protected"), text("payload"));
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).unwrap();
        }
    }

    /// The expected thumbprints were computed by Python (cryptography, hashlib).
    #[test]
    fn keys_of_other_programs_are_read_in_each_form() {
        for (file, algorithm, thumbprint) in [
            ("p256-sec1.pem", "ES256", "QuYk2rxlsGcMOwqu-HxmnOjzhxXXFtCEOLXKHGGaayU"),
            ("p384-pkcs8.pem", "ES384", "hF9tMDdhqWWL7JgF9oT_ikghZR69TDKwb2M_fu6Sm-M"),
            ("rsa2048-pkcs8.pem", "RS256", "a5hUnhxA4A_brrJTSWeoXXD_qffkmhXh5K0st1BuVUw"),
            ("rsa2048-pkcs1.pem", "RS256", "a5hUnhxA4A_brrJTSWeoXXD_qffkmhXh5K0st1BuVUw"),
        ] {
            let key = AccountKey::from_pem(&std::fs::read(format!("tests/vectors/keys/{file}")).unwrap()).unwrap();
            assert_eq!((key.algorithm(), key.thumbprint().as_str()), (algorithm, thumbprint), "{file}");
            assert!(key.signature(b"text").is_some());
        }
    }

    #[test]
    fn other_keys_are_refused_without_repeating_them() {
        for file in ["ed25519-pkcs8.pem", "p256.pub"] {
            let pem = std::fs::read(format!("tests/vectors/keys/{file}")).unwrap();
            let error = AccountKey::from_pem(&pem).unwrap_err();
            assert!(error.contains("no ECDSA key") && !error.contains("MII"), "{file}: {error}");
        }
        for head in
            ["-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"]
        {
            let error = AccountKey::from_pem(format!("{head}MIIB\n").as_bytes()).unwrap_err();
            assert_eq!(error, format!("the account key {ENCRYPTED}"));
        }
    }

    #[test]
    fn a_key_that_may_be_encoded_twice_is_told_from_one_of_octets() {
        for (hmac_key, expected) in [
            (&b"zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"[..], true),
            (b"zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wE=\n", true),
            (b"AAAAAAAAAAAAAAAAAAAAAA==", true),
            (b"AAAA", false),
            (&[0xcd, 0x63, 0x43, 0x64].repeat(8), false),
            (b"", false),
        ] {
            let hmac_key = Secret::new(hmac_key.to_vec());
            assert_eq!(ExternalAccountBinding { kid: String::new(), hmac_key }.may_be_encoded_twice(), expected);
        }
    }
}
