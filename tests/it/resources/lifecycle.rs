//! Orders whose Certificate changes under them, and objects that can not have what they ask for.

use std::collections::BTreeSet;

use notariat_lab::Pebble;
use serde_json::{Value, json};

use super::place::{CRDS, LINES, Place, UPDATE};
use super::status::{condition, until_ready};
use crate::support::cluster::Cluster;
use crate::support::run::Daemon;
use crate::support::{Site, x509};

/// A place whose CA takes some seconds for each validation.
fn with_slow_ca() -> Place {
    // Up to so many seconds; a test waits for what it needs.
    let ca = Pebble::setup().no_sleep(false).env("PEBBLE_VA_SLEEPTIME", "8");
    Place::on(Cluster::alone(Site::with_ca(ca)))
}

/// Makes a Certificate and waits until the CA has the order and the zone the TXT record.
fn begin(place: &Place, daemon: &Daemon, name: &str, names: &[&str]) {
    let (orders, updates) = (place.tenants.orders(), place.tenants.cluster.site.dns.updates());
    place.certificate("{a}", name, names, "");
    daemon.until("the order is under way", || {
        place.tenants.orders() > orders && place.tenants.cluster.site.dns.updates() > updates
    });
}

#[test]
fn a_certificate_that_is_deleted_and_made_again_within_its_order_gets_the_certificate_of_that_order() {
    let place = with_slow_ca();
    place.cluster_issuer("lab", &[UPDATE], "");
    let daemon = place.daemon(LINES, &[]);
    let uid = |name: &str| place.get("{a}", "certificate", name)["metadata"]["uid"].clone();
    begin(&place, &daemon, "again", &["x.a"]);
    assert_eq!(place.tenants.names("{a}", "again"), None, "the order has not ended");
    let first = uid("again");
    place.kubectl(&["-n", "{a}", "delete", "certificate", "again"]);
    place.certificate("{a}", "again", &["x.a"], "");
    until_ready(&place, &daemon, "again");
    let object = place.get("{a}", "certificate", "again");
    assert_ne!(object["metadata"]["uid"], first);
    assert_eq!((place.tenants.orders(), &object["status"]["revision"]), (1, &json!(1)), "{}", daemon.log());
    daemon.until("that is over", || condition(&place, "again", "Issuing") == Value::Null);

    // Made again with other names: they get theirs, and nothing of the first order stays in the zone.
    begin(&place, &daemon, "other", &["y.a"]);
    place.kubectl(&["-n", "{a}", "delete", "certificate", "other"]);
    place.certificate("{a}", "other", &["z.a"], "");
    place.tenants.until_issued(&daemon, "{a}", "other", &["z.a"]);
    until_ready(&place, &daemon, "other");
    // An order that says which certificate it replaces may be made again without that.
    assert!(place.tenants.orders() <= 4, "{}", daemon.log());
    let left = |name: &str| place.tenants.cluster.site.dns.txt(&format!("_acme-challenge.{name}.a.site.test"));
    daemon.until("no challenge is left", || left("y").is_empty() && left("z").is_empty());

    // Deleted alone: the values go, and nothing further is ordered.
    let orders = place.tenants.orders();
    begin(&place, &daemon, "gone", &["g.a"]);
    place.kubectl(&["-n", "{a}", "delete", "certificate", "gone"]);
    daemon.until("no challenge is left", || left("g").is_empty());
    std::thread::sleep(std::time::Duration::from_secs(8));
    assert_eq!(place.tenants.orders(), orders + 1, "{}", daemon.log());
    daemon.kill();
}

#[test]
fn a_stored_spec_that_the_definition_of_today_refuses_is_served_and_its_status_follows_when_it_is_right() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    // An older definition took this; the one of today does not.
    place.certificate("{a}", "old", &["old.a"], ", revisionHistoryLimit: many");
    place.certificate("{a}", "new", &["new.a"], ", revisionHistoryLimit: 1");
    let lax = "{type: object, x-kubernetes-preserve-unknown-fields: true}";
    let strict = "{type: object, x-kubernetes-preserve-unknown-fields: true, properties: {spec: {type: object, \
                  x-kubernetes-preserve-unknown-fields: true, properties: {revisionHistoryLimit: {type: integer}}}}}";
    let definitions = CRDS.replacen(lax, strict, 1);
    place.apply(&definitions);
    let patch = r#"{"spec": {"usages": ["server auth"]}}"#;
    let config = place.tenants.cluster.kube.admin_kubeconfig().to_owned();
    let namespace = place.tenants.a.clone();
    let refused = |name: &str| {
        let arguments = ["-n", &namespace, "patch", "certificate", name, "--type=merge", "-p", patch];
        place.tenants.cluster.kube.try_kubectl_as(&config, &arguments).is_err()
    };
    crate::support::run::until("the API server knows the new definition", || refused("old"));
    assert!(!refused("new"));

    let daemon = place.daemon(LINES, &[]);
    until_ready(&place, &daemon, "new");
    place.tenants.until_issued(&daemon, "{a}", "old", &["old.a"]);
    // Newer API servers take the status of such an object; this one says why it does not.
    let is_told =
        || place.tenants.events("{a}", "old").iter().any(|event| event.starts_with("Warning StatusNotWritten "));
    let is_written = || condition(&place, "old", "Ready")["status"] == "True";
    daemon.until("it is told or written", || is_told() || is_written());
    if is_told() {
        place.tenants.until_told("{a}", "old", "Warning StatusNotWritten ", "spec.revisionHistoryLimit");
        daemon.until_it_says("status-not-written");
        assert_eq!(condition(&place, "old", "Ready"), Value::Null);
        let writes = |place: &Place| {
            let audit = place.tenants.cluster.kube.audit();
            audit.iter().filter(|asked| asked.resource == "certificates/status" && asked.name == "old").count()
        };
        let before = writes(&place);
        std::thread::sleep(std::time::Duration::from_secs(8));
        assert_eq!(writes(&place), before, "a status that is refused is not sent again at once");
    }
    assert_eq!(place.tenants.orders(), 2, "{}", daemon.log());
    let right = r#"{"spec": {"revisionHistoryLimit": 1}}"#;
    place.kubectl(&["-n", "{a}", "patch", "certificate", "old", "--type=merge", "-p", right]);
    until_ready(&place, &daemon, "old");
    assert_eq!(place.tenants.orders(), 2, "{}", daemon.log());
    daemon.kill();
}

#[test]
fn a_key_that_must_stay_and_is_of_another_kind_waits_for_a_person() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    let secret = |name: &str, (chain, key): &(String, String)| {
        place.apply(&format!(
            "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\n\
             metadata: {{namespace: '{{a}}', name: {name}, annotations: {{cert-manager.io/certificate-name: {name}}}}}\n\
             stringData: {{tls.crt: {chain:?}, tls.key: {key:?}}}\n"
        ));
    };
    // Both have expired, so that nothing but the key stands in the way of an order.
    secret("ecdsa", &x509::make(&["e.a.site.test"], "other", -90, -1));
    secret("rsa", &x509::make_rsa(&["r.a.site.test"], "other", -90, -1));
    secret("same", &x509::make(&["s.a.site.test"], "other", -90, -1));
    let before = place.get("{a}", "secret", "rsa")["data"]["tls.key"].clone();
    let kept = place.get("{a}", "secret", "same")["data"]["tls.key"].clone();
    place.certificate("{a}", "ecdsa", &["e.a"], ", privateKey: {algorithm: RSA, rotationPolicy: Never}");
    place.certificate("{a}", "rsa", &["r.a"], ", privateKey: {algorithm: ECDSA, size: 384, rotationPolicy: Never}");
    place.certificate("{a}", "same", &["s.a"], ", privateKey: {algorithm: ECDSA, rotationPolicy: Never}");
    let daemon = place.daemon(LINES, &[]);
    until_ready(&place, &daemon, "same");
    for (name, held, wanted) in [("ecdsa", "ecdsa-p256", "rsa-2048"), ("rsa", "rsa-2048", "ecdsa-p384")] {
        let part = format!("its key is {held}, {wanted} is wanted, and rotationPolicy Never forbids a new key");
        place.tenants.until_told("{a}", name, "Warning ", &part);
        daemon.until("its status says so", || {
            let issuing = condition(&place, name, "Issuing");
            issuing["status"] == "False"
                && issuing["message"].as_str().is_some_and(|message| message.contains("rotationPolicy to Always"))
        });
    }
    std::thread::sleep(std::time::Duration::from_secs(5));
    // The one order is that of the Certificate whose key fits, and which keeps it.
    assert_eq!((place.tenants.orders(), place.tenants.cluster.site.dns.updates() > 0), (1, true), "{}", daemon.log());
    assert_eq!(place.get("{a}", "secret", "rsa")["data"]["tls.key"], before);
    let public = |text: &Value| {
        use base64::Engine as _;
        let pem = base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
        notariat::cert::key::public_digest(&pem).unwrap()
    };
    assert_eq!(public(&place.get("{a}", "secret", "same")["data"]["tls.key"]), public(&kept));

    // A person decides.
    for (name, key) in [
        ("ecdsa", r#"{"algorithm": "ECDSA", "rotationPolicy": "Never"}"#),
        ("rsa", r#"{"algorithm": "ECDSA", "size": 384, "rotationPolicy": "Always"}"#),
    ] {
        let patch = format!(r#"{{"spec": {{"privateKey": {key}}}}}"#);
        place.kubectl(&["-n", "{a}", "patch", "certificate", name, "--type=merge", "-p", &patch]);
        until_ready(&place, &daemon, name);
    }
    assert_eq!(place.tenants.orders(), 3, "{}", daemon.log());
    assert_ne!(place.get("{a}", "secret", "rsa")["data"]["tls.key"], before);
    daemon.kill();
}

/// The columns that cert-manager's definition has, with their JSON paths.
const COLUMNS: &str = "additionalPrinterColumns: [{name: Ready, type: string, jsonPath: '.status.conditions[?(@.type==\"Ready\")].status'}, \
                       {name: Secret, type: string, jsonPath: .spec.secretName}, \
                       {name: Issuer, type: string, jsonPath: .spec.issuerRef.name, priority: 1}, \
                       {name: Status, type: string, jsonPath: '.status.conditions[?(@.type==\"Ready\")].message', priority: 1}, \
                       {name: Age, type: date, jsonPath: .metadata.creationTimestamp}], ";

#[test]
fn kubectl_get_shows_in_the_columns_of_cert_manager_what_is_so() {
    let place = Place::new();
    let with_columns = CRDS.replacen(
        "{name: v1, served: true, storage: true, ",
        &format!("{{name: v1, served: true, storage: true, {COLUMNS}"),
        1,
    );
    assert_ne!(with_columns, CRDS);
    place.apply(&with_columns);
    place.cluster_issuer("lab", &[UPDATE], "");
    place.certificate("{a}", "web", &["www.a"], "");
    place.certificate("{a}", "bad", &["x.b"], "");
    let daemon = place.daemon(LINES, &[]);
    until_ready(&place, &daemon, "web");
    daemon.until("the other one says why", || condition(&place, "bad", "Issuing")["status"] == "False");
    let table = || {
        let text = place.kubectl(&["-n", "{a}", "get", "certificates", "-o", "wide"]);
        let columns = |line: &str| {
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        text.lines().map(columns).collect::<Vec<_>>()
    };
    crate::support::run::until("the server knows the columns", || table()[0].len() == 6);
    let table = table();
    assert_eq!(table[0], ["NAME", "READY", "SECRET", "ISSUER", "STATUS", "AGE"]);
    let rows: BTreeSet<Vec<String>> = table[1..].iter().map(|row| row[..5].to_vec()).collect();
    let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
    let expected = BTreeSet::from([
        row(["web", "True", "web", "lab", "the Secret holds what is wanted"]),
        row(["bad", "False", "bad", "lab", "its Secret does not exist"]),
    ]);
    assert_eq!(rows, expected);
    daemon.kill();
}
