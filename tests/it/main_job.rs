//! The main job on the directory store: a configured Secret ends up holding a valid certificate.

use std::path::Path;

use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Resolver, Scratch, Software, Zone};

use crate::support::run::notariat;
use crate::support::{Run, Site, x509};

#[test]
fn one_name_is_obtained_once_and_then_left_alone() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    site.once().ends(0).says(&["issued secret=default/web names=www.site.test", "reason=SecretMissing"]);
    site.assert_valid("web", &["www.site.test"]);
    assert!(site.dns.txt("_acme-challenge.www.site.test").is_empty(), "the value is withdrawn");
    assert_eq!(site.dns.updates(), 2, "one UPDATE to add and one to withdraw");
    let record = site.record("web").unwrap();
    assert!(!record.contains("inFlight") && record.contains("\"stored\""), "{record}");

    let (serial, requests) = (x509::serial(&site.folder("web")), site.pebble.requests());
    site.once().ends(0).says(&["valid secret=default/web"]).never_says("issu");
    assert_eq!(x509::serial(&site.folder("web")), serial);
    assert_eq!(site.pebble.requests(), requests, "the CA is not asked when there is nothing to do");
    assert_eq!(site.dns.updates(), 2);
}

#[test]
fn apex_and_wildcard_are_proved_in_one_order_with_one_update() {
    let site = Site::new();
    site.config(&site.entry("web", "site.test, '*.site.test', www.site.test", ""));
    site.once().ends(0);
    site.assert_valid("web", &["site.test", "*.site.test"]);
    assert_eq!(site.dns.updates(), 2);
}

/// The requests for certificates, and those for renewal information.
fn requests(pebble: &Pebble) -> (usize, usize) {
    let lines = pebble.request_lines();
    let windows = lines.iter().filter(|line| line.contains("renewalInfo")).count();
    (lines.len() - windows, windows)
}

/// RFC 8555 wants 2d + 5 requests for d names with a warm client; the first certificate of a process also needs directory, nonce
/// and account. One further look at the order may be needed in each of the two waits.
#[test]
fn requests_stay_within_the_budget() {
    let site = Site::new();
    let names = ["a", "b", "c"].map(|n| format!("{n}.site.test")).join(", ");
    site.config(&[site.entry("one", "one.site.test", ""), site.entry("three", &names, "")].concat());
    Run::of(&mut site.command(&["-once", "-workers", "1"])).ends(0);
    let (requests, windows) = requests(&site.pebble);
    assert_eq!(windows, 2, "each is asked for once");
    let budget = 3 + (2 + 5) + (2 * 3 + 5);
    assert!((budget..=budget + 2).contains(&requests), "{requests} requests: {:#?}", site.pebble.request_lines());
    assert_eq!(site.dns.updates(), 4);
}

#[test]
fn authorizations_that_are_still_valid_cost_four_requests_and_no_update() {
    let key = Key::new("k", Hmac::Sha256);
    let dns = NameServer::setup(Software::Bind)
        .zone(Zone::new("site.test").grant(Grant::Zone(&key)).line("www A 127.0.0.1"))
        .start();
    let resolver = Resolver::setup().forward("site.test", dns.addr()).start();
    let pebble = Pebble::setup().dns_server(resolver.addr()).authz_reuse(100).start();
    let site = Site { store: Scratch::new("store"), dns, resolver, pebble, key };
    site.secret("tsigkey", &[("key", &site.key.secret_text())]);
    site.config(&[site.entry("a", "www.site.test", ""), site.entry("b", "www.site.test", "")].concat());
    Run::of(&mut site.command(&["-once", "-workers", "1"])).ends(0);
    let (requests, windows) = requests(&site.pebble);
    assert_eq!(windows, 2);
    let budget = 3 + 7 + 4;
    assert!((budget..=budget + 2).contains(&requests), "{requests} requests: {:#?}", site.pebble.request_lines());
    assert_eq!(site.dns.updates(), 2, "only the first one published anything");
}

#[test]
fn every_hmac_is_accepted_by_every_server() {
    std::thread::scope(|scope| {
        for software in Software::ALL {
            scope.spawn(move || {
                let keys: Vec<Key> =
                    Hmac::ALL.iter().map(|hmac| Key::new(&format!("key-{}.lab", hmac.name()), *hmac)).collect();
                let zone = keys.iter().fold(Zone::new("site.test"), |zone, key| zone.grant(Grant::Zone(key)));
                let dns = NameServer::setup(software).zone(zone).start();
                let resolver = Resolver::setup().forward("site.test", dns.addr()).start();
                let pebble = Pebble::setup().dns_server(resolver.addr()).start();
                let site = Site { store: Scratch::new("store"), dns, resolver, pebble, key: keys[0].clone() };
                let mut config = String::new();
                for (key, hmac) in keys.iter().zip(Hmac::ALL) {
                    let name = hmac.name();
                    site.secret(&format!("tsig-{name}"), &[("key", &key.secret_text())]);
                    let entry = site.entry(name, &format!("{name}.site.test"), "");
                    config += &entry.replace("tsigSecretName: tsigkey", &format!("tsigSecretName: tsig-{name}"));
                }
                site.config(&config);
                let run = site.once();
                assert_eq!(run.code, 0, "{software:?}: {}", run.log);
                for hmac in Hmac::ALL {
                    site.assert_valid(hmac.name(), &[&format!("{}.site.test", hmac.name())]);
                    let owner = format!("_acme-challenge.{}.site.test", hmac.name());
                    assert!(site.dns.txt(&owner).is_empty(), "{software:?}: {owner} is withdrawn");
                }
            });
        }
    });
}

#[test]
fn five_names_in_two_zones_on_two_servers_with_two_keys_are_one_certificate() {
    let (bind_key, knot_key) = (Key::new("bind.key", Hmac::Sha512), Key::new("knot.key", Hmac::Sha256));
    let bind = NameServer::setup(Software::Bind)
        .zone(Zone::new("bind.test").grant(Grant::Zone(&bind_key)).line("deep.er A 127.0.0.1"))
        .start();
    let knot = NameServer::setup(Software::Knot)
        .zone(Zone::new("knot.test").grant(Grant::Zone(&knot_key)).line("www A 127.0.0.1"))
        .start();
    let resolver = Resolver::setup().forward("bind.test", bind.addr()).forward("knot.test", knot.addr()).start();
    let pebble = Pebble::setup().dns_server(resolver.addr()).start();
    let knot_addr = knot.addr();
    let site = Site { store: Scratch::new("store"), dns: bind, resolver, pebble, key: bind_key };
    site.secret("bind-key", &[("key", &site.key.secret_text())]);
    site.secret("knot-key", &[("key", &knot_key.secret_text())]);
    site.config_key(
        "zones",
        &format!(
            "- {{zone: bind.test, server: '{}', tsigSecretName: bind-key}}\n- {{zone: knot.test, server: '{knot_addr}', tsigSecretName: knot-key}}\n",
            site.dns.addr()
        ),
    );
    let names = ["bind.test", "*.bind.test", "deep.er.bind.test", "knot.test", "www.knot.test"];
    let quoted = names.map(|n| format!("'{n}'")).join(", ");
    site.config(&format!(
        "- {{secret: web, domains: [{quoted}], email: a@bind.test, dns: {{propagation: primary}}}}\n"
    ));
    site.once().ends(0);
    site.assert_valid("web", &names);
    assert_eq!((site.dns.updates(), knot.updates()), (2, 2), "one UPDATE to add and one to withdraw for each zone");
}

#[test]
fn a_cname_of_the_challenge_name_leads_into_another_zone_on_another_server() {
    let key = Key::new("k", Hmac::Sha256);
    let knot = NameServer::setup(Software::Knot).zone(Zone::new("deleg.test").grant(Grant::Zone(&key))).start();
    // Nobody may change this zone.
    let fixed = Zone::new("fixed.test").line("_acme-challenge.www CNAME www.fixed.deleg.test.").line("* CNAME www");
    let bind = NameServer::setup(Software::Bind).zone(fixed).start();
    let resolver = Resolver::setup().forward("fixed.test", bind.addr()).forward("deleg.test", knot.addr()).start();
    let pebble = Pebble::setup().dns_server(resolver.addr()).start();
    let site = Site { store: Scratch::new("store"), dns: bind, resolver, pebble, key };
    site.secret("tsigkey", &[("key", &site.key.secret_text())]);
    site.config(&site.entry("web", "www.fixed.test", ""));
    site.config_key("zones", &format!("- {{zone: deleg.test, server: '{}'}}\n", knot.addr()));
    site.once().ends(0);
    site.assert_valid("web", &["www.fixed.test"]);
    assert_eq!((site.dns.updates(), knot.updates()), (0, 2));
}

#[test]
fn several_secrets_get_one_certificate_also_in_other_namespaces() {
    let site = Site::new();
    let once = || Run::of(&mut site.command(&["-once", "-allow-namespaces", "other"]));
    site.config(&site.entry("[web, other/web]", "www.site.test", ""));
    once().ends(0);
    site.assert_valid("web", &["www.site.test"]);
    let other = site.store.join("other/secrets/web");
    x509::assert_valid(&other, &site.pebble.root_pem(), &["www.site.test"]);
    assert_eq!(x509::serial(&other), x509::serial(&site.folder("web")));

    std::fs::remove_file(&other).unwrap();
    once().ends(0).says(&["restored secret=other/web reason=SecretMissing"]);
    assert_eq!(x509::serial(&other), x509::serial(&site.folder("web")));
}

#[test]
fn key_type_and_key_reuse_are_as_the_entry_says() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ", keyType: ecdsa-p384, reuseKey: true"));
    site.once().ends(0);
    assert!(x509::key_text(&site.folder("web")).contains("NIST CURVE: P-384"));
    let (key, serial) = (site.read("web", "tls.key"), x509::serial(&site.folder("web")));
    annotate(&site.folder("web"), "notariat/renew", "please");
    site.once().ends(0).says(&["reason=RenewalRequested"]);
    assert_ne!(x509::serial(&site.folder("web")), serial);
    assert_eq!(site.read("web", "tls.key"), key, "the key is used again");
    site.once().ends(0).never_says("issu");

    site.config(&site.entry("web", "www.site.test", ", keyType: ecdsa-p256, reuseKey: true"));
    site.once().ends(0).says(&["reason=KeyTypeChanged"]);
    assert!(x509::key_text(&site.folder("web")).contains("NIST CURVE: P-256"));
}

/// Adds an annotation as a person would.
pub fn annotate(secret: &Path, name: &str, value: &str) {
    let file = secret.join("annotations.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, text.replacen('{', &format!("{{\n  \"{name}\": \"{value}\","), 1)).unwrap();
}

#[test]
fn the_daemon_obtains_notices_changes_and_stops_in_time() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    let daemon = site.daemon();
    daemon.until_it_says("valid secret=default/web");
    site.assert_valid("web", &["www.site.test"]);
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn it_stops_in_time_although_the_ca_does_not_answer_and_goes_on_later() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    notariat_lab::process::signal(site.pebble.pid(), "STOP");
    let daemon = site.daemon();
    daemon.until_it_says("issuing secret=default/web");
    assert_eq!(daemon.terminate(), 0);
    notariat_lab::process::signal(site.pebble.pid(), "CONT");
    site.once().ends(0).says(&["issued secret=default/web"]);
}

#[test]
fn a_second_writer_on_the_same_store_is_refused() {
    let site = Site::new();
    site.config("[]");
    let daemon = site.daemon();
    daemon.until_it_says("configuration-read");
    site.once().ends(75).says(&["another notariat works on"]);
    daemon.kill();
}

#[test]
fn the_staging_directory_is_the_default_and_is_said_loudly() {
    let site = Site::new();
    let said = "staging directory=https://acme-staging-v02.api.letsencrypt.org/directory";
    // Nothing is ordered there by a trial.
    let look = || Run::of(&mut site.command_without_ca(&["-once", "-dry-run"]));
    site.config(&site.entry("web", "www.site.test", ""));
    look().says(&[said, "no browser trusts"]);
    // No entry comes from there.
    site.config(&site.entry("web", "www.site.test", ", issuer: own"));
    site.config_key("issuers", "own: {directory: 'https://127.0.0.1:9/dir'}");
    let run = look();
    assert!(!run.log.contains(said), "{}", run.log);
    assert!(notariat().arg("-version").status().unwrap().success());
}

/// As a loaded CA does: the values stay until it has looked, however late.
#[test]
fn a_ca_that_looks_late_still_finds_the_values() {
    let site = Site::with_ca(Pebble::setup().no_sleep(false).env("PEBBLE_VA_SLEEPTIME", "3"));
    site.config(&site.entry("web", "site.test, '*.site.test'", ""));
    site.once().ends(0);
    site.assert_valid("web", &["site.test", "*.site.test"]);
    assert!(site.dns.txt("_acme-challenge.site.test").is_empty());
}
