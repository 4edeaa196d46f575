//! What a CA's "too many requests" is about, and for how long it holds. Pure.
//!
//! A problem says in its words which of the limits was met. Only what is known to reach beyond one name set closes a gate for others.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{DnsName, Domain};
use crate::time::Time;

/// What a limit of a CA covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Everything that the account asks for: new orders, requests, the server is overloaded.
    Account,
    /// Certificates for names at and below a registered domain.
    Domain(DnsName),
    /// One name, whose validation failed too often.
    Name(DnsName),
    /// The name set of the order, and nobody else.
    NameSet,
}

/// A closed gate of an account at a CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// For whom.
    pub scope: Scope,
    /// Until when.
    pub until: Time,
    /// The CA's words.
    pub said: String,
}

impl Closed {
    /// Whether it is closed for an order of these names.
    pub fn is_for(&self, names: &[Domain]) -> bool {
        match &self.scope {
            Scope::Account => true,
            Scope::Domain(domain) => names.iter().any(|n| n.base().is_within(domain)),
            Scope::Name(name) => names.iter().any(|n| n.base() == name),
            // That one waits by its own record.
            Scope::NameSet => false,
        }
    }
}

/// What a problem of HTTP status 429 or 503 is about; `None` for other statuses. The words are those of Boulder, which other CAs run, too,
/// and the anchors of the page that it links to.
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

/// The closed gate that makes an order of these names wait longest.
pub fn closed<'g>(gates: &'g [Closed], names: &[Domain], now: Time) -> Option<&'g Closed> {
    gates.iter().filter(|gate| gate.until > now && gate.is_for(names)).max_by_key(|gate| gate.until)
}

/// So many orders may be made in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Orders.
    pub orders: usize,
    /// The window, which moves.
    pub window: Duration,
}

/// The quotas of a directory: what an operator set for a day, and for Let's Encrypt nine tenths of the 300 orders that it takes from an
/// account in three hours, so that many first certificates are spread and not refused.
pub fn quotas(directory: &str, orders_per_day: Option<u32>) -> Vec<Quota> {
    let day = Duration::from_secs(86_400);
    let own = orders_per_day.map(|orders| Quota { orders: orders as usize, window: day });
    let host = directory.strip_prefix("https://").unwrap_or_default().split('/').next().unwrap_or_default();
    let known = (host == "acme-v02.api.letsencrypt.org").then_some(Quota { orders: 270, window: day / 8 });
    own.into_iter().chain(known).collect()
}

/// Until when no further order may be made, given the times of those that were. `None`: there is room in every quota.
pub fn exhausted(quotas: &[Quota], orders: &[Time], now: Time) -> Option<Time> {
    let over = |quota: &Quota| {
        let mut recent: Vec<Time> = orders.iter().copied().filter(|at| *at + quota.window > now).collect();
        recent.sort();
        let first = recent.len().checked_sub(quota.orders)?;
        Some(recent[first] + quota.window)
    };
    quotas.iter().filter_map(over).max()
}

/// Failed validations of one name that are risked within an hour, over all certificates; Let's Encrypt allows five.
pub const VALIDATION_FAILURES: usize = 4;

/// Until when a name is not to be validated after failures at these times.
pub fn failed_too_often(failures: &[Time], now: Time) -> Option<Time> {
    exhausted(&[Quota { orders: VALIDATION_FAILURES, window: Duration::from_secs(3600) }], failures, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn name(text: &str) -> DnsName {
        text.parse().unwrap()
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
            let gate = Closed { scope, until: NOW + Duration::from_secs(9), said: String::new() };
            assert_eq!(gate.is_for(&names), is_for, "{gate:?}");
            assert_eq!(closed(std::slice::from_ref(&gate), &names, NOW).is_some(), is_for);
            assert!(closed(&[gate], &names, NOW + Duration::from_secs(9)).is_none(), "it opens");
        }
    }

    #[test]
    fn quotas_move_with_the_time() {
        let quotas = quotas("https://acme-v02.api.letsencrypt.org/directory", Some(300));
        assert_eq!(quotas.len(), 2);
        assert!(super::quotas("https://ca.test/dir", None).is_empty());
        let at = |minutes: u64| NOW - Duration::from_secs(60 * minutes);
        assert_eq!(exhausted(&quotas, &vec![at(1); 269], NOW), None);
        assert_eq!(exhausted(&quotas, &vec![at(1); 270], NOW), Some(at(1) + Duration::from_secs(3 * 3600)));
        assert_eq!(exhausted(&quotas, &vec![at(181); 299], NOW), None);
        assert_eq!(exhausted(&quotas, &vec![at(181); 300], NOW), Some(at(181) + Duration::from_secs(86_400)));
        assert_eq!(failed_too_often(&[at(50), at(40), at(30)], NOW), None);
        assert_eq!(
            failed_too_often(&[at(70), at(50), at(40), at(30), at(1)], NOW),
            Some(at(50) + Duration::from_secs(3600))
        );
    }
}
