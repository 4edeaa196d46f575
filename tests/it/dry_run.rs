//! `-dry-run`: what would be done is said, and nothing is done.

use std::time::Duration;

use crate::support::cluster::Cluster;
use crate::support::{Run, Site, x509};

#[test]
fn a_rehearsal_beside_another_manager_writes_nothing_and_sees_what_that_does() {
    let cluster = Cluster::new();
    cluster.tls("old", &x509::make(&["old.site.test"], "somebody", -90, -1));
    cluster.tls("fine", &x509::make(&["fine.site.test"], "somebody", -1, 80));
    let entries = ["new", "old", "fine"].map(|name| cluster.site.entry(name, &format!("{name}.site.test"), ""));
    cluster.config(&entries.concat());
    let rehearsal = cluster.daemon(&["-dry-run"]);
    for (name, reason) in [("new", "SecretMissing"), ("old", "Expired")] {
        let line =
            format!("would action=issue secret={}/{name} names={name}.site.test reason={reason}", cluster.namespace);
        rehearsal.until_it_says(&line);
    }
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    let writes = || {
        let asked = cluster.kube.audit().into_iter().filter(|a| a.user == user);
        asked
            .filter(|a| !matches!(a.verb.as_str(), "get" | "list" | "watch") && !a.resource.starts_with("selfsubject"))
            .collect::<Vec<_>>()
    };
    // What must not come is given the time in which it would have come.
    std::thread::sleep(Duration::from_secs(3));
    assert!(writes().is_empty(), "{:#?}", writes());
    assert!(cluster.site.pebble.request_lines().is_empty(), "the CA was asked");
    assert!(!rehearsal.log().contains("leading"), "no Lease is taken");

    // Whoever does the work is not disturbed, and its work is seen.
    cluster.once().ends(0);
    rehearsal.until_it_says(&format!("valid secret={}/new", cluster.namespace));
    assert_eq!(rehearsal.log().matches("would action=issue").count(), 2, "each is said once:\n{}", rehearsal.log());
    cluster.kubectl(&["delete", "secret", "new"]);
    rehearsal.until_it_says(&format!("would action=restore secret={}/new", cluster.namespace));
    cluster.config(&entries[..2].concat());
    rehearsal.until_it_says("would action=orphan record=");
    assert_eq!(rehearsal.terminate(), 0);
    assert_eq!(cluster.kubectl(&["get", "secret", "new", "--ignore-not-found"]), "", "it was restored");
}

#[test]
fn a_single_rehearsed_pass_says_how_it_is() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    let pass = |more: &[&str]| Run::of(&mut site.command(&[&["-once", "-dry-run"], more].concat()));
    pass(&[]).ends(1).says(&["would action=issue secret=default/web"]).never_says("issuing");
    assert!(!site.folder("web").exists() && site.record("web").is_none() && site.pebble.request_lines().is_empty());
    site.once().ends(0);
    pass(&[]).ends(0).never_says("would");
    pass(&["-probe"]).ends(78).says(&["-dry-run and -probe exclude each other"]);
}
