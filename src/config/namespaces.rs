//! The namespaces whose Secrets may be used: notariat's own, and those that its command line allows. Pure.
//!
//! Every reference to a Secret, in a configuration or in a record's copy of an entry, is read by
//! [`Namespaces::reference`]; the store calls [`Namespaces::check`] again before each request. An editor of the
//! ConfigMap (an attacker, for this rule) or of a record cannot get around either. Tested by tests/it/namespaces.rs,
//! too.

use std::collections::BTreeSet;

use crate::base::name::ObjectRef;

/// The namespaces that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespaces {
    own: String,
    others: BTreeSet<String>,
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
        Namespaces { own: own.to_owned(), others }
    }

    /// The own namespace, which names without one refer to.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// All namespaces, the own one first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.own()).chain(self.others.iter().map(String::as_str))
    }

    /// Reads `name` or `namespace/name`.
    ///
    /// # Errors
    /// When one of the two is not a Kubernetes name, or the namespace may not be used.
    pub fn reference(&self, text: &str) -> Result<ObjectRef, String> {
        let at = ObjectRef::parse(text, &self.own).map_err(|e| e.to_string())?;
        self.check(&at)?;
        Ok(at)
    }

    /// Checks that an object may be used.
    ///
    /// # Errors
    /// The namespace that may not be used, and the flag that allows it.
    pub fn check(&self, at: &ObjectRef) -> Result<(), String> {
        let ObjectRef { namespace, .. } = at;
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
            match (namespaces.reference(text).map(|at| at.to_string()), expected) {
                (Ok(at), Ok(expected)) => assert_eq!(at, expected),
                (Err(e), Err(part)) => assert!(e.contains(part), "{text}: {e}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
        assert!(Namespaces::from("team").reference("a/web").is_err());
    }
}
