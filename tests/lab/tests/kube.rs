//! The API server authenticates, refuses and records as notariat's tests need it. One server does for all but the last.

use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::Kube;
use notariat_lab::kube::Audited;

/// Lets a user read Secrets in the namespace.
fn let_read_secrets(kube: &Kube, namespace: &str, user: &str) {
    kube.kubectl(&["create", "role", "reader", "--verb=get,list", "--resource=secrets", "--namespace", namespace]);
    let user = format!("--user={user}");
    kube.kubectl(&["create", "rolebinding", "reader", "--role=reader", &user, "--namespace", namespace]);
}

/// The first recorded request that fits; the log may be a moment late.
fn recorded(kube: &Kube, fits: impl Fn(&Audited) -> bool) -> Audited {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = kube.audit().into_iter().find(&fits) {
            return found;
        }
        assert!(Instant::now() < deadline, "not recorded: {:#?}", kube.audit());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn namespaces_are_fresh_and_hold_what_is_put_into_them() {
    let kube = Kube::shared();
    let (one, other) = (kube.namespace(), kube.namespace());
    assert_ne!(one, other);
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notariat}\ndata: {certificates: \"- a\"}\n";
    kube.kubectl_stdin(&["apply", "--namespace", &one, "-f", "-"], manifest);
    let path = "jsonpath={.data.certificates}";
    assert_eq!(kube.kubectl(&["get", "configmap", "notariat", "--namespace", &one, "-o", path]), "- a");
    let error = kube.try_kubectl(&["get", "configmap", "notariat", "--namespace", &other]).unwrap_err();
    assert!(error.contains("NotFound"), "{error}");
}

#[test]
fn a_token_user_may_do_what_a_role_says_and_the_audit_log_tells() {
    let kube = Kube::shared();
    let namespace = kube.namespace();
    let alice = kube.kubeconfig_with_token("alice");
    let list = ["get", "secrets", "--namespace", &namespace];
    let error = kube.try_kubectl_as(&alice, &list).unwrap_err();
    assert!(error.contains("Forbidden") && error.contains("User \"alice\""), "{error}");
    let_read_secrets(kube, &namespace, "alice");
    kube.try_kubectl_as(&alice, &list).unwrap();
    for code in [403, 200] {
        let entry = recorded(kube, |entry| entry.namespace == namespace && entry.user == "alice" && entry.code == code);
        assert_eq!((&entry.verb[..], &entry.resource[..], &entry.name[..]), ("list", "secrets", ""));
    }
    assert!(kube.audit().iter().all(|entry| entry.user != "lab-admin"), "the administrator leaves no trace");
}

#[test]
fn a_client_certificate_works_inline_and_as_files() {
    let kube = Kube::shared();
    let namespace = kube.namespace();
    let_read_secrets(kube, &namespace, "cert-user");
    let inline = kube.kubeconfig_with_client_cert("cert-user", "lab:certusers");
    let files = kube.kubeconfig_with_client_cert_files("cert-user", "lab:certusers");
    for kubeconfig in [inline, files] {
        kube.try_kubectl_as(&kubeconfig, &["get", "secrets", "--namespace", &namespace]).unwrap();
        kube.try_kubectl_as(&kubeconfig, &["get", "configmaps", "--namespace", &namespace]).unwrap_err();
    }
}

#[test]
fn a_service_account_is_denied_until_a_role_is_bound() {
    let kube = Kube::shared();
    let namespace = kube.namespace();
    let token = kube.service_account_token(&namespace, "notariat");
    let again = kube.service_account_token(&namespace, "notariat");
    let account = format!("system:serviceaccount:{namespace}:notariat");
    for (token, granted) in [(&token, false), (&again, true)] {
        let kubeconfig = kube.kubeconfig_with_bearer(token);
        if granted {
            let_read_secrets(kube, &namespace, &account);
        }
        let result = kube.try_kubectl_as(&kubeconfig, &["get", "secret", "web", "--namespace", &namespace]);
        let error = result.unwrap_err();
        assert!(error.contains(if granted { "NotFound" } else { "Forbidden" }), "{error}");
    }
    let denied = recorded(kube, |entry| entry.user == account && entry.code == 403);
    assert_eq!((&denied.verb[..], &denied.resource[..], &denied.name[..]), ("get", "secrets", "web"));
}

#[test]
fn what_is_stored_survives_a_restart_of_the_api_server() {
    let kube = Kube::start();
    let namespace = kube.namespace();
    let url = kube.api_url();
    kube.stop_api();
    kube.try_kubectl(&["get", "namespaces"]).unwrap_err();
    kube.start_api();
    assert_eq!(kube.api_url(), url);
    assert!(kube.kubectl(&["get", "namespaces"]).contains(&namespace));
}
