//! The name of a cluster.

use std::sync::Arc;

/// The name of a cluster. Home, the cluster that notariat serves, has none. One word of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName(Option<Arc<String>>);

impl ClusterName {
    /// Home.
    pub const HOME: ClusterName = ClusterName(None);

    /// The name of another cluster.
    pub fn new(name: &str) -> ClusterName {
        ClusterName(Some(Arc::new(name.to_owned())))
    }

    /// True for home.
    pub fn is_home(&self) -> bool {
        self.0.is_none()
    }

    /// The name; `None` for home.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref().map(String::as_str)
    }
}
