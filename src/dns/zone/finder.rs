//! What the search for a zone starts from and what it finds.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::iter::{once, once_with};
use std::net::SocketAddr;

use crate::base::address::shown;
use crate::base::name::{DnsName, ObjectRef};
use crate::dns::client::{DnsClient, QueryMode};
use crate::dns::resolver::Resolver;
use crate::dns::target::{DnsTarget, Unavailable};
use crate::dns::tsig_key::TsigKey;
use crate::dns::zone_policy::ZonePolicy;

/// Where the TXT of one name is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeLocation {
    /// The owner of the TXT.
    pub owner: DnsName,
    /// The way there by CNAMEs: from the challenge name to the owner.
    pub chain: Vec<DnsName>,
    /// The zone that holds it.
    pub zone: DnsName,
    /// Where the UPDATE goes, best first; at least one.
    pub servers: Vec<NameServer>,
    /// Whether the first one is the primary, as the configuration or the SOA says. What another one refuses, the next may do.
    pub primary_first: bool,
    /// The Secret of the key.
    pub key: ObjectRef,
    /// The gate before its servers.
    pub lane: DnsTarget,
    /// What the user should know of the way there, such as why the primary that the SOA names is not asked; a sentence without its dot.
    pub remark: Option<String>,
    /// Zones that may be meant instead, under the same key: where this one was found by an unsigned question, and a server says that it is
    /// not primary for it.
    pub other_zones: Vec<DnsName>,
}

/// Finds the targets of one entry.
#[derive(Clone, Copy)]
pub struct ZoneFinder<'a> {
    /// Asks.
    pub client: &'a DnsClient,
    /// For what is not configured.
    pub resolver: &'a Resolver,
    /// What is configured.
    pub rules: ZonePolicy<'a>,
    /// Asked before a zone's servers are.
    pub admit: &'a dyn Fn(&DnsTarget) -> Result<(), Unavailable>,
    /// Set when a server of the zone gives any answer: what is wrong then is wrong with the name, and not with the server.
    pub answered: &'a Cell<bool>,
    /// The first key of a Secret, where it can be read: for servers that answer only to who holds it.
    pub first_key: &'a dyn Fn(&ObjectRef) -> Option<TsigKey>,
}

/// Why there is no target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocationError {
    /// The gate before its servers is closed or full.
    Barred(DnsTarget, Unavailable),
    /// One sentence with the name, what was asked and what came back.
    Failed(String),
}

impl From<String> for LocationError {
    fn from(sentence: String) -> LocationError {
        LocationError::Failed(sentence)
    }
}

impl ZoneFinder<'_> {
    pub(super) fn enter(&self, lane: &DnsTarget) -> Result<(), LocationError> {
        (self.admit)(lane).map_err(|barred| LocationError::Barred(lane.clone(), barred))
    }
}

/// A server that an UPDATE may go to: its name for people and its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameServer {
    /// As configured, or as the zone's SOA or NS names it.
    pub label: String,
    /// Where it is.
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

/// The ways for one key, which is read when a server answers only to its holder, and once: most answer to anybody.
pub(super) struct Ways<'a> {
    finder: &'a ZoneFinder<'a>,
    key: Option<&'a ObjectRef>,
    read: OnceCell<Option<TsigKey>>,
}

impl<'a> Ways<'a> {
    pub(super) fn new(finder: &'a ZoneFinder<'a>, key: Option<&'a ObjectRef>) -> Ways<'a> {
        Ways { finder, key, read: OnceCell::new() }
    }

    /// The ways, the better known one first.
    pub(super) fn all(&self) -> impl Iterator<Item = QueryMode<'_>> {
        once(QueryMode::Plain).chain(once_with(|| self.signed()).flatten())
    }

    /// As the holder of the key, where it can be read.
    pub(super) fn signed(&self) -> Option<QueryMode<'_>> {
        Some(QueryMode::Signed(self.read.get_or_init(|| (self.finder.first_key)(self.key?)).as_ref()?))
    }
}
