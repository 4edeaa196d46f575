//! The table of all sources.

use std::collections::BTreeSet;

use super::Source;
use super::cert_manager::CertManagerSource;
use super::config_map::ConfigMapSource;
use super::gardener::{GardenerElsewhere, GardenerSource};
use super::gateway::GatewaySource;
use super::ingress::IngressSource;
use super::selection::{ObjectKind, Selection};
use super::service::ServiceSource;
use crate::base::name::{ClusterName, ObjectRef};
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
            ObjectKind::CertManager => {
                let cluster_resources = selection.cluster_resources().unwrap_or_default();
                Box::new(CertManagerSource::new(selector(), cluster_resources))
            }
            ObjectKind::Gardener => Box::new(GardenerSource::new(selector(), &selection.gardener)),
        }
    };
    selection.kinds.iter().map(source).collect()
}

/// The sources of objects of other clusters that the flag `-sources` names, one for each of their namespaces.
pub fn of_objects_elsewhere(selection: &Selection, namespaces: &Namespaces) -> Vec<Box<dyn Source>> {
    let mut all: Vec<Box<dyn Source>> = Vec::new();
    for (cluster, _) in &selection.elsewhere {
        let (cluster, class) = (ClusterName::new(cluster), &selection.gardener.class);
        for namespace in namespaces.in_target(&cluster) {
            let selector = selection.selector.clone().map_or(Selector::All, Selector::Labels);
            all.push(Box::new(GardenerElsewhere::new(&cluster, namespace, selector, class)));
        }
    }
    all
}

/// The kinds that are read in the namespaces of another cluster.
pub fn kinds_read_in(selection: &Selection, cluster: &str) -> BTreeSet<Resource> {
    selection.has_objects_in(cluster).then_some(Resource::GARDENER_CERTIFICATES).into_iter().collect()
}

/// The kinds that these sources read in the whole cluster.
pub fn kinds_read(selection: &Selection) -> BTreeSet<Resource> {
    of_objects(selection).iter().flat_map(|source| source.targets()).map(|target| target.resource).collect()
}

/// The sources of entries of a program with these arguments.
pub fn all(config_maps: &[ObjectRef], namespaces: &Namespaces) -> Vec<Box<dyn Source>> {
    vec![Box::new(ConfigMapSource::new(config_maps, namespaces.clone()))]
}
