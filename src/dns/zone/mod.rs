//! The place of a challenge's TXT: owner (after CNAMEs), zone, servers, and key (docs/zones.md).
//!
//! Untrusted: every answer. Answers decide where a signed UPDATE is sent, and a key is only used at servers that the
//! configuration names or that the zone's own SOA and NS name. An error (SERVFAIL, REFUSED, silence) is never read as
//! "no such record". Tested by tests/it/zones.rs on BIND, Knot and PowerDNS.

mod answer;
mod cut;
mod find;
mod finder;
mod follow;

pub use answer::ns_names;
pub use cut::zone_shown_to;
pub use finder::{ChallengeLocation, LocationError, NameServer, ZoneFinder};
