//! `notariat check -resources` on an API server with cert-manager's kinds: what it says before a hand-over, with which rights, and that it
//! only reads. The lines of each field and object are the unit tests of src/tools/check/resources.

use std::path::{Path, PathBuf};

use notariat_lab::{Kube, Scratch};
use serde_json::{Value, json};

use crate::support::Run;
use crate::support::run::notariat;

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn check(kubeconfig: &Path, more: &[&str]) -> Run {
    Run::of(notariat().args(["check", "-resources", "-kubeconfig"]).arg(kubeconfig).args(more))
}

/// Asserts that a line begins with each text.
#[track_caller]
fn says(run: &Run, code: i32, starts: &[&str]) {
    for start in starts {
        assert!(
            run.stdout.lines().any(|line| line.starts_with(start)),
            "{start}\nis not in:\n{}{}",
            run.stdout,
            run.log
        );
    }
    assert_eq!(run.code, code, "{}{}", run.stdout, run.log);
}

fn apply(kube: &Kube, object: &Value) {
    kube.kubectl_stdin(&["apply", "-f", "-"], &object.to_string());
}

/// cert-manager's objects of tests/vectors/cert-manager/cluster.json: those that would be served, and the others.
fn objects(kube: &Kube, is_chosen: impl Fn(&Value) -> bool) {
    let all = std::fs::read_to_string(file("tests/vectors/cert-manager/cluster.json")).unwrap();
    let all: Value = serde_json::from_str(&all).unwrap();
    all["items"].as_array().unwrap().iter().filter(|object| is_chosen(object)).for_each(|object| apply(kube, object));
}

fn is_refused(object: &Value) -> bool {
    matches!(object["metadata"]["name"].as_str(), Some("wiki" | "mesh"))
}

fn tsig(kube: &Kube, namespace: &str, key: &str) {
    let literal = format!("--from-literal={key}=MDEyMzQ1Njc4OWFiY2RlZg==");
    kube.kubectl(&["-n", namespace, "create", "secret", "generic", "tsig", &literal]);
}

/// A ServiceAccount with these rules in the whole cluster.
fn account(kube: &Kube, name: &str, rules: &Value) -> PathBuf {
    kube.kubectl(&["-n", "default", "create", "serviceaccount", name]);
    let (api, metadata) = ("rbac.authorization.k8s.io/v1", json!({"name": name}));
    apply(kube, &json!({"apiVersion": api, "kind": "ClusterRole", "metadata": metadata.clone(), "rules": rules}));
    kube.kubectl(&[
        "create",
        "clusterrolebinding",
        name,
        "--clusterrole",
        name,
        "--serviceaccount",
        &format!("default:{name}"),
    ]);
    kube.kubeconfig_with_bearer(&kube.service_account_token("default", name))
}

#[test]
fn before_a_hand_over_everything_in_its_way_is_said_and_nothing_is_written() {
    let kube = Kube::start();
    for namespace in ["shop", "blog", "ops", "edge", "cert-manager"] {
        kube.kubectl(&["create", "namespace", namespace]);
    }
    let nothing = check(kube.admin_kubeconfig(), &[]);
    says(&nothing, 0, &["warning  cert-manager: certificates.cert-manager.io is no kind of this cluster"]);
    kube.kubectl(&["apply", "-f", file("tests/it/convert/crds.yaml").to_str().unwrap()]);
    objects(&kube, |object| !is_refused(object));
    for (namespace, key) in [("cert-manager", "secret"), ("blog", "secret"), ("ops", "other")] {
        tsig(&kube, namespace, key);
    }

    // Read with the rights of docs/check.md.
    let page = crate::docs::read("docs/check.md");
    let rules = crate::docs::blocks(&page, "yaml").into_iter().find(|block| block.contains("clusterissuers")).unwrap();
    let rules: Value = serde_yaml::from_str::<Value>(rules).unwrap()["rules"].clone();
    let reader = account(&kube, "reader", &rules);
    let run = check(&reader, &[]);
    says(
        &run,
        1,
        &[
            "ok       ClusterIssuer letsencrypt: would be served as it is",
            "ok       Certificate shop/web: would be served as it is",
            "ok       Certificate shop/landing: would be served as it is",
            "fault    Issuer ops/dns: the Secret ops/tsig has no data key \"secret\", for a TSIG key",
            "fault    Certificate ops/grafana: one.site.test has a solver that can not be used: the Secret ops/tsig has no data key",
            "ok       cert-manager: Certificates: 8; would be served: 7; refused: 1; in flight: 0",
        ],
    );
    kube.kubectl(&["-n", "ops", "delete", "secret", "tsig"]);
    tsig(&kube, "ops", "secret");
    check(&reader, &[]).ends(0);
    let elsewhere = check(&reader, &["-cluster-resource-namespace", "kube-system"]);
    says(
        &elsewhere,
        1,
        &["fault    ClusterIssuer letsencrypt: the Secret kube-system/tsig does not exist, for a TSIG key"],
    );

    in_the_way(&kube);
    let run = check(&reader, &[]);
    says(
        &run,
        1,
        &[
            "fault    Certificate ops/wiki: wiki.wiki.test is proved by DNS-01 at the provider \"cloudflare\"",
            "ok       Issuer edge/mesh: is no ACME issuer",
            "fault    Certificate edge/mesh: its Issuer \"mesh\" is not an ACME issuer: its Secret is left as it is",
            "ok       Certificate shop/web: would be served as it is",
            "fault    Certificate shop/web: cert-manager is at an order for it (Issuing): wait",
            "fault    Order shop/web-1: is open (pending)",
            "fault    Challenge shop/web-1: has ended and has a finalizer",
            "fault    CertificateRequests: 1 belong to no Certificate (in shop)",
            "warning  Ingress shop/api: cert-manager.io/cluster-issuer asks cert-manager for Certificates",
            "fault    CustomResourceDefinition certificaterequestpolicies.policy.cert-manager.io: approver-policy is here",
            "fault    ValidatingWebhookConfiguration cert-manager-webhook: asks the Service cert-manager/cert-manager-webhook, which has no ready pod",
            "ok       cert-manager: Certificates: 10; would be served: 8; refused: 2; in flight: 3",
        ],
    );
    let json: Value = serde_json::from_str(&check(&reader, &["-o", "json"]).ends(1).stdout).unwrap();
    assert_eq!((&json["sound"], &json["lines"][0]["level"]), (&false.into(), &"ok".into()));

    // A pod is there: its Endpoints have an address.
    let ready = json!([{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 443}]}]);
    let metadata = json!({"name": "cert-manager-webhook", "namespace": "cert-manager"});
    apply(&kube, &json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": ready}));
    assert!(!check(&reader, &[]).stdout.contains("no ready pod"));

    // What may not be read is not "none", and changes no exit code to 0.
    let blind = check(&account(&kube, "blind", &json!([])), &[]);
    says(&blind, 75, &["fault    all certificates: could not look: ", "fault    all orders: could not look: "]);
    assert_eq!(blind.stdout.matches(": could not look: ").count(), 12, "{}", blind.stdout);
    let without = json!([{"apiGroups": ["cert-manager.io"], "resources": ["certificates"], "verbs": ["list"]}]);
    let half = check(&account(&kube, "half", &without), &[]);
    says(&half, 1, &["fault    Certificate shop/api: could not look at its issuer \"letsencrypt\""]);
    assert!(
        !half.stdout.contains("does not exist") && !half.stdout.contains("would be served as it is"),
        "{}",
        half.stdout
    );

    let of_readers = |user: &str| ["reader", "blind", "half"].iter().any(|name| user.ends_with(&format!(":{name}")));
    let asked: Vec<_> = kube.audit().into_iter().filter(|asked| of_readers(&asked.user)).collect();
    assert!(!asked.is_empty() && asked.iter().all(|asked| matches!(asked.verb.as_str(), "get" | "list")), "{asked:?}");
}

/// The hindrances of a hand-over. The webhook comes last: no object of cert-manager can be written from then on.
fn in_the_way(kube: &Kube) {
    objects(kube, |object| is_refused(object) || object["kind"] != "Certificate");
    let acme = "acme.cert-manager.io/v1";
    let metadata = json!({"name": "web-1", "namespace": "shop"});
    let order = json!({"apiVersion": acme, "kind": "Order", "metadata": metadata.clone(), "spec": {}});
    apply(kube, &order);
    let mut challenge = json!({"apiVersion": acme, "kind": "Challenge", "metadata": metadata.clone(), "spec": {}});
    challenge["metadata"]["finalizers"] = json!(["acme.cert-manager.io/finalizer"]);
    apply(kube, &challenge);
    apply(
        kube,
        &json!({"apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest", "metadata": metadata, "spec": {}}),
    );
    let issuing = json!({"conditions": [{"type": "Issuing", "status": "True"}]});
    for (kind, name, status) in [
        ("certificates.cert-manager.io", "web", issuing),
        ("orders.acme.cert-manager.io", "web-1", json!({"state": "pending"})),
        ("challenges.acme.cert-manager.io", "web-1", json!({"state": "valid"})),
    ] {
        let object = kube.kubectl(&["-n", "shop", "get", kind, name, "-o", "json"]);
        let mut object: Value = serde_json::from_str(&object).unwrap();
        object["status"] = status;
        let (plural, group) = kind.split_once('.').unwrap();
        let path = format!("/apis/{group}/v1/namespaces/shop/{plural}/{name}/status");
        kube.kubectl_stdin(&["replace", "--raw", &path, "-f", "-"], &object.to_string());
    }
    let annotations = json!({"cert-manager.io/cluster-issuer": "letsencrypt"});
    let backend = json!({"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}});
    let metadata = json!({"name": "api", "namespace": "shop", "annotations": annotations});
    apply(
        kube,
        &json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": backend}),
    );
    let crds = std::fs::read_to_string(file("tests/it/convert/crds.yaml")).unwrap();
    let policy = crds.split("---\n").find(|crd| crd.contains("kind: ClusterIssuer")).unwrap();
    let policy = policy.replace("clusterissuer", "certificaterequestpolicy").replace("policys", "policies");
    let policy = policy
        .replace("ClusterIssuer", "CertificateRequestPolicy")
        .replace("cert-manager.io", "policy.cert-manager.io");
    kube.kubectl_stdin(&["apply", "--validate=false", "-f", "-"], &policy);
    let rules = json!([{"apiGroups": ["cert-manager.io", "acme.cert-manager.io"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["*/*"]}]);
    let service =
        json!({"service": {"namespace": "cert-manager", "name": "cert-manager-webhook", "path": "/validate"}});
    let webhook = json!({"name": "webhook.cert-manager.io", "rules": rules, "clientConfig": service, "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"]});
    let metadata = json!({"name": "cert-manager-webhook"});
    apply(
        kube,
        &json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": metadata, "webhooks": [webhook]}),
    );
}

#[test]
fn a_manifest_is_examined_without_a_cluster() {
    let run =
        |arguments: &[&str]| Run::of(notariat().args(["check", "-resources"]).args(arguments).env_remove("KUBECONFIG"));
    let vector = |name: &str| file(&format!("tests/vectors/cert-manager/{name}.json")).display().to_string();
    says(
        &run(&["-f", &vector("plain")]),
        0,
        &["ok       cert-manager: Certificates: 1; would be served: 1; refused: 0; in flight: 0"],
    );
    let everything = run(&["-f", &vector("everything")]);
    says(
        &everything,
        1,
        &[
            "fault    Certificate team-a/odd: keystores: a Secret gets `tls.crt` and `tls.key`",
            "fault    Certificate team-b/aws: its issuer \"pca\" is of the kind \"AWSPCAClusterIssuer\"",
            "ok       Certificate team-a/shop: revisionHistoryLimit has no effect: ",
        ],
    );
    assert!(!everything.stdout.contains("could not look"), "{}", everything.stdout);
    // No value leaves its line.
    let hostile = run(&["-f", &vector("hostile")]).ends(1);
    assert!(!hostile.stdout.lines().any(|line| line.trim_start().starts_with("evil")), "{}", hostile.stdout);
    let folder = Scratch::new("resources");
    let yaml = "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: a, namespace: b}\nspec: {secretName: a, dnsNames: [a.test], issuerRef: {name: c}}\n";
    let yaml = folder.write("certificate.yaml", yaml).display().to_string();
    says(&run(&["-f", &yaml]), 1, &["fault    Certificate b/a: its issuer \"c\" does not exist"]);
    for (arguments, part) in [
        (&["-f", "/nowhere"][..], "-f /nowhere: "),
        (&["-f", &yaml, "-role", &yaml], "-role is for ConfigMaps"),
        (&["-local", "/tmp"], "-resources needs an API server"),
        (&["-o", "yaml"], "-o \"yaml\" is not json"),
        (&["-cluster-resource-namespace", "A_b"], "-cluster-resource-namespace \"A_b\" is not a namespace"),
    ] {
        let run = run(arguments).ends(78);
        assert!(run.log.contains(part), "{arguments:?}: {}", run.log);
    }
    let alone = Run::of(notariat().args(["check", "-config", "a", "-cluster-resource-namespace", "b"])).ends(78);
    assert!(
        alone.log.contains("-cluster-resource-namespace goes with -resources, or with -sources cert-manager"),
        "{}",
        alone.log
    );
}
