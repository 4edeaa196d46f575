//! Ownership of Secrets on a real API server: the name of the last writer, copies made by replicators, two instances at one Secret.

use std::path::{Path, PathBuf};
use std::process::Command;

use notariat_lab::Scratch;

use crate::support::Run;
use crate::support::cluster::{Cluster, deploy};
use crate::support::run::notariat;

/// Orders made so far.
fn orders(cluster: &Cluster) -> usize {
    cluster.site.pebble.request_lines().into_iter().filter(|l| l.contains("order-plz")).count()
}

fn owner(cluster: &Cluster, secret: &str) -> String {
    cluster.get(secret, "{.metadata.annotations.notariat/owner}")
}

#[test]
fn who_overwrites_a_secret_again_and_again_is_named() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster.once().ends(0);
    let (data, made) = (cluster.get("web", "{.data}"), orders(&cluster));
    let empty = || cluster.kubectl(&["patch", "secret", "web", "-p", r#"{"data": {"tls.key": ""}}"#]);
    let named = r#"tls.key is missing or empty; last written by \"kubectl-patch\" at 20"#;
    for _ in 0..3 {
        empty();
        cluster.once().ends(0).says(&["restored secret=", named]);
        assert_eq!(cluster.get("web", "{.data}"), data);
    }
    empty();
    let version = cluster.version("web");
    cluster.once().ends(1).says(&["state=Contested", named]);
    assert_eq!((cluster.version("web"), orders(&cluster)), (version, made));
}

/// A Secret with the pair and all annotations of `web`, as a replicator makes one.
fn replicate(cluster: &Cluster, namespace: &str, name: &str) {
    let folder = Scratch::new("copied");
    let at = |file: &str| folder.join(file).display().to_string();
    for file in ["tls.crt", "tls.key"] {
        let path = format!("go-template={{{{index .data {file:?} | base64decode}}}}");
        folder.write(file, &cluster.kubectl(&["get", "secret", "web", "-o", &path]));
    }
    let (chain, key) = (format!("--cert={}", at("tls.crt")), format!("--key={}", at("tls.key")));
    cluster.kube.kubectl(&["-n", namespace, "create", "secret", "tls", name, &chain, &key]);
    for mark in ["owner", "directory", "key-type", "source"] {
        let value = cluster.get("web", &format!("{{.metadata.annotations.notariat/{mark}}}"));
        cluster.kube.kubectl(&["-n", namespace, "annotate", "secret", name, &format!("notariat/{mark}={value}")]);
    }
}

#[test]
fn what_a_replicator_copied_is_left_alone() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster.once().ends(0);
    let elsewhere = cluster.kube.namespace();
    let copies = [(&*cluster.namespace, "web-copy"), (&*elsewhere, "web")];
    for (namespace, name) in copies {
        replicate(&cluster, namespace, name);
        // A broken copy is no reason to repair it.
        cluster.kube.kubectl(&["-n", namespace, "patch", "secret", name, "-p", r#"{"data": {"tls.key": ""}}"#]);
    }
    let versions = || {
        let path = "jsonpath={.metadata.resourceVersion}";
        copies.map(|(namespace, name)| cluster.kube.kubectl(&["-n", namespace, "get", "secret", name, "-o", path]))
    };
    let before = versions();
    cluster.once().ends(0).never_says("copy").never_says(&elsewhere);
    assert_eq!(versions(), before);

    // A copy that an entry names still belongs to the replicator, which would write it back.
    let both = |more: &str| {
        cluster.site.entry("web", "www.site.test", "") + &cluster.site.entry("web-copy", "www.site.test", more)
    };
    cluster.config(&both(""));
    let why = format!("belongs to a replicator (it is a copy of {}/web)", cluster.namespace);
    cluster.once().ends(1).says(&["reason=OwnedByAnother", &why]);
    assert_eq!(versions(), before);

    // `adopt: true` makes it ours.
    cluster.config(&both(", adopt: true"));
    cluster.once().ends(0).says(&["issued"]);
    cluster.assert_valid("web-copy", &["www.site.test"]);
    assert_eq!(owner(&cluster, "web-copy"), format!("{0} {0}/web-copy", cluster.namespace));
    assert_eq!(versions()[1], before[1]);
}

/// Runs two programs in turns. Asserts that one of them owns the Secret, that the other leaves it alone, and that nothing is written or
/// ordered any more. Returns the owner's place.
#[track_caller]
fn settled(cluster: &Cluster, owners: [&str; 2], run: impl Fn(usize) -> Run) -> usize {
    cluster.assert_valid("web", &["www.site.test"]);
    let mark = owner(cluster, "web");
    let holder = owners.iter().position(|name| mark == format!("{name} {}/web", cluster.namespace));
    let holder = holder.unwrap_or_else(|| panic!("{mark} is none of {owners:?}"));
    let before = (cluster.version("web"), orders(cluster));
    for _ in 0..2 {
        run(holder).ends(0).never_says("issu");
        let belongs = format!(r#"it belongs to the notariat instance \"{}\""#, owners[holder]);
        run(1 - holder).ends(1).says(&["reason=OwnedByAnother", &belongs]).never_says("issu");
    }
    assert_eq!((cluster.version("web"), orders(cluster)), before);
    holder
}

/// Runs both at the same time.
fn both(run: impl Fn(usize) -> Run + Sync) {
    let run = &run;
    std::thread::scope(|scope| {
        for place in [0, 1] {
            scope.spawn(move || run(place));
        }
    });
}

#[test]
fn of_two_instances_in_a_namespace_one_keeps_the_secret() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let (names, identity) = (["a", "b"], cluster.service_account());
    let run = |place: usize| Run::of(&mut cluster.command(&identity, &["-once", "-instance", names[place]]));
    run(1).ends(0);
    assert_eq!(settled(&cluster, names, run), 1, "who was first keeps it");

    cluster.kubectl(&["delete", "secret", "web"]);
    cluster.kubectl(&["delete", "secret", &format!("notariat-record.{}.web", cluster.namespace)]);
    let made = orders(&cluster);
    both(run);
    settled(&cluster, names, run);
    assert_eq!(orders(&cluster), made + 1, "they have one record, and one of them its claim");
}

/// A second namespace with deploy/ in it, which may write the Secrets of the first: the identity of its pod.
fn second(cluster: &Cluster, yaml: &str) -> (String, PathBuf) {
    let (kube, namespace) = (cluster.kube, cluster.kube.namespace());
    deploy(kube, &namespace);
    let key = format!("--from-literal=key={}", cluster.site.key.secret_text());
    kube.kubectl(&["-n", &namespace, "create", "secret", "generic", "tsigkey", &key]);
    let entries = format!("--from-literal=certificates={yaml}");
    kube.kubectl(&["-n", &namespace, "create", "configmap", "notariat", &entries]);
    let verbs = ["--verb=get,create,update", "--resource=secrets"];
    cluster.kubectl(&[&["create", "role", "second"], &verbs[..]].concat());
    let account = format!("--serviceaccount={namespace}:notariat");
    cluster.kubectl(&["create", "rolebinding", "second", "--role=second", &account]);
    let identity = kube.kubeconfig_with_bearer(&kube.service_account_token(&namespace, "notariat"));
    (namespace, identity)
}

fn command(cluster: &Cluster, namespace: &str, identity: &Path) -> Command {
    let mut command = notariat();
    command
        .args(["-once", "-config", "notariat", "-namespace", namespace, "-allow-namespaces", &cluster.namespace])
        .arg("-kubeconfig")
        .arg(identity);
    command.arg("-acme").arg(cluster.site.pebble.directory()).arg("-acme-ca").arg(cluster.site.pebble.ca_file());
    command.arg(format!("-resolver={}", cluster.site.resolver.addr()));
    command
}

#[test]
fn of_two_namespaces_that_want_one_secret_one_gets_it() {
    let cluster = Cluster::new();
    let entry = cluster.site.entry(&format!("{}/web", cluster.namespace), "www.site.test", "");
    cluster.config(&entry);
    let (other, identity) = second(&cluster, &entry);
    let places = [(&*cluster.namespace, cluster.service_account()), (&*other, identity)];
    let run = |place: usize| Run::of(&mut command(&cluster, places[place].0, &places[place].1));
    both(run);
    settled(&cluster, [places[0].0, places[1].0], run);
    let made = orders(&cluster);
    assert!(made == 1 || made == 2, "{made} orders: one of each at most");
}
