//! An API server that refuses: while it starts, by a policy, by a quota. Who refused is named, and what can go on goes on.
//!
//! Bodies are those of kube-apiserver 1.36: the one that the other tests run on may be too old to have policies.

use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::Kube;
use serde_json::{Value, json};

use crate::support::Run;
use crate::support::api::{Api, Asked, Then, status};
use crate::support::cluster::Cluster;
use crate::support::run::Daemon;

fn one_entry() -> Cluster {
    let cluster = Cluster::on(Kube::shared());
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster
}

/// The identity of the pod on the way through the proxy.
fn through(cluster: &Cluster, api: &Api) -> std::path::PathBuf {
    api.kubeconfig(&format!("token: {}", cluster.kube.service_account_token(&cluster.namespace, "notariat")))
}

/// The refusal by RBAC.
fn no_role(resource: &str) -> Then {
    let message = format!(
        "{resource} is forbidden: User \"system:serviceaccount:x:notariat\" cannot get resource \"{resource}\" in API group \"\" in the namespace \"x\""
    );
    status(403, "Forbidden", &message, &json!({"kind": resource}))
}

/// The refusal by a ValidatingAdmissionPolicy; its `reason` chooses the code, and 422 is the default.
fn policy(code: u16, reason: &str, object: &str, words: &str) -> Then {
    let cause = format!("ValidatingAdmissionPolicy 'keep.example.com' with binding 'all' denied request: {words}");
    let message = format!("{object} is forbidden: {cause}");
    status(code, reason, &message, &json!({"name": "x", "kind": "x", "causes": [{"message": cause}]}))
}

const LEASE: &str = "leases.coordination.k8s.io \"notariat\"";
const POLICY: &str = "the ValidatingAdmissionPolicy `keep.example.com` of the cluster denies it";

fn writes_lease(asked: &Asked) -> bool {
    asked.method != "GET" && asked.path.contains("/leases")
}

fn refuses_leases(refusal: fn() -> Then) -> impl FnMut(&Asked) -> Then + Send + 'static {
    move |asked: &Asked| if writes_lease(asked) { refusal() } else { Then::Pass }
}

/// So does every kube-apiserver that has not read its Roles yet: for a second or two after its start.
#[test]
fn a_start_while_everything_is_refused_ends_neither_the_election_nor_the_watches() {
    let cluster = one_entry();
    let (until, mut refused) = (Instant::now() + Duration::from_secs(8), 0);
    let api = Api::start(cluster.kube, move |_| {
        // It lasts until the daemon was refused some things, however slow the machine is.
        if Instant::now() < until || refused < 10 {
            refused += 1;
            return no_role("everything");
        }
        Then::Pass
    });
    let daemon = Daemon::start(&mut cluster.command(&through(&cluster, &api), &[]));
    daemon.until_it_says("lease-unsure");
    daemon.until_it_says("leading lease=");
    daemon.until_it_says("issued secret=");
    cluster.kubectl(&["delete", "secret", "web"]);
    daemon.until_it_says("restored secret=");
    let log = daemon.log();
    assert!(!log.contains("without-lease") && !log.contains("not-watched"), "{log}");
    assert_eq!(daemon.terminate(), 0);
}

/// Nobody can hold the Lease then: the claims keep replicas apart.
#[test]
fn whoever_refuses_the_lease_is_named_and_the_work_goes_on_without() {
    let quota = || {
        let words = "leases.coordination.k8s.io \"notariat\" is forbidden: exceeded quota: few, requested: count/leases.coordination.k8s.io=1";
        status(403, "Forbidden", words, &Value::Null)
    };
    let invalid = || {
        let words = "Lease.coordination.k8s.io \"notariat\" is invalid: spec.preferredHolder: Forbidden: may only be specified if strategy is defined";
        status(
            422,
            "Invalid",
            words,
            &json!({"causes": [{"reason": "FieldValueForbidden", "field": "spec.preferredHolder"}]}),
        )
    };
    type Row = (fn() -> Then, bool, &'static str);
    let rows: [Row; 4] = [
        (|| policy(422, "Invalid", LEASE, "no election here"), false, POLICY),
        (|| policy(403, "Forbidden", LEASE, "User \"x\" cannot lead"), true, POLICY),
        (quota, false, "raise the ResourceQuota `few`"),
        (invalid, true, "correct the fields of the Lease"),
    ];
    thread::scope(|scope| {
        for (refusal, exists, part) in rows {
            scope.spawn(move || {
                let cluster = one_entry();
                if exists {
                    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                        "metadata": {"namespace": cluster.namespace, "name": "notariat"}, "spec": {}});
                    cluster.kube.kubectl_stdin(&["apply", "-f", "-"], &lease.to_string());
                }
                let api = Api::start(cluster.kube, refuses_leases(refusal));
                let daemon = Daemon::start(&mut cluster.command(&through(&cluster, &api), &[]));
                daemon.until_it_says("without-lease lease=");
                daemon.until_it_says("issued secret=");
                let log = daemon.log();
                assert!(log.contains(part) && log.contains("the claims in the records alone"), "{part}: {log}");
                assert!(!log.contains("the Role lacks"), "{part}: {log}");
                assert_eq!(log.matches("without-lease").count(), 1, "{part}: {log}");
                assert_eq!(daemon.terminate(), 0);
            });
        }
    });
}

#[test]
fn a_lease_that_is_answered_by_401_says_what_is_likely() {
    let cluster = one_entry();
    let api = Api::start(cluster.kube, |asked| match asked.path.contains("/leases/") {
        true => status(401, "Unauthorized", "Unauthorized", &Value::Null),
        false => Then::Pass,
    });
    let daemon = Daemon::start(&mut cluster.command(&through(&cluster, &api), &[]));
    daemon.until_it_says("lease-unsure");
    daemon.until_it_says("has it expired? Or is a clock wrong?");
}

#[test]
fn whoever_refuses_events_is_named() {
    let quota = || {
        let words = "events \"x\" is forbidden: exceeded quota: few, requested: count/events=1, used: count/events=9, limited: count/events=9";
        status(403, "Forbidden", words, &Value::Null)
    };
    type Row = (fn() -> Then, &'static str);
    let rows: [Row; 3] = [
        (quota, "raise the ResourceQuota `few`"),
        (|| policy(422, "Invalid", "events \"x\"", "none"), POLICY),
        (|| no_role("events"), "the Role lacks the verb `create` on `events`"),
    ];
    for (refusal, part) in rows {
        let cluster = one_entry();
        let api = Api::start(cluster.kube, move |asked| match asked.path.contains("/events") {
            true => refusal(),
            false => Then::Pass,
        });
        let run = Run::of(&mut cluster.command(&through(&cluster, &api), &["-once"])).ends(0);
        let run = run.says(&["events-off", part, "everything else goes on"]);
        assert_eq!(run.log.contains("the Role lacks"), part.contains("the Role"), "{}", run.log);
    }
}

/// The policy's own text has the words that the API server uses for other things.
#[test]
fn a_policy_that_denies_the_secret_is_named_and_nobody_is_told_to_delete_it() {
    for (code, reason) in [(422, "Invalid"), (403, "Forbidden"), (401, "Unauthorized"), (413, "RequestEntityTooLarge")]
    {
        let cluster = one_entry();
        let api = Api::start(cluster.kube, move |asked| {
            let writes = asked.method != "GET" && asked.name == "web" && asked.path.contains("/secrets");
            let words = "field is immutable when `immutable` is set; data: Too long; User x cannot update";
            if writes { policy(code, reason, "secrets \"web\"", words) } else { Then::Pass }
        });
        let run = Run::of(&mut cluster.command(&through(&cluster, &api), &["-once"]));
        let run = run.ends(1).says(&["can not be written, so nothing was ordered", POLICY]);
        for harmful in ["delete the Secret", "expired", "1 MiB", "the Role lacks"] {
            assert!(!run.log.contains(harmful), "{code}: {}", run.log);
        }
        assert_eq!(cluster.site.pebble.request_lines().iter().filter(|line| line.contains("order-plz")).count(), 0);
    }
}
