//! The lines for each name server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::base::name::DnsName;

/// The names that a key may change in a zone.
pub(super) struct Grant<'a> {
    pub(super) zone: Option<&'a DnsName>,
    pub(super) key: &'a str,
    pub(super) names: &'a BTreeSet<DnsName>,
}

impl Grant<'_> {
    /// The zone, or a placeholder.
    fn zone(&self) -> &str {
        self.zone.map_or("ZONE", DnsName::as_str)
    }
}

/// The text of the command: how to read it, then the lines for BIND, Knot and PowerDNS.
pub(super) fn policy(sources: &str, remarks: &[String], grants: &[Grant<'_>]) -> String {
    let mut text = format!("# Printed by `notariat dns-policy` for {sources}: print it anew when that changes.\n");
    if grants.iter().any(|grant| grant.key.starts_with("KEY-IN-")) {
        text.push_str("# KEY-IN-… stands for the name of a key whose Secret was not read.\n");
    }
    if grants.iter().any(|grant| grant.zone.is_none()) {
        text.push_str(
            "# ZONE stands for a zone that the configuration does not say: the one that holds the names beside it. Where _acme-challenge.NAME\n\
             # is a CNAME, grant the name that it leads to, in that zone. `-resolver ADDRESS` finds both.\n",
        );
    }
    for remark in remarks {
        writeln!(text, "# {}", remark.replace('\n', " ")).expect(INFALLIBLE);
    }
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
