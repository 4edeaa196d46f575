//! Asks the API server what we may do in a namespace: one SelfSubjectRulesReview. Where an authorizer of the cluster can not list its
//! rules (that of nodes says so in most clusters), SelfSubjectAccessReviews for what the rules did not show.

use serde_json::json;

use super::client::{KubeClient, KubeError};
use super::rbac::{GrantedRules, Names, PolicyRule};
use crate::base::limits::ACCESS_REVIEWS_MAX;

/// What we may do in `namespace`, as far as the rules say.
///
/// # Errors
/// When it could not be asked.
pub fn rules(client: &KubeClient, namespace: &str) -> Result<GrantedRules, KubeError> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    });
    Ok(GrantedRules::read(&client.review("selfsubjectrulesreviews", &review)?["status"]))
}

/// Completes rules that are not, and says in them that they are complete where all could be asked: asks for what is missing for these objects, for all names at once and then for each. What there is no
/// time to ask for counts as allowed: a request will tell.
///
/// # Errors
/// When it could not be asked.
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
            is_allowed(client, namespace, missing.right, name)
        };
        if ask(None)? {
            rules.add(missing.right, None);
            continue;
        }
        for name in &missing.names {
            if ask(Some(name))? {
                rules.add(missing.right, Some(name));
            }
        }
    }
    rules.incomplete = left == 0;
    Ok(())
}

fn is_allowed(client: &KubeClient, namespace: &str, right: &PolicyRule, name: Option<&str>) -> Result<bool, KubeError> {
    let PolicyRule { verb, group, resource, .. } = right;
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "namespace": namespace, "verb": verb, "group": group, "resource": resource, "name": name.unwrap_or_default(),
        }},
    });
    Ok(client.review("selfsubjectaccessreviews", &review)?["status"]["allowed"] == true)
}
