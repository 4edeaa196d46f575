//! A load balancer that the program itself can not reach, as behind hairpin NAT: two network namespaces, of which the outer one has the CA and the
//! address of the names. Needs root, or the capability to make namespaces; without it the test fails and says so.

use std::process::Command;

use notariat_lab::process::Server;
use notariat_lab::{Hmac, Key, NameServer, Pebble, Place, Resolver, Scratch, Software, Zone};

use crate::support::Site;
use crate::support::run::Daemon;

/// The two ends of the line between the namespaces, and the address of the names, which only the outer one knows.
const OUTER: &str = "10.99.0.1";
const INNER: &str = "10.99.0.2";
const BALANCER: &str = "192.0.2.80";

fn ip(arguments: &[&str]) {
    let told = Command::new("ip").args(arguments).output().unwrap();
    assert!(told.status.success(), "ip {arguments:?} needs CAP_NET_ADMIN: {told:?}");
}

/// The outer and the inner namespace, with a line between them.
fn places() -> [Place; 2] {
    let places = [Place::new_namespace(), Place::new_namespace()];
    let names = places.each_ref().map(|place| match place {
        Place::Namespace(namespace) => namespace.name().to_owned(),
        Place::Host => unreachable!(),
    });
    let [outer, inner] = &names;
    ip(&["-n", outer, "link", "add", "in", "type", "veth", "peer", "name", "out", "netns", inner]);
    for (namespace, link, address) in [(outer, "in", OUTER), (inner, "out", INNER)] {
        ip(&["-n", namespace, "address", "add", &format!("{address}/24"), "dev", link]);
        ip(&["-n", namespace, "link", "set", link, "up"]);
    }
    ip(&["-n", outer, "address", "add", &format!("{BALANCER}/32"), "dev", "lo"]);
    places
}

#[test]
fn what_only_the_ca_reaches_is_unknown_then_issued_and_silent_the_next_time() {
    let [outer, inner] = places();
    let key = Key::new("of.nobody", Hmac::Sha256);
    let zone =
        ["www", "api"].iter().fold(Zone::new("site.test"), |zone, host| zone.line(&format!("{host} A {BALANCER}")));
    let dns = NameServer::setup(Software::Bind).place(&outer).address("127.0.0.2:53").zone(zone).start();
    let resolver = Resolver::setup().place(&outer).address((OUTER, 5353)).forward("site.test", dns.addr()).start();
    let pebble = Pebble::setup().place(&outer).address((OUTER, 14000)).dns_server(resolver.addr()).start();
    let site = Site { store: Scratch::new("store"), dns, resolver, pebble, key };
    let files = Scratch::new("front");
    let configuration = files.write(
        "haproxy.cfg",
        &format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\nfrontend f\n bind {BALANCER}:80\n default_backend n\nbackend n\n server n {INNER}:8089\n"
        ),
    );
    let mut command = outer.command("haproxy");
    command.args(["-db", "-f"]).arg(configuration);
    let haproxy = Server::start("haproxy", &command, &files.join("log"));
    let _haproxy = haproxy.until_it_listens(&outer, &format!("{BALANCER}:80"));

    let entry = |domains: &str| {
        site.config(&format!("- {{secret: web, domains: [{domains}], email: admin@site.test, challenge: http-01}}\n"));
    };
    let inside = site.command(&["-http-listen", &format!("{INNER}:8089")]);
    let mut command = inner.command(inside.get_program());
    command.args(inside.get_args());
    entry("www.site.test");
    let daemon = Daemon::start(&mut command);
    daemon.until_it_says("issued secret=default/web names=www.site.test");
    let untested = |name: &str| {
        let log = daemon.log();
        log.lines().filter(|line| line.contains("not-tested") && line.contains(&format!("name={name}"))).count()
    };
    assert_eq!(untested("www.site.test"), 1, "{}", daemon.log());
    assert!(daemon.log().contains("there is no connection from inside ("), "{}", daemon.log());

    // The CA reached it: nothing is said of this name any more, and all the same of one that is new.
    entry("www.site.test, api.site.test");
    daemon.until_it_says("names=api.site.test,www.site.test");
    site.assert_valid("web", &["www.site.test", "api.site.test"]);
    assert_eq!((untested("www.site.test"), untested("api.site.test")), (1, 1), "{}", daemon.log());
    assert_eq!(site.pebble.request_lines().iter().filter(|line| line.contains("/order-plz")).count(), 2);
    assert_eq!(daemon.terminate(), 0);
}
