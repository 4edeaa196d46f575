//! Certificates that are issued and renewed, whatever becomes of their issuer.

use super::place::{LINES, Place, UPDATE};

#[test]
fn a_certificate_with_a_cluster_issuer_leads_to_its_secret_and_outlives_the_issuer() {
    let place = Place::new();
    // The issuer comes later: until then one sentence, and no order.
    place.certificate("{a}", "web", &["www.a", "x.a"], "");
    let daemon = place.daemon(LINES, &[]);
    place.tenants.until_told("{a}", "web", "Warning Waiting ", "the ClusterIssuer \"lab\" does not exist");
    assert_eq!(place.tenants.orders(), 0);
    // The account's key is the one of cert-manager.
    let key = std::fs::read_to_string("tests/vectors/keys/rsa2048-pkcs1.pem").unwrap();
    let literal = format!("--from-literal=tls.key={key}");
    place.kubectl(&["-n", &place.resources, "create", "secret", "generic", "lab-account", &literal]);
    place.cluster_issuer("lab", &[UPDATE], "");
    place.tenants.until_issued(&daemon, "{a}", "web", &["www.a", "x.a"]);
    let accounts =
        place.kubectl(&["-n", "{own}", "get", "secrets", "--field-selector=type=notariat/account", "-o", "json"]);
    let accounts: serde_json::Value = serde_json::from_str(&accounts).unwrap();
    let held = accounts["items"][0]["data"]["key"].as_str().unwrap();
    assert_eq!((accounts["items"].as_array().unwrap().len(), held), (1, base64(&key).as_str()));
    // Marks as cert-manager's, so that it takes the Secret back without an order.
    let secret = place.get("{a}", "secret", "web");
    let (annotations, labels) = (&secret["metadata"]["annotations"], &secret["metadata"]["labels"]);
    for (mark, value) in [
        ("certificate-name", "web"),
        ("issuer-name", "lab"),
        ("issuer-kind", "ClusterIssuer"),
        ("issuer-group", "cert-manager.io"),
        ("alt-names", "www.a.site.test,x.a.site.test"),
    ] {
        assert_eq!(annotations[format!("cert-manager.io/{mark}")], value, "{annotations}");
    }
    assert_eq!(labels["controller.cert-manager.io/fao"], "true", "{labels}");
    // The Secret says which object wants it, and so does the Event.
    assert_eq!(annotations["notariat/source"], place.tenants.filled("Certificate {a}/web"), "{annotations}");
    place.tenants.until_told("{a}", "web", "Normal Issued", "");

    // The issuer changes to one that can not be served: the certificate goes on as it was accepted.
    place.cluster_issuer("lab", &["{http01: {ingress: {}}}"], "");
    place.tenants.until_told("{a}", "web", "Warning Refused ", "start it with -http-listen");
    renewed(&place, &daemon, 2);
    // Without its issuer, too.
    place.kubectl(&["delete", "clusterissuer", "lab"]);
    place.tenants.until_told("{a}", "web", "Warning Waiting ", "the ClusterIssuer \"lab\" does not exist");
    renewed(&place, &daemon, 3);
    // Also after a restart, when only the record knows.
    assert_eq!(daemon.terminate(), 0);
    let daemon = place.start(&[]);
    daemon.until_it_says("valid secret=");
    place.kubectl(&["-n", "{a}", "annotate", "--overwrite", "secret", "web", "notariat/renew=restarted"]);
    daemon.until("it is renewed", || place.tenants.orders() == 4 && daemon.log().contains("issued secret="));
    assert!(!daemon.log().contains("orphaned"), "{}", daemon.log());
    daemon.kill();
}

/// Asks for a renewal and waits for it.
#[track_caller]
fn renewed(place: &Place, daemon: &crate::support::run::Daemon, orders: usize) {
    let asked = format!("notariat/renew={orders}");
    place.kubectl(&["-n", "{a}", "annotate", "--overwrite", "secret", "web", &asked]);
    daemon.until("it is renewed", || {
        daemon.log().matches("issued secret=").count() + daemon.log().matches("renewed secret=").count() >= orders
    });
    assert_eq!(place.tenants.orders(), orders, "{}", daemon.log());
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
