//! The objects that the commands of docs/ leave behind on a real API server; tests/it/docs_blocks.rs runs all of them.

use std::process::Command;

use notariat_lab::tools;

use crate::docs::{blocks, read};
use crate::support::cluster::Cluster;

/// Runs the lines of a block with a kubectl for the cluster's namespace.
fn run(cluster: &Cluster, script: &str) -> String {
    let kubectl = tools::tool("kubectl");
    let (kubectl, config) = (kubectl.display(), cluster.kube.admin_kubeconfig().display());
    let function = format!("kubectl() {{ {kubectl} --kubeconfig={config} -n {} \"$@\"; }}", cluster.namespace);
    tools::output(Command::new(tools::tool("bash")).args(["-euo", "pipefail", "-c", &format!("{function}\n{script}")]))
}

/// The block of a page that has this in it.
fn block(page: &str, part: &str) -> String {
    let page = read(page);
    let found = blocks(&page, "sh").into_iter().find(|block| block.contains(part));
    found.unwrap_or_else(|| panic!("no block with {part}")).to_owned()
}

fn with_a_certificate() -> Cluster {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("cert-example.com", "www.site.test", ""));
    cluster.once().ends(0);
    cluster
}

#[test]
fn uninstalling_leaves_the_certificates_and_nothing_else() {
    let cluster = with_a_certificate();
    // There is nothing in deploy/ that holds a certificate.
    let deploy = tools::output(Command::new(tools::tool("kubectl")).args(["kustomize", "deploy/"]));
    for kind in ["Secret", "ConfigMap", "Namespace"] {
        assert!(deploy.contains("\nkind: Role\n") && !deploy.contains(&format!("\nkind: {kind}\n")), "{kind}");
    }
    let ours = |cluster: &Cluster| cluster.kubectl(&["get", "secrets", "-o", "name"]);
    assert!(ours(&cluster).contains("notariat-record.") && ours(&cluster).contains("notariat-acme-"));
    run(&cluster, &block("docs/operations.md", "type=notariat/record"));
    assert!(!ours(&cluster).contains("/notariat-"), "{}", ours(&cluster));
    assert!(!cluster.kubectl(&["get", "configmaps", "-o", "name"]).contains("/notariat"));
    cluster.assert_valid("cert-example.com", &["www.site.test"]);
}

/// A certificate as cert-manager leaves it behind, which knows nothing of ours.
fn made_by_cert_manager() -> Cluster {
    let cluster = with_a_certificate();
    let marks = ["owner", "directory", "key-type", "source"].map(|mark| format!("notariat/{mark}-"));
    let others = ["cert-manager.io/certificate-name=web", "cert-manager.io/issuer-name=letsencrypt"];
    let marks = marks.iter().map(String::as_str).chain(others);
    let annotate = ["annotate", "secret", "cert-example.com"].into_iter().chain(marks);
    cluster.kubectl(&annotate.collect::<Vec<_>>());
    cluster.kubectl(&["delete", "secrets", "--field-selector", "type=notariat/record"]);
    cluster
}

#[test]
fn moving_here_orders_nothing_before_it_is_due_and_leaves_the_annotations_of_cert_manager() {
    let cluster = made_by_cert_manager();
    let orders = || cluster.site.pebble.request_lines().iter().filter(|line| line.contains("order-plz")).count();
    let entry = |more: &str| cluster.site.entry("cert-example.com", "www.site.test", more);
    cluster.once().ends(1).says(&["left-alone", "OwnedByAnother", "it belongs to cert-manager"]);
    cluster.config(&entry(", adopt: true"));
    let version = cluster.version("cert-example.com");
    cluster.once().ends(0).never_says("issuing");
    assert_eq!((orders(), cluster.version("cert-example.com")), (1, version));
    // At the first renewal it becomes ours, and `adopt` can go.
    cluster.kubectl(&["annotate", "secret", "cert-example.com", "notariat/renew=now"]);
    cluster.once().ends(0).says(&["issued secret="]);
    cluster.config(&entry(""));
    cluster.once().ends(0).never_says("issuing");
    let name = cluster.get("cert-example.com", r"{.metadata.annotations.cert-manager\.io/certificate-name}");
    assert_eq!((orders(), name.as_str()), (2, "web"));
}

#[test]
fn on_the_way_back_cert_manager_finds_its_annotations_and_the_bare_secret_of_the_key() {
    let cluster = with_a_certificate();
    run(&cluster, &block("docs/moving.md", "kubectl annotate"));
    assert_eq!(cluster.get("cert-example.com", r"{.metadata.annotations.cert-manager\.io/issuer-name}"), "letsencrypt");
    // What stands there on purpose changes nothing for us.
    cluster.once().ends(0).never_says("issu");
    run(&cluster, &block("docs/moving.md", "tsig-cert-manager"));
    let bare =
        cluster.kubectl(&["get", "secret", "tsig-cert-manager", "-o", "go-template={{.data.secret | base64decode}}"]);
    assert_eq!(Some(bare.as_str()), cluster.site.key.secret_text().rsplit(':').next());
}
