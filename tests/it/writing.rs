//! Obstacles to a write on a real API server: quotas, admission, a namespace that is being deleted. The trial finds each before anything is
//! ordered, and the log says how to remove it.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::https::{Reply, read_request, server_config};
use crate::support::liar::listening;
use crate::support::{Run, x509};

/// Orders at the CA.
fn orders(cluster: &Cluster) -> usize {
    cluster.site.pebble.request_lines().iter().filter(|line| line.contains("order-plz")).count()
}

fn one_entry() -> Cluster {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster
}

/// A pass finds before it orders that the Secret can not be written, and says why.
#[track_caller]
fn assert_found(cluster: &Cluster, says: &[&str]) {
    cluster.once().ends(1).says(&["can not be written, so nothing was ordered"]).says(says);
    assert_eq!(orders(cluster), 0);
}

#[test]
fn a_quota_is_found_before_anything_is_ordered() {
    let cluster = one_entry();
    cluster.kubectl(&["create", "quota", "few", "--hard=secrets=0"]);
    // The lab has no controller manager, which would count.
    let path = format!("/api/v1/namespaces/{}/resourcequotas/few", cluster.namespace);
    let mut quota: Value = serde_json::from_str(&cluster.kube.kubectl(&["get", "--raw", &path])).unwrap();
    quota["status"] = json!({"hard": {"secrets": "0"}, "used": {"secrets": "0"}});
    cluster.kube.kubectl_stdin(&["replace", "--raw", &format!("{path}/status"), "-f", "-"], &quota.to_string());
    until_refused(&cluster, "{}");
    assert_found(&cluster, &["exceeded quota: few", "raise the ResourceQuota `few` of the namespace"]);
}

/// An admission webhook that denies everything; its thread ends with the test program.
fn webhook(message: &'static str) -> (String, String) {
    let (port, _, listener) = listening();
    let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let folder = notariat_lab::Scratch::new("webhook");
    let (chain, key) = (folder.write("crt", &own.cert.pem()), folder.write("key", &own.signing_key.serialize_pem()));
    let config = Arc::new(server_config(&chain, &key));
    let url = format!("https://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let _port = port;
        for stream in listener.incoming().flatten() {
            deny(stream, &config, message).ok();
        }
    });
    (url, STANDARD.encode(own.cert.pem()))
}

fn deny(stream: TcpStream, config: &Arc<ServerConfig>, message: &str) -> std::io::Result<()> {
    let tls = ServerConnection::new(config.clone()).map_err(std::io::Error::other)?;
    let mut client = BufReader::new(StreamOwned::new(tls, stream));
    let Some((_, body)) = read_request(&mut client)? else { return Ok(()) };
    let review: Value = serde_json::from_slice(&body)?;
    let response = json!({"uid": review["request"]["uid"], "allowed": false, "status": {"message": message}});
    let said = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    let mut reply = Reply { status: 200, headers: Vec::new(), body: said.to_string().into_bytes(), length: None };
    reply.add("content-type", "application/json");
    reply.add("connection", "close");
    reply.write("POST", client.get_mut())?;
    client.get_mut().conn.send_close_notify();
    client.get_mut().flush()
}

/// Asks a webhook about each Secret with a certificate in this namespace.
fn ask_webhook(cluster: &Cluster, (url, bundle): &(String, String)) {
    cluster.kube.kubectl(&["label", "namespace", &cluster.namespace, &format!("asked={}", cluster.namespace)]);
    let hook = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": cluster.namespace},
        "webhooks": [{"name": "policy.site.test", "clientConfig": {"url": url, "caBundle": bundle}, "sideEffects": "None",
            "failurePolicy": "Fail", "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
            "namespaceSelector": {"matchLabels": {"asked": cluster.namespace}},
            "objectSelector": {"matchLabels": {"app.kubernetes.io/component": "certificate"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}]}]});
    cluster.kube.kubectl_stdin(&["apply", "-f", "-"], &hook.to_string());
    until_refused(cluster, r#"{"app.kubernetes.io/component": "certificate"}"#);
}

/// Waits until the configured denial takes effect, a moment after it was configured.
#[track_caller]
fn until_refused(cluster: &Cluster, labels: &str) {
    let made =
        format!(r#"{{"apiVersion": "v1", "kind": "Secret", "metadata": {{"name": "try", "labels": {labels}}}}}"#);
    let made = cluster.site.store.write("try.json", &made);
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let create = ["-n", &cluster.namespace, "create", "--dry-run=server", "-f", made.to_str().unwrap()];
        match cluster.kube.try_kubectl(&create) {
            Ok(_) => assert!(Instant::now() < until, "nothing is refused"),
            Err(_) => return,
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_webhook_that_denies_is_found_before_anything_is_ordered() {
    let cluster = one_entry();
    ask_webhook(&cluster, &webhook("no key may be shorter than 3000 bits"));
    assert_found(
        &cluster,
        &["no key may be shorter than 3000 bits", "the admission webhook `policy.site.test` of the cluster denies it"],
    );
}

#[test]
fn a_webhook_that_does_not_answer_is_found_before_anything_is_ordered() {
    let cluster = one_entry();
    let (_, bundle) = webhook("");
    let closed = notariat_lab::Port::new();
    ask_webhook(&cluster, &(format!("https://127.0.0.1:{}/", closed.number()), bundle));
    assert_found(&cluster, &["failed calling webhook", "that admission webhook of the cluster does not answer"]);
}

#[test]
fn a_namespace_that_goes_is_found_before_anything_is_ordered() {
    let cluster = Cluster::new();
    let other = cluster.kube.namespace();
    let account = format!("--serviceaccount={}:notariat", cluster.namespace);
    cluster.kube.kubectl(&[
        "-n",
        &other,
        "create",
        "role",
        "notariat",
        "--verb=get,create,update",
        "--resource=secrets",
    ]);
    cluster.kube.kubectl(&["-n", &other, "create", "rolebinding", "notariat", "--role=notariat", &account]);
    cluster.config(&cluster.site.entry(&format!("{other}/web"), "www.site.test", ""));
    cluster.kube.kubectl(&["delete", "namespace", &other, "--wait=false"]);
    let run = Run::of(&mut cluster.command(&cluster.service_account(), &["-once", "-allow-namespaces", &other]));
    run.ends(1)
        .says(&["can not be written, so nothing was ordered", &format!("the namespace {other} is being deleted")]);
    assert_eq!(orders(&cluster), 0);
}

#[test]
fn two_entries_for_one_secret_are_refused_and_the_first_is_served() {
    let cluster = Cluster::new();
    cluster.config(&["www.site.test", "a.site.test"].map(|name| cluster.site.entry("web", name, "")).concat());
    cluster.once().ends(1).says(&["is already filled by certificates entry ", "one Secret holds one certificate"]);
    cluster.assert_valid("web", &["www.site.test"]);
    assert_eq!(orders(&cluster), 1);
}

#[test]
fn the_secrets_of_one_entry_hold_one_certificate_without_the_ca() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("[web, web-too]", "www.site.test", ""));
    cluster.once().ends(0);
    let data = cluster.get("web", "{.data}");
    assert_eq!(cluster.get("web-too", "{.data}"), data);
    let requests = cluster.site.pebble.request_lines();

    cluster.kubectl(&["delete", "secret", "web"]);
    cluster.once().ends(0).says(&[&format!("restored secret={}/web reason=SecretMissing", cluster.namespace)]);
    cluster.kubectl(&["patch", "secret", "web-too", "-p", r#"{"data": {"tls.key": "Z2FyYmFnZQ=="}}"#]);
    cluster.once().ends(0).says(&[&format!("restored secret={}/web-too reason=Unparsable", cluster.namespace)]);
    // A valid pair of another CA loses against ours, however long it is valid.
    let (chain, key) = x509::make(&["www.site.test"], "somebody", -1, 700);
    let patch = json!({"data": {"tls.crt": STANDARD.encode(chain), "tls.key": STANDARD.encode(key)}});
    cluster.kubectl(&["patch", "secret", "web", "-p", &patch.to_string()]);
    cluster.once().ends(0).says(&[&format!("restored secret={}/web reason=KeyMismatch", cluster.namespace)]);

    assert_eq!(["web", "web-too"].map(|secret| cluster.get(secret, "{.data}")), [data.clone(), data]);
    assert_eq!(cluster.site.pebble.request_lines(), requests, "the CA was not asked");

    // Nothing differs, so nothing is written: the API server's audit log is the proof.
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    let written = |verb: &str| !matches!(verb, "get" | "list");
    // The review of permissions is a create.
    let counts =
        |a: &notariat_lab::kube::Audited| a.user == user && written(&a.verb) && a.resource != "selfsubjectrulesreviews";
    let writes = || cluster.kube.audit().into_iter().filter(counts).count();
    let (before, versions) = (writes(), ["web", "web-too"].map(|secret| cluster.version(secret)));
    cluster.once().ends(0);
    assert_eq!((writes(), ["web", "web-too"].map(|secret| cluster.version(secret))), (before, versions));
}
