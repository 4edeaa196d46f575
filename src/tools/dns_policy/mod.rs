//! `notariat dns-policy`: prints what BIND, Knot and PowerDNS must allow for the names of a configuration, and no more.
//!
//! The names of TSIG keys come from the Secrets of the store, or from those of the manifest. With `-resolver`, zones and CNAMEs are looked up
//! as the controller does, by questions alone. Nothing is written. tests/it/dns_policy.rs: with the printed lines, and nothing else, a run
//! works on each of the three servers, and another name is refused.

mod find;
mod keys;
mod print;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use self::find::Finder;
use self::keys::KeySecrets;
use self::print::Grant;
use crate::base::challenge_type::ChallengeType;
use crate::base::name::{DnsName, Domain};
use crate::base::shutdown::Shutdown;
use crate::cli::Arguments;
use crate::dns::tsig_secret::TsigSecret;
use crate::start::{OpenedStore, open};
use crate::store::LockMode;
use crate::tools::manifest;
use crate::tools::role::{self, Instance};

/// The challenge names by zone (none where it is not known) and the Secret of the key.
type Names = BTreeMap<(Option<DnsName>, TsigSecret), BTreeSet<DnsName>>;

/// Returns the lines for each server, for the ConfigMaps in `file` (`-` is standard input) or else for those that the arguments name.
///
/// # Errors
/// One sentence with the place and the fault.
pub fn run(file: Option<&Path>, arguments: &Arguments) -> Result<String, String> {
    let (instances, keys) = match file {
        // A file needs no cluster.
        Some(file) => {
            let mut manifest = manifest::open("f", file, arguments.namespace.as_deref())?;
            let secrets = std::mem::take(&mut manifest.secrets);
            (role::instances_of(manifest, file, arguments)?, KeySecrets::Manifest(secrets))
        }
        None => {
            let OpenedStore { store, .. } = open(arguments, LockMode::Beside, &Shutdown::new())?;
            (role::instances(None, arguments)?, KeySecrets::Store(Box::new(store)))
        }
    };
    let mut finder = arguments.resolver.clone().map(|resolver| Finder::new(resolver, &keys));
    let names = names(&instances, &mut finder)?;
    let mut remarks = finder.map(|finder| finder.remarks).unwrap_or_default();
    let secrets: BTreeSet<&TsigSecret> = names.keys().map(|(_, secret)| secret).collect();
    let keys = secrets.into_iter().map(|secret| (secret.clone(), keys.names(secret, &mut remarks))).collect();
    Ok(print::policy(&role::sources(&instances), &remarks, &grants(&names, &keys)))
}

fn names(instances: &[Instance], finder: &mut Option<Finder<'_>>) -> Result<Names, String> {
    let mut names = Names::new();
    for wanted in instances.iter().flat_map(|instance| instance.desired.wanted.values()) {
        let rules = wanted.entry.zone_policy(&wanted.zones);
        let by_dns = |domain: &&Domain| wanted.challenge_of(domain) == ChallengeType::Dns01;
        for domain in wanted.entry.domains.iter().filter(by_dns) {
            if let Some(found) = finder.as_mut().and_then(|finder| finder.find(rules, domain)) {
                names.entry((Some(found.zone), found.key)).or_default().insert(found.owner);
                continue;
            }
            let owner = domain.challenge_name();
            let zone = rules.configured(&owner).zone.cloned();
            let at = zone.as_ref().unwrap_or(domain.base());
            let told = |e| format!("{}, entry {}: {domain}: {e}", wanted.source, wanted.entry.main_secret());
            let secret = rules.key(at, std::slice::from_ref(&owner)).map_err(told)?;
            names.entry((zone, secret)).or_default().insert(owner);
        }
    }
    Ok(names)
}

fn grants<'a>(names: &'a Names, keys: &'a BTreeMap<TsigSecret, Vec<String>>) -> Vec<Grant<'a>> {
    let of = |((zone, secret), names)| {
        let zone: &Option<DnsName> = zone;
        keys[secret].iter().map(move |key| Grant { zone: zone.as_ref(), key, names })
    };
    names.iter().map(|((zone, secret), names)| ((zone, secret), names)).flat_map(of).collect()
}
