//! Merges what several objects want in one Secret into one certificate. Pure.
//!
//! The result depends on the wishes alone, never on the order of lists, on ages or on uids: a sorted union of names, and the options of the
//! first object by kind and name. An entry of the configuration decides about its Secret alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::SourceRef;
use super::wish::{ObjectKey, Wish, WishOptions, WishProblem, WishReason};
use crate::base::limits::{DOMAINS_MAX, NAMES_SHOWN_MAX};
use crate::base::name::{Domain, ObjectRef};
use crate::config::entry::Entry;

/// The wish of one object for the Secret.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The object.
    pub object: ObjectKey,
    /// The reference to the object.
    pub source: SourceRef,
    /// The wish.
    pub wish: Arc<Wish>,
}

/// The rules that a merge asks; each refusal is a sentence.
pub struct Rules<'a> {
    /// Whether the Secrets of a namespace may be written.
    pub secret: &'a dyn Fn(&ObjectRef) -> Result<(), String>,
    /// Whether an object of this namespace may have a name.
    pub name: &'a dyn Fn(&str, &Domain) -> Result<(), String>,
    /// Whether an object of this namespace may have these options.
    pub options: &'a dyn Fn(&str, &WishOptions) -> Result<(), String>,
}

/// What is served of the claims for one Secret.
#[derive(Debug, Default)]
pub struct Merged {
    /// The wanted certificate; none where nothing is left.
    pub wanted: Option<MergedWish>,
    /// What is not served, by object.
    pub problems: Vec<(ObjectKey, WishProblem)>,
}

/// One certificate that objects want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedWish {
    /// The names, sorted, each once; at least one.
    pub names: Vec<Domain>,
    /// The options of the first object.
    pub options: WishOptions,
    /// Whether a Secret that nobody owns, or another program, is taken over.
    pub adopt: bool,
    /// The first object.
    pub source: SourceRef,
    /// The objects whose names are in it, in their order.
    pub objects: Vec<ObjectKey>,
}

/// Merges the claims for `secret`, which are sorted by object. `entry` is the entry of the configuration for the Secret, and `held` are the
/// names of the certificate in it: above [`DOMAINS_MAX`] they go first.
pub fn merge(
    secret: &ObjectRef,
    claims: &[Claim],
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
    let mut accepted: Vec<(&Claim, BTreeSet<&Domain>)> = Vec::new();
    for claim in claims {
        let mut refuse = |sentence| merged.problems.push(problem(claim, WishReason::Refused, sentence));
        if let Err(sentence) = (rules.secret)(secret) {
            refuse(format!("the Secret {secret} {sentence}"));
            continue;
        }
        if let Err(sentence) = (rules.options)(claim.source.namespace(), &claim.wish.options) {
            refuse(sentence);
            continue;
        }
        let (names, refused) = judged(claim, rules);
        if let Some(sentence) = refused {
            refuse(sentence);
        }
        if !names.is_empty() {
            accepted.push((claim, names));
        }
    }
    let Some((first, _)) = accepted.first() else { return merged };
    let (options, source) = (first.wish.options.clone(), first.source.clone());
    for (claim, _) in &accepted[1..] {
        if let Some(sentence) = other_options(&claim.wish.options, &options, &source) {
            merged.problems.push(problem(claim, WishReason::Conflict, sentence));
        }
    }
    for (claim, left_out) in bound(&mut accepted, held) {
        merged.problems.push(problem(claim, WishReason::Refused, left_out));
    }
    accepted.retain(|(_, names)| !names.is_empty());
    let names: BTreeSet<&Domain> = accepted.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let mut objects: Vec<ObjectKey> = accepted.iter().map(|(claim, _)| claim.object.clone()).collect();
    objects.dedup();
    merged.wanted = Some(MergedWish {
        names: names.into_iter().cloned().collect(),
        options,
        adopt: accepted.iter().any(|(claim, _)| claim.wish.adopt),
        source,
        objects,
    });
    merged
}

fn problem(claim: &Claim, reason: WishReason, sentence: String) -> (ObjectKey, WishProblem) {
    (claim.object.clone(), WishProblem { reason, place: claim.wish.place.clone(), sentence })
}

/// The first names of a list, and how many more there are.
fn shown<T: ToString>(names: &[T]) -> String {
    let first: Vec<String> = names.iter().take(NAMES_SHOWN_MAX).map(ToString::to_string).collect();
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The conflict of a claim with the entry that fills its Secret. A claim whose names the entry has is silent.
fn beside(claim: &Claim, entry: &Entry) -> Option<(ObjectKey, WishProblem)> {
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

/// The names of a claim that the rules allow, and the sentence about the others.
fn judged<'c>(claim: &'c Claim, rules: &Rules<'_>) -> (BTreeSet<&'c Domain>, Option<String>) {
    let (mut names, mut first, mut others) = (BTreeSet::new(), None, Vec::new());
    for (name, namespaces) in &claim.wish.names {
        match namespaces.iter().find_map(|namespace| (rules.name)(namespace, name).err()) {
            None => drop(names.insert(name)),
            Some(sentence) if first.is_none() => first = Some(sentence),
            Some(_) => others.push(name),
        }
    }
    let sentence = first.map(|first| match others.is_empty() {
        true => first,
        false => format!("{first}; refused are {}, too", shown(&others)),
    });
    (names, sentence)
}

/// The options of a claim that the first object has otherwise.
fn other_options(own: &WishOptions, first: &WishOptions, source: &SourceRef) -> Option<String> {
    let differ = [
        ("issuer", own.issuer.is_some() && own.issuer != first.issuer),
        ("key type", own.key_type.is_some() && own.key_type != first.key_type),
        ("preferred chain", own.preferred_chain.is_some() && own.preferred_chain != first.preferred_chain),
        ("time of the renewal", own.renew_before.is_some() && own.renew_before != first.renew_before),
        ("labels", !own.labels.is_empty() && own.labels != first.labels),
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
fn bound<'c>(accepted: &mut [(&'c Claim, BTreeSet<&Domain>)], held: &[Domain]) -> Vec<(&'c Claim, String)> {
    let held: BTreeSet<&Domain> = held.iter().collect();
    let mut ranks: BTreeMap<&Domain, (bool, usize)> = BTreeMap::new();
    for (place, (_, names)) in accepted.iter().enumerate() {
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
    for (claim, names) in accepted {
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
