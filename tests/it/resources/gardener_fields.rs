//! Fields of Gardener's Certificates that ask for more than a certificate: `renew`, `ensureRenewedAfter`, `csr`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat::base::time;
use serde_json::{Value, json};

use super::gardener::Place;
use crate::csr::Made;
use crate::support::run::Daemon;

const CERTIFICATE: &str = "certificate.cert.gardener.cloud";

fn patch(place: &Place, name: &str, spec: &Value) {
    let patch = json!({ "spec": spec }).to_string();
    place.tenants.kubectl(&["-n", "{a}", "patch", CERTIFICATE, name, "--type=merge", "-p", &patch]);
}

fn state(place: &Place, name: &str) -> (String, String) {
    let status = place.get("{a}", CERTIFICATE, name)["status"].clone();
    let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
    (text("state"), text("message"))
}

fn data(place: &Place, secret: &str, key: &str) -> String {
    let value = place.get("{a}", "secret", secret)["data"][key].as_str().unwrap_or("-").to_owned();
    String::from_utf8(STANDARD.decode(value).unwrap()).unwrap()
}

/// Waits until the CA has had so many orders, and sees that no further one follows.
#[track_caller]
fn settles_at(place: &Place, daemon: &Daemon, name: &str, orders: usize) {
    daemon.until(&format!("{orders} orders"), || place.tenants.orders() >= orders);
    daemon.until("that is over", || {
        let (state, message) = state(place, name);
        state == "Ready" && !message.contains("being renewed")
    });
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(place.tenants.orders(), orders, "{}", daemon.log());
}

#[test]
fn renew_and_ensure_renewed_after_renew_once_and_the_spec_stays() {
    let place = Place::new();
    place.issuer("{own}", "default-issuer", "");
    place.certificate("{a}", "web", "dnsNames: [www.a.site.test]");
    let mut daemon = place.daemon(&[]);
    settles_at(&place, &daemon, "web", 1);
    patch(&place, "web", &json!({"renew": true}));
    settles_at(&place, &daemon, "web", 2);
    daemon.until_it_says("reason=RenewalRequested");
    place.tenants.until_told("{a}", "web", "Normal Skipped ", "remove it");
    // It stands there for ever, and a restart does not serve it again.
    assert_eq!(daemon.terminate(), 0);
    daemon = place.daemon(&[]);
    daemon.until_it_says("valid secret=");
    settles_at(&place, &daemon, "web", 2);
    // Nor does a renewal for which a person asks meanwhile.
    place.tenants.kubectl(&["-n", "{a}", "annotate", "secret", "web", "notariat/renew=1"]);
    settles_at(&place, &daemon, "web", 3);
    // Another generation is another request.
    patch(&place, "web", &json!({"renewBefore": "200h"}));
    settles_at(&place, &daemon, "web", 4);
    let object = place.get("{a}", CERTIFICATE, "web");
    assert_eq!((&object["spec"]["renew"], &object["metadata"]["generation"]), (&json!(true), &json!(3)), "{object}");
    // The cap of orders for one set of names holds.
    patch(&place, "web", &json!({"renewBefore": "201h"}));
    daemon.until("it is capped", || state(&place, "web").1.contains("nothing is tried before"));
    assert_eq!((state(&place, "web").0.as_str(), place.tenants.orders()), ("Ready", 4));

    // A time: that of the last request counts, also one to come.
    place.certificate("{a}", "timed", "dnsNames: [t.a.site.test], ensureRenewedAfter: '2020-01-01T00:00:00Z'");
    settles_at(&place, &daemon, "timed", 5);
    patch(&place, "timed", &json!({"ensureRenewedAfter": time::now().to_string()}));
    settles_at(&place, &daemon, "timed", 6);
    let later = time::now() + Duration::from_secs(9);
    patch(&place, "timed", &json!({"ensureRenewedAfter": later.to_string()}));
    daemon.until("its time is shown", || {
        place.get("{a}", CERTIFICATE, "timed")["status"]["renewalDate"] == later.to_string().as_str()
    });
    assert_eq!(place.tenants.orders(), 6);
    settles_at(&place, &daemon, "timed", 7);
    assert!(time::now() >= later);
    daemon.kill();
    let daemon = place.daemon(&[]);
    settles_at(&place, &daemon, "timed", 7);
    daemon.kill();
}

#[test]
fn a_csr_is_issued_renewed_and_never_gets_a_key_and_one_put_there_by_hand_stays() {
    let place = Place::new();
    place.issuer("{own}", "default-issuer", "");
    let made = Made::p256();
    let encoded = |subject: &str, names: &str| STANDARD.encode(made.csr(subject, names));
    let csr = encoded("/CN=www.a.site.test", "DNS:www.a.site.test,DNS:x.a.site.test");
    place.certificate("{a}", "web", &format!("csr: {csr}, secretName: web"));
    let daemon = place.daemon(&[]);
    place.tenants.until_issued(&daemon, "{a}", "web", &["www.a", "x.a"]);
    settles_at(&place, &daemon, "web", 1);
    let object = place.get("{a}", CERTIFICATE, "web");
    let shown = |field: &str| object["status"][field].clone();
    assert_eq!((shown("commonName"), shown("dnsNames")), (json!("www.a.site.test"), json!(["x.a.site.test"])));
    assert_eq!(data(&place, "web", "tls.key"), "", "present, and empty");

    // The key of the CSR, put there by hand, survives a renewal.
    let put = serde_json::json!({"data": {"tls.key": STANDARD.encode(made.key())}}).to_string();
    place.tenants.kubectl(&["-n", "{a}", "patch", "secret", "web", "-p", &put]);
    let before = data(&place, "web", "tls.crt");
    patch(&place, "web", &json!({"renew": true}));
    daemon.until("it is renewed", || data(&place, "web", "tls.crt") != before);
    settles_at(&place, &daemon, "web", 2);
    assert_eq!(data(&place, "web", "tls.key"), made.key());

    // What can not be served says so, and the certificate goes on.
    let held = data(&place, "web", "tls.crt");
    for (spec, part) in [
        (json!({"csr": encoded("/", "DNS:www.a.site.test,IP:192.0.2.1")}), "an IP address"),
        (json!({"csr": encoded("/", "DNS:*.a.site.test,DNS:www.a.site.test")}), "a wildcard that covers it"),
        (json!({"csr": csr.clone(), "dnsNames": ["www.a.site.test"]}), "leave out commonName and dnsNames"),
        (json!({"csr": encoded("/", "DNS:www.b.site.test"), "dnsNames": null}), "www.b.site.test"),
    ] {
        patch(&place, "web", &spec);
        daemon.until(part, || state(&place, "web").0 == "Error" && state(&place, "web").1.contains(part));
    }
    assert_eq!((data(&place, "web", "tls.crt") == held, place.tenants.orders()), (true, 2));

    // Another CSR is ordered; names in the place of a CSR get a key of ours.
    let other = Made::p256();
    let csr = STANDARD.encode(other.csr("/", "DNS:www.a.site.test"));
    patch(&place, "web", &json!({"csr": csr, "dnsNames": null, "renew": null}));
    place.tenants.until_issued(&daemon, "{a}", "web", &["www.a"]);
    assert_eq!(data(&place, "web", "tls.key"), "", "the key was for another CSR");
    settles_at(&place, &daemon, "web", 3);
    patch(&place, "web", &json!({"csr": null, "dnsNames": ["www.a.site.test"]}));
    settles_at(&place, &daemon, "web", 4);
    assert!(data(&place, "web", "tls.key").contains("PRIVATE KEY"));
    daemon.kill();
}
