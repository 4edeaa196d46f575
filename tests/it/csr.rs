//! Certificates for CSRs that somebody else made, whose keys notariat never sees.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat_lab::Scratch;
use notariat_lab::tools::{output, tool};
use serde_json::{Value, json};

use crate::support::ca::{Ca, Kind};
use crate::support::cluster::Cluster;
use crate::support::run::notariat;
use crate::support::{Run, Site, x509};

fn openssl(arguments: &[&str]) -> String {
    output(Command::new(tool("openssl")).args(arguments))
}

/// A key and CSRs for it, made by openssl.
pub struct Made(Scratch);

impl Made {
    fn new(kind: &[&str]) -> Made {
        let made = Made(Scratch::new("csr"));
        made.0.write("key.pem", &openssl(&[&["genpkey"], kind].concat()));
        made
    }

    pub fn p256() -> Made {
        Made::new(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    }

    pub fn key(&self) -> String {
        std::fs::read_to_string(self.0.join("key.pem")).unwrap()
    }

    pub fn public(&self) -> String {
        openssl(&["pkey", "-pubout", "-in", self.0.join("key.pem").to_str().unwrap()])
    }

    /// A CSR in PEM; `names` as in `DNS:www.site.test,IP:192.0.2.1`.
    pub fn csr(&self, subject: &str, names: &str) -> String {
        let (key, names) = (self.0.join("key.pem"), format!("subjectAltName={names}"));
        openssl(&["req", "-new", "-key", key.to_str().unwrap(), "-subj", subject, "-addext", &names])
    }
}

/// An entry with a CSR in the place of its names.
fn entry(site: &Site, csr: &str, more: &str) -> String {
    let csr = format!("csr: \"{}\"", csr.replace('\n', "\\n"));
    site.entry("web", "-", more).replace("domains: [-]", &csr)
}

fn public(folder: &Path) -> String {
    openssl(&["x509", "-noout", "-pubkey", "-in", folder.join("tls.crt").to_str().unwrap()])
}

fn record(site: &Site) -> Value {
    serde_json::from_str(&site.record("web").unwrap()).unwrap()
}

/// Writes an annotation into the Secret, over one that is there.
fn set(site: &Site, name: &str, value: &str) {
    let file = site.folder("web").join("annotations.json");
    let mut annotations: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    annotations[name] = json!(value);
    std::fs::write(file, annotations.to_string()).unwrap();
}

/// Asks for a renewal that the cap does not stop.
fn force(site: &Site) {
    set(site, "notariat/renew", &format!("{} force", site.pebble.requests()));
}

/// The record has the certificate and no key.
#[track_caller]
fn assert_no_key(site: &Site) {
    let has = |file| site.read("notariat-record.default.web", file).is_some();
    assert_eq!((has("tls.crt"), has("tls.key"), has("next.key")), (true, false, false));
}

#[test]
fn a_csr_is_ordered_renewed_and_restored_and_a_key_that_fits_stays() {
    let site = Site::new();
    let made = Made::new(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    site.config(&entry(&site, &made.csr("/CN=*.site.test", "DNS:*.site.test,DNS:site.test"), ""));
    let (folder, serial) = (site.folder("web"), || x509::serial(&site.folder("web")));
    let key = || site.read("web", "tls.key").unwrap();
    let renewed = || {
        let before = serial();
        force(&site);
        site.once().ends(0).says(&["reason=RenewalRequested"]);
        assert_ne!(serial(), before);
        assert_eq!(public(&folder), made.public(), "the same key");
        assert_no_key(&site);
    };
    site.once().ends(0).says(&["issued secret=default/web"]);
    assert_eq!((key(), public(&folder)), (String::new(), made.public()));
    assert_eq!(x509::names(folder.join("tls.crt").to_str().unwrap()), ["*.site.test", "site.test"]);
    assert_no_key(&site);
    site.once().ends(0).says(&["valid secret=default/web"]).never_says("issu");
    renewed();
    assert_eq!(key(), "");

    // The key that belongs to the CSR, put there by hand.
    std::fs::write(folder.join("tls.key"), made.key()).unwrap();
    site.once().ends(0).never_says("issu").never_says("not known");
    renewed();
    assert_eq!(key(), made.key());
    site.assert_valid("web", &["*.site.test", "site.test"]);

    // Another key stays as it is until the next certificate is stored.
    for wrong in [Made::p256().key(), "words\n".to_owned()] {
        std::fs::write(folder.join("tls.key"), &wrong).unwrap();
        site.once().ends(0).never_says("issu").says(&["the key in default/web is not known to be that of the csr"]);
        assert_eq!(key(), wrong);
        renewed();
        assert_eq!(key(), "");
    }

    let (before, requests) = (serial(), site.pebble.requests());
    std::fs::remove_file(&folder).unwrap();
    site.once().ends(0).says(&["restored secret=default/web reason=SecretMissing"]).never_says("issued");
    assert_eq!((serial(), key(), site.pebble.requests()), (before.clone(), String::new(), requests));

    // A second Secret gets the certificate, and not the key that somebody put into the first one.
    std::fs::write(folder.join("tls.key"), made.key()).unwrap();
    let text = std::fs::read_to_string(site.store.join("default/configmaps/certs/certificates")).unwrap();
    site.config(&text.replace("secret: web,", "secret: [web, again],"));
    site.once().ends(0).says(&["restored secret=default/again reason=SecretMissing"]).never_says("issued");
    assert_eq!((x509::serial(&site.folder("again")), site.read("again", "tls.key")), (before, Some(String::new())));
    assert_eq!((key(), site.pebble.requests()), (made.key(), requests));
}

#[test]
fn a_changed_csr_is_ordered_and_one_that_is_refused_changes_nothing() {
    let site = Site::new();
    let (first, second) = (Made::p256(), Made::p256());
    let folder = site.folder("web");
    site.config(&entry(&site, &first.csr("/", "DNS:www.site.test"), ""));
    site.once().ends(0).says(&["issued secret=default/web"]);

    // Another CSR for the same key, then one for another key.
    let mut good = String::new();
    for made in [&first, &second] {
        good = made.csr("/O=Other", "DNS:www.site.test");
        site.config(&entry(&site, &good, ", renewBefore: 1d"));
        site.once().ends(0).says(&["reason=KeyTypeChanged", "ordered with another csr"]);
        assert_eq!(public(&folder), made.public());
        site.once().ends(0).never_says("issu");
    }
    let requests = site.pebble.requests();
    for (csr, more, sentence) in [
        (second.csr("/", "DNS:www.site.test,IP:192.0.2.1"), "", "csr: asks for an IP address (192.0.2.1)"),
        (second.csr("/", "DNS:*.site.test,DNS:www.site.test"), "", "csr: asks for www.site.test and for a wildcard"),
        (good.clone(), ", keyType: rsa-2048", "keyType: is for keys that are made here"),
        (good.clone(), ", reuseKey: true", "reuseKey: is for keys that are made here"),
        (
            good.clone(),
            ", domains: [a.site.test]",
            "domains: are not the names of the csr, which asks for www.site.test",
        ),
        (second.key(), "", "csr: holds a private key"),
    ] {
        site.config(&entry(&site, &csr, more));
        let run = site.once().ends(1).says(&[sentence]);
        assert!(!run.log.contains("MII") && !run.log.contains("PRIVATE KEY-"), "{}", run.log);
        assert_eq!(public(&folder), second.public());
    }
    // The last accepted form goes on.
    force(&site);
    site.once().ends(1).says(&["issued secret=default/web"]);
    assert_eq!(public(&folder), second.public());
    assert!(site.pebble.requests() > requests);

    // The same names may stand beside the CSR, and fields for own keys among the defaults.
    site.config_key("defaults", "{keyType: rsa-2048, reuseKey: true}");
    site.config(&entry(&site, &good, ", renewBefore: 1d, domains: [www.site.test]"));
    site.once().ends(0).never_says("issu");
    site.config_key("defaults", "{}");
    force(&site);
    site.config(&site.entry("web", "www.site.test", ""));
    site.once().ends(0).says(&["reason=Unparsable detail=\"tls.key is missing or empty\""]);
    site.assert_valid("web", &["www.site.test"]);
}

/// The CA gets the octets of the CSR; an order that was begun is continued without a key in the record.
#[test]
fn the_ca_gets_the_csr_as_it_is_and_its_refusal_waits_for_a_new_one() {
    let site = Site::new();
    let made = Made::p256();
    let csr = made.csr("/O=Somebody", "DNS:www.site.test,DNS:WWW.site.test");
    site.config(&entry(&site, &csr, ""));
    let der = csr.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let ca = Ca::start(&site.pebble, |asked, reply| {
        if asked.kind == Kind::Certificate && asked.before == 0 {
            reply.refuse(500, "serverInternal", "not now");
        }
    });
    let once = |ca: &Ca| Run::of(&mut ca.command(&site, &["-once"]));
    once(&ca).ends(1).says(&["stage=download"]);
    ask(&site);
    once(&ca).ends(0).says(&["order-continued", "issued secret=default/web"]);
    assert_eq!((ca.count(Kind::NewOrder), ca.count(Kind::Finalize)), (1, 1));
    assert_eq!(ca.asked().last().unwrap().csr, STANDARD.decode(der).unwrap());

    // A crash between the writes of the Secret and of the record.
    let (mut known, serial) = (record(&site), record(&site)["stored"]["serial"].clone());
    known["inFlight"] = json!({
        "holder": "", "at": known["stored"]["at"], "directory": known["stored"]["directory"],
        "names": ["www.site.test"], "keyType": known["stored"]["keyType"], "order": "https://127.0.0.1/over",
    });
    known["stored"]["serial"] = json!("00");
    let file = site.folder("notariat-record.default.web").join("record");
    std::fs::write(&file, known.to_string()).unwrap();
    once(&ca).ends(0).never_says("issu");
    assert_eq!((&record(&site)["stored"]["serial"], &record(&site)["inFlight"]), (&serial, &Value::Null));
    assert_no_key(&site);

    let refusing = Ca::start(&site.pebble, |asked, reply| {
        if asked.kind == Kind::Finalize {
            reply.refuse(400, "badPublicKey", "this key is known to everybody");
        }
    });
    site.config(&entry(&site, &made.csr("/O=Other", "DNS:www.site.test"), ""));
    once(&refusing).ends(1).says(&["known to everybody", "give a new csr"]);
    let histories = record(&site)["histories"].clone();
    let next = histories.as_array().unwrap().iter().find_map(|history| history["nextAttempt"].as_i64());
    let next = next.unwrap_or_else(|| panic!("{histories:#}"));
    assert!(next - notariat::base::time::now().unix() > 23 * 3_600, "{histories:#}");
    once(&refusing).ends(1).never_says("issuing");
    site.config(&entry(&site, &Made::p256().csr("/", "DNS:www.site.test"), ""));
    once(&ca).ends(0).says(&["issued secret=default/web"]);
}

/// Asks for an attempt at once, although the last one failed.
fn ask(site: &Site) {
    let mut command = notariat();
    command.args(["renew", "default/web", "-config", "certs", "-local"]).arg(site.store.path());
    Run::of(&mut command).ends(0);
}

#[test]
fn for_a_key_that_others_know_no_certificate_is_ordered_again() {
    let site = Site::new();
    let (made, other) = (Made::p256(), Made::p256());
    let csr = |made: &Made| entry(&site, &made.csr("/", "DNS:www.site.test"), "");
    site.config(&csr(&made));
    site.once().ends(0);
    let serial = || record(&site)["stored"]["serial"].as_str().unwrap().to_owned();
    let status = |serial: &str| site.pebble.certificate_status(serial);

    // Another reason replaces the certificate, with the same key.
    let first = serial();
    set(&site, "notariat/revoke", &format!("superseded {first}"));
    site.once().ends(0).says(&["reason=Revoked", "issued secret=default/web", "revoked secret=default/web"]);
    assert_eq!((status(&first).as_str(), status(&serial()).as_str()), ("Revoked", "Valid"));

    let second = serial();
    set(&site, "notariat/revoke", &format!("keyCompromise {second}"));
    site.once().ends(1).says(&["revoked secret=default/web", "give a new csr"]).never_says("issued");
    assert_eq!(status(&second), "Revoked");
    let requests = site.pebble.requests();
    site.once().ends(1).says(&["give a new csr"]).never_says("issuing");
    std::fs::remove_file(site.folder("web")).unwrap();
    site.once().ends(1).says(&["reason=SecretMissing", "give a new csr"]).never_says("restored");
    assert_eq!(site.pebble.requests(), requests);

    site.config(&csr(&other));
    site.once().ends(0).says(&["issued secret=default/web"]);
    let requests = site.pebble.requests();
    site.config(&csr(&made));
    site.once().ends(1).says(&["give a new csr"]).never_says("issuing");
    assert_eq!(site.pebble.requests(), requests, "never again");
    assert_eq!(public(&site.folder("web")), other.public());
}

#[test]
fn on_an_api_server_the_key_of_a_csr_is_empty_and_one_put_there_stays() {
    let cluster = Cluster::new();
    let made = Made::p256();
    cluster.config(&entry(&cluster.site, &made.csr("/CN=www.site.test", "DNS:www.site.test"), ""));
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says("valid secret=");
    let data = |key: &str| cluster.get("web", &format!("{{.data['tls\\.{key}']}}"));
    let put = |key: &str| {
        let patch = format!(r#"{{"data": {{"tls.key": "{}"}}}}"#, STANDARD.encode(key));
        cluster.kubectl(&["patch", "secret", "web", "-p", &patch]);
    };
    let renewed = |asked: &str| {
        let before = data("crt");
        cluster.kubectl(&["annotate", "--overwrite", "secret", "web", &format!("notariat/renew={asked}")]);
        daemon.until("renewed", || data("crt") != before);
    };
    assert_eq!((data("key"), cluster.get("web", "{.type}")), (String::new(), "kubernetes.io/tls".to_owned()));
    assert!(cluster.get("web", "{.data}").contains("\"tls.key\":\"\""), "present, and empty");
    put(&made.key());
    renewed("one");
    cluster.assert_valid("web", &["www.site.test"]);
    assert_eq!(data("key"), STANDARD.encode(made.key()));
    put(&Made::p256().key());
    daemon.until_it_says("is not known to be that of the csr");
    renewed("two");
    assert_eq!(data("key"), "");

    let (before, requests) = (data("crt"), cluster.site.pebble.requests());
    cluster.kubectl(&["delete", "secret", "web"]);
    daemon.until_it_says("restored secret=");
    assert_eq!((data("crt"), data("key"), cluster.site.pebble.requests()), (before, String::new(), requests));
    let record = format!("notariat-record.{}.web", cluster.namespace);
    let kept = cluster.get(&record, "{.data}");
    assert!(kept.contains("\"tls.crt\":") && !kept.contains("tls.key") && !kept.contains("next.key"));
    assert_eq!(daemon.terminate(), 0);
}
