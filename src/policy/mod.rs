//! The decision about one entry: an ordered table of checks on each of its Secrets, then waits and caps. Pure.
//!
//! Input: the entry, the Secrets, the record, the time. The first check that fails gives the reason; it appears under
//! its name in log, Event, metric and status.

pub mod backoff;
pub mod ca_limits;
pub mod checks;
pub mod circuit;
mod input;
pub mod name_ranges;
pub mod order_index;
pub mod prune;
pub mod renewal;
pub mod renewal_window;
mod renewal_wish;
pub mod retention;
pub mod revocation;
pub mod secret_state;
mod violation;
mod warnings;

use std::fmt;

pub use crate::acme::directory::Directory;
use crate::acme::directory::is_staging;
use crate::base::clock::{happened, holds};
use crate::base::limits::{CLOCK_TOLERANCE, RESTORES_MAX, RESTORES_WINDOW, WAIT_MAX};
use crate::base::name::Domain;
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::cert::request::is_word;
use crate::config::entry::order_names;
use crate::record::PendingOrder;
use backoff::capped;
pub use checks::is_abandoned;
use checks::{check, check_ready};
pub use input::EvaluationInput;
use input::renewal_time_of;
pub use renewal_wish::RenewalWish;
use secret_state::{Owner, SecretState};
pub use violation::{Reason, Violation};
use warnings::warnings;

/// The reason for a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The last attempt failed.
    BackingOff,
    /// Too many orders of this name set within a week.
    Capped,
    /// Too many orders for the namespace within a week.
    NamespaceCapped,
    /// Another writer overwrites the Secret again and again.
    Contested,
    /// The CA, or the quota of its issuer, allows no order now.
    RateLimited,
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The source of the pair for a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreFrom {
    /// The record's copy.
    Copy,
    /// Another Secret of the same entry, by its index.
    Sibling(usize),
}

/// The action for an entry. `targets` are the indices of the Secrets to write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// No action before `until`.
    Keep {
        /// The time of renewal.
        until: Time,
    },
    /// A violation that has to wait.
    Wait {
        /// The violation.
        finding: Violation,
        /// The reason for the wait.
        waiting: WaitReason,
        /// The end of the wait.
        until: Time,
    },
    /// A violation that is left to a person.
    Refuse {
        /// The violation.
        finding: Violation,
    },
    /// Write a pair that exists.
    Restore {
        /// The violation.
        finding: Violation,
        /// The source of the pair.
        source: RestoreFrom,
        /// The Secrets to write.
        targets: Vec<usize>,
    },
    /// Obtain a certificate.
    Issue {
        /// The violation.
        finding: Violation,
        /// The Secrets to write.
        targets: Vec<usize>,
        /// True if the order counts against the cap.
        counted: bool,
        /// Only these of the wanted names, because an order for all of them fails.
        names: Option<Vec<Domain>>,
    },
}

/// A decision with its remarks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Evaluation {
    /// The action.
    pub decision: Decision,
    /// Secrets of the entry that are left alone, by their index.
    pub refused: Vec<(usize, Violation)>,
    /// Sentences for a person.
    pub warnings: Vec<String>,
    /// The first time at which the held certificate is revoked without another one in its place.
    pub revocation: Option<Time>,
}

/// Decides about one entry.
pub fn evaluate(input: &EvaluationInput<'_>) -> Evaluation {
    let found: Vec<Option<Violation>> = input.secrets.iter().map(|secret| check(input, secret)).collect();
    let (mut refused, mut usable) = (Vec::new(), Vec::new());
    for (place, finding) in found.iter().enumerate() {
        match finding {
            Some(f) if f.reason.is_refusal() => refused.push((place, f.clone())),
            Some(_) | None => usable.push(place),
        }
    }
    let warnings = warnings(input, &usable);
    let decision = match usable.first() {
        None => Decision::Refuse { finding: refused[0].1.clone() },
        Some(first) => decide(input, &found, &usable, *first),
    };
    let revocation = usable.first().and_then(|first| revocation::due(input, &input.secrets[*first]));
    Evaluation { decision, refused, warnings, revocation }
}

/// The first reason why a Secret of the entry does not serve what is wanted now; `None` when all do.
pub fn unready(input: &EvaluationInput<'_>) -> Option<Violation> {
    input.secrets.iter().find_map(|held| check_ready(input, held))
}

/// Decides over the Secrets that are ours to write; there is at least one.
fn decide(input: &EvaluationInput<'_>, found: &[Option<Violation>], usable: &[usize], first: usize) -> Decision {
    if let Some(finding) = revocation::kept(input, &input.secrets[first], found[first].as_ref()) {
        return Decision::Refuse { finding };
    }
    // Asked for at one of its Secrets, a renewal is for the certificate.
    if let Some(asked) = usable
        .iter()
        .filter_map(|p| found[*p].as_ref())
        .find(|f| matches!(f.reason, Reason::RenewalRequested | Reason::Revoked))
    {
        return issue(input, asked.clone(), usable, first);
    }
    let sound = |place: &&usize| found[**place].is_none();
    let best = usable.iter().filter(sound).max_by_key(|p| preference(input, **p)).copied();
    if let Some(best) = best {
        // All Secrets of an entry hold one certificate: the others get the best one.
        let print = |place: usize| facts_of(&input.secrets[place]).map(|f| &f.fingerprint);
        let targets: Vec<usize> = usable.iter().copied().filter(|p| print(*p) != print(best)).collect();
        let Some(target) = targets.first() else {
            return Decision::Keep { until: due(input, best) };
        };
        let finding = found[*target].clone().unwrap_or_else(|| {
            let detail = format!("it holds another certificate than {}", input.entry.secrets[best]);
            Violation { reason: Reason::KeyMismatch, detail }.written_by(&input.secrets[*target])
        });
        return restore(input, finding, RestoreFrom::Sibling(best), targets);
    }
    let finding = found[first].clone().expect("no usable Secret is sound");
    let all_restorable = usable.iter().all(|p| found[*p].as_ref().is_some_and(|f| f.reason.is_restorable()));
    if all_restorable && input.copy.is_some_and(|copy| serves(copy, input)) {
        return restore(input, finding, RestoreFrom::Copy, usable.to_vec());
    }
    issue(input, finding, usable, first)
}

/// The order of several sound Secrets, of which the best is copied to the others: the one with the certificate stored
/// last, then one from the wanted directory, then the one that lasts longest. Otherwise a writer of one Secret could
/// spread a long-lived certificate of their own.
fn preference(input: &EvaluationInput<'_>, place: usize) -> (bool, bool, Option<Time>) {
    let SecretState::Present(present) = &input.secrets[place] else { return (false, false, None) };
    let facts = present.pair.facts();
    let stored = input.record.stored.as_ref().map(|s| &s.serial);
    let is_stored = stored.is_some() && stored == facts.map(|f| &f.serial);
    let is_ours = present.owner == Owner::Us && present.directory.as_deref() == Some(input.directory.url());
    (is_stored, is_ours, facts.map(|f| f.not_after))
}

fn restore(input: &EvaluationInput<'_>, finding: Violation, source: RestoreFrom, targets: Vec<usize>) -> Decision {
    let recent: Vec<Time> = input
        .record
        .restores
        .iter()
        .copied()
        .filter(|t| *t + RESTORES_WINDOW > input.now && happened(*t, input.now))
        .collect();
    match recent.iter().max() {
        Some(last) if recent.len() >= RESTORES_MAX => {
            Decision::Wait { finding, waiting: WaitReason::Contested, until: *last + RESTORES_WINDOW / 3 }
        }
        Some(_) | None => Decision::Restore { finding, source, targets },
    }
}

fn issue(input: &EvaluationInput<'_>, finding: Violation, usable: &[usize], first: usize) -> Decision {
    if let Some(detail) = downgrade(input, usable).or_else(|| blocked(input)) {
        return Decision::Refuse {
            finding: Violation { reason: finding.reason, detail: format!("{}; {detail}", finding.detail) },
        };
    }
    let names = input.entry.order_names();
    let counted = !is_regular_renewal(input, &finding, first);
    let forced = usable.iter().any(|place| is_forced(&input.secrets[*place])) || is_forced_by_record(input, &names);
    let limit = input.record.history(&names, input.directory.url()).filter(|history| history.limited);
    let backing = if limit.is_some() { WaitReason::RateLimited } else { WaitReason::BackingOff };
    let wait = backing_off(input, &names).map(|until| (backing, until));
    let wait = wait.or_else(|| {
        let cap_holds = counted && !forced && !pending(input, &names).is_some_and(|order| order.counted);
        let capped = capped(input.orders_of(&names), input.now).filter(|_| cap_holds);
        capped.map(|until| (WaitReason::Capped, until))
    });
    // Not even `-force` overrides it: the annotation is on a Secret that the namespace may write.
    let wait = wait.or_else(|| {
        let is_new = |_: &Time| counted && is_first(input, &names);
        input.week_is_full.filter(is_new).map(|until| (WaitReason::NamespaceCapped, until))
    });
    if let Some((waiting, until)) = wait {
        return match partial(input, &finding, first) {
            Some(names) => Decision::Issue { finding, targets: usable.to_vec(), counted: true, names: Some(names) },
            None => {
                let words = match waiting {
                    WaitReason::NamespaceCapped => Some(WEEK_IS_FULL),
                    _ => limit.and_then(|history| history.error.as_deref()),
                };
                Decision::Wait { finding: finding.with(words), waiting, until }
            }
        };
    }
    if let Some(closed) = input.closed.filter(|_| pending(input, &names).is_none()) {
        let finding = finding.with(Some(&closed.said));
        return Decision::Wait { finding, waiting: WaitReason::RateLimited, until: closed.until };
    }
    Decision::Issue { finding, targets: usable.to_vec(), counted, names: None }
}

/// Why there is no order for the key of a CSR that is known to others.
pub const NEW_CSR: &str =
    "the key of the csr was revoked as compromised, so that no certificate is ordered for it: give a new csr";

/// Why an order for a namespace waits.
const WEEK_IS_FULL: &str = "its namespace had as many orders within a week as `certificatesPerWeek` allows";

fn is_first(input: &EvaluationInput<'_>, names: &[Domain]) -> bool {
    input.record.is_first(names, input.directory.url(), (input.entry.key_word(), input.profile))
}

/// The pending order of these names. The CA's limits concern new orders only; a counted one may only have to be downloaded.
fn pending<'a>(input: &EvaluationInput<'a>, names: &[Domain]) -> Option<&'a PendingOrder> {
    let is_for = |order: &PendingOrder| {
        order.is_for(names, input.directory.url(), input.entry.key_word(), input.profile) && order.order.is_some()
    };
    input.record.in_flight.as_deref().filter(|order| is_for(order))
}

/// The end of the wait after a failed order of these names. A change of the inputs ends the wait at once. An attempt in the future was made by
/// a clock that was ahead, and its wait would be as much too long.
fn backing_off(input: &EvaluationInput<'_>, names: &[Domain]) -> Option<Time> {
    let history = input.record.history(names, input.directory.url())?;
    let is_credible = history.last_attempt <= input.now + CLOCK_TOLERANCE && history.inputs == input.inputs;
    history.next_attempt.filter(|next| is_credible && holds(*next, WAIT_MAX, input.now))
}

/// Tells whether `notariat renew -force` asked for the renewal, which overrides the cap.
pub fn is_forced(secret: &SecretState) -> bool {
    matches!(secret, SecretState::Present(p) if p.renewal_asked.as_ref().is_some_and(|asked| asked.ends_with(FORCE)))
}

/// Tells whether `notariat renew -force` asked where there is no Secret. The request stays in the record, and counts for one order: the first
/// after its time.
fn is_forced_by_record(input: &EvaluationInput<'_>, names: &[Domain]) -> bool {
    let asked = input.record.asked.as_deref().and_then(|asked| Time::parse_rfc3339(asked.strip_suffix(FORCE)?));
    let last = input.orders_of(names).iter().max();
    asked.is_some_and(|asked| happened(asked, input.now) && last.is_none_or(|last| *last < asked))
}

/// The end of the annotation's value that `notariat renew -force` writes.
pub const FORCE: &str = " force";

/// The wanted names of the held certificate, when it is due and orders for all wanted names fail. Renewing these alone
/// keeps working names working, once per renewal: afterwards the certificate is not due.
fn partial(input: &EvaluationInput<'_>, finding: &Violation, first: usize) -> Option<Vec<Domain>> {
    // The names of an order are exactly those of its CSR.
    let is_possible = finding.reason == Reason::NameMissing && input.entry.csr.is_none();
    let facts = facts_of(&input.secrets[first]).filter(|_| is_possible)?;
    if input.now < renewal_time_of(input, facts).at || input.closed.is_some() {
        return None;
    }
    let names: Vec<Domain> = input.entry.domains.iter().filter(|d| facts.covers(d)).cloned().collect();
    let order = order_names(&names);
    (!names.is_empty() && backing_off(input, &order).is_none() && capped(input.orders_of(&order), input.now).is_none())
        .then_some(names)
}

/// Tells whether the order is a renewal of the certificate stored last, at a third of its lifetime or later. Such an order
/// cannot be a loop and does not count against the cap. Neither does one after its expiry: outages must not use up the
/// orders of a week where certificates live for hours. To a clock that is ahead each new certificate has expired, so
/// that then the third counts from the time of storing, by the same clock.
fn is_regular_renewal(input: &EvaluationInput<'_>, finding: &Violation, first: usize) -> bool {
    let stored = input.record.stored.as_ref();
    let Some((facts, stored)) = facts_of(&input.secrets[first]).zip(stored).filter(|(f, s)| f.serial == s.serial)
    else {
        return false;
    };
    let since = match finding.reason {
        Reason::RenewalDue => facts.not_before,
        Reason::Expired => facts.not_before.max(stored.at),
        _ => return false,
    };
    input.now >= since + facts.lifetime() / 3
}

/// The fault of ordering for a key that is known to others. Before that, an attempt revokes the certificate.
fn blocked(input: &EvaluationInput<'_>) -> Option<String> {
    let is_revoked = input.csr_is_compromised() && input.record.to_revoke.iter().all(|to_revoke| to_revoke.done);
    is_revoked.then(|| NEW_CSR.to_owned())
}

/// The fault of replacing a publicly trusted certificate by one of a staging directory. Only a request at this Secret
/// allows it.
fn downgrade(input: &EvaluationInput<'_>, usable: &[usize]) -> Option<String> {
    if !input.directory.is_staging() {
        return None;
    }
    usable.iter().find_map(|place| {
        let SecretState::Present(present) = &input.secrets[*place] else { return None };
        let facts = present.pair.facts().filter(|f| input.now < f.not_after)?;
        let held_staging = match &present.directory {
            Some(directory) => is_staging(directory),
            None => facts.is_staging(),
        };
        let replaceable = held_staging || present.renewal_asked.is_some();
        (!replaceable).then(|| {
            format!(
                "it holds a certificate of {} that is valid until {}, and the directory {} is one for tests: give the right one with -acme",
                present.directory.as_deref().unwrap_or("another CA"),
                facts.not_after,
                input.directory.url()
            )
        })
    })
}

fn facts_of(secret: &SecretState) -> Option<&CertificateFacts> {
    secret.facts().map(|facts| &**facts)
}

fn serves(facts: &CertificateFacts, input: &EvaluationInput<'_>) -> bool {
    let fits = match &input.entry.csr {
        Some(csr) => facts.fits(csr.public_key()) && !input.csr_is_compromised(),
        // The copy of a CSR's certificate has no key.
        None => !input.record.stored.as_ref().is_some_and(|stored| is_word(&stored.key_type)),
    };
    let is_good = fits && !input.record.is_revoked(&facts.serial);
    is_good && input.now < facts.not_after && input.entry.domains.iter().all(|d| facts.covers(d))
}

fn due(input: &EvaluationInput<'_>, place: usize) -> Time {
    let facts = facts_of(&input.secrets[place]).expect("a sound Secret has facts");
    let usual = renewal_time_of(input, facts).at;
    input.renewal_wished(facts).map_or(usual, |wished| wished.min(usual))
}

#[cfg(test)]
mod tests;
