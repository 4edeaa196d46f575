//! The status of Gardener's Certificates and Issuers on a real API server, as their readers read it.

use std::time::Duration;

use serde_json::{Value, json};

use super::gardener::Place;
use crate::support::kill_proxy::{KillProxy, Then};

const CERTIFICATE: &str = "certificate.cert.gardener.cloud";
const ISSUER: &str = "issuer.cert.gardener.cloud";

fn status(place: &Place, name: &str) -> Value {
    place.get("{a}", CERTIFICATE, name)["status"].clone()
}

/// The fields of `kubectl get` of one object, without its age.
fn columns(place: &Place, namespace: &str, kind: &str, name: &str) -> Vec<String> {
    let line = place.tenants.kubectl(&["-n", namespace, "get", kind, name, "--no-headers"]);
    let mut columns: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    columns.pop();
    columns
}

/// The writes of statuses so far.
fn writes(place: &Place) -> usize {
    let audit = place.tenants.cluster.kube.audit();
    let is_write = |resource: &str, verb: &str| resource.ends_with("/status") && verb == "update";
    audit.iter().filter(|asked| is_write(&asked.resource, &asked.verb)).count()
}

#[test]
fn a_certificate_is_pending_and_then_ready_and_its_issuer_before_it() {
    let place = Place::new();
    place.issuer("{own}", "staging", "");
    let daemon = place.daemon(&[]);
    let own = place.tenants.filled("{own}");
    let wait = |namespace: &str, object: &str| {
        place.tenants.kubectl(&["-n", namespace, "wait", "--for=condition=Ready", object, "--timeout=60s"]);
    };
    wait("{own}", "issuer.cert.gardener.cloud/staging");
    assert_eq!(place.tenants.orders(), 0);
    let issuer = place.get("{own}", ISSUER, "staging");
    let told = |field: &str| issuer["status"][field].clone();
    assert_eq!((told("state"), told("type"), told("observedGeneration")), (json!("Ready"), json!("acme"), json!(1)));
    assert_eq!(columns(&place, "{own}", ISSUER, "staging")[2..], ["admin@site.test", "Ready", "acme"]);

    place.certificate(
        "{a}",
        "web",
        "commonName: www.a.site.test, dnsNames: [x.a.site.test], secretName: web, issuerRef: {name: staging}",
    );
    daemon.until("there is a status", || status(&place, "web") != Value::Null);
    let first = status(&place, "web");
    assert_eq!((&first["state"], &first["conditions"][0]["status"]), (&json!("Pending"), &json!("False")), "{first}");
    assert!(first["lastPendingTimestamp"].is_string() && first["expirationDate"].is_null(), "{first}");
    wait("{a}", "certificate.cert.gardener.cloud/web");
    let ready = status(&place, "web");
    let reference = json!({"cluster": "default", "namespace": own, "name": "staging"});
    assert_eq!(
        (&ready["commonName"], &ready["dnsNames"], &ready["issuerRef"], &ready["observedGeneration"]),
        (&json!("www.a.site.test"), &json!(["x.a.site.test"]), &reference, &json!(1))
    );
    for field in ["issuanceDate", "expirationDate", "renewalDate"] {
        assert!(ready[field].as_str().is_some_and(|time| time.ends_with('Z')), "{field}: {ready}");
    }
    assert_eq!((&ready["lastPendingTimestamp"], &ready["backoff"]), (&Value::Null, &Value::Null), "{ready}");
    assert_eq!(columns(&place, "{a}", CERTIFICATE, "web")[1..], ["www.a.site.test", "staging", "Ready"]);
    let wide = place.tenants.kubectl(&["-n", "{a}", "get", CERTIFICATE, "web", "--no-headers", "-o", "wide"]);
    let expiry = ready["expirationDate"].as_str().unwrap();
    assert!(wide.contains(expiry) && wide.contains("certificate valid from"), "{wide}");

    // A renewal takes nothing away: at no time is it not ready.
    let since = ready["conditions"][0]["lastTransitionTime"].clone();
    place.tenants.kubectl(&["-n", "{a}", "annotate", "secret", "web", "notariat/renew=1"]);
    daemon.until("it is renewed", || {
        let status = status(&place, "web");
        let condition = &status["conditions"][0];
        assert_eq!((&status["state"], &condition["lastTransitionTime"]), (&json!("Ready"), &since), "{status}");
        place.tenants.orders() == 2 && status["message"].as_str().is_some_and(|text| !text.contains("renewed"))
    });
    // An edit: nobody takes the old condition for the new generation's.
    let patch = r#"{"spec": {"dnsNames": ["y.a.site.test"]}}"#;
    place.tenants.kubectl(&["-n", "{a}", "patch", CERTIFICATE, "web", "--type=merge", "-p", patch]);
    wait("{a}", "certificate.cert.gardener.cloud/web");
    assert_eq!(place.tenants.names("{a}", "web").unwrap(), ["www.a.site.test", "y.a.site.test"]);

    // While nothing happens nothing is written, and the spec never.
    std::thread::sleep(Duration::from_secs(6));
    let before = writes(&place);
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!(writes(&place), before);
    assert!(before <= 12, "{before} writes for three certificates and an issuer");
    let object = place.get("{a}", CERTIFICATE, "web");
    assert_eq!(object["metadata"]["generation"], 2, "{object}");
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn what_is_not_served_says_why_and_another_class_says_nothing() {
    let place = Place::new();
    place.issuer("{own}", "default-issuer", "");
    for (name, spec) in [
        ("self", "selfSigned: {}"),
        ("url", "acme: {server: 'ftp://ca.test', email: admin@site.test, autoRegistration: true}"),
        ("away", "acme: {server: 'https://127.0.0.1:1/dir', email: admin@site.test, autoRegistration: true}"),
    ] {
        place.tenants.apply(&format!(
            "apiVersion: cert.gardener.cloud/v1alpha1\nkind: Issuer\nmetadata: {{namespace: '{{own}}', name: {name}}}\nspec: {{{spec}}}\n"
        ));
    }
    place.certificate("{a}", "late", "dnsNames: [l.a.site.test], issuerRef: {name: later}");
    place.certificate("{a}", "spiffe", "dnsNames: [s.a.site.test], uris: ['spiffe://a']");
    place.certificate("{a}", "nameless", "secretName: nameless");
    let other = "cert.gardener.cloud/class: private";
    place.annotated("{a}", "other", other, "dnsNames: [o.a.site.test]");
    place.certificate("{a}", "web", "dnsNames: [www.a.site.test]");
    place.certificate("{b}", "failing", "dnsNames: [x.b.site.test], issuerRef: {name: away}");
    let daemon = place.daemon(&[]);
    for (namespace, kind, name, state, part) in [
        ("{own}", ISSUER, "self", "Error", "no ACME Issuer"),
        ("{own}", ISSUER, "url", "Error", "server"),
        ("{own}", ISSUER, "away", "Error", "127.0.0.1:1"),
        ("{own}", ISSUER, "default-issuer", "Ready", "account"),
        ("{a}", CERTIFICATE, "late", "Waiting", "does not exist in the namespace"),
        ("{a}", CERTIFICATE, "spiffe", "Error", "uris"),
        ("{a}", CERTIFICATE, "nameless", "Error", "no DNS name"),
        ("{a}", CERTIFICATE, "web", "Ready", "certificate valid from"),
        ("{b}", CERTIFICATE, "failing", "Error", "127.0.0.1:1"),
    ] {
        let told = || {
            let status = place.get(namespace, kind, name)["status"].clone();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&status["state"]), text(&status["message"]), status)
        };
        daemon.until(name, || told().0 == state && told().1.contains(part));
        let condition = &told().2["conditions"][0];
        assert_eq!((&condition["reason"], &condition["type"]), (&json!(state), &json!("Ready")), "{name}");
        assert_eq!(condition["status"] == "True", state == "Ready", "{name}");
    }
    assert_eq!(place.get("{own}", ISSUER, "self")["status"]["type"], "selfSigned");
    // While it is tried again there is no next time.
    daemon.until("the next attempt is shown", || {
        let backoff = place.get("{b}", CERTIFICATE, "failing")["status"]["backoff"].clone();
        backoff["recheckAfter"].is_string() && backoff["observedGeneration"] == 1
    });
    assert_eq!(status(&place, "other"), Value::Null, "an object of another class");
    assert_eq!(place.tenants.orders(), 1, "{}", daemon.log());
    // The Issuer is corrected: its account is looked for again at once.
    place.issuer("{own}", "away", "");
    daemon.until("the Issuer is ready", || place.get("{own}", ISSUER, "away")["status"]["state"] == "Ready");
    daemon.kill();
}

#[test]
fn an_issuer_whose_ca_was_away_is_ready_when_it_is_back() {
    let place = Place::new();
    let ca = KillProxy::before_ca(&place.tenants.cluster.site.pebble);
    ca.trap.set(|_| Then::Drop);
    place.issuer_at(&ca.directory(), "{own}", "default-issuer", "");
    let daemon = place.daemon(&[]);
    let state = || place.get("{own}", ISSUER, "default-issuer")["status"]["state"].clone();
    daemon.until("the Issuer has no account", || state() == "Error");
    ca.trap.set(|_| Then::GoOn);
    // Nobody changes the object, and nothing is ordered: the CA is asked again after a minute.
    daemon.until("the Issuer is ready", || state() == "Ready");
    assert_eq!(place.tenants.orders(), 0);
    daemon.kill();
}
