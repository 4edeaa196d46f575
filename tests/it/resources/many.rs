//! Many Certificates: one first status each, none at rest, and an API server that asks for patience gets it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::acting::hand_over;
use super::place::{LINES, Place, UPDATE};
use crate::support::api::{Api, Then, text};
use crate::support::run::Daemon;
use crate::support::x509;

/// The Certificates, all with a Secret that is valid.
const COUNT: usize = 150;

fn populate(place: &Place) {
    let (chain, key) = x509::make(&["t.a.site.test"], "other", -10, 80);
    let one = |number: usize| {
        format!(
            "---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\n\
             metadata: {{namespace: '{{a}}', name: t{number}, annotations: {{cert-manager.io/certificate-name: t{number}}}}}\n\
             stringData: {{tls.crt: {chain:?}, tls.key: {key:?}}}\n\
             ---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{namespace: '{{a}}', name: t{number}}}\n\
             spec: {{secretName: t{number}, dnsNames: [t.a.site.test], issuerRef: {{name: lab, kind: ClusterIssuer}}}}\n"
        )
    };
    place.cluster_issuer("lab", &[UPDATE], "");
    place.apply(&(0..COUNT).map(one).collect::<String>());
}

/// The Certificates whose condition Ready is true.
fn ready(place: &Place) -> usize {
    let path = r#"jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#;
    let text = place.kubectl(&["-n", "{a}", "get", "certificates", "-o", path]);
    text.lines().filter(|line| *line == "True").count()
}

/// The writes of the statuses of Certificates, by name.
fn writes(place: &Place) -> BTreeMap<String, usize> {
    let mut writes = BTreeMap::new();
    for asked in place.tenants.cluster.kube.audit() {
        if asked.resource == "certificates/status" {
            *writes.entry(asked.name).or_default() += 1;
        }
    }
    writes
}

#[test]
fn each_of_many_certificates_gets_one_status_and_none_at_rest_or_after_a_restart() {
    let place = Place::new();
    populate(&place);
    let daemon = place.daemon(LINES, &[]);
    daemon.until("all are ready", || ready(&place) == COUNT);
    std::thread::sleep(Duration::from_secs(6));
    let once: BTreeMap<String, usize> = (0..COUNT).map(|number| (format!("t{number}"), 1)).collect();
    assert_eq!(writes(&place), once);
    assert_eq!(daemon.terminate(), 0);
    let daemon = place.start(&[]);
    daemon.until("all are kept", || daemon.log().matches("valid secret=").count() == COUNT);
    // Longer than the pause between two writes of one object.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!((writes(&place), place.tenants.orders()), (once, 0), "{}", daemon.log());
    daemon.kill();
}

#[test]
fn what_was_decided_before_the_hand_over_is_never_shown_after_it() {
    let place = Place::new();
    hand_over(&place, "cert-manager-0-external");
    populate(&place);
    let daemon = place.daemon(LINES, &[]);
    daemon.until("all were looked at", || daemon.log().matches("valid secret=").count() == COUNT);
    assert_eq!(writes(&place), BTreeMap::new());
    hand_over(&place, "");
    daemon.until("all are ready", || ready(&place) == COUNT);
    std::thread::sleep(Duration::from_secs(6));
    assert!(writes(&place).values().all(|count| *count == 1), "{:?}", writes(&place));
    daemon.kill();
}

#[test]
fn an_api_server_that_takes_no_more_statuses_for_a_while_is_left_alone_for_so_long() {
    const PATIENCE: Duration = Duration::from_secs(4);
    let place = Place::new();
    populate(&place);
    place.tenants.config(&[("namespaces", LINES), ("defaults", "{dns: {propagation: primary}}")]);
    let cluster = &place.tenants.cluster;
    // The tenth status is one too many.
    let statuses = Arc::new(AtomicUsize::new(0));
    let seen = statuses.clone();
    let api = Api::start(cluster.kube, move |asked| {
        let is_status =
            asked.method == "PUT" && asked.path.contains("/certificates/") && asked.path.contains("/status");
        match is_status && seen.fetch_add(1, SeqCst) == 9 {
            true => text(429, "Too many requests", ("retry-after", "4")),
            false => Then::Pass,
        }
    });
    let token = cluster.kube.service_account_token(&cluster.namespace, "notariat");
    let kubeconfig = api.kubeconfig(&format!("token: {token}"));
    let allowed = format!("{},{}", place.tenants.a, place.tenants.b);
    let flags = [
        "-sources",
        "config,cert-manager",
        "-cluster-resource-namespace",
        &place.resources,
        "-allow-namespaces",
        &allowed,
    ];
    let begun = Instant::now();
    let daemon = Daemon::start(&mut cluster.command(&kubeconfig, &flags));
    daemon.until("all are ready", || ready(&place) == COUNT);
    assert!(begun.elapsed() >= PATIENCE);
    let asked: Vec<_> = api.asked().into_iter().filter(|asked| asked.path.contains("/certificates/")).collect();
    let puts: Vec<_> = asked.iter().filter(|asked| asked.method == "PUT").collect();
    let refused = puts[9].at;
    let is_within = |at: Instant| at > refused && at < refused + PATIENCE;
    assert!(!puts.iter().any(|asked| is_within(asked.at)), "no status is sent before the time is over");
    // The one that was refused was sent again. One more is sent for a Certificate that is seen long before its Secret.
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    puts.iter().for_each(|asked| *counts.entry(&asked.path).or_default() += 1);
    assert_eq!(counts.len(), COUNT);
    assert!(counts[puts[9].path.as_str()] >= 2, "{}", puts[9].path);
    assert!(counts.values().all(|count| *count <= 3), "{counts:?}");
    daemon.kill();
}
