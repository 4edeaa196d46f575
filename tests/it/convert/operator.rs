//! The cluster and the machine of the guide's test: cert-manager's objects, and what it would have made of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat_lab::{Grant, Hmac, Key, Kube, NameServer, Pebble, Port, Resolver, Scratch, Software, Zone, tools};
use serde_json::{Value, json};

use super::vectors;
use crate::docs::{blocks, read};
use crate::support::run::notariat;
use crate::support::site::ZONE;
use crate::support::{Run, Site};

/// Secret, names and issuer (kind, name) of the Certificates that are carried over. The solver of www.landing.test is an HTTP-01 solver.
pub const MOVED: [(&str, &str, &str, &str); 8] = [
    ("shop/web-tls", "www.site.test, a.site.test", "ClusterIssuer", "letsencrypt"),
    ("shop/api-tls", "b.site.test", "ClusterIssuer", "letsencrypt"),
    ("shop/landing-tls", "www.landing.test", "ClusterIssuer", "letsencrypt"),
    ("blog/blog-tls", "c.site.test, '*.c.site.test'", "Issuer", "dns"),
    ("blog/feed-tls", "d.site.test", "Issuer", "dns"),
    ("ops/grafana-tls", "one.site.test", "Issuer", "dns"),
    ("ops/vpn-tls", "three.site.test", "ClusterIssuer", "letsencrypt"),
    ("edge/proxy-tls", "e.site.test", "ClusterIssuer", "letsencrypt"),
];

/// A cluster in which cert-manager has worked, and the machine of an operator.
pub struct Operator {
    pub kube: Kube,
    pub site: Site,
    /// The folder in which the commands run; `HOME` and the programs are in it.
    pub folder: Scratch,
    /// The port on which HTTP-01 challenges are answered. The CA asks it: a front would hand the requests through.
    pub responder: Port,
}

impl Operator {
    pub fn new() -> Operator {
        let keys = [("certs", Hmac::Sha256), ("blog", Hmac::Sha512), ("ops", Hmac::Sha256)];
        let keys = keys.map(|(name, hmac)| Key::new(name, hmac));
        let zone = keys.iter().fold(Zone::new(ZONE), |zone, key| zone.grant(Grant::Zone(key)));
        let landing = Zone::new("landing.test").grant(Grant::Zone(&keys[0])).line("www A 127.0.0.1");
        let dns = NameServer::setup(Software::Bind).zone(zone).zone(landing).start();
        let resolver = Resolver::setup().forward(ZONE, dns.addr()).forward("landing.test", dns.addr()).start();
        let responder = Port::new();
        let pebble = Pebble::setup().http_port(responder.number()).dns_server(resolver.addr()).start();
        let mut site = Site { store: Scratch::new("store"), dns, resolver, pebble, key: keys[0].clone() };
        site.start_over();
        let operator = Operator { kube: Kube::start(), site, folder: Scratch::new("operator"), responder };
        operator.install_programs();
        operator.fill(&keys);
        operator
    }

    /// `kubectl` and `notariat` of the lab, first in PATH; what a page can not know stands in the environment.
    fn install_programs(&self) {
        let config = std::fs::read_to_string(self.kube.admin_kubeconfig()).unwrap();
        self.folder.write(".kube/config", &config);
        let kubectl = format!("#!/bin/sh\nexec {} \"$@\"\n", tools::tool("kubectl").display());
        self.folder.write("bin/kubectl", &kubectl);
        let program = notariat().get_program().to_string_lossy().into_owned();
        self.folder.write("bin/notariat", &format!("#!/bin/sh\nexec {program} \"$@\"\n"));
        tools::output(Command::new("chmod").args(["+x", "-R"]).arg(self.folder.join("bin")));
    }

    /// The namespaces, cert-manager's kinds, its objects, the Secrets that they name, and those that it made.
    fn fill(&self, keys: &[Key; 3]) {
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/convert/crds.yaml");
        self.kube.kubectl(&["apply", "-f", crds.to_str().unwrap()]);
        for namespace in ["shop", "blog", "ops", "edge", "cert-manager"] {
            self.kube.kubectl(&["create", "namespace", namespace]);
        }
        let account = tools::output(Command::new(tools::tool("openssl")).args(["genrsa", "-traditional", "2048"]));
        for (namespace, account_name, key) in [
            ("cert-manager", "letsencrypt-account", &keys[0]),
            ("blog", "account", &keys[1]),
            ("ops", "account", &keys[2]),
        ] {
            self.secret(namespace, "tsig", "Opaque", json!({}), &[("secret", &key.secret)]);
            self.secret(namespace, account_name, "Opaque", json!({}), &[("tls.key", &account)]);
        }
        for (namespace, ingress) in [("shop", "api"), ("shop", "landing"), ("ops", "wiki"), ("ops", "vpn")] {
            let annotations = json!({"cert-manager.io/cluster-issuer": "letsencrypt", "team": "kept"});
            let spec = json!({"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}});
            self.apply(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": ingress, "namespace": namespace, "annotations": annotations}, "spec": spec}));
        }
        let bundle = STANDARD.encode(std::fs::read_to_string(self.site.pebble.ca_file()).unwrap());
        let objects = std::fs::read_to_string(vectors().join("cluster.json")).unwrap();
        let objects = objects.replace("192.0.2.53:53", &self.site.dns.addr().to_string()).replace("Q0E=", &bundle);
        let objects = objects.replace("https://acme.test/dir", &self.site.pebble.directory());
        self.kube.kubectl_stdin(&["create", "-f", "-"], &objects);
        self.issue();
    }

    /// The Secrets that cert-manager has made: certificates of the site's CA, one of them with an RSA key, with its annotations and ownerReferences.
    fn issue(&self) {
        let name = |secret: &str| secret.replace('/', "-");
        let entries = MOVED.map(|(secret, names, ..)| self.site.entry(&name(secret), names, ""));
        self.site.config(&entries.concat());
        self.site.once().ends(0);
        for (secret, _, kind, issuer) in MOVED {
            let (namespace, own) = secret.split_once('/').unwrap();
            let certificate = own.trim_end_matches("-tls");
            let pair = |file: &str| self.site.read(&name(secret), file).unwrap();
            let (mut chain, mut key) = (pair("tls.crt"), pair("tls.key"));
            if certificate == "web" {
                (chain, key) = self.rsa_pair();
            }
            let uid =
                ["-n", namespace, "get", "certificates.cert-manager.io", certificate, "-o", "jsonpath={.metadata.uid}"];
            let uid = self.kube.kubectl(&uid);
            let owner = json!([{"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": certificate, "uid": uid, "controller": true, "blockOwnerDeletion": true}]);
            let annotations = json!({
                "cert-manager.io/certificate-name": certificate, "cert-manager.io/issuer-name": issuer,
                "cert-manager.io/issuer-kind": kind, "cert-manager.io/issuer-group": "cert-manager.io",
            });
            let metadata = json!({"annotations": annotations, "ownerReferences": owner, "labels": {"controller.cert-manager.io/fao": "true"}});
            self.secret(namespace, own, "kubernetes.io/tls", metadata, &[("tls.crt", &chain), ("tls.key", &key)]);
        }
    }

    /// A certificate with an RSA key, which cert-manager makes where nothing else is said.
    fn rsa_pair(&self) -> (String, String) {
        let (key, chain) = (self.folder.join("rsa.key"), self.folder.join("rsa.crt"));
        let mut make = Command::new(tools::tool("openssl"));
        make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "80", "-subj", "/CN=lab"]);
        make.args(["-addext", "subjectAltName=DNS:www.site.test,DNS:a.site.test"]);
        tools::output(make.arg("-keyout").arg(&key).arg("-out").arg(&chain));
        (std::fs::read_to_string(chain).unwrap(), std::fs::read_to_string(key).unwrap())
    }

    fn secret(&self, namespace: &str, name: &str, type_: &str, mut metadata: Value, data: &[(&str, &str)]) {
        metadata["name"] = name.into();
        metadata["namespace"] = namespace.into();
        let data: BTreeMap<&str, String> = data.iter().map(|(key, text)| (*key, STANDARD.encode(text))).collect();
        self.apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": type_, "data": data}));
    }

    fn apply(&self, object: Value) {
        self.kube.kubectl_stdin(&["create", "-f", "-"], &object.to_string());
    }

    /// Runs lines in bash as the operator does: the exit code, and everything that is printed.
    pub fn shell(&self, script: &str) -> (i32, String) {
        // What was exported before is so still.
        let earlier = self.folder.join("environment");
        let script = format!(
            "cd {0}\n. ./environment\n{script}\nexport -p | grep -E 'KUBECONFIG|NOTARIAT' > environment",
            self.folder.path().display()
        );
        if !earlier.exists() {
            self.folder.write("environment", "");
        }
        let mut command = Command::new(tools::tool("bash"));
        command.args(["-euo", "pipefail", "-c", &script]).env("HOME", self.folder.path());
        command.env("PATH", format!("{}:{}", self.folder.join("bin").display(), std::env::var("PATH").unwrap()));
        command.env("NOTARIAT_RESOLVER", self.site.resolver.addr().to_string());
        let done = command.output().unwrap();
        let said = [done.stdout, done.stderr].map(|octets| String::from_utf8(octets).unwrap()).concat();
        (done.status.code().unwrap(), said)
    }

    /// Runs the block of the guide that has this in it.
    #[track_caller]
    pub fn block(&self, part: &str) -> String {
        let page = read("docs/moving.md");
        let block = blocks(&page, "sh").into_iter().find(|block| block.contains(part));
        let (code, said) = self.shell(block.unwrap_or_else(|| panic!("no block with {part}")));
        assert_eq!(code, 0, "{part}: {said}");
        said
    }

    /// The objects of a resource as `namespace/name`.
    pub fn names(&self, resource: &str) -> Vec<String> {
        let each = r#"jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}"#;
        let mut names: Vec<String> =
            self.kube.kubectl(&["get", resource, "-A", "-o", each]).lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    pub fn get(&self, resource: &str, object: &str, path: &str) -> String {
        let (namespace, name) = object.split_once('/').unwrap();
        self.kube.kubectl(&["-n", namespace, "get", resource, name, "-o", &format!("jsonpath={path}")])
    }

    pub fn orders(&self) -> usize {
        self.site.pebble.request_lines().iter().filter(|line| line.contains("order-plz")).count()
    }

    /// notariat with the rights of the ServiceAccount and nothing else.
    pub fn command(&self, more: &[&str]) -> Command {
        let identity = self.kube.kubeconfig_with_bearer(&self.kube.service_account_token("notariat", "notariat"));
        let mut command = notariat();
        command.args(["-config", "notariat", "-namespace", "notariat", "-allow-namespaces", "blog,edge,ops,shop"]);
        command.arg("-kubeconfig").arg(identity).arg(format!("-resolver={}", self.site.resolver.addr())).args(more);
        command.arg(format!("-http-listen=127.0.0.1:{}", self.responder.number()));
        command
    }

    pub fn once(&self) -> Run {
        Run::of(&mut self.command(&["-once"]))
    }

    /// The garbage collector's part of `--cascade=orphan`, until `is_over`: it takes the ownerReferences off, then the finalizer.
    pub fn collect_garbage(&self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            let all = self.kube.kubectl(&["get", "certificates.cert-manager.io", "-A", "-o", "json"]);
            let all: Value = serde_json::from_str(&all).unwrap();
            for object in all["items"].as_array().unwrap() {
                let metadata = &object["metadata"];
                if metadata["deletionTimestamp"].is_null() || metadata["finalizers"] != json!(["orphan"]) {
                    continue;
                }
                let namespace = metadata["namespace"].as_str().unwrap();
                let patch = |kind: &str, name: &Value, field: &str| {
                    let patch = format!(r#"{{"metadata": {{"{field}": null}}}}"#);
                    self.kube.kubectl(&[
                        "-n",
                        namespace,
                        "patch",
                        kind,
                        name.as_str().unwrap(),
                        "--type=merge",
                        "-p",
                        &patch,
                    ]);
                };
                patch("secret", &object["spec"]["secretName"], "ownerReferences");
                patch("certificates.cert-manager.io", &metadata["name"], "finalizers");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
