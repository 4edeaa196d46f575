//! `notariat convert`: readers of YAML that are not ours find the same objects in what is printed, whatever a Certificate holds.
//!
//! Each text of the input in turn is replaced and extended by texts that try to leave their line. Readers of YAML 1.1 take U+0085,
//! U+2028 and U+2029 for line breaks; kubectl's is one of those and is asked by way of an API server.

use std::process::Command;

use notariat::convert::convert;
use notariat_lab::tools::try_output;
use notariat_lab::{Kube, Scratch};
use serde::Deserialize as _;
use serde_json::{Value, json};

/// What an attacker wants to be read as an object of its own.
const OBJECT: [&str; 4] =
    ["", "---", "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: evil}}", "..."];

/// The texts that are tried in each field.
fn hostile() -> Vec<String> {
    let breaks = ["\n", "\r", "\r\n", "\u{85}", "\u{2028}", "\u{2029}"];
    let mut texts: Vec<String> = breaks.iter().map(|end| OBJECT.join(end)).collect();
    texts.extend(breaks.iter().map(|end| format!("\"{end}    evil: \"1")));
    texts.extend(
        [
            "\"'`\\",
            "' \" # &a *a !!int | > % @ - : {} [] , ?",
            "\u{0}\u{1}\u{7}\u{8}\t\u{1b}[2J\u{7f}\u{80}\u{9f}\u{a0}\u{ad}",
            "\u{200b}\u{202e}\u{2066}\u{feff}\u{fffe}\u{ffff}\u{fffd}",
            "\u{e9}\u{4e2d}\u{d7ff}\u{e000}\u{1f600}\u{10ffff}",
            "\\u0085---\\x85\\N\\L\\P\\_",
            "~",
            "1e3",
        ]
        .map(str::to_owned),
    );
    texts
}

/// A Certificate and the issuers that it can have, with a text in every field that is carried over.
fn input() -> Value {
    let rfc2136 = |server: &str| {
        json!({"rfc2136": {"nameserver": server, "tsigKeyName": "certs", "tsigAlgorithm": "HMACSHA256",
               "tsigSecretSecretRef": {"name": "tsig", "key": "secret"}}})
    };
    let issuer = |kind: &str, metadata: Value| {
        json!({
            "apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata,
            "spec": {"acme": {
                "server": "https://ca.example.com/directory", "email": "ops@example.com", "preferredChain": "Root X1",
                "profile": "classic", "caBundle": "LS0t",
                "privateKeySecretRef": {"name": "account", "key": "tls.key"},
                "externalAccountBinding": {"keyID": "kid-1", "keySecretRef": {"name": "eab", "key": "secret"}},
                "solvers": [
                    {"selector": {"dnsZones": ["example.com"], "matchLabels": {"dns": "inside"}}, "dns01": rfc2136("192.0.2.1")},
                    {"selector": {"dnsNames": ["www.example.org"]}, "dns01": rfc2136("ns1.example.org:53")},
                    {"dns01": rfc2136("[2001:db8::1]:53")},
                ],
            }},
        })
    };
    let certificate = |name: &str, issuer: Value| {
        json!({
            "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"name": name, "namespace": "team", "labels": {"dns": "inside"}},
            "spec": {
                "secretName": name, "dnsNames": ["www.example.com", "*.example.com", "www.example.org"],
                "commonName": "example.net", "issuerRef": issuer, "renewBefore": "360h",
                "privateKey": {"algorithm": "ECDSA", "size": 384, "rotationPolicy": "Never"},
                "secretTemplate": {"labels": {"app": "web"}, "annotations": {"example.com/note": "text", "more": "text"}},
            },
        })
    };
    json!({"apiVersion": "v1", "kind": "List", "items": [
        issuer("Issuer", json!({"name": "own", "namespace": "team"})),
        issuer("ClusterIssuer", json!({"name": "all"})),
        certificate("one", json!({"name": "own"})),
        certificate("two", json!({"kind": "ClusterIssuer", "name": "all", "group": "cert-manager.io"})),
    ]})
}

/// The places of all texts: JSON pointers, and whether the key is meant.
fn places(value: &Value, at: &str, found: &mut Vec<(String, Option<String>)>) {
    match value {
        Value::String(_) => found.push((at.to_owned(), None)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, item)| places(item, &format!("{at}/{i}"), found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                if at.ends_with("labels") || at.ends_with("annotations") || at.ends_with("matchLabels") {
                    found.push((at.to_owned(), Some(key.clone())));
                }
                places(value, &format!("{at}/{}", key.replace('/', "~1")), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What is printed with each of the texts in each of the places, each different output once.
fn outputs() -> Vec<String> {
    let good = input();
    let mut found = Vec::new();
    places(&good, "", &mut found);
    let mut outputs = vec![printed(&good)];
    for (at, key) in &found {
        for text in hostile() {
            let old = good.pointer(at).unwrap();
            let whole = match key {
                Some(key) => {
                    let mut fields = old.as_object().unwrap().clone();
                    let value = fields.remove(key).unwrap();
                    fields.insert(text.clone(), value);
                    vec![fields.into()]
                }
                None => vec![Value::from(text.as_str()), format!("{}{text}", old.as_str().unwrap()).into()],
            };
            for new in whole {
                let mut changed = good.clone();
                *changed.pointer_mut(at).unwrap() = new;
                // Without cert-manager's kinds there is nothing to convert.
                if let Ok(done) = convert(&changed.to_string(), "notariat", None) {
                    outputs.push(done.yaml);
                }
            }
        }
    }
    outputs.sort();
    outputs.dedup();
    outputs
}

fn printed(input: &Value) -> String {
    let done = convert(&input.to_string(), "notariat", None).unwrap();
    assert!(done.yaml.contains("\"one\"") && done.yaml.contains("\"two\""), "{}{:?}", done.yaml, done.lost);
    done.yaml
}

/// The objects as our own reader has them, with the values of `data` read as well.
fn ours(yaml: &str) -> Vec<Value> {
    let read = |yaml: &str| -> Vec<Value> {
        serde_yaml::Deserializer::from_str(yaml).map(|document| Value::deserialize(document).unwrap()).collect()
    };
    let mut objects = read(yaml);
    objects.retain(|object| !object.is_null());
    for object in &mut objects {
        for value in object["data"].as_object_mut().unwrap().values_mut() {
            *value = read(value.as_str().unwrap()).into();
        }
    }
    objects
}

#[test]
fn other_readers_find_the_same_objects_whatever_a_field_holds() {
    let outputs = outputs();
    assert!(outputs.len() > 100, "{}", outputs.len());
    // Not the first python3 of the PATH: the packages belong to Debian's.
    let mut python = Command::new("/usr/bin/python3");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/convert_readers.py");
    let answer = try_output(python.arg(script), &json!(outputs).to_string());
    let answer = answer.unwrap_or_else(|e| panic!("run tests/lab/install (python3-yaml, python3-ruamel.yaml): {e}"));
    let answer: Vec<Value> = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer.len(), outputs.len());
    for (yaml, found) in outputs.iter().zip(answer) {
        for (reader, objects) in found.as_object().unwrap() {
            assert!(objects.is_array(), "{reader}: {objects}\n{yaml}");
            for object in objects.as_array().unwrap() {
                assert_eq!(
                    (&object["kind"], &object["metadata"]["name"]),
                    (&"ConfigMap".into(), &"notariat".into()),
                    "{reader}\n{yaml}"
                );
            }
            assert_eq!(*objects, Value::from(ours(yaml)), "{reader}\n{yaml}");
        }
        let raw = yaml.chars().find(|c| !matches!(c, ' '..='~' | '\n'));
        assert_eq!(raw, None, "{yaml}");
    }
}

#[test]
fn kubectl_applies_the_object_that_we_read() {
    let kube = Kube::shared();
    let namespace = kube.namespace();
    let folder = Scratch::new("readers");
    let mut input: Value =
        serde_json::from_str(&input().to_string().replace("\"team\"", &format!("{namespace:?}"))).unwrap();
    let (text, line) = (hostile().concat(), "Root\u{85}---\u{2028}evil: true\u{2029}# \u{1f600}");
    input["items"][2]["spec"]["secretTemplate"]["annotations"]["more"] = text.as_str().into();
    input["items"][0]["spec"]["acme"]["preferredChain"] = line.into();
    let yaml = printed(&input);
    let file = folder.write("manifest.yaml", &yaml);
    assert_eq!(kube.kubectl(&["apply", "-o", "name", "-f", file.to_str().unwrap()]).trim(), "configmap/notariat");
    let applied: Value =
        serde_json::from_str(&kube.kubectl(&["-n", &namespace, "get", "configmap", "notariat", "-o", "json"])).unwrap();
    let mut read = ours(&yaml);
    let [object] = &mut read[..] else { panic!("{yaml}") };
    for (key, value) in applied["data"].as_object().unwrap() {
        let found: Vec<Value> = serde_yaml::Deserializer::from_str(value.as_str().unwrap())
            .map(|document| Value::deserialize(document).unwrap())
            .collect();
        assert_eq!(object["data"][key], Value::from(found), "{key}");
    }
    assert_eq!(object["data"].as_object().unwrap().len(), applied["data"].as_object().unwrap().len());
    assert_eq!(object["data"]["certificates"][0][0]["annotations"]["more"], text.as_str());
    assert_eq!(object["data"]["issuers"][0]["own"]["preferredChain"], line);
}
