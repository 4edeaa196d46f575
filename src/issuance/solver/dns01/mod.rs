//! The dns-01 challenge (RFC 8555 section 8.4): the zone of each name, one signed UPDATE per zone to add values and one to remove them.
//!
//! Untrusted: the answers of DNS servers, which `dns` verifies. Tested by tests/it/zones.rs and tests/it/seeing.rs.

mod hosts;
mod present;
pub mod update;
pub mod zone_update;
mod zones;

pub use present::Dns01;
pub use zone_update::WILDCARD_HOST;
pub use zones::Dns01Solver;
