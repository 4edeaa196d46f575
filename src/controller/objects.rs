//! The wishes of objects: which of them changed, what is served of them, and how long their changes have settled.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::settling::Settling;
use super::sources::Sources;
use crate::base::name::{Domain, ObjectRef};
use crate::config::namespaces::Namespaces;
use crate::sources::merge::{Merged, ObjectClaim, merge};
use crate::sources::serving::ServingRules;
use crate::sources::wish::{ObjectKey, ObjectWishes, Wish, WishSettings};
use crate::sources::wish_index::WishIndex;
use crate::sources::{Desired, SourceRef};

/// Objects whose wishes are kept during one update. An object names Secrets of its own namespace, which follow each other.
const WISHES_KEPT: usize = 256;

/// The wishes of all objects.
#[derive(Debug, Default)]
pub(super) struct ObjectTable {
    pub(super) index: WishIndex,
    rules: Option<ServingRules>,
    pub(super) settling: Settling,
    /// Whether the problems were said by this replica as the leader.
    pub(super) told: bool,
}

/// What an update changed.
#[derive(Debug, Default)]
pub(super) struct TableChange {
    /// The Secrets whose certificate is wanted otherwise, or not any more.
    pub(super) secrets: Vec<ObjectRef>,
    /// The objects of which something else is not served than before.
    pub(super) objects: BTreeSet<ObjectKey>,
}

/// The wishes of one object, by Secret.
type BySecret = (SourceRef, BTreeMap<ObjectRef, Vec<Arc<Wish>>>);

/// The wishes that an update looks at again and again.
struct Known<'a> {
    sources: &'a Sources,
    settings: &'a WishSettings,
    wishes: HashMap<ObjectKey, Option<BySecret>>,
}

impl Known<'_> {
    fn put(&mut self, object: &ObjectKey, wishes: Option<ObjectWishes>) {
        if self.wishes.len() >= WISHES_KEPT {
            self.wishes.clear();
        }
        let by_secret = wishes.map(|wishes| {
            let mut by_secret: BTreeMap<ObjectRef, Vec<Arc<Wish>>> = BTreeMap::new();
            for wish in wishes.wishes {
                by_secret.entry(wish.secret.clone()).or_default().push(Arc::new(wish));
            }
            (wishes.source, by_secret)
        });
        self.wishes.insert(object.clone(), by_secret);
    }

    /// The claims of one object for `secret`.
    fn claims(&mut self, object: &ObjectKey, secret: &ObjectRef) -> Vec<ObjectClaim> {
        if !self.wishes.contains_key(object) {
            let wishes = self.sources.wishes_of(object, self.settings);
            self.put(object, wishes);
        }
        let Some((source, by_secret)) = self.wishes.get(object).and_then(Option::as_ref) else { return Vec::new() };
        let claim =
            |wish: &Arc<Wish>| ObjectClaim { object: object.clone(), source: source.clone(), wish: wish.clone() };
        by_secret.get(secret).into_iter().flatten().map(claim).collect()
    }
}

impl ObjectTable {
    /// Takes what changed at the objects, and puts what they want into `desired`; with `all` everything is made anew. `held` are the names
    /// of the certificate in a Secret.
    pub(super) fn update(
        &mut self,
        sources: &mut Sources,
        desired: &mut Desired,
        namespaces: &Namespaces,
        held: &dyn Fn(&ObjectRef) -> Vec<Domain>,
        all: bool,
    ) -> TableChange {
        let (mut objects, mut before) = (sources.take_changed(), None);
        if all {
            objects = sources.wishing().into_iter().collect();
            before = Some(std::mem::take(&mut self.index));
            let configs = if sources.have_objects() { sources.configs() } else { None };
            if !self.rules.as_ref().zip(configs.as_ref()).is_some_and(|(rules, configs)| rules.are_of(configs)) {
                self.rules = configs.and_then(|configs| ServingRules::of(configs, sources.flags(), namespaces));
            }
        }
        let Some(rules) = &self.rules else { return TableChange::default() };
        let mut change = TableChange::default();
        let mut known = Known { sources, settings: &rules.settings, wishes: HashMap::new() };
        let mut secrets = BTreeSet::new();
        for object in &objects {
            let wishes = sources.wishes_of(object, &rules.settings);
            if self.index.note(object, wishes.as_ref(), &mut secrets) {
                change.objects.insert(object.clone());
            }
            known.put(object, wishes);
        }
        for secret in secrets {
            let objects = self.index.objects_of(&secret).to_vec();
            let claims: Vec<ObjectClaim> = objects.iter().flat_map(|object| known.claims(object, &secret)).collect();
            let entry = desired.entry_for(&secret).map(|wanted| wanted.entry.clone());
            let Merged { wanted, problems } =
                rules.with(|rules| merge(&secret, &claims, entry.as_deref(), &held(&secret), rules));
            change.objects.extend(self.index.set_problems(&secret, problems));
            let wanted = wanted.map(|wish| rules.spec(&secret, wish));
            if desired.put_of_objects(&secret, wanted) {
                change.secrets.push(secret);
            }
        }
        if let Some(before) = before {
            change.objects = self.index.differ(&before);
        }
        change
    }

    /// The reference to an object that exists.
    pub(super) fn source_of(&self, sources: &Sources, object: &ObjectKey) -> Option<SourceRef> {
        let settings = &self.rules.as_ref()?.settings;
        sources.wishes_of(object, settings).map(|wishes| wishes.source)
    }
}
