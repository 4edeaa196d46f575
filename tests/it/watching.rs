//! The daemon on a real API server: what changes is acted on at once, and nothing is asked without need.

use std::time::{Duration, Instant};

use crate::support::cluster::Cluster;
use crate::support::x509;

/// Far below the time after which everything would be looked at anyway, and far above what is needed.
const AT_ONCE: Duration = Duration::from_secs(10);

fn user(cluster: &Cluster) -> String {
    format!("system:serviceaccount:{}:notariat", cluster.namespace)
}

fn requests(cluster: &Cluster) -> Vec<String> {
    let user = user(cluster);
    let asked = cluster.kube.audit().into_iter().filter(|a| a.user == user);
    asked.map(|a| format!("{} {} {} {}", a.verb, a.resource, a.name, a.code)).collect()
}

/// How long something takes to be so.
#[track_caller]
fn takes(what: &str, mut is: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < AT_ONCE, "not at once: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
    start.elapsed()
}

#[test]
fn what_changes_is_acted_on_at_once() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("valid secret=");
    let chain = cluster.get("web", "{.data}");

    let says = |part: &str, count: usize| takes(part, || daemon.log().matches(part).count() >= count);
    cluster.kubectl(&["delete", "secret", "web"]);
    let deleted = says("restored secret=", 1);
    assert_eq!(cluster.get("web", "{.data}"), chain);

    let (other, key) = x509::make(&["else.site.test"], "somebody", -10, 80);
    cluster.overwrite("web", &other, &key);
    let overwritten = says("restored secret=", 2);
    assert_eq!(cluster.get("web", "{.data}"), chain);

    let both = [cluster.site.entry("web", "www.site.test", ""), cluster.site.entry("a", "a.site.test", "")].concat();
    cluster.config(&both);
    let configured = takes("a new entry", || daemon.log().contains("issuing secret=") && daemon.log().contains("/a "));
    daemon.until("issued", || cluster.kube.try_kubectl(&["-n", &cluster.namespace, "get", "secret", "a"]).is_ok());
    println!(
        "from kubectl's end to the log: deleted {deleted:?}, overwritten {overwritten:?}, configured {configured:?}"
    );
    assert_eq!(daemon.terminate(), 0);
    for line in requests(&cluster) {
        println!("{line}");
    }
}
