//! What the API server lets us do, as it says itself, and what each thing that it does not let us do costs. Pure.
//!
//! [`RIGHTS`] is the one table of requests that notariat sends: `deploy/` grants these and no others, `notariat role` narrows them to
//! names, and the daemon compares them with a SelfSubjectRulesReview when it starts. Nothing that is done depends on it: a request that
//! is refused says so. Trusted as far as the API server is. Tested by tests/it/roles.rs, too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What notariat has to do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleSubject {
    /// A ConfigMap that says what is wanted.
    ConfigMap,
    /// A Secret that is only read: a TSIG key, or what an issuer names.
    Input,
    /// A Secret that holds a certificate.
    Certificate,
    /// A Secret of our own: an account, a record.
    Own,
    /// The Lease of the leader.
    Lease,
    /// An Event.
    Event,
    /// The ConfigMap that shows the state.
    Status,
}

/// The objects of one namespace by what they are for, with their names. A kind without names is used, under names that nobody knows.
pub type Names = BTreeMap<RuleSubject, BTreeSet<String>>;

/// One kind of request.
#[derive(Debug)]
pub struct PolicyRule {
    /// The API group; empty for core.
    pub group: &'static str,
    /// The plural of the resource.
    pub resource: &'static str,
    /// The verb.
    pub verb: &'static str,
    /// Whether a Role can narrow it to names. A request that creates has none that the authorizer sees.
    pub by_name: bool,
    /// For which objects.
    pub of: &'static [RuleSubject],
    /// What follows where it is missing.
    pub consequence: &'static str,
}

/// Everything that is sent.
pub const RIGHTS: [PolicyRule; 16] = [
    of_config_maps("get", "what it wants is not known, and nothing is done for it"),
    of_config_maps("list", LATE),
    of_config_maps("watch", LATE),
    of_secrets(
        "get",
        &[RuleSubject::Input, RuleSubject::Certificate, RuleSubject::Own],
        "what can not be read is neither checked nor obtained",
    ),
    of_secrets("list", &[RuleSubject::Input, RuleSubject::Certificate, RuleSubject::Own], LATE),
    of_secrets("watch", &[RuleSubject::Input, RuleSubject::Certificate, RuleSubject::Own], LATE),
    PolicyRule {
        by_name: false,
        ..of_secrets(
            "create",
            &[RuleSubject::Certificate, RuleSubject::Own],
            "a Secret that does not exist can not be made, and nothing is ordered for it",
        )
    },
    of_secrets(
        "update",
        &[RuleSubject::Certificate, RuleSubject::Own],
        "nothing is renewed or restored, and nothing is ordered",
    ),
    of_leases("get", true, "no leader is elected; replicas are kept apart by the records alone"),
    of_leases("create", false, "no leader is elected; replicas are kept apart by the records alone"),
    of_leases("update", true, "where there is a Lease nobody leads, and nothing is done; -lease=off works without"),
    of_events("create", "there are no Events on the ConfigMap"),
    of_events("update", "an Event that happens again is not counted"),
    of_status("get", true),
    of_status("create", false),
    of_status("update", true),
];

const LATE: &str = "a change is noticed at the next look and not at once";

const fn of_config_maps(verb: &'static str, without: &'static str) -> PolicyRule {
    PolicyRule {
        group: "",
        resource: "configmaps",
        verb,
        by_name: true,
        of: &[RuleSubject::ConfigMap],
        consequence: without,
    }
}

const fn of_status(verb: &'static str, by_name: bool) -> PolicyRule {
    let without = "the ConfigMap notariat-status does not show the state; `notariat status` does";
    PolicyRule { group: "", resource: "configmaps", verb, by_name, of: &[RuleSubject::Status], consequence: without }
}

const fn of_secrets(verb: &'static str, of: &'static [RuleSubject], without: &'static str) -> PolicyRule {
    PolicyRule { group: "", resource: "secrets", verb, by_name: true, of, consequence: without }
}

const fn of_leases(verb: &'static str, by_name: bool, without: &'static str) -> PolicyRule {
    PolicyRule {
        group: "coordination.k8s.io",
        resource: "leases",
        verb,
        by_name,
        of: &[RuleSubject::Lease],
        consequence: without,
    }
}

const fn of_events(verb: &'static str, without: &'static str) -> PolicyRule {
    PolicyRule { group: "", resource: "events", verb, by_name: false, of: &[RuleSubject::Event], consequence: without }
}

/// What we may do in one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantedRules {
    rules: Vec<GrantedRule>,
    /// There may be more: an authorizer of the cluster can not list its rules.
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

    /// Adds what was found out in another way.
    pub fn add(&mut self, right: &PolicyRule, name: Option<&str>) {
        let one = |text: &str| vec![text.to_owned()];
        let names = name.map(one).unwrap_or_default();
        self.rules.push(GrantedRule {
            verbs: one(right.verb),
            groups: one(right.group),
            resources: one(right.resource),
            names,
        });
    }

    /// Whether a request is allowed: for the object of a name, or with `None` for all and for those that are yet to be named. To list or
    /// to watch one object by the field selector `metadata.name` counts as a request for that name.
    pub fn allows(&self, verb: &str, group: &str, resource: &str, name: Option<&str>) -> bool {
        let holds = |list: &[String], word: &str| list.iter().any(|item| item == word || item == "*");
        self.rules.iter().any(|rule| {
            holds(&rule.verbs, verb)
                && holds(&rule.groups, group)
                && holds(&rule.resources, resource)
                // A name is a name here: `*` is none.
                && (rule.names.is_empty() || name.is_some_and(|name| rule.names.iter().any(|known| known == name)))
        })
    }

    /// What is missing for these objects, in the order of [`RIGHTS`].
    pub fn missing<'n>(&self, names: &'n Names) -> Vec<Missing<'n>> {
        let lack = |right: &'static PolicyRule| {
            let PolicyRule { verb, group, resource, of, .. } = right;
            let used: Vec<_> = of.iter().filter_map(|kind| names.get(kind)).collect();
            if used.is_empty() || self.allows(verb, group, resource, None) {
                return None;
            }
            let denied = |name: &&String| !self.allows(verb, group, resource, Some(name));
            let known = used.iter().copied().flatten().filter(|_| right.by_name);
            let is_known = right.by_name && used.iter().any(|names| !names.is_empty());
            let names: BTreeSet<&str> = known.filter(denied).map(String::as_str).collect();
            (!is_known || !names.is_empty()).then_some(Missing { right, names })
        };
        RIGHTS.iter().filter_map(lack).collect()
    }
}

/// A kind of request that is not allowed.
#[derive(Debug)]
pub struct Missing<'n> {
    /// Which.
    pub right: &'static PolicyRule,
    /// For which names; empty for all of the namespace.
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
            assert_eq!(found.allows(verb, group, resource, name), allowed, "{verb} {group}/{resource} {name:?}");
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
                        m.right.verb,
                        m.right.resource,
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
        let get = RIGHTS.iter().find(|r| (r.resource, r.verb) == ("secrets", "get")).unwrap();
        rules.add(get, Some("a"));
        assert!(rules.allows("get", "", "secrets", Some("a")) && !rules.allows("get", "", "secrets", None));
        rules.add(get, None);
        assert!(rules.allows("get", "", "secrets", Some("b")));
    }
}
