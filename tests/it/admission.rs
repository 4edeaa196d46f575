//! Work at a CA or a name server only when it may go on: what hangs or refuses keeps nobody else waiting, and costs nothing while it is
//! not to be asked.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::kube::Audited;
use notariat_lab::{Grant, Hmac, Key, NameServer, Port, Software, Zone};

use crate::support::Site;
use crate::support::ca::{Ca, Kind};
use crate::support::cluster::Cluster;
use crate::support::run::{Daemon, Run, notariat};

/// How soon a certificate from a good CA is there, whatever others do.
const SERVED: Duration = Duration::from_secs(5);

/// Entries for `issuer`, which come before others by their names.
fn entries(site: &Site, issuer: &str, count: usize) -> String {
    let entry =
        |n| site.entry(&format!("{issuer}{n}"), &format!("{issuer}{n}.site.test"), &format!(", issuer: {issuer}"));
    (0..count).map(entry).collect()
}

#[test]
fn a_ca_that_hangs_keeps_no_other_waiting() {
    let site = Site::new();
    let (port, more) = (Port::new(), Port::new());
    // Connections are taken, and nothing is ever said.
    let _hung: [TcpListener; 2] = [&port, &more].map(|port| port.listen(Ipv4Addr::LOCALHOST));
    let [one, two] = [&port, &more].map(|port| format!("https://{}/dir", port.at(Ipv4Addr::LOCALHOST)));
    site.config_key("issuers", &format!("a: {{directory: '{one}'}}\nb: {{directory: '{two}'}}\n"));
    let hung = [entries(&site, "a", 6), entries(&site, "b", 6)].concat();
    site.config(&[hung.clone(), site.entry("good", "www.site.test", "")].concat());
    let start = Instant::now();
    let daemon = Daemon::start(&mut site.command(&["-workers", "2"]));
    daemon.until_it_says("issued secret=default/good ");
    assert!(start.elapsed() < SERVED, "{:?}: {}", start.elapsed(), daemon.log());
    // One that comes later, while the others hang.
    let late = site.entry("late", "a.site.test", "");
    site.config(&[hung, site.entry("good", "www.site.test", ""), late].concat());
    // Files are looked at every 30 seconds.
    daemon.until_it_says("issued secret=default/late ");
    assert!(start.elapsed() < Duration::from_secs(30) + SERVED, "{:?}: {}", start.elapsed(), daemon.log());
    daemon.kill();
}

/// The account of one CA is registered for minutes, because the CA hangs in the middle of it.
#[test]
fn an_account_that_is_being_registered_keeps_no_other_account_waiting() {
    let site = Site::new();
    let hung = Ca::start(&site.pebble, |asked, _| {
        if asked.kind == Kind::NewAccount {
            thread::sleep(Duration::from_secs(600));
        }
    });
    site.config_key("issuers", &format!("a: {{directory: '{}'}}\n", hung.directory()));
    site.config(&entries(&site, "a", 7));
    let port = Port::new();
    let listen = port.at(Ipv4Addr::LOCALHOST).to_string();
    let daemon = Daemon::start(&mut site.command(&["-workers", "8", "-listen", &listen]));
    daemon.until("it is being registered", || hung.count(Kind::NewAccount) > 0);
    let start = Instant::now();
    site.config(&[entries(&site, "a", 7), site.entry("good", "www.site.test", "")].concat());
    daemon.until_it_says("issued secret=default/good ");
    assert!(start.elapsed() < Duration::from_secs(30) + SERVED, "{:?}: {}", start.elapsed(), daemon.log());
    assert_eq!(hung.count(Kind::NewAccount), 1, "one at a time registers it");
    daemon.kill();
}

/// A signed refusal proves that the server and the key work.
#[test]
fn a_name_that_the_key_may_not_write_delays_no_other_of_its_key_and_zone() {
    let key = Key::new("notariat.key", Hmac::Sha256);
    let zone = Zone::new("site.test").grant(Grant::Name(&key, "_acme-challenge.www.site.test"));
    let zone = zone.line("www A 127.0.0.1").line("no A 127.0.0.1");
    let site = Site::on(NameServer::setup(Software::Bind).zone(zone).start(), key);
    let refused: String = (0..4).map(|n| site.entry(&format!("a{n}"), "no.site.test", "")).collect();
    site.config(&[refused, site.entry("good", "www.site.test", "")].concat());
    let start = Instant::now();
    let daemon = Daemon::start(&mut site.command(&["-workers", "1"]));
    daemon.until_it_says("issued secret=default/good ");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}: {}", start.elapsed(), daemon.log());
    daemon.until("each refused one is tried", || daemon.log().matches("failed secret=").count() >= 4);
    assert!(!daemon.log().contains("put-off"), "{}", daemon.log());
    daemon.kill();
}

/// The requests of the daemon to the API server besides its Lease and its watches, and to the CA.
fn asked(cluster: &Cluster) -> (Vec<String>, usize) {
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    let asked = cluster.kube.audit().into_iter().filter(|a| a.user == user);
    let asked = asked.filter(|a| a.resource != "leases" && a.verb != "watch" && a.resource != "events");
    // The state is written once a minute at most.
    let asked = asked.filter(|a| a.name != "notariat-status");
    let asked = asked.map(|a| format!("{} {} {} {}", a.verb, a.resource, a.name, a.code));
    (asked.collect(), cluster.site.pebble.request_lines().len())
}

/// Two entries share a key whose secret is wrong. In the first version each decision cleared what a certificate waited for, and its own
/// writes of the record made a decision: 10 requests a second at the CA, 50 at the API server, from when its own wait was over until the
/// circuit opened.
#[test]
#[expect(clippy::print_stdout, reason = "the figures, for whoever asks with --nocapture")]
fn what_is_parked_asks_nobody_for_anything_and_says_so_everywhere() {
    let cluster = Cluster::new();
    let site = &cluster.site;
    let wrong = site.key.with_another_secret().secret_text();
    cluster.kubectl(&["create", "secret", "generic", "wrong", &format!("--from-literal=key={wrong}")]);
    let entry = |name: &str| {
        let entry = site.entry(name, &format!("{name}.site.test"), ", issuer: lab");
        entry.replace("tsigSecretName: tsigkey", "tsigSecretName: wrong")
    };
    cluster.config(&[entry("a"), entry("b")].concat());
    // As many orders as there are: each one's own order in the queue must not count against itself.
    let issuers = format!("lab: {{directory: '{}', ordersPerDay: 2}}", site.pebble.directory());
    let issuers = serde_json::json!({"data": {"issuers": issuers}}).to_string();
    cluster.kubectl(&["patch", "configmap", "notariat", "--type", "merge", "-p", &issuers]);
    let port = Port::new();
    let listen = port.at(Ipv4Addr::LOCALHOST).to_string();
    let daemon = cluster.daemon(&["-listen", &listen, "-page"]);
    daemon.until_it_says("failed secret=");
    let start = Instant::now();
    let page =
        |path: &str| Run::of(std::process::Command::new("curl").args(["-s", &format!("http://{listen}{path}")])).stdout;
    daemon.until("one of them is parked", || page("/metrics").contains("notariat_parked 1"));
    let metrics = page("/metrics");
    assert!(metrics.contains("state=\"Parked\"} 1"), "{metrics}");
    assert!(page("/").contains("of the zone site.test failed lately; not before 20"), "{}", page("/"));
    // The wait of the first one is over after a minute, and so is the circuit's; then the second one is tried, and the first one is parked.
    let (mut looks, mut quiet, mut last, mut busiest) = (0, 0, asked(&cluster), (0, 0));
    while start.elapsed() < Duration::from_secs(170) {
        thread::sleep(Duration::from_secs(5));
        let now = asked(&cluster);
        let more = (now.0.len() - last.0.len(), now.1 - last.1);
        busiest = (busiest.0.max(more.0), busiest.1.max(more.1));
        (looks, quiet) = (looks + 1, quiet + usize::from(more == (0, 0)));
        last = now;
    }
    let attempts = daemon.log().matches("issuing secret=").count();
    println!(
        "170 s: {} requests to the API server, {} to the CA, {attempts} attempts; in the busiest 5 s {busiest:?}; {quiet} of {looks} times 5 s without any",
        last.0.len(),
        last.1
    );
    assert!((2..=4).contains(&attempts), "each is tried once a circuit: {}", daemon.log());
    assert!(
        looks > 10 && looks - quiet <= 4,
        "{quiet} of {looks} times nothing was asked; {:#?}\n{}",
        last.0,
        daemon.log()
    );
    assert!(last.1 <= 40, "{} requests to the CA", last.1);
    assert!(
        daemon.log().contains("put-off secret=") && daemon.log().contains("state=Parked until="),
        "{}",
        daemon.log()
    );
    let shown = cluster.kubectl(&["get", "configmap", "notariat-status", "-o", "jsonpath={.data.json}"]);
    assert!(shown.contains("\"state\":\"Parked\"") && !shown.contains("\"state\":\"RateLimited\""), "{shown}");
    let of = cluster.command(&cluster.service_account(), &[]);
    let status = Run::of(notariat().arg("status").args(of.get_args()));
    assert!(status.stdout.contains(" Parked ") && !status.stdout.contains("RateLimited "), "{}", status.stdout);
    assert!(status.stdout.contains("of the zone site.test failed lately"), "{}", status.stdout);
    assert_eq!(daemon.terminate(), 0);
}

/// After a crash eight orders of four names go on. In the first version they met their own claims again and again: 461 requests for
/// authorizations within 22 seconds.
#[test]
#[expect(clippy::print_stdout, reason = "the figures, for whoever asks with --nocapture")]
fn after_a_crash_each_order_goes_on_once() {
    let cluster = Cluster::new();
    let site = &cluster.site;
    let entry = |n: usize| {
        let names: Vec<String> = (0..4).map(|m| format!("n{m}.e{n}.site.test")).collect();
        site.entry(&format!("e{n}"), &names.join(", "), "")
            .replace("propagation: primary", "propagation: primary, settle: 25s")
    };
    cluster.config(&(0..8).map(entry).collect::<String>());
    let daemon = cluster.daemon(&[]);
    daemon.until("orders are under way", || site.pebble.request_lines().iter().any(|line| line.contains("order-plz")));
    thread::sleep(Duration::from_secs(5));
    daemon.kill();
    let count = |what: &str| site.pebble.request_lines().into_iter().filter(|line| line.contains(what)).count();
    let before = count("/authZ/");
    let daemon = cluster.daemon(&[]);
    daemon.until("all are issued", || daemon.log().matches("issued secret=").count() == 8);
    let (authorizations, orders) = (count("/authZ/") - before, count("order-plz"));
    println!("after the crash: {authorizations} requests for authorizations, {orders} orders in all");
    assert!(authorizations <= 2 * 8 * 4, "{authorizations}");
    assert_eq!(orders, 8, "none was made anew");
    assert_eq!(daemon.log().matches("issuing secret=").count(), 8, "{}", daemon.log());
    assert_eq!(daemon.terminate(), 0);
}

/// Entries that are refused were never accepted in another form, as the watch of the records shows: nothing is asked for them.
#[test]
fn thousands_of_refused_entries_do_not_delay_the_good_one() {
    let cluster = Cluster::new();
    let refused: String = (0..3_000).map(|n| format!("- {{secret: bad{n}, domains: [a..test]}}\n")).collect();
    cluster.config(&[refused, cluster.site.entry("good", "www.site.test", "")].concat());
    let start = Instant::now();
    let daemon = cluster.daemon(&[]);
    daemon.until_it_says(&format!("issued secret={}/good ", cluster.namespace));
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    // The name of an Event ends with hexadecimal digits, which may say the same.
    let is_of_bad = |a: &Audited| a.user == user && a.resource == "secrets" && a.name.contains("bad");
    let asked = cluster.kube.audit().into_iter().filter(is_of_bad).count();
    assert_eq!(asked, 0, "requests for the records of refused entries");
    assert_eq!(daemon.terminate(), 0);
}
