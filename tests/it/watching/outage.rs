//! An API server that restarts under a watch, and one that is away.

use std::time::Duration;

use super::says;
use crate::support::cluster::{Cluster, OwnKube};

#[test]
fn a_restart_is_survived_and_nothing_is_missed() {
    let own = OwnKube::start();
    let kube = own.kube();
    let cluster = Cluster::on(kube);
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("valid secret=");
    let orders = || cluster.site.pebble.request_lines().into_iter().filter(|line| line.contains("order-plz")).count();

    kube.stop_api();
    daemon.until_it_says("api-server-away");
    assert_eq!(orders(), 1, "nothing is ordered meanwhile");
    kube.start_api();
    // What others do before the watch is there again: the version that it had is too old for the new server.
    cluster.kubectl(&["delete", "secret", "web"]);
    cluster
        .config(&[cluster.site.entry("web", "www.site.test", ""), cluster.site.entry("a", "a.site.test", "")].concat());
    daemon.until_it_says("api-server-back");
    daemon.until_it_says("restored secret=");
    daemon.until_it_says(&format!("issued secret={}/a ", cluster.namespace));

    cluster.kubectl(&["delete", "secret", "web"]);
    says(&daemon, "restored secret=", 2);
    assert_eq!(daemon.log().matches("api-server-away").count(), 1, "{}", daemon.log());
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn a_start_while_it_is_away_waits_for_it() {
    let own = OwnKube::start();
    let kube = own.kube();
    let cluster = Cluster::on(kube);
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let kubeconfig = cluster.service_account();
    kube.stop_api();
    let daemon = crate::support::run::Daemon::start(&mut cluster.command(&kubeconfig, &[]));
    daemon.until_it_says("api-server-away");
    kube.start_api();
    daemon.until_it_says("valid secret=");
    assert_eq!(daemon.terminate(), 0);
}

/// Several watches come back, each in its own time, and with nothing new.
#[test]
fn after_an_outage_everything_is_looked_at_once() {
    let own = OwnKube::start();
    let kube = own.kube();
    let cluster = Cluster::on(kube);
    let names = ["a", "b", "c"].map(|name| cluster.site.entry(name, &format!("{name}.site.test"), ""));
    cluster.config(&names.concat());
    let daemon = cluster.daemon(&[]);
    daemon.until("all are there", || daemon.log().matches("valid secret=").count() >= 3);
    daemon.until("their windows are known", || daemon.log().matches("window secret=").count() >= 3);
    // The watches show what it writes of them.
    std::thread::sleep(Duration::from_secs(3));
    let checked = || daemon.log().matches("checked entries=").count();
    let before = checked();
    kube.stop_api();
    daemon.until_it_says("api-server-away");
    kube.start_api();
    daemon.until_it_says("api-server-back");
    // The longest pause of a watch after so short a time, and some.
    std::thread::sleep(Duration::from_secs(15));
    let outages = daemon.log().matches("api-server-back").count();
    assert_eq!(checked() - before, outages, "{}", daemon.log());
    assert_eq!(daemon.terminate(), 0);
}
