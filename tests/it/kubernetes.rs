//! The main job on a real API server, with kubectl as judge.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat_lab::{Kube, Scratch};

use crate::support::run::notariat;
use crate::support::{Run, Site, x509};

/// Applies deploy/ to a namespace, without the Deployment: there is no kubelet here.
pub fn deploy(kube: &Kube, namespace: &str) {
    let overlay = Scratch::new("overlay");
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    // kustomize wants relative paths.
    for file in ["serviceaccount.yaml", "role.yaml", "rolebinding.yaml", "deployment.yaml", "kustomization.yaml"] {
        let text = std::fs::read_to_string(deploy.join(file)).unwrap();
        overlay.write(file, &text.replace("namespace: default", &format!("namespace: {namespace}")));
    }
    kube.kubectl(&["apply", "-k", overlay.path().to_str().unwrap()]);
}

/// A namespace with deploy/ in it, a TSIG key, and servers.
struct Cluster {
    kube: &'static Kube,
    namespace: String,
    site: Site,
}

impl Cluster {
    fn new() -> Cluster {
        let kube = Kube::shared();
        let namespace = kube.namespace();
        deploy(kube, &namespace);
        let cluster = Cluster { kube, namespace, site: Site::new() };
        let key = format!("--from-literal=key={}", cluster.site.key.secret_text());
        cluster.kubectl(&["create", "secret", "generic", "tsigkey", &key]);
        cluster
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        self.kube.kubectl(&[&["-n", &self.namespace], arguments].concat())
    }

    fn config(&self, yaml: &str) {
        let file = self.site.store.write("certificates", yaml);
        let from = format!("--from-file=certificates={}", file.display());
        let made = self.kubectl(&["create", "configmap", "notariat", &from, "--dry-run=client", "-o", "yaml"]);
        self.kube.kubectl_stdin(&["-n", &self.namespace, "apply", "-f", "-"], &made);
    }

    /// The identity of the pod: a token of the ServiceAccount, with the Role of deploy/ and nothing else.
    fn service_account(&self) -> PathBuf {
        self.kube.kubeconfig_with_bearer(&self.kube.service_account_token(&self.namespace, "notariat"))
    }

    fn command(&self, kubeconfig: &Path) -> Command {
        let mut command = notariat();
        command
            .args(["-config", "notariat", "-once", "-namespace", &self.namespace])
            .arg("-kubeconfig")
            .arg(kubeconfig);
        command.arg("-acme").arg(self.site.pebble.directory()).arg("-acme-ca").arg(self.site.pebble.ca_file());
        command.arg(format!("-resolver={}", self.site.resolver.addr()));
        command
    }

    fn once(&self) -> Run {
        Run::of(&mut self.command(&self.service_account()))
    }

    /// A field of a Secret.
    fn get(&self, secret: &str, path: &str) -> String {
        self.kubectl(&["get", "secret", secret, "-o", &format!("jsonpath={path}")])
    }

    fn version(&self, secret: &str) -> String {
        self.get(secret, "{.metadata.uid} {.metadata.resourceVersion}")
    }

    /// Creates a kubernetes.io/tls Secret.
    fn tls(&self, name: &str, (chain, key): &(String, String)) {
        let scratch = Scratch::new("tls");
        let (chain, key) = (scratch.write("crt", chain), scratch.write("key", key));
        let (chain, key) = (format!("--cert={}", chain.display()), format!("--key={}", key.display()));
        self.kubectl(&["create", "secret", "tls", name, &chain, &key]);
    }

    #[track_caller]
    fn assert_valid(&self, secret: &str, names: &[&str]) {
        let folder = Scratch::new("judged");
        for file in ["tls.crt", "tls.key"] {
            let encoded = self.get(secret, &format!("{{.data.{}}}", file.replace('.', "\\.")));
            folder.write(file, std::str::from_utf8(&STANDARD.decode(encoded).unwrap()).unwrap());
        }
        x509::assert_valid(folder.path(), &self.site.pebble.root_pem(), names);
        assert_eq!(self.get(secret, "{.type}"), "kubernetes.io/tls");
    }
}

#[test]
fn with_the_role_of_deploy_a_secret_ends_up_with_a_certificate() {
    let cluster = Cluster::new();
    cluster.config(
        &[cluster.site.entry("web", "www.site.test", ""), cluster.site.entry("wild", "site.test, '*.site.test'", "")]
            .concat(),
    );
    cluster.once().ends(0).says(&["issued secret=", "names=www.site.test"]);
    cluster.assert_valid("web", &["www.site.test"]);
    cluster.assert_valid("wild", &["site.test", "*.site.test"]);
    let annotations = cluster.get("web", "{.metadata.annotations}");
    assert!(annotations.contains(&format!("\"notariat/owner\":\"{0} {0}/web\"", cluster.namespace)), "{annotations}");
    assert_eq!(cluster.get("web", "{.metadata.managedFields[*].manager}"), "notariat");
    let listed = cluster.kubectl(&[
        "get",
        "secrets",
        "-l",
        "app.kubernetes.io/managed-by=notariat",
        "-L",
        "app.kubernetes.io/component",
    ]);
    for component in ["certificate", "record", "account"] {
        assert!(listed.contains(component), "{listed}");
    }

    let (before, requests) = (cluster.version("web"), cluster.site.pebble.requests());
    cluster.once().ends(0).never_says("issu");
    assert_eq!(
        (cluster.version("web"), cluster.site.pebble.requests()),
        (before, requests),
        "nothing is written when nothing differs"
    );

    // The audit log is the API server's own word on what was asked of it.
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    let asked: Vec<_> = cluster.kube.audit().into_iter().filter(|a| a.user == user).collect();
    assert!(asked.len() > 10 && asked.iter().all(|a| a.code != 403), "{asked:#?}");
}

/// What the Role grants and what the code sends are the same.
#[test]
fn the_role_grants_exactly_the_verbs_that_are_sent() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster.once().ends(0);
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    let sent = || {
        let audit = cluster.kube.audit().into_iter().filter(|a| a.user == user);
        audit.map(|a| format!("{} {}", a.resource, a.verb)).collect::<std::collections::BTreeSet<_>>()
    };
    let granted = ["configmaps get", "secrets create", "secrets get", "secrets list", "secrets update"];
    assert_eq!(sent().into_iter().collect::<Vec<_>>(), granted);
    let role = include_str!("../../deploy/role.yaml");
    let verbs: Vec<&str> = role.lines().filter_map(|l| l.trim().strip_prefix("verbs: ")).collect();
    assert_eq!(verbs, ["[get]", "[get, list, create, update]"]);
}

#[test]
fn every_way_to_say_who_we_are_works() {
    let cluster = Cluster::new();
    cluster.config("[]");
    let bind = |kind: &str, name: &str| {
        cluster.kubectl(&["create", "rolebinding", name, "--role=notariat", &format!("--{kind}={name}")]);
    };
    bind("user", "alice");
    bind("user", "cert-user");
    let kube = cluster.kube;
    for kubeconfig in [
        kube.kubeconfig_with_token("alice"),
        kube.kubeconfig_with_client_cert("cert-user", "lab:certusers"),
        kube.kubeconfig_with_client_cert_files("cert-user", "lab:certusers"),
        cluster.service_account(),
    ] {
        Run::of(&mut cluster.command(&kubeconfig)).ends(0).says(&["configuration-read"]);
    }
    let stranger = kube.kubeconfig_with_token("bob");
    Run::of(&mut cluster.command(&stranger)).ends(75).says(&["the Role lacks the verb `get` on `configmaps`"]);
    let expired = kube.kubeconfig_with_bearer("no-such-token");
    Run::of(&mut cluster.command(&expired)).ends(75).says(&["401", "has it expired?"]);
}

#[test]
fn a_valid_secret_keeps_its_version_and_broken_ones_are_mended() {
    let cluster = Cluster::new();
    cluster.tls("good", &x509::make(&["good.site.test"], "somebody", -10, 80));
    cluster.tls("old", &x509::make(&["old.site.test"], "somebody", -90, -1));
    cluster.tls("wrong", &x509::make(&["else.site.test"], "somebody", -10, 80));
    cluster.kubectl(&["label", "secret", "old", "theirs=stays"]);
    let entries = ["good", "old", "wrong"].map(|n| cluster.site.entry(n, &format!("{n}.site.test"), "")).concat();
    cluster.config(&entries);
    let (good, uid) = (cluster.version("good"), cluster.get("old", "{.metadata.uid}"));
    cluster.once().ends(0).says(&["reason=Expired", "reason=NameMissing"]);
    assert_eq!(cluster.version("good"), good);
    cluster.assert_valid("old", &["old.site.test"]);
    cluster.assert_valid("wrong", &["wrong.site.test"]);
    assert_eq!(
        (cluster.get("old", "{.metadata.labels.theirs}"), cluster.get("old", "{.metadata.uid}")),
        ("stays".to_owned(), uid)
    );
}

#[test]
fn wrong_type_and_foreign_owner_are_refused_and_untouched() {
    let cluster = Cluster::new();
    cluster.kubectl(&["create", "secret", "generic", "opaque", "--from-literal=a=b"]);
    cluster.tls("foreign", &x509::make(&["www.site.test"], "somebody", -62, 28));
    cluster.kubectl(&["annotate", "secret", "foreign", "cert-manager.io/certificate-name=web"]);
    cluster.config(&["opaque", "foreign"].map(|n| cluster.site.entry(n, "www.site.test", "")).concat());
    let before = ["opaque", "foreign"].map(|n| cluster.version(n));
    cluster.once().ends(1).says(&["reason=WrongType", "reason=OwnedByAnother"]);
    assert_eq!(["opaque", "foreign"].map(|n| cluster.version(n)), before);
    assert_eq!(cluster.site.pebble.requests(), 0);
}

#[test]
fn a_deleted_secret_is_restored_from_the_record() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster.once().ends(0);
    let (chain, requests) = (cluster.get("web", "{.data}"), cluster.site.pebble.requests());
    cluster.kubectl(&["delete", "secret", "web"]);
    cluster.once().ends(0).says(&["restored secret="]);
    assert_eq!((cluster.get("web", "{.data}"), cluster.site.pebble.requests()), (chain, requests));
}

#[test]
fn references_into_other_namespaces_need_their_own_permission() {
    let cluster = Cluster::new();
    let other = cluster.kube.namespace();
    cluster.config(&cluster.site.entry(&format!("{other}/web"), "www.site.test", ""));
    cluster.once().ends(75).says(&[&format!("the Role lacks the verb `get` on `secrets` in the namespace {other}")]);
    assert_eq!(cluster.site.pebble.requests(), 0, "a failed read is never `missing`");
    let account = format!("--serviceaccount={}:notariat", cluster.namespace);
    cluster.kube.kubectl(&[
        "-n",
        &other,
        "create",
        "role",
        "notariat",
        "--verb=get,create,update",
        "--resource=secrets",
    ]);
    cluster.kube.kubectl(&["-n", &other, "create", "rolebinding", "notariat", "--role=notariat", &account]);
    cluster.once().ends(0).says(&[&format!("issued secret={other}/web")]);
    assert!(cluster.kube.kubectl(&["-n", &other, "get", "secret", "web", "-o", "name"]).contains("secret/web"));
    assert!(
        cluster.kubectl(&["get", "secret", &format!("notariat-record.{other}.web"), "-o", "name"]).contains("record")
    );
}

#[test]
fn what_can_not_be_written_is_found_before_anything_is_ordered() {
    let cluster = Cluster::new();
    cluster.tls("fixed", &x509::make(&["fixed.site.test"], "somebody", -90, -1));
    cluster.kubectl(&["patch", "secret", "fixed", "-p", r#"{"immutable": true}"#]);
    cluster.config(&cluster.site.entry("fixed", "fixed.site.test", ""));
    cluster.once().ends(1).says(&["can not be written, so nothing was ordered", "make it without `immutable: true`"]);

    cluster.kubectl(&[
        "patch",
        "role",
        "notariat",
        "--type=json",
        "-p",
        r#"[{"op": "replace", "path": "/rules/1/verbs", "value": ["get", "list", "update"]}]"#,
    ]);
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster.once().ends(1).says(&["the Role lacks the verb `create` on `secrets`"]);
    let orders = cluster.site.pebble.request_lines().into_iter().filter(|l| l.contains("order")).count();
    assert_eq!(orders, 0);
}

#[test]
fn a_label_added_while_the_certificate_is_obtained_costs_nothing() {
    let cluster = Cluster::new();
    cluster.tls("web", &x509::make(&["www.site.test"], "somebody", -90, -1));
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let (kubeconfig, namespace) = (cluster.service_account(), cluster.namespace.clone());
    let run = std::thread::scope(|scope| {
        let run = scope.spawn(|| Run::of(&mut cluster.command(&kubeconfig)));
        let mut count = 0;
        while !run.is_finished() {
            count += 1;
            cluster.kube.kubectl(&["-n", &namespace, "label", "--overwrite", "secret", "web", &format!("n=v{count}")]);
        }
        run.join().unwrap()
    });
    run.ends(0);
    cluster.assert_valid("web", &["www.site.test"]);
    assert!(cluster.get("web", "{.metadata.labels.n}").starts_with('v'));
    let finalized = cluster.site.pebble.request_lines().into_iter().filter(|l| l.contains("finalize")).count();
    assert_eq!(finalized, 1, "one certificate");
}
