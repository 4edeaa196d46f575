//! Asks the API server what it allows in a namespace: one SelfSubjectRulesReview. Where an authorizer of the cluster can not list its rules
//! (that of nodes says so in most clusters), SelfSubjectAccessReviews follow for what the rules did not show.

use serde_json::{Value, json};

use super::client::{KubeClient, KubeError};
use super::rbac::{GrantedRules, Names, SOURCE_VERBS, SOURCE_VERBS_SENT};
use super::resource::Resource;
use crate::base::limits::ACCESS_REVIEWS_MAX;

/// The rules that the authorizers list for `namespace`.
///
/// # Errors
/// When there is no answer.
pub fn rules(client: &KubeClient, namespace: &str) -> Result<GrantedRules, KubeError> {
    let answer = client.review(Resource::RULES_REVIEWS, &json!({ "namespace": namespace }))?;
    Ok(GrantedRules::read(answer.get("status").unwrap_or(&Value::Null)))
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
            let Some(rest) = left.checked_sub(1) else { return Ok(true) };
            left = rest;
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

/// The verbs that are missing to read the objects of a kind in one namespace, and to write their statuses, each with the resource.
///
/// # Errors
/// When there is no answer.
pub fn missing_in_namespace(
    client: &KubeClient,
    namespace: &str,
    resource: Resource,
) -> Result<Vec<(&'static str, String)>, KubeError> {
    let mut missing = Vec::new();
    for verb in SOURCE_VERBS {
        if !is_allowed(client, namespace, verb, resource, None)? {
            missing.push((verb, resource.plural.to_owned()));
        }
    }
    if !is_allowed_on(client, namespace, "update", resource, "status", None)? {
        missing.push(("update", format!("{}/status", resource.plural)));
    }
    Ok(missing)
}

/// Tells whether a verb is allowed. An empty namespace stands for all of them.
fn is_allowed(
    client: &KubeClient,
    namespace: &str,
    verb: &str,
    resource: Resource,
    name: Option<&str>,
) -> Result<bool, KubeError> {
    is_allowed_on(client, namespace, verb, resource, "", name)
}

/// The same for a part of the objects, `status` say; empty for the whole.
fn is_allowed_on(
    client: &KubeClient,
    namespace: &str,
    verb: &str,
    resource: Resource,
    part: &str,
    name: Option<&str>,
) -> Result<bool, KubeError> {
    let attributes = json!({
        "namespace": namespace, "verb": verb, "group": resource.group, "resource": resource.plural,
        "subresource": part, "name": name.unwrap_or_default(),
    });
    let answer = client.review(Resource::ACCESS_REVIEWS, &json!({ "resourceAttributes": attributes }))?;
    Ok(answer.pointer("/status/allowed") == Some(&Value::Bool(true)))
}
