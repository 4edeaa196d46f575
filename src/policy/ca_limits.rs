//! Rate limits of a CA: what an answer "too many requests" covers, and for how long. Pure.
//!
//! The words of a problem tell which limit was met. Only a limit that is known to reach beyond one name set blocks
//! others.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::secret_state::SecretState;
use crate::acme::directory::normalized;
use crate::base::clock::{happened, holds};
use crate::base::limits::{CLOCK_TOLERANCE, WAIT_MAX};
use crate::base::name::{DnsName, Domain};
use crate::base::time::Time;
use crate::record::RecordData;

/// The certificates that a rate limit covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All requests of the account: new orders, request rate, an overloaded server.
    Account,
    /// Certificates for names at and below a registered domain.
    Domain(DnsName),
    /// One name whose validation failed too often.
    Name(DnsName),
    /// The name set of the order alone.
    NameSet,
}

/// A rate limit in force for an account at a CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimitBlock {
    /// The certificates it covers.
    pub scope: Scope,
    /// The begin of the wait, by the clock that said its end; `None` in what older versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The end of the wait.
    pub until: Time,
    /// The CA's words.
    pub said: String,
}

impl RateLimitBlock {
    /// Tells whether the limit is in force. A begin in the future was noted by a clock that was ahead, and the end is as much too late.
    fn holds(&self, now: Time) -> bool {
        self.since.is_none_or(|since| since <= now + CLOCK_TOLERANCE) && holds(self.until, WAIT_MAX, now)
    }

    /// Tells whether the limit covers an order of these names.
    pub fn is_for(&self, names: &[Domain]) -> bool {
        match &self.scope {
            Scope::Account => true,
            Scope::Domain(domain) => names.iter().any(|n| n.base().is_within(domain)),
            Scope::Name(name) => names.iter().any(|n| n.base() == name),
            // The certificate waits by its own record.
            Scope::NameSet => false,
        }
    }
}

/// The scope of a problem of HTTP status 429 or 503; `None` for other statuses. The words are those of Boulder, which
/// other CAs run too, and the anchors of the page that it links to.
pub fn scope_of(status: u16, text: &str) -> Option<Scope> {
    let text = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match status {
        503 => Some(Scope::Account),
        429 if has(&["exact set"]) => Some(Scope::NameSet),
        429 if has(&["failed authorizations", "authorization-failures"]) => {
            Some(quoted(&text).map_or(Scope::NameSet, Scope::Name))
        }
        429 if has(&["already issued for", "per-registered-domain"]) => {
            Some(quoted(&text).map_or(Scope::NameSet, Scope::Domain))
        }
        429 if has(&["new orders", "new-orders", "registrations", "request rate", "requests", "service busy"]) => {
            Some(Scope::Account)
        }
        429 => Some(Scope::NameSet),
        _ => None,
    }
}

/// The first name in quotes.
fn quoted(text: &str) -> Option<DnsName> {
    let name = text.split('"').nth(1)?;
    DnsName::parse(name.trim_start_matches("*.")).ok()
}

/// The rate limit that makes an order of these names wait longest.
pub fn closed<'g>(limits: &'g [RateLimitBlock], names: &[Domain], now: Time) -> Option<&'g RateLimitBlock> {
    limits.iter().filter(|limit| limit.holds(now) && limit.is_for(names)).max_by_key(|limit| limit.until)
}

/// A number of orders within a moving window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The number of orders.
    pub orders: usize,
    /// The length of the window.
    pub window: Duration,
    /// True if renewals count as well.
    pub renewals: bool,
}

const DAY: Duration = Duration::from_secs(86_400);

/// The quotas of a directory: the operator's for a day, and for Let's Encrypt nine tenths of the 300 orders that an
/// account may make in three hours, so that many first certificates are spread instead of refused. Renewals do not wait
/// for the latter: Let's Encrypt exempts them, and certificates would expire if there were more renewals than the
/// quota.
pub fn quotas(directory: &str, orders_per_day: Option<u32>) -> Vec<Quota> {
    let own = orders_per_day.map(|orders| Quota { orders: orders as usize, window: DAY, renewals: true });
    let host = directory.strip_prefix("https://").unwrap_or_default().split('/').next().unwrap_or_default();
    let known = host == "acme-v02.api.letsencrypt.org";
    own.into_iter().chain(known.then_some(Quota { orders: 270, window: DAY / 8, renewals: false })).collect()
}

/// Tells whether the CA counts an order of these names as a renewal: the held certificate is from this CA and for exactly
/// these names. Let's Encrypt looks back for 120 days.
pub fn is_renewal(current: &[SecretState], names: &[Domain], directory: &str, now: Time) -> bool {
    current.iter().any(|current| match current {
        SecretState::Present(present) => present.pair.facts().is_some_and(|facts| {
            let same = facts.names.len() == names.len() && names.iter().all(|name| facts.names.contains(name));
            let from = present.directory.as_deref().map(normalized);
            same && now < facts.not_before + 120 * DAY && from.as_deref() == Some(directory)
        }),
        SecretState::Missing => false,
    })
}

/// When orders were made lately at one directory, and how many more are to be made.
#[derive(Clone, Debug, Default)]
pub struct OrderLog {
    /// The times of all orders, sorted.
    all: Vec<Time>,
    /// The times without renewals, sorted.
    first: Vec<Time>,
    /// Orders that wait or are being made, and those of them that are no renewals: they count as made now.
    reserved: (usize, usize),
}

impl OrderLog {
    /// Adds an order; `renewal` orders count only against quotas that include renewals.
    pub fn add(&mut self, at: Time, renewal: bool) {
        self.add_to_all(at);
        if !renewal {
            self.add_to_first(at);
        }
    }

    pub(super) fn add_to_all(&mut self, at: Time) {
        insert(&mut self.all, at);
    }

    pub(super) fn add_to_first(&mut self, at: Time) {
        insert(&mut self.first, at);
    }

    pub(super) fn remove_from_all(&mut self, at: Time) {
        remove(&mut self.all, at);
    }

    pub(super) fn remove_from_first(&mut self, at: Time) {
        remove(&mut self.first, at);
    }

    /// Drops orders older than any quota looks at.
    pub(super) fn prune(&mut self, now: Time) {
        for times in [&mut self.all, &mut self.first] {
            times.drain(..times.partition_point(|at| *at + DAY <= now));
        }
    }

    /// Counts an order that waits or is being made.
    pub fn reserve(&mut self, renewal: bool) {
        self.reserved = (self.reserved.0 + 1, self.reserved.1 + usize::from(!renewal));
    }

    /// Counts an order of [`OrderLog::reserve`] no longer.
    pub fn release(&mut self, renewal: bool) {
        let (all, first) = self.reserved;
        self.reserved = (all.saturating_sub(1), first.saturating_sub(usize::from(!renewal)));
    }

    /// Until when no further order may be made, a renewal or not. `None`: there is room.
    pub fn exhausted(&self, quotas: &[Quota], renewal: bool, now: Time) -> Option<Time> {
        let quotas = quotas.iter().filter(|quota| quota.renewals || !renewal);
        let until = |quota: &Quota| match quota.renewals {
            true => exhausted(quota, &self.all, self.reserved.0, now),
            false => exhausted(quota, &self.first, self.reserved.1, now),
        };
        quotas.filter_map(until).max()
    }

    /// The time at which the last of `count` first orders from `now` on can be made.
    pub fn last_of(&self, quotas: &[Quota], count: usize, now: Time) -> Time {
        let last = |quota: &Quota| {
            let mut times = recent(quota, if quota.renewals { &self.all } else { &self.first }, now).to_vec();
            for _ in 0..count {
                let free = times.len().checked_sub(quota.orders).and_then(|first| times.get(first));
                times.push(free.map_or(now, |first| (*first + quota.window).max(now)));
            }
            times.last().copied().unwrap_or(now).max(now)
        };
        quotas.iter().map(last).max().unwrap_or(now)
    }
}

pub(super) fn insert(times: &mut Vec<Time>, at: Time) {
    times.insert(times.partition_point(|time| *time <= at), at);
}

pub(super) fn remove(times: &mut Vec<Time>, at: Time) {
    if let Ok(place) = times.binary_search(&at) {
        times.remove(place);
    }
}

/// The rate limit of a directory whose quota is used up. `per_day` is the quota of the issuer.
pub fn out_of_quota(
    made: &OrderLog,
    directory: &str,
    per_day: Option<u32>,
    renewal: bool,
    now: Time,
) -> Option<RateLimitBlock> {
    let until = made.exhausted(&quotas(directory, per_day), renewal, now)?;
    let said = format!("as many orders as {directory} is to get were made already");
    Some(RateLimitBlock { scope: Scope::Account, since: Some(now), until, said })
}

/// The rank of a certificate where a quota does not admit all: the oldest first, so that working certificates are kept.
pub fn quota_rank(record: &RecordData) -> (bool, Option<Time>) {
    (record.stored.is_none(), record.stored.as_ref().map(|stored| stored.at))
}

/// Until when no further order may be made, given the sorted times of those that were, and how many count as made now. `None`: there is
/// room.
pub(super) fn exhausted(quota: &Quota, orders: &[Time], reserved: usize, now: Time) -> Option<Time> {
    let recent = recent(quota, orders, now);
    let first = (recent.len() + reserved).checked_sub(quota.orders)?;
    Some(recent.get(first).copied().unwrap_or(now) + quota.window)
}

/// The sorted times that the window of a quota still has.
fn recent<'t>(quota: &Quota, times: &'t [Time], now: Time) -> &'t [Time] {
    let from = times.partition_point(|at| *at + quota.window <= now);
    let to = times.partition_point(|at| happened(*at, now)).max(from);
    &times[from..to]
}

/// Failed validations of one name that are risked within an hour, over all certificates; Let's Encrypt allows five.
pub const VALIDATION_FAILURES: usize = 4;

/// The time before which a name must not be validated, given the times of failures.
pub fn failed_too_often(failures: &[Time], now: Time) -> Option<Time> {
    let hour = Quota { orders: VALIDATION_FAILURES, window: Duration::from_secs(3600), renewals: true };
    let mut failures = failures.to_vec();
    failures.sort();
    exhausted(&hour, &failures, 0, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::shared_str::SharedStr;
    use crate::cert::facts::CertificateFacts;
    use crate::policy::secret_state::{PairState, Present};
    use crate::record::Issued;

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn name(text: &str) -> DnsName {
        text.parse().unwrap()
    }

    #[test]
    fn an_order_that_is_not_counted_any_more_leaves_its_place() {
        let (mut made, quota) = (OrderLog::default(), [Quota { orders: 1, window: DAY, renewals: true }]);
        made.reserve(false);
        assert!(made.exhausted(&quota, false, NOW).is_some());
        made.release(false);
        assert_eq!(made.exhausted(&quota, false, NOW), None);
        made.add(NOW, false);
        assert!(made.exhausted(&quota, false, NOW).is_some());
        made.remove_from_all(NOW + DAY);
        assert!(made.exhausted(&quota, false, NOW).is_some(), "another one");
        made.remove_from_all(NOW);
        assert_eq!(made.exhausted(&quota, false, NOW), None);
        // Those older than a day leave the table, and no other.
        let (old, young) = (NOW - DAY, NOW - DAY + Duration::from_secs(1));
        let mut made = OrderLog::default();
        [old, young, NOW].into_iter().for_each(|at| made.add(at, false));
        made.prune(NOW);
        assert_eq!((made.all, made.first), (vec![young, NOW], vec![young, NOW]));
    }

    /// The texts are those of Boulder's ratelimits package.
    #[test]
    fn the_words_of_the_ca_tell_whom_a_limit_is_for() {
        for (status, text, scope) in [
            (
                429,
                r#"too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after 2026-11-24 10:00:00 UTC: see https://letsencrypt.org/docs/rate-limits/#new-certificates-per-exact-set-of-identifiers"#,
                Some(Scope::NameSet),
            ),
            // Another CA may quote a name of the set.
            (
                429,
                r#"too many certificates already issued for the exact set of "www.example.com" and others"#,
                Some(Scope::NameSet),
            ),
            (
                429,
                r#"too many certificates (50) already issued for "example.com" in the last 168h0m0s, retry after 2026-11-24 10:00:00 UTC"#,
                Some(Scope::Domain(name("example.com"))),
            ),
            (
                429,
                r#"too many failed authorizations (5) for "www.example.com" in the last 1h0m0s"#,
                Some(Scope::Name(name("www.example.com"))),
            ),
            (429, "too many new orders (300) from this account in the last 3h0m0s", Some(Scope::Account)),
            (429, "too many new registrations (10) from this IP address in the last 3h0m0s", Some(Scope::Account)),
            (429, "Service busy; retry later.", Some(Scope::Account)),
            (429, r#"too many certificates already issued for "not a name" lately"#, Some(Scope::NameSet)),
            (
                429,
                "Your account is temporarily prevented from requesting certificates for www.example.com",
                Some(Scope::NameSet),
            ),
            (429, "no", Some(Scope::NameSet)),
            (503, "", Some(Scope::Account)),
            (500, "too many new orders", None),
            (403, "", None),
        ] {
            assert_eq!(scope_of(status, text), scope, "{text}");
        }
    }

    #[test]
    fn a_gate_is_closed_for_those_whom_the_limit_covers() {
        let names = [Domain::parse("www.example.com").unwrap(), Domain::parse("*.b.test").unwrap()];
        for (scope, is_for) in [
            (Scope::Account, true),
            (Scope::NameSet, false),
            (Scope::Domain(name("example.com")), true),
            (Scope::Domain(name("ample.com")), false),
            (Scope::Domain(name("b.test")), true),
            (Scope::Name(name("b.test")), true),
            (Scope::Name(name("example.com")), false),
        ] {
            let (since, until) = (Some(NOW), NOW + Duration::from_secs(9));
            let limit = RateLimitBlock { scope, since, until, said: String::new() };
            assert_eq!(limit.is_for(&names), is_for, "{limit:?}");
            assert_eq!(closed(std::slice::from_ref(&limit), &names, NOW).is_some(), is_for);
            let of_a_wrong_clock = RateLimitBlock { since: Some(NOW + Duration::from_secs(301)), ..limit.clone() };
            assert!(closed(&[of_a_wrong_clock], &names, NOW).is_none(), "noted by a clock that was ahead");
            assert!(closed(&[limit], &names, NOW + Duration::from_secs(9)).is_none(), "it opens");
        }
    }

    #[test]
    fn a_renewal_is_for_the_names_of_what_is_held_and_at_the_ca_that_issued_it() {
        let current = |names: &[&str], age_days: u32, directory: Option<&str>| {
            let facts = CertificateFacts::example(names, NOW - DAY * age_days, NOW + DAY);
            let directory = directory.map(SharedStr::from);
            let present = Present { directory, ..Present::example(PairState::Sound(facts.into())) };
            SecretState::Present(Box::new(present))
        };
        let (ca, names) = ("https://ca.test/dir", [Domain::parse("a.test").unwrap(), Domain::parse("b.test").unwrap()]);
        for (current, renewal) in [
            (current(&["b.test", "a.test"], 60, Some("https://CA.test/dir/")), true),
            (current(&["b.test", "a.test"], 60, Some("https://other.test/dir")), false),
            (current(&["b.test", "a.test"], 60, None), false),
            (current(&["b.test", "a.test"], 120, Some(ca)), false),
            (current(&["a.test"], 60, Some(ca)), false),
            (current(&["a.test", "b.test", "c.test"], 60, Some(ca)), false),
            (SecretState::Missing, false),
        ] {
            assert_eq!(is_renewal(std::slice::from_ref(&current), &names, ca, NOW), renewal, "{current:?}");
        }
    }

    #[test]
    fn quotas_move_with_the_time() {
        let quotas = quotas("https://acme-v02.api.letsencrypt.org/directory", Some(300));
        assert_eq!(quotas.len(), 2);
        assert!(super::quotas("https://ca.test/dir", None).is_empty());
        let at = |minutes: u64| NOW - Duration::from_secs(60 * minutes);
        let exhausted = |n: usize, minutes: u64, (made, wanted): (bool, bool)| {
            let mut orders = OrderLog::default();
            (0..n).for_each(|_| orders.add(at(minutes), made));
            orders.exhausted(&quotas, wanted, NOW).map(|until| until.since(at(minutes)).as_secs() / 3600)
        };
        for (n, minutes, renewals, hours) in [
            (269, 1, (false, false), None),
            (270, 1, (false, false), Some(3)),
            (270, 1, (false, true), None),
            (299, 1, (true, false), None),
            (299, 181, (false, false), None),
            (300, 181, (false, false), Some(24)),
            (300, 181, (true, true), Some(24)),
        ] {
            assert_eq!(exhausted(n, minutes, renewals), hours, "{n} {minutes} {renewals:?}");
        }
        for (made, count, hours) in
            [(0, 0, 0), (0, 270, 0), (0, 271, 3), (270, 1, 3), (100, 400, 24), (0, 300, 3), (0, 301, 24)]
        {
            let mut orders = OrderLog::default();
            (0..made).for_each(|_| orders.add(NOW, false));
            assert_eq!(orders.last_of(&quotas, count, NOW).since(NOW).as_secs() / 3600, hours, "{made} {count}");
        }
        assert_eq!(failed_too_often(&[at(50), at(40), at(30)], NOW), None);
        assert_eq!(
            failed_too_often(&[at(70), at(50), at(40), at(30), at(1)], NOW),
            Some(at(50) + Duration::from_secs(3600))
        );
    }

    #[test]
    fn a_directory_whose_quota_is_used_up_is_closed_for_all_until_an_order_leaves_the_window() {
        let (mut made, hour) = (OrderLog::default(), Duration::from_secs(3600));
        made.add(NOW - hour, false);
        let closed = |per_day| out_of_quota(&made, "https://ca.test/dir", per_day, false, NOW);
        let block = closed(Some(1)).expect("one order was made");
        assert_eq!((block.scope, block.since, block.until), (Scope::Account, Some(NOW), NOW - hour + DAY));
        assert_eq!((closed(Some(2)), closed(None)), (None, None));
    }

    #[test]
    fn the_oldest_certificates_come_first_and_those_without_one_last() {
        let record = |stored: Option<Time>| {
            let issued = |at| Issued {
                serial: "01".into(),
                at,
                directory: "https://ca.test/dir".into(),
                key_type: "ecdsa-p256".into(),
                profile: None,
                account: None,
                cert_id: None,
                renewal_mark: None,
            };
            let mut record = RecordData::default();
            record.stored = stored.map(issued);
            record
        };
        let mut ranks = [None, Some(NOW), Some(NOW - DAY)].map(|stored| quota_rank(&record(stored)));
        ranks.sort();
        assert_eq!(ranks, [(false, Some(NOW - DAY)), (false, Some(NOW)), (true, None)]);
    }
}
