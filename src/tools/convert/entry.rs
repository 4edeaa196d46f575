//! A Certificate as the fields of an entry, and an issuer as those of an item of `issuers`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::lines::{FieldMap, item, mapping};
use crate::base::name::check_namespace;
use crate::cert::key::KeyType;
use crate::cert_manager::{Acme, Certificate};
use crate::config::entry::Entry;
use crate::config::fields::{FieldError, duration};
use crate::config::metadata::{check_annotation, check_label};
use crate::config::namespaces::Namespaces;
use crate::config::{issuers, node};

/// The fields of an entry that come from the Certificate alone; `say` gets a sentence for each loss. `secret` is the reference to its Secret.
pub(super) fn fields(
    certificate: &Certificate,
    secret: &str,
    issuer: Option<&str>,
    say: &mut impl FnMut(String),
) -> FieldMap {
    let names = Value::from_iter(certificate.domains.iter().map(ToString::to_string));
    let mut fields: FieldMap = vec![("secret", secret.into()), ("domains", names)];
    fields.extend(issuer.map(|issuer| ("issuer", issuer.into())));
    certificate.without_effect.iter().for_each(|sentence| say(sentence.clone()));
    let key = &certificate.key;
    if key.is_rsa && key.is_asked && !key.is_kept {
        say("its new keys are ECDSA on P-256, not RSA; `reuseKey: true` keeps an RSA key that is there".to_owned());
    }
    if key.key_type == KeyType::EcdsaP384 {
        fields.push(("keyType", key.key_type.name().into()));
    }
    if key.is_kept {
        fields.push(("reuseKey", true.into()));
    }
    if let Some(text) = &certificate.renew_before {
        match duration(text) {
            Ok(_) => fields.push(("renewBefore", text.as_str().into())),
            Err(e) => say(format!("renewBefore {text:?} {e}")),
        }
    }
    fields.extend(template(&certificate.secret_labels, "labels", check_label, say));
    fields.extend(template(&certificate.secret_annotations, "annotations", check_annotation, say));
    fields
}

/// The labels or annotations that are allowed here.
fn template(
    texts: &BTreeMap<String, String>,
    field: &'static str,
    check: impl Fn(&str, &str) -> Result<(), String>,
    say: &mut impl FnMut(String),
) -> Option<(&'static str, Value)> {
    let mut taken = Map::new();
    for (key, value) in texts {
        match check(key, value) {
            Ok(()) => {
                taken.insert(key.clone(), value.as_str().into());
            }
            Err(e) => say(format!("of its secretTemplate {key:?} {e}")),
        }
    }
    (!taken.is_empty()).then_some((field, Value::Object(taken)))
}

/// The fields of an issuer that name no Secret.
pub(super) fn issuer_fields(acme: &Acme) -> FieldMap {
    let mut fields: FieldMap = vec![("directory", acme.server.as_str().into())];
    let texts = [("email", &acme.email), ("preferredChain", &acme.preferred_chain), ("profile", &acme.profile)];
    fields.extend(texts.into_iter().filter_map(|(field, text)| Some((field, text.as_deref()?.into()))));
    fields
}

/// Reads an entry as the controller will read it.
pub(super) fn check(fields: &FieldMap, namespaces: &Namespaces) -> Result<(), String> {
    let node::YamlNode::List(items) = node::read(&item(fields).join("\n"))? else { return Ok(()) };
    items.iter().try_for_each(|item| Entry::read(item, namespaces).map(drop).map_err(joined))
}

/// Reads an issuer as the controller will read it.
pub(super) fn check_issuer(label: &str, fields: &FieldMap, namespaces: &Namespaces) -> Result<(), String> {
    check_namespace(label).map_err(|_| "its name is not one of lower-case letters, digits, `-` and `.`")?;
    let node = node::read(&mapping(fields).collect::<Vec<_>>().join("\n"))?;
    issuers::Issuer::read(label, &node, namespaces).map(drop).map_err(joined)
}

fn joined(faults: Vec<FieldError>) -> String {
    faults.iter().map(FieldError::to_string).collect::<Vec<_>>().join("; ")
}
