//! Requests to a CA that notariat itself never makes: signed by a key of the test, sent with curl.

use std::process::Command;

use notariat::acme::jws::{AccountKey, KeyIdentifier, Payload};
use notariat_lab::Pebble;
use notariat_lab::tools::{output, tool};

/// Sends a request to Pebble and returns the answer: headers and body.
#[track_caller]
pub fn ask(pebble: &Pebble, key_pem: &str, identity: KeyIdentifier<'_>, url: &str, payload: &Payload) -> String {
    let curl = || {
        let mut command = Command::new(tool("curl"));
        command.args(["--silent", "--show-error", "--fail-with-body", "--cacert"]).arg(pebble.ca_file());
        command
    };
    let head = output(curl().args(["--head", &at(pebble, "nonce-plz")]));
    let nonce = head
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("replay-nonce")));
    let nonce = nonce.unwrap_or_else(|| panic!("no nonce: {head}")).1.trim();
    let body = AccountKey::from_pem(key_pem.as_bytes()).unwrap().sign(identity, nonce, url, payload).unwrap();
    let body = String::from_utf8(body).unwrap();
    output(curl().args(["--include", "--header", "Content-Type: application/jose+json", "--data-binary", &body, url]))
}

/// The URL of one of Pebble's services, such as `revoke-cert`.
pub fn at(pebble: &Pebble, service: &str) -> String {
    format!("https://{}/{service}", pebble.addr())
}
