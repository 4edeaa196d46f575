//! The table of all sources.

use std::collections::BTreeSet;

use super::Source;
use super::config_map::ConfigMapSource;
use super::gateway::GatewaySource;
use super::ingress::IngressSource;
use super::selection::{ObjectKind, Selection};
use super::service::ServiceSource;
use crate::base::name::ObjectRef;
use crate::config::namespaces::Namespaces;
use crate::kube::resource::{Resource, Selector};

/// The sources of objects that the flag `-sources` names.
pub fn of_objects(selection: &Selection) -> Vec<Box<dyn Source>> {
    let selector = || selection.selector.clone().map_or(Selector::All, Selector::Labels);
    let has_all = !selection.settings.ingress_all.is_empty();
    let source = |kind: &ObjectKind| -> Box<dyn Source> {
        match kind {
            ObjectKind::Ingress => Box::new(IngressSource::new(selector(), has_all)),
            ObjectKind::Gateway => Box::new(GatewaySource::new(selector())),
            ObjectKind::Service => Box::new(ServiceSource::new(selector())),
        }
    };
    selection.kinds.iter().map(source).collect()
}

/// The kinds that these sources read in the whole cluster.
pub fn kinds_read(selection: &Selection) -> BTreeSet<Resource> {
    of_objects(selection).iter().flat_map(|source| source.targets()).map(|target| target.resource).collect()
}

/// The sources of entries of a program with these arguments.
pub fn all(config_maps: &[ObjectRef], namespaces: &Namespaces) -> Vec<Box<dyn Source>> {
    vec![Box::new(ConfigMapSource::new(config_maps, namespaces.clone()))]
}
