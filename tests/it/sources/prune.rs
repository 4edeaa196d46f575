//! `-prune`: which Secrets are deleted once their object is gone, and which never.

use serde_json::{Value, json};

use crate::support::Run;
use crate::support::run::{Daemon, notariat};
use crate::support::tenants::Tenants;

const ACME: &str = "kubernetes.io/tls-acme: 'true'";
const FLAGS: [&str; 3] = ["-sources", "config,ingress", "-prune"];

/// The right to delete Secrets in `{a}`, and there alone.
const DELETE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: '{a}', name: notariat-prune}
rules:
- {apiGroups: [''], resources: [secrets], verbs: [delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: '{a}', name: notariat-prune}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: notariat-prune}
subjects: [{kind: ServiceAccount, name: notariat, namespace: '{own}'}]
";

struct Pruned(Tenants);

impl Pruned {
    fn new() -> Pruned {
        let tenants = Tenants::new();
        tenants.config(&[("namespaces", "{a}: {domains: [a.site.test], certificatesPerWeek: 100}")]);
        Pruned(tenants)
    }

    fn ingress(&self, name: &str) {
        self.0.ingress("{a}", name, ACME, &format!("[{{secretName: {name}, hosts: [{name}.a.site.test]}}]"));
    }

    /// Makes an Ingress for each name, and waits for the certificates.
    fn issue(&self, daemon: &Daemon, names: &[&str]) {
        names.iter().for_each(|name| self.ingress(name));
        names.iter().for_each(|name| self.0.until_issued(daemon, "{a}", name, &[&format!("{name}.a")]));
    }

    fn delete(&self, kind: &str, names: &[&str]) {
        self.0.kubectl(&[&["-n", "{a}", "delete", kind], names].concat());
    }

    /// The part of a record that says that nobody wants the certificate.
    fn orphaned(&self, name: &str) -> Value {
        self.record(name)["orphaned"].clone()
    }

    fn record(&self, name: &str) -> Value {
        let record = format!("notariat-record.{}.{name}", self.0.a);
        let found = self.0.kubectl(&[
            "-n",
            "{own}",
            "get",
            "secret",
            &record,
            "-o",
            "go-template={{.data.record | base64decode}}",
        ]);
        serde_json::from_str(&found).unwrap()
    }

    /// Waits until the records say that nobody wants the certificates.
    fn until_orphaned(&self, daemon: &Daemon, names: &[&str]) {
        for name in names {
            daemon.until(&format!("{name} is orphaned"), || self.orphaned(name).is_object());
        }
    }

    /// Lets the wish be gone for this long, as the record says: the time of a stopped controller counts as well.
    fn gone_for(&self, names: &[&str], seconds: i64) {
        for name in names {
            let mut record = self.record(name);
            let since = record["orphaned"]["since"].as_i64().unwrap();
            record["orphaned"]["since"] = json!(since - seconds);
            let at = format!("notariat-record.{}.{name}", self.0.a);
            let patch = json!({"stringData": {"record": record.to_string()}}).to_string();
            self.0.kubectl(&["-n", "{own}", "patch", "secret", &at, "--type=merge", "-p", &patch]);
        }
    }

    fn exists(&self, secret: &str) -> bool {
        !self.0.kubectl(&["-n", "{a}", "get", "secret", secret, "--ignore-not-found"]).is_empty()
    }
}

const DAY: i64 = 86_400;

#[test]
fn a_secret_is_deleted_a_day_after_its_object_and_nothing_else_is() {
    let test = Pruned::new();
    let Pruned(tenants) = &test;
    tenants.apply(DELETE);
    let daemon = tenants.daemon(&FLAGS);
    let gone = ["old", "young", "taken", "foreign", "back", "named"];
    test.issue(&daemon, &[&gone[..], &["stays"]].concat());
    // A replicator copies a Secret with its annotations under another name; another program takes over another one.
    let copy = tenants.kubectl(&["-n", "{a}", "get", "secret", "old", "-o", "json"]);
    let mut copy: Value = serde_json::from_str(&copy).unwrap();
    let metadata = json!({"name": "copy", "namespace": tenants.a, "annotations": copy["metadata"]["annotations"]});
    copy["metadata"] = metadata;
    tenants.apply(&copy.to_string());
    test.delete("ingress", &gone);
    test.until_orphaned(&daemon, &gone);
    tenants.kubectl(&["-n", "{a}", "annotate", "secret", "foreign", "notariat/owner-"]);
    let pair = tenants.kubectl(&["-n", "{a}", "get", "secret", "stays", "-o", r"jsonpath={.data}"]);
    tenants.kubectl(&["-n", "{a}", "patch", "secret", "taken", "-p", &format!(r#"{{"data": {pair}}}"#)]);
    // An Ingress without an annotation is enough to keep what it names.
    tenants.ingress("{a}", "silent", "x: z", "[{secretName: named, hosts: [named.a.site.test]}]");
    assert_eq!(daemon.terminate(), 0);
    test.gone_for(&["old", "taken", "foreign", "back", "named"], DAY);
    test.gone_for(&["young"], DAY - 600);
    let back = tenants.names("{a}", "back");
    test.ingress("back");

    let daemon = tenants.daemon(&FLAGS);
    daemon.until_it_says(&tenants.filled("pruned secret={a}/old since="));
    for name in ["taken", "foreign"] {
        daemon.until_it_says(&tenants.filled(&format!("not-pruned secret={{a}}/{name} why=")));
    }
    daemon.until_it_says(&tenants.filled("wanted-again secret={a}/back"));
    tenants.until_told("{a}", "old", "Normal Pruned the Secret is deleted", "no object wants its certificate since");
    let cluster = &tenants.cluster;
    let command =
        cluster.command(&cluster.service_account(), &[&["-allow-namespaces", &tenants.a], &FLAGS[..]].concat());
    let status = Run::of(notariat().arg("status").args(command.get_args())).stdout;
    assert!(status.contains("the Secret will be deleted at "), "{status}");
    assert!(status.contains("the Secret is deleted"), "{status}");
    assert_eq!(daemon.terminate(), 0);
    let left = ["old", "young", "taken", "foreign", "back", "named", "stays", "copy"].map(|name| test.exists(name));
    assert_eq!(left, [false, true, true, true, true, true, true, true]);
    assert_eq!(tenants.names("{a}", "back"), back);
    let fates = ["old", "young", "taken", "foreign", "named"].map(|name| test.orphaned(name)["secret"].clone());
    assert_eq!(fates, [json!("deleted"), json!(null), json!("kept"), json!("kept"), json!(null)]);

    // What was deleted is restored from the record, without an order, when its object comes back.
    let orders = tenants.orders();
    let daemon = tenants.daemon(&FLAGS);
    test.ingress("old");
    tenants.until_issued(&daemon, "{a}", "old", &["old.a"]);
    assert_eq!(tenants.orders(), orders);
    daemon.kill();
}

#[test]
fn a_kind_that_turns_empty_at_once_loses_no_secret() {
    let test = Pruned::new();
    let Pruned(tenants) = &test;
    tenants.apply(DELETE);
    let daemon = tenants.daemon(&FLAGS);
    let all = ["one", "two"];
    test.issue(&daemon, &all);
    test.delete("ingress", &all);
    test.until_orphaned(&daemon, &all);
    // Rule 50: the list is empty.
    assert_eq!(all.map(|name| test.orphaned(name)["secret"].clone()), [json!("kept"), json!("kept")]);
    assert_eq!(daemon.terminate(), 0);
    test.gone_for(&all, DAY);
    // Another object of the kind proves nothing about those that went.
    let daemon = tenants.daemon(&FLAGS);
    test.issue(&daemon, &["three"]);
    // One that came back is as before: later it goes alone, and so does its Secret.
    test.ingress("two");
    daemon.until("two is wanted again", || test.orphaned("two").is_null());
    test.delete("ingress", &["two"]);
    test.until_orphaned(&daemon, &["two"]);
    assert_eq!(daemon.terminate(), 0);
    test.gone_for(&["two"], DAY);
    let daemon = tenants.daemon(&FLAGS);
    daemon.until_it_says(&tenants.filled("pruned secret={a}/two "));
    assert!(test.exists("one") && !daemon.log().contains("pruned secret={a}/one"), "{}", daemon.log());
    daemon.kill();
}

#[test]
fn without_the_flag_the_right_or_the_whole_list_nothing_is_deleted() {
    let test = Pruned::new();
    let Pruned(tenants) = &test;
    let daemon = tenants.daemon(&FLAGS[..2]);
    test.issue(&daemon, &["web", "stays"]);
    test.delete("ingress", &["web"]);
    test.until_orphaned(&daemon, &["web"]);
    assert_eq!(daemon.terminate(), 0);
    test.gone_for(&["web"], DAY);
    let passed = |daemon: &Daemon, name: &str| test.issue(daemon, &[name]);

    // Without -prune.
    let daemon = tenants.daemon(&FLAGS[..2]);
    passed(&daemon, "p1");
    assert!(!daemon.log().contains("permission-missing"), "{}", daemon.log());
    assert_eq!(daemon.terminate(), 0);
    // Without the verb: it is said at the start, and the record is as it was.
    let daemon = tenants.daemon(&FLAGS);
    daemon.until_it_says("permission-missing verb=delete resource=secrets");
    daemon.until_it_says("not-forgotten record=");
    assert!(daemon.log().contains("the Role lacks the verb `delete` on `secrets`"), "{}", daemon.log());
    assert_eq!(daemon.terminate(), 0);
    assert_eq!((test.exists("web"), test.orphaned("web")["secret"].clone()), (true, json!(null)));
    // Without the list of a source: it may not be read.
    tenants.apply(DELETE);
    tenants.kubectl(&["delete", "clusterrolebinding", "notariat-sources-{own}"]);
    tenants.config(&[
        ("namespaces", "{a}: {domains: [a.site.test], certificatesPerWeek: 100}"),
        ("certificates", "- {secret: entry, domains: [entry.site.test]}"),
    ]);
    let daemon = tenants.daemon(&FLAGS);
    daemon.until_it_says("source-denied what=/ingresses");
    tenants.until_issued(&daemon, "{own}", "entry", &["entry"]);
    assert_eq!(daemon.terminate(), 0);
    assert_eq!((test.exists("web"), test.orphaned("web")["secret"].clone()), (true, json!(null)));
    // With all of it.
    tenants.apply(crate::support::tenants::RIGHTS);
    let daemon = tenants.daemon(&FLAGS);
    daemon.until_it_says(&tenants.filled("pruned secret={a}/web "));
    assert!(!test.exists("web"));
    daemon.kill();
}
