//! Values that must never reach a log, an error, an Event or a metric.

use std::fmt;
use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use crate::base::redact::{self, RegisteredSecret};

/// A secret value. Every format prints `(secret)`, without a part or a length of the value. The memory is wiped on
/// drop.
#[derive(Clone, Default)]
pub struct Secret<T: Zeroize> {
    value: Zeroizing<T>,
    /// The entry in the table of the last filter; removed when the last clone is dropped.
    _known: Option<Arc<RegisteredSecret>>,
}

impl<T: Zeroize> Secret<T> {
    /// Wraps a value that the last filter does not know.
    pub fn new(value: T) -> Secret<T> {
        Secret { value: Zeroizing::new(value), _known: None }
    }

    /// The value itself. A review looks at every call.
    pub fn expose(&self) -> &T {
        &self.value
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Wraps a value that the last filter replaces by `name` wherever it is printed (see [`redact`]).
    pub fn known(name: &'static str, value: T) -> Secret<T> {
        let known = redact::know(name, value.as_ref());
        Secret { value: Zeroizing::new(value), _known: known }
    }

    /// Like [`Secret::known`], where only `part` of the value is secret.
    pub fn known_by(name: &'static str, value: T, part: &str) -> Secret<T> {
        Secret { value: Zeroizing::new(value), _known: redact::know(name, part.as_bytes()) }
    }

    /// Like [`Secret::known`], for a text that need not be secret but may hold private keys: only the keys are known.
    pub fn with_keys_known(name: &'static str, value: T) -> Secret<T> {
        let known = redact::know_keys(name, value.as_ref());
        Secret { value: Zeroizing::new(value), _known: known }
    }
}

/// Detects a change. Not for checking what a peer claims to know: the comparison does not take constant time.
impl<T: Zeroize + PartialEq> PartialEq for Secret<T> {
    fn eq(&self, other: &Secret<T>) -> bool {
        self.expose() == other.expose()
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl<T: Zeroize> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_value_is_printed() {
        let s = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{s} {s:?} {s:#?} {:?}", Some(&s)), "(secret) (secret) (secret) Some((secret))");
        assert_eq!(s.expose(), "hunter2");
    }
}
