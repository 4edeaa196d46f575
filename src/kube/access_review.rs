//! Asks the API server what it allows in a namespace: one SelfSubjectRulesReview. Where an authorizer of the cluster can not list its rules
//! (that of nodes says so in most clusters), SelfSubjectAccessReviews follow for what the rules did not show.

use serde_json::json;

use super::client::{KubeClient, KubeError};
use super::rbac::{GrantedRules, Names, SOURCE_VERBS_SENT};
use super::resource::Resource;
use crate::base::limits::ACCESS_REVIEWS_MAX;

/// The rules that the authorizers list for `namespace`.
///
/// # Errors
/// When there is no answer.
pub fn rules(client: &KubeClient, namespace: &str) -> Result<GrantedRules, KubeError> {
    Ok(GrantedRules::read(&client.review(Resource::RULES_REVIEWS, &json!({ "namespace": namespace }))?["status"]))
}

/// Completes rules that are incomplete: asks for what is missing for these objects, for all names at once and then for each name. Then the
/// rules are marked complete, unless there are more questions than [`ACCESS_REVIEWS_MAX`]: a request that was not asked for counts as
/// allowed, and tells when it is sent.
///
/// # Errors
/// When there is no answer.
pub fn complete(
    client: &KubeClient,
    namespace: &str,
    rules: &mut GrantedRules,
    names: &Names,
) -> Result<(), KubeError> {
    if !rules.incomplete {
        return Ok(());
    }
    let mut left = ACCESS_REVIEWS_MAX;
    for missing in rules.clone().missing(names) {
        let mut ask = |name: Option<&str>| {
            if left == 0 {
                return Ok(true);
            }
            left -= 1;
            is_allowed(client, namespace, missing.rule.verb, missing.rule.resource, name)
        };
        if ask(None)? {
            rules.add(missing.rule, None);
            continue;
        }
        for name in &missing.names {
            if ask(Some(name))? {
                rules.add(missing.rule, Some(name));
            }
        }
    }
    rules.incomplete = left == 0;
    Ok(())
}

/// The verbs that are missing to read the objects of a kind in the whole cluster. A review of rules can not say it, because it is about one
/// namespace.
///
/// # Errors
/// When there is no answer.
pub fn missing_in_cluster(client: &KubeClient, resource: Resource) -> Result<Vec<&'static str>, KubeError> {
    let mut missing = Vec::new();
    for verb in SOURCE_VERBS_SENT {
        if !is_allowed(client, "", verb, resource, None)? {
            missing.push(verb);
        }
    }
    Ok(missing)
}

/// Whether a verb is allowed. An empty namespace stands for all of them.
fn is_allowed(
    client: &KubeClient,
    namespace: &str,
    verb: &str,
    resource: Resource,
    name: Option<&str>,
) -> Result<bool, KubeError> {
    let attributes = json!({
        "namespace": namespace, "verb": verb, "group": resource.group, "resource": resource.plural,
        "name": name.unwrap_or_default(),
    });
    let answer = client.review(Resource::ACCESS_REVIEWS, &json!({ "resourceAttributes": attributes }))?;
    Ok(answer["status"]["allowed"] == true)
}
