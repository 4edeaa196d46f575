//! The key `namespaces` of a ConfigMap: the names that the objects of each namespace may have. Pure.
//!
//! A line with a fault grants nothing. Its ranges stay kept from all other namespaces, as far as they can be read, because a typing mistake
//! of an operator must not hand names over to a tenant. [`crate::policy::name_ranges`] judges names by it.

use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};

use super::fields::{MapReader, shown};
use super::issuers::{Issuers, directory_url, issuer_name};
use super::namespaces::Namespaces;
use super::node::YamlNode;
use super::table::NAMESPACE;
use crate::base::limits::{NAMES_SHOWN_MAX, NAMESPACE_LINES_MAX, NAMESPACE_ORDERS_DEFAULT};
use crate::base::name::{ClusterName, DnsName, Domain, NAME_MAX, NameError, check_namespace};

/// The key of the ConfigMap.
pub const KEY: &str = "namespaces";

/// The name of the line for namespaces without a line of their own.
pub const EVERY: &str = "*";

/// The word for all names that lie in no other range.
const ANY: &str = "any";

/// The label of a range that stands for the name of the namespace.
const PLACEHOLDER: &str = "{namespace}";

/// The names that each namespace may have, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamePolicy {
    /// The line of each namespace. A text that is no namespace has a fault.
    pub lines: BTreeMap<String, NamespaceLine>,
    /// The line `"*"`, for namespaces without a line.
    pub every: Option<NamespaceLine>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceLine {
    /// The ranges of names, in the order of the line.
    pub ranges: Vec<NameRange>,
    /// Permission for wildcards.
    pub wildcards: bool,
    /// The issuers that objects may name, the first one for those that name none. Empty for the default issuer alone.
    pub issuers: Vec<String>,
    /// The ClusterIssuers of cert-manager that Certificates may name; `None` for all.
    pub cluster_issuers: Option<Vec<String>>,
    /// The ACME directories that Issuers of cert-manager in the namespace may name.
    pub own_issuers: Vec<String>,
    /// Orders within a week, renewals apart.
    pub certificates_per_week: u32,
    /// The number of objects that are served; only for a namespace of another cluster, which must have one.
    pub most: Option<u32>,
    /// The fault for which the line grants nothing.
    pub fault: Option<String>,
}

/// A range of names: a name and all names below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameRange {
    /// Every name that lies in no other range.
    Any,
    /// At and below one name.
    Fixed(DnsName),
    /// At and below `before.NAMESPACE.after`, for the namespace that asks.
    OfNamespace {
        /// The labels left of the namespace.
        before: Option<DnsName>,
        /// The labels right of the namespace, two at least.
        after: DnsName,
    },
}

impl std::fmt::Display for NameRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NameRange::Any => f.write_str(ANY),
            NameRange::Fixed(name) => write!(f, "{name}"),
            NameRange::OfNamespace { before: Some(before), after } => write!(f, "{before}.{PLACEHOLDER}.{after}"),
            NameRange::OfNamespace { before: None, after } => write!(f, "{PLACEHOLDER}.{after}"),
        }
    }
}

impl NameRange {
    /// Reads a range.
    ///
    /// # Errors
    /// One sentence that says which rule the text breaks.
    pub fn parse(text: &str) -> Result<NameRange, String> {
        if text == ANY {
            return Ok(NameRange::Any);
        }
        if text.contains('*') {
            return Err("is a wildcard; a range is a name with all names below it, and `wildcards: true` permits \
                        wildcards in it"
                .to_owned());
        }
        let Some((before, after)) = text.split_once(PLACEHOLDER) else {
            return Ok(NameRange::Fixed(domain_base(text)?));
        };
        let (Some(after), true) = (after.strip_prefix('.'), before.is_empty() || before.ends_with('.')) else {
            return Err(format!("must have {PLACEHOLDER} as a whole label, with a domain of two labels after it"));
        };
        let after = domain_base(after).map_err(|e| format!("has after {PLACEHOLDER} a domain that {e}"))?;
        // The left side is read with a label for the longest namespace, so that each namespace has its range.
        let whole = domain_base(&format!("{before}{}.{after}", "n".repeat(NAMESPACE_MAX)))?;
        let before = before.strip_suffix('.').map(|_| {
            let labels: Vec<&str> = whole.labels().collect();
            let left = labels.len().saturating_sub(after.labels().count()).saturating_sub(1);
            let left = labels.get(..left).unwrap_or_default().join(".");
            DnsName::parse(&left).expect("labels of a name are a name")
        });
        Ok(NameRange::OfNamespace { before, after })
    }

    /// The range for one namespace; `None` where its name makes no domain name, as a broken A-label does.
    pub fn of(&self, namespace: &str) -> Option<DnsName> {
        let NameRange::OfNamespace { before, after } = self else {
            let NameRange::Fixed(name) = self else { return None };
            return Some(name.clone());
        };
        let before = before.as_ref().map(|before| format!("{before}.")).unwrap_or_default();
        domain_base(&format!("{before}{namespace}.{after}")).ok()
    }

    /// The namespace whose range this name is; `None` for a range without placeholder and for other names.
    pub fn namespace_of<'n>(&self, name: &'n DnsName) -> Option<&'n str> {
        let NameRange::OfNamespace { before, after } = self else { return None };
        let left = name.as_str().strip_suffix(after.as_str())?.strip_suffix('.')?;
        match before {
            Some(before) => left.strip_prefix(before.as_str())?.strip_prefix('.'),
            None => Some(left),
        }
        .filter(|label| !label.is_empty() && !label.contains('.'))
    }
}

/// The characters of the longest namespace.
const NAMESPACE_MAX: usize = 63;

/// A name of two labels at least, as a certificate may have it.
fn domain_base(text: &str) -> Result<DnsName, String> {
    match Domain::parse(text) {
        Ok(domain) if !domain.is_wildcard() => Ok(domain.base().clone()),
        Ok(_) => Err("is a wildcard".to_owned()),
        Err(e) => Err(e.to_string()),
    }
}

impl NamespaceLine {
    /// True where the line has every name that lies in no range.
    pub fn has_any(&self) -> bool {
        self.ranges.contains(&NameRange::Any)
    }
}

impl NamePolicy {
    /// The line that holds for a namespace: its own, or else `"*"`, which stands for no namespace of another cluster.
    pub fn line(&self, namespace: &str) -> Option<&NamespaceLine> {
        self.lines.get(namespace).or(self.every.as_ref().filter(|_| !is_elsewhere(namespace)))
    }

    /// The number of objects that are served in each namespace of another cluster.
    pub fn most(&self) -> BTreeMap<String, usize> {
        let most = |line: &NamespaceLine| usize::try_from(line.most?).ok();
        self.lines.iter().filter_map(|(namespace, line)| Some((namespace.clone(), most(line)?))).collect()
    }

    /// Every line with its name, `"*"` first.
    pub fn all(&self) -> impl Iterator<Item = (&str, &NamespaceLine)> {
        let every = self.every.iter().map(|line| (EVERY, line));
        every.chain(self.lines.iter().map(|(namespace, line)| (namespace.as_str(), line)))
    }

    /// The faults of the lines, one sentence for each line.
    pub fn faults(&self) -> impl Iterator<Item = String> {
        self.all().filter_map(|(namespace, line)| {
            let fault = line.fault.as_ref()?;
            Some(format!(
                "key `{KEY}` {}: {fault}; until it is mended, the namespace gets no certificate",
                shown(namespace)
            ))
        })
    }

    /// Adds the lines of another ConfigMap. A line that is in both has a fault.
    pub fn add(&mut self, other: &NamePolicy) {
        for (namespace, line) in other.all() {
            self.insert(namespace, line.clone());
        }
    }

    fn insert(&mut self, namespace: &str, line: NamespaceLine) {
        let there = match namespace {
            EVERY => match &mut self.every {
                None => return self.every = Some(line),
                Some(there) => there,
            },
            _ => match self.lines.entry(namespace.to_owned()) {
                MapEntry::Vacant(place) => {
                    place.insert(line);
                    return;
                }
                MapEntry::Occupied(there) => there.into_mut(),
            },
        };
        there.ranges.extend(line.ranges);
        there.fault = Some("stands there twice: remove one of its lines".to_owned());
    }
}

/// Reads the key. Faults of the key as a whole go to `errors`, those of a line into the line.
pub(super) fn read(
    node: Option<&YamlNode>,
    issuers: &Issuers,
    is_written: &impl Fn(&str) -> bool,
    errors: &mut Vec<String>,
) -> NamePolicy {
    let mut policy = NamePolicy::default();
    let items = match node {
        None => return policy,
        Some(YamlNode::Map(items)) if items.len() <= NAMESPACE_LINES_MAX => items,
        Some(YamlNode::Map(items)) => {
            errors.push(format!("key `{KEY}`: has {} lines; {NAMESPACE_LINES_MAX} are possible", items.len()));
            return policy;
        }
        Some(other) => {
            let kind = other.kind();
            errors
                .push(format!("key `{KEY}`: is {kind}; it must be a mapping, each line `name: {{domains: [\"…\"]}}`"));
            return policy;
        }
    };
    for (key, item) in items {
        let (namespace, mut line) = match key {
            YamlNode::Text(namespace) => (namespace.clone(), read_line(namespace, item, issuers, is_written)),
            other => (format!("({})", other.kind()), read_line("", item, issuers, is_written)),
        };
        if namespace != EVERY && check_place(&namespace).is_err() {
            line.fault = Some(
                "is not the name of a namespace: text of lower-case letters, digits and `-`; in another cluster it is CLUSTER:NAMESPACE"
                    .to_owned(),
            );
        }
        policy.insert(&namespace, line);
    }
    policy
}

fn read_line(namespace: &str, node: &YamlNode, issuers: &Issuers, is_written: &impl Fn(&str) -> bool) -> NamespaceLine {
    let mut faults = Vec::new();
    let mut fields = MapReader::of(node, NAMESPACE, "", &mut faults);
    let ranges = fields.list("domains", &mut faults, NameRange::parse).unwrap_or_default();
    let wildcards = fields.bool("wildcards", &mut faults).unwrap_or_default();
    let issuer = |name: &str| match issuers.contains_key(name) || is_written(name) {
        true => Ok(name.to_owned()),
        false => Err("is not in the key `issuers`"),
    };
    let issuers = fields.list("issuers", &mut faults, issuer).unwrap_or_default();
    let cluster_issuers = fields.list("clusterIssuers", &mut faults, issuer_name);
    let own_issuers = fields.list("ownIssuers", &mut faults, directory_url).unwrap_or_default();
    let orders = fields.number("certificatesPerWeek", &mut faults);
    let most = fields.number("maxCertificates", &mut faults);
    if matches!(node, YamlNode::Map(_)) {
        fields.finish(&mut faults);
    }
    let mut fault = faults.first().map(|first| match faults.len() {
        1 => first.to_string(),
        more => format!("{first} (and {} more faults)", more.saturating_sub(1)),
    });
    if fault.is_none() {
        let has_issuers_of_objects = cluster_issuers.is_some() || !own_issuers.is_empty();
        fault = fault_of_place(is_elsewhere(namespace), &ranges, (orders, most), has_issuers_of_objects);
    }
    let own_name = namespace.rsplit(':').next().unwrap_or(namespace);
    // Each range is for the namespace of its own line; only in the line `"*"` the namespace is open.
    let fixed = |range: NameRange| match namespace {
        EVERY => Some(range),
        _ if range == NameRange::Any => Some(range),
        _ => range.of(own_name).map(NameRange::Fixed),
    };
    NamespaceLine {
        ranges: if fault.is_none() { ranges } else { kept_ranges(node) }.into_iter().filter_map(fixed).collect(),
        wildcards,
        issuers,
        cluster_issuers,
        own_issuers,
        certificates_per_week: orders.unwrap_or(NAMESPACE_ORDERS_DEFAULT),
        most,
        fault,
    }
}

/// Tells whether the name of a line is that of a namespace of another cluster.
fn is_elsewhere(namespace: &str) -> bool {
    namespace.contains(':')
}

/// Checks the name of a line: `NAMESPACE` or `CLUSTER:NAMESPACE`.
fn check_place(text: &str) -> Result<(), NameError> {
    match text.split_once(':') {
        None => check_namespace(text),
        Some((cluster, namespace)) => ClusterName::parse(cluster).and_then(|_| check_namespace(namespace)),
    }
}

/// The fault of a line that reads: in another cluster nothing is granted that the line does not write out.
fn fault_of_place(
    is_elsewhere: bool,
    ranges: &[NameRange],
    (orders, most): (Option<u32>, Option<u32>),
    has_issuers_of_objects: bool,
) -> Option<String> {
    let lacks = |what: &str| {
        Some(format!(
            "lacks {what}, which a namespace of another cluster needs: `{{domains: [\"…\"], certificatesPerWeek: 20, maxCertificates: 50}}`"
        ))
    };
    match (is_elsewhere, orders, most) {
        (false, ..) => None,
        (true, ..) if ranges.is_empty() => lacks("`domains`"),
        (true, None, _) => lacks("`certificatesPerWeek`"),
        (true, _, None) => lacks("`maxCertificates`"),
        (true, ..) if has_issuers_of_objects => Some(
            "clusterIssuers and ownIssuers are for namespaces at home; another cluster has the names in `issuers`"
                .to_owned(),
        ),
        (true, ..) => None,
    }
}

/// The ranges that a line with a fault keeps from other namespaces: each text in `domains` that is a name apart from a `*.` before it or
/// a dot after it.
fn kept_ranges(node: &YamlNode) -> Vec<NameRange> {
    let node = node.get("domains").unwrap_or(node);
    let items = if let YamlNode::List(items) = node { items.as_slice() } else { std::slice::from_ref(node) };
    let range = |item: &YamlNode| {
        let text = item.text().filter(|text| text.len() <= 2 * NAME_MAX)?.trim();
        let text = text.strip_prefix("*.").unwrap_or(text);
        NameRange::parse(text.strip_suffix('.').unwrap_or(text)).ok()
    };
    items.iter().filter_map(range).collect()
}

/// The warning about fields of lines at home that count in other clusters only.
pub(super) fn without_effect(policy: &NamePolicy) -> Option<String> {
    let (namespace, _) = policy.all().find(|(namespace, line)| line.most.is_some() && !is_elsewhere(namespace))?;
    Some(format!(
        "key `{KEY}` {}: maxCertificates changes nothing at home; it counts in a line that is named CLUSTER:NAMESPACE",
        shown(namespace)
    ))
}

/// The warning about lines of namespaces that are not served: neither the own namespace nor one of `-allow-namespaces`.
pub(super) fn not_served(policy: &NamePolicy, namespaces: &Namespaces) -> Option<String> {
    let served: BTreeSet<String> = namespaces.places().collect();
    let sound = policy.lines.iter().filter(|(_, line)| line.fault.is_none()).map(|(namespace, _)| namespace.as_str());
    let others: Vec<&str> = sound.filter(|namespace| !served.contains(*namespace)).collect();
    let shown: Vec<&str> = others.iter().take(NAMES_SHOWN_MAX).map(|name| shown(name)).collect();
    let more = match others.len().saturating_sub(NAMES_SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!others.is_empty()).then(|| {
        format!(
            "key `{KEY}`: {}{more}: not among the namespaces of the flag -allow-namespaces, so nothing is done there",
            shown.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::NAMESPACE_RANGES_MAX;
    use crate::config::node;

    fn policy(yaml: &str) -> Result<NamePolicy, String> {
        let mut errors = Vec::new();
        let issuers = crate::config::issuers::read(None, &"own".into(), &mut errors);
        let found = read(Some(&node::read(yaml).unwrap()), &issuers, &|_| false, &mut errors);
        if errors.is_empty() { Ok(found) } else { Err(errors.join("; ")) }
    }

    fn ranges(line: &NamespaceLine) -> Vec<String> {
        line.ranges.iter().map(NameRange::to_string).collect()
    }

    #[test]
    fn lines_are_read() {
        let found = policy(
            "'*': {domains: ['{namespace}.apps.example.com', 'www.{namespace}.example.com', shared.example.com]}\n\
             team-a: {domains: [A.example.com, '{namespace}.bücher.example'], wildcards: true, certificatesPerWeek: 5, \
             issuers: [letsencrypt-staging, letsencrypt]}\n\
             kube-system: {}",
        )
        .unwrap();
        let every = found.every.as_ref().unwrap();
        assert_eq!(
            ranges(every),
            ["{namespace}.apps.example.com", "www.{namespace}.example.com", "shared.example.com"]
        );
        assert_eq!((every.wildcards, every.certificates_per_week, every.issuers.len()), (false, 20, 0));
        let line = found.line("team-a").unwrap();
        assert_eq!(ranges(line), ["a.example.com", "team-a.xn--bcher-kva.example"]);
        assert_eq!((line.wildcards, line.certificates_per_week), (true, 5));
        assert_eq!(line.issuers, ["letsencrypt-staging", "letsencrypt"]);
        assert_eq!(ranges(found.line("kube-system").unwrap()), [""; 0], "an empty line replaces \"*\"");
        assert_eq!(found.line("other"), Some(every));
        assert_eq!(found.faults().count(), 0);
    }

    #[test]
    fn a_placeholder_is_a_whole_label() {
        let range = NameRange::parse("www.{namespace}.x.test").unwrap();
        for (name, namespace) in [
            ("www.a.x.test", Some("a")),
            ("a.x.test", None),
            ("x.test", None),
            ("p.www.a.x.test", None),
            ("www.a.b.x.test", None),
            ("www.a.yx.test", None),
            ("wwww.a.x.test", None),
        ] {
            assert_eq!(range.namespace_of(&DnsName::parse(name).unwrap()), namespace, "{name}");
        }
        for (namespace, name) in [
            ("a", Some("www.a.x.test")),
            ("a--b", Some("www.a--b.x.test")),
            ("123", Some("www.123.x.test")),
            ("xn--mnchen-3ya", Some("www.xn--mnchen-3ya.x.test")),
            ("xn--a", None),
        ] {
            assert_eq!(range.of(namespace).map(|name| name.to_string()).as_deref(), name, "{namespace}");
        }
        assert!(range.of(&"n".repeat(63)).is_some());
    }

    /// Each fault, and the ranges that the line keeps from others.
    #[test]
    fn a_line_with_a_fault_grants_nothing_and_keeps_its_ranges() {
        for (yaml, part, kept) in [
            ("a: {domains: ['*.a.test']}", "domains[0]: \"*.a.test\" is a wildcard; a range is", "a.test"),
            ("a: {domains: [a.test.]}", "ends with a dot; write it without", "a.test"),
            ("a: {domains: a.test}", "domains: is text; it must be a list", "a.test"),
            ("a: [a.test]", "is a list; it must be a mapping", "a.test"),
            ("a: a.test", "is text; it must be a mapping", "a.test"),
            ("a:", "is empty; it must be a mapping", ""),
            ("a: {domain: [a.test]}", "domain: is not a field; did you mean `domains`?", ""),
            ("a: {domains: [a.test], wildcard: true}", "wildcard: is not a field; did you mean `wildcards`?", "a.test"),
            ("a: {domains: [a.test], wildcards: 'yes'}", "wildcards: is text; it must be true or false", "a.test"),
            (
                "a: {domains: [a.test], certificatesPerWeek: -1}",
                "certificatesPerWeek: must be a whole number",
                "a.test",
            ),
            ("a: {domains: [a.test], issuers: [lab]}", "issuers[0]: \"lab\" is not in the key `issuers`", "a.test"),
            ("a: {domains: [a.test, 'b..test']}", "domains[1]: \"b..test\" has an empty label", "a.test"),
            (
                "a: {domains: [a.test, b_c.test], x: 1}",
                "underscore; a certificate holds host names (letters, digits, `-`) only (and 1 more faults)",
                "a.test",
            ),
            ("a: {domains: [test]}", "has one label only", ""),
            ("a: {domains: ['.']}", "", ""),
            ("a: {domains: ['']}", "is empty", ""),
            ("a: {domains: [10.0.0.1]}", "is an IP address", ""),
            ("a: {domains: [7]}", "7 has one label only", ""),
            ("a: {domains: ['{namespace}.test']}", "has after {namespace} a domain that has one label only", ""),
            ("a: {domains: ['x.{namespace}']}", "must have {namespace} as a whole label", ""),
            ("a: {domains: ['{namespace}']}", "must have {namespace} as a whole label", ""),
            ("a: {domains: ['x-{namespace}.a.test']}", "must have {namespace} as a whole label", ""),
            ("a: {domains: ['{namespace}-x.a.test']}", "must have {namespace} as a whole label", ""),
            (
                "a: {domains: ['{namespace}.{namespace}.a.test']}",
                "after {namespace} a domain that has the character '{'",
                "",
            ),
            ("a: {domains: ['{name}.a.test']}", "has the character '{'", ""),
            ("A: {domains: [a.test]}", "is not the name of a namespace", "a.test"),
            ("a.b: {domains: [a.test]}", "is not the name of a namespace", "a.test"),
            ("123: {domains: [a.test]}", "is not the name of a namespace", "a.test"),
            ("{domains: [a.test]}: {domains: [a.test]}", "is not the name of a namespace", "a.test"),
            ("a: {domains: [a.test]}\na: {domains: [b.test]}", "stands there twice", "a.test b.test"),
            ("'*': {domains: [a.test]}\n'*': {domains: [b.test]}", "stands there twice", "a.test b.test"),
        ] {
            let found = policy(yaml).expect(yaml);
            let faults: Vec<String> = found.faults().collect();
            assert_eq!(faults.len(), 1, "{yaml}: {faults:?}");
            assert!(faults[0].contains(part) && faults[0].starts_with("key `namespaces` "), "{yaml}: {faults:?}");
            let line = found.all().next().unwrap().1;
            assert_eq!(ranges(line).join(" "), kept, "{yaml}");
        }
    }

    #[test]
    fn the_key_as_a_whole_is_a_mapping_of_bounded_size() {
        for (yaml, part) in [
            ("[a]".to_owned(), "key `namespaces`: is a list; it must be a mapping"),
            ("text".to_owned(), "is text; it must be a mapping"),
            (
                (0..=NAMESPACE_LINES_MAX).map(|n| format!("n{n}: {{}}\n")).collect(),
                "has 10001 lines; 10000 are possible",
            ),
        ] {
            let error = policy(&yaml).expect_err(&yaml);
            assert!(error.contains(part), "{error}");
        }
        let many = (0..=NAMESPACE_RANGES_MAX).map(|n| format!("n{n}.test")).collect::<Vec<_>>().join(", ");
        let found = policy(&format!("a: {{domains: [{many}]}}")).unwrap();
        assert!(found.lines["a"].fault.as_ref().unwrap().contains("has 201 ranges; 200 are possible"));
    }

    #[test]
    fn lines_of_several_config_maps_are_together_and_one_of_both_has_a_fault() {
        let mut both = policy("a: {domains: [a.test]}\nb: {domains: [b.test]}").unwrap();
        both.add(&policy("a: {domains: [c.test]}\n'*': {domains: ['{namespace}.d.test']}").unwrap());
        assert_eq!(both.all().map(|(name, _)| name).collect::<Vec<_>>(), ["*", "a", "b"]);
        assert_eq!(ranges(&both.lines["a"]), ["a.test", "c.test"]);
        assert_eq!(both.faults().count(), 1);
    }

    #[test]
    fn namespaces_that_are_not_served_are_named() {
        let found = policy("own: {}\na: {}\nb: {}").unwrap();
        let namespaces = Namespaces::new("own", &["a".to_owned()]);
        let warning = not_served(&found, &namespaces).unwrap();
        assert!(warning.starts_with("key `namespaces`: b: not among the namespaces of the flag -allow-namespaces"));
        assert_eq!(not_served(&policy("own: {}").unwrap(), &namespaces), None);
    }

    #[test]
    fn a_namespace_of_another_cluster_needs_a_line_that_says_all() {
        let whole = "domains: [a.test, '{namespace}.b.test'], certificatesPerWeek: 5, maxCertificates: 7";
        let found = policy(&format!("edge:team: {{{whole}}}\n'*': {{domains: [any]}}")).unwrap();
        let line = found.line("edge:team").unwrap();
        assert_eq!(
            (line.fault.as_ref(), ranges(line), line.most),
            (None, vec!["a.test".to_owned(), "team.b.test".to_owned()], Some(7))
        );
        assert_eq!((found.line("edge:other"), found.line("moon:team")), (None, None), "\"*\" is for home");
        assert!(found.line("team").is_some());
        assert_eq!(found.most(), [("edge:team".to_owned(), 7)].into());
        for (line, part) in [
            ("edge:t: {certificatesPerWeek: 5, maxCertificates: 7}", "lacks `domains`"),
            ("edge:t: {domains: [any], maxCertificates: 7}", "lacks `certificatesPerWeek`"),
            ("edge:t: {domains: [any], certificatesPerWeek: 5}", "lacks `maxCertificates`"),
            (
                "edge:t: {domains: [any], certificatesPerWeek: 5, maxCertificates: 7, ownIssuers: ['https://ca.test/d']}",
                "are for namespaces at home",
            ),
            (
                "edge:t: {domains: [any], certificatesPerWeek: 5, maxCertificates: 7, clusterIssuers: []}",
                "are for namespaces at home",
            ),
            ("Edge:t: {domains: [any], certificatesPerWeek: 5, maxCertificates: 7}", "is not the name of a namespace"),
            ("a:b:c: {domains: [any], certificatesPerWeek: 5, maxCertificates: 7}", "is not the name of a namespace"),
        ] {
            let found = policy(line).unwrap();
            let fault = found.faults().next().unwrap_or_default();
            assert!(fault.contains(part), "{line}: {fault}");
        }
        // Whatever else a faulty line lacks, its ranges stay kept from others.
        assert_eq!(ranges(&policy("edge:t: {domains: [a.test]}").unwrap().lines["edge:t"]), ["a.test"]);
        assert_eq!(without_effect(&found), None);
        let at_home = policy("t: {domains: [any], maxCertificates: 7}").unwrap();
        assert!(at_home.faults().count() == 0 && without_effect(&at_home).unwrap().contains("changes nothing at home"));
        let there = Namespaces::new("own", &[]).with_target("edge", &["team".to_owned()].into());
        assert_eq!(not_served(&found, &there), None);
        assert!(not_served(&policy(&format!("edge:far: {{{whole}}}")).unwrap(), &there).unwrap().contains("edge:far"));
    }
}
