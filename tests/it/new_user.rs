//! One mistake at a time, as somebody makes them who follows the README: the log, `status` and `check` each say enough to correct it.
//!
//! The answers of servers to an UPDATE that they do not carry out stand in `update_errors`, the gaps of a Role in `roles`.

use std::process::Command;

use notariat_lab::{Hmac, Key, Pebble};

use crate::support::cluster::Cluster;
use crate::support::run::notariat;
use crate::support::{Run, Site};

/// A command of notariat with the arguments of another one.
fn also(of: &Command, more: &[&str]) -> Run {
    Run::of(notariat().args(more).args(of.get_args()))
}

/// Asserts that each place says each of the words; `status` with and without `-o wide`, for in a pipe nothing is cut.
#[track_caller]
fn assert_told(mistake: &str, command: &Command, words: &[&str]) {
    // Quotes inside of a field are escaped.
    let log = also(command, &["-once"]).log.replace("\\\"", "\"");
    let wide = also(command, &["status", "-o", "wide"]);
    let short = also(command, &["status"]).stdout;
    let check = also(command, &["check"]);
    for word in words {
        assert!(log.contains(word), "{mistake}: {word:?} is not in the log:\n{log}");
        for run in [&wide, &check] {
            let text = format!("{}{}", run.stdout, run.log);
            assert!(text.contains(word), "{mistake}: {word:?} is not in:\n{text}");
        }
        assert!(wide.stdout.is_empty() || short.contains(word), "{mistake}:\n{short}");
    }
}

#[test]
fn a_mistake_in_the_config_map_or_the_key_is_told_with_its_cure_in_all_places() {
    let mut site = Site::new();
    let key = site.key.clone();
    let entry = site.entry("web", "www.site.test", "");
    let (server, zone) = (site.dns.addr().to_string(), "zone: sitte.test, propagation: primary");
    for (mistake, yaml, of_key, words) in [
        (
            "secret",
            entry.clone(),
            key.with_another_secret(),
            ["BADSIG: copy the secret of the key from the server into the Secret", "id: notariat.key"],
        ),
        ("name", entry.clone(), Key::new("nobody.key", Hmac::Sha256), ["BADKEY: ", "the key nobody.key (hmac-sha256)"]),
        (
            "algorithm",
            entry.clone(),
            Key { algorithm: Hmac::Sha512, ..key.clone() },
            ["BADKEY: give the server the key notariat.key with hmac-sha512", "algorithm hmac-sha512;"],
        ),
        (
            "zone",
            site.entry_with("web", "www.site.test", zone),
            key.clone(),
            [
                "_acme-challenge.www.site.test is not inside `dns.zone` sitte.test",
                "so neither it nor `dns.server` is used here",
            ],
        ),
        (
            "server",
            entry.replace(&server, "127.0.0.1:1"),
            key.clone(),
            ["127.0.0.1:1 does not answer", "open port 1 of 127.0.0.1 for notariat, TCP and UDP (the egress rule of"],
        ),
        (
            "field",
            entry.replace("propagation", "propogation"),
            key.clone(),
            ["(default/web): dns.propogation: is not a field", "did you mean `propagation`?"],
        ),
        (
            "level",
            entry.replace("dns: {server", "server: '192.0.2.1', dns: {server"),
            key.clone(),
            ["(default/web): server: belongs below `dns`, one level deeper", "write `dns: {server: …}`"],
        ),
        (
            "flat",
            entry.replace("dns: {server", "dns.server: '192.0.2.1', dns: {server"),
            key.clone(),
            ["(default/web): dns.server: belongs below `dns`", "write `dns: {server: …}`"],
        ),
        (
            "tsigSecret",
            entry.replace("tsigSecretName", "tsigSecret"),
            key.clone(),
            ["(default/web): tsigSecret: is not a field", "did you mean `tsigSecretName`?"],
        ),
        (
            "unit",
            site.entry("web", "www.site.test", ", renewBefore: 30"),
            key.clone(),
            ["renewBefore: 30 is not a duration; write numbers with s, m, h or d", "`30d`"],
        ),
        (
            "typo",
            entry.replace("www.site.test", "www.site.tset"),
            key.clone(),
            ["says REFUSED for the SOA of www.site.tset", "is www.site.tset spelt right?"],
        ),
        (
            "twins",
            entry.clone() + &site.entry("web", "a.site.test", ""),
            key.clone(),
            ["certificates entry 2 (default/web): ", "is already filled by certificates entry 1"],
        ),
        (
            "issuer",
            site.entry("web", "www.site.test", ", issuer: lab"),
            key.clone(),
            ["issuer: \"lab\" is not in the key `issuers`", "letsencrypt, letsencrypt-staging"],
        ),
    ]
    .map(|(mistake, yaml, key, words)| (mistake, yaml, key.secret_text(), words))
    .into_iter()
    .chain([
        (
            "two forms",
            entry.clone(),
            format!("key k {{ algorithm hmac-sha256; secret \"{}\"; }};\n{}", key.secret, key.secret_text()),
            ["beside `key` clauses", "write all keys in one of these forms"],
        ),
        (
            "base64 twice",
            entry.clone(),
            base64(&key.secret_text()),
            [
                "the TSIG key in the Secret default/tsigkey is encoded in base64 twice",
                "store the text `hmac:name:base64` itself",
            ],
        ),
        (
            "no name",
            entry.clone(),
            key.secret.clone(),
            [
                "the TSIG key in the Secret default/tsigkey lacks the key's name",
                "write `hmac-sha256:NAME:` before the secret",
            ],
        ),
        (
            "Secret",
            entry.replace("tsigkey", "tsig"),
            key.secret_text(),
            ["the Secret default/tsig", "with the TSIG key does not exist"],
        ),
    ]) {
        site.start_over();
        site.secret("tsigkey", &[("key", &of_key)]);
        site.config(&yaml);
        assert_told(mistake, &site.command(&[]), &words);
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn another_data_key_and_a_resolver_that_is_away_are_told_with_what_is_there() {
    let mut site = Site::new();
    let key = site.key.secret_text();
    site.start_over();
    std::fs::remove_dir_all(site.folder("tsigkey")).unwrap();
    site.secret("tsigkey", &[("tsig.key", &key), ("name", "x")]);
    site.config(&site.entry("web", "www.site.test", ""));
    let words = ["the Secret default/tsigkey has no data key `key`", "; it has `name`, `tsig.key`"];
    assert_told("data key", &site.command(&[]), &words);

    site.start_over();
    let entry = site.entry("web", "www.site.test", "");
    site.config(&entry.replace(&format!("server: '{}', ", site.dns.addr()), ""));
    site.resolver.stop();
    let (ip, port) = (site.resolver.addr().ip(), site.resolver.addr().port());
    let (silent, open) = (
        format!("resolver {ip}:{port} does not answer for www.site.test"),
        format!("open port {port} of {ip} for notariat"),
    );
    assert_told("resolver", &site.command(&[]), &[&silent, &open, "or give another one (-resolver)"]);
}

/// A Role that names its ConfigMap refuses another name, also one that does not exist.
#[test]
fn a_misspelt_config_map_under_a_role_by_name_is_told_with_both_causes() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let command = cluster.command(&cluster.service_account(), &["-once"]);
    let misspelt = command.get_args().map(|a| if a == "notariat" { "notariatt".into() } else { a.to_owned() });
    let said = Run::of(notariat().args(misspelt)).log;
    for part in
        ["the Role lacks the verb `get` on `configmaps`", "; or -config is misspelt: a Role that names its ConfigMap"]
    {
        assert!(said.contains(part), "{part}:\n{said}");
    }
}

#[test]
fn a_mistake_about_the_ca_is_told_with_its_cure_in_all_places() {
    let site =
        Site::with_ca(Pebble::setup().eab("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"));
    let command = |acme: &str, more: &[&str]| {
        let mut command = notariat();
        command.arg("-local").arg(site.store.path()).args(["-config", "certs", "-acme", acme]);
        command.arg(format!("-resolver={}", site.resolver.addr())).args(more);
        command
    };
    let (acme, roots) = (site.pebble.directory(), site.pebble.ca_file());
    let trusted = ["-acme-ca", roots.to_str().unwrap()];
    let elsewhere = acme.replace("/dir", "/directory");
    for (mistake, command, words) in [
        ("unreachable", command("https://127.0.0.1:1/dir", &trusted), ["https://127.0.0.1:1/dir: ", "nothing listens"]),
        (
            "untrusted",
            command(&acme, &[]),
            ["a CA that is not trusted here", "give its root with -acme-ca FILE, or with `caSecretName` of the issuer"],
        ),
        (
            "no directory",
            command(&elsewhere, &trusted),
            ["the CA refused (404", "is -acme, or `directory` of the issuer, the URL of an ACME directory?"],
        ),
        ("EAB", command(&acme, &trusted), ["wants an external account binding", "set `eabSecretName` in the issuer"]),
    ] {
        // Anew: an attempt that failed waits.
        site.config(&site.entry("web", "www.site.test", &format!(", labels: {{mistake: '{}'}}", mistake.len())));
        assert_told(mistake, &command, &words);
    }
}

#[test]
fn a_mistake_on_the_command_line_is_told_with_its_cure_in_all_places() {
    let site = Site::new();
    let with = |arguments: &[&str]| {
        let mut command = notariat();
        command.args(arguments);
        command
    };
    let store = site.store.path().to_str().unwrap();
    for (mistake, command, words) in [
        ("name", with(&["-local", store, "-config", "cert"]), ["default/cert", "are -config and -namespace right?"]),
        ("no name", with(&["-local", store]), ["-config is missing", "the name of the ConfigMap"]),
        ("store", with(&["-config", "c", "-local", "/nowhere"]), ["-local: /nowhere", "is not a directory"]),
        ("kubeconfig", with(&["-config", "c", "-kubeconfig", "/nowhere"]), ["kubeconfig /nowhere", "No such file"]),
    ] {
        assert_told(mistake, &command, &words);
    }
}

#[test]
fn a_mistake_in_the_role_is_told_with_its_cure_in_all_places_and_as_an_event() {
    let cluster = Cluster::new();
    let (account, namespace) = (cluster.service_account(), cluster.namespace.as_str());
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let role = cluster.kubectl(&["get", "role", "notariat", "-o", "yaml"]);
    let put = |text: &str| cluster.kube.kubectl_stdin(&["-n", namespace, "replace", "-f", "-"], text);

    put(&role.replace("  resourceNames:\n  - notariat\n", "  resourceNames:\n  - other\n"));
    let command = cluster.command(&account, &["-lease=off"]);
    let lacks = format!("the Role lacks the verb `get` on `configmaps` in the namespace {namespace}");
    assert_told("ConfigMap of the Role", &command, &["configmaps \"notariat\" is forbidden", &lacks]);
    let check = also(&command, &["check"]).stdout;
    let at = format!("ConfigMap {namespace}/notariat: ");
    assert!(check.contains(&format!("fault    {at}the API server answers 403")), "the object stands once: {check}");

    let kept = role.lines().filter(|line| line.trim() != "- update" && !line.contains("resourceVersion"));
    put(&kept.map(|line| format!("{line}\n")).collect::<String>());
    let log = also(&command, &["-once"]).ends(1).log;
    let lacks = format!("the Role lacks the verb `update` on `secrets` in the namespace {namespace}");
    assert!(log.contains("stage=store") && log.contains(&lacks), "{log}");
    let events = cluster.kubectl(&["get", "events"]);
    assert!(events.contains("StoreFailed") && events.contains(&lacks), "{events}");
    let check = also(&command, &["check"]).ends(1).stdout;
    let permissions = format!("Permissions in {namespace}: lacks the verb `update` on ");
    // It costs certificates, or it does not.
    for (level, of) in [("fault    ", "`secrets` of "), ("warning  ", "`configmaps` of notariat-status: ")] {
        assert!(check.contains(&format!("{level}{permissions}{of}")), "{level}{of}: {check}");
    }
}
