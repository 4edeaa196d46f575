//! How the challenges of one certificate are published, and which servers must show them. Pure data; `config::dns` reads it.

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
