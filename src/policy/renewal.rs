//! The time of renewal: computed anew at each decision, never stored. Pure: the same certificate always gives the same
//! time.

use std::time::Duration;

use super::renewal_window::RenewalWindow;
use crate::base::limits::SHORT_LIVED;
use crate::base::retry::jitter;
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;

const DAY: Duration = Duration::from_secs(86_400);

/// Lifetimes from here on are renewed 30 days before their end, the custom of older tools.
const LONG: Duration = Duration::from_secs(85 * 86_400);

/// The cause of a renewal time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalCause {
    /// The window that the CA suggests.
    Window,
    /// The lifetime.
    Lifetime,
    /// `renewBefore`.
    RenewBefore,
}

/// The renewal time of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The moment.
    pub at: Time,
    /// The cause.
    pub cause: RenewalCause,
    /// `renewBefore` was two thirds of the lifetime or more and was ignored, because it would renew for ever.
    pub renew_before_refused: bool,
}

/// The renewal time: `renewBefore`, else 30 days, a third or half of the lifetime before the end. The time is spread by
/// up to a fiftieth of the lifetime (at most a day) towards earlier, so that certificates issued together are not
/// renewed together. In a window suggested by the CA (RFC 9773) a moment is drawn; lifetimes of 85 days and more, and
/// those with a `renewBefore`, take the earlier of the two. Never later than a tenth of the lifetime before the end,
/// spread as well.
pub fn renewal_time(
    facts: &CertificateFacts,
    name: &str,
    renew_before: Option<Duration>,
    window: Option<&RenewalWindow>,
) -> Renewal {
    let lifetime = facts.lifetime();
    let refused = renew_before.is_some_and(|before| before >= lifetime / 3 * 2);
    let before = match renew_before.filter(|_| !refused) {
        Some(before) => before,
        None if lifetime >= LONG => 30 * DAY,
        None if lifetime >= SHORT_LIVED => lifetime / 3,
        // A third would leave too little time to try again.
        None => lifetime / 2,
    };
    let spread = jitter((lifetime / 50).min(DAY), &format!("{name} {}", facts.serial));
    let fallback = facts.not_after - before - spread;
    let set = renew_before.is_some() && !refused;
    let early = lifetime >= LONG || set;
    let usual = if set { RenewalCause::RenewBefore } else { RenewalCause::Lifetime };
    let latest = facts.not_after - lifetime / 10;
    let (at, cause) = match window.filter(|w| !w.is_stale(facts.not_before)) {
        None => (fallback, usual),
        Some(RenewalWindow { start, end, .. }) => {
            let id = facts.cert_id.as_deref().unwrap_or(&facts.serial);
            // Of a window that reaches beyond the latest time, only the part before it counts.
            let until = if *start < latest { latest.min(*end) } else { *end };
            let suggested = *start + jitter(until.since(*start), &format!("{id} {start} {end}"));
            if early && fallback < suggested { (fallback, usual) } else { (suggested, RenewalCause::Window) }
        }
    };
    let (at, cause) = if latest < at { (latest - spread, RenewalCause::Lifetime) } else { (at, cause) };
    Renewal { at, cause, renew_before_refused: refused }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(lifetime: Duration, serial: &str) -> CertificateFacts {
        let not_before = Time::from_unix(1_800_000_000);
        let facts = CertificateFacts::example(&[], not_before, not_before + lifetime);
        CertificateFacts { serial: serial.into(), ..facts }
    }

    /// The share of the lifetime that is left at the renewal moment lies within the two bounds, whatever the serial.
    #[test]
    fn renewal_follows_the_lifetime() {
        let hours = |h: u64| Duration::from_secs(h * 3600);
        for (lifetime, before, least, most) in [
            (90 * DAY, None, 30 * DAY, 31 * DAY),
            (85 * DAY, None, 30 * DAY, 31 * DAY),
            (64 * DAY, None, 64 * DAY / 3, 64 * DAY / 3 + DAY),
            (45 * DAY, None, 15 * DAY, 15 * DAY + 45 * DAY / 50),
            (hours(160), None, hours(80), hours(80) + hours(160) / 50),
            (Duration::from_secs(300), None, Duration::from_secs(150), Duration::from_secs(157)),
            (Duration::from_secs(20), None, Duration::from_secs(10), Duration::from_secs(11)),
            (90 * DAY, Some(10 * DAY), 10 * DAY, 11 * DAY),
            (90 * DAY, Some(DAY), 9 * DAY, 10 * DAY),
            (90 * DAY, Some(59 * DAY), 59 * DAY, 60 * DAY),
        ] {
            for serial in 0..50 {
                let f = facts(lifetime, &serial.to_string());
                let renewal = renewal_time(&f, "team/web", before, None);
                let left = f.not_after.since(renewal.at);
                assert!((least..=most).contains(&left), "{lifetime:?} {before:?}: {left:?}");
                assert!(!renewal.renew_before_refused);
                assert_eq!(renewal, renewal_time(&f, "team/web", before, None), "drawn once");
            }
        }
    }

    #[test]
    fn a_renew_before_that_would_renew_for_ever_is_not_used() {
        let f = facts(45 * DAY, "1");
        for before in [30 * DAY, 45 * DAY, 400 * DAY] {
            let renewal = renewal_time(&f, "x", Some(before), None);
            assert!(renewal.renew_before_refused && renewal.at > f.not_before + 29 * DAY, "{before:?}");
        }
        assert!(!renewal_time(&f, "x", Some(29 * DAY), None).renew_before_refused);
    }

    #[test]
    fn what_was_issued_together_is_not_renewed_together() {
        let moments: std::collections::BTreeSet<i64> = (0..100)
            .map(|i| renewal_time(&facts(90 * DAY, "1"), &format!("ns/s{i}"), None, None).at.unix() / 3600)
            .collect();
        assert!(moments.len() > 20, "spread over {} hours", moments.len());
    }

    #[test]
    fn a_window_of_the_ca_is_obeyed_within_bounds() {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        use RenewalCause::{Lifetime, RenewBefore, Window as Suggested};
        // Lifetime, renewBefore, the window in hours after notBefore, and what is expected in hours after notBefore.
        for (lifetime, before, (start, end), (least, most), cause) in [
            // A long one is never kept below 30 days, and renewed earlier where the CA wants it.
            (90 * DAY, None, (1440, 1483), (1416, 1440), Lifetime),
            (90 * DAY, None, (100, 110), (100, 110), Suggested),
            // A short one is renewed in the window, also after the usual time.
            (45 * DAY, None, (720, 742), (720, 742), Suggested),
            (hours(160), None, (80, 84), (80, 84), Suggested),
            (hours(160), None, (120, 130), (120, 130), Suggested),
            // But never in the last tenth.
            (hours(160), None, (150, 155), (140, 144), Lifetime),
            (hours(160), None, (144, 200), (140, 144), Lifetime),
            // A window that reaches into it is drawn from up to there.
            (hours(160), None, (120, 200), (120, 144), Suggested),
            (45 * DAY, None, (960, 1080), (960, 972), Suggested),
            (45 * DAY, Some(10 * DAY), (1000, 1010), (816, 840), RenewBefore),
            (45 * DAY, Some(10 * DAY), (100, 110), (100, 110), Suggested),
        ] {
            for serial in 0..20 {
                let f = facts(lifetime, &serial.to_string());
                let window = |start, end| RenewalWindow {
                    serial: f.serial.clone(),
                    start: f.not_before + hours(start),
                    end: f.not_before + hours(end),
                    first_start: f.not_before + hours(start),
                    moved_to_past: false,
                    explanation: None,
                };
                let renewal = renewal_time(&f, "x", before, Some(&window(start, end)));
                assert_eq!(renewal.cause, cause, "{lifetime:?} {before:?} {start}");
                let at = renewal.at;
                let after = at.since(f.not_before);
                assert!((hours(least)..=hours(most)).contains(&after), "{lifetime:?} {before:?} {start}: {after:?}");
                assert_eq!(at, renewal_time(&f, "x", before, Some(&window(start, end))).at, "drawn once");
            }
        }
        // To the second: a window that begins at the usual time, and at the latest one.
        let one_second = |f: &CertificateFacts, start: Time| {
            let (serial, end) = (f.serial.clone(), start + Duration::from_secs(1));
            let window =
                RenewalWindow { serial, start, end, first_start: start, moved_to_past: false, explanation: None };
            renewal_time(f, "x", None, Some(&window))
        };
        let long = facts(90 * DAY, "1");
        let usual = renewal_time(&long, "x", None, None).at;
        assert_eq!(one_second(&long, usual).cause, Suggested);
        let short = facts(hours(160), "1");
        let latest = short.not_before + hours(144);
        assert_eq!(one_second(&short, latest).at, latest, "never later, and not earlier either");
        // Not on one second, whether something of the window is left or not.
        for (start, end) in [(120, 200), (143, 1000), (150, 155)] {
            let at = |serial: u32| {
                let f = facts(hours(160), &serial.to_string());
                let (start, end) = (f.not_before + hours(start), f.not_before + hours(end));
                let window = RenewalWindow {
                    serial: f.serial.clone(),
                    start,
                    end,
                    first_start: start,
                    moved_to_past: false,
                    explanation: None,
                };
                renewal_time(&f, "x", None, Some(&window)).at.unix()
            };
            let moments: std::collections::BTreeSet<i64> = (0..50).map(at).collect();
            assert!(moments.len() > 40, "{start} {end}: {moments:?}");
        }
        let f = facts(45 * DAY, "1");
        let stale = RenewalWindow {
            serial: "".into(),
            start: f.not_before - DAY,
            end: f.not_before,
            first_start: f.not_before - DAY,
            moved_to_past: false,
            explanation: None,
        };
        assert_eq!(
            renewal_time(&f, "x", None, Some(&stale)),
            renewal_time(&f, "x", None, None),
            "a stale one is ignored"
        );
        let moved = RenewalWindow { first_start: f.not_before + 30 * DAY, ..stale };
        assert!(renewal_time(&f, "x", None, Some(&moved)).at < f.not_before, "one that moved there is due");
    }
}
