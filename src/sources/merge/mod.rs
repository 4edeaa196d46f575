//! Merges what several objects want in one Secret into one certificate. Pure.
//!
//! The result depends on the wishes alone, never on the order of lists, on ages or on uids: a sorted union of names, and the options of the
//! first object by kind and name. An entry of the configuration decides about its Secret alone.

mod claim;
mod resource;
mod sentences;

use std::collections::{BTreeMap, BTreeSet};

use super::SourceRef;
use super::wish::{ObjectKey, WishOptions, WishProblem, WishReason};
use crate::base::limits::DOMAINS_MAX;
use crate::base::name::{Domain, ObjectRef};
use crate::config::entry::Entry;
pub use claim::{Merged, MergedWish, ObjectClaim, Rules};
use sentences::{judged, problem, refusal, shown};

/// A claim of which something is served.
struct ServedClaim<'c> {
    claim: &'c ObjectClaim,
    options: WishOptions,
    names: BTreeSet<&'c Domain>,
}

/// Merges the claims for `secret`, which are sorted by object. `entry` is the entry of the configuration for the Secret, and `held` are the
/// names of the certificate in it: above [`DOMAINS_MAX`] they go first.
pub fn merge(
    secret: &ObjectRef,
    claims: &[ObjectClaim],
    entry: Option<&Entry>,
    held: &[Domain],
    rules: &Rules<'_>,
) -> Merged {
    let mut merged = Merged::default();
    if let Some(entry) = entry {
        for claim in claims {
            merged.problems.extend(beside(claim, entry));
        }
        return merged;
    }
    if let Some(merged) = resource::oldest(secret, claims, rules) {
        return merged;
    }
    let mut accepted: Vec<ServedClaim<'_>> = Vec::new();
    let mut refused: Vec<(&ObjectClaim, Vec<(&Domain, String)>)> = Vec::new();
    for claim in claims {
        let mut refuse = |sentence| merged.problems.push(problem(claim, WishReason::Refused, sentence));
        if let Err(sentence) = (rules.secret)(secret) {
            refuse(format!("the Secret {secret} {sentence}"));
            continue;
        }
        let options = match (rules.options)(&claim.source.object().place(), &claim.wish.options) {
            Ok(options) => options,
            Err(sentence) => {
                refuse(sentence);
                continue;
            }
        };
        // The issuer of the first object serves all.
        let issuer = accepted.first().map_or(&options, |first| &first.options);
        let (names, others) = judged(claim, issuer, rules);
        if !others.is_empty() {
            refused.push((claim, others));
        }
        if !names.is_empty() {
            accepted.push(ServedClaim { claim, options, names });
        }
    }
    for (claim, mut names) in refused {
        // Another wish of the same object may have what this one has not.
        let own = |other: &&ServedClaim<'_>| other.claim.object == claim.object;
        names.retain(|(name, _)| !accepted.iter().filter(own).any(|other| other.names.contains(name)));
        merged.problems.extend(refusal(&names).map(|sentence| problem(claim, WishReason::Refused, sentence)));
    }
    let Some(first) = accepted.first() else { return merged };
    let (options, source) = (first.options.clone(), first.claim.source.clone());
    for other in accepted[1..].iter().filter(|other| other.claim.object != first.claim.object) {
        if let Some(sentence) = other_options(other, &options, &source) {
            merged.problems.push(problem(other.claim, WishReason::Conflict, sentence));
        }
    }
    for (claim, sentence) in bound(&mut accepted, held) {
        merged.problems.push(problem(claim, WishReason::Refused, sentence));
    }
    accepted.retain(|other| !other.names.is_empty());
    let names: BTreeSet<&Domain> = accepted.iter().flat_map(|other| other.names.iter().copied()).collect();
    let mut objects: Vec<ObjectKey> = accepted.iter().map(|other| other.claim.object.clone()).collect();
    objects.dedup();
    merged.wanted = Some(MergedWish {
        names: names.into_iter().cloned().collect(),
        options,
        adopt: accepted.iter().any(|other| other.claim.wish.adopt),
        source,
        objects,
    });
    merged
}

/// The conflict of a claim with the entry that fills its Secret. A claim whose names the entry has is silent.
fn beside(claim: &ObjectClaim, entry: &Entry) -> Option<(ObjectKey, WishProblem)> {
    let is_served = |name: &Domain| entry.domains.iter().any(|served| served.covers(name));
    let lacking: Vec<&Domain> = claim.wish.names.keys().filter(|name| !is_served(name)).collect();
    if lacking.is_empty() {
        return None;
    }
    let sentence = format!(
        "the configuration has an entry for the Secret {}, which decides alone and lacks {}: add the names there, or name another Secret",
        entry.main_secret(),
        shown(&lacking)
    );
    Some(problem(claim, WishReason::Conflict, sentence))
}

/// The options of a claim that the first object has otherwise.
fn other_options(other: &ServedClaim<'_>, first: &WishOptions, source: &SourceRef) -> Option<String> {
    let own = &other.claim.wish.options;
    let differ = [
        ("issuer", own.issuer.is_some() && other.options.issuer != first.issuer),
        ("key type", own.key_type.is_some() && own.key_type != first.key_type),
        ("preferred chain", own.preferred_chain.is_some() && own.preferred_chain != first.preferred_chain),
        ("time of the renewal", own.renew_before.is_some() && own.renew_before != first.renew_before),
        ("proof by http-01", own.http_without_key && !first.http_without_key),
        ("labels", !own.labels.is_empty() && own.labels != first.labels),
        ("annotations", !own.annotations.is_empty() && own.annotations != first.annotations),
    ];
    let differ: Vec<&str> = differ.into_iter().filter(|(_, is)| *is).map(|(option, _)| option).collect();
    (!differ.is_empty()).then(|| {
        format!(
            "{source} fills the same Secret and comes first, so that its options count; these of this object do not: {}",
            differ.join(", ")
        )
    })
}

/// Takes away the names above [`DOMAINS_MAX`]. Names that are held go first, then those of the first objects. Returns the sentence for each
/// claim that lost names.
fn bound<'c>(accepted: &mut [ServedClaim<'c>], held: &[Domain]) -> Vec<(&'c ObjectClaim, String)> {
    let held: BTreeSet<&Domain> = held.iter().collect();
    let mut ranks: BTreeMap<&Domain, (bool, usize)> = BTreeMap::new();
    for (place, ServedClaim { names, .. }) in accepted.iter().enumerate() {
        for name in names {
            ranks.entry(name).or_insert((!held.contains(name), place));
        }
    }
    if ranks.len() <= DOMAINS_MAX {
        return Vec::new();
    }
    let mut order: Vec<((bool, usize), &Domain)> = ranks.into_iter().map(|(name, rank)| (rank, name)).collect();
    order.sort();
    let lost: BTreeSet<&Domain> = order.drain(DOMAINS_MAX..).map(|(_, name)| name).collect();
    let mut said = Vec::new();
    for ServedClaim { claim, names, .. } in accepted {
        let own: Vec<&Domain> = names.iter().copied().filter(|name| lost.contains(name)).collect();
        if own.is_empty() {
            continue;
        }
        names.retain(|name| !lost.contains(name));
        let sentence = format!(
            "CAs allow {DOMAINS_MAX} names in one certificate, and more are wanted in the Secret {}; left out: {}",
            claim.wish.secret,
            shown(&own)
        );
        said.push((*claim, sentence));
    }
    said
}

#[cfg(test)]
mod tests;
