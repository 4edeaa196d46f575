//! The place of a TSIG key: a Secret with the whole key, or a Secret with the base64 text alone and the other parts beside it. Pure data.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::tsig_key::Algorithm;
use crate::base::name::{DnsName, ObjectRef};

/// The place of a TSIG key. Displayed as the name of the Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TsigSecret {
    /// The Secret.
    #[serde(rename = "key")]
    pub at: ObjectRef,
    /// The parts of the key that the Secret does not hold; `None` where its data key `key` holds the whole key.
    #[serde(rename = "tsigKey", default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<TsigKeyParts>,
}

/// The parts of a key whose Secret holds nothing but the base64 text. Shared: an issuer has one for all its certificates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TsigKeyParts(Arc<Parts>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    secret_key: String,
    name: DnsName,
    algorithm: Algorithm,
}

impl TsigKeyParts {
    /// The parts of the key whose base64 text is in the data key `secret_key`.
    pub fn new(secret_key: &str, name: DnsName, algorithm: Algorithm) -> TsigKeyParts {
        TsigKeyParts(Arc::new(Parts { secret_key: secret_key.to_owned(), name, algorithm }))
    }

    /// The data key of the base64 text.
    pub fn secret_key(&self) -> &str {
        &self.0.secret_key
    }

    /// The name of the key.
    pub fn name(&self) -> &DnsName {
        &self.0.name
    }

    /// The HMAC of the key.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }
}

impl Serialize for TsigKeyParts {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

impl<'de> Deserialize<'de> for TsigKeyParts {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<TsigKeyParts, D::Error> {
        Parts::deserialize(d).map(|parts| TsigKeyParts(Arc::new(parts)))
    }
}

impl From<ObjectRef> for TsigSecret {
    fn from(at: ObjectRef) -> TsigSecret {
        TsigSecret { at, parts: None }
    }
}

impl fmt::Display for TsigSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_key_is_a_text_and_the_parts_of_one_stand_beside_it() {
        let at = ObjectRef::new("t", "key");
        let whole = TsigSecret::from(at.clone());
        assert_eq!(serde_json::to_string(&whole).unwrap(), r#"{"key":"t/key"}"#);
        let parts = TsigKeyParts::new("secret", "k.test".parse().unwrap(), Algorithm::Sha512);
        let beside = TsigSecret { at, parts: Some(parts) };
        let text = serde_json::to_string(&beside).unwrap();
        let expected = r#"{"key":"t/key","tsigKey":{"secretKey":"secret","name":"k.test","algorithm":"hmac-sha512"}}"#;
        assert_eq!((text.as_str(), beside.to_string().as_str()), (expected, "t/key"));
        for secret in [whole, beside] {
            let read: TsigSecret = serde_json::from_str(&serde_json::to_string(&secret).unwrap()).unwrap();
            assert_eq!(read, secret);
        }
        assert!(serde_json::from_str::<TsigSecret>(&expected.replace("sha512", "md5")).is_err());
    }
}
