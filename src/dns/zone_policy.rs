//! The configuration of zones: the zone of a name, its server, and the key that may sign for it. Pure.
//!
//! The rules here decide at which servers a key may be used: setting a CNAME is not enough to make our key sign for a
//! zone that is not configured (docs/zones.md).

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::base::address::ServerAddress;
use crate::base::challenge_type::ChallengeType;
use crate::base::name::{DnsName, Domain, ObjectRef};
use crate::dns::settings::DnsSettings;
use crate::dns::tsig_secret::{TsigKeyParts, TsigSecret};

/// One item of the key `zones`: the server and key of a zone. There may be one for each name of 10,000 certificates, so that server and Secret are
/// shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneRule {
    /// The zone.
    pub zone: DnsName,
    /// The server for UPDATEs; discovered when not set.
    #[serde(serialize_with = "shared", skip_serializing_if = "Option::is_none")]
    pub server: Option<Arc<ServerAddress>>,
    /// The Secret of the key; the entry's when not set.
    #[serde(rename = "tsigSecretName", serialize_with = "shared", skip_serializing_if = "Option::is_none")]
    pub tsig_secret: Option<Arc<ObjectRef>>,
    /// The parts of the key that the Secret does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tsig_key: Option<TsigKeyParts>,
    /// True if `zone` is only a name, at and below which server and key count: the server says which zone encloses it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub find_zone: bool,
    /// The type of challenge of the names in the zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<ChallengeType>,
}

fn shared<T: Serialize, S: Serializer>(value: &Option<Arc<T>>, s: S) -> Result<S::Ok, S::Error> {
    value.as_deref().serialize(s)
}

impl ZoneRule {
    /// The place of the key.
    pub fn key(&self) -> Option<TsigSecret> {
        Some(TsigSecret { at: self.tsig_secret.as_deref()?.clone(), parts: self.tsig_key.clone() })
    }
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
#[derive(Clone, Debug)]
pub struct Configured<'a> {
    /// The zone that encloses the name.
    pub zone: Option<&'a DnsName>,
    /// The server for UPDATEs.
    pub server: Option<&'a ServerAddress>,
    /// The key with which the server is asked for the zone, where that is not configured.
    pub key: Option<TsigSecret>,
}

impl<'a> ZonePolicy<'a> {
    /// The longest configured zone that encloses `owner`; of two equal ones the entry's. A server without a zone counts
    /// only for names below the entry's own domains.
    pub fn configured(&self, owner: &DnsName) -> Configured<'a> {
        let dns = self.dns;
        let own = dns.zone.as_ref().map(|zone| (zone, dns.server.as_ref()));
        let rules = self.zones.iter().filter(|r| !r.find_zone).map(|r| (&r.zone, r.server.as_deref()));
        let enclosing: Vec<_> = rules.chain(own).filter(|(zone, _)| owner.is_within(zone)).collect();
        let longest = enclosing.iter().map(|(zone, _)| *zone).max_by_key(|zone| zone.as_str().len());
        let by_name = self.by_name(owner);
        let shorter = longest.map_or(0, |zone| zone.as_str().len());
        if let Some(rule) = by_name.filter(|rule| rule.zone.as_str().len() >= shorter) {
            let key = rule.key().or_else(|| self.own_key());
            return Configured { zone: None, server: rule.server.as_deref(), key };
        }
        match longest {
            // The entry's rule is the last one.
            Some(zone) => Configured {
                zone: Some(zone),
                server: enclosing.iter().rev().find_map(|(z, s)| (*z == zone).then_some(*s)?),
                key: None,
            },
            None => {
                let ours = self.domains.iter().any(|d| owner.is_within(d.base()));
                let server = dns.server.as_ref().filter(|_| ours && dns.zone.is_none());
                Configured { zone: None, server, key: self.own_key() }
            }
        }
    }

    /// The longest rule with `findZone` for a name.
    fn by_name(&self, name: &DnsName) -> Option<&'a ZoneRule> {
        let rules = self.zones.iter().filter(|rule| rule.find_zone && name.is_within(&rule.zone));
        rules.max_by_key(|rule| rule.zone.as_str().len())
    }

    fn own_key(&self) -> Option<TsigSecret> {
        self.tsig_secret.cloned().map(TsigSecret::from)
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
    /// zones in `zones`. `chain` holds the owners that led there. For a zone of the entry's own domains a rule with `findZone` for the
    /// challenge's name comes first.
    ///
    /// # Errors
    /// The configuration that is missing.
    pub fn key(&self, zone: &DnsName, chain: &[DnsName]) -> Result<TsigSecret, String> {
        let rules = self.zones.iter().filter(|r| !r.find_zone && zone.is_within(&r.zone));
        let rule = rules.max_by_key(|r| r.zone.as_str().len()).and_then(ZoneRule::key);
        let by_name = chain.first().and_then(|name| self.by_name(name)).and_then(ZoneRule::key);
        let own = self.domains.iter().any(|d| d.base().is_within(zone));
        // A zone below a configured one may be delegated to anybody.
        let is_configured = |rule: &ZoneRule| !rule.find_zone && rule.zone == *zone;
        let configured = self.zones.iter().any(is_configured) || self.dns.zone.as_ref() == Some(zone);
        if !own && !configured {
            return Err(format!(
                "{} leads to the zone {zone}, which is not configured: add `- zone: {zone}` to the key `zones` if its key may be used",
                joined(chain)
            ));
        }
        let key = if own { by_name.or(rule) } else { rule.or(by_name) };
        key.or_else(|| self.own_key()).ok_or_else(|| {
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
        rules.key(&zone.parse().unwrap(), &chain).map(|k| k.at.name.to_string())
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
    fn a_rule_that_finds_its_zone_counts_for_its_name_and_the_zones_around() {
        let entry =
            Entry::read(&node::read("{secret: s, domains: [www.a.test, www.b.test]}").unwrap(), &"t".into()).unwrap();
        let part = "tsigSecretName: tsig, tsigKey: {secretKey: d, name: k.test, algorithm: hmac-sha256}";
        let zones = format!(
            "[{{zone: www.a.test, server: 192.0.2.1, findZone: true, {part}}}, {{zone: www.b.test, server: 192.0.2.2, findZone: true, \
             tsigSecretName: other}}, {{zone: a.test, server: 192.0.2.9, tsigSecretName: zonal}}, {{zone: known.test}}]"
        );
        let zones = zones_of(&node::read(&zones).unwrap(), &"t".into()).unwrap();
        let rules = entry.zone_policy(&zones);
        for (owner, zone, server, key) in [
            ("_acme-challenge.www.a.test", None, Some("192.0.2.1"), Some("tsig")),
            ("_acme-challenge.www.b.test", None, Some("192.0.2.2"), Some("other")),
            ("_acme-challenge.x.a.test", Some("a.test"), Some("192.0.2.9"), None),
            ("x.known.test", Some("known.test"), None, None),
            ("x.c.test", None, None, None),
        ] {
            let found = rules.configured(&owner.parse().unwrap());
            assert_eq!(found.zone.map(ToString::to_string).as_deref(), zone, "{owner}");
            assert_eq!(found.server.map(ToString::to_string).as_deref(), server, "{owner}");
            assert_eq!(found.key.map(|key| key.at.name.to_string()).as_deref(), key, "{owner}");
        }
        for (name, zone, expected) in [
            ("www.a.test", "a.test", Ok(("tsig", true))),
            ("www.a.test", "www.a.test", Ok(("tsig", true))),
            ("www.b.test", "b.test", Ok(("other", false))),
            // A CNAME leads there: the zone is known, and has no key of its own.
            ("www.a.test", "known.test", Ok(("tsig", true))),
            ("www.a.test", "c.test", Err("leads to the zone c.test, which is not configured")),
        ] {
            let chain =
                [name.parse::<crate::base::name::Domain>().unwrap().challenge_name(), "x.test".parse().unwrap()];
            match (rules.key(&zone.parse().unwrap(), &chain), expected) {
                (Ok(key), Ok((at, has_parts))) => {
                    assert_eq!((key.at.name.as_str(), key.parts.is_some()), (at, has_parts))
                }
                (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
                (found, _) => panic!("{name} {zone}: {found:?}"),
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
