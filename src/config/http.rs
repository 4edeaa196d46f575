//! Reads the field `http` of an entry, and the type of challenge of a name.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::entry::Entry;
use super::fields::{FieldError, MapReader, bounded, one_of};
use super::issuers::Issuer;
use super::node::YamlNode;
use super::table::{CHECKS, HTTP};
use crate::base::address::{DNS_PORT, ServerAddress};
pub use crate::base::challenge_type::ChallengeType;
use crate::base::limits::{REACH_WAIT_DEFAULT, REACH_WAIT_MAX, WEBROOT_OCTETS_MAX};
use crate::base::name::Domain;
use crate::base::time::duration_text;
use crate::dns::zone_policy::ZoneRule;

/// The field `http` of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpSettings {
    /// Whether the web server of each name is asked before the CA is.
    pub check: ReachCheck,
    /// The server that is asked instead of the name's addresses, with the name as its Host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<ServerAddress>,
    /// The time within which a wrong answer must become right.
    #[serde(serialize_with = "some_duration")]
    pub wait: Duration,
    /// The folder that a web server serves for all names; `None` where notariat answers by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webroot: Option<String>,
}

/// Whether the web server of a name is asked before the CA is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReachCheck {
    /// It is asked, and a wrong answer keeps the CA from being asked.
    Auto,
    /// It is not asked.
    Off,
}

impl Default for HttpSettings {
    fn default() -> HttpSettings {
        HttpSettings { check: ReachCheck::Auto, via: None, wait: REACH_WAIT_DEFAULT, webroot: None }
    }
}

fn some_duration<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&duration_text(*d))
}

impl HttpSettings {
    pub(super) fn read(node: &YamlNode, faults: &mut Vec<FieldError>) -> HttpSettings {
        let mut fields = MapReader::of(node, HTTP, "http", faults);
        let default = HttpSettings::default();
        let read = HttpSettings {
            check: fields.text("check", faults, |t| one_of(t, &CHECKS)).unwrap_or(default.check),
            via: fields.text("via", faults, via),
            wait: fields.text("wait", faults, |t| bounded(t, REACH_WAIT_MAX)).unwrap_or(default.wait),
            webroot: fields.text("webroot", faults, webroot),
        };
        if matches!(node, YamlNode::Map(_)) {
            fields.finish(faults);
        }
        read
    }
}

fn via(text: &str) -> Result<ServerAddress, String> {
    let address: ServerAddress = text.parse()?;
    // Another default than that of a DNS server.
    let has_port = text.ends_with(&format!(":{DNS_PORT}"));
    Ok(ServerAddress { port: if address.port == DNS_PORT && !has_port { 80 } else { address.port }, ..address })
}

fn webroot(text: &str) -> Result<String, &'static str> {
    match text {
        _ if text.len() > WEBROOT_OCTETS_MAX => Err("is too long"),
        _ if !text.starts_with('/') || text.split('/').any(|part| part == "..") || text.contains('\0') => {
            Err("is not the absolute path of a folder")
        }
        _ => Ok(text.trim_end_matches('/').to_owned()),
    }
}

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

    #[test]
    fn the_settings_read_and_say_what_is_wrong() {
        let read = |text: &str| {
            let mut faults = Vec::new();
            let settings = HttpSettings::read(&node::read(text).unwrap(), &mut faults);
            faults.first().map_or(Ok(settings), |fault| Err(fault.to_string()))
        };
        assert_eq!(read("{}"), Ok(HttpSettings::default()));
        let all = read("{check: off, via: 'proxy.test:8080', wait: 30s, webroot: /srv/www/}");
        let all =
            all.or_else(|_| read("{check: 'off', via: 'proxy.test:8080', wait: 30s, webroot: /srv/www/}")).unwrap();
        assert_eq!(
            (all.check, all.wait, all.webroot.as_deref()),
            (ReachCheck::Off, Duration::from_secs(30), Some("/srv/www"))
        );
        assert_eq!(read("{via: 10.0.0.1}").unwrap().via.unwrap().port, 80);
        assert_eq!(read("{via: '10.0.0.1:53'}").unwrap().via.unwrap().port, 53);
        for (text, fault) in [
            ("{wait: 2d}", "http.wait: \"2d\" is too long; 30m is the most"),
            ("{webroot: www}", "http.webroot: \"www\" is not the absolute path"),
            ("{webroot: /srv/../etc}", "http.webroot: \"/srv/../etc\" is not the absolute path"),
            ("{check: perhaps}", "http.check: "),
            ("{chek: auto}", "http.chek"),
            ("[]", "http: is a list"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.starts_with(fault), "{text}: {found}");
        }
    }
}
