//! Where wishes come from: every source yields the same [`CertificateSpec`], and adding one is one file here. Pure.

pub mod configmap;
pub mod dependencies;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::base::name::{Domain, ObjectRef};
use crate::config::ZoneRule;
use crate::config::entry::Entry;
use crate::config::issuers::Issuer;
use crate::record::{Accepted, Fingerprint, SharedPrints};

/// One certificate that is wanted.
#[derive(Clone, Debug)]
pub struct CertificateSpec {
    /// What is wanted.
    pub entry: Arc<Entry>,
    /// Zones and keys that may serve it.
    pub zones: Arc<[ZoneRule]>,
    /// The issuer that the entry names; none for the directory of the command line.
    pub issuer: Option<Arc<Issuer>>,
    /// The object that wants it: `ConfigMap ns/name`.
    pub source: Arc<str>,
    /// It stands differently in the source, in a form that was refused; this is the last accepted one.
    pub last_accepted: bool,
    /// Of the form to remember; made once, because every decision compares it.
    pub fingerprint: Fingerprint,
    /// The Secrets of the keys that the zones name, each once.
    keys: Arc<[ObjectRef]>,
}

/// The zones of a ConfigMap with what is made of them once for all its entries: there may be 1,000 zones and 20,000 entries.
#[derive(Clone, Debug)]
pub struct ZoneKeys {
    rules: Arc<[ZoneRule]>,
    keys: Arc<[ObjectRef]>,
    prints: SharedPrints,
}

impl ZoneKeys {
    /// Of these rules.
    pub fn of(rules: Arc<[ZoneRule]>) -> ZoneKeys {
        let keys: BTreeSet<&ObjectRef> = rules.iter().filter_map(|zone| zone.tsig_secret.as_ref()).collect();
        ZoneKeys { keys: keys.into_iter().cloned().collect(), prints: SharedPrints::of(&rules), rules }
    }

    /// A wish of `source` for an entry with these zones. `issuer_print` is [`SharedPrints::issuer`] of its issuer, empty without one.
    pub fn wanted(
        &self,
        entry: Arc<Entry>,
        issuer: Option<Arc<Issuer>>,
        issuer_print: &str,
        source: Arc<str>,
    ) -> CertificateSpec {
        let fingerprint = self.prints.fingerprint(&entry, issuer_print);
        let (zones, keys) = (self.rules.clone(), self.keys.clone());
        CertificateSpec { entry, zones, issuer, source, last_accepted: false, fingerprint, keys }
    }
}

impl CertificateSpec {
    /// A wish of `source`, as it stands there.
    pub fn new(
        entry: Arc<Entry>,
        zones: Arc<[ZoneRule]>,
        issuer: Option<Arc<Issuer>>,
        source: Arc<str>,
    ) -> CertificateSpec {
        let print = issuer.as_deref().map(SharedPrints::issuer).unwrap_or_default();
        ZoneKeys::of(zones).wanted(entry, issuer, &print, source)
    }

    /// The contact of the account.
    pub fn email(&self) -> Option<&str> {
        self.entry.email.as_deref().or_else(|| self.issuer.as_ref()?.email.as_deref())
    }

    /// The profile to order.
    pub fn profile(&self) -> Option<&str> {
        self.entry.profile.as_deref().or_else(|| self.issuer.as_ref()?.profile.as_deref())
    }

    /// Orders that its issuer is to get within a day, where an operator says so.
    pub fn orders_per_day(&self) -> Option<u32> {
        self.issuer.as_ref().and_then(|issuer| issuer.orders_per_day)
    }

    /// The Secrets that are only read: keys, and what the issuer names.
    pub fn inputs(&self) -> impl Iterator<Item = &ObjectRef> {
        let keys = self.entry.tsig_secret.iter().chain(self.keys.iter());
        let issuer = self.issuer.as_deref().into_iter();
        keys.chain(issuer.flat_map(|i| [&i.ca_secret, &i.eab_secret, &i.account_secret]).flatten())
    }

    /// The same for some of the names: of the rest of what is wanted nothing is given up.
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

/// What is not served as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedSpec {
    /// The object it stands in, as in [`CertificateSpec::source`].
    pub source: Arc<str>,
    /// What is wrong where.
    pub sentence: String,
    /// The Secret that it is for, where that much can be read: what is remembered of its certificate is not forgotten.
    pub secret: Option<ObjectRef>,
}

impl fmt::Display for RefusedSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.sentence)
    }
}

/// What the sources say, all together.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The certificates, by the Secret that names them.
    pub wanted: BTreeMap<ObjectRef, Arc<CertificateSpec>>,
    /// Which entry fills a Secret that does not name it.
    filled: BTreeMap<ObjectRef, ObjectRef>,
    /// What is not served as it stands.
    pub refused: Vec<RefusedSpec>,
    /// What a person should look at, a sentence each.
    pub warnings: Vec<String>,
    /// A refused entry does not say which Secret it is for: then nothing is known to be gone.
    pub incomplete: bool,
}

impl Desired {
    /// The certificate that fills a Secret.
    pub fn owner_of(&self, secret: &ObjectRef) -> Option<&ObjectRef> {
        self.wanted.get_key_value(secret).map(|(main, _)| main).or_else(|| self.filled.get(secret))
    }

    /// Adds a wish, unless one of its Secrets is taken: the first one in the order of the configuration holds it.
    pub fn add(&mut self, wanted: CertificateSpec) {
        if let Some((secret, holder)) = wanted.entry.secrets.iter().find_map(|s| Some((s, self.owner_of(s)?))) {
            let sentence = format!(
                "entry ({}): the Secret {secret} is already filled by the entry for {holder}; one Secret holds one certificate",
                wanted.entry.main_secret(),
            );
            let secret = Some(wanted.entry.main_secret().clone());
            self.refused.push(RefusedSpec { source: wanted.source, sentence, secret });
            return;
        }
        let main = wanted.entry.main_secret().clone();
        self.filled.extend(wanted.entry.secrets[1..].iter().map(|s| (s.clone(), main.clone())));
        self.wanted.insert(main, Arc::new(wanted));
    }
}
