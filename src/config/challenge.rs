//! The type of challenge by which a name is proved. Pure.

use std::fmt;

use super::entry::Entry;
use super::issuers::Issuer;
pub use crate::base::challenge_type::ChallengeType;
use crate::base::name::{DnsName, Domain};
use crate::dns::zone_policy::ZoneRule;

/// The place that decides about the type of challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChosenBy<'a> {
    /// The name is a wildcard.
    Wildcard,
    /// The entry, or for an object `defaults`.
    Entry,
    /// The row of `zones` for this zone.
    Zone(&'a DnsName),
    /// The issuer of this name.
    Issuer(&'a str),
    /// The annotation `kubernetes.io/tls-acme`, because no zone with a TSIG key encloses the name.
    TlsAcme,
    /// Nothing says a type.
    Default,
}

/// The type of challenge by which `name` is proved, and the place that decides: that of the entry, else of the longest of `zones` that encloses
/// the name and says one, else of the issuer. Where none says one, an Ingress with `kubernetes.io/tls-acme` gets http-01 for names without a
/// TSIG key, as kube-lego had it, and everything else dns-01. A wildcard is always proved by dns-01.
pub fn chosen<'a>(
    entry: &Entry,
    zones: &'a [ZoneRule],
    issuer: Option<&'a Issuer>,
    name: &Domain,
) -> (ChallengeType, ChosenBy<'a>) {
    if name.is_wildcard() {
        return (ChallengeType::Dns01, ChosenBy::Wildcard);
    }
    let enclosing = || zones.iter().filter(|rule| name.base().is_within(&rule.zone));
    let longest = || enclosing().filter(|rule| rule.challenge.is_some()).max_by_key(|rule| rule.zone.as_str().len());
    let of_zone = || longest().and_then(|rule| Some((rule.challenge?, ChosenBy::Zone(&rule.zone))));
    let of_issuer = || issuer.and_then(|issuer| Some((issuer.challenge?, ChosenBy::Issuer(&issuer.name))));
    let of_entry = entry.challenge.map(|way| (way, ChosenBy::Entry));
    if let Some(said) = of_entry.or_else(of_zone).or_else(of_issuer) {
        return said;
    }
    let has_key = || entry.tsig_secret.is_some() || enclosing().any(|rule| rule.tsig_secret.is_some());
    match entry.http_without_key && !has_key() {
        true => (ChallengeType::Http01, ChosenBy::TlsAcme),
        false => (ChallengeType::Dns01, ChosenBy::Default),
    }
}

/// The type of challenge by which `name` is proved.
pub fn challenge_of(entry: &Entry, zones: &[ZoneRule], issuer: Option<&Issuer>, name: &Domain) -> ChallengeType {
    chosen(entry, zones, issuer, name).0
}

impl fmt::Display for ChosenBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChosenBy::Wildcard => f.write_str("because it is a wildcard"),
            ChosenBy::Entry => f.write_str("as `challenge` in `defaults` says"),
            ChosenBy::Zone(zone) => write!(f, "as the zone {zone} in `zones` says"),
            ChosenBy::Issuer(name) => write!(f, "as the issuer {name} says"),
            ChosenBy::TlsAcme => f.write_str("because no zone with a TSIG key encloses it"),
            ChosenBy::Default => f.write_str("by default"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, node};

    fn configured(entry: &str, zones: &str, issuer: &str, name: &str) -> (Entry, Vec<ZoneRule>, Issuer) {
        let entry = format!("{{secret: s, domains: [\"{name}\"], issuer: ca{entry}}}");
        let issuer = format!("{{directory: \"https://ca.test/dir\"{issuer}}}");
        (
            Entry::read(&node::read(&entry).unwrap(), &"t".into()).unwrap(),
            config::zones_of(&node::read(zones).unwrap(), &"t".into()).unwrap(),
            Issuer::read("ca", &node::read(&issuer).unwrap(), &"t".into()).unwrap(),
        )
    }

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
            let (entry, zones, issuer) = configured(entry, zones, issuer, name);
            let found = challenge_of(&entry, &zones, Some(&issuer), &name.parse().unwrap());
            assert_eq!(found.name(), expected, "{entry:?} {zones:?} {issuer:?}");
        }
    }

    #[test]
    fn an_ingress_of_kube_lego_needs_no_key_where_nothing_else_decides() {
        let keyed = "[{zone: a.test, tsigSecretName: key}]";
        for (asked, entry, zones, issuer, name, expected) in [
            (true, "", "[]", "", "www.a.test", (ChallengeType::Http01, "because no zone with a TSIG key encloses it")),
            (false, "", "[]", "", "www.a.test", (ChallengeType::Dns01, "by default")),
            (true, "", keyed, "", "www.a.test", (ChallengeType::Dns01, "by default")),
            (true, "", keyed, "", "a.test", (ChallengeType::Dns01, "by default")),
            (true, "", keyed, "", "b.test", (ChallengeType::Http01, "because no zone with a TSIG key encloses it")),
            (true, "", keyed, "", "xa.test", (ChallengeType::Http01, "because no zone with a TSIG key encloses it")),
            (
                true,
                "",
                "[{zone: a.test, server: '192.0.2.1'}]",
                "",
                "www.a.test",
                (ChallengeType::Http01, "because no zone with a TSIG key encloses it"),
            ),
            (true, ", tsigSecretName: key", "[]", "", "www.a.test", (ChallengeType::Dns01, "by default")),
            (
                true,
                ", challenge: dns-01",
                "[]",
                "",
                "www.a.test",
                (ChallengeType::Dns01, "as `challenge` in `defaults` says"),
            ),
            (
                true,
                ", challenge: http-01",
                keyed,
                "",
                "www.a.test",
                (ChallengeType::Http01, "as `challenge` in `defaults` says"),
            ),
            (
                true,
                "",
                "[{zone: a.test, challenge: dns-01}]",
                ", challenge: http-01",
                "www.a.test",
                (ChallengeType::Dns01, "as the zone a.test in `zones` says"),
            ),
            (true, "", "[]", ", challenge: dns-01", "www.a.test", (ChallengeType::Dns01, "as the issuer ca says")),
            (true, "", "[]", "", "*.a.test", (ChallengeType::Dns01, "because it is a wildcard")),
        ] {
            let (mut entry, zones, issuer) = configured(entry, zones, issuer, name);
            entry.http_without_key = asked;
            let (way, by) = chosen(&entry, &zones, Some(&issuer), &name.parse().unwrap());
            assert_eq!((way, by.to_string().as_str()), expected, "{asked} {entry:?} {zones:?} {issuer:?}");
        }
    }
}
