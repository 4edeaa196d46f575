//! The sources of a controller: what they want together, and what is said of their problems.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::log_dedup::LogDedup;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::cert_manager::status::{SeenResource, StateFields};
use crate::config::Config;
use crate::issuance::Context;
use crate::kube::events::EventReason;
use crate::kube::resource::WatchTarget;
use crate::record::AcceptedSpec;
use crate::sources::resource::{DescribedIssuer, DescribedRevocation};
use crate::sources::wish::{ObjectKey, ObjectWishes, WishSettings};
use crate::sources::{Desired, Source, SourceEvent, SourceProblem, SourceRef};
use crate::store::Store;

/// The consequence of entries without an issuer where no `-acme` was given.
const STAGING: &str = "no -acme was given: certificates of entries without `issuer` will be from Let's Encrypt's staging CA, which no \
                       browser trusts; production is -acme https://acme-v02.api.letsencrypt.org/directory";

/// All sources.
#[derive(Debug)]
pub(super) struct Sources {
    all: Vec<Box<dyn Source>>,
    /// The settings of the command line for the wishes of objects.
    flags: WishSettings,
    /// The targets that may not be read.
    denied: BTreeSet<WatchTarget>,
    /// The targets whose kind the API server does not serve.
    absent: BTreeSet<WatchTarget>,
}

/// Problems that concern no single certificate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConfigHealth {
    /// A source object could not be fetched.
    pub(super) unknown: bool,
    /// A source object is missing or unreadable.
    pub(super) unreadable: bool,
    /// An entry was refused.
    pub(super) unsound: bool,
    /// The last accepted form of an entry could not be read.
    pub(super) unread: bool,
}

/// Tells whether the objects of a source are at home.
fn is_at_home(source: &dyn Source) -> bool {
    source.targets().iter().all(|target| target.cluster.is_home())
}

impl Sources {
    pub(super) fn new(all: Vec<Box<dyn Source>>, flags: WishSettings) -> Sources {
        Sources { all, flags, denied: BTreeSet::new(), absent: BTreeSet::new() }
    }

    /// Each source.
    pub(super) fn all(&self) -> impl Iterator<Item = &dyn Source> {
        self.all.iter().map(|source| &**source)
    }

    /// The sources of the cluster of an object that a record names.
    fn of_text(&self, source: &str) -> impl Iterator<Item = &dyn Source> {
        let cluster = SourceRef::parse(source).map(|source| source.object().cluster.clone()).unwrap_or_default();
        self.all().filter(move |source| source.targets().iter().all(|target| target.cluster == cluster))
    }

    fn of(&mut self, target: &WatchTarget) -> Option<&mut Box<dyn Source>> {
        self.all.iter_mut().find(|source| source.targets().contains(target))
    }

    /// Tells whether a source watches `target`.
    pub(super) fn watch(&self, target: &WatchTarget) -> bool {
        self.all().any(|source| source.targets().contains(target))
    }

    /// Applies what a watch saw. Returns whether what is wanted may have changed.
    pub(super) fn apply(&mut self, target: &WatchTarget, event: SourceEvent) -> bool {
        self.of(target).is_some_and(|source| source.apply(target, event))
    }

    /// Reads the objects of `target`, which no watch shows.
    pub(super) fn poll(&mut self, target: &WatchTarget, store: &Store) {
        if let Some(source) = self.of(target) {
            source.poll(target, store);
        }
    }

    /// Tells whether any source has objects with wishes.
    pub(super) fn have_objects(&self) -> bool {
        self.all().any(Source::has_wishes)
    }

    /// Tells whether the objects of `target` have wishes, and are no entries.
    pub(super) fn have_wishes(&self, target: &WatchTarget) -> bool {
        self.all().any(|source| source.has_wishes() && source.targets().contains(target))
    }

    /// The settings of the command line for the wishes of objects.
    pub(super) fn flags(&self) -> &WishSettings {
        &self.flags
    }

    /// The configurations by which wishes are served; `None` while one of them is unknown.
    pub(super) fn configs(&self) -> Option<Vec<Arc<Config>>> {
        self.all().find_map(Source::configs)
    }

    /// Takes the objects whose wishes may differ since the last call.
    pub(super) fn take_changed(&mut self) -> BTreeSet<ObjectKey> {
        self.all.iter_mut().flat_map(|source| source.take_changed()).collect()
    }

    /// Takes the objects whose version differs since the last call, where their status is written.
    pub(super) fn take_seen(&mut self) -> BTreeSet<ObjectKey> {
        self.all.iter_mut().flat_map(|source| source.take_seen()).collect()
    }

    /// Every object that has its status written.
    pub(super) fn all_seen(&self) -> impl Iterator<Item = ObjectKey> {
        self.all().flat_map(Source::all_seen)
    }

    /// The request of a CertificateRevocation.
    pub(super) fn revocation_of(&self, object: &ObjectKey) -> Option<DescribedRevocation> {
        self.all().find_map(|source| source.revocation_of(object))
    }

    /// The issuer that an object describes.
    pub(super) fn issuer_of(&self, object: &ObjectKey) -> Option<DescribedIssuer> {
        self.all().find_map(|source| source.issuer_of(object))
    }

    /// The fields of the status of an object that it gives itself.
    pub(super) fn fields_of(&self, object: &ObjectKey) -> StateFields {
        self.all().find_map(|source| source.status_fields(object)).unwrap_or_default()
    }

    /// The version and the status of an object; `None` when it does not exist.
    pub(super) fn seen(&self, object: &ObjectKey) -> Option<Arc<SeenResource>> {
        self.all().find_map(|source| source.seen(object))
    }

    /// Every object that wishes something.
    pub(super) fn wishing(&self) -> Vec<ObjectKey> {
        self.all().flat_map(Source::wishing).collect()
    }

    /// The wishes of an object that exists.
    pub(super) fn wishes_of(&self, object: &ObjectKey, settings: &WishSettings) -> Option<ObjectWishes> {
        self.all().find_map(|source| source.wishes_of(object, settings))
    }

    /// Tells whether each object at home was looked for. Another cluster may be away for long, and nobody waits for it.
    pub(super) fn have_synced(&self) -> bool {
        self.all().filter(|source| is_at_home(*source)).all(Source::has_synced)
    }

    /// Tells whether another cluster has not shown its objects yet.
    pub(super) fn lack_a_cluster(&self) -> bool {
        self.all().any(|source| !is_at_home(source) && !source.has_synced())
    }

    /// Tells whether the source of `target` had its first list.
    pub(super) fn has_synced(&self, target: &WatchTarget) -> bool {
        self.all().any(|source| source.has_synced() && source.targets().contains(target))
    }

    /// Tells whether every kind was listed to its end and may still be read. A kind that the API server does not serve has no objects.
    pub(super) fn are_whole(&self) -> bool {
        self.have_synced() && self.denied.iter().all(|target| !target.cluster.is_home())
    }

    /// The Secrets that objects name, whether they ask for a certificate or not.
    pub(super) fn named(&self) -> HashSet<ObjectRef> {
        self.all().flat_map(Source::named).collect()
    }

    /// The first object that could not be used yet, and why.
    pub(super) fn not_ready(&self) -> Option<String> {
        self.all().find_map(Source::not_ready)
    }

    /// Tells whether one of the sources has the object that a record names: only then its certificate is ours to miss.
    pub(super) fn own(&self, source: &str) -> bool {
        self.of_text(source).any(|own| own.owns(source))
    }

    /// Tells whether a source of objects has the object that a record names.
    pub(super) fn wish(&self, source: &str) -> bool {
        self.of_text(source).any(|own| own.has_wishes() && own.owns(source))
    }

    /// Tells whether the source of the object that a record names may not be read.
    pub(super) fn is_denied(&self, source: &str) -> bool {
        !self.denied.is_empty()
            && self
                .of_text(source)
                .any(|own| own.owns(source) && own.targets().iter().any(|target| self.denied.contains(target)))
    }

    /// Notes whether the objects of `target` may not be read. Returns whether that is new.
    pub(super) fn set_denied(&mut self, target: &WatchTarget, denied: bool) -> bool {
        if denied { self.denied.insert(target.clone()) } else { self.denied.remove(target) }
    }

    /// Tells whether the objects of `target` are read: they may be, and the API server serves their kind.
    pub(super) fn is_read(&self, target: &WatchTarget) -> bool {
        self.has_synced(target) && !self.denied.contains(target) && !self.absent.contains(target)
    }

    /// Notes whether the API server does not serve the kind of `target`. Returns whether that is new.
    pub(super) fn set_absent(&mut self, target: &WatchTarget, absent: bool) -> bool {
        if absent { self.absent.insert(target.clone()) } else { self.absent.remove(target) }
    }

    /// The problems, a sentence each.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        let objects = self.all().flat_map(Source::objects);
        objects.filter_map(|object| {
            let problem = object.problem?;
            Some(format!("{}: {}; {}", object.source, problem.sentence, problem.in_force))
        })
    }

    /// The certificates that all sources want, refused entries in their last accepted form; says what is new about their problems.
    pub(super) fn desired(
        &self,
        context: &Context,
        said: &mut LogDedup,
        last_accepted: &dyn Fn(&ObjectRef) -> Option<AcceptedSpec>,
    ) -> (Desired, ConfigHealth) {
        let (mut desired, mut health) = (Desired::default(), ConfigHealth::default());
        for source in self.all() {
            source.add_to(&mut desired, last_accepted);
        }
        said.begin(&"sources");
        for object in self.all().flat_map(Source::objects) {
            let (source, name) = (&object.source, object.source.object());
            let Some(SourceProblem { sentence, in_force, unread }) = object.problem else {
                if said.changed(source, "") {
                    event!(info, "configuration-read", config_map = name);
                }
                continue;
            };
            (health.unreadable, health.unknown) = (true, health.unknown || unread);
            if said.changed(source, &sentence) {
                event!(error, "configuration-unreadable", config_map = name, error = sentence, consequence = in_force);
            }
            // An object that could not be fetched may be sound; and of several replicas the leader tells.
            if !unread && context.leader.leading() && said.changed(&format!("ConfigInvalid {source}"), &sentence) {
                context.recorder.publish(
                    EventReason::ConfigInvalid,
                    source.reference(),
                    None,
                    format!("{sentence}; {in_force}"),
                );
            }
        }
        health.unsound = !desired.refused.is_empty();
        for refused in &desired.refused {
            if said.changed("refused", &refused.to_string()) {
                event!(error, "refused", error = refused);
            }
            if context.leader.leading() && said.changed("Refused", &refused.to_string()) {
                context.recorder.publish(
                    EventReason::Refused,
                    refused.source.reference(),
                    None,
                    refused.sentence.clone(),
                );
            }
        }
        if let Some(directory) = context.clients.unchosen(desired.wanted.values().map(|wanted| &**wanted))
            && said.changed("staging", directory.url())
        {
            event!(warn, "staging", directory = directory.url(), hint = STAGING);
        }
        for warning in &desired.warnings {
            if said.changed("warning", warning) {
                event!(warn, "configuration", warning = warning);
            }
        }
        (desired, health)
    }
}
