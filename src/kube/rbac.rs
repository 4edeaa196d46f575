//! The requests that this program sends, the rules that an API server grants, and what is missing between the two. Pure.
//!
//! [`RBAC_RULES`] is the one table. `deploy/` grants its rules and no others, `notariat role` prints them narrowed to names, and the program
//! compares them with a SelfSubjectRulesReview at its start. No decision depends on that: a request that is refused says so. Trusted as far
//! as the API server is. Tested by tests/it/roles.rs, too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::resource::Resource;
use RuleSubject::{Certificate, ConfigMap, Event, Input, Lease, OtherLease, Own, Pruned, Status};

/// The purpose of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleSubject {
    /// A ConfigMap that lists certificates.
    ConfigMap,
    /// A Secret that is only read: a TSIG key, or what an issuer names.
    Input,
    /// A Secret that holds a certificate.
    Certificate,
    /// A Secret that `-prune` deletes when no object wants it any more.
    Pruned,
    /// A Secret of this program: an account, a record.
    Own,
    /// The Lease of the leader.
    Lease,
    /// The Lease of cert-manager's controller.
    OtherLease,
    /// An Event.
    Event,
    /// The ConfigMap that shows the state.
    Status,
}

/// The objects of one namespace by what they are for, with their names. A subject without names is used, under names that are not known.
pub type Names = BTreeMap<RuleSubject, BTreeSet<String>>;

/// One kind of request.
#[derive(Debug, PartialEq, Eq)]
pub struct PolicyRule {
    /// The kind of the objects.
    pub resource: Resource,
    /// The verb.
    pub verb: &'static str,
    /// True if a Role can narrow the rule to names. The authorizer sees no name in a request that creates.
    pub by_name: bool,
    /// The objects that need the rule.
    pub subjects: &'static [RuleSubject],
    /// The consequence where the rule is missing, for people.
    pub consequence: &'static str,
}

/// Every request that is sent, apart from the reviews, which need no rule.
#[rustfmt::skip]
pub const RBAC_RULES: &[PolicyRule] = &[
    rule(Resource::CONFIG_MAPS, "get",    BY_NAME, &[ConfigMap],               "what it wants is not known, and nothing is done for it"),
    rule(Resource::CONFIG_MAPS, "list",   BY_NAME, &[ConfigMap],               LATE),
    rule(Resource::CONFIG_MAPS, "watch",  BY_NAME, &[ConfigMap],               LATE),
    rule(Resource::SECRETS,     "get",    BY_NAME, &[Input, Certificate, Own], "what can not be read is neither checked nor obtained"),
    rule(Resource::SECRETS,     "list",   BY_NAME, &[Input, Certificate, Own], LATE),
    rule(Resource::SECRETS,     "watch",  BY_NAME, &[Input, Certificate, Own], LATE),
    rule(Resource::SECRETS,     "create", ALL,     &[Certificate, Own],        "a Secret that does not exist can not be made, and nothing is ordered for it"),
    rule(Resource::SECRETS,     "update", BY_NAME, &[Certificate, Own],        "nothing is renewed or restored, and nothing is ordered"),
    rule(Resource::SECRETS,     "delete", BY_NAME, &[Pruned],                  "-prune deletes nothing: Secrets that no object wants any more stay"),
    rule(Resource::LEASES,      "get",    BY_NAME, &[Lease],                   NO_LEADER),
    rule(Resource::LEASES,      "create", ALL,     &[Lease],                   NO_LEADER),
    rule(Resource::LEASES,      "update", BY_NAME, &[Lease],                   "where there is a Lease nobody leads, and nothing is done; -lease=off works without"),
    rule(Resource::LEASES,      "get",    BY_NAME, &[OtherLease],              NOT_ACTING),
    rule(Resource::LEASES,      "create", ALL,     &[OtherLease],              NOT_ACTING),
    rule(Resource::LEASES,      "update", BY_NAME, &[OtherLease],              NOT_ACTING),
    rule(Resource::EVENTS,      "create", ALL,     &[Event],                   "there are no Events that say what became of a certificate"),
    rule(Resource::EVENTS,      "update", ALL,     &[Event],                   "an Event that happens again is not counted"),
    rule(Resource::CONFIG_MAPS, "get",    BY_NAME, &[Status],                  NOT_SHOWN),
    rule(Resource::CONFIG_MAPS, "create", ALL,     &[Status],                  NOT_SHOWN),
    rule(Resource::CONFIG_MAPS, "update", BY_NAME, &[Status],                  NOT_SHOWN),
];

/// The verbs on the kinds of objects that are sources, in the whole cluster.
pub const SOURCE_VERBS: [&str; 3] = ["get", "list", "watch"];

/// Those of [`SOURCE_VERBS`] that are sent: without one of them nothing is taken from the objects of a kind.
pub const SOURCE_VERBS_SENT: [&str; 2] = ["list", "watch"];

const BY_NAME: bool = true;
const ALL: bool = false;
const LATE: &str = "a change is noticed at the next look and not at once";
const NO_LEADER: &str = "no leader is elected; replicas are kept apart by the records alone";
const NOT_ACTING: &str = "nothing is done for cert-manager's objects: its controller may do it";
const NOT_SHOWN: &str = "the ConfigMap notariat-status does not show the state; `notariat status` does";

const fn rule(
    resource: Resource,
    verb: &'static str,
    by_name: bool,
    subjects: &'static [RuleSubject],
    consequence: &'static str,
) -> PolicyRule {
    PolicyRule { resource, verb, by_name, subjects, consequence }
}

/// The rules that the API server grants in one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantedRules {
    rules: Vec<GrantedRule>,
    /// More rules may exist: an authorizer of the cluster can not list its own.
    pub incomplete: bool,
}

/// Some verbs on some resources; `*` stands for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct GrantedRule {
    verbs: Vec<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    /// Empty for all.
    names: Vec<String>,
}

impl GrantedRules {
    /// Reads the `status` of a SelfSubjectRulesReview. Go sends an empty list as `null` or not at all.
    pub fn read(status: &Value) -> GrantedRules {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let texts = |rule: &Value, field: &str| -> Vec<String> {
            list(&rule[field]).iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let rule = |rule: &Value| GrantedRule {
            verbs: texts(rule, "verbs"),
            groups: texts(rule, "apiGroups"),
            resources: texts(rule, "resources"),
            names: texts(rule, "resourceNames"),
        };
        let evaluated = status["evaluationError"].as_str().unwrap_or_default().is_empty();
        GrantedRules {
            rules: list(&status["resourceRules"]).iter().map(rule).collect(),
            incomplete: status["incomplete"] == Value::Bool(true) || !evaluated,
        }
    }

    /// Adds a rule that an access review allowed: for one name, or with `None` for all.
    pub fn add(&mut self, rule: &PolicyRule, name: Option<&str>) {
        let one = |text: &str| vec![text.to_owned()];
        self.rules.push(GrantedRule {
            verbs: one(rule.verb),
            groups: one(rule.resource.group),
            resources: one(rule.resource.plural),
            names: name.map(one).unwrap_or_default(),
        });
    }

    /// Tells whether a request is allowed: for the object of a name, or with `None` for all and for those that are yet to be named. To list or
    /// to watch one object by the field selector `metadata.name` counts as a request for that name.
    pub fn allows(&self, verb: &str, resource: Resource, name: Option<&str>) -> bool {
        let holds = |list: &[String], word: &str| list.iter().any(|item| item == word || item == "*");
        self.rules.iter().any(|rule| {
            holds(&rule.verbs, verb)
                && holds(&rule.groups, resource.group)
                && holds(&rule.resources, resource.plural)
                // Among names `*` is a name like any other.
                && (rule.names.is_empty() || name.is_some_and(|name| rule.names.iter().any(|known| known == name)))
        })
    }

    /// The rules that are missing for these objects, in the order of [`RBAC_RULES`].
    pub fn missing<'n>(&self, names: &'n Names) -> Vec<Missing<'n>> {
        let lack = |rule: &'static PolicyRule| {
            let PolicyRule { verb, resource, .. } = *rule;
            let used: Vec<_> = rule.subjects.iter().filter_map(|subject| names.get(subject)).collect();
            if used.is_empty() || self.allows(verb, resource, None) {
                return None;
            }
            let denied = |name: &&String| !self.allows(verb, resource, Some(name));
            let known = used.iter().copied().flatten().filter(|_| rule.by_name);
            let is_known = rule.by_name && used.iter().any(|names| !names.is_empty());
            let names: BTreeSet<&str> = known.filter(denied).map(String::as_str).collect();
            (!is_known || !names.is_empty()).then_some(Missing { rule, names })
        };
        RBAC_RULES.iter().filter_map(lack).collect()
    }
}

/// A rule that is not granted.
#[derive(Debug)]
pub struct Missing<'n> {
    /// The rule.
    pub rule: &'static PolicyRule,
    /// The names it is missing for; empty for all of the namespace.
    pub names: BTreeSet<&'n str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(rules: Value) -> GrantedRules {
        GrantedRules::read(&json!({"resourceRules": rules, "nonResourceRules": null, "incomplete": false}))
    }

    #[test]
    fn rules_are_read_with_stars_and_nulls() {
        let found = rules(json!([
            {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a", "*"]},
            {"verbs": ["*"], "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": null},
            {"verbs": ["create"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["patch"], "apiGroups": null, "resources": ["secrets"]},
            {"verbs": ["watch"], "apiGroups": ["apps"], "resources": ["secrets", "configmaps/status"]},
        ]));
        for (verb, group, resource, name, allowed) in [
            ("get", "", "secrets", Some("a"), true),
            ("get", "", "secrets", Some("b"), false),
            ("get", "", "secrets", None, false),
            ("list", "", "secrets", Some("a"), true),
            ("list", "", "secrets", None, false),
            ("get", "apps", "secrets", Some("a"), false),
            ("update", "coordination.k8s.io", "leases", Some("x"), true),
            ("update", "coordination.k8s.io", "leases", None, true),
            ("update", "", "leases", None, false),
            ("create", "", "events", None, true),
            ("patch", "", "secrets", None, false),
            ("watch", "", "secrets", None, false),
            ("watch", "", "configmaps", None, false),
        ] {
            let resource = Resource { group, plural: resource, ..Resource::SECRETS };
            assert_eq!(found.allows(verb, resource, name), allowed, "{verb} {resource:?} {name:?}");
        }
    }

    #[test]
    fn what_can_not_be_listed_is_incomplete() {
        for (status, incomplete) in [
            (json!({"resourceRules": [], "incomplete": true}), true),
            (json!({"resourceRules": null, "incomplete": false, "evaluationError": "webhook"}), true),
            (json!({"resourceRules": null, "evaluationError": ""}), false),
            (json!(null), false),
        ] {
            let rules = GrantedRules::read(&status);
            assert_eq!((rules.incomplete, rules.rules.len()), (incomplete, 0), "{status}");
        }
    }

    #[test]
    fn what_is_missing_names_verb_resource_and_objects() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let names = Names::from([
            (RuleSubject::ConfigMap, set(&["notariat"])),
            (RuleSubject::Input, set(&["key", "roots"])),
            (RuleSubject::Certificate, set(&["web"])),
            (RuleSubject::Own, set(&["record"])),
            (RuleSubject::Event, set(&[])),
        ]);
        let by_name = |verbs: &[&str], names: &[&str]| json!({"verbs": verbs, "apiGroups": [""], "resources": ["secrets"], "resourceNames": names});
        let all = |resource: &str, verbs: &[&str]| json!({"verbs": verbs, "apiGroups": [""], "resources": [resource]});
        let told = |rules: &GrantedRules, names: &Names| -> Vec<String> {
            let missing = rules.missing(names);
            missing
                .iter()
                .map(|m| {
                    format!(
                        "{} {} {}",
                        m.rule.verb,
                        m.rule.resource.plural,
                        Vec::from_iter(m.names.iter().copied()).join(",")
                    )
                })
                .collect()
        };
        let whole = [
            all("secrets", &["get", "list", "watch", "create", "update"]),
            all("configmaps", &["*"]),
            all("events", &["create", "update"]),
        ];
        assert_eq!(told(&rules(json!(whole)), &names), [""; 0]);
        let narrow = [
            by_name(&["get", "list", "watch", "update"], &["web", "record"]),
            by_name(&["get", "list"], &["key"]),
            all("configmaps", &["get", "list", "watch"]),
            all("events", &["create"]),
        ];
        let expected =
            ["get secrets roots", "list secrets roots", "watch secrets key,roots", "create secrets ", "update events "];
        assert_eq!(told(&rules(json!(narrow)), &names), expected);

        // Before the ConfigMap was read only what is allowed for all names is known to be.
        let unnamed: Names = names.keys().map(|kind| (*kind, BTreeSet::new())).collect();
        assert_eq!(told(&rules(json!(whole)), &unnamed), [""; 0]);
        assert_eq!(told(&rules(json!(narrow)), &unnamed)[..2], ["get secrets ", "list secrets "]);
    }

    #[test]
    fn what_is_found_out_later_counts() {
        let mut rules = GrantedRules::default();
        let get = RBAC_RULES.iter().find(|rule| (rule.resource, rule.verb) == (Resource::SECRETS, "get")).unwrap();
        rules.add(get, Some("a"));
        assert!(rules.allows("get", Resource::SECRETS, Some("a")) && !rules.allows("get", Resource::SECRETS, None));
        rules.add(get, None);
        assert!(rules.allows("get", Resource::SECRETS, Some("b")));
    }
}
