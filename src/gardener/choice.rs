//! The choice of the Issuer for a Certificate that names none. Pure.

use crate::base::name::{Domain, ObjectRef};
use crate::config::issuers::DomainFilter;

/// The issuer among `all` for these names: of those with ranges that allow every name the one whose ranges are the longest, of equally long
/// ones the first by name. An issuer without included ranges does not compete. `None` where none allows all names.
///
/// Gardener adds up scores, so that an issuer may win that then refuses one of the names, and picks any of equal ones.
pub fn best<'i>(
    all: impl Iterator<Item = (&'i ObjectRef, &'i DomainFilter)>,
    names: &[Domain],
) -> Option<&'i ObjectRef> {
    let length = |ranges: &DomainFilter| -> usize {
        let longest = |name: &Domain| {
            let within = ranges.include.iter().filter(|range| name.base().is_within(range));
            within.map(|range| range.as_str().len()).max().unwrap_or_default()
        };
        names.iter().map(longest).sum()
    };
    let competing = all.filter(|(_, ranges)| !ranges.include.is_empty() && names.iter().all(|name| ranges.holds(name)));
    let longest = competing.map(|(at, ranges)| (length(ranges), std::cmp::Reverse(at))).max();
    longest.map(|(_, std::cmp::Reverse(at))| at)
}
