//! docs/moving.md from its first command to its last, on the objects of a cluster: four namespaces, ten Certificates, three kinds of solvers.
//! cert-manager itself is not here. What it would have made is made with the CA and the name server of the site, and what a cluster's
//! garbage collector does to objects that are deleted with `--cascade=orphan` is done by this test.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat::dns::tsig_key::read_keys;
use notariat_lab::{Grant, Hmac, Key, Kube, NameServer, Scratch, Software, Zone, tools};
use serde_json::{Value, json};

use super::vectors;
use crate::docs::{blocks, read};
use crate::support::run::notariat;
use crate::support::site::ZONE;
use crate::support::{Run, Site, x509};

/// Secret, names and issuer (kind, name) of the Certificates that are carried over.
const MOVED: [(&str, &str, &str, &str); 7] = [
    ("shop/web-tls", "www.site.test, a.site.test", "ClusterIssuer", "letsencrypt"),
    ("shop/api-tls", "b.site.test", "ClusterIssuer", "letsencrypt"),
    ("blog/blog-tls", "c.site.test, '*.c.site.test'", "Issuer", "dns"),
    ("blog/feed-tls", "d.site.test", "Issuer", "dns"),
    ("ops/grafana-tls", "one.site.test", "Issuer", "dns"),
    ("ops/vpn-tls", "three.site.test", "ClusterIssuer", "letsencrypt"),
    ("edge/proxy-tls", "e.site.test", "ClusterIssuer", "letsencrypt"),
];

/// A cluster in which cert-manager has worked, and the machine of an operator.
struct Operator {
    kube: Kube,
    site: Site,
    /// The folder in which the commands run; `HOME` and the programs are in it.
    folder: Scratch,
}

impl Operator {
    fn new() -> Operator {
        let keys = [("certs", Hmac::Sha256), ("blog", Hmac::Sha512), ("ops", Hmac::Sha256)];
        let keys = keys.map(|(name, hmac)| Key::new(name, hmac));
        let zone = keys.iter().fold(Zone::new(ZONE), |zone, key| zone.grant(Grant::Zone(key)));
        let dns = NameServer::setup(Software::Bind).zone(zone).start();
        let operator =
            Operator { kube: Kube::start(), site: Site::on(dns, keys[0].clone()), folder: Scratch::new("operator") };
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

    /// What cert-manager has made: certificates of the site's CA, one of them with an RSA key, with its annotations and ownerReferences.
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
    fn shell(&self, script: &str) -> (i32, String) {
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
    fn block(&self, part: &str) -> String {
        let page = read("docs/moving.md");
        let block = blocks(&page, "sh").into_iter().find(|block| block.contains(part));
        let (code, said) = self.shell(block.unwrap_or_else(|| panic!("no block with {part}")));
        assert_eq!(code, 0, "{part}: {said}");
        said
    }

    /// The objects of a resource as `namespace/name`.
    fn names(&self, resource: &str) -> Vec<String> {
        let each = r#"jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}"#;
        let mut names: Vec<String> =
            self.kube.kubectl(&["get", resource, "-A", "-o", each]).lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    fn get(&self, resource: &str, object: &str, path: &str) -> String {
        let (namespace, name) = object.split_once('/').unwrap();
        self.kube.kubectl(&["-n", namespace, "get", resource, name, "-o", &format!("jsonpath={path}")])
    }

    fn orders(&self) -> usize {
        self.site.pebble.request_lines().iter().filter(|line| line.contains("order-plz")).count()
    }

    /// notariat with the rights of the ServiceAccount and nothing else.
    fn command(&self, more: &[&str]) -> Command {
        let identity = self.kube.kubeconfig_with_bearer(&self.kube.service_account_token("notariat", "notariat"));
        let mut command = notariat();
        command.args(["-config", "notariat", "-namespace", "notariat", "-allow-namespaces", "blog,edge,ops,shop"]);
        command.arg("-kubeconfig").arg(identity).arg(format!("-resolver={}", self.site.resolver.addr())).args(more);
        command
    }

    fn once(&self) -> Run {
        Run::of(&mut self.command(&["-once"]))
    }

    /// The garbage collector's part of `--cascade=orphan`, until `is_over`: it takes the ownerReferences off, then the finalizer.
    fn collect_garbage(&self, is_over: &AtomicBool) {
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

#[test]
fn a_cluster_moves_here_by_the_guide_and_back() {
    let operator = Operator::new();
    let before = operator.orders();
    let all = operator.names("certificates.cert-manager.io");
    assert_eq!(all.len(), 10);
    let versions = || MOVED.map(|(secret, ..)| operator.get("secret", secret, "{.metadata.uid} {.data}"));
    let held = versions();

    // 1. Save and translate.
    operator.block("export KUBECONFIG=");
    let said = operator.block("notariat convert -one");
    assert!(
        said.contains("10 Certificates: 7 carried over, 3 left out") && said.contains("Not all was carried over"),
        "{said}"
    );
    // The name server of the lab is not at port 53, where its NS record leads.
    let manifest = std::fs::read_to_string(operator.folder.join("notariat.yaml")).unwrap();
    let here = "    #adopt: true\n    dns: {propagation: primary}\n";
    operator.folder.write("notariat.yaml", &manifest.replace("    #adopt: true\n", here));
    // 2. The Secrets.
    let said = operator.block("#secrets:");
    assert_eq!(said.matches("secret/").count(), 9, "{said}");
    let keys = ["tsig-secret", "tsig-secret-2", "tsig-secret-3"].map(|name| {
        let key = operator.get("secret", &format!("notariat/{name}"), "{.data.key}");
        String::from_utf8(STANDARD.decode(key).unwrap()).unwrap()
    });
    assert!(
        keys.contains(&operator.site.key.secret_text()) && keys.iter().any(|key| key.starts_with("hmac-sha512:blog:"))
    );
    let (code, said) = operator.shell("sed -n 's/^#secrets: //p' notariat.yaml | sh");
    assert!(code != 0 && said.matches("already exists").count() == 9, "a second time overwrites nothing: {said}");
    // 3. Beside cert-manager.
    let said = operator.block("notariat -probe");
    assert_eq!(said.matches("OwnedByAnother").count(), 7, "{said}");
    // 4. The rights.
    operator.block("notariat role -f");
    operator.once().ends(1).says(&["OwnedByAnother"]).never_says("permission-missing");
    assert_eq!((operator.orders(), versions()), (before, held.clone()));

    // 5. The hand-over.
    let is_over = AtomicBool::new(false);
    let said = std::thread::scope(|threads| {
        threads.spawn(|| operator.collect_garbage(&is_over));
        let (code, said) = operator.shell(&hand_over());
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(code, 0, "{said}");
        said
    });
    assert!(said.contains("7 certificates: 7 Valid"), "{said}");
    let left = ["edge/mesh", "ops/wiki", "shop/landing"];
    assert_eq!(operator.names("certificates.cert-manager.io"), left);
    for (ingress, annotations) in [("shop/api", 1), ("ops/vpn", 1), ("shop/landing", 2), ("ops/wiki", 2)] {
        let found = operator.get("ingress", ingress, "{.metadata.annotations}");
        assert_eq!(found.matches(':').count(), annotations, "{ingress}: {found}");
    }
    operator.once().ends(0).never_says("issuing");
    assert_eq!((operator.orders(), versions()), (before, held.clone()), "what is valid stays as it is");
    for (secret, ..) in MOVED {
        assert_eq!(operator.get("secret", secret, "{.metadata.ownerReferences}"), "", "{secret}");
    }

    renewed(&operator);
    back(&operator);
}

/// The block of the hand-over.
fn hand_over() -> String {
    let page = read("docs/moving.md");
    blocks(&page, "sh").into_iter().find(|block| block.contains("#handover:")).unwrap().to_owned()
}

/// Every certificate is renewed with the keys and the accounts that were carried over.
fn renewed(operator: &Operator) {
    let before = operator.orders();
    for (secret, ..) in MOVED {
        let (namespace, name) = secret.split_once('/').unwrap();
        operator.kube.kubectl(&["-n", namespace, "annotate", "secret", name, "notariat/renew=now"]);
    }
    operator.once().ends(0);
    assert_eq!(operator.orders(), before + 7);
    for (secret, names, ..) in MOVED {
        let folder = Scratch::new("renewed");
        for file in ["tls.crt", "tls.key"] {
            let encoded = operator.get("secret", secret, &format!("{{.data.{}}}", file.replace('.', "\\.")));
            folder.write(file, std::str::from_utf8(&STANDARD.decode(encoded).unwrap()).unwrap());
        }
        let names: Vec<&str> = names.split(", ").map(|name| name.trim_matches('\'')).collect();
        x509::assert_valid(folder.path(), &operator.site.pebble.root_pem(), &names);
    }
}

/// What cert-manager looks at when a Certificate comes back: pair, names, its annotations, the kind of key. It orders nothing where they fit.
fn back(operator: &Operator) {
    let patch = r#"{"data": {"certificates": "[]"}}"#;
    operator.kube.kubectl(&["-n", "notariat", "patch", "configmap", "notariat", "-p", patch]);
    // The records of entries that went are found by a list, which Roles by name do not allow.
    let mut with_list = notariat();
    with_list.args([
        "-once",
        "-config",
        "notariat",
        "-namespace",
        "notariat",
        "-allow-namespaces",
        "blog,edge,ops,shop",
    ]);
    let run = Run::of(with_list.arg("-kubeconfig").arg(operator.kube.admin_kubeconfig()));
    assert_eq!(run.log.matches(" orphaned ").count(), 7, "{}", run.log);
    operator.block("back.yaml");
    assert_eq!(operator.names("certificates.cert-manager.io").len(), 10);
    for (secret, _, kind, issuer) in MOVED {
        let certificate = secret.trim_end_matches("-tls");
        let spec = |path: &str| operator.get("certificates.cert-manager.io", certificate, path);
        assert_eq!(spec("{.spec.privateKey.algorithm}"), "ECDSA", "{secret}");
        let annotation =
            |name: &str| operator.get("secret", secret, &format!(r"{{.metadata.annotations.cert-manager\.io/{name}}}"));
        let marks = ["certificate-name", "issuer-kind", "issuer-name", "issuer-group"].map(annotation);
        let name = certificate.split_once('/').unwrap().1;
        assert_eq!(marks, [name, kind, issuer, "cert-manager.io"], "{secret}");
        assert_eq!([spec("{.spec.issuerRef.kind}"), spec("{.spec.issuerRef.name}")], [kind, issuer]);
        assert_eq!(format!("{}/{}", certificate.split_once('/').unwrap().0, spec("{.spec.secretName}")), secret);
    }
}

/// The pipeline of the way back finds the secret in every form of key that docs/dns-servers.md recommends.
#[test]
fn on_the_way_back_the_bare_secret_is_found_in_every_form_of_a_key() {
    let folder = Scratch::new("forms");
    let page = read("docs/moving.md");
    let block = blocks(&page, "sh").into_iter().find(|block| block.contains("tsig-cert-manager")).unwrap();
    folder.write("bin/kubectl", "#!/bin/sh\ncase $1 in get) cat key;; create) cat > made;; esac\n");
    tools::output(Command::new("chmod").arg("+x").arg(folder.join("bin/kubectl")));
    let bare = |text: &str| {
        folder.write("key", text);
        let mut command = Command::new(tools::tool("bash"));
        command.args(["-euo", "pipefail", "-c", &format!("cd {}\n{block}", folder.path().display())]);
        command.env("PATH", format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap()));
        tools::output(&mut command);
        std::fs::read_to_string(folder.join("made")).unwrap()
    };
    let written = [
        "hmac-sha256:notariat.example.com:c2VjcmV0LXRvLXJlcGxhY2Utc2VjcmV0LXRvLXJlcGxhY2U=",
        "notariat.example.com:c2VjcmV0LXRvLXJlcGxhY2Utc2VjcmV0LXRvLXJlcGxhY2U=\n",
        "# old: hmac-sha256:a:b2xk\n\nhmac-sha1:my-secret:bmV3ZXItdGhhbi10aGUtb2xkLW9uZQ==\nhmac-sha1:old:b2xk\n",
        "key \"secret\" { algorithm hmac-sha256; secret \"c2VjcmV0LXRvLXJlcGxhY2Utc2VjcmV0LXRvLXJlcGxhY2U=\"; };",
        "key secret {\n\tsecret c2VjcmV0LXRvLXJlcGxhY2Utc2VjcmV0LXRvLXJlcGxhY2U=;\n\talgorithm hmac-sha256;\n};\n",
        "key:\n  - id: secret\n    algorithm: hmac-sha256\n    secret: \"c2VjcmV0LXRvLXJlcGxhY2Utc2VjcmV0LXRvLXJlcGxhY2U=\"\n",
    ];
    let folder_of_forms = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/tsig-keys");
    let mut forms: Vec<(String, String)> =
        written.iter().map(|text| ((*text).to_owned(), (*text).to_owned())).collect();
    for entry in std::fs::read_dir(folder_of_forms).unwrap() {
        let path = entry.unwrap().path();
        // Its clauses stand among comments; the page says to cut one out.
        if path.ends_with("named.conf") {
            continue;
        }
        forms.push((path.display().to_string(), std::fs::read_to_string(path).unwrap()));
    }
    let mut count = 0;
    for (form, text) in forms {
        // The others are refused by the program, too.
        let Ok(keys) = read_keys(text.as_bytes()) else { continue };
        count += 1;
        assert_eq!(bare(&text), STANDARD.encode(keys[0].secret.expose()), "{form}");
    }
    assert!(count >= written.len() + 8, "{count}");
}
