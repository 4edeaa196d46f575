//! When the CA is asked: never before a server that it may meet has shown the values, however long that server is silent.

use std::net::Ipv4Addr;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Place, Port, Resolver, Scratch, Software, Zone};

use crate::support::liar::{About, Exchange, Liar, Say};
use crate::support::lies::{Lie, say, with};
use crate::support::{Run, Site};

const TXT: About = About::Type(16);

fn zone(key: &Key) -> Zone {
    Zone::new("site.test").grant(Grant::Zone(key)).line("www A 127.0.0.1")
}

fn servfail(x: &Exchange<'_>) -> Vec<Say> {
    say(with(&x.request[..12], |header| {
        header[2..12].copy_from_slice(&[0x84, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    }))
}

fn nothing(_: &Exchange<'_>) -> Vec<Say> {
    Vec::new()
}

/// How often the CA was told to look.
fn challenges(site: &Site) -> usize {
    site.pebble.request_lines().iter().filter(|line| line.starts_with("POST /chalZ/")).count()
}

/// A hidden primary, its one public name server, and a CA that asks that one alone.
struct Hidden {
    site: Site,
    secondary: NameServer,
    public: Liar,
    _port: Port,
}

fn hidden(lie: impl Fn(&Exchange<'_>) -> Vec<Say> + Send + Sync + 'static) -> Hidden {
    let (key, transfer, port) = (Key::new("k", Hmac::Sha256), Key::new("transfer", Hmac::Sha256), Port::new());
    let at = port.at(Ipv4Addr::LOCALHOST);
    let primary = NameServer::setup(Software::Bind).zone(zone(&key)).transfer_key(&transfer).also_notify(at);
    let primary = primary.notify_delay(0).start();
    let secondary = NameServer::setup(Software::Bind).address(at);
    let secondary = secondary.secondary_of(primary.addr(), &transfer, &["site.test"]).start();
    let mut site = Site::on(primary, key);
    let public = Liar::start(secondary.addr(), &site.key, TXT, lie);
    site.resolver = Resolver::setup().forward("site.test", public.addr()).start();
    site.pebble = Pebble::setup().dns_server(site.resolver.addr()).start();
    Hidden { site, secondary, public, _port: port }
}

#[test]
fn a_public_name_server_that_is_silent_for_seconds_costs_no_validation() {
    let lies: [(&str, Lie); 2] = [("SERVFAIL", servfail), ("nothing", nothing)];
    thread::scope(|scope| {
        for (what, lie) in lies {
            scope.spawn(move || {
                let first = OnceLock::new();
                let hidden = hidden(move |x| match first.get_or_init(Instant::now).elapsed() {
                    short if short < Duration::from_secs(3) => lie(x),
                    _ => say(x.truth.to_vec()),
                });
                let site = &hidden.site;
                let dns = format!("propagationNameservers: ['{}'], propagationTimeout: 30s", hidden.public.addr());
                site.config(&site.entry_with("web", "www.site.test", &dns));
                site.once().ends(0).never_says("server-given-up");
                site.assert_valid("web", &["www.site.test"]);
                assert_eq!(challenges(site), 1, "{what}");
                assert!(hidden.public.heard() > 1, "{what}");
            });
        }
    });
}

#[test]
fn where_no_name_server_besides_a_hidden_primary_shows_the_values_the_ca_is_not_asked() {
    let hidden = hidden(servfail);
    let site = &hidden.site;
    let public = hidden.public.addr();
    let dns = format!("propagationNameservers: ['{public}'], propagationTimeout: 3s");
    site.config(&site.entry_with("web", "www.site.test", &dns));
    site.once().ends(1).says(&[
        "stage=propagation",
        &format!("{}: present, serial 2; {public}: SERVFAIL for _acme-challenge.www.site.test", site.dns.addr()),
        "no name server of the zone besides the primary, which the CA does not ask, shows them",
        "or look at the primary alone by `dns.propagation: primary`",
    ]);
    assert_eq!((challenges(site), hidden.secondary.updates()), (0, 0));
    // The primary may be one of those that the world asks.
    let both = format!("propagationNameservers: ['{public}', '{}'], propagationTimeout: 3s", site.dns.addr());
    site.config(&site.entry_with("web", "www.site.test", &both));
    site.once().says(&[&format!("server-given-up secret=default/web zone=site.test server=\"{public}: SERVFAIL for ")]);
    assert_eq!(challenges(site), 1);
}

#[test]
fn a_server_of_also_check_is_never_given_up() {
    for (propagation, named) in [("primary", false), ("all", true)] {
        let site = Site::new();
        let silent = Liar::start(site.dns.addr(), &site.key, TXT, nothing);
        let named = if named { format!(", propagationNameservers: ['{}']", site.dns.addr()) } else { String::new() };
        let dns =
            format!("propagation: {propagation}{named}, alsoCheck: ['{}'], propagationTimeout: 3s", silent.addr());
        site.config(&site.entry_with("web", "www.site.test", &dns));
        site.once().ends(1).says(&["stage=propagation", &format!("{}: no answer (", silent.addr())]);
        assert_eq!(challenges(&site), 0, "{propagation}");
    }
}

#[test]
fn a_dead_name_server_is_given_up_after_half_of_the_time_when_another_one_shows_the_values() {
    let site = Site::new();
    let port = Port::new();
    let dead = port.at(Ipv4Addr::LOCALHOST);
    let dns = format!("propagationNameservers: ['{dead}', '{}'], propagationTimeout: 6s", site.dns.addr());
    site.config(&site.entry_with("web", "www.site.test", &dns));
    let started = Instant::now();
    site.once()
        .ends(0)
        .says(&[&format!("server-given-up secret=default/web zone=site.test server=\"{dead}: no answer (")]);
    assert!(started.elapsed() >= Duration::from_secs(3), "{:?}", started.elapsed());
    site.assert_valid("web", &["www.site.test"]);
}

/// A site in a namespace, where name servers have port 53.
fn inside(place: &Place, zone: Zone, key: Key) -> Site {
    let dns = NameServer::setup(Software::Bind).place(place).zone(zone).start();
    let resolver = Resolver::setup().place(place).address("127.0.0.53:53").forward("site.test", dns.addr()).start();
    let pebble = Pebble::setup().place(place).dns_server(resolver.addr()).start();
    let site = Site { store: Scratch::new("store"), dns, resolver, pebble, key };
    site.secret("tsigkey", &[("key", &site.key.secret_text())]);
    site
}

fn once(place: &Place, site: &Site) -> Run {
    let command = site.command(&["-once"]);
    Run::of(place.command(command.get_program()).args(command.get_args()))
}

/// As with IPv6 where the cluster has none.
#[test]
fn an_address_that_is_not_reached_holds_nobody_up_when_its_server_shows_the_values_at_another() {
    let (place, key) = (Place::new_namespace(), Key::new("k", Hmac::Sha256));
    let zone = zone(&key).name_server("ns1.site.test", "127.0.0.1".parse::<std::net::IpAddr>().unwrap());
    let site = inside(&place, zone.line("ns1 A 127.0.0.66").line("ns1 AAAA 2001:db8::1"), key);
    site.config(&site.entry_with("web", "www.site.test", "propagationTimeout: 10m"));
    once(&place, &site).ends(0).says(&["server-given-up", "ns1.site.test (127.0.0.66): no answer ("]);
    site.assert_valid("web", &["www.site.test"]);
}

#[test]
fn name_servers_that_have_no_address_are_none_that_show_the_values() {
    let (place, key) = (Place::new_namespace(), Key::new("k", Hmac::Sha256));
    let site = inside(&place, zone(&key).name_server("ns.nowhere.test", None), key);
    site.config(&site.entry_with("web", "www.site.test", "propagationTimeout: 2s"));
    once(&place, &site).ends(1).says(&["stage=propagation", "ns.nowhere.test", "no name server of the zone besides"]);
    assert_eq!(challenges(&site), 0);
}
