//! The challenge by which each name is proved, and the requests to the CA.

use std::fs;

use super::{RESPONDER, Web, page};
use crate::support::Run;
use crate::support::run::Daemon;

#[test]
fn a_name_is_proved_by_the_responder_without_a_key_and_within_the_budget() {
    let web = Web::new(&[]);
    web.site.config(&web.entry("web", "www.site.test", ""));
    web.once_at("127.0.0.1:80")
        .ends(0)
        .says(&["issued secret=default/web names=www.site.test"])
        .never_says("not-tested");
    web.site.assert_valid("web", &["www.site.test"]);
    let lines = web.site.pebble.request_lines();
    let requests = lines.iter().filter(|line| !line.contains("renewalInfo")).count();
    assert!((3 + 7..=3 + 9).contains(&requests), "{lines:#?}");
    assert_eq!(web.site.dns.updates(), 0, "nothing was published");
    let record = web.site.record("web").unwrap();
    assert!(!record.contains("inFlight") && !record.contains("token"), "{record}");
}

#[test]
fn one_certificate_mixes_the_ways_and_a_wildcard_is_proved_by_dns() {
    let web = Web::new(&[]);
    let zones =
        "[{zone: site.test, tsigSecretName: tsigkey, server: 'SERVER'}, {zone: www.site.test, challenge: http-01}]";
    web.site.config_key("zones", &zones.replace("SERVER", &web.site.dns.addr().to_string()));
    web.site.config(
        "- {secret: web, domains: [www.site.test, api.site.test, '*.plain.site.test'], dns: {propagation: primary}}\n",
    );
    web.once_at("127.0.0.1:80").ends(0);
    web.site.assert_valid("web", &["www.site.test", "api.site.test", "*.plain.site.test"]);
    assert_eq!(web.site.dns.updates(), 2, "one UPDATE to add two values and one to remove them");
}

#[test]
fn without_a_responder_or_without_a_key_nothing_is_ordered_and_it_says_why() {
    let web = Web::new(&[]);
    web.site.config(&web.entry("web", "www.site.test", ""));
    Run::of(&mut web.command(&["-once"]))
        .ends(1)
        .says(&["http-01 is wanted and -http-listen is not set: nobody would answer the CA"]);
    web.site.config(&web.entry("web", "www.site.test, '*.www.site.test'", ""));
    web.once().ends(1).says(&["no TSIG key is configured for the zone"]);
    assert!(web.site.pebble.request_lines().iter().all(|line| !line.contains("order-plz")));
}

#[test]
fn a_name_without_a_usable_address_is_not_asked_for_at_the_ca() {
    let web = Web::new(&["v6 A 127.0.0.1", "v6 AAAA ::1"]);
    let entry = |name: &str| web.entry("web", &format!("{name}.site.test"), "wait: 1s");
    for (name, says) in [
        ("missing", "missing.site.test: missing.site.test has no address"),
        // The responder is at 127.0.0.1 only.
        ("v6", ""),
    ] {
        web.site.config(&entry(name));
        let run = web.once_at("127.0.0.1:80");
        if says.is_empty() {
            // From inside nobody is at [::1]; the CA asks there first, and says so.
            run.ends(1).says(&["not-tested", "CAs ask IPv6 first", "the CA did not find the challenge answered"]);
        } else {
            run.ends(1).says(&["stage=reach", says]);
            assert_eq!(web.validations(), 0);
        }
    }
}

#[test]
fn files_of_a_web_server_are_written_and_removed_also_after_a_crash() {
    let mut web = Web::new(&[]);
    let root = web.files.path().join("root");
    fs::create_dir(&root).unwrap();
    let folder = root.join(".well-known/acme-challenge");
    let served = format!("server {{ listen 80; {} }}", page::nginx_for_folder(root.to_str().unwrap()));
    let left = || fs::read_dir(&folder).map_or(0, Iterator::count);
    let entry = web.entry("web", "www.site.test", &format!("webroot: {}", root.display()));
    web.site.config(&entry);
    web.nginx(&served);
    Run::of(&mut web.command(&["-once"])).ends(0);
    web.site.assert_valid("web", &["www.site.test"]);
    assert_eq!(left(), 0);

    // Killed while the answer is there: the web server does not serve it yet.
    web.front = None;
    web.site.config(&entry.replace("www.site.test", "api.site.test"));
    let daemon = Daemon::start(&mut web.command(&[]));
    daemon.until("the file is there", || left() == 1);
    daemon.kill();
    assert_eq!(left(), 1);
    web.nginx(&served);
    Run::of(&mut web.command(&["-once"])).ends(0);
    web.site.assert_valid("web", &["api.site.test"]);
    assert_eq!(left(), 0, "{RESPONDER} is not used");
}
