//! Roles that grant less than deploy/.

use super::{kept, says};
use crate::support::cluster::Cluster;

/// Replaces the rules of the Role.
fn grant(cluster: &Cluster, rules: &[&str]) {
    let rules = rules.join(", ");
    let patch = format!(r#"[{{"op": "replace", "path": "/rules", "value": [{rules}]}}]"#);
    cluster.kubectl(&["patch", "role", "notariat", "--type=json", "-p", &patch]);
}

const CONFIG: &str = r#"{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["notariat"], "verbs": ["get", "list", "watch"]}"#;

#[test]
fn secrets_that_may_be_watched_by_name_are() {
    let cluster = Cluster::new();
    let record = format!("notariat-record.{}.web", cluster.namespace);
    let named = format!(
        r#"{{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["web", "tsigkey", "{record}"], "verbs": ["get", "list", "watch", "update"]}}"#
    );
    let all = r#"{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "update"]}"#;
    grant(&cluster, &[CONFIG, &named, all]);
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("valid secret=");
    assert!(!daemon.log().contains("not-watched"), "what is not allowed is not tried: {}", daemon.log());
    cluster.kubectl(&["delete", "secret", "web"]);
    says(&daemon, "restored secret=", 1);
}

#[test]
fn secrets_that_may_not_be_watched_are_read_now_and_then() {
    let cluster = Cluster::new();
    let all = r#"{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "update"]}"#;
    let config = CONFIG.replace(r#", "list", "watch""#, "");
    grant(&cluster, &[&config, all]);
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("valid secret=");
    cluster.kubectl(&["delete", "secret", "web"]);
    daemon.until_it_says("restored secret=");
    let both = [cluster.site.entry("web", "www.site.test", ""), cluster.site.entry("a", "a.site.test", "")].concat();
    cluster.config(&both);
    daemon.until_it_says(&format!("issuing secret={}/a ", cluster.namespace));
}

#[test]
fn a_role_that_is_taken_away_and_given_back_is_borne() {
    let (cluster, daemon) = kept();
    grant(&cluster, &[CONFIG]);
    cluster.kubectl(&["delete", "secret", "web"]);
    // The watch goes on; the write is what fails.
    daemon.until_it_says("lacks the verb");
    let all = r#"{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch", "create", "update"]}"#;
    grant(&cluster, &[CONFIG, all]);
    daemon.until_it_says("restored secret=");
}
