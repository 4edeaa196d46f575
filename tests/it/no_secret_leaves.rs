//! No secret leaves: the daemon runs at debug level while everybody who is asked quotes what was sent, and people put keys where they do
//! not belong. Nothing that comes out (log, Events, records, status in each form, page, figures, commands) holds a part of a secret in
//! any encoding; and the last filter had nothing to do, because the sentences themselves hold none.

use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat_lab::{Kube, Scratch};
use serde_json::{Value, json};

use crate::port::{LISTEN, address, get};
use crate::support::api::{Api, Then, status};
use crate::support::cluster::Cluster;
use crate::support::run::{Daemon, notariat};
use crate::support::{Run, x509};

/// Parts of so many octets are looked for.
const PART: usize = 16;

/// The secrets that must not come out.
struct Secret {
    name: &'static str,
    octets: Vec<u8>,
}

fn secret(name: &'static str, octets: impl AsRef<[u8]>) -> Secret {
    Secret { name, octets: octets.as_ref().to_vec() }
}

/// The octets of a private key in PEM, and its text.
fn key(name: &'static str, pem: &str) -> [Secret; 2] {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    // What all keys of a kind begin with is no secret.
    let der = STANDARD.decode(&body).unwrap().split_off(36);
    [secret(name, der), secret(name, body.split_off_at(48))]
}

trait SplitOffAt {
    fn split_off_at(self, at: usize) -> String;
}

impl SplitOffAt for String {
    fn split_off_at(mut self, at: usize) -> String {
        self.split_off(at)
    }
}

/// The forms of a part, all without what may stand between characters.
fn forms(part: &[u8]) -> Vec<String> {
    let decimal = part.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let hex: String = part.iter().map(|octet| format!("{octet:02x}")).collect();
    // A part may begin at any of the three places of a group, so that the characters at both ends are of others as well.
    let base64 = (0..3).map(|before| {
        let text = STANDARD.encode([&vec![0; before][..], part].concat());
        text[[0, 2, 3][before]..text.len() - 4].to_owned()
    });
    let plain = std::str::from_utf8(part).ok().map(|text| text.split_whitespace().collect());
    base64.chain([hex, decimal]).chain(plain).collect()
}

/// Looks for each secret in what came out.
#[track_caller]
fn assert_holds_none(place: &str, output: &str, secrets: &[Secret]) {
    assert!(!output.is_empty(), "{place} is empty");
    let plain = output.replace("\\n", "").replace("\\r", "");
    let plain: String = plain.chars().filter(|c| !c.is_whitespace() && !matches!(c, '\\')).collect();
    let (lower, url_safe) = (plain.to_lowercase(), plain.replace('-', "+").replace('_', "/"));
    for Secret { name, octets } in secrets {
        for part in octets.windows(PART.min(octets.len())) {
            for form in forms(part) {
                let found = [&plain, &lower, &url_safe].iter().any(|text| text.contains(&form));
                assert!(!found, "{place} holds a part of {name}: {form}\n{output}");
            }
        }
    }
}

#[test]
fn the_search_finds_each_encoding() {
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let der = rcgen::KeyPair::from_pem(&pem).unwrap().serialize_der();
    let secrets = key("the key", &pem);
    let hex: String = der.iter().map(|octet| format!("{octet:02X}")).collect();
    for output in [
        pem.clone(),
        pem.replace('\n', ""),
        format!("{pem:?}"),
        format!("{:?}", pem.as_bytes()),
        format!("{der:?}"),
        hex,
        STANDARD.encode(&pem),
        STANDARD.encode(&der[der.len() - 40..]),
    ] {
        let caught = std::panic::catch_unwind(|| assert_holds_none("x", &output, &secrets));
        assert!(caught.is_err(), "{output}");
    }
    assert_holds_none("x", "issued secret=web -----BEGIN PRIVATE KEY-----", &secrets);
}

#[test]
fn everything_that_comes_out_with_faults_everywhere_holds_no_secret() {
    let cluster = Cluster::on(Kube::shared());
    let generate = || rcgen::KeyPair::generate().unwrap().serialize_pem();
    let (of_chain, of_roots, of_text) = (generate(), generate(), generate());
    let token = cluster.kube.service_account_token(&cluster.namespace, "notariat");
    let tsig = cluster.site.key.secret_text();
    let tsig_secret = tsig.rsplit(':').next().unwrap().to_owned();
    let (chain, own_key) = x509::make(&["broken.site.test"], "Some CA", -1, 60);

    // Keys where certificates belong, without their line breaks; secret and name of a TSIG key in each other's place.
    cluster.tls("broken", &(chain.clone(), own_key.clone()));
    cluster.overwrite("broken", &of_chain.replace('\n', ""), &own_key);
    let literal = |name: &str, key: &str, value: &str| {
        cluster.kubectl(&["create", "secret", "generic", name, &format!("--from-literal={key}={value}")]);
    };
    literal("roots", "ca.crt", &of_roots.replace('\n', " "));
    literal("swapped", "key", &format!("hmac-sha256:{tsig_secret}:tsigkey"));
    literal("nokey", "key", &of_text);
    let entry = |secret: &str, key: &str| {
        let text = cluster.site.entry(secret, &format!("{secret}.site.test"), "");
        text.replace("tsigkey", key)
    };
    let of_issuer = cluster.site.entry("lab", "lab.site.test", ", issuer: lab");
    let entries: String = [
        entry("web", "tsigkey"),
        entry("broken", "tsigkey"),
        entry("swap", "swapped"),
        entry("text", "nokey"),
        of_issuer,
    ]
    .concat();
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notariat", "namespace": cluster.namespace},
        "data": {
            "certificates": entries,
            "issuers": format!("lab: {{directory: '{}', email: a@b.test, caSecretName: roots}}", cluster.site.pebble.directory()),
        },
    });
    cluster.kube.kubectl_stdin(&["apply", "-f", "-"], &config.to_string());

    // An API server that quotes: the object whose write it refuses, and the token that it does not take.
    let api = Api::start(cluster.kube, {
        let mut refused = 0;
        move |asked| {
            let refuses = |code, reason, message: &str| {
                status(code, reason, message, &json!({"causes": [{"field": "data[tls.crt]", "message": message}]}))
            };
            if asked.writes("web") || (asked.method == "PUT" && asked.name == "broken") {
                let message = format!("Secret \"web\" is invalid: data[tls.crt]: Invalid value: {}", asked.body);
                return refuses(422, "Invalid", &message);
            }
            if asked.method == "POST" && asked.path.contains("/events") && refused < 3 {
                refused += 1;
                return refuses(401, "Unauthorized", &format!("the token {} has no friends", asked.token));
            }
            Then::Pass
        }
    });
    let kubeconfig = api.kubeconfig(&format!("token: {token}"));
    let more = [LISTEN, "-page", "-log-level=debug"];
    let daemon = Daemon::start(&mut cluster.command(&kubeconfig, &more));
    let failed =
        |name: &str| daemon.log().lines().any(|line| line.contains("failed") && line.contains(&format!("/{name} ")));
    daemon.until("each entry fails", || ["web", "swap", "text", "lab"].iter().all(|name| failed(name)));
    daemon.until("the state is written", || {
        let got = cluster.kubectl(&["get", "configmap", "notariat-status", "--ignore-not-found", "-o", "yaml"]);
        got.contains("422 Invalid")
    });
    std::thread::sleep(Duration::from_secs(1));

    let record = |name: &str| cluster.get(&format!("notariat-record.{}.{name}", cluster.namespace), "{.data}");
    let records: Vec<Value> =
        ["web", "swap", "text", "lab"].map(|name| serde_json::from_str(&record(name)).unwrap()).to_vec();
    let decoded = |value: &Value| String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap();
    let mut secrets = vec![
        secret("the token", token.rsplit('.').next().unwrap()),
        secret("the TSIG secret in base64", &tsig_secret),
        secret("the TSIG secret", STANDARD.decode(&tsig_secret).unwrap()),
    ];
    for (name, pem) in [("of_chain", &of_chain), ("of_roots", &of_roots), ("of_text", &of_text), ("own_key", &own_key)]
    {
        secrets.extend(key(name, pem));
    }
    let made: Vec<String> =
        records.iter().filter_map(|data| data.get("next.key").or(data.get("tls.key"))).map(decoded).collect();
    assert!(!made.is_empty(), "the key of the certificate that could not be written is kept");
    made.iter().for_each(|pem| secrets.extend(key("a key that was made", pem)));

    let (_, page) = get(address(&daemon), "/");
    let (_, figures) = get(address(&daemon), "/metrics");
    let log = daemon.log();
    let told = |command: &str, form: &[&str]| {
        let mut asked = notariat();
        asked.arg(command).args(form).args(["-config", "notariat", "-namespace", &cluster.namespace]);
        asked.arg("-kubeconfig").arg(&kubeconfig).arg("-acme").arg(cluster.site.pebble.directory());
        asked.arg("-acme-ca").arg(cluster.site.pebble.ca_file());
        let run = Run::of(&mut asked);
        format!("{}{}", run.stdout, run.log)
    };
    for (place, output) in [
        ("the log", log.clone()),
        ("the page", page),
        ("/metrics", figures.clone()),
        ("the Events", cluster.kubectl(&["get", "events", "-o", "json"])),
        ("notariat-status", cluster.kubectl(&["get", "configmap", "notariat-status", "-o", "json"])),
        ("status", told("status", &[])),
        ("status -o wide", told("status", &["-o", "wide"])),
        ("status -o json", told("status", &["-o", "json"])),
        ("check", told("check", &[])),
        ("records", records.iter().map(|data| decoded(&data["record"])).collect()),
    ] {
        assert_holds_none(place, &output, &secrets);
        assert!(!output.contains("(secret: "), "{place}: {output}");
    }
    assert!(
        log.contains("422 Invalid (data[tls.crt])") && log.contains("has its secret in the place of its name"),
        "{log}"
    );
    assert!(log.contains("`caSecretName`: the data key `ca.crt`"), "{log}");
    // The rules are the wall: nothing fell into the net.
    assert!(figures.contains("notariat_secrets_redacted_total 0\n"), "{figures}\n{log}");
    assert_eq!(daemon.terminate(), 0);
}

/// The text on standard error before anything runs.
#[test]
fn a_password_in_a_setting_is_never_repeated() {
    let scratch = Scratch::new("passwords");
    let none: [&str; 0] = [];
    for (variable, arguments) in [
        ("X", &["-config", "c", "-acme", "https://me:hunter2@ca.test/dir"][..]),
        ("X", &["-config", "c", "-acme-proxy", "https://me:hunter2@proxy.test:3128"]),
        ("X", &["-config", "c", "http://me:hunter2@proxy.test:3128"]),
        ("NOTARIAT_ACME", &none[..]),
        ("NOTARIAT_ACME_PROXY", &["-config", "c"]),
    ] {
        let mut command: Command = notariat();
        command.args(arguments).env(variable, "https://me:hunter2@proxy.test:3128").current_dir(scratch.path());
        Run::of(&mut command).ends(78).never_says("hunter2");
    }
}
