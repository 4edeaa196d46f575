//! Pebble answers, counts and forgets as its handle promises.

use std::process::Command;

use notariat_lab::tools::{output, tool, try_output};
use notariat_lab::{Pebble, Place, Resolver};

/// `curl`, trusting what the handle says is to be trusted.
fn curl(pebble: &Pebble) -> Command {
    let mut command = pebble.place().command(tool("curl"));
    command.args(["--silent", "--show-error", "--fail", "--cacert"]).arg(pebble.ca_file());
    command
}

#[test]
fn the_directory_is_served_under_its_own_authority_and_each_request_is_counted() {
    let resolver = Resolver::setup().start();
    let pebble = Pebble::setup().dns_server(resolver.addr()).start();
    assert_eq!(pebble.requests(), 0, "the handle's own questions do not count");
    let directory = output(curl(&pebble).arg(pebble.directory()));
    assert!(directory.contains("\"newOrder\"") && directory.contains("\"renewalInfo\""), "{directory}");
    output(curl(&pebble).arg("--head").arg(pebble.directory().replace("/dir", "/nonce-plz")));
    assert_eq!(pebble.request_lines(), ["GET /dir", "HEAD /nonce-plz"]);
    assert_eq!(pebble.requests(), 2);

    let port = pebble.addr().port();
    for host in ["localhost", "acme.lab"] {
        let here = format!("{host}:{port}:127.0.0.1");
        output(curl(&pebble).args(["--resolve", &here]).arg(format!("https://{host}:{port}/dir")));
    }
    assert_eq!(pebble.requests(), 4);
}

#[test]
fn a_restarted_pebble_has_the_same_address_and_another_root() {
    let pebble = Pebble::setup().start();
    let (directory, root) = (pebble.directory(), pebble.root_pem());
    assert!(root.starts_with("-----BEGIN CERTIFICATE-----"), "{root}");
    output(curl(&pebble).arg(&directory));
    pebble.restart();
    assert_eq!(pebble.directory(), directory);
    assert_ne!(pebble.root_pem(), root);
    output(curl(&pebble).arg(&directory));
    assert_eq!(pebble.requests(), 2, "counted over both lives");
    pebble.stop();
    try_output(curl(&pebble).arg(&directory), "").unwrap_err();
}

#[test]
fn without_further_settings_it_is_a_friendly_ca_with_one_profile() {
    let pebble = Pebble::setup().start();
    let log = pebble.log();
    for line in [
        "Running in strict mode",
        "Loaded profile \"default\" with certificate validity period of 7776000 seconds (promote CN=false)",
        "Disabling random VA sleeps",
        "Configured to reject 0% of good nonces",
        "Configured to attempt authz reuse for each identifier 0% of the time",
    ] {
        assert!(log.contains(line), "{line} is not in\n{log}");
    }
    assert_eq!(log.matches("Loaded profile").count(), 1, "{log}");
}

#[test]
fn each_setting_reaches_it() {
    let pebble = Pebble::setup()
        .strict(false)
        .no_sleep(false)
        .nonce_reject(90)
        .authz_reuse(100)
        .retry_after(2, 3)
        .profile("classic", "with a \"CN\"", 3600, true)
        .profile("seconds", "very short", 20, false)
        .eab("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W")
        .alternate_roots(1)
        .chain_length(2)
        .blocklist("blocked.test")
        .env("PEBBLE_WFE_ORDERS_PER_PAGE", "7")
        .start();
    let log = pebble.log();
    for line in [
        "period of 3600 seconds (promote CN=true)",
        "period of 20 seconds (promote CN=false)",
        "reject 90% of good nonces",
        "reuse for each identifier 100% of the time",
        "show 7 orders per page",
    ] {
        assert!(log.contains(line), "{line} is not in\n{log}");
    }
    assert!(!log.contains("strict mode") && !log.contains("Disabling random VA sleeps"), "{log}");
    assert_ne!(pebble.root_pem(), pebble.alternate_root_pem(1));
    let directory = output(curl(&pebble).arg(pebble.directory()));
    assert!(directory.contains("\"externalAccountRequired\": true"), "{directory}");
    assert!(directory.contains(r#""classic": "with a \"CN\"""#), "{directory}");
}

#[test]
fn it_runs_in_a_namespace_at_the_port_of_https() {
    let place = Place::new_namespace();
    let pebble = Pebble::setup().place(&place).address("127.0.0.1:443").start();
    assert_eq!(pebble.directory(), "https://127.0.0.1:443/dir");
    assert!(pebble.root_pem().contains("BEGIN CERTIFICATE"));
    output(curl(&pebble).arg(pebble.directory()));
    assert_eq!(pebble.requests(), 1);
}
