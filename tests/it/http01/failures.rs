//! A CA that finds nothing, and two accounts that prove one name at once.

use super::Web;
use crate::support::Run;

#[test]
fn a_name_that_the_ca_does_not_find_waits_and_is_tried_four_times_in_an_hour() {
    let hosts = ["h1", "h2", "h3", "h4"];
    let lines = hosts.map(|host| format!("{host} A 127.0.0.1"));
    let mut web = Web::new(&lines.each_ref().map(String::as_str));
    web.nginx(&format!(
        "server {{ listen 80; {} }} server {{ listen 80; server_name www.site.test; return 404; }}",
        super::fronts::ROUTE
    ));
    // Each certificate has the bad name and others, so that no two orders are for the same names.
    let names =
        |n: usize| hosts[..n].iter().map(|host| format!("{host}.site.test, ")).collect::<String>() + "www.site.test";
    let entries = (0..5).map(|n| web.entry(&format!("s{n}"), &names(n), "check: off")).collect::<String>();
    web.site.config(&entries);
    let once = || Run::of(&mut web.command(&["-once", "-workers", "1", "-http-listen", super::RESPONDER]));
    let orders = || super::replicas::orders(&web.site);
    once().ends(1).says(&[
        "stage=validation",
        "the CA did not find the challenge answered",
        "gate-closed",
        "the validation of www.site.test failed 4 times within an hour",
    ]);
    assert_eq!(orders(), 4, "the fifth certificate with the name is not ordered");
    for n in 0..5 {
        let record = web.site.record(&format!("s{n}")).unwrap_or_default();
        assert!(!record.contains("token") && !record.contains("\"published\":[{"), "s{n}: {record}");
    }
    // Everything waits: nothing is asked of the CA for an order.
    once().ends(1);
    assert_eq!(orders(), 4);
    let command = web.site.command(&[]);
    let status =
        Run::of(web.place.command(command.get_program()).args(["status", "-o", "wide"]).args(command.get_args()));
    assert_eq!(status.stdout.matches("BackingOff").count(), 5, "four rows and the sum: {}", status.stdout);
    assert_eq!(status.stdout.matches("RateLimited").count(), 2, "one row and the sum: {}", status.stdout);
}

#[test]
fn two_accounts_prove_one_name_at_once() {
    let mut web = Web::new(&[]);
    // Each connection waits for a second, so that both orders wait for the CA at the same time.
    web.haproxy(
        "frontend f\n bind 127.0.0.1:80\n default_backend slow\nbackend slow\n server s 127.0.0.1:8081\n\
         frontend s\n bind 127.0.0.1:8081\n mode tcp\n tcp-request inspect-delay 1s\n tcp-request content accept if WAIT_END\n default_backend n\n\
         backend n\n mode tcp\n server n 127.0.0.1:8089\n",
    );
    let entry = |secret: &str| web.entry(secret, "www.site.test", "").replace("admin@", &format!("{secret}@"));
    web.site.config(&(entry("one") + &entry("two")));
    web.once().ends(0).never_says("not-tested").never_says("attempt-failed");
    web.site.assert_valid("one", &["www.site.test"]);
    web.site.assert_valid("two", &["www.site.test"]);
    let lines = web.site.pebble.request_lines();
    let places = |kind: &str| -> Vec<usize> {
        lines.iter().enumerate().filter(|(_, line)| line.contains(kind)).map(|(place, _)| place).collect()
    };
    let (accounts, challenges, finalized) = (places("sign-me-up"), places("/chalZ/"), places("/finalize-order/"));
    assert_eq!((accounts.len(), challenges.len(), finalized.len()), (2, 2, 2), "{lines:#?}");
    assert!(challenges[1] < finalized[0], "both were answered before either was valid: {lines:#?}");
}
