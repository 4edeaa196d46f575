//! Reads at the start which rules the API server grants, and logs each missing one, once, with its consequence. The rules only decide which
//! watches are not even tried: a request that is refused says by itself which verb the Role lacks. Tested by tests/it/roles.rs.

use std::collections::{BTreeMap, BTreeSet};

use super::options::{Options, RunMode};
use crate::base::limits::NAMES_SHOWN_MAX;
use crate::base::log::event;
use crate::base::metrics;
use crate::config;
use crate::issuance::Context;
use crate::issuance::dependencies::{add_of_sources, objects};
use crate::kube::access_review;
use crate::kube::client::KubeError;
use crate::kube::rbac::{GrantedRules, Missing, Names, RuleSubject};
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::sources::{Desired, config_map};

/// The granted rules of each namespace that may be used.
#[derive(Debug, Default)]
pub(super) struct Permissions(BTreeMap<String, GrantedRules>);

impl Permissions {
    /// Tells whether a request may be allowed: for one object, or with `None` for all. True where the rules are not known for certain.
    pub(super) fn allow(&self, verb: &str, resource: Resource, namespace: &str, name: Option<&str>) -> bool {
        let rules = self.0.get(namespace);
        rules.is_none_or(|rules| rules.incomplete || rules.allows(verb, resource, name))
    }

    /// Tells whether a watch may be allowed.
    pub(super) fn allow_watching(&self, target: &WatchTarget) -> bool {
        let name = match &target.selector {
            Selector::All | Selector::Labels(_) | Selector::Type(_) => None,
            Selector::Name(name) => Some(name.as_str()),
        };
        ["list", "watch"].iter().all(|verb| self.allow(verb, target.resource, &target.namespace, name))
    }

    /// Asks the API server. A namespace without an answer has no rules.
    pub(super) fn ask(context: &Context) -> Permissions {
        let mut found = BTreeMap::new();
        let Some(client) = context.kube.as_deref() else { return Permissions(found) };
        for namespace in context.namespaces.all() {
            match access_review::rules(client, namespace) {
                Ok(rules) => {
                    found.insert(namespace.to_owned(), rules);
                }
                Err(e) => {
                    let is_away = matches!(e, KubeError::Network(_));
                    unknown(namespace, e);
                    if is_away {
                        break;
                    }
                }
            }
        }
        Permissions(found)
    }

    /// Asks the API server, and logs what is missing.
    pub(super) fn find(context: &Context, plan: &Options) -> Permissions {
        let Permissions(mut found) = Permissions::ask(context);
        let Some(client) = context.kube.as_deref() else { return Permissions(found) };
        let mut names = unnamed(context, plan);
        let is_vague = |missing: &Missing<'_>| missing.rule.by_name && missing.names.is_empty();
        // The names of the Secrets are needed only where not all Secrets are allowed: they cost reading the whole ConfigMap.
        if found.iter().any(|(namespace, rules)| rules.missing(&names[namespace]).iter().any(is_vague)) {
            names = named(context, plan);
        }
        for (namespace, rules) in &mut found {
            let Some(names) = names.get(namespace) else { continue };
            if let Err(e) = access_review::complete(client, namespace, rules, names) {
                unknown(namespace, e);
                continue;
            }
            for missing in rules.missing(names) {
                // A single pass watches nothing.
                if plan.pass == RunMode::Forever || !matches!(missing.rule.verb, "list" | "watch") {
                    say(namespace, &missing);
                }
            }
        }
        Permissions(found)
    }
}

fn unknown(namespace: &str, e: KubeError) {
    event!(debug, "permissions-unknown", namespace = namespace, error = e);
}

fn say(namespace: &str, missing: &Missing<'_>) {
    let Missing { rule, names } = missing;
    metrics::missing(rule.resource.plural, rule.verb);
    let names = match names.len() {
        0 => "all".to_owned(),
        1..=NAMES_SHOWN_MAX => Vec::from_iter(names.iter().copied()).join(","),
        many => format!("{many} of them"),
    };
    event!(
        warn,
        "permission-missing",
        verb = rule.verb,
        resource = rule.resource.plural,
        namespace = namespace,
        names = names,
        consequence = rule.consequence,
        hint = "`notariat role` prints a Role that is enough"
    );
}

/// Adds the objects that no entry names.
fn add_besides(names: &mut BTreeMap<String, Names>, context: &Context, plan: &Options) {
    if plan.selection.has_objects() {
        add_of_sources(names, &context.namespaces, plan.selection.prunes);
    }
    names.entry(context.namespace.clone()).or_default().extend(besides(plan));
}

/// The objects besides Secrets.
fn besides(plan: &Options) -> Names {
    let config_maps = plan.config_maps.iter().map(|at| at.name.to_string()).collect();
    let mut names = Names::from([(RuleSubject::ConfigMap, config_maps), (RuleSubject::Event, BTreeSet::new())]);
    if let Some(lease) = &plan.lease {
        names.insert(RuleSubject::Lease, [lease.name.to_string()].into());
    }
    if plan.tells() {
        names.insert(RuleSubject::Status, [crate::status::config_map::NAME.to_owned()].into());
    }
    names
}

/// All subjects, with Secrets under names that are not known yet.
fn unnamed(context: &Context, plan: &Options) -> BTreeMap<String, Names> {
    let secrets = [RuleSubject::Input, RuleSubject::Certificate, RuleSubject::Own].map(|kind| (kind, BTreeSet::new()));
    let each = context.namespaces.all().map(|namespace| (namespace.to_owned(), Names::from(secrets.clone())));
    let mut names: BTreeMap<_, _> = each.collect();
    add_besides(&mut names, context, plan);
    names
}

/// The objects that the ConfigMaps name, as far as they can be read.
fn named(context: &Context, plan: &Options) -> BTreeMap<String, Names> {
    let mut desired = Desired::default();
    for name in &plan.config_maps {
        let Ok(Some(data)) = context.store.config_map(name) else { continue };
        if let Ok(config) = config::read(&data, &context.namespaces) {
            config_map::add(&mut desired, name, &config, |_| None);
        }
    }
    let mut names = objects(&desired, &context.clients, &context.namespace);
    add_besides(&mut names, context, plan);
    names
}
