//! The kinds of the Gateway API under tests/vectors on the real kube-apiserver, and the examples of the older systems.

use notariat_lab::Kube;

const CRDS: &str = include_str!("../vectors/gateway-api/crds.yaml");

const SEEDS: [&str; 3] = [
    include_str!("../vectors/seeds/kube-lego.yaml"),
    include_str!("../vectors/seeds/gardener.yaml"),
    include_str!("../vectors/seeds/faythe.yaml"),
];

/// Teaches the API server the kinds.
pub fn with_crds(kube: &Kube) {
    kube.kubectl_stdin(&["apply", "-f", "-"], CRDS);
    kube.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
}

fn gateway(name: &str, listener: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: {name}}}, spec: {{gatewayClassName: c, listeners: [{listener}]}}}}"
    )
}

fn route(kind: &str, name: &str, hosts: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: {kind}, metadata: {{name: {name}}}, spec: {{parentRefs: [{{name: g}}], hostnames: [{hosts}], rules: [{{name: kept}}]}}}}"
    )
}

#[test]
fn the_api_server_takes_what_a_reader_meets_and_refuses_the_rest() {
    let kube = Kube::shared();
    with_crds(kube);
    let namespace = kube.namespace();
    let apply = |text: &str| {
        let manifest = std::env::temp_dir().join(format!("{namespace}-gateway-api.yaml"));
        // Without a line before it kubectl takes the text for JSON.
        std::fs::write(&manifest, format!("---\n{text}")).unwrap();
        let applied = kube.try_kubectl(&["apply", "-n", &namespace, "-f", manifest.to_str().unwrap()]);
        std::fs::remove_file(&manifest).unwrap();
        applied
    };
    let many = |count: usize| {
        let listener = |i: usize| format!("{{name: l{i}, port: 443, protocol: HTTPS}}");
        (0..count).map(listener).collect::<Vec<_>>().join(", ")
    };
    let hosts = |count: usize| (0..count).map(|i| format!("h{i}.a.test")).collect::<Vec<_>>().join(", ");
    let https = |rest: &str| format!("{{name: l, port: 443, protocol: HTTPS, {rest}}}");
    for (name, manifest) in [
        ("no host", gateway("a", &https("tls: {certificateRefs: [{name: s}]}"))),
        ("an address as host", gateway("b", &https("hostname: 10.0.0.1"))),
        ("a wildcard", gateway("c", &https("hostname: '*.a.test'"))),
        ("two references", gateway("d", &https("tls: {certificateRefs: [{name: s}, {name: r}]}"))),
        ("another namespace", gateway("e", &https("tls: {certificateRefs: [{name: s, namespace: x}]}"))),
        ("another kind", gateway("f", &https("tls: {certificateRefs: [{name: Bad_Name, kind: Other}]}"))),
        ("options", gateway("g", &https("tls: {options: {a: b}}"))),
        ("passthrough", gateway("h", "{name: l, port: 443, protocol: TLS, tls: {mode: Passthrough}}")),
        ("64 listeners", gateway("i", &many(64))),
        ("16 hosts", route("HTTPRoute", "a", &hosts(16))),
        ("GRPC", route("GRPCRoute", "a", "x.a.test")),
        ("1024 hosts", route("TLSRoute", "a", &hosts(1_024))),
    ] {
        assert!(apply(&manifest).is_ok(), "{name}: {:?}", apply(&manifest));
    }
    for (name, manifest) in [
        ("an empty host", gateway("z", &https("hostname: ''"))),
        ("every host", gateway("z", &https("hostname: '*'"))),
        ("upper case", gateway("z", &https("hostname: A.test"))),
        ("a dot at the end", gateway("z", &https("hostname: a.test."))),
        ("65 listeners", gateway("z", &many(65))),
        ("an unknown mode", gateway("z", &https("tls: {mode: Other}"))),
        ("a name twice", gateway("z", &format!("{}, {}", https("hostname: a.test"), https("hostname: b.test")))),
        ("upper case in a route", route("HTTPRoute", "z", "A.test")),
        ("17 hosts", route("HTTPRoute", "z", &hosts(17))),
    ] {
        let refused = apply(&manifest).expect_err(name);
        assert!(refused.contains("nvalid"), "{name}: {refused}");
    }

    // The defaults that readers rely on, and fields that nobody here knows.
    let text = |object: &str, path: &str| {
        kube.kubectl(&["get", "-n", &namespace, object, "-o", &format!("jsonpath={{{path}}}")])
    };
    assert_eq!(
        text("gateway/a", ".spec.listeners[0].tls"),
        r#"{"certificateRefs":[{"kind":"Secret","name":"s"}],"mode":"Terminate"}"#
    );
    assert_eq!(text("gateway/a", ".spec.listeners[0].allowedRoutes"), r#"{"namespaces":{"from":"Same"}}"#);
    assert_eq!(text("httproute/a", ".spec.parentRefs[0].kind"), "Gateway");
    assert_eq!(text("httproute/a", ".spec.rules[0].name"), "kept");
    let set = "{apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: l}, spec: {parentRef: {name: a}, listeners: [{name: l, port: 443, protocol: HTTPS, hostname: x.a.test, tls: {certificateRefs: [{name: s}]}}]}}";
    apply(set).unwrap();
    assert_eq!(text("listenerset/l", ".spec.parentRef.kind"), "Gateway");
}

#[test]
fn the_api_server_takes_the_examples_of_the_older_systems() {
    let kube = Kube::shared();
    with_crds(kube);
    for seeds in SEEDS {
        for manifest in seeds.split("\n---\n") {
            // The namespaces of the examples are those of other tests, too: nothing is stored.
            for namespace in ["echoserver", "kube-lego"] {
                kube.try_kubectl(&["create", "namespace", namespace]).ok();
            }
            let applied = kube.kubectl_stdin(&["create", "--dry-run=server", "-f", "-"], manifest);
            assert!(applied.contains("created (server dry run)"), "{applied}");
        }
    }
}
