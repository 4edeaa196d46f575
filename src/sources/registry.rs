//! The table of all sources.

use super::Source;
use super::config_map::ConfigMapSource;
use super::selection::{ObjectKind, Selection};
use crate::base::name::ObjectRef;
use crate::config::namespaces::Namespaces;

/// The sources of objects that the flag `-sources` names.
pub fn of_objects(selection: &Selection) -> Vec<Box<dyn Source>> {
    let source = |_kind: &ObjectKind| -> Option<Box<dyn Source>> { None };
    selection.kinds.iter().filter_map(source).collect()
}

/// The sources of entries of a program with these arguments.
pub fn all(config_maps: &[ObjectRef], namespaces: &Namespaces) -> Vec<Box<dyn Source>> {
    vec![Box::new(ConfigMapSource::new(config_maps, namespaces.clone()))]
}
