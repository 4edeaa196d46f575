//! Judges whether a namespace may have a name. Pure.
//!
//! The longest range that a name lies in decides whose it is, so that a tenant with a wide range gets no name out of a narrower range of
//! another tenant. Untrusted: the names, which people who may edit an Ingress choose. The time for one name is linear in its labels and in
//! the zones.

use std::collections::{BTreeSet, HashMap};

use crate::acme::directory::normalized;
use crate::base::limits::NAMESPACE_ORDERS_DEFAULT;
use crate::base::name::{DnsName, Domain};
use crate::config::Config;
use crate::config::name_policy::{EVERY, NamePolicy, NameRange, NamespaceLine};
use crate::config::namespaces::Namespaces;

/// The ranges of all namespaces, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct NameRanges {
    policy: NamePolicy,
    /// The namespace that needs no line, because no other one is served.
    free: Option<String>,
    /// The lines that name each range without placeholder.
    holders: HashMap<DnsName, BTreeSet<String>>,
    /// The ranges one label below each name.
    below: HashMap<DnsName, BTreeSet<DnsName>>,
    /// The ranges of `"*"` with a placeholder.
    open: Vec<NameRange>,
    zones: BTreeSet<DnsName>,
}

impl NameRanges {
    /// The ranges of a policy. `zones` are the configured zones; `free` is the own namespace of an instance that serves no other one.
    pub fn new(policy: NamePolicy, zones: impl IntoIterator<Item = DnsName>, free: Option<&str>) -> NameRanges {
        let mut holders = HashMap::<DnsName, BTreeSet<String>>::new();
        let mut below = HashMap::<DnsName, BTreeSet<DnsName>>::new();
        let mut open = Vec::new();
        for (namespace, line) in policy.all() {
            for range in &line.ranges {
                let name = match range {
                    NameRange::Fixed(name) => name,
                    NameRange::OfNamespace { .. } => {
                        open.push(range.clone());
                        continue;
                    }
                    NameRange::Any => continue,
                };
                holders.entry(name.clone()).or_default().insert(namespace.to_owned());
                if let Some(parent) = name.parent() {
                    below.entry(parent).or_default().insert(name.clone());
                }
            }
        }
        let (free, zones) = (free.map(str::to_owned), zones.into_iter().collect());
        NameRanges { policy, free, holders, below, open, zones }
    }

    /// The ranges by the lines of all ConfigMaps of an instance.
    pub fn of<'c>(configs: impl IntoIterator<Item = &'c Config>, namespaces: &Namespaces) -> NameRanges {
        let (mut policy, mut zones) = (NamePolicy::default(), Vec::new());
        for config in configs {
            policy.add(&config.policy);
            zones.extend(config.zones.iter().map(|rule| rule.zone.clone()));
        }
        let is_alone = namespaces.all().count() == 1;
        NameRanges::new(policy, zones, is_alone.then(|| namespaces.own()))
    }

    /// Judges a name for the objects of a namespace.
    ///
    /// # Errors
    /// One sentence: why the namespace may not have the name, and what an operator can change. The sentence names no other namespace,
    /// because a tenant reads it.
    pub fn judge(&self, namespace: &str, domain: &Domain) -> Result<(), String> {
        let line = self.line(namespace)?;
        let range = self.longest(domain);
        match (&range, line) {
            (Some(range), _) if !self.holds(namespace, range) => {
                return Err(format!(
                    "{domain} lies in the range {range}, which belongs to another namespace than {namespace}; the longest range decides"
                ));
            }
            (None, Some(line)) if !line.has_any() => {
                return Err(format!(
                    "{domain} is in no range of the namespace {namespace}, which has {}",
                    ranges(line)
                ));
            }
            (Some(_), _) | (None, _) => {}
        }
        match domain.is_wildcard() {
            true => self.judge_wildcard(namespace, line, domain),
            false => Ok(()),
        }
    }

    /// Judges what a wildcard needs besides the range of its base: permission, no foreign name among those it covers, no whole zone.
    fn judge_wildcard(&self, namespace: &str, line: Option<&NamespaceLine>, domain: &Domain) -> Result<(), String> {
        let base = domain.base();
        if let Some(foreign) = self.foreign_below(namespace, base) {
            return Err(format!("{domain} covers {foreign}, which belongs to another namespace than {namespace}"));
        }
        let Some(line) = line else { return Ok(()) };
        if !line.wildcards {
            return Err(format!(
                "{domain} is a wildcard, which the namespace {namespace} may not have without `wildcards: true` in its line"
            ));
        }
        let is_listed = line.has_any() || line.ranges.iter().any(|range| range.of(namespace).as_ref() == Some(base));
        match self.zones.iter().find(|zone| zone.is_within(base)) {
            Some(zone) if !is_listed => Err(format!(
                "{domain} is a wildcard at or above the zone {zone}, for which {base} must be among `domains` of the namespace {namespace}"
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// The issuer for the objects of a namespace. `None` stands for the default issuer, in the question and in the answer: an object without
    /// issuer gets the first one of the line.
    ///
    /// # Errors
    /// One sentence: the line does not list the issuer.
    pub fn issuer(&self, namespace: &str, asked: Option<&str>) -> Result<Option<String>, String> {
        let line = self.line(namespace)?;
        match (line, asked) {
            (None, asked) => Ok(asked.map(str::to_owned)),
            (Some(line), None) => Ok(line.issuers.first().cloned()),
            (Some(line), Some(asked)) if line.issuers.iter().any(|issuer| issuer == asked) => {
                Ok(Some(asked.to_owned()))
            }
            (Some(line), Some(asked)) => Err(format!(
                "the issuer {asked} is not for the namespace {namespace}, which may have {}",
                match line.issuers.is_empty() {
                    true => "the default one only".to_owned(),
                    false => line.issuers.join(", "),
                }
            )),
        }
    }

    /// Judges a ClusterIssuer of cert-manager that a Certificate names.
    ///
    /// # Errors
    /// One sentence: the line does not list it.
    pub fn cluster_issuer(&self, namespace: &str, name: &str) -> Result<(), String> {
        match self.line(namespace)?.and_then(|line| line.cluster_issuers.as_ref()) {
            Some(listed) if !listed.iter().any(|issuer| issuer == name) => Err(format!(
                "the ClusterIssuer {name} is not for the namespace {namespace}, whose `clusterIssuers` are {}",
                if listed.is_empty() { "none".to_owned() } else { listed.join(", ") }
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Judges the directory of an Issuer of cert-manager, which a tenant wrote. Without a line for the namespace there is none.
    ///
    /// # Errors
    /// One sentence: the line does not list the directory.
    pub fn own_issuer(&self, namespace: &str, directory: &str) -> Result<(), String> {
        let listed = self.line(namespace)?.map(|line| &line.own_issuers[..]).unwrap_or_default();
        match listed.iter().any(|url| normalized(url) == normalized(directory)) {
            true => Ok(()),
            false => Err(format!(
                "an Issuer of the namespace {namespace} may not name {directory}: an administrator can list it in `ownIssuers` of the \
                 namespace's line in the key `namespaces`"
            )),
        }
    }

    /// The orders that objects may cause within a week for Secrets of a namespace, renewals apart; `None` for any number. The namespace
    /// that `-secret-namespace` names needs no line of its own.
    pub fn orders_per_week(&self, namespace: &str) -> Option<u32> {
        match self.line(namespace) {
            Ok(line) => line.map(|line| line.certificates_per_week),
            Err(_) if self.policy.line(namespace).is_none() && !namespace.contains(':') => {
                Some(NAMESPACE_ORDERS_DEFAULT)
            }
            Err(_) => Some(0),
        }
    }

    /// Tells whether a range of the namespace holds the name, also where a longer one of another namespace does.
    pub fn is_near(&self, namespace: &str, domain: &Domain) -> bool {
        let ranges = self.policy.line(namespace).into_iter().flat_map(|line| &line.ranges);
        ranges.filter_map(|range| range.of(namespace)).any(|range| domain.base().is_within(&range))
    }

    /// The policy as written.
    pub fn policy(&self) -> &NamePolicy {
        &self.policy
    }

    /// The longest range that a name lies in, and the namespaces that hold it; `"*"` for those without a line.
    pub fn owners(&self, domain: &Domain) -> Option<(DnsName, BTreeSet<String>)> {
        let range = self.longest(domain)?;
        let fixed = self.holders.get(&range).into_iter().flatten().map(String::as_str);
        let owners = fixed.chain(self.open_holder(&range)).map(str::to_owned).collect();
        Some((range, owners))
    }

    /// The line in force for a namespace; `None` for the namespace that needs no line.
    fn line(&self, namespace: &str) -> Result<Option<&NamespaceLine>, String> {
        match self.policy.line(namespace) {
            Some(NamespaceLine { fault: Some(fault), .. }) => {
                Err(format!("the line of the namespace {namespace} in the key `namespaces` has a fault: {fault}"))
            }
            Some(line) => Ok(Some(line)),
            None if self.free.as_deref() == Some(namespace) => Ok(None),
            None if namespace.contains(':') => Err(format!(
                "the namespace {namespace} has no line in the key `namespaces`, and in another cluster nothing is served without one: an \
                 administrator can add `{namespace}: {{domains: [\"…\"], certificatesPerWeek: 20, maxCertificates: 50}}`"
            )),
            None => Err(format!(
                "the namespace {namespace} has no line in the key `namespaces`, and without one it gets no certificate"
            )),
        }
    }

    /// The longest range that a name lies in, whoever holds it.
    fn longest(&self, domain: &Domain) -> Option<DnsName> {
        let mut above = std::iter::successors(Some(domain.base().clone()), DnsName::parent);
        above.find(|range| self.holders.contains_key(range) || self.open_holder(range).next().is_some())
    }

    /// Tells whether the namespace has exactly this range.
    fn holds(&self, namespace: &str, range: &DnsName) -> bool {
        let by_line = |name: &str| self.holders.get(range).is_some_and(|holders| holders.contains(name));
        match self.policy.lines.contains_key(namespace) {
            true => by_line(namespace),
            false => by_line(EVERY) || self.open_holder(range).any(|holder| holder == namespace),
        }
    }

    /// The namespaces that have exactly this range by `"*"`: those without a line, whether they exist or not.
    fn open_holder<'a>(&'a self, range: &'a DnsName) -> impl Iterator<Item = &'a str> {
        let found = self.open.iter().filter_map(|open| open.namespace_of(range));
        found.filter(|namespace| !self.policy.lines.contains_key(*namespace))
    }

    /// A name one label below `base` that is in the range of another namespace.
    fn foreign_below(&self, namespace: &str, base: &DnsName) -> Option<String> {
        let fixed = self.below.get(base).into_iter().flatten();
        if let Some(foreign) = fixed.into_iter().find(|range| !self.holds(namespace, range)) {
            return Some(foreign.to_string());
        }
        self.open.iter().find_map(|open| {
            let NameRange::OfNamespace { before, after } = open else { return None };
            let Some(before) = before else { return (base == after).then(|| open.to_string()) };
            // `a.b.NAMESPACE.after` is one label below `b.NAMESPACE.after`.
            let above = NameRange::OfNamespace { before: before.parent(), after: after.clone() };
            let holder = above.namespace_of(base)?;
            let is_foreign = holder != namespace && !self.policy.lines.contains_key(holder);
            is_foreign.then(|| open.of(holder).map(|range| range.to_string())).flatten()
        })
    }
}

/// The ranges of a line, for a sentence.
fn ranges(line: &NamespaceLine) -> String {
    let shown: Vec<String> = line.ranges.iter().take(SHOWN_MAX).map(NameRange::to_string).collect();
    match line.ranges.len() {
        0 => "none".to_owned(),
        n if n > SHOWN_MAX => format!("{} and {} more", shown.join(", "), n - SHOWN_MAX),
        _ => shown.join(", "),
    }
}

/// Ranges that a sentence names: an Event has room for 1,024 characters.
const SHOWN_MAX: usize = 3;

#[cfg(test)]
mod tests;
