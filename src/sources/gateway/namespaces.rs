//! The namespaces that a Gateway lets in: `from` and the label selector of `allowedRoutes` and `allowedListeners`. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::limits::{LABELS_MAX, SELECTOR_REQUIREMENTS_MAX};
use crate::sources::hosts::texts;

/// The label by which every namespace has its own name; the API server sets it.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The labels of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceLabels(BTreeMap<Box<str>, Box<str>>);

impl NamespaceLabels {
    /// Reads the labels of a Namespace.
    pub fn read(object: &Value) -> NamespaceLabels {
        let labels = object.get("metadata").and_then(|metadata| metadata.get("labels")).and_then(Value::as_object);
        let text = |(key, value): (&String, &Value)| Some((key.as_str().into(), value.as_str()?.into()));
        NamespaceLabels(labels.into_iter().flatten().take(LABELS_MAX).filter_map(text).collect())
    }
}

/// The namespaces from which objects may attach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedNamespaces {
    /// No namespace.
    None,
    /// The namespace of the Gateway.
    Same,
    /// All namespaces.
    All,
    /// The namespaces whose labels fulfil each of these.
    Selector(Box<[Requirement]>),
}

/// A requirement of a label selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    key: Box<str>,
    operator: Operator,
    values: Box<[Box<str>]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl AllowedNamespaces {
    /// Reads `namespaces`; `default` is meant where `from` is missing. What can not be read allows nothing.
    pub fn read(namespaces: Option<&Value>, default: AllowedNamespaces) -> AllowedNamespaces {
        let from = namespaces.and_then(|namespaces| namespaces.get("from")).filter(|from| !from.is_null());
        match from.map(Value::as_str) {
            None => default,
            Some(Some("Same")) => AllowedNamespaces::Same,
            Some(Some("All")) => AllowedNamespaces::All,
            Some(Some("Selector")) => {
                let selector = namespaces.and_then(|namespaces| namespaces.get("selector")).and_then(requirements);
                selector.map_or(AllowedNamespaces::None, AllowedNamespaces::Selector)
            }
            Some(_) => AllowedNamespaces::None,
        }
    }

    /// Tells whether an object of `namespace` may attach to one of `own`. `labels` are those of `namespace`, where they are known.
    pub fn allows(&self, namespace: &str, own: &str, labels: Option<&NamespaceLabels>) -> bool {
        match self {
            AllowedNamespaces::None => false,
            AllowedNamespaces::Same => namespace == own,
            AllowedNamespaces::All => true,
            AllowedNamespaces::Selector(requirements) => {
                requirements.iter().all(|requirement| requirement.holds(namespace, labels))
            }
        }
    }

    /// Tells whether labels of namespaces decide.
    pub fn needs_labels(&self) -> bool {
        matches!(self, AllowedNamespaces::Selector(_))
    }
}

impl Requirement {
    fn holds(&self, namespace: &str, labels: Option<&NamespaceLabels>) -> bool {
        let value = match (&*self.key, labels) {
            (NAME_LABEL, _) => Some(namespace),
            (key, Some(labels)) => labels.0.get(key).map(|value| &**value),
            // Nothing is known of the namespace, so nothing holds.
            (_, None) => return false,
        };
        let listed = || value.is_some_and(|value| self.values.iter().any(|listed| **listed == *value));
        match self.operator {
            Operator::In => listed(),
            Operator::NotIn => !listed(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// The requirements of a label selector; `None` when one can not be read. No requirement selects everything.
fn requirements(selector: &Value) -> Option<Box<[Requirement]>> {
    let labels = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let equal = |(key, value): (&String, &Value)| {
        let values = Box::new([Box::<str>::from(value.as_str()?)]);
        Some(Requirement { key: key.as_str().into(), operator: Operator::In, values })
    };
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    let expression = |expression: &Value| {
        let text = |field: &str| expression.get(field).and_then(Value::as_str);
        let operator = match text("operator")? {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            _ => return None,
        };
        let values = texts(expression.get("values")).map(|value| value.map(Box::from)).collect::<Option<_>>()?;
        Some(Requirement { key: text("key")?.into(), operator, values })
    };
    let all = labels.map(equal).chain(expressions.map(expression)).take(SELECTOR_REQUIREMENTS_MAX + 1);
    let all: Box<[Requirement]> = all.collect::<Option<_>>()?;
    (selector.is_object() && all.len() <= SELECTOR_REQUIREMENTS_MAX).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels(object: Value) -> NamespaceLabels {
        NamespaceLabels::read(&json!({"metadata": {"labels": object}}))
    }

    #[test]
    fn namespaces_are_allowed_by_from() {
        for (namespaces, same, other) in [
            (json!(null), true, false),
            (json!({}), true, false),
            (json!({"from": null}), true, false),
            (json!({"from": "Same"}), true, false),
            (json!({"from": "All"}), true, true),
            (json!({"from": "None"}), false, false),
            (json!({"from": "Selector"}), false, false),
            (json!({"from": "Selector", "selector": null}), false, false),
            (json!({"from": "Selector", "selector": {}}), true, true),
            (json!({"from": "all"}), false, false),
            (json!({"from": 1}), false, false),
            (json!([]), true, false),
        ] {
            let allowed = AllowedNamespaces::read(Some(&namespaces), AllowedNamespaces::Same);
            let found = (allowed.allows("t", "t", None), allowed.allows("u", "t", None));
            assert_eq!(found, (same, other), "{namespaces}");
            assert_eq!(allowed.needs_labels(), namespaces["selector"].is_object());
        }
        assert_eq!(AllowedNamespaces::read(None, AllowedNamespaces::None), AllowedNamespaces::None);
    }

    #[test]
    fn labels_fulfil_a_selector() {
        let team = labels(json!({"team": "a", "env": "prod", "n": 1}));
        for (selector, holds) in [
            (json!({"matchLabels": {"team": "a"}}), true),
            (json!({"matchLabels": {"team": "a", "env": "prod"}}), true),
            (json!({"matchLabels": {"team": "a", "env": "test"}}), false),
            (json!({"matchLabels": {"other": "a"}}), false),
            (json!({"matchLabels": {"n": "1"}}), false),
            (json!({"matchLabels": {"kubernetes.io/metadata.name": "u"}}), true),
            (json!({"matchLabels": {"kubernetes.io/metadata.name": "t"}}), false),
            (json!({"matchLabels": {"team": 1}}), false),
            (json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["b", "a"]}]}), true),
            (json!({"matchExpressions": [{"key": "team", "operator": "In", "values": []}]}), false),
            (json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}), false),
            (json!({"matchExpressions": [{"key": "other", "operator": "NotIn", "values": ["a"]}]}), true),
            (json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]}), true),
            (json!({"matchExpressions": [{"key": "other", "operator": "Exists"}]}), false),
            (json!({"matchExpressions": [{"key": "other", "operator": "DoesNotExist"}]}), true),
            (json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}), false),
            (json!({"matchExpressions": [{"key": "team", "operator": "Gt", "values": ["1"]}]}), false),
            (json!({"matchExpressions": [{"operator": "Exists"}]}), false),
            (json!({"matchExpressions": [1]}), false),
            (
                json!({"matchLabels": {"team": "a"}, "matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["prod"]}]}),
                false,
            ),
            (json!("text"), false),
        ] {
            let namespaces = json!({"from": "Selector", "selector": selector});
            let allowed = AllowedNamespaces::read(Some(&namespaces), AllowedNamespaces::Same);
            assert_eq!(allowed.allows("u", "t", Some(&team)), holds, "{selector}");
        }
    }

    #[test]
    fn a_namespace_of_which_nothing_is_known_fulfils_nothing_but_its_name() {
        for (selector, holds) in [
            (json!({"matchExpressions": [{"key": "other", "operator": "DoesNotExist"}]}), false),
            (json!({"matchExpressions": [{"key": "other", "operator": "NotIn", "values": ["x"]}]}), false),
            (json!({"matchLabels": {"kubernetes.io/metadata.name": "u"}}), true),
        ] {
            let namespaces = json!({"from": "Selector", "selector": selector});
            let allowed = AllowedNamespaces::read(Some(&namespaces), AllowedNamespaces::Same);
            assert_eq!(allowed.allows("u", "t", None), holds, "{selector}");
        }
    }

    #[test]
    fn a_selector_beyond_the_bound_selects_nothing() {
        for (count, holds) in
            [(SELECTOR_REQUIREMENTS_MAX, true), (SELECTOR_REQUIREMENTS_MAX + 1, false), (10_000, false)]
        {
            let expressions: Vec<Value> = (0..count).map(|_| json!({"key": "team", "operator": "Exists"})).collect();
            let namespaces = json!({"from": "Selector", "selector": {"matchExpressions": expressions}});
            let allowed = AllowedNamespaces::read(Some(&namespaces), AllowedNamespaces::Same);
            assert_eq!(allowed.allows("u", "t", Some(&labels(json!({"team": "a"})))), holds, "{count}");
        }
        let many: serde_json::Map<String, Value> = (0..1_000).map(|i| (format!("l{i}"), json!("x"))).collect();
        assert_eq!(labels(many.into()).0.len(), LABELS_MAX);
    }
}
