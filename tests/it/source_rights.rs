//! The rights that Ingresses, Gateways and Services as sources need: what `notariat role` prints for them is enough, what is missing is said,
//! and without them nothing more is asked for than before.

use std::collections::BTreeSet;

use notariat_lab::Scratch;
use notariat_lab::kube::Audited;
use serde::Deserialize as _;
use serde_json::Value;

use crate::docs::read;
use crate::support::Run;
use crate::support::cluster::{Cluster, OwnKube};
use crate::support::run::notariat;
use crate::support::tenants::{RIGHTS, Tenants};

const ACME: &str = "kubernetes.io/tls-acme: 'true'";
const ALL: &str = "config,ingress,gateway,service,cert-manager,gardener";

/// The output of a command of notariat about the ConfigMap of the tenants, with the rights of its pod.
fn command(tenants: &Tenants, name: &str, more: &[&str]) -> Run {
    let allowed = format!("-allow-namespaces={},{}", tenants.a, tenants.b);
    let cluster = &tenants.cluster;
    let command = cluster.command(&cluster.service_account(), &[&[allowed.as_str()], more].concat());
    Run::of(notariat().arg(name).args(command.get_args()))
}

fn documents(yaml: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(yaml).map(|document| Value::deserialize(document).unwrap()).collect()
}

/// The rules of the ClusterRole `notariat-sources`: group, resource, verb.
fn of_sources(yaml: &str) -> BTreeSet<[String; 3]> {
    let is_it = |object: &&Value| object["kind"] == "ClusterRole" && object["metadata"]["name"] == "notariat-sources";
    let (documents, mut found) = (documents(yaml), BTreeSet::new());
    for rule in documents.iter().find(is_it).unwrap()["rules"].as_array().unwrap() {
        let texts = |field: &str| rule[field].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned());
        for resource in texts("resources") {
            found.extend(texts("verbs").map(|verb| [texts("apiGroups").next().unwrap(), resource.clone(), verb]));
        }
    }
    found
}

/// The requests of the pod to the API server.
fn asked(cluster: &Cluster) -> Vec<Audited> {
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    cluster.kube.audit().into_iter().filter(|asked| asked.user == user).collect()
}

#[test]
fn the_printed_rights_are_enough_and_read_the_kinds_in_use_only() {
    let tenants = Tenants::new();
    tenants.kubectl(&["delete", "clusterrole,clusterrolebinding", "notariat-sources-{own}"]);
    for namespace in ["{a}", "{b}"] {
        tenants.kubectl(&["-n", namespace, "delete", "role,rolebinding", "notariat"]);
    }
    let entry = "- {secret: entry, domains: [entry.site.test]}";
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test]}"), ("certificates", entry)]);
    tenants.ingress("{a}", "web", ACME, "[{secretName: web, hosts: [x.a.site.test]}]");
    let printed = command(&tenants, "role", &["-sources", "config,ingress,gateway"]).ends(0).stdout;
    let kinds = of_sources(&printed);
    assert!(kinds.iter().all(|[_, _, verb]| ["get", "list", "watch"].contains(&verb.as_str())), "{printed}");
    assert_eq!((kinds.len(), kinds.iter().any(|[_, resource, _]| resource == "services")), (7 * 3, false), "{printed}");
    let all = command(&tenants, "role", &["-sources", ALL]).ends(0).stdout;
    assert_eq!(of_sources(&all), of_sources(&read("deploy/sources/clusterrole.yaml")));
    let verbs: BTreeSet<String> = documents(&all)
        .iter()
        .flat_map(|object| object["rules"].as_array().cloned().unwrap_or_default())
        .flat_map(|rule| rule["verbs"].as_array().unwrap().clone())
        .map(|verb| verb.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(Vec::from_iter(&verbs), ["create", "get", "list", "update", "watch"]);
    let pruning = command(&tenants, "role", &["-sources", ALL, "-prune"]).ends(0).stdout;
    let deletes = "  # Secrets that no object wants any more (-prune).\n  - apiGroups: [\"\"]\n    resources: [secrets]\n    verbs: [delete]\n";
    assert_eq!((pruning.matches(deletes).count(), pruning.replace(deletes, "")), (3, all.clone()), "in each namespace");
    let by_default = command(&tenants, "role", &[]).ends(0).stdout;
    assert_eq!(by_default, command(&tenants, "role", &["-sources", "config"]).ends(0).stdout);
    assert!(!by_default.contains("kind: ClusterRole") && !by_default.contains("kind: RoleBinding"), "{by_default}");

    // The tests that run beside this one have objects of the same name.
    tenants.apply(&printed.replace("notariat-sources", "notariat-sources-{own}"));
    let account = format!("--as=system:serviceaccount:{}:notariat", tenants.cluster.namespace);
    let may = |verb: &str, kind: &str, namespace: &str| {
        tenants.cluster.kube.try_kubectl(&["auth", "can-i", verb, kind, "-n", namespace, &account]).is_ok()
    };
    // The API server takes new rules into account a moment later.
    crate::support::run::until("the rules are in force", || {
        let each =
            [&tenants.a, &tenants.b].iter().all(|at| may("update", "secrets", at) && may("create", "events", at));
        each && may("watch", "ingresses.networking.k8s.io", &tenants.a)
    });
    let daemon = tenants.daemon(&["-sources", "config,ingress,gateway"]);
    tenants.until_issued(&daemon, "{a}", "web", &["x.a"]);
    tenants.until_issued(&daemon, "{own}", "entry", &["entry"]);
    tenants.until_told("{a}", "web", "Normal Issued", "");
    for word in ["permission-missing", "source-denied"] {
        assert!(!daemon.log().contains(word), "{}", daemon.log());
    }
    assert_eq!(daemon.terminate(), 0);
    let asked = asked(&tenants.cluster);
    assert!(asked.iter().all(|asked| asked.code != 403), "{asked:#?}");
    assert!(asked.iter().any(|asked| asked.resource == "ingresses" && asked.verb == "watch"), "{asked:#?}");
}

#[test]
fn check_says_which_rights_of_the_whole_cluster_are_missing() {
    let tenants = Tenants::new();
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test]}"), ("certificates", "[]")]);
    let check = |more: &[&str]| command(&tenants, "check", more).stdout;
    let lacks_delete =
        format!("fault    Permissions in {}: lacks the verb `delete` on `secrets`: -prune deletes nothing", tenants.a);
    let pruning = check(&["-sources", ALL, "-prune"]);
    assert!(pruning.contains(&lacks_delete) && !check(&["-sources", ALL]).contains("`delete`"), "{pruning}");
    let (ok, lacks) = ("ok       Permissions in the cluster: ", "fault    Permissions in the cluster: lacks the verb ");
    let whole = check(&["-sources", ALL]);
    assert_eq!((whole.matches(ok).count(), whole.matches(lacks).count()), (14, 0), "{whole}");
    assert!(whole.contains(&format!("{ok}ingresses: list, watch\n")), "{whole}");

    let rule = "{apiGroups: [networking.k8s.io], resources: [ingresses], verbs: [get, list, watch]}";
    assert!(RIGHTS.contains(rule));
    tenants.apply(&RIGHTS.replace(rule, &rule.replace(", watch", "")));
    let missing = |found: &str| found.contains(&format!("{lacks}`watch` on `ingresses` in the whole cluster"));
    let mut found = String::new();
    crate::support::run::until("the right is gone", || {
        found = check(&["-sources", ALL]);
        missing(&found)
    });
    assert_eq!((found.matches(ok).count(), found.matches(lacks).count()), (13, 1), "{found}");
    // Nobody needs them who does not use them.
    for sources in [&[][..], &["-sources", "config,service"]] {
        let found = check(sources);
        assert!(!found.contains(lacks) && found.matches(ok).count() == sources.len() / 2, "{found}");
    }

    // A manifest is compared in the same way.
    let scratch = Scratch::new("rights");
    let config_map = scratch.write("config", &tenants.cluster.kubectl(&["get", "configmap", "notariat", "-o", "yaml"]));
    let role = |name: &str, text: &str| {
        let role = scratch.write(name, &tenants.filled(text));
        let allowed = format!("-allow-namespaces={},{}", tenants.a, tenants.b);
        let arguments = ["check", "-sources", ALL, &allowed, "-f", config_map.to_str().unwrap(), "-role"];
        Run::of(notariat().args(arguments).arg(role)).stdout
    };
    let (whole, part) = (role("whole", RIGHTS), role("part", &RIGHTS.replace("services, ", "")));
    assert!(!whole.contains("ClusterRole: lacks"), "{whole}");
    assert_eq!(part.matches("fault    ClusterRole: lacks the verb ").count(), 2, "{part}");
    assert!(part.contains("`list` on `services` in the whole cluster"), "{part}");
}

#[test]
fn a_source_that_may_not_be_read_any_more_is_told_once_and_its_last_objects_hold() {
    // Of its own: it is started anew, which ends each watch.
    let own = OwnKube::start();
    let kube = own.kube();
    let tenants = Tenants::on(Cluster::on(kube));
    let entry = "- {secret: entry, domains: [entry.site.test]}";
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test]}"), ("certificates", entry)]);
    tenants.ingress("{a}", "web", ACME, "[{secretName: web, hosts: [x.a.site.test]}]");
    let daemon = tenants.daemon(&["-sources", "config,ingress,service"]);
    tenants.until_issued(&daemon, "{a}", "web", &["x.a"]);
    tenants.until_issued(&daemon, "{own}", "entry", &["entry"]);
    tenants.kubectl(&["delete", "clusterrolebinding", "notariat-sources-{own}"]);
    kube.stop_api();
    kube.start_api();
    let denied = |daemon: &crate::support::run::Daemon, kind: &str| {
        daemon.log().lines().filter(|line| line.contains(&format!("source-denied what=/{kind} "))).count()
    };
    daemon.until("both are denied", || denied(&daemon, "ingresses") > 0 && denied(&daemon, "services") > 0);
    daemon.until_it_says("the objects that were seen last hold, and changes of them are not noticed");

    // What was seen last is served: a renewal, and a Secret that somebody deletes. A new Ingress is not.
    tenants.ingress("{a}", "late", ACME, "[{secretName: late, hosts: [y.a.site.test]}]");
    tenants.kubectl(&["-n", "{a}", "annotate", "secret", "web", "notariat/renew=1"]);
    daemon.until("it is renewed", || daemon.log().matches("issued secret=").count() == 3);
    tenants.kubectl(&["-n", "{a}", "delete", "secret", "web"]);
    daemon.until_it_says("restored secret=");
    assert_eq!((denied(&daemon, "ingresses"), denied(&daemon, "services")), (1, 1), "{}", daemon.log());
    assert_eq!((tenants.names("{a}", "late"), daemon.log().contains("orphaned")), (None, false));

    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn without_further_sources_nothing_more_is_watched_and_no_further_right_is_needed() {
    let mut kinds = Vec::new();
    for more in [&[][..], &["-sources", "config"]] {
        // The Role of deploy/single-namespace, and objects that would ask if they were read.
        let cluster = Cluster::new();
        let other = cluster.kube.namespace();
        cluster.config(&cluster.site.entry("entry", "entry.site.test", ""));
        let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\n\
                       metadata: {name: web, annotations: {kubernetes.io/tls-acme: 'true'}}\n\
                       spec: {tls: [{secretName: web, hosts: [web.site.test]}], defaultBackend: {service: {name: x, port: {number: 80}}}}\n";
        for namespace in [&cluster.namespace, &other] {
            cluster.kube.kubectl_stdin(&["-n", namespace, "apply", "-f", "-"], ingress);
        }
        let daemon = cluster.daemon(more);
        daemon.until_it_says("issued secret=");
        daemon.until("all is settled", || daemon.log().contains("valid secret=") || daemon.log().contains("checked "));
        for word in ["permission-missing", "source-", "not-served"] {
            assert!(!daemon.log().contains(word), "{}", daemon.log());
        }
        assert_eq!(daemon.terminate(), 0);
        let asked = asked(&cluster);
        assert!(asked.iter().all(|asked| asked.code != 403), "{asked:#?}");
        let reviews = |asked: &&Audited| !asked.resource.starts_with("selfsubject");
        assert!(asked.iter().filter(reviews).all(|asked| asked.namespace == cluster.namespace), "{asked:#?}");
        let watched = asked.iter().filter(|asked| ["list", "watch"].contains(&asked.verb.as_str()));
        kinds.push(watched.map(|asked| asked.resource.clone()).collect::<BTreeSet<_>>());
        assert!(cluster.kube.try_kubectl(&["-n", &cluster.namespace, "get", "secret", "web"]).is_err());
    }
    assert_eq!(
        kinds,
        [["configmaps", "secrets"], ["configmaps", "secrets"]].map(|kinds| kinds.map(str::to_owned).into())
    );
}
