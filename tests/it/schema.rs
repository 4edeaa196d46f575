//! `notariat schema` beside the parser: what the schema refuses, notariat refuses. Where notariat refuses more, the file stands in a list
//! with the reason. The schema is judged by python3-jsonschema, which others wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use notariat::config::namespaces::Namespaces;
use notariat::config::table::{FieldForm, FieldTable, KEY_NAMES, KEYS};
use notariat::config::{self, Data};
use notariat_lab::tools;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::docs::{blocks, pages, read};
use crate::support::Run;
use crate::support::run::notariat;

/// Validates each instance: the first fault, or an empty text.
fn validated(key: Option<&str>, instances: &[Value]) -> Vec<String> {
    const SCRIPT: &str = "
import json, sys
from jsonschema import Draft202012Validator
schema, instances = json.load(sys.stdin)
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
first = lambda i: next((e.json_path + ': ' + e.message for e in validator.iter_errors(i)), '')
print(json.dumps([first(i) for i in instances]))
";
    let schema = Run::of(notariat().arg("schema").args(key)).ends(0).stdout;
    let schema: Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let mut python = Command::new("/usr/bin/python3");
    let found = tools::try_output(python.args(["-c", SCRIPT]), &json!([schema, instances]).to_string());
    serde_json::from_str(
        &found.unwrap_or_else(|e| panic!("{e}: does python3-jsonschema lack? tests/lab/install tools")),
    )
    .unwrap()
}

/// The values under the keys of the ConfigMaps of a manifest; none where a key is no YAML of one document, with each field once.
fn instances(manifest: &str) -> Option<Vec<Value>> {
    let mut found = Vec::new();
    for document in serde_yaml::Deserializer::from_str(manifest) {
        let object = Value::deserialize(document).ok()?;
        let items = object["items"].as_array().cloned().unwrap_or_else(|| vec![object]);
        for object in items.iter().filter(|object| object["kind"] == "ConfigMap") {
            let data = object["data"].as_object().cloned().unwrap_or_default();
            let parsed = data.iter().map(|(key, text)| Some((key.clone(), unrepeated(text.as_str()?)?)));
            found.push(Value::Object(parsed.collect::<Option<_>>()?));
        }
    }
    Some(found)
}

fn unrepeated(text: &str) -> Option<Value> {
    let value: serde_yaml::Value = serde_yaml::from_str(text).ok()?;
    serde_json::to_value(value).ok()
}

/// The files that notariat refuses and the schema does not, with the reason.
const REFUSED_BY_NOTARIAT_ALONE: &[(&str, &[&str])] = &[
    (
        "follows from several fields, entries or keys",
        &[
            "challenge-wildcard-without-key",
            "csr-key-type",
            "csr-other-domains",
            "csr-reuse-key",
            "defaults-issuer-unknown",
            "field-tsig-empty",
            "field-tsig-missing",
            "issuer-excludes-the-domain",
            "issuer-not-for-the-domain",
            "issuer-replaces-twice",
            "issuer-unknown",
            "manifest-list-with-two",
            "secret-of-two-entries",
            "secret-twice-in-a-list",
            "zone-twice",
        ],
    ),
    (
        "follows from the flags, which name the namespaces that may be used",
        &[
            "issuer-secret-namespace",
            "manifest-namespace-of-another",
            "secret-namespace-not-allowed",
            "tsig-namespace-not-allowed",
        ],
    ),
    (
        "a pattern compares no numbers",
        &[
            "dns-propagation-timeout",
            "dns-server-port-too-large",
            "dns-settle",
            "domain-no-room-for-the-challenge",
            "http-via-port",
            "http-wait",
            "renew-before-overflow",
            "zone-server",
        ],
    ),
    (
        "a pattern needs look-ahead for it",
        &["domain-digits-at-the-end", "domain-ipv4", "email-mailto", "http-webroot-parent"],
    ),
    ("a CSR is judged by what is in it", &["csr-covered", "csr-cut", "csr-ip"]),
    ("the tables of Unicode decide (UTS 46)", &["domain-bad-u-label"]),
    (
        "unknown keys are ignored, but for those that resemble a known one",
        &[
            "key-default",
            "key-misspelled",
            "key-misspelled-with-suffix",
            "key-namespace",
            "key-swapped-letters",
            "key-with-suffix",
        ],
    ),
    (
        "a schema never sees it: a text that is no YAML, a field that stands there twice, the object around the keys",
        &[
            "field-twice",
            "issuer-does-not-scan",
            "issuer-twice",
            "manifest-api-version",
            "manifest-bad-name",
            "manifest-bar-without-indentation",
            "manifest-binary-data",
            "manifest-binary-misspelt",
            "manifest-binary-utf-16",
            "manifest-certificates-without-bar",
            "manifest-certificates-without-bar-and-star",
            "manifest-data-is-a-list",
            "manifest-data-is-text",
            "manifest-key-is-a-number",
            "manifest-key-twice",
            "manifest-spec",
            "manifest-string-data",
            "manifest-tab",
            "manifest-without-name",
            "namespaces-several",
            "several-everywhere",
            "yaml-alias-bomb",
            "yaml-indentation",
            "yaml-nesting",
            "yaml-open-bracket",
            "yaml-open-quote",
            "yaml-tab",
            "yaml-two-documents",
            "yaml-two-keys-do-not-scan",
            "yaml-unknown-alias",
            "yaml-unquoted-star-alone",
            "yaml-unquoted-star-in-lines",
            "yaml-unquoted-star-in-list",
        ],
    ),
];

fn files(folder: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(path.to_str().unwrap(), found),
            false if path.extension().is_some_and(|e| e == "yaml") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn every_bad_configuration_is_refused_by_both_or_stands_in_the_list() {
    let mut all = Vec::new();
    files("tests/configurations", &mut all);
    assert!(all.len() > 200, "{}", all.len());
    let (mut names, mut asked) = (Vec::new(), Vec::new());
    let mut alone = BTreeSet::new();
    for path in &all {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = read(path);
        let refused = !text.lines().any(|line| line.starts_with("# expect: warning"))
            || text.lines().any(|line| line.starts_with("# expect: fault"));
        match instances(&text) {
            Some(found) => {
                names.extend(found.iter().map(|_| (name.clone(), refused)));
                asked.extend(found);
            }
            None => drop(alone.insert(name.clone())),
        }
        if !names.iter().any(|(known, _)| *known == name) && refused {
            alone.insert(name);
        }
    }
    let faults = validated(None, &asked);
    let refused_by_schema: BTreeSet<&String> =
        names.iter().zip(&faults).filter(|(_, fault)| !fault.is_empty()).map(|((name, _), _)| name).collect();
    for ((name, refused), fault) in names.iter().zip(&faults) {
        assert!(*refused || fault.is_empty(), "notariat takes {name}, the schema does not: {fault}");
    }
    alone
        .extend(names.iter().filter(|(n, refused)| *refused && !refused_by_schema.contains(n)).map(|(n, _)| n.clone()));
    let listed: BTreeSet<String> =
        REFUSED_BY_NOTARIAT_ALONE.iter().flat_map(|(_, names)| *names).map(|name| (*name).to_owned()).collect();
    assert_eq!(alone, listed, "the files that notariat alone refuses");
    assert!(refused_by_schema.len() > 90, "{}", refused_by_schema.len());
}

#[test]
fn every_example_is_taken_by_both() {
    let mut paths = Vec::new();
    ["deploy", "examples"].iter().for_each(|folder| files(folder, &mut paths));
    let mut texts: Vec<(PathBuf, String)> = paths.into_iter().map(|path| (path.clone(), read(path))).collect();
    for (path, page) in pages() {
        texts.extend(blocks(&page, "yaml").into_iter().map(|block| (path.clone(), block.to_owned())));
    }
    let (mut from, mut asked) = (Vec::new(), Vec::new());
    for (path, text) in &texts {
        for instance in instances(text).unwrap_or_else(|| panic!("{path:?}")) {
            from.push(path);
            asked.push(instance);
        }
    }
    assert!(asked.len() >= 3, "{}", asked.len());
    for (path, fault) in from.iter().zip(validated(None, &asked)) {
        assert_eq!(fault, "", "{path:?}");
    }
}

#[test]
fn the_schema_of_one_key_is_for_a_file_of_its_own() {
    let entry = json!([{"secret": "web", "domains": ["a.test"], "dns": {"ttl": 5}}]);
    for (key, good, bad) in [
        ("certificates", entry, json!([{"secret": "web", "domains": ["a.test"], "dns": {"ttl": -1}}])),
        ("defaults", json!({"adopt": true, "email": null}), json!({"secret": "web"})),
        ("issuers", json!({"letsencrypt": {"email": "a@b.test"}}), json!({"lab": {"email": "a@b.test"}})),
        ("zones", json!(null), json!([{"server": "ns1.test"}])),
        ("namespaces", json!({"*": {"domains": ["{namespace}.a.test"]}}), json!({"Team": {}})),
    ] {
        assert!(KEY_NAMES.contains(&key));
        let found = validated(Some(key), &[good, bad]);
        assert!(found[0].is_empty() && !found[1].is_empty(), "{key}: {found:?}");
    }
    Run::of(notariat().args(["schema", "zone"]))
        .ends(78)
        .says(&["schema knows certificates, defaults, issuers, namespaces, zones"]);
}

/// Texts that look like values, from parts that parsers look at.
fn texts() -> Vec<String> {
    let parts = [
        "a",
        "b1",
        "-",
        "_",
        ".",
        "*.",
        "*",
        "@",
        "/",
        ":",
        ":53",
        "[",
        "]",
        "::1",
        "é",
        "ß",
        "。",
        " ",
        "https://",
        "0",
        "7",
        "h",
        "d",
        "s",
        "m",
        "10",
        "xn--",
        "+",
        "com",
        ".test",
        "Z",
        "mailto:",
        "192.0.2.1",
        "2001:db8::",
        "",
        "\u{ad}",
        "例え",
        ".example",
        "ecdsa-p256",
        "#",
        "?",
        "\"",
        "\\",
        "~",
        "\t",
        "\u{1}",
    ];
    let (mut seed, mut all) = (0x2545_f491_4f6c_dd1d_u64, BTreeSet::new());
    for round in 0..3_000 {
        let mut text = String::new();
        for _ in 0..1 + round % 6 {
            // xorshift64
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            text.push_str(parts[usize::try_from(seed % parts.len() as u64).unwrap()]);
        }
        all.insert(text);
    }
    for number in ["0", "00", "1", "090", "720"] {
        for unit in ["s", "m", "h", "d", "h30m", "d0s", "m0s5h"] {
            all.insert(format!("{number}{unit}"));
        }
    }
    for n in [61, 62, 63, 64, 237, 239, 251, 253, 254] {
        all.insert("a".repeat(n));
        all.insert(format!("{}.{}.{}.test", "a".repeat(63), "b".repeat(63), "c".repeat(n.min(63))));
    }
    all.into_iter().collect()
}

/// The paths of all fields that hold a text, in a mapping of this table.
fn text_fields(rows: FieldTable) -> Vec<(Vec<&'static str>, bool)> {
    let field = |row: &'static config::table::FieldRow| match &row.form {
        FieldForm::Text(_) => vec![(vec![row.name], false)],
        FieldForm::List(..) | FieldForm::OneOrList(..) => vec![(vec![row.name], true)],
        FieldForm::Texts { .. } => vec![(vec![row.name, "key"], false), (vec![row.name], false)],
        FieldForm::Map(rows) => {
            text_fields(rows).into_iter().map(|(path, is_list)| ([&[row.name], &path[..]].concat(), is_list)).collect()
        }
        _ => Vec::new(),
    };
    rows.iter().flat_map(field).collect()
}

/// `base` with the text at a path. The last part of a path that leads to nothing but the text is the name of a label.
fn with(base: &Value, path: &[&str], is_list: bool, text: &str) -> Value {
    let mut whole = base.clone();
    let mut at = &mut whole;
    for part in path {
        at = &mut at[*part];
    }
    match path {
        ["labels" | "annotations"] => at[text] = json!("x"),
        _ => *at = if is_list { json!([text]) } else { json!(text) },
    }
    whole
}

#[test]
fn the_schema_takes_every_text_that_the_parser_takes() {
    let texts = texts();
    let (mut asked, mut fields) = (Vec::new(), BTreeMap::new());
    for row in &KEYS {
        let (rows, base) = match (&row.form, row.name) {
            (FieldForm::Maps(rows, _), "zones") => (rows, json!({"zone": "a.test"})),
            (FieldForm::Maps(rows, _), _) => (rows, json!({"secret": "web", "domains": ["a.test"]})),
            (FieldForm::Named { rows, .. }, "issuers") => (rows, json!({"directory": "https://ca.test/dir"})),
            (FieldForm::Named { rows, .. }, _) => (rows, json!({})),
            _ => continue,
        };
        for (path, is_list) in text_fields(rows) {
            for text in &texts {
                let item = with(&base, &path, is_list, text);
                let value = match row.form {
                    FieldForm::Named { .. } => json!({"lab": item}),
                    _ => json!([item]),
                };
                let mut keys = BTreeMap::from([(row.name, value)]);
                if path == ["issuer"] || (row.name, &path[..]) == ("namespaces", &["issuers"]) {
                    keys.insert("issuers", json!({text: {"directory": "https://ca.test/dir"}}));
                }
                let data: Data = keys.iter().map(|(key, value)| ((*key).to_owned(), value.to_string())).collect();
                let namespaces = Namespaces::new("team", &["a".to_owned(), "com".to_owned()]);
                let has_no_fault =
                    |c: config::Config| c.entries.iter().all(Result::is_ok) && c.policy.faults().next().is_none();
                if config::read(&data, &namespaces).is_ok_and(has_no_fault) {
                    *fields.entry(format!("{} {}", row.name, path.join("."))).or_insert(0) += 1;
                    asked.push(json!(keys));
                }
            }
        }
    }
    let few: Vec<_> = fields.iter().filter(|(_, n)| **n < 5).collect();
    assert!(fields.len() >= 24 && few.is_empty(), "{few:?} of {fields:?}");
    for (instance, fault) in asked.iter().zip(validated(None, &asked)) {
        assert_eq!(fault, "", "notariat takes {instance}");
    }
}

/// Validators in Go know neither look-ahead nor look-behind.
#[test]
fn patterns_are_plain() {
    let schema = Run::of(notariat().arg("schema")).ends(0).stdout;
    assert!(schema.contains("\"pattern\"") && !schema.contains("(?"), "{schema}");
}
