use serde_json::{Value, json};

use super::*;
use crate::config::challenge::ChallengeType;
use crate::kube::resource::Selector;
use crate::sources::resource::{IssuerOfObject, ResourceOptions};
use crate::sources::wish::{WishProblem, WishReason};

const SECRETS: &str = "cert-manager";

/// A source that has seen these issuers.
fn source(issuers: &[Value]) -> CertManagerSource {
    let mut source = CertManagerSource::new(Selector::All, SECRETS);
    for issuer in issuers {
        let target = match issuer["kind"] == "Issuer" {
            true => Resource::ISSUERS,
            false => Resource::CLUSTER_ISSUERS,
        };
        see(&mut source, target, issuer);
    }
    source
}

fn see(source: &mut CertManagerSource, resource: Resource, object: &Value) -> bool {
    let target = source.targets().into_iter().find(|target| target.resource == resource).unwrap();
    // Items of a list do not say their kind.
    let mut item = object.clone();
    item.as_object_mut().unwrap().remove("kind");
    let parsed = (source.parser(&target).0)()(&item);
    source.apply(&target, SourceEvent::Present(parsed))
}

fn update(nameserver: &str, key: &str, secret: &str) -> Value {
    let secret = json!({"name": secret, "key": "secret"});
    json!({"dns01": {"rfc2136": {"nameserver": nameserver, "tsigKeyName": key, "tsigAlgorithm": "HMACSHA512", "tsigSecretSecretRef": secret}}})
}

fn issuer(kind: &str, acme: &Value) -> Value {
    let mut all = json!({"server": "https://ca.test/dir", "solvers": [update("192.0.2.1:53", "k.test", "tsig")]});
    all.as_object_mut().unwrap().extend(acme.as_object().unwrap().clone());
    json!({"kind": kind, "metadata": {"namespace": if kind == "Issuer" { "t" } else { "" }, "name": "ca"}, "spec": {"acme": all}})
}

fn certificate(spec: &Value) -> Value {
    let mut all =
        json!({"secretName": "s", "dnsNames": ["www.a.test"], "issuerRef": {"name": "ca", "kind": "ClusterIssuer"}});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let metadata = json!({"namespace": "t", "name": "web", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"});
    json!({"metadata": metadata, "spec": all})
}

fn web() -> ObjectKey {
    key(&ObjectRef::new("t", "web"))
}

/// The wishes of the Certificate.
fn wishes(source: &mut CertManagerSource, spec: &Value, listens_for_challenges: bool) -> ObjectWishes {
    see(source, Resource::CERTIFICATES, &certificate(spec));
    source.wishes_of(&web(), &WishSettings { listens_for_challenges, ..WishSettings::default() }).unwrap()
}

fn resource(wishes: &ObjectWishes) -> &ResourceOptions {
    wishes.wishes[0].options.resource.as_ref().unwrap()
}

fn served(issuers: &[Value], spec: &Value, listens_for_challenges: bool) -> Result<IssuerOfObject, WishProblem> {
    resource(&wishes(&mut source(issuers), spec, listens_for_challenges)).issuer.clone().map(Option::unwrap)
}

/// The rules, a line for each: zone, challenge, server, key.
fn rules(served: &IssuerOfObject) -> Vec<String> {
    let line = |rule: &crate::config::ZoneRule| {
        let challenge = rule.challenge.map_or("-", ChallengeType::name);
        let server = rule.server.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let parts = rule.tsig_key.as_ref();
        let parts =
            parts.map(|p| format!("{} {} {}", p.secret_key(), p.name(), p.algorithm().name())).unwrap_or_default();
        let key = rule.tsig_secret.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        assert!(rule.find_zone);
        format!("{} {challenge} {server} {key} {parts}", rule.zone).trim_end().to_owned()
    };
    served.zones.iter().flat_map(|zones| zones.iter()).map(line).collect()
}

#[test]
fn a_certificate_is_served_by_its_issuer_with_the_secrets_of_the_right_namespace() {
    for (kind, reference, name, secrets) in [
        (
            "ClusterIssuer",
            json!({"name": "ca", "kind": "ClusterIssuer", "group": "cert-manager.io"}),
            "ClusterIssuer/ca",
            SECRETS,
        ),
        ("Issuer", json!({"name": "ca"}), "Issuer/ca", "t"),
    ] {
        let acme = json!({
            "email": "A@a.test", "preferredChain": "Root X", "profile": "short",
            "privateKeySecretRef": {"name": "account"},
            "externalAccountBinding": {"keyID": "kid", "keySecretRef": {"name": "eab", "key": "mac"}},
        });
        let found = served(&[issuer(kind, &acme)], &json!({"issuerRef": reference}), false).unwrap();
        let settings = &found.issuer.issuer;
        let at = |secret: &str| Some(ObjectRef::new(secrets, secret));
        assert_eq!((settings.name.as_str(), settings.directory.as_str()), (name, "https://ca.test/dir"));
        assert_eq!((settings.email.as_deref(), settings.profile.as_deref()), (Some("a@a.test"), Some("short")));
        assert_eq!(
            (&settings.account_secret, settings.account_secret_key.as_deref()),
            (&at("account"), Some("tls.key"))
        );
        assert!(settings.account_secret_optional);
        assert_eq!((&settings.eab_secret, settings.eab_key_id.as_deref()), (&at("eab"), Some("kid")));
        assert_eq!(
            (settings.eab_secret_key.as_deref(), settings.preferred_chain.as_deref()),
            (Some("mac"), Some("Root X"))
        );
        assert_eq!(rules(&found), [format!("www.a.test dns-01 192.0.2.1 {secrets}/tsig secret k.test hmac-sha512")]);
    }
    let needs = issuer(
        "ClusterIssuer",
        &json!({"privateKeySecretRef": {"name": "a", "key": "k"}, "disableAccountKeyGeneration": true}),
    );
    let found = served(&[needs], &json!({}), false).unwrap().issuer.issuer.clone();
    assert_eq!((found.account_secret_key.as_deref(), found.account_secret_optional), (Some("k"), false));
    assert_eq!(
        served(&[issuer("ClusterIssuer", &json!({}))], &json!({}), false).unwrap().issuer.issuer.account_secret,
        None
    );
}

#[test]
fn each_name_has_the_rule_of_its_solver() {
    let with = |mut solver: Value, selector: Value| {
        solver["selector"] = selector;
        solver
    };
    let http = || json!({"http01": {"ingress": {}}});
    let one = || update("192.0.2.1", "k.test", "tsig");
    let other = || update("192.0.2.2:5353", "l.test", "other");
    let of_one = "192.0.2.1 cert-manager/tsig secret k.test hmac-sha512";
    let of_other = "192.0.2.2:5353 cert-manager/other secret l.test hmac-sha512";
    for (solvers, names, expected) in [
        (
            json!([one()]),
            json!(["b.a.test", "a.test"]),
            vec![format!("a.test dns-01 {of_one}"), format!("b.a.test dns-01 {of_one}")],
        ),
        (json!([one()]), json!(["a.test", "*.a.test"]), vec![format!("a.test dns-01 {of_one}")]),
        (
            json!([one(), with(other(), json!({"dnsZones": ["b.test"]}))]),
            json!(["a.test", "www.b.test"]),
            vec![format!("a.test dns-01 {of_one}"), format!("www.b.test dns-01 {of_other}")],
        ),
        (json!([http()]), json!(["a.test"]), vec!["a.test http-01 - -".to_owned()]),
        // The wildcard is proved by DNS, and the name itself as its solver says.
        (
            json!([with(http(), json!({"dnsNames": ["a.test"]})), one()]),
            json!(["*.a.test", "a.test", "x.a.test"]),
            vec![format!("a.test http-01 {of_one}"), format!("x.a.test dns-01 {of_one}")],
        ),
        (
            json!([with(http(), json!({"dnsNames": ["a.test"]})), one()]),
            json!(["a.test", "*.a.test"]),
            vec![format!("a.test http-01 {of_one}")],
        ),
    ] {
        let issuer = issuer("ClusterIssuer", &json!({"solvers": solvers}));
        let found = served(&[issuer], &json!({"dnsNames": names}), true).unwrap();
        assert_eq!(rules(&found), expected, "{solvers} {names}");
    }
}

#[test]
fn what_can_not_be_served_has_its_reason_and_sentence() {
    use WishReason::{Refused, Skipped, Waiting};
    let solvers = |solver: Value| json!({"solvers": [solver]});
    let selected = |mut solver: Value, name: &str| {
        solver["selector"] = json!({"dnsNames": [name]});
        solver
    };
    let two = json!({"solvers": [selected(update("192.0.2.1", "k.test", "tsig"), "a.test"), update("192.0.2.2", "k.test", "tsig")]});
    let waits = |mut solver: Value| {
        solver["waitInsteadOfSelfCheck"] = json!("5m");
        solver
    };
    for (acme, spec, reason, part) in [
        (
            json!({}),
            json!({"issuerRef": {"name": "gone", "kind": "ClusterIssuer"}}),
            Waiting,
            "the ClusterIssuer \"gone\" does not exist",
        ),
        (json!({}), json!({"issuerRef": {"name": "ca"}}), Waiting, "the Issuer \"ca\" does not exist"),
        (
            json!({}),
            json!({"issuerRef": {"name": "x", "kind": "Y", "group": "z.test"}}),
            Skipped,
            "the Y \"x\" of \"z.test\" is not an ACME issuer",
        ),
        (json!({}), json!({"issuerRef": {"name": "x", "kind": "Y"}}), Skipped, "the Y \"x\" is not an ACME issuer"),
        (
            json!({"server": "http://127.0.0.1/dir"}),
            json!({}),
            Waiting,
            "has the server \"http://127.0.0.1/dir\", which is not an https URL",
        ),
        (json!({"server": "https://u:hunter2@ca.test/"}), json!({}), Waiting, "has a server that"),
        (json!({"email": "x"}), json!({}), Waiting, "has an email that is not an email address"),
        (json!({"profile": "a b"}), json!({}), Waiting, "has a profile that is not the name of a profile"),
        (json!({"caBundle": "###"}), json!({}), Waiting, "has a caBundle that is not base64"),
        (json!({"caBundle": "YQ=="}), json!({}), Waiting, "has a caBundle that is no certificate"),
        (json!({"privateKeySecretRef": {"name": "a/b"}}), json!({}), Waiting, "has a fault in privateKeySecretRef"),
        (json!({"externalAccountBinding": {"keyID": "k"}}), json!({}), Waiting, "without keySecretRef"),
        (json!({"skipTLSVerify": true}), json!({}), Refused, "skipTLSVerify"),
        (json!({"enableDurationFeature": true}), json!({"duration": "24h"}), Refused, "enableDurationFeature"),
        (json!({}), json!({"keystores": {"jks": {"create": true}}}), Refused, "keystores"),
        (json!({}), json!({"secretTemplate": {"labels": {"cert-manager.io/x": "y"}}}), Refused, "secretTemplate"),
        (json!({}), json!({"secretTemplate": {"labels": {"a": "no label"}}}), Refused, "secretTemplate"),
        (json!({"solvers": []}), json!({}), Refused, "www.a.test has no solver"),
        (solvers(json!({"http01": {"ingress": {}}})), json!({}), Refused, "start it with -http-listen"),
        (solvers(json!({"dns01": {"route53": {}}})), json!({}), Refused, "at the provider \"route53\""),
        (solvers(json!({"dns01": {"rfc2136": {"nameserver": "192.0.2.1"}}})), json!({}), Refused, "without a key"),
        (solvers(waits(update("192.0.2.1", "k.test", "tsig"))), json!({}), Refused, "waitInsteadOfSelfCheck"),
        (two, json!({"dnsNames": ["a.test", "*.a.test"]}), Refused, "a.test and its wildcard are proved at one place"),
    ] {
        let problem = served(&[issuer("ClusterIssuer", &acme)], &spec, false).expect_err(part);
        assert_eq!(problem.reason, reason, "{acme} {spec}: {problem:?}");
        let is_told = problem.sentence.contains(part) && !problem.sentence.contains("hunter2");
        assert!(is_told, "{acme} {spec}: {problem:?}");
    }
    let self_signed = json!({"kind": "ClusterIssuer", "metadata": {"name": "ca"}, "spec": {"selfSigned": {}}});
    let problem = served(&[self_signed], &json!({}), false).unwrap_err();
    assert_eq!((problem.reason, problem.place.as_str()), (Skipped, "spec.issuerRef"));
}

#[test]
fn the_options_are_those_of_the_certificate() {
    let issuers = [issuer("ClusterIssuer", &json!({}))];
    for (spec, key_type, keeps_type, reuses) in [
        (json!({}), "ecdsa-p256", true, false),
        (json!({"privateKey": {"rotationPolicy": "Never"}}), "ecdsa-p256", true, true),
        (json!({"privateKey": {"algorithm": "RSA", "size": 4096}}), "rsa-4096", false, false),
        (json!({"privateKey": {"algorithm": "ECDSA", "size": 384}}), "ecdsa-p384", false, false),
    ] {
        let found = wishes(&mut source(&issuers), &spec, false);
        let options = &found.wishes[0].options;
        assert_eq!(options.key_type.unwrap().name(), key_type, "{spec}");
        assert_eq!((resource(&found).keep_key_type, resource(&found).reuse_key), (keeps_type, reuses), "{spec}");
    }
    for (percent, expected, is_told) in
        [(30, Some(30), false), (66, Some(66), false), (67, None, true), (0, None, true)]
    {
        let found = wishes(&mut source(&issuers), &json!({"renewBeforePercentage": percent}), false);
        assert_eq!(
            (resource(&found).renew_before_percent, !found.problems.is_empty()),
            (expected, is_told),
            "{percent}"
        );
    }
    let template =
        json!({"labels": {"a": "b"}, "annotations": {"c": "d", "cert-manager.io/allow-direct-injection": "true"}});
    let spec = json!({"renewBefore": "360h", "secretTemplate": template, "duration": "90d", "commonName": "cn.a.test"});
    let found = wishes(&mut source(&issuers), &spec, false);
    let wish = &found.wishes[0];
    let names: Vec<String> = wish.names.keys().map(ToString::to_string).collect();
    assert_eq!(
        (names, wish.secret.to_string()),
        (vec!["cn.a.test".to_owned(), "www.a.test".to_owned()], "t/s".to_owned())
    );
    assert!(wish.names.values().all(|by| *by == BTreeSet::from(["t".to_owned()])));
    assert_eq!(wish.options.renew_before.unwrap().as_secs(), 360 * 3_600);
    assert_eq!((wish.options.labels.len(), wish.options.annotations.len(), wish.adopt), (1, 1, false));
    let [said] = &found.problems[..] else { panic!("{:?}", found.problems) };
    assert!(said.reason == WishReason::Skipped && said.sentence.contains("duration has no effect"), "{said:?}");
}

#[test]
fn an_object_that_can_not_be_read_is_told_and_wants_nothing() {
    let many: Vec<String> = (0..101).map(|n| format!("n{n}.a.test")).collect();
    for (spec, part) in [
        (json!({"secretName": "A"}), "its secretName"),
        (json!({"secretName": "other/s"}), "has a `/` in it"),
        (json!({"dnsNames": ["a..test"]}), "the name \"a..test\""),
        (json!({"dnsNames": []}), "it has no DNS name"),
        (json!({"isCA": true}), "isCA"),
        (json!({"dnsNames": many}), "it has 101 names"),
    ] {
        let found = wishes(&mut source(&[]), &spec, false);
        let [problem] = &found.problems[..] else { panic!("{found:?}") };
        assert!(found.wishes.is_empty() && problem.reason == WishReason::Invalid, "{found:?}");
        assert!(problem.sentence.contains(part), "{spec}: {problem:?}");
    }
    for object in [
        json!({"metadata": {"namespace": "t", "name": "web"}}),
        json!({"metadata": {"namespace": "t", "name": "web"}, "spec": [1]}),
    ] {
        let mut source = source(&[]);
        see(&mut source, Resource::CERTIFICATES, &object);
        assert_eq!(source.wishes_of(&web(), &WishSettings::default()).unwrap().problems.len(), 1);
    }
}

#[test]
fn a_change_of_an_issuer_is_one_of_each_certificate_that_names_it() {
    let mut source = source(&[issuer("ClusterIssuer", &json!({}))]);
    see(&mut source, Resource::CERTIFICATES, &certificate(&json!({})));
    let mut other = certificate(&json!({"issuerRef": {"name": "ca"}}));
    other["metadata"]["name"] = json!("other");
    see(&mut source, Resource::CERTIFICATES, &other);
    assert_eq!(source.take_changed().len(), 2);
    assert!(source.take_changed().is_empty());
    assert!(!see(&mut source, Resource::CLUSTER_ISSUERS, &issuer("ClusterIssuer", &json!({}))), "the same again");
    assert!(source.take_changed().is_empty());
    see(&mut source, Resource::CLUSTER_ISSUERS, &issuer("ClusterIssuer", &json!({"email": "b@b.test"})));
    assert_eq!(source.take_changed(), [web()].into());
    see(&mut source, Resource::ISSUERS, &issuer("Issuer", &json!({})));
    assert_eq!(source.take_changed(), [key(&ObjectRef::new("t", "other"))].into());
    let target = source.targets().remove(2);
    source.apply(&target, SourceEvent::Gone(ObjectRef::new("", "ca")));
    assert_eq!(source.take_changed(), [web()].into());
    assert!(source.owns("Certificate t/web") && !source.owns("Ingress t/web") && !source.owns("Certificate"));
    assert_eq!(source.wishing().len(), 2);
    assert!(!source.has_synced());
    for target in source.targets() {
        source.apply(&target, SourceEvent::Listing);
        source.apply(&target, SourceEvent::Listed);
    }
    assert!(source.has_synced() && source.wishing().is_empty());
}

#[test]
fn a_status_changes_nothing_and_what_is_too_large_is_told() {
    let mut source = source(&[]);
    see(&mut source, Resource::CERTIFICATES, &certificate(&json!({})));
    source.take_changed();
    // The bound for one of 10,000 is 2 KiB in all.
    let kept = source.certificates.get(&ObjectRef::new("t", "web")).unwrap();
    assert!(kept.0.octets() < 512, "{}", kept.0.octets());
    let mut with_status = certificate(&json!({}));
    with_status["status"] = json!({"conditions": [{"type": "Issuing", "status": "True"}], "revision": 2});
    with_status["metadata"]["resourceVersion"] = json!("9");
    with_status["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": "x"});
    assert!(!see(&mut source, Resource::CERTIFICATES, &with_status) && source.take_changed().is_empty());
    with_status["metadata"]["annotations"] = json!({"acme.cert-manager.io/http01-override-ingress-name": "x"});
    assert!(see(&mut source, Resource::CERTIFICATES, &with_status));
    let large = wishes(&mut source, &json!({"subject": {"organizations": ["x".repeat(70_000)]}}), false);
    assert!(
        large.wishes.is_empty() && large.problems[0].sentence.contains("more than 65536 octets"),
        "{:?}",
        large.problems
    );
}
