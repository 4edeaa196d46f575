//! Reads the field `http` of an entry.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::fields::{FieldError, MapReader, bounded, one_of};
use super::node::YamlNode;
use super::table::{CHECKS, HTTP};
use crate::base::address::{DNS_PORT, ServerAddress};
use crate::base::challenge_type::ReachCheck;
use crate::base::limits::{REACH_WAIT_DEFAULT, REACH_WAIT_MAX, WEBROOT_OCTETS_MAX};
use crate::base::time::duration_text;

/// The field `http` of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpSettings {
    /// The test of each name's web server before the CA is asked.
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
    // What a DNS server is told of URLs would be wrong here.
    if text.contains("://") {
        return Err("is a URL; write HOST or HOST:PORT".to_owned());
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::node;

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
            ("{via: 'https://a.test'}", "http.via: \"https://a.test\" is a URL; write HOST or HOST:PORT"),
            ("{check: perhaps}", "http.check: "),
            ("{chek: auto}", "http.chek"),
            ("[]", "http: is a list"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.starts_with(fault), "{text}: {found}");
        }
    }
}
