//! The way the challenges of one certificate are published, and the servers that must show them. Pure data;
//! `config::dns` reads it.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::base::address::ServerAddress;
use crate::base::limits::{PROPAGATION_TIMEOUT_DEFAULT, TTL_DEFAULT_SECS};
use crate::base::name::DnsName;
use crate::base::time::duration_text;

/// The field `dns` of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DnsSettings {
    /// The server for UPDATEs; discovered when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerAddress>,
    /// The zone; discovered when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<DnsName>,
    /// The TTL of the TXT records in seconds.
    pub ttl: u32,
    /// The servers that must show the values before the CA is asked.
    pub propagation: Propagation,
    /// The time limit for that.
    #[serde(serialize_with = "some_duration")]
    pub propagation_timeout: Duration,
    /// The servers that are asked instead of the zone's NS.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub propagation_nameservers: Vec<ServerAddress>,
    /// Further servers that must show the values. They are asked after the primary shows them, because a resolver may
    /// cache "no such name".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_check: Vec<ServerAddress>,
    /// The wait after all servers show the values.
    #[serde(serialize_with = "some_duration", skip_serializing_if = "Duration::is_zero")]
    pub settle: Duration,
    /// The transport of UPDATEs.
    pub transport: Transport,
    /// The treatment of a host that depends on a wildcard record.
    pub on_wildcard_host: OnWildcardHost,
}

/// The transport of UPDATEs.
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

/// The treatment of a host that depends on a wildcard record and disappears while its challenge is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnWildcardHost {
    /// Warn and go on.
    Warn,
    /// Warn and order nothing.
    Refuse,
}

/// The servers that must show the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// The primary and every authoritative server.
    All,
    /// The server that took the UPDATE.
    Primary,
    /// No server: the CA is asked at once.
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
