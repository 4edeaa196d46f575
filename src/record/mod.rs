//! The record of a certificate, which survives restarts: the accepted form, the stored pair, what was tried, and the pending order. Pure.
//!
//! A record is the Secret `notariat-record.<namespace>.<secret>` in our own namespace, or `notariat-record-<cluster>.<namespace>.<secret>` for
//! the Secret of another cluster. The JSON under `record` holds no secret. The last stored
//! pair and the key of a pending order are data keys beside it. Users of the namespace may edit all of it. A record that does not parse is
//! an error and never an empty record, which would forget every backoff.

mod accepted;
mod parts;
mod values;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

pub use accepted::{Accepted, AcceptedSpec, Fingerprint, SharedPrints, fingerprint};
pub use parts::{
    History, Issued, LeftBehind, NamespaceOrders, ObjectRevocation, Orphaned, OrphanedSecret, PendingOrder, Presented,
    PresentedFile, PresentedTxt, RevocationEnd, ToRevoke,
};
use serde::{Deserialize, Serialize};
pub use values::{RenewalWindow, RetryClass, Stage};

use crate::base::limits::{
    CAP_WINDOW, COMPROMISED_KEPT_MAX, HISTORIES_MAX, LEFTOVERS_MAX, NAMESPACE_ORDERS_KEPT_MAX, ORDERS_KEPT_MAX,
    REVOCATIONS_KEPT_MAX,
};
use crate::base::name::{ClusterName, Domain, ObjectRef};
use crate::base::redact;
use crate::base::sanitize::json_fault;
use crate::base::secret::Secret;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::cert::facts::{CertificateFacts, hex};
use crate::kube::object::SecretObject;

/// The type of a record's Secret.
pub const TYPE: &str = "notariat/record";
/// The version this program writes. A higher one is never rewritten.
const VERSION: u32 = 1;

/// The annotation by which a person asks for a renewal.
pub const RENEW: &str = "notariat/renew";

const DATA_RECORD: &str = "record";
const DATA_CHAIN: &str = "tls.crt";
const DATA_KEY: &str = "tls.key";
const DATA_NEXT_KEY: &str = "next.key";

/// The record of one certificate.
#[derive(Debug, Default)]
pub struct Record {
    /// Everything that is not secret.
    pub body: RecordData,
    /// The last stored pair, to restore from; kept unless the entry says `keepCopy: false`.
    pub copy: Option<PairBackup>,
    /// The private key of the order in flight, PKCS#8 in PEM.
    pub next_key: Option<Secret<Vec<u8>>>,
}

/// A stored pair.
#[derive(Clone, Debug)]
pub struct PairBackup {
    /// The chain in PEM.
    pub chain: Vec<u8>,
    /// The key in PEM; `None` beside the certificate of a CSR.
    pub key: Option<Secret<Vec<u8>>>,
}

/// The JSON of a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordData {
    version: u32,
    /// The entry in its last accepted form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Box<Accepted>>,
    /// The certificate that was stored last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Issued>,
    /// The times of the restores of the last hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restores: Vec<Time>,
    /// The attempts, by name set and directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histories: Vec<History>,
    /// The orders that count for the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_orders: Option<Box<NamespaceOrders>>,
    /// The pending order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<Box<PendingOrder>>,
    /// The renewal window that the CA suggests (RFC 9773).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<RenewalWindow>,
    /// The time of the next question for the window, where the program does not run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_question: Option<Time>,
    /// Keys of CSRs whose certificates were revoked because the key is known to others: SHA-256 of the public key, hexadecimal. No
    /// certificate is ordered for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compromised: Vec<String>,
    /// Certificates to revoke once they are replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_revoke: Vec<ToRevoke>,
    /// The revocations that objects asked for, in the order in which they were begun.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocations: Vec<ObjectRevocation>,
    /// Presented values that could not be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<LeftBehind>,
    /// The entry was deleted. The rest of the record is kept for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphaned: Option<Orphaned>,
    /// The annotation [`RENEW`] of the record's Secret: a person asked for an attempt where there is no Secret that could bear it.
    #[serde(skip)]
    pub asked: Option<String>,
}

/// Why a record cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnusableRecord {
    /// The record does not parse.
    Broken(String),
    /// A newer notariat wrote the record, in this version.
    Newer(u32),
}

impl fmt::Display for UnusableRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnusableRecord::Broken(e) => {
                write!(
                    f,
                    "does not read ({e}); nothing is ordered without it: repair it, or delete it to forget what was tried"
                )
            }
            UnusableRecord::Newer(version) => {
                write!(f, "is of version {version}, written by a newer notariat; this one leaves it alone")
            }
        }
    }
}

const NAME: &str = "notariat-record.";

/// The beginning of the name, where a cluster follows. The name of a Secret may have dots: after `notariat-record.` the Secret `team.web` of the
/// namespace `edge` could not be told from the Secret `web` of the namespace `team` in a cluster `edge`.
const NAME_ELSEWHERE: &str = "notariat-record-";

/// The name of the record of the certificate in `secret`. Every record is at home.
pub fn reference(secret: &ObjectRef, own_namespace: &str) -> ObjectRef {
    let begin = match secret.cluster.name() {
        None => NAME.to_owned(),
        Some(cluster) => format!("{NAME_ELSEWHERE}{cluster}."),
    };
    let plain = format!("{begin}{}.{}", secret.namespace, secret.name);
    let name = match plain.len() {
        0..=253 => plain,
        _ => format!("{begin}{}", fingerprint(&[&secret.namespace, &secret.name])),
    };
    ObjectRef::new(own_namespace, &name)
}

/// Tells whether an object is a record by its name.
pub fn is_one(at: &ObjectRef) -> bool {
    at.cluster.is_home() && (at.name.starts_with(NAME) || at.name.starts_with(NAME_ELSEWHERE))
}

/// The Secret of the certificate that a record belongs to; `None` for other names, and for a name that is a hash.
pub fn subject(record: &ObjectRef) -> Option<ObjectRef> {
    // The names of clusters and of namespaces have no dot.
    let (cluster, rest) = match record.name.strip_prefix(NAME_ELSEWHERE) {
        None => (ClusterName::HOME, record.name.strip_prefix(NAME)?),
        Some(rest) => rest.split_once('.').map(|(cluster, rest)| (ClusterName::new(cluster), rest))?,
    };
    let (namespace, name) = rest.split_once('.')?;
    Some(ObjectRef { cluster, ..ObjectRef::new(namespace, name) })
}

impl Record {
    /// Parses the record in a Secret; `None` gives an empty record.
    ///
    /// # Errors
    /// When the record does not parse or has a newer version.
    pub fn read(secret: Option<&SecretObject>) -> Result<Record, UnusableRecord> {
        let Some(secret) = secret else {
            return Ok(Record::default());
        };
        if secret.type_ != TYPE {
            return Err(UnusableRecord::Broken(format!("its type is {}, not {TYPE}", secret.type_)));
        }
        let json = secret
            .value(DATA_RECORD)
            .ok_or_else(|| UnusableRecord::Broken(format!("it has no data key `{DATA_RECORD}`")))?;
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let broken = |e: serde_json::Error| UnusableRecord::Broken(json_fault(&e));
        let version = serde_json::from_slice::<Versioned>(json.expose()).map_err(broken)?.version;
        if version > VERSION {
            return Err(UnusableRecord::Newer(version));
        }
        let mut body: RecordData = serde_json::from_slice(json.expose()).map_err(broken)?;
        body.asked = secret.annotations.get(RENEW).filter(|asked| !asked.is_empty()).cloned();
        let chain = secret.value(DATA_CHAIN).map(|chain| chain.expose().clone());
        let copy = chain.map(|chain| PairBackup { chain, key: secret.value(DATA_KEY).cloned() });
        Ok(Record { body, copy, next_key: secret.value(DATA_NEXT_KEY).cloned() })
    }

    /// The data of the record's Secret, bounded so that a record never exceeds the size limit of Kubernetes.
    pub fn data(&mut self, now: Time) -> BTreeMap<String, Secret<Vec<u8>>> {
        self.body.version = VERSION;
        self.body.trim(now);
        let json = serde_json::to_string(&self.body).expect("a record is plain data with text keys");
        let json = match redact::clean(&json) {
            Cow::Borrowed(_) => json,
            // Text by text, so that the result stays JSON.
            Cow::Owned(_) => {
                let mut body = serde_json::to_value(&self.body).expect("a record is plain data with text keys");
                redact::clean_json(&mut body);
                body.to_string()
            }
        };
        let mut data = BTreeMap::from([(DATA_RECORD.to_owned(), Secret::new(json.into_bytes()))]);
        if let Some(copy) = &self.copy {
            data.insert(DATA_CHAIN.to_owned(), Secret::new(copy.chain.clone()));
            data.extend(copy.key.iter().map(|key| (DATA_KEY.to_owned(), key.clone())));
        }
        if let Some(key) = &self.next_key {
            data.insert(DATA_NEXT_KEY.to_owned(), key.clone());
        }
        data
    }
}

impl RecordData {
    /// Tells whether no certificate may be ordered for a key, by the SHA-256 of the public key.
    pub fn is_compromised(&self, public_key: &[u8; 32]) -> bool {
        self.compromised.contains(&hex(public_key))
    }

    /// Notes that no certificate may be ordered for a key any more.
    pub fn add_compromised(&mut self, public_key: &[u8; 32]) {
        if !self.is_compromised(public_key) {
            self.compromised.push(hex(public_key));
        }
        let excess = self.compromised.len().saturating_sub(COMPROMISED_KEPT_MAX);
        self.compromised.drain(..excess);
    }

    /// True for a certificate that was revoked because an object asked for it.
    pub fn is_revoked(&self, serial: &str) -> bool {
        self.revocations.iter().any(|of| of.is_applied() && *of.serial == *serial)
    }

    /// Notes the answer of a CA about a certificate that objects want to have revoked: `None` where there is no final one yet.
    pub fn end_revocations(&mut self, serial: &str, end: Option<RevocationEnd>, now: Time) {
        for of in self.revocations.iter_mut().filter(|of| of.end.is_none() && *of.serial == *serial) {
            (of.tried, of.end) = (end.is_none().then_some(now), end.clone());
        }
    }

    /// The history of a name set at a directory.
    pub fn history(&self, names: &[Domain], directory: &str) -> Option<&History> {
        self.histories.iter().find(|h| h.names == names && h.directory == directory)
    }

    /// The history of a name set at a directory, made where there is none.
    pub fn history_mut(&mut self, names: &[Domain], directory: &str, now: Time) -> &mut History {
        let at = self.histories.iter().position(|h| h.names == names && h.directory == directory);
        let at = at.unwrap_or_else(|| {
            self.histories.push(History {
                names: names.to_vec(),
                directory: SharedStr::intern(directory),
                failures: 0,
                stage: None,
                severity: None,
                error: None,
                limited: false,
                next_attempt: None,
                inputs: String::new(),
                orders: Vec::new(),
                last_attempt: now,
            });
            self.histories.len() - 1
        });
        &mut self.histories[at]
    }

    /// Tells whether an order of these names is a first one: nothing is pending for it, and the last one of these names did not fail.
    pub fn is_first(&self, names: &[Domain], directory: &str, (key, profile): (&str, Option<&str>)) -> bool {
        let is_pending = |order: &PendingOrder| order.is_for(names, directory, key, profile);
        !self.in_flight.as_deref().is_some_and(is_pending)
            && self.history(names, directory).is_none_or(|history| history.failures == 0)
    }

    /// Counts an order for the namespace of the Secret.
    pub fn count_for_namespace(&mut self, namespace: &str, now: Time) {
        let new = || Box::new(NamespaceOrders { namespace: SharedStr::intern(namespace), at: Vec::new() });
        self.namespace_orders.get_or_insert_with(new).at.push(now);
    }

    /// Counts the pending order against the cap. An order is counted once.
    pub fn count_order(&mut self, now: Time) {
        let Some(flight) = self.in_flight.as_deref_mut().filter(|flight| !flight.counted) else { return };
        flight.counted = true;
        let (names, directory) = (flight.names.clone(), flight.directory.clone());
        self.history_mut(&names, &directory, now).orders.push(now);
    }

    /// Takes back the count of the pending order, which never became a certificate.
    pub fn uncount_order(&mut self, now: Time) {
        let Some(flight) = self.in_flight.as_deref_mut().filter(|flight| flight.counted) else { return };
        flight.counted = false;
        let (names, directory) = (flight.names.clone(), flight.directory.clone());
        self.history_mut(&names, &directory, now).orders.pop();
    }

    /// Reduces the memory of the record: texts that other records or `facts` hold as well are shared, and lists are shrunk. Histories that no
    /// decision from `now` on uses are dropped.
    pub fn compact(&mut self, facts: Option<&CertificateFacts>, now: Time) {
        let alike = |word: &mut SharedStr| *word = SharedStr::intern(word);
        if let Some(stored) = &mut self.stored {
            alike(&mut stored.directory);
            alike(&mut stored.key_type);
            stored.profile.iter_mut().chain(&mut stored.account).for_each(alike);
            if let Some(facts) = facts.filter(|facts| facts.serial == stored.serial && facts.cert_id == stored.cert_id)
            {
                (stored.serial, stored.cert_id) = (facts.serial.clone(), facts.cert_id.clone());
            }
        }
        if let (Some(window), Some(facts)) = (&mut self.window, facts)
            && window.serial == facts.serial
        {
            window.serial = facts.serial.clone();
        }
        self.histories.retain(|h| h.last_attempt + CAP_WINDOW > now || h.failures > 0 || h.next_attempt.is_some());
        self.histories.shrink_to_fit();
        for history in &mut self.histories {
            alike(&mut history.directory);
            // Compared only while a backoff holds.
            if history.next_attempt.is_none() {
                history.inputs = String::new();
            }
            history.names.shrink_to_fit();
            history.orders.shrink_to_fit();
        }
    }

    /// Drops what no decision uses any more.
    fn trim(&mut self, now: Time) {
        if let Some(orders) = &mut self.namespace_orders {
            orders.at.retain(|at| *at + CAP_WINDOW > now);
            let excess = orders.at.len().saturating_sub(NAMESPACE_ORDERS_KEPT_MAX);
            orders.at.drain(..excess);
        }
        self.namespace_orders = self.namespace_orders.take().filter(|orders| !orders.at.is_empty());
        for history in &mut self.histories {
            history.orders.retain(|t| *t + CAP_WINDOW > now);
            let excess = history.orders.len().saturating_sub(ORDERS_KEPT_MAX);
            history.orders.drain(..excess);
        }
        self.histories.sort_by_key(|h| std::cmp::Reverse((!h.orders.is_empty(), h.last_attempt)));
        self.histories.truncate(HISTORIES_MAX);
        let excess = self.revocations.len().saturating_sub(REVOCATIONS_KEPT_MAX);
        self.revocations.drain(..excess);
        let excess = self.leftovers.len().saturating_sub(LEFTOVERS_MAX);
        self.leftovers.drain(..excess);
    }
}

#[cfg(test)]
mod tests;
