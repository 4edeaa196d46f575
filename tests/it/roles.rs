//! The rights that notariat needs, the sentences where they are missing, and the Role that `notariat role` prints.

use std::collections::BTreeSet;
use std::path::Path;

use notariat::kube::access_review;
use notariat::kube::client::KubeClient;
use notariat::kube::discovery;
use notariat::kube::rbac::{GrantedRules, Names, PolicyRule, RBAC_RULES, RuleSubject};
use notariat_lab::kube::Audited;
use notariat_lab::{Kube, Scratch};
use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::run::{Daemon, notariat};
use crate::support::{Run, x509};

/// Group, resource and verb of each request.
type Verbs = BTreeSet<(String, String, String)>;

/// The rules of a Role.
fn rules(yaml: &str) -> Vec<Value> {
    let role: Value = serde_yaml::from_str(yaml).unwrap();
    role["rules"].as_array().unwrap().clone()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn granted(rules: &[Value]) -> Verbs {
    let mut verbs = Verbs::new();
    for rule in rules {
        for (group, resource) in texts(&rule["apiGroups"]).into_iter().zip(texts(&rule["resources"])) {
            verbs.extend(texts(&rule["verbs"]).into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
        }
    }
    verbs
}

/// The requests that the code can send without `-prune`.
fn sent() -> Verbs {
    RBAC_RULES
        .iter()
        .filter(|r| r.verb != "delete")
        .map(|r| (r.resource.group.to_owned(), r.resource.plural.to_owned(), r.verb.to_owned()))
        .collect()
}

fn in_deploy(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)).unwrap()
}

#[test]
fn the_roles_of_deploy_grant_what_is_sent_and_nothing_else() {
    let own = rules(&in_deploy("single-namespace/role.yaml"));
    assert_eq!(granted(&own), sent());
    for rule in &own {
        let named = !texts(&rule["resourceNames"]).is_empty();
        let can_be = RBAC_RULES.iter().any(|r| {
            r.by_name && rule["resources"][0] == r.resource.plural && texts(&rule["verbs"]).contains(&r.verb.to_owned())
        });
        assert!(named == (can_be && rule["resources"][0] != "secrets"), "{rule}");
    }
    let of_secrets = |(_, resource, _): &(String, String, String)| resource == "secrets";
    assert_eq!(
        granted(&rules(&in_deploy("multi-namespace/clusterrole.yaml"))),
        sent().into_iter().filter(of_secrets).collect()
    );
}

/// The requests to the API server by the pod of a cluster.
fn audit(cluster: &Cluster) -> Vec<Audited> {
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    cluster.kube.audit().into_iter().filter(|a| a.user == user).collect()
}

/// Everything that was asked is in the table of what is sent, and nothing was refused.
#[track_caller]
fn assert_granted(asked: &[Audited]) {
    assert!(asked.len() > 10);
    let known: BTreeSet<_> = RBAC_RULES.iter().map(|r| (r.resource.plural, r.verb)).collect();
    for a in asked.iter().filter(|a| !a.resource.starts_with("selfsubject")) {
        assert!(a.code != 403 && known.contains(&(a.resource.as_str(), a.verb.as_str())), "{a:#?}");
    }
}

#[test]
fn a_daemon_asks_for_nothing_that_the_role_of_deploy_does_not_grant() {
    let cluster = Cluster::new();
    cluster.tls("old", &x509::make(&["a.site.test"], "somebody", -90, -1));
    cluster.config(
        &[cluster.site.entry("web", "www.site.test", ""), cluster.site.entry("old", "a.site.test", "")].concat(),
    );
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("issued secret=");
    daemon.until("both are there", || daemon.log().matches("issued secret=").count() == 2);
    cluster.kubectl(&["delete", "secret", "web"]);
    daemon.until_it_says("restored secret=");
    cluster.kubectl(&["annotate", "secret", "web", "notariat/renew=now"]);
    daemon.until_it_says("reason=RenewalRequested");
    daemon.until("it is renewed", || daemon.log().matches("issued secret=").count() == 3);
    assert!(!daemon.log().contains("permission-missing"), "{}", daemon.log());
    assert_eq!(daemon.terminate(), 0);
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster.once().ends(0).says(&["orphaned secret="]);
    let asked = audit(&cluster);
    assert_granted(&asked);
    let of = |verb: &str, resource: &str| asked.iter().filter(|a| a.verb == verb && a.resource == resource).count();
    assert!(["get", "list", "create", "update"].iter().all(|verb| of(verb, "secrets") > 0), "{asked:#?}");
    assert_eq!(of("create", "selfsubjectrulesreviews"), 2, "one for each start");
    assert_eq!(of("create", "selfsubjectaccessreviews"), 0, "the rules are complete");
}

/// The Role that `notariat role` prints.
fn printed(cluster: &Cluster, more: &[&str]) -> String {
    let mut command = cluster.command(cluster.kube.admin_kubeconfig(), more);
    let run = Run::of(notariat().arg("role").args(command.args([""; 0]).get_args().collect::<Vec<_>>())).ends(0);
    assert_eq!(run.log, "");
    run.stdout
}

/// A cluster with one certificate that is overdue and one that is not there, from an issuer with roots of its own.
fn cluster() -> Cluster {
    let cluster = Cluster::new();
    let roots = format!("--from-file=ca.crt={}", cluster.site.pebble.ca_file().display());
    cluster.kubectl(&["create", "secret", "generic", "roots", &roots]);
    let file = cluster.site.store.write(
        "certificates",
        &[cluster.site.entry("old", "a.site.test", ", issuer: lab"), cluster.site.entry("new", "b.site.test", "")]
            .concat(),
    );
    let issuers = format!(
        "--from-literal=issuers=lab: {{directory: '{}', caSecretName: roots}}",
        cluster.site.pebble.directory()
    );
    cluster.kubectl(&["create", "configmap", "notariat", &format!("--from-file={}", file.display()), &issuers]);
    cluster
}

#[test]
fn the_printed_role_is_enough() {
    let cluster = cluster();
    let yaml = printed(&cluster, &[]);
    let manifest =
        cluster.site.store.write("manifest", &cluster.kubectl(&["get", "configmap", "notariat", "-o", "yaml"]));
    let from_file = ["role", "-acme", &cluster.site.pebble.directory(), "-f", manifest.to_str().unwrap()];
    assert_eq!(Run::of(notariat().args(from_file)).ends(0).stdout, yaml, "a manifest says the same");
    assert_eq!(granted(&rules(&yaml)), sent());
    assert_eq!(rules(&yaml).iter().filter(|rule| texts(&rule["resourceNames"]).is_empty()).count(), 4, "{yaml}");

    cluster.kube.kubectl_stdin(&["-n", &cluster.namespace, "apply", "-f", "-"], &yaml);
    let daemon = cluster.daemon(&[]);
    daemon.until("both are there", || daemon.log().matches("issued secret=").count() == 2);
    assert!(!daemon.log().contains("permission-missing"), "{}", daemon.log());
    assert_eq!(daemon.terminate(), 0);
    cluster.once().ends(0).says(&["valid secret="]).never_says("permission-missing");
    assert_granted(&audit(&cluster));
    for secret in ["other", "tsigkey2"] {
        let forbidden = cluster
            .kube
            .try_kubectl_as(&cluster.service_account(), &["-n", &cluster.namespace, "get", "secret", secret]);
        assert!(forbidden.unwrap_err().contains("forbidden"), "{secret}");
    }
}

#[test]
fn no_role_is_printed_for_what_would_be_refused() {
    let scratch = Scratch::new("role");
    let role = |text: &str, more: &[&str]| {
        let file = scratch.write("manifest", text);
        Run::of(notariat().args(["role", "-f", file.to_str().unwrap()]).args(more))
    };
    let of = |entries: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: team}}\ndata:\n  certificates: |\n    {entries}\n"
        )
    };
    let run = role(
        &of("- {secret: a, domains: [a..test]}\n    - {secret: other/b, domains: [b.test], tsigSecretName: k}"),
        &[],
    )
    .ends(1);
    assert_eq!(run.stdout, "");
    let run = run.says(&[
        "certificates entry 1 (team/a): domains[0]",
        "entry 2 (other/b): secret: \"other/b\" is in the namespace other",
    ]);
    run.says(&["-allow-namespaces"]);
    role("[", &[]).ends(1).says(&["manifest: line 2 is not YAML"]);
    let run =
        role(&of("- {secret: other/b, domains: [b.test], tsigSecretName: keys/k}"), &["-allow-namespaces=keys,other"])
            .ends(0);
    let roles: Vec<&str> = run.stdout.split("---\n").collect();
    assert_eq!(roles.len(), 3, "{}", run.stdout);
    for (role, namespace, resources) in [(roles[0], "keys", 1), (roles[1], "other", 2), (roles[2], "team", 8)] {
        assert!(role.contains(&format!("namespace: \"{namespace}\"")), "{role}");
        assert_eq!(rules(role).len(), resources, "{role}");
    }
}

/// The exit code of a pass where a verb is missing, and how many orders were made. `None`: nothing else is different.
fn outcome(resource: &str, names: &str, verb: &str) -> Option<(i32, usize)> {
    match (resource, verb) {
        ("configmaps", "get") if names != "notariat-status" => Some((75, 0)),
        ("secrets", "get") => Some((75, 0)),
        ("secrets", "create") => Some((1, 0)),
        // The one that does not exist yet is made.
        ("secrets", "update") if names.contains("old") && !names.contains("record") => Some((1, 1)),
        ("secrets", "update") => Some((1, 0)),
        _ => None,
    }
}

#[test]
fn each_verb_that_is_taken_away_is_named_with_what_follows() {
    let cluster = cluster();
    let yaml = printed(&cluster, &[]);
    let whole: Value = serde_yaml::from_str(&yaml).unwrap();
    let account = format!("--as=system:serviceaccount:{}:notariat", cluster.namespace);
    let mut cases = 0;
    for (number, rule) in rules(&yaml).iter().enumerate() {
        for verb in texts(&rule["verbs"]) {
            let mut role = whole.clone();
            let verbs: Vec<_> = texts(&rule["verbs"]).into_iter().filter(|v| *v != verb).collect();
            role["rules"][number]["verbs"] = json!(verbs);
            if verbs.is_empty() {
                role["rules"].as_array_mut().unwrap().remove(number);
            }
            cluster.kubectl(&[
                "delete",
                "secrets",
                "--ignore-not-found",
                "-l",
                "app.kubernetes.io/managed-by=notariat",
            ]);
            cluster.kubectl(&["delete", "secret", "--ignore-not-found", "old"]);
            cluster.tls("old", &x509::make(&["a.site.test"], "somebody", -90, -1));
            cluster.kube.kubectl_stdin(&["apply", "-f", "-"], &role.to_string());
            let (resource, names) = (rule["resources"][0].as_str().unwrap(), texts(&rule["resourceNames"]));
            let (group, name) = (rule["apiGroups"][0].as_str().unwrap(), names.first());
            let object = format!(
                "{}{}",
                if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") },
                name.map(|n| format!("/{n}")).unwrap_or_default()
            );
            let can =
                || cluster.kube.try_kubectl(&["-n", &cluster.namespace, "auth", "can-i", &verb, &object, &account]);
            for _ in 0..100 {
                if can().is_err() {
                    break;
                }
            }
            assert!(can().is_err(), "{verb} {object} is still allowed");

            let is_status = names.iter().any(|name| name == "notariat-status")
                || (resource, verb.as_str()) == ("configmaps", "create");
            let right = |r: &&PolicyRule| {
                (r.resource.plural, r.verb) == (resource, verb.as_str())
                    && r.subjects.contains(&RuleSubject::Status) == is_status
            };
            let right = RBAC_RULES.iter().find(right).unwrap();
            let named = if names.is_empty() { "all".to_owned() } else { names.join(",") };
            let said = format!(
                "permission-missing verb={verb} resource={resource} namespace={} names={named} consequence={:?}",
                cluster.namespace, right.consequence
            );
            let orders = || cluster.site.pebble.request_lines().into_iter().filter(|l| l.contains("order-plz")).count();
            let before = orders();
            match outcome(resource, &named, &verb) {
                Some((code, made)) => {
                    let run = cluster.once().ends(code).says(&[&said]);
                    run.says(&[&format!(
                        "the Role lacks the verb `{verb}` on `{resource}` in the namespace {}",
                        cluster.namespace
                    )]);
                    assert_eq!(orders() - before, made, "{verb} {resource} {named}");
                }
                None if (resource, verb.as_str()) == ("leases", "update") => {
                    let daemon: Daemon = cluster.daemon(&[]);
                    daemon.until_it_says(&said);
                    daemon.until_it_says("the Role lacks the verb `update` on `leases`");
                    assert_eq!(daemon.terminate(), 0);
                    assert_eq!(orders(), before, "who may not renew a Lease that is there does not lead");
                }
                None => {
                    let daemon: Daemon = cluster.daemon(&[]);
                    daemon.until_it_says(&said);
                    daemon.until("both are there", || daemon.log().matches("issued secret=").count() == 2);
                    assert_eq!(daemon.log().matches("permission-missing").count(), 1, "{}", daemon.log());
                    assert_eq!(daemon.terminate(), 0);
                }
            }
            cases += 1;
        }
    }
    assert_eq!(cases, 23, "{yaml}");
}

#[test]
fn no_order_is_made_whose_record_could_not_be_continued() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster.once().ends(0);
    // The account is there, and the trial writes of what does not exist yet are creates.
    cluster.secret_verbs(&["get", "list", "watch", "create"]);
    let orders = || cluster.site.pebble.request_lines().into_iter().filter(|l| l.contains("order-plz")).count();
    let before = orders();
    cluster.config(&cluster.site.entry("new", "b.site.test", ""));
    cluster.once().ends(1).says(&["the Role lacks the verb `update` on `secrets`"]);
    assert_eq!((before, orders()), (1, 1));
}

#[test]
fn what_an_authorizer_can_not_list_is_asked_for_one_by_one() {
    // The authorizer of nodes lists no rules. To a node it allows Events, which no rule of RBAC does.
    let kube = Kube::start_with(&["--authorization-mode=Node"]);
    let client = KubeClient::new(
        discovery::find(Some(&kube.kubeconfig_with_client_cert("system:node:n1", "system:nodes"))).unwrap(),
        notariat::base::shutdown::Shutdown::new(),
    )
    .unwrap();
    let mut rules = access_review::rules(&client, "default").unwrap();
    assert!(rules.incomplete);
    let names = Names::from([(RuleSubject::Event, BTreeSet::new()), (RuleSubject::ConfigMap, ["c".to_owned()].into())]);
    let told = |rules: &GrantedRules| -> Vec<String> {
        rules.missing(&names).iter().map(|m| format!("{} {}", m.rule.verb, m.rule.resource.plural)).collect()
    };
    let config_maps = ["get configmaps", "list configmaps", "watch configmaps"];
    assert_eq!(told(&rules), [&config_maps[..], &["create events", "update events"]].concat());
    access_review::complete(&client, "default", &mut rules, &names).unwrap();
    assert_eq!(told(&rules), config_maps);
    let asked =
        kube.audit().into_iter().filter(|a| a.user == "system:node:n1" && a.resource == "selfsubjectaccessreviews");
    assert_eq!(asked.count(), 8, "each for all names, then for the one");
}
