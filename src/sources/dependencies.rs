//! The fingerprint of what an attempt depends on: a change of it ends the wait after a failure. Pure.

use ring::digest::{SHA256, digest};

use super::CertificateSpec;
use crate::base::name::ObjectRef;
use crate::base::secret::Secret;
use crate::cert::facts::hex;
use crate::kube::object::SecretObject;
use crate::policy::secret_state::SecretState;
use crate::record;

/// A hash of the entry, of a requested renewal (`asked` by the record, where there is no Secret yet), and of the keys, roots and bindings;
/// `content` gives a hash of each of those.
///
/// # Errors
/// The errors of `content`.
pub fn fingerprint<E>(
    wanted: &CertificateSpec,
    held: &[SecretState],
    asked: Option<&str>,
    mut content: impl FnMut(&ObjectRef) -> Result<String, E>,
) -> Result<String, E> {
    let mut parts = vec![hex(&wanted.fingerprint)];
    parts.extend(held.iter().find_map(|held| match held {
        SecretState::Present(present) => present.renewal_asked.as_deref().map(str::to_owned),
        SecretState::Missing => None,
    }));
    parts.extend(wanted.renewal.iter().map(|wish| format!("wished {wish:?}")));
    parts.extend(asked.map(|asked| format!("asked {asked}")));
    for at in wanted.inputs() {
        parts.push(format!("{at} {}", content(at)?));
    }
    Ok(record::fingerprint(&parts.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// The hash of a Secret that does not exist.
pub const NONE: &str = "none";

/// A hash of all keys and values of a Secret.
pub fn content_hash(secret: &SecretObject) -> String {
    let hashed =
        |(key, value): (&String, &Secret<Vec<u8>>)| format!("{key} {}", hex(digest(&SHA256, value.expose()).as_ref()));
    let parts: Vec<String> = secret.data.iter().map(hashed).collect();
    record::fingerprint(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}
