//! From a merged wish to the wanted certificate: the rules of the configuration, its defaults, zones and issuers. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::merge::{MergedWish, Rules};
use super::wish::{WishOptions, WishSettings};
use super::{CertificateSpec, ZoneKeys};
use crate::base::name::{Domain, ObjectRef};
use crate::base::shared_str::SharedStr;
use crate::config::Config;
use crate::config::entry::Entry;
use crate::config::issuers::{self, Issuer};
use crate::config::metadata::Metadata;
use crate::config::namespaces::Namespaces;
use crate::policy::name_ranges::NameRanges;
use crate::record::SharedPrints;

/// What the configuration says about the wishes of objects.
#[derive(Debug)]
pub struct ServingRules {
    /// The first one gives defaults, zones and issuers; the lines for namespaces are those of all.
    configs: Vec<Arc<Config>>,
    ranges: NameRanges,
    template: Arc<Entry>,
    namespaces: Namespaces,
    zones: ZoneKeys,
    /// The settings for the readers of objects.
    pub settings: WishSettings,
}

impl ServingRules {
    /// The rules of the configurations. `flags` are the settings of the command line. `None` where there is none that reads, so that no object
    /// is served.
    pub fn of(configs: Vec<Arc<Config>>, flags: &WishSettings, namespaces: &Namespaces) -> Option<ServingRules> {
        let first = configs.first()?;
        let zones = configs.iter().flat_map(|config| &config.zones);
        let apexes = zones.filter_map(|rule| Domain::parse(rule.zone.as_str()).ok());
        let settings =
            WishSettings { zones: apexes.collect(), replaces: issuers::replaced(&first.issuers), ..flags.clone() };
        Some(ServingRules {
            ranges: NameRanges::of(configs.iter().map(|config| &**config), namespaces),
            template: first.template.clone()?,
            namespaces: namespaces.clone(),
            zones: ZoneKeys::of(first.zones.clone().into()),
            settings,
            configs,
        })
    }

    /// Whether the rules are those of these configurations.
    pub fn are_of(&self, configs: &[Arc<Config>]) -> bool {
        self.configs.len() == configs.len()
            && self.configs.iter().zip(configs).all(|(own, other)| Arc::ptr_eq(own, other))
    }

    fn issuer(&self, name: Option<&str>) -> Option<&Arc<Issuer>> {
        self.configs[0].issuers.get(name.or(self.template.issuer.as_deref())?)
    }

    /// Calls `merge` with these rules.
    pub fn with<T>(&self, merge: impl FnOnce(&Rules<'_>) -> T) -> T {
        merge(&Rules {
            secret: &|at| self.namespaces.check(at),
            name: &|namespace, name| self.ranges.judge(namespace, name),
            options: &|namespace, options| self.options(namespace, options),
            issuer: &|options, name| match self.issuer(options.issuer.as_deref()) {
                Some(issuer) if !issuer.domains.holds(name) => {
                    Err(format!("{name} is not for the issuer {}, which serves {}", issuer.name, issuer.domains))
                }
                Some(_) | None => Ok(()),
            },
        })
    }

    /// The options with the issuer that the namespace gets.
    fn options(&self, namespace: &str, options: &WishOptions) -> Result<WishOptions, String> {
        let issuer = self.ranges.issuer(namespace, options.issuer.as_deref())?;
        if let Some(name) = issuer.as_deref().filter(|name| !self.configs[0].issuers.contains_key(*name)) {
            return Err(format!("the issuer {name:?} is not in the key `issuers` of the configuration"));
        }
        if options.preferred_chain.is_some() && self.issuer(issuer.as_deref()).is_none() {
            return Err(
                "a preferred chain needs an issuer with a name, and this namespace has the default one".to_owned()
            );
        }
        Ok(WishOptions { issuer, ..options.clone() })
    }

    /// The certificate that objects want in `secret`.
    pub fn spec(&self, secret: &ObjectRef, wish: MergedWish) -> CertificateSpec {
        let MergedWish { names, options, adopt, source, objects } = wish;
        let template = &self.template;
        let issuer_name = options.issuer.as_deref().map(SharedStr::intern).or_else(|| template.issuer.clone());
        let mut issuer = self.issuer(issuer_name.as_deref()).cloned();
        if let (Some(issuer), Some(chain)) = (&mut issuer, &options.preferred_chain) {
            Arc::<Issuer>::make_mut(issuer).preferred_chain = Some(chain.clone());
        }
        let entry = Entry {
            secrets: vec![secret.clone()],
            domains: names,
            issuer: issuer_name,
            key_type: options.key_type.unwrap_or(template.key_type),
            renew_before: options.renew_before.or(template.renew_before),
            adopt,
            labels: overlaid(&template.labels, options.labels),
            annotations: overlaid(&template.annotations, options.annotations),
            ..(**template).clone()
        };
        let print = issuer.as_deref().map(SharedPrints::issuer).unwrap_or_default();
        let spec = self.zones.wanted(Arc::new(entry), issuer, &print, source);
        let orders_per_week = self.ranges.orders_per_week(&secret.namespace);
        CertificateSpec { orders_per_week, ..spec.of_objects(objects.into()) }
    }
}

/// Labels or annotations of the defaults, overlaid with those of an object.
fn overlaid(defaults: &Metadata, own: BTreeMap<String, String>) -> Metadata {
    if own.is_empty() {
        return defaults.clone();
    }
    let mut all: BTreeMap<String, String> = (**defaults).clone();
    all.extend(own);
    Metadata::from(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::NAMESPACE_ORDERS_DEFAULT;
    use crate::config;
    use crate::sources::SourceRef;
    use std::time::Duration;

    const ISSUERS: &str = "own: {directory: 'https://ca.test/dir', replaces: [letsencrypt-prod]}\n\
                           narrow: {directory: 'https://narrow.test/dir', domains: {include: [n.a.test]}}";

    fn config(keys: &[(&str, &str)]) -> Arc<Config> {
        let data: BTreeMap<_, _> = keys.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        Arc::new(config::read(&data.into(), &namespaces()).unwrap())
    }

    fn namespaces() -> Namespaces {
        Namespaces::new("own", &["t".to_owned()])
    }

    /// The rules of a ConfigMap with these lines of `namespaces` and these `defaults`.
    fn rules(lines: &str, defaults: &str) -> ServingRules {
        let config = config(&[("issuers", ISSUERS), ("namespaces", lines), ("defaults", defaults)]);
        ServingRules::of(vec![config], &WishSettings::default(), &namespaces()).unwrap()
    }

    fn wish(options: WishOptions) -> MergedWish {
        let names = vec![Domain::parse("x.a.test").unwrap()];
        let source = SourceRef::new("Ingress", &ObjectRef::new("t", "i"), None);
        MergedWish { names, options, adopt: false, source, objects: Vec::new() }
    }

    fn by_issuer(issuer: Option<&str>) -> WishOptions {
        WishOptions { issuer: issuer.map(str::to_owned), ..WishOptions::default() }
    }

    const DEFAULTS: &str =
        "email: a@a.test\nkeyType: ecdsa-p384\nrenewBefore: 480h\nlabels: {a: default, b: default}\n";

    #[test]
    fn an_object_gets_an_issuer_of_its_line_that_is_known() {
        for (line, asked, expected) in [
            ("{domains: [a.test]}", None, Ok(None)),
            ("{domains: [a.test]}", Some("own"), Err("may have the default one only")),
            ("{domains: [a.test], issuers: [own, narrow]}", None, Ok(Some("own"))),
            ("{domains: [a.test], issuers: [own, narrow]}", Some("narrow"), Ok(Some("narrow"))),
            (
                "{domains: [a.test], issuers: [own]}",
                Some("narrow"),
                Err("the issuer narrow is not for the namespace t"),
            ),
            ("{domains: [a.test], issuers: [gone]}", None, Err("\"gone\" is not in the key `issuers`")),
        ] {
            let found = rules(&format!("t: {line}"), DEFAULTS).options("t", &by_issuer(asked));
            match (found, expected) {
                (Ok(options), Ok(issuer)) => assert_eq!(options.issuer.as_deref(), issuer, "{line} {asked:?}"),
                (Err(sentence), Err(part)) => assert!(sentence.contains(part), "{line} {asked:?}: {sentence}"),
                (found, _) => panic!("{line} {asked:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_preferred_chain_needs_an_issuer_with_a_name() {
        for (line, defaults, is_served) in [
            ("{domains: [a.test]}", "", false),
            ("{domains: [a.test]}", "issuer: own\n", true),
            ("{domains: [a.test], issuers: [own]}", "", true),
        ] {
            let rules = rules(&format!("t: {line}"), &format!("{DEFAULTS}{defaults}"));
            let asked = WishOptions { preferred_chain: Some("Root X".to_owned()), ..WishOptions::default() };
            let found = rules.options("t", &asked);
            assert_eq!(found.is_ok(), is_served, "{line} {defaults}: {found:?}");
            let Ok(options) = found else { continue };
            let spec = rules.spec(&ObjectRef::new("t", "s"), wish(options));
            assert_eq!(spec.issuer.unwrap().preferred_chain.as_deref(), Some("Root X"));
            assert_eq!(rules.issuer(Some("own")).unwrap().preferred_chain, None, "others keep theirs");
        }
    }

    #[test]
    fn the_rules_of_a_merge_are_those_of_the_configuration() {
        let rules = rules("t: {domains: [a.test], issuers: [own, narrow]}", DEFAULTS);
        let domain = |name: &str| Domain::parse(name).unwrap();
        rules.with(|asked| {
            for (namespace, is_allowed) in [("own", true), ("t", true), ("u", false)] {
                assert_eq!((asked.secret)(&ObjectRef::new(namespace, "s")).is_ok(), is_allowed, "{namespace}");
            }
            for (namespace, name, is_allowed) in [
                ("t", "x.a.test", true),
                ("t", "x.b.test", false),
                ("u", "x.a.test", false),
                ("own", "x.a.test", false),
            ] {
                assert_eq!((asked.name)(namespace, &domain(name)).is_ok(), is_allowed, "{namespace} {name}");
            }
            for (issuer, name, is_served) in [
                (None, "x.a.test", true),
                (Some("own"), "x.a.test", true),
                (Some("narrow"), "x.a.test", false),
                (Some("narrow"), "x.n.a.test", true),
            ] {
                let found = (asked.issuer)(&by_issuer(issuer), &domain(name));
                assert_eq!(found.is_ok(), is_served, "{issuer:?} {name}: {found:?}");
            }
        });
    }

    #[test]
    fn what_an_object_leaves_out_is_that_of_the_defaults() {
        let rules = rules("t: {domains: [a.test], issuers: [own], certificatesPerWeek: 7}", DEFAULTS);
        let text = |text: &str| text.to_owned();
        let secret = ObjectRef::new("t", "s");
        let spec = rules.spec(&secret, wish(WishOptions::default()));
        let entry = &spec.entry;
        assert_eq!((&entry.secrets[..], entry.domains.len()), (std::slice::from_ref(&secret), 1));
        assert_eq!((entry.key_type.name(), entry.renew_before), ("ecdsa-p384", Some(Duration::from_secs(480 * 3_600))));
        assert_eq!((entry.labels["a"].as_str(), entry.email.as_deref()), ("default", Some("a@a.test")));
        assert_eq!((spec.orders_per_week, spec.issuer.is_some(), entry.adopt), (Some(7), false, false));
        let own = WishOptions {
            key_type: Some(crate::config::entry::KeyType::EcdsaP256),
            renew_before: Some(Duration::from_secs(3_600)),
            labels: [(text("a"), text("own")), (text("c"), text("own"))].into(),
            ..by_issuer(Some("own"))
        };
        let spec = rules.spec(&secret, MergedWish { adopt: true, ..wish(own) });
        let entry = &spec.entry;
        assert_eq!((entry.key_type.name(), entry.renew_before), ("ecdsa-p256", Some(Duration::from_secs(3_600))));
        let labels: Vec<_> = entry.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(labels, ["a=own", "b=default", "c=own"]);
        assert_eq!((spec.issuer.unwrap().name.as_str(), entry.adopt), ("own", true));
    }

    #[test]
    fn the_rules_are_those_of_these_very_configurations() {
        let (one, same) = (config(&[("defaults", DEFAULTS)]), config(&[("defaults", DEFAULTS)]));
        let of = |configs: &[Arc<Config>]| ServingRules::of(configs.to_vec(), &WishSettings::default(), &namespaces());
        let rules = of(std::slice::from_ref(&one)).unwrap();
        assert!(rules.are_of(std::slice::from_ref(&one)));
        for others in [vec![], vec![same.clone()], vec![one.clone(), same.clone()]] {
            assert!(!rules.are_of(&others), "{}", others.len());
        }
        assert!(of(&[]).is_none(), "no configuration, no certificate");
    }

    #[test]
    fn the_own_namespace_needs_no_line_where_it_is_the_only_one() {
        let name = Domain::parse("x.b.test").unwrap();
        for (others, is_allowed) in [(&[][..], true), (&["t".to_owned()], false)] {
            let config = config(&[("namespaces", "t: {domains: [a.test]}"), ("defaults", DEFAULTS)]);
            let namespaces = Namespaces::new("own", others);
            let rules = ServingRules::of(vec![config], &WishSettings::default(), &namespaces).unwrap();
            let found = rules.with(|asked| (asked.name)("own", &name));
            assert_eq!(found.is_ok(), is_allowed, "{others:?}: {found:?}");
            let per_week = rules.spec(&ObjectRef::new("own", "s"), wish(WishOptions::default())).orders_per_week;
            // The names decide. The budget is that of Secrets in the namespace, which `-secret-namespace` may name without a line.
            assert_eq!(per_week, (!is_allowed).then_some(NAMESPACE_ORDERS_DEFAULT), "{others:?}");
        }
    }

    #[test]
    fn readers_know_the_zones_of_all_configurations_and_the_issuers_of_the_first() {
        let zone = |zone: &str| format!("- {{zone: {zone}, server: '192.0.2.1', tsigSecretName: key}}");
        let (a, b) = (zone("a.test"), zone("b.test"));
        let configs =
            vec![config(&[("zones", &a), ("issuers", ISSUERS), ("defaults", DEFAULTS)]), config(&[("zones", &b)])];
        let flags = WishSettings { wildcards: true, ..WishSettings::default() };
        let settings = ServingRules::of(configs, &flags, &namespaces()).unwrap().settings;
        let zones: Vec<String> = settings.zones.iter().map(ToString::to_string).collect();
        assert_eq!((zones, settings.wildcards), (vec!["a.test".to_owned(), "b.test".to_owned()], true));
        assert_eq!(settings.replaces.get("letsencrypt-prod").map(String::as_str), Some("own"));
    }
}
