//! The judgement of the rules about the names of a claim, and the sentences for it. Pure.

use std::collections::BTreeSet;

use super::claim::{ObjectClaim, Rules};
use crate::base::limits::NAMES_SHOWN_MAX;
use crate::base::name::Domain;
use crate::sources::wish::{ObjectKey, WishOptions, WishProblem, WishReason};

/// A problem of a claim.
pub(super) fn problem(claim: &ObjectClaim, reason: WishReason, sentence: String) -> (ObjectKey, WishProblem) {
    (claim.object.clone(), WishProblem { reason, place: claim.wish.place.clone(), sentence })
}

/// The first names of a list, and how many more there are.
pub(super) fn shown<T: ToString>(names: &[T]) -> String {
    let first: Vec<String> = names.iter().take(NAMES_SHOWN_MAX).map(ToString::to_string).collect();
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Splits the names of a claim into those that the rules allow and those that they refuse, each with its sentence.
pub(super) fn judged<'c>(
    claim: &'c ObjectClaim,
    options: &WishOptions,
    rules: &Rules<'_>,
) -> (BTreeSet<&'c Domain>, Vec<(&'c Domain, String)>) {
    let (mut names, mut refused) = (BTreeSet::new(), Vec::new());
    for (name, namespaces) in &claim.wish.names {
        let fault = namespaces.iter().find_map(|namespace| (rules.name)(namespace, name).err());
        match fault.or_else(|| (rules.issuer)(options, name).err()) {
            None => drop(names.insert(name)),
            Some(sentence) => refused.push((name, sentence)),
        }
    }
    (names, refused)
}

/// The sentence about refused names: why the first one is, and which others are.
pub(super) fn refusal(refused: &[(&Domain, String)]) -> Option<String> {
    let ((_, first), others) = refused.split_first()?;
    let others: Vec<&Domain> = others.iter().map(|(name, _)| *name).collect();
    Some(match others.is_empty() {
        true => first.clone(),
        false => format!("{first}; refused, too: {}", shown(&others)),
    })
}
