//! The ConfigMap that shows the state to people who may not read Secrets.

use serde_json::Value;

use crate::support::cluster::Cluster;

fn shown(cluster: &Cluster) -> Option<Value> {
    let object = cluster.kubectl(&["get", "configmap", "notariat-status", "-o", "json", "--ignore-not-found"]);
    (!object.is_empty()).then(|| serde_json::from_str(&object).unwrap())
}

#[test]
fn the_state_stands_in_a_config_map_and_is_written_when_it_changes() {
    let cluster = Cluster::new();
    let wrong = cluster.site.entry("wrong", "a..test", "");
    cluster.config(&[cluster.site.entry("web", "www.site.test", ""), wrong].concat());
    let daemon = cluster.daemon(&[]);
    daemon.until("the state is shown", || shown(&cluster).is_some());
    // A minute later at the earliest.
    daemon.until("it is shown that it is valid", || {
        shown(&cluster).is_some_and(|object| object["data"]["table"].as_str().unwrap().contains("1 Valid"))
    });
    let object = shown(&cluster).unwrap();
    let table = object["data"]["table"].as_str().unwrap();
    assert!(
        table.contains("web  ")
            && table.contains("\"a..test\" has an empty label (two dots in a row, or a dot at an end)"),
        "{table}"
    );
    assert!(table.starts_with("As of 20") && !table.contains('…'), "{table}");
    let json: Value = serde_json::from_str(object["data"]["json"].as_str().unwrap()).unwrap();
    assert_eq!(json["certificates"][0]["state"], "Valid");
    assert!(json["notes"][0]["message"].as_str().unwrap().contains("\"a..test\" has an empty label"), "{json:#}");
    assert!(!object.to_string().contains("PRIVATE KEY"));

    // What changes nothing is not written again, by nobody.
    let version = object["metadata"]["resourceVersion"].clone();
    cluster.kubectl(&["annotate", "configmap", "notariat", "of=no-interest"]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(shown(&cluster).unwrap()["metadata"]["resourceVersion"], version);
}

#[test]
fn one_that_is_not_ours_is_left_alone() {
    let cluster = Cluster::new();
    cluster.kubectl(&["create", "configmap", "notariat-status", "--from-literal=table=mine"]);
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("status-not-written config_map=notariat-status error=");
    daemon.until_it_says("issued secret=");
    assert!(daemon.log().contains("is not of notariat: delete it"), "{}", daemon.log());
    assert_eq!(shown(&cluster).unwrap()["data"]["table"], "mine");
}
