//! Reads the field `dns` of an entry.

use std::time::Duration;

use super::fields::{FieldError, MapReader, bounded, one_of};
use super::node::YamlNode;
use crate::base::address::ServerAddress;
use crate::base::limits::{PROPAGATION_TIMEOUT_MAX, SETTLE_MAX, TTL_MAX_SECS, ZONE_SERVERS_MAX};
use crate::base::name::DnsName;
pub use crate::dns::settings::{DnsSettings, OnWildcardHost, Propagation, Transport};

const PROPAGATIONS: [(&str, Propagation); 3] =
    [("all", Propagation::All), ("primary", Propagation::Primary), ("none", Propagation::None)];
const TRANSPORTS: [(&str, Transport); 3] =
    [("auto", Transport::Auto), ("tcp", Transport::Tcp), ("udp", Transport::Udp)];
const ON_WILDCARD_HOST: [(&str, OnWildcardHost); 2] =
    [("warn", OnWildcardHost::Warn), ("refuse", OnWildcardHost::Refuse)];

impl DnsSettings {
    pub(super) fn read(node: &YamlNode, faults: &mut Vec<FieldError>) -> DnsSettings {
        let default = DnsSettings::default();
        let mut fields = MapReader::of(node, "dns", faults);
        let address = str::parse::<ServerAddress>;
        let read = DnsSettings {
            server: fields.text("server", faults, address),
            zone: fields.text("zone", faults, DnsName::parse_unicode),
            ttl: fields.number("ttl", 0..=TTL_MAX_SECS, "seconds", faults).unwrap_or(default.ttl),
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
        for (field, servers) in
            [("propagationNameservers", &read.propagation_nameservers), ("alsoCheck", &read.also_check)]
        {
            if servers.len() > ZONE_SERVERS_MAX {
                let sentence = format!("has more than {ZONE_SERVERS_MAX} servers");
                faults.push(FieldError { field: fields.path_of(field), sentence });
            }
        }
        if matches!(node, YamlNode::Map(_)) {
            fields.finish(faults);
        }
        read
    }
}

/// Reads a duration; `0s` overrides a value of `defaults`.
fn settle(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s") { Ok(Duration::ZERO) } else { bounded(text, SETTLE_MAX) }
}
