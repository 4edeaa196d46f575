use super::*;

#[test]
fn domains_are_lower_cased_and_u_labels_become_a_labels() {
    for (text, expected) in [
        ("example.com", "example.com"),
        ("WWW.Example.COM", "www.example.com"),
        ("*.apps.example.com", "*.apps.example.com"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("*.BÜCHER.example", "*.xn--bcher-kva.example"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        (
            "абвгдежзийклмнопрстуфхцчшщъыьэюяабвгде.example",
            "xn--80aacbdcedfegfhopqrstuvwxyz0a1a2a3a4a5a6a7a8a9azb0b1b.example",
        ),
        ("a--b.example", "a--b.example"),
        ("1and1.example", "1and1.example"),
    ] {
        assert_eq!(Domain::parse(text).map(|d| d.to_string()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn a_zone_may_have_u_labels_and_underscores() {
    for (text, expected) in [
        ("bücher.example", "xn--bcher-kva.example"),
        ("_acme-challenge.BÜCHER.example.", "xn--bcher-kva.example"),
        ("_acme-challenge.Example", "_acme-challenge.example"),
    ] {
        let name = DnsName::parse_unicode(text).unwrap().to_string();
        assert_eq!(name.strip_prefix("_acme-challenge.").filter(|_| !text.is_ascii()).unwrap_or(&name), expected);
    }
    for text in ["bücher..example", "a b.bücher.example", "ex\u{202e}ample.com", ""] {
        assert!(DnsName::parse_unicode(text).is_err(), "{text}");
    }
}

#[test]
fn texts_that_are_no_domain_get_their_own_sentence() {
    let long_label = format!("{}.example", "a".repeat(64));
    let long_name = format!("{}example", "a2345678.".repeat(30));
    for (text, part) in [
        ("", "is empty"),
        ("a..example", "empty label"),
        (".example.com", "empty label"),
        (long_label.as_str(), "a label of 64 characters"),
        (long_name.as_str(), "has 277 characters"),
        ("my_host.example", "underscore"),
        ("example.com.", "ends with a dot"),
        ("192.0.2.1", "IP address"),
        ("2001:db8::1", "IP address"),
        ("[::1]", "IP address"),
        ("*.*.example.com", "one `*.` at the very left"),
        ("www.*.example.com", "one `*.` at the very left"),
        ("*example.com", "one `*.` at the very left"),
        ("*", "one `*.` at the very left"),
        ("*.com", "one label only"),
        ("localhost", "one label only"),
        ("a.1", "digits only"),
        ("-a.example", "starts or ends with `-`"),
        ("a-.example", "starts or ends with `-`"),
        ("a b.example", "white space"),
        ("https://example.com", "URL"),
        ("example.com:443", "port"),
        ("xn--a.example", "internationalized"),
        ("bücher..example", "empty label"),
        ("ex\u{202e}ample.com", "internationalized"),
        ("exa!mple.com", "the character '!'"),
    ] {
        let error = Domain::parse(text).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    let longest = format!("{}abc.example", "a2345678.".repeat(25));
    assert_eq!(longest.len(), 236);
    assert!(Domain::parse(&format!("a{longest}")).is_ok(), "237 characters leave room for the challenge label");
    assert!(Domain::parse(&format!("ab{longest}")).is_err());
}

#[test]
fn a_wildcard_covers_exactly_one_label() {
    let covers = |a: &str, b: &str| Domain::parse(a).unwrap().covers(&Domain::parse(b).unwrap());
    assert!(covers("*.example.com", "www.example.com"));
    assert!(covers("*.example.com", "*.example.com"));
    assert!(!covers("*.example.com", "example.com"));
    assert!(!covers("*.example.com", "a.b.example.com"));
    assert!(!covers("*.example.com", "*.b.example.com"));
    assert!(!covers("www.example.com", "*.example.com"));
    assert!(!covers("*.ple.com", "www.example.com"));
}

#[test]
fn zones_enclose_at_label_boundaries_only() {
    let within = |n: &str, z: &str| DnsName::parse(n).unwrap().is_within(&DnsName::parse(z).unwrap());
    assert!(within("a.example.com", "example.com") && within("Example.com.", "example.COM"));
    assert!(!within("badexample.com", "example.com") && !within("example.com", "a.example.com"));
}

#[test]
fn the_wire_form_is_lower_case_and_uncompressed() {
    let mut wire = Vec::new();
    DnsName::parse("_ACME-challenge.Example.").unwrap().write_wire(&mut wire);
    assert_eq!(wire, b"\x0f_acme-challenge\x07example\0");
}

#[test]
fn object_references_name_what_is_wrong_with_them() {
    assert_eq!(ObjectRef::parse("web", "team-a").unwrap().to_string(), "team-a/web");
    assert_eq!(ObjectRef::parse("b/web.tls", "team-a").unwrap().to_string(), "b/web.tls");
    for (text, part) in [
        ("", "lacks a name"),
        ("/web", "lacks a namespace"),
        ("b/", "lacks a name"),
        ("a/b/c", "more than one `/`"),
        ("Web", "lower-case"),
        ("we..b", "lower-case"),
        ("-web", "lower-case"),
        ("a.b/web", "a namespace with a dot"),
        ("../web", "a namespace with a dot"),
        (".web", "lower-case"),
        ("we b", "lower-case"),
    ] {
        let error = ObjectRef::parse(text, "ns").expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn names_of_objects_have_the_lengths_of_kubernetes() {
    for (namespace, name, fits) in [(63, 253, true), (64, 1, false), (1, 254, false), (0, 1, false), (1, 0, false)] {
        let text = format!("{}/{}", "n".repeat(namespace), "s".repeat(name));
        let read = ObjectRef::parse(&text, "x");
        assert_eq!(read.is_ok(), fits, "{namespace} {name}");
        let long =
            if namespace > 63 { Some("has 64 characters") } else { (name > 253).then_some("has 254 characters") };
        assert!(long.is_none_or(|part| read.unwrap_err().to_string().contains(part)), "{namespace} {name}");
    }
}
