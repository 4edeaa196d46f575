//! From a merged wish to the wanted certificate: the rules of the configuration, its defaults, zones and issuers. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::merge::{MergedWish, Rules};
use super::resource::{IssuerOfObject, IssuerScope, ObjectIssuer, ResourceOptions};
use super::wish::{ObjectKey, WishOptions, WishSettings};
use super::{AcceptedSpec, CertificateSpec, SourceRef, ZoneKeys};
use crate::base::limits::ZONES_MAX;
use crate::base::name::{DnsName, Domain, ObjectRef};
use crate::base::shared_str::SharedStr;
use crate::config::Config;
use crate::config::dns::DnsSettings;
use crate::config::entry::Entry;
use crate::config::issuers::{self, Issuer};
use crate::config::metadata::Metadata;
use crate::config::namespaces::Namespaces;
use crate::policy::name_ranges::NameRanges;
use crate::record::SharedPrints;

/// The rules of the configuration about the wishes of objects.
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
        let ranges = NameRanges::of(configs.iter().map(|config| &**config), namespaces);
        let settings = WishSettings {
            zones: apexes.collect(),
            replaces: issuers::replaced(&first.issuers),
            most: ranges.policy().most(),
            ..flags.clone()
        };
        Some(ServingRules {
            ranges,
            template: first.template.clone()?,
            namespaces: namespaces.clone(),
            zones: ZoneKeys::of(first.zones.clone().into()),
            settings,
            configs,
        })
    }

    /// Tells whether the rules are those of these configurations.
    pub fn are_of(&self, configs: &[Arc<Config>]) -> bool {
        self.configs.len() == configs.len()
            && self.configs.iter().zip(configs).all(|(own, other)| Arc::ptr_eq(own, other))
    }

    /// Tells whether any TSIG key is configured.
    fn has_key(&self) -> bool {
        self.template.tsig_secret.is_some() || self.zones.have_keys()
    }

    fn issuer(&self, name: Option<&str>) -> Option<&Arc<Issuer>> {
        self.configs[0].issuers.get(name.or(self.template.issuer.as_deref())?)
    }

    /// The issuer of an object: its own, or the one of the configuration.
    fn issuer_of<'i>(&'i self, options: &'i WishOptions) -> Option<&'i Arc<Issuer>> {
        match options.resource.as_deref() {
            Some(ResourceOptions { issuer: Ok(Some(of_object)), .. }) => Some(&of_object.issuer.issuer),
            Some(ResourceOptions { issuer: Err(_), .. }) => None,
            Some(ResourceOptions { issuer: Ok(None), .. }) | None => self.issuer(options.issuer.as_deref()),
        }
    }

    /// Calls `merge` with these rules.
    pub fn with<T>(&self, merge: impl FnOnce(&Rules<'_>) -> T) -> T {
        merge(&Rules {
            secret: &|at| self.namespaces.check(at).and_then(|()| not_own(at, &self.namespaces)),
            name: &|namespace, name| self.ranges.judge(namespace, name),
            options: &|namespace, options| self.options(namespace, options),
            issuer: &|options, name| match self.issuer_of(options) {
                Some(issuer) if !issuer.domains.holds(name) => {
                    Err(format!("{name} is not for the issuer {}, which serves {}", issuer.name, issuer.domains))
                }
                Some(_) | None if options.http_without_key && name.is_wildcard() && !self.has_key() => Err(format!(
                    "{name} is a wildcard, which only dns-01 proves, and no TSIG key is configured: set `tsigSecretName` in `defaults` or in `zones`"
                )),
                Some(_) | None => Ok(()),
            },
        })
    }

    /// The options with the issuer that the namespace gets.
    fn options(&self, namespace: &str, options: &WishOptions) -> Result<WishOptions, String> {
        if let Some(Ok(Some(of_object))) = options.resource.as_deref().map(|resource| &resource.issuer) {
            let ObjectIssuer { issuer, scope, .. } = &*of_object.issuer;
            match scope {
                IssuerScope::Cluster => {
                    let name = issuer.name.rsplit('/').next().unwrap_or_default();
                    self.ranges.cluster_issuer(namespace, name)?;
                }
                IssuerScope::Namespace => self.ranges.own_issuer(namespace, &issuer.directory)?,
            }
            return Ok(options.clone());
        }
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
        let resource = wish.options.resource.clone();
        if let Some(resource) = &resource
            && let Ok(Some(issuer)) = &resource.issuer
        {
            return self.spec_of_resource(secret, wish, resource, issuer);
        }
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
            http_without_key: options.http_without_key,
            adopt,
            labels: overlaid(&template.labels, options.labels),
            annotations: overlaid(&template.annotations, options.annotations),
            ..(**template).clone()
        };
        let entry = match &resource {
            None => entry,
            Some(resource) => Entry {
                csr: resource.csr.clone(),
                keep_key_type: resource.keep_key_type,
                reuse_key: resource.reuse_key,
                ..entry
            },
        };
        let print = issuer.as_deref().map(SharedPrints::issuer).unwrap_or_default();
        let spec = self.zones.wanted(Arc::new(entry), issuer, &print, source);
        let spec = spec.stored_by(self.settings.secret_keys.as_ref());
        let orders_per_week = self.ranges.orders_per_week(&secret.place());
        let renewal = resource.and_then(|resource| resource.renewal.clone());
        CertificateSpec { orders_per_week, renewal, ..spec.of_objects(objects) }
    }
}

impl ServingRules {
    /// The certificate that a resource wants: its issuer counts, and of the defaults what no issuer says.
    fn spec_of_resource(
        &self,
        secret: &ObjectRef,
        wish: MergedWish,
        resource: &ResourceOptions,
        issuer: &IssuerOfObject,
    ) -> CertificateSpec {
        let MergedWish { names, options, adopt, source, objects } = wish;
        let (template, settings) = (&self.template, &issuer.issuer.issuer);
        // An issuer that says how names are proved says it alone.
        let proof = match &issuer.zones {
            None => (**template).clone(),
            Some(_) => {
                let dns = DnsSettings { server: None, zone: None, ..(*template.dns).clone() };
                let dns = if dns == *template.dns { template.dns.clone() } else { Arc::new(dns) };
                Entry { tsig_secret: None, challenge: None, dns, ..(**template).clone() }
            }
        };
        let (mut names, mut settings) = (names, settings.clone());
        names.shrink_to_fit();
        let has_own_chain = options.preferred_chain.is_some();
        if let Some(chain) = &options.preferred_chain {
            Arc::<Issuer>::make_mut(&mut settings).preferred_chain = Some(chain.clone());
        }
        let entry = Entry {
            secrets: vec![secret.clone()],
            domains: names,
            email: None,
            issuer: Some(SharedStr::intern(&settings.name)),
            profile: None,
            key_type: options.key_type.unwrap_or(template.key_type),
            csr: resource.csr.clone(),
            keep_key_type: resource.keep_key_type,
            reuse_key: resource.reuse_key,
            // A percentage counts before the time of the defaults.
            renew_before: options
                .renew_before
                .or(template.renew_before.filter(|_| resource.renew_before_percent.is_none())),
            renew_before_percent: resource.renew_before_percent.or(template.renew_before_percent),
            adopt,
            labels: overlaid(&template.labels, options.labels),
            annotations: overlaid(&template.annotations, options.annotations),
            ..proof
        };
        // A CNAME of a challenge leads into zones of the configuration only, and for the issuers of administrators only.
        let zones = match &issuer.zones {
            None => self.zones.clone(),
            Some(own) => ZoneKeys::of(match issuer.issuer.scope {
                IssuerScope::Cluster if !self.configs[0].zones.is_empty() => {
                    let is_name = |zone: &DnsName| own.iter().any(|rule| rule.zone == *zone);
                    let others = self.configs[0].zones.iter().filter(|rule| !is_name(&rule.zone));
                    own.iter().chain(others).take(ZONES_MAX).cloned().collect()
                }
                IssuerScope::Cluster | IssuerScope::Namespace => own.clone(),
            }),
        };
        let print = match has_own_chain {
            true => SharedPrints::issuer(&settings),
            false => issuer.issuer.print.clone(),
        };
        let spec = zones.wanted(Arc::new(entry), Some(settings), &print, source);
        let orders_per_week = self.ranges.orders_per_week(&secret.place());
        let (renewal, revocations) = (resource.renewal.clone(), resource.revocations.clone());
        CertificateSpec { orders_per_week, renewal, revocations, ..spec.of_objects(objects) }
    }

    /// A certificate for nobody, by which the account of an issuer is found that an object describes.
    ///
    /// # Errors
    /// Why the issuer may not be used.
    pub fn account_spec(&self, source: SourceRef, issuer: &Arc<ObjectIssuer>) -> Result<CertificateSpec, String> {
        if issuer.scope == IssuerScope::Namespace {
            self.ranges.own_issuer(source.namespace(), &issuer.issuer.directory)?;
        }
        let secret = source.object().clone();
        let of_object = IssuerOfObject { issuer: issuer.clone(), zones: Some([].into()) };
        let resource = ResourceOptions {
            created: None,
            issuer: Ok(Some(of_object.clone())),
            renewal: None,
            csr: None,
            reuse_key: false,
            keep_key_type: false,
            renew_before_percent: None,
            revocations: Arc::default(),
        };
        let (options, objects) = (WishOptions::default(), Vec::new());
        let wish = MergedWish { names: Vec::new(), options, adopt: false, source, objects };
        Ok(self.spec_of_resource(&secret, wish, &resource, &of_object))
    }

    /// The certificate of a resource in the form in which it was last accepted, as far as the rules still allow that.
    pub fn last_accepted(
        &self,
        secret: &ObjectRef,
        (object, source): (&ObjectKey, SourceRef),
        form: AcceptedSpec,
    ) -> Option<CertificateSpec> {
        let AcceptedSpec { entry, zones, issuer } = form;
        let place = object.at.place();
        let is_allowed = |name: &Domain| self.ranges.judge(&place, name).is_ok();
        let of_object = |issuer: &Issuer| match issuer.name.split_once('/') {
            Some(("ClusterIssuer" | "Issuer.cert.gardener.cloud", name)) => {
                self.ranges.cluster_issuer(&place, name).is_ok()
            }
            Some(_) | None => self.ranges.own_issuer(&place, &issuer.directory).is_ok(),
        };
        let issuer_is_allowed = match object.at.cluster.is_home() {
            true => issuer.as_ref().is_some_and(of_object),
            // The issuer is one of the configuration, which must still be for the namespace.
            false => self
                .ranges
                .issuer(&place, entry.issuer.as_deref())
                .is_ok_and(|name| name.as_deref() == entry.issuer.as_deref()),
        };
        let is_whole = entry.secrets == [secret.clone()] && entry.domains.iter().all(is_allowed) && issuer_is_allowed;
        self.namespaces.check(secret).ok().filter(|()| is_whole)?;
        let spec = CertificateSpec::new(Arc::new(entry), zones.into(), issuer.map(Arc::new), source);
        let orders_per_week = self.ranges.orders_per_week(&secret.place());
        let spec = CertificateSpec { orders_per_week, last_accepted: true, ..spec };
        Some(spec.of_objects(vec![object.clone()]))
    }
}

/// Refuses the names of Secrets of our own.
fn not_own(at: &ObjectRef, namespaces: &Namespaces) -> Result<(), String> {
    let is_own = ["notariat-record.", "notariat-record-", "notariat-acme-"].iter().any(|own| at.name.starts_with(own));
    match is_own && *at.namespace == *namespaces.own() {
        true => Err("has a name that notariat uses for itself: take another one".to_owned()),
        false => Ok(()),
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
    fn what_an_ingress_of_kube_lego_gets_without_a_key_and_with_one() {
        let by_http = || WishOptions { http_without_key: true, ..WishOptions::default() };
        for (defaults, zones, options, wildcard_is_served, by) in [
            (DEFAULTS, "[]", by_http(), false, "http-01"),
            (DEFAULTS, "[]", WishOptions::default(), true, "dns-01"),
            ("tsigSecretName: key", "[]", by_http(), true, "dns-01"),
            (DEFAULTS, "[{zone: a.test, tsigSecretName: key}]", by_http(), true, "dns-01"),
            // A CNAME may lead the challenge of a wildcard into that zone.
            (DEFAULTS, "[{zone: b.test, tsigSecretName: key}]", by_http(), true, "http-01"),
            ("challenge: dns-01", "[]", by_http(), false, "dns-01"),
        ] {
            let config = config(&[("defaults", defaults), ("zones", zones)]);
            let rules = ServingRules::of(vec![config], &WishSettings::default(), &"own".into()).unwrap();
            let found = rules.with(|asked| (asked.issuer)(&options, &Domain::parse("*.a.test").unwrap()));
            assert_eq!(found.is_ok(), wildcard_is_served, "{defaults} {zones}: {found:?}");
            let spec = rules.spec(&ObjectRef::new("own", "s"), wish(options));
            assert_eq!(spec.challenge_of(&spec.entry.domains[0]).name(), by, "{defaults} {zones}");
            assert_eq!(spec.challenges().len(), 1);
        }
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
