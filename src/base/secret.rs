//! Values that must never reach a log, an error, an Event or a metric.

use std::fmt;
use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use crate::base::redact::{self, KnownSecret};

/// A secret value: prints as `(secret)` whatever the format, without a head or a length, and is wiped when dropped.
#[derive(Clone, Default)]
pub struct Secret<T: Zeroize> {
    value: Zeroizing<T>,
    /// Keeps the value in the table of the last filter, as long as this or a clone of it is there.
    _known: Option<Arc<KnownSecret>>,
}

impl<T: Zeroize> Secret<T> {
    /// Keeps `value` from being printed. The last filter does not know it.
    pub fn new(value: T) -> Secret<T> {
        Secret { value: Zeroizing::new(value), _known: None }
    }

    /// The value itself. Every use of this is a place to look at in a review.
    pub fn expose(&self) -> &T {
        &self.value
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Keeps `value` from being printed, and whoever prints it all the same prints `name` (see [`redact`]).
    pub fn known(name: &'static str, value: T) -> Secret<T> {
        let known = redact::know(name, value.as_ref());
        Secret { value: Zeroizing::new(value), _known: known }
    }

    /// The same where only a part of the value is secret.
    pub fn known_by(name: &'static str, value: T, part: &str) -> Secret<T> {
        Secret { value: Zeroizing::new(value), _known: redact::know(name, part.as_bytes()) }
    }

    /// The same for a text that need not be secret, and may hold private keys: only those are known.
    pub fn with_keys_known(name: &'static str, value: T) -> Secret<T> {
        let known = redact::know_keys(name, value.as_ref());
        Secret { value: Zeroizing::new(value), _known: known }
    }
}

/// For telling whether something changed; not for checking what a peer claims to know.
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
