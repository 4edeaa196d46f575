//! The input and the result of the search for a zone.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::iter::{once, once_with};
use std::net::SocketAddr;

use crate::base::address::shown;
use crate::base::name::DnsName;
use crate::dns::client::{DnsClient, QueryMode};
use crate::dns::resolver::Resolver;
use crate::dns::target::{DnsTarget, Unavailable};
use crate::dns::tsig_key::TsigKey;
use crate::dns::tsig_secret::TsigSecret;
use crate::dns::zone_policy::ZonePolicy;

/// The place of the TXT of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeLocation {
    /// The owner of the TXT.
    pub owner: DnsName,
    /// The CNAMEs from the challenge name to the owner.
    pub chain: Vec<DnsName>,
    /// The zone of the owner.
    pub zone: DnsName,
    /// The servers for the UPDATE, best first; at least one.
    pub servers: Vec<NameServer>,
    /// True if the first server is the primary, by the configuration or the SOA. The next server may accept what
    /// another one refuses.
    pub primary_first: bool,
    /// The place of the key.
    pub key: TsigSecret,
    /// The target whose slot the UPDATE takes.
    pub target: DnsTarget,
    /// A remark for the user, such as the reason why the primary of the SOA is not asked; a sentence without its dot.
    pub remark: Option<String>,
    /// Zones under the same key that may be meant instead, for a zone that was found by an unsigned question and whose
    /// server is not primary for it.
    pub other_zones: Vec<DnsName>,
}

/// The search for the challenge locations of one entry.
#[derive(Clone, Copy)]
pub struct ZoneFinder<'a> {
    /// The client for all questions.
    pub client: &'a DnsClient,
    /// The resolver for what is not configured.
    pub resolver: &'a Resolver,
    /// The configured zones, servers and keys.
    pub rules: ZonePolicy<'a>,
    /// Admission to a zone's servers, called before they are asked.
    pub admit: &'a dyn Fn(&DnsTarget) -> Result<(), Unavailable>,
    /// Set when a server of the zone gives any answer: a later fault concerns the name and not the server.
    pub answered: &'a Cell<bool>,
    /// The first key of a Secret, where it can be read: some servers answer only to the holder of a key.
    pub first_key: &'a dyn Fn(&TsigSecret) -> Option<TsigKey>,
}

/// The reason why no location was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocationError {
    /// The servers are not available now.
    Barred(DnsTarget, Unavailable),
    /// One sentence with the name, the question and the answer.
    Failed(String),
}

impl From<String> for LocationError {
    fn from(sentence: String) -> LocationError {
        LocationError::Failed(sentence)
    }
}

impl ZoneFinder<'_> {
    pub(super) fn enter(&self, target: &DnsTarget) -> Result<(), LocationError> {
        (self.admit)(target).map_err(|unavailable| LocationError::Barred(target.clone(), unavailable))
    }
}

/// A server for UPDATEs: its name for people and its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameServer {
    /// The name as configured, or as in the zone's SOA or NS.
    pub label: String,
    /// The address of the server.
    pub address: SocketAddr,
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match shown(self.address) {
            address if address == self.label => f.write_str(&address),
            address => write!(f, "{} ({address})", self.label),
        }
    }
}

/// The ways to ask for one key. The key is read once, and only when a server answers nobody else.
pub(super) struct Ways<'a> {
    finder: &'a ZoneFinder<'a>,
    key: Option<&'a TsigSecret>,
    read: OnceCell<Option<TsigKey>>,
}

impl<'a> Ways<'a> {
    pub(super) fn new(finder: &'a ZoneFinder<'a>, key: Option<&'a TsigSecret>) -> Ways<'a> {
        Ways { finder, key, read: OnceCell::new() }
    }

    /// The ways, unsigned first.
    pub(super) fn all(&self) -> impl Iterator<Item = QueryMode<'_>> {
        once(QueryMode::Plain).chain(once_with(|| self.signed()).flatten())
    }

    /// Signed with the key, where it can be read.
    pub(super) fn signed(&self) -> Option<QueryMode<'_>> {
        Some(QueryMode::Signed(self.read.get_or_init(|| (self.finder.first_key)(self.key?)).as_ref()?))
    }
}
