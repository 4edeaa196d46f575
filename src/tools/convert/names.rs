//! Names for what is made, each for one thing only, and names of others in commands.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::name::ObjectRef;

/// Gives each thing a name of its own, and the same thing the same name.
#[derive(Debug)]
pub(super) struct NameRegistry<T> {
    taken: BTreeSet<String>,
    given: BTreeMap<T, String>,
}

impl<T> Default for NameRegistry<T> {
    fn default() -> NameRegistry<T> {
        NameRegistry { taken: BTreeSet::new(), given: BTreeMap::new() }
    }
}

impl<T: Ord + Clone> NameRegistry<T> {
    /// Keeps a name free: something that is not made here has it.
    pub(super) fn reserve(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }

    /// The name of a thing: the first wish that is free, else the last one with a number.
    pub(super) fn give(&mut self, thing: &T, wishes: &[String]) -> String {
        if let Some(known) = self.given.get(thing) {
            return known.clone();
        }
        let numbered = wishes.last().into_iter().flat_map(|last| (2..).map(move |n: u32| format!("{last}-{n}")));
        let mut all = wishes.iter().cloned().chain(numbered);
        let name = all.find(|name| !self.taken.contains(name)).unwrap_or_default();
        self.taken.insert(name.clone());
        self.given.insert(thing.clone(), name.clone());
        name
    }

    /// The things in the order of their names, each with its name.
    pub(super) fn all(&self) -> Vec<(&str, &T)> {
        let mut all: Vec<_> = self.given.iter().map(|(thing, name)| (name.as_str(), thing)).collect();
        all.sort_by_key(|(name, _)| *name);
        all
    }
}

/// Tells whether a text from an object is a name, which needs no quoting in a shell. The API server lets no other one through.
pub(super) fn is_name(name: &str) -> bool {
    ObjectRef::parse(name, "x").is_ok() && !name.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_things_have_different_names_and_the_same_thing_keeps_its_own() {
        let mut names = NameRegistry::default();
        names.reserve("web");
        let mut give = |thing: u8, wishes: &[&str]| {
            names.give(&thing, &wishes.iter().map(|wish| (*wish).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(give(1, &["tsig"]), "tsig");
        assert_eq!(give(2, &["tsig"]), "tsig-2");
        assert_eq!(give(1, &["other"]), "tsig");
        assert_eq!(give(3, &["tsig", "team-tsig"]), "team-tsig");
        assert_eq!(give(4, &["tsig", "team-tsig"]), "team-tsig-2");
        assert_eq!(give(5, &["web"]), "web-2");
        assert_eq!(names.all(), [("team-tsig", &3), ("team-tsig-2", &4), ("tsig", &1), ("tsig-2", &2), ("web-2", &5)]);
    }
}
