//! The TSIG keys of the configuration: in the Secrets of the store, or in those of the manifest.

use std::collections::BTreeSet;

use crate::dns::tsig_key::TsigKey;
use crate::dns::tsig_secret::TsigSecret;
use crate::issuance::solver::dns01::update::read_keys;
use crate::store::Store;
use crate::tools::tsig_secret::TsigSecrets;

/// The place where TSIG keys are read.
pub(super) enum KeySecrets {
    Store(Box<Store>),
    Manifest(TsigSecrets),
}

impl KeySecrets {
    /// The keys of a Secret; `None` where a manifest does not have it.
    pub(super) fn read(&self, secret: &TsigSecret) -> Option<Result<Vec<TsigKey>, String>> {
        match self {
            KeySecrets::Store(store) => Some(read_keys(store, secret)),
            KeySecrets::Manifest(secrets) if secret.parts.is_none() => secrets.get(&secret.at).cloned(),
            KeySecrets::Manifest(_) => None,
        }
    }

    /// The names of the keys in a Secret, or a placeholder. A Secret that does not read gives a remark.
    pub(super) fn names(&self, secret: &TsigSecret, remarks: &mut Vec<String>) -> Vec<String> {
        if let Some(parts) = &secret.parts {
            return vec![parts.name().to_string()];
        }
        match self.read(secret) {
            Some(Ok(keys)) => {
                let names: BTreeSet<String> = keys.iter().map(|key| key.name.to_string()).collect();
                return names.into_iter().collect();
            }
            Some(Err(e)) => remarks.push(e),
            None => {}
        }
        vec![format!("KEY-IN-{}-{}", secret.at.namespace, secret.at.name)]
    }
}
