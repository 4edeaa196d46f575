//! `convert`: whatever Certificates and issuers say, what is printed is printable ASCII and consists of ConfigMaps that are read without a fault. Time and
//! memory are linear.
#![no_main]

use libfuzzer_sys::fuzz_target;
use notariat::config;
use notariat::config::namespaces::Namespaces;
use notariat::tools::convert::{ConvertScope, convert};
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::{Input, text};
use serde::Deserialize as _;
use serde_json::Value;

const COST: Bound = Bound { steps_per_octet: 10_000, steps: 1_000_000, octets_per_octet: 8_000, octets: 512 * 1024 };

/// Printable ASCII, and the ends of lines.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|octet| octet == b'\n' || (b' '..=b'~').contains(&octet))
}

/// Every text of a JSON value.
fn add_texts(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| add_texts(item, all)),
        Value::Object(fields) => fields.values().for_each(|value| add_texts(value, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let choice = input.octet();
    let text = text(input.rest());
    let one = (choice & 1 == 1).then_some("certs");
    let only = if choice & 2 == 2 { vec!["team"] } else { Vec::new() };
    let scope = ConvertScope { name: "notariat", one, only, cluster_resources: "cert-manager" };
    let Ok(converted) = linear(text.len(), COST, || convert(&text, &scope)) else { return };
    assert!(is_plain(&converted.yaml), "{}", converted.yaml);
    // The last item of the report is the table. Fields without effect are said where nothing is lost as well.
    let (is_whole, says_more) = (converted.is_whole, converted.report.len() > 1);
    assert!(if is_whole { !converted.yaml.is_empty() } else { says_more || converted.yaml.is_empty() });
    // Every namespace that the input names may be one of a Secret.
    let mut others = vec!["default".to_owned()];
    add_texts(&serde_json::from_str(&text).unwrap_or_default(), &mut others);
    for document in serde_yaml::Deserializer::from_str(&converted.yaml) {
        let object = Value::deserialize(document).expect("what is printed is YAML");
        if object.is_null() {
            continue;
        }
        let fields: Vec<&String> = object.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["apiVersion", "data", "kind", "metadata"], "{}", converted.yaml);
        assert_eq!((&object["apiVersion"], &object["kind"]), (&"v1".into(), &"ConfigMap".into()));
        assert_eq!(object["metadata"]["name"], "notariat");
        let namespace = object["metadata"]["namespace"].as_str().expect("a namespace");
        let data = object["data"].as_object().expect("data").iter();
        let data = data.map(|(key, value)| (key.clone(), value.as_str().expect("text").to_owned())).collect();
        if converted.report.iter().any(|sentence| sentence.contains("would be refused")) {
            continue;
        }
        let read = config::read(&data, &Namespaces::new(namespace, &others))
            .unwrap_or_else(|e| panic!("{e}\n{}", converted.yaml));
        for entry in &read.entries {
            assert!(entry.is_ok(), "{entry:?}\n{}", converted.yaml);
        }
    }
});
