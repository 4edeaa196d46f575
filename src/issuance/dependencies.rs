//! The objects that the wanted certificates use, by namespace: the names that a Role must list. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::account;
use super::clients::AcmeClients;
use crate::base::name::ObjectRef;
use crate::config::namespaces::Namespaces;
use crate::kube::rbac::{Names, RuleSubject};
use crate::record;
use crate::sources::Desired;

/// The Secrets of all wanted certificates, and their accounts and records in our own namespace.
pub fn objects(wishes: &Desired, cas: &AcmeClients, own_namespace: &str) -> BTreeMap<String, Names> {
    let mut objects = BTreeMap::<String, Names>::new();
    let mut add = |kind: RuleSubject, at: &ObjectRef| {
        objects.entry(at.namespace.to_string()).or_default().entry(kind).or_default().insert(at.name.to_string());
    };
    for wanted in wishes.wanted.values() {
        wanted.inputs().for_each(|at| add(RuleSubject::Input, at));
        wanted.entry.secrets.iter().for_each(|at| add(RuleSubject::Certificate, at));
        add(RuleSubject::Own, &account::reference(cas.directory(wanted).url(), wanted, own_namespace));
        add(RuleSubject::Own, &record::reference(wanted.entry.main_secret(), own_namespace));
    }
    objects
}

/// Adds what certificates need that Ingresses, Gateways and Services ask for: in each served namespace Secrets under names that nobody knows
/// before, and Events.
pub fn add_of_sources(objects: &mut BTreeMap<String, Names>, namespaces: &Namespaces) {
    for namespace in namespaces.all() {
        let names = objects.entry(namespace.to_owned()).or_default();
        // The verbs on all Secrets hold those on single ones.
        names.retain(|subject, _| !matches!(subject, RuleSubject::Input | RuleSubject::Own));
        names.insert(RuleSubject::Certificate, BTreeSet::new());
        names.insert(RuleSubject::Event, BTreeSet::new());
    }
}
