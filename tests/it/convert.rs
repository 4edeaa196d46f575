//! `notariat convert`: every input of tests/vectors/cert-manager/ becomes ConfigMaps that are read without a fault.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output};

use notariat::config;
use notariat_lab::{Kube, Scratch};
use serde::Deserialize as _;
use serde_json::Value;

use crate::support::run::notariat;

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/cert-manager")
}

fn convert(input: PathBuf, arguments: &[&str]) -> Output {
    notariat().arg("convert").args(arguments).stdin(File::open(input).unwrap()).output().unwrap()
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

/// The ConfigMaps by namespace, each read as the daemon reads it, without a fault or a warning.
#[track_caller]
fn read(yaml: &str) -> BTreeMap<String, config::Config> {
    let mut found = BTreeMap::new();
    for document in serde_yaml::Deserializer::from_str(yaml) {
        let object = Value::deserialize(document).unwrap();
        if object.is_null() {
            continue;
        }
        assert_eq!((&object["kind"], &object["metadata"]["name"]), (&"ConfigMap".into(), &"notariat".into()));
        assert_eq!(object.as_object().unwrap().len(), 4, "{yaml}");
        let namespace = object["metadata"]["namespace"].as_str().unwrap().to_owned();
        let data = object["data"].as_object().unwrap().iter();
        let data = data.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
        let config = config::read(&data, &namespace.as_str().into()).unwrap_or_else(|e| panic!("{e}\n{yaml}"));
        assert!(config.entries.iter().all(Result::is_ok) && config.warnings.is_empty(), "{config:#?}");
        found.insert(namespace, config);
    }
    found
}

#[test]
fn what_is_printed_is_read_without_a_fault_and_each_thing_lost_has_a_sentence() {
    for (file, code, namespaces) in [
        ("plain", 0, &["team"][..]),
        ("everything", 1, &["team-a", "team-b"]),
        ("hostile", 1, &["team"]),
        ("one-object", 1, &[]),
    ] {
        let done = convert(vectors().join(format!("{file}.json")), &[]);
        let (yaml, log) = (text(&done.stdout), text(&done.stderr));
        assert_eq!(done.status.code(), Some(code), "{file}: {log}");
        assert_eq!(read(yaml).keys().collect::<Vec<_>>(), namespaces, "{file}");
        assert!(log.lines().all(|line| line.starts_with("notariat: ")), "{log}");
        assert_eq!(log.is_empty(), code == 0);
        for (name, found) in [("yaml", yaml), ("lost", log)] {
            let expected = vectors().join(format!("{file}.{name}"));
            let known = std::fs::read_to_string(&expected).unwrap_or_default();
            assert_eq!(found, known, "not as in {}", expected.display());
        }
    }
}

#[test]
fn no_value_leaves_its_line_or_stands_in_a_command() {
    let done = convert(vectors().join("hostile.json"), &[]);
    let yaml = text(&done.stdout);
    assert!(!yaml.lines().any(|line| line.trim_start().starts_with("evil")), "{yaml}");
    assert!(!yaml.lines().any(|line| line.starts_with('#') && line.contains("evil")), "{yaml}");
    let config = &read(yaml)["team"];
    let entry = config.entries[0].as_ref().unwrap();
    assert_eq!(entry.annotations["note"], "a\"\nevil: true\n");
    assert_eq!(entry.annotations["lines"], "a\u{85}---\u{2028}evil: true\u{2029}é😀");
    assert_eq!(config.issuers["ca"].preferred_chain.as_deref(), Some("a\nevil: true\n# b"));
}

#[test]
fn a_namespace_and_a_name_can_be_chosen_and_what_is_no_such_json_is_refused() {
    let one = convert(vectors().join("everything.json"), &["-namespace", "team-a"]);
    assert_eq!(read(text(&one.stdout)).keys().collect::<Vec<_>>(), ["team-a"]);
    let named = convert(vectors().join("plain.json"), &["-config", "certs"]);
    assert!(text(&named.stdout).contains("  name: \"certs\"\n"));
    let folder = Scratch::new("convert");
    for (input, part) in [
        ("", "is not JSON"),
        ("[1]", "none of cert-manager's"),
        (r#"{"items": 1}"#, "no list under `items`"),
        (r#"{"kind": "Pod", "apiVersion": "v1"}"#, "an object of kind \"Pod\""),
        (r#"{"kind": "Certificate", "apiVersion": "cert-manager.io/v1alpha2"}"#, "before cert-manager.io/v1"),
    ] {
        let done = convert(folder.write("input", input), &[]);
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(78), ""), "{input}");
        assert!(text(&done.stderr).contains(part), "{input}: {}", text(&done.stderr));
    }
}

/// The commands that stand above a manifest.
fn commands(yaml: &str) -> Vec<&str> {
    let lines = yaml.lines().filter_map(|line| line.strip_prefix("# - ")?.split_once(": "));
    lines.map(|(_, command)| command.trim_end_matches(';')).filter(|command| command.contains("kubectl")).collect()
}

#[test]
fn the_commands_make_the_secrets_that_the_config_map_names() {
    let kube = Kube::shared();
    let namespace = kube.namespace();
    let folder = Scratch::new("convert");
    let plain = std::fs::read_to_string(vectors().join("plain.json")).unwrap();
    let done = convert(folder.write("input", &plain.replace("\"team\"", &format!("{namespace:?}"))), &[]);
    let yaml = text(&done.stdout);
    kube.kubectl(&[
        "-n",
        &namespace,
        "create",
        "secret",
        "generic",
        "tsig",
        "--from-literal=secret=MDEyMzQ1Njc4OWFiY2RlZg==",
    ]);
    let [command] = commands(yaml)[..] else { panic!("{yaml}") };
    let made = Command::new("sh").args(["-ec", command]).env("KUBECONFIG", kube.admin_kubeconfig()).output().unwrap();
    assert!(made.status.success(), "{command}: {}", text(&made.stderr));
    let path = "go-template={{.data.key | base64decode}}";
    let key = kube.kubectl(&["-n", &namespace, "get", "secret", "tsig-secret", "-o", path]);
    assert_eq!(key, "hmac-sha256:certs:MDEyMzQ1Njc4OWFiY2RlZg==");
    kube.kubectl(&["apply", "-f", &folder.write("manifest.yaml", yaml).display().to_string()]);
    let applied =
        kube.kubectl(&["-n", &namespace, "get", "configmap", "notariat", "-o", "jsonpath={.data.certificates}"]);
    assert!(applied.contains(r#"tsigSecretName: "tsig-secret""#), "{applied}");
}
