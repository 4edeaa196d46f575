//! `notariat explain NAME`: which namespaces may have a name, how it is proved, and why the others may not have it.
//!
//! Input: the ConfigMaps of the place where the controller would read them, or of a manifest in a file. Nothing is written. The answer is that
//! of [`NameRanges`], which also the controller asks.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::base::limits::POLICY_LINES_SHOWN_MAX;
use crate::base::name::Domain;
use crate::cli::Arguments;
use crate::config::challenge::chosen;
use crate::config::entry::Entry;
use crate::config::name_policy::{EVERY, KEY};
use crate::config::namespaces::Namespaces;
use crate::config::{self, Config, InvalidConfig};
use crate::policy::name_ranges::NameRanges;
use crate::tools::role;

/// Returns the explanation, and whether any namespace may have the name. `file` is a manifest, `-` is standard input.
///
/// # Errors
/// One sentence: what is no name, or can not be read.
pub fn run(name: &str, file: Option<&Path>, arguments: &Arguments) -> Result<(String, bool), String> {
    let domain = Domain::parse(name).map_err(|e| format!("{name:?} {e}"))?;
    let (mut text, mut has_any) = (String::new(), false);
    for (own, config_maps) in role::config_maps(file, arguments)? {
        let namespaces = arguments.namespaces(&own);
        let mut configs = Vec::new();
        for (at, data) in &config_maps {
            let config = config::read(data, &namespaces).map_err(|InvalidConfig(e)| format!("ConfigMap {at}: {e}"))?;
            configs.push(config);
        }
        let (said, may) = explain(&domain, &configs, &namespaces);
        text += &said;
        has_any |= may;
    }
    Ok((text, has_any))
}

/// The explanation for one instance, and whether any namespace may have the name.
fn explain(domain: &Domain, configs: &[Config], namespaces: &Namespaces) -> (String, bool) {
    let ranges = NameRanges::of(configs, namespaces);
    let owners = ranges.owners(domain);
    let mut text = match &owners {
        Some((range, owners)) => {
            let owners: Vec<String> = owners.iter().map(|owner| words(owner)).collect();
            format!("{domain} lies in the range {range} of {}\n", owners.join(", "))
        }
        None => format!("{domain} lies in no range of the key `{KEY}`\n"),
    };
    // Besides the lines: the own namespace, the served ones, and the namespace that is a label of the name itself.
    let of_range = owners.iter().flat_map(|(_, owners)| owners).map(String::as_str);
    let lines = ranges.policy().lines.keys().map(String::as_str);
    let asked: BTreeSet<&str> = namespaces.all().chain(of_range).chain(lines).filter(|name| *name != EVERY).collect();
    let (mut may, mut may_not, mut others) = (Vec::new(), Vec::new(), 0);
    for namespace in asked {
        let is_served = namespaces.all().any(|served| served == namespace);
        match ranges.judge(namespace, domain) {
            Ok(()) if is_served => may.push(namespace.to_owned()),
            Ok(()) => may_not.push((namespace, "may have it, but is not among -allow-namespaces".to_owned())),
            Err(sentence) if is_served || ranges.is_near(namespace, domain) => may_not.push((namespace, sentence)),
            Err(_) => others += 1,
        }
    }
    let has_any = !may.is_empty();
    for namespace in may {
        let orders = ranges.orders_per_week(&namespace);
        let orders = orders.map_or_else(String::new, |orders| format!(", within {orders} new certificates a week"));
        let way = configs.first().and_then(|config| way(config, &ranges, &namespace, domain)).unwrap_or_default();
        line(&mut text, &format!("  yes  {namespace}{orders}{way}"));
    }
    others += may_not.len().saturating_sub(POLICY_LINES_SHOWN_MAX);
    for (namespace, sentence) in may_not.into_iter().take(POLICY_LINES_SHOWN_MAX) {
        line(&mut text, &format!("  no   {namespace}: {sentence}"));
    }
    if others > 0 {
        line(&mut text, &format!("  no   {others} more with a line"));
    }
    (text, has_any)
}

/// The clause about how a certificate for an object of this namespace proves the name; `None` where `defaults` can not be read.
fn way(config: &Config, ranges: &NameRanges, namespace: &str, domain: &Domain) -> Option<String> {
    let template = config.template.as_deref()?;
    let issuer = ranges.issuer(namespace, None).ok().flatten();
    let issuer = config.issuers.get(issuer.as_deref().or(template.issuer.as_deref()).unwrap_or_default());
    let by = |entry: &Entry| chosen(entry, &config.zones, issuer.map(|issuer| &**issuer), domain);
    let (way, why) = by(template);
    let of_ingress = match by(&Entry { http_without_key: true, ..template.clone() }) {
        (other, why) if other != way => {
            format!("; by {other} for an Ingress with kubernetes.io/tls-acme where -http-listen is set, {why}")
        }
        _ => String::new(),
    };
    Some(format!("; proved by {way} {why}{of_ingress}"))
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes everything");
}

fn words(owner: &str) -> String {
    match owner {
        EVERY => "each namespace without a line".to_owned(),
        _ => owner.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_namespace_that_matters_has_a_line() {
        let yaml = "'*': {domains: ['{namespace}.apps.test'], certificatesPerWeek: 3}\n\
                    team-a: {domains: [example.com], wildcards: true}\n\
                    team-b: {domains: [b.example.com]}\n\
                    far: {domains: [far.test]}\n\
                    gone: {domains: [example.com]}";
        let namespaces = Namespaces::new("own", &["team-a".to_owned(), "team-b".to_owned(), "dev".to_owned()]);
        let config = config::read(&[("namespaces".to_owned(), yaml.to_owned())].into(), &namespaces).unwrap();
        let explained = |name: &str| explain(&Domain::parse(name).unwrap(), std::slice::from_ref(&config), &namespaces);
        let (text, may) = explained("www.b.example.com");
        let expected = "www.b.example.com lies in the range b.example.com of team-b\n\
             \x20 yes  team-b, within 20 new certificates a week; proved by dns-01 by default; by http-01 for an Ingress with \
             kubernetes.io/tls-acme where -http-listen is set, because no zone with a TSIG key encloses it\n\
             \x20 no   dev: www.b.example.com lies in the range b.example.com, which belongs to another namespace than dev; the longest range decides\n\
             \x20 no   gone: www.b.example.com lies in the range b.example.com, which belongs to another namespace than gone; the longest range decides\n\
             \x20 no   own: www.b.example.com lies in the range b.example.com, which belongs to another namespace than own; the longest range decides\n\
             \x20 no   team-a: www.b.example.com lies in the range b.example.com, which belongs to another namespace than team-a; the longest range decides\n\
             \x20 no   1 more with a line\n";
        assert_eq!((text.as_str(), may), (expected, true));
        for (name, part, expected) in [
            ("x.dev.apps.test", "of dev\n  yes  dev, within 3 new certificates a week; proved by dns-01", true),
            ("x.new.apps.test", "\n  no   new: may have it, but is not among -allow-namespaces\n", false),
            ("www.example.com", "  no   gone: may have it, but is not among -allow-namespaces\n", true),
            ("*.b.example.com", "  no   team-b: *.b.example.com is a wildcard, which", false),
            ("other.test", "other.test lies in no range of the key `namespaces`\n  no   dev: ", false),
        ] {
            let (text, may) = explained(name);
            assert!(text.contains(part) && may == expected, "{name}: {text}");
        }
        let alone = explain(&Domain::parse("other.test").unwrap(), &[Config::default()], &"own".into());
        assert_eq!(alone, ("other.test lies in no range of the key `namespaces`\n  yes  own\n".to_owned(), true));
    }

    #[test]
    fn the_way_of_the_proof_is_that_of_the_configuration() {
        let issuers = "le: {directory: 'https://ca.test/dir', challenge: http-01}";
        for (defaults, zones, lines, name, expected) in [
            ("{}", "[]", "", "a.test", "dns-01 by default; by http-01 for an Ingress"),
            ("{tsigSecretName: key}", "[]", "", "a.test", "dns-01 by default\n"),
            ("{}", "[{zone: test, tsigSecretName: key}]", "", "a.test", "dns-01 by default\n"),
            ("{challenge: http-01}", "[]", "", "a.test", "http-01 as `challenge` in `defaults` says\n"),
            (
                "{}",
                "[{zone: a.test, challenge: http-01}]",
                "",
                "a.test",
                "http-01 as the zone a.test in `zones` says\n",
            ),
            ("{issuer: le}", "[]", "", "a.test", "http-01 as the issuer le says\n"),
            (
                "{}",
                "[]",
                "own: {domains: [a.test], wildcards: true, issuers: [le]}",
                "a.test",
                "http-01 as the issuer le says\n",
            ),
            ("{issuer: le}", "[]", "", "*.a.test", "dns-01 because it is a wildcard\n"),
        ] {
            let keys = [("defaults", defaults), ("zones", zones), ("issuers", issuers), ("namespaces", lines)];
            let data: std::collections::BTreeMap<_, _> =
                keys.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
            let config = config::read(&data.into(), &"own".into()).unwrap();
            let (text, _) = explain(&Domain::parse(name).unwrap(), &[config], &"own".into());
            assert!(text.contains(&format!("proved by {expected}")), "{defaults} {zones} {lines}: {text}");
        }
    }
}
