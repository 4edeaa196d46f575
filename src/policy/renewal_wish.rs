//! A renewal that the object of a certificate asks for, once. Pure.
//!
//! The object says it as long as nobody edits it, so that the record tells whether it was served.

use std::fmt;

use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::record::RecordData;

/// A request for one renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenewalWish {
    /// A mark of the request: a certificate that was stored without it is renewed, and stored with it.
    Mark(SharedStr),
    /// A certificate that was stored before this time is renewed, at this time or later.
    After(Time),
}

impl RenewalWish {
    /// The time from which on a held certificate is to be renewed for the wish; `None` where it was served.
    pub fn due(&self, record: &RecordData, held: &CertificateFacts, now: Time) -> Option<Time> {
        let stored = record.stored.as_ref().filter(|stored| stored.serial == held.serial);
        match self {
            RenewalWish::Mark(mark) => {
                let is_served = stored.is_some_and(|stored| stored.renewal_mark.as_ref() == Some(mark));
                (!is_served).then_some(now)
            }
            // What another program stored was not made before it was valid.
            RenewalWish::After(at) => {
                let made = stored.map_or(held.not_before, |stored| stored.at);
                (made < *at).then_some(*at)
            }
        }
    }

    /// The mark to store a certificate with.
    pub fn mark(&self) -> Option<&SharedStr> {
        match self {
            RenewalWish::Mark(mark) => Some(mark),
            RenewalWish::After(_) => None,
        }
    }
}

impl fmt::Display for RenewalWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RenewalWish::Mark(_) => f.write_str("the object asks for a renewal"),
            RenewalWish::After(at) => write!(f, "the object asks for a certificate that was made after {at}"),
        }
    }
}
