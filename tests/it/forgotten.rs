//! Nothing is forgotten by accident: an entry that goes is kept for a while, and a configuration that lost its encoding or the spelling
//! of a key makes nothing go.

use std::time::Duration;

use crate::support::cluster::Cluster;
use crate::support::{Run, Site, x509};

fn status(site: &Site, more: &[&str]) -> Run {
    let mut command = crate::support::run::notariat();
    command
        .args(["status", "-config", "certs", "-local"])
        .arg(site.store.path())
        .args(["-acme", &site.pebble.directory()]);
    Run::of(command.args(more))
}

/// Asserts how the status ends, and that it prints each part.
#[track_caller]
fn shows(run: Run, code: i32, parts: &[&str]) {
    let run = run.ends(code);
    for part in parts {
        assert!(run.stdout.contains(part), "{part:?} is not in the status:\n{}", run.stdout);
    }
}

#[test]
fn an_entry_that_goes_is_kept_for_a_week_and_found_as_it_was() {
    let site = Site::new();
    let (a, b) = (site.entry("a", "a.site.test", ""), site.entry("b", "b.site.test", ""));
    site.config(&[a.as_str(), &b].concat());
    site.once().ends(0);
    let (serial, before) = (x509::serial(&site.folder("b")), site.record("b").unwrap());
    site.config(&a);
    site.once().ends(0).says(&["orphaned secret=default/b until="]).never_says("forgotten");
    let record = site.record("b").unwrap();
    assert!(record.contains("accepted") && record.contains("orders") && record.contains("orphaned"), "{record}");
    assert!(site.read("notariat-record.default.b", "tls.key").is_some());
    site.assert_valid("b", &["b.site.test"]);
    // Said once; and one of two that went is no fault.
    site.once().ends(0).never_says("orphaned");
    shows(status(&site, &["-o", "wide"]), 0, &["are kept until", "1 Valid, 1 Orphaned"]);
    shows(status(&site, &["-o", "json"]), 0, &["\"Orphaned\":1"]);

    site.config(&[a.as_str(), &b].concat());
    std::fs::remove_file(site.folder("b")).unwrap();
    let run = site.once().ends(0).says(&["wanted-again secret=default/b", "restored secret=default/b"]);
    run.never_says("issuing");
    assert_eq!(x509::serial(&site.folder("b")), serial);
    let orders = |record: &str| serde_json::from_str::<serde_json::Value>(record).unwrap()["histories"].clone();
    let record = site.record("b").unwrap();
    assert!(!record.contains("orphaned"), "{record}");
    assert_eq!(orders(&record), orders(&before), "history and cap are as they were");

    site.config(&a);
    Run::of(&mut site.command(&["-once", "-forget-after", "1s"])).ends(0).says(&["orphaned secret=default/b"]);
    std::thread::sleep(Duration::from_secs(2));
    site.once().ends(0).says(&["forgotten secret=default/b"]);
    let record = site.record("b").unwrap();
    assert!(!record.contains("accepted") && record.contains("orders"), "{record}");
    assert!(site.read("notariat-record.default.b", "tls.key").is_none());
    site.once().ends(0).never_says("forgotten");
}

#[test]
fn a_configuration_that_lost_its_entries_is_not_taken_for_the_wish_to_have_none() {
    let site = Site::new();
    let entry = site.entry("web", "www.site.test", "");
    site.config(&entry);
    site.once().ends(0);
    let serial = x509::serial(&site.folder("web"));
    let folder = site.store.join("default/configmaps/certs");
    let key = |name: &str, octets: &[u8]| {
        for file in std::fs::read_dir(&folder).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        std::fs::write(folder.join(name), octets).unwrap();
    };
    let latin_1 = [b"# Z\xFCrich\n", entry.as_bytes()].concat();
    let utf_16: Vec<u8> = std::iter::once(0xFEFF).chain(entry.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for (name, octets, said) in [
        ("certificates", latin_1.as_slice(), "key `certificates` is no text: it is not UTF-8: octet 0xFC in line 1"),
        ("certificates", &utf_16, "key `certificates` is no text: it is UTF-16"),
        ("certificate", entry.as_bytes(), "did you mean `certificates`?"),
        ("certificates.yaml", entry.as_bytes(), "did you mean `certificates`?"),
    ] {
        key(name, octets);
        site.once().ends(78).says(&["configuration-unreadable", said]).never_says("orphaned").never_says("forgotten");
        let parts = ["unreadable: ", said, "the last accepted one stays in force", "(1 entry)", "web     Valid"];
        shows(status(&site, &["-o", "wide"]), 1, &parts);
        assert!(site.read("notariat-record.default.web", "tls.key").is_some());
    }
    // Vanished, not misspelt: kept for a week, and not a success.
    key("certificates", b"");
    site.once().ends(0).says(&["orphaned secret=default/web"]).never_says("forgotten");
    shows(status(&site, &[]), 1, &["1 certificate: 1 Orphaned"]);
    key("certificates", &[b"\xEF\xBB\xBF", entry.as_bytes()].concat());
    site.once().ends(0).says(&["wanted-again secret=default/web"]).never_says("issuing");
    assert_eq!(x509::serial(&site.folder("web")), serial);
}

#[test]
fn what_kubectl_moves_to_binary_data_leaves_the_last_configuration_in_force() {
    let cluster = Cluster::new();
    let entry = cluster.site.entry("web", "www.site.test", "");
    cluster.config(&entry);
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("issued secret=");
    let file = cluster.site.store.join("certificates");
    std::fs::write(&file, [b"# Z\xFCrich\n", entry.as_bytes()].concat()).unwrap();
    cluster.kubectl(&["delete", "configmap", "notariat"]);
    daemon.until_it_says("it does not exist");
    cluster.kubectl(&["create", "configmap", "notariat", &format!("--from-file={}", file.display())]);
    daemon.until_it_says("is in `binaryData`, because it is not UTF-8");
    daemon.until("an Event tells it", || {
        cluster.kubectl(&["get", "events", "-o", "jsonpath={.items[*].message}"]).contains("binaryData")
    });
    cluster.kubectl(&["delete", "secret", "web"]);
    daemon.until_it_says("restored secret=");
    cluster.kubectl(&["delete", "configmap", "notariat"]);
    cluster.config("");
    daemon.until_it_says("orphaned secret=");
    daemon.until("it is shown", || {
        cluster
            .kubectl(&["get", "configmap", "notariat-status", "--ignore-not-found", "-o", "jsonpath={.data.table}"])
            .contains("Orphaned")
    });
    cluster.config(&entry);
    daemon.until_it_says("wanted-again secret=");
    assert!(!daemon.log().contains("forgotten"), "{}", daemon.log());
    assert_eq!(daemon.log().matches("issued secret=").count(), 1, "{}", daemon.log());
    assert_eq!(daemon.terminate(), 0);
}
