//! The requests that a certificate costs by HTTP-01 and by DNS-01, at the CA and at the API server: the same.

use std::collections::BTreeMap;

use notariat_lab::{Pebble, Port};

use crate::api_budget::{Requests, settled, since};
use crate::support::Site;
use crate::support::cluster::{Cluster, OwnKube};

/// The requests of one certificate: to the CA by kind without polls, how many polls, and to the API server.
type Cost = (BTreeMap<String, usize>, usize, Requests);

#[test]
#[expect(clippy::print_stdout, reason = "the figures, for whoever asks with --nocapture")]
fn a_certificate_costs_the_same_by_http_and_by_dns() {
    let own = OwnKube::start();
    let kube = own.kube();
    let port = Port::new();
    let at = format!("127.0.0.1:{}", port.number());
    let cluster = Cluster::at(kube, Site::with_ca(Pebble::setup().http_port(port.number())));
    let (by_dns, by_http) = ("", format!(", challenge: http-01, http: {{via: '{at}'}}"));
    let entry = |secret: &str, names: &str, more: &str| cluster.site.entry(secret, names, more);
    // The account is registered, and its key known.
    let mut entries = entry("first", "a.site.test", by_dns);
    cluster.config(&entries);
    let daemon = cluster.daemon(&["-http-listen", &at]);
    daemon.until_it_says("issued secret=");

    let mut issued = 1;
    let mut cost = |secret: &str, names: &str, more: &str| -> Cost {
        let before = settled(kube);
        let known = cluster.site.pebble.request_lines().len();
        entries += &entry(secret, names, more);
        cluster.config(&entries);
        issued += 1;
        daemon.until(secret, || daemon.log().matches("issued secret=").count() == issued);
        let asked = since(&before, &settled(kube));
        let mut of_ca = BTreeMap::new();
        for line in &cluster.site.pebble.request_lines()[known..] {
            let kind = line.split('/').nth(1).unwrap_or_default();
            *of_ca.entry(kind.to_owned()).or_default() += 1;
        }
        // The renewal information is counted apart.
        of_ca.remove("draft-ietf-acme-ari-03");
        of_ca.remove("renewalInfo");
        let polls = of_ca.remove("my-order").unwrap_or_default();
        (of_ca, polls, asked)
    };
    for (names, d) in [("www.site.test", 1), ("b.site.test, c.site.test, d.site.test", 3)] {
        let dns = cost(&format!("dns{d}"), names, by_dns);
        let http = cost(&format!("http{d}"), names, &by_http);
        println!("{d} names by dns-01: {dns:?}\n{d} names by http-01: {http:?}");
        for (way, (of_ca, polls, _)) in [("dns-01", &dns), ("http-01", &http)] {
            let expected = [("authZ", d), ("certZ", 1), ("chalZ", d), ("finalize-order", 1), ("order-plz", 1)];
            let expected: BTreeMap<String, usize> = expected.map(|(kind, count)| (kind.to_owned(), count)).into();
            assert_eq!(*of_ca, expected, "{way}");
            // With two polls 2d + 5; Pebble may still be validating at the first ones.
            assert!((2..=6).contains(polls), "{way}: {polls} polls");
        }
        assert_eq!(dns.2, http.2, "requests to the API server");
        assert!(http.2.values().sum::<i64>() <= 7, "{:?}", http.2);
    }
    assert_eq!(daemon.terminate(), 0);
}
