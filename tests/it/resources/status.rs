//! The status of a Certificate on a real API server: when it appears, what each step writes, and what others may do to it.

use std::time::Duration;

use notariat::base::time::Time;

use serde_json::{Value, json};

use super::place::{LINES, Place, UPDATE};
use crate::support::run::Daemon;

/// A condition of a Certificate of `{a}`; null where there is none.
pub fn condition(place: &Place, name: &str, type_: &str) -> Value {
    let object = place.get("{a}", "certificate", name);
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == type_).unwrap_or_default()
}

#[track_caller]
pub fn until_ready(place: &Place, daemon: &Daemon, name: &str) {
    daemon.until(&format!("{name} is ready"), || condition(place, name, "Ready")["status"] == "True");
}

/// Writes a status as another program would: over the present version, under the name of `manager`.
pub fn put_status(place: &Place, name: &str, manager: &str, change: impl Fn(&mut Value)) {
    for _ in 0..20 {
        let mut object = place.get("{a}", "certificate", name);
        change(&mut object["status"]);
        let path = format!(
            "/apis/cert-manager.io/v1/namespaces/{}/certificates/{name}/status?fieldManager={manager}",
            place.tenants.a
        );
        let kube = place.tenants.cluster.kube;
        let config = kube.admin_kubeconfig().to_owned();
        let file = notariat_lab::Scratch::new("status");
        let file = file.write("status.json", &object.to_string());
        let file = file.to_str().unwrap().to_owned();
        if kube.try_kubectl_as(&config, &["replace", "--raw", &path, "-f", &file]).is_ok() {
            return;
        }
    }
    panic!("no status could be put");
}

/// The writes of statuses so far.
fn writes(place: &Place) -> usize {
    let audit = place.tenants.cluster.kube.audit();
    audit.iter().filter(|asked| asked.resource == "certificates/status" && asked.verb == "update").count()
}

#[test]
fn a_certificate_says_at_once_that_it_is_not_ready_and_then_each_step() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    let daemon = place.daemon(LINES, &[]);
    daemon.until_it_says("leading lease=kube-system/cert-manager-controller");
    // Charts wait for an issuer before they make a Certificate.
    place.kubectl(&["wait", "--for=condition=Ready", "clusterissuer/lab", "--timeout=60s"]);
    assert_eq!(place.tenants.orders(), 0);
    place.certificate("{a}", "web", &["www.a"], "");
    daemon.until("there is a status", || condition(&place, "web", "Ready") != Value::Null);
    let first = condition(&place, "web", "Ready");
    let created = place.get("{a}", "certificate", "web")["metadata"]["creationTimestamp"].clone();
    let time = |value: &Value| Time::parse_rfc3339(value.as_str().unwrap()).unwrap();
    let took = time(&first["lastTransitionTime"]).since(time(&created));
    assert!(took <= Duration::from_secs(1), "{took:?}");
    assert_eq!((&first["status"], &first["reason"]), (&json!("False"), &json!("DoesNotExist")), "{first}");
    place.kubectl(&["-n", "{a}", "wait", "--for=condition=Ready", "certificate/web", "--timeout=60s"]);
    let object = place.get("{a}", "certificate", "web");
    let status = &object["status"];
    assert_eq!((&status["revision"], status["conditions"].as_array().unwrap().len()), (&json!(1), 1), "{status}");
    for field in ["notBefore", "notAfter", "renewalTime"] {
        assert!(status[field].as_str().is_some_and(|time| time.ends_with('Z')), "{field}: {status}");
    }
    assert_eq!(object["metadata"]["generation"], 1, "the spec is not written");

    // A renewal takes nothing away: at no time is it not ready.
    let since = condition(&place, "web", "Ready")["lastTransitionTime"].clone();
    place.kubectl(&["-n", "{a}", "annotate", "secret", "web", "notariat/renew=1"]);
    daemon.until("it is renewed", || {
        let ready = condition(&place, "web", "Ready");
        assert_eq!((&ready["status"], &ready["lastTransitionTime"]), (&json!("True"), &since));
        place.get("{a}", "certificate", "web")["status"]["revision"] == 2
    });

    // An edit: nobody takes the old condition for the new generation's.
    let patch = r#"{"spec": {"dnsNames": ["www.a.site.test", "x.a.site.test"]}}"#;
    place.kubectl(&["-n", "{a}", "patch", "certificate", "web", "--type=merge", "-p", patch]);
    place.kubectl(&["-n", "{a}", "wait", "--for=condition=Ready", "certificate/web", "--timeout=60s"]);
    assert_eq!(place.tenants.names("{a}", "web").unwrap(), ["www.a.site.test", "x.a.site.test"]);
    let ready = condition(&place, "web", "Ready");
    assert_eq!(ready["observedGeneration"], 2);

    // While nothing happens nothing is written.
    daemon.until("the last write is done", || condition(&place, "web", "Issuing") == Value::Null);
    std::thread::sleep(Duration::from_secs(6));
    let before = writes(&place);
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!(writes(&place), before);
    assert!(before <= 12, "{before} writes for three certificates");
    assert_eq!(daemon.terminate(), 0);
    let lease = place.kubectl(&[
        "-n",
        "kube-system",
        "get",
        "lease",
        "cert-manager-controller",
        "-o",
        "jsonpath={.spec.holderIdentity}",
    ]);
    assert_eq!(lease, "", "it is free again");
}

#[test]
fn cmctl_renew_is_served_once_under_the_cap_and_no_other_status_is_an_input() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    let daemon = place.daemon(LINES, &[]);
    place.certificate("{a}", "web", &["www.a"], "");
    until_ready(&place, &daemon, "web");
    assert_eq!(place.tenants.orders(), 1);
    let issuing = |reason: &str, second: usize| json!({"type": "Issuing", "status": "True", "reason": reason, "message": "m", "lastTransitionTime": format!("2026-01-01T00:00:{second:02}Z")});
    let put = |condition: &Value| {
        put_status(&place, "web", "cmctl", |status| {
            let conditions = status["conditions"].as_array_mut().unwrap();
            conditions.retain(|condition| condition["type"] != "Issuing");
            conditions.push(condition.clone());
            status["nextPrivateKeySecretName"] = json!("tsigkey");
        });
    };
    // What cert-manager left behind is removed and asks for nothing.
    put(&issuing("Renewing", 0));
    let is_clean = || {
        let status = place.get("{a}", "certificate", "web")["status"].clone();
        status.get("nextPrivateKeySecretName").is_none() && condition(&place, "web", "Issuing")["reason"] != "Renewing"
    };
    daemon.until("it is removed", is_clean);
    // An order would have begun by now.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((place.tenants.orders(), condition(&place, "web", "Ready")["status"].clone()), (1, json!("True")));

    put(&issuing("ManuallyTriggered", 1));
    daemon.until("it is renewed", || place.get("{a}", "certificate", "web")["status"]["revision"] == 2);
    daemon.until("that is over", || condition(&place, "web", "Issuing") == Value::Null);
    assert_eq!(place.tenants.orders(), 2);
    // The same request again, as after a restart with an old status, is no other one.
    put(&issuing("ManuallyTriggered", 1));
    daemon.until("it is removed", || is_clean() && condition(&place, "web", "Issuing") == Value::Null);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(place.tenants.orders(), 2, "{}", daemon.log());

    // Ten further ones: the cap of orders for one set of names holds.
    for second in 2..12 {
        put(&issuing("ManuallyTriggered", second));
        daemon.until("it was heard", || condition(&place, "web", "Issuing")["reason"] != "ManuallyTriggered");
        if condition(&place, "web", "Issuing")["reason"] == "Capped" {
            break;
        }
        daemon.until("that is over", || {
            let issuing = condition(&place, "web", "Issuing");
            issuing == Value::Null || issuing["reason"] == "Capped"
        });
    }
    daemon.until("it is capped", || condition(&place, "web", "Issuing")["reason"] == "Capped");
    assert_eq!(place.tenants.orders(), 4, "{}", daemon.log());
    let ready = condition(&place, "web", "Ready");
    assert_eq!(ready["status"], "True", "{ready}");
    daemon.kill();
}

#[test]
fn conflicts_a_deleted_object_and_a_foreign_issuer_end_in_the_right_status() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    let daemon = place.daemon(LINES, &[]);
    daemon.until_it_says("leading lease=kube-system/cert-manager-controller");
    // Somebody writes the object all the time.
    place.certificate("{a}", "web", &["www.a"], "");
    std::thread::scope(|scope| {
        let storm = scope.spawn(|| {
            for n in 0..40 {
                place.kubectl(&["-n", "{a}", "annotate", "--overwrite", "certificate", "web", &format!("n={n}")]);
            }
        });
        until_ready(&place, &daemon, "web");
        storm.join().unwrap();
    });
    assert_eq!(place.get("{a}", "certificate", "web")["metadata"]["annotations"]["n"], "39");
    assert!(!daemon.log().contains("status-not-written"), "a conflict is no failure: {}", daemon.log());
    let codes: Vec<u16> = place
        .tenants
        .cluster
        .kube
        .audit()
        .iter()
        .filter(|asked| asked.resource == "certificates/status")
        .map(|asked| asked.code)
        .collect();
    assert!(codes.len() <= 12 && codes.iter().all(|code| [200, 409].contains(code)), "{codes:?}");

    // What others write into the status stays.
    put_status(&place, "web", "another", |status| {
        let others = status["conditions"].as_array_mut().unwrap();
        others.push(json!({"type": "Audited", "status": "True", "reason": "Seen", "message": "m"}));
        status["note"] = json!({"by": "another"});
    });
    place.kubectl(&["-n", "{a}", "annotate", "secret", "web", "notariat/renew=1"]);
    daemon.until("it is renewed", || place.get("{a}", "certificate", "web")["status"]["revision"] == 2);
    assert_eq!(condition(&place, "web", "Audited")["reason"], "Seen");
    assert_eq!(place.get("{a}", "certificate", "web")["status"]["note"]["by"], "another");

    // Deleted and made again in the middle of its order.
    place.certificate("{a}", "again", &["x.a"], "");
    let uid = |name: &str| place.get("{a}", "certificate", name)["metadata"]["uid"].clone();
    daemon.until("there is a status", || condition(&place, "again", "Ready") != Value::Null);
    let first = uid("again");
    place.kubectl(&["-n", "{a}", "delete", "certificate", "again"]);
    place.certificate("{a}", "again", &["x.a"], "");
    until_ready(&place, &daemon, "again");
    assert_ne!(uid("again"), first);

    // Of an issuer of others: true to its Secret, and nothing is ordered.
    let orders = place.tenants.orders();
    place.apply(
        "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {namespace: '{a}', name: foreign}\n\
         spec: {secretName: web, dnsNames: [www.a.site.test], issuerRef: {name: ca, kind: StepIssuer, group: certmanager.step.sm}}\n",
    );
    daemon.until("it is told", || condition(&place, "foreign", "Issuing")["status"] == "False");
    let (ready, issuing) = (condition(&place, "foreign", "Ready"), condition(&place, "foreign", "Issuing"));
    // The older Certificate has the Secret: that is said first.
    assert_eq!((&ready["reason"], &issuing["reason"]), (&json!("IncorrectCertificate"), &json!("Refused")));
    place.kubectl(&["-n", "{a}", "delete", "certificate", "web"]);
    daemon.until("it is true to its Secret", || {
        let (ready, issuing) = (condition(&place, "foreign", "Ready"), condition(&place, "foreign", "Issuing"));
        (&ready["status"], &issuing["reason"]) == (&json!("True"), &json!("Unsupported"))
    });
    assert_eq!(place.tenants.orders(), orders);
    daemon.kill();
}

#[test]
fn without_a_status_or_behind_a_dead_webhook_certificates_are_issued_all_the_same() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    // On status writes of Certificates only, as if all were `*/*`.
    place.apply(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: dead}\n\
         webhooks: [{name: dead.webhook.test, failurePolicy: Fail, sideEffects: None, admissionReviewVersions: [v1], timeoutSeconds: 1,\n\
         clientConfig: {url: 'https://127.0.0.1:1/x'}, rules: [{apiGroups: [cert-manager.io], apiVersions: [v1], operations: [UPDATE],\n\
         resources: [certificates/status]}]}]\n",
    );
    let daemon = place.daemon(LINES, &[]);
    place.certificate("{a}", "web", &["www.a"], "");
    place.tenants.until_issued(&daemon, "{a}", "web", &["www.a"]);
    daemon.until_it_says("the webhook dead.webhook.test does not answer");
    assert_eq!(condition(&place, "web", "Ready"), Value::Null);
    place.kubectl(&["delete", "validatingwebhookconfiguration", "dead"]);
    // The next try is a minute away, unless something else is to be said.
    let patch = r#"{"spec": {"revisionHistoryLimit": 3}}"#;
    place.kubectl(&["-n", "{a}", "patch", "certificate", "web", "--type=merge", "-p", patch]);
    until_ready(&place, &daemon, "web");
    daemon.kill();

    let place = Place::without_status();
    place.cluster_issuer("lab", &[UPDATE], "");
    let daemon = place.daemon(LINES, &[]);
    for name in ["web", "www"] {
        place.certificate("{a}", name, &[&format!("{name}.a")], "");
        place.tenants.until_issued(&daemon, "{a}", name, &[&format!("{name}.a")]);
    }
    daemon.until_it_says("no-status kind=Certificate");
    let object = place.get("{a}", "certificate", "web");
    assert_eq!((object.get("status"), &object["metadata"]["generation"]), (None, &json!(1)));
    assert_eq!(daemon.log().matches("no-status kind=Certificate").count(), 1, "{}", daemon.log());
    assert!(!daemon.log().contains("status-not-written"), "{}", daemon.log());
    daemon.kill();
}

#[test]
fn an_issuer_that_can_serve_nobody_says_why() {
    let place = Place::new();
    // One that cert-manager left behind: its account stays there.
    place.cluster_issuer("lab", &[UPDATE], "");
    let mut left = place.get("{a}", "clusterissuer", "lab");
    let uri = json!({"uri": "https://ca.test/acct/1", "lastRegisteredEmail": "admin@site.test"});
    left["status"] =
        json!({"acme": uri, "conditions": [{"type": "Ready", "status": "False", "reason": "Old", "message": "m"}]});
    let file = notariat_lab::Scratch::new("issuer");
    let file = file.write("issuer.json", &left.to_string());
    let path = "/apis/cert-manager.io/v1/clusterissuers/lab/status";
    place.kubectl(&["replace", "--raw", path, "-f", file.to_str().unwrap()]);
    let daemon = place.daemon(LINES, &[]);
    daemon.until("the CA knows its account", || {
        place.get("{a}", "clusterissuer", "lab")["status"]["conditions"][0]["reason"] == "ACMEAccountRegistered"
    });
    assert_eq!(place.get("{a}", "clusterissuer", "lab")["status"]["acme"], uri);
    let solver = "dns01: {rfc2136: {nameserver: '127.0.0.1', tsigKeyName: k, tsigAlgorithm: HMACMD5, tsigSecretSecretRef: {name: tsig, key: k}}}";
    let issuer = |name: &str, server: &str, solver: &str| {
        place.apply(&format!(
            "apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {{name: {name}}}\n\
             spec: {{acme: {{server: '{server}', privateKeySecretRef: {{name: {name}}}, solvers: [{{{solver}}}]}}}}\n"
        ));
    };
    issuer("no-url", "ftp://ca.test", "http01: {}");
    issuer("no-solver", "{ca}", solver);
    issuer("no-ca", "https://127.0.0.1:1/dir", "http01: {}");
    place.kubectl(&["-n", &place.resources, "create", "secret", "generic", "no-key", "--from-literal=other=x"]);
    issuer("no-key", "{ca}", "http01: {}");
    place.apply(
        "apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {name: theirs}\nspec: {selfSigned: {}}\n",
    );
    for (name, reason) in [
        ("no-url", "InvalidConfig"),
        ("no-solver", "InvalidSolver"),
        ("no-ca", "ErrRegisterACMEAccount"),
        ("no-key", "ErrVerifyACMEAccount"),
    ] {
        let ready = || place.get("{a}", "clusterissuer", name)["status"]["conditions"][0].clone();
        daemon.until(name, || ready()["reason"] == reason);
        assert_eq!(ready()["status"], "False");
    }
    assert_eq!(place.get("{a}", "clusterissuer", "theirs").get("status"), None, "an issuer of others");
    daemon.kill();
}
