//! The objects that the wanted certificates use, by namespace: the names that a Role must list, at home and in another cluster. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::account;
use super::clients::AcmeClients;
use crate::base::name::ObjectRef;
use crate::config::namespaces::Namespaces;
use crate::kube::rbac::{Names, RuleSubject};
use crate::record;
use crate::sources::Desired;

/// The Secrets of all wanted certificates at home, and the accounts and records of all in our own namespace.
pub fn objects(wishes: &Desired, cas: &AcmeClients, own_namespace: &str) -> BTreeMap<String, Names> {
    let mut objects = BTreeMap::<String, Names>::new();
    let mut add = |kind: RuleSubject, at: &ObjectRef| {
        objects.entry(at.namespace.to_string()).or_default().entry(kind).or_default().insert(at.name.to_string());
    };
    for wanted in wishes.wanted.values() {
        wanted.inputs().for_each(|at| add(RuleSubject::Input, at));
        let here = wanted.entry.secrets.iter().filter(|at| at.cluster.is_home());
        here.for_each(|at| add(RuleSubject::Certificate, at));
        add(RuleSubject::Own, &account::reference(cas.directory(wanted).url(), wanted, own_namespace));
        add(RuleSubject::Own, &record::reference(wanted.entry.main_secret(), own_namespace));
    }
    objects
}

/// The Secrets of wanted certificates in another cluster. There is nothing else there.
pub fn objects_in(wishes: &Desired, cluster: &str) -> BTreeMap<String, Names> {
    let mut objects = BTreeMap::<String, Names>::new();
    let all = wishes.wanted.values().flat_map(|wanted| &wanted.entry.secrets);
    for at in all.filter(|at| at.cluster.name() == Some(cluster)) {
        let names = objects.entry(at.namespace.to_string()).or_default();
        names.entry(RuleSubject::Certificate).or_default().insert(at.name.to_string());
    }
    objects
}

/// Adds what the objects of another cluster need that are sources there: in each of these namespaces Secrets under names that nobody knows
/// before, and Events.
pub fn add_of_sources_in<'n>(objects: &mut BTreeMap<String, Names>, namespaces: impl Iterator<Item = &'n str>) {
    for namespace in namespaces {
        let names = objects.entry(namespace.to_owned()).or_default();
        names.insert(RuleSubject::Certificate, BTreeSet::new());
        names.insert(RuleSubject::Event, BTreeSet::new());
    }
}

/// Adds what certificates need that Ingresses, Gateways and Services ask for: in each served namespace Secrets under names that nobody knows
/// before, and Events; and what ClusterIssuers name. `prunes` is `-prune`.
pub fn add_of_sources(objects: &mut BTreeMap<String, Names>, namespaces: &Namespaces, prunes: bool) {
    for namespace in namespaces.all() {
        let names = objects.entry(namespace.to_owned()).or_default();
        // The verbs on all Secrets hold those on single ones.
        names.retain(|subject, _| !matches!(subject, RuleSubject::Input | RuleSubject::Own));
        names.insert(RuleSubject::Certificate, BTreeSet::new());
        names.insert(RuleSubject::Event, BTreeSet::new());
        names.extend(prunes.then(|| (RuleSubject::Pruned, BTreeSet::new())));
    }
    for namespace in namespaces.inputs_only() {
        objects.entry(namespace.to_owned()).or_default().insert(RuleSubject::Input, BTreeSet::new());
    }
}
