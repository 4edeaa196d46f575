//! The ConfigMaps, each as last accepted, and the wishes that they make together.

use std::collections::BTreeMap;
use std::sync::Arc;

use ring::digest;

use super::log_dedup::LogDedup;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::config::{self, Config, Data};
use crate::issuance::Context;
use crate::kube::events::EventReason;
use crate::kube::metadata::ObjectReference;
use crate::kube::resource::Resource;
use crate::record::AcceptedSpec;
use crate::sources::{Desired, configmap};
use crate::store::StoreError;

/// What follows from entries without an issuer where no `-acme` was given.
const STAGING: &str = "no -acme was given: certificates of entries without `issuer` will be from Let's Encrypt's staging CA, which no \
                       browser trusts; production is -acme https://acme-v02.api.letsencrypt.org/directory";

/// The ConfigMaps by their names.
#[derive(Debug)]
pub(super) struct ConfigMaps {
    sources: BTreeMap<ObjectRef, SourceState>,
}

/// A ConfigMap.
#[derive(Debug, Default)]
struct SourceState {
    /// As last accepted; none until it was readable once.
    config: Option<Arc<Config>>,
    /// What is wrong with it now.
    problem: Option<SourceProblem>,
    /// It was looked for.
    known: bool,
    /// A hash of the data that was read last, where it is read now and then.
    print: Option<[u8; 32]>,
}

#[derive(Debug)]
struct SourceProblem {
    said: String,
    /// It could not be found out, and may be well.
    unread: bool,
}

impl SourceState {
    /// What is done for it while something is wrong with it.
    fn in_force(&self) -> &'static str {
        match self.config {
            Some(_) => "the last accepted one stays in force",
            None => "nothing is done for it until it can be read",
        }
    }
}

/// What a ConfigMap was read as; `None` where it does not exist.
pub(super) type Read = Result<Option<Result<Arc<Config>, config::InvalidConfig>>, StoreError>;

/// What concerns no single certificate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConfigHealth {
    /// A ConfigMap could not be read.
    pub(super) unknown: bool,
    /// A ConfigMap is missing or unreadable.
    pub(super) unreadable: bool,
    /// An entry was refused.
    pub(super) unsound: bool,
    /// The form in which an entry was last accepted could not be read.
    pub(super) unread: bool,
}

impl ConfigMaps {
    /// Nothing is known of them yet.
    pub(super) fn new(names: &[ObjectRef]) -> ConfigMaps {
        ConfigMaps { sources: names.iter().map(|name| (name.clone(), SourceState::default())).collect() }
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &ObjectRef> {
        self.sources.keys()
    }

    /// Whether this one was looked for.
    pub(super) fn is_known(&self, name: &ObjectRef) -> bool {
        self.sources.get(name).is_some_and(|source| source.known)
    }

    /// Whether each was looked for.
    pub(super) fn are_known(&self) -> bool {
        self.sources.values().all(|source| source.known)
    }

    /// A ConfigMap that could not be used yet, and why.
    pub(super) fn not_ready(&self) -> Option<String> {
        let (name, source) = self.sources.iter().find(|(_, source)| source.config.is_none())?;
        let said = source.problem.as_ref().map_or("it was not read yet", |problem| &problem.said);
        Some(format!("ConfigMap {name}: {said}"))
    }

    /// What is wrong with them.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        let wrong = |(name, source): (&ObjectRef, &SourceState)| {
            let said = &source.problem.as_ref()?.said;
            Some(format!("ConfigMap {name}: {said}; {}", source.in_force()))
        };
        self.sources.iter().filter_map(wrong)
    }

    /// Reads one.
    pub(super) fn read(&mut self, context: &Context, name: &ObjectRef) {
        let data = context.store.config_map(name);
        let print = data.as_ref().ok().and_then(Option::as_ref).map(print);
        let source = self.sources.entry(name.clone()).or_default();
        if print.is_some() && source.print == print {
            return;
        }
        let before = source.config.clone().unwrap_or_default();
        let read = |data| config::read_after(&data, &context.namespaces, &before).map(Arc::new);
        self.accept(name, data.map(|data| data.map(read)));
        self.sources.entry(name.clone()).or_default().print = print;
    }

    /// Takes one, or what is wrong with it: then the last accepted one stays in force.
    pub(super) fn accept(&mut self, name: &ObjectRef, read: Read) {
        let source = self.sources.entry(name.clone()).or_default();
        (source.known, source.print) = (true, None);
        let (said, unread) = match read {
            Ok(Some(Ok(config))) => {
                (source.config, source.problem) = (Some(config), None);
                return;
            }
            Ok(Some(Err(e))) => (e.to_string(), false),
            Ok(None) => (configmap::MISSING.to_owned(), false),
            Err(e) => (e.to_string(), true),
        };
        source.problem = Some(SourceProblem { said, unread });
    }

    /// The wishes of all, and what is to be said of them. What is refused is served in its last accepted form.
    pub(super) fn desired(
        &self,
        context: &Context,
        said: &mut LogDedup,
        last_accepted: impl Fn(&ObjectRef) -> Option<AcceptedSpec>,
    ) -> (Desired, ConfigHealth) {
        let (mut wishes, mut overall) = (Desired::default(), ConfigHealth::default());
        said.begin(&"ConfigMaps");
        for (name, source) in &self.sources {
            match &source.problem {
                None => {
                    if said.changed(&name.to_string(), "") {
                        event!(info, "configuration-read", config_map = name);
                    }
                }
                Some(problem) => {
                    wishes.incomplete = true;
                    (overall.unreadable, overall.unknown) = (true, overall.unknown || problem.unread);
                    let in_force = source.in_force();
                    let error = &problem.said;
                    if said.changed(&name.to_string(), error) {
                        event!(
                            error,
                            "configuration-unreadable",
                            config_map = name,
                            error = error,
                            consequence = in_force
                        );
                    }
                    // What could not be read may well be sound; and of several replicas one tells.
                    if !problem.unread
                        && context.leader.leading()
                        && said.changed(&format!("ConfigInvalid {name}"), error)
                    {
                        let text = format!("{error}; {in_force}");
                        context.recorder.publish(
                            EventReason::ConfigInvalid,
                            Some(ObjectReference::new(Resource::CONFIG_MAPS, name)),
                            None,
                            text,
                        );
                    }
                }
            }
            match &source.config {
                None => wishes.incomplete = true,
                Some(config) => configmap::add(&mut wishes, name, config, &last_accepted),
            }
        }
        overall.unsound = !wishes.refused.is_empty();
        for refused in &wishes.refused {
            if said.changed("refused", &refused.to_string()) {
                event!(error, "refused", error = refused);
            }
            if context.leader.leading() && said.changed("Refused", &refused.to_string()) {
                context.recorder.publish(
                    EventReason::Refused,
                    configmap::subject(&refused.source),
                    None,
                    refused.sentence.clone(),
                );
            }
        }
        if let Some(directory) = context.clients.unchosen(wishes.wanted.values().map(|wanted| &**wanted))
            && said.changed("staging", directory.url())
        {
            event!(warn, "staging", directory = directory.url(), hint = STAGING);
        }
        for warning in &wishes.warnings {
            if said.changed("warning", warning) {
                event!(warn, "configuration", warning = warning);
            }
        }
        (wishes, overall)
    }
}

/// A hash over all keys and values.
fn print(data: &Data) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    let unreadable = data.unreadable.iter();
    for text in data.texts.iter().chain(unreadable).flat_map(|(key, value)| [key, value]) {
        hash.update(&(text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    let mut print = [0; 32];
    print.copy_from_slice(hash.finish().as_ref());
    print
}
