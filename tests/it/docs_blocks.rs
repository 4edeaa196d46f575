//! Every command block of README.md and docs/, run in order on real servers as a reader types it.
//!
//! A block that can not run here has `<!-- not run: REASON -->` in the line above, which no reader sees. There is no kubelet: what
//! `kubectl exec` would start in the pod runs beside the test, with the identity of the pod and the settings of the Deployment.

use std::path::{Path, PathBuf};
use std::process::Command;

use notariat_lab::{Hmac, Key, Kube, NameServer, Pebble, Resolver, Scratch, Software, Zone, tools};
use serde_json::Value;

use crate::docs::{pages, read, root};
use crate::support::cluster::Cluster;
use crate::support::run::notariat;
use crate::support::{Run, Site};

/// A block of shell commands, and why it is not run.
struct Block {
    commands: String,
    not_run: Option<String>,
}

fn blocks(page: &str) -> Vec<Block> {
    let lines: Vec<&str> = page.lines().collect();
    let fences = lines.iter().enumerate().filter(|(_, line)| **line == "```sh");
    let block = |(at, _): (usize, _)| {
        let commands =
            lines[at + 1..].iter().take_while(|line| **line != "```").map(|line| format!("{line}\n")).collect();
        let above = at.checked_sub(1).map_or("", |above| lines[above]);
        let not_run =
            above.strip_prefix("<!-- not run: ").and_then(|rest| rest.strip_suffix(" -->")).map(str::to_owned);
        Block { commands, not_run }
    };
    fences.map(block).collect()
}

/// How kubectl and notariat are called in a block.
const FUNCTIONS: &str = r#"
kubectl() {
  case "$1 ${2:-}" in
    "exec deploy/notariat") NOTARIAT_KUBECONFIG=$POD "$NOTARIAT" "${@:5}" ;;
    "logs deploy/notariat") cat "$POD_LOG" ;;
    *) "$KUBECTL" --kubeconfig="$ADMIN" -n "$NOTARIAT_NAMESPACE" "$@" ;;
  esac
}
notariat() { "$NOTARIAT" "$@"; }
image=registry.example.com/notariat:0.1.0
"#;

/// Somebody who types the commands in a copy of the repository.
struct Reader {
    cluster: Cluster,
    copy: Scratch,
}

impl Reader {
    fn new(cluster: Cluster) -> Reader {
        let copy = Scratch::new("reader");
        copy_folder(&root().join("deploy"), &copy.join("deploy"), &cluster.namespace);
        Reader { cluster, copy }
    }

    /// One who has a running notariat with one certificate.
    fn with_a_certificate() -> Reader {
        let cluster = Cluster::new();
        cluster.config(&cluster.site.entry("cert-example.com", "www.site.test", ""));
        let reader = Reader::new(cluster);
        reader.run_pod();
        reader
    }

    /// Runs the program of the Deployment once.
    fn run_pod(&self) {
        let pod = self.cluster.kubectl(&["get", "deployment", "notariat", "-o", "json"]);
        let pod: Value = serde_json::from_str(&pod).unwrap();
        let container = &pod["spec"]["template"]["spec"]["containers"][0];
        let mut command = self.cluster.command(&self.cluster.service_account(), &["-once"]);
        command.args(container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap()));
        for variable in container["env"].as_array().unwrap() {
            command.env(variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap());
        }
        self.copy.write("pod.log", &Run::of(&mut command).ends(0).log);
    }

    /// Types the commands in a folder of the copy: what they print.
    #[track_caller]
    fn types(&self, folder: &str, commands: &str) -> String {
        let Cluster { kube, namespace, site, .. } = &self.cluster;
        let mut bash = Command::new(tools::tool("bash"));
        bash.args(["-euo", "pipefail", "-c", &format!("{FUNCTIONS}{commands}")]).current_dir(self.copy.join(folder));
        bash.env("KUBECTL", tools::tool("kubectl")).env("NOTARIAT", notariat().get_program());
        bash.env("ADMIN", kube.admin_kubeconfig()).env("POD", self.cluster.service_account());
        bash.env("POD_LOG", self.copy.join("pod.log"));
        // The settings of the pod and of who works from outside alike.
        bash.env("NOTARIAT_NAMESPACE", namespace).env("NOTARIAT_CONFIG", "notariat");
        bash.env("NOTARIAT_KUBECONFIG", kube.admin_kubeconfig()).env("NOTARIAT_ACME", site.pebble.directory());
        bash.env("NOTARIAT_ACME_CA", site.pebble.ca_file());
        bash.env("NOTARIAT_RESOLVER", site.resolver.addr().to_string());
        tools::try_output(&mut bash, "").unwrap_or_else(|e| panic!("{commands}\n{e}"))
    }
}

/// Copies the manifests, for the reader's namespace.
fn copy_folder(from: &Path, to: &Path, namespace: &str) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_folder(&path, &target, namespace),
            false => {
                let text = std::fs::read_to_string(&path).unwrap();
                std::fs::write(target, text.replace("namespace: default", &format!("namespace: {namespace}"))).unwrap();
            }
        }
    }
}

/// BIND with the zone example.com and what somebody adds to its configuration, and the other servers.
fn site(key: Key, update_policy: &str) -> Site {
    let zone = ["www", "apps", "host.apps", "other"]
        .iter()
        .fold(Zone::new("example.com"), |zone, host| zone.line(&format!("{host} A 127.0.0.1")))
        .server_line(update_policy);
    let dns = NameServer::setup(Software::Bind).key(&key).zone(zone).start();
    let resolver = Resolver::setup().forward("example.com", dns.addr()).start();
    let pebble = Pebble::setup().dns_server(resolver.addr()).start();
    Site { store: Scratch::new("store"), dns, resolver, pebble, key }
}

/// README's steps from nothing to a certificate. The server has the key that the reader made and the lines that the program printed, and
/// nothing else.
#[test]
fn the_five_steps_of_the_readme_end_with_a_certificate() {
    let readme = read("README.md");
    let steps: Vec<Block> = blocks(&readme).into_iter().filter(|block| block.not_run.is_none()).collect();
    let [wanted, policy, deploy, look, production] = &steps[..] else { panic!("{} blocks", steps.len()) };
    let kube = Kube::shared();
    let unused = site(Key::new("unused", Hmac::Sha256), "");
    let mut reader = Reader::new(Cluster { kube, namespace: kube.namespace(), site: unused, _own: None });

    let said = reader.types("", &wanted.commands);
    assert!(said.contains("ok       ConfigMap") && !said.contains("warning"), "{said}");
    let made = std::fs::read_to_string(reader.copy.join("key")).unwrap();
    let secret = made.split("secret \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let key = Key { secret, ..Key::new("notariat.example.com", Hmac::Sha256) };

    let printed = reader.types("", &policy.commands);
    let grants: Vec<&str> = printed.lines().filter(|line| line.starts_with("grant ")).collect();
    assert_eq!(grants.len(), 3, "{printed}");
    assert!(readme.contains("grant \"notariat.example.com\" name _acme-challenge.www.example.com. TXT;"));
    reader.cluster.site = site(key, &format!("update-policy {{ {} }};", grants.join(" ")));

    // Only because this BIND has another port than 53 and no secondary.
    let defaults = format!("dns: {{server: '{}', propagation: primary}}", reader.cluster.site.dns.addr());
    let patch = serde_json::json!({"data": {"defaults": defaults}}).to_string();
    reader.cluster.kubectl(&["patch", "configmap", "notariat", "--type=merge", "-p", &patch]);
    reader.types("", &deploy.commands);
    reader.run_pod();
    reader.cluster.assert_valid("cert-example.com", &["example.com", "www.example.com", "*.apps.example.com"]);
    let seen = reader.types("", &look.commands);
    for part in ["Valid", "cert-example.com", "Issued"] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    reader.types("", &production.commands);
    let variables = reader.cluster.kubectl(&["get", "deployment", "notariat", "-o", "jsonpath={..env}"]);
    assert!(variables.contains("https://acme-v02.api.letsencrypt.org/directory"), "{variables}");
    let Site { dns, key, .. } = &reader.cluster.site;
    let other = dns.nsupdate(key, "example.com", "add _acme-challenge.other.example.com 60 TXT v");
    assert!(other.is_err_and(|e| e.contains("REFUSED")), "the key may change nothing else");
}

#[test]
fn every_command_block_of_the_other_pages_runs() {
    let mut count = 0;
    // The test of README above, tests/it/convert/guide.rs and tests/it/moving_objects.rs follow these from their first command to their last.
    let followed = ["README.md", "docs/moving.md", "docs/moving-objects.md"].map(Path::new);
    for (path, page) in pages().into_iter().filter(|(path, _)| !followed.contains(&path.as_path())) {
        let blocks: Vec<Block> = blocks(&page).into_iter().filter(|block| block.not_run.is_none()).collect();
        if blocks.is_empty() {
            continue;
        }
        // Pages of docs/ speak of the repository's folder, that of deploy/monitoring/ of its own.
        let folder = path.parent().filter(|folder| folder.starts_with("deploy")).map_or(PathBuf::new(), Path::to_owned);
        let reader = Reader::with_a_certificate();
        for block in blocks {
            reader.types(folder.to_str().unwrap(), &block.commands);
            count += 1;
        }
    }
    assert!(count >= 10, "{count} blocks ran");
}

#[test]
fn few_command_blocks_do_not_run_and_each_says_why() {
    let mut not_run = Vec::new();
    for (path, page) in pages() {
        assert_eq!(page.matches("<!-- not run:").count(), blocks(&page).iter().filter(|b| b.not_run.is_some()).count());
        not_run.extend(blocks(&page).into_iter().filter_map(|block| Some((path.clone(), block.not_run?))));
    }
    assert!(not_run.iter().all(|(_, why)| why.split(' ').count() > 5), "{not_run:?}");
    assert_eq!(not_run.len(), 8, "{not_run:#?}");
}
