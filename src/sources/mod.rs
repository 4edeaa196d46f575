//! The sources of certificates. Every source yields the same [`CertificateSpec`]; adding one is one file here, which implements [`Source`],
//! and a line in [`registry`].

pub mod config_map;
pub mod dependencies;
pub mod registry;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::Value;

use crate::base::name::{Domain, ObjectRef};
use crate::config::ZoneRule;
use crate::config::entry::Entry;
use crate::config::issuers::Issuer;
use crate::kube::metadata::ObjectReference;
use crate::kube::resource::{Resource, WatchTarget};
use crate::record::{Accepted, AcceptedSpec, Fingerprint, SharedPrints};
use crate::store::Store;

/// A source of certificates: some kind of object that says which are wanted.
///
/// The controller watches [`Source::targets`], parses each object on the thread of its watch, and applies what it sees on its own thread.
/// Objects that no watch shows are polled.
pub trait Source: fmt::Debug + Send {
    /// The objects to watch.
    fn targets(&self) -> Vec<WatchTarget>;

    /// Makes the parser for the objects of one watch.
    fn parser(&self) -> ParserFactory;

    /// Applies what a watch of `target` saw. Returns whether what is wanted may have changed.
    fn apply(&mut self, target: &WatchTarget, event: SourceEvent) -> bool;

    /// Reads the objects of `target` from `store`, where no watch shows them.
    fn poll(&mut self, target: &WatchTarget, store: &Store);

    /// Whether every object was looked for. Until then no certificate is known to be unwanted.
    fn has_synced(&self) -> bool;

    /// The first object that could not be used yet, and why.
    fn not_ready(&self) -> Option<String>;

    /// The objects that an operator named, and others only while they have a problem.
    fn objects(&self) -> Vec<SourceObject>;

    /// Whether a record's source, as text, is an object of this source: only then its certificate is ours to miss.
    fn owns(&self, source: &str) -> bool;

    /// Adds the wanted certificates and the problems. `last_accepted` finds the form in which the entry for a Secret was last accepted,
    /// which stays in force while the present one is refused.
    fn add_to(&self, desired: &mut Desired, last_accepted: &dyn Fn(&ObjectRef) -> Option<AcceptedSpec>);
}

/// A parsed object; only its source knows the type.
pub type Parsed = Box<dyn Any + Send>;

/// Parses the objects of one watch. May keep what it needs of the object before.
pub type Parser = Box<dyn FnMut(&Value) -> Parsed>;

/// Makes a [`Parser`] on the thread of a watch.
#[derive(Clone)]
pub struct ParserFactory(pub Arc<dyn Fn() -> Parser + Send + Sync>);

impl fmt::Debug for ParserFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ParserFactory")
    }
}

/// An event of a watch about the objects of a source.
#[derive(Debug)]
pub enum SourceEvent {
    /// An object exists.
    Present(Parsed),
    /// An object does not exist any more.
    Gone(ObjectRef),
    /// A list begins.
    Listing,
    /// A list is complete: objects that were not seen since it began do not exist.
    Listed,
}

/// An object of a source, and its problem.
#[derive(Debug)]
pub struct SourceObject {
    /// The object.
    pub source: SourceRef,
    /// The problem of the object; `None` when it is in force.
    pub problem: Option<SourceProblem>,
}

/// The problem of an object of a source.
#[derive(Clone, Debug)]
pub struct SourceProblem {
    /// The problem, one sentence.
    pub sentence: String,
    /// The consequence: what is in force meanwhile.
    pub in_force: &'static str,
    /// Whether the object could not be fetched, and may be sound.
    pub unread: bool,
}

/// A reference to the object that wants a certificate. Reads as text wherever text is wanted: `ConfigMap ns/name`, the form of records and
/// annotations.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceRef(Arc<SourceId>);

#[derive(PartialEq, Eq)]
struct SourceId {
    text: String,
    kind: String,
    object: ObjectRef,
    uid: Option<String>,
}

impl SourceRef {
    /// The reference to `object` of this kind; `uid` where it is known.
    pub fn new(kind: &str, object: &ObjectRef, uid: Option<&str>) -> SourceRef {
        let (object, uid) = (object.clone(), uid.map(str::to_owned));
        SourceRef(Arc::new(SourceId { text: format!("{kind} {object}"), kind: kind.to_owned(), object, uid }))
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Option<SourceRef> {
        let (kind, object) = text.split_once(' ')?;
        Some(SourceRef::new(kind, &ObjectRef::parse(object, "").ok()?, None))
    }

    /// The kind of the object.
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The namespace of the object.
    pub fn namespace(&self) -> &str {
        &self.0.object.namespace
    }

    /// The name of the object.
    pub fn name(&self) -> &str {
        &self.0.object.name
    }

    /// The reference under which people find Events about the object; `None` for a kind that is not known here.
    pub fn reference(&self) -> Option<ObjectReference> {
        let resource = Resource::of_kind(&self.0.kind)?;
        Some(ObjectReference { resource, at: self.0.object.clone(), uid: self.0.uid.clone() })
    }

    /// The object.
    pub fn object(&self) -> &ObjectRef {
        &self.0.object
    }

    /// The uid of the object, where it is known.
    pub fn uid(&self) -> Option<&str> {
        self.0.uid.as_deref()
    }
}

impl Deref for SourceRef {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.text
    }
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
impl From<&str> for SourceRef {
    fn from(text: &str) -> SourceRef {
        SourceRef::parse(text).unwrap_or_else(|| SourceRef::new("Test", &ObjectRef::new("test", "test"), None))
    }
}

/// A wanted certificate.
#[derive(Clone, Debug)]
pub struct CertificateSpec {
    /// The entry that wants it.
    pub entry: Arc<Entry>,
    /// Zones and keys that may serve it.
    pub zones: Arc<[ZoneRule]>,
    /// The issuer that the entry names; none for the directory of the command line.
    pub issuer: Option<Arc<Issuer>>,
    /// The object that wants it.
    pub source: SourceRef,
    /// Whether this is the last accepted form, while the source has another one that is refused.
    pub last_accepted: bool,
    /// The fingerprint of the form to remember; made once, because every decision compares it.
    pub fingerprint: Fingerprint,
    /// The Secrets of the keys that the zones name, each once.
    keys: Arc<[ObjectRef]>,
}

/// The zones of a source object with what is made of them once for all its entries: there may be 1,000 zones and 20,000 entries.
#[derive(Clone, Debug)]
pub struct ZoneKeys {
    rules: Arc<[ZoneRule]>,
    keys: Arc<[ObjectRef]>,
    prints: SharedPrints,
}

impl ZoneKeys {
    /// The keys and prints of these rules.
    pub fn of(rules: Arc<[ZoneRule]>) -> ZoneKeys {
        let keys: BTreeSet<&ObjectRef> = rules.iter().filter_map(|zone| zone.tsig_secret.as_ref()).collect();
        ZoneKeys { keys: keys.into_iter().cloned().collect(), prints: SharedPrints::of(&rules), rules }
    }

    /// The certificate that `source` wants by an entry with these zones. `issuer_print` is [`SharedPrints::issuer`] of its issuer, empty
    /// without one.
    pub fn wanted(
        &self,
        entry: Arc<Entry>,
        issuer: Option<Arc<Issuer>>,
        issuer_print: &str,
        source: SourceRef,
    ) -> CertificateSpec {
        let fingerprint = self.prints.fingerprint(&entry, issuer_print);
        let (zones, keys) = (self.rules.clone(), self.keys.clone());
        CertificateSpec { entry, zones, issuer, source, last_accepted: false, fingerprint, keys }
    }
}

impl CertificateSpec {
    /// The certificate that `source` wants by `entry`.
    pub fn new(
        entry: Arc<Entry>,
        zones: Arc<[ZoneRule]>,
        issuer: Option<Arc<Issuer>>,
        source: SourceRef,
    ) -> CertificateSpec {
        let print = issuer.as_deref().map(SharedPrints::issuer).unwrap_or_default();
        ZoneKeys::of(zones).wanted(entry, issuer, &print, source)
    }

    /// The email address of the account.
    pub fn email(&self) -> Option<&str> {
        self.entry.email.as_deref().or_else(|| self.issuer.as_ref()?.email.as_deref())
    }

    /// The profile to order.
    pub fn profile(&self) -> Option<&str> {
        self.entry.profile.as_deref().or_else(|| self.issuer.as_ref()?.profile.as_deref())
    }

    /// The quota of orders within a day that an operator set for the issuer.
    pub fn orders_per_day(&self) -> Option<u32> {
        self.issuer.as_ref().and_then(|issuer| issuer.orders_per_day)
    }

    /// The Secrets that are only read: TSIG keys, and those that the issuer names.
    pub fn inputs(&self) -> impl Iterator<Item = &ObjectRef> {
        let keys = self.entry.tsig_secret.iter().chain(self.keys.iter());
        let issuer = self.issuer.as_deref().into_iter();
        keys.chain(issuer.flat_map(|i| [&i.ca_secret, &i.eab_secret, &i.account_secret]).flatten())
    }

    /// The same certificate for some of the names. The accepted form in the record stays whole.
    pub fn only(&self, domains: Vec<Domain>) -> CertificateSpec {
        let mut wanted = self.clone();
        Arc::make_mut(&mut wanted.entry).domains = domains;
        CertificateSpec {
            last_accepted: true,
            ..CertificateSpec::new(wanted.entry, wanted.zones, wanted.issuer, wanted.source)
        }
    }

    /// The form to remember.
    pub fn accepted(&self) -> Accepted {
        Accepted::new(&self.entry, &self.zones, self.issuer.as_deref(), &self.source)
    }
}

/// An entry that is not served as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedSpec {
    /// The object with the entry.
    pub source: SourceRef,
    /// The fault and its place.
    pub sentence: String,
    /// The Secret that the entry is for, where that much can be read: its record is kept.
    pub secret: Option<ObjectRef>,
}

impl fmt::Display for RefusedSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.sentence)
    }
}

/// The sentence for the entry at `place`, one of whose Secrets is filled by another one.
fn taken_sentence(place: &str, main: &ObjectRef, secret: &ObjectRef, holder: &str) -> String {
    format!("{place} ({main}): the Secret {secret} is already filled by {holder}; one Secret holds one certificate")
}

/// The certificates that all sources want.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The certificates, by the Secret that names them.
    pub wanted: BTreeMap<ObjectRef, Arc<CertificateSpec>>,
    /// The owner of each further Secret of a certificate.
    filled: BTreeMap<ObjectRef, ObjectRef>,
    /// The entries that are not served as they stand.
    pub refused: Vec<RefusedSpec>,
    /// Sentences that a person should read.
    pub warnings: Vec<String>,
    /// Whether a certificate may be wanted that is not here: then none is known to be unwanted.
    pub incomplete: bool,
}

impl Desired {
    /// The certificate that fills a Secret, by its main Secret.
    pub fn owner_of(&self, secret: &ObjectRef) -> Option<&ObjectRef> {
        self.wanted.get_key_value(secret).map(|(main, _)| main).or_else(|| self.filled.get(secret))
    }

    /// The first Secret of an entry that another certificate fills, and the main Secret of that one.
    pub fn taken<'a>(&'a self, entry: &'a Entry) -> Option<(&'a ObjectRef, &'a ObjectRef)> {
        entry.secrets.iter().find_map(|secret| Some((secret, self.owner_of(secret)?)))
    }

    /// Adds a certificate, unless one of its Secrets is taken: the first entry in the order of the configuration owns it.
    pub fn add(&mut self, wanted: CertificateSpec) {
        if let Some((secret, holder)) = self.taken(&wanted.entry) {
            let main = wanted.entry.main_secret().clone();
            let sentence = taken_sentence("entry", &main, secret, &format!("the entry for {holder}"));
            self.refused.push(RefusedSpec { source: wanted.source, sentence, secret: Some(main) });
            return;
        }
        let main = wanted.entry.main_secret().clone();
        self.filled.extend(wanted.entry.secrets[1..].iter().map(|s| (s.clone(), main.clone())));
        self.wanted.insert(main, Arc::new(wanted));
    }
}
