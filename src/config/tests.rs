use super::*;
use crate::config::dns::Propagation;
use crate::config::entry::KeyType;
use std::time::Duration;

/// The namespaces of the tests.
fn namespaces(own: &str) -> Namespaces {
    Namespaces::new(own, &["team", "b", "keys"].map(str::to_owned))
}

fn config(pairs: &[(&str, &str)]) -> Result<Config, String> {
    let data = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    read(&data, &namespaces("team")).map_err(|e| e.to_string())
}

fn one(yaml: &str) -> Result<Entry, String> {
    let mut config = config(&[("certificates", yaml)]).unwrap();
    assert_eq!(config.entries.len(), 1, "{yaml}");
    config.entries.remove(0).map(|entry| (*entry).clone()).map_err(|e| e.to_string())
}

#[test]
fn an_entry_with_every_field_is_read() {
    let entry = one(r#"
- secret: [web, b/web]
  domains: ["WWW.Example.com", "*.apps.example.com", example.com, example.com]
  email: Admin@Example.com
  tsigSecretName: keys/tsigkey
  dns:
    server: ns1.example.com:5353
    zone: example.com.
    ttl: 30
    propagation: primary
    propagationTimeout: 5m
    propagationNameservers: ["192.0.2.1", "[2001:db8::1]:53"]
  keyType: ecdsa-p384
  reuseKey: true
  renewBefore: 720h
  adopt: true
  keepCopy: false
  labels: {team: web}
  annotations: {reloader: "true"}
"#)
    .unwrap();
    let shown: Vec<String> = entry.domains.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["*.apps.example.com", "example.com", "www.example.com"]);
    assert_eq!(entry.main_secret().to_string(), "team/web");
    assert_eq!(entry.secrets[1].to_string(), "b/web");
    assert_eq!(entry.email.as_deref(), Some("admin@example.com"));
    assert_eq!(entry.tsig_secret.as_ref().unwrap().to_string(), "keys/tsigkey");
    assert_eq!(entry.dns.server.as_ref().unwrap().to_string(), "ns1.example.com:5353");
    assert_eq!((entry.dns.ttl, entry.dns.propagation), (30, Propagation::Primary));
    assert_eq!(entry.dns.propagation_timeout, Duration::from_secs(300));
    assert_eq!(
        (entry.key_type, entry.reuse_key, entry.adopt, entry.keep_copy),
        (KeyType::EcdsaP384, true, true, false)
    );
    assert_eq!(entry.renew_before, Some(Duration::from_secs(30 * 86_400)));
    let share = Entry { renew_before: None, renew_before_percent: Some(25), ..entry.clone() };
    assert_eq!(share.renew_before_of(Duration::from_secs(400)), Some(Duration::from_secs(100)));
    assert_eq!(entry.renew_before_of(Duration::from_secs(400)), entry.renew_before);
}

#[test]
fn an_entry_with_a_cluster_has_all_its_secrets_there_and_reads_back_from_the_record() {
    let targets = namespaces("team").with_target("edge", &["shop".to_owned()].into());
    let read = |yaml: &str| {
        let data = [("certificates".to_owned(), yaml.to_owned())].into();
        let config = read(&data, &targets).unwrap();
        config.entries.into_iter().next().unwrap().map_err(|refused| refused.to_string())
    };
    let entry = read("- {secret: [web, shop/web], cluster: edge, domains: [a.test], tsigSecretName: k}").unwrap();
    let shown: Vec<String> = entry.secrets.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["edge:team/web", "edge:shop/web"]);
    assert_eq!(entry.tsig_secret.as_ref().unwrap().to_string(), "team/k");
    let json = serde_json::to_string(&*entry).unwrap();
    assert!(json.contains(r#""secret":["team/web","shop/web"],"cluster":"edge""#), "{json}");
    let node: YamlNode = serde_json::from_str(&json).unwrap();
    let elsewhere = namespaces("team").with_target("edge", &["shop".to_owned()].into());
    assert_eq!(Entry::read(&node, &elsewhere).unwrap(), *entry);
    // An empty field is home, whatever the defaults say.
    assert_eq!(read("- {secret: web, cluster: , domains: [a.test]}").unwrap().main_secret().to_string(), "team/web");
    for (yaml, parts) in [
        (
            "- {secret: web, cluster: moon, domains: [a.test]}",
            "(moon:team/web): cluster: \"moon\" is a cluster that no -target names (there are edge)",
        ),
        (
            "- {secret: b/web, cluster: edge, domains: [a.test]}",
            "(edge:b/web): secret: \"b/web\" is in the namespace b of the cluster edge",
        ),
        ("- {secret: 'edge:web', domains: [a.test]}", "secret: \"edge:web\" is not a name"),
        ("- {secret: shop/web, domains: [a.test]}", "secret: \"shop/web\" is in the namespace shop, which is neither"),
    ] {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(parts), "{yaml}: {error}");
    }
}

#[test]
fn an_accepted_entry_reads_back_from_the_record() {
    let full = one("- {secret: [web, b/web], domains: [a.test, '*.a.test'], email: x@a.test, tsigSecretName: k, dns: {server: 192.0.2.1, zone: a.test, ttl: 5, propagation: none, propagationTimeout: 90s, propagationNameservers: ['::1']}, keyType: ecdsa-p384, reuseKey: true, renewBefore: 36h, adopt: true, keepCopy: false, labels: {a: b}, annotations: {c: d}}").unwrap();
    let least = one("- {secret: web, domains: [a.test]}").unwrap();
    for entry in [full, least] {
        let json = serde_json::to_string(&entry).unwrap();
        let node: YamlNode = serde_json::from_str(&json).unwrap();
        assert_eq!(Entry::read(&node, &namespaces("elsewhere")), Ok(entry), "{json}");
    }
}

#[test]
fn each_fault_names_entry_field_and_value_and_stops_that_entry_only() {
    for (fields, parts) in [
        ("domains: [a.test]", &["secret: is missing"][..]),
        ("secret: web", &["certificates entry 2 (team/web)", "domains: is missing"]),
        ("secret: web, domains: []", &["domains: is an empty list"]),
        ("secret: web, domains: a.test", &["domains: is text; it must be a list"]),
        (
            "secret: web, domains: ['a..test', ok.test, 'x_y.test']",
            &["domains[0]: \"a..test\" has an empty label", "domains[2]: \"x_y.test\" has an underscore"],
        ),
        ("secret: web, domains: [1.5]", &["domains[0]: 1.5 ends with a label of digits only"]),
        ("secret: web, domains: [a.test], issuer: 5", &["issuer: is a number; put quotes around it"]),
        ("secret: web, domain: [a.test]", &["domain: is not a field; did you mean `domains`?", "domains: is missing"]),
        ("secret: web, domains: [a.test], foo: 1", &["foo: is not a field; fields are secret, cluster, domains,"]),
        ("secret: web, secret: other, domains: [a.test]", &["secret: stands here twice"]),
        ("secret: Web, domains: [a.test]", &["secret: \"Web\" is not a name Kubernetes allows"]),
        ("secret: 7, domains: [a.test]", &["secret: is a number; put quotes"]),
        ("secret: [web, web], domains: [a.test]", &["secret[1]: names team/web a second time"]),
        ("secret: web, domains: [a.test], email: admin", &["email: \"admin\" is not an email address"]),
        ("secret: web, domains: [a.test], email: 'mailto:a@a.test'", &["email: \"mailto:a@a.test\" is not"]),
        (
            "secret: web, domains: [a.test], renewBefore: 30",
            &["renewBefore: 30 is not a duration; write numbers with s, m, h or d"],
        ),
        ("secret: web, domains: [a.test], renewBefore: '30'", &["renewBefore: \"30\" is not a duration"]),
        ("secret: web, domains: [a.test], adopt: 'yes'", &["adopt: is text; it must be true or false"]),
        ("secret: web, domains: [a.test], keyType: rsa-1024", &["keyType: \"rsa-1024\" is not a key type"]),
        (
            "secret: web, domains: [a.test], dns: {server: 'a:b:c', ttl: 0.5, propagation: some}",
            &["dns.server: ", "dns.ttl: must be a whole number of seconds", "dns.propagation: \"some\" is none of all"],
        ),
        ("secret: web, domains: [a.test], dns: {sever: x}", &["dns.sever: is not a field; did you mean `server`?"]),
        (
            "secret: web, domains: [a.test], dns: {propagationTimeout: 3h}",
            &["dns.propagationTimeout: \"3h\" is too long; 2h is the most"],
        ),
        ("secret: web, domains: [a.test], dns: here", &["dns: is text; it must be a mapping"]),
        (
            "secret: web, domains: [a.test], labels: {'app.kubernetes.io/instance': x}",
            &["labels.app.kubernetes.io/instance: \"x\" can not be set: Argo CD"],
        ),
        (
            "secret: web, domains: [a.test], annotations: {'notariat/owner': x}",
            &["annotations.notariat/owner: \"x\" can not be set"],
        ),
        ("secret: web, domains: [a.test], labels: {a: 'b c'}", &["labels.a: \"b c\" is not a label value"]),
    ] {
        let yaml = format!(
            "- {{secret: good, domains: [good.test]}}\n- {{{fields}}}\n- {{secret: fine, domains: [fine.test]}}\n"
        );
        let config = config(&[("certificates", &yaml)]).unwrap();
        let [Ok(_), Err(refused), Ok(_)] = &config.entries[..] else { panic!("{fields}: {:?}", config.entries) };
        for part in parts {
            assert!(refused.to_string().contains(part), "{fields}: {refused}");
        }
    }
    let refused = one("- just a text\n").unwrap_err();
    assert_eq!(refused, "certificates entry 1: is text; it must be a mapping (`field: value` lines)");
}

#[test]
fn a_secret_that_an_issuer_reads_is_not_filled() {
    let issuers = "own: {directory: 'https://ca.test', accountSecretName: account, eabSecretName: eab}";
    for (secret, said) in [
        ("web", None),
        ("account", Some("secret: team/account is `accountSecretName` of the issuer own, which is never overwritten")),
        ("[web, eab]", Some("secret: team/eab is `eabSecretName` of the issuer own")),
    ] {
        // Whatever issuer the entry has.
        let yaml = format!("- {{secret: {secret}, domains: [a.test]}}\n");
        let config = config(&[("certificates", &yaml), ("issuers", issuers)]).unwrap();
        match (&config.entries[..], said) {
            ([Ok(_)], None) => {}
            ([Err(refused)], Some(said)) => assert!(refused.to_string().contains(said), "{refused}"),
            (entries, _) => panic!("{secret}: {entries:?}"),
        }
    }
}

#[test]
fn a_key_in_the_place_of_its_name_is_never_repeated() {
    let refused = one("- {secret: web, domains: [a.test], tsigSecretName: 'hmac-sha256:k:c2VjcmV0'}").unwrap_err();
    assert!(
        refused.contains("tsigSecretName: is not the name of a Secret") && !refused.contains("c2VjcmV0"),
        "{refused}"
    );
    let zones = config(&[("zones", "- {zone: a.test, tsigSecretName: 'k:c2VjcmV0'}")]).unwrap_err();
    assert!(
        zones.contains("key `zones` item 1: tsigSecretName: is not the name") && !zones.contains("c2VjcmV0"),
        "{zones}"
    );
}

#[test]
fn defaults_fill_what_an_entry_leaves_out() {
    let config = config(&[
        (
            "defaults",
            "email: d@a.test\ndns: {server: 192.0.2.1, ttl: 30, alsoCheck: ['192.0.2.8', '192.0.2.9']}\nlabels: {a: '1', b: '2'}",
        ),
        ("certificates", "- {secret: x, domains: [x.test], dns: {ttl: 5, alsoCheck: ['192.0.2.7']}, labels: {b: '3'}}"),
        ("certificates-more", "- {secret: y, domains: [y.test], email: y@a.test}"),
        ("notes", "anything: [ "),
    ])
    .unwrap();
    let [Ok(x), Ok(y)] = &config.entries[..] else { panic!("{:?}", config.entries) };
    assert_eq!((x.email.as_deref(), y.email.as_deref()), (Some("d@a.test"), Some("y@a.test")));
    assert_eq!((x.dns.ttl, y.dns.ttl), (5, 30));
    assert_eq!(x.dns.server, y.dns.server, "mappings merge by key");
    assert_eq!(x.labels.values().cloned().collect::<Vec<_>>(), ["1", "3"]);
    assert_eq!((x.dns.also_check.len(), y.dns.also_check.len()), (1, 2), "lists replace");
    assert_eq!(
        config.warnings,
        ["key `notes` is none of certificates, certificates-*, defaults, issuers, namespaces, zones and is ignored"]
    );
}

#[test]
fn a_config_map_that_does_not_scan_is_not_taken_at_all() {
    for (pairs, part) in [
        (
            &[("certificates", "- secret: a\n  domains: [*.a.test]\n")][..],
            "key `certificates`: line 2 is not YAML: a name that begins with `*`",
        ),
        (&[("certificates", "secret: a\n")], "key `certificates`: is a mapping; it must be a list of entries"),
        (&[("defaults", "- a")], "key `defaults`: is a list; it must be a mapping"),
        (&[("defaults", "secret: a")], "key `defaults`: secret: can not be a default"),
        (&[("defaults", "domains: [a.test]")], "key `defaults`: domains: can not be a default"),
        (&[("defaults", "emial: a@b.test")], "key `defaults`: emial: is not a field; did you mean `email`?"),
        (&[("zones", "a: b")], "key `zones`: is a mapping; it must be a list"),
        (&[("zones", "- server: 192.0.2.1")], "key `zones` item 1: zone: is missing"),
        (&[("zones", "- zone: a.test\n- zone: A.test.")], "key `zones` item 2: zone: names a.test a second time"),
        (&[("zones", "- {zone: a.test, key: k}")], "key `zones` item 1: key: is not a field"),
    ] {
        let error = config(pairs).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    let both = config(&[("zones", "["), ("certificates", "[")]).unwrap_err();
    assert!(both.contains("key `zones`") && both.contains("key `certificates`"), "every fault at once: {both}");
    assert!(config(&[]).unwrap().entries.is_empty());
    assert!(config(&[("certificates", "")]).unwrap().entries.is_empty());
}

#[test]
fn no_fault_hides_another_and_none_is_said_twice() {
    let data = [
        ("defaults", "email: nobody\ndns: {ttl: 30}\nsecret: x\nkeyType: ecdsa-p384"),
        ("issuers", "lab: {email: a@b.test}"),
        (
            "certificates",
            "- {secret: a, domains: [], issuer: lab}\n- {secret: b, issuer: other, adopt: 1}\n- {secret: c, domains: [c.test]}",
        ),
        ("zones", "- {server: 'a:b'}"),
        ("default", ""),
    ];
    let data = data.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let Inspected { config, faults, items } = inspect(&data, &namespaces("team"));
    for (fault, part) in faults.iter().zip([
        "key `defaults`: secret: can not be",
        "key `defaults`: email: \"nobody\" is not",
        "key `issuers` lab: directory: is missing",
        "key `zones` item 1: server: \"a:b\" has",
        "key `zones` item 1: zone: is missing",
        "key `default` is none of",
    ]) {
        assert!(fault.starts_with(part), "{fault}");
    }
    assert_eq!((faults.len(), items.len()), (6, 3), "{faults:?}");
    let [Err(a), Err(b), Ok(c)] = &config.entries[..] else { panic!("{:?}", config.entries) };
    assert_eq!(a.to_string(), "certificates entry 1 (team/a): domains: is an empty list; a certificate needs a name");
    let fields: Vec<&str> = b.faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["adopt", "domains", "issuer"], "{b}");
    assert_eq!((c.key_type, c.dns.ttl), (KeyType::EcdsaP384, 30), "sound defaults stay");
}

#[test]
fn a_misspelt_or_moved_key_makes_the_config_map_unreadable() {
    for key in [
        "certificate",
        "Certificates",
        "certs",
        "cert",
        "certificates.yaml",
        "certificates_web",
        "cerificates-team",
        "default",
        "Zones",
        "issuer.yml",
    ] {
        let said = config(&[(key, "- {secret: web, domains: [a.test]}")]).unwrap_err();
        assert!(said.contains(&format!("key `{key}` is none of")) && said.contains("did you mean `"), "{said}");
    }
    for key in ["notes", "README.md", "ca.crt", "index"] {
        let config = config(&[(key, "x"), ("certificates", "[]")]).unwrap();
        assert!(config.warnings[0].ends_with("is ignored"), "{:?}", config.warnings);
    }
    for (key, is_fault) in [
        ("certificates", true),
        ("certificates-web", true),
        ("certificate", true),
        ("zones", true),
        ("logo.png", false),
    ] {
        let mut data = Data::default();
        data.add_binary(key.to_owned(), b"# \xE9\n- {secret: web, domains: [a.test]}");
        let read = read(&data, &namespaces("team"));
        match is_fault {
            true => {
                let said = read.unwrap_err().to_string();
                assert!(
                    said.contains(&format!("key `{key}` is in `binaryData`")) && said.contains("Latin-1"),
                    "{said}"
                );
            }
            false => assert!(read.unwrap().warnings[0].contains("is ignored")),
        }
    }
}

#[test]
fn a_byte_order_mark_is_skipped_and_utf_16_is_named() {
    let marked = config(&[
        ("certificates", "\u{feff}- {secret: x, domains: [x.test]}"),
        ("defaults", "\u{feff}email: a@b.test"),
        ("zones", "\u{feff}- {zone: x.test}"),
        ("issuers", "\u{feff}lab: {directory: 'https://ca.test/dir'}"),
    ])
    .unwrap();
    let [Ok(entry)] = &marked.entries[..] else { panic!("{:?}", marked.entries) };
    assert_eq!((entry.email.as_deref(), marked.zones.len()), (Some("a@b.test"), 1));
    let wide: String = "- secret: x".chars().flat_map(|c| [c, '\0']).collect();
    assert!(config(&[("certificates", &wide)]).unwrap_err().contains("it is UTF-16"));
}

#[test]
fn names_that_a_wildcard_covers_are_not_ordered() {
    let entry = one("- {secret: x, domains: [a.test, www.a.test, '*.a.test', deep.www.a.test]}").unwrap();
    let order: Vec<String> = entry.order_names().iter().map(ToString::to_string).collect();
    assert_eq!(order, ["a.test", "*.a.test", "deep.www.a.test"]);
}

#[test]
fn entries_that_are_as_before_share_their_memory() {
    let list = |names: &[&str]| {
        let entries: String =
            names.iter().map(|n| format!("- {{secret: {n}, domains: [{n}.test], tsigSecretName: k}}\n")).collect();
        [("certificates".to_owned(), entries)].into()
    };
    let first = read(&list(&["a", "b", "c", "d"]), &"team".into()).unwrap();
    let shared = |names: &[&str]| {
        let again = read_after(&list(names), &"team".into(), &first).unwrap();
        assert_eq!(again.entries, read(&list(names), &"team".into()).unwrap().entries, "it says the same");
        let known = |entry: &Arc<Entry>| first.entries.iter().flatten().any(|known| Arc::ptr_eq(known, entry));
        again.entries.iter().flatten().map(known).collect::<Vec<_>>()
    };
    assert_eq!(shared(&["a", "b", "c", "d"]), [true; 4]);
    assert_eq!(shared(&["new", "a", "b", "d"]), [false, true, true, true], "one came, one went");
    assert_eq!(shared(&["d", "a"]), [true, false], "another order costs memory and nothing else");
}

#[test]
fn a_config_map_of_nothing_but_refused_entries_is_bounded() {
    let read = |first: usize, second: usize| {
        config(&[("certificates-1", &"- a\n".repeat(first)), ("certificates-2", &"- a\n".repeat(second))])
    };
    assert_eq!(read(ENTRIES_MAX - 1, 1).unwrap().entries.len(), ENTRIES_MAX);
    let error = read(ENTRIES_MAX, 1).unwrap_err();
    assert!(
        error.starts_with("key `certificates-2`: with it there are 20001 entries; a ConfigMap may have 20000"),
        "{error}"
    );
}

impl<const N: usize> From<[(String, String); N]> for Data {
    fn from(texts: [(String, String); N]) -> Data {
        Data::from(std::collections::BTreeMap::from(texts))
    }
}

#[test]
fn rsa_keys_are_for_builds_with_the_feature() {
    for word in ["rsa-2048", "rsa-3072", "rsa-4096"] {
        let read = one(&format!("- {{secret: web, domains: [a.test], keyType: {word}}}"));
        assert_eq!(read.is_ok(), cfg!(feature = "rsa"), "{word}");
        match read {
            Ok(entry) => assert_eq!(entry.key_type.name(), word),
            Err(error) => {
                let part = "asks for an RSA key, and this program was built without the feature";
                assert!(error.contains(part), "{error}");
            }
        }
    }
}
