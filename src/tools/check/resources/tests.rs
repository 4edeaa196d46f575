use super::*;
use crate::base::name::ObjectRef;

/// A Certificate `team/NAME` with these fields of `spec`, for the ClusterIssuer `le`.
fn certificate(name: &str, more: &str) -> String {
    object(
        "cert-manager.io/v1",
        "Certificate",
        name,
        &format!(
            "spec: {{secretName: {name}, dnsNames: [www.site.test], issuerRef: {{kind: ClusterIssuer, name: le}}{more}}}"
        ),
    )
}

fn object(version: &str, kind: &str, name: &str, more: &str) -> String {
    let namespace =
        if kind.starts_with("Cluster") || kind.ends_with("Configuration") { "" } else { ", namespace: team" };
    format!("---\n{{apiVersion: {version}, kind: {kind}, metadata: {{name: {name}{namespace}}}, {more}}}\n")
}

const TSIG: &str = "tsigKeyName: k, tsigAlgorithm: HMACSHA256, tsigSecretSecretRef: {name: tsig, key: secret}";

/// The ClusterIssuer `le` with one solver and further fields.
fn issuer(more: &str) -> String {
    let solvers = format!("solvers: [{{dns01: {{rfc2136: {{nameserver: 192.0.2.53, {TSIG}}}}}}}]");
    object(
        "cert-manager.io/v1",
        "ClusterIssuer",
        "le",
        &format!("spec: {{acme: {{server: 'https://ca.test/dir', {solvers}{more}}}}}"),
    )
}

/// The lines that are not about the number of objects.
fn lines(text: &str, change: impl Fn(&mut Seen)) -> Vec<String> {
    let mut seen = read(text).unwrap();
    change(&mut seen);
    let report = judge::report(&seen, "cert-manager").text(false);
    report.lines().map(str::to_owned).collect()
}

/// Objects, and the beginnings of the lines about them, besides those about `le` and the counts.
#[test]
fn each_object_has_its_lines() {
    let ingress = |annotation: &str| {
        let metadata = format!("metadata: {{name: web, namespace: team, annotations: {{{annotation}}}}}");
        format!("---\n{{apiVersion: networking.k8s.io/v1, kind: Ingress, {metadata}}}\n")
    };
    let acme = |kind: &str, more: &str| object("acme.cert-manager.io/v1", kind, "web-1", more);
    let request = |metadata: &str| {
        format!(
            "---\n{{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {{name: r, namespace: team{metadata}}}}}\n"
        )
    };
    let table: Vec<(String, &[&str])> = vec![
        (certificate("web", ""), &["ok       Certificate team/web: would be served as it is"]),
        (
            certificate("web", ", duration: 2160h, privateKey: {encoding: PKCS1}"),
            &[
                "ok       Certificate team/web: duration has no effect: ",
                "ok       Certificate team/web: encoding has no effect: ",
                "ok       Certificate team/web: would be served as it is",
            ],
        ),
        (
            certificate(
                "web",
                ", renewBefore: 360h, renewBeforePercentage: 25, secretTemplate: {labels: {a: b}}, privateKey: {rotationPolicy: Never}",
            ),
            &["ok       Certificate team/web: would be served as it is"],
        ),
        (
            certificate(
                "web",
                ", somethingNew: 1, secretTemplate: {annotations: {cert-manager.io/certificate-name: x}}",
            ),
            &[
                "warning  Certificate team/web: \"somethingNew\" has nothing like it here",
                "warning  Certificate team/web: of its secretTemplate \"cert-manager.io/certificate-name\" can not be set",
                "ok       Certificate team/web: would be served as it is",
            ],
        ),
        (
            certificate("web", ", uris: [a], keystores: {jks: {create: true}}"),
            &["fault    Certificate team/web: keystores: ", "fault    Certificate team/web: uris: "],
        ),
        (certificate("web", ", isCA: true"), &["fault    Certificate team/web: it is a CA's"]),
        (
            certificate("web", "").replace("kind: ClusterIssuer, name: le", "group: awspca.io, kind: PCA, name: p"),
            &[
                "fault    Certificate team/web: its issuer \"p\" is of the kind \"PCA\" of \"awspca.io\", and not an ACME CA: its Secret is left as it is",
            ],
        ),
        (
            certificate("web", "").replace("kind: ClusterIssuer, name: le", "name: le"),
            &["fault    Certificate team/web: its issuer \"le\" does not exist"],
        ),
        (
            certificate("web", "").replace("kind: ClusterIssuer, name: le", "name: ca")
                + &object("cert-manager.io/v1", "Issuer", "ca", "spec: {ca: {secretName: x}}"),
            &[
                "ok       Issuer team/ca: is no ACME issuer",
                "fault    Certificate team/web: its Issuer \"ca\" is not an ACME issuer: its Secret is left as it is",
            ],
        ),
        (
            certificate("web", "").replace("}}\n", "}, status: {conditions: [{type: Issuing, status: 'True'}]}}\n"),
            &[
                "ok       Certificate team/web: would be served",
                "fault    Certificate team/web: cert-manager is at an order for it (Issuing)",
            ],
        ),
        (
            certificate("a", "").replace("secretName: a", "secretName: web") + &certificate("web", ""),
            &[
                "ok       Certificate team/a: would be served",
                "fault    Certificate team/web: Certificate team/a fills the Secret team/web, too",
            ],
        ),
        (
            certificate("web", "").replace("/v1,", "/v1alpha2,"),
            &["fault    Certificate team/web: is of cert-manager.io/v1alpha2; cert-manager.io/v1 is read"],
        ),
        (acme("Order", "status: {state: pending}"), &["fault    Order team/web-1: is open (pending): wait"]),
        (acme("Order", "status: {}"), &["fault    Order team/web-1: is open (new)"]),
        (acme("Order", "status: {state: valid}"), &[]),
        (acme("Challenge", "status: {state: processing}"), &["fault    Challenge team/web-1: is open (processing)"]),
        (
            acme("Challenge", "status: {state: invalid}")
                .replace("team}", "team, finalizers: [acme.cert-manager.io/finalizer]}"),
            &["fault    Challenge team/web-1: has ended and has a finalizer"],
        ),
        (request(", ownerReferences: [{kind: Certificate}]"), &[]),
        (request(", annotations: {cert-manager.io/certificate-name: web}"), &[]),
        (
            request("").repeat(3) + &request("").replace("team", "b"),
            &["fault    CertificateRequests: 4 belong to no Certificate (in b, team): csi-driver"],
        ),
        (
            ingress("cert-manager.io/cluster-issuer: le"),
            &["warning  Ingress team/web: cert-manager.io/cluster-issuer asks"],
        ),
        (ingress("kubernetes.io/tls-acme: 'true'"), &["warning  Ingress team/web: kubernetes.io/tls-acme asks"]),
        (ingress("kubernetes.io/tls-acme: 'false', cert-manager.io/duration: 1h"), &[]),
        (
            object(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                "certificaterequestpolicies.policy.cert-manager.io",
                "spec: {}",
            )
            .replace(", namespace: team", ""),
            &[
                "fault    CustomResourceDefinition certificaterequestpolicies.policy.cert-manager.io: approver-policy is here",
            ],
        ),
        ("---\n{apiVersion: v1, kind: Pod, metadata: {name: a}}\n".to_owned(), &[]),
    ];
    for (text, expected) in table {
        let found = lines(&(issuer("") + &text), |_| {});
        let found: Vec<&String> = found
            .iter()
            .filter(|line| !line.contains("ClusterIssuer le: would") && !line.contains(" cert-manager: Certificates: "))
            .collect();
        assert_eq!(found.len(), expected.len(), "{text}: {found:#?}");
        for (line, start) in found.iter().zip(expected) {
            assert!(line.starts_with(start), "{text}: {line}");
        }
    }
}

#[test]
fn an_issuer_says_what_it_lacks_and_its_certificates_too() {
    let secret = ObjectRef::new("cert-manager", "tsig");
    let with = |keys: Option<&[&str]>| {
        let keys = keys.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect());
        let secret = secret.clone();
        move |seen: &mut Seen| drop(seen.secrets.insert(secret.clone(), keys.clone()))
    };
    let text = issuer("") + &certificate("web", "");
    let named = read(&text).unwrap().named_secrets("cert-manager");
    assert!(named.len() == 1 && named.contains(&secret), "{named:?}");
    let served = ["ok       ClusterIssuer le: would be", "ok       Certificate team/web: would be"];
    for (keys, expected) in [
        (Some(&["secret"][..]), served),
        (
            None,
            [
                "fault    ClusterIssuer le: the Secret cert-manager/tsig does not exist, for a TSIG key (-cluster-resource-namespace",
                "fault    Certificate team/web: www.site.test has a solver that can not be used: the Secret cert-manager/tsig does not exist",
            ],
        ),
        (
            Some(&["other"]),
            [
                "fault    ClusterIssuer le: the Secret cert-manager/tsig has no data key \"secret\"",
                "fault    Certificate team/web: www.site.test has a solver that can not be used: the Secret cert-manager/tsig has",
            ],
        ),
    ] {
        let found = lines(&text, with(keys));
        let matches = found.iter().zip(expected).all(|(line, start)| line.starts_with(start));
        assert!(found.len() == 3 && matches, "{found:#?}");
    }
    let refused = lines(&(issuer(", skipTLSVerify: true, somethingNew: 1") + &certificate("web", "")), |_| {});
    assert!(
        refused[0].starts_with("fault    ClusterIssuer le: it does not check the CA's TLS certificate"),
        "{refused:#?}"
    );
    assert!(refused[1].starts_with("warning  ClusterIssuer le: \"somethingNew\" has nothing like it"), "{refused:#?}");
    assert_eq!(refused[2], "fault    Certificate team/web: its ClusterIssuer \"le\" is refused");
}

/// A kind that could not be looked at is never "none".
#[test]
fn what_could_not_be_looked_at_is_said() {
    let missed = |seen: &mut Seen| {
        seen.misses_issuers = true;
        seen.missed.push(("all clusterissuers".to_owned(), "could not look: 403".to_owned()));
    };
    let mut seen = read(&certificate("web", "")).unwrap();
    missed(&mut seen);
    let report = judge::report(&seen, "cert-manager");
    assert_eq!((report.unknown, report.faults()), (2, 2));
    let text = report.text(false);
    assert!(text.starts_with("fault    all clusterissuers: could not look: 403\n"), "{text}");
    assert!(text.contains("fault    Certificate team/web: could not look at its issuer \"le\"\n"), "{text}");
    assert!(
        !text.contains("would be served as it is") && text.contains("Certificates: 1; would be served: 0"),
        "{text}"
    );
}

#[test]
fn a_webhook_whose_service_is_dead_is_named() {
    let webhook = |rules: &str, policy: &str| {
        let hook = format!(
            "failurePolicy: {policy}, rules: [{{apiGroups: {rules}}}], clientConfig: {{service: {{namespace: cm, name: hook}}}}"
        );
        object(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            "cm-webhook",
            &format!("webhooks: [{{{hook}}}]"),
        )
    };
    let service = ObjectRef::new("cm", "hook");
    for (text, ready, is_named) in [
        (webhook("[cert-manager.io]", "Fail"), Some(false), true),
        (webhook("['*']", "Fail"), Some(false), true),
        (webhook("[cert-manager.io]", "Fail"), Some(true), false),
        (webhook("[cert-manager.io]", "Fail"), None, false),
        (webhook("[cert-manager.io]", "Ignore"), Some(false), false),
        (webhook("[apps]", "Fail"), Some(false), false),
    ] {
        let found = lines(&text, |seen| seen.services.extend(ready.map(|ready| (service.clone(), ready))));
        let named =
            "fault    ValidatingWebhookConfiguration cm-webhook: asks the Service cm/hook, which has no ready pod";
        assert_eq!(found.iter().any(|line| line.starts_with(named)), is_named, "{text}: {found:#?}");
    }
}

#[test]
fn the_older_of_two_certificates_has_the_secret() {
    let of = |name: &str, created: &str| {
        certificate(name, "")
            .replace(&format!("secretName: {name}"), "secretName: web")
            .replace("namespace: team", &format!("namespace: team, creationTimestamp: '{created}'"))
    };
    let found = lines(&(issuer("") + &of("a", "2026-02-01T00:00:00Z") + &of("b", "2026-01-01T00:00:00Z")), |_| {});
    assert!(
        found[1].contains("Certificate team/a: Certificate team/b fills the Secret team/web, too, and is older"),
        "{found:#?}"
    );
    assert!(found[2].contains("Certificate team/b: would be served"), "{found:#?}");
}

#[test]
fn json_and_lists_are_read_and_what_is_neither_is_refused() {
    let list = r#"{"kind": "List", "items": [{"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "a", "namespace": "b"}, "spec": {}}]}"#;
    assert_eq!(read(list).unwrap().certificates.len(), 1);
    for (text, part) in [("{", "is not JSON"), ("a: [", "is not YAML"), (&"[".repeat(1_000), "line 1")] {
        let error = read(text).map(drop).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}
