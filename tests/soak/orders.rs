//! How many orders a run made, by the log of the CA, and how many it had to make. Pure.
//!
//! The least possible is a sum over the certificates that were held, one after the other, in each Secret: the first costs one order, and each
//! that was replaced counts for a part of one: the time for which it was held divided by the time for which the rule of renewal lets it be held
//! at most. The rule is half of the lifetime below ten days, or the end of the window that the CA suggests (RFC 9773), at most nine tenths of
//! the lifetime. A window that starts with the certificate is stale and does not count; those of Pebble for lifetimes of minutes are. Held
//! until then or longer, a certificate counts as one. So a renewal raises the ratio by as much as it is early: the program's own spread over a
//! fiftieth of the lifetime costs 2 % on average.
//!
//! A fault forces an order where the CA forgot it, or where what was on its way when somebody was killed is not on record: an order of which
//! no certificate was ever stored and whose time a fault touches, for each fault as many as there are workers. Any other is one too many.

use std::collections::BTreeSet;

use time::{Date, Month, PrimitiveDateTime, Time};

use super::ledger::{Ledger, Span};

/// How long an order may take from its creation to the stored certificate without a fault: a fault within that time can lose it.
const ORDER_TAKES: f64 = 10.0;

/// An order in the log of the CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Seconds since 1970.
    pub at: i64,
    /// The serial number of its certificate, in hexadecimal without zeros in front.
    pub serial: Option<String>,
}

/// One certificate that was held in a Secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub serial: String,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    /// The window that the CA suggested for it, as the record has it.
    pub window: Option<(i64, i64)>,
    /// When it was seen first, in seconds of the run.
    pub seen: f64,
}

/// The account of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    pub orders: usize,
    /// By lifetimes and the rule of renewal.
    pub least: f64,
    /// Forced by faults.
    pub forced: usize,
    /// Lost without a fault to explain it.
    pub lost: usize,
}

impl Account {
    pub fn ratio(&self) -> f64 {
        self.orders as f64 / (self.least + self.forced as f64)
    }
}

/// The orders in a log of Pebble, which writes UTC.
pub fn read(log: &str) -> Vec<Order> {
    let mut orders: Vec<(&str, Order)> = Vec::new();
    for line in log.lines() {
        let Some((at, text)) = line.strip_prefix("Pebble ").and_then(|rest| rest.split_at_checked(19)) else {
            continue;
        };
        let text = text.trim();
        if let Some(id) = text.strip_prefix("Added order \"").and_then(|rest| rest.split('"').next()) {
            orders.extend(unix(at).map(|at| (id, Order { at, serial: None })));
        }
        let issued = text.strip_prefix("Issued certificate serial ").and_then(|rest| rest.split_once(" for order "));
        if let Some((serial, id)) = issued
            && let Some((_, order)) = orders.iter_mut().rfind(|(of, _)| *of == id)
        {
            order.serial = Some(serial.trim_start_matches('0').to_owned());
        }
    }
    orders.into_iter().map(|(_, order)| order).collect()
}

/// `2026/11/29 15:11:28` in seconds since 1970.
fn unix(text: &str) -> Option<i64> {
    let numbers: Vec<u16> = text.split(['/', ' ', ':']).map(|n| n.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day, hour, minute, second] = numbers[..] else { return None };
    let small = |n: u16| u8::try_from(n).ok();
    let date = Date::from_calendar_date(year.into(), Month::try_from(small(month)?).ok()?, small(day)?).ok()?;
    let time = Time::from_hms(small(hour)?, small(minute)?, small(second)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp())
}

impl Held {
    /// For how many seconds the rule of renewal lets it be held.
    fn held_at_most(&self) -> i64 {
        let lifetime = self.not_after - self.not_before;
        match self.window.filter(|(start, _)| *start > self.not_before) {
            Some((_, end)) => (end - self.not_before).min(lifetime - lifetime / 10),
            None => lifetime - lifetime / 2,
        }
    }
}

/// The account of all Secrets. `began` is the start of the run in seconds since 1970.
pub fn account(orders: &[Order], secrets: &[Vec<Held>], ledger: &Ledger, began: f64) -> Account {
    let mut account = Account { orders: orders.len(), ..Account::default() };
    for held in secrets {
        account.least += f64::from(u8::from(!held.is_empty()));
        for pair in held.windows(2) {
            let was_held = (pair[1].not_before - pair[0].not_before) as f64;
            account.least += (was_held / pair[0].held_at_most() as f64).clamp(0.0, 1.0);
        }
    }
    let stored: BTreeSet<&str> = secrets.iter().flatten().map(|held| held.serial.as_str()).collect();
    let (mut forced, mut left) = (0, ledger.clone());
    for order in orders {
        if order.serial.as_deref().is_some_and(|serial| stored.contains(serial)) {
            continue;
        }
        let at = order.at as f64 - began;
        match left.take_order(Span { from: at - 1.0, to: at + ORDER_TAKES }) {
            true => forced += 1,
            false => account.lost += 1,
        }
    }
    account.forced = forced;
    account
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Fault;
    use super::*;

    const BEGAN: f64 = 1_000.0;

    /// Certificates of 60 s, issued so many seconds after the run began.
    fn held(issued: &[i64]) -> Vec<Held> {
        let of = |at: &i64| Held {
            serial: format!("s{at}"),
            not_before: 1_000 + at,
            not_after: 1_060 + at,
            window: None,
            seen: *at as f64,
        };
        issued.iter().map(of).collect()
    }

    fn orders(of: &[Held]) -> Vec<Order> {
        of.iter().map(|held| Order { at: held.not_before, serial: Some(held.serial.clone()) }).collect()
    }

    fn killed(from: f64, to: f64, orders: usize) -> Ledger {
        let (kind, victim) = ("SIGKILL", "Pebble".to_owned());
        Ledger { faults: vec![Fault { kind, victim, from, to, fails_attempts: true, settles: 0.0, orders }] }
    }

    fn of(issued: &[i64], ledger: &Ledger) -> Account {
        let held = held(issued);
        account(&orders(&held), &[held], ledger, BEGAN)
    }

    #[test]
    fn renewals_at_the_end_of_the_window_or_later_are_the_least_possible() {
        for issued in [&[0][..], &[0, 30], &[0, 30, 60, 90], &[0, 55, 300]] {
            assert_eq!(of(issued, &Ledger::default()).ratio(), 1.0, "{issued:?}");
        }
        // A little early, as the draw from the window makes it, and twice too often.
        assert!((1.0..1.03).contains(&of(&[0, 29, 59, 88], &Ledger::default()).ratio()));
        assert!(of(&[0, 15, 30, 45, 60], &Ledger::default()).ratio() > 1.6);
    }

    #[test]
    fn a_window_counts_unless_it_is_stale_and_never_in_the_last_tenth() {
        for (window, most) in [
            (None, 30),
            (Some((1_000, 1_060)), 30),
            (Some((990, 1_001)), 30),
            (Some((1_039, 1_041)), 41),
            (Some((1_001, 1_059)), 54),
        ] {
            let one = Held { window, ..held(&[0]).remove(0) };
            assert_eq!(one.held_at_most(), most, "{window:?}");
        }
    }

    #[test]
    fn a_lost_order_is_forced_by_a_fault_at_its_time_only() {
        let held = held(&[0, 40]);
        let mut made = orders(&held);
        made.insert(1, Order { at: 1_039, serial: None });
        made.insert(1, Order { at: 1_039, serial: Some("forgotten".into()) });
        let judged = |ledger| account(&made, std::slice::from_ref(&held), &ledger, BEGAN);
        let both = judged(killed(39.0, 41.0, 4));
        assert_eq!((both.orders, both.forced, both.lost, both.ratio()), (4, 2, 0, 1.0));
        let one = judged(killed(39.0, 41.0, 1));
        assert_eq!((one.forced, one.lost, one.ratio()), (1, 1, 4.0 / 3.0));
        assert_eq!(judged(killed(60.0, 61.0, 4)).lost, 2);
    }

    #[test]
    fn orders_are_read_from_the_log_of_pebble() {
        let log = "Running in strict mode
Pebble 2026/11/29 15:11:28 POST /order-plz -> calling handler()
Pebble 2026/11/29 15:11:28 Added order \"EUX\" to the db
Pebble 2026/11/29 15:11:28 There are now 1 orders in the db
Pebble 2026/11/29 15:11:29 Added order \"cDl\" to the db
Pebble 2026/11/29 15:11:30 Issued certificate serial 0f4e270cc6588b5d for order EUX
";
        let at = 1_795_965_088;
        assert_eq!(
            read(log),
            [Order { at, serial: Some("f4e270cc6588b5d".into()) }, Order { at: at + 1, serial: None }]
        );
        assert_eq!(unix("2026/11/31 15:11:28"), None);
    }
}
