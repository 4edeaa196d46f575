//! The certificate of one resource: several never share a Secret. Pure.

use super::claim::{Merged, MergedWish, ObjectClaim, Rules};
use super::sentences::{judged, problem, refusal, shown};
use crate::base::name::{Domain, ObjectRef};
use crate::base::time::Time;
use crate::sources::wish::WishReason;

/// Serves the oldest resource among the claims for `secret`, of equally old ones the first by namespace and name. All others are told.
pub(super) fn oldest(secret: &ObjectRef, claims: &[ObjectClaim], rules: &Rules<'_>) -> Option<Merged> {
    let age = |claim: &&ObjectClaim| {
        let resource = claim.wish.options.resource.as_ref()?;
        Some((resource.created.map_or(i64::MAX, Time::unix), claim.object.clone()))
    };
    let first = claims.iter().filter(|claim| age(claim).is_some()).min_by_key(age)?;
    let mut merged = Merged::default();
    let others = claims.iter().filter(|claim| claim.object != first.object);
    merged.problems.extend(others.filter_map(|claim| {
        let sentence = beside(secret, claim, first)?;
        Some(problem(claim, WishReason::Conflict, sentence))
    }));
    match served(secret, first, rules) {
        Ok(wanted) => merged.wanted = Some(wanted),
        Err((reason, sentence)) => {
            merged.problems.push(problem(first, reason, sentence));
            merged.goes_on = Some((first.object.clone(), first.source.clone()));
        }
    }
    Some(merged)
}

/// The certificate of a resource, with all its names.
///
/// # Errors
/// Why it is not served now.
fn served(secret: &ObjectRef, claim: &ObjectClaim, rules: &Rules<'_>) -> Result<MergedWish, (WishReason, String)> {
    let refused = |sentence| (WishReason::Refused, sentence);
    (rules.secret)(secret).map_err(|sentence| refused(format!("the Secret {secret} {sentence}")))?;
    let resource = claim.wish.options.resource.as_deref();
    if let Some(Err(problem)) = resource.map(|resource| &resource.issuer) {
        return Err((problem.reason, problem.sentence.clone()));
    }
    let options = (rules.options)(&claim.source.object().place(), &claim.wish.options).map_err(refused)?;
    let (names, others) = judged(claim, &options, rules);
    match refusal(&others) {
        Some(sentence) => Err(refused(sentence)),
        None => Ok(MergedWish {
            names: names.into_iter().cloned().collect(),
            options,
            adopt: claim.wish.adopt,
            source: claim.source.clone(),
            objects: vec![claim.object.clone()],
        }),
    }
}

/// The sentence for a claim beside the resource that has the Secret. An object of another kind whose names the resource has is silent: the
/// tools that make a Certificate for an Ingress let both name one Secret.
fn beside(secret: &ObjectRef, claim: &ObjectClaim, first: &ObjectClaim) -> Option<String> {
    if claim.wish.options.resource.is_some() {
        return Some(format!(
            "{} is older and fills the Secret {secret}, which can hold one certificate: name another Secret",
            first.source
        ));
    }
    let is_served = |name: &Domain| first.wish.names.keys().any(|served| served.covers(name));
    let lacking: Vec<&Domain> = claim.wish.names.keys().filter(|name| !is_served(name)).collect();
    (!lacking.is_empty()).then(|| {
        format!(
            "{} fills the Secret {secret} alone and lacks {}: add the names there, or name another Secret",
            first.source,
            shown(&lacking)
        )
    })
}

#[cfg(test)]
mod tests;
