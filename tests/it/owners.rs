//! Whose a Secret is, on a real API server: who overwrote it.

use crate::support::cluster::Cluster;

/// Orders made so far.
fn orders(cluster: &Cluster) -> usize {
    cluster.site.pebble.request_lines().into_iter().filter(|l| l.contains("order-plz")).count()
}

#[test]
fn who_overwrites_a_secret_again_and_again_is_named() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster.once().ends(0);
    let (data, made) = (cluster.get("web", "{.data}"), orders(&cluster));
    let empty = || cluster.kubectl(&["patch", "secret", "web", "-p", r#"{"data": {"tls.key": ""}}"#]);
    let named = r#"tls.key is missing or empty; last written by \"kubectl-patch\" at 20"#;
    for _ in 0..3 {
        empty();
        cluster.once().ends(0).says(&["restored secret=", named]);
        assert_eq!(cluster.get("web", "{.data}"), data);
    }
    empty();
    let version = cluster.version("web");
    cluster.once().ends(1).says(&["state=Contested", named]);
    assert_eq!((cluster.version("web"), orders(&cluster)), (version, made));
}
