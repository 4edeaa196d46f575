//! What notariat needs of a Role, and what it says where that is missing.

use std::collections::BTreeSet;
use std::path::Path;

use notariat::kube::auth;
use notariat::kube::client::Client;
use notariat::kube::permission::{Kind, Names, RIGHTS, Rules};
use notariat::kube::review;
use notariat_lab::Kube;
use notariat_lab::kube::Audited;
use serde_json::Value;

use crate::support::cluster::Cluster;
use crate::support::x509;

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

/// What the code can send.
fn sent() -> Verbs {
    RIGHTS.iter().map(|r| (r.group.to_owned(), r.resource.to_owned(), r.verb.to_owned())).collect()
}

fn in_deploy(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)).unwrap()
}

#[test]
fn the_roles_of_deploy_grant_what_is_sent_and_nothing_else() {
    let own = rules(&in_deploy("role.yaml"));
    assert_eq!(granted(&own), sent());
    for rule in &own {
        let named = !texts(&rule["resourceNames"]).is_empty();
        let can_be = RIGHTS.iter().any(|r| {
            r.by_name && rule["resources"][0] == r.resource && texts(&rule["verbs"]).contains(&r.verb.to_owned())
        });
        assert!(named == (can_be && rule["resources"][0] != "secrets"), "{rule}");
    }
    let of_secrets = |(_, resource, _): &(String, String, String)| resource == "secrets";
    assert_eq!(
        granted(&rules(&in_deploy("multi-namespace/clusterrole.yaml"))),
        sent().into_iter().filter(of_secrets).collect()
    );
}

/// What was asked of the API server by the pod of a cluster.
fn audit(cluster: &Cluster) -> Vec<Audited> {
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    cluster.kube.audit().into_iter().filter(|a| a.user == user).collect()
}

/// Everything that was asked is in the table of what is sent, and nothing was refused.
#[track_caller]
fn assert_granted(asked: &[Audited]) {
    assert!(asked.len() > 10);
    let known: BTreeSet<_> = RIGHTS.iter().map(|r| (r.resource, r.verb)).collect();
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
    cluster.once().ends(0).says(&["forgotten secret="]);
    let asked = audit(&cluster);
    assert_granted(&asked);
    let of = |verb: &str, resource: &str| asked.iter().filter(|a| a.verb == verb && a.resource == resource).count();
    assert!(["get", "list", "create", "update"].iter().all(|verb| of(verb, "secrets") > 0), "{asked:#?}");
    assert_eq!(of("create", "selfsubjectrulesreviews"), 2, "one for each start");
    assert_eq!(of("create", "selfsubjectaccessreviews"), 0, "the rules are complete");
}

#[test]
fn no_order_is_made_whose_record_could_not_be_continued() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster.once().ends(0);
    // The account is there, and the trial writes of what does not exist yet are creates.
    let patch = r#"[{"op": "replace", "path": "/rules/1/verbs", "value": ["get", "list", "watch", "create"]}]"#;
    cluster.kubectl(&["patch", "role", "notariat", "--type=json", "-p", patch]);
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
    let client = Client::new(
        auth::find(Some(&kube.kubeconfig_with_client_cert("system:node:n1", "system:nodes"))).unwrap(),
        notariat::stop::Stop::new(),
    )
    .unwrap();
    let mut rules = review::rules(&client, "default").unwrap();
    assert!(rules.incomplete);
    let names = Names::from([(Kind::Event, BTreeSet::new()), (Kind::ConfigMap, ["c".to_owned()].into())]);
    let told = |rules: &Rules| -> Vec<String> {
        rules.missing(&names).iter().map(|m| format!("{} {}", m.right.verb, m.right.resource)).collect()
    };
    let config_maps = ["get configmaps", "list configmaps", "watch configmaps"];
    assert_eq!(told(&rules), [&config_maps[..], &["create events", "update events"]].concat());
    review::complete(&client, "default", &mut rules, &names).unwrap();
    assert_eq!(told(&rules), config_maps);
    let asked =
        kube.audit().into_iter().filter(|a| a.user == "system:node:n1" && a.resource == "selfsubjectaccessreviews");
    assert_eq!(asked.count(), 8, "each for all names, then for the one");
}
