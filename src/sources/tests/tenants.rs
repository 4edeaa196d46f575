//! The attempts of a tenant with each kind of object, without any policy: whatever the object says, it names Secrets of its own namespace only,
//! and its own namespace vouches for each name.

use serde_json::{Value, json};

use super::support::*;
use crate::sources::wish::{ObjectWishes, WishReason, WishSettings};

/// Fails where the wishes of an object reach out of its namespace.
pub(crate) fn stays_at_home(wishes: &ObjectWishes, settings: &WishSettings, what: &str) {
    let own = wishes.source.namespace();
    for wish in &wishes.wishes {
        let is_fixed = settings.secret_namespace.as_deref() == Some(wish.secret.namespace.as_str());
        assert!(wish.secret.namespace.as_str() == own || is_fixed, "{what}: {}", wish.secret);
        assert!(wish.secret.cluster.name().is_none(), "{what}");
        assert!(wish.names.values().all(|by| by.contains(own)), "{what}: {:?}", wish.names);
        let reserved =
            |key: &String| key.starts_with("notariat/") || key.contains("managed-by") || key.contains("argocd");
        assert!(!wish.options.labels.keys().any(reserved), "{what}");
        assert!(!wish.options.annotations.keys().any(reserved), "{what}");
    }
}

/// Values that try to leave their place, for annotations and fields.
const HOSTILE: &[&str] = &[
    "kube-system/tls",
    "../kube-system/tls",
    "kube-system%2ftls",
    "other:t/s",
    "s,kube-system/tls",
    "s\nkube-system/tls",
    "s\u{0}",
    "*",
    "*.*.a.test",
    "a.test/../../x",
    "https://me:secret@a.test",
    "a.test:53",
    "$(SECRET)",
    "{{ .Values.host }}",
    "'; DROP TABLE",
    "\u{202e}tset.a",
    "xn--",
    "-a.test",
    "notariat/owner=kube-system/tls",
    "{\"labels\": {\"notariat/owner\": \"x\"}}",
    "{\"annotations\": {\"argocd.argoproj.io/tracking-id\": \"x\"}}",
    "99999999999999999999d",
    "true\u{a0}",
];

const KEYS: &[&str] = &[
    "notariat/certificate",
    "notariat/ignore",
    "notariat/adopt",
    "notariat/issuer",
    "notariat/domains",
    "notariat/key-type",
    "notariat/preferred-chain",
    "notariat/renew-before",
    "notariat/secret-labels",
    "notariat/secret",
    "notariat/email",
    "notariat/account",
    "notariat/tsig-secret",
    "cert.gardener.cloud/commonname",
    "cert.gardener.cloud/dnsnames",
    "cert.gardener.cloud/issuer",
    "cert.gardener.cloud/secret-labels",
    "cert.gardener.cloud/preferred-chain",
    "cert.gardener.cloud/secretname",
    "cert.gardener.cloud/secret-namespace",
    "dns.gardener.cloud/dnsnames",
    "cert-manager.io/cluster-issuer",
    "cert-manager.io/alt-names",
    "cert-manager.io/secret-template",
];

#[test]
fn no_annotation_reaches_out_of_the_namespace() {
    let mut settings = settings();
    settings.replaces.insert("kube-system/tls".to_owned(), "le".to_owned());
    for key in KEYS {
        for value in HOSTILE {
            let what = format!("{key}: {value:?}");
            let hostile = |mut object: Value| {
                object["metadata"]["annotations"][key] = json!(value);
                object
            };
            let found = of_ingress(&hostile(ingress("k/tls-acme: true", "s:x r:y", "z")), &settings);
            stays_at_home(&found, &settings, &what);
            let found =
                of_gateway(&[hostile(gateway("g/purpose: managed", "l https host=x secret=s"))], None, &settings);
            stays_at_home(&found, &settings, &what);
            let service = service("g/secretname: s\ng/dnsnames: x.a.test", "LoadBalancer");
            stays_at_home(&of_service(&hostile(service), &settings), &settings, &what);
        }
    }
}

#[test]
fn no_field_reaches_out_of_the_namespace() {
    let settings = settings();
    for value in HOSTILE {
        let what = format!("{value:?}");
        for pointer in ["/spec/tls/0/secretName", "/spec/tls/0/hosts/0", "/spec/rules/0/host", "/spec/ingressClassName"]
        {
            let mut object = ingress("k/tls-acme: true", "s:x r:", "z");
            object["spec"]["ingressClassName"] = json!("c");
            *object.pointer_mut(pointer).unwrap() = json!(value);
            let found = of_ingress(&object, &settings);
            stays_at_home(&found, &settings, &what);
            let all = WishSettings {
                ingress_all: vec![domain("a.test")],
                secret_namespace: Some("certs".to_owned()),
                ..settings.clone()
            };
            let found = of_ingress(&object, &all);
            stays_at_home(&found, &all, &what);
        }
        for pointer in ["/hostname", "/tls/certificateRefs/0/name", "/tls/certificateRefs/0/namespace", "/name"] {
            let mut object = gateway("g/purpose: managed", "l https host=x secret=s");
            object["spec"]["listeners"][0]["tls"]["certificateRefs"][0]["namespace"] = json!("t");
            *object["spec"]["listeners"][0].pointer_mut(pointer).unwrap() = json!(value);
            stays_at_home(&of_gateway(&[object], None, &settings), &settings, &what);
        }
    }
}

#[test]
fn with_one_namespace_for_all_secrets_no_tenant_chooses_the_secret_of_another() {
    let settings =
        WishSettings { ingress_all: vec![domain("a.test")], secret_namespace: Some("certs".to_owned()), ..settings() };
    // The items name the Secret of another tenant's host; the Secret of `x` is named after `x` alone.
    for tls in ["y.a.test:x", "y.a.test:", "certs/y.a.test:x"] {
        let found = of_ingress(&ingress("", tls, "x"), &settings);
        let secrets: Vec<String> = found.wishes.iter().map(|wish| wish.secret.to_string()).collect();
        assert_eq!(secrets, ["certs/x.a.test"], "{tls}");
        assert!(found.wishes[0].names.keys().eq([&domain("x.a.test")]));
    }
    // Whoever opts in by an annotation gets the items in the own namespace.
    let found = of_ingress(&ingress("k/tls-acme: true", "y.a.test:x", "x"), &settings);
    assert_eq!(shown(&found), "y.a.test: x");
    // The host of another tenant needs that the policy gives it to the namespace of the Ingress, which alone vouches.
    let found = of_ingress(&ingress("", "", "victim"), &settings);
    let by: Vec<&String> = found.wishes[0].names.values().flatten().collect();
    assert_eq!(by, ["t"]);
}

#[test]
fn a_route_gets_nothing_without_the_listener_and_vouches_for_itself() {
    let g = |from: &str| {
        gateway(
            "g/purpose: managed",
            &format!("l https secret=s from={from}\nm https host=*.a.test secret=s from={from}"),
        )
    };
    for (from, at, parent, expected) in [
        ("Same", "evil/r", "t/g", "s: *.a.test; Invalid spec.listeners[0]"),
        ("Selector", "evil/r", "t/g", "s: *.a.test; Invalid spec.listeners[0]"),
        ("None", "t/r", "g", "s: *.a.test; Invalid spec.listeners[0]"),
        ("All", "evil/r", "g", "s: *.a.test; Invalid spec.listeners[0]"),
        ("All", "evil/r", "evil/g", "s: *.a.test; Invalid spec.listeners[0]"),
        ("All", "evil/r", "t/g", "s: *.a.test,victim.b.test,x"),
    ] {
        let found = of_gateway(&[g(from), route("HTTPRoute", at, parent, "victim.b.test,x")], None, &settings());
        let text = shown(&found);
        // Both listeners fill one Secret, which has a name by the second one.
        assert!(
            text == expected || format!("{text}; Invalid spec.listeners[0]") == expected,
            "{from} {at} {parent}: {text}"
        );
        stays_at_home(&found, &settings(), &text);
        for (name, by) in found.wishes.iter().flat_map(|wish| &wish.names) {
            assert_eq!(by.contains("evil"), !name.is_wildcard(), "{name}");
        }
    }
}

#[test]
fn a_listener_set_vouches_for_itself_and_fills_its_own_secret() {
    let mut parent = gateway("c/issuer: prod", "l https host=x secret=s");
    parent["spec"]["allowedListeners"] = json!({"namespaces": {"from": "All"}});
    let set =
        listener_set("evil", "", "l https host=victim.b.test secret=t/s\nm https host=victim.b.test secret=s from=All");
    let found =
        of_gateway(&[parent, set, route("HTTPRoute", "v/r", "ListenerSet!evil/l", "y")], Some("evil"), &settings());
    assert_eq!(shown(&found), "evil/s: victim.b.test; Refused spec.listeners[0]");
    stays_at_home(&found, &settings(), "ListenerSet");
    assert_eq!(found.problems[0].reason, WishReason::Refused);
    assert_eq!(found.wishes[0].options.issuer.as_deref(), Some("le"), "the issuer is that of the Gateway");
}
