//! Replicas that elect one of them by a Lease, and what keeps them apart without it.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::Site;
use crate::support::cluster::Cluster;
use crate::support::kill_proxy::{KillProxy, Side, Then, Victim};
use crate::support::run::{Daemon, until};

const NAME: &str = "_acme-challenge.www.site.test";

/// A field of the Lease.
fn lease(cluster: &Cluster, field: &str) -> String {
    let path = format!("jsonpath={{.spec.{field}}}");
    cluster.kube.try_kubectl(&["-n", &cluster.namespace, "get", "lease", "notariat", "-o", &path]).unwrap_or_default()
}

/// Somebody else holds the Lease, or with an empty name nobody.
fn hand_over(cluster: &Cluster, holder: &str) {
    let patch = format!(r#"{{"spec": {{"holderIdentity": "{holder}"}}}}"#);
    cluster.kubectl(&["patch", "lease", "notariat", "--type=merge", "-p", &patch]);
}

/// notariat with a CA behind a proxy.
fn before(cluster: &Cluster, ca: &KillProxy) -> Command {
    let mut command = cluster.command_without_ca(&cluster.service_account(), &[]);
    command.arg("-acme").arg(ca.directory());
    command
}

fn www(cluster: &Cluster) {
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
}

fn record(cluster: &Cluster) -> String {
    let encoded = cluster.get(&format!("notariat-record.{}.web", cluster.namespace), "{.data.record}");
    String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
}

#[test]
fn one_of_two_replicas_works_and_the_other_one_follows_when_it_is_stopped() {
    let cluster = Cluster::new();
    www(&cluster);
    let first = cluster.daemon(&[]);
    first.until_it_says("issued secret=");
    let holder = lease(&cluster, "holderIdentity");
    let second = cluster.daemon(&[]);
    second.until_it_says(&format!("standby lease={}/notariat holder={holder}", cluster.namespace));
    assert!(first.log().contains("leading lease="), "{}", first.log());
    assert_eq!(
        (lease(&cluster, "leaseDurationSeconds"), lease(&cluster, "leaseTransitions")),
        ("60".into(), "0".into())
    );
    let (renewed, acquired) = (lease(&cluster, "renewTime"), lease(&cluster, "acquireTime"));
    assert!(renewed.len() == 27 && renewed.ends_with('Z') && acquired.len() == 27, "{renewed} {acquired}");

    cluster.kubectl(&["delete", "lease", "notariat"]);
    first.until("it is made again", || lease(&cluster, "holderIdentity") == holder);
    assert_eq!(lease(&cluster, "acquireTime"), acquired, "by who held it all the time");

    // What is done while nobody leads is seen at once by who leads next, which is stopped meanwhile: it would lead within seconds.
    second.signal("STOP");
    first.signal("TERM");
    first.wait().ends(0).says(&["released lease="]).never_says("not-leading");
    cluster.kubectl(&["delete", "secret", "web"]);
    assert!(!second.log().contains("valid"), "it only stands by: {}", second.log());
    second.signal("CONT");
    second.until_it_says("restored secret=");
    assert_eq!(second.log().matches("standby lease=").count(), 1, "{}", second.log());
    assert_eq!(lease(&cluster, "leaseTransitions"), "1");
    assert_ne!(lease(&cluster, "holderIdentity"), holder);
    second.signal("TERM");
    second.wait().ends(0).says(&["released lease="]);
    assert_eq!(
        (lease(&cluster, "holderIdentity"), lease(&cluster, "leaseDurationSeconds")),
        (String::new(), "1".into())
    );

    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    let asked = cluster.kube.audit().into_iter().filter(|a| a.user == user).collect::<Vec<_>>();
    assert!(asked.iter().all(|a| a.code != 403), "{asked:#?}");
    let verbs: BTreeSet<_> = asked.iter().filter(|a| a.resource == "leases").map(|a| a.verb.as_str()).collect();
    assert_eq!(
        verbs.into_iter().collect::<Vec<_>>(),
        ["create", "get", "update"],
        "what deploy/single-namespace/role.yaml grants"
    );
}

/// Its claim on the certificate is the dead one's, who can not be seen to be dead from another node.
#[test]
fn when_the_leader_is_killed_in_the_middle_of_an_order_the_other_one_finishes_it() {
    let cluster = Cluster::new();
    www(&cluster);
    let ca = KillProxy::before_ca(&cluster.site.pebble);
    let (victim, is_followed) = (Arc::new(Victim::default()), Arc::new(AtomicBool::new(false)));
    let (of_trap, go) = (Arc::clone(&victim), Arc::clone(&is_followed));
    ca.trap.set(move |moment| match (moment.kind, moment.side) {
        ("dir", Side::Before) => {
            until("the other one follows", || go.load(SeqCst));
            Then::GoOn
        }
        ("finalize-order", Side::Before) => of_trap.kill(),
        _ => Then::GoOn,
    });
    let mut command = before(&cluster, &ca);
    let second = thread::scope(|scope| {
        let first = scope.spawn(|| victim.run(&mut command));
        until("the first one leads", || !lease(&cluster, "holderIdentity").is_empty());
        let second = Daemon::start(&mut before(&cluster, &ca));
        second.until_it_says("standby lease=");
        is_followed.store(true, SeqCst);
        first.join().unwrap().ends(128 + 9).says(&["leading lease=", "issuing secret="]);
        second
    });
    let elsewhere = record(&cluster).replacen("\"holder\":\"", "\"holder\":\"elsewhere-", 1);
    let patch = format!(r#"{{"data": {{"record": "{}"}}}}"#, STANDARD.encode(elsewhere));
    cluster.kubectl(&["patch", "secret", &format!("notariat-record.{}.web", cluster.namespace), "-p", &patch]);
    ca.trap.open();
    second.until_it_says("leading lease=");
    second.until_it_says("issued secret=");
    assert!(second.log().contains("order-continued secret="), "{}", second.log());
    cluster.assert_valid("web", &["www.site.test"]);
    for (kind, times) in [("order-plz", 1), ("finalize-order", 1), ("certZ", 1)] {
        assert_eq!(ca.trap.count(kind), times, "{kind}: {:?}", ca.trap.asked());
    }
    assert!(cluster.site.dns.txt(NAME).is_empty());
    second.until("the record says so", || {
        record(&cluster).contains("\"stored\"") && !record(&cluster).contains("inFlight")
    });
}

#[test]
fn two_replicas_without_a_lease_make_one_order() {
    let cluster = Cluster::new();
    www(&cluster);
    let ca = KillProxy::before_ca(&cluster.site.pebble);
    let has_stepped_back = Arc::new(AtomicBool::new(false));
    let go = Arc::clone(&has_stepped_back);
    // Who is first has the other one beside it while it orders.
    ca.trap.set(move |moment| {
        if (moment.kind, moment.side) == ("order-plz", Side::Before) {
            until("the other one steps back", || go.load(SeqCst));
        }
        Then::GoOn
    });
    let replicas = [(), ()].map(|()| Daemon::start(before(&cluster, &ca).arg("-lease=off")));
    let any = |part: &str| replicas.iter().any(|replica| replica.log().contains(part));
    replicas[0].until("one steps back", || any("put-off secret="));
    has_stepped_back.store(true, SeqCst);
    replicas[0].until("the other one has it", || any("issued secret="));
    replicas[0].until("both know", || replicas.iter().all(|r| r.log().contains("valid secret=")));
    cluster.assert_valid("web", &["www.site.test"]);
    for kind in ["order-plz", "finalize-order"] {
        assert_eq!(ca.trap.count(kind), 1, "{kind}: {:?}", ca.trap.asked());
    }
    assert_eq!(lease(&cluster, "holderIdentity"), "", "there is none");
}

/// A leader that loses the Lease at some step of an order begins nothing more, and goes on when it leads again.
#[test]
fn whoever_does_not_lead_any_more_begins_nothing_more() {
    // The request with whose answer it learns it, and what follows when it leads.
    let rows = [
        ("sign-me-up", "order-plz"),
        // The challenge would be published.
        ("authZ", "chalZ"),
        // The values would be withdrawn, the order finalized.
        ("my-order", "finalize-order"),
        ("certZ", ""),
    ];
    thread::scope(|scope| {
        for (at, next) in rows {
            scope.spawn(move || lose_at(at, next));
        }
        scope.spawn(lose_while_values_settle);
    });
}

/// Waits for the end of the job under way.
fn ends(daemon: &Daemon) {
    let is = |part: &str| daemon.log().contains(part);
    daemon.until("an end", || is("error=\"this replica does not lead any more\"") || is("issued secret="));
}

fn lose_at(at: &'static str, next: &str) {
    let cluster = Cluster::new();
    www(&cluster);
    let ca = KillProxy::before_ca(&cluster.site.pebble);
    let (is_there, is_lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (there, lost) = (Arc::clone(&is_there), Arc::clone(&is_lost));
    ca.trap.set(move |moment| {
        if (moment.kind, moment.side) == (at, Side::After) && !there.swap(true, SeqCst) {
            until("the Lease is lost", || lost.load(SeqCst));
        }
        Then::GoOn
    });
    let daemon = Daemon::start(&mut before(&cluster, &ca));
    daemon.until(at, || is_there.load(SeqCst));
    let (published, asked) = (cluster.site.dns.txt(NAME), ca.trap.asked().len());
    hand_over(&cluster, "somebody-else");
    daemon.until_it_says("not-leading lease=");
    is_lost.store(true, SeqCst);
    ends(&daemon);
    let after: Vec<_> = ca.trap.asked().split_off(asked);
    let effects = ["order-plz", "chalZ", "finalize-order"];
    assert!(!after.iter().any(|kind| effects.contains(&kind.as_str())), "{at}: {after:?}");
    assert_eq!(cluster.site.dns.txt(NAME), published, "{at}: no UPDATE either");
    let secrets = cluster.kubectl(&["get", "secrets", "-o", "name"]);
    assert!(!secrets.contains("secret/web"), "{at}: {secrets}");

    hand_over(&cluster, "");
    daemon.until_it_says("issued secret=");
    cluster.assert_valid("web", &["www.site.test"]);
    for kind in ["order-plz", "finalize-order"] {
        assert_eq!(ca.trap.count(kind), 1, "{at}: {kind}: {:?}", ca.trap.asked());
    }
    assert!(next.is_empty() || ca.trap.asked()[asked..].iter().any(|kind| kind == next), "{at}: {next}");
    assert!(!daemon.log().contains("failed secret="), "{at}: nobody's failure: {}", daemon.log());
    daemon.until("nothing is left", || cluster.site.dns.txt(NAME).is_empty());
}

fn lose_while_values_settle() {
    let cluster = Cluster::new();
    let entry = cluster.site.entry_with("web", "www.site.test", "propagation: primary, settle: 30s");
    cluster.config(&entry);
    let daemon = cluster.daemon(&[]);
    daemon.until("published", || cluster.site.dns.txt(NAME).len() == 1);
    hand_over(&cluster, "somebody-else");
    daemon.until_it_says("not-leading lease=");
    ends(&daemon);
    let answered = || cluster.site.pebble.request_lines().iter().filter(|line| line.contains("chalZ")).count();
    assert_eq!((answered(), cluster.site.dns.txt(NAME).len()), (0, 1));
    cluster.config(&entry.replace("settle: 30s", "settle: 0s"));
    hand_over(&cluster, "");
    daemon.until_it_says("issued secret=");
    assert_eq!(answered(), 1);
    daemon.until("nothing is left", || cluster.site.dns.txt(NAME).is_empty());
}

#[test]
fn without_the_permission_it_works_alone_unless_there_is_a_lease() {
    let cluster = Cluster::new();
    www(&cluster);
    // Everything but Leases, and for these what each row says.
    cluster.kubectl(&["delete", "role", "notariat"]);
    cluster.kubectl(&["create", "role", "notariat", "--verb=*", "--resource=secrets,configmaps,events"]);
    let account = format!("--serviceaccount={}:notariat", cluster.namespace);
    let grant = |name: &str, verb: &str| {
        cluster.kubectl(&["create", "role", name, &format!("--verb={verb}"), "--resource=leases"]);
        cluster.kubectl(&["create", "rolebinding", name, &format!("--role={name}"), &account]);
    };
    let alone = |verb: &str| {
        let daemon = cluster.daemon(&[]);
        daemon.until_it_says(&format!("the Role lacks the verb `{verb}` on `leases`"));
        daemon.until_it_says("valid secret=");
        let log = daemon.log();
        assert!(log.contains("without-lease lease=") && log.contains("claims in the records alone"), "{log}");
        assert_eq!(daemon.terminate(), 0);
    };
    alone("get");
    grant("get", "get");
    alone("create");
    let lease = format!(
        r#"{{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {{"namespace": "{}", "name": "notariat"}}, "spec": {{}}}}"#,
        cluster.namespace
    );
    cluster.kube.kubectl_stdin(&["apply", "-f", "-"], &lease);
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("the Role lacks the verb `update` on `leases`");
    let log = daemon.log();
    assert!(log.contains("leads=false") && !log.contains("leading lease="), "{log}");
    assert!(!log.contains("valid secret="), "another one may lead: {log}");
    grant("update", "update");
    daemon.until_it_says("leading lease=");
    daemon.until_it_says("valid secret=");
}

/// While versions change one after the other, an old replica may come to lead where a new one did.
#[test]
fn the_record_of_a_newer_version_is_left_alone_whatever_is_to_be_done() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    site.once().ends(0);
    let at = site.folder("notariat-record.default.web").join("record");
    let newer = site.record("web").unwrap().replacen("\"version\":1", "\"version\":2,\"later\":{\"x\":1}", 1);
    std::fs::write(&at, &newer).unwrap();
    let requests = site.pebble.requests();
    let unchanged = |when: &str| {
        assert_eq!(site.record("web").as_deref(), Some(&*newer), "{when}");
        assert_eq!(site.pebble.requests(), requests, "{when}");
    };
    site.once().ends(75).says(&["of version 2, written by a newer notariat; this one leaves it alone"]);
    unchanged("nothing is to be done");
    std::fs::remove_file(site.folder("web")).unwrap();
    site.once().ends(75);
    unchanged("to be restored or obtained");
    site.config(&site.entry("web", "a.site.test, b.site.test", ""));
    site.once().ends(75);
    unchanged("another form is wanted");
    site.config("[]");
    site.once().ends(0);
    unchanged("nobody wants it");
}
