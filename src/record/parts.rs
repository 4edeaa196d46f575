//! The parts of a record: the stored certificate, histories, the pending order, values left behind. Pure.

use serde::{Deserialize, Serialize};

use super::values::{RetryClass, Stage};
use crate::base::name::{DnsName, Domain};
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::dns::settings::Transport;
use crate::dns::tsig_secret::TsigSecret;
use crate::dns::update::TxtValue;

/// The certificate that was stored last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issued {
    /// The serial number of the certificate, hexadecimal.
    pub serial: SharedStr,
    /// The time of the write.
    pub at: Time,
    /// The directory URL it came from.
    pub directory: SharedStr,
    /// The key type that was asked for, or the word of the CSR.
    pub key_type: SharedStr,
    /// The profile that was ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<SharedStr>,
    /// The URL of the account that ordered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<SharedStr>,
    /// The certificate identifier (RFC 9773 section 4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_id: Option<SharedStr>,
    /// The mark by which its object asked for a renewal, which this certificate serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_mark: Option<SharedStr>,
}

/// The entry of the certificate was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphaned {
    /// The time of the deletion.
    pub since: Time,
    /// The time at which copy, key and history are dropped.
    pub until: Time,
    /// The fate of the Secret; only `-prune` deletes one.
    #[serde(default, skip_serializing_if = "OrphanedSecret::is_open")]
    pub secret: OrphanedSecret,
}

/// The fate of the Secret of an orphaned certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OrphanedSecret {
    /// Nothing is decided about it.
    #[default]
    Open,
    /// The Secret stays for good, or was gone.
    Kept,
    /// The Secret was deleted.
    Deleted,
}

impl OrphanedSecret {
    fn is_open(&self) -> bool {
        *self == OrphanedSecret::Open
    }
}

/// The orders of a certificate that count against `certificatesPerWeek` of its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceOrders {
    /// The namespace of the Secret.
    pub namespace: SharedStr,
    /// The times of the orders of the last seven days.
    pub at: Vec<Time>,
}

/// The attempts for one exact name set at one directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The ordered names, sorted.
    pub names: Vec<Domain>,
    /// The directory URL.
    pub directory: SharedStr,
    /// Failures since the last success.
    #[serde(default)]
    pub failures: u32,
    /// The step of the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// The retry class of the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<RetryClass>,
    /// The text of the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The last failure was a rate limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limited: bool,
    /// The time of the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Time>,
    /// The fingerprint of the entry and its inputs at the last attempt. A change ends the backoff.
    #[serde(default)]
    pub inputs: String,
    /// The times of the counted orders of the last seven days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<Time>,
    /// The begin of the last attempt, or its failure.
    pub last_attempt: Time,
}

impl History {
    /// Notes the wait after a failure at `now`. Begin and end are of the same clock, so that the wait of a clock that is ahead, even since the
    /// attempt began, is known by its begin.
    pub fn wait(&mut self, now: Time, until: Time) {
        (self.last_attempt, self.next_attempt) = (now, Some(until));
    }
}

/// The order that an attempt works on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingOrder {
    /// The process that works on the order; empty where none does (see `worker::claim`).
    pub holder: String,
    /// The time of the last write.
    pub at: Time,
    /// The directory URL.
    pub directory: String,
    /// The ordered names, sorted.
    pub names: Vec<Domain>,
    /// The kind of the key in `next.key`, or the word of the CSR.
    pub key_type: String,
    /// The profile that was ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The URL of the account that ordered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The order URL, once the CA gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// The order is counted against the cap.
    #[serde(default)]
    pub counted: bool,
    /// The values that were presented for the order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<Presented>,
}

impl PendingOrder {
    /// An attempt that has no order yet.
    pub fn new(holder: &str, at: Time, names: &[Domain], directory: &str, way: (&str, Option<&str>)) -> PendingOrder {
        let (key, profile) = way;
        PendingOrder {
            holder: holder.to_owned(),
            at,
            directory: directory.to_owned(),
            names: names.to_vec(),
            key_type: key.to_owned(),
            profile: profile.map(str::to_owned),
            account: None,
            order: None,
            counted: false,
            published: Vec::new(),
        }
    }

    /// Tells whether the order is for what is wanted now.
    pub fn is_for(&self, names: &[Domain], directory: &str, key: &str, profile: Option<&str>) -> bool {
        let same_way = self.key_type == key && self.profile.as_deref() == profile;
        self.names == names && self.directory == directory && same_way
    }
}

/// A certificate that is to be revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToRevoke {
    /// The serial number of the certificate, hexadecimal.
    pub serial: String,
    /// The certificate, DER in base64url.
    pub certificate: String,
    /// A CRLReason of RFC 5280 section 5.3.1.
    pub reason: u8,
    /// The certificate is revoked. The entry stays until the certificate is replaced.
    #[serde(default)]
    pub done: bool,
    /// Only objects ask for it (see [`ObjectRevocation`]), and none does any more once they are gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_objects: bool,
}

/// A revocation that an object asks for and that was begun. One object concerns one certificate, so that it never causes a second order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRevocation {
    /// The uid of the object.
    pub uid: Box<str>,
    /// The object, `namespace/name`.
    pub object: Box<str>,
    /// The serial number of the certificate, hexadecimal.
    pub serial: SharedStr,
    /// True where no other certificate takes its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// The time at which the CA was asked last and gave no final answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<Time>,
    /// The end; `None` while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<RevocationEnd>,
}

/// The end of a revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationEnd {
    /// The time of the answer.
    pub at: Time,
    /// The final refusal of the CA; `None` where the certificate is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<str>>,
}

impl ObjectRevocation {
    /// True where the CA revoked the certificate.
    pub fn is_applied(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.error.is_none())
    }
}

/// A presented value, and the data to remove it. The JSON has no tag: the kinds differ in their fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Presented {
    /// TXT values in one zone (dns-01).
    Dns01(PresentedTxt),
    /// The answer of a web server (http-01).
    Http01(PresentedFile),
}

impl Presented {
    /// The place of the values, for messages: the zone, or the name of the web server.
    pub fn place(&self) -> &DnsName {
        match self {
            Presented::Dns01(txt) => &txt.zone,
            Presented::Http01(file) => file.name.base(),
        }
    }

    /// Tells whether both are the same values, wherever they are.
    pub fn is_same(&self, other: &Presented) -> bool {
        match (self, other) {
            (Presented::Dns01(one), Presented::Dns01(other)) => (&one.key, &one.values) == (&other.key, &other.values),
            (Presented::Http01(one), Presented::Http01(other)) => one == other,
            (Presented::Dns01(_), Presented::Http01(_)) | (Presented::Http01(_), Presented::Dns01(_)) => false,
        }
    }
}

/// TXT values in one zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PresentedTxt {
    /// The zone.
    pub zone: DnsName,
    /// The server that accepted the values: name and address.
    pub server: String,
    /// The address and port of the server.
    pub address: std::net::SocketAddr,
    /// The place of the key.
    #[serde(flatten)]
    pub key: TsigSecret,
    /// The transport of the UPDATE.
    #[serde(default)]
    pub transport: Transport,
    /// The values.
    pub values: Vec<TxtValue>,
}

/// The answer of a web server to the http-01 challenge of a name (RFC 8555 section 8.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresentedFile {
    /// The name.
    pub name: Domain,
    /// The token, which is the name of the file.
    pub token: String,
    /// The key authorization, which is the content.
    pub answer: String,
    /// The folder that a web server serves; `None` where every replica answers by the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webroot: Option<String>,
}

/// Values that could not be removed yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftBehind {
    /// The time of the first failed removal.
    pub since: Time,
    /// The values.
    #[serde(flatten)]
    pub published: Presented,
}
