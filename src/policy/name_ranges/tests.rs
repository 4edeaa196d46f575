use super::*;
use crate::base::limits::NAMESPACE_LINES_MAX;
use crate::config;

fn policy(yaml: &str) -> NamePolicy {
    config::read(&[("namespaces".to_owned(), yaml.to_owned())].into(), &"own".into()).unwrap().policy
}

fn ranges_of(yaml: &str, zones: &[&str]) -> NameRanges {
    NameRanges::new(policy(yaml), zones.iter().map(|zone| DnsName::parse(zone).unwrap()), None)
}

/// Each row: namespace, name, and the beginning of the refusal's reason; empty where the namespace may have the name.
fn judged(ranges: &NameRanges, rows: &[(&str, &str, &str)]) {
    for (namespace, name, part) in rows {
        let found = match Domain::parse(name) {
            Ok(domain) => ranges.judge(namespace, &domain),
            Err(e) => Err(format!("no name: {e}")),
        };
        match (&found, part.is_empty()) {
            (Ok(()), true) => {}
            (Err(sentence), false) => assert!(sentence.contains(part), "{namespace} {name}: {sentence}"),
            _ => panic!("{namespace} {name}: {found:?}"),
        }
    }
}

const FOREIGN: &str = "belongs to another namespace";
const OUTSIDE: &str = "is in no range of the namespace";
const NO_LINE: &str = "has no line in the key `namespaces`";
const WILDCARD: &str = "is a wildcard, which the namespace";
const APEX: &str = "is a wildcard at or above the zone";
const NO_NAME: &str = "no name: ";

#[test]
fn the_longest_range_owns_a_name() {
    let ranges = ranges_of(
        "a: {domains: [example.com, x.b.example.com], wildcards: true}\n\
         b: {domains: [b.example.com, c.test], wildcards: true}\n\
         both1: {domains: [shared.test], wildcards: true}\n\
         both2: {domains: [shared.test, p.shared.test], wildcards: true}\n\
         none: {}",
        &[],
    );
    let rows = [
        ("a", "example.com", ""),
        ("a", "www.example.com", ""),
        ("a", "deep.down.example.com", ""),
        ("a", "WWW.Example.COM", ""),
        ("a", "b.example.com", FOREIGN),
        ("a", "B.EXAMPLE.com", FOREIGN),
        ("a", "www.b.example.com", FOREIGN),
        ("a", "deep.down.b.example.com", FOREIGN),
        ("a", "x.b.example.com", ""),
        ("a", "y.x.b.example.com", ""),
        ("b", "b.example.com", ""),
        ("b", "www.b.example.com", ""),
        ("b", "x.b.example.com", FOREIGN),
        ("b", "y.x.b.example.com", FOREIGN),
        ("b", "xx.b.example.com", ""),
        ("b", "bb.example.com", FOREIGN),
        ("b", "www.example.com", FOREIGN),
        ("b", "other.test", OUTSIDE),
        // Whole labels, not endings of text.
        ("a", "badexample.com", OUTSIDE),
        ("a", "bad-example.com", OUTSIDE),
        ("a", "example.com.evil.test", OUTSIDE),
        ("a", "example.org", OUTSIDE),
        ("a", "com.example", OUTSIDE),
        ("b", "ac.test", OUTSIDE),
        // Equal ranges: both.
        ("both1", "shared.test", ""),
        ("both2", "shared.test", ""),
        ("both1", "x.shared.test", ""),
        ("both1", "p.shared.test", FOREIGN),
        ("both2", "x.p.shared.test", ""),
        ("none", "shared.test", FOREIGN),
        ("none", "free.test", "which has none"),
        ("c", "example.com", "and without one it gets no certificate"),
        ("edge:c", "example.com", "and in another cluster nothing is served without one"),
        ("*", "example.com", NO_LINE),
        ("", "example.com", NO_LINE),
        // Text that is no name never comes to the ranges.
        ("a", "example.com.", NO_NAME),
        ("a", "b.example.com.", NO_NAME),
        ("a", "www..example.com", NO_NAME),
        ("a", ".example.com", NO_NAME),
        ("a", "ex ample.com", NO_NAME),
        ("a", "b_c.example.com", NO_NAME),
        ("a", "www.example.com:443", NO_NAME),
        ("a", "www.example.com/b.example.com", NO_NAME),
        ("a", "www.example.com\n", NO_NAME),
        ("a", "www.example.com\u{0}", NO_NAME),
        ("a", "com", NO_NAME),
        ("a", "10.0.0.1", NO_NAME),
        // Wildcards: the base, the label below, the label above.
        ("a", "*.example.com", "covers b.example.com, which belongs to another namespace"),
        ("a", "*.www.example.com", ""),
        ("a", "*.b.example.com", FOREIGN),
        ("a", "*.y.b.example.com", FOREIGN),
        ("a", "*.x.b.example.com", ""),
        ("a", "*.com", NO_NAME),
        ("a", "*", NO_NAME),
        ("a", "*.*.example.com", NO_NAME),
        ("a", "w*.example.com", NO_NAME),
        ("a", "www.*.example.com", NO_NAME),
        ("b", "*.b.example.com", "covers x.b.example.com"),
        ("b", "*.y.b.example.com", ""),
        ("b", "*.example.com", FOREIGN),
        ("b", "*.c.test", ""),
        ("both1", "*.shared.test", "covers p.shared.test"),
        ("both2", "*.shared.test", ""),
        ("both1", "*.q.shared.test", ""),
    ];
    judged(&ranges, &rows);
}

/// Kubernetes lets unicode and A-labels through in some places; a look-alike is another name.
#[test]
fn unicode_and_look_alikes_are_names_of_their_own() {
    let ranges = ranges_of(
        "a: {domains: [bücher.example, example.com]}\nb: {domains: [münchen.example.com, 'ＷＩＤＥ.example.com']}",
        &[],
    );
    let rows = [
        ("a", "bücher.example", ""),
        ("a", "www.BÜCHER.example", ""),
        ("a", "xn--bcher-kva.example", ""),
        ("a", "XN--BCHER-KVA.example", ""),
        ("a", "bu\u{308}cher.example", ""),
        ("a", "bucher.example", OUTSIDE),
        ("a", "münchen.example.com", FOREIGN),
        ("a", "MÜNCHEN.example.com", FOREIGN),
        ("a", "www.xn--mnchen-3ya.example.com", FOREIGN),
        ("a", "mu\u{308}nchen.example.com", FOREIGN),
        // Full-width letters and dots are letters and dots (UTS 46).
        ("a", "wide.example.com", FOREIGN),
        ("a", "ｗide.example.com", FOREIGN),
        ("a", "www.wide。example。com", FOREIGN),
        ("a", "www.wide．example．com", FOREIGN),
        ("b", "wide.example.com", ""),
        // Cyrillic letters that look like Latin ones.
        ("a", "www.ex\u{430}mple.com", OUTSIDE),
        ("a", "w\u{456}de.example.com", ""),
        // Characters that are removed or may not stand there.
        ("a", "wi\u{ad}de.example.com", FOREIGN),
        ("a", "wi\u{200b}de.example.com", FOREIGN),
        ("a", "wi\u{200d}de.example.com", NO_NAME),
        ("a", "wi\u{202e}de.example.com", NO_NAME),
        ("a", "xn--a.example.com", NO_NAME),
        ("a", "xn--.example.com", NO_NAME),
        ("a", "xn--wide-.example.com", NO_NAME),
    ];
    judged(&ranges, &rows);
}

#[test]
fn the_line_for_every_namespace_gives_each_its_own_subtree() {
    let ranges = ranges_of(
        "'*': {domains: ['{namespace}.apps.example.com', 'www.{namespace}.net.test', 'p.q.{namespace}.net.test', common.test], wildcards: true}\n\
         a: {domains: [apps.example.com, net.test, q.b.net.test], wildcards: true}\n\
         kube-system: {}\n\
         bad: {domains: [bad..test]}",
        &[],
    );
    let rows = [
        ("b", "b.apps.example.com", ""),
        ("b", "x.b.apps.example.com", ""),
        ("b", "c.apps.example.com", FOREIGN),
        ("b", "apps.example.com", FOREIGN),
        ("b", "bb.apps.example.com", FOREIGN),
        ("b", "b.apps.example.com.test", OUTSIDE),
        ("b", "b.example.com", OUTSIDE),
        ("b", "www.b.net.test", ""),
        ("b", "x.www.b.net.test", ""),
        ("b", "b.net.test", FOREIGN),
        ("b", "www.c.net.test", FOREIGN),
        ("b", "common.test", ""),
        ("c", "x.common.test", ""),
        // Namespaces with odd names.
        ("a--b", "a--b.apps.example.com", ""),
        ("123", "123.apps.example.com", ""),
        ("com", "com.apps.example.com", ""),
        ("apps", "apps.apps.example.com", ""),
        ("apps", "apps.example.com", FOREIGN),
        ("xn--mnchen-3ya", "münchen.apps.example.com", ""),
        ("mnchen", "münchen.apps.example.com", FOREIGN),
        ("xn--a", "xn--a.apps.example.com", NO_NAME),
        ("xn--a", "common.test", ""),
        ("default", "default.apps.example.com", ""),
        ("b.apps", "b.apps.apps.example.com", FOREIGN),
        // A line replaces "*", for the namespace and for its subtree.
        ("a", "a.apps.example.com", ""),
        ("a", "apps.example.com", ""),
        ("a", "b.apps.example.com", FOREIGN),
        ("a", "x.b.apps.example.com", FOREIGN),
        ("a", "common.test", FOREIGN),
        ("a", "kube-system.apps.example.com", ""),
        ("kube-system", "kube-system.apps.example.com", FOREIGN),
        ("kube-system", "common.test", FOREIGN),
        ("bad", "bad.apps.example.com", "has a fault: domains[0]"),
        ("bad", "common.test", "has a fault"),
        // Wildcards beside subtrees.
        ("b", "*.b.apps.example.com", ""),
        ("b", "*.x.b.apps.example.com", ""),
        ("b", "*.c.apps.example.com", FOREIGN),
        ("b", "*.apps.example.com", FOREIGN),
        ("a", "*.apps.example.com", "covers {namespace}.apps.example.com, which"),
        ("a", "*.a.apps.example.com", ""),
        // The range q.b.net.test is a's own; www.b.net.test is of the namespace b.
        ("a", "*.b.net.test", "covers www.b.net.test"),
        ("a", "*.c.net.test", "covers www.c.net.test"),
        ("a", "*.a.net.test", ""),
        ("a", "*.q.c.net.test", "covers p.q.c.net.test"),
        ("a", "*.r.c.net.test", ""),
        ("a", "*.net.test", ""),
        ("b", "*.www.b.net.test", ""),
        ("b", "*.common.test", ""),
    ];
    judged(&ranges, &rows);
    let both = ranges_of("'*': {domains: ['{namespace}.e.test', 'www.{namespace}.e.test'], wildcards: true}", &[]);
    judged(&both, &[("b", "*.b.e.test", ""), ("b", "*.www.b.e.test", ""), ("c", "*.b.e.test", FOREIGN)]);
}

#[test]
fn a_wildcard_needs_permission_and_a_whole_zone_needs_to_be_listed() {
    let ranges = ranges_of(
        "a: {domains: [example.com], wildcards: true}\n\
         b: {domains: [b.test, sub.b.test, net.example], wildcards: true}\n\
         c: {domains: [c.test]}\n\
         '*': {domains: ['{namespace}.d.test'], wildcards: true}",
        &["zone.example.com", "example.com", "b.test", "sub.b.test", "deep.net.example", "c.test", "e.d.test"],
    );
    let rows = [
        ("a", "*.example.com", ""),
        ("a", "*.zone.example.com", APEX),
        ("a", "*.x.zone.example.com", ""),
        ("a", "*.x.example.com", ""),
        ("a", "zone.example.com", ""),
        ("b", "*.b.test", ""),
        ("b", "*.sub.b.test", ""),
        ("b", "*.deep.net.example", APEX),
        ("b", "*.net.example", ""),
        ("c", "*.c.test", WILDCARD),
        ("c", "*.x.c.test", WILDCARD),
        ("c", "x.c.test", ""),
        ("e", "*.e.d.test", ""),
        ("e", "*.x.e.d.test", ""),
    ];
    judged(&ranges, &rows);
}

/// A mistake in the line of one namespace never gives its names to another one.
#[test]
fn a_line_with_a_fault_keeps_its_ranges_from_others() {
    for line in [
        "{domains: [b.example.com], wildcard: true}",
        "{domains: b.example.com}",
        "{domains: ['*.b.example.com']}",
        "{domains: [B.example.com.]}",
        "[b.example.com]",
        "b.example.com",
    ] {
        let ranges = ranges_of(&format!("a: {{domains: [example.com], wildcards: true}}\nb: {line}"), &[]);
        let rows = [
            ("a", "www.example.com", ""),
            ("a", "b.example.com", FOREIGN),
            ("a", "x.b.example.com", FOREIGN),
            ("a", "*.example.com", "covers b.example.com"),
            ("b", "b.example.com", "has a fault"),
        ];
        judged(&ranges, &rows);
        assert_eq!(ranges.orders_per_week("b"), Some(0), "it is no namespace without a line");
    }
    let twice = ranges_of(
        "b: {domains: [b.test]}\nb: {domains: [c.test]}\nB: {domains: [e.test]}\na: {domains: [test.example]}",
        &[],
    );
    judged(&twice, &[("b", "b.test", "has a fault"), ("a", "c.test", FOREIGN), ("a", "e.test", FOREIGN)]);
    let every = ranges_of("'*': {domains: ['{namespace}.x.test'], wildcard: 1}\na: {domains: [x.test]}", &[]);
    judged(&every, &[("b", "b.x.test", "has a fault"), ("a", "b.x.test", FOREIGN), ("a", "x.test", "")]);
}

#[test]
fn the_own_namespace_needs_no_line_where_no_other_is_served() {
    let of = |yaml: &str| NameRanges::new(policy(yaml), [DnsName::parse("x.test").unwrap()], Some("own"));
    let free = of("{}");
    judged(&free, &[("own", "a.test", ""), ("own", "*.x.test", ""), ("other", "a.test", NO_LINE)]);
    assert_eq!(free.issuer("own", Some("lab")), Ok(Some("lab".to_owned())));
    assert_eq!((free.orders_per_week("own"), free.orders_per_week("other")), (None, Some(20)));
    judged(
        &of("a: {domains: [a.test]}"),
        &[("own", "www.a.test", FOREIGN), ("own", "b.test", ""), ("own", "*.w.a.test", FOREIGN)],
    );
    judged(&of("'*': {domains: ['{namespace}.a.test']}"), &[("own", "b.test", OUTSIDE), ("own", "own.a.test", "")]);
    judged(&of("own: {domains: [a.test], wildcard: 1}"), &[("own", "a.test", "has a fault")]);
}

#[test]
fn an_issuer_must_be_listed() {
    let ranges = ranges_of(
        "a: {domains: [a.test], issuers: [letsencrypt-staging, letsencrypt]}\nb: {domains: [b.test]}\nc: {domains: [c..test]}",
        &[],
    );
    let text = |issuer: &str| Ok(Some(issuer.to_owned()));
    assert_eq!(ranges.issuer("a", None), text("letsencrypt-staging"));
    assert_eq!(ranges.issuer("a", Some("letsencrypt")), text("letsencrypt"));
    assert_eq!(ranges.issuer("b", None), Ok(None));
    for (namespace, part) in [
        ("b", "the issuer letsencrypt is not for the namespace b, which may have the default one only"),
        ("c", "has a fault"),
        ("d", NO_LINE),
    ] {
        let refused = ranges.issuer(namespace, Some("letsencrypt")).unwrap_err();
        assert!(refused.contains(part), "{refused}");
    }
    assert!(ranges.issuer("a", Some("lab")).unwrap_err().contains("which may have letsencrypt-staging, letsencrypt"));
    assert_eq!((ranges.orders_per_week("b"), ranges.orders_per_week("d")), (Some(20), Some(20)));
}

#[test]
fn the_owners_of_a_name_are_found() {
    let ranges = ranges_of(
        "a: {domains: [example.com, shared.test]}\nb: {domains: [shared.test]}\n'*': {domains: ['{namespace}.x.example.com', shared.test]}",
        &[],
    );
    for (name, expected) in [
        ("w.example.com", "example.com a"),
        ("w.shared.test", "shared.test * a b"),
        ("w.c.x.example.com", "c.x.example.com c"),
        ("w.a.x.example.com", "example.com a"),
        ("*.other.test", ""),
    ] {
        let domain = Domain::parse(name).unwrap();
        let found = ranges.owners(&domain);
        let found = found.map(|(range, owners)| format!("{range} {}", Vec::from_iter(owners).join(" ")));
        assert_eq!(found.unwrap_or_default(), expected, "{name}");
    }
}

/// 10,000 lines: the question costs as much as with ten.
#[test]
fn many_lines_are_no_burden() {
    let yaml: String = (0..NAMESPACE_LINES_MAX).map(|n| format!("n{n}: {{domains: [n{n}.x.test]}}\n")).collect();
    let ranges = ranges_of(&yaml, &[]);
    let name = |n: usize| Domain::parse(&format!("w.n{n}.x.test")).unwrap();
    for n in 0..NAMESPACE_LINES_MAX {
        assert_eq!(ranges.judge(&format!("n{n}"), &name(n)), Ok(()));
        assert!(ranges.judge(&format!("n{n}"), &name((n + 1) % NAMESPACE_LINES_MAX)).is_err());
    }
    // All of three are shown.
    let ranges = ranges_of("a: {domains: [b.test, c.test, d.test]}", &[]);
    let refused = ranges.judge("a", &Domain::parse("e.test").unwrap()).unwrap_err();
    assert!(refused.contains("b.test, c.test, d.test") && !refused.contains("more"), "{refused}");
    // A refusal is short enough for an Event, whatever the names.
    let long = format!("{}.{}", vec!["l".repeat(60); 3].join("."), "m".repeat(50));
    let ranges = ranges_of(&format!("a: {{domains: [1.{long}, 2.{long}, 3.{long}, 4.{long}]}}"), &[]);
    let refused = ranges.judge("a", &Domain::parse(&format!("5.{long}")).unwrap()).unwrap_err();
    assert!(refused.len() <= 1024 && refused.ends_with("and 1 more"), "{refused}");
}

#[test]
fn issuers_of_cert_manager_are_those_that_the_line_lists() {
    let ranges = ranges_of(
        "a: {domains: [a.test]}\nb: {domains: [b.test], clusterIssuers: [one, two]}\nc: {clusterIssuers: [], ownIssuers: ['https://CA.test/dir']}\n\
         d: {ownIssuers: ['http://ca.test']}",
        &[],
    );
    for (namespace, issuer, part) in [
        ("a", "any", None),
        ("b", "two", None),
        ("b", "three", Some("the ClusterIssuer three is not for the namespace b, whose `clusterIssuers` are one, two")),
        ("c", "one", Some("whose `clusterIssuers` are none")),
        ("d", "one", Some("ownIssuers[0]: \"http://ca.test\" is not an https URL")),
        ("e", "one", Some(NO_LINE)),
    ] {
        let found = ranges.cluster_issuer(namespace, issuer);
        assert!(
            found.as_ref().err().map(String::as_str).unwrap_or_default().contains(part.unwrap_or_default()),
            "{namespace} {found:?}"
        );
        assert_eq!(found.is_err(), part.is_some(), "{namespace} {issuer}");
    }
    for (namespace, directory, is_allowed) in [
        ("c", "https://ca.test/dir", true),
        ("c", "https://ca.test/other", false),
        ("c", "https://127.0.0.1/dir", false),
        ("a", "https://ca.test/dir", false),
        ("e", "https://ca.test/dir", false),
    ] {
        assert_eq!(ranges.own_issuer(namespace, directory).is_ok(), is_allowed, "{namespace} {directory}");
    }
    // Also where the own namespace needs no line for its names.
    let alone = NameRanges::new(NamePolicy::default(), [], Some("own"));
    assert!(alone.cluster_issuer("own", "any").is_ok() && alone.own_issuer("own", "https://ca.test/dir").is_err());
}

#[test]
fn any_is_every_name_that_lies_in_no_range() {
    let ranges = ranges_of(
        "'*': {domains: [any]}\na: {domains: [a.test]}\nb: {domains: [any, b.test], wildcards: true}\nc: {domains: [any, 'x..y']}",
        &["c.test"],
    );
    judged(
        &ranges,
        &[
            ("other", "www.c.test", ""),
            ("other", "www.a.test", FOREIGN),
            ("other", "*.d.test", WILDCARD),
            ("a", "www.a.test", ""),
            ("a", "www.c.test", OUTSIDE),
            ("b", "www.b.test", ""),
            ("b", "www.c.test", ""),
            ("b", "*.c.test", ""),
            ("b", "*.a.test", FOREIGN),
            ("b", "a.test", FOREIGN),
            ("c", "www.d.test", "has a fault"),
        ],
    );
}
