//! docs/moving-objects.md, each section from its first command to its last, on what the older program left behind: one Secret that is
//! valid, and one that is missing. The older programs themselves are not here.

use std::process::Command;

use notariat_lab::{Scratch, tools};

use crate::docs::{blocks, read, root};
use crate::support::cluster::Cluster;
use crate::support::run::notariat;
use crate::support::tenants::Tenants;
use crate::support::{Site, x509};

/// Who moves: `{a}` stands for `shop`, `{b}` for `certs`, `{own}` for `notariat`.
struct Mover {
    tenants: Tenants,
    folder: Scratch,
    blocks: Vec<String>,
}

impl Mover {
    /// At a section of the page, with the Secret `held` of the older program and this mark on it.
    fn at(section: &str, older: &str, deployment: &str, mark: &[&str]) -> Mover {
        let tenants = Tenants::on(Cluster::alone(Site::new()));
        tenants.config(&[]);
        let kube = tenants.cluster.kube;
        kube.kubectl(&["create", "namespace", older]);
        kube.kubectl(&["-n", older, "create", "deployment", deployment, "--image=registry.test/x"]);
        let pair = x509::make(&["held.shop.site.test"], "an older program", -1, 80);
        let folder = Scratch::new("mover");
        let (chain, key) = (folder.write("tls.crt", &pair.0), folder.write("tls.key", &pair.1));
        let (chain, key) = (format!("--cert={}", chain.display()), format!("--key={}", key.display()));
        tenants.kubectl(&["-n", "{a}", "create", "secret", "tls", "held", &chain, &key]);
        if !mark.is_empty() {
            tenants.kubectl(&[&["-n", "{a}"], mark].concat());
        }
        let page = read("docs/moving-objects.md");
        let (first, rest) = page.split_once("\n## ").unwrap();
        let found = format!("\n## {rest}");
        let start = found.find(&format!("\n## {section}\n")).unwrap();
        let of_section = &found[start + 1..];
        let end = of_section.find("\n## ").unwrap_or(of_section.len());
        let blocks =
            blocks(first, "sh").into_iter().chain(blocks(&of_section[..end], "sh")).map(str::to_owned).collect();
        Mover { tenants, folder, blocks }
    }

    /// Types the blocks that come next, in one shell with those before: what the last one prints.
    #[track_caller]
    fn types(&self, count: usize) -> String {
        let words = [("shop.example.com", "shop.site.test"), ("example.com", "site.test")];
        let shell = self.blocks[..count].join("\necho '#####'\n");
        let text = words.iter().fold(shell, |text, (theirs, ours)| text.replace(theirs, ours));
        let text = text
            .replace("https://acme-v02.api.letsencrypt.org/directory", "{ca}")
            .replace("replaces:", "caSecretName: roots, replaces:");
        let text = text.replace("=shop", "={a}").replace(",certs", ",{b}").replace("=certs", "={b}");
        let text = text
            .replace("-n shop", "-n {a}")
            .replace("\"shop: ", "\"{a}: ")
            .replace("create namespace certs", "get namespace {b}");
        let text = self
            .tenants
            .filled(&text.replace("-n notariat", "-n {own}").replace("=notariat", "={own}"))
            .replace(&format!("NOTARIAT_CONFIG={}", self.tenants.cluster.namespace), "NOTARIAT_CONFIG=notariat");
        let cluster = &self.tenants.cluster;
        let functions = "kubectl() { \"$KUBECTL\" --kubeconfig=\"$NOTARIAT_KUBECONFIG\" \"$@\"; }\nnotariat() { \"$NOTARIAT\" \"$@\" 2>&1; }\n";
        let mut bash = Command::new(tools::tool("bash"));
        bash.args(["-euo", "pipefail", "-c", &format!("{functions}{text}")]).current_dir(self.folder.path());
        bash.env("KUBECTL", tools::tool("kubectl")).env("NOTARIAT", notariat().get_program());
        bash.env("NOTARIAT_KUBECONFIG", cluster.kube.admin_kubeconfig());
        bash.env("NOTARIAT_ACME", cluster.site.pebble.directory())
            .env("NOTARIAT_ACME_CA", cluster.site.pebble.ca_file());
        bash.env("NOTARIAT_RESOLVER", cluster.site.resolver.addr().to_string());
        let said = tools::try_output(&mut bash, "").unwrap_or_else(|e| panic!("{text}\n{e}"));
        said.split("#####").last().unwrap().to_owned()
    }

    /// The certificate of the Secret that the older program made.
    fn held(&self) -> String {
        self.tenants.kubectl(&["-n", "{a}", "get", "secret", "held", "-o", r"jsonpath={.data.tls\.crt}"])
    }

    /// Runs the controller until the Secret that was missing is there: the other one is as it was, and one order was made.
    fn runs(&self, flags: &[&str], missing: (&str, &str), name: &str) {
        let before = self.held();
        let daemon = self.tenants.daemon(flags);
        self.tenants.until_issued(&daemon, missing.0, missing.1, &[name]);
        assert_eq!((self.held() == before, self.tenants.orders()), (true, 1), "{}", daemon.log());
        // From now on notariat renews it.
        if missing.0 == "{a}" {
            self.tenants.kubectl(&["-n", "{a}", "annotate", "secret", "held", "notariat/renew=1"]);
            self.tenants.until_issued(&daemon, "{a}", "held", &["held.shop"]);
            daemon.until("it is renewed", || self.held() != before);
        }
        daemon.kill();
    }

    /// The two Ingresses, as the older program wanted them.
    fn ingresses(&self, annotation: &str) {
        for name in ["held", "missing"] {
            let tls = format!("[{{secretName: {name}, hosts: [{name}.shop.site.test]}}]");
            self.tenants.ingress("{a}", name, annotation, &tls);
        }
    }
}

#[test]
fn who_comes_from_kube_lego_keeps_what_is_valid() {
    let mark = ["annotate", "secret", "held", "kubernetes.io/tls-acme=true"];
    let mover = Mover::at("kube-lego", "kube-lego", "kube-lego", &mark);
    mover.ingresses("kubernetes.io/tls-acme: 'true'");
    let kube = mover.tenants.cluster.kube;
    kube.kubectl(&["-n", "kube-lego", "create", "service", "clusterip", "kube-lego-nginx", "--tcp=8080"]);
    let leftover = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {namespace: kube-lego, name: kube-lego-nginx}\nspec: {defaultBackend: {service: {name: x, port: {number: 80}}}}\n";
    kube.kubectl_stdin(&["apply", "-f", "-"], leftover);
    let said = mover.types(2);
    assert!(said.matches("would action=issue secret=").count() == 1 && !said.contains("issue secret=held"), "{said}");
    mover.runs(&["-sources", "config,ingress", "-ingress-class", "nginx,none"], ("{a}", "missing"), "missing.shop");
    mover.types(3);
    assert_eq!(kube.kubectl(&["-n", "kube-lego", "get", "ingress,service,deployment", "-o", "name"]), "");
}

#[test]
fn who_comes_from_faythe_has_the_new_secrets_beside_the_old_ones() {
    let mover = Mover::at("faythe", "faythe", "faythe", &[]);
    mover.tenants.apply(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {namespace: '{a}', name: web}\nspec: {rules: [{host: www.shop.site.test, http: {paths: \
         [{path: /, pathType: Prefix, backend: {service: {name: x, port: {number: 80}}}}]}}]}\n",
    );
    let said = mover.types(2);
    assert!(said.contains("names=www.shop.site.test") && said.matches("would action=issue").count() == 1, "{said}");
    let flags = ["-sources", "config,ingress", "-ingress-all", "site.test", "-secret-namespace", &mover.tenants.b];
    mover.runs(&flags, ("{b}", "www.shop.site.test"), "www.shop");
}

#[test]
fn who_comes_from_gardener_keeps_what_is_valid() {
    let mark = ["label", "secret", "held", "cert.gardener.cloud/certificate=held"];
    let mover = Mover::at("Gardener's cert-management", "cert-management", "cert-controller-manager", &mark);
    mover.ingresses("cert.gardener.cloud/purpose: managed");
    let said = mover.types(2);
    assert!(said.contains("names=missing.shop.site.test") && said.matches("would action=issue").count() == 1, "{said}");
    mover.runs(&["-sources", "config,ingress,service"], ("{a}", "missing"), "missing.shop");
}

#[test]
fn who_comes_from_the_shim_keeps_what_is_valid() {
    let mark = ["annotate", "secret", "held", "cert-manager.io/certificate-name=held"];
    let mover = Mover::at("cert-manager's shim", "cert-manager", "cert-manager", &mark);
    let kube = mover.tenants.cluster.kube;
    kube.kubectl(&["apply", "-f", root().join("tests/it/convert/crds.yaml").to_str().unwrap()]);
    kube.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
    let args = r#"{"spec": {"template": {"spec": {"containers": [{"name": "x", "args": ["--v=2"]}]}}}}"#;
    kube.kubectl(&["-n", "cert-manager", "patch", "deployment", "cert-manager", "-p", args]);
    let roots = format!("--from-file=ca.crt={}", mover.tenants.cluster.site.pebble.ca_file().display());
    mover.tenants.cluster.kubectl(&["create", "secret", "generic", "roots", &roots]);
    let tls = "[{secretName: held, hosts: [held.shop.site.test]}]";
    mover.tenants.ingress("{a}", "held", "cert-manager.io/cluster-issuer: letsencrypt-prod", tls);
    let before = mover.held();
    let said = mover.types(2);
    assert!(said.contains("OwnedByAnother") && !said.contains("would action=issue"), "{said}");
    let said = mover.types(3);
    assert!(said.contains("Nothing is to be done."), "{said}");
    let tls = "[{secretName: missing, hosts: [missing.shop.site.test]}]";
    mover.tenants.ingress("{a}", "missing", "cert-manager.io/cluster-issuer: letsencrypt-prod", tls);
    assert_eq!(mover.held(), before);
    mover.runs(&["-sources", "config,ingress"], ("{a}", "missing"), "missing.shop");
}
