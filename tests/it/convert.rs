//! `notariat convert`: every input of tests/vectors/cert-manager/ becomes ConfigMaps that are read without a fault.

mod guide;
mod http;
mod operator;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output};

use notariat::config;
use notariat::config::namespaces::Namespaces;
use notariat_lab::{Kube, Scratch};
use serde::Deserialize as _;
use serde_json::Value;

use crate::support::run::notariat;

/// The inputs and what is printed for them.
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
        let namespaces = Namespaces::new(&namespace, &["shop", "blog", "ops", "edge"].map(str::to_owned));
        let config = config::read(&data, &namespaces).unwrap_or_else(|e| panic!("{e}\n{yaml}"));
        assert!(config.entries.iter().all(Result::is_ok) && config.warnings.is_empty(), "{config:#?}");
        found.insert(namespace, config);
    }
    found
}

#[test]
fn what_is_printed_is_read_without_a_fault_and_each_thing_lost_has_a_sentence() {
    for (file, arguments, code, namespaces) in [
        ("plain", &[][..], 0, &["team"][..]),
        ("everything", &[], 1, &["team-a", "team-b"]),
        ("hostile", &[], 1, &["team"]),
        ("line-breaks", &[], 1, &["team"]),
        ("one-object", &[], 1, &[]),
        ("keys", &[], 0, &["other", "team"]),
        ("zones", &[], 1, &["team"]),
        ("http", &[], 1, &["gate", "single", "team"]),
        ("secrets", &[], 0, &["team"]),
        ("cluster-resources", &["-cluster-resource-namespace", "kube-system"], 0, &["team"]),
        ("cluster", &["-one", "-namespace", "certs"], 1, &["certs"]),
    ] {
        let done = convert(vectors().join(format!("{file}.json")), arguments);
        let (yaml, log) = (text(&done.stdout), text(&done.stderr));
        assert_eq!(done.status.code(), Some(code), "{file}: {log}");
        assert_eq!(read(yaml).keys().collect::<Vec<_>>(), namespaces, "{file}");
        // The table comes last; its first line has the counts.
        let said: Vec<&str> = log.lines().take_while(|line| line.starts_with("notariat: ")).collect();
        assert!(log.lines().nth(said.len()).is_some_and(|line| line.starts_with("CERTIFICATE ")), "{log}");
        // What has no effect is said, and is no loss.
        let lost = said.iter().filter(|line| !line.contains(" has no effect: ")).count();
        assert_eq!(lost == 1, code == 0, "{log}");
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
    let is_command = |line: &str| line.starts_with("#secrets") || line.starts_with("#handover");
    assert!(!yaml.lines().any(|line| is_command(line) && line.contains("evil")), "{yaml}");
    assert!(yaml.contains("# - Delete by hand: Certificate team/a\\nevil: b\n"), "{yaml}");
    let config = &read(yaml)["team"];
    let entry = config.entries[0].as_ref().unwrap();
    assert_eq!(entry.annotations["note"], "a\"\nevil: true\n");
    assert_eq!(config.issuers["ca"].preferred_chain.as_deref(), Some("a\nevil: true\n# b"));
}

/// The findings of our own reader, and the texts of the data.
fn objects(yaml: &str) -> Value {
    let documents = serde_yaml::Deserializer::from_str(yaml).map(|document| Value::deserialize(document).unwrap());
    // A document of comments alone is none.
    let documents = documents.filter(|document| !document.is_null());
    let with_inner = documents.map(|object| {
        let data = object["data"].as_object().unwrap().iter();
        let inner = data.map(|(key, text)| (key.clone(), serde_yaml::from_str(text.as_str().unwrap()).unwrap()));
        let inner = Value::Object(inner.collect());
        serde_json::json!([object, inner])
    });
    with_inner.collect()
}

#[test]
fn other_readers_of_yaml_find_the_same_objects_and_no_more() {
    // Debian's Python: it has the packages of the lab's group `tools`.
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/convert/readers.py");
    for file in ["plain", "everything", "hostile", "line-breaks", "zones"] {
        let input = vectors().join(format!("{file}.json"));
        let yaml = convert(input.clone(), &[]).stdout;
        let folder = Scratch::new("convert");
        let manifest = folder.write("manifest.yaml", text(&yaml));
        let read =
            Command::new("/usr/bin/python3").arg(&script).stdin(File::open(&manifest).unwrap()).output().unwrap();
        let lacks = "do python3-yaml and python3-ruamel.yaml lack? tests/lab/install tools";
        assert!(read.status.success(), "{file}: {}\n{lacks}", String::from_utf8_lossy(&read.stderr));
        let found: BTreeMap<String, Value> = serde_json::from_slice(&read.stdout).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["PyYAML", "ruamel.yaml"]);
        let ours = objects(text(&yaml));
        for (reader, theirs) in found {
            assert_eq!(theirs, ours, "{reader} reads {file} in another way");
        }
        // The reader that applies it. With --local no server is asked.
        let local = ["label", "--local", "-o", "jsonpath={.kind} {.data}{'\\n'}", "a=b", "-f"];
        let kubectl = Kube::shared().kubectl(&[&local[..], &[manifest.to_str().unwrap()]].concat());
        let of_kubectl: Vec<Value> = kubectl
            .lines()
            .map(|line| serde_json::from_str(line.strip_prefix("ConfigMap ").unwrap()).unwrap())
            .collect();
        let data: Vec<&Value> = ours.as_array().unwrap().iter().map(|object| &object[0]["data"]).collect();
        assert_eq!(of_kubectl.iter().collect::<Vec<_>>(), data, "kubectl reads {file} in another way");
        assert!(yaml.iter().all(|c| matches!(c, b'\n' | b' '..=b'~')), "{file} has more than printable ASCII");
        if file == "line-breaks" {
            let given: Value = serde_json::from_reader(File::open(input).unwrap()).unwrap();
            let given = &given["items"][2]["spec"]["secretTemplate"]["annotations"];
            assert_eq!(ours[0][1]["certificates"][0]["annotations"], *given);
        }
    }
}

#[test]
fn a_namespace_and_a_name_can_be_chosen_and_what_is_no_such_json_is_refused() {
    let one = convert(vectors().join("everything.json"), &["-namespace", "team-a"]);
    assert_eq!(read(text(&one.stdout)).keys().collect::<Vec<_>>(), ["team-a"]);
    let named = convert(vectors().join("plain.json"), &["-config", "certs"]);
    assert!(text(&named.stdout).contains("  name: \"certs\"\n"));
    let folder = Scratch::new("convert");
    for (input, part) in [
        ("{", "is not JSON"),
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

#[test]
fn nothing_to_convert_is_said_and_ends_with_1() {
    let folder = Scratch::new("convert");
    let plain = std::fs::read_to_string(vectors().join("plain.json")).unwrap();
    for (input, arguments, part) in [
        ("", &[][..], "standard input is empty (did the command before the pipe fail?)"),
        ("\n", &[], "standard input is empty"),
        (r#"{"items": []}"#, &[], "standard input has no Certificate"),
        (&plain, &["-namespace", "other"], "none of the 1 Certificates is in other"),
        (&plain, &["-one", "-namespace", "certs", "-allow-namespaces", "a,b"], "is in certs, a, b"),
    ] {
        let done = convert(folder.write("input", input), arguments);
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(1), ""), "{input}");
        assert!(text(&done.stderr).contains(part), "{input}: {}", text(&done.stderr));
    }
}

#[test]
fn one_config_map_for_all_needs_its_namespace_and_leaves_out_those_that_are_not_allowed() {
    let run = |arguments: &[&str]| convert(vectors().join("cluster.json"), arguments);
    let refused = run(&["-one"]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(text(&refused.stderr).contains("-one needs -namespace"));
    let some = run(&["-one", "-namespace", "ops", "-allow-namespaces", "blog"]);
    let config = &read(text(&some.stdout))["ops"];
    let secrets: Vec<String> = config.entries.iter().map(|e| e.as_ref().unwrap().main_secret().to_string()).collect();
    assert_eq!(secrets, ["blog/blog-tls", "blog/feed-tls", "ops/grafana-tls", "ops/vpn-tls"]);
    assert!(
        text(&some.stderr).contains("5 Certificates: 4 carried over, 1 left out; 5 of other namespaces passed over")
    );
    assert!(text(&some.stdout).contains("\n#    Its flags: -namespace ops -allow-namespaces blog\n"));
}

/// The commands behind a mark.
fn commands<'y>(yaml: &'y str, mark: &str) -> Vec<&'y str> {
    yaml.lines().filter_map(|line| line.strip_prefix(mark)?.strip_prefix(": ")).collect()
}

#[test]
fn the_certificates_to_delete_are_those_that_were_carried_over() {
    for (file, arguments, expected) in [
        (
            "cluster",
            &["-one", "-namespace", "certs"][..],
            "blog: blog feed|edge: proxy|ops: grafana vpn|shop: web api landing",
        ),
        ("everything", &[], "team-a: shop|team-b: inside"),
        ("one-object", &[], ""),
    ] {
        let done = convert(vectors().join(format!("{file}.json")), arguments);
        let deleted: Vec<String> = commands(text(&done.stdout), "#handover")
            .into_iter()
            .filter_map(|line| {
                let (namespace, names) = line
                    .strip_prefix("kubectl -n ")?
                    .split_once(" delete certificates.cert-manager.io --cascade=orphan ")?;
                Some(format!("{namespace}: {names}"))
            })
            .collect();
        assert_eq!(deleted.join("|"), expected, "{file}");
    }
}

#[test]
fn keys_that_differ_have_secrets_that_differ_and_no_name_is_one_that_is_taken() {
    let done = convert(vectors().join("keys.json"), &[]);
    let all = read(text(&done.stdout));
    let of = |namespace: &str| -> Vec<String> {
        let entries = all[namespace].entries.iter().map(|e| e.as_ref().unwrap());
        entries.map(|e| format!("{} {}", e.domains[0], e.tsig_secret.as_ref().unwrap().name)).collect()
    };
    let expected = [
        "a.site.test tsig-secret",
        "b.site.test tsig-secret-2",
        "c.site.test tsig-secret-3",
        "d.site.test tsig-secret-4",
        "e.site.test x-a-b-2",
        "f.site.test x-a-b-3",
        "a.site.test tsig-secret",
        "d.site.test tsig-secret-4",
    ];
    assert_eq!(of("team"), expected);
    assert_eq!(of("other"), ["g.site.test tsig-secret"]);
}

/// The account, the external account binding and the CA's roots; the guide's test has the TSIG keys.
#[test]
fn the_commands_make_the_secrets_that_the_config_map_names() {
    let kube = Kube::shared();
    let namespace = kube.namespace();
    let folder = Scratch::new("convert");
    let input = std::fs::read_to_string(vectors().join("secrets.json")).unwrap();
    let done = convert(folder.write("input", &input.replace("\"team\"", &format!("{namespace:?}"))), &[]);
    let yaml = text(&done.stdout);
    let make = |name: &str, from: &str| {
        kube.kubectl(&["-n", &namespace, "create", "secret", "generic", name, &format!("--from-literal={from}")]);
    };
    make("tsig", "secret=MDEyMzQ1Njc4OWFiY2RlZg==\n");
    make("account", "account.pem=-----BEGIN\nx\n-----END\n");
    make("eab", "mac.key=c2VjcmV0");
    let [account, binding, roots, tsig] = commands(yaml, "#secrets")[..] else { panic!("{yaml}") };
    assert!(roots.contains("get issuers.cert-manager.io private.ca -o jsonpath='{.spec.acme.caBundle}'"), "{roots}");
    for command in [account, binding, tsig] {
        let made =
            Command::new("sh").args(["-ec", command]).env("KUBECONFIG", kube.admin_kubeconfig()).output().unwrap();
        assert!(made.status.success(), "{command}: {}", text(&made.stderr));
    }
    let get = |name: &str, key: &str| {
        let path = format!("go-template={{{{index .data {key:?} | base64decode}}}}");
        kube.kubectl(&["-n", &namespace, "get", "secret", name, "-o", &path])
    };
    assert_eq!(get("tsig-secret", "key"), "hmac-sha256:certs:MDEyMzQ1Njc4OWFiY2RlZg==");
    assert_eq!(get("account-account-pem", "tls.key"), "-----BEGIN\nx\n-----END\n");
    assert_eq!((get("eab-mac-key", "hmacKey"), get("eab-mac-key", "kid")), ("c2VjcmV0".to_owned(), "kid-1".to_owned()));
    // Where the original is missing nothing is made.
    kube.kubectl(&["-n", &namespace, "delete", "secret", "tsig", "tsig-secret"]);
    let made = Command::new("sh").args(["-c", tsig]).env("KUBECONFIG", kube.admin_kubeconfig()).output().unwrap();
    assert!(!made.status.success() && kube.try_kubectl(&["-n", &namespace, "get", "secret", "tsig-secret"]).is_err());
    kube.kubectl(&["apply", "-f", &folder.write("manifest.yaml", yaml).display().to_string()]);
    let applied =
        kube.kubectl(&["-n", &namespace, "get", "configmap", "notariat", "-o", "jsonpath={.data.certificates}"]);
    assert!(applied.contains(r#"tsigSecretName: "tsig-secret""#), "{applied}");
}
