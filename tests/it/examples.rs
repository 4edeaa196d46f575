//! examples/ on real servers: each ends with a certificate. Only addresses and secrets are replaced.

use std::collections::BTreeMap;

use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Resolver, Scratch, Software, Zone};
use serde::Deserialize as _;
use serde_json::Value;

use crate::docs::read;
use crate::support::run::notariat;
use crate::support::{Run, Site, x509};

const HMAC: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// A name server for the domains of the examples, and a CA that wants an external account binding where it is given one.
fn site(eab: bool) -> Site {
    let key = Key::new("notariat.example.com", Hmac::Sha256);
    let delegated = "_acme-challenge.www CNAME www.example.com.acme.example.net.";
    let com = Zone::new("example.com").line("shop A 127.0.0.1").line("www A 127.0.0.1").line("www.shop A 127.0.0.1");
    let com = com.line(delegated).grant(Grant::Zone(&key));
    let net = Zone::new("example.net").line("intranet A 127.0.0.1").grant(Grant::Zone(&key));
    let acme = Zone::new("acme.example.net").grant(Grant::Zone(&key));
    let dns = NameServer::setup(Software::Bind).zone(com).zone(net).zone(acme).start();
    let zones = ["example.com", "example.net", "acme.example.net"];
    let resolver = zones.iter().fold(Resolver::setup(), |setup, zone| setup.forward(zone, dns.addr())).start();
    let pebble = Pebble::setup().dns_server(resolver.addr());
    let pebble = if eab { pebble.eab("kid-1", HMAC) } else { pebble };
    Site { store: Scratch::new("store"), dns, resolver, pebble: pebble.start(), key }
}

/// Writes the ConfigMap and the Secrets of an example into the site's directory.
fn put(site: &Site, example: &str) {
    let defaults = format!("dns: {{server: '{}', propagation: primary}}", site.dns.addr());
    site.config_key("defaults", &defaults);
    site.secret("tsigkey", &[("key", &site.key.secret_text())]);
    site.secret("private-ca", &[("ca.crt", &std::fs::read_to_string(site.pebble.ca_file()).unwrap())]);
    let replaced = BTreeMap::from([
        ("https://ca.example.net/acme/acme/directory", site.pebble.directory()),
        ("https://acme.zerossl.com/v2/DV90", site.pebble.directory()),
        ("server: ns1.example.net", format!("server: '{}'", site.dns.addr())),
        ("KEY-IDENTIFIER", "kid-1".to_owned()),
        ("HMAC-KEY", HMAC.to_owned()),
    ]);
    let text = replaced.iter().fold(example.to_owned(), |text, (from, to)| text.replace(from, to));
    for object in serde_yaml::Deserializer::from_str(&text).map(|object| Value::deserialize(object).unwrap()) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let texts = |field: &str| object[field].as_object().cloned().unwrap_or_default();
        for (key, value) in texts("data") {
            site.config_key(&key, value.as_str().unwrap());
        }
        for (key, value) in texts("stringData") {
            site.secret(name, &[(&key, value.as_str().unwrap())]);
        }
    }
}

#[test]
fn each_example_ends_with_its_certificate() {
    for (example, secret, names) in [
        ("ingress.yaml", "shop-tls", &["shop.example.com", "www.shop.example.com"][..]),
        ("private-ca.yaml", "intranet-tls", &["intranet.example.net"]),
        ("eab.yaml", "shop-tls", &["shop.example.com"]),
        ("cname-delegation.yaml", "www-tls", &["www.example.com"]),
        ("csr.yaml", "shop-tls", &["shop.example.com"]),
    ] {
        let site = site(example == "eab.yaml");
        put(&site, &read(format!("examples/{example}")));
        let mut command = notariat();
        command.arg("-local").arg(site.store.path()).args(["-config", "certs", "-once"]);
        command.arg(format!("-resolver={}", site.resolver.addr()));
        // The private CA has its root in a Secret; that of the others is known to everybody but this test.
        if example != "private-ca.yaml" {
            command.arg("-acme-ca").arg(site.pebble.ca_file()).args(["-acme", &site.pebble.directory()]);
        }
        Run::of(&mut command).ends(0).says(&[&format!("issued secret=default/{secret}")]);
        if example == "csr.yaml" {
            assert_eq!(x509::names(site.folder(secret).join("tls.crt").to_str().unwrap()), names);
            continue;
        }
        x509::assert_valid(&site.folder(secret), &site.pebble.root_pem(), names);
    }
}
