//! What was said last about each subject: it is said again only when it changes, or comes back.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

/// Hashes of subjects with what was said about them, by a hash of the scope that is looked at in one go: there may be 10,000 of them, and
/// mostly one thing is to be said in each.
#[derive(Debug, Default)]
pub(super) struct Said {
    one: HashMap<u64, u64>,
    several: HashMap<u64, Vec<u64>>,
    current: u64,
    now: Vec<u64>,
    before: Vec<u64>,
}

impl Said {
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
        self.current = hash(scope);
        let one = self.one.remove(&self.current).map(|said| vec![said]);
        self.before = one.or_else(|| self.several.remove(&self.current)).unwrap_or_default();
    }

    /// Whether to say `text` about `subject`: it is not what was said last.
    pub(super) fn is_news(&mut self, subject: &str, text: &str) -> bool {
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
        let mut said = Said::default();
        let mut look = |scope: &str, things: &[(&str, &str)]| {
            said.begin(&scope);
            things.iter().map(|(subject, text)| said.is_news(subject, text)).collect::<Vec<_>>()
        };
        assert_eq!(look("web", &[("state", "valid"), ("warning", "x")]), [true, true]);
        assert_eq!(look("other", &[("state", "valid")]), [true], "of another one");
        assert_eq!(look("web", &[("state", "valid"), ("warning", "x")]), [false, false]);
        assert_eq!(look("web", &[("state", "waiting")]), [true]);
        assert_eq!(look("web", &[("state", "waiting"), ("warning", "x")]), [false, true], "it came back");
    }
}
