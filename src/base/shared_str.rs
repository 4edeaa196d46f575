//! Text that many objects have in common (a namespace, a directory, a key type), kept once. With 10,000 certificates
//! this saves megabytes.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::limits::WORDS_KEPT_MAX;

/// Text that is cheap to clone.
#[derive(Clone)]
pub struct SharedStr(Arc<str>);

// Two clones share their memory and are equal: a search among 10,000 objects of one namespace compares pointers only.
impl PartialEq for SharedStr {
    fn eq(&self, other: &SharedStr) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || *self.0 == *other.0
    }
}

impl Eq for SharedStr {}

impl Ord for SharedStr {
    fn cmp(&self, other: &SharedStr) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for SharedStr {
    fn partial_cmp(&self, other: &SharedStr) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for SharedStr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// The texts of [`SharedStr::intern`] that are in use, up to a bound.
static KEPT: Mutex<BTreeSet<SharedStr>> = Mutex::new(BTreeSet::new());

impl SharedStr {
    /// A text of its own, for values that mostly differ.
    pub fn new(text: &str) -> SharedStr {
        SharedStr(text.into())
    }

    /// A text shared with all equal ones, as long as there are not too many different ones.
    pub fn intern(text: &str) -> SharedStr {
        // The lock guards a cache only.
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(text) {
            return known.clone();
        }
        let word = SharedStr::new(text);
        if kept.len() >= WORDS_KEPT_MAX {
            kept.retain(|word| Arc::strong_count(&word.0) > 1);
        }
        if kept.len() < WORDS_KEPT_MAX {
            kept.insert(word.clone());
        }
        word
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for SharedStr {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Lets a map with such keys be asked with any `&str`.
impl Borrow<str> for SharedStr {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for SharedStr {
    fn from(text: &str) -> SharedStr {
        SharedStr::intern(text)
    }
}

impl From<String> for SharedStr {
    fn from(text: String) -> SharedStr {
        SharedStr::intern(&text)
    }
}

impl PartialEq<str> for SharedStr {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for SharedStr {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialEq<String> for SharedStr {
    fn eq(&self, other: &String) -> bool {
        **self == **other
    }
}

impl fmt::Display for SharedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for SharedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl Serialize for SharedStr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for SharedStr {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<SharedStr, D::Error> {
        Ok(SharedStr::new(&String::deserialize(d)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_words_share_their_memory_and_others_do_not_fill_it() {
        let first = SharedStr::intern("https://ca.test/dir");
        assert!(Arc::ptr_eq(&first.0, &SharedStr::intern("https://ca.test/dir").0));
        assert!(!Arc::ptr_eq(&first.0, &SharedStr::new("https://ca.test/dir").0));
        for i in 0..10 * WORDS_KEPT_MAX {
            SharedStr::intern(&format!("nobody keeps {i}"));
        }
        assert!(KEPT.lock().unwrap().len() <= WORDS_KEPT_MAX);
        assert!(Arc::ptr_eq(&first.0, &SharedStr::intern("https://ca.test/dir").0), "it is in use");
    }
}
