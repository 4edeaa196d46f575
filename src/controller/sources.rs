//! The sources of a controller: what they want together, and what is said of their problems.

use super::log_dedup::LogDedup;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::issuance::Context;
use crate::kube::events::EventReason;
use crate::kube::resource::WatchTarget;
use crate::record::AcceptedSpec;
use crate::sources::{Desired, Source, SourceEvent, SourceProblem};
use crate::store::Store;

/// The consequence of entries without an issuer where no `-acme` was given.
const STAGING: &str = "no -acme was given: certificates of entries without `issuer` will be from Let's Encrypt's staging CA, which no \
                       browser trusts; production is -acme https://acme-v02.api.letsencrypt.org/directory";

/// All sources.
#[derive(Debug)]
pub(super) struct Sources(Vec<Box<dyn Source>>);

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

impl Sources {
    pub(super) fn new(sources: Vec<Box<dyn Source>>) -> Sources {
        Sources(sources)
    }

    /// Each source.
    pub(super) fn all(&self) -> impl Iterator<Item = &dyn Source> {
        self.0.iter().map(|source| &**source)
    }

    fn of(&mut self, target: &WatchTarget) -> Option<&mut Box<dyn Source>> {
        self.0.iter_mut().find(|source| source.targets().contains(target))
    }

    /// Whether a source watches `target`.
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

    /// Whether each object was looked for.
    pub(super) fn have_synced(&self) -> bool {
        self.all().all(Source::has_synced)
    }

    /// The first object that could not be used yet, and why.
    pub(super) fn not_ready(&self) -> Option<String> {
        self.all().find_map(Source::not_ready)
    }

    /// Whether one of the sources has the object that a record names: only then its certificate is ours to miss.
    pub(super) fn own(&self, source: &str) -> bool {
        self.all().any(|own| own.owns(source))
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
