//! Where the TXT of a challenge is written: owner (after CNAMEs), zone, servers, and whose key (design: README "How a zone is found").
//!
//! Untrusted: every answer. They steer where a signed UPDATE is sent, and a key is only ever used towards servers that the
//! configuration names or that the zone's own SOA and NS name. An error (SERVFAIL, REFUSED, silence) is never read as "no such
//! record". Tested by tests/it/zones.rs on BIND, Knot and PowerDNS.

mod answer;
mod cut;
mod find;
mod finder;
mod follow;

pub use answer::ns_names;
pub use cut::zone_shown_to;
pub use finder::{ChallengeLocation, LocationError, NameServer, ZoneFinder};
