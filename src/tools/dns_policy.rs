//! `notariat dns-policy`: prints what BIND, Knot and PowerDNS must allow for the names of a configuration, and no more.
//!
//! The command asks no name server and writes nothing; of TSIG keys only the names are read. tests/it/dns_policy.rs: with the printed
//! lines, and nothing else, a run works on each of the three servers, and another name is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::base::name::{DnsName, ObjectRef};
use crate::base::shutdown::Shutdown;
use crate::cli::Arguments;
use crate::issuance::solver::dns01::update::read_keys;
use crate::start::{OpenedStore, open};
use crate::store::{LockMode, Store};
use crate::tools::role::{self, Instance};

/// The challenge names by zone (none where the configuration does not say it) and the Secret of the key.
type Names = BTreeMap<(Option<DnsName>, ObjectRef), BTreeSet<DnsName>>;

/// Returns the lines for each server, for the ConfigMaps in `file` (`-` is standard input) or else for those that the arguments name.
///
/// # Errors
/// One sentence with the place and the fault.
pub fn run(file: Option<&Path>, arguments: &Arguments) -> Result<String, String> {
    let instances = role::instances(file, arguments)?;
    // A file needs no cluster.
    let store = match file {
        None => Some(open(arguments, LockMode::Beside, &Shutdown::new())?).map(|OpenedStore { store, .. }| store),
        Some(_) => None,
    };
    let names = names(&instances)?;
    let secrets: BTreeSet<&ObjectRef> = names.keys().map(|(_, secret)| secret).collect();
    let keys = secrets.into_iter().map(|secret| (secret.clone(), key_names(store.as_ref(), secret))).collect();
    Ok(policy(&role::sources(&instances), &grants(&names, &keys)))
}

/// The names that a key may change in a zone.
struct Grant<'a> {
    zone: Option<&'a DnsName>,
    key: &'a str,
    names: &'a BTreeSet<DnsName>,
}

impl Grant<'_> {
    /// The zone, or a placeholder.
    fn zone(&self) -> &str {
        self.zone.map_or("ZONE", DnsName::as_str)
    }
}

fn names(instances: &[Instance]) -> Result<Names, String> {
    let mut names = Names::new();
    for wanted in instances.iter().flat_map(|instance| instance.desired.wanted.values()) {
        let rules = wanted.entry.zone_policy(&wanted.zones);
        for domain in &wanted.entry.domains {
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

/// The names of the keys in a Secret, or a placeholder where the Secret can not be read.
fn key_names(store: Option<&Store>, secret: &ObjectRef) -> Vec<String> {
    match store.map(|store| read_keys(store, secret)) {
        Some(Ok(keys)) => {
            let names: BTreeSet<String> = keys.iter().map(|key| key.name.to_string()).collect();
            names.into_iter().collect()
        }
        Some(Err(_)) | None => vec![format!("KEY-IN-{}-{}", secret.namespace, secret.name)],
    }
}

fn grants<'a>(names: &'a Names, keys: &'a BTreeMap<ObjectRef, Vec<String>>) -> Vec<Grant<'a>> {
    let of = |((zone, secret), names)| {
        let zone: &Option<DnsName> = zone;
        keys[secret].iter().map(move |key| Grant { zone: zone.as_ref(), key, names })
    };
    names.iter().map(|((zone, secret), names)| ((zone, secret), names)).flat_map(of).collect()
}

fn policy(sources: &str, grants: &[Grant<'_>]) -> String {
    let mut text = format!(
        "# Printed by `notariat dns-policy` for {sources}: print it anew when that changes.\n\
         # KEY-IN-… stands for the name of a key whose Secret was not read, ZONE for a zone that the configuration does not say: the\n\
         # one that holds the names beside it. Where _acme-challenge.NAME is a CNAME, grant the name that it leads to, in that zone.\n"
    );
    bind(&mut text, grants);
    knot(&mut text, grants);
    powerdns(&mut text, grants);
    text
}

/// Writing to a String can not fail.
const INFALLIBLE: &str = "a String takes everything";

fn bind(text: &mut String, grants: &[Grant<'_>]) {
    text.push_str("\n# BIND: into `update-policy { … };` of the zone, in named.conf.\n");
    for grant in grants {
        writeln!(text, "# {}:", grant.zone()).expect(INFALLIBLE);
        for name in grant.names {
            writeln!(text, "grant \"{}\" name {name}. TXT;", grant.key).expect(INFALLIBLE);
        }
    }
}

fn knot(text: &mut String, grants: &[Grant<'_>]) {
    text.push_str("\n# Knot: into knot.conf, and the id of each acl into `acl: […]` of its zone.\nacl:\n");
    for (number, Grant { key, names, .. }) in grants.iter().enumerate() {
        let owners: Vec<String> = names.iter().map(|name| format!("{name}.")).collect();
        writeln!(
            text,
            "  # {}:\n  - id: notariat-{}\n    key: {key}\n    action: update\n    update-type: [TXT]\n    update-owner: name\n    \
             update-owner-match: equal\n    update-owner-name: [{}]",
            grants[number].zone(),
            number + 1,
            owners.join(", ")
        )
        .expect(INFALLIBLE);
    }
}

fn powerdns(text: &mut String, grants: &[Grant<'_>]) {
    text.push_str(
        "\n# PowerDNS: dnsupdate=yes in pdns.conf, and for each zone (NETWORK is where notariat's UPDATEs come from):\n",
    );
    let zones: BTreeSet<(&str, &str)> = grants.iter().map(|grant| (grant.zone(), grant.key)).collect();
    for (zone, key) in &zones {
        writeln!(text, "pdnsutil add-meta {zone} TSIG-ALLOW-DNSUPDATE {key}").expect(INFALLIBLE);
    }
    for zone in zones.iter().map(|(zone, _)| zone).collect::<BTreeSet<_>>() {
        writeln!(
            text,
            "pdnsutil add-meta {zone} ALLOW-DNSUPDATE-FROM NETWORK\npdnsutil set-meta {zone} NOTIFY-DNSUPDATE 1"
        )
        .expect(INFALLIBLE);
    }
    text.push_str(
        "\n-- With that each key may change every name and type of its zone: PowerDNS limits neither, except by a script. This one as a\n\
         -- file, and lua-dnsupdate-policy-script=FILE in pdns.conf. It holds for all zones of the server, in place of all of the above\n\
         -- but dnsupdate=yes; what it denies is answered NOERROR and not done, and stands in the log.\nlocal granted = {\n",
    );
    let mut keys = BTreeMap::<&str, BTreeSet<&DnsName>>::new();
    for grant in grants {
        keys.entry(grant.key).or_default().extend(grant.names);
    }
    for (key, names) in keys {
        writeln!(text, "  [\"{key}.\"] = {{").expect(INFALLIBLE);
        for name in names {
            writeln!(text, "    [\"{name}.\"] = true,").expect(INFALLIBLE);
        }
        text.push_str("  },\n");
    }
    text.push_str(
        "}\nfunction updatepolicy(input)\n  local names = granted[input:getTsigName():toString():lower()]\n  \
         return names ~= nil and input:getQType() == pdns.TXT and names[input:getQName():toString():lower()] == true\nend\n",
    );
}
