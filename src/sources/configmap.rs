//! Wishes of ConfigMaps: their entries, and for a refused one its last accepted form.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{CertificateSpec, Desired, RefusedSpec, ZoneKeys};
use crate::base::name::ObjectRef;
use crate::config::Config;
use crate::kube::metadata::ObjectReference;
use crate::kube::resource::Resource;
use crate::record::{AcceptedSpec, SharedPrints};

/// What wishes of the ConfigMap `name` say that they come from.
pub fn source(name: &ObjectRef) -> String {
    format!("{KIND}{name}")
}

/// The ConfigMap that a wish comes from, when it comes from one.
pub fn subject(source: &str) -> Option<ObjectReference> {
    let at = ObjectRef::parse(source.strip_prefix(KIND)?, "").ok()?;
    Some(ObjectReference::new(Resource::CONFIG_MAPS, &at))
}

const KIND: &str = "ConfigMap ";

/// What is said of a ConfigMap that is not there.
pub const MISSING: &str = "it does not exist: are -config and -namespace right?";

/// Adds the wishes of the ConfigMap `name`. `last_accepted` finds the form in which the entry of a Secret was last accepted.
pub fn add(
    wishes: &mut Desired,
    name: &ObjectRef,
    config: &Config,
    last_accepted: impl Fn(&ObjectRef) -> Option<AcceptedSpec>,
) {
    let source: Arc<str> = source(name).into();
    let zones = ZoneKeys::of(config.zones.clone().into());
    let prints: BTreeMap<&str, String> =
        config.issuers.iter().map(|(name, issuer)| (name.as_str(), SharedPrints::issuer(issuer))).collect();
    wishes.warnings.extend(config.warnings.iter().map(|w| format!("{source}: {w}")));
    for entry in &config.entries {
        let refused = match entry {
            Ok(entry) => {
                let issuer = entry.issuer.as_ref().and_then(|name| config.issuers.get_key_value(name.as_str()));
                let print = issuer.map(|(name, _)| prints[name.as_str()].as_str()).unwrap_or_default();
                let issuer = issuer.map(|(_, issuer)| issuer.clone());
                wishes.add(zones.wanted(entry.clone(), issuer, print, source.clone()));
                continue;
            }
            Err(refused) => refused,
        };
        wishes.refused.push(RefusedSpec {
            source: source.clone(),
            sentence: refused.to_string(),
            secret: refused.secret.clone(),
        });
        match &refused.secret {
            None => wishes.incomplete = true,
            Some(secret) => {
                if let Some(AcceptedSpec { entry, zones, issuer }) = last_accepted(secret) {
                    let (zones, issuer, source) = (zones.into(), issuer.map(Arc::new), source.clone());
                    wishes.add(CertificateSpec {
                        last_accepted: true,
                        ..CertificateSpec::new(Arc::new(entry), zones, issuer, source)
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::entry::Entry;

    fn wishes(yaml: &str, remembered: Option<&str>) -> Desired {
        let config = config::read(&[("certificates".to_owned(), yaml.to_owned())].into(), &"team".into()).unwrap();
        let mut wishes = Desired::default();
        add(&mut wishes, &ObjectRef::parse("team/c", "").unwrap(), &config, |secret| {
            let node = config::node::read(remembered?).unwrap();
            let entry = Entry::read(&node, &"team".into()).unwrap();
            (entry.main_secret() == secret).then_some(AcceptedSpec { entry, zones: Vec::new(), issuer: None })
        });
        wishes
    }

    fn names(wishes: &Desired) -> Vec<String> {
        wishes.wanted.values().map(|w| format!("{} {}", w.entry.main_secret(), w.entry.domains[0])).collect()
    }

    #[test]
    fn email_and_profile_are_the_entrys_else_the_issuers() {
        let data = [
            ("issuers", "lab: {directory: 'https://ca.test/dir', email: ca@b.test, profile: long}"),
            (
                "certificates",
                "- {secret: a, domains: [a.test], email: own@b.test, profile: short}
- {secret: b, domains: [a.test], email: own@b.test, profile: short, issuer: lab}
- {secret: c, domains: [a.test], issuer: lab}
- {secret: d, domains: [a.test]}",
            ),
        ];
        let config = config::read(&data.map(|(k, v)| (k.to_owned(), v.to_owned())).into(), &"team".into()).unwrap();
        let mut wishes = Desired::default();
        add(&mut wishes, &ObjectRef::parse("team/c", "").unwrap(), &config, |_| None);
        let own = (Some("own@b.test"), Some("short"));
        let found: Vec<_> = wishes.wanted.values().map(|w| (w.email(), w.profile())).collect();
        assert_eq!(found, [own, own, (Some("ca@b.test"), Some("long")), (None, None)]);
    }

    #[test]
    fn a_refused_entry_goes_on_in_its_last_accepted_form() {
        let yaml = "- {secret: a, domains: ['a..test']}\n- {secret: b, domains: [b.test]}\n";
        let found = wishes(yaml, Some("{secret: a, domains: [old.test]}"));
        assert_eq!(names(&found), ["team/a old.test", "team/b b.test"]);
        assert!(found.wanted.values().next().unwrap().last_accepted);
        assert!(
            found.refused[0]
                .to_string()
                .starts_with("ConfigMap team/c: certificates entry 1 (team/a): domains[0]: \"a..test\"")
        );
        assert!(!found.incomplete);
        assert_eq!(names(&wishes(yaml, None)), ["team/b b.test"]);
    }

    #[test]
    fn nothing_is_known_to_be_gone_while_an_entry_can_not_be_told_apart() {
        assert!(wishes("- {secret: [], domains: [a.test]}", None).incomplete);
        assert!(wishes("- text", None).incomplete);
        assert!(!wishes("[]", None).incomplete);
    }

    #[test]
    fn one_secret_holds_one_certificate() {
        let found = wishes(
            "- {secret: [a, b], domains: [one.test]}\n- {secret: b, domains: [two.test]}\n- {secret: c, domains: [three.test]}\n- {secret: [d, a], domains: [four.test]}",
            None,
        );
        assert_eq!(names(&found), ["team/a one.test", "team/c three.test"]);
        assert_eq!(found.refused.len(), 2);
        assert!(
            found.refused[0]
                .to_string()
                .contains("(team/b): the Secret team/b is already filled by the entry for team/a"),
            "{}",
            found.refused[0]
        );
    }
}
