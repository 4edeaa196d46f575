//! What was said last about each subject: it is said again only when it changes, or comes back.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};

use crate::base::limits::SAID_KEPT_MIN;

/// Hashes of subjects with what was said about them, by a hash of the scope that is looked at in one go: there may be 10,000 of them, and
/// mostly one thing is to be said in each.
#[derive(Debug, Default)]
pub(super) struct LogDedup {
    one: HashMap<u64, u64>,
    several: HashMap<u64, Vec<u64>>,
    /// What was said in scopes that were not looked at since the last time that old ones were forgotten.
    old: HashMap<u64, Vec<u64>>,
    /// How many scopes there may be before old ones are forgotten.
    prune_at: usize,
    current: u64,
    now: Vec<u64>,
    before: HashSet<u64>,
}

impl LogDedup {
    /// A scope is looked at: what is not said again until the next call is over, and said anew when it comes back.
    pub(super) fn begin(&mut self, scope: &impl Hash) {
        match std::mem::take(&mut self.now) {
            said if said.is_empty() => {}
            said if said.len() == 1 => {
                self.one.insert(self.current, said[0]);
            }
            said => {
                self.several.insert(self.current, said);
            }
        }
        self.prune();
        self.current = hash(scope);
        let one = self.one.remove(&self.current).map(|said| vec![said]);
        let before = one.or_else(|| self.several.remove(&self.current)).or_else(|| self.old.remove(&self.current));
        self.before = before.into_iter().flatten().collect();
    }

    /// Certificates come and go: where there are twice as many scopes as after the last time, those go that nobody looked at since then.
    fn prune(&mut self) {
        if self.one.len() + self.several.len() <= self.prune_at.max(SAID_KEPT_MIN) {
            return;
        }
        let one = std::mem::take(&mut self.one).into_iter().map(|(scope, said)| (scope, vec![said]));
        self.prune_at = one.len() + self.several.len();
        self.old = one.chain(std::mem::take(&mut self.several)).collect();
    }

    /// Whether to say `text` about `subject`: it is not what was said last.
    pub(super) fn changed(&mut self, subject: &str, text: &str) -> bool {
        let said = hash(&(subject, text));
        self.now.push(said);
        !self.before.contains(&said)
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_said_when_it_changes_or_comes_back() {
        let mut said = LogDedup::default();
        let mut look = |scope: &str, things: &[(&str, &str)]| {
            said.begin(&scope);
            things.iter().map(|(subject, text)| said.changed(subject, text)).collect::<Vec<_>>()
        };
        assert_eq!(look("web", &[("state", "valid"), ("warning", "x")]), [true, true]);
        assert_eq!(look("other", &[("state", "valid")]), [true], "of another one");
        assert_eq!(look("web", &[("state", "valid"), ("warning", "x")]), [false, false]);
        assert_eq!(look("web", &[("state", "waiting")]), [true]);
        assert_eq!(look("web", &[("state", "waiting"), ("warning", "x")]), [false, true], "it came back");
    }
    #[test]
    fn what_was_said_of_a_hundred_thousand_certificates_that_are_gone_is_forgotten_and_of_the_others_not() {
        let mut said = LogDedup::default();
        let mut again = 0;
        for i in 0..100_000 {
            said.begin(&i);
            assert!(said.changed("state", "valid"));
            if i % 3 == 0 {
                said.changed("warning", "x");
            }
            if i % 100 == 0 {
                said.begin(&"stays");
                again += usize::from(said.changed("state", "valid"));
            }
        }
        assert_eq!(again, 1, "it is looked at all the time");
        let kept = said.one.len() + said.several.len() + said.old.len();
        assert!(kept <= 4 * SAID_KEPT_MIN, "{kept}");
    }
}
