//! docs/moving.md from its first command to its last, on the objects of a cluster: four namespaces, ten Certificates, three kinds of solvers.
//! cert-manager itself is not here. What it would have made is made with the CA and the name server of the site, and what a cluster's
//! garbage collector does to objects that are deleted with `--cascade=orphan` is done by this test.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat::dns::tsig_key::read_keys;
use notariat_lab::{Scratch, tools};

use super::operator::{MOVED, Operator};
use crate::docs::{blocks, read};
use crate::support::run::notariat;
use crate::support::{Run, x509};

#[test]
fn a_cluster_moves_here_by_the_guide_and_back() {
    let operator = Operator::new();
    let before = operator.orders();
    let all = operator.names("certificates.cert-manager.io");
    assert_eq!(all.len(), 10);
    let versions = || MOVED.map(|(secret, ..)| operator.get("secret", secret, "{.metadata.uid} {.data}"));
    let held = versions();

    // 1. Save and translate.
    operator.block("export KUBECONFIG=");
    let said = operator.block("notariat convert -one");
    assert!(
        said.contains("10 Certificates: 8 carried over, 2 left out") && said.contains("Not all was carried over"),
        "{said}"
    );
    // The name server of the lab is not at port 53, where its NS record leads.
    let manifest = std::fs::read_to_string(operator.folder.join("notariat.yaml")).unwrap();
    let via = format!("http: {{via: '127.0.0.1:{}'}}", operator.responder.number());
    let here = format!("    #adopt: true\n    dns: {{propagation: primary}}\n    {via}\n");
    operator.folder.write("notariat.yaml", &manifest.replace("    #adopt: true\n", &here));
    // 2. The Secrets.
    let said = operator.block("#secrets:");
    assert_eq!(said.matches("secret/").count(), 9, "{said}");
    let keys = ["tsig-secret", "tsig-secret-2", "tsig-secret-3"].map(|name| {
        let key = operator.get("secret", &format!("notariat/{name}"), "{.data.key}");
        String::from_utf8(STANDARD.decode(key).unwrap()).unwrap()
    });
    assert!(
        keys.contains(&operator.site.key.secret_text()) && keys.iter().any(|key| key.starts_with("hmac-sha512:blog:"))
    );
    let (code, said) = operator.shell("sed -n 's/^#secrets: //p' notariat.yaml | sh");
    assert!(code != 0 && said.matches("already exists").count() == 9, "a second time overwrites nothing: {said}");
    // 3. Beside cert-manager.
    let said = operator.block("notariat -probe");
    assert_eq!(said.matches("OwnedByAnother").count(), 8, "{said}");
    // 4. The rights, and the route of HTTP-01.
    operator.block("notariat role -f");
    operator.block("#route:");
    let hosts = operator.get("ingress", "notariat/notariat-acme", "{.spec.ingressClassName} {.spec.rules[*].host}");
    assert_eq!(hosts, "nginx www.landing.test");
    operator.once().ends(1).says(&["OwnedByAnother"]).never_says("permission-missing");
    assert_eq!((operator.orders(), versions()), (before, held.clone()));

    // 5. The hand-over.
    let is_over = AtomicBool::new(false);
    let said = std::thread::scope(|threads| {
        threads.spawn(|| operator.collect_garbage(&is_over));
        let (code, said) = operator.shell(&hand_over());
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(code, 0, "{said}");
        said
    });
    assert!(said.contains("8 certificates: 8 Valid"), "{said}");
    let left = ["edge/mesh", "ops/wiki"];
    assert_eq!(operator.names("certificates.cert-manager.io"), left);
    for (ingress, annotations) in [("shop/api", 1), ("ops/vpn", 1), ("shop/landing", 1), ("ops/wiki", 2)] {
        let found = operator.get("ingress", ingress, "{.metadata.annotations}");
        assert_eq!(found.matches(':').count(), annotations, "{ingress}: {found}");
    }
    operator.once().ends(0).never_says("issuing");
    assert_eq!((operator.orders(), versions()), (before, held.clone()), "what is valid stays as it is");
    for (secret, ..) in MOVED {
        assert_eq!(operator.get("secret", secret, "{.metadata.ownerReferences}"), "", "{secret}");
    }

    renewed(&operator);
    back(&operator);
}

/// The block of the hand-over.
fn hand_over() -> String {
    let page = read("docs/moving.md");
    blocks(&page, "sh").into_iter().find(|block| block.contains("#handover:")).unwrap().to_owned()
}

/// Every certificate is renewed with the keys and the accounts that were carried over.
fn renewed(operator: &Operator) {
    let before = operator.orders();
    for (secret, ..) in MOVED {
        let (namespace, name) = secret.split_once('/').unwrap();
        operator.kube.kubectl(&["-n", namespace, "annotate", "secret", name, "notariat/renew=now"]);
    }
    operator.once().ends(0);
    assert_eq!(operator.orders(), before + 8);
    for (secret, names, ..) in MOVED {
        let folder = Scratch::new("renewed");
        for file in ["tls.crt", "tls.key"] {
            let encoded = operator.get("secret", secret, &format!("{{.data.{}}}", file.replace('.', "\\.")));
            folder.write(file, std::str::from_utf8(&STANDARD.decode(encoded).unwrap()).unwrap());
        }
        let names: Vec<&str> = names.split(", ").map(|name| name.trim_matches('\'')).collect();
        x509::assert_valid(folder.path(), &operator.site.pebble.root_pem(), &names);
    }
}

/// The checks of cert-manager when a Certificate comes back: pair, names, its annotations, the kind of key. It orders nothing where they fit.
fn back(operator: &Operator) {
    let patch = r#"{"data": {"certificates": "[]"}}"#;
    operator.kube.kubectl(&["-n", "notariat", "patch", "configmap", "notariat", "-p", patch]);
    // The records of entries that went are found by a list, which Roles by name do not allow.
    let mut with_list = notariat();
    with_list.args([
        "-once",
        "-config",
        "notariat",
        "-namespace",
        "notariat",
        "-allow-namespaces",
        "blog,edge,ops,shop",
    ]);
    let run = Run::of(with_list.arg("-kubeconfig").arg(operator.kube.admin_kubeconfig()));
    assert_eq!(run.log.matches(" orphaned ").count(), 8, "{}", run.log);
    operator.block("kubectl apply -f certificates.yaml");
    assert_eq!(operator.names("certificates.cert-manager.io").len(), 10);
    for (secret, _, kind, issuer) in MOVED {
        let certificate = secret.trim_end_matches("-tls");
        let spec = |path: &str| operator.get("certificates.cert-manager.io", certificate, path);
        assert_eq!(key_kind(operator, secret), wanted_kind(&spec("{.spec.privateKey}")), "{secret}");
        let annotation =
            |name: &str| operator.get("secret", secret, &format!(r"{{.metadata.annotations.cert-manager\.io/{name}}}"));
        let marks = ["certificate-name", "issuer-kind", "issuer-name", "issuer-group"].map(annotation);
        let name = certificate.split_once('/').unwrap().1;
        assert_eq!(marks, [name, kind, issuer, "cert-manager.io"], "{secret}");
        assert_eq!([spec("{.spec.issuerRef.kind}"), spec("{.spec.issuerRef.name}")], [kind, issuer]);
        assert_eq!(format!("{}/{}", certificate.split_once('/').unwrap().0, spec("{.spec.secretName}")), secret);
    }
}

/// The bits of the key that cert-manager wants of a Certificate with this `privateKey`, and whether it is an RSA key.
fn wanted_kind(key: &str) -> (u64, bool) {
    let key: serde_json::Value = serde_json::from_str(key).unwrap_or_default();
    match key["algorithm"].as_str() {
        Some("ECDSA") => (key["size"].as_u64().unwrap_or(256), false),
        _ => (key["size"].as_u64().unwrap_or(2048), true),
    }
}

/// The same of the key in a Secret.
fn key_kind(operator: &Operator, secret: &str) -> (u64, bool) {
    let key = STANDARD.decode(operator.get("secret", secret, r"{.data.tls\.key}")).unwrap();
    let folder = Scratch::new("key");
    let key = folder.write("tls.key", std::str::from_utf8(&key).unwrap());
    let mut command = Command::new(tools::tool("openssl"));
    let said = tools::output(command.args(["pkey", "-noout", "-text", "-in"]).arg(key));
    let bits = said.split_once("Private-Key: (").and_then(|(_, rest)| rest.split_once(" bit")).unwrap().0;
    (bits.parse().unwrap(), said.contains("modulus:"))
}

/// The pipeline of the way back finds the secret in every form of key that docs/dns-servers.md recommends.
#[test]
fn on_the_way_back_the_bare_secret_is_found_in_every_form_of_a_key() {
    let folder = Scratch::new("forms");
    let page = read("docs/moving.md");
    let block = blocks(&page, "sh").into_iter().find(|block| block.contains("tsig-cert-manager")).unwrap();
    folder.write("bin/kubectl", "#!/bin/sh\ncase $1 in get) cat key;; create) cat > made;; esac\n");
    tools::output(Command::new("chmod").arg("+x").arg(folder.join("bin/kubectl")));
    let bare = |text: &str| {
        folder.write("key", text);
        let mut command = Command::new(tools::tool("bash"));
        command.args(["-euo", "pipefail", "-c", &format!("cd {}\n{block}", folder.path().display())]);
        command.env("PATH", format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap()));
        tools::output(&mut command);
        std::fs::read_to_string(folder.join("made")).unwrap()
    };
    let written = [
        "hmac-sha256:notariat.example.com:c2VjcmV0LXRvLXJlcGxhY2Utc2VjcmV0LXRvLXJlcGxhY2U=",
        "notariat.example.com:c2VjcmV0LXRvLXJlcGxhY2Utc2VjcmV0LXRvLXJlcGxhY2U=\n",
        "# old: hmac-sha256:a:b2xk\n\nhmac-sha1:my-secret:bmV3ZXItdGhhbi10aGUtb2xkLW9uZQ==\nhmac-sha1:old:b2xk\n",
        "key \"secret\" { algorithm hmac-sha256; secret \"c2VjcmV0LXRvLXJlcGxhY2Utc2VjcmV0LXRvLXJlcGxhY2U=\"; };",
        "key secret {\n\tsecret c2VjcmV0LXRvLXJlcGxhY2Utc2VjcmV0LXRvLXJlcGxhY2U=;\n\talgorithm hmac-sha256;\n};\n",
        "key:\n  - id: secret\n    algorithm: hmac-sha256\n    secret: \"c2VjcmV0LXRvLXJlcGxhY2Utc2VjcmV0LXRvLXJlcGxhY2U=\"\n",
    ];
    let folder_of_forms = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/tsig-keys");
    let mut forms: Vec<(String, String)> =
        written.iter().map(|text| ((*text).to_owned(), (*text).to_owned())).collect();
    for entry in std::fs::read_dir(folder_of_forms).unwrap() {
        let path = entry.unwrap().path();
        // Its clauses stand among comments; the page says to cut one out.
        if path.ends_with("named.conf") {
            continue;
        }
        forms.push((path.display().to_string(), std::fs::read_to_string(path).unwrap()));
    }
    let mut count = 0;
    for (form, text) in forms {
        // The others are refused by the program, too.
        let Ok(keys) = read_keys(text.as_bytes()) else { continue };
        count += 1;
        assert_eq!(bare(&text), STANDARD.encode(keys[0].secret.expose()), "{form}");
    }
    assert!(count >= written.len() + 8, "{count}");
}
