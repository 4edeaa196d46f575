//! The probe: found out before a renewal is due whether the zone's server would take it, without changing anything.

use notariat_lab::{Hmac, Software};

use crate::support::{Run, Site};

#[test]
fn a_probe_tells_whether_the_key_may_write_and_changes_nothing() {
    std::thread::scope(|scope| {
        for software in Software::ALL {
            scope.spawn(move || {
                let site = Site::with(software, Hmac::Sha256);
                site.config(
                    &[site.entry("one", "www.site.test, '*.a.site.test'", ""), site.entry("two", "b.site.test", "")]
                        .concat(),
                );
                let before = site.dns.serial(crate::support::site::ZONE);
                let probe = || Run::of(&mut site.command(&["-probe"]));
                probe()
                    .ends(0)
                    .says(&["probed zone=site.test", "key=\"notariat.key (hmac-sha256)\""])
                    .never_says("issu");
                assert_eq!(site.dns.updates(), 1, "{software:?}: one for the zone, whatever the certificates");
                assert_eq!(site.dns.serial(crate::support::site::ZONE), before, "{software:?}");
                assert_eq!(site.pebble.requests(), 0);

                site.secret("tsigkey", &[("key", &site.key.with_another_secret().secret_text())]);
                let refused = probe()
                    .ends(1)
                    .says(&["probe-failed zone=site.test key_secret=default/tsigkey", "nsupdate -k KEYFILE"]);
                let cause = if software == Software::PowerDns { "REFUSED, unsigned" } else { "BADSIG" };
                refused.says(&[cause]);
                assert!(site.read("one", "tls.crt").is_none() && site.record("one").is_none(), "nothing else is done");
            });
        }
    });
}

#[test]
fn a_probe_of_names_that_the_key_may_not_write_fails() {
    use notariat_lab::{Grant, Key, NameServer, Pebble, Resolver, Scratch, Zone};
    for (software, cure) in [(Software::Bind, "grant k name"), (Software::Knot, "an acl with `key: k`")] {
        let key = Key::new("k", Hmac::Sha256);
        let zone = Zone::new("site.test").grant(Grant::Name(&key, "_acme-challenge.www.site.test"));
        let dns = NameServer::setup(software).zone(zone).start();
        let resolver = Resolver::setup().forward("site.test", dns.addr()).start();
        let pebble = Pebble::setup().dns_server(resolver.addr()).start();
        let site = Site { store: Scratch::new("store"), dns, resolver, pebble, key };
        site.secret("tsigkey", &[("key", &site.key.secret_text())]);
        site.config(&site.entry("may", "www.site.test", ""));
        Run::of(&mut site.command(&["-probe"])).ends(0).says(&["probed zone=site.test"]);
        site.config(&site.entry("may-not", "b.site.test", ""));
        let owner = "_acme-challenge.b.site.test";
        Run::of(&mut site.command(&["-probe"])).ends(1).says(&["probe-failed zone=site.test", owner, cure]);
    }
}

#[test]
fn a_probe_without_a_zone_or_a_server_says_so() {
    let site = Site::new();
    site.config("- {secret: web, domains: [www.site.test], tsigSecretName: tsigkey, dns: {server: '127.0.0.1:1', zone: site.test}}");
    Run::of(&mut site.command(&["-probe"]))
        .ends(1)
        .says(&["probe-failed secret=default/web", "127.0.0.1:1 does not answer"]);
    site.config("- {secret: web, domains: [www.site.test");
    Run::of(&mut site.command(&["-probe"])).ends(78).says(&["configuration-unreadable"]);
}
