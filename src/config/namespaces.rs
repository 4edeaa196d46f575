//! The namespaces whose Secrets may be used: notariat's own, and those that its command line allows, at home and in other clusters. Pure.
//!
//! Every reference to a Secret, in a configuration or in a record's copy of an entry, is read by
//! [`Namespaces::reference`]; the store calls [`Namespaces::check`] again before each request. An editor of the
//! ConfigMap (an attacker, for this rule) or of a record cannot get around either. Tested by tests/it/namespaces.rs,
//! too.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::name::{ClusterName, ObjectRef};

/// The namespaces that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespaces {
    own: String,
    others: BTreeSet<String>,
    /// Namespaces whose Secrets are inputs only: read, never written.
    inputs: BTreeSet<String>,
    /// The other clusters (`-target`), each with its namespaces besides the one that is named like our own.
    targets: BTreeMap<ClusterName, BTreeSet<String>>,
}

/// Only the own namespace.
impl From<&str> for Namespaces {
    fn from(own: &str) -> Namespaces {
        Namespaces::new(own, &[])
    }
}

impl Namespaces {
    /// The own namespace and others.
    pub fn new(own: &str, others: &[String]) -> Namespaces {
        let others = others.iter().filter(|other| *other != own).cloned().collect();
        Namespaces { own: own.to_owned(), others, inputs: BTreeSet::new(), targets: BTreeMap::new() }
    }

    /// The same, with a namespace whose Secrets may be read as inputs.
    pub fn with_inputs(mut self, namespace: &str) -> Namespaces {
        self.inputs.insert(namespace.to_owned());
        self
    }

    /// The same, with another cluster and its namespaces besides the one that is named like our own.
    pub fn with_target(mut self, name: &str, namespaces: &BTreeSet<String>) -> Namespaces {
        self.targets.insert(ClusterName::new(name), namespaces.clone());
        self
    }

    /// The other cluster of this name.
    ///
    /// # Errors
    /// The rest of a sentence about a name that is none, or that no `-target` has.
    pub fn target(&self, name: &str) -> Result<ClusterName, String> {
        let name = ClusterName::parse(name).map_err(|e| e.to_string())?;
        match self.targets.get_key_value(&name) {
            Some((known, _)) => Ok(known.clone()),
            None => Err(self.no_target()),
        }
    }

    /// The rest of a sentence about a cluster that no `-target` names.
    fn no_target(&self) -> String {
        let known: Vec<&str> = self.targets.keys().filter_map(ClusterName::name).collect();
        let known = match known.is_empty() {
            true => "none is given".to_owned(),
            false => format!("there are {}", known.join(", ")),
        };
        format!("is a cluster that no -target names ({known}): start notariat with -target NAME=KUBECONFIG")
    }

    /// The own namespace, which names without one refer to.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// All namespaces, the own one first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.own()).chain(self.others.iter().map(String::as_str))
    }

    /// The namespaces of another cluster that may be used.
    pub fn in_target(&self, cluster: &ClusterName) -> impl Iterator<Item = &str> {
        let others = self.targets.get(cluster);
        let own = others.map(|_| self.own());
        own.into_iter().chain(others.into_iter().flatten().map(String::as_str).filter(|other| *other != self.own()))
    }

    /// All namespaces of all clusters, by [`ObjectRef::place`].
    pub fn places(&self) -> impl Iterator<Item = String> {
        let there = self.targets.keys().filter_map(|cluster| Some((cluster.name()?, self.in_target(cluster))));
        let there = there.flat_map(|(name, namespaces)| namespaces.map(move |namespace| format!("{name}:{namespace}")));
        self.all().map(str::to_owned).chain(there)
    }

    /// Reads `name` or `namespace/name`, for an object of `cluster`.
    ///
    /// # Errors
    /// When one of the two is not a Kubernetes name, or the namespace may not be used.
    pub fn reference(&self, text: &str, cluster: &ClusterName) -> Result<ObjectRef, String> {
        let at = ObjectRef::parse(text, &self.own).map_err(|e| e.to_string())?;
        let at = ObjectRef { cluster: cluster.clone(), ..at };
        self.check(&at)?;
        Ok(at)
    }

    /// The namespaces whose Secrets are inputs only, besides those that may be used.
    pub fn inputs_only(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(String::as_str).filter(|namespace| self.all().all(|usable| usable != *namespace))
    }

    /// Checks that a Secret may be read as an input: a key, roots, an account.
    ///
    /// # Errors
    /// As [`Namespaces::check`].
    pub fn check_input(&self, at: &ObjectRef) -> Result<(), String> {
        if at.cluster.is_home() && self.inputs.contains(&*at.namespace) { Ok(()) } else { self.check(at) }
    }

    /// Checks that an object may be used.
    ///
    /// # Errors
    /// The namespace or the cluster that may not be used, and the flag that allows it.
    pub fn check(&self, at: &ObjectRef) -> Result<(), String> {
        let ObjectRef { namespace, .. } = at;
        if let Some(cluster) = at.cluster.name() {
            let others = self.targets.get(&at.cluster).ok_or_else(|| format!("{cluster} {}", self.no_target()))?;
            return match *namespace == self.own || others.contains(&**namespace) {
                true => Ok(()),
                false => Err(format!(
                    "is in the namespace {namespace} of the cluster {cluster}, which is neither named like notariat's own ({}) nor among \
                     those of the flag -allow-namespaces; there it is {cluster}:{namespace}",
                    self.own
                )),
            };
        }
        match *namespace == self.own || self.others.contains(&**namespace) {
            true => Ok(()),
            false => Err(format!(
                "is in the namespace {namespace}, which is neither notariat's own ({}) nor among those of the flag -allow-namespaces",
                self.own
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_own_namespace_and_only_those_that_are_allowed_may_be_named() {
        let namespaces = Namespaces::new("team", &["b".to_owned(), "a".to_owned(), "team".to_owned()]);
        assert_eq!(namespaces.all().collect::<Vec<_>>(), ["team", "a", "b"]);
        for (text, expected) in [
            ("web", Ok("team/web")),
            ("team/web", Ok("team/web")),
            ("a/web", Ok("a/web")),
            ("c/web", Err("the namespace c, which is neither notariat's own (team) nor among those of")),
            ("A/web", Err("is not a namespace")),
            ("a/b/c", Err("more than one `/`")),
            ("/web", Err("lacks a namespace")),
        ] {
            match (namespaces.reference(text, &ClusterName::HOME).map(|at| at.to_string()), expected) {
                (Ok(at), Ok(expected)) => assert_eq!(at, expected),
                (Err(e), Err(part)) => assert!(e.contains(part), "{text}: {e}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
        assert!(Namespaces::from("team").reference("a/web", &ClusterName::HOME).is_err());
    }

    #[test]
    fn another_cluster_has_the_namespace_of_our_name_and_those_that_are_allowed_there() {
        let namespaces = Namespaces::new("team", &["b".to_owned()])
            .with_inputs("keys")
            .with_target("edge", &["shop".to_owned()].into())
            .with_target("moon", &BTreeSet::new());
        for (text, expected) in [
            ("edge:team/web", Ok(())),
            ("edge:shop/web", Ok(())),
            ("moon:team/web", Ok(())),
            (
                "edge:b/web",
                Err("the namespace b of the cluster edge, which is neither named like notariat's own (team)"),
            ),
            ("moon:shop/web", Err("nor among those of the flag -allow-namespaces; there it is moon:shop")),
            ("mars:team/web", Err("mars is a cluster that no -target names (there are edge, moon)")),
            ("edge:keys/k", Err("the namespace keys of the cluster edge")),
        ] {
            let at: ObjectRef = text.parse().unwrap();
            for found in [namespaces.check(&at), namespaces.check_input(&at)] {
                match (found, expected) {
                    (Ok(()), Ok(())) => {}
                    (Err(e), Err(part)) => assert!(e.contains(part), "{text}: {e}"),
                    (found, _) => panic!("{text}: {found:?}"),
                }
            }
        }
        assert_eq!(namespaces.target("edge"), Ok(ClusterName::new("edge")));
        assert!(namespaces.target("Edge").unwrap_err().contains("lower-case letters"));
        assert!(Namespaces::from("team").target("edge").unwrap_err().contains("(none is given)"));
        // A name is one of home, whatever the targets allow.
        let (edge, home) = (ClusterName::new("edge"), ClusterName::HOME);
        assert_eq!(namespaces.reference("shop/web", &edge).unwrap().to_string(), "edge:shop/web");
        assert!(
            namespaces.reference("shop/web", &home).is_err() && namespaces.reference("edge:team/web", &home).is_err()
        );
    }
}
