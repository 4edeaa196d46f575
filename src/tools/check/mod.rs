//! `notariat check`: everything that is wrong, or would be when a certificate is ordered, as a [`Report`] of lines.
//!
//! With `-f FILE` of manifests as they are written for `kubectl apply`, before they are applied, without network and cluster: that is for
//! a pipeline. Else of what the daemon would read and reach (`live`), changing nothing. Tested by tests/it/bad_configurations.rs and
//! tests/it/check.rs.

mod ca;
mod caa;
mod cluster;
mod dns;
mod lint;
pub mod report;
mod secrets;

use std::collections::BTreeMap;

use serde_json::json;

use crate::base::name::ObjectRef;
use crate::cli::Arguments;
use crate::cli::check::CheckOptions;
use crate::config::namespaces::Namespaces;
use crate::config::{self, Inspected};
use crate::controller::ExitStatus;
use crate::kube::rbac::{GrantedRules, Missing, Names, RuleSubject};
use crate::kube::resource::Resource;
use crate::sources::{Desired, configmap};
use crate::tools::manifest::{self, ConfigMap, Manifest};
use crate::tools::role::needed;
use report::{CheckReport, Level};

/// Examines what is asked about.
///
/// # Errors
/// When a file can not be read, or is not YAML, or the arguments lead nowhere: nothing can be said then.
pub fn run(asked: &CheckOptions, arguments: &Arguments) -> Result<CheckReport, String> {
    let Some(file) = asked.file.as_deref() else { return cluster::run(arguments) };
    let mut found = manifest::open("f", file, arguments.namespace.as_deref())?;
    // Of what stands beside the ConfigMaps only what is notariat's by its name; what the flag names is meant.
    found.roles.retain(|role| role.name.contains("notariat"));
    if let Some(file) = &asked.role {
        let more = manifest::open("role", file, None)?;
        if more.roles.is_empty() {
            return Err(format!("-role {}: has no Role and no ClusterRole", file.display()));
        }
        found.roles.extend(more.roles);
    }
    examine(&found, arguments)
}

/// How it ended: no configuration, something to mend, something to try again, nothing.
pub fn end(report: &CheckReport) -> ExitStatus {
    match report.faults() {
        _ if report.is_unreadable => ExitStatus::Unreadable,
        0 => ExitStatus::Good,
        faults if faults > report.unknown => ExitStatus::Unsound,
        _ => ExitStatus::Unknown,
    }
}

/// Examines the objects of manifests.
fn examine(found: &Manifest, arguments: &Arguments) -> Result<CheckReport, String> {
    let mut report = CheckReport::default();
    if found.config_maps.is_empty() {
        report.say(Level::Warning, "manifest", "has no ConfigMap: there is nothing to check".to_owned());
    }
    let mut filled = BTreeMap::new();
    let mut by_namespace = BTreeMap::<&str, (Desired, Vec<&ObjectRef>)>::new();
    for config_map in &found.config_maps {
        let namespaces = Namespaces::new(&config_map.at.namespace, &arguments.allow_namespaces);
        let inspected = config::inspect(&config_map.data, &namespaces);
        one(&mut report, config_map, &inspected, &mut filled);
        let (wishes, names) = by_namespace.entry(&config_map.at.namespace).or_default();
        configmap::add(wishes, &config_map.at, &inspected.config, |_| None);
        names.push(&config_map.at);
    }
    if !found.roles.is_empty() {
        for (own, (wishes, names)) in by_namespace {
            permissions(&mut report, found, &needed(&wishes, names.into_iter(), own, arguments)?, own);
        }
    }
    Ok(report)
}

/// The lines of one ConfigMap. `filled` says which entry of any of them fills a Secret.
fn one(
    report: &mut CheckReport,
    config_map: &ConfigMap,
    inspected: &Inspected,
    filled: &mut BTreeMap<ObjectRef, String>,
) {
    let Inspected { config, faults, items } = inspected;
    let object = configmap::source(&config_map.at);
    let before = report.faults();
    for fault in config_map.faults.iter().chain(faults) {
        report.say(Level::Fault, &object, fault.clone());
    }
    for ((place, _), entry) in items.iter().zip(&config.entries) {
        let (secrets, faults) = match entry {
            Ok(entry) => (entry.secrets.as_slice(), [].as_slice()),
            Err(refused) => (refused.secret.as_slice(), refused.faults.as_slice()),
        };
        let main = secrets.first().map(|at| format!(" ({at})")).unwrap_or_default();
        for fault in faults {
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

/// What the Roles lack in each namespace. A ClusterRole counts everywhere: where it is bound stands elsewhere.
fn permissions(report: &mut CheckReport, found: &Manifest, needed: &BTreeMap<String, Names>, own: &str) {
    for (namespace, names) in needed {
        let holds = |role: &&manifest::Role| match (&role.namespace, role.is_cluster) {
            (_, true) => true,
            (Some(at), false) => at == namespace,
            (None, false) => namespace == own,
        };
        let rules: Vec<_> = found.roles.iter().filter(holds).flat_map(|role| role.rules.clone()).collect();
        let rules = GrantedRules::read(&json!({ "resourceRules": rules }));
        let object = format!("Role in {namespace}");
        if lacks(report, &object, &rules.missing(names)) {
            continue;
        }
        report.say(Level::Ok, &object, "grants what is needed".to_owned());
    }
}

/// Says what is missing, and what that costs. Returns whether anything is.
fn lacks(report: &mut CheckReport, object: &str, missing: &[Missing<'_>]) -> bool {
    for Missing { rule, names } in missing {
        // Without these everything goes on, later or unseen.
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
