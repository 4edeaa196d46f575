//! The field `dns` of an entry: where and how a challenge is published, and who must show it.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::fields::{FieldError, MapReader, duration, duration_text};
use super::node::YamlNode;
use crate::base::address::ServerAddress;
use crate::base::limits::{
    PROPAGATION_TIMEOUT_DEFAULT, PROPAGATION_TIMEOUT_MAX, SETTLE_MAX, TTL_DEFAULT_SECS, TTL_MAX_SECS, ZONE_SERVERS_MAX,
};
use crate::base::name::DnsName;

/// The field `dns` of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DnsSettings {
    /// Where UPDATEs go; discovered when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerAddress>,
    /// The zone; discovered when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<DnsName>,
    /// The TTL of the TXT records in seconds.
    pub ttl: u32,
    /// Which servers must show the values before the CA is asked.
    pub propagation: Propagation,
    /// How long that may take.
    #[serde(serialize_with = "some_duration")]
    pub propagation_timeout: Duration,
    /// The servers to look at instead of the zone's NS.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub propagation_nameservers: Vec<ServerAddress>,
    /// Further servers that must show the values; asked after the primary shows them, for they may keep "no such name".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_check: Vec<ServerAddress>,
    /// How long to wait after all servers show the values.
    #[serde(serialize_with = "some_duration", skip_serializing_if = "Duration::is_zero")]
    pub settle: Duration,
    /// How UPDATEs are sent.
    pub transport: Transport,
    /// What is done about a host that lives from a wildcard record.
    pub on_wildcard_host: OnWildcardHost,
}

/// How UPDATEs are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP, and UDP where that does not work.
    #[default]
    Auto,
    /// TCP only.
    Tcp,
    /// UDP only.
    Udp,
}

/// What is done about a host that lives from a wildcard record and vanishes while its challenge is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnWildcardHost {
    /// Say so, and go on.
    Warn,
    /// Say so, and obtain nothing.
    Refuse,
}

/// Which servers must show the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// The primary and every authoritative server.
    All,
    /// The server that took the UPDATE.
    Primary,
    /// None: the CA is asked at once.
    None,
}

fn some_duration<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&duration_text(*d))
}

impl Default for DnsSettings {
    fn default() -> DnsSettings {
        DnsSettings {
            server: None,
            zone: None,
            ttl: TTL_DEFAULT_SECS,
            propagation: Propagation::All,
            propagation_timeout: PROPAGATION_TIMEOUT_DEFAULT,
            propagation_nameservers: Vec::new(),
            also_check: Vec::new(),
            settle: Duration::ZERO,
            transport: Transport::Auto,
            on_wildcard_host: OnWildcardHost::Warn,
        }
    }
}

impl DnsSettings {
    pub(super) fn read(node: &YamlNode, faults: &mut Vec<FieldError>) -> DnsSettings {
        let default = DnsSettings::default();
        let mut fields = MapReader::of(node, "dns", faults);
        let address = str::parse::<ServerAddress>;
        let read = DnsSettings {
            server: fields.text("server", faults, address),
            zone: fields.text("zone", faults, DnsName::parse_unicode),
            ttl: fields.number("ttl", 0..=TTL_MAX_SECS, "seconds", faults).unwrap_or(default.ttl),
            propagation: fields.text("propagation", faults, propagation).unwrap_or(default.propagation),
            propagation_timeout: fields
                .text("propagationTimeout", faults, |t| bounded(t, PROPAGATION_TIMEOUT_MAX))
                .unwrap_or(default.propagation_timeout),
            propagation_nameservers: fields.list("propagationNameservers", faults, address).unwrap_or_default(),
            also_check: fields.list("alsoCheck", faults, address).unwrap_or_default(),
            settle: fields.text("settle", faults, settle).unwrap_or_default(),
            transport: fields.text("transport", faults, transport).unwrap_or(default.transport),
            on_wildcard_host: fields
                .text("onWildcardHost", faults, on_wildcard_host)
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

fn bounded(text: &str, most: Duration) -> Result<Duration, String> {
    match duration(text)? {
        d if d <= most => Ok(d),
        _ => Err(format!("is too long; {} is the most", duration_text(most))),
    }
}

/// Like other durations, but `0s` says that none is wanted, where `defaults` has one.
fn settle(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s") { Ok(Duration::ZERO) } else { bounded(text, SETTLE_MAX) }
}

fn transport(text: &str) -> Result<Transport, &'static str> {
    match text {
        "auto" => Ok(Transport::Auto),
        "tcp" => Ok(Transport::Tcp),
        "udp" => Ok(Transport::Udp),
        _ => Err("is none of auto, tcp, udp"),
    }
}

fn on_wildcard_host(text: &str) -> Result<OnWildcardHost, &'static str> {
    match text {
        "warn" => Ok(OnWildcardHost::Warn),
        "refuse" => Ok(OnWildcardHost::Refuse),
        _ => Err("is none of warn, refuse"),
    }
}

fn propagation(text: &str) -> Result<Propagation, &'static str> {
    match text {
        "all" => Ok(Propagation::All),
        "primary" => Ok(Propagation::Primary),
        "none" => Ok(Propagation::None),
        _ => Err("is none of all, primary, none"),
    }
}
