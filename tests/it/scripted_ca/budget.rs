//! How many requests a certificate costs, counted by kind where they pass.

use std::thread::sleep;
use std::time::Duration;

use notariat_lab::{Hmac, Key};

use super::limits::site;
use crate::support::Run;
use crate::support::ca::{Ca, Kind};

/// For d names 2d + 5: an order, d authorizations, d challenges, two looks at the order, finalize, the certificate; and 4 where the
/// authorizations are valid. Renewal information is counted apart. Directory, nonce and account are asked for once.
#[test]
fn a_certificate_costs_no_more_requests_than_it_must() {
    for (reuse, certificates) in [(0, 3), (100, 5)] {
        let site = site(&Key::new("notariat.key", Hmac::Sha256), |pebble| pebble.authz_reuse(reuse));
        // Whoever looks at the order then looks once: Pebble is done.
        let ca = Ca::start(&site.pebble, |asked, _| {
            if matches!(asked.kind, Kind::Challenge | Kind::Finalize) {
                sleep(Duration::from_millis(400));
            }
        });
        let names = "a.site.test, b.site.test, c.site.test";
        let domains = ["d.site.test", "one.site.test", names, "one.site.test", names];
        let entries = domains.iter().enumerate().take(certificates);
        let entries: Vec<String> = entries.map(|(n, names)| site.entry(&format!("n{n}"), names, "")).collect();
        site.config(&entries.concat());
        let run = Run::of(&mut ca.command(&site, &["-once", "-workers", "1"])).ends(0);
        assert_eq!(run.log.matches("issued secret=").count(), certificates, "{}", run.log);

        let count = |kind| ca.count(kind);
        for once in [Kind::Directory, Kind::Nonce, Kind::NewAccount] {
            assert_eq!(count(once), 1, "{once:?}");
        }
        for each in [Kind::NewOrder, Kind::Finalize, Kind::Certificate, Kind::RenewalInfo] {
            assert_eq!(count(each), certificates, "{each:?}");
        }
        for proof in [Kind::Authorization, Kind::Challenge] {
            assert_eq!(count(proof), 1 + 1 + 3, "{proof:?}");
        }
        // Two where something is to be proved, else one; a loaded machine may need a further one.
        let looks = 2 * 3 + (certificates - 3);
        assert!((looks..=looks + 1).contains(&count(Kind::Order)), "{} looks, not {looks}", count(Kind::Order));
        assert_eq!(count(Kind::Other), 0);
    }
}
