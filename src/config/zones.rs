//! The key `zones` of a ConfigMap: servers and TSIG keys by zone.

use std::sync::Arc;

use super::entry::secret_name;
use super::fields::{FieldError, MapReader, one_of, require};
use super::namespaces::Namespaces;
use super::node::YamlNode;
use super::table::{CHALLENGES, TSIG_KEY, ZONE};
use crate::base::address::ServerAddress;
use crate::base::limits::ZONES_MAX;
use crate::base::name::DnsName;
use crate::dns::tsig_key::Algorithm;
use crate::dns::tsig_secret::TsigKeyParts;
use crate::dns::zone_policy::ZoneRule;

/// Reads the key: rules, and a sentence for each fault.
pub(super) fn read(node: Option<&YamlNode>, namespaces: &Namespaces, errors: &mut Vec<String>) -> Vec<ZoneRule> {
    let items = match node {
        None => return Vec::new(),
        Some(YamlNode::List(items)) if items.len() <= ZONES_MAX => items,
        Some(YamlNode::List(items)) => {
            errors.push(format!("key `zones`: has {} items; {ZONES_MAX} are possible", items.len()));
            return Vec::new();
        }
        Some(other) => {
            errors.push(format!(
                "key `zones`: is {}; it must be a list, each item beginning with `- zone: …`",
                other.kind()
            ));
            return Vec::new();
        }
    };
    let mut rules: Vec<ZoneRule> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let mut faults = Vec::new();
        let mut fields = MapReader::of(item, ZONE, "", &mut faults);
        let zone = fields.text("zone", &mut faults, DnsName::parse_unicode);
        let server = fields.text("server", &mut faults, str::parse::<ServerAddress>);
        let tsig_secret = fields.text("tsigSecretName", &mut faults, |t| secret_name(t, namespaces));
        let tsig_key = fields.take("tsigKey").and_then(|node| key_parts(node, &mut faults));
        let find_zone = fields.bool("findZone", &mut faults).unwrap_or_default();
        let challenge = fields.text("challenge", &mut faults, |t| one_of(t, &CHALLENGES));
        if matches!(item, YamlNode::Map(_)) {
            fields.finish(&mut faults);
        }
        if tsig_key.is_some() && tsig_secret.is_none() {
            require("tsigSecretName", "the Secret with the base64 text of the key", item, &mut faults);
        }
        match zone {
            Some(zone) if rules.iter().any(|r| r.zone == zone) => {
                faults.push(FieldError { field: "zone".into(), sentence: format!("names {zone} a second time") });
            }
            Some(zone) => {
                let (server, tsig_secret) = (server.map(Arc::new), tsig_secret.map(Arc::new));
                rules.push(ZoneRule { zone, server, tsig_secret, tsig_key, find_zone, challenge });
            }
            None => require("zone", "the name of a zone", item, &mut faults),
        }
        errors.extend(faults.iter().map(|f| format!("key `zones` item {}: {f}", i.saturating_add(1))));
    }
    rules
}

/// Reads `tsigKey`: the parts of a key beside its base64 text.
fn key_parts(node: &YamlNode, faults: &mut Vec<FieldError>) -> Option<TsigKeyParts> {
    let mut fields = MapReader::of(node, TSIG_KEY, "tsigKey", faults);
    let secret_key = fields.text("secretKey", faults, data_key);
    let name = fields.text("name", faults, DnsName::parse);
    let algorithm = fields.text("algorithm", faults, Algorithm::parse);
    if matches!(node, YamlNode::Map(_)) {
        fields.finish(faults);
        for field in TSIG_KEY.iter().filter(|row| row.required && node.get(row.name).is_none()) {
            require(&format!("tsigKey.{}", field.name), field.help, node, faults);
        }
    }
    Some(TsigKeyParts::new(&secret_key?, name?, algorithm?))
}

/// Reads the name of a data key of a Secret.
pub(super) fn data_key(text: &str) -> Result<String, &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match (1..=253).contains(&text.len()) && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("is not a data key of a Secret: letters, digits, `-`, `_` and `.`"),
    }
}
