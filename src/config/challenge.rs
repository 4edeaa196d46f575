//! The type of challenge by which a name is proved. Pure.

use super::entry::Entry;
use super::issuers::Issuer;
pub use crate::base::challenge_type::ChallengeType;
use crate::base::name::Domain;
use crate::dns::zone_policy::ZoneRule;

/// The type of challenge by which `name` is proved: that of the entry, else of the longest of `zones` that encloses the name and says one,
/// else of the issuer, else dns-01. A wildcard is always proved by dns-01.
pub fn challenge_of(entry: &Entry, zones: &[ZoneRule], issuer: Option<&Issuer>, name: &Domain) -> ChallengeType {
    if name.is_wildcard() {
        return ChallengeType::Dns01;
    }
    let enclosing = zones.iter().filter(|rule| rule.challenge.is_some() && name.base().is_within(&rule.zone));
    let longest = || enclosing.max_by_key(|rule| rule.zone.as_str().len()).and_then(|rule| rule.challenge);
    let given = entry.challenge.or_else(longest).or_else(|| issuer.and_then(|issuer| issuer.challenge));
    given.unwrap_or(ChallengeType::Dns01)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, node};

    #[test]
    fn the_entry_decides_before_the_longest_zone_before_the_issuer() {
        for (entry, zones, issuer, name, expected) in [
            ("", "[]", "", "www.a.test", "dns-01"),
            ("", "[]", ", challenge: http-01", "www.a.test", "http-01"),
            ("", "[{zone: a.test, challenge: dns-01}]", ", challenge: http-01", "www.a.test", "dns-01"),
            (
                "",
                "[{zone: a.test, challenge: dns-01}, {zone: www.a.test, challenge: http-01}]",
                "",
                "www.a.test",
                "http-01",
            ),
            ("", "[{zone: a.test, challenge: http-01}, {zone: www.a.test}]", "", "www.a.test", "http-01"),
            ("", "[{zone: b.test, challenge: http-01}]", "", "www.a.test", "dns-01"),
            (
                ", challenge: dns-01",
                "[{zone: a.test, challenge: http-01}]",
                ", challenge: http-01",
                "www.a.test",
                "dns-01",
            ),
            (", challenge: http-01", "[{zone: a.test, challenge: dns-01}]", "", "www.a.test", "http-01"),
            (", challenge: http-01", "[]", "", "*.a.test", "dns-01"),
        ] {
            let entry = format!("{{secret: s, domains: [\"{name}\"], issuer: ca{entry}}}");
            let entry = Entry::read(&node::read(&entry).unwrap(), &"t".into()).unwrap();
            let zones = config::zones_of(&node::read(zones).unwrap(), &"t".into()).unwrap();
            let issuer = format!("{{directory: \"https://ca.test/dir\"{issuer}}}");
            let issuer = Issuer::read("ca", &node::read(&issuer).unwrap(), &"t".into()).unwrap();
            let found = challenge_of(&entry, &zones, Some(&issuer), &name.parse().unwrap());
            assert_eq!(found.name(), expected, "{entry:?} {zones:?} {issuer:?}");
        }
    }
}
