//! The way back: cert-manager would keep what notariat stored. Its conditions are written here once more, with OpenSSL for keys and names, and
//! `check` says the same.

use std::collections::BTreeSet;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat_lab::Scratch;
use notariat_lab::tools::{output, tool};
use serde_json::{Value, json};

use super::place::{LINES, Place, UPDATE};
use super::status::until_ready;
use crate::support::run::notariat;
use crate::support::{Run, x509};

fn openssl(arguments: &[&str]) -> String {
    output(Command::new(tool("openssl")).args(arguments))
}

/// The condition of cert-manager that a Secret breaks, in its order; `None` where it is kept.
fn broken(certificate: &Value, secret: &Value) -> Option<&'static str> {
    let scratch = Scratch::new("returning");
    let file = |key: &str| {
        let text = STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap();
        scratch.write(key, &String::from_utf8(text).unwrap()).to_str().unwrap().to_owned()
    };
    let (chain, key) = (file("tls.crt"), file("tls.key"));
    if openssl(&["x509", "-in", &chain, "-noout", "-pubkey"]) != openssl(&["pkey", "-in", &key, "-pubout"]) {
        return Some("InvalidKeyPair");
    }
    let (spec, text) = (&certificate["spec"], openssl(&["pkey", "-in", &key, "-noout", "-text"]));
    let is_ecdsa = spec["privateKey"]["algorithm"] == "ECDSA";
    let size = spec["privateKey"]["size"].as_u64().unwrap_or(if is_ecdsa { 256 } else { 2048 });
    if text.contains("NIST CURVE") != is_ecdsa || !text.contains(&format!("({size} bit")) {
        return Some("SecretMismatch");
    }
    let mark = |name: &str| secret["metadata"]["annotations"][format!("cert-manager.io/{name}")].as_str();
    let or = |value: Option<&str>, default: &str| value.filter(|v| !v.is_empty()).unwrap_or(default).to_owned();
    let wanted = |field: &str, default: &str| or(spec["issuerRef"][field].as_str(), default);
    if mark("issuer-name") != spec["issuerRef"]["name"].as_str()
        || or(mark("issuer-kind"), "Issuer") != wanted("kind", "Issuer")
        || or(mark("issuer-group"), "cert-manager.io") != wanted("group", "cert-manager.io")
    {
        return Some("IncorrectIssuer");
    }
    if mark("certificate-name") != certificate["metadata"]["name"].as_str() {
        return Some("IncorrectCertificate");
    }
    // No CertificateRequest is there, so that the names of the certificate are compared.
    let listed = spec["dnsNames"].as_array().into_iter().flatten();
    let asked: BTreeSet<String> =
        listed.chain([&spec["commonName"]]).filter_map(Value::as_str).map(str::to_owned).collect();
    if BTreeSet::from_iter(x509::names(&chain)) != asked {
        return Some("SecretMismatch");
    }
    // Its third of the lifetime is not there yet; nothing says that an order is under way.
    let conditions = certificate["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|c| c["type"] == "Issuing" && c["status"] == "True").then_some("Issuing")
}

#[test]
fn cert_manager_would_keep_what_was_issued_and_check_says_which_it_would_not() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    place.secret("{a}");
    place.apply(&format!(
        "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {{namespace: '{{a}}', name: own}}\n\
         spec: {{acme: {{server: '{{ca}}', privateKeySecretRef: {{name: own-account}}, solvers: [{}]}}}}\n",
        UPDATE.replace("{selector}", "")
    ));
    let all: [(&str, &[&str], &str, Option<&str>); 8] = [
        ("p256", &["p256.a"], ", privateKey: {algorithm: ECDSA}", None),
        ("p384", &["p384.a"], ", privateKey: {algorithm: ECDSA, size: 384, rotationPolicy: Never}", None),
        ("rsa", &["rsa.a"], ", privateKey: {algorithm: RSA}", None),
        ("rsa3072", &["*.r.a", "r.a"], ", privateKey: {size: 3072, encoding: PKCS8}", None),
        ("common", &["n.a"], ", commonName: cn.a.site.test, privateKey: {algorithm: ECDSA}", None),
        ("own", &["o.a"], ", privateKey: {algorithm: ECDSA}", None),
        // The two that notariat serves otherwise, by its documentation.
        ("unset", &["u.a"], "", Some("SecretMismatch")),
        ("covered", &["*.c.a", "x.c.a"], ", privateKey: {algorithm: ECDSA}", Some("SecretMismatch")),
    ];
    for (name, names, more, _) in all {
        place.certificate("{a}", name, names, more);
    }
    let reference = r#"{"spec": {"issuerRef": {"name": "own", "kind": null}}}"#;
    place.kubectl(&["-n", "{a}", "patch", "certificate", "own", "--type=merge", "-p", reference]);
    let lines = LINES.replace("a.site.test],", "a.site.test], ownIssuers: ['{ca}'],");
    let daemon = place.daemon(&lines, &["-workers", "4"]);
    for (name, ..) in all {
        until_ready(&place, &daemon, name);
    }
    place.kubectl(&["-n", "{a}", "annotate", "secret", "p384", "notariat/renew=1"]);
    daemon.until("it is renewed", || place.get("{a}", "certificate", "p384")["status"]["revision"] == 2);
    // A clean stop removes what says that an order is under way.
    assert_eq!(daemon.terminate(), 0);
    for (name, .., expected) in all {
        let (certificate, secret) = (place.get("{a}", "certificate", name), place.get("{a}", "secret", name));
        assert_eq!(broken(&certificate, &secret), expected, "{certificate} {}", secret["metadata"]);
        assert!(certificate["status"]["revision"].as_i64().is_some_and(|revision| revision > 0), "{certificate}");
        assert_eq!(secret["metadata"]["labels"]["controller.cert-manager.io/fao"], "true");
    }

    // One more that is not there, and one of a tenant that is not served.
    place.certificate("{a}", "none", &["none.a"], "");
    let elsewhere = place.tenants.cluster.kube.namespace();
    place.certificate(&elsewhere, "foreign", &["f.a"], "");
    let cluster = &place.tenants.cluster;
    let check = |kubeconfig: &std::path::Path| {
        let allowed = format!("{},{}", place.tenants.a, place.tenants.b);
        let more = ["-sources", "config,cert-manager", "-cluster-resource-namespace", &place.resources];
        let command = cluster.command(kubeconfig, &[&["-allow-namespaces", &allowed], &more[..]].concat());
        Run::of(notariat().arg("check").args(command.get_args()))
    };
    let run = check(cluster.kube.admin_kubeconfig());
    let line = |run: &Run, name: &str| {
        let start = place.tenants.filled(&format!("Certificate {{a}}/{name}: "));
        let found: Vec<&str> = run.stdout.lines().filter(|line| line.contains(&start)).collect();
        assert_eq!(found.len(), 1, "{name}: {}{}", run.stdout, run.log);
        found[0].to_owned()
    };
    for (name, .., expected) in all {
        let said = line(&run, name);
        match expected {
            None => assert!(said.starts_with("ok ") && said.contains("cert-manager would keep what"), "{said}"),
            Some(word) => {
                assert!(
                    said.starts_with("warning ")
                        && said.contains(&format!("would order anew, if it came back ({word})")),
                    "{said}"
                );
            }
        }
    }
    assert!(
        line(&run, "unset")
            .ends_with("its key is ECDSA 256, and the Certificate asks for RSA 2048, cert-manager's default")
    );
    assert!(line(&run, "covered").ends_with("its certificate lacks x.c.a.site.test"));
    assert!(line(&run, "none").contains("(DoesNotExist)"));
    assert!(!run.stdout.contains("foreign"), "{}", run.stdout);

    // A request of an old cert-manager with the number of the present revision and another key.
    let csr = STANDARD.encode(std::fs::read_to_string("tests/vectors/csr/p256.pem").unwrap());
    let owner = place.get("{a}", "certificate", "p256")["metadata"]["uid"].clone();
    let request = json!({"apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
        "metadata": {"namespace": place.tenants.a, "name": "p256-1", "annotations": {"cert-manager.io/certificate-revision": "1"},
            "ownerReferences": [{"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": "p256", "uid": owner, "controller": true}]},
        "spec": {"request": csr, "issuerRef": {"name": "lab", "kind": "ClusterIssuer"}}});
    cluster.kube.kubectl_stdin(&["apply", "-f", "-"], &request.to_string());
    let run = check(cluster.kube.admin_kubeconfig());
    assert!(
        line(&run, "p256").ends_with("(SecretMismatch): the CertificateRequest of its revision is for another key")
    );
    // With the rights of notariat requests are not seen, which is said.
    let run = check(&cluster.service_account());
    assert!(line(&run, "p256").starts_with("ok "));
    assert!(run.stdout.contains("warning  CertificateRequests: could not be listed"), "{}", run.stdout);
}
