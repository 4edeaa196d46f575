//! Gardener's CertificateRevocations: on a real API server, and the CA says what it revoked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat_lab::process;
use serde_json::{Value, json};

use super::gardener::Place;
use crate::support::kill_proxy::{KillProxy, Side, Then};
use crate::support::run::Daemon;

const KIND: &str = "certificaterevocation.cert.gardener.cloud";
const CERTIFICATE: &str = "certificate.cert.gardener.cloud";

/// Asks for the revocation of a Certificate `{a}/web`, where the fields of `spec` say nothing else.
fn revoke(place: &Place, namespace: &str, name: &str, spec: &str) {
    place.tenants.apply(&format!(
        "apiVersion: cert.gardener.cloud/v1alpha1\nkind: CertificateRevocation\n\
         metadata: {{namespace: '{namespace}', name: {name}}}\nspec: {{{spec}}}\n"
    ));
}

const WEB: &str = "certificateRef: {namespace: '{a}', name: web}";

fn status(place: &Place, namespace: &str, name: &str) -> Value {
    place.get(namespace, KIND, name)["status"].clone()
}

#[track_caller]
fn until_state(place: &Place, daemon: &Daemon, namespace: &str, name: &str, state: &str) -> Value {
    let what = format!("{namespace}/{name} is {state}");
    daemon.until(&what, || status(place, namespace, name)["state"] == state);
    status(place, namespace, name)
}

/// Writes a status over that of a CertificateRevocation of `{a}`, as anybody can who may.
fn put_status(place: &Place, name: &str, status: &Value) {
    let mut object = place.get("{a}", KIND, name);
    object["status"] = status.clone();
    let path = format!("/apis/cert.gardener.cloud/v1alpha1/namespaces/{{a}}/certificaterevocations/{name}/status");
    let path = place.tenants.filled(&path);
    place.tenants.cluster.kube.kubectl_stdin(&["replace", "--raw", &path, "-f", "-"], &object.to_string());
}

/// The serial number of the certificate in a Secret, which holds a valid pair.
#[track_caller]
fn serial(place: &Place, namespace: &str, secret: &str) -> String {
    let data = place.get(namespace, "secret", secret)["data"].clone();
    let value = |key: &str| STANDARD.decode(data[key].as_str().unwrap()).unwrap();
    let (_, facts) = notariat::cert::facts::read(&value("tls.crt")).unwrap();
    assert!(facts.fits(&notariat::cert::key::public_digest(&value("tls.key")).unwrap()), "the key fits at any time");
    facts.serial.to_string()
}

/// The status of a certificate at the CA.
fn at_ca(place: &Place, serial: &str) -> String {
    place.tenants.cluster.site.pebble.certificate_status(serial)
}

fn revocations(place: &Place) -> usize {
    let lines = place.tenants.cluster.site.pebble.request_lines();
    lines.iter().filter(|line| line.contains("/revoke-cert")).count()
}

/// A place with the Certificate `{a}/web` in its Secret `web`.
fn issued() -> (Place, Daemon) {
    let place = Place::new();
    place.issuer("{own}", "default-issuer", "");
    place.certificate("{a}", "web", "dnsNames: [web.a.site.test], secretName: web");
    let daemon = place.daemon(&[]);
    place.tenants.until_issued(&daemon, "{a}", "web", &["web.a"]);
    (place, daemon)
}

#[test]
fn a_certificate_is_replaced_and_then_revoked_once_for_each_object() {
    let (place, daemon) = issued();
    let first = serial(&place, "{a}", "web");
    revoke(&place, "{a}", "r", &format!("{WEB}, renew: true"));
    daemon.until("it is applied", || {
        // The Secret has a certificate that the CA did not revoke, at any time. Another one may be there by the time the CA is asked.
        let held = serial(&place, "{a}", "web");
        let is_valid = at_ca(&place, &held) == "Valid";
        assert!(is_valid || serial(&place, "{a}", "web") != held, "{held} is revoked and held");
        status(&place, "{a}", "r")["state"] == "Applied"
    });
    let second = serial(&place, "{a}", "web");
    assert_eq!((at_ca(&place, &first).as_str(), place.tenants.orders(), revocations(&place)), ("Revoked", 2, 1));
    let lines = place.tenants.cluster.site.pebble.request_lines();
    let last = |path: &str| lines.iter().rposition(|line| line.contains(path));
    assert!(last("/certZ") < last("/revoke-cert"), "the other certificate is there first: {lines:?}");
    let (a, applied) = (place.tenants.filled("{a}"), status(&place, "{a}", "r"));
    assert_eq!(applied["objects"], json!({"renewed": [{"namespace": a, "name": "web"}]}));
    let secrets = json!({"revoked": [{"namespace": a, "name": "web", "serialNumber": first}]});
    assert_eq!((&applied["secrets"], &applied["observedGeneration"]), (&secrets, &json!(1)));
    place.tenants.kubectl(&["-n", "{a}", "wait", "--for=condition=Ready", "certrevoke/r", "--timeout=30s"]);
    let shown = place.tenants.kubectl(&["-n", "{a}", "get", "certrevoke", "r", "--no-headers", "-o", "wide"]);
    for column in ["web", "Applied", "true", "certificate renewed and old certificate revoked"] {
        assert!(shown.contains(column), "{shown}");
    }
    assert!(place.get("{a}", KIND, "r")["spec"]["qualifyingDate"].is_null(), "the spec is the author's");

    // A status decides nothing: neither one that forgets, nor one that lies.
    let since = applied["revocationApplied"].clone();
    for lie in [json!({"state": "Pending"}), json!({"state": "Error", "revocationApplied": "2020-01-01T00:00:00Z"})] {
        put_status(&place, "r", &lie);
        daemon.until("the truth stands there", || status(&place, "{a}", "r")["revocationApplied"] == since);
    }
    // A revocation that was applied before this program came stays so, where nothing is known about its Certificate.
    revoke(&place, "{a}", "before", "certificateRef: {namespace: '{a}', name: gone}");
    until_state(&place, &daemon, "{a}", "before", "Error");
    let former = json!({"state": "Applied", "revocationApplied": "2026-01-01T00:00:00Z"});
    put_status(&place, "before", &former);
    // Whether the Certificate of another instance was revoked is for that instance to say.
    revoke(&place, "{own}", "elsewhere", "certificateRef: {namespace: kube-system, name: web}");
    // Dates: one before the certificate, and one that no certificate will ever be obtained after.
    revoke(&place, "{a}", "old", &format!("{WEB}, renew: true, qualifyingDate: '2020-01-01T00:00:00Z'"));
    let error = until_state(&place, &daemon, "{a}", "old", "Error");
    assert!(error["message"].as_str().unwrap().contains("after the qualifying date 2020-01-01T00:00:00Z"), "{error}");
    revoke(&place, "{a}", "ever", &format!("{WEB}, renew: true, qualifyingDate: '2099-01-01T00:00:00Z'"));
    until_state(&place, &daemon, "{a}", "ever", "Applied");
    assert_eq!((at_ca(&place, &second).as_str(), place.tenants.orders(), revocations(&place)), ("Revoked", 3, 2));
    assert_eq!(status(&place, "{a}", "before"), former);
    assert_eq!(status(&place, "{own}", "elsewhere"), Value::Null);
    assert_eq!(daemon.terminate(), 0);
    // All objects are still there, and a start finds nothing to do for them.
    let third = serial(&place, "{a}", "web");
    let daemon = place.daemon(&[]);
    place.certificate("{a}", "next", "dnsNames: [next.a.site.test], secretName: next");
    place.tenants.until_issued(&daemon, "{a}", "next", &["next.a"]);
    assert_eq!((serial(&place, "{a}", "web"), place.tenants.orders(), revocations(&place)), (third, 4, 2));
    daemon.kill();
}

#[test]
fn a_certificate_that_is_revoked_alone_stays_revoked_until_a_renewal_is_asked_for() {
    let (place, daemon) = issued();
    let first = serial(&place, "{a}", "web");
    revoke(&place, "{a}", "r", WEB);
    let applied = until_state(&place, &daemon, "{a}", "r", "Applied");
    let a = place.tenants.filled("{a}");
    assert_eq!(applied["objects"], json!({"revoked": [{"namespace": a, "name": "web"}]}));
    assert_eq!((at_ca(&place, &first).as_str(), serial(&place, "{a}", "web")), ("Revoked", first.clone()));
    let state = || place.get("{a}", CERTIFICATE, "web")["status"]["state"].clone();
    daemon.until("the Certificate says so", || state() == "Revoked");
    assert_eq!(daemon.terminate(), 0);
    // Neither a start nor the end of the object brings another one.
    let daemon = place.daemon(&[]);
    place.tenants.kubectl(&["-n", "{a}", "delete", KIND, "r"]);
    place.certificate("{a}", "next", "dnsNames: [next.a.site.test], secretName: next");
    place.tenants.until_issued(&daemon, "{a}", "next", &["next.a"]);
    let orders = (place.tenants.orders(), revocations(&place));
    assert_eq!((orders, state(), serial(&place, "{a}", "web")), ((2, 1), json!("Revoked"), first.clone()));
    place.tenants.kubectl(&["-n", "{a}", "annotate", "secret", "web", "notariat/renew=1"]);
    daemon.until("the Certificate is ready", || state() == "Ready");
    assert_ne!(serial(&place, "{a}", "web"), first);
    assert_eq!((place.tenants.orders(), revocations(&place)), (3, 1));
    daemon.kill();
}

#[test]
fn a_tenant_has_no_certificate_of_others_revoked() {
    let (place, daemon) = issued();
    let theirs = serial(&place, "{a}", "web");
    place.certificate("{b}", "own", "dnsNames: [own.b.site.test], secretName: own");
    place.tenants.until_issued(&daemon, "{b}", "own", &["own.b"]);
    let own = serial(&place, "{b}", "own");
    // By name, where the status that claims the opposite is the tenant's, too.
    revoke(&place, "{b}", "foreign", WEB);
    let error = until_state(&place, &daemon, "{b}", "foreign", "Error");
    assert!(error["message"].as_str().unwrap().contains("a Certificate of its own namespace"), "{error}");
    // By a copy of the certificate, which everybody has, beside a key that is not known here; by an object and by the annotation.
    let chain = place.get("{a}", "secret", "web")["data"]["tls.crt"].clone();
    let key = STANDARD.encode("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n");
    let mark = format!("keyCompromise {theirs}");
    let copy =
        json!({"data": {"tls.crt": chain, "tls.key": key}, "metadata": {"annotations": {"notariat/revoke": mark}}});
    revoke(&place, "{b}", "copy", "certificateRef: {namespace: '{b}', name: own}, renew: true");
    place.tenants.kubectl(&["-n", "{b}", "patch", "secret", "own", "--type=merge", "-p", &copy.to_string()]);
    daemon.until("the Secret has a certificate of its own again", || {
        place.tenants.names("{b}", "own").as_deref() == Some(&["own.b.site.test".to_owned()])
            && status(&place, "{b}", "copy")["state"] == "Applied"
    });
    assert_eq!(
        (at_ca(&place, &theirs).as_str(), at_ca(&place, &own).as_str()),
        ("Valid", "Revoked"),
        "{}",
        daemon.log()
    );
    // The same where no copy can be put back: its own certificate is revoked, so that another one is ordered over the foreign one.
    revoke(&place, "{b}", "alone", "certificateRef: {namespace: '{b}', name: own}");
    until_state(&place, &daemon, "{b}", "alone", "Applied");
    place.tenants.kubectl(&["-n", "{b}", "patch", "secret", "own", "--type=merge", "-p", &copy.to_string()]);
    daemon.until("the Secret has another certificate of its own", || {
        place.tenants.names("{b}", "own").as_deref() == Some(&["own.b.site.test".to_owned()])
            && at_ca(&place, &serial(&place, "{b}", "own")) == "Valid"
    });
    assert_eq!(at_ca(&place, &theirs), "Valid", "{}", daemon.log());
    daemon.until_it_says(&format!("not-revoked secret={} serial={theirs}", place.tenants.filled("{b}/own")));
    // An administrator may.
    revoke(&place, "{own}", "admin", &format!("{WEB}, renew: true"));
    until_state(&place, &daemon, "{own}", "admin", "Applied");
    assert_eq!(at_ca(&place, &theirs), "Revoked");
    daemon.kill();
}

/// Ends the daemon at a request of this kind.
fn kill_at(ca: &KillProxy, daemon: &Daemon, kind: &'static str, side: Side) {
    let pid = daemon.pid();
    ca.trap.set(move |moment| {
        if (moment.kind, moment.side) != (kind, side) {
            return Then::GoOn;
        }
        process::signal(pid, "KILL");
        Then::Drop
    });
}

#[test]
fn killed_between_renewal_revocation_and_status_it_does_each_once() {
    let place = Place::new();
    let ca = KillProxy::before_ca(&place.tenants.cluster.site.pebble);
    place.issuer_at(&ca.directory(), "{own}", "default-issuer", "");
    for (number, (renew, kind, side)) in [
        (true, "certZ", Side::After),
        (true, "revoke-cert", Side::Before),
        (true, "revoke-cert", Side::After),
        (false, "revoke-cert", Side::Before),
        (false, "revoke-cert", Side::After),
    ]
    .into_iter()
    .enumerate()
    {
        let (name, what) = (format!("n{number}"), format!("{renew} {kind} {side:?}"));
        place.certificate("{a}", &name, &format!("dnsNames: [{name}.a.site.test], secretName: {name}"));
        let daemon = place.daemon(&["-lease=off"]);
        place.tenants.until_issued(&daemon, "{a}", &name, &[&format!("{name}.a")]);
        let first = serial(&place, "{a}", &name);
        kill_at(&ca, &daemon, kind, side);
        revoke(&place, "{a}", &name, &format!("certificateRef: {{namespace: '{{a}}', name: {name}}}, renew: {renew}"));
        assert_eq!(daemon.wait().code, 128 + 9, "{what}");
        assert_ne!(status(&place, "{a}", &name)["state"], "Applied", "{what}");
        ca.trap.open();
        let daemon = place.daemon(&["-lease=off"]);
        until_state(&place, &daemon, "{a}", &name, "Applied");
        let held = serial(&place, "{a}", &name);
        let expected = if renew { "Valid" } else { "Revoked" };
        assert_eq!((at_ca(&place, &first).as_str(), at_ca(&place, &held).as_str()), ("Revoked", expected), "{what}");
        assert_eq!((ca.trap.count("order-plz"), held != first), (usize::from(renew), renew), "{what} {}", daemon.log());
        daemon.kill();
    }
}

#[test]
fn a_deleted_object_stops_what_has_not_begun() {
    let place = Place::new();
    let ca = KillProxy::before_ca(&place.tenants.cluster.site.pebble);
    place.issuer_at(&ca.directory(), "{own}", "default-issuer", "");
    place.certificate("{a}", "web", "dnsNames: [web.a.site.test], secretName: web");
    let daemon = place.daemon(&[]);
    place.tenants.until_issued(&daemon, "{a}", "web", &["web.a"]);
    let first = serial(&place, "{a}", "web");
    // The CA takes no order for a while.
    ca.trap.set(|moment| if moment.kind == "order-plz" { Then::Drop } else { Then::GoOn });
    revoke(&place, "{a}", "r", &format!("{WEB}, renew: true"));
    daemon.until_it_says("failed secret=");
    let pending = until_state(&place, &daemon, "{a}", "r", "Pending");
    assert_eq!(pending["secrets"]["processing"][0]["serialNumber"], first, "{pending}");
    let record = || {
        let name = place.tenants.filled("notariat-record.{a}.web");
        let data = place.get("{own}", "secret", &name)["data"]["record"].clone();
        serde_json::from_slice::<Value>(&STANDARD.decode(data.as_str().unwrap()).unwrap()).unwrap()
    };
    assert_eq!(record()["revocations"][0]["serial"], first);
    place.tenants.kubectl(&["-n", "{a}", "delete", KIND, "r"]);
    daemon.until("the record has no note of it", || {
        let record = record();
        record["revocations"].is_null() && record["toRevoke"].is_null()
    });
    ca.trap.set(|_| Then::GoOn);
    place.certificate("{a}", "next", "dnsNames: [next.a.site.test], secretName: next");
    place.tenants.until_issued(&daemon, "{a}", "next", &["next.a"]);
    assert_eq!((ca.trap.count("order-plz"), ca.trap.count("revoke-cert")), (1, 0));
    assert_eq!((serial(&place, "{a}", "web"), at_ca(&place, &first).as_str()), (first.clone(), "Valid"));
    daemon.kill();
}
