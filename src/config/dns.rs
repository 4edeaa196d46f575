//! Reads the field `dns` of an entry.

use std::time::Duration;

use super::fields::{FieldError, MapReader, bounded, one_of};
use super::node::YamlNode;
use super::table::{DNS, ON_WILDCARD_HOST, PROPAGATIONS, TRANSPORTS};
use crate::base::address::ServerAddress;
use crate::base::limits::{PROPAGATION_TIMEOUT_MAX, SETTLE_MAX};
use crate::base::name::DnsName;
pub use crate::dns::settings::{DnsSettings, OnWildcardHost, Propagation, Transport};

/// The sentence for a field of the entry that stands below `dns`.
fn misplaced(key: &str) -> Option<String> {
    let is_of_entry = ["tsigSecretName", "email", "issuer", "renewBefore", "keyType"].contains(&key);
    is_of_entry.then(|| "belongs beside `dns`, one level higher".to_owned())
}

impl DnsSettings {
    pub(super) fn read(node: &YamlNode, faults: &mut Vec<FieldError>) -> DnsSettings {
        let default = DnsSettings::default();
        let mut fields = MapReader::of(node, DNS, "dns", faults);
        let address = str::parse::<ServerAddress>;
        let read = DnsSettings {
            server: fields.text("server", faults, address),
            zone: fields.text("zone", faults, DnsName::parse_unicode),
            ttl: fields.number("ttl", faults).unwrap_or(default.ttl),
            propagation: fields
                .text("propagation", faults, |t| one_of(t, &PROPAGATIONS))
                .unwrap_or(default.propagation),
            propagation_timeout: fields
                .text("propagationTimeout", faults, |t| bounded(t, PROPAGATION_TIMEOUT_MAX))
                .unwrap_or(default.propagation_timeout),
            propagation_nameservers: fields.list("propagationNameservers", faults, address).unwrap_or_default(),
            also_check: fields.list("alsoCheck", faults, address).unwrap_or_default(),
            settle: fields.text("settle", faults, settle).unwrap_or_default(),
            transport: fields.text("transport", faults, |t| one_of(t, &TRANSPORTS)).unwrap_or(default.transport),
            on_wildcard_host: fields
                .text("onWildcardHost", faults, |t| one_of(t, &ON_WILDCARD_HOST))
                .unwrap_or(default.on_wildcard_host),
        };
        if matches!(node, YamlNode::Map(_)) {
            fields.finish_with(faults, misplaced);
        }
        read
    }
}

/// Reads a duration; `0s` overrides a value of `defaults`.
fn settle(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s") { Ok(Duration::ZERO) } else { bounded(text, SETTLE_MAX) }
}
