//! The daemon on a real API server: what changes is acted on at once, and nothing is asked without need.

mod narrow;
mod outage;

use std::time::{Duration, Instant};

use notariat_lab::Hmac;

use crate::support::cluster::Cluster;
use crate::support::run::Daemon;
use crate::support::x509;

/// Far below the time after which everything would be looked at anyway, and far above what is needed.
const AT_ONCE: Duration = Duration::from_secs(10);

/// The requests of the daemon to the API server besides its Lease: verb, resource, name and status.
fn requests(cluster: &Cluster) -> Vec<String> {
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    let asked = cluster.kube.audit().into_iter().filter(|a| a.user == user);
    // The Lease is renewed for ever.
    let asked = asked.filter(|a| a.resource != "leases");
    asked.map(|a| format!("{} {} {} {}", a.verb, a.resource, a.name, a.code)).collect()
}

/// How long something takes to be so.
#[track_caller]
fn takes(daemon: &Daemon, what: &str, mut is: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < AT_ONCE, "not at once: {what}; the log:\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(2));
    }
    start.elapsed()
}

/// How long the log takes to say something for the `count`th time.
#[track_caller]
fn says(daemon: &Daemon, part: &str, count: usize) -> Duration {
    takes(daemon, part, || daemon.log().matches(part).count() >= count)
}

/// A cluster with one certificate, `web`, and the daemon that keeps it.
fn kept() -> (Cluster, Daemon) {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("valid secret=");
    (cluster, daemon)
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures, for whoever asks with --nocapture")]
fn what_changes_is_acted_on_at_once() {
    let (cluster, daemon) = kept();
    let chain = cluster.get("web", "{.data}");
    cluster.kubectl(&["delete", "secret", "web"]);
    let deleted = says(&daemon, "restored secret=", 1);
    assert_eq!(cluster.get("web", "{.data}"), chain);

    let (other, key) = x509::make(&["else.site.test"], "somebody", -10, 80);
    cluster.overwrite("web", &other, &key);
    let overwritten = says(&daemon, "restored secret=", 2);
    assert_eq!(cluster.get("web", "{.data}"), chain);

    cluster.kubectl(&["annotate", "secret", "web", "notariat/renew=please"]);
    let asked = says(&daemon, "reason=RenewalRequested", 1);

    let more = cluster.site.entry("a", "a.site.test", "");
    cluster.config(&[cluster.site.entry("web", "www.site.test", ""), more].concat());
    let configured = says(&daemon, &format!("issuing secret={}/a ", cluster.namespace), 1);
    println!(
        "after kubectl: deleted {deleted:?}, overwritten {overwritten:?}, asked {asked:?}, configured {configured:?}"
    );
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn a_key_that_is_put_right_ends_the_wait() {
    let cluster = Cluster::new();
    let wrong = notariat_lab::Key::new(&cluster.site.key.name, Hmac::Sha256);
    let store = |text: &str| {
        let key = format!("--from-literal=key={text}");
        let made = cluster.kubectl(&["create", "secret", "generic", "tsigkey", &key, "--dry-run=client", "-o", "yaml"]);
        cluster.kube.kubectl_stdin(&["-n", &cluster.namespace, "apply", "-f", "-"], &made);
    };
    store(&wrong.secret_text());
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("failed secret=");
    store(&cluster.site.key.secret_text());
    // The gate before the DNS server is closed for a minute after a failure; a changed entry does not open it.
    says(&daemon, "put-off secret=", 1);
    assert!(daemon.log().contains("state=Parked until="), "{}", daemon.log());
    assert_eq!(daemon.log().matches("issuing secret=").count(), 1, "nothing is begun meanwhile: {}", daemon.log());
}

#[test]
fn nothing_is_asked_of_the_api_server_when_nothing_happens() {
    let (cluster, daemon) = kept();
    let mut before = Vec::new();
    // Its own writes come back on the watch; they lead to nothing.
    daemon.until("quiet", || {
        let now = requests(&cluster);
        let quiet = now == before;
        before = now;
        std::thread::sleep(Duration::from_secs(3));
        quiet
    });
    std::thread::sleep(Duration::from_secs(35));
    assert_eq!(requests(&cluster), before, "half a minute is longer than the loop sleeps");
    let reads = before.iter().filter(|line| line.starts_with("get secrets web ")).count();
    assert!(reads <= 4, "one to decide, one to try, one to store: {before:#?}");
    cluster.kubectl(&["label", "secret", "web", "theirs=x"]);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(requests(&cluster), before, "a label is no reason to ask");
    assert!(before.iter().all(|line| !line.ends_with("403")), "{before:#?}");
}

#[test]
fn a_secret_of_another_type_is_left_alone_and_told_once() {
    let cluster = Cluster::new();
    cluster.kubectl(&["create", "secret", "generic", "opaque", "--from-literal=a=b"]);
    cluster.config(&cluster.site.entry("opaque", "www.site.test", ""));
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("reason=WrongType");
    let version = cluster.version("opaque");
    cluster.kubectl(&["delete", "secret", "opaque"]);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(daemon.log().matches("WrongType").count(), 1, "{}", daemon.log());
    assert!(!daemon.log().contains("issuing") && !version.is_empty(), "{}", daemon.log());
}

#[test]
fn a_config_map_that_goes_or_breaks_leaves_the_last_one_in_force() {
    let (cluster, daemon) = kept();
    cluster.config("- {secret: web\n  domains");
    says(&daemon, "configuration-unreadable", 1);
    cluster.kubectl(&["delete", "configmap", "notariat"]);
    says(&daemon, "it does not exist", 1);
    cluster.kubectl(&["delete", "secret", "web"]);
    says(&daemon, "restored secret=", 1);
    cluster.config("[]");
    says(&daemon, "orphaned secret=", 1);
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn without_a_config_map_the_daemon_waits_and_begins_when_it_comes() {
    let cluster = Cluster::new();
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("configuration-unreadable");
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    says(&daemon, "issuing secret=", 1);
    daemon.until_it_says("valid secret=");
}
