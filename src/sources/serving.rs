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
