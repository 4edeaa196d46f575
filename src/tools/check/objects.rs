//! The lines about a ConfigMap and about missing permissions, from a manifest or from the cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{CheckReport, Level};
use super::{lint, names};
use crate::base::name::ObjectRef;
use crate::config::Inspected;
use crate::config::name_policy::NamePolicy;
use crate::kube::rbac::{Missing, Names, RBAC_RULES, RuleSubject};
use crate::kube::resource::Resource;
use crate::sources::config_map;
use crate::tools::manifest::ConfigMap;

/// Reports one ConfigMap. `filled` maps each Secret to the entry, of any ConfigMap, that fills it.
pub(super) fn config_map(
    report: &mut CheckReport,
    config_map: &ConfigMap,
    inspected: &Inspected,
    filled: &mut BTreeMap<ObjectRef, String>,
) {
    let Inspected { config, faults, items } = inspected;
    let object = config_map::source(&config_map.at);
    let before = report.faults();
    for fault in config_map.faults.iter().chain(faults) {
        report.say(Level::Fault, &object, fault.clone());
    }
    names::say(report, &object, &config.policy);
    for ((place, _), entry) in items.iter().zip(&config.entries) {
        let (secrets, faults) = match entry {
            Ok(entry) => (entry.secrets.as_slice(), [].as_slice()),
            Err(refused) => (refused.secret.as_slice(), refused.faults.as_slice()),
        };
        let main = secrets.first().map(|at| format!(" ({at})")).unwrap_or_default();
        for fault in faults {
            report.say(Level::Fault, &object, format!("{place}{main}: {fault}"));
        }
        if let Some(fault) = entry.as_ref().ok().and_then(|entry| lint::unserved(entry, config)) {
            report.say(Level::Fault, &object, format!("{place}{main}: {fault}"));
        }
        for secret in secrets {
            match filled.get(secret) {
                Some(holder) => report.say(
                    Level::Fault,
                    &object,
                    format!(
                        "{place}{main}: secret: {secret} is already filled by {holder}; one Secret holds one certificate"
                    ),
                ),
                None => drop(filled.insert(secret.clone(), format!("{place} of {object}"))),
            }
        }
    }
    let warnings = config.warnings.iter().cloned().chain(lint::find(config, items));
    warnings.for_each(|warning| report.say(Level::Warning, &object, warning));
    if report.faults() > before {
        return;
    }
    match items.len() {
        0 if config.policy != NamePolicy::default() => {}
        0 => report.say(
            Level::Warning,
            &object,
            "wants no certificate: entries stand in the key `certificates`, or in keys that begin with `certificates-`"
                .to_owned(),
        ),
        1 => report.say(Level::Ok, &object, "1 entry".to_owned()),
        many => report.say(Level::Ok, &object, format!("{many} entries")),
    }
}

/// Reports the verbs that are missing to read a kind of source in the whole cluster.
pub(super) fn lacks_source(report: &mut CheckReport, object: &str, kind: Resource, verbs: &[&str]) {
    for verb in verbs {
        let sentence = format!(
            "lacks the verb `{verb}` on `{}` in the whole cluster: nothing is taken from these objects until they may be read; \
             `notariat role -sources …` prints a ClusterRole that is enough",
            kind.plural
        );
        report.say(Level::Fault, object, sentence);
    }
}

/// Reports the missing verbs with their consequence. Returns whether any is missing.
pub(super) fn lacks(report: &mut CheckReport, object: &str, missing: &[Missing<'_>]) -> bool {
    for Missing { rule, names } in missing {
        // Without the other verbs work goes on, later or without a report.
        let is_vital = matches!(rule.resource, Resource::SECRETS | Resource::CONFIG_MAPS)
            && !matches!(rule.verb, "list" | "watch")
            && !rule.subjects.contains(&RuleSubject::Status);
        let of = match names.len() {
            0 => String::new(),
            _ => format!(" of {}", Vec::from_iter(names.iter().copied()).join(", ")),
        };
        let sentence = format!(
            "lacks the verb `{}` on `{}`{of}: {}; `notariat role` prints a Role that is enough",
            rule.verb, rule.resource.plural, rule.consequence
        );
        report.say(if is_vital { Level::Fault } else { Level::Warning }, object, sentence);
    }
    !missing.is_empty()
}

/// Reports the granted verbs, a line for each resource.
pub(super) fn granted(report: &mut CheckReport, object: &str, names: &Names, missing: &[Missing<'_>]) {
    let mut by_resource = BTreeMap::<&str, BTreeSet<&str>>::new();
    for rule in RBAC_RULES.iter().filter(|rule| rule.subjects.iter().any(|subject| names.contains_key(subject))) {
        if !missing.iter().any(|m| m.rule.resource == rule.resource && m.rule.verb == rule.verb) {
            by_resource.entry(rule.resource.plural).or_default().insert(rule.verb);
        }
    }
    for (resource, verbs) in by_resource {
        report.say(Level::Ok, object, format!("{resource}: {}", Vec::from_iter(verbs).join(", ")));
    }
}
