//! deploy/ and examples/: each folder makes what it says, and a real API server takes it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use notariat_lab::{Kube, tools};
use serde::Deserialize as _;
use serde_json::Value;

use crate::docs::{blocks, pages, read, root};
use crate::support::Run;
use crate::support::run::notariat;

/// The folders of deploy/ that can be applied, with the namespace where notariat then lives.
const FOLDERS: [(&str, &str); 10] = [
    ("", "default"),
    ("single-namespace", "default"),
    ("multi-namespace", "default"),
    ("sources", "default"),
    ("sources-prune", "default"),
    ("cluster", "notariat"),
    ("ha", "default"),
    ("http-01", "default"),
    ("with-page", "default"),
    ("beside-ingress-controller", "haproxy-controller"),
];

/// The output of `kubectl kustomize` for a folder.
fn kustomize(folder: &str) -> String {
    tools::output(Command::new(tools::tool("kubectl")).arg("kustomize").arg(root().join(folder)))
}

/// The objects of a manifest by kind, namespace and name.
fn objects(text: &str) -> BTreeMap<String, Value> {
    let documents = serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap());
    let key = |object: &Value| {
        let word = |word: &Value| word.as_str().unwrap_or("-").to_owned();
        let metadata = &object["metadata"];
        [word(&object["kind"]), word(&metadata["namespace"]), word(&metadata["name"])].join(" ")
    };
    documents.filter(|object| !object.is_null()).map(|object| (key(&object), object)).collect()
}

fn deployment(objects: &BTreeMap<String, Value>) -> &Value {
    &objects.iter().find(|(key, _)| key.starts_with("Deployment ")).unwrap().1["spec"]
}

#[test]
fn the_one_file_is_what_kustomize_makes() {
    let (file, made) = (objects(&read("deploy/notariat.yaml")), objects(&kustomize("deploy")));
    assert_eq!(made.len(), 4);
    assert_eq!(file, made, "make deploy/notariat.yaml anew: its first line says how");
    assert_eq!(made, objects(&kustomize("deploy/single-namespace")));
}

#[test]
fn image_and_version_are_the_same_everywhere() {
    let image = format!("registry.example.com/notariat:{}", env!("CARGO_PKG_VERSION"));
    for (folder, _) in FOLDERS {
        let made = objects(&kustomize(&format!("deploy/{folder}")));
        let container = &deployment(&made)["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], Value::from(image.as_str()), "{folder}");
    }
    let mut count = 0;
    for (path, page) in pages() {
        for (at, _) in page.match_indices("registry.example.com/notariat:") {
            count += 1;
            assert!(page[at..].starts_with(&image), "{}: {image}", path.display());
        }
    }
    assert!(count >= 2, "README and docs/deploying.md: {count}");
}

#[test]
fn each_folder_is_taken_and_grants_what_it_uses_and_no_more() {
    let kube = Kube::shared();
    for namespace in ["team-a", "team-b", "haproxy-controller", "ungranted"] {
        kube.kubectl(&["create", "namespace", namespace]);
    }
    for (folder, home) in FOLDERS {
        let text = kustomize(&format!("deploy/{folder}"));
        kube.kubectl_stdin(&["apply", "-f", "-"], &text);
        let made = objects(&text);
        let user = format!("--as=system:serviceaccount:{home}:notariat");
        let may = |verb: &str, what: &str, namespace: &str| {
            kube.try_kubectl(&["auth", "can-i", verb, what, "-n", namespace, &user]).is_ok()
        };
        assert!(may("update", "secrets", home) && may("get", "configmaps/notariat", home), "{folder}");
        let spec = &deployment(&made)["template"]["spec"];
        let variables = spec["containers"][0]["env"].as_array().unwrap();
        let allowed = variables.iter().find(|variable| variable["name"] == "NOTARIAT_ALLOW_NAMESPACES");
        let allowed = allowed.map_or("", |variable| variable["value"].as_str().unwrap());
        assert_eq!(
            allowed,
            if ["multi-namespace", "sources", "sources-prune", "cluster"].contains(&folder) {
                "team-a,team-b"
            } else {
                ""
            },
            "{folder}"
        );
        for namespace in ["team-a", "team-b"] {
            assert_eq!(may("update", "secrets", namespace), allowed.contains(namespace), "{folder}: {namespace}");
        }
        // The ClusterRoleBinding is the one grant that goes further than the flag.
        assert_eq!(may("update", "secrets", "ungranted"), folder == "cluster", "{folder}");
        assert!(!may("patch", "secrets", home) && !may("patch", "secrets", "team-a"), "{folder}");
        for namespace in [home, "team-a", "team-b"] {
            assert_eq!(may("delete", "secrets", namespace), folder == "sources-prune", "{folder}: {namespace}");
        }
        assert!(!may("delete", "secrets", "ungranted"), "{folder}");
        let takes_sources = folder.starts_with("sources");
        // Objects of users are read in all namespaces by these folders, and written by none.
        for kind in ["ingresses.networking.k8s.io", "services", "namespaces"] {
            assert_eq!(may("watch", kind, "ungranted"), takes_sources, "{folder}: {kind}");
            assert!(["create", "update", "delete"].iter().all(|verb| !may(verb, kind, "team-a")), "{folder}: {kind}");
        }
        assert_eq!(may("create", "events", "team-a"), takes_sources, "{folder}");
        let sources = variables.iter().any(|variable| variable["name"] == "NOTARIAT_SOURCES");
        assert_eq!(sources, takes_sources, "{folder}");
        // The next folder begins without the grants of this one.
        kube.kubectl_stdin(&["delete", "--wait=false", "-f", "-"], &text);
    }
}

#[test]
fn replicas_and_page_are_set_where_they_are_promised() {
    let of = |folder: &str| objects(&kustomize(&format!("deploy/{folder}")));
    let ha = of("ha");
    assert_eq!(
        (&deployment(&ha)["replicas"], &deployment(&ha)["strategy"]["type"]),
        (&2.into(), &"RollingUpdate".into())
    );
    let page = of("with-page");
    let container = &deployment(&page)["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], serde_json::json!(["-listen=:8080", "-page"]));
    let prune = of("sources-prune");
    let pruning = &deployment(&prune)["template"]["spec"]["containers"][0]["args"];
    assert_eq!(*pruning, serde_json::json!(["-listen=:8080", "-prune"]));
    let policy = &page["NetworkPolicy default notariat"]["spec"];
    assert_eq!(policy["podSelector"]["matchLabels"], deployment(&page)["template"]["metadata"]["labels"]);
    assert_eq!(policy["ingress"][0]["ports"][0]["port"], container["ports"][0]["containerPort"]);
}

#[test]
fn http_01_has_its_port_service_and_policy_and_no_further_right() {
    let (plain, made) = (objects(&kustomize("deploy/single-namespace")), objects(&kustomize("deploy/http-01")));
    let spec = deployment(&made);
    let container = &spec["template"]["spec"]["containers"][0];
    let variable = |name: &str| container["env"].as_array().unwrap().iter().find(|v| v["name"] == name).unwrap();
    assert_eq!(variable("NOTARIAT_HTTP_LISTEN")["value"], ":8089");
    let port = &container["ports"][1];
    assert_eq!((&port["name"], &port["containerPort"]), (&"acme".into(), &8089.into()));
    // Nobody would answer between two pods.
    let expected = serde_json::json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}});
    assert_eq!((&spec["replicas"], &spec["strategy"]), (&2.into(), &expected));
    assert_eq!(container["readinessProbe"]["httpGet"], serde_json::json!({"path": "/readyz", "port": "http"}));
    assert_eq!(container["ports"][0], deployment(&plain)["template"]["spec"]["containers"][0]["ports"][0]);

    let labels = &spec["template"]["metadata"]["labels"];
    let service = &made["Service default notariat-acme"]["spec"];
    assert_eq!(&service["selector"], labels);
    assert_eq!(
        (&service["ports"][0]["port"], &service["ports"][0]["targetPort"]),
        (&80.into(), &port["containerPort"])
    );
    let policy = &made["NetworkPolicy default notariat-acme"]["spec"];
    assert_eq!(&policy["podSelector"]["matchLabels"], labels);
    let [everybody, prometheus] = &policy["ingress"].as_array().unwrap()[..] else { panic!("{policy}") };
    assert!(everybody["from"].is_null() && everybody["ports"][0]["port"] == port["containerPort"], "{policy}");
    assert!(prometheus["from"].is_array() && prometheus["ports"][0]["port"] == 8080, "{policy}");

    // No object of another kind and no verb that the usual Role lacks: the route belongs to the operator.
    let rights = |of: &BTreeMap<String, Value>| {
        let is_right = |(key, _): &(&String, &Value)| key.starts_with("Role") || key.starts_with("ClusterRole");
        of.iter().filter(is_right).map(|(key, object)| (key.clone(), object.clone())).collect::<Vec<_>>()
    };
    assert_eq!(rights(&made), rights(&plain));
    let rights = format!("{:?}", rights(&made));
    for kind in ["ingresses", "httproutes", "services", "pods", "networkpolicies"] {
        assert!(!rights.contains(kind), "{kind}");
    }
    assert_eq!(made.len(), plain.len() + 2);
    let page = read("docs/http-01.md");
    let shown = blocks(&page, "yaml").into_iter().find(|block| block.contains("kind: Service")).unwrap();
    let shown = &objects(shown)["Service - notariat-acme"]["spec"];
    assert_eq!((&shown["selector"], &shown["ports"][0]["port"]), (&service["selector"], &service["ports"][0]["port"]));
    assert_eq!(shown["ports"][0]["targetPort"], service["ports"][0]["targetPort"]);
}

/// The YAML blocks of README.md and docs/ that are of core/v1, deploy/example.yaml and the examples.
#[test]
fn the_api_server_takes_every_example_and_check_finds_nothing_in_it() {
    let kube = Kube::shared();
    let namespace = kube.namespace();
    let mut objects = vec![read("deploy/example.yaml"), kustomize("examples/gitops")];
    let files = std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    objects.extend(files.filter(|path| path.extension().is_some_and(|e| e == "yaml")).map(|path| read(&path)));
    let pages = pages();
    let ours =
        pages.values().flat_map(|page| blocks(page, "yaml")).filter(|block| block.starts_with("apiVersion: v1\n"));
    objects.extend(ours.map(str::to_owned));
    assert!(objects.len() > 7, "{}", objects.len());
    for object in objects {
        let object = object.replace("namespace: tls", &format!("namespace: {namespace}"));
        let taken = kube.kubectl_stdin(&["-n", &namespace, "apply", "--dry-run=server", "-f", "-"], &object);
        assert!(taken.contains("(server dry run)"), "{taken}: {object}");
        let file = notariat_lab::Scratch::new("example");
        let file = file.write("example.yaml", &object);
        let flags = ["check", "-target=edge=E,lab=L", "-allow-namespaces=team-a,team-b,lab:shop", "-f"];
        let check = Run::of(notariat().args(flags).arg(file)).ends(0);
        let is_ok = |line: &str| line.starts_with("ok ");
        assert!(check.stdout.lines().all(is_ok) || !object.contains("kind: ConfigMap"), "{}: {object}", check.stdout);
    }
}

/// A folder that nobody lists is one that nobody tries.
#[test]
fn every_folder_and_example_is_listed() {
    let (page, examples) = (read("docs/deploying.md"), read("examples/README.md"));
    let names = |folder: &str| {
        let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.is_dir(), path.file_name().unwrap().to_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    for (_, name) in names("deploy").into_iter().filter(|(is_folder, _)| *is_folder) {
        let is_tried =
            FOLDERS.iter().any(|(folder, _)| *folder == name) && page.contains(&format!("`-k deploy/{name}/`"));
        let is_elsewhere = !Path::new("deploy").join(&name).join("kustomization.yaml").exists();
        assert!(is_tried || is_elsewhere, "deploy/{name}");
    }
    for (_, name) in names("examples").into_iter().filter(|(_, name)| name != "README.md") {
        assert!(examples.contains(&format!("[{name}")), "examples/{name}");
    }
}
