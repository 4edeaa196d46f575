//! Other names for the data keys of a certificate's Secret (`-secret-keys`). Pure.
//!
//! The program knows a pair as `tls.crt` and `tls.key`. In one namespace Secrets of the type Opaque have it under two other keys; a Secret is
//! renamed as it is read, and back as it is written. The other data keys stay as they are.

use crate::base::name::ObjectRef;
use crate::kube::object::{SecretObject, TYPE_OPAQUE};

/// The longest name of a data key, as Kubernetes has it.
const KEY_OCTETS_MAX: usize = 253;

/// The beginning of a chain in PEM: a Secret with something else under the key is no certificate's.
const CHAIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// The names, and the namespace in which they count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKeys {
    /// The namespace of the Secrets.
    pub namespace: String,
    /// The data key of the chain.
    pub chain: String,
    /// The data key of the private key.
    pub key: String,
}

impl DataKeys {
    /// Reads the value of `-secret-keys`: the keys of the chain and of the private key, with a comma.
    ///
    /// # Errors
    /// The rest of a sentence about the value.
    pub fn parse(text: &str) -> Result<(String, String), String> {
        let is_key = |word: &str| {
            let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            is_plain && (1..=KEY_OCTETS_MAX).contains(&word.len()) && !word.starts_with("..") && word != "."
        };
        match text.split(',').map(str::trim).collect::<Vec<_>>()[..] {
            [chain, key] if chain != key && is_key(chain) && is_key(key) => Ok((chain.to_owned(), key.to_owned())),
            _ => Err("is not the names of two data keys, of the chain and of the private key: cert,key".to_owned()),
        }
    }

    /// Tells whether the keys count for a Secret.
    pub fn hold(&self, at: &ObjectRef) -> bool {
        *at.namespace == *self.namespace && at.cluster.name().is_none()
    }

    /// The Secret with its pair as `tls.crt` and `tls.key`.
    pub(super) fn shown(&self, mut secret: SecretObject) -> SecretObject {
        let is_pair =
            secret.value(&self.chain).is_some_and(|chain| chain.expose().trim_ascii_start().starts_with(CHAIN));
        if self.count_for(&secret) && is_pair {
            rename(&mut secret, [(&self.chain, "tls.crt"), (&self.key, "tls.key")]);
        }
        secret
    }

    /// The Secret as it is stored.
    pub(super) fn stored(&self, mut secret: SecretObject) -> SecretObject {
        if self.count_for(&secret) && secret.data.contains_key("tls.crt") {
            rename(&mut secret, [("tls.crt", &self.chain), ("tls.key", &self.key)]);
        }
        secret
    }

    fn count_for(&self, secret: &SecretObject) -> bool {
        secret.type_ == TYPE_OPAQUE && self.hold(&secret.reference)
    }
}

fn rename(secret: &mut SecretObject, names: [(&str, &str); 2]) {
    let values = names.map(|(from, to)| (to, secret.data.remove(from)));
    secret.data.extend(values.into_iter().filter_map(|(to, value)| Some((to.to_owned(), value?))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use crate::kube::object::TYPE_TLS;

    fn keys() -> DataKeys {
        DataKeys { namespace: "shelob".to_owned(), chain: "cert".to_owned(), key: "key".to_owned() }
    }

    fn secret(at: &str, type_: &str, data: &[(&str, &str)]) -> SecretObject {
        let mut secret = SecretObject::new(ObjectRef::parse(at, "").unwrap(), type_);
        let value = |(key, text): &(&str, &str)| ((*key).to_owned(), Secret::new(text.as_bytes().to_vec()));
        secret.data = data.iter().map(value).collect();
        secret
    }

    fn data(secret: &SecretObject) -> String {
        let value = |(key, value): (&String, &Secret<Vec<u8>>)| format!("{key}={}", value.expose().len());
        secret.data.iter().map(value).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_pair_is_renamed_where_the_keys_count_and_comes_back_as_it_was() {
        const PEM: &str = "-----BEGIN CERTIFICATE-----";
        for (at, type_, given, shown) in [
            ("shelob/a", TYPE_OPAQUE, &[("cert", PEM), ("key", "k"), ("note", "n")][..], "note=1 tls.crt=27 tls.key=1"),
            ("shelob/a", TYPE_OPAQUE, &[("cert", PEM)], "tls.crt=27"),
            ("shelob/a", TYPE_OPAQUE, &[("key", "tsig"), ("cert", "none")], "cert=4 key=4"),
            ("shelob/a", TYPE_OPAQUE, &[("key", "tsig")], "key=4"),
            ("shelob/a", TYPE_TLS, &[("cert", PEM), ("key", "k")], "cert=27 key=1"),
            ("other/a", TYPE_OPAQUE, &[("cert", PEM), ("key", "k")], "cert=27 key=1"),
        ] {
            let given = secret(at, type_, given);
            let found = keys().shown(given.clone());
            assert_eq!(data(&found), shown, "{at} {type_}");
            assert_eq!(data(&keys().stored(found)), data(&given), "{at} {type_}");
        }
        for (at, type_, stored) in [
            ("shelob/a", TYPE_OPAQUE, "cert=1 key=1"),
            ("shelob/a", TYPE_TLS, "tls.crt=1 tls.key=1"),
            ("other/a", TYPE_OPAQUE, "tls.crt=1 tls.key=1"),
        ] {
            assert_eq!(data(&keys().stored(secret(at, type_, &[("tls.crt", "c"), ("tls.key", "k")]))), stored);
        }
    }

    #[test]
    fn the_flag_is_two_names() {
        assert_eq!(DataKeys::parse("cert, key").unwrap(), ("cert".to_owned(), "key".to_owned()));
        assert!(DataKeys::parse("tls.pem,tls_k-1").is_ok());
        for text in ["", "cert", "cert,", "cert,cert", "a,b,c", "a/b,c", "..a,b", ".,b", "ü,b"] {
            assert!(DataKeys::parse(text).is_err(), "{text:?}");
        }
        assert!(DataKeys::parse(&format!("{},key", "a".repeat(254))).is_err());
    }
}
