//! `-cascade`: the owner of a Secret is the one object that wants it, and nobody once there are two.

use serde_json::Value;

use crate::support::tenants::Tenants;

const ACME: &str = "kubernetes.io/tls-acme: 'true'";

#[test]
fn a_secret_goes_with_its_only_object_and_with_none_of_several() {
    let tenants = Tenants::new();
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test]}")]);
    let web = || tenants.ingress("{a}", "web", ACME, "[{secretName: web, hosts: [x.a.site.test]}]");
    let owners = || {
        let secret = tenants.kubectl(&["-n", "{a}", "get", "secret", "web", "-o", "json"]);
        let secret: Value = serde_json::from_str(&secret).unwrap();
        let owner = |owner: &Value| format!("{} {} {}", owner["apiVersion"], owner["kind"], owner["uid"]);
        let list = secret["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
        list.iter().map(owner).collect::<Vec<_>>()
    };
    let of = |name: &str| {
        let uid = tenants.kubectl(&["-n", "{a}", "get", "ingress", name, "-o", "jsonpath={.metadata.uid}"]);
        vec![format!("\"networking.k8s.io/v1\" \"Ingress\" \"{uid}\"")]
    };
    web();
    let daemon = tenants.daemon(&["-sources", "config,ingress"]);
    tenants.until_issued(&daemon, "{a}", "web", &["x.a"]);
    assert!(owners().is_empty(), "off by default");
    assert_eq!(daemon.terminate(), 0);
    let daemon = tenants.daemon(&["-sources", "config,ingress", "-cascade"]);
    daemon.until("it has an owner", || owners() == of("web"));
    // A second object, though no name of it is served.
    tenants.ingress("{a}", "second", ACME, "[{secretName: web, hosts: [evil.b.site.test]}]");
    daemon.until_it_says(&tenants.filled("cascade-removed secret={a}/web"));
    assert!(owners().is_empty());
    tenants.kubectl(&["-n", "{a}", "delete", "ingress", "second"]);
    assert_eq!(daemon.terminate(), 0);
    // The object was created again while nobody looked: it is another owner.
    tenants.kubectl(&["-n", "{a}", "delete", "ingress", "web"]);
    web();
    let daemon = tenants.daemon(&["-sources", "config,ingress", "-cascade"]);
    daemon.until("it has the new owner", || owners() == of("web"));
    // What is written next has it from the start: the API server's collector deletes a Secret with its object.
    tenants.kubectl(&["-n", "{a}", "delete", "secret", "web"]);
    tenants.until_issued(&daemon, "{a}", "web", &["x.a"]);
    assert_eq!(owners(), of("web"));
    assert_eq!(daemon.terminate(), 0);
    // Without the flag nothing goes with its object any more.
    let daemon = tenants.daemon(&["-sources", "config,ingress"]);
    daemon.until("it has no owner", || owners().is_empty());
    assert_eq!(tenants.orders(), 1);
    daemon.kill();
}
