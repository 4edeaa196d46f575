//! The configuration of zones: the zone of a name, its server, and the key that may sign for it. Pure.
//!
//! The rules here decide at which servers a key may be used: setting a CNAME is not enough to make our key sign for a
//! zone that is not configured (docs/zones.md).

use serde::Serialize;

use crate::base::address::ServerAddress;
use crate::base::challenge_type::ChallengeType;
use crate::base::name::{DnsName, Domain, ObjectRef};
use crate::dns::settings::DnsSettings;

/// One item of the key `zones`: the server and key of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneRule {
    /// The zone.
    pub zone: DnsName,
    /// The server for UPDATEs; discovered when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerAddress>,
    /// The Secret of the key; the entry's when not set.
    #[serde(rename = "tsigSecretName", skip_serializing_if = "Option::is_none")]
    pub tsig_secret: Option<ObjectRef>,
    /// The type of challenge of the names in the zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<ChallengeType>,
}

/// The configuration of one certificate, as far as it concerns zones and keys.
#[derive(Clone, Copy, Debug)]
pub struct ZonePolicy<'a> {
    /// The names of the certificate.
    pub domains: &'a [Domain],
    /// The field `dns` of the entry.
    pub dns: &'a DnsSettings,
    /// The Secret of the entry's TSIG key.
    pub tsig_secret: Option<&'a ObjectRef>,
    /// The key `zones` of the ConfigMap.
    pub zones: &'a [ZoneRule],
}

/// The configured zone and server of a name.
#[derive(Clone, Copy, Debug)]
pub struct Configured<'a> {
    /// The zone that encloses the name.
    pub zone: Option<&'a DnsName>,
    /// The server for UPDATEs.
    pub server: Option<&'a ServerAddress>,
}

impl<'a> ZonePolicy<'a> {
    /// The longest configured zone that encloses `owner`; of two equal ones the entry's. A server without a zone counts
    /// only for names below the entry's own domains.
    pub fn configured(&self, owner: &DnsName) -> Configured<'a> {
        let dns = self.dns;
        let own = dns.zone.as_ref().map(|zone| (zone, dns.server.as_ref()));
        let rules = self.zones.iter().map(|r| (&r.zone, r.server.as_ref()));
        let enclosing: Vec<_> = rules.chain(own).filter(|(zone, _)| owner.is_within(zone)).collect();
        match enclosing.iter().map(|(zone, _)| *zone).max_by_key(|zone| zone.as_str().len()) {
            // The entry's rule is the last one.
            Some(zone) => Configured {
                zone: Some(zone),
                server: enclosing.iter().rev().find_map(|(z, s)| (*z == zone).then_some(*s)?),
            },
            None => {
                let ours = self.domains.iter().any(|d| owner.is_within(d.base()));
                Configured { zone: None, server: dns.server.as_ref().filter(|_| ours && dns.zone.is_none()) }
            }
        }
    }

    /// The clause for an `owner` without a zone: the entry's zone and server do not apply to it.
    pub fn passed_over(&self, owner: &DnsName) -> String {
        match &self.dns.zone {
            Some(zone) if !owner.is_within(zone) => {
                format!("; {owner} is not inside `dns.zone` {zone}, so neither it nor `dns.server` is used here")
            }
            _ => String::new(),
        }
    }

    /// The key that signs for `zone`: that of its rule, or the entry's key for zones of the entry's own domains and for
    /// zones in `zones`. `chain` holds the owners that led there.
    ///
    /// # Errors
    /// The configuration that is missing.
    pub fn key(&self, zone: &DnsName, chain: &[DnsName]) -> Result<ObjectRef, String> {
        let rules = self.zones.iter().filter(|r| zone.is_within(&r.zone));
        let rule = rules.max_by_key(|r| r.zone.as_str().len());
        let own = self.domains.iter().any(|d| d.base().is_within(zone));
        // A zone below a configured one may be delegated to anybody.
        let configured = self.zones.iter().any(|r| r.zone == *zone) || self.dns.zone.as_ref() == Some(zone);
        if !own && !configured {
            return Err(format!(
                "{} leads to the zone {zone}, which is not configured: add `- zone: {zone}` to the key `zones` if its key may be used",
                joined(chain)
            ));
        }
        let key = rule.and_then(|r| r.tsig_secret.as_ref()).or(self.tsig_secret);
        key.cloned().ok_or_else(|| {
            format!("no TSIG key is configured for the zone {zone}: set `tsigSecretName` in the entry, in `defaults` or in `zones`")
        })
    }
}

/// A chain of CNAMEs, for people.
pub fn joined(chain: &[DnsName]) -> String {
    chain.iter().map(DnsName::as_str).collect::<Vec<_>>().join(" -> ")
}

#[cfg(test)]
mod tests {
    use crate::config::entry::Entry;
    use crate::config::{node, zones_of};

    fn key(zone: &str, entry: &str, zones: &str) -> Result<String, String> {
        let entry = Entry::read(&node::read(entry).unwrap(), &"t".into()).unwrap();
        let zones = zones_of(&node::read(zones).unwrap(), &"t".into()).unwrap();
        let rules = entry.zone_policy(&zones);
        let chain = [entry.domains[0].challenge_name(), "x.example".parse().unwrap()];
        rules.key(&zone.parse().unwrap(), &chain).map(|k| k.name.to_string())
    }

    #[test]
    fn a_key_signs_only_for_zones_that_are_the_entrys_own_or_configured() {
        let own = "{secret: s, domains: [www.a.test], tsigSecretName: own}";
        for (zone, entry, zones, expected) in [
            ("a.test", own, "[]", Ok("own")),
            ("www.a.test", own, "[]", Ok("own")),
            ("a.test", own, "[{zone: a.test, tsigSecretName: ruled}]", Ok("ruled")),
            ("a.test", own, "[{zone: test, tsigSecretName: far}, {zone: a.test, tsigSecretName: near}]", Ok("near")),
            ("a.test", own, "[{zone: a.test}]", Ok("own")),
            ("elsewhere.test", own, "[{zone: elsewhere.test}]", Ok("own")),
            ("elsewhere.test", own, "[{zone: elsewhere.test, tsigSecretName: ruled}]", Ok("ruled")),
            (
                "elsewhere.test",
                own,
                "[{zone: other.test}]",
                Err("leads to the zone elsewhere.test, which is not configured"),
            ),
            ("ba.test", own, "[]", Err("which is not configured")),
            ("child.elsewhere.test", own, "[{zone: elsewhere.test}]", Err("which is not configured")),
            ("d.www.a.test", own, "[]", Err("which is not configured")),
            (
                "a.test",
                "{secret: s, domains: [www.a.test]}",
                "[]",
                Err("no TSIG key is configured for the zone a.test"),
            ),
            ("e.test", "{secret: s, domains: [www.a.test], tsigSecretName: own, dns: {zone: e.test}}", "[]", Ok("own")),
        ] {
            match (key(zone, entry, zones), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{zone} {zones}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{zone} {zones}: {found}"),
                (found, expected) => panic!("{zone} {zones}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn the_longest_configured_zone_is_taken_and_a_server_alone_counts_for_own_names() {
        let of = |entry: &str, zones: &str, owner: &str| {
            let entry = Entry::read(&node::read(entry).unwrap(), &"t".into()).unwrap();
            let zones = zones_of(&node::read(zones).unwrap(), &"t".into()).unwrap();
            let rules = entry.zone_policy(&zones);
            let found = rules.configured(&owner.parse().unwrap());
            (found.zone.map(ToString::to_string), found.server.map(ToString::to_string))
        };
        let text = |t: &str| Some(t.to_owned());
        let plain = "{secret: s, domains: [www.a.test]}";
        assert_eq!(of(plain, "[]", "_acme-challenge.www.a.test"), (None, None));
        let rules = "[{zone: a.test, server: 192.0.2.1}, {zone: www.a.test, server: 192.0.2.2}]";
        assert_eq!(of(plain, rules, "_acme-challenge.www.a.test"), (text("www.a.test"), text("192.0.2.2")));
        assert_eq!(of(plain, rules, "_acme-challenge.a.test"), (text("a.test"), text("192.0.2.1")));
        let server = "{secret: s, domains: [www.a.test], dns: {server: 192.0.2.9}}";
        assert_eq!(of(server, "[]", "_acme-challenge.www.a.test"), (None, text("192.0.2.9")));
        assert_eq!(of(server, "[]", "x.elsewhere.test"), (None, None), "a CNAME led there");
        let both = "{secret: s, domains: [www.a.test], dns: {server: 192.0.2.9, zone: a.test}}";
        assert_eq!(
            of(both, "[{zone: a.test, server: 192.0.2.1}]", "x.a.test"),
            (text("a.test"), text("192.0.2.9")),
            "the entry's own"
        );
    }
}
