//! A Certificate as the fields of an entry, and an issuer as those of an item of `issuers`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::lines::{FieldMap, item, mapping};
use crate::base::name::check_namespace;
use crate::base::time::duration_text;
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
    certificate.unknown.iter().for_each(|sentence| say(sentence.clone()));
    fields.push(("keyType", certificate.key.key_type.name().into()));
    if certificate.key.is_kept {
        fields.push(("reuseKey", true.into()));
    }
    match renew_before(certificate) {
        Ok(text) => fields.extend(text.map(|text| ("renewBefore", text.into()))),
        Err(why) => say(why),
    }
    fields.extend(template(&certificate.secret_labels, "labels", check_label, say));
    fields.extend(template(&certificate.secret_annotations, "annotations", check_annotation, say));
    fields
}

/// The value of `renewBefore`.
///
/// # Errors
/// Why what the Certificate says can not be taken over.
fn renew_before(certificate: &Certificate) -> Result<Option<String>, String> {
    let Certificate { renew_before, lifetime, .. } = certificate;
    let is_too_long = |before: Duration| lifetime.is_some_and(|lifetime| before >= lifetime * 2 / 3);
    let too_long = "is two thirds of the certificate's lifetime or more, which notariat refuses, and is left out";
    if let Some(text) = renew_before {
        let before = duration(text).map_err(|e| format!("renewBefore {text:?} {e}"))?;
        return if is_too_long(before) {
            Err(format!("renewBefore {text:?} {too_long}"))
        } else {
            Ok(Some(text.clone()))
        };
    }
    let Some(percentage) = certificate.renew_before_percentage else { return Ok(None) };
    match by_percentage(certificate) {
        Some(before) if !is_too_long(before) => Ok(Some(duration_text(before))),
        Some(_) => Err(format!("renewBeforePercentage {percentage} {too_long}")),
        None => Err(format!(
            "renewBeforePercentage {percentage} is left out: there is no certificate whose lifetime could be taken; write `renewBefore` as a duration"
        )),
    }
}

/// The time before the end of the certificate's lifetime that `renewBeforePercentage` means, in whole minutes.
pub(super) fn by_percentage(certificate: &Certificate) -> Option<Duration> {
    let percentage = certificate.renew_before_percentage.filter(|percentage| (1..100).contains(percentage))?;
    let minutes = certificate.lifetime?.as_secs().checked_mul(percentage)? / 100 / 60;
    (minutes > 0).then(|| Duration::from_secs(minutes * 60))
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
