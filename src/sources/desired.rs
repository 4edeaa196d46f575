//! The wanted certificates, each with the zones, the issuer and the objects that it has from its source. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::reference::{ObjectKey, SourceRef};
use crate::base::name::{Domain, ObjectRef};
use crate::config::ZoneRule;
use crate::config::challenge::{ChallengeType, challenge_of};
use crate::config::entry::Entry;
use crate::config::issuers::Issuer;
use crate::kube::metadata::OwnerReference;
use crate::kube::object::{TYPE_OPAQUE, TYPE_TLS};
use crate::kube::resource::Resource;
use crate::policy::RenewalWish;
use crate::policy::revocation::RevocationRequest;
use crate::record::{Accepted, Fingerprint, SharedPrints};
use crate::store::DataKeys;

/// A wanted certificate.
#[derive(Clone, Debug)]
pub struct CertificateSpec {
    /// The entry that wants it.
    pub entry: Arc<Entry>,
    /// Zones and keys that may serve it.
    pub zones: Arc<[ZoneRule]>,
    /// The issuer that the entry names; none for the directory of the command line.
    pub issuer: Option<Arc<Issuer>>,
    /// The object that wants it; of several the first.
    pub source: SourceRef,
    /// Orders within a week that its namespace may cause; none where an entry of the configuration wants it.
    pub orders_per_week: Option<u32>,
    /// The objects whose wishes it serves, in their order; none where an entry wants it.
    pub objects: Arc<Vec<ObjectKey>>,
    /// The type of its Secrets.
    pub secret_type: &'static str,
    /// The object with which the Secret goes (`-cascade`).
    pub cascade: Option<Box<OwnerReference>>,
    /// The renewal that the object asks for.
    pub renewal: Option<RenewalWish>,
    /// True if this is the last accepted form, while the source has another one that is refused.
    pub last_accepted: bool,
    /// The revocations that objects ask for.
    pub revocations: Arc<[RevocationRequest]>,
    /// The fingerprint of the form to remember; made once, because every decision compares it.
    pub fingerprint: Fingerprint,
    /// The Secrets of the keys that the zones name, each once; `None` where the zones are few.
    pub(super) keys: Option<Arc<[ObjectRef]>>,
}

/// The zones of a source object with what is made of them once for all its entries: there may be 1,000 zones and 20,000 entries.
#[derive(Clone, Debug)]
pub struct ZoneKeys {
    rules: Arc<[ZoneRule]>,
    keys: Option<Arc<[ObjectRef]>>,
    prints: SharedPrints,
}

/// So many zones are looked through each time. The rules of an issuer that an object describes are the certificate's own, one for each name.
const ZONES_FEW: usize = 8;

/// The Secrets of the keys that zones name, each once.
fn keys_of(rules: &[ZoneRule]) -> BTreeSet<&ObjectRef> {
    rules.iter().filter_map(|zone| zone.tsig_secret.as_deref()).collect()
}

impl ZoneKeys {
    /// The keys and prints of these rules.
    pub fn of(rules: Arc<[ZoneRule]>) -> ZoneKeys {
        let keys = (rules.len() > ZONES_FEW).then(|| keys_of(&rules).into_iter().cloned().collect());
        ZoneKeys { keys, prints: SharedPrints::of(&rules), rules }
    }

    /// True where a zone names a key.
    pub(super) fn have_keys(&self) -> bool {
        self.rules.iter().any(|zone| zone.tsig_secret.is_some())
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
        CertificateSpec {
            entry,
            zones,
            issuer,
            source,
            orders_per_week: None,
            objects: Arc::default(),
            secret_type: TYPE_TLS,
            cascade: None,
            renewal: None,
            last_accepted: false,
            revocations: Arc::default(),
            fingerprint,
            keys,
        }
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

    /// The type of challenge by which a name is proved.
    pub fn challenge_of(&self, name: &Domain) -> ChallengeType {
        challenge_of(&self.entry, &self.zones, self.issuer.as_deref(), name)
    }

    /// The types of challenge by which the names of an order are proved, each once.
    pub fn challenges(&self) -> &'static [ChallengeType] {
        ChallengeType::each_once(self.entry.order_names().iter().map(|name| self.challenge_of(name)))
    }

    /// The quota of orders within a day that an operator set for the issuer.
    pub fn orders_per_day(&self) -> Option<u32> {
        self.issuer.as_ref().and_then(|issuer| issuer.orders_per_day)
    }

    /// The Secrets that are only read: TSIG keys, and those that the issuer names.
    pub fn inputs(&self) -> impl Iterator<Item = &ObjectRef> {
        let few = if self.keys.is_none() { keys_of(&self.zones) } else { BTreeSet::new() };
        let keys = self.entry.tsig_secret.iter().chain(self.keys.iter().flat_map(|keys| keys.iter())).chain(few);
        let issuer = self.issuer.as_deref().into_iter();
        keys.chain(issuer.flat_map(|i| [&i.ca_secret, &i.eab_secret, &i.account_secret]).flatten())
    }

    /// The same certificate for some of the names. The accepted form in the record stays whole.
    pub fn only(&self, domains: Vec<Domain>) -> CertificateSpec {
        let mut wanted = self.clone();
        Arc::make_mut(&mut wanted.entry).domains = domains;
        CertificateSpec {
            orders_per_week: wanted.orders_per_week,
            last_accepted: true,
            objects: wanted.objects,
            secret_type: wanted.secret_type,
            cascade: wanted.cascade,
            renewal: wanted.renewal,
            revocations: wanted.revocations,
            ..CertificateSpec::new(wanted.entry, wanted.zones, wanted.issuer, wanted.source)
        }
    }

    /// The same certificate, wanted by these objects.
    pub fn of_objects(self, objects: Vec<ObjectKey>) -> CertificateSpec {
        CertificateSpec { objects: Arc::new(objects), ..self }
    }

    /// The same certificate, with these requests to revoke it.
    pub fn with_revocations(self, revocations: Arc<[RevocationRequest]>) -> CertificateSpec {
        CertificateSpec { revocations, ..self }
    }

    /// The same certificate of objects, whose Secret has the type and the data keys of `-secret-keys` where these count.
    pub fn stored_by(self, keys: Option<&DataKeys>) -> CertificateSpec {
        let counts = keys.is_some_and(|keys| keys.hold(self.entry.main_secret()));
        CertificateSpec { secret_type: if counts { TYPE_OPAQUE } else { self.secret_type }, ..self }
    }

    /// The same certificate, whose Secret goes with its object where that is in the namespace of the Secret.
    pub fn cascading(self) -> CertificateSpec {
        let object = self.source.reference().filter(|object| object.at.namespace == self.entry.main_secret().namespace);
        let cascade = object.as_ref().and_then(OwnerReference::to).map(Box::new);
        CertificateSpec { cascade, ..self }
    }

    /// The objects whose status shows what becomes of it.
    pub fn shown_by(&self) -> impl Iterator<Item = ObjectKey> {
        let kind = Resource::GARDENER_REVOCATIONS.text_kind();
        let revocations = self.revocations.iter().map(move |request| ObjectKey { kind, at: request.at.clone() });
        self.objects.iter().cloned().chain(revocations)
    }

    /// Tells whether objects of the cluster want it, and no entry of the configuration.
    pub fn is_of_objects(&self) -> bool {
        !self.objects.is_empty()
    }

    /// The name of cert-manager's Certificate that wants it.
    pub fn certificate(&self) -> Option<&str> {
        (self.source.kind() == Resource::CERTIFICATES.kind).then(|| self.source.name())
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
pub(super) fn taken_sentence(place: &str, main: &ObjectRef, secret: &ObjectRef, holder: &str) -> String {
    format!("{place} ({main}): the Secret {secret} is already filled by {holder}; one Secret holds one certificate")
}

/// The certificates that all sources want.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The certificates, by the Secret that names them.
    pub wanted: BTreeMap<ObjectRef, Arc<CertificateSpec>>,
    /// The owner of each further Secret of a certificate.
    filled: BTreeMap<ObjectRef, ObjectRef>,
    /// The Secrets of resources that are not served as they are: their records stay.
    pub kept: BTreeSet<ObjectRef>,
    /// The entries that are not served as they stand.
    pub refused: Vec<RefusedSpec>,
    /// Sentences that a person should read.
    pub warnings: Vec<String>,
    /// True if a certificate may be wanted that is not here: then none is known to be unwanted.
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

    /// Puts the certificate that objects want in `secret`, or takes it away. The certificate of an entry stays. Returns whether that changed
    /// anything.
    pub fn put_of_objects(&mut self, secret: &ObjectRef, wanted: Option<CertificateSpec>) -> bool {
        if self.filled.contains_key(secret) || self.wanted.get(secret).is_some_and(|held| !held.is_of_objects()) {
            return false;
        }
        match wanted {
            None => self.wanted.remove(secret).is_some(),
            Some(wanted) => {
                let is_same = |held: &Arc<CertificateSpec>| {
                    held.fingerprint == wanted.fingerprint
                        && held.objects == wanted.objects
                        && held.cascade == wanted.cascade
                        && held.renewal == wanted.renewal
                        && held.last_accepted == wanted.last_accepted
                        && held.orders_per_week == wanted.orders_per_week
                        && held.revocations == wanted.revocations
                };
                let changed = !self.wanted.get(secret).is_some_and(is_same);
                if changed {
                    self.wanted.insert(secret.clone(), Arc::new(wanted));
                }
                changed
            }
        }
    }

    /// The kinds of objects of which any gets a certificate.
    pub fn kinds(&self) -> BTreeSet<&'static str> {
        self.wanted.values().flat_map(|wanted| wanted.objects.iter()).map(|object| object.kind).collect()
    }

    /// The entry that decides about `secret` alone.
    pub fn entry_for(&self, secret: &ObjectRef) -> Option<&Arc<CertificateSpec>> {
        self.wanted.get(self.owner_of(secret)?).filter(|wanted| !wanted.is_of_objects())
    }
}
