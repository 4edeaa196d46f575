//! The TSIG keys in the Secrets of a manifest.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::name::ObjectRef;
use crate::config::node::YamlNode;
use crate::dns::tsig_key::{self, TsigKey};

/// The keys of each Secret, or one sentence that names the Secret and nothing of its content.
pub type TsigSecrets = BTreeMap<ObjectRef, Result<Vec<TsigKey>, String>>;

/// Reads the data key `key` of a Secret: `stringData` wins, as for the API server.
///
/// # Errors
/// The Secret and the fault.
pub fn read(object: &YamlNode, at: &ObjectRef) -> Result<Vec<TsigKey>, String> {
    let text = |field: &str| match object.get(field)?.get("key")? {
        YamlNode::Text(text) => Some(text),
        _ => None,
    };
    let read = |octets: &[u8]| tsig_key::read_keys(octets).map_err(|e| format!("the TSIG key in the Secret {at} {e}"));
    match (text("stringData"), text("data")) {
        (Some(text), _) => read(text.as_bytes()),
        (None, Some(base64)) => {
            let folded: String = base64.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            let octets = STANDARD.decode(folded);
            read(&octets.map_err(|_| format!("the Secret {at}: data.key: is not base64; `stringData` takes text"))?)
        }
        (None, None) => Err(format!("the Secret {at} has no data key `key` with a TSIG key ([hmac:]name:base64)")),
    }
}
