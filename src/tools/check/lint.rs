//! Warnings about entries and issuers that are valid and probably a mistake. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::limits::RENEW_BEFORE_USUAL;
use crate::base::name::Domain;
use crate::base::time::duration_text;
use crate::config::Config;
use crate::config::challenge::{ChallengeType, challenge_of};
use crate::config::dns::Propagation;
use crate::config::entry::Entry;
use crate::config::issuers::is_built_in;
use crate::config::node::YamlNode;
use crate::record;

/// Returns a sentence for each warning; `items` are the entries' places and fields.
pub(super) fn find(config: &Config, items: &[(String, YamlNode)]) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut sets = BTreeMap::new();
    for ((place, node), entry) in items.iter().zip(&config.entries) {
        let Ok(entry) = entry else { continue };
        let at = format!("{place} ({})", entry.main_secret());
        doubts.extend(of_entry(entry, node).iter().map(|doubt| format!("{at}: {doubt}")));
        match sets.get(&(&entry.domains, &entry.issuer)) {
            Some(other) => doubts.push(format!(
                "{at}: domains: are those of {other}; CAs limit orders of one set of names: name both Secrets in one entry"
            )),
            None => drop(sets.insert((&entry.domains, &entry.issuer), place)),
        }
    }
    let is_used = |name: &String| {
        let named = |(_, item): &(String, YamlNode)| item.get("issuer") == Some(&YamlNode::Text(name.clone()));
        items.iter().any(named)
    };
    let unused = config.issuers.keys().filter(|name| !is_built_in(name) && !is_used(name));
    doubts.extend(unused.map(|name| format!("key `issuers` {name}: is the issuer of no entry")));
    doubts
}

/// The fault of an entry that no key can serve, so that it never gets a certificate.
pub(super) fn unserved(entry: &Entry, config: &Config) -> Option<&'static str> {
    let has_key = entry.tsig_secret.is_some() || config.zones.iter().any(|zone| zone.tsig_secret.is_some());
    let issuer = entry.issuer.as_ref().and_then(|name| config.issuers.get(name.as_str()));
    let by_dns = |name: &Domain| {
        challenge_of(entry, &config.zones, issuer.map(|issuer| &**issuer), name) == ChallengeType::Dns01
    };
    (!has_key && entry.order_names().iter().any(by_dns)).then_some(
        "tsigSecretName: is missing, and no item of `zones` has one: name the Secret of a TSIG key here, in `defaults` or in `zones`; without one no UPDATE can be signed",
    )
}

fn of_entry(entry: &Entry, node: &YamlNode) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut seen = BTreeSet::new();
    if let Some(YamlNode::List(names)) = node.get("domains") {
        for (i, name) in names.iter().enumerate() {
            if let YamlNode::Text(text) = name
                && let Ok(domain) = Domain::parse(text)
                && !seen.insert(domain)
            {
                doubts.push(format!("domains[{i}]: names {text} a second time"));
            }
        }
    }
    for secret in &entry.secrets {
        if record::is_one(&secret.in_cluster()) || secret.name.starts_with("notariat-acme-") {
            doubts.push(format!("secret: {secret} is a name that notariat uses for itself; take another one"));
        }
        if entry.tsig_secret.as_ref() == Some(secret) {
            doubts.push(format!("secret: {secret} is also the Secret of the TSIG key, which is never overwritten"));
        }
    }
    if let Some(before) = entry.renew_before.filter(|before| *before >= RENEW_BEFORE_USUAL) {
        doubts.push(format!(
            "renewBefore: {} is refused for certificates of which it is two thirds of the lifetime or more; most live for 90 days",
            duration_text(before)
        ));
    }
    let dns = &entry.dns;
    if dns.propagation == Propagation::None {
        for (field, servers) in
            [("propagationNameservers", &dns.propagation_nameservers), ("alsoCheck", &dns.also_check)]
        {
            if !servers.is_empty() {
                doubts.push(format!("dns.{field}: is not used with `propagation: none`"));
            }
        }
    }
    doubts
}
