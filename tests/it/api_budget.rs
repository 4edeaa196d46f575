//! The requests that a certificate costs at the API server, by the API server's own count.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use notariat_lab::Kube;

use crate::support::cluster::{Cluster, OwnKube};

/// Requests for Secrets by verb and status code, without lists and watches.
pub(crate) type Requests = BTreeMap<String, i64>;

/// Reads `apiserver_request_total` of Secrets.
fn counted(kube: &Kube) -> Requests {
    let label = |line: &str, name: &str| -> String {
        let after = line.split(&format!("{name}=\"")).nth(1).unwrap_or_default();
        after.split('"').next().unwrap_or_default().to_owned()
    };
    let mut requests = Requests::new();
    for line in kube.kubectl(&["get", "--raw", "/metrics"]).lines() {
        let is_ours = line.starts_with("apiserver_request_total{") && label(line, "resource") == "secrets";
        let verb = label(line, "verb");
        if is_ours && ["GET", "POST", "PUT", "PATCH"].contains(&verb.as_str()) {
            let dry = if label(line, "dry_run").is_empty() { "" } else { " (dry run)" };
            let count: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            *requests.entry(format!("{verb} {}{dry}", label(line, "code"))).or_default() += count as i64;
        }
    }
    requests
}

/// The count once it does not change any more for a second.
pub(crate) fn settled(kube: &Kube) -> Requests {
    let (mut last, start) = (counted(kube), Instant::now());
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let now = counted(kube);
        if now == last {
            return now;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "requests without end: {now:?}");
        last = now;
    }
}

pub(crate) fn since(before: &Requests, after: &Requests) -> Requests {
    let differences = after.iter().map(|(kind, n)| (kind.clone(), n - before.get(kind).unwrap_or(&0)));
    differences.filter(|(_, n)| *n != 0).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures, for whoever asks with --nocapture")]
fn a_first_certificate_costs_seven_requests_at_most_and_a_renewal_six() {
    let own = OwnKube::start();
    let kube = own.kube();
    let cluster = Cluster::on(kube);
    let entry = |name: &str| cluster.site.entry(name, &format!("{name}.site.test"), "");
    // The account is registered, and its key known.
    cluster.config(&entry("a"));
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("issued secret=");
    let before = settled(kube);
    let asked_of_ca = cluster.site.pebble.requests();

    cluster.config(&[entry("a"), entry("www")].concat());
    daemon.until("the second is stored", || daemon.log().matches("issued secret=").count() == 2);
    let after = settled(kube);
    let first = since(&before, &after);
    let first_of_ca = cluster.site.pebble.requests() - asked_of_ca;

    // What kubectl itself asks for when it annotates a Secret.
    cluster.kubectl(&["annotate", "secret", "tsigkey", "theirs=x"]);
    let annotated = settled(kube);
    let by_kubectl = since(&after, &annotated);
    cluster.kubectl(&["annotate", "secret", "www", "notariat/renew=1"]);
    daemon.until("it is renewed", || daemon.log().matches("issued secret=").count() == 3);
    let renewal = since(&by_kubectl, &since(&annotated, &settled(kube)));
    cluster.assert_valid("www", &["www.site.test"]);

    println!("first certificate: {first:?}, {first_of_ca} requests of the CA; renewal: {renewal:?}");
    for (what, requests, most) in [("first certificate", &first, 7), ("renewal", &renewal, 6)] {
        let count: i64 = requests.values().sum();
        assert!(count <= most, "{what}: {count} requests: {requests:?}\n{}", daemon.log());
        let succeeded = |kind: &String| kind.contains(" 200") || kind.contains(" 201");
        assert!(requests.keys().all(succeeded), "{what}: {requests:?}");
    }
    // 2d + 5, the renewal information apart.
    assert!((7..=9).contains(&first_of_ca), "{:#?}", cluster.site.pebble.request_lines());
    daemon.kill();
}
