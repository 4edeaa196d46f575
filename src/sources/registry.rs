//! The table of all sources.

use super::Source;
use super::config_map::ConfigMapSource;
use crate::base::name::ObjectRef;
use crate::config::namespaces::Namespaces;

/// All sources of a program with these arguments.
pub fn all(config_maps: &[ObjectRef], namespaces: &Namespaces) -> Vec<Box<dyn Source>> {
    vec![Box::new(ConfigMapSource::new(config_maps, namespaces.clone()))]
}
