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
use crate::config::issuers::Issuer;
use crate::config::metadata::Metadata;
use crate::config::namespaces::Namespaces;
use crate::record::SharedPrints;

/// What the configuration says about the wishes of objects.
#[derive(Debug)]
pub struct ServingRules {
    config: Arc<Config>,
    template: Arc<Entry>,
    namespaces: Namespaces,
    zones: ZoneKeys,
    /// The settings for the readers of objects.
    pub settings: WishSettings,
}

impl ServingRules {
    /// The rules of a configuration. `flags` are the settings of the command line. `None` where the defaults have a fault, so that no object
    /// is served.
    pub fn of(config: &Arc<Config>, flags: &WishSettings, namespaces: &Namespaces) -> Option<ServingRules> {
        let zone = |rule: &crate::config::ZoneRule| Domain::parse(rule.zone.as_str()).ok();
        let settings = WishSettings { zones: config.zones.iter().filter_map(zone).collect(), ..flags.clone() };
        Some(ServingRules {
            template: config.template.clone()?,
            namespaces: namespaces.clone(),
            zones: ZoneKeys::of(config.zones.clone().into()),
            config: config.clone(),
            settings,
        })
    }

    /// Whether the rules are those of this configuration.
    pub fn are_of(&self, config: &Arc<Config>) -> bool {
        Arc::ptr_eq(&self.config, config)
    }

    /// Calls `merge` with these rules.
    pub fn with<T>(&self, merge: impl FnOnce(&Rules<'_>) -> T) -> T {
        merge(&Rules {
            secret: &|at| self.namespaces.check(at),
            name: &|namespace, name| self.judge(namespace, name),
            options: &|namespace, options| self.check_options(namespace, options),
        })
    }

    fn judge(&self, namespace: &str, name: &Domain) -> Result<(), String> {
        match namespace == self.namespaces.own() {
            true => Ok(()),
            false => Err(format!("{name}: the namespace {namespace} has no line in the key `namespaces`")),
        }
    }

    fn check_options(&self, _namespace: &str, options: &WishOptions) -> Result<(), String> {
        match &options.issuer {
            Some(name) if !self.config.issuers.contains_key(name) => {
                Err(format!("the issuer {name:?} is not in the key `issuers` of the configuration"))
            }
            Some(_) => Ok(()),
            None if options.preferred_chain.is_some() && self.template.issuer.is_none() => {
                Err("a preferred chain needs an issuer that is named".to_owned())
            }
            None => Ok(()),
        }
    }

    /// The certificate that objects want in `secret`.
    pub fn spec(&self, secret: &ObjectRef, wish: MergedWish) -> CertificateSpec {
        let MergedWish { names, options, adopt, source, objects } = wish;
        let template = &self.template;
        let issuer_name = options.issuer.as_deref().map(SharedStr::intern).or_else(|| template.issuer.clone());
        let mut issuer = issuer_name.as_deref().and_then(|name| self.config.issuers.get(name)).cloned();
        if let (Some(issuer), Some(chain)) = (&mut issuer, &options.preferred_chain) {
            Arc::<Issuer>::make_mut(issuer).preferred_chain = Some(chain.clone());
        }
        let labels = match options.labels.is_empty() {
            true => template.labels.clone(),
            false => {
                let mut labels: BTreeMap<String, String> = (*template.labels).clone();
                labels.extend(options.labels);
                Metadata::from(labels)
            }
        };
        let entry = Entry {
            secrets: vec![secret.clone()],
            domains: names,
            issuer: issuer_name,
            key_type: options.key_type.unwrap_or(template.key_type),
            renew_before: options.renew_before.or(template.renew_before),
            adopt,
            labels,
            ..(**template).clone()
        };
        let print = issuer.as_deref().map(SharedPrints::issuer).unwrap_or_default();
        let spec = self.zones.wanted(Arc::new(entry), issuer, &print, source);
        CertificateSpec { objects: objects.into(), ..spec }
    }
}
