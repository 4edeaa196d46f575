use super::*;
use crate::config::entry::KeyType;
use crate::sources::tests::support::{annotations as lines, settings};
use crate::sources::wish::WishOptions;
use serde_json::json;

fn read(text: &str) -> Annotations {
    Annotations::read(&json!({"annotations": lines(text)}))
}

#[test]
fn an_object_opts_in_by_one_of_four_systems() {
    let foreign = OptIn::Foreign(String::new());
    for (text, on_ingress, elsewhere) in [
        ("", OptIn::No, OptIn::No),
        ("other: true", OptIn::No, OptIn::No),
        ("n/certificate: true", OptIn::Yes, OptIn::Yes),
        ("n/certificate: TRUE", OptIn::Yes, OptIn::Yes),
        ("n/certificate: false\nk/tls-acme: true", OptIn::No, OptIn::No),
        ("n/certificate: yes\nk/tls-acme: true", OptIn::Yes, OptIn::No),
        ("k/tls-acme: true", OptIn::Yes, OptIn::No),
        ("k/tls-acme: tRuE", OptIn::Yes, OptIn::No),
        ("k/tls-acme: 1", OptIn::No, OptIn::No),
        ("g/purpose: managed", OptIn::Yes, OptIn::Yes),
        ("g/purpose: Managed", OptIn::No, OptIn::No),
        ("g/purpose: other", OptIn::No, OptIn::No),
        ("c/issuer: prod", OptIn::Yes, OptIn::Yes),
        ("c/cluster-issuer: prod", OptIn::Yes, OptIn::Yes),
        ("c/cluster-issuer: other", foreign.clone(), foreign.clone()),
        ("c/cluster-issuer: other\nk/tls-acme: true", foreign.clone(), foreign.clone()),
        ("c/cluster-issuer: other\nn/certificate: true", OptIn::Yes, OptIn::Yes),
        ("c/cluster-issuer: other\ng/purpose: managed", OptIn::Yes, OptIn::Yes),
        ("c/issuer: prod\nc/issuer-group: awspca.cert-manager.io", foreign.clone(), foreign.clone()),
        ("c/issuer: prod\nc/issuer-group: cert-manager.io\nc/issuer-kind: ClusterIssuer", OptIn::Yes, OptIn::Yes),
    ] {
        for (is_ingress, expected) in [(true, &on_ingress), (false, &elsewhere)] {
            let found = read(text).opt_in(is_ingress, &settings());
            let is_equal = match (&found, expected) {
                (OptIn::Foreign(sentence), OptIn::Foreign(_)) => sentence.contains("cert-manager's"),
                (found, expected) => found == expected,
            };
            assert!(is_equal, "{text}: {found:?} instead of {expected:?}");
        }
    }
}

#[test]
fn the_old_label_of_gardener_opts_in() {
    for (value, expected) in [("managed-cert", OptIn::Yes), ("managed", OptIn::No), ("", OptIn::No)] {
        let annotations = Annotations::read(&json!({"labels": {"garden.sapcloud.io/purpose": value}}));
        assert_eq!(annotations.opt_in(true, &settings()), expected, "{value}");
        // The key is that of a label.
        let annotation = Annotations::read(&json!({"annotations": {"garden.sapcloud.io/purpose": value}}));
        assert_eq!(annotation.opt_in(true, &settings()), OptIn::No);
    }
}

/// The options in short, and the keys of the problems.
fn options(text: &str) -> (WishOptions, Vec<String>) {
    let mut problems = Vec::new();
    let options = read(text).options(&settings(), &mut problems);
    let key = |problem: WishProblem| {
        assert!(
            problem.reason == WishReason::Invalid && problem.sentence.ends_with("; the option is unused"),
            "{problem:?}"
        );
        problem.place.trim_start_matches("metadata.annotations[").trim_end_matches(']').to_owned()
    };
    (options, problems.into_iter().map(key).collect())
}

#[test]
fn options_are_ours_before_gardeners_before_cert_managers() {
    let text = |options: &WishOptions| {
        let map = |map: &std::collections::BTreeMap<String, String>| {
            map.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
        };
        let parts = [
            options.issuer.clone().map(|i| format!("issuer {i}")),
            options.key_type.map(|k| k.name().to_owned()),
            options.preferred_chain.clone().map(|c| format!("chain {c}")),
            options.renew_before.map(|d| format!("{}h", d.as_secs() / 3_600)),
            (!options.labels.is_empty()).then(|| format!("labels {}", map(&options.labels))),
            (!options.annotations.is_empty()).then(|| format!("annotations {}", map(&options.annotations))),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    };
    for (lines, expected) in [
        ("", ""),
        ("n/issuer: own", "issuer own"),
        ("n/issuer: own\ng/issuer: two\nc/issuer: prod", "issuer own"),
        ("g/issuer: two\nc/issuer: prod", "issuer two"),
        ("g/issuer: team/two", "issuer two"),
        ("g/issuer: prod", "issuer le"),
        ("g/issuer: team/prod", "issuer le"),
        ("c/issuer: prod", "issuer le"),
        ("c/cluster-issuer: prod\nc/issuer: other", "issuer le"),
        ("c/issuer: other", ""),
        ("n/key-type: ecdsa-p384", "ecdsa-p384"),
        ("n/key-type: ecdsa-p256\ng/private-key-size: 384", "ecdsa-p256"),
        ("g/private-key-algorithm: ECDSA", "ecdsa-p256"),
        ("g/private-key-algorithm: ECDSA\ng/private-key-size: 384", "ecdsa-p384"),
        ("c/private-key-algorithm: ecdsa\nc/private-key-size: 384", "ecdsa-p384"),
        ("g/private-key-size: 256\nc/private-key-size: 384", "ecdsa-p256"),
        ("n/preferred-chain: Root X\ng/preferred-chain: Root Y", "chain Root X"),
        ("g/preferred-chain: Root Y", "chain Root Y"),
        ("n/renew-before: 10d\nc/renew-before: 5h", "240h"),
        ("g/renew-before: 720h\nc/renew-before: 5h", "720h"),
        ("c/renew-before: 360h0m0s", "360h"),
        ("n/secret-labels: a=b,c=d", "labels a=b,c=d"),
        ("g/secret-labels: a=b", "labels a=b"),
        (
            "c/secret-template: {\"labels\": {\"a\": \"b\"}, \"annotations\": {\"c\": \"d e\"}}",
            "labels a=b; annotations c=d e",
        ),
        ("n/secret-labels: x=y\nc/secret-template: {\"labels\": {\"a\": \"b\"}}", "labels x=y"),
    ] {
        let (found, problems) = options(lines);
        assert_eq!((text(&found), problems), (expected.to_owned(), Vec::<String>::new()), "{lines}");
    }
}

#[test]
fn a_bad_value_leaves_its_option_unused_and_is_told() {
    let long = "a".repeat(9_000);
    for (key, value) in [
        ("notariat/issuer", "Bad Name"),
        ("notariat/issuer", "kube-system/x"),
        ("notariat/issuer", long.as_str()),
        ("cert.gardener.cloud/issuer", "a/b/c"),
        ("notariat/key-type", "rsa-1024"),
        ("notariat/key-type", "ECDSA-P256"),
        ("cert.gardener.cloud/private-key-algorithm", "DSA"),
        ("cert.gardener.cloud/private-key-size", "1024"),
        ("cert.gardener.cloud/private-key-size", "8192"),
        ("cert-manager.io/private-key-size", "two"),
        ("cert-manager.io/private-key-algorithm", "Ed25519"),
        ("cert-manager.io/private-key-size", "521"),
        ("notariat/preferred-chain", "a\u{7}b"),
        ("notariat/preferred-chain", long.as_str()),
        ("notariat/renew-before", "30"),
        ("notariat/renew-before", "-1h"),
        ("notariat/renew-before", "0s"),
        ("notariat/renew-before", "1.5h"),
        ("notariat/renew-before", "99999999999999999999h"),
        ("cert.gardener.cloud/renew-before", "soon"),
        ("cert-manager.io/renew-before", "1ms"),
        ("notariat/secret-labels", "a"),
        ("notariat/secret-labels", "a=b,c=ö"),
        ("notariat/secret-labels", "notariat/owner=x"),
        ("notariat/secret-labels", "app.kubernetes.io/managed-by=x"),
        ("cert.gardener.cloud/secret-labels", "a b=c"),
        ("cert-manager.io/secret-template", "{"),
        ("cert-manager.io/secret-template", "[]"),
        ("cert-manager.io/secret-template", "{\"labels\": {\"a\": 1}}"),
        ("cert-manager.io/secret-template", "{\"labels\": {\"notariat/x\": \"1\"}}"),
        ("cert-manager.io/secret-template", "{\"annotations\": {\"cert-manager.io/certificate-name\": \"x\"}}"),
    ] {
        let (found, problems) = options(&format!("{key}: {value}"));
        assert_eq!((found, problems), (WishOptions::default(), vec![key.to_owned()]), "{key}: {:.40}", value);
    }
    let many: String = (0..1_000).map(|i| format!("l{i}=x,")).collect();
    assert_eq!(options(&format!("n/secret-labels: {many}")).1, ["notariat/secret-labels"]);
}

/// The build without the feature `rsa` tells that it has none.
#[test]
fn each_type_of_an_rsa_key_is_read_from_all_annotations() {
    for (lines, expected) in [
        ("n/key-type: rsa-2048", "rsa-2048"),
        ("n/key-type: rsa-3072", "rsa-3072"),
        ("n/key-type: rsa-4096\ng/private-key-algorithm: ECDSA", "rsa-4096"),
        ("g/private-key-algorithm: RSA", "rsa-2048"),
        ("g/private-key-size: 3072", "rsa-3072"),
        ("g/private-key-algorithm: RSA\ng/private-key-size: 4096", "rsa-4096"),
        ("c/private-key-algorithm: rsa", "rsa-2048"),
        ("c/private-key-algorithm: RSA\nc/private-key-size: 3072", "rsa-3072"),
        ("c/private-key-size: 4096", "rsa-4096"),
    ] {
        let (found, problems) = options(lines);
        let is_built = cfg!(feature = "rsa");
        assert_eq!(
            (found.key_type.map(KeyType::name), problems.len()),
            (is_built.then_some(expected), usize::from(!is_built)),
            "{lines}"
        );
    }
    for (lines, key) in [
        ("g/private-key-algorithm: ECDSA\ng/private-key-size: 2048", "cert.gardener.cloud/private-key-size"),
        ("g/private-key-algorithm: RSA\ng/private-key-size: 256", "cert.gardener.cloud/private-key-size"),
        ("c/private-key-algorithm: Ed25519\nc/private-key-size: 2048", "cert-manager.io/private-key-algorithm"),
    ] {
        assert_eq!(options(lines), (WishOptions::default(), vec![key.to_owned()]), "{lines}");
    }
}

#[test]
fn a_bad_value_of_ours_is_not_replaced_by_one_of_others() {
    for lines in [
        "n/issuer: Bad Name\nc/issuer: prod",
        "n/key-type: rsa\ng/private-key-size: 384",
        "n/renew-before: x\ng/renew-before: 9h",
    ] {
        let (found, problems) = options(lines);
        assert_eq!((found, problems.len()), (WishOptions::default(), 1), "{lines}");
    }
}

#[test]
fn what_nothing_reads_is_told_once_and_only_of_a_wanted_certificate() {
    let text = "k/tls-acme: true\nc/duration: 2160h\nc/usages: x\ng/class: other\nn/isuer: x\nacme.cert-manager.io/http01-edit-in-place: true\nother.test/x: y";
    let faults = read(text).faults(true);
    let told: Vec<_> = faults.iter().map(|p| (p.reason, p.sentence.split(": ").next().unwrap())).collect();
    let unused = "cert-manager.io/duration, cert-manager.io/usages, cert.gardener.cloud/class";
    assert_eq!(told, [(WishReason::Invalid, "notariat/isuer"), (WishReason::Skipped, unused)]);
    assert!(read(text).faults(false).is_empty());
    let many: String = (0..1_000).map(|i| format!("c/option-{i}: x\n")).collect();
    let faults = read(&many).faults(true);
    assert!(faults.len() == 1 && faults[0].sentence.contains("option-1, ") && faults[0].sentence.contains(", …: "));
    assert!(faults[0].sentence.len() < 400, "{}", faults[0].sentence);
}

#[test]
fn empty_values_count_as_none_and_long_ones_as_unreadable() {
    assert!(read("n/issuer:\nn/domains:").get("notariat/issuer").is_none());
    let found = read(&format!("n/domains: {}", "a.test,".repeat(2_000)));
    let asked = found.names(true, &mut Vec::new()).unwrap();
    assert!(asked.replace && asked.names.names().is_empty() && asked.names.fault().is_some());
    for metadata in [json!(null), json!([]), json!({"annotations": []}), json!({"annotations": {"notariat/issuer": 1}})]
    {
        assert!(Annotations::read(&metadata).known.is_empty(), "{metadata}");
    }
}
