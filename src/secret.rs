//! Values that must never reach a log, an error, an Event or a metric.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// A secret value: prints as `(secret)` whatever the format, without a head or a length, and is wiped when dropped.
#[derive(Clone, Default)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Keeps `value` from being printed.
    pub fn new(value: T) -> Secret<T> {
        Secret(Zeroizing::new(value))
    }

    /// The value itself. Every use of this is a place to look at in a review.
    pub fn expose(&self) -> &T {
        &self.0
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
