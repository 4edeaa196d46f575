//! What `notariat role` prints where Ingresses, Gateways or Services are sources: the ClusterRole to read them, and the bindings. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::kube::rbac::SOURCE_VERBS;
use crate::kube::resource::Resource;

/// The name of the ClusterRole and of its binding, as in deploy/sources.
const NAME: &str = "notariat-sources";

/// The groups whose objects have their status written.
const STATUS_GROUPS: [&str; 2] = [Resource::CERTIFICATES.group, Resource::GARDENER_CERTIFICATES.group];

/// Writing to a String can not fail.
const INFALLIBLE: &str = "a String takes everything";

/// The ClusterRole for these kinds, and its binding to the notariat of each of these namespaces.
pub(super) fn of_sources<'o>(kinds: &BTreeSet<Resource>, own: impl Iterator<Item = &'o str>) -> [String; 2] {
    let role = format!("{}rules:\n{}", head("ClusterRole", NAME, None), rules(kinds));
    let mut binding = head("ClusterRoleBinding", NAME, None) + &reference("ClusterRole", NAME);
    own.for_each(|own| binding.push_str(&subject(own)));
    [role, binding]
}

/// The rules to read these kinds and to write their statuses.
pub(super) fn rules(kinds: &BTreeSet<Resource>) -> String {
    let mut by_group = BTreeMap::<&str, Vec<&str>>::new();
    for kind in kinds {
        by_group.entry(kind.group).or_default().push(kind.plural);
    }
    let verbs = SOURCE_VERBS.join(", ");
    let mut role = "  # What asks for certificates: read, never written.\n".to_owned();
    for (group, plurals) in &by_group {
        let plurals = plurals.join(", ");
        writeln!(role, "  - apiGroups: [{group:?}]\n    resources: [{plurals}]\n    verbs: [{verbs}]")
            .expect(INFALLIBLE);
    }
    for group in STATUS_GROUPS {
        let Some(plurals) = by_group.get(group) else { continue };
        let plurals: Vec<String> = plurals.iter().map(|plural| format!("{plural}/status")).collect();
        let plurals = plurals.join(", ");
        writeln!(
            role,
            "  # What became of it.\n  - apiGroups: [{group:?}]\n    resources: [{plurals}]\n    verbs: [update]"
        )
        .expect(INFALLIBLE);
    }
    role
}

/// The binding of the Role of another namespace.
pub(super) fn role_binding(namespace: &str, own: &str) -> String {
    head("RoleBinding", "notariat", Some(namespace)) + &reference("Role", "notariat") + &subject(own)
}

fn head(kind: &str, name: &str, namespace: Option<&str>) -> String {
    let namespace = namespace.map(|namespace| format!("  namespace: {namespace:?}\n")).unwrap_or_default();
    format!("apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: {name}\n{namespace}")
}

/// The granted role, and the begin of the list of those who get it.
fn reference(kind: &str, name: &str) -> String {
    format!("roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {kind}\n  name: {name}\nsubjects:\n")
}

fn subject(own: &str) -> String {
    format!("  - kind: ServiceAccount\n    name: notariat\n    namespace: {own:?}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_stand_by_their_group_and_each_instance_is_bound() {
        let kinds = [Resource::INGRESSES, Resource::SERVICES, Resource::NAMESPACES].into();
        let [role, binding] = of_sources(&kinds, ["team", "web"].into_iter());
        let expected = r#"apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: notariat-sources
rules:
  # What asks for certificates: read, never written.
  - apiGroups: [""]
    resources: [namespaces, services]
    verbs: [get, list, watch]
  - apiGroups: ["networking.k8s.io"]
    resources: [ingresses]
    verbs: [get, list, watch]
"#;
        assert_eq!(role, expected);
        let end = r#"  kind: ClusterRole
  name: notariat-sources
subjects:
  - kind: ServiceAccount
    name: notariat
    namespace: "team"
  - kind: ServiceAccount
    name: notariat
    namespace: "web"
"#;
        assert!(binding.contains("kind: ClusterRoleBinding\n") && binding.ends_with(end), "{binding}");
        let kinds = [Resource::GARDENER_CERTIFICATES, Resource::GARDENER_ISSUERS, Resource::CERTIFICATES].into();
        let [role, _] = of_sources(&kinds, ["team"].into_iter());
        let end = r#"
  # What became of it.
  - apiGroups: ["cert-manager.io"]
    resources: [certificates/status]
    verbs: [update]
  # What became of it.
  - apiGroups: ["cert.gardener.cloud"]
    resources: [certificates/status, issuers/status]
    verbs: [update]
"#;
        assert!(role.ends_with(end), "{role}");
        let binding = role_binding("a", "team");
        assert!(binding.contains("  name: notariat\n  namespace: \"a\"\nroleRef"), "{binding}");
    }
}
