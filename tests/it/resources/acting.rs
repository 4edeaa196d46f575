//! Who acts for cert-manager's objects: its own controller, or notariat, and never both.

use std::time::Duration;

use serde_json::{Value, json};

use super::place::{LINES, Place, UPDATE};
use super::status::{condition, put_status, until_ready};
use crate::port::{address, get};
use crate::support::Run;
use crate::support::cluster::Cluster;
use crate::support::run::notariat;

fn holder(place: &Place) -> String {
    let path = "jsonpath={.spec.holderIdentity}";
    place.kubectl(&["-n", "kube-system", "get", "lease", "cert-manager-controller", "-o", path])
}

/// The Lease of cert-manager's controller with this holder.
pub(super) fn hand_over(place: &Place, holder: &str) {
    let now = notariat::base::time::now().to_string().replace('Z', ".000000Z");
    place.apply(&format!(
        "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {{namespace: kube-system, name: cert-manager-controller}}\n\
         spec: {{holderIdentity: '{holder}', leaseDurationSeconds: 60, renewTime: '{now}'}}\n"
    ));
}

/// The ConfigMap with an entry beside the objects.
fn with_an_entry(place: &Place) {
    let Cluster { site, .. } = &place.tenants.cluster;
    let entry = site.entry("own", "www.site.test", "");
    place.tenants.config(&[
        ("namespaces", LINES),
        ("defaults", "{dns: {propagation: primary}}"),
        ("certificates", &entry),
    ]);
}

#[test]
fn while_cert_manager_holds_its_lease_nothing_is_done_for_its_objects_and_all_else_is() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    hand_over(&place, "cert-manager-0-external");
    place.certificate("{a}", "web", &["www.a"], "");
    with_an_entry(&place);
    let daemon = place.start(&["-listen", "127.0.0.1:0"]);
    daemon.until_it_says("standby lease=kube-system/cert-manager-controller holder=cert-manager-0-external");
    place.tenants.until_issued(&daemon, "{own}", "own", &["www"]);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((place.tenants.orders(), place.tenants.names("{a}", "web")), (1, None));
    assert_eq!(place.get("{a}", "certificate", "web").get("status"), None);
    assert_eq!(daemon.log().matches("standby lease=kube-system").count(), 1, "{}", daemon.log());
    let port = address(&daemon);
    let asked = |path: &str| get(port, path).1;
    assert!(asked("/readyz").contains("ok, without cert-manager's objects: cert-manager-0-external holds the Lease"));
    assert!(asked("/metrics").contains("notariat_source_served{kind=\"Certificate\"} 0"), "{}", asked("/metrics"));

    // It stops cleanly: its Lease is free.
    hand_over(&place, "");
    until_ready(&place, &daemon, "web");
    assert!(!holder(&place).is_empty());
    assert!(asked("/metrics").contains("notariat_source_served{kind=\"Certificate\"} 1"));

    // It comes back without asking: the Lease is lost, and with it the kind.
    hand_over(&place, "cert-manager-0-external");
    daemon.until_it_says("not-leading lease=kube-system/cert-manager-controller");
    place.certificate("{a}", "late", &["x.a"], "");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!((condition(&place, "late", "Ready"), place.tenants.names("{a}", "late")), (Value::Null, None));
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(holder(&place), "cert-manager-0-external", "it is not ours to give back");
}

#[test]
fn where_cert_manager_writes_over_a_status_it_has_the_namespace_for_itself() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    let daemon = place.daemon(LINES, &[]);
    place.certificate("{a}", "web", &["www.a"], "");
    until_ready(&place, &daemon, "web");
    let change = |status: &mut Value| {
        let conditions = status["conditions"].as_array_mut().unwrap();
        for ready in conditions.iter_mut().filter(|condition| condition["type"] == "Ready") {
            ready["message"] = json!("Certificate is up to date and has not expired");
        }
    };
    // A person is answered.
    put_status(&place, "web", "kubectl-edit", change);
    daemon.until("it is written again", || {
        condition(&place, "web", "Ready")["message"] == "the Secret holds what is wanted"
    });
    assert!(!daemon.log().contains("stood-down"), "{}", daemon.log());
    std::thread::sleep(Duration::from_secs(1));
    put_status(&place, "web", "cert-manager-certificates-readiness", change);
    daemon.until_it_says("stood-down namespace=");
    place.certificate("{a}", "late", &["x.a"], "");
    place.certificate("{b}", "other", &["x.b"], "");
    place.tenants.until_issued(&daemon, "{b}", "other", &["x.b"]);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!((condition(&place, "late", "Ready"), place.tenants.names("{a}", "late")), (Value::Null, None));
    assert_ne!(condition(&place, "web", "Ready")["message"], "the Secret holds what is wanted");
    assert_eq!(daemon.log().matches("stood-down").count(), 1, "{}", daemon.log());
    daemon.kill();
}

#[test]
fn a_single_pass_beside_cert_manager_leaves_its_objects_alone_and_status_says_who_has_them() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    place.certificate("{a}", "web", &["www.a"], "");
    with_an_entry(&place);
    let cluster = &place.tenants.cluster;
    let allowed = format!("{},{}", place.tenants.a, place.tenants.b);
    let flags = [
        "-allow-namespaces",
        &allowed,
        "-sources",
        "config,cert-manager",
        "-cluster-resource-namespace",
        &place.resources,
    ];
    let command = |more: &[&str]| cluster.command(&cluster.service_account(), &[&flags[..], more].concat());
    let once = || Run::of(&mut command(&["-once"]));
    let status = |more: &[&str]| Run::of(notariat().arg("status").args(command(more).get_args()));

    hand_over(&place, "cert-manager-0-external");
    let begun = std::time::Instant::now();
    let run = once().says(&["standby lease=kube-system/cert-manager-controller holder=cert-manager-0-external"]);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert_eq!((run.code, place.tenants.names("{own}", "own").is_some()), (1, true), "{}", run.log);
    assert_eq!(
        (condition(&place, "web", "Ready"), place.tenants.names("{a}", "web")),
        (Value::Null, None),
        "{}",
        run.log
    );
    assert_eq!((place.tenants.orders(), holder(&place)), (1, "cert-manager-0-external".to_owned()));
    let note = "cert-manager's objects are not served: cert-manager-0-external holds the Lease kube-system/cert-manager-controller";
    // Its controller goes on renewing.
    hand_over(&place, "cert-manager-0-external");
    let said = status(&[]);
    assert!(said.stdout.contains(note), "{}{}", said.stdout, said.log);

    // The Lease is free: the single pass takes it, and gives it back.
    hand_over(&place, "");
    assert!(!status(&[]).stdout.contains("are not served"));
    once().ends(0);
    place.tenants.kubectl(&["-n", "{a}", "get", "secret", "web"]);
    assert_eq!((place.tenants.orders(), holder(&place)), (2, String::new()));
    assert_eq!(condition(&place, "web", "Ready")["status"], "True");
    // cert-manager comes back.
    hand_over(&place, "cert-manager-0-external");
    let said = status(&[]);
    assert!(said.stdout.contains(note) && said.stdout.contains("certificate/web"), "{}{}", said.stdout, said.log);
    let daemon = place.start(&[]);
    daemon.until_it_says("standby lease=kube-system");
    assert_eq!(daemon.terminate(), 0);
    hand_over(&place, "");
    let daemon = place.start(&[]);
    daemon.until_it_says("leading lease=kube-system/cert-manager-controller");
    assert!(!status(&[]).stdout.contains("are not served"), "{}", holder(&place));
    daemon.kill();
}
