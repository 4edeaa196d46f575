//! Remembers the log lines about each certificate, so that a line is written only when it changes or comes back. Pure.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};

use crate::base::limits::SAID_KEPT_MIN;

/// Hashes of what was said, by the hash of the scope, which is a certificate as a rule. There may be 10,000 scopes, mostly with one thing
/// said in each.
#[derive(Debug, Default)]
pub(super) struct LogDedup {
    one: HashMap<u64, u64>,
    several: HashMap<u64, Vec<u64>>,
    /// The scopes that were not visited since the last pruning.
    old: HashMap<u64, Vec<u64>>,
    /// The number of scopes above which old ones are dropped.
    prune_at: usize,
    current: u64,
    now: Vec<u64>,
    before: HashSet<u64>,
}

impl LogDedup {
    /// Visits a scope. A thing that is not said again before the next call counts as over, and is said anew when it comes back.
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

    /// Drops scopes that were not visited since the last pruning, once there are twice as many as after that.
    fn prune(&mut self) {
        if self.one.len() + self.several.len() <= self.prune_at.max(SAID_KEPT_MIN) {
            return;
        }
        let one = std::mem::take(&mut self.one).into_iter().map(|(scope, said)| (scope, vec![said]));
        self.prune_at = one.len() + self.several.len();
        self.old = one.chain(std::mem::take(&mut self.several)).collect();
    }

    /// Tells whether `text` about `subject` is new.
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
